//! Compiling a component, which no limit of a call bounds: 100 KB of somebody's code can take the compiler minutes and gigabytes. So what does not come
//! with the host is compiled in a process of its own, which gives up when it is told to, and takes nothing with it when it dies. What is frozen into
//! a snapshot is compiled for that, too, and goes the same way.

use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use super::direct::direct;
use super::engine::{Engines, Profile};
use super::limits::Limits;
use super::snapshot::frozen;
use crate::contract::shortened;

/// The first argument of this program when it is to compile. Not a command: nobody else has a use for it.
pub const COMPILE: &str = "compile";
/// The exit code that stands for a component that is not compiled, with the reason on stderr. Whatever else goes wrong has another one.
const REFUSED: u8 = 3;
/// How often a compiler looks at what it has used.
const LOOK: Duration = Duration::from_millis(5);
/// How much longer than it may compile a compiler is waited for.
const GRACE: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(10) };

/// What compiling a component may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// What is to be done with a component.
#[derive(Serialize, Deserialize)]
pub(super) struct Job {
    pub profile: Profile,
    pub limits: Limits,
    /// Whether it is configured and frozen first.
    pub freeze: Option<Freeze>,
}

/// What freezing takes beside the component.
#[derive(Serialize, Deserialize)]
pub(super) struct Freeze {
    pub settings: String,
    pub wasi: bool,
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

/// Compiles in a process of this program, which calls [`serve`] when its first argument is [`COMPILE`].
pub(super) fn apart(program: &Path, job: &Job, bytes: &[u8]) -> Result<Vec<u8>, Failed> {
    let died = |error: io::Error| Failed::Died(format!("the host cannot start itself to compile it: {error}"));
    let head = serde_json::to_string(job).map_err(|error| died(error.into()))? + "\n";
    let mut command = Command::new(program);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, "reporter-host");
    // Secrets may stand in the environment.
    command.arg(COMPILE).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(died)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (told, ended) = mpsc::channel();
    let patience = job.limits.compile.time.saturating_add(GRACE);
    let (code, words, stuck) = std::thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(head.as_bytes()).and_then(|()| stdin.write_all(bytes))));
        let words = scope.spawn(move || all(stderr));
        let code = scope.spawn(move || {
            let code = all(stdout);
            told.send(()).ok();
            code
        });
        let stuck = ended.recv_timeout(patience).is_err();
        if stuck {
            // It is stopped, or in no state to look at a clock.
            child.kill().ok();
        }
        (code.join().unwrap_or_default(), words.join().unwrap_or_default(), stuck)
    });
    let status = finished(&mut child).map_err(died)?;
    let words = shortened(String::from_utf8_lossy(&words).trim().to_owned());
    match status.code() {
        Some(0) => Ok(code),
        Some(code) if code == i32::from(REFUSED) => Err(Failed::Refused(words)),
        _ if stuck => Err(Failed::Died(format!("its compiler did not end within {} s", patience.as_secs()))),
        _ => Err(Failed::Died(format!("its compiler died ({status}){}{words}", if words.is_empty() { "" } else { ": " }))),
    }
}

/// Nothing is left to read of it, so it has ended, or is not worth waiting for.
fn finished(child: &mut Child) -> io::Result<ExitStatus> {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill()?;
    child.wait()
}

fn all(from: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        from.read_to_end(&mut bytes).ok();
    }
    bytes
}

/// This very program, also when its file has been replaced since.
pub fn this_program() -> PathBuf {
    let running = Path::new("/proc/self/exe");
    if running.exists() { running.to_owned() } else { std::env::current_exe().unwrap_or_else(|_| "reporter-host".into()) }
}

/// What the process does that compiles: the job, a line of JSON, and the component come on stdin; compiled code goes to stdout, or to stderr why there is none.
pub fn serve() -> ExitCode {
    // When memory is short, this process goes before the host.
    std::fs::write("/proc/self/oom_score_adj", "1000").ok();
    match done() {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(why)) => refused(why),
        Err(why) => {
            say(format!("{why:#}"));
            ExitCode::FAILURE
        }
    }
}

fn refused(why: String) -> ExitCode {
    say(why);
    ExitCode::from(REFUSED)
}

fn say(why: String) {
    // Nobody may be there to read it.
    writeln!(io::stderr(), "{}", shortened(why)).ok();
}

