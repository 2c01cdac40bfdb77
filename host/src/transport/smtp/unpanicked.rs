//! The library's panics, which no server may end a task of ours with, or fill the operator's terminal.
//!
//! Lettre 0.11.23 panics on an EHLO reply with a line of blanks (`ServerInfo::from_response`).

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use futures_util::FutureExt as _;

thread_local! {
    /// Whether this thread is polling what [`unpanicked`] guards.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs it; a panic is an answer in words. One of the library's own is not reported on stderr besides.
pub(super) async fn unpanicked<T>(future: impl Future<Output = T>) -> Result<T, String> {
    hush();
    let mut caught = std::pin::pin!(AssertUnwindSafe(future).catch_unwind());
    let polled = std::future::poll_fn(|context| {
        let before = GUARDED.replace(true);
        let polled = caught.as_mut().poll(context);
        GUARDED.set(before);
        polled
    });
    polled.await.map_err(|_| "the server's replies are not SMTP".to_owned())
}

/// Puts a hook before the one that reports panics; once.
fn hush() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // A bug of ours is to be seen.
            let is_theirs = panic.location().is_some_and(|location| location.file().contains("/lettre-"));
            if !(is_theirs && GUARDED.get()) {
                report(panic);
            }
        }));
    });
}
