//! Host modules: what scripts can call. One file a module, one table of them all.
//!
//! Each module documents each of its functions in a [`FunctionDoc`] beside its registration; a test runs every example,
//! and `docs/scripting.md` is written from the same table.

use rhai::Engine;

use super::context::HostContext;

pub mod data;

/// A host module.
pub struct HostModule {
    /// Its namespace, or an empty string for global functions.
    pub name: &'static str,
    /// What it is for, in one sentence.
    pub summary: &'static str,
    /// Its functions and properties.
    pub docs: &'static [FunctionDoc],
    /// Registers it.
    pub register: fn(&mut Engine, &HostContext),
}

/// The documentation of one function, method or property that scripts see.
pub struct FunctionDoc {
    /// As one writes it: `random::int(min, max) -> int`, `response.status -> int`.
    pub signature: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Parameters: name and meaning.
    pub parameters: &'static [(&'static str, &'static str)],
    /// When it throws; empty when it never does.
    pub errors: &'static str,
    /// A script that shows it and throws when it does not hold: a test runs it.
    pub example: &'static str,
}

/// Every host module.
pub const TABLE: &[HostModule] = &[];
