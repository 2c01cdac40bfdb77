//! The guest's allocator. Each call begins with a fresh memory: what it needs lies there from the start, because growing
//! a memory and shrinking it for the next call costs the host more than most calls compute.

use std::alloc::Layout;
use std::mem::MaybeUninit;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

/// Bytes that are there from the start. Pages that no call touches cost nothing.
const ROOM: usize = 512 << 10;
/// Pages of 64 KiB that the memory grows by, if there are so many and no more are needed.
const STEP: usize = 8;
const PAGE: usize = 64 << 10;

static mut FIRST: [MaybeUninit<u8>; ROOM] = [MaybeUninit::uninit(); ROOM];

#[global_allocator]
static ALLOCATOR: TalcSyncCell<Memory, WasmBinning> = TalcSyncCell::new_wasm(Memory { begun: false });

#[derive(Debug)]
struct Memory {
    begun: bool,
}

// SAFETY: `acquire` allocates nothing, and what it hands over was never handed over before.
unsafe impl Source for Memory {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if !talc.source.begun {
            talc.source.begun = true;
            // SAFETY: nobody else uses it.
            return unsafe { talc.claim((&raw mut FIRST).cast(), ROOM) }.map(|_| ()).ok_or(());
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