/// An error beside the component's own is not its fault.
fn done() -> wasmtime::Result<Result<(), String>> {
    let mut stdin = io::stdin().lock();
    let mut head = String::new();
    stdin.read_line(&mut head)?;
    let job: Job = serde_json::from_str(&head)?;
    let bounds = job.limits.compile;
    std::thread::Builder::new().name("bounds".into()).spawn(move || look(bounds))?;
    let mut bytes = Vec::new();
    stdin.read_to_end(&mut bytes)?;
    let engines = Engines::start()?;
    if let Some(Freeze { settings, wasi }) = &job.freeze {
        bytes = match frozen(&bytes, *wasi, settings, &job.limits) {
            Ok(frozen) => frozen,
            Err(why) => return Ok(Err(why)),
        };
    }
    let code = match here(engines.of(job.profile), &bytes) {
        Ok(code) => code,
        Err(why) => return Ok(Err(why)),
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(&code)?;
    stdout.flush()?;
    Ok(Ok(()))
}

/// Ends this process when it has used what it may, or when nobody waits for it any more.
fn look(bounds: Bounds) {
    let began = Instant::now();
    #[cfg(unix)]
    let host = std::os::unix::process::parent_id();
    let over = loop {
        if began.elapsed() > bounds.time {
            break format!("it takes longer to compile than the {} ms that `limits.compile_ms` allows", bounds.time.as_millis());
        }
        if used().is_some_and(|used| used > bounds.memory) {
            break format!("to compile it takes more memory than the {} MiB that `limits.compile_mib` allows", bounds.memory >> 20);
        }
        #[cfg(unix)]
        if std::os::unix::process::parent_id() != host {
            break "the host is gone".to_owned();
        }
        std::thread::sleep(LOOK);
    };
    say(over);
    std::process::exit(REFUSED.into());
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
        std::fs::write(&text, format!("#!/bin/sh\nPATH=/bin:/usr/bin\n{does}\n")).unwrap();
        // What this process itself had open to write could not be run while another test starts a process.
        assert!(Command::new("install").args(["-m", "700"]).args([&text, &path]).status().unwrap().success());
        path
    }

    fn compiled(does: &str, time: Duration) -> Result<Vec<u8>, Failed> {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { compile: Bounds { time, ..Bounds::default() }, ..Limits::default() };
        apart(&program(folder.path(), does), &Job { profile: Profile::Small, limits, freeze: None }, &[b'x'; 500_000])
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn it_gets_the_job_and_the_component_and_nothing_else() {
        let came = compiled("cat", LONG).unwrap();
        let head = came.iter().position(|byte| *byte == b'\n').unwrap();
        let job: Job = serde_json::from_slice(&came[..head]).unwrap();
        assert_eq!((job.profile, job.limits.compile.time, job.freeze.is_none()), (Profile::Small, LONG, true));
        assert_eq!(came[head + 1..], [b'x'; 500_000]);
        let found = compiled("echo \"$*\"; export -p", LONG).unwrap();
        let found: Vec<_> =
            std::str::from_utf8(&found).unwrap().lines().filter(|line| !["PWD", "_", "SHLVL", "OLDPWD"].iter().any(|own| line.contains(own))).collect();
        assert_eq!(found, ["compile"]);
    }

    #[test]
    fn what_the_component_does_to_it_is_told_from_what_it_does_by_itself() {
        assert_eq!(compiled("echo no >&2; exit 3", LONG), Err(Failed::Refused("no".into())));
        let Err(Failed::Refused(long)) = compiled("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 3", LONG) else { panic!("however long it is") };
        assert!(long.len() < 3_000, "{}", long.len());
        for (does, time, word) in [
            ("echo help >&2; kill -9 $$", LONG, "(signal: 9 (SIGKILL)): help"),
            ("exit 1", LONG, "(exit status: 1)"),
            ("exec sleep 60", Duration::from_millis(10), "did not end within"),
        ] {
            assert!(matches!(compiled(does, time), Err(Failed::Died(why)) if why.contains(word)), "{does}");
        }
        let job = Job { profile: Profile::Small, limits: Limits::default(), freeze: None };
        assert!(matches!(apart(Path::new("/nowhere"), &job, &[]), Err(Failed::Died(why)) if why.contains("cannot start itself")));
    }

    #[test]
    fn it_knows_what_it_uses() {
        // More than all other tests together.
        let memory = std::hint::black_box(vec![1_u8; 512 << 20]);
        let used = used();
        assert!(cfg!(not(target_os = "linux")) || (512 << 20..4 << 30).contains(&used.unwrap()), "{used:?}");
        drop(memory);
    }
}
