//! Stacks for scripts: mapped once, with a guard page, and used again by the next run that needs one.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use corosensei::stack::{DefaultStack, Stack, StackPointer};

/// How large a script's stack is. Only what a script touches becomes resident, about 24 KB.
pub const STACK_SIZE: usize = 256 * 1024;

/// What the guard keeps free below the script's frames, for native functions, which it can't check.
pub const STACK_RESERVE: usize = 32 * 1024;

/// How many stacks are unmapped in one go: some milliseconds' worth.
const UNMAPPED_AT_ONCE: usize = 1_000;

/// A worker's stacks.
#[derive(Default)]
pub struct StackPool {
    free: RefCell<Vec<DefaultStack>>,
    mapped: Cell<usize>,
    /// The most that were in use at one time since [`StackPool::trim`].
    peak: Cell<usize>,
}

impl StackPool {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Rc<Self> {
        Rc::new(Self::default())
    }

    /// A stack, which returns to the pool when it is dropped.
    ///
    /// # Errors
    /// When there is none and no more can be mapped (`vm.max_map_count` allows about 32,000).
    pub fn take(self: &Rc<Self>) -> io::Result<PooledStack> {
        let free = self.free.borrow_mut().pop();
        let stack = match free {
            Some(stack) => stack,
            None => {
                let stack = DefaultStack::new(STACK_SIZE)?;
                self.mapped.set(self.mapped.get() + 1);
                stack
            }
        };
        self.peak.set(self.peak.get().max(self.in_use()));
        Ok(PooledStack { stack: ManuallyDrop::new(stack), pool: self.clone() })
    }

    /// Unmaps half of the stacks that were not needed since the last call, as many virtual users may have gone for good; not
    /// too many at once, for meanwhile nobody runs.
    pub fn trim(&self) {
        let needed = self.peak.replace(self.in_use());
        let idle = (self.mapped.get().saturating_sub(needed) / 2).min(UNMAPPED_AT_ONCE);
        let mut free = self.free.borrow_mut();
        let kept = free.len().saturating_sub(idle);
        self.mapped.set(self.mapped.get() - (free.len() - kept));
        free.truncate(kept);
    }

    fn in_use(&self) -> usize {
        self.mapped.get() - self.free.borrow().len()
    }

    /// How many stacks are mapped.
    #[must_use]
    pub fn mapped(&self) -> usize {
        self.mapped.get()
    }
}

/// A stack of a [`StackPool`].
pub struct PooledStack {
    stack: ManuallyDrop<DefaultStack>,
    pool: Rc<StackPool>,
}

impl PooledStack {
    /// The address below which the guard stops a script.
    #[must_use]
    pub fn guarded_limit(&self) -> usize {
        self.stack.limit().get() + STACK_RESERVE
    }
}

impl Drop for PooledStack {
    fn drop(&mut self) {
        // SAFETY: the field is not used after this: the value is being dropped.
        let stack = unsafe { ManuallyDrop::take(&mut self.stack) };
        self.pool.free.borrow_mut().push(stack);
    }
}

// SAFETY: it hands on what `DefaultStack`, which fulfils the contract, says of itself; it never moves the memory.
unsafe impl Stack for PooledStack {
    fn base(&self) -> StackPointer {
        self.stack.base()
    }

    fn limit(&self) -> StackPointer {
        self.stack.limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_that_are_not_needed_any_more_are_unmapped_by_and_by() {
        let pool = StackPool::new();
        let take = |count: usize| (0..count).map(|_| pool.take().expect("a stack")).collect::<Vec<_>>();
        drop(take(100));
        // They were needed a moment ago.
        pool.trim();
        assert_eq!(pool.mapped(), 100);
        let mut held = take(20);
        for left in [60, 40, 30, 25, 23, 22, 21, 21] {
            pool.trim();
            assert_eq!(pool.mapped(), left);
        }
        held.extend(take(2));
        assert_eq!(pool.mapped(), 22, "what is free is used before more is mapped");
    }
}
