//! The script host: Rhai journeys as virtual users.

pub mod context;
pub mod error;
pub mod json_path;
pub mod json_value;
pub mod lazy_json;
pub mod modules;
pub mod worker_cache;
