//! What comes from a server, made fit for the codec: lines of UTF-8 that parse.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use irc::proto::Message;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest line that a server may send: 8,191 bytes of tags and 512 of the rest (IRCv3 message-tags). What goes on is no IRC.
const LONGEST: usize = 16 << 10;

/// A stream whose reader gets whole lines: invalid UTF-8 replaced, empty and broken lines left out. The codec would end the
/// connection because of any of them.
pub(super) struct Clean<S> {
    inner: S,
    /// What was read and is no whole line yet.
    raw: Vec<u8>,
    /// What can be handed on.
    ready: Vec<u8>,
}

impl<S> Clean<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, raw: Vec::new(), ready: Vec::new() }
    }

    fn take_lines(&mut self) {
        while let Some(end) = self.raw.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.raw.drain(..=end).collect();
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            if !text.is_empty() && text.parse::<Message>().is_ok() {
                self.ready.extend_from_slice(text.as_bytes());
                self.ready.extend_from_slice(b"\r\n");
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Clean<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.ready.is_empty() {
            let mut space = [0; 4 << 10];
            let mut fresh = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut fresh))?;
            if fresh.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.raw.extend_from_slice(fresh.filled());
            self.take_lines();
            if self.raw.len() > LONGEST {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the server sends a line without end")));
            }
        }
        let given = self.ready.len().min(buf.remaining());
        buf.put_slice(&self.ready[..given]);
        self.ready.drain(..given);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Clean<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        Clean::new(bytes).read_to_string(&mut text).await.map(|_| text)
    }

    #[tokio::test]
    async fn only_whole_lines_that_parse_come_through() {
        let bytes = b"PING :a\r\n\r\n:srv :x\r\nPRIVMSG #c :gr\xfc\xdf\n@tag\r\n:x NOTICE y :z\r\nunfinished";
        assert_eq!(read(bytes).await.unwrap(), "PING :a\r\nPRIVMSG #c :gr\u{fffd}\u{fffd}\r\n@tag\r\n:x NOTICE y :z\r\n");
        assert_eq!(read(b"").await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_line_without_end_ends_the_connection() {
        assert!(read(&vec![b'x'; 1 << 20]).await.is_err());
    }
}
