//! Takes the detour out of components that wit-component made.
//!
//! A lowered import needs the memory that its arguments lie in, and the memory belongs to the module that is to import it.
//! wit-component breaks that ring with a module of stand-ins (the shim), which call through a table that a third module
//! (the fix-up) fills when everything is there. Each instance pays for all of it: two instances more, a table, and three functions an
//! import. Here the memory moves into a small module of its own, so that the main module imports the lowered functions themselves.
//! Its `realloc` calls the main module's through a table with one place, which the main module fills. The main module's own table
//! goes, too: see `calls`.
//!
//! What is not laid out like that stays as it is.

mod calls;
mod split;

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasm_encoder::{Alias, CanonicalFunctionSection, Component, ComponentAliasSection, ComponentSectionId, InstanceSection, RawSection};
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ExternalKind, Instance, Operator, Parser, Payload, TypeRef, Validator,
};

/// The instance that owns the memory, as the main module imports it.
const ROOM: &str = "reporter-host:room";

/// Changes with what is written here: compiled code is kept under it.
pub(super) const VERSION: u32 = 3;

/// The same component without shim and fix-up; none if it is laid out in another way.
pub(super) fn direct(component: &[u8]) -> Option<Vec<u8>> {
    // Below, indices are taken at their word.
    Validator::new().validate_all(component).ok()?;
    let items = items(component)?;
    let layout = Layout::find(&items)?;
    layout.write(&items)
}

/// A definition at the outermost level, or a section without core definitions as it is.
enum Item<'a> {
    Raw { id: u8, data: &'a [u8] },
    Module(&'a [u8]),
    Instance(Instance<'a>),
    Alias(ComponentAlias<'a>),
    Canonical(CanonicalFunction),
}

fn items(component: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut items = Vec::new();
    // Nested modules and components come with their contents, which are read over.
    let mut nested = 0usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.ok()?;
        if nested > 0 {
            match payload {
                Payload::Version { .. } => {}
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => nested += 1,
                Payload::End(_) => nested -= 1,
                _ => {}
            }
            continue;
        }
        match payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                nested = 1;
                items.push(Item::Module(component.get(unchecked_range)?));
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                nested = 1;
                items.push(Item::Raw { id: ComponentSectionId::Component.into(), data: component.get(unchecked_range)? });
            }
            Payload::InstanceSection(section) => items.extend(all(section)?.into_iter().map(Item::Instance)),
            Payload::ComponentAliasSection(section) => items.extend(all(section)?.into_iter().map(Item::Alias)),
            Payload::ComponentCanonicalSection(section) => items.extend(all(section)?.into_iter().map(Item::Canonical)),
            // Names, by indices that are others afterwards.
            Payload::Version { .. } | Payload::End(_) | Payload::CustomSection(_) => {}
            other => {
                let (id, range) = other.as_section()?;
                items.push(Item::Raw { id, data: component.get(range)? });
            }
        }
    }
    Some(items)
}

fn all<'a, T: wasmparser::FromReader<'a>>(section: wasmparser::SectionLimited<'a, T>) -> Option<Vec<T>> {
    section.into_iter().collect::<Result<_, _>>().ok()
}

/// An offset that is nothing but a number.
fn constant(offset: &wasmparser::ConstExpr<'_>) -> Option<i32> {
    let mut operators = offset.get_operators_reader();
    let Operator::I32Const { value } = operators.read().ok()? else { return None };
    (matches!(operators.read().ok()?, Operator::End) && operators.eof()).then_some(value)
}

/// Where the parts are, by index in their index spaces (instances, functions) or place among the items.
struct Layout<'a> {
    main: u32,
    shim: u32,
    modules: Modules<'a>,
    /// Instances that go: the fix-up and what it is given.
    dropped: Vec<u32>,
    /// Canonical definitions of what is lowered, by the shim's export; and their places among the items.
    lowered: Vec<(String, usize)>,
}

