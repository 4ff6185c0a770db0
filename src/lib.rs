//! loadr: a load-test engine. Journeys written in Rhai run across thousands of virtual users, and report numbers that
//! can be trusted.
//!
//! The map, lowest layer first. A module imports only from layers below its own; `tests/tidy.rs` enforces it.
//!
//! | layer | modules | what lives there |
//! | --- | --- | --- |
//! | 0 | [`units`], [`fault`], [`memory`] | std only: durations, rates, bytes; error classes and whose side failed; allocations counted |
//! | 1 | [`metric`] < [`plan`] | data and arithmetic: no IO, no tokio, no clock |
//! | 2 | [`event`], [`report`], [`vu`], [`trace`] | the contracts between the parts |
//! | 3 | [`net`] | protocol clients; plain values out |
//! | 4 | [`engine`], [`script`], [`output`], [`demo`] | never import each other |
//! | 5 | [`session`] | wiring of one run: the only place where layer 4 meets |
//! | 6 | [`cli`] | the user |

pub mod cli;
pub mod demo;
pub mod engine;
pub mod event;
pub mod fault;
pub mod memory;
pub mod metric;
pub mod net;
pub mod output;
pub mod plan;
pub mod report;
pub mod script;
pub mod session;
pub mod trace;
pub mod units;
pub mod vu;
