//! Calls through a table as choices between the functions that are in it.
//!
//! A guest in Rust calls through function pointers: places in a table of a thousand functions, which never changes once it is filled. Each
//! instance pays for it. The table's pages are scanned and reset, and a function that is called needs a reference first, made on the way.
//! Functions that choose by the pointer, one for each type that is called, need none of that.
//!
//! What a call through an empty place or with another type traps with is then `unreachable`.

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::reencode::{Error, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{BlockType, CodeSection, ElementSection, ExportSection, Function, FunctionSection, Instruction, InstructionSink, TableSection, TypeSection};
use wasmparser::{CompositeInnerType, ElementItems, ElementKind, ExternalKind, FuncType, Operator, Parser, Payload, TypeRef, ValType};

use super::all;

/// Up to so many functions are compared one by one; for more there is a list of all places between the first and the last.
const FEW: usize = 4;
/// Entries of all those lists, and places that are filled: anybody's component comes through here.
const MOST: usize = 1 << 20;

/// The same module without its own table, which is to be the last, of this index. None if it does more with it than call, or has none.
pub(super) fn without_table(module: &[u8], table: u32) -> Option<Vec<u8>> {
    let mut called = Called { table, ..Called::default() };
    for payload in Parser::new(0).parse_all(module) {
        called.read(&payload.ok()?)?;
    }
    (called.tables == table + 1 && called.own_tables > 0).then_some(())?;
    let mut direct = Direct::new(called)?;
    let mut out = wasm_encoder::Module::new();
    direct.parse_core_module(&mut out, Parser::new(0), module).ok()?;
    Some(out.finish())
}

/// What a module has, and what it calls through the table.
#[derive(Default)]
struct Called {
    table: u32,
    tables: u32,
    own_tables: u32,
    /// By index; none for what is no function's.
    types: Vec<Option<FuncType>>,
    /// Their types, imported functions first.
    functions: Vec<u32>,
    /// Function by place.
    places: BTreeMap<u32, u32>,
    /// The types that are called.
    called: BTreeSet<u32>,
}

impl Called {
    /// None: it is used in another way.
    fn read(&mut self, payload: &Payload<'_>) -> Option<()> {
        match payload {
            Payload::TypeSection(section) => {
                for group in all(section.clone())? {
                    self.types.extend(group.into_types().map(|ty| match ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => Some(ty),
                        _ => None,
                    }));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    match import.ok()?.ty {
                        TypeRef::Func(ty) => self.functions.push(ty),
                        TypeRef::FuncExact(_) => return None,
                        TypeRef::Table(_) => self.tables += 1,
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(section) => self.functions.extend(all(section.clone())?),
            Payload::TableSection(section) => {
                self.own_tables = section.count();
                self.tables += section.count();
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

    fn fill(&mut self, element: wasmparser::Element<'_>) -> Option<()> {
        let ElementKind::Active { table_index, offset_expr } = element.kind else { return None };
        if table_index.unwrap_or(0) != self.table {
            return Some(());
        }
        let Operator::I32Const { value } = offset_expr.get_operators_reader().read().ok()? else { return None };
        let ElementItems::Functions(functions) = element.items else { return None };
        (self.places.len() + functions.count() as usize <= MOST).then_some(())?;
        let first = value.cast_unsigned();
        self.places.extend((first..first.checked_add(functions.count())?).zip(all(functions)?));
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

/// Writes the module without the table, with the functions that choose after all others.
struct Direct {
    table: u32,
    types: u32,
    functions: u32,
    /// Types that are alike share one.
    choices: Vec<Choice>,
    /// Which of them, by the index of the type.
    by_type: BTreeMap<u32, u32>,
}

impl Direct {
    fn new(called: Called) -> Option<Self> {
        let ty = |index: u32| called.types.get(index as usize)?.clone();
        let mut targets: BTreeMap<FuncType, BTreeMap<u32, u32>> = BTreeMap::new();
        for index in &called.called {
            targets.insert(ty(*index)?, BTreeMap::new());
        }
        for (place, function) in called.places {
            if let Some(targets) = targets.get_mut(&ty(*called.functions.get(function as usize)?)?) {
                targets.insert(place, function);
            }
        }
        let choices: Vec<Choice> = targets.into_iter().map(|(ty, targets)| Choice { ty, targets }).collect();
        (choices.iter().map(Choice::places).sum::<usize>() <= MOST).then_some(())?;
        let mut by_type = BTreeMap::new();
        for index in called.called {
            let place = choices.binary_search_by(|choice| Some(&choice.ty).cmp(&ty(index).as_ref())).ok()?;
            by_type.insert(index, u32::try_from(place).ok()?);
        }
        let (types, functions) = (u32::try_from(called.types.len()).ok()?, u32::try_from(called.functions.len()).ok()?);
        Some(Self { table: called.table, types, functions, choices, by_type })
    }
}

/// A function that takes the arguments and the pointer, and ends as the function that is meant.
struct Choice {
    ty: FuncType,
    /// Function by place.
    targets: BTreeMap<u32, u32>,
}

impl Choice {
    /// The first and the last place, if they are to be listed.
    fn listed(&self) -> Option<(u32, u32)> {
        let ends = (*self.targets.first_key_value()?.0, *self.targets.last_key_value()?.0);
        (self.targets.len() > FEW).then_some(ends)
    }

    fn places(&self) -> usize {
        self.listed().map_or(0, |(first, last)| (last - first) as usize + 1)
    }

    fn body(&self) -> Function {
        let pointer = self.ty.params().len() as u32;
        let mut body = Function::new([]);
        let mut code = body.instructions();
        let call = |code: &mut InstructionSink<'_>, function: u32| {
            for argument in 0..pointer {
                code.local_get(argument);
            }
            code.return_call(function);
        };
        if let Some((first, last)) = self.listed() {
            let functions: Vec<u32> = self.targets.values().copied().collect::<BTreeSet<u32>>().into_iter().collect();
            let none = functions.len() as u32;
            let depth = |place| self.targets.get(&place).and_then(|function| functions.binary_search(function).ok()).map_or(none, |at| at as u32);
            for _ in 0..=none {
                code.block(BlockType::Empty);
            }
            code.local_get(pointer).i32_const(first.cast_signed()).i32_sub().br_table((first..=last).map(depth).collect::<Vec<u32>>(), none);
            for function in functions {
                code.end();
                call(&mut code, function);
            }
            code.end();
        } else {
            for (place, function) in &self.targets {
                code.local_get(pointer).i32_const(place.cast_signed()).i32_eq().if_(BlockType::Empty);
                call(&mut code, *function);
                code.end();
            }
        }
        code.unreachable().end();
        body
    }
}

type Done = Result<(), Error<std::convert::Infallible>>;

impl Reencode for Direct {
    type Error = std::convert::Infallible;

    fn parse_type_section(&mut self, types: &mut TypeSection, section: wasmparser::TypeSectionReader<'_>) -> Done {
        utils::parse_type_section(self, types, section)?;
        for choice in &self.choices {
            let params = choice.ty.params().iter().copied().chain([ValType::I32]);
            let with_pointer = FuncType::new(params, choice.ty.results().iter().copied());
            types.ty().func_type(&RoundtripReencoder.func_type(with_pointer)?);
        }
        Ok(())
    }

    fn parse_function_section(&mut self, functions: &mut FunctionSection, section: wasmparser::FunctionSectionReader<'_>) -> Done {
        utils::parse_function_section(self, functions, section)?;
        for place in 0..self.choices.len() as u32 {
            functions.function(self.types + place);
        }
        Ok(())
    }

    fn parse_table_section(&mut self, tables: &mut TableSection, section: wasmparser::TableSectionReader<'_>) -> Done {
        let others = (section.count() as usize).saturating_sub(1);
        for table in section.into_iter().take(others) {
            utils::parse_table(self, tables, table?)?;
        }
        Ok(())
    }

    fn parse_export(&mut self, exports: &mut ExportSection, export: wasmparser::Export<'_>) -> Done {
        if export.kind == ExternalKind::Table && export.index == self.table { Ok(()) } else { utils::parse_export(self, exports, export) }
    }

    fn parse_element(&mut self, elements: &mut ElementSection, element: wasmparser::Element<'_>) -> Done {
        match element.kind {
            ElementKind::Active { table_index, .. } if table_index.unwrap_or(0) == self.table => Ok(()),
            _ => utils::parse_element(self, elements, element),
        }
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: wasmparser::CodeSectionReader<'_>) -> Done {
        utils::parse_code_section(self, code, section)?;
        for choice in &self.choices {
            code.function(&choice.body());
        }
        Ok(())
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Error<Self::Error>> {
        let chosen = |type_index| self.functions + self.by_type.get(&type_index).copied().unwrap_or(u32::MAX);
        match operator {
            Operator::CallIndirect { type_index, table_index } if table_index == self.table => Ok(Instruction::Call(chosen(type_index))),
            Operator::ReturnCallIndirect { type_index, table_index } if table_index == self.table => Ok(Instruction::ReturnCall(chosen(type_index))),
            other => utils::instruction(self, other),
        }
    }
}

#[cfg(test)]
mod tests;
