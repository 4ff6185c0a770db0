//! Exit codes: k6's numbers (97 to 110) for what k6 has, and one below them for what it does not have.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it should, and the run passed.
    Passed,
    /// Something that has no code of its own.
    Failed,
    /// The command line could not be understood.
    Usage,
    /// The run would have passed, but the generator shaped its result and was required to be healthy: it says nothing of
    /// the target, and is to be repeated on a better machine.
    Unhealthy,
    /// Thresholds failed, or the run failed by default: nothing worked.
    ThresholdsFailed,
    /// `setup` took too long.
    SetupTimeout,
    /// `teardown` took too long.
    TeardownTimeout,
    /// Options that make no sense, a script that can't be read, an output that can't be written.
    InvalidConfig,
    /// A signal ended it.
    Interrupted,
    /// The script failed in its init, in `setup` or in `teardown`, or took more memory than it may.
    ScriptError,
    /// The script asked for the end of the run.
    ScriptAborted,
}

impl Exit {
    /// All of them, by rising number.
    pub const ALL: &[Self] = &[
        Self::Passed,
        Self::Failed,
        Self::Usage,
        Self::Unhealthy,
        Self::ThresholdsFailed,
        Self::SetupTimeout,
        Self::TeardownTimeout,
        Self::InvalidConfig,
        Self::Interrupted,
        Self::ScriptError,
        Self::ScriptAborted,
    ];

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unhealthy => 96,
            Self::ThresholdsFailed => 99,
            Self::SetupTimeout => 100,
            Self::TeardownTimeout => 101,
            Self::InvalidConfig => 104,
            Self::Interrupted => 105,
            Self::ScriptError => 107,
            Self::ScriptAborted => 108,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
