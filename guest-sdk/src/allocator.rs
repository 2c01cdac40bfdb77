//! The guest's allocator. Each call begins with a fresh memory: what it needs lies there from the start, because growing
//! a memory and shrinking it for the next call costs the host more than most calls compute. And most calls end before
//! they would need anything twice: the first allocations follow one another, and only the last is taken back.

use std::alloc::{GlobalAlloc, Layout};
use std::mem::MaybeUninit;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

use crate::front::{FRONT, Front};

/// Bytes that are there from the start for what comes after the front. Pages that no call touches cost nothing.
const ROOM: usize = 256 << 10;
/// Pages of 64 KiB that the memory grows by, if there are so many and no more are needed.
const STEP: usize = 8;
const PAGE: usize = 64 << 10;

#[repr(align(16))]
struct Begin([MaybeUninit<u8>; FRONT + ROOM]);

static mut BEGIN: Begin = Begin([MaybeUninit::uninit(); FRONT + ROOM]);

#[global_allocator]
static ALLOCATOR: Allocator = Allocator { front: Front::new(), rest: TalcSyncCell::new_wasm(Memory { begun: false }) };

struct Allocator {
    front: Front,
    rest: TalcSyncCell<Memory, WasmBinning>,
}

// SAFETY: a guest has one thread.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// Where a place of the front begins in it; none for what lies elsewhere.
    #[inline]
    fn in_front(place: *mut u8) -> Option<usize> {
        let at = (place as usize).wrapping_sub(&raw const BEGIN as usize);
        (at < FRONT).then_some(at)
    }
}

// SAFETY: places of the front lie in it, are aligned, and do not overlap; the rest is talc's.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the place is in the front; otherwise as the caller says.
        unsafe {
            match self.front.take(layout) {
                Some(at) => (&raw mut BEGIN.0).cast::<u8>().add(at),
                None => self.rest.alloc(layout),
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        match Self::in_front(place) {
            Some(at) => self.front.give_back(at, layout.size()),
            // SAFETY: it came from there.
            None => unsafe { self.rest.dealloc(place, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match Self::in_front(place) {
            // SAFETY: it came from there.
            None => unsafe { self.rest.realloc(place, layout, size) },
            Some(at) if self.front.resize(at, layout.size(), size) => place,
            // SAFETY: the new place is larger than the old one, and another.
            Some(at) => unsafe {
                let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                if !new.is_null() {
                    std::ptr::copy_nonoverlapping(place, new, layout.size());
                    self.front.give_back(at, layout.size());
                }
                new
            },
        }
    }
}

#[derive(Debug)]
struct Memory {
    begun: bool,
}

// SAFETY: `acquire` allocates nothing, and what it hands over was never handed over before.
unsafe impl Source for Memory {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if !talc.source.begun {
            talc.source.begun = true;
            // SAFETY: nobody else uses what comes after the front.
            return unsafe { talc.claim((&raw mut BEGIN.0).cast::<u8>().add(FRONT), ROOM) }.map(|_| ()).ok_or(());
        }
        // The allocator's own words about an allocation take less than a page.
        let needed = (layout.size() + layout.align()).div_ceil(PAGE) + 1;
        let (base, pages) = grow(needed.max(STEP)).map(|base| (base, needed.max(STEP))).or_else(|| grow(needed).map(|base| (base, needed))).ok_or(())?;
        // SAFETY: it has just been made.
        unsafe { talc.claim(base, pages * PAGE) }.map(|_| ()).ok_or(())
    }
}

/// Grows the memory and answers with where the new pages are.
fn grow(pages: usize) -> Option<*mut u8> {
    let before = core::arch::wasm32::memory_grow::<0>(pages);
    (before != usize::MAX).then(|| (before * PAGE) as *mut u8)
}
