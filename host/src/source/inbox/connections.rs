//! The inbox's connections: how many at a time, and how long each may take to say what it wants.
//!
//! Whoever opens connections and says nothing takes no place for long that others want: where all are taken, the one
//! that has been waiting for a head longest makes room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::source::ended;

/// Connections at a time; further ones wait until one of these ends, or makes room.
pub(super) const CONNECTIONS: usize = 256;
/// How long the head of a request may take to come, from the connection's beginning or from the answer before.
pub(super) const HEAD: Duration = Duration::from_secs(30);
/// How long one may be sure to take, however many want its place.
pub(super) const GRACE: Duration = Duration::from_millis(500);
/// Bytes of a head that are read before one more piece of it makes it too long: a head may have so many, and none has twice
/// as many.
const HEAD_BYTES: usize = 32 << 10;
/// How long posts under way have at the shutdown.
pub(super) const GOODBYE: Duration = Duration::from_secs(5);
/// The pause when the system gives no connection, as when there are too many open files.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until the shutdown; requests under way are answered.
pub(in crate::source) async fn serve(source: &str, listener: TcpListener, routes: Router, mut shutdown: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let idle = Arc::<Idle>::default();
    let mut open = JoinSet::new();
    // Kept over the rounds: it may have a connection that waits for its place.
    let mut next = Box::pin(accept(&listener, &places, &idle));
    loop {
        tokio::select! {
            accepted = &mut next => {
                match accepted {
                    Some((stream, place)) => drop(open.spawn(serve_one(stream, place, idle.clone(), routes.clone(), shutdown.clone()))),
                    None => tracing::warn!(source, "the system gives the inbox no connection; trying again in {PAUSE:?}"),
                }
                next.set(accept(&listener, &places, &idle));
            }
            Some(_) = open.join_next() => {}
            () = ended(&mut shutdown) => break,
        }
    }
    drop(next);
    drop(listener);
    // A client that never finishes its request does not keep the host from ending.
    let all = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(GOODBYE, all).await.is_err() {
        tracing::warn!(source, "posts that did not end were broken off");
    }
}

/// A connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>, idle: &Idle) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    match listener.accept().await {
        Ok((stream, _)) => loop {
            tokio::select! {
                biased;
                place = places.clone().acquire_owned() => return Some((stream, place.ok()?)),
                () = idle.make_room() => {}
            }
        },
        Err(error) => {
            tracing::debug!("{error}");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

/// Connections on which nothing is asked: since when, and how each is told to end.
#[derive(Default)]
struct Idle(Mutex<(u64, HashMap<u64, Quiet>)>);

struct Quiet {
    since: Instant,
    end: Arc<Notify>,
}

impl Idle {
    fn all(&self) -> MutexGuard<'_, (u64, HashMap<u64, Quiet>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a connection.
    fn number(&self) -> u64 {
        let mut all = self.all();
        all.0 += 1;
        all.0
    }

    /// Nothing is asked on this connection from now on.
    fn begin(&self, number: u64, end: &Arc<Notify>) {
        self.all().1.insert(number, Quiet { since: Instant::now(), end: end.clone() });
    }

    /// Something is asked on it, or it has ended.
    fn end(&self, number: u64) {
        self.all().1.remove(&number);
    }

    /// Ends the one that has been idle longest, when its grace is over.
    async fn make_room(&self) {
        let longest = |all: &HashMap<u64, Quiet>| all.iter().min_by_key(|(_, quiet)| quiet.since).map(|(number, quiet)| (*number, quiet.since));
        let Some((number, since)) = longest(&self.all().1) else {
            // All of them are busy: whichever is done ends, or is idle then.
            return tokio::time::sleep(GRACE).await;
        };
        tokio::time::sleep_until(since + GRACE).await;
        let mut all = self.all();
        if all.1.get(&number).is_some_and(|quiet| quiet.since == since)
            && let Some(quiet) = all.1.remove(&number)
        {
            quiet.end.notify_one();
        }
    }
}

async fn serve_one(stream: TcpStream, _place: OwnedSemaphorePermit, idle: Arc<Idle>, routes: Router, mut shutdown: watch::Receiver<bool>) {
    let (number, end) = (idle.number(), Arc::new(Notify::new()));
    idle.begin(number, &end);
    let routes = TowerToHyperService::new(routes);
    let answers = service_fn(|request: Request<Incoming>| {
        idle.end(number);
        let (answer, idle, end) = (routes.call(request), idle.clone(), end.clone());
        async move {
            let answer = answer.await;
            idle.begin(number, &end);
            answer
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), answers));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ended(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = end.notified() => Ok(()),
    };
    idle.end(number);
    if let Err(error) = ended {
        tracing::debug!("a connection of the inbox ended: {error}");
    }
}
