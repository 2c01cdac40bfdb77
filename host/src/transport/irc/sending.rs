//! A delivery on its way: which of its lines the server has taken.
//!
//! With labeled-response and echo-message each line has a label, and its echo (or refusal) says what became of it.
//! Without them, a PING follows a few lines: what the server refuses, it refuses before it answers that.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::{Answer, FailedKind, IrcMessage, IrcVerb, Payload};
use super::rooms::fold;

/// Lines between two PINGs.
const FENCE_EVERY: usize = 4;
/// RPL_TRYAGAIN: what is left comes with the next attempt.
const LATER: u16 = 263;
/// What the server has taken.
const TAKEN: u16 = 200;

/// A delivery that a connection is to make.
pub(super) struct Job {
    pub message: IrcMessage,
    /// When no more lines are begun.
    pub until: Instant,
    pub answer: oneshot::Sender<Answer>,
}

/// What is to be written next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line of text, with its label.
    Say(IrcVerb, String, String, Option<String>),
    /// Join or leave a channel.
    Member(String, Option<String>, bool),
    /// A PING with this token.
    Fence(String),
    /// Nothing, until the server says something.
    Wait,
}

/// A delivery under way.
pub(super) struct Sending {
    job: Job,
    pieces: Vec<String>,
    /// Pieces that were written.
    written: usize,
    /// Pieces that the server has taken, from the first.
    taken: usize,
    /// Labels of pieces that were written and not answered.
    labels: VecDeque<String>,
    /// The token of a PING that was written and not answered, and how many pieces it speaks for.
    fence: Option<(String, usize)>,
    labeled: bool,
    refused: Option<(u16, String)>,
    last: Instant,
}

/// How long a server may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

impl Sending {
    /// `pieces` are the lines of a text; for joining and leaving, none.
    pub fn new(job: Job, pieces: Vec<String>, labeled: bool) -> Self {
        Self { job, pieces, written: 0, taken: 0, labels: VecDeque::new(), fence: None, labeled, refused: None, last: Instant::now() }
    }

    /// Whether a line counts for flood control.
    pub fn next(&mut self, token: &mut impl FnMut() -> String) -> Next {
        if self.fence.is_some() || self.refused.is_some() {
            return Next::Wait;
        }
        let (target, verb) = match &self.job.message {
            IrcMessage::Membership { channel, key, joined } => {
                if self.written == 0 {
                    self.written = 1;
                    return Next::Member(channel.clone(), key.clone(), *joined);
                }
                return self.ping(token());
            }
            IrcMessage::Say { target, verb, .. } => (target.clone(), *verb),
        };
        let more = self.written < self.pieces.len() && Instant::now() < self.job.until;
        if !self.labeled && self.written > self.taken && (!more || self.written - self.taken >= FENCE_EVERY) {
            return self.ping(token());
        }
        if !more {
            return Next::Wait;
        }
        let label = self.labeled.then(&mut *token);
        self.labels.extend(label.clone());
        let piece = self.pieces[self.written].clone();
        self.written += 1;
        self.last = Instant::now();
        Next::Say(verb, target, piece, label)
    }

    fn ping(&mut self, token: String) -> Next {
        self.fence = Some((token.clone(), self.written));
        self.last = Instant::now();
        Next::Fence(token)
    }

    /// The server answered a line with this label, with a refusal if there is one.
    pub fn labeled(&mut self, label: &str, refusal: Option<(u16, &str)>) {
        let Some(at) = self.labels.iter().position(|known| known == label) else { return };
        self.labels.drain(..=at);
        self.last = Instant::now();
        match refusal {
            Some((numeric, text)) => self.refuse(numeric, text),
            None => self.taken += at + 1,
        }
    }

    /// The server refused something about this target, without a label.
    pub fn unlabeled(&mut self, target: &str, numeric: u16, text: &str) {
        let mine = match &self.job.message {
            IrcMessage::Say { target, .. } => target,
            IrcMessage::Membership { channel, .. } => channel,
        };
        if (!self.labeled || matches!(self.job.message, IrcMessage::Membership { .. })) && self.written > 0 && fold(mine) == fold(target) {
            self.refuse(numeric, text);
        }
    }

    fn refuse(&mut self, numeric: u16, text: &str) {
        self.refused.get_or_insert((numeric, text.to_owned()));
    }

    /// The server answered a PING.
    pub fn fenced(&mut self, token: &str) {
        if let Some((_, written)) = self.fence.take_if(|(known, _)| known == token) {
            self.last = Instant::now();
            if self.refused.is_none() {
                self.taken = written;
            }
        }
    }

    /// Whether all that was written is answered, and nothing more is to be written.
    pub fn is_over(&self) -> bool {
        if self.refused.is_some() {
            return self.fence.is_none();
        }
        match self.job.message {
            IrcMessage::Membership { .. } => self.taken == 1,
            IrcMessage::Say { .. } => {
                self.taken == self.written && self.fence.is_none() && (self.written == self.pieces.len() || Instant::now() >= self.job.until)
            }
        }
    }

    /// The channel that the server did not let us join.
    pub fn refused_channel(&self) -> Option<&str> {
        match &self.job.message {
            IrcMessage::Membership { channel, joined: true, .. } if self.refused.is_some() => Some(channel),
            _ => None,
        }
    }

    /// When the server has taken too long.
    pub fn deadline(&self) -> Instant {
        let waits = self.fence.is_some() || !self.labels.is_empty();
        if waits { self.last + ANSWER } else { self.job.until + ANSWER }
    }

