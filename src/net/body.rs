//! What a request carries: nothing, bytes, a file, what is made on the way, or a multipart form of these.
//!
//! A [`Body`] is a recipe and can be sent any number of times (redirects, a retry); files are opened when it is sent and
//! read in chunks, never as a whole. The length is known beforehand, but for one that is compressed while it is sent.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use ::http::HeaderValue;
use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use super::NetError;
use super::generated::Generated;
use super::pack::{self, Coding, Packer};
use crate::fault::Fault;

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A request's body.
#[derive(Clone, Debug, Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// A form with files.
    Multipart(Rc<Multipart>),
    /// A file, as it is on disk when the request is made.
    File(Rc<Path>),
    /// Bytes that are made while they are sent.
    Generated(Rc<Generated>),
    /// A body that is compressed while it is sent.
    Packed(Rc<Packed>),
}

/// A body, and how it is compressed.
#[derive(Debug)]
pub struct Packed {
    /// What is compressed.
    pub body: Body,
    /// By what, one after the other.
    pub codings: Vec<Coding>,
}

impl Body {
    /// The `Content-Type` that comes with the body; none where the caller has to know.
    pub(super) fn content_type(&self) -> Option<HeaderValue> {
        match self {
            Self::Multipart(form) => HeaderValue::from_str(&form.content_type()).ok(),
            Self::Packed(packed) => packed.body.content_type(),
            Self::Empty | Self::Bytes(_) | Self::File(_) | Self::Generated(_) => None,
        }
    }

    /// The `Content-Encoding` that comes with the body.
    pub(super) fn content_encoding(&self) -> Option<HeaderValue> {
        match self {
            Self::Packed(packed) => HeaderValue::from_str(&pack::content_encoding(&packed.codings)).ok(),
            _ => None,
        }
    }

    /// Whether its content type is its own, and no other may be given.
    pub(super) fn is_form(&self) -> bool {
        match self {
            Self::Packed(packed) => packed.body.is_form(),
            body => matches!(body, Self::Multipart(_)),
        }
    }

    /// Whether it has to be opened to be sent.
    pub(super) fn is_streamed(&self) -> bool {
        !matches!(self, Self::Empty | Self::Bytes(_))
    }

    /// A body that is not streamed, ready to send.
    pub(super) fn ready(&self) -> Outgoing {
        match self {
            Self::Bytes(bytes) if !bytes.is_empty() => Outgoing::Bytes(bytes.clone()),
            _ => Outgoing::Empty,
        }
    }

