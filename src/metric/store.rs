//! The merged state of a run.

use std::sync::Arc;

/// Tags of a series, sorted by key.
pub type Tags = Vec<(Arc<str>, Arc<str>)>;
