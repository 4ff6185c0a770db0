//! `/files`: uploads in pieces that can be resumed, in the two ways that are common.
//!
//! * tus 1.0 (with creation and termination): POST makes a file of a length and gives its address, PATCH adds a piece at an
//!   offset, HEAD tells how far it has come.
//! * PUT with `Content-Range: bytes 0-99/1000`: 308 with a `Range` of what is there until all of it is; `bytes */1000` asks.
//!
//! `?flaky=0.3` makes that share of pieces break off half way, with 503. Pieces are counted and hashed, and not kept.

use sha1::{Digest as _, Sha1};

use super::behaviour::hash;
use super::response::{JSON, Reply, Response, error_body};
use super::routes::Call;
use super::shop::{key_text, parse_key};

/// The version of tus that is spoken.
const TUS: &str = "1.0.0";

/// The media type of a piece.
const PIECE: &str = "application/offset+octet-stream";

/// The longest metadata that is remembered.
const METADATA_MAX: usize = 1024;

/// A file on its way.
#[derive(Clone, Debug)]
pub(super) struct File {
    length: u64,
    received: u64,
    sha1: Sha1,
    /// The share of pieces that break off.
    flaky: f64,
    metadata: String,
}

impl File {
    fn new(length: u64, flaky: f64, metadata: &str) -> Self {
        Self { length, received: 0, sha1: Sha1::new(), flaky, metadata: metadata.to_owned() }
    }

    fn is_whole(&self) -> bool {
        self.received == self.length
    }

    fn take(&mut self, piece: &[u8]) {
        self.received += piece.len() as u64;
        self.sha1.update(piece);
    }

    fn describe(&self) -> String {
        let sha1 = self.is_whole().then(|| hex::encode(self.sha1.clone().finalize()));
        serde_json::json!({
            "length": self.length, "offset": self.received, "complete": self.is_whole(), "sha1": sha1,
            "metadata": self.metadata,
        })
        .to_string()
    }
}

/// The share of pieces that are to break off, from the query.
fn flaky(call: &Call<'_>) -> Result<f64, String> {
    match call.request.query_number("flaky", 0.0f64)? {
        share if (0.0..=1.0).contains(&share) => Ok(share),
        share => Err(format!("`flaky` must be from 0 to 1, found {share}")),
    }
}

