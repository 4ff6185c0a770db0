//! The parameters of a request about how bytes travel: what becomes of the response's body, and how long it may be.

use std::rc::Rc;
use std::str::FromStr as _;

use rhai::{Dynamic, EvalAltResult, ImmutableString};

use super::request::{text, wrong};
use crate::net;
use crate::net::intake::{Algorithm, Intake};
use crate::net::save::Destination;
use crate::plan::HttpOptions;
use crate::script::error::host_error;
use crate::units;

type ScriptResult<T> = Result<T, Box<EvalAltResult>>;

/// Applies one of these parameters.
///
/// # Errors
/// When its value is not what it must be.
#[inline(never)]
pub fn apply(name: &str, value: &Dynamic, options: &HttpOptions, request: &mut net::http::Request) -> ScriptResult<()> {
    match name {
        "discard_body" => {
            let discard = value.as_bool().map_err(|_| wrong("discard_body", "true or false", value))?;
            request.intake = Some(if discard { Intake::Discard } else { Intake::Keep });
        }
        "response" => {
            request.intake = Some(match &*text("response", value)? {
                "keep" => Intake::Keep,
                "discard" => Intake::Discard,
                _ => return Err(wrong("response", "`keep` or `discard`", value)),
            });
        }
        "save_to" => {
            let path = text("save_to", value)?;
            let destination = Destination::new(&options.save_dir, &path)
                .map_err(|error| host_error(format!("`save_to`: {error}")))?;
            request.intake = Some(Intake::Save(Rc::new(destination)));
        }
        "digest" => {
            let algorithm = text("digest", value)?;
            let wanted = || format!("one of {}", Algorithm::NAMES.map(|name| format!("`{name}`")).join(", "));
            let algorithm = Algorithm::from_str(&algorithm).map_err(|()| wrong("digest", &wanted(), value))?;
            request.digest = Some(algorithm);
        }
        "max_body" => request.max_body = Some(bytes("max_body", value)?),
        _ => {}
    }
    Ok(())
}

/// A number of bytes: a whole number, or a text such as `"5MB"`.
pub(super) fn bytes(name: &str, value: &Dynamic) -> ScriptResult<u64> {
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return units::parse_bytes(&text).map_err(|error| host_error(format!("`{name}`: {error}")));
    }
    let number = value.as_int().ok().and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| wrong(name, "a number of bytes from 0, or a text such as `5MB`", value))
}
