//! What can be wrong with options. All errors of a run's options are found at once.

use super::layer::Source;
use crate::units::UnitError;

/// One thing that is wrong with the options. Its text says where it was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// There is no option, or no field of a scenario, of that name.
    #[error("unknown option `{path}` in {origin}{}", hint(.nearest.as_deref(), .known))]
    UnknownOption {
        /// The option, with the scenario it is in.
        path: String,
        /// Where it was given.
        origin: Source,
        /// The nearest name.
        nearest: Option<String>,
        /// The names there are, where they are few.
        known: String,
    },
    /// One source gives an option in both spellings.
    #[error("option `{path}` is given twice in {origin}, in two spellings")]
    Twice {
        /// The option.
        path: String,
        /// Where it was given.
        origin: Source,
    },
    /// It is of the wrong type.
    #[error("option `{path}` in {origin}: expected {expected}, found {found}")]
    Type {
        /// The option.
        path: String,
        /// Where it was given.
        origin: Source,
        /// What would have been right.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A duration, size or count can't be read.
    #[error("option `{path}` in {origin}: {error}")]
    Unit {
        /// The option.
        path: String,
        /// Where it was given.
        origin: Source,
        /// What is wrong with it.
        error: UnitError,
    },
    /// Its value makes no sense.
    #[error("option `{path}` in {origin}: {problem}")]
    Value {
        /// The option.
        path: String,
        /// Where it was given.
        origin: Source,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// Two options of one source contradict each other.
    #[error("options `{one}` and `{other}` in {origin} exclude each other: {why}")]
    Conflict {
        /// The one.
        one: String,
        /// The other.
        other: String,
        /// Where both were given.
        origin: Source,
        /// Why, and what to do.
        why: &'static str,
    },
    /// k6 has it, this version of loadr does not.
    #[error("{what} is not supported yet by this version of loadr (given in {origin})")]
    NotSupported {
        /// The option or executor.
        what: String,
        /// Where it was given.
        origin: Source,
    },
    /// A scenario lacks a field.
    #[error("scenario `{scenario}`: `{field}` is missing; expected {expected}")]
    Missing {
        /// The scenario.
        scenario: String,
        /// The field.
        field: &'static str,
        /// What is expected.
        expected: String,
    },
    /// No function of the script can be run as the journey.
    #[error("scenario `{scenario}`: {problem}")]
    Journey {
        /// The scenario.
        scenario: String,
        /// What is wrong, and which functions there are.
        problem: String,
    },
    /// The scenarios together make no run.
    #[error("{0}")]
    Load(String),
    /// An override does not fit the scenarios.
    #[error("{option} can't be applied: {problem}")]
    Override {
        /// The option as the user spelled it: `--vus`.
        option: String,
        /// Why, and what to do.
        problem: String,
    },
}

fn hint(nearest: Option<&str>, known: &str) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; expected one of {known}"),
    }
}

/// Names as a list: "`a`, `b`, `c`".
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
