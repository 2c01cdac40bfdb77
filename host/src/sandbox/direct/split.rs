//! The main module without its memory, which gets a module of its own.

use wasm_encoder::reencode::{Error, Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, ExportKind, ExportSection, Function, FunctionSection, ImportSection, MemorySection,
    MemoryType, RefType, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{DataKind, ExternalKind, Parser, Payload, TypeRef};

use super::{ROOM, all, constant};

/// The main module without its memory and data, and the module that has them instead of it.
pub(super) fn split(module: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (realloc, memory) = ends(module)?;
    let mut main = Main { realloc, memory, data: DataSection::new(), elements: false, odd: false };
    let mut split = wasm_encoder::Module::new();
    main.parse_core_module(&mut split, Parser::new(0), module).ok()?;
    (main.elements && !main.odd).then_some(())?;
    let mut room = wasm_encoder::Module::new();
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; 4], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut tables = TableSection::new();
    tables.table(REALLOC);
    let mut memories = MemorySection::new();
    memories.memory(memory);
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export("realloc", ExportKind::Table, 0).export("cabi_realloc", ExportKind::Func, 0);
    let mut code = CodeSection::new();
    let mut body = Function::new([]);
    let mut instructions = body.instructions();
    for argument in 0..4 {
        instructions.local_get(argument);
    }
    instructions.i32_const(0).call_indirect(0, 0).end();
    code.function(&body);
    room.section(&types).section(&functions).section(&tables).section(&memories).section(&exports).section(&code).section(&main.data);
    Some((split.finish(), room.finish()))
}

/// The table through which the memory's `realloc` calls the main module's.
const REALLOC: TableType = TableType { element_type: RefType::FUNCREF, table64: false, minimum: 1, maximum: Some(1), shared: false };

/// What `cabi_realloc` is, and the memory.
fn ends(module: &[u8]) -> Option<(u32, MemoryType)> {
    let mut realloc = None;
    let mut memories = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::MemorySection(section) => memories.extend(all(section)?),
            Payload::ExportSection(section) => {
                realloc = all(section)?.iter().find(|export| export.name == "cabi_realloc" && export.kind == ExternalKind::Func).map(|export| export.index);
            }
            _ => {}
        }
    }
    let [memory] = memories[..] else { return None };
    Some((realloc?, RoundtripReencoder.memory_type(memory).ok()?))
}

struct Main {
    realloc: u32,
    memory: MemoryType,
    data: DataSection,
    elements: bool,
    /// Something that cannot be moved.
    odd: bool,
}

impl Reencode for Main {
    type Error = std::convert::Infallible;

    fn table_index(&mut self, table: u32) -> Result<u32, Error<Self::Error>> {
        Ok(table + 1)
    }

    fn parse_import_section(&mut self, imports: &mut ImportSection, section: wasmparser::ImportSectionReader<'_>) -> Result<(), Error<Self::Error>> {
        for import in section.clone().into_imports() {
            self.odd |= matches!(import?.ty, TypeRef::Table(_) | TypeRef::Memory(_));
        }
        wasm_encoder::reencode::utils::parse_import_section(self, imports, section)?;
        imports.import(ROOM, "memory", self.memory).import(ROOM, "realloc", REALLOC);
        Ok(())
    }

    fn parse_memory_section(&mut self, _: &mut MemorySection, _: wasmparser::MemorySectionReader<'_>) -> Result<(), Error<Self::Error>> {
        Ok(())
    }

    fn parse_element_section(&mut self, elements: &mut ElementSection, section: wasmparser::ElementSectionReader<'_>) -> Result<(), Error<Self::Error>> {
        self.elements = true;
        wasm_encoder::reencode::utils::parse_element_section(self, elements, section)?;
        elements.active(Some(0), &ConstExpr::i32_const(0), Elements::Functions([self.realloc].as_slice().into()));
        Ok(())
    }

    fn parse_data_section(&mut self, _: &mut DataSection, section: wasmparser::DataSectionReader<'_>) -> Result<(), Error<Self::Error>> {
        for data in section {
            let data = data?;
            match data.kind {
                DataKind::Active { memory_index: 0, offset_expr } => match constant(&offset_expr) {
                    Some(offset) => {
                        self.data.active(0, &ConstExpr::i32_const(offset), data.data.iter().copied());
                    }
                    None => self.odd = true,
                },
                // What a snapshot leaves of the segments that it has put into the memory.
                DataKind::Passive if data.data.is_empty() => {}
                _ => self.odd = true,
            }
        }
        Ok(())
    }

    fn data_count(&mut self, _: u32) -> Result<u32, Error<Self::Error>> {
        Ok(0)
    }

    fn parse_custom_section(&mut self, module: &mut wasm_encoder::Module, section: wasmparser::CustomSectionReader<'_>) -> Result<(), Error<Self::Error>> {
        // Where code came from is not asked for, and it makes up most of the bytes.
        if section.name() == "name" {
            module.section(&self.custom_section(section)?);
        }
        Ok(())
    }
}
