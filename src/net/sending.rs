//! A request on its way out over HTTP/1.1: its head, and its body with a length or in chunks, at once or when the target
//! has said that it wants it, as fast as it goes or at a pace.

use std::future::Future as _;
use std::io::{IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite as _;
use tokio::time::Sleep;

use super::body::Outgoing;
use super::http1::{Message, Terms};
use super::pace::Pace;
use super::wire::Wire;

/// How long a body waits for the target's word that it wants it (RFC 9110 asks for no longer than that).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Part,
    All,
    /// Writing failed.
    Cut,
}

/// Why a request could not be written to its end.
pub(super) enum Unsendable {
    /// A file of its body could not be read.
    Body(String),
    /// The connection does not take it; the meter knows why.
    Wire,
}

/// A request on its way out.
pub(super) struct Sending {
    pub(super) head: Vec<u8>,
    /// How much of the head is written.
    at: usize,
    /// What is being written of the body.
    chunk: Bytes,
    body: Outgoing,
    /// Whether the body goes in chunks, and the last one is still to come.
    chunked: Option<LastChunk>,
    /// Until when the body waits for the target's word that it wants it.
    pub(super) hold: Option<Pin<Box<Sleep>>>,
    pace: Option<Pace>,
    pub(super) state: Sent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastChunk {
    Due,
    Made,
}

impl Sending {
    pub(super) fn new(head: Vec<u8>, message: Message<'_>, terms: &Terms) -> Self {
        let chunked = message.chunked || message.body.length().is_none();
        let hold = message.expect_continue.then(|| Box::pin(tokio::time::sleep(CONTINUE_WAIT)));
        Self {
            head,
            at: 0,
            chunk: Bytes::new(),
            body: message.body,
            chunked: chunked.then_some(LastChunk::Due),
            hold,
            pace: terms.bandwidth.up.map(Pace::new),
            state: Sent::Part,
        }
    }

    /// Whether all of the body has been taken into `chunk`.
    fn is_over(&self) -> bool {
        self.body.is_over() && self.chunked != Some(LastChunk::Due)
    }

    /// Takes the next piece of the body.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unsendable>> {
        let piece = if self.body.is_over() { None } else { ready!(self.body.poll_chunk(cx)) };
        let piece = piece.transpose().map_err(|error| Unsendable::Body(error.to_string()))?;
        self.chunk = match (piece, self.chunked) {
            (Some(piece), None) => piece,
            // An empty chunk would be the last one.
            (Some(piece), Some(_)) if piece.is_empty() => piece,
            (Some(piece), Some(_)) => framed(&piece),
            (None, Some(_)) => {
                self.chunked = Some(LastChunk::Made);
                Bytes::from_static(b"0\r\n\r\n")
            }
            (None, None) => Bytes::new(),
        };
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, wire: &mut Wire) -> Poll<Result<(), Unsendable>> {
        loop {
            while self.hold.is_none() && self.chunk.is_empty() && !self.is_over() {
                match self.poll_next(cx) {
                    Poll::Ready(next) => next?,
                    // The head need not wait for a file.
                    Poll::Pending if self.at < self.head.len() => break,
                    Poll::Pending => return Poll::Pending,
                }
            }
            let head = &self.head[self.at..];
            let room = match &mut self.pace {
                None => usize::MAX,
                Some(_) if head.is_empty() && self.chunk.is_empty() => usize::MAX,
                Some(pace) => ready!(pace.poll_room(cx)),
            };
            let wrote = match (head.is_empty(), self.chunk.is_empty()) {
                (true, true) => {
                    if let Some(hold) = &mut self.hold {
                        let flushed = Pin::new(&mut *wire).poll_flush(cx);
                        ready!(flushed).map_err(|_| Unsendable::Wire)?;
                        ready!(hold.as_mut().poll(cx));
                        self.hold = None;
                        continue;
                    }
                    if self.is_over() {
                        return Pin::new(wire).poll_flush(cx).map_err(|_| Unsendable::Wire);
                    }
                    continue;
                }
                (false, true) => Pin::new(&mut *wire).poll_write(cx, &head[..head.len().min(room)]),
                (true, false) => Pin::new(&mut *wire).poll_write(cx, &self.chunk[..self.chunk.len().min(room)]),
                (false, false) if room < head.len() + self.chunk.len() => {
                    Pin::new(&mut *wire).poll_write(cx, &head[..head.len().min(room)])
                }
                (false, false) => {
                    let both = [IoSlice::new(head), IoSlice::new(&self.chunk)];
                    Pin::new(&mut *wire).poll_write_vectored(cx, &both)
                }
            };
            let Ok(count @ 1..) = ready!(wrote) else { return Poll::Ready(Err(Unsendable::Wire)) };
            if let Some(pace) = &mut self.pace {
                pace.spend(count);
            }
            let of_head = count.min(head.len());
            self.at += of_head;
            self.chunk.advance(count - of_head);
        }
    }
}

/// A piece of a body as a chunk.
fn framed(piece: &[u8]) -> Bytes {
    let mut chunk = Vec::with_capacity(piece.len() + 20);
    write!(chunk, "{:x}\r\n", piece.len()).expect("memory takes all");
    chunk.extend_from_slice(piece);
    chunk.extend_from_slice(b"\r\n");
    chunk.into()
}
