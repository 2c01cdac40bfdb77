//! Using things up.

use std::hint::black_box;

/// Computes for ever.
pub fn spin() -> ! {
    loop {
        black_box(0);
    }
}

/// Uses the stack up.
#[allow(unconditional_recursion)]
pub fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + black_box(frame)[0]
}

/// Uses memory up, a MiB at a time, every page of it written.
pub fn memory() -> ! {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(black_box(vec![1; 1 << 20]));
    }
}

/// Traps.
pub fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    panic!("a trap")
}

/// Bytes that are no UTF-8, as a text: the host must refuse them where they cross.
pub fn not_utf8() -> String {
    // SAFETY: nothing here reads it as text.
    unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, 0xfe, b'z']) }
}
