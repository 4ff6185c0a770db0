//! Uploads: bodies that are checked and hashed as they come, and never held.
//!
//! The answer tells the client what arrived: fields, and of each file its name, content type, size and SHA-1. A client
//! may say beforehand what it is going to send (`?size=` in bytes of all files, `?sha1=` of the first); a difference is
//! refused, and so is a picture that does not begin like one.

use std::mem::MaybeUninit;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};

use super::body::Sink;
use super::multipart::{Event, Multipart, MultipartError, PartHead};
use super::request::{HEADERS_MAX, Request};
use super::response::{Refusal, error_body};
use super::stats::Events;

/// The most parts of an upload.
const PARTS_MAX: usize = 200;

/// The most bytes of all plain fields together.
const FIELDS_MAX: usize = 256 * 1024;

/// How pictures begin.
const SIGNATURES: [(&str, &[u8]); 4] = [
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff"),
    ("image/gif", b"GIF8"),
    ("image/webp", b"RIFF"),
];

/// How a body is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadKind {
    /// A form with files.
    Multipart,
    /// The body is the file.
    Raw,
}

impl From<MultipartError> for Refusal {
    fn from(error: MultipartError) -> Self {
        Self::new(400, error.to_string())
    }
}

/// An upload as it arrives.
pub(super) struct Upload {
    source: Source,
    received: Received,
    /// The most bytes of the body.
    limit: u64,
    bytes: u64,
    expected_size: Option<u64>,
    expected_sha1: Option<String>,
}

enum Source {
    Multipart(Box<Multipart>),
    Raw,
    /// The head already says that this cannot be.
    Refused(Refusal),
}

#[derive(Default)]
struct Received {
    fields: Map<String, Value>,
    fields_bytes: usize,
    files: Vec<File>,
    parts: usize,
    /// The part whose data is coming in: a field with its value so far, or the last of the files.
    field: Option<(String, Vec<u8>)>,
}

struct File {
    head: PartHead,
    size: u64,
    sha1: Sha1,
    beginning: Vec<u8>,
}

impl File {
    fn new(head: PartHead) -> Self {
        Self { head, size: 0, sha1: Sha1::new(), beginning: Vec::new() }
    }

    fn take(&mut self, data: &[u8]) {
        let missing = 8 - self.beginning.len();
        self.beginning.extend_from_slice(&data[..missing.min(data.len())]);
        self.size += data.len() as u64;
        self.sha1.update(data);
    }

    /// Whether it begins as its content type says; what is not known is believed.
    fn is_genuine(&self) -> bool {
        let media_type = self.head.content_type.split(';').next().unwrap_or_default().trim();
        let signature = SIGNATURES.iter().find(|(known, _)| media_type.eq_ignore_ascii_case(known));
        signature.is_none_or(|(_, signature)| self.beginning.starts_with(signature))
    }
}

impl Received {
    fn event(&mut self, event: Event<'_>) -> Result<(), Refusal> {
        match event {
            Event::Part(head) => {
                self.parts += 1;
                if self.parts > PARTS_MAX {
                    return Err(Refusal::new(400, format!("an upload has at most {PARTS_MAX} parts")));
                }
                match head.file_name {
                    Some(_) => self.files.push(File::new(head)),
                    None => self.field = Some((head.name, Vec::new())),
                }
            }
            Event::Data(data) => match (&mut self.field, self.files.last_mut()) {
                (Some((_, value)), _) => {
                    self.fields_bytes += data.len();
                    if self.fields_bytes > FIELDS_MAX {
                        return Err(Refusal::new(413, format!("the fields are longer than {FIELDS_MAX} bytes")));
                    }
                    value.extend_from_slice(data);
                }
                (None, Some(file)) => file.take(data),
                (None, None) => {}
            },
            Event::PartEnd => {
                if let Some((name, value)) = self.field.take() {
                    self.fields.insert(name, String::from_utf8_lossy(&value).into());
                }
            }
        }
        Ok(())
    }
}

