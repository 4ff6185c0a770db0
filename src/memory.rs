//! Counts what each thread has allocated, so that a script can be stopped before it takes the machine's memory.
//!
//! The allocator is mimalloc: it takes a tenth off the user CPU of a request against the C library's, for 3 KB more a VU.
//!
//! Rhai's own size limits walk the whole container at each change, which makes filling an array quadratic. Counting in
//! the allocator costs an addition. Memory that one thread allocates and another frees makes both accounts drift:
//! [`disown`] takes the one large case, a worker's snapshots, out of the account.
//!
//! A global allocator is `unsafe` to write: this file and `script/bridge` are the only places that allow it.
#![allow(unsafe_code, reason = "a global allocator can't be written without; every call is handed on unchanged")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use libmimalloc_sys as sys;
use mimalloc::MiMalloc as Below;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static LARGE_LIMIT: Cell<i64> = const { Cell::new(i64::MAX) };
    static ON_EXCEEDED: Cell<fn(usize)> = const { Cell::new(ignore) };
}

fn ignore(_size: usize) {}

/// An allocator with an account for each thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An allocation as large as this is checked before it is made.
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

/// Gives memory that this thread has freed back to the system. Takes some milliseconds where that is much.
pub fn give_back() {
    // SAFETY: it may be called at any time; it moves nothing that is in use.
    unsafe { sys::mi_collect(true) }
}

/// From now on, and until [`unwatch`], calls `on_exceeded` before a large allocation of this thread that would take
/// [`live`] beyond `limit`. It is called from within the allocator and so must not allocate; it may end the process.
pub fn watch(limit: i64, on_exceeded: fn(usize)) {
    LARGE_LIMIT.set(limit);
    ON_EXCEEDED.set(on_exceeded);
}

/// Ends what [`watch`] began.
pub fn unwatch() {
    LARGE_LIMIT.set(i64::MAX);
}

#[inline]
fn account(size: usize, freed: usize) {
    let live = LIVE.get() + size as i64 - freed as i64;
    if size >= LARGE && live > LARGE_LIMIT.get() {
        ON_EXCEEDED.get()(size);
    }
    LIVE.set(live);
}

/// Whether mimalloc places a block of this layout rightly without being told its alignment: all blocks larger than 8 bytes
/// stand on multiples of 16 (`MI_MAX_ALIGN_SIZE`). Its aligned calls look for a free block of just the right size first, and
/// take a larger one, at many times the cost, whenever the first one happens not to be free.
#[inline]
const fn placed(layout: Layout) -> bool {
    layout.align() <= 8 || (layout.align() == 16 && layout.size() > 8)
}

// SAFETY: every call is handed to the allocator below, with its alignment where that is not implied; what one of its
// functions allocates, any other may free. Counting touches thread-local cells without destructors, which never allocates.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        account(layout.size(), 0);
        if placed(layout) {
            // SAFETY: any size may be asked for.
            return unsafe { sys::mi_malloc(layout.size()) }.cast();
        }
        // SAFETY: the caller's contract is the allocator's below.
        unsafe { Below.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        account(0, layout.size());
        // SAFETY: the caller's contract is the allocator's below.
        unsafe { Below.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        account(layout.size(), 0);
        if placed(layout) {
            // SAFETY: any size may be asked for.
            return unsafe { sys::mi_zalloc(layout.size()) }.cast();
        }
        // SAFETY: the caller's contract is the allocator's below.
        unsafe { Below.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        account(size, layout.size());
        if placed(layout) && size > 8 {
            // SAFETY: the pointer is the allocator's, by the caller's contract.
            return unsafe { sys::mi_realloc(pointer.cast(), size) }.cast();
        }
        // SAFETY: the caller's contract is the allocator's below.
        unsafe { Below.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stand_where_their_layout_wants_them() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (1..200).chain([1_000, 1_032, 5_000, 70_000]) {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                let blocks: Vec<_> = (0..20)
                    .map(|_| {
                        // SAFETY: the layout's size is not zero.
                        let block = unsafe { ALLOCATOR.alloc(layout) };
                        // SAFETY: the block was allocated with this layout, and the new size is not zero.
                        unsafe { ALLOCATOR.realloc(block, layout, size + 24) }
                    })
                    .collect();
                let layout = Layout::from_size_align(size + 24, align).expect("a layout");
                for block in blocks {
                    assert_eq!(block.addr() % align, 0, "{size} bytes at a multiple of {align}");
                    // SAFETY: the block was reallocated to this layout.
                    unsafe { ALLOCATOR.dealloc(block, layout) };
                }
            }
        }
    }

    #[test]
    fn what_is_allocated_and_freed_is_counted() {
        let before = live();
        let text = vec![0_u8; 100_000];
        assert_eq!(live() - before, 100_000);
        drop(text);
        assert_eq!(live(), before);
        let kept = disown(|| vec![0_u8; 100_000]);
        assert_eq!(live(), before);
        std::thread::spawn(move || drop(kept)).join().expect("no panic");
    }
}
