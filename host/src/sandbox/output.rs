//! What a WASI guest writes to stdout and stderr: kept up to a bound, and thrown away beyond it. Printing too much is no
//! reason to end a call.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Bytes that are kept.
const KEPT: usize = 64 << 10;
/// Bytes that a guest may write at a time.
const AT_ONCE: usize = 64 << 10;

/// What was written, shared by all streams that lead to it.
#[derive(Clone, Default)]
pub(super) struct Output(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    kept: Vec<u8>,
    cut: usize,
}

impl Output {
    /// The lines, and how many bytes more there were.
    pub fn lines(&self) -> (Vec<String>, usize) {
        let written = self.written();
        (String::from_utf8_lossy(&written.kept).lines().map(str::to_owned).collect(), written.cut)
    }

    fn add(&self, bytes: &[u8]) {
        let mut written = self.written();
        let fits = bytes.len().min(KEPT - written.kept.len());
        written.kept.extend_from_slice(&bytes[..fits]);
        written.cut += bytes.len() - fits;
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.add(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(AT_ONCE)
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.add(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_cut_and_ends_no_call() {
        let output = Output::default();
        let mut streams = [output.p2_stream(), output.p2_stream()];
        for n in 0..100_000 {
            let stream = &mut streams[n % 2];
            assert!(stream.check_write().unwrap() >= 10);
            stream.write(Bytes::from_static(b"all lines\n")).unwrap();
        }
        let (lines, cut) = output.lines();
        assert_eq!((lines.len(), cut), (KEPT.div_ceil(10), 1_000_000 - KEPT));
        assert!(lines[..6_553].iter().all(|line| line == "all lines"));
    }
}
