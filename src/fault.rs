//! What can go wrong with a request, as stable numeric classes, and whose side failed.
//!
//! The numbers follow k6's `error_code` where k6 has one, so that dashboards and scripts carry over. Scripts see the code
//! as `res.error_code`, the summary groups by it. Nothing here formats a particular error: that is the job of the layer
//! that saw it.

use serde::{Deserialize, Serialize};

/// Whose side a failure is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The system under test answered wrongly, or not at all.
    Target,
    /// Something between: name resolution, routing.
    Network,
    /// The journey: a script error, a bad URL, a wrong option.
    Script,
    /// loadr itself or the machine it runs on: file descriptors, ports, memory.
    Generator,
}

impl Side {
    /// The word that reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Network => "network",
            Self::Script => "script",
            Self::Generator => "generator",
        }
    }
}

/// A class of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The stable number.
    pub code: u32,
    /// Whose side failed.
    pub side: Side,
    /// What failed, as a lowercase fragment without the parts that differ from case to case.
    pub message: &'static str,
}
