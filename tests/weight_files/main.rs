//! Weight files: what is written is read again, by others too; what others write is read; and hostile bytes are refused with
//! what was expected and what was found, and no memory is taken at their word.

#![expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; this one measures and hands on to the system's"
)]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may panic like the test itself"
)]

mod elements;
mod file;
mod hostile;
mod models;
mod mutations;
mod on_disk;
mod pytorch;
mod states;
#[path = "../support/mod.rs"]
mod support;
#[cfg(unix)]
mod unix;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Keeps the size of the largest request of each thread.
struct Measuring;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn measure(size: usize) {
    // A thread that is being torn down has no cell any more, and nothing to prove.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every request goes to the system's allocator as it came, and the measurement does not allocate: it is a constant
// `Cell` without a destructor.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        measure(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        measure(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        measure(size);
        // SAFETY: the caller keeps the contract of `realloc`, which is the same; `memory` came from `System`.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same; `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Measuring = Measuring;

/// What the work gives, and the size in bytes of the largest allocation that this thread asked for meanwhile.
fn largest_request<T>(work: impl FnOnce() -> T) -> (T, usize) {
    LARGEST.set(0);
    let result = work();
    (result, LARGEST.get())
}

/// The largest allocation that reading a file may cost: a small multiple of its length, and room for the tests' small models,
/// the text of an error and the nodes of a map.
fn most_bytes(file: &[u8]) -> usize {
    16 * file.len() + 4096
}

#[test]
fn the_allocator_measures() {
    assert_eq!(largest_request(|| vec![0_u8; 12_345]).1, 12_345);
    assert_eq!(largest_request(|| 0).1, 0);
}
