//! What host functions accept where a script may give one of several types: a number (integer or float), data (text or
//! blob), a count. Errors name the function, the parameter, what was found and what was expected.

use rhai::{Dynamic, FLOAT, INT, ImmutableString};

use super::HostResult;
use crate::script::error::host_error;

/// The most bytes, characters or values that one call may ask for. More is a mistake, and would take the machine's memory.
pub const COUNT_MAX: usize = 64 * 1024 * 1024;

/// An integer or a float, as a float.
///
/// # Errors
/// When it is something else, or not a number, or infinite.
pub fn number(value: &Dynamic, function: &str, parameter: &str) -> HostResult<FLOAT> {
    let number = match (value.as_int(), value.as_float()) {
        (Ok(integer), _) => integer as FLOAT,
        (_, Ok(float)) => float,
        _ => return Err(expected(value, function, parameter, "a number")),
    };
    if number.is_finite() {
        Ok(number)
    } else {
        Err(host_error(format!("`{function}`: `{parameter}` must be a finite number, found `{number}`")))
    }
}

/// How many of something: an integer from 0 to [`COUNT_MAX`].
///
/// # Errors
/// When it is outside of that.
pub fn count(value: INT, function: &str, parameter: &str) -> HostResult<usize> {
    match usize::try_from(value) {
        Ok(count) if count <= COUNT_MAX => Ok(count),
        _ => Err(host_error(format!("`{function}`: `{parameter}` must be from 0 to {COUNT_MAX}, found `{value}`"))),
    }
}

/// The bytes of a text (as UTF-8) or blob.
#[derive(Debug)]
pub enum Data {
    /// Of a text.
    Text(ImmutableString),
    /// Of a blob.
    Blob(Vec<u8>),
}

impl Data {
    /// Takes them out of a script's value.
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_value(value: Dynamic, function: &str, parameter: &str) -> HostResult<Self> {
        if value.is_string() {
            Ok(Self::Text(value.cast()))
        } else if value.is_blob() {
            Ok(Self::Blob(value.cast()))
        } else {
            Err(expected(&value, function, parameter, "a string or a blob"))
        }
    }
}

impl AsRef<[u8]> for Data {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Blob(blob) => blob,
        }
    }
}

/// The error of a value of the wrong type.
#[must_use]
pub fn expected(value: &Dynamic, function: &str, parameter: &str, what: &str) -> Box<rhai::EvalAltResult> {
    let found = short_type_name(value);
    host_error(format!("`{function}`: `{parameter}` must be {what}, found a value of type `{found}`"))
}

/// A value's type in the words that scripts know.
#[must_use]
pub fn short_type_name(value: &Dynamic) -> &str {
    if value.is_int() {
        return "int";
    }
    if value.is_float() {
        return "float";
    }
    let name = value.type_name();
    name.rsplit("::").next().unwrap_or(name)
}
