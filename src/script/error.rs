//! Errors of host functions and diagnostics of scripts.

use rhai::EvalAltResult;

/// The error that a host function gives to its script: a lowercase sentence that names what was wrong.
#[must_use]
pub fn host_error(message: impl Into<String>) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorRuntime(message.into().into(), rhai::Position::NONE))
}
