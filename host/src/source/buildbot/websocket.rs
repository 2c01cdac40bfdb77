//! The master's WebSocket: what happens, as it happens. It has no replay and no sequence numbers, so
//! whoever connects subscribes first and reads the REST API after.

use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use reqwest::Upgraded;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::rest::{Rest, RestError};
use crate::source::lenient;
use crate::transport::http::chain;

/// What is subscribed to. A `*` is exactly one segment.
const SUBSCRIPTIONS: [&str; 7] =
    ["buildrequests/*/new", "buildrequests/*/cancel", "builds/*/new", "builds/*/finished", "buildsets/*/complete", "workers/*/missing", "workers/*/connected"];
/// How often the master is asked for a sign of life.
pub const HEARTBEAT: Duration = Duration::from_secs(20);
/// A master silent for so long, heartbeats included, is gone.
const SILENCE: Duration = Duration::from_secs(70);
/// Messages that may wait for us. A master that we let wait would have to keep them in its memory, so we hang up instead.
const WAITING: usize = 20_000;

/// What came over the WebSocket.
#[derive(Debug)]
pub enum Heard {
    /// An event: its key's segments and its message.
    Event(Vec<String>, Value),
    /// The answer to a command, by the number that it was sent with; an error if the master did not take it.
    Answer(i64, Option<String>),
    /// The connection ended, because of this. Nothing follows.
    Lost(String),
}

/// A connection on which everything is subscribed to.
pub struct Socket {
    sink: SplitSink<WebSocketStream<Upgraded>, Message>,
    heard: mpsc::Receiver<Heard>,
    sent: i64,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum NoSocket {
    /// This master, or the proxy before it, offers none: polling has to do.
    NotOffered(String),
    /// Something went wrong.
    Failed(RestError),
}

impl Socket {
    /// Connects and subscribes. Returns when the master has confirmed: what happens from then on is heard.
    pub async fn connect(rest: &Rest) -> Result<Self, NoSocket> {
        let key = generate_key();
        let answer = match rest.handshake(&key).await {
            Ok(answer) => answer,
            Err(error) => return Err(NoSocket::Failed(error)),
        };
        let status = answer.status().as_u16();
        let accepted = answer.headers().get("sec-websocket-accept").is_some_and(|accept| accept.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes());
        if status != 101 || !accepted {
            let url = answer.url().clone();
            rest.to_its_end(&url, answer);
            let why = format!("{url} answers {status} to a WebSocket handshake");
            // A proxy whose master restarts says 502; one that knows no WebSocket takes the request for an ordinary one.
            return Err(if status >= 500 { NoSocket::Failed(RestError::Away(why)) } else { NoSocket::NotOffered(why) });
        }
        let upgraded = answer.upgrade().await.map_err(|error| NoSocket::Failed(RestError::Away(chain(&error))))?;
        let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
        let (sink, stream) = stream.split();
        let (tell, heard) = mpsc::channel(WAITING);
        tokio::spawn(listen(stream, tell));
        let mut socket = Self { sink, heard, sent: 0 };
        socket.subscribe().await.map_err(NoSocket::Failed)?;
        Ok(socket)
    }

    async fn subscribe(&mut self) -> Result<(), RestError> {
        let lost = RestError::Away;
        for path in SUBSCRIPTIONS {
            let number = self.command("startConsuming", Some(path)).await.map_err(lost)?;
            loop {
                match tokio::time::timeout(SILENCE, self.heard()).await {
                    Ok(Heard::Answer(answered, None)) if answered == number => break,
                    Ok(Heard::Answer(_, Some(error))) => return Err(RestError::Away(format!("the master does not take the subscription {path}: {error}"))),
                    Ok(Heard::Lost(why)) => return Err(RestError::Away(why)),
                    // An event this early is read from the REST API, which is done next.
                    Ok(_) => {}
                    Err(_) => return Err(RestError::Away(format!("no answer to the subscription {path}"))),
                }
            }
        }
        Ok(())
    }

    /// Asks for a sign of life. Everything that the master said before it answers is heard before the answer.
    pub async fn ping(&mut self) -> Result<i64, String> {
        self.command("ping", None).await
    }

    /// The next thing. Loses nothing when it is given up while waiting.
    pub async fn heard(&mut self) -> Heard {
        self.heard.recv().await.unwrap_or_else(|| Heard::Lost("the connection was given up".to_owned()))
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.sink.send(Message::Close(None))).await;
    }

    async fn command(&mut self, command: &str, path: Option<&str>) -> Result<i64, String> {
        self.sent += 1;
        let mut frame = json!({"_id": self.sent, "cmd": command});
        if let Some(path) = path {
            frame["path"] = json!(path);
        }
        match tokio::time::timeout(SILENCE, self.sink.send(Message::text(frame.to_string()))).await {
            Ok(Ok(())) => Ok(self.sent),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the master takes no more messages".to_owned()),
        }
    }
}

async fn listen(mut stream: SplitStream<WebSocketStream<Upgraded>>, tell: mpsc::Sender<Heard>) {
    let why = loop {
        let frame = match tokio::time::timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => break error.to_string(),
            Ok(None) => break "the master closed the WebSocket".to_owned(),
            Err(_) => break format!("no sign of life for {} seconds", SILENCE.as_secs()),
        };
        let heard = match frame {
            Message::Text(text) => parse(text.as_str()),
            Message::Close(_) => break "the master closed the WebSocket".to_owned(),
            _ => None,
        };
        let Some(heard) = heard else { continue };
        match tell.try_send(heard) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => return,
            Err(mpsc::error::TrySendError::Full(_)) => break format!("{WAITING} messages wait to be journalled"),
        }
    };
    let _ = tell.send(Heard::Lost(why)).await;
}

fn parse(text: &str) -> Option<Heard> {
    let mut frame = lenient::read(text.as_bytes()).ok()?;
    if let Some(key) = frame["k"].as_str() {
        let key = key.split('/').map(str::to_owned).collect();
        return Some(Heard::Event(key, frame["m"].take()));
    }
    let error = frame["error"].as_str().map(str::to_owned);
    Some(Heard::Answer(frame["_id"].as_i64()?, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_heard_whatever_its_properties_are() {
        let frame = r#"{"k": "builds/1/finished", "m": {"buildid": 1, "properties": {"limit": [Infinity, "Build"], "file": ["\udcff.c", "Step"]}}}"#;
        let Some(Heard::Event(key, message)) = parse(frame) else { panic!("it is an event") };
        assert_eq!(key, ["builds", "1", "finished"]);
        assert_eq!(message, json!({"buildid": 1, "properties": {"limit": [null, "Build"], "file": ["\u{fffd}.c", "Step"]}}));
        assert!(parse("<html>").is_none());
    }
}