    /// Opens its files, and what else it needs.
    pub(super) async fn open(&self) -> Result<Outgoing, NetError> {
        let mut parts = Parts::default();
        match self {
            Self::Empty | Self::Bytes(_) => return Ok(self.ready()),
            Self::File(path) => parts.push_file(path).await?,
            Self::Generated(generated) => parts.push_generated(generated.clone()),
            Self::Packed(packed) => {
                let inner = Box::pin(packed.body.open()).await?;
                let packer = Packer::new(&packed.codings).map_err(|error| NetError {
                    fault: Fault::NO_MEMORY,
                    detail: format!("can't compress: {error}"),
                })?;
                return Ok(Outgoing::Packed(Box::new(Packing { inner, packer: Some(packer), rest: false })));
            }
            Self::Multipart(form) => {
                for segment in &form.segments {
                    match segment {
                        Segment::Bytes(bytes) => parts.push_bytes(bytes.clone()),
                        Segment::File(path) => parts.push_file(path).await?,
                        Segment::Generated(generated) => parts.push_generated(generated.clone()),
                    }
                }
                parts.push_bytes(form.closing());
            }
        }
        Ok(Outgoing::Parts(Box::new(parts)))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

#[derive(Clone, Debug)]
enum Segment {
    Bytes(Bytes),
    File(PathBuf),
    Generated(Rc<Generated>),
}

/// A `multipart/form-data` form (RFC 7578), its parts in the order in which they were added.
#[derive(Clone, Debug)]
pub struct Multipart {
    boundary: Box<str>,
    segments: Vec<Segment>,
    /// Whether the last segment lacks the line break that ends a part.
    open: bool,
}

impl Multipart {
    /// An empty form. The boundary comes from the seed: the same seed gives the same bytes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let boundary = format!("loadr-{:016x}{:016x}", rng.u64(..), rng.u64(..));
        Self { boundary: boundary.into(), segments: Vec::new(), open: false }
    }

    /// Adds a text field.
    pub fn text(&mut self, name: &str, value: &str) {
        let mut head = self.head(name, None, None);
        head.push_str(value);
        self.segments.push(Segment::Bytes(head.into()));
        self.open = true;
    }

    /// Adds a file whose content is at hand. Without a content type, the file name's ending decides.
    pub fn bytes(&mut self, name: &str, file_name: &str, content_type: Option<&str>, content: Bytes) {
        let head = self.head(name, Some(file_name), Some(&content_type_of(file_name, content_type)));
        self.segments.push(Segment::Bytes(head.into()));
        self.segments.push(Segment::Bytes(content));
        self.open = true;
    }

    /// Adds a file from disk, read each time the form is sent. Without a file name, its own is given; without a content
    /// type, the name's ending decides.
    pub fn file(&mut self, name: &str, path: &Path, file_name: Option<&str>, content_type: Option<&str>) {
        let own = path.file_name().map(|own| own.to_string_lossy());
        let file_name = file_name.or(own.as_deref()).unwrap_or("file");
        let head = self.head(name, Some(file_name), Some(&content_type_of(file_name, content_type)));
        self.segments.push(Segment::Bytes(head.into()));
        self.segments.push(Segment::File(path.to_owned()));
        self.open = true;
    }

    /// Adds a file that is made while it is sent.
    pub fn generated(&mut self, name: &str, file_name: &str, content_type: Option<&str>, content: Rc<Generated>) {
        let head = self.head(name, Some(file_name), Some(&content_type_of(file_name, content_type)));
        self.segments.push(Segment::Bytes(head.into()));
        self.segments.push(Segment::Generated(content));
        self.open = true;
    }

    /// `multipart/form-data; boundary=...`.
    #[must_use]
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    fn head(&self, name: &str, file_name: Option<&str>, content_type: Option<&str>) -> String {
        let before = if self.open { "\r\n" } else { "" };
        let mut head = format!("{before}--{}\r\nContent-Disposition: form-data; name=\"", self.boundary);
        push_quoted(&mut head, name);
        head.push('"');
        if let Some(file_name) = file_name {
            head.push_str("; filename=\"");
            push_quoted(&mut head, file_name);
            head.push('"');
        }
        if let Some(content_type) = content_type {
            // A line break would begin a header of its own.
            let clean: String = content_type.chars().filter(|c| !c.is_control()).collect();
            let _ = write!(head, "\r\nContent-Type: {clean}");
        }
        head.push_str("\r\n\r\n");
        head
    }

    fn closing(&self) -> Bytes {
        let before = if self.open { "\r\n" } else { "" };
        format!("{before}--{}--\r\n", self.boundary).into()
    }
}

/// Quotes and line breaks as browsers write them in a field name.
fn push_quoted(into: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => into.push_str("%22"),
            '\r' => into.push_str("%0D"),
            '\n' => into.push_str("%0A"),
            _ => into.push(c),
        }
    }
}

fn content_type_of(file_name: &str, given: Option<&str>) -> String {
    match given {
        Some(given) => given.to_owned(),
        None => mime_guess::from_path(file_name).first_or_octet_stream().to_string(),
    }
}

/// A body on its way.
#[derive(Debug)]
pub(super) enum Outgoing {
    Empty,
    Bytes(Bytes),
    Parts(Box<Parts>),
    Packed(Box<Packing>),
}

/// A body that is being compressed.
#[derive(Debug)]
pub(super) struct Packing {
    inner: Outgoing,
    /// None at the end.
    packer: Option<Packer>,
    /// Whether the worker's other tasks are to have their turn first.
    rest: bool,
}

