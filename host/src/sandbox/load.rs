//! Loading components: checked, compiled once, and kept as native code in a private folder.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Instance, InstancePre, Linker};
use wasmtime::{AsContextMut, Engine};

use super::cache::Cache;
use super::compile::{Bounds, Failed, Freeze, Job, apart, here};
use super::engine::{Engines, Profile};
use super::limits::Limits;
use super::snapshot::frozen;
use crate::contract::chat::exports::reporter_host::reporter::chat as heard;
use crate::contract::reporter::exports::reporter_host::reporter::{component, reporting};
use crate::contract::{Call, formatter, reporter};

/// Interface that both worlds export.
const COMPONENT: &str = "reporter-host:reporter/component@0.1.0";
/// Interface that reporters export.
const REPORTING: &str = "reporter-host:reporter/reporting@0.1.0";
/// Interface that reporters export beside, if they hold conversations.
const CHAT: &str = "reporter-host:reporter/chat@0.1.0";
/// Interface that formatters export.
const FORMATTING: &str = "reporter-host:reporter/formatting@0.1.0";

/// Components that are known not to compile.
const MOST_REFUSED: usize = 256;
/// For how long they are: a busy machine may have been why.
const REFUSED_FOR: Duration = Duration::from_secs(600);
/// Bytes of components that are loaded, and that no entry uses.
const MOST_UNUSED: usize = 64 << 20;

/// Why a component cannot be used. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Over `component_mib`.
    #[error("it has {size} bytes, more than the {most} that `limits.component_mib` allows")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        most: u64,
    },
    /// Not WebAssembly at all.
    #[error("it is not WebAssembly; give the .wasm file of a component")]
    NotWasm,
    /// A core module.
    #[error("it is a core module, not a component; build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`")]
    CoreModule,
    /// A component that does not export what the contract asks for.
    #[error("it is a component for another world: it lacks the export {missing:?} of reporter-host:reporter@0.1.0 (it exports {exports})")]
    OtherWorld {
        /// What it lacks.
        missing: &'static str,
        /// What it has.
        exports: String,
    },
    /// It does not compile, or imports what the host does not give.
    #[error("{0}")]
    Refused(String),
}

/// A compiled component, ready to be instantiated.
#[derive(Clone)]
pub struct Loaded {
    /// SHA-256 of its bytes, in hex.
    pub hash: String,
    /// Its bytes, for snapshots.
    pub bytes: Arc<[u8]>,
    /// What it is run with.
    pub profile: Profile,
    /// Whether it comes with the host, and is compiled by it.
    comes_with_the_host: bool,
    /// Whether it imports WASI.
    pub wasi: bool,
    /// What it is.
    pub kind: Kind,
}

/// What a component is.
#[derive(Clone)]
pub enum Kind {
    /// A reporter.
    Reporter(ReporterCode),
    /// A formatter.
    Formatter(formatter::FormatterPre<Call>),
}

/// A reporter's code. Its exports are looked up one interface at a time: each check of a type costs what a getter does, and
/// most calls need one interface.
#[derive(Clone)]
pub struct ReporterCode {
    pre: InstancePre<Call>,
    component: component::GuestIndices,
    reporting: reporting::GuestIndices,
    /// None: it holds no conversations.
    chat: Option<heard::GuestIndices>,
}

impl ReporterCode {
    fn new(pre: InstancePre<Call>, chat: bool) -> wasmtime::Result<Self> {
        let chat = if chat { Some(heard::GuestIndices::new(&pre)?) } else { None };
        Ok(Self { component: component::GuestIndices::new(&pre)?, reporting: reporting::GuestIndices::new(&pre)?, chat, pre })
    }

    /// Whether it holds conversations.
    pub fn chats(&self) -> bool {
        self.chat.is_some()
    }

