//! Places for calls: how many instances live at a time, and which entry gets the next.
//!
//! What a call computes is bounded by the cores; what it holds while it waits (a query, a formatter, a guest that sleeps) is a
//! place. So a place that gets free goes to the entry that has the fewest, and an entry gets one more only while there are
//! some times as many free as it has already. Entries whose last call was slow, or that had none yet, share half of all
//! places: however many they are, and however long they wait, the other half is for those whose calls are quick.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// Calls at a time of one entry.
const OF_ENTRY: usize = 8;
/// How many places have to be free for each that an entry has already, to get one more.
const SPARE: usize = 4;
/// A call that takes longer is slow: it does not compute, it waits.
const QUICK: Duration = Duration::from_millis(1_000);

/// Places that are shared out.
pub(super) struct Places(Mutex<Shares>);

#[derive(Default)]
struct Shares {
    free: usize,
    /// How many more entries may take that are not quick.
    free_for_slow: usize,
    /// Entries whose last call was quick. There are as many as the settings have ever had.
    quick: HashSet<Arc<str>>,
    entries: HashMap<Arc<str>, Share>,
    /// Entries that wait: how many places each has, since which turn it waits, and its name.
    waiting: BTreeSet<(usize, u64, Arc<str>)>,
    turn: u64,
}

#[derive(Default)]
struct Share {
    has: usize,
    /// Since which turn it waits.
    since: u64,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    of: Arc<str>,
    places: Arc<Places>,
    since: Instant,
    /// Whether somebody has taken it: one that was given to nobody says nothing about its entry.
    taken: bool,
}

impl Places {
    /// So many places.
    pub fn new(all: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Shares { free: all, free_for_slow: all.div_ceil(2), ..Shares::default() })))
    }

    /// A place for a call of this entry. None: the host ends.
    pub async fn take(self: &Arc<Self>, entry: &str) -> Option<Place> {
        let turn = {
            let mut shares = self.shares();
            match shares.take(entry) {
                Some(of) => return Some(self.place(of).take()),
                None => shares.wait(entry),
            }
        };
        turn.await.ok().map(Place::take)
    }

    fn place(self: &Arc<Self>, of: Arc<str>) -> Place {
        Place { of, places: self.clone(), since: Instant::now(), taken: false }
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn take(mut self) -> Self {
        self.taken = true;
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let granted = self.places.shares().give_back(&self.of, self.taken.then(|| self.since.elapsed() < QUICK));
        for (of, waits) in granted {
            // One that does not wait any more gives it back at once.
            drop(waits.send(self.places.place(of)));
        }
    }
}

impl Shares {
    fn fits(&self, has: usize, entry: &str) -> bool {
        let room = if self.quick.contains(entry) { self.free } else { self.free.min(self.free_for_slow) };
        room > 0 && has < OF_ENTRY && has * SPARE < room
    }

    /// An entry has so many places more, or fewer.
    fn count(&mut self, entry: &str, by: isize) {
        self.free = self.free.saturating_add_signed(-by);
        if !self.quick.contains(entry) {
            self.free_for_slow = self.free_for_slow.saturating_add_signed(-by);
        }
    }

    /// An entry's last call was quick, or not: what it has counts for others now.
    fn learn(&mut self, entry: &Arc<str>, quick: bool) {
        let has = self.entries.get(entry).map_or(0, |share| share.has);
        if quick && self.quick.insert(entry.clone()) {
            self.free_for_slow += has;
        } else if !quick && self.quick.remove(entry) {
            self.free_for_slow = self.free_for_slow.saturating_sub(has);
        }
    }

    fn take(&mut self, entry: &str) -> Option<Arc<str>> {
        let has = self.entries.get(entry).map_or(0, |share| share.has);
        let first = self.entries.get(entry).is_none_or(|share| share.waiting.is_empty());
        if !first || !self.fits(has, entry) {
            return None;
        }
        self.count(entry, 1);
        if let Some((of, _)) = self.entries.get_key_value(entry) {
            let of = of.clone();
            self.entries.entry(of.clone()).or_default().has += 1;
            return Some(of);
        }
        let of: Arc<str> = entry.into();
        self.entries.insert(of.clone(), Share { has: 1, ..Share::default() });
        Some(of)
    }

    fn wait(&mut self, entry: &str) -> oneshot::Receiver<Place> {
        let (tell, turn) = oneshot::channel();
        let name = self.entries.get_key_value(entry).map_or_else(|| entry.into(), |(of, _)| of.clone());
        let share = self.entries.entry(name.clone()).or_default();
        if share.waiting.is_empty() {
            self.turn += 1;
            share.since = self.turn;
            self.waiting.insert((share.has, share.since, name));
        }
        share.waiting.push_back(tell);
        turn
    }

