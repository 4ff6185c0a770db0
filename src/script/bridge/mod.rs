//! The bridge between synchronous scripts and asynchronous work: a virtual user's script runs on a small stack of its
//! own, and a host function that has to wait hands a future to the task that drives it.
//!
//! * [`Run`] is that task's future. It resumes the script, polls what the script waits for on the worker's own stack,
//!   and resumes the script with the result. So a VU's stack holds script frames alone.
//! * [`wait`] is what host functions call. [`on_worker_stack`] runs deep native work on the worker's stack.
//! * [`guard`] keeps a script within its stack, its memory and its time; [`stack`] pools stacks; [`fault`] tells what
//!   the guard could not see.
//!
//! All `unsafe` of the crate is in this folder, but for the counting allocator in [`crate::memory`]. A run goes through these states:
//!
//! | state | leaves by |
//! | --- | --- |
//! | ready | resume -> running |
//! | running | `wait` -> waiting; time slice used up -> ready (after the other tasks); return, error or panic -> done |
//! | waiting | the future is ready -> running; cancelled -> running, with every host function failing from then on |
//! | done | - |
//!
//! Dropping a run that waits unwinds the script's stack, so that everything on it is dropped.
#![allow(unsafe_code, reason = "the one place where it is allowed: stack switching, and what guards it")]

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::{Context, Poll};

use corosensei::{Coroutine, CoroutineResult, Yielder};
use rhai::Dynamic;

use super::error::host_error;
use crate::vu::{Cancel, StopReason};

pub mod fault;
pub mod guard;
pub mod stack;

use guard::{Budget, Trip};
use stack::{PooledStack, StackPool};

type ScriptResult = Result<Dynamic, Box<rhai::EvalAltResult>>;
type DynFuture = dyn Future<Output = ()>;

/// What the driver tells a script that it resumes.
enum Resume {
    /// Go on.
    Go,
    /// What you waited for will not come: you are being stopped.
    Stop,
}

/// What a script tells the driver when it suspends.
enum Suspend {
    /// Poll this until it is ready. It lives on the script's stack, which stays as it is until the script is resumed.
    Wait(NonNull<DynFuture>),
    /// Let the other tasks run.
    Breathe,
}

type ScriptYielder = Yielder<Resume, Suspend>;

thread_local! {
    /// The yielder of the script that is running on this thread; null while none is.
    static CURRENT: Cell<*const ScriptYielder> = const { Cell::new(std::ptr::null()) };
}

/// That a host function can't wait any more: the script is being stopped, or there is no task to wait in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// The VU is being stopped.
    Stopped,
    /// The script runs where it may not wait: in its init.
    NoTask,
}

impl WaitError {
    /// The error that a host function gives to its script; `what` is what it could not do: `pause`, `make a request`.
    #[must_use]
    pub fn into_script_error(self, what: &str) -> Box<rhai::EvalAltResult> {
        match self {
            Self::Stopped => host_error("the virtual user is being stopped"),
            Self::NoTask => host_error(format!(
                "the top level of a script can't {what}: it runs before the load; do it in `setup` or in a journey"
            )),
        }
    }
}