    /// `heard`, if it has it.
    pub(super) fn chat(&self, store: impl AsContextMut, instance: &Instance) -> wasmtime::Result<Option<heard::Guest>> {
        self.chat.as_ref().map(|chat| chat.load(store, instance)).transpose()
    }

    /// The engine that it was compiled for.
    pub(super) fn engine(&self) -> &Engine {
        self.pre.engine()
    }

    /// Makes an instance.
    pub(super) async fn instantiate(&self, store: impl AsContextMut<Data = Call>) -> wasmtime::Result<Instance> {
        self.pre.instantiate_async(store).await
    }

    /// `describe` and `configure`.
    pub(super) fn component(&self, store: impl AsContextMut, instance: &Instance) -> wasmtime::Result<component::Guest> {
        self.component.load(store, instance)
    }

    /// `report` and `answered`.
    pub(super) fn reporting(&self, store: impl AsContextMut, instance: &Instance) -> wasmtime::Result<reporting::Guest> {
        self.reporting.load(store, instance)
    }
}

/// What does not compile within these bounds, since when that is known, and why: not each reload tries again.
type Refused = HashMap<(String, Profile, Bounds), (Instant, String)>;

/// Loads components.
pub struct Loader {
    engines: Engines,
    cache: Cache,
    /// What compiles, in a process of its own; this process where there is none.
    compiler: Option<PathBuf>,
    /// Compiling takes a second and all cores: one at a time.
    compiling: Mutex<Refused>,
    loaded: Mutex<HashMap<(String, Profile), Loaded>>,
}

