//! Counts what each thread has allocated, so that a script can be stopped before it takes the machine's memory.
//!
//! Rhai's own size limits walk the whole container at each change, which makes filling an array quadratic. Counting in
//! the allocator costs an addition. Memory that one thread allocates and another frees makes both counts drift:
//! [`disown`] takes the one large case, a worker's snapshots, out of the account.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::{fault, guard};

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator with an account for each thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One allocation of a script as large as this is checked before it is made.
const LARGE: usize = 1 << 20;

/// Bytes that this thread has allocated and not freed.
#[must_use]
pub fn live() -> i64 {
    LIVE.get()
}

/// Does work whose allocations will be freed by another thread, and leaves them out of this thread's account.
pub fn disown<T>(work: impl FnOnce() -> T) -> T {
    let before = LIVE.get();
    let value = work();
    LIVE.set(before);
    value
}

fn before_large(size: usize) {
    if size >= LARGE && guard::exceeds_memory(size) {
        fault::out_of_memory(size);
    }
}

// SAFETY: every call is handed to the system's allocator unchanged; counting touches a thread-local cell without a
// destructor, which never allocates.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        before_large(layout.size());
        LIVE.set(LIVE.get() + layout.size() as i64);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as i64);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        before_large(layout.size());
        LIVE.set(LIVE.get() + layout.size() as i64);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        before_large(size);
        LIVE.set(LIVE.get() + size as i64 - layout.size() as i64);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
