//! The script host: Rhai journeys as virtual users.

pub mod bridge;
pub mod calls;
pub mod check;
pub mod context;
pub mod curves;
pub mod diagnosis;
pub mod engine;
pub mod error;
pub mod fixed;
pub mod host;
pub mod json_path;
pub mod json_query;
pub mod json_scan;
pub mod json_value;
pub mod lazy_json;
pub mod library;
pub mod load;
pub mod modules;
pub mod names;
pub mod reference;
pub mod rename;
pub mod series;
pub mod source;
pub mod tracer;
pub mod worker_cache;

#[cfg(test)]
mod tests;
