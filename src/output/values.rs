//! Figures of metrics with the unit they are in, for terminals: [`crate::report::figures`], and names made safe.

use super::text;

pub use crate::report::figures::{Nature, base, contains, number, of_builtin};

/// A name or a selector made safe for a terminal.
#[must_use]
pub fn name(key: &str) -> String {
    text::clean(key).into_owned()
}
