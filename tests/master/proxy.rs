//! A TCP proxy that cuts WebSockets, and only those: to break off an answer of the REST API would break the master.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), state: Arc::new(Mutex::new(State { open: true, ..State::default() })) };
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
        let mut state = self.state.lock().unwrap();
        state.open = false;
        state.sockets.abort_all();
    }

    /// Lets WebSockets through again.
    pub fn mend(&self) {
        self.state.lock().unwrap().open = true;
    }

    /// How many WebSockets were let through so far.
    pub fn made(&self) -> usize {
        self.state.lock().unwrap().made
    }
}

async fn pass(mut client: TcpStream, port: u16, state: Arc<Mutex<State>>) {
    let mut head = vec![0; 4096];
    let Ok(read) = client.read(&mut head).await else { return };
    let is_socket = head[..read].starts_with(b"GET /ws ");
    if is_socket && !state.lock().unwrap().open {
        return;
    }
    let Ok(mut master) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    if master.write_all(&head[..read]).await.is_err() {
        return;
    }
    let passing = async move {
        let _ = copy_bidirectional(&mut client, &mut master).await;
    };
    if is_socket {
        let mut state = state.lock().unwrap();
        state.made += 1;
        state.sockets.spawn(passing);
    } else {
        passing.await;
    }
}