impl Upload {
    /// An upload whose request has this head; at most `limit` bytes of body are taken.
    pub(super) fn new(kind: UploadKind, head: &[u8], limit: u64) -> Self {
        let mut storage = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut upload = Self {
            source: Source::Refused(Refusal::new(400, "the request is malformed")),
            received: Received::default(),
            limit,
            bytes: 0,
            expected_size: None,
            expected_sha1: None,
        };
        let Ok(Some((request, _))) = Request::parse(head, &mut storage) else { return upload };
        upload.expected_sha1 = request.query_value("sha1").map(|sha1| sha1.to_ascii_lowercase());
        upload.expected_size = match request.query_number("size", u64::MAX) {
            Ok(u64::MAX) => None,
            Ok(size) => Some(size),
            Err(message) => {
                upload.source = Source::Refused(Refusal::new(400, message));
                return upload;
            }
        };
        upload.source = match kind {
            UploadKind::Raw => {
                let head = PartHead { content_type: request.content_type.to_owned(), ..PartHead::default() };
                upload.received.files.push(File::new(head));
                Source::Raw
            }
            UploadKind::Multipart => match Multipart::new(request.content_type) {
                Some(parser) => Source::Multipart(Box::new(parser)),
                None => Source::Refused(Refusal::new(
                    415,
                    format!("expected `multipart/form-data` with a boundary, found `{}`", request.content_type),
                )),
            },
        };
        upload
    }

    /// The answer to a body that has come to its end: status and JSON.
    pub(super) fn finish(self, events: &Events) -> (u16, String) {
        match self.judge() {
            Ok((bytes, answer)) => {
                events.uploads.fetch_add(1, Ordering::Relaxed);
                events.upload_bytes.fetch_add(bytes, Ordering::Relaxed);
                (201, answer.to_string())
            }
            Err(refusal) => (refusal.status, error_body(&refusal.message)),
        }
    }

    fn judge(self) -> Result<(u64, Value), Refusal> {
        let raw = match self.source {
            Source::Refused(refusal) => return Err(refusal),
            Source::Multipart(parser) => {
                parser.finish()?;
                false
            }
            Source::Raw => true,
        };
        let Received { fields, files, .. } = self.received;
        if files.is_empty() {
            return Err(Refusal::new(400, "the form has no file".to_owned()));
        }
        if let Some(file) = files.iter().find(|file| !file.is_genuine()) {
            let PartHead { name, content_type, .. } = &file.head;
            return Err(Refusal::new(415, format!("`{name}` calls itself {content_type} but does not begin like it")));
        }
        let bytes: u64 = files.iter().map(|file| file.size).sum();
        let mut listed = Vec::with_capacity(files.len());
        for File { head, size, sha1, .. } in files {
            listed.push(json!({
                "field": head.name, "name": head.file_name, "content_type": head.content_type,
                "size": size, "sha1": hex::encode(sha1.finalize()),
            }));
        }
        if let Some(expected) = self.expected_size.filter(|expected| *expected != bytes) {
            return Err(Refusal::new(422, format!("expected {expected} bytes of files, found {bytes}")));
        }
        let first_sha1 = listed[0]["sha1"].as_str().unwrap_or_default();
        if let Some(expected) = self.expected_sha1.filter(|expected| expected != first_sha1) {
            return Err(Refusal::new(422, format!("expected a file with SHA-1 {expected}, found {first_sha1}")));
        }
        let answer = if raw {
            json!({ "size": bytes, "sha1": first_sha1, "content_type": listed[0]["content_type"] })
        } else {
            json!({ "fields": fields, "files": listed, "bytes": bytes })
        };
        Ok((bytes, answer))
    }
}

impl Sink for Upload {
    fn take(&mut self, data: &[u8]) -> Result<(), Refusal> {
        self.bytes += data.len() as u64;
        if self.bytes > self.limit {
            return Err(Refusal::new(413, format!("at most {} bytes are taken", self.limit)));
        }
        let Self { source, received, .. } = self;
        match source {
            Source::Refused(refusal) => Err(refusal.clone()),
            Source::Multipart(parser) => parser.feed(data, |event| received.event(event)),
            Source::Raw => received.event(Event::Data(data)),
        }
    }
}