    /// Answers, when it is over.
    pub fn finish(self) {
        let answer = match (&self.refused, &self.job.message) {
            // Whoever is not there need not leave.
            (Some((442 | 403, _)), IrcMessage::Membership { joined: false, .. }) => Answer { status: TAKEN, ..Answer::default() },
            (Some((numeric, text)), _) => Answer { status: *numeric, body: text.clone().into_bytes(), rest: self.rest(), ..Answer::default() },
            (None, IrcMessage::Say { .. }) if self.taken < self.pieces.len() => Answer {
                status: LATER,
                body: format!("{} of {} lines are sent", self.taken, self.pieces.len()).into_bytes(),
                headers: vec![("retry-after".into(), "0".into())],
                rest: self.rest(),
                ..Answer::default()
            },
            _ => Answer { status: TAKEN, ..Answer::default() },
        };
        self.job.answer.send(answer).ok();
    }

    /// Answers, when the connection is gone.
    pub fn broken(self, why: &str) {
        let kind = if self.written > self.taken { FailedKind::Unknown } else { FailedKind::NotTried };
        let answer = Answer { rest: self.rest(), ..Answer::failed(kind, why.to_owned()) };
        self.job.answer.send(answer).ok();
    }

    fn rest(&self) -> Option<Arc<Payload>> {
        match &self.job.message {
            IrcMessage::Say { target, verb, .. } if self.taken > 0 && self.taken < self.pieces.len() => {
                let text = self.pieces[self.taken..].join("\n");
                Some(Arc::new(Payload::Irc(IrcMessage::Say { target: target.clone(), verb: *verb, text })))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(lines: usize, labeled: bool) -> (Sending, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let pieces: Vec<String> = (0..lines).map(|n| n.to_string()).collect();
        let message = IrcMessage::Say { target: "#C".into(), verb: IrcVerb::Message, text: pieces.join("\n") };
        (Sending::new(Job { message, until: Instant::now() + Duration::from_secs(60), answer }, pieces, labeled), answered)
    }

    /// Writes all that can be written: lines and PINGs.
    fn write(sending: &mut Sending, number: &mut u32) -> Vec<String> {
        let mut token = || {
            *number += 1;
            format!("t{number}")
        };
        let mut written = Vec::new();
        loop {
            match sending.next(&mut token) {
                Next::Say(_, _, text, label) => written.push(label.map_or(text.clone(), |label| format!("{text}@{label}"))),
                Next::Fence(token) => written.push(format!("PING {token}")),
                Next::Member(channel, ..) => written.push(channel),
                Next::Wait => return written,
            }
        }
    }

    #[tokio::test]
    async fn a_ping_after_a_few_lines() {
        let (mut it, answered) = sending(5, false);
        let mut number = 0;
        assert_eq!(write(&mut it, &mut number), ["0", "1", "2", "3", "PING t1"]);
        it.fenced("other");
        assert_eq!(write(&mut it, &mut number), [""; 0]);
        it.fenced("t1");
        assert_eq!(write(&mut it, &mut number), ["4", "PING t2"]);
        assert!(!it.is_over());
        it.fenced("t2");
        assert!(it.is_over());
        it.finish();
        assert_eq!(answered.await.unwrap().status, 200);
    }

    #[tokio::test]
    async fn a_refusal_before_the_ping_is_answered() {
        let (mut it, answered) = sending(5, false);
        let mut number = 0;
        write(&mut it, &mut number);
        it.unlabeled("#other", 404, "no");
        it.unlabeled("#c", 404, "cannot send");
        assert!(!it.is_over(), "the PING is under way");
        it.fenced("t1");
        assert!(it.is_over());
        it.finish();
        let answer = answered.await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice(), answer.rest.is_none()), (404, &b"cannot send"[..], true));
    }

    #[tokio::test]
    async fn labels_say_which_lines_were_taken() {
        let (mut it, answered) = sending(3, true);
        let mut number = 0;
        assert_eq!(write(&mut it, &mut number), ["0@t1", "1@t2", "2@t3"]);
        it.labeled("t2", None);
        assert!(!it.is_over());
        it.broken("connection reset");
        let answer = answered.await.unwrap();
        assert_eq!(answer.error.unwrap().kind, FailedKind::Unknown);
        let Some(Payload::Irc(IrcMessage::Say { text, .. })) = answer.rest.as_deref() else { panic!("nothing is left") };
        assert_eq!(text, "2");

        let (mut it, answered) = sending(2, true);
        write(&mut it, &mut number);
        it.labeled("t4", None);
        it.labeled("t5", Some((404, "banned")));
        assert!(it.is_over());
        it.finish();
        assert_eq!(answered.await.unwrap().status, 404);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_goes_on_with_the_next_attempt() {
        let (mut it, answered) = sending(9, false);
        let mut number = 0;
        write(&mut it, &mut number);
        tokio::time::advance(Duration::from_secs(61)).await;
        it.fenced("t1");
        assert_eq!(write(&mut it, &mut number), [""; 0]);
        assert!(it.is_over());
        it.finish();
        let answer = answered.await.unwrap();
        assert_eq!((answer.status, answer.headers[0].1.as_str()), (263, "0"));
        let Some(Payload::Irc(IrcMessage::Say { text, .. })) = answer.rest.as_deref() else { panic!("nothing is left") };
        assert_eq!(text, "4\n5\n6\n7\n8");
    }
}
