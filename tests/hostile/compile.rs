//! Components that are small and hard to compile, given to the program itself: it compiles in a process of its own, within limits.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use reporter_host::sandbox::{Bounds, Engines, Limits, Loader, Reporter, Snapshots};
use reporter_host_tests::play::record;
use reporter_host_tests::process::{Process, free_port};
use reporter_host_tests::server::Server;
use serde_json::{Value, json};
use wasm_encoder::{BlockType, CodeSection, Component, Function, FunctionSection, Module, ModuleSection, TypeSection, ValType};

use super::whole::open;

const PROGRAM: &str = env!("CARGO_BIN_EXE_host-under-test");

/// 100 KB in which everything is alive everywhere: minutes and gigabytes for a compiler.
fn bomb() -> Vec<u8> {
    const VALUES: u32 = 2_000;
    const BLOCKS: u32 = 5_000;
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut function = Function::new([(VALUES, ValType::I32)]);
    let mut code = function.instructions();
    for value in 1..=VALUES {
        code.local_get(0).i32_const(value as i32).i32_add().local_set(value);
    }
    for block in 0..BLOCKS {
        let value = |factor: u32| (block * factor) % VALUES + 1;
        code.local_get(value(1)).if_(BlockType::Empty).local_get(value(7)).i32_const(1).i32_add().local_set(value(13)).end();
    }
    for value in 1..=VALUES {
        code.local_get(0).local_get(value).i32_add().local_set(0);
    }
    code.local_get(0).end();
    let mut codes = CodeSection::new();
    codes.function(&function);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&codes);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

/// The hostile reporter, made larger by nothing of use.
fn padded(mib: usize) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&wasm_encoder::CustomSection { name: "padding".into(), data: vec![0; mib << 20].into() });
    let section = component.finish().split_off(8);
    [test_guests::HOSTILE, &section].concat()
}

fn service(limits: &str) -> String {
    format!(
        "[[services]]\ncomponent = 'component.wasm'\nallow = ['http://127.0.0.1:1', 'smtp://127.0.0.1:25']\ndo = 'send'\nserverUrl = 'http://127.0.0.1:1/'\nlimits = {{ {limits} }}\n"
    )
}

/// What `check` says of a component, and its exit code. With a cache of its own: what was compiled once is compiled within any limits.
fn checked(component: &[u8], limits: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("component.wasm"), component).unwrap();
    std::fs::write(folder.path().join("reporter-host.toml"), open(service(limits))).unwrap();
    let output = Command::new(PROGRAM).arg("check").env("XDG_CACHE_HOME", folder.path().join("cache")).current_dir(folder.path()).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// A host with these settings and this component. It is not started yet.
fn host(folder: &Path, settings: &str, component: &[u8]) -> Process {
    let file = folder.join("reporter-host.toml");
    std::fs::write(folder.join("component.wasm"), component).unwrap();
    std::fs::write(&file, settings).unwrap();
    Process::new(PROGRAM, &file).cache(&folder.join("cache"))
}

/// The processes that a process has started.
fn children(of: u32) -> Vec<u32> {
    let ids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parent = format!("PPid:\t{of}\n");
    ids.filter(|id| std::fs::read_to_string(format!("/proc/{id}/status")).is_ok_and(|status| status.contains(&parent))).collect()
}

fn runs(id: u32) -> bool {
    // One that has ended and was not waited for has no memory any more.
    std::fs::read_to_string(format!("/proc/{id}/status")).is_ok_and(|status| status.contains("VmRSS"))
}

#[test]
fn what_takes_the_compiler_too_long_or_too_much_memory_is_given_up() {
    let bomb = bomb();
    for (limits, says) in [
        ("compile_ms = 300", "it takes longer to compile than the 300 ms that `limits.compile_ms` allows"),
        ("compile_mib = 64", "to compile it takes more memory than the 64 MiB that `limits.compile_mib` allows"),
    ] {
        let (code, said) = checked(&bomb, limits);
        assert!(code == 2 && said.contains(says) && said.contains("reporter-host.toml:4"), "{code}: {said}");
    }
    let (code, said) = checked(test_guests::HOSTILE, "compile_mib = 1024");
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_frozen_is_frozen_there_too() {
    let folder = tempfile::tempdir().unwrap();
    let loader = Loader::new(Engines::start().unwrap(), folder.path().to_owned()).unwrap().compiling_with(PROGRAM.into());
    let loader = Arc::new(loader);
    let limits = Limits::default();
    let loaded = loader.bytes(test_guests::HOSTILE, &limits).unwrap();
    let made = async |settings: Value, limits: Limits| {
        let reporter = Arc::new(Reporter::new(loaded.clone(), &settings, limits).unwrap());
        let made = Snapshots::default().make(loader.clone(), reporter.clone()).await;
        assert_eq!(made.is_ok(), reporter.has_snapshot());
        made.map_err(|error| error.to_string())
    };
    assert_eq!(made(json!({"do": "send", "serverUrl": "https://example.org/"}), limits.clone()).await, Ok(()));
    let endless = made(json!({"do": "configure-loop"}), Limits { compute: Duration::from_millis(100), ..limits.clone() }).await;
    assert!(endless.is_err());
    let short = Limits { compile: Bounds { time: Duration::from_millis(1), ..Bounds::default() }, ..limits };
    let why = made(json!({"do": "skip"}), short).await.unwrap_err();
    assert!(why.contains("`limits.compile_ms` allows"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_the_host_to_end_waits_for_no_compiler_and_none_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    // It works before it is replaced by another.
    let port = free_port();
    let inbox = format!("[[inboxes]]\nlisten = '127.0.0.1:{port}'\ntoken = 'let-me-in'\n");
    let mut host = host(folder.path(), &open(inbox + &service("compile_ms = 3_600_000")), test_guests::HOSTILE);
    let compiler = async |host: &Process| {
        host.until("it compiles", || !children(host.id()).is_empty()).await;
        children(host.id())[0]
    };
    host.start();
    host.until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    std::fs::write(folder.path().join("component.wasm"), bomb()).unwrap();
    let left = compiler(&host).await;
    host.terminate().await;
    host.until("the compiler of a reload has ended", || !runs(left)).await;

    host.start();
    let left = compiler(&host).await;
    host.kill();
    host.until("the compiler of a start has ended", || !runs(left)).await;
}

#[test]
fn an_entry_may_have_more_than_is_usual() {
    let large = padded(33);
    let (code, said) = checked(&large, "sends = 1");
    assert!(code == 2 && said.contains("`limits.component_mib` allows"), "{code}: {said}");
    let (code, said) = checked(&large, "component_mib = 40");
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_go_on_without_it() {
    let server = Server::content().await;
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 2);
    let settings = format!(
        "[[recordings]]\nfile = 'recording.jsonl'\n{}[[services]]\nreporter = 'HttpStatusPush'\nserverUrl = 'http://127.0.0.1:{}/works'\n",
        service("compile_ms = 300"),
        server.port
    );
    let mut host = host(folder.path(), &settings, &bomb());
    host.start();
    host.until("the other entry has reported", || server.bodies("/works").len() == 2).await;
    let said = host.said();
    assert!(said.contains("the entry is kept out") && said.contains("`limits.compile_ms` allows"), "{said}");
    host.terminate().await;
}
