//! Calls through a table as choices between the functions that are in it.
//!
//! A guest in Rust calls through function pointers: places in a table of a thousand functions, which never changes once it is filled. Each
//! instance pays for it: the table's pages are scanned and reset, and a function that is called needs a reference first, made on the way.
//! Functions that choose by the pointer, one for each type that is called, need none of that.
//!
//! A call through an empty place or with another type then traps as `unreachable`.

mod called;

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::reencode::{Error, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{BlockType, CodeSection, ElementSection, ExportSection, Function, FunctionSection, Instruction, InstructionSink, TableSection, TypeSection};
use wasmparser::{ElementKind, ExternalKind, FuncType, Operator, Parser, ValType, Validator};

use called::Called;

/// Up to so many places are compared one by one; for more there is a list of all between the first and the last.
const FEW: usize = 4;
/// Instructions of all functions that choose, and entries of their lists: anybody's component comes through here, and a function of
/// many parameters takes as many instructions for each that it chooses between.
const MOST: usize = 1 << 18;

/// The same module without its own table, which has this index. None if it does more with it than call, has none or several, or would
/// become too large.
pub(super) fn without_table(module: &[u8], table: u32) -> Option<Vec<u8>> {
    let mut direct = Direct::new(Called::of(module, table)?)?;
    let mut out = wasm_encoder::Module::new();
    direct.parse_core_module(&mut out, Parser::new(0), module).ok()?;
    let out = out.finish();
    // A reference that only the table declared, for one.
    Validator::new().validate_all(&out).ok()?;
    Some(out)
}

/// Writes the module without the table, with the functions that choose after all others.
struct Direct {
    table: u32,
    /// How many types and functions there were before.
    types: u32,
    functions: u32,
    /// Types that are alike share one.
    choices: Vec<Choice>,
    /// Which of them, by the index of the type that is called.
    by_type: BTreeMap<u32, u32>,
}

impl Direct {
    fn new(called: Called) -> Option<Self> {
        let kind = |index: u32| called.types.get(index as usize).copied();
        let asked: BTreeSet<u32> = called.called.iter().map(|index| kind(*index)).collect::<Option<_>>()?;
        let mut by_kind: BTreeMap<u32, Choice> = BTreeMap::new();
        for (ty, kind) in called.kinds {
            if asked.contains(&kind) {
                by_kind.insert(kind, Choice { ty, targets: BTreeMap::new() });
            }
        }
        for (place, function) in called.places {
            let kind = kind(*called.functions.get(function as usize)?)?;
            if let Some(choice) = by_kind.get_mut(&kind) {
                choice.targets.insert(place, function);
            }
        }
        let numbers: BTreeMap<u32, u32> = asked.into_iter().zip(0..).collect();
        let mut by_type = BTreeMap::new();
        for index in called.called {
            by_type.insert(index, *numbers.get(&kind(index)?)?);
        }
        let choices: Vec<Choice> = by_kind.into_values().collect();
        (choices.iter().map(Choice::size).sum::<usize>() <= MOST).then_some(())?;
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

    fn size(&self) -> usize {
        let list = self.listed().map_or(0, |(first, last)| (last - first) as usize);
        FEW + list + self.targets.len() * (self.ty.params().len() + FEW)
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
        for choice in 0..self.choices.len() as u32 {
            functions.function(self.types + choice);
        }
        Ok(())
    }

    fn parse_table_section(&mut self, _: &mut TableSection, _: wasmparser::TableSectionReader<'_>) -> Done {
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
