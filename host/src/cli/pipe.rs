//! Lines on their way to stdout or stderr, written by a thread of their own: whoever reads there may stop reading, and
//! nothing else of the host stops for that.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Bytes that wait to be written. What comes beyond that is not printed.
const WAITING: usize = 4 << 20;
/// What a text counts for beside its bytes.
const FRAME: usize = 64;
/// How often [`Pipe::emptied`] looks.
const LOOK: Duration = Duration::from_millis(10);

/// A way to print that never waits.
#[derive(Clone)]
pub struct Pipe(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Texts that found no room since the last that did.
    dropped: u64,
    /// Texts taken out by the thread so far: as long as this grows, somebody reads.
    taken: u64,
    /// Whether the thread is writing.
    writing: bool,
    /// Whether nobody reads there any more, or nobody prints.
    closed: bool,
}

impl Pipe {
    /// Starts the thread that writes. What it says of texts that were left out is called `what`: `lines of the log`.
    pub fn new(to: impl Write + Send + 'static, what: &'static str) -> Self {
        let inner = Arc::new(Inner { state: Mutex::default(), changed: Condvar::new() });
        let writes = inner.clone();
        let thread = std::thread::Builder::new().name("print".into()).spawn(move || writes.run(to, what));
        let pipe = Self(inner);
        // Without a thread nothing is printed; there is nobody to tell.
        pipe.0.state().closed = thread.is_err();
        pipe
    }

    /// Prints a text, which is not torn apart by another, unless too much waits already.
    pub fn put(&self, text: &[u8]) {
        let mut state = self.0.state();
        if state.closed {
            return;
        }
        if state.bytes + text.len() + FRAME > WAITING && !state.waiting.is_empty() {
            state.dropped += 1;
            return;
        }
        state.bytes += text.len() + FRAME;
        state.waiting.push_back(text.to_vec());
        self.0.changed.notify_one();
    }

    /// Waits until everything is printed, or nobody has read for `patience`.
    pub async fn emptied(&self, patience: Duration) {
        let (mut taken, mut since) = (0, Instant::now());
        loop {
            {
                let state = self.0.state();
                if state.closed || (state.waiting.is_empty() && state.dropped == 0 && !state.writing) {
                    return;
                }
                if state.taken > taken {
                    (taken, since) = (state.taken, Instant::now());
                }
            }
            if since.elapsed() >= patience {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl std::fmt::Debug for Pipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pipe(…)")
    }
}

impl Write for Pipe {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.put(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut to: impl Write, what: &str) {
        loop {
            let text = {
                let mut state = self.state();
                state.writing = false;
                state = self.changed.wait_while(state, |state| state.waiting.is_empty() && state.dropped == 0).unwrap_or_else(PoisonError::into_inner);
                state.writing = true;
                state.taken += 1;
                match state.waiting.pop_front() {
                    Some(text) => {
                        state.bytes -= text.len() + FRAME;
                        text
                    }
                    // What was left out came after everything that waited then.
                    None => format!("… {} {what} are not shown: nobody was reading\n", std::mem::take(&mut state.dropped)).into_bytes(),
                }
            };
            if to.write_all(&text).and_then(|()| to.flush()).is_err() {
                let mut state = self.state();
                *state = State { closed: true, ..State::default() };
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes nothing until it is let, then everything.
    struct Stalled {
        let_go: mpsc::Receiver<()>,
        free: bool,
        got: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stalled {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            if !self.free {
                self.let_go.recv().map_err(|_| io::Error::other("gone"))?;
                self.free = true;
            }
            self.got.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stalled() -> (Pipe, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (go, let_go) = mpsc::channel();
        let got = Arc::<Mutex<Vec<u8>>>::default();
        (Pipe::new(Stalled { let_go, free: false, got: got.clone() }, "lines"), go, got)
    }

    #[tokio::test]
    async fn a_reader_that_stalls_holds_nobody_up_and_is_told_what_it_missed() {
        let (pipe, go, got) = stalled();
        let line = [b'x'; 1 << 10];
        let many = 3 * WAITING / line.len();
        for _ in 0..many {
            pipe.put(&line);
        }
        assert!(pipe.0.state().bytes <= WAITING);
        pipe.emptied(Duration::ZERO).await;
        go.send(()).unwrap();
        pipe.emptied(Duration::MAX).await;
        pipe.put(b"after\n");
        pipe.emptied(Duration::MAX).await;
        let text = String::from_utf8(got.lock().unwrap().clone()).unwrap();
        let (shown, said) = text.split_once('…').unwrap();
        let left_out = many - shown.len() / line.len();
        assert_eq!(said, format!(" {left_out} lines are not shown: nobody was reading\nafter\n"));
        assert!(left_out > many / 2 && shown.len() > WAITING / 2);
    }

    #[tokio::test]
    async fn a_text_larger_than_all_the_room_is_printed() {
        let (pipe, go, got) = stalled();
        go.send(()).unwrap();
        pipe.put(&vec![b'x'; 2 * WAITING]);
        pipe.emptied(Duration::MAX).await;
        assert_eq!(got.lock().unwrap().len(), 2 * WAITING);
    }

    #[tokio::test]
    async fn a_reader_that_has_gone_is_no_error() {
        let (pipe, go, _) = stalled();
        pipe.put(b"one\n");
        drop(go);
        pipe.emptied(Duration::MAX).await;
        pipe.put(b"two\n");
        pipe.emptied(Duration::MAX).await;
        assert_eq!(pipe.0.state().bytes, 0);
    }
}
