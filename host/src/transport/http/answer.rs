//! Reads what came back.

use reqwest::Response;

use super::super::{Answer, MOST_BODY};

/// What is read of a body, in bytes, so that its connection can be used again. The rest of a longer one is
/// not worth it.
const MOST_READ: usize = 1 << 20;

/// The answer with its headers and the beginning of its body. A body that breaks off is as good as whole: the status decides.
pub(super) async fn read(mut response: Response, slack: usize) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect();
    let mut body = Vec::new();
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        let room = (MOST_BODY + slack).saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if read > MOST_READ {
            break;
        }
    }
    Answer { status, headers, body, ..Answer::default() }
}

/// Reads a body that nobody wants, so that the next request finds the connection free.
pub(super) async fn drain(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > MOST_BODY {
            break;
        }
    }
}
