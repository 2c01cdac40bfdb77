//! A TCP proxy that cuts WebSockets, and only those: to break off an answer of the REST API would break the master (docs/sources.md, "Kind to the
//! master"). So it reads those to their end also where the client was killed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[derive(Default)]
struct State {
    open: bool,
    sockets: JoinSet<()>,
    made: usize,
}

/// Stands between a source and its master.
#[derive(Clone)]
pub struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// A proxy to a port.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Self { port: listener.local_addr().expect("it has one").port(), state: Arc::new(Mutex::new(State { open: true, ..State::default() })) };
        let state = proxy.state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, port, state.clone()));
            }
        });
        proxy
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts every WebSocket, and lets none through until [`Proxy::mend`].
    pub fn cut(&self) {
        let mut state = locked(&self.state);
        state.open = false;
        state.sockets.abort_all();
    }

    /// Lets WebSockets through again.
    pub fn mend(&self) {
        locked(&self.state).open = true;
    }

    /// How many WebSockets were let through so far.
    pub fn made(&self) -> usize {
        locked(&self.state).made
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass(mut client: TcpStream, port: u16, state: Arc<Mutex<State>>) {
    let mut head = vec![0; 4096];
    let Ok(read) = client.read(&mut head).await else { return };
    let is_socket = head[..read].starts_with(b"GET /ws ");
    if is_socket && !locked(&state).open {
        return;
    }
    let Ok(mut master) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    if master.write_all(&head[..read]).await.is_err() {
        return;
    }
    if is_socket {
        let mut state = locked(&state);
        state.made += 1;
        state.sockets.spawn(async move {
            let _ = copy_bidirectional(&mut client, &mut master).await;
        });
        return;
    }
    let ((mut from_client, mut to_client), (mut from_master, mut to_master)) = (client.split(), master.split());
    let asking = async {
        let _ = copy(&mut from_client, &mut to_master).await;
    };
    // The master ends a connection at which nothing is asked any more.
    let answering = async {
        if copy(&mut from_master, &mut to_client).await.is_err() {
            let _ = copy(&mut from_master, &mut sink()).await;
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(asking, answering);
}