    /// One place is free again: who gets one now.
    fn give_back(&mut self, of: &Arc<str>, quick: Option<bool>) -> Vec<(Arc<str>, oneshot::Sender<Place>)> {
        if let Some(quick) = quick {
            self.learn(of, quick);
        }
        self.count(of, -1);
        self.change(of, |share| {
            share.has -= 1;
            None::<()>
        });
        let mut granted = Vec::new();
        while let Some((_, _, name)) = self.waiting.iter().find(|(has, _, name)| self.fits(*has, name)).cloned() {
            let waits = self.change(&name, |share| {
                share.has += 1;
                share.waiting.pop_front()
            });
            self.count(&name, 1);
            granted.extend(waits.map(|waits| (name, waits)));
        }
        granted
    }

    /// Changes an entry's share, and puts it where it belongs now.
    fn change<T>(&mut self, name: &Arc<str>, change: impl FnOnce(&mut Share) -> Option<T>) -> Option<T> {
        let share = self.entries.get_mut(name)?;
        self.waiting.remove(&(share.has, share.since, name.clone()));
        let made = change(share);
        if !share.waiting.is_empty() {
            self.turn += 1;
            share.since = self.turn;
            self.waiting.insert((share.has, share.since, name.clone()));
        } else if share.has == 0 {
            self.entries.remove(name);
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn now(places: &Arc<Places>, entry: &str) -> Option<Place> {
        places.take(entry).now_or_never().flatten()
    }

    fn free(places: &Places) -> (usize, usize) {
        let shares = places.shares();
        (shares.free, shares.free_for_slow)
    }

    /// As many as it gets without waiting.
    fn all(places: &Arc<Places>, entry: &str) -> Vec<Place> {
        std::iter::from_fn(|| now(places, entry)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_quick_finds_a_place_however_many_wait() {
        for hungry in [1, 8, 20, 60, 500] {
            let places = Places::new(128);
            drop(now(&places, "quick").unwrap());
            let held: Vec<_> = (0..hungry).map(|n| all(&places, &format!("hungry {n}"))).collect();
            assert_eq!(held[0].len(), OF_ENTRY);
            assert!(held.iter().map(Vec::len).sum::<usize>() <= 64);
            assert_eq!(all(&places, "quick").len(), OF_ENTRY, "{hungry}");
            // Of those that had no call yet each finds one as long as they are not many.
            assert_eq!(now(&places, "new").is_some(), hungry <= 8, "{hungry}");
            tokio::time::advance(2 * QUICK).await;
            drop(held);
            assert_eq!(free(&places), (128, 64), "{hungry}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_slow_shares_with_the_slow() {
        let places = Places::new(128);
        drop(now(&places, "a").unwrap());
        let held = all(&places, "a");
        assert_eq!((held.len(), free(&places)), (8, (120, 64)));
        tokio::time::advance(2 * QUICK).await;
        let mut held = held.into_iter();
        drop(held.next());
        assert_eq!(free(&places), (121, 57));
        drop(held);
        assert_eq!(free(&places), (128, 64));
    }

    #[tokio::test]
    async fn a_free_place_goes_to_who_has_the_fewest_and_then_in_turn() {
        let places = Places::new(2);
        // All of them are known to be quick.
        for entry in ["a", "b", "c", "d"] {
            drop(now(&places, entry).unwrap());
        }
        let (a, b) = (places.take("a").await.unwrap(), places.take("b").await.unwrap());
        let mut waiting = Vec::new();
        for (n, entry) in ["a", "c", "d", "c"].into_iter().enumerate() {
            let mut turn = places.take(entry).boxed();
            assert!((&mut turn).now_or_never().is_none());
            waiting.push((n, turn));
        }
        // Who gets the place that gets free now, and the place.
        let mut next = |free: Place| {
            drop(free);
            let got: Vec<_> = waiting.iter_mut().enumerate().filter_map(|(at, (n, turn))| Some((at, *n, turn.now_or_never()?.unwrap()))).collect();
            assert!(got.len() <= 1);
            got.into_iter().next().map(|(at, n, place)| {
                drop(waiting.remove(at));
                (n, place)
            })
        };
        let (first, place) = next(b).unwrap();
        let (second, place) = next(place).unwrap();
        let (third, place) = next(place).unwrap();
        assert_eq!([first, second, third], [1, 2, 3], "a has one already");
        assert!(next(place).is_none(), "what is free is not enough for a second of a");
        assert_eq!(next(a).unwrap().0, 0);
    }

    #[tokio::test]
    async fn everybody_who_waits_gets_a_place_in_the_end() {
        let places = Places::new(3);
        let worked = (0..200).map(|n| {
            let places = places.clone();
            async move {
                let _place = places.take(["a", "b", "c", "d"][n % 4]).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        futures_util::future::join_all(worked).await;
        let shares = places.shares();
        assert!(shares.free == 3 && shares.free_for_slow == 2 && shares.entries.is_empty() && shares.waiting.is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_its_place_to_the_next() {
        let places = Places::new(1);
        let held = places.take("a").await.unwrap();
        let mut given_up = places.take("b").boxed();
        assert!((&mut given_up).now_or_never().is_none());
        let mut next = places.take("c").boxed();
        assert!((&mut next).now_or_never().is_none());
        drop(given_up);
        drop(held);
        assert!(next.now_or_never().flatten().is_some());
    }
}
