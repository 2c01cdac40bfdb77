//! Reading an answer of a master: to its end, kept as far as it can be used, and not for ever.
//!
//! An answer that is too large is thrown away, but read: hanging up can harm the master. One without an end harms it
//! already, and would take the host with it.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::{LOCATION, SET_COOKIE};
use tokio::time::Instant;
use url::Url;

use super::rest::RestError;
use crate::transport::http::{causes, chain};

/// Bytes of an answer that are kept. What is larger is of no use.
const MOST: usize = if cfg!(test) { 1 << 20 } else { 128 << 20 };
/// Bytes that are read.
const ENDLESS: usize = 8 * MOST;
/// How long an answer may take, as long as it goes on. Masters have been seen to need minutes.
const LONGEST: Duration = Duration::from_secs(1_800);

/// An answer.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub status: u16,
    /// The session's cookie, if it opens one.
    pub cookie: Option<String>,
    /// Where it leads, or empty.
    pub leads: String,
    pub body: Vec<u8>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum Ended {
    /// Nobody was asked.
    NotSent(String),
    /// Somebody was, and the connection broke.
    Lost(String),
    /// It is larger than what is kept.
    TooLong { status: u16, bytes: usize },
    /// It was hung up on.
    Endless(String),
}

impl Ended {
    /// The error for who reads from a master.
    pub fn at(self, url: &Url) -> RestError {
        match self {
            Self::NotSent(why) | Self::Lost(why) | Self::Endless(why) => RestError::Away(format!("{url}: {why}")),
            Self::TooLong { bytes, .. } => RestError::Missing(format!("{url}: the answer has {bytes} bytes, more than the {MOST} that are read")),
        }
    }
}

/// Why a request that was sent has none, and what to do if that goes on.
pub(super) fn unanswered(error: &reqwest::Error) -> String {
    let why = chain(error);
    // A master that was harmed takes connections, and its log alone says that something is wrong.
    let hung_up = causes(error).any(|cause| {
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
            || cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    });
    if hung_up { format!("{why} (a master that goes on hanging up has to be restarted: docs/sources.md, \"Kind to the master\")") } else { why }
}

/// Reads an answer.
///
/// # Errors
/// [`Ended`].
pub(super) async fn read(url: &Url, mut answer: Response) -> Result<Read, Ended> {
    let began = Instant::now();
    // The first cookie is an anonymous session's, the last one is ours.
    let cookies = answer.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()?.split(';').next());
    let cookie = cookies.map(str::trim).filter(|pair| pair.starts_with("TWISTED_")).last().map(str::to_owned);
    let leads = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (status, mut bytes) = (answer.status().as_u16(), 0);
    let mut body = Some(Vec::new());
    while let Some(chunk) = answer.chunk().await.map_err(|error| Ended::Lost(chain(&error)))? {
        bytes += chunk.len();
        if bytes > ENDLESS || began.elapsed() > LONGEST {
            return Err(Ended::Endless(format!("the answer goes on after {bytes} bytes and {} seconds; hung up", began.elapsed().as_secs())));
        }
        if bytes > MOST && body.take().is_some() {
            tracing::warn!("{url}: the answer is larger than {MOST} bytes, and of no use; it is read to its end all the same, for the master's sake");
        }
        if let Some(body) = &mut body {
            body.extend_from_slice(&chunk);
        }
    }
    match body {
        Some(body) => Ok(Read { status, cookie, leads, body }),
        None => Err(Ended::TooLong { status, bytes }),
    }
}
