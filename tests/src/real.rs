//! Settings held against the components that come with the host. The sandbox is started once for all tests of a suite.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use reporter_host::host::{Wires, Workbench, diagnostics};
use reporter_host::sandbox::Limits;
use reporter_host::tenant::settings::{ComponentRef, Describe, Described, Diagnostic, Service, Settings};
use reporter_host::tenant::{Components, Entry};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

static WORKBENCH: LazyLock<Workbench> = LazyLock::new(|| RUNTIME.block_on(async { Workbench::new().expect("the engine starts") }));

static DESCRIBED: LazyLock<BTreeMap<String, Described>> = LazyLock::new(|| {
    let components = Components::new(WORKBENCH.loader.clone());
    let one = |name: String| {
        let described = RUNTIME.block_on(async { components.describe(&ComponentRef::BuiltIn(name.clone()), &Limits::default()) });
        (name, described.expect("a built-in component describes itself"))
    };
    components.built_in().into_iter().map(one).collect()
});

/// Built-in reporters as they describe themselves; a component of one's own is a description in the place of a
/// WebAssembly file.
pub struct Real;

impl Describe for Real {
    fn describe(&self, component: &ComponentRef, limits: &Limits) -> Result<Described, String> {
        match component {
            ComponentRef::BuiltIn(name) => match DESCRIBED.get(name) {
                Some(described) => Ok(described.clone()),
                None => RUNTIME.block_on(async { Components::new(WORKBENCH.loader.clone()).describe(component, limits) }),
            },
            ComponentRef::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
                Described::parse(&text)
            }
        }
    }

    fn built_in(&self) -> Vec<String> {
        DESCRIBED.keys().cloned().collect()
    }
}

/// What the built-in reporters themselves find wrong when they are configured, as `check` shows it. Formatters of one's
/// own are left out: there are only their descriptions.
pub fn problems(settings: &Settings) -> Vec<Diagnostic> {
    let wires = Wires::new(settings).expect("addresses");
    let shared = WORKBENCH.shared(&wires);
    let built_in = |service: &&Service| matches!(&service.component, ComponentRef::BuiltIn(name) if DESCRIBED.contains_key(name));
    let mut problems = Vec::new();
    for service in settings.services.iter().filter(built_in) {
        let alone = Service { formatters: BTreeMap::new(), ..service.clone() };
        if let Err(error) = RUNTIME.block_on(Entry::new(alone, &shared)) {
            problems.extend(diagnostics(settings, &service.name, &error));
        }
    }
    problems
}
