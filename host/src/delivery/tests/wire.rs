//! A transport that answers as it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::transport::{Answer, Attempt, FailedKind, Payload, RecipientAnswer, Transport};

/// What an attempt meets.
#[derive(Clone)]
pub enum Meets {
    Answer(Box<Answer>),
    Panic,
    Silence,
}

pub fn status(status: u16) -> Meets {
    Meets::Answer(Box::new(Answer { status, ..Answer::default() }))
}

pub fn asked(status: u16, seconds: u32) -> Meets {
    let headers = vec![("retry-after".to_owned(), seconds.to_string())];
    Meets::Answer(Box::new(Answer { status, headers, ..Answer::default() }))
}

pub fn failed(kind: FailedKind) -> Meets {
    Meets::Answer(Box::new(Answer::failed(kind, format!("{kind:?}"))))
}

pub fn recipients(results: &[(&str, u16)]) -> Meets {
    let one = |(address, status): &(&str, u16)| RecipientAnswer { address: (*address).into(), status: *status, text: "said".into() };
    Meets::Answer(Box::new(Answer { status: 250, recipients: results.iter().map(one).collect(), ..Answer::default() }))
}

/// An attempt as it was made.
#[derive(Clone, Debug)]
pub struct Made {
    pub uid: String,
    /// Since the beginning.
    pub at: Duration,
    pub payload: Payload,
}

/// Answers 200 at once, unless told otherwise.
pub struct Wire {
    begun: Instant,
    made: Mutex<Vec<Made>>,
    told: Mutex<HashMap<String, VecDeque<Meets>>>,
    takes: Mutex<HashMap<String, Duration>>,
    under_way: Mutex<(usize, usize)>,
}

impl Wire {
    pub fn new() -> Self {
        Self { begun: Instant::now(), made: Mutex::default(), told: Mutex::default(), takes: Mutex::default(), under_way: Mutex::default() }
    }

    /// What the next attempts at a delivery meet.
    pub fn tell(&self, uid: &str, meets: &[Meets]) {
        self.told.lock().unwrap().entry(uid.into()).or_default().extend(meets.iter().cloned());
    }

    /// How long attempts take at deliveries whose uid begins so.
    pub fn takes(&self, uid: &str, long: Duration) {
        self.takes.lock().unwrap().insert(uid.into(), long);
    }

    pub fn made(&self) -> Vec<Made> {
        self.made.lock().unwrap().clone()
    }

    pub fn uids(&self) -> Vec<String> {
        self.made().into_iter().map(|made| made.uid).collect()
    }

    /// When attempts at a delivery were made.
    pub fn times(&self, uid: &str) -> Vec<Duration> {
        self.made().into_iter().filter(|made| made.uid == uid).map(|made| made.at).collect()
    }

    /// The most that were ever under way at a time.
    pub fn most(&self) -> usize {
        self.under_way.lock().unwrap().1
    }
}

#[async_trait]
impl Transport for Wire {
    async fn attempt(&self, attempt: Attempt<'_>) -> Answer {
        let uid = attempt.id.to_owned();
        self.made.lock().unwrap().push(Made { uid: uid.clone(), at: self.begun.elapsed(), payload: attempt.payload.clone() });
        {
            let mut under_way = self.under_way.lock().unwrap();
            under_way.0 += 1;
            under_way.1 = under_way.1.max(under_way.0);
        }
        let takes = self.takes.lock().unwrap().iter().find(|(begins, _)| uid.starts_with(begins.as_str())).map(|(_, long)| *long);
        if let Some(takes) = takes {
            tokio::time::sleep(takes).await;
        }
        let meets = self.told.lock().unwrap().get_mut(&uid).and_then(VecDeque::pop_front);
        self.under_way.lock().unwrap().0 -= 1;
        match meets.unwrap_or_else(|| status(200)) {
            Meets::Answer(answer) => *answer,
            Meets::Panic => panic!("a bug in a transport"),
            Meets::Silence => std::future::pending().await,
        }
    }
}