impl Packing {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        // Compression takes a while, and a fast target would take piece after piece.
        if std::mem::take(&mut self.rest) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(packer) = &mut self.packer else { return Poll::Ready(None) };
        let packed = match ready!(self.inner.poll_chunk(cx)).transpose()? {
            Some(piece) => packer.push(&piece)?,
            None => match self.packer.take() {
                Some(packer) => packer.finish()?,
                None => Vec::new(),
            },
        };
        self.rest = true;
        // An empty piece says that there may be more.
        Poll::Ready(Some(Ok(packed.into())))
    }
}

/// Bytes and open files, one after the other.
#[derive(Debug, Default)]
pub(super) struct Parts {
    queue: VecDeque<Piece>,
    left: u64,
    chunk: Vec<u8>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    File { file: tokio::fs::File, path: PathBuf, left: u64 },
    Generated { content: Rc<Generated>, at: u64 },
}

impl Parts {
    fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.left += bytes.len() as u64;
            self.queue.push_back(Piece::Bytes(bytes));
        }
    }

    fn push_generated(&mut self, content: Rc<Generated>) {
        if content.size() > 0 {
            self.left += content.size();
            self.queue.push_back(Piece::Generated { content, at: 0 });
        }
    }

    async fn push_file(&mut self, path: &Path) -> Result<(), NetError> {
        let unreadable = |error: io::Error| {
            let fault = error.raw_os_error().and_then(super::classify::exhausted).unwrap_or(Fault::BODY_FILE);
            NetError { fault, detail: format!("file `{}` to send can't be read: {error}", path.display()) }
        };
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let metadata = file.metadata().await.map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        if metadata.len() > 0 {
            self.left += metadata.len();
            self.queue.push_back(Piece::File { file, path: path.to_owned(), left: metadata.len() });
        }
        Ok(())
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let chunk = match self.queue.front_mut() {
            None => return Poll::Ready(None),
            Some(Piece::Bytes(bytes)) => std::mem::take(bytes),
            Some(Piece::Generated { content, at }) => {
                let chunk = content.piece(*at);
                *at += chunk.len() as u64;
                if *at < content.size() {
                    self.left -= chunk.len() as u64;
                    return Poll::Ready(Some(Ok(chunk)));
                }
                chunk
            }
            Some(Piece::File { file, path, left }) => {
                let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
                self.chunk.resize(wanted, 0);
                let mut buf = ReadBuf::new(&mut self.chunk);
                if let Err(error) = ready!(Pin::new(file).poll_read(cx, &mut buf)) {
                    let text = format!("file `{}` to send can't be read: {error}", path.display());
                    return Poll::Ready(Some(Err(io::Error::new(error.kind(), text))));
                }
                let read = buf.filled().len();
                if read == 0 {
                    let text = format!("file `{}` became {left} bytes shorter while it was sent", path.display());
                    return Poll::Ready(Some(Err(io::Error::other(text))));
                }
                self.chunk.truncate(read);
                *left -= read as u64;
                let chunk = Bytes::from(std::mem::take(&mut self.chunk));
                if *left > 0 {
                    self.left -= chunk.len() as u64;
                    return Poll::Ready(Some(Ok(chunk)));
                }
                chunk
            }
        };
        self.queue.pop_front();
        self.left -= chunk.len() as u64;
        Poll::Ready(Some(Ok(chunk)))
    }
}