/// Suspends the running script until a future is ready, and gives its output. The future is polled on the worker's
/// stack, but is stored on the script's: box what is large.
///
/// # Errors
/// [`WaitError::Stopped`] when the VU is being stopped, [`WaitError::NoTask`] in init.
pub fn wait<F: Future>(future: F) -> Result<F::Output, WaitError> {
    let yielder = CURRENT.get();
    if yielder.is_null() || guard::in_init() {
        return Err(WaitError::NoTask);
    }
    if guard::stopping() {
        return Err(WaitError::Stopped);
    }
    let mut output = None;
    let resumed = {
        let task = pin!(async { output = Some(future.await) });
        // SAFETY: the pointer is used by the driver only between this suspension and the next resume (or the unwinding
        // of this stack, which polls nothing). During that time this frame, and with it the future, stays where it is.
        let task: NonNull<DynFuture> = unsafe {
            let task: &mut (dyn Future<Output = ()> + '_) = task.get_unchecked_mut();
            std::mem::transmute::<NonNull<dyn Future<Output = ()> + '_>, NonNull<DynFuture>>(NonNull::from(task))
        };
        suspend(yielder, Suspend::Wait(task))
    };
    match resumed {
        Resume::Go => output.ok_or(WaitError::Stopped),
        Resume::Stop => Err(WaitError::Stopped),
    }
}

/// Lets the worker's other tasks run, when a script computes for long.
fn breathe() {
    let yielder = CURRENT.get();
    if !yielder.is_null() && !guard::in_init() {
        let _ = suspend(yielder, Suspend::Breathe);
    }
}

fn suspend(yielder: *const ScriptYielder, what: Suspend) -> Resume {
    // SAFETY: `CURRENT` holds the yielder of the coroutine whose stack we are on: `Run` sets it at each resume and
    // clears it whenever control leaves the coroutine, so it is alive, and it belongs to this stack.
    let resumed = unsafe { (*yielder).suspend(what) };
    CURRENT.set(yielder);
    resumed
}

/// Runs native work that may need a deep stack (parsing, regular expressions, compression) on the worker's own stack.
/// It must not call [`wait`].
pub fn on_worker_stack<T>(work: impl FnOnce() -> T) -> T {
    struct SameThread<T>(T);
    // SAFETY: nothing is sent anywhere: the closure runs on this very thread, only on another stack. corosensei asks
    // for `Send` so that the yielder can't be used from there; `CURRENT` is cleared, so `wait` refuses.
    unsafe impl<T> Send for SameThread<T> {}
    impl<T> SameThread<T> {
        fn into_inner(self) -> T {
            self.0
        }
    }

    let yielder = CURRENT.get();
    if yielder.is_null() {
        return work();
    }
    let work = SameThread(work);
    CURRENT.set(std::ptr::null());
    let limit = guard::suspend_stack_limit();
    // SAFETY: as in `suspend`: we are on this yielder's own stack.
    let outcome = unsafe { (*yielder).on_parent_stack(move || catch_unwind(AssertUnwindSafe(work.into_inner()))) };
    guard::restore_stack_limit(limit);
    CURRENT.set(yielder);
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// How a script's run ended.
#[derive(Debug)]
pub enum Ending {
    /// It returned, or ended with an error of its own.
    Returned(ScriptResult),
    /// It was ended for this reason; the error tells where, if it ended with one.
    Tripped(Trip, Option<Box<rhai::EvalAltResult>>),
    /// Native code in it panicked; the text is the panic's message.
    Panicked(String),
}

/// What a run needs from its VU: called whenever the script is about to run, and whenever it stops running.
pub trait Surroundings {
    /// Makes this VU the running one. Called before each resume.
    fn enter(&self);
    /// What the script may use.
    fn budget(&self) -> &Budget;
    /// Ends what the script waits for and what has stacks of its own: the script is to be ended. Called on the worker's stack.
    fn abandon(&self) {}
}

impl<S: Surroundings> Surroundings for &S {
    fn enter(&self) {
        (**self).enter();
    }

    fn budget(&self) -> &Budget {
        (**self).budget()
    }

    fn abandon(&self) {
        (**self).abandon();
    }
}

/// A script that runs, as a future: see the module's documentation.
pub struct Run<'a, S: Surroundings> {
    coroutine: Option<Coroutine<Resume, Suspend, ScriptResult, PooledStack>>,
    waiting: Option<NonNull<DynFuture>>,
    stack_limit: usize,
    surroundings: S,
    /// None for a part of a script: who runs the whole drops it.
    cancel: Option<&'a Cancel>,
    /// The script may borrow for `'a`; the coroutine hides it.
    borrows: PhantomData<&'a mut ()>,
}

impl<'a, S: Surroundings> Run<'a, S> {
    /// A run of `script`, which is called on a stack from the pool.
    ///
    /// # Errors
    /// When no stack could be mapped.
    pub fn new(
        pool: &Rc<StackPool>,
        surroundings: S,
        cancel: &'a Cancel,
        script: impl FnOnce() -> ScriptResult + 'a,
    ) -> std::io::Result<Self> {
        Self::build(pool, surroundings, Some(cancel), script)
    }

    /// A run of a part of a script, beside other parts, while the script itself waits for them. It is cancelled by dropping
    /// it, from the worker's stack; the budget stays the script's.
    ///
    /// # Errors
    /// When no stack could be mapped.
    pub fn of_part(
        pool: &Rc<StackPool>,
        surroundings: S,
        script: impl FnOnce() -> ScriptResult + 'a,
    ) -> std::io::Result<Self> {
        Self::build(pool, surroundings, None, script)
    }

    fn build(
        pool: &Rc<StackPool>,
        surroundings: S,
        cancel: Option<&'a Cancel>,
        script: impl FnOnce() -> ScriptResult + 'a,
    ) -> std::io::Result<Self> {
        let stack = pool.take()?;
        let stack_limit = stack.guarded_limit();
        let body = move |yielder: &ScriptYielder, _: Resume| {
            CURRENT.set(yielder);
            script()
        };
        // SAFETY: what `script` borrows lives for `'a`, and so does this value at most. It is never forgotten by this
        // module; a `Run` that is leaked leaks its stack with everything on it, and nothing polls it.
        let coroutine = unsafe { Coroutine::with_stack_unchecked(stack, body) };
        Ok(Self { coroutine: Some(coroutine), waiting: None, stack_limit, surroundings, cancel, borrows: PhantomData })
    }

    /// Runs the script for as long as it does not have to wait.
    fn resume(&mut self, how: Resume) -> Option<Ending> {
        let coroutine = self.coroutine.as_mut()?;
        self.surroundings.enter();
        let budget = self.surroundings.budget();
        guard::enter(budget, self.stack_limit);
        let resumed = catch_unwind(AssertUnwindSafe(|| coroutine.resume(how)));
        CURRENT.set(std::ptr::null());
        guard::leave(budget);
        match resumed {
            Ok(CoroutineResult::Yield(Suspend::Wait(future))) => {
                self.waiting = Some(future);
                budget.waited();
                None
            }
            Ok(CoroutineResult::Yield(Suspend::Breathe)) => None,
            Ok(CoroutineResult::Return(result)) => {
                self.coroutine = None;
                Some(match budget.trip() {
                    Some(trip) => Ending::Tripped(trip, result.err()),
                    None => Ending::Returned(result),
                })
            }
            Err(panic) => {
                self.coroutine = None;
                Some(Ending::Panicked(panic_message(&*panic)))
            }
        }
    }
}

impl<S: Surroundings + Unpin> Future for Run<'_, S> {
    type Output = Ending;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ending> {
        let run = self.get_mut();
        loop {
            let mut how = Resume::Go;
            let reason = run.cancel.and_then(Cancel::reason);
            if reason.is_some_and(|reason| run.surroundings.budget().stop(Trip::cancelled(reason))) {
                how = Resume::Stop;
                run.surroundings.abandon();
                run.waiting = None;
            } else if let Some(mut future) = run.waiting {
                // SAFETY: see `wait`: the future lives on the suspended script's stack, and nothing else uses it.
                if unsafe { Pin::new_unchecked(future.as_mut()) }.poll(context).is_pending() {
                    if let Some(cancel) = run.cancel {
                        cancel.register(context.waker());
                    }
                    return Poll::Pending;
                }
                run.waiting = None;
            }
            if let Some(ending) = run.resume(how) {
                return Poll::Ready(ending);
            }
            if run.waiting.is_none() {
                // The script used up its time slice: let the other tasks run.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}

impl<S: Surroundings> Drop for Run<'_, S> {
    fn drop(&mut self) {
        let Some(coroutine) = self.coroutine.take() else { return };
        // The stack is unwound from where the script waits. Script code that catches the unwinding (a comparer of
        // `sort`) would go on: it finds itself stopped.
        self.surroundings.abandon();
        self.surroundings.enter();
        let budget = self.surroundings.budget();
        let stopped = budget.stop(Trip::cancelled(StopReason::Aborted));
        guard::enter(budget, self.stack_limit);
        drop(coroutine);
        CURRENT.set(std::ptr::null());
        guard::leave(budget);
        if stopped && self.cancel.is_none() {
            // Only this part was to end.
            budget.go_on();
        }
    }
}

/// Runs a script that may not wait, to its end: an init.
pub fn run_now<S: Surroundings>(
    pool: &Rc<StackPool>,
    surroundings: &S,
    script: impl FnOnce() -> ScriptResult,
) -> Ending {
    let cancel = Cancel::new();
    let mut run = match Run::new(pool, surroundings, &cancel, script) {
        Ok(run) => run,
        Err(error) => return Ending::Panicked(format!("no stack for the script: {error}")),
    };
    let mut context = Context::from_waker(std::task::Waker::noop());
    loop {
        // Init never waits, so each poll makes progress.
        if let Poll::Ready(ending) = Pin::new(&mut run).poll(&mut context) {
            return ending;
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
