//! The sink: takes everything and sends nothing, to try settings without a server.

use async_trait::async_trait;

use super::{Answer, Attempt, Payload, Transport};

/// Says yes to every payload: 201 to HTTP, 250 to mail, exit code 0 to commands, 200 to the rest.
pub struct Sink;

impl Sink {
    /// The answer to a query, which nobody was asked: status 0. It is no failure, which would be asked again without end.
    pub fn unasked() -> Answer {
        Answer::default()
    }
}

#[async_trait]
impl Transport for Sink {
    async fn attempt(&self, attempt: Attempt<'_>) -> Answer {
        let (status, body) = match attempt.payload {
            Payload::Http(_) => (201, "taken by the sink"),
            Payload::Smtp(_) => (250, "2.0.0 taken by the sink"),
            Payload::Irc(_) => (200, "taken by the sink"),
            Payload::Master(_) => (200, "\"was not asked: the sink took it\""),
            Payload::Ssh(_) => (0, "taken by the sink"),
        };
        Answer { status, body: body.into(), ..Answer::default() }
    }
}
