//! The events whose details stay at hand, so that what one entry has asked for is there for the next.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::event::Details;

/// Events that stay at hand.
const EVENTS: usize = 8_192;
/// Bytes of their details, as [`Details::weight`] counts them. The newest event stays whatever it weighs.
const BYTES: usize = 64 << 20;
/// Events that are read from the store at a time.
const READING: usize = 16;

/// Events with their details.
#[derive(Default)]
pub(super) struct AtHand {
    events: Mutex<Events>,
    /// By the event's number: who wants an event that is being read waits for that.
    reading: [tokio::sync::Mutex<()>; READING],
}

#[derive(Default)]
struct Events {
    /// Those that anybody still holds.
    live: HashMap<i64, Live>,
    /// Those that are held here, the newest last.
    recent: VecDeque<Arc<Details>>,
    /// What those weigh.
    bytes: usize,
}

struct Live {
    details: Weak<Details>,
    /// Its part of [`Events::bytes`].
    counted: usize,
}

impl AtHand {
    /// The event of this number, the same object for all who ask; read with `read` if nobody holds it. None: there is
    /// none any more.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) async fn get<E>(&self, seq: i64, read: impl Future<Output = Result<Option<Details>, E>>) -> Result<Option<Arc<Details>>, E> {
        if let Some(details) = self.events().find(seq) {
            return Ok(Some(details));
        }
        let turn = usize::try_from(seq).unwrap_or_default() % READING;
        let _reading = self.reading[turn].lock().await;
        if let Some(details) = self.events().find(seq) {
            return Ok(Some(details));
        }
        Ok(read.await?.map(|details| self.hold(details)))
    }

    /// The event of this number, if anybody holds it.
    pub(super) fn find(&self, seq: i64) -> Option<Arc<Details>> {
        self.events().find(seq)
    }

    /// Keeps an event at hand that nobody holds yet.
    pub(super) fn hold(&self, details: Details) -> Arc<Details> {
        let details = Arc::new(details);
        self.events().add(details.clone());
        details
    }

    /// Lets go what is too much, now that these details may have grown.
    pub(super) fn weigh(&self, details: &Details) {
        self.events().weigh(details.seq, details.weight());
    }

    fn events(&self) -> std::sync::MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    fn find(&self, seq: i64) -> Option<Arc<Details>> {
        self.live.get(&seq).and_then(|live| live.details.upgrade())
    }

    fn add(&mut self, details: Arc<Details>) {
        let counted = details.weight();
        self.bytes += counted;
        self.live.insert(details.seq, Live { details: Arc::downgrade(&details), counted });
        self.recent.push_back(details);
        self.shrink();
    }

    fn weigh(&mut self, seq: i64, weight: usize) {
        // What is not held here any more counts for nothing.
        let Some(live) = self.live.get_mut(&seq).filter(|live| live.counted > 0) else { return };
        self.bytes = self.bytes - live.counted + weight;
        live.counted = weight;
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.recent.len() > EVENTS || (self.bytes > BYTES && self.recent.len() > 1) {
            let Some(oldest) = self.recent.pop_front() else { return };
            let Some(live) = self.live.get_mut(&oldest.seq) else { continue };
            self.bytes -= std::mem::take(&mut live.counted);
        }
        // Of those that were let go some are still held elsewhere; they are looked through when they have become many.
        if self.live.len() > 2 * self.recent.len() + 64 {
            self.live.retain(|_, live| live.details.strong_count() > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::event::{Event, Fetch, FetchError, Keep, Kind, Rows};

    struct Nothing;

    #[async_trait::async_trait]
    impl Fetch for Nothing {
        async fn fetch(&self, path: &str) -> Result<Rows, FetchError> {
            Err(FetchError::Missing(path.to_owned()))
        }
    }

    impl Keep for Nothing {
        fn keep(&self, _: i64, _: &str, _: &Arc<Rows>) {}
    }

    fn details(seq: i64, bytes: usize) -> Details {
        let message = json!({"buildid": seq});
        let event = Event { id: format!("main/builds/{seq}/new"), kind: Kind::BuildStarted, source: "main".into(), occurred_at: 0, late: false, message };
        let rows = Arc::new(vec![json!("x".repeat(bytes))]);
        Details::new(Arc::new(event), seq, [("builds/1/properties".to_owned(), rows)], Arc::new(Nothing), Arc::new(Nothing))
    }

    async fn get(at_hand: &AtHand, seq: i64, bytes: usize, reads: &AtomicUsize) -> Arc<Details> {
        let read = async {
            reads.fetch_add(1, Ordering::SeqCst);
            // Others come meanwhile.
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(Some(details(seq, bytes)))
        };
        at_hand.get(seq, read).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn an_event_is_read_once_for_all_who_want_it() {
        let (at_hand, reads) = (AtHand::default(), AtomicUsize::new(0));
        let all = futures_util::future::join_all((0..200).map(|_| get(&at_hand, 7, 10, &reads))).await;
        assert!(all.iter().all(|details| Arc::ptr_eq(details, &all[0])));
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        drop(all);
        get(&at_hand, 7, 10, &reads).await;
        assert_eq!(reads.load(Ordering::SeqCst), 1, "it stays at hand");
        let gone = at_hand.get(8, async { Ok::<_, Infallible>(None) }).await.unwrap();
        assert!(gone.is_none());
    }

    #[tokio::test]
    async fn what_is_at_hand_is_bounded_by_bytes_and_number_and_the_newest_stays() {
        let (at_hand, reads) = (AtHand::default(), AtomicUsize::new(0));
        let held = |at_hand: &AtHand| at_hand.events().recent.iter().map(|details| details.seq).collect::<Vec<_>>();
        for seq in 0..6 {
            drop(get(&at_hand, seq, 15 << 20, &reads).await);
        }
        assert_eq!(held(&at_hand), [2, 3, 4, 5]);
        let weight: usize = at_hand.events().recent.iter().map(|details| details.weight()).sum();
        assert_eq!(at_hand.events().bytes, weight);
        drop(get(&at_hand, 6, 100 << 20, &reads).await);
        assert_eq!(held(&at_hand), [6]);
        for seq in 7..10_000 {
            drop(get(&at_hand, seq, 10, &reads).await);
        }
        assert_eq!(held(&at_hand).len(), EVENTS);
        assert!(at_hand.events().live.len() <= 2 * EVENTS + 65);
    }

    #[tokio::test]
    async fn what_grows_pushes_others_out_and_is_found_while_somebody_holds_it() {
        let (at_hand, reads) = (AtHand::default(), AtomicUsize::new(0));
        let small = get(&at_hand, 1, 10, &reads).await;
        let before = at_hand.events().bytes;
        at_hand.weigh(&small);
        assert_eq!(at_hand.events().bytes, before);
        let large = at_hand.hold(details(2, BYTES));
        assert_eq!(at_hand.events().bytes, large.weight());
        at_hand.weigh(&small);
        assert_eq!(at_hand.events().bytes, large.weight(), "it is not held here any more");
        assert!(Arc::ptr_eq(&get(&at_hand, 1, 10, &reads).await, &small));
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        drop(small);
        get(&at_hand, 1, 10, &reads).await;
        assert_eq!(reads.load(Ordering::SeqCst), 2);
    }
}
