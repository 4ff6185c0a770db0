//! The merged state of a run.
