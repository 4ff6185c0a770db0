//! Host modules: what scripts can call. One file a module, one table of them all.
//!
//! Each module documents each of its functions in a [`FunctionDoc`] beside its registration; a test runs every example,
//! and `docs/scripting.md` is written from the same table.

use rhai::{Engine, EvalAltResult, FnCallExpr};

pub use self::natives::{Natives, define, define_for, publish, publish_everywhere};
use super::context::HostContext;

pub mod args;
pub mod argument;
pub mod assert;
pub mod check;
pub mod crypto;
pub mod data;
pub mod data_table;
pub mod duration;
pub mod fake;
pub mod global;
pub mod html;
pub mod http;
pub mod json;
pub mod jwt;
pub mod metrics;
pub mod natives;
pub mod parallel;
pub mod pause;
pub mod random;
pub mod regex;
#[cfg(test)]
mod tests;
pub mod time;
pub mod twins;
pub mod url;
pub mod vu;
pub mod xml;

/// What a host function returns: its value, or the error that its script sees.
pub type HostResult<T> = Result<T, Box<EvalAltResult>>;

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
    /// A script that shows it and throws when it does not hold: a test runs it. `assert_eq(actual, expected)` and
    /// `assert_error(function, part of its message)` exist in that test alone.
    pub example: &'static str,
}

impl FunctionDoc {
    /// The names in the signature, each as one writes it: `random::int`, `response.status`, `check`. Operators have none.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut depth = 0;
        let pieces = self.signature.split(move |c| {
            depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
            c == ',' && depth == 0
        });
        pieces.filter_map(|piece| {
            let piece = piece.trim_start();
            let end =
                piece.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '.'))).unwrap_or(piece.len());
            let (name, rest) = piece.split_at(end);
            let is_name = rest.starts_with('(')
                || name.contains("::")
                || name.split('.').filter(|part| !part.is_empty()).count() == 2;
            (is_name && !name.is_empty() && !name.contains("..")).then_some(name)
        })
    }
}

/// Every host module.
pub const TABLE: &[HostModule] = &[
    vu::MODULE,
    http::MODULE,
    http::CLIENTS,
    http::JARS,
    http::STREAMS,
    check::MODULE,
    pause::MODULE,
    parallel::MODULE,
    global::MODULE,
    assert::MODULE,
    metrics::MODULE,
    args::MODULE,
    crypto::MODULE,
    data::MODULE,
    duration::MODULE,
    fake::MODULE,
    html::MODULE,
    json::MODULE,
    jwt::MODULE,
    random::MODULE,
    regex::MODULE,
    time::MODULE,
    url::MODULE,
    xml::MODULE,
];

/// Which argument of a call may be a [`FixedMap`](super::fixed::FixedMap); none where the function takes none.
#[must_use]
pub fn fixed_argument(call: &FnCallExpr) -> Option<usize> {
    let last = call.args.len().checked_sub(1)?;
    let takes = match &*call.namespace.path {
        [] => call.name == "check" && last == 1,
        [module] if module.name == "http" => http::params_of(&call.name) == Some(last),
        _ => false,
    };
    takes.then_some(last)
}