struct Modules<'a> {
    main: (u32, &'a [u8]),
    shim: u32,
    fixup: u32,
}

/// What a core function is.
#[derive(Clone, Copy)]
enum Core<'a> {
    /// An instance's export.
    Export(u32, &'a str),
    /// A canonical definition, at this place among the items.
    Canonical(usize),
}

impl<'a> Layout<'a> {
    fn find(items: &[Item<'a>]) -> Option<Self> {
        let mut modules = Vec::new();
        let mut instances = Vec::new();
        let mut functions = Vec::new();
        let mut memories = Vec::new();
        for (place, item) in items.iter().enumerate() {
            match item {
                Item::Module(bytes) => modules.push(*bytes),
                Item::Instance(instance) => instances.push(instance),
                Item::Alias(ComponentAlias::CoreInstanceExport { kind: ExternalKind::Func, instance_index, name }) => {
                    functions.push(Core::Export(*instance_index, name));
                }
                Item::Alias(ComponentAlias::CoreInstanceExport { kind: ExternalKind::Memory, instance_index, .. }) => memories.push(*instance_index),
                Item::Canonical(CanonicalFunction::Lift { .. }) | Item::Raw { .. } | Item::Alias(_) => {}
                Item::Canonical(_) => functions.push(Core::Canonical(place)),
            }
        }
        let made: Vec<(u32, u32)> = instances
            .iter()
            .enumerate()
            .filter_map(|(index, instance)| match instance {
                Instance::Instantiate { module_index, .. } => Some((index as u32, *module_index)),
                Instance::FromExports(_) => None,
            })
            .collect();
        let [(shim, shim_module), (main, main_module), (fixup, fixup_module)] = made[..] else { return None };
        if modules.len() != 3 || shim_module == main_module || main_module == fixup_module || memories != [main] {
            return None;
        }
        let Instance::Instantiate { args, .. } = instances.get(fixup as usize)? else { return None };
        let given = |name: &str| args.iter().find(|arg| arg.name == name).map(|arg| arg.index);
        let mut lowered = Vec::new();
        let mut dropped = vec![fixup];
        // The stand-in `k` calls what the fix-up puts at place `k`, which is its import number `k`.
        for import in imports(modules.get(fixup_module as usize)?)? {
            let from = given(import.module)?;
            if matches!(import.ty, TypeRef::Table(_)) {
                continue;
            }
            let Instance::FromExports(exports) = instances.get(from as usize)? else { return None };
            let export = exports.iter().find(|export| export.name == import.name && export.kind == ExternalKind::Func)?;
            let Core::Canonical(place) = *functions.get(export.index as usize)? else { return None };
            let Item::Canonical(CanonicalFunction::Lower { options, .. }) = items.get(place)? else { return None };
            let usual = options.iter().all(|option| match option {
                CanonicalOption::UTF8 | CanonicalOption::Memory(0) => true,
                CanonicalOption::Realloc(index) => {
                    matches!(functions.get(*index as usize), Some(Core::Export(instance, "cabi_realloc")) if *instance == main)
                }
                _ => false,
            });
            if !usual {
                return None;
            }
            lowered.push((import.name.to_owned(), place));
            if !dropped.contains(&from) {
                dropped.push(from);
            }
        }
        let modules = Modules { main: (main_module, modules[main_module as usize]), shim: shim_module, fixup: fixup_module };
        Some(Self { main, shim, modules, dropped, lowered })
    }

    fn write(&self, items: &[Item<'a>]) -> Option<Vec<u8>> {
        let mut out = Writer::default();
        let (main, room) = split::split(self.modules.main.1)?;
        // Its own table comes after the one that it shares with the memory's module.
        let main = calls::without_table(&main, 1).unwrap_or(main);
        let mut module = 0;
        let mut instance = 0;
        // Hoisted, so that what is lowered can come before the main module's instance.
        let is_lowered = |alias: &ComponentAlias<'_>| matches!(alias, ComponentAlias::InstanceExport { kind: ComponentExternalKind::Func, .. });
        for (place, item) in items.iter().enumerate() {
            match item {
                Item::Raw { id, data } => {
                    out.component.section(&RawSection { id: *id, data });
                }
                Item::Module(bytes) => {
                    let bytes = match module {
                        it if it == self.modules.main.0 => Some(&main[..]),
                        it if it == self.modules.shim => Some(&room[..]),
                        it if it == self.modules.fixup => None,
                        _ => Some(*bytes),
                    };
                    match bytes {
                        Some(bytes) => {
                            out.component.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: bytes });
                            out.map.modules.push(out.modules);
                            out.modules += 1;
                        }
                        None => out.map.modules.push(u32::MAX),
                    }
                    module += 1;
                }
                Item::Instance(one) => {
                    if self.dropped.contains(&instance) {
                        out.map.instances.push(u32::MAX);
                    } else {
                        out.instance(one, (instance == self.main).then_some(self.shim))?;
                    }
                    if instance == self.shim {
                        out.alias(ComponentAlias::CoreInstanceExport { kind: ExternalKind::Memory, instance_index: self.shim, name: "memory" })?;
                        out.alias(ComponentAlias::CoreInstanceExport { kind: ExternalKind::Func, instance_index: self.shim, name: "cabi_realloc" })?;
                        out.map.realloc = out.functions;
                        out.functions += 1;
                        for later in &items[place..] {
                            if let Item::Alias(alias) = later
                                && is_lowered(alias)
                            {
                                out.alias(alias.clone())?;
                            }
                        }
                    }
                    instance += 1;
                }
                Item::Alias(alias) => {
                    match alias {
                        ComponentAlias::CoreInstanceExport { kind: ExternalKind::Func, instance_index, name } if *instance_index == self.shim => {
                            let (_, place) = self.lowered.iter().find(|(import, _)| import == name)?;
                            let Item::Canonical(canonical) = &items[*place] else { return None };
                            out.map.lowering = true;
                            out.canonical(canonical.clone())?;
                            out.map.lowering = false;
                            out.map.functions.push(out.functions);
                            out.functions += 1;
                        }
                        ComponentAlias::CoreInstanceExport { kind: ExternalKind::Func, .. } => {
                            out.alias(alias.clone())?;
                            out.map.functions.push(out.functions);
                            out.functions += 1;
                        }
                        // The memory and the shim's table; nobody asks for another, so the main module need not have one.
                        ComponentAlias::CoreInstanceExport { .. } => {}
                        hoisted if instance > self.shim && is_lowered(hoisted) => {}
                        other => out.alias(other.clone())?,
                    }
                }
                Item::Canonical(canonical) => {
                    let lift = matches!(canonical, CanonicalFunction::Lift { .. });
                    if self.lowered.iter().any(|(_, lowered)| *lowered == place) {
                        out.map.functions.push(u32::MAX);
                        continue;
                    }
                    out.canonical(canonical.clone())?;
                    if !lift {
                        out.map.functions.push(out.functions);
                        out.functions += 1;
                    }
                }
            }
        }
        Some(out.component.finish())
    }
}

