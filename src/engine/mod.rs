//! (in the making)

pub mod collector;
