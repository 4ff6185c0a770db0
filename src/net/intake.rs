//! Where a response's body goes as it arrives: into memory, nowhere, into a file, to a reader of events; with a digest on
//! the way.
//!
//! A request says what it wants ([`Intake`], [`Request::digest`](super::http::Request::digest)). The reading side of each
//! protocol is the same to it, for a response is taken in by these steps of a [`Taking`]:
//!
//! 1. [`begin`](Taking::begin) when the final head is there;
//! 2. [`poll_ready`](Taking::poll_ready) before each read: while it is pending nothing more is read, so that the other
//!    side is held up by the transport's own flow control;
//! 3. [`take`](Taking::take) for each piece of the body, as soon as it is read;
//! 4. [`poll_finish`](Taking::poll_finish) after the last of it;
//! 5. [`taken`](Taking::taken), whatever became of it.
//!
//! Of redirects on the way, and of what is no success, the body is kept in memory as that of any request: an error's text
//! is for reading, and not what a file was wanted for.

use std::rc::Rc;
use std::str::FromStr;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use sha2::digest::DynDigest;

use super::feed::Feed;
use super::headers::Headers;
use super::http1::Terms;
use super::response::Broken;
use super::save::{Destination, Saving};
use crate::fault::Fault;

/// How much room is made at once for a body whose length is declared: more only as it arrives.
const ROOM_MAX: u64 = 1024 * 1024;

/// What becomes of a response's body.
#[derive(Clone, Debug, Default)]
pub enum Intake {
    /// It is kept in memory, as far as it is no longer than `max_body`.
    #[default]
    Keep,
    /// It is read and thrown away, however long it is.
    Discard,
    /// It is written to a file as it comes.
    Save(Rc<Destination>),
    /// It is read as a stream of events.
    Stream(Rc<Feed>),
}

/// How a digest is made of a body, byte by byte as it came: before any `Content-Encoding` is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5: 128 bits.
    Md5,
    /// SHA-1: 160 bits.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// What they are called.
    pub const NAMES: [&str; 5] = ["md5", "sha1", "sha256", "sha384", "sha512"];

    fn hasher(self) -> Box<dyn DynDigest> {
        match self {
            Self::Md5 => Box::new(md5::Md5::default()),
            Self::Sha1 => Box::new(sha1::Sha1::default()),
            Self::Sha256 => Box::new(sha2::Sha256::default()),
            Self::Sha384 => Box::new(sha2::Sha384::default()),
            Self::Sha512 => Box::new(sha2::Sha512::default()),
        }
    }
}

impl FromStr for Algorithm {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let all = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];
        let at = Self::NAMES.iter().position(|known| *known == name).ok_or(())?;
        Ok(all[at])
    }
}

/// What is known of a body beyond its bytes, where that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many bytes it had.
    pub bytes: u64,
    /// Its digest in hexadecimal digits; empty where none was asked for, or the body did not come to its end.
    pub digest: String,
    /// Where it is saved; empty where it is not, or not whole.
    pub saved: String,
}

/// Whether more of a body is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    More,
    /// The response ends here, in good order, though the body may go on: the connection can't be kept.
    Enough,
}

#[derive(Debug)]
enum Place {
    Memory(BytesMut),
    Nowhere,
    File(Box<Saving>),
    Feed(Rc<Feed>),
}

/// A body that is being taken in.
pub(super) struct Taking<'a> {
    terms: &'a Terms,
    place: Place,
    bytes: u64,
    limit: u64,
    hasher: Option<Box<dyn DynDigest>>,
}

impl<'a> Taking<'a> {
    pub(super) fn new(terms: &'a Terms) -> Self {
        let hasher = terms.digest.map(Algorithm::hasher);
        Self { terms, place: Place::Memory(BytesMut::new()), bytes: 0, limit: terms.max_body, hasher }
    }

    /// How long a body may be that lies whole behind its head, and is then taken along by whoever reads the head, without
    /// any of the steps here; 0 where it has to pass.
    pub(super) fn room(&self) -> u64 {
        if matches!(self.terms.intake, Intake::Keep) && self.hasher.is_none() { self.limit } else { 0 }
    }