#[derive(Default)]
struct Writer {
    component: Component,
    map: Map,
    modules: u32,
    instances: u32,
    functions: u32,
}

impl Writer {
    fn instance(&mut self, instance: &Instance<'_>, room: Option<u32>) -> Option<()> {
        let mut section = InstanceSection::new();
        match (instance, room) {
            (Instance::Instantiate { module_index, args }, Some(room)) => {
                let mut given: Vec<(&str, wasm_encoder::ModuleArg)> = Vec::new();
                for arg in args {
                    given.push((arg.name, wasm_encoder::ModuleArg::Instance(self.map.instance_index(arg.index))));
                }
                given.push((ROOM, wasm_encoder::ModuleArg::Instance(self.map.instance_index(room))));
                section.instantiate(self.map.module_index(*module_index), given);
            }
            _ => self.map.parse_instance(&mut section, instance.clone()).ok()?,
        }
        self.component.section(&section);
        self.map.instances.push(self.instances);
        self.instances += 1;
        Some(())
    }

    fn alias(&mut self, alias: ComponentAlias<'_>) -> Option<()> {
        let mut section = ComponentAliasSection::new();
        let alias: Alias<'_> = self.map.component_alias(alias).ok()?;
        section.alias(alias);
        self.component.section(&section);
        Some(())
    }