impl Outgoing {
    /// The next piece, none at the end; empty where nothing is ready yet, and more may come at once.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match std::mem::replace(self, Self::Empty) {
            Self::Empty => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(bytes))),
            Self::Parts(mut parts) => {
                let chunk = parts.poll_chunk(cx);
                *self = Self::Parts(parts);
                chunk
            }
            Self::Packed(mut packing) => {
                let chunk = packing.poll_chunk(cx);
                *self = Self::Packed(packing);
                chunk
            }
        }
    }

    /// How many bytes are still to come; none where that shows only at the end.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Parts(parts) => Some(parts.left),
            Self::Packed(_) => None,
        }
    }

    /// Whether nothing is still to come.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Packed(packing) => packing.packer.is_none(),
            body => body.length() == Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(outgoing: &mut Outgoing) -> Option<io::Result<Bytes>> {
        std::future::poll_fn(|cx| outgoing.poll_chunk(cx)).await
    }

    async fn sent(body: &Body) -> Result<String, NetError> {
        let mut outgoing = body.open().await?;
        let length = outgoing.length().unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = next(&mut outgoing).await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        assert_eq!((bytes.len() as u64, outgoing.length()), (length, Some(0)), "the length is told before");
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[tokio::test]
    async fn a_form_is_written_as_browsers_write_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cat.jpg");
        std::fs::write(&path, "meow").unwrap();
        let mut form = Multipart::new(7);
        form.text("title", "my \"cat\"");
        form.file("pho\"to", &path, None, None);
        form.bytes("note", "a\r\nb.txt", Some("text/plain; charset=utf-8\r\nX: y"), Bytes::from_static(b"hello"));
        form.bytes("empty", "empty.bin", None, Bytes::new());
        let boundary = form.content_type().split_once("boundary=").unwrap().1.to_owned();
        let body = Body::Multipart(Rc::new(form));
        let expected = [
            "--B",
            "Content-Disposition: form-data; name=\"title\"",
            "",
            "my \"cat\"",
            "--B",
            "Content-Disposition: form-data; name=\"pho%22to\"; filename=\"cat.jpg\"",
            "Content-Type: image/jpeg",
            "",
            "meow",
            "--B",
            "Content-Disposition: form-data; name=\"note\"; filename=\"a%0D%0Ab.txt\"",
            "Content-Type: text/plain; charset=utf-8X: y",
            "",
            "hello",
            "--B",
            "Content-Disposition: form-data; name=\"empty\"; filename=\"empty.bin\"",
            "Content-Type: application/octet-stream",
            "",
            "",
            "--B--",
            "",
        ]
        .join("\r\n");
        // A body can be sent again, and is the same.
        for _ in 0..2 {
            assert_eq!(sent(&body).await.unwrap().replace(&boundary, "B"), expected);
        }
    }

    #[tokio::test]
    async fn an_empty_form_is_only_its_end() {
        let form = Multipart::new(1);
        let expected = format!("--{}--\r\n", form.boundary);
        assert_eq!(sent(&Body::Multipart(Rc::new(form))).await.unwrap(), expected);
    }

    #[test]
    fn the_seed_decides_the_boundary() {
        assert_eq!(Multipart::new(1).content_type(), Multipart::new(1).content_type());
        assert_ne!(Multipart::new(1).content_type(), Multipart::new(2).content_type());
    }

    #[tokio::test]
    async fn a_file_is_read_in_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big.bin");
        let content = "0123456789".repeat(CHUNK_BYTES / 4);
        std::fs::write(&path, &content).unwrap();
        let body = Body::File(path.into());
        let mut outgoing = body.open().await.unwrap();
        let first = next(&mut outgoing).await.unwrap().unwrap();
        assert!(first.len() <= CHUNK_BYTES);
        assert_eq!(sent(&body).await.unwrap(), content);
    }

    #[tokio::test]
    async fn a_file_that_changes_while_it_is_sent_keeps_its_length_or_fails() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.txt");
        std::fs::write(&path, "hello").unwrap();
        let body = Body::File(path.clone().into());
        let mut longer = body.open().await.unwrap();
        std::fs::write(&path, "hello and more").unwrap();
        assert_eq!(next(&mut longer).await.unwrap().unwrap(), "hello");
        assert!(next(&mut longer).await.is_none());
        let mut shorter = body.open().await.unwrap();
        std::fs::write(&path, "").unwrap();
        let error = next(&mut shorter).await.unwrap().unwrap_err().to_string();
        assert!(error.ends_with("log.txt` became 14 bytes shorter while it was sent"), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.bin");
        for path in [missing, dir.path().to_owned()] {
            let error = sent(&Body::File(path.clone().into())).await.unwrap_err();
            assert_eq!(error.fault, Fault::BODY_FILE);
            assert!(error.detail.contains(&*path.display().to_string()), "{}", error.detail);
        }
    }
}