impl Loader {
    /// A loader that keeps compiled code below `cache`, a folder that only this user may enter:
    /// what is in it is run as native code.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(engines: Engines, cache: PathBuf) -> io::Result<Self> {
        let cache = Cache::new(cache)?;
        Ok(Self { engines, cache, compiler: None, compiling: Mutex::default(), loaded: Mutex::default() })
    }

    /// Compiles what does not come with the host in processes of this program, which calls [`serve_compiler`](super::serve_compiler) when its
    /// first argument is [`COMPILE`](super::COMPILE). Without one, compiling takes what it takes.
    pub fn compiling_with(self, program: PathBuf) -> Self {
        Self { compiler: Some(program), ..self }
    }

    /// The engines.
    pub fn engines(&self) -> &Engines {
        &self.engines
    }

    /// Reads and loads a file.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn file(&self, path: &Path, limits: &Limits) -> Result<Loaded, LoadError> {
        let unreadable = |error: io::Error| LoadError::Unreadable(error.to_string());
        // A device would be read without end, a pipe waited for.
        if !path.metadata().map_err(unreadable)?.is_file() {
            return Err(LoadError::Unreadable("it is no file".into()));
        }
        let file = File::open(path).map_err(unreadable)?;
        fits(file.metadata().map_err(unreadable)?.len(), limits)?;
        let mut bytes = Vec::new();
        // It may grow while it is read.
        file.take(limits.component_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
        self.bytes(&bytes, limits)
    }

    /// Loads a component from its bytes. Blocks while it compiles.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn bytes(&self, bytes: &[u8], limits: &Limits) -> Result<Loaded, LoadError> {
        fits(bytes.len() as u64, limits)?;
        self.load(bytes, Profile::of(limits.memory), Some(limits))
    }

    /// Loads a component that comes with the host.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn built_in(&self, bytes: &[u8], profile: Profile) -> Result<Loaded, LoadError> {
        self.load(bytes, profile, None)
    }

    /// None for limits: it comes with the host.
    fn load(&self, bytes: &[u8], profile: Profile, limits: Option<&Limits>) -> Result<Loaded, LoadError> {
        let hash = hex::encode(Sha256::digest(bytes));
        let key = (hash.clone(), profile);
        if let Some(found) = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(found.clone());
        }
        check_header(bytes)?;
        let bounds = limits.map_or_else(Bounds::default, |limits| limits.compile);
        let compile = || match (&self.compiler, limits) {
            (Some(program), Some(limits)) => apart(program, &Job { profile, limits: limits.clone(), freeze: None }, bytes),
            _ => here(self.engines.of(profile), bytes).map_err(Failed::Refused),
        };
        let component = self.compiled_by(&hash, profile, bounds, compile).map_err(LoadError::Refused)?;
        let wasi = imports_wasi(&component, self.engines.of(profile));
        let loaded = Loaded { hash, bytes: bytes.into(), profile, comes_with_the_host: limits.is_none(), wasi, kind: self.link(&component, profile)? };
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key, loaded.clone());
        // Somebody may go on replacing a component.
        let used = |one: &Loaded| Arc::strong_count(&one.bytes) > 1;
        if all.values().filter(|one| !used(one)).map(|one| one.bytes.len()).sum::<usize>() > MOST_UNUSED {
            all.retain(|_, one| used(one));
        }
        Ok(loaded)
    }

    /// What was compiled before under this name.
    pub(super) fn compiled(&self, name: &str, profile: Profile) -> Option<Component> {
        self.cache.get(self.engines.of(profile), name)
    }

    /// Configures a component, freezes it (`snapshot.rs`), and compiles what comes of it; or takes what was compiled before under this name.
    ///
    /// # Errors
    /// In words.
    pub(super) fn frozen(&self, loaded: &Loaded, settings: &str, limits: &Limits, name: &str) -> Result<Component, String> {
        let Loaded { bytes, profile, wasi, .. } = loaded;
        self.compiled_by(name, *profile, limits.compile, || match &self.compiler {
            Some(program) if !loaded.comes_with_the_host => {
                let freeze = Some(Freeze { settings: settings.to_owned(), wasi: *wasi });
                apart(program, &Job { profile: *profile, limits: limits.clone(), freeze }, bytes)
            }
            _ => frozen(bytes, *wasi, settings, limits).and_then(|frozen| here(self.engines.of(*profile), &frozen)).map_err(Failed::Refused),
        })
    }

    /// What was compiled before under this name, or what is compiled now.
    fn compiled_by(&self, name: &str, profile: Profile, bounds: Bounds, compile: impl FnOnce() -> Result<Vec<u8>, Failed>) -> Result<Component, String> {
        if let Some(component) = self.compiled(name, profile) {
            return Ok(component);
        }
        let mut refused = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(component) = self.compiled(name, profile) {
            return Ok(component);
        }
        let key = (name.to_owned(), profile, bounds);
        refused.retain(|_, (since, _)| since.elapsed() < REFUSED_FOR);
        if let Some((_, why)) = refused.get(&key) {
            return Err(why.clone());
        }
        let put = |code: Vec<u8>| self.cache.put(self.engines.of(profile), name, &code).map_err(|error| Failed::Refused(format!("{error:#}")));
        compile().and_then(put).map_err(|failed| match failed {
            Failed::Refused(why) => {
                if refused.len() < MOST_REFUSED {
                    refused.insert(key, (Instant::now(), why.clone()));
                }
                why
            }
            Failed::Died(why) => why,
        })
    }

    /// Links a compiled component into what it can be run as.
    pub(super) fn link(&self, component: &Component, profile: Profile) -> Result<Kind, LoadError> {
        let engine = self.engines.of(profile);
        let refused = |error: wasmtime::Error| LoadError::Refused(format!("it does not fit the contract: {error:#}"));
        let exports: Vec<String> = component.component_type().exports(engine).map(|(name, _)| name.to_owned()).collect();
        let has = |name: &str| exports.iter().any(|export| export == name);
        let missing = if !has(COMPONENT) {
            Some(COMPONENT)
        } else if !has(REPORTING) && !has(FORMATTING) {
            Some(REPORTING)
        } else {
            None
        };
        if let Some(missing) = missing {
            let exports = if exports.is_empty() { "nothing".into() } else { exports.join(", ") };
            return Err(LoadError::OtherWorld { missing, exports });
        }
        let linker = linker(engine, imports_wasi(component, engine)).map_err(refused)?;
        let pre = linker.instantiate_pre(component).map_err(refused)?;
        Ok(if has(REPORTING) {
            Kind::Reporter(ReporterCode::new(pre, has(CHAT)).map_err(refused)?)
        } else {
            Kind::Formatter(formatter::FormatterPre::new(pre).map_err(refused)?)
        })
    }
}

