//! Where our reporters send to: servers for HTTP, SMTP and SSH that take everything and keep it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::answers::Answers;
use crate::wire::Sent;

/// What arrived since it was last asked, and what is answered to who asks.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Sent>>>, Arc<Mutex<Answers>>);

impl Recorder {
    /// Starts the servers for HTTP and SMTP: where they listen.
    pub async fn start() -> std::io::Result<(Self, SocketAddr, SocketAddr)> {
        let recorder = Self::default();
        let http = TcpListener::bind("127.0.0.1:0").await?;
        let smtp = TcpListener::bind("127.0.0.1:0").await?;
        let at = (http.local_addr()?, smtp.local_addr()?);
        let app = Router::new().fallback(request).with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(http, app).await });
        let mails = recorder.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = smtp.accept().await {
                tokio::spawn(session(stream, mails.clone()));
            }
        });
        Ok((recorder, at.0, at.1))
    }

    /// Takes what arrived.
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets what is answered to who asks.
    pub fn answers(&self, answers: Answers) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    }

    /// Keeps something.
    pub fn keep(&self, sent: Sent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
    }
}

/// The token of every recording.
const TOKEN: &str = r#"{"access_token": "oracle-access-token", "token_type": "bearer", "expires_in": 7200}"#;

async fn request(State(recorder): State<Recorder>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    if method == Method::GET {
        let (status, body) = recorder.1.lock().unwrap_or_else(PoisonError::into_inner).to(uri.path());
        return (StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND), body);
    }
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    recorder.keep(Sent::http(method.as_str(), target, &headers, &body));
    (StatusCode::CREATED, if target.contains("oauth") { TOKEN } else { "{}" }.into())
}

/// The commands of RFC 5321 that a client needs to hand over mail.
async fn session(stream: TcpStream, recorder: Recorder) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 recorder\r\n").await?;
    let (mut from, mut to) = (String::new(), Vec::<String>::new());
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let path = || text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or_else(String::new, |(path, _)| path.to_owned());
        let answer: &[u8] = match text.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => b"250-recorder\r\n250 AUTH PLAIN LOGIN\r\n",
            "AUTH" => b"235 welcome\r\n",
            "MAIL" => {
                from = path();
                to.clear();
                b"250 fine\r\n"
            }
            "RCPT" => {
                to.push(path());
                b"250 fine\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let message = data(&mut stream).await?;
                let to: Vec<&str> = to.iter().map(String::as_str).collect();
                recorder.keep(Sent::mail(&from, &to, &message));
                b"250 kept\r\n"
            }
            "RSET" | "NOOP" => b"250 fine\r\n",
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"502 what\r\n",
        };
        stream.write_all(answer).await?;
    }
}

async fn data(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 || line == b".\r\n" {
            return Ok(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
