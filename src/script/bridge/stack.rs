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

/// A worker's stacks.
#[derive(Default)]
pub struct StackPool {
    free: RefCell<Vec<DefaultStack>>,
    mapped: Cell<usize>,
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
        Ok(PooledStack { stack: ManuallyDrop::new(stack), pool: self.clone() })
    }

    /// How many stacks were ever mapped.
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
