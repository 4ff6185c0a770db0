//! Stages: pure curves.

use std::time::Duration;

/// A stretch of a ramp: from the level before it to `target`, in a straight line over `duration`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// How long it takes; zero is a jump.
    pub duration: Duration,
    /// The level at its end.
    pub target: u32,
}
