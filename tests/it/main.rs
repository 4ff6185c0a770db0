//! The integration tests: one binary, a module for each part of the contract.
//!
//! Most tests run the real `loadr` through [`harness`] and look at what a user sees: stdout, stderr, the exit code, the
//! exported summary. What arrived at the target is asked of the recording server in [`server`]. Nothing here asserts how
//! long something took.

mod bombs;
mod check;
mod check_group_metrics;
mod ci;
mod cli;
mod clients;
mod control;
mod data;
mod diagnostics;
mod examples;
mod export;
mod failures;
mod harness;
mod hostile;
mod http_debug;
mod httpbin;
mod identity;
mod journeys;
mod lifecycle;
mod names;
mod new;
mod nginx;
mod open;
mod options;
mod otlp;
mod page;
mod page_units;
mod parallel;
mod program;
mod prometheus;
mod proxies;
mod receivers;
mod rows;
mod samples;
mod scenarios;
mod scripts;
mod server;
mod session;
mod signals;
mod streams;
mod terminal;
mod texts;
mod thresholds;
mod tls;
mod trials;
mod uploads;
mod verdict;
mod watch;
mod wire;
