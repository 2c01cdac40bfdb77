//! A reporter built as anybody builds for WASI, who tries what a sandbox should not have, and posts what came of it.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use reporter_sdk::event::Event;
use reporter_sdk::http::{self, Request};
use reporter_sdk::prelude::*;
use serde_json::{Value, json};

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// Where it posts to
    #[serde(rename = "serverUrl")]
    server_url: String,
}

/// The reporter.
#[derive(Debug)]
pub struct Wasi;

impl Reporter for Wasi {
    type Settings = Settings;
    const NAME: &'static str = "Wasi";
    const DESCRIPTION: &'static str = "Posts what it can see of its surroundings";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        Ok((Self, Plan::events(["build-started", "build-finished"]).endpoint("server", "http", json!({"base_url": settings.server_url}))))
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        println!("on stdout: {}", event.kind());
        eprintln!("on stderr: {}", event.kind());
        // Whether it is refused is the host's affair; that it does not end the call is ours.
        let _ = std::io::stdout().flush();
        http::send(Request::new::<&str>("server", "POST", []).json(&surroundings()), Terms::titled("what a WASI guest sees"));
        Ok(Outcome::Sent)
    }
}

/// What could be seen; every list is empty in a sandbox that deserves the name.
pub fn surroundings() -> Value {
    let environment: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    let files: Vec<&str> = ["/", ".", "/etc/passwd", "/proc/self/environ", "/tmp"].into_iter().filter(|path| std::fs::metadata(path).is_ok()).collect();
    let written: Vec<&str> = ["/tmp/from-a-guest", "from-a-guest"].into_iter().filter(|path| std::fs::write(path, "x").is_ok()).collect();
    let mut sockets = Vec::new();
    let mut tried = |what: &str, worked: bool| {
        if worked {
            sockets.push(what.to_owned());
        }
    };
    tried("tcp connect", TcpStream::connect(("127.0.0.1", 22)).is_ok());
    tried("tcp listen", TcpListener::bind(("127.0.0.1", 0)).is_ok());
    tried("udp", UdpSocket::bind(("127.0.0.1", 0)).is_ok_and(|socket| socket.send_to(b"x", ("127.0.0.1", 9)).is_ok()));
    tried("names", ("localhost", 80).to_socket_addrs().is_ok_and(|mut addresses| addresses.next().is_some()));
    json!({"arguments": std::env::args().collect::<Vec<_>>(), "environment": environment, "files": files, "written": written, "sockets": sockets})
}

reporter_sdk::export_reporter!(Wasi);