fn fits(size: u64, limits: &Limits) -> Result<(), LoadError> {
    let most = limits.component_bytes;
    if size > most { Err(LoadError::TooLarge { size, most }) } else { Ok(()) }
}

/// Everything that a component may import.
pub(super) fn linker(engine: &Engine, wasi: bool) -> wasmtime::Result<Linker<Call>> {
    use crate::contract::chat::reporter_host::reporter::{irc, master};
    let mut linker = Linker::<Call>::new(engine);
    if wasi {
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    }
    reporter::Reporter::add_to_linker::<_, HasSelf<_>>(&mut linker, |call| call)?;
    irc::add_to_linker::<_, HasSelf<_>>(&mut linker, |call: &mut Call| call)?;
    master::add_to_linker::<_, HasSelf<_>>(&mut linker, |call: &mut Call| call)?;
    Ok(linker)
}

fn imports_wasi(component: &Component, engine: &wasmtime::Engine) -> bool {
    let component_type = component.component_type();
    component_type.imports(engine).any(|(name, item)| name.starts_with("wasi:") && matches!(item.ty, ComponentItem::ComponentInstance(_)))
}

/// Tells a text file and a core module from a component by the first eight bytes.
fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', ..]) => Err(LoadError::CoreModule),
        // Not what it is: the file may be anybody's.
        _ => Err(LoadError::NotWasm),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::compile::tests::program;
    use super::*;

    #[test]
    fn what_does_not_compile_is_tried_again_within_other_bounds_only() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path(), &format!("echo x >>{}/tries\necho no >&2\nexit 3", folder.path().display()));
        let loader = Loader::new(Engines::start().unwrap(), folder.path().join("cache")).unwrap().compiling_with(program);
        let limits = Limits::default();
        let bytes = b"\0asm\x0d\0\x01\0";
        let tries = |limits: &Limits| {
            assert_eq!(loader.bytes(bytes, limits).err(), Some(LoadError::Refused("no".into())));
            std::fs::read_to_string(folder.path().join("tries")).unwrap().lines().count()
        };
        assert_eq!((tries(&limits), tries(&limits)), (1, 1));
        let more = Limits { compile: Bounds { time: Duration::from_secs(61), ..limits.compile }, ..limits.clone() };
        assert_eq!((tries(&more), tries(&limits), tries(&more)), (2, 2, 2));
        let other = b"\0asm\x0d\0\x01\0\0\x01\0";
        let built_in = loader.built_in(other, Profile::Small).err().unwrap().to_string();
        assert!(built_in.contains("another world"), "it is compiled here: {built_in}");
    }

    #[test]
    fn what_no_entry_uses_does_not_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let loader = Loader::new(Engines::start().unwrap(), folder.path().to_owned()).unwrap();
        let component = reporter_bundle::example("example:headline").unwrap().component;
        let version = |n: u8| {
            let mut padding = wasm_encoder::Component::new();
            padding.section(&wasm_encoder::CustomSection { name: "padding".into(), data: vec![n; 30 << 20].into() });
            loader.bytes(&[component, &padding.finish()[8..]].concat(), &Limits::default()).unwrap()
        };
        let used = version(0);
        for n in 1..5 {
            version(n);
        }
        let loaded = loader.loaded.lock().unwrap();
        assert!(loaded.len() <= 3 && loaded.contains_key(&(used.hash.clone(), used.profile)), "{}", loaded.len());
    }
}
