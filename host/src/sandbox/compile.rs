//! Compiling a component, which no limit of a call bounds: 200 KB of somebody's code can take the compiler minutes and all of a machine's memory. So
//! it happens in a process of its own, which gives up when it is told to, and takes nothing with it when it dies.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use wasmtime::Engine;

use super::direct::direct;
use super::engine::{Engines, Profile};

/// How often a compiler looks at what it has used.
const LOOK: Duration = Duration::from_millis(5);
/// How much longer than it may compile a compiler is waited for.
const GRACE: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(10) };
/// Bytes that are read of what a compiler says.
const MOST_WORDS: u64 = 64 << 10;

/// What compiling a component may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// `compile_ms`: time from start to end.
    pub time: Duration,
    /// `compile_mib`: memory in bytes. Only Linux tells how much a process uses; elsewhere it is not bounded.
    pub memory: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { time: Duration::from_secs(60), memory: 2 << 30 }
    }
}

/// Why nothing was compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The component's doing: so it is the next time.
    Refused(String),
    /// The compiler died, or did not begin: the next time may be better.
    Died(String),
}

/// Compiles in this process, without any bound.
pub(super) fn here(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, String> {
    // What goes wrong with the shorter way is not the component's fault.
    match direct(bytes).and_then(|bytes| engine.precompile_component(&bytes).ok()) {
        Some(code) => Ok(code),
        None => engine.precompile_component(bytes).map_err(|error| format!("it does not compile: {error:#}")),
    }
}

/// Compiles in a process of this program, which is one whose `compile` command is [`serve`].
pub(super) fn apart(program: &Path, profile: Profile, bytes: &[u8], bounds: Bounds) -> Result<Vec<u8>, Failed> {
    let died = |error: io::Error| Failed::Died(format!("{} cannot compile it: {error}", program.display()));
    let mut command = Command::new(program);
    command.arg("compile").arg(profile.name()).arg(bounds.time.as_millis().to_string()).arg(bounds.memory.to_string());
    // Secrets may stand in the environment.
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(died)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (told, ended) = mpsc::channel();
    let (code, words) = std::thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(bytes)));
        let words = scope.spawn(move || all(stderr, MOST_WORDS));
        let code = scope.spawn(move || {
            let code = all(stdout, bounds.memory);
            told.send(()).ok();
            code
        });
        if ended.recv_timeout(bounds.time.saturating_add(GRACE)).is_err() {
            // It is stopped, or in no state to look at a clock.
            child.kill().ok();
        }
        (code.join().unwrap_or_default(), words.join().unwrap_or_default())
    });
    let status = finished(&mut child).map_err(died)?;
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    match status.code() {
        Some(0) => Ok(code),
        Some(1) => Err(Failed::Refused(words)),
        _ => Err(Failed::Died(format!("the compiler died of it ({status}): {words}"))),
    }
}

/// Nothing is left to read of it, so it has ended, or is not worth waiting for.
fn finished(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    let until = Instant::now() + GRACE;
    while Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill()?;
    child.wait()
}

fn all(from: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(most).read_to_end(&mut bytes).ok();
    }
    bytes
}

/// This very program, for [`Loader::compiling_with`](super::Loader::compiling_with), also when its file has been replaced since.
///
/// # Errors
/// The system does not tell.
pub fn this_program() -> io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}

/// What the process does that compiles: a component comes on stdin, its compiled code goes to stdout. Ends the process with code 1 when it has used
/// what it may, and says so on stderr.
///
/// # Errors
/// It does not compile: in words.
pub fn serve(profile: Profile, bounds: Bounds) -> Result<(), String> {
    // When memory is short, this process goes before the host.
    std::fs::write("/proc/self/oom_score_adj", "1000").ok();
    std::thread::Builder::new().name("bounds".into()).spawn(move || look(bounds)).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let engines = Engines::start().map_err(|error| format!("{error:#}"))?;
    let code = here(engines.of(profile), &bytes)?;
    io::stdout().write_all(&code).map_err(|error| error.to_string())
}

fn look(bounds: Bounds) {
    let began = Instant::now();
    let over = loop {
        if began.elapsed() > bounds.time {
            break format!("it takes longer to compile than the {} ms that `limits.compile_ms` allows", bounds.time.as_millis());
        }
        if used().is_some_and(|used| used > bounds.memory) {
            break format!("to compile it takes more memory than the {} MiB that `limits.compile_mib` allows", bounds.memory >> 20);
        }
        std::thread::sleep(LOOK);
    };
    eprintln!("{over}");
    std::process::exit(1);
}

/// Bytes of memory that are this process's own, swapped out or not (proc(5)). None: the system does not tell.
fn used() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Some((kib("RssAnon:")? + kib("VmSwap:").unwrap_or(0)) << 10)
}

#[cfg(all(test, unix))]
pub(super) mod tests {
    use super::*;

    /// A program that does this instead of compiling.
    pub fn program(folder: &Path, does: &str) -> PathBuf {
        let (text, path) = (folder.join("text"), folder.join("compiler"));
        std::fs::write(&text, format!("#!/bin/sh\n{does}\n")).unwrap();
        // What this process itself had open to write could not be run while another test starts a process.
        assert!(Command::new("install").args(["-m", "700"]).args([&text, &path]).status().unwrap().success());
        path
    }

    fn compiled(does: &str) -> Result<Vec<u8>, Failed> {
        let folder = tempfile::tempdir().unwrap();
        let bounds = Bounds { time: Duration::from_millis(1_000), memory: 1 << 20 };
        apart(&program(folder.path(), does), Profile::Small, &[b'x'; 500_000], bounds)
    }

    #[test]
    fn it_gets_the_component_and_nothing_else() {
        assert_eq!(compiled("/bin/cat"), Ok(vec![b'x'; 500_000]));
        assert_eq!(compiled("echo \"$*\"; /usr/bin/env | /bin/grep -v -e ^PWD= -e ^_= -e ^SHLVL=; exit 0"), Ok(b"compile small 1000 1048576\n".to_vec()));
    }

    #[test]
    fn what_the_component_does_to_it_is_told_from_what_it_does_by_itself() {
        assert_eq!(compiled("echo no >&2; exit 1"), Err(Failed::Refused("no".into())));
        for (does, word) in [("echo help >&2; kill -9 $$", "(signal: 9"), ("exit 101", "(exit status: 101)"), ("exec /bin/sleep 60", "(signal: 9")] {
            assert!(matches!(compiled(does), Err(Failed::Died(why)) if why.contains(word)), "{does}");
        }
        let nowhere = apart(Path::new("/nowhere"), Profile::Small, &[], Bounds::default());
        assert!(matches!(nowhere, Err(Failed::Died(why)) if why.contains("/nowhere cannot compile it")));
    }

    #[test]
    fn it_knows_what_it_uses() {
        // More than all other tests together.
        let memory = std::hint::black_box(vec![1_u8; 512 << 20]);
        let used = used();
        assert!(cfg!(not(target_os = "linux")) || used.unwrap() >= 512 << 20, "{used:?}");
        drop(memory);
    }
}
