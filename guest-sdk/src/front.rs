//! The places of the allocator's front: one after the other, of which only the last can be taken back or grow.

use std::alloc::Layout;
use std::cell::Cell;

/// Bytes of the front.
pub(crate) const FRONT: usize = 256 << 10;
/// What is large stays out of it: a buffer that grows would leave all its earlier places behind.
const LARGE: usize = 16 << 10;

/// How much of the front is taken. Places are counted in bytes from its beginning, which is aligned to 16.
pub(crate) struct Front(Cell<usize>);

impl Front {
    /// All of it free.
    pub(crate) const fn new() -> Self {
        Self(Cell::new(0))
    }

    /// A place for this; none if it belongs elsewhere.
    #[inline]
    pub(crate) fn take(&self, layout: Layout) -> Option<usize> {
        let at = (self.0.get() + layout.align() - 1) & !(layout.align() - 1);
        let fits = layout.size() <= LARGE && layout.align() <= 16 && at + layout.size() <= FRONT;
        fits.then(|| {
            self.0.set(at + layout.size());
            at
        })
    }

    /// Gives a place of this many bytes back.
    #[inline]
    pub(crate) fn give_back(&self, at: usize, size: usize) {
        if at + size == self.0.get() {
            self.0.set(at);
        }
    }

    /// Makes a place larger or smaller where it is, if that can be.
    #[inline]
    pub(crate) fn resize(&self, at: usize, size: usize, to: usize) -> bool {
        if at + size == self.0.get() && to <= LARGE && at + to <= FRONT {
            self.0.set(at + to);
            return true;
        }
        to <= size
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Take(usize, u32),
        GiveBack(usize),
        Resize(usize, usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let size = prop_oneof![4 => 1..200_usize, 1 => 1..20_000_usize];
        let step = prop_oneof![
            (size.clone(), 0..5_u32).prop_map(|(size, align)| Step::Take(size, align)),
            any::<usize>().prop_map(Step::GiveBack),
            (any::<usize>(), size).prop_map(|(which, to)| Step::Resize(which, to)),
        ];
        prop::collection::vec(step, 0..400)
    }

    proptest! {
        #[test]
        fn no_two_places_overlap(steps in steps()) {
            let front = Front::new();
            let mut taken: Vec<(usize, usize)> = Vec::new();
            for step in steps {
                match step {
                    Step::Take(size, align) => {
                        let layout = Layout::from_size_align(size, 1 << align).unwrap();
                        if let Some(at) = front.take(layout) {
                            prop_assert_eq!(at % layout.align(), 0);
                            taken.push((at, size));
                        }
                    }
                    Step::GiveBack(which) if !taken.is_empty() => {
                        let (at, size) = taken.swap_remove(which % taken.len());
                        front.give_back(at, size);
                    }
                    Step::Resize(which, to) if !taken.is_empty() => {
                        let which = which % taken.len();
                        let (at, size) = taken[which];
                        if front.resize(at, size, to) {
                            taken[which].1 = to;
                        }
                    }
                    _ => {}
                }
                let mut sorted = taken.clone();
                sorted.sort_unstable();
                prop_assert!(sorted.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{sorted:?}");
                prop_assert!(sorted.last().is_none_or(|(at, size)| at + size <= FRONT));
            }
        }
    }

    #[test]
    fn the_last_place_grows_and_is_taken_back() {
        let front = Front::new();
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        assert_eq!((front.take(layout(10)), front.take(layout(10))), (Some(0), Some(16)));
        assert!(!front.resize(0, 10, 11) && front.resize(16, 10, 100));
        front.give_back(16, 100);
        assert_eq!(front.take(layout(8)), Some(16));
        assert_eq!(front.take(layout(LARGE + 1)), None);
    }
}
