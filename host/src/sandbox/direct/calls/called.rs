//! What a module calls through its table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wasmparser::{CompositeInnerType, ElementItems, ElementKind, FuncType, Operator, Parser, Payload, SubType, TableInit, TypeRef, ValType};

use super::super::{all, constant};
use crate::sandbox::engine::PLACES;

/// Parameters that a function may have (the engine's limit); one that chooses has one more.
const PARAMETERS: usize = 1_000;

/// What a module has, and what it calls through a table.
#[derive(Default)]
pub(super) struct Called {
    /// The table.
    pub(super) table: u32,
    /// The kind of each type by index: those that are alike are of one.
    pub(super) types: Vec<u32>,
    /// The kinds.
    pub(super) kinds: HashMap<FuncType, u32>,
    /// Their types by index, imported functions first.
    pub(super) functions: Vec<u32>,
    /// Function by place.
    pub(super) places: BTreeMap<u32, u32>,
    /// The types that are called.
    pub(super) called: BTreeSet<u32>,
    imported_tables: u32,
    /// Places of the table, which is to be the module's only one of its own.
    length: Option<u64>,
}

impl Called {
    /// Reads a module that has been validated. None: this table is not its last, its only one of its own, filled once by a list of functions
    /// and otherwise only called through; or its types are more than plain functions, whose likeness shows in their parameters and results.
    pub(super) fn of(module: &[u8], table: u32) -> Option<Self> {
        let mut called = Self { table, ..Self::default() };
        for payload in Parser::new(0).parse_all(module) {
            called.read(&payload.ok()?)?;
        }
        called.length.is_some().then_some(called)
    }

    fn read(&mut self, payload: &Payload<'_>) -> Option<()> {
        match payload {
            Payload::TypeSection(section) => {
                for group in all(section.clone())? {
                    (!group.is_explicit_rec_group()).then_some(())?;
                    for ty in group.into_types() {
                        self.ty(ty)?;
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    match import.ok()?.ty {
                        TypeRef::Func(ty) => self.functions.push(ty),
                        TypeRef::FuncExact(_) => return None,
                        TypeRef::Table(_) => self.imported_tables += 1,
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(section) => self.functions.extend(all(section.clone())?),
            Payload::TableSection(section) => {
                let [own] = &all(section.clone())?[..] else { return None };
                let plain = matches!(own.init, TableInit::RefNull) && ValType::Ref(own.ty.element_type) == ValType::FUNCREF && !own.ty.table64;
                (plain && own.ty.initial <= u64::from(PLACES) && self.imported_tables == self.table).then_some(())?;
                self.length = Some(own.ty.initial);
            }
            Payload::ElementSection(section) => {
                for element in all(section.clone())? {
                    self.fill(element)?;
                }
            }
            Payload::CodeSectionEntry(body) => {
                let mut operators = body.get_operators_reader().ok()?;
                while !operators.eof() {
                    self.operator(&operators.read().ok()?)?;
                }
            }
            _ => {}
        }
        Some(())
    }

    fn ty(&mut self, ty: SubType) -> Option<()> {
        let plain = ty.is_final && ty.supertype_idx.is_none() && !ty.composite_type.shared;
        let CompositeInnerType::Func(function) = ty.composite_type.inner else { return None };
        let by_index = |ty: &ValType| matches!(ty, ValType::Ref(ty) if ty.is_concrete_type_ref());
        let odd = function.params().iter().chain(function.results()).any(by_index) || function.params().len() >= PARAMETERS;
        (plain && !odd).then_some(())?;
        let next = u32::try_from(self.kinds.len()).ok()?;
        self.types.push(*self.kinds.entry(function).or_insert(next));
        Some(())
    }

    fn fill(&mut self, element: wasmparser::Element<'_>) -> Option<()> {
        let ElementKind::Active { table_index, offset_expr } = element.kind else { return None };
        if table_index.unwrap_or(0) != self.table {
            return Some(());
        }
        let ElementItems::Functions(functions) = element.items else { return None };
        let first = constant(&offset_expr)?.cast_unsigned();
        let end = first.checked_add(functions.count())?;
        // Beyond it, instances could not be made.
        (u64::from(end) <= self.length?).then_some(())?;
        self.places.extend((first..end).zip(all(functions)?));
        Some(())
    }

    fn operator(&mut self, operator: &Operator<'_>) -> Option<()> {
        match *operator {
            Operator::CallIndirect { type_index, table_index } | Operator::ReturnCallIndirect { type_index, table_index } if table_index == self.table => {
                self.called.insert(type_index);
            }
            Operator::TableGet { table }
            | Operator::TableSet { table }
            | Operator::TableGrow { table }
            | Operator::TableSize { table }
            | Operator::TableFill { table }
            | Operator::TableInit { table, .. }
            | Operator::TableCopy { dst_table: table, .. }
                if table == self.table =>
            {
                return None;
            }
            Operator::TableCopy { src_table, .. } if src_table == self.table => return None,
            _ => {}
        }
        Some(())
    }
}
