//! Multipart forms as scripts make them: fields, files, and parts with names and types of their own.

use std::rc::Rc;

use bytes::Bytes;
use rhai::{Array, Blob, Dynamic, EvalAltResult, ImmutableString, Map};

use super::request::{BodyKind, HttpBody, text};
use super::transfer;
use crate::net::body::Multipart;
use crate::net::generated::Generated;
use crate::script::context::HostContext;
use crate::script::error::host_error;

type ScriptResult<T> = Result<T, Box<EvalAltResult>>;

/// `http::multipart`: texts, blobs, files, parts, or arrays of them, by name; or `[name, value]` pairs in their order.
///
/// # Errors
/// When a field is none of these.
pub fn multipart(host: &HostContext, fields: &Dynamic) -> ScriptResult<HttpBody> {
    let mut form = Multipart::new(host.vu().rng.borrow_mut().u64(..));
    if let Some(fields) = fields.read_lock::<Map>() {
        for (name, value) in fields.iter() {
            field(&mut form, name, value)?;
        }
    } else if let Some(pairs) = fields.read_lock::<Array>() {
        for pair in pairs.iter() {
            let pair = pair.read_lock::<Array>();
            let named = match pair.as_deref().map(Vec::as_slice) {
                Some([name, value]) => name.clone().into_immutable_string().ok().map(|name| (name, value)),
                _ => None,
            };
            let (name, value) =
                named.ok_or_else(|| host_error("a form is a map, or an array of `[name, value]` pairs"))?;
            field(&mut form, &name, value)?;
        }
    } else {
        let found = fields.type_name();
        return Err(host_error(format!("a form is a map, or an array of `[name, value]` pairs; this is {found}")));
    }
    Ok(HttpBody(Rc::new(BodyKind::Multipart(Rc::new(form)))))
}

/// Adds a field to a form, or several of one name.
///
/// # Errors
/// When a form can't hold the value.
pub fn field(form: &mut Multipart, name: &str, value: &Dynamic) -> ScriptResult<()> {
    match value.read_lock::<Array>() {
        Some(values) => values.iter().try_for_each(|value| part(form, name, value, None, None)),
        None => part(form, name, value, None, None),
    }
}

fn part(
    form: &mut Multipart,
    name: &str,
    value: &Dynamic,
    file_name: Option<&str>,
    content_type: Option<&str>,
) -> ScriptResult<()> {
    let called = file_name.unwrap_or(name);
    if let Some(bytes) = value.read_lock::<Blob>() {
        form.bytes(name, called, content_type, Bytes::copy_from_slice(&bytes));
    } else if let Some(body) = value.read_lock::<HttpBody>() {
        match &*body.0 {
            BodyKind::File { path, content_type: own } => {
                form.file(name, path, file_name, content_type.or(own.as_deref()));
            }
            BodyKind::Bytes(bytes, own) => form.bytes(name, called, content_type.or(Some(own)), bytes.clone()),
            BodyKind::Generated(content) => form.generated(name, called, content_type, content.clone()),
            BodyKind::Part { content, file_name, content_type } => {
                return part(form, name, content, file_name.as_deref(), content_type.as_deref());
            }
            BodyKind::Multipart(_) => {
                return Err(host_error(format!("field `{name}`: a form can't hold a form")));
            }
        }
    } else if value.is_map() || value.is_array() || value.is_unit() {
        return Err(host_error(format!(
            "field `{name}` must be a text, a number, a blob, or made by `http::file`, `http::part` or `http::generated`; \
             this is {}",
            value.type_name()
        )));
    } else if file_name.is_some() || content_type.is_some() {
        let text = Bytes::from(value.to_string());
        form.bytes(name, called, content_type.or(Some("text/plain; charset=utf-8")), text);
    } else {
        form.text(name, &value.to_string());
    }
    Ok(())
}

/// `http::part`.
///
/// # Errors
/// When there is a setting other than `filename` and `content_type`.
pub fn named_part(content: Dynamic, settings: Map) -> ScriptResult<HttpBody> {
    let (mut file_name, mut content_type) = (None, None);
    for (name, value) in settings {
        match name.as_str() {
            "filename" => file_name = Some(text("filename", &value)?),
            "content_type" => content_type = Some(text("content_type", &value)?),
            other => return Err(host_error(format!("a part has `filename` and `content_type`, found `{other}`"))),
        }
    }
    let nested = content.read_lock::<HttpBody>().is_some_and(|body| matches!(&*body.0, BodyKind::Part { .. }));
    if nested {
        return Err(host_error("a part can't hold a part"));
    }
    Ok(HttpBody(Rc::new(BodyKind::Part { content, file_name, content_type })))
}

/// `http::generated`: so many bytes, of a pattern, or random ones that a seed decides (default: the virtual user's own).
///
/// # Errors
/// When the size or a setting is not what it must be.
pub fn generated(host: &HostContext, size: &Dynamic, settings: Map) -> ScriptResult<HttpBody> {
    let size = transfer::bytes("size", size)?;
    let (mut pattern, mut seed) = (None, None);
    for (name, value) in settings {
        match name.as_str() {
            "pattern" => {
                pattern = Some(match value.read_lock::<Blob>() {
                    Some(bytes) => bytes.to_vec(),
                    None => ImmutableString::as_str(&text("pattern", &value)?).as_bytes().to_vec(),
                });
            }
            "seed" => {
                let number = value.as_int();
                seed = Some(number.map_err(|_| super::request::wrong("seed", "a whole number", &value))?);
            }
            other => return Err(host_error(format!("a generated body has `pattern` or `seed`, found `{other}`"))),
        }
    }
    let content = match (pattern, seed) {
        (Some(_), Some(_)) => {
            return Err(host_error("a generated body has a `pattern` or a `seed`, not both: a pattern is not random"));
        }
        (Some(pattern), None) => Generated::pattern(size, &pattern),
        (None, Some(seed)) => Generated::random(size, seed as u64),
        (None, None) => Generated::random(size, host.vu().rng.borrow_mut().u64(..)),
    };
    Ok(HttpBody(Rc::new(BodyKind::Generated(Rc::new(content)))))
}
