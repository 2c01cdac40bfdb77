//! The engine against a store in memory and a wire that answers as told, in paused time.

mod destinations;
mod ends;
mod lanes;
mod loud;
mod operators;
mod stop;
mod store;
mod wire;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::engine::{Engine, Options};
use super::shared::Clock;
use super::{Directory, Loud, Observer, Questions, Transports};
use crate::secret::{Plain, Vault, VaultError};
use crate::store::{Delivery, NewDelivery, Settled, Unit, now_ms};
use crate::transport::{Auth, Body, Endpoint, EndpointKind, HttpEndpoint, HttpRequest, LaneLimit, Payload, SmtpEndpoint, Tls, Verify};
use store::Memory;
use wire::Wire;

struct NoSecrets;

impl Vault for NoSecrets {
    fn reveal(&self, _: &str, _: &str) -> Result<Option<Plain>, VaultError> {
        Ok(None)
    }

    /// Nothing is put in for a placeholder, but what the settings have as text is kept out of what is told.
    fn values(&self) -> Vec<Plain> {
        vec![Plain::new("written-as-text")]
    }
}

/// Knows every entry but `gone`. The endpoint `hourly` takes two requests an hour from each of the tokens `a` and `b`, with which entries of these names log in
/// and all others as with `a`; `slow` takes three requests a minute, `single` one at a time, a lane of `chats` two in ten seconds.
struct Known;

impl Directory for Known {
    fn endpoint(&self, entry: &str, endpoint: &str) -> Option<(Arc<Endpoint>, Arc<dyn Vault>)> {
        let http = HttpEndpoint {
            base_url: "https://example.org/".parse().unwrap(),
            auth: Auth::Bearer(if entry == "b" { "b" } else { "a" }.into()),
            verify: Verify::System,
            headers: Vec::new(),
            most_per_minute: (endpoint == "slow").then_some(3),
            most_per_hour: (endpoint == "hourly").then_some(2),
            most_at_once: (endpoint == "single").then_some(1),
            lane_limits: if endpoint == "chats" { vec![LaneLimit { most: 2, seconds: 10 }] } else { Vec::new() },
            updates: None,
            probe: None,
        };
        let kind = match endpoint {
            "mail" => EndpointKind::Smtp(SmtpEndpoint {
                host: "example.org".into(),
                port: 25,
                tls: Tls::None,
                user: None,
                password: None,
                verify: Verify::System,
                dump: false,
            }),
            _ => EndpointKind::Http(http),
        };
        (entry != "gone").then(|| (Arc::new(Endpoint { name: endpoint.into(), kind, level: Default::default() }), Arc::new(NoSecrets) as Arc<dyn Vault>))
    }

    fn loud(&self, entry: &str) -> Loud {
        Loud { verbose: entry == "verbose", debug: entry == "debug" }
    }
}

/// Uids of what was settled, in order.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn settled(&self, delivery: &Delivery, settled: &Settled) {
        assert_eq!(delivery.id, settled.delivery);
        self.0.lock().unwrap().push(delivery.new.uid.clone());
    }
}

/// An engine with all that is around it.
struct Rig {
    store: Arc<Memory>,
    wire: Arc<Wire>,
    heard: Arc<Heard>,
    questions: Arc<Questions>,
    answered: Arc<Mutex<Vec<Unit>>>,
    engine: Engine,
}

impl Rig {
    async fn new() -> Self {
        Self::over(Arc::default()).await
    }

    async fn over(store: Arc<Memory>) -> Self {
        let (base, begun) = (now_ms(), Instant::now());
        let clock: Clock = Arc::new(move || base + begun.elapsed().as_millis() as i64);
        let (wire, heard) = (Arc::new(Wire::new()), Arc::new(Heard::default()));
        let questions = Arc::<Questions>::default();
        let transports =
            Transports { http: wire.clone(), smtp: wire.clone(), irc: wire.clone(), ssh: wire.clone(), master: wire.clone(), questions: questions.clone() };
        let engine = Engine::start_by(clock, store.clone(), transports, Arc::new(Known), heard.clone(), Options::default()).await.unwrap();
        let answered = Arc::<Mutex<Vec<Unit>>>::default();
        let units = answered.clone();
        engine.on_answered(Arc::new(move |unit| units.lock().unwrap().push(unit)));
        Self { store, wire, heard, questions, answered, engine }
    }

    /// Puts deliveries into the outbox, as the end of a unit does.
    fn send(&self, new: Vec<NewDelivery>) -> Vec<i64> {
        let made = self.store.insert(new);
        let ids = made.iter().map(|delivery| delivery.id).collect();
        self.engine.push(made);
        ids
    }
}

fn new(uid: &str) -> NewDelivery {
    let request = HttpRequest { method: "POST".into(), path: vec![], query: vec![], headers: vec![], body: Body::Text(uid.into()) };
    NewDelivery {
        uid: uid.into(),
        entry: "chat".into(),
        endpoint: "main".into(),
        destination: "example.org".into(),
        lane: None,
        supersede: None,
        tag: None,
        title: uid.into(),
        expires_ms: now_ms() + 3 * 24 * 3_600_000,
        payload: Arc::new(Payload::Http(request)),
        rules: Vec::new(),
    }
}

fn in_lane(uid: &str, lane: &str) -> NewDelivery {
    NewDelivery { lane: Some(lane.into()), ..new(uid) }
}

fn keyed(uid: &str) -> NewDelivery {
    NewDelivery { supersede: Some("status".into()), ..new(uid) }
}

fn to(uid: &str, destination: &str) -> NewDelivery {
    NewDelivery { destination: destination.into(), ..new(uid) }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
