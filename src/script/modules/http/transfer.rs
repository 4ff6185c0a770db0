//! The parameters of a request about how bytes travel: how a body is sent, what becomes of the response's body, and how long it may be.

use std::rc::Rc;
use std::str::FromStr as _;

use ::http::header::{CONTENT_ENCODING, HeaderValue};
use rhai::{Dynamic, EvalAltResult, ImmutableString};

use super::request::{text, wrong};
use crate::net;
use crate::net::body::{Body, Packed};
use crate::net::intake::{Algorithm, Intake};
use crate::net::pack::{self, Coding};
use crate::net::save::Destination;
use crate::plan::{Bandwidth, HttpOptions};
use crate::script::bridge;
use crate::script::error::host_error;
use crate::units;

/// How many times a body may be compressed.
const CODINGS_MAX: usize = 4;

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
        "chunked" => request.chunked = value.as_bool().map_err(|_| wrong(name, "true or false", value))?,
        "expect_continue" => {
            request.expect_continue = value.as_bool().map_err(|_| wrong(name, "true or false", value))?;
        }
        "bandwidth" => {
            let given = rhai::serde::from_dynamic(value).map_err(|_| wrong(name, "a text such as `5MB/s`", value))?;
            let bandwidth = Bandwidth::read(&given).map_err(|error| host_error(format!("`bandwidth`: {error}")))?;
            request.bandwidth = Some(bandwidth);
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

/// How a body is to be compressed: `"gzip"`, or several, one after the other: `"gzip, br"`.
///
/// # Errors
/// When one of them is unknown, or there are more than any server undoes.
pub(super) fn codings(value: &Dynamic) -> ScriptResult<Vec<Coding>> {
    let wanted = || {
        let names = Coding::NAMES.map(|name| format!("`{name}`")).join(", ");
        wrong("compression", &format!("{names}, or up to {CODINGS_MAX} of them with commas between"), value)
    };
    let names = text("compression", value)?;
    let codings = names.split(',').map(|name| Coding::from_str(name.trim()).map_err(|()| wanted()));
    let codings = codings.collect::<ScriptResult<Vec<_>>>()?;
    if codings.len() > CODINGS_MAX { Err(wanted()) } else { Ok(codings) }
}

/// Compresses the body of a request: at once where it is at hand, else while it is sent.
pub(super) fn compress(codings: &[Coding], request: &mut net::http::Request) -> ScriptResult<()> {
    if codings.is_empty() {
        return Ok(());
    }
    request.body = match std::mem::take(&mut request.body) {
        Body::Empty => Body::Empty,
        Body::Bytes(bytes) => {
            let packed = bridge::on_worker_stack(|| pack::pack(codings, &bytes));
            let packed = packed.map_err(|error| host_error(format!("a body can't be compressed: {error}")))?;
            let names = codings.iter().map(|coding| coding.name()).collect::<Vec<_>>().join(", ");
            if let Ok(value) = HeaderValue::from_str(&names) {
                request.headers.insert(CONTENT_ENCODING, value);
            }
            Body::Bytes(packed.into())
        }
        body => Body::Packed(Rc::new(Packed { body, codings: codings.to_vec() })),
    };
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
