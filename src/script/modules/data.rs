//! Data files, read once and shared by all VUs.

/// Data files of a run, by path.
#[derive(Debug, Default)]
pub struct DataPool {}
