//! The inbox's connections: how many at a time, and how long each may take to say what it wants.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::source::ended;

/// Connections at a time; further ones wait until one of these ends.
pub(super) const CONNECTIONS: usize = 256;
/// How long the head of a request may take to come, from the connection's beginning or from the answer before.
pub(super) const HEAD: Duration = Duration::from_secs(30);
/// The longest head, in bytes.
const HEAD_BYTES: usize = 64 << 10;
/// How long posts under way have at the shutdown.
pub(super) const GOODBYE: Duration = Duration::from_secs(5);
/// The pause when the system gives no connection, as when there are too many open files.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until the shutdown; requests under way are answered.
pub(in crate::source) async fn serve(source: &str, listener: TcpListener, routes: Router, mut shutdown: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept(&listener, &places) => match accepted {
                Some((stream, place)) => drop(open.spawn(serve_one(stream, place, routes.clone(), shutdown.clone()))),
                None => tracing::warn!(source, "the system gives the inbox no connection; trying again in {PAUSE:?}"),
            },
            Some(_) = open.join_next() => {}
            () = ended(&mut shutdown) => break,
        }
    }
    drop(listener);
    // A client that never finishes its request does not keep the host from ending.
    let all = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(GOODBYE, all).await.is_err() {
        tracing::warn!(source, "posts that did not end were broken off");
    }
}

/// A connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::debug!("{error}");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

async fn serve_one(stream: TcpStream, _place: OwnedSemaphorePermit, routes: Router, mut shutdown: watch::Receiver<bool>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ended(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection of the inbox ended: {error}");
    }
}
