use proptest::prelude::*;
use wasm_encoder::{ConstExpr, ElementSection, Elements, ExportKind, ImportSection, Module, RefType, TableType};
use wasmtime::{Engine, Instance, Store, Val};

use super::*;

/// Types that are called: `(i32) -> i32`, `() -> i64`, `(i64, i32) -> i32`; and the first again.
const TYPES: usize = 4;
/// Places of the table.
const PLACES: u32 = 40;

fn types() -> TypeSection {
    use wasm_encoder::ValType::{I32, I64};
    let mut types = TypeSection::new();
    types.ty().function([I32], [I32]);
    types.ty().function([], [I64]);
    types.ty().function([I64, I32], [I32]);
    types.ty().function([I32], [I32]);
    types
}

/// A module with a table of these functions (type by place; the function tells its place) and exports `call-T` that call through it.
/// With `more` it does something else with the table, too.
fn module(placed: &[(u32, usize)], more: Option<Instruction<'static>>) -> Vec<u8> {
    let mut types = types();
    for ty in 0..TYPES {
        let mut with_pointer = arguments(ty);
        with_pointer.push(wasm_encoder::ValType::I32);
        types.ty().function(with_pointer, [if ty == 1 { wasm_encoder::ValType::I64 } else { wasm_encoder::ValType::I32 }]);
    }
    let (mut functions, mut code, mut exports, mut elements) = (FunctionSection::new(), CodeSection::new(), ExportSection::new(), ElementSection::new());
    for (number, (place, ty)) in placed.iter().enumerate() {
        functions.function(*ty as u32);
        let mut body = Function::new([]);
        let mut sink = body.instructions();
        match ty {
            1 => sink.i64_const(1_000 + i64::from(*place)),
            2 => sink.i32_const(place.cast_signed()).local_get(1).i32_add(),
            _ => sink.i32_const(place.cast_signed()).local_get(0).i32_mul(),
        };
        sink.end();
        code.function(&body);
        elements.active(None, &ConstExpr::i32_const(place.cast_signed()), Elements::Functions([number as u32].as_slice().into()));
    }
    for ty in 0..TYPES {
        functions.function((TYPES + ty) as u32);
        exports.export(&format!("call-{ty}"), ExportKind::Func, (placed.len() + ty) as u32);
        let mut body = Function::new([]);
        for argument in 0..=arguments(ty).len() as u32 {
            body.instructions().local_get(argument);
        }
        // One of them as a call in place of the caller.
        let (type_index, table_index) = (ty as u32, 0);
        body.instruction(&if ty == 2 {
            Instruction::ReturnCallIndirect { type_index, table_index }
        } else {
            Instruction::CallIndirect { type_index, table_index }
        });
        if let (0, Some(more)) = (ty, &more) {
            body.instruction(more).instruction(&Instruction::Drop);
        }
        body.instruction(&Instruction::End);
        code.function(&body);
    }
    exports.export("table", ExportKind::Table, 0);
    let mut tables = TableSection::new();
    tables.table(TableType { element_type: RefType::FUNCREF, table64: false, minimum: u64::from(PLACES), maximum: None, shared: false });
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&exports).section(&elements).section(&code);
    module.finish()
}

fn arguments(ty: usize) -> Vec<wasm_encoder::ValType> {
    use wasm_encoder::ValType::{I32, I64};
    match ty {
        1 => vec![],
        2 => vec![I64, I32],
        _ => vec![I32],
    }
}

