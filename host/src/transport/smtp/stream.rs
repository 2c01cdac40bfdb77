//! A checked TCP connection, read line by line while it is in the clear; and what it is when it is encrypted from the first byte.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Hands out at most one line at a time. Whoever reads replies through a buffer therefore never has bytes in it
/// that came after the reply to STARTTLS: those go to the TLS handshake, which fails. Otherwise somebody on the way could
/// put replies in the clear in front of the encrypted ones (CVE-2021-38371 and its like).
///
/// What comes without anything being said is a reply, or a part of a handshake, and has an end: the library reads a line into memory until it ends,
/// in the clear and inside TLS.
#[derive(Debug)]
pub(super) struct LineStream {
    tcp: TcpStream,
    held: Vec<u8>,
    /// Bytes that came since something was said.
    heard: usize,
}

impl LineStream {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp, held: Vec::new(), heard: 0 }
    }
}

/// More than one reply line (1,000 bytes), less than a TLS record.
const MOST_HELD: usize = 4 << 10;
/// More than a reply (100,000 bytes) with what TLS adds to it, or a chain of certificates.
const MOST_HEARD: usize = 128 << 10;

impl AsyncRead for LineStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            if self.heard > MOST_HEARD {
                return Poll::Ready(Err(io::Error::other(format!("the server's reply has no end: it sent more than {} KiB", MOST_HEARD >> 10))));
            }
            let mut space = [0; MOST_HELD];
            let mut fresh = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut fresh))?;
            self.held.extend_from_slice(fresh.filled());
            self.heard += fresh.filled().len();
        }
        let line = self.held.iter().position(|byte| *byte == b'\n').map_or(self.held.len(), |at| at + 1);
        let given = line.min(buf.remaining());
        buf.put_slice(&self.held[..given]);
        self.held.drain(..given);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.heard = 0;
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// One that is encrypted from the first byte.
#[derive(Debug)]
pub(super) struct Encrypted(pub TlsStream<LineStream>);

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Encrypted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().0.peer_addr()
    }
}

impl AsyncTokioStream for LineStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn one_line_at_a_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            tcp.write_all(b"220 ready\r\n250 injected\r\nrest").await.unwrap();
        });
        let mut lines = LineStream::new(TcpStream::connect(address).await.unwrap());
        server.await.unwrap();
        let mut buffer = [0; 100];
        let mut got = Vec::new();
        loop {
            let n = lines.read(&mut buffer).await.unwrap();
            if n == 0 {
                break;
            }
            got.push(String::from_utf8(buffer[..n].to_vec()).unwrap());
        }
        assert_eq!(got[..2], ["220 ready\r\n", "250 injected\r\n"]);
        assert_eq!(got[2..].concat(), "rest");
    }
}