    /// When the request was sent and when what comes next was read, for whoever looks at each piece.
    pub(super) fn stamp(&self, sent_and_read: impl FnOnce() -> (Option<Instant>, Option<Instant>)) {
        if let Intake::Stream(feed) = &self.terms.intake {
            let (sent, read) = sent_and_read();
            feed.stamp(sent, read);
        }
    }

    /// The final head has come. `declared` is the length that it promises for the body, less what was taken along.
    pub(super) fn begin(&mut self, status: u16, headers: &Headers, declared: Option<u64>) -> Result<(), Broken> {
        let success = (200..300).contains(&status);
        match &self.terms.intake {
            Intake::Discard => self.place = Place::Nowhere,
            Intake::Save(destination) if success => self.place = Place::File(Box::new(Saving::new(destination))),
            Intake::Stream(feed) if success => {
                feed.begin(status, headers)?;
                self.place = Place::Feed(feed.clone());
            }
            Intake::Save(_) | Intake::Stream(_) | Intake::Keep => {}
        }
        if !matches!(self.place, Place::Memory(_)) {
            self.limit = self.terms.max_passing;
        }
        let Some(declared) = declared else { return Ok(()) };
        if declared > self.limit {
            return Err(self.too_large());
        }
        if let Place::Memory(body) = &mut self.place {
            body.reserve(usize::try_from(declared.min(ROOM_MAX)).unwrap_or(0));
        }
        Ok(())
    }

    /// Takes a piece of the body.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<Flow, Broken> {
        self.bytes += data.len() as u64;
        if self.bytes > self.limit {
            return Err(self.too_large());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(data);
        }
        match &mut self.place {
            Place::Memory(body) => body.extend_from_slice(data),
            Place::Nowhere => {}
            Place::File(saving) => saving.take(data),
            Place::Feed(feed) => return feed.take(data),
        }
        Ok(Flow::More)
    }

    /// Ready when more can be taken.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<Flow, Broken>> {
        match &mut self.place {
            Place::Memory(_) | Place::Nowhere => Poll::Ready(Ok(Flow::More)),
            Place::File(saving) => saving.poll_ready(cx).map_ok(|()| Flow::More),
            Place::Feed(feed) => feed.poll_ready(cx),
        }
    }

    /// The whole body has been taken: ready when it is where it belongs.
    pub(super) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        match &mut self.place {
            Place::Memory(_) | Place::Nowhere => Poll::Ready(Ok(())),
            Place::File(saving) => saving.poll_finish(cx),
            Place::Feed(feed) => {
                feed.finish();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// What was kept of the body, and what is known of it beyond. `failure` is why it did not come to its end.
    pub(super) fn taken(self, failure: Option<Fault>) -> (Bytes, Option<Box<Taken>>) {
        let saved = match (&self.terms.intake, &self.place) {
            (Intake::Save(destination), Place::File(_)) => destination.path().to_string_lossy().into_owned(),
            _ => String::new(),
        };
        let is_stream = matches!(self.place, Place::Feed(_));
        let known = self.hasher.is_some() || !saved.is_empty() || is_stream;
        let digest = self.hasher.map(|hasher| hex::encode(hasher.finalize())).unwrap_or_default();
        let taken = known.then(|| match failure {
            None => Box::new(Taken { bytes: self.bytes, digest, saved }),
            Some(_) => Box::new(Taken { bytes: self.bytes, ..Taken::default() }),
        });
        match self.place {
            // Half of what is too long is of no use, and of no small size.
            Place::Memory(body) if failure != Some(Fault::BODY_TOO_LARGE) => (body.freeze(), taken),
            Place::Feed(feed) => (feed.copy(), taken),
            _ => (Bytes::new(), taken),
        }
    }

    fn too_large(&self) -> Broken {
        Broken { fault: Fault::BODY_TOO_LARGE, why: format!("the body is longer than {} bytes", self.limit) }
    }
}
