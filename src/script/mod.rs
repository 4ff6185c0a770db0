//! The script host: Rhai journeys as virtual users.

pub mod context;
pub mod error;
pub mod modules;
