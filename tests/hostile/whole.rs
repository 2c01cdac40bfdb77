//! The whole host with entries of the hostile reporter.

use std::path::Path;
use std::sync::Arc;

use reporter_host_tests::play::Noted;
use reporter_host_tests::server::Server;

/// An entry of the hostile reporter that may reach the server, with more settings.
pub fn hostile(name: &str, what: &str, more: &str) -> String {
    format!(
        "[[services]]\ncomponent = 'hostile.wasm'\nname = '{name}'\nallow = ['SERVER', 'smtp://127.0.0.1:25']\ndo = '{what}'\nserverUrl = 'SERVER/{name}'\n{more}\n"
    )
}

/// Plays builds 1 to `builds` to these services, and waits until everything has ended. `SERVER` stands for the server's address.
pub async fn play(folder: &Path, settings: &str, builds: u64, port: u16) -> Arc<Noted> {
    std::fs::write(folder.join("hostile.wasm"), test_guests::HOSTILE).unwrap();
    let settings = settings.replace("SERVER", &format!("http://127.0.0.1:{port}"));
    reporter_host_tests::play::play(folder, &format!("[limits]\ncompute_ms = 300\n{settings}"), builds).await
}

/// The same, but no longer than until so many calls have ended: what they asked to be reminded of may be far away.
pub async fn until(folder: &Path, settings: &str, builds: usize, port: u16, calls: usize) -> Arc<Noted> {
    std::fs::write(folder.join("hostile.wasm"), test_guests::HOSTILE).unwrap();
    let settings = settings.replace("SERVER", &format!("http://127.0.0.1:{port}"));
    reporter_host_tests::play::record(folder, builds as u64);
    let playing = reporter_host_tests::play::start(folder, &settings).await;
    while playing.noted.units() < calls {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    playing.stop().await
}

/// The same with one build, and nothing kept.
pub async fn play_once(settings: &str, server: &Server) -> Arc<Noted> {
    play(tempfile::tempdir().unwrap().path(), settings, 1, server.port).await
}

/// With the server's address, which is a private one, open to components.
pub fn open(services: impl AsRef<str>) -> String {
    format!("[network]\nallow = '127.0.0.1'\n{}", services.as_ref())
}