    fn canonical(&mut self, canonical: CanonicalFunction) -> Option<()> {
        let mut section = CanonicalFunctionSection::new();
        self.map.parse_component_canonical(&mut section, canonical).ok()?;
        self.component.section(&section);
        Some(())
    }
}

/// Indices of before to those of after; `u32::MAX` for what is gone, which then does not validate.
#[derive(Default)]
struct Map {
    modules: Vec<u32>,
    instances: Vec<u32>,
    functions: Vec<u32>,
    realloc: u32,
    /// Whether options are those of a lowered function: the only function that they name is `realloc`.
    lowering: bool,
}

impl Reencode for Map {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Self::Error>> {
        Ok(if self.lowering { self.realloc } else { self.functions.get(function as usize).copied().unwrap_or(u32::MAX) })
    }
}

impl ReencodeComponent for Map {
    fn module_index(&mut self, module: u32) -> u32 {
        self.modules.get(module as usize).copied().unwrap_or(u32::MAX)
    }

    fn instance_index(&mut self, instance: u32) -> u32 {
        self.instances.get(instance as usize).copied().unwrap_or(u32::MAX)
    }
}

fn imports(module: &[u8]) -> Option<Vec<wasmparser::Import<'_>>> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(section) = payload.ok()? {
            return section.into_imports().collect::<Result<_, _>>().ok();
        }
    }
    Some(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(component: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.unwrap() {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => names.extend(section.into_iter().map(|import| format!("{:?}", import.unwrap().name))),
                Payload::ComponentExportSection(section) if depth == 0 => names.extend(section.into_iter().map(|export| format!("{:?}", export.unwrap().name))),
                _ => {}
            }
        }
        names
    }

    fn modules(component: &[u8]) -> Vec<&[u8]> {
        items(component).unwrap().into_iter().filter_map(|item| if let Item::Module(bytes) = item { Some(bytes) } else { None }).collect()
    }

    #[test]
    fn built_in_reporters_lose_the_shim_and_keep_what_is_seen_from_outside() {
        for built_in in reporter_bundle::all() {
            let direct = direct(built_in.component).unwrap_or_else(|| panic!("{} is laid out in another way", built_in.name));
            assert_eq!(outside(&direct), outside(built_in.component), "{}", built_in.name);
            let [main, room] = modules(&direct)[..] else { panic!("{}: other than two modules", built_in.name) };
            assert!(!main.windows(7).any(|at| at == b".debug_"), "{}", built_in.name);
            let memory = |module| imports(module).unwrap().iter().filter(|import| matches!(import.ty, TypeRef::Memory(_))).count();
            assert_eq!((memory(main), memory(room)), (1, 0), "{}", built_in.name);
            let has_table =
                |module| Parser::new(0).parse_all(module).any(|payload| matches!(payload, Ok(Payload::TableSection(section)) if section.count() > 0));
            assert_eq!((has_table(main), has_table(room)), (false, true), "{}", built_in.name);
        }
    }

    #[test]
    fn what_has_another_layout_stays() {
        assert!(direct(&Component::new().finish()).is_none());
        assert!(direct(b"text").is_none());
        let built_in = reporter_bundle::all()[0].component;
        let done = direct(built_in).unwrap();
        assert!(direct(&done).is_none(), "there is no shim any more");
        for cut in [9, 100, built_in.len() / 2, built_in.len() - 1] {
            assert!(direct(&built_in[..cut]).is_none(), "{cut}");
        }
    }
}
