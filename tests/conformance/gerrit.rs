//! An SSH server for each of the recorded ports, which takes every review and keeps it, and says a version.

use std::path::Path;
use std::sync::Arc;

use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey, run_stream};
use russh::{Channel, ChannelId};
use tokio::net::TcpListener;

use crate::recorder::Recorder;
use crate::wire::{Sent, VERSION};

/// The recorded ports, and what the servers there said of themselves.
const SERVERS: [(u16, &str); 3] = [(29418, "3.9.1"), (29419, "2.5.6"), (29420, "2.12.7")];

/// Starts a server for each recorded port, and writes what a client needs to `folder`: `identity` and `known_hosts`. Answers with recorded and real ports.
pub async fn start(recorder: &Recorder, folder: &Path) -> Result<Vec<(u16, u16)>, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let key = |seed: u8| PrivateKey::from(russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]));
    let identity = key(1).to_openssh(Default::default()).map_err(|error| words(&error))?;
    std::fs::write(folder.join("identity"), identity.as_bytes()).map_err(|error| words(&error))?;
    let host = key(2);
    debug_assert_eq!(host.algorithm(), Algorithm::Ed25519);
    let public = host.public_key().to_openssh().map_err(|error| words(&error))?;
    let config = Arc::new(Config { keys: vec![host], ..Config::default() });
    let (mut ports, mut known) = (Vec::new(), String::new());
    for (recorded, version) in SERVERS {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| words(&error))?;
        let port = listener.local_addr().map_err(|error| words(&error))?.port();
        known.push_str(&format!("[127.0.0.1]:{port} {public}\n"));
        ports.push((recorded, port));
        let (config, recorder) = (config.clone(), recorder.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Server { recorder: recorder.clone(), port: recorded, version, user: String::new() };
                if let Ok(session) = run_stream(config.clone(), stream, server).await {
                    tokio::spawn(session);
                }
            }
        });
    }
    std::fs::write(folder.join("known_hosts"), known).map_err(|error| words(&error))?;
    Ok(ports)
}

struct Server {
    recorder: Recorder,
    port: u16,
    version: &'static str,
    user: String,
}

impl Handler for Server {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.user = user.to_owned();
        Ok(Auth::Accept)
    }

    async fn channel_open_session(&mut self, _: Channel<Msg>, reply: ChannelOpenHandle, _: &mut Session) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, channel: ChannelId, line: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        let line = String::from_utf8_lossy(line);
        session.channel_success(channel)?;
        if line == VERSION {
            session.data(channel, format!("gerrit version {}\n", self.version).into_bytes())?;
        } else if let Some(sent) = Sent::ssh(&self.user, self.port, &line) {
            self.recorder.keep(sent);
        }
        session.exit_status_request(channel, 0)?;
        session.eof(channel)?;
        session.close(channel)
    }
}
