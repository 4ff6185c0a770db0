//! What host functions reach through: the worker's context, and in it the virtual user whose code is running.
//!
//! Host functions are registered once a worker and capture a [`HostContext`]. The bridge sets the running VU at each
//! resume, so that [`HostContext::vu`] is always the caller's. Init code, `setup` and `teardown` have a VU of their own,
//! number 0.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::modules::data::DataPool;

/// Which part of the script's life is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The top level: may read files and declare metrics, may not use the network.
    Init,
    /// `setup`.
    Setup,
    /// A journey, `vu_start` or `vu_stop`.
    Vu,
    /// `teardown`.
    Teardown,
}

/// What all workers of a run share.
#[derive(Debug)]
pub struct Shared {
    /// The directory of the script: what relative paths start from.
    pub base_dir: PathBuf,
    /// The seed of all random choices.
    pub seed: u64,
    /// Data files, read once.
    pub data: DataPool,
}

/// A virtual user, as host functions see it.
#[derive(Debug)]
pub struct VuContext {
    /// Its number in the run, from 1; 0 for init, setup and teardown.
    pub id: u32,
    /// Its iteration, from 0.
    pub iteration: Cell<u64>,
    /// The generator of its random choices; seeded anew at each iteration.
    pub rng: RefCell<fastrand::Rng>,
}

impl VuContext {
    /// The context of VU `id`, its random choices seeded for iteration 0.
    #[must_use]
    pub fn new(id: u32, seed: u64) -> Self {
        let vu = Self { id, iteration: Cell::new(0), rng: RefCell::new(fastrand::Rng::with_seed(0)) };
        vu.begin_iteration(seed, 0);
        vu
    }

    /// Seeds the random choices for an iteration: the same for the same run seed, VU and iteration.
    pub fn begin_iteration(&self, seed: u64, iteration: u64) {
        self.iteration.set(iteration);
        // SplitMix64's finaliser spreads neighbouring VUs and iterations over the whole seed space.
        let mut z = seed ^ u64::from(self.id).rotate_left(32) ^ iteration.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.rng.borrow_mut().seed(z ^ (z >> 31));
    }
}

struct Inner {
    shared: Arc<Shared>,
    phase: Cell<Phase>,
    vu: RefCell<Rc<VuContext>>,
}

/// A worker's handle for its host functions; cheap to clone.
#[derive(Clone)]
pub struct HostContext(Rc<Inner>);

impl HostContext {
    /// The context of a worker, at first in init.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        let vu = RefCell::new(Rc::new(VuContext::new(0, shared.seed)));
        Self(Rc::new(Inner { shared, phase: Cell::new(Phase::Init), vu }))
    }

    /// The VU whose code is running.
    #[must_use]
    pub fn vu(&self) -> Rc<VuContext> {
        self.0.vu.borrow().clone()
    }

    /// Which part of the script's life is running.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase.get()
    }

    /// What all workers share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// Sets the running VU and its phase; only the bridge calls it.
    pub(super) fn enter(&self, phase: Phase, vu: Rc<VuContext>) {
        self.0.phase.set(phase);
        *self.0.vu.borrow_mut() = vu;
    }
}