/// A header as a number.
fn number(call: &Call<'_>, name: &str) -> Option<u64> {
    let text = call.request.header(name);
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn speaks_tus(call: &Call<'_>) -> bool {
    call.request.header("tus-resumable") == TUS
}

fn tus_error(response: Response<'_>, status: u16, message: &str) -> Reply {
    response.begin(status).header("Tus-Resumable", TUS).header("Tus-Version", TUS).body(JSON, error_body(message))
}

/// `OPTIONS /files`: what of tus is spoken.
pub(super) fn options(call: &Call<'_>, response: Response<'_>) -> Reply {
    response
        .begin(204)
        .header("Tus-Resumable", TUS)
        .header("Tus-Version", TUS)
        .header("Tus-Extension", "creation,termination")
        .header("Tus-Max-Size", &call.shop.config.upload_max.to_string())
        .empty()
}

/// `POST /files`: a new file; `Upload-Length` says how long it will be.
pub(super) fn create(call: &Call<'_>, response: Response<'_>) -> Reply {
    if !speaks_tus(call) {
        return tus_error(response, 412, "`Tus-Resumable` must be 1.0.0");
    }
    let flaky = match flaky(call) {
        Ok(flaky) => flaky,
        Err(message) => return tus_error(response, 400, &message),
    };
    let Some(length) = number(call, "upload-length") else {
        return tus_error(response, 400, "`Upload-Length` must be the file's length in bytes");
    };
    let metadata = call.request.header("upload-metadata");
    if length > call.shop.config.upload_max || metadata.len() > METADATA_MAX {
        return tus_error(response, 413, &format!("at most {} bytes are taken", call.shop.config.upload_max));
    }
    let name = key_text(call.shop.dice.next());
    call.shop.files.insert(hash(name.as_bytes()), File::new(length, flaky, metadata));
    response.begin(201).header("Tus-Resumable", TUS).header("Location", &format!("/files/{name}")).empty()
}

/// `PATCH /files/{id}`: a piece, from where the file has come to.
pub(super) fn append(call: &Call<'_>, response: Response<'_>) -> Reply {
    if !speaks_tus(call) {
        return tus_error(response, 412, "`Tus-Resumable` must be 1.0.0");
    }
    if !call.request.media_type().eq_ignore_ascii_case(PIECE) {
        return tus_error(response, 415, &format!("`Content-Type` must be {PIECE}"));
    }
    let Some(offset) = number(call, "upload-offset") else {
        return tus_error(response, 400, "`Upload-Offset` must be a number of bytes");
    };
    let dice = call.shop.dice.fraction();
    let outcome = call.shop.files.with(hash(call.parameter.as_bytes()), |file| {
        if offset != file.received {
            return Err((409, format!("the file has come to {}, not to {offset}", file.received)));
        }
        if offset + call.body.len() as u64 > file.length {
            return Err((413, format!("the file was announced with {} bytes", file.length)));
        }
        if dice < file.flaky {
            file.take(&call.body[..call.body.len() / 2]);
            return Err((503, "this break was asked for (flaky)".to_owned()));
        }
        file.take(call.body);
        Ok(file.received)
    });
    match outcome {
        None => tus_error(response, 404, "there is no such file"),
        Some(Err((status, message))) => tus_error(response, status, &message),
        Some(Ok(received)) => {
            let begun = response.begin(204).header("Tus-Resumable", TUS);
            begun.header("Upload-Offset", &received.to_string()).empty()
        }
    }
}

/// `GET /files/{id}`, and HEAD: how far it has come; its hash when it is whole.
pub(super) fn show(call: &Call<'_>, response: Response<'_>) -> Reply {
    match call.shop.files.with(hash(call.parameter.as_bytes()), |file| file.clone()) {
        None => tus_error(response, 404, "there is no such file"),
        Some(file) => response
            .begin(200)
            .header("Tus-Resumable", TUS)
            .header("Cache-Control", "no-store")
            .header("Upload-Offset", &file.received.to_string())
            .header("Upload-Length", &file.length.to_string())
            .body(JSON, file.describe()),
    }
}

/// `DELETE /files/{id}`: forgets it.
pub(super) fn remove(call: &Call<'_>, response: Response<'_>) -> Reply {
    // Only what tus made has a name that was given here.
    let known = parse_key(call.parameter).and_then(|_| call.shop.files.remove(hash(call.parameter.as_bytes())));
    match known {
        Some(_) => response.begin(204).header("Tus-Resumable", TUS).empty(),
        None => tus_error(response, 404, "there is no such file"),
    }
}

/// A `Content-Range`: the piece's first byte and the one after its last, if it has any, and the whole length.
fn content_range(text: &str) -> Option<(Option<(u64, u64)>, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let total = total.parse().ok()?;
    if range == "*" {
        return Some((None, total));
    }
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let end = last.checked_add(1)?;
    (first < end && end <= total).then_some((Some((first, end)), total))
}

/// `PUT /files/{id}`: a piece at its range, or all of it where there is no range.
pub(super) fn put(call: &Call<'_>, response: Response<'_>) -> Reply {
    let flaky = match flaky(call) {
        Ok(flaky) => flaky,
        Err(message) => return response.error(400, &message),
    };
    let length = call.body.len() as u64;
    let (piece, total) = match call.request.header("content-range") {
        "" => (Some((0, length)), length),
        text => match content_range(text) {
            Some((piece, total)) if piece.is_none_or(|(first, end)| end - first == length) => (piece, total),
            _ => return response.error(400, "`Content-Range` must be `bytes FIRST-LAST/TOTAL` as long as the body"),
        },
    };
    if total > call.shop.config.upload_max {
        return response.error(413, &format!("at most {} bytes are taken", call.shop.config.upload_max));
    }
    let key = hash(call.parameter.as_bytes());
    // What begins at 0 begins anew.
    if piece.is_some_and(|(first, _)| first == 0) {
        call.shop.files.insert(key, File::new(total, flaky, ""));
    }
    let dice = call.shop.dice.fraction();
    let outcome = call.shop.files.with(key, |file| {
        if file.length != total {
            return Err((409, format!("the file was announced with {} bytes", file.length)));
        }
        let Some((first, _)) = piece else { return Ok(file.clone()) };
        if first != file.received {
            return Err((416, format!("the file has come to {}, not to {first}", file.received)));
        }
        if dice < file.flaky {
            file.take(&call.body[..call.body.len() / 2]);
            return Err((503, "this break was asked for (flaky)".to_owned()));
        }
        file.take(call.body);
        Ok(file.clone())
    });
    match outcome {
        None => response.error(404, "there is no such file"),
        Some(Err((status, message))) => response.error(status, &message),
        Some(Ok(file)) if file.is_whole() => response.json(201, file.describe()),
        Some(Ok(file)) => {
            let begun = response.begin(308);
            let begun = match file.received {
                0 => begun,
                received => begun.header("Range", &format!("bytes=0-{}", received - 1)),
            };
            begun.empty()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (text, range) in [
            ("bytes 0-99/1000", Some((Some((0, 100)), 1000))),
            ("bytes 900-999/1000", Some((Some((900, 1000)), 1000))),
            ("bytes */1000", Some((None, 1000))),
            ("bytes 0-1000/1000", None),
            ("bytes 5-4/1000", None),
            ("bytes 0-18446744073709551615/18446744073709551615", None),
            ("bytes 0-99/*", None),
            ("0-99/1000", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), range, "{text}");
        }
    }
}