/// What each call comes to, a trap as nothing.
fn calls(engine: &Engine, module: &[u8]) -> Vec<Option<i64>> {
    let module = wasmtime::Module::from_binary(engine, module).unwrap();
    let mut all = Vec::new();
    for ty in 0..TYPES {
        for place in (0..PLACES + 3).chain([u32::MAX, 1 << 31]) {
            let mut store = Store::new(engine, ());
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            let call = instance.get_func(&mut store, &format!("call-{ty}")).unwrap();
            let mut given: Vec<Val> = arguments(ty).iter().map(|ty| if *ty == wasm_encoder::ValType::I64 { Val::I64(9) } else { Val::I32(7) }).collect();
            given.push(Val::I32(place.cast_signed()));
            let mut came = [Val::I32(0)];
            let called = call.call(&mut store, &given, &mut came);
            all.push(called.ok().map(|()| came[0].i64().or(came[0].i32().map(i64::from)).unwrap()));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn each_call_comes_to_the_same(placed in prop::collection::btree_map(0..PLACES, 0..TYPES, 0..PLACES as usize)) {
        let placed: Vec<(u32, usize)> = placed.into_iter().collect();
        let module = module(&placed, None);
        let direct = without_table(&module, 0).unwrap();
        prop_assert!(!Parser::new(0).parse_all(&direct).any(|payload| matches!(payload, Ok(wasmparser::Payload::TableSection(section)) if section.count() > 0)));
        let engine = Engine::default();
        prop_assert_eq!(calls(&engine, &direct), calls(&engine, &module));
    }
}

#[test]
fn a_table_that_is_more_than_called_stays() {
    let placed = [(1, 0), (2, 1)];
    assert!(without_table(&module(&placed, None), 0).is_some());
    assert!(without_table(&module(&placed, Some(Instruction::TableSize(0))), 0).is_none());
    assert!(without_table(&module(&placed, None), 1).is_none(), "there is one table");
    assert!(without_table(&Module::new().finish(), 0).is_none());
    let mut imports = ImportSection::new();
    imports.import("a", "b", TableType { element_type: RefType::FUNCREF, table64: false, minimum: 1, maximum: None, shared: false });
    assert!(without_table(Module::new().section(&imports).clone().finish().as_slice(), 0).is_none(), "it is another's");
}

/// A table of so many places with one segment, and a function that calls through it.
fn small(places: u64, offset: &ConstExpr, functions: &[u32], init: Option<ConstExpr>, params: usize) -> Vec<u8> {
    use wasm_encoder::ValType::I32;
    let mut types = TypeSection::new();
    types.ty().function(vec![I32; params], []);
    types.ty().function([I32], []);
    let mut made = FunctionSection::new();
    let mut code = CodeSection::new();
    for _ in 0..functions.len() {
        made.function(0);
        let mut body = Function::new([]);
        body.instructions().end();
        code.function(&body);
    }
    made.function(1);
    let mut body = Function::new([]);
    for _ in 0..params {
        body.instructions().i32_const(1);
    }
    body.instructions().local_get(0).call_indirect(0, 0).end();
    code.function(&body);
    let mut exports = ExportSection::new();
    exports.export("call", ExportKind::Func, functions.len() as u32);
    let mut tables = TableSection::new();
    let ty = TableType { element_type: RefType::FUNCREF, table64: false, minimum: places, maximum: None, shared: false };
    match init {
        Some(init) => tables.table_with_init(ty, &init),
        None => tables.table(ty),
    };
    let mut elements = ElementSection::new();
    elements.active(None, offset, Elements::Functions(functions.into()));
    let mut module = Module::new();
    module.section(&types).section(&made).section(&tables).section(&exports).section(&elements).section(&code);
    module.finish()
}

#[test]
fn what_is_not_plain_stays() {
    let at = ConstExpr::i32_const;
    let stays = |module: Vec<u8>| without_table(&module, 0).is_none();
    assert!(!stays(small(4, &at(1), &[0, 1, 2], None, 1)));
    assert!(stays(small(4, &at(1).with_i32_const(2).with_i32_add(), &[0], None, 1)), "an offset that is computed");
    assert!(stays(small(4, &at(2), &[0, 1, 2], None, 1)), "an instance cannot be made of it");
    for beyond in [&[0][..], &[0, 1], &[]] {
        assert!(stays(small(4, &at(-1), beyond, None, 1)), "the same, with numbers that run over");
    }
    assert!(stays(small(4, &at(1), &[0], Some(ConstExpr::ref_func(0)), 1)), "the other places are not empty");
    assert!(stays(small(30_000, &at(1), &[0], None, 1)), "no engine has so many places");
    assert!(stays(small(4, &at(1), &[0], None, 1_000)), "no function has one parameter more");
}

#[test]
fn what_comes_later_is_what_counts() {
    let placed = [(1, 0), (2, 0), (2, 1), (3, 1), (3, 0)];
    let module = module(&placed, None);
    let engine = Engine::default();
    assert_eq!(calls(&engine, &without_table(&module, 0).unwrap()), calls(&engine, &module));
}

#[test]
fn many_functions_of_many_parameters_do_not_become_a_large_module() {
    let functions: Vec<u32> = (0..10_000).collect();
    let module = |params| small(10_000, &ConstExpr::i32_const(0), &functions, None, params);
    assert!(without_table(&module(4), 0).is_some());
    assert!(without_table(&module(900), 0).is_none());
}
