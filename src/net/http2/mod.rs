//! HTTP/2 over one connection, which many requests share.
//!
//! Frames, header compression and flow control are the crate `h2`'s business; [`stream`] makes one request of it. A task
//! of the worker drives each connection ([`drive`]): it answers pings and learns of a GOAWAY while no request is under
//! way, and writes what many requests ask for in one go. The connection lives as long as somebody holds it; after that it
//! says goodbye, and is cut if that takes too long.
//!
//! When a request's bytes moved is stamped where they pass the socket ([`Track`]), not when its task came to know: with
//! fifty VUs on one connection the difference would be the generator's and not the target's.

mod exchange;
mod queue;
mod stream;

use queue::Queue;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ::h2::client::{Builder, Connection as Driver, SendRequest};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::alarm::Alarm;
use super::classify;
use super::response::HEAD_BYTES_MAX;
use super::wire::{Meter, Wire};
use crate::fault::Fault;

pub(super) use exchange::Next;
use stream::Outcome;

/// How much a server may send of one response before it is read (as Go's client, and so k6's).
const STREAM_WINDOW: u32 = 4 << 20;

/// How much it may send of all of them: a slow reader must not hold up the others.
const CONNECTION_WINDOW: u32 = 1 << 30;

/// How long a connection that nobody needs any more may take to say so to the server.
const GOODBYE: Duration = Duration::from_secs(1);

/// How many timers a connection keeps for its next requests.
const ALARMS_KEPT: usize = 8;

/// An HTTP/2 connection. Clones are the same connection.
#[derive(Clone)]
pub(super) struct Http2(Rc<Shared>);

struct Shared {
    sender: SendRequest<Bytes>,
    track: Rc<Track>,
    remote: Option<SocketAddr>,
    tls_version: Option<&'static str>,
    /// Whether it has carried a request.
    used: Cell<bool>,
    /// Whether the server has answered once.
    answered: Cell<bool>,
    /// How many requests are under way.
    streams: Cell<usize>,
    /// Bytes of bodies, sent and received, of the requests under way: theirs, whoever ends first.
    payload: Cell<(u64, u64)>,
    alarms: RefCell<Vec<Alarm>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.track.unneeded.notify_one();
    }
}

impl std::fmt::Debug for Http2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2")
            .field("remote", &self.0.remote)
            .field("streams", &self.0.streams)
            .finish_non_exhaustive()
    }
}

impl Http2 {
    /// Sends the preface and the settings, and begins to drive the connection.
    ///
    /// # Errors
    /// When they can't be written.
    pub(super) async fn new(
        wire: Wire,
        meter: Rc<Meter>,
        remote: Option<SocketAddr>,
        tls_version: Option<&'static str>,
    ) -> Result<Self, (Fault, String)> {
        let track = Rc::new(Track { meter, ..Track::default() });
        let io = Io { wire, track: track.clone() };
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEAD_BYTES_MAX as u32);
        let shaken = builder.handshake(io).await;
        let (sender, driver) = shaken.map_err(|error| match error.get_io() {
            Some(io) => classify::reading(io, &track.meter),
            None => (Fault::HTTP2, error.to_string()),
        })?;
        tokio::task::spawn_local(drive(driver, track.clone()));
        Ok(Self(Rc::new(Shared {
            sender,
            track,
            remote,
            tls_version,
            used: Cell::new(false),
            answered: Cell::new(false),
            streams: Cell::new(0),
            payload: Cell::new((0, 0)),
            alarms: RefCell::default(),
        })))
    }

    pub(super) fn remote(&self) -> Option<SocketAddr> {
        self.0.remote
    }

    pub(super) fn tls_version(&self) -> Option<&'static str> {
        self.0.tls_version
    }

    /// Whether it can take requests, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        !self.0.track.ended.get()
    }

    /// Whether it is the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it has carried a request; from now on it has.
    pub(super) fn use_again(&self) -> bool {
        self.0.used.replace(true)
    }
}

/// Drives a connection until it ends, or a little longer than somebody needs it.
async fn drive(mut driver: Driver<Io, Bytes>, track: Rc<Track>) {
    {
        let mut run = pin!(std::future::poll_fn(|cx| {
            let polled = Pin::new(&mut driver).poll(cx);
            // The server may have allowed more requests at once.
            track.queue.wake_next();
            polled
        }));
        tokio::select! {
            biased;
            // Requests under way are told what ended the connection.
            _ = &mut run => {}
            () = track.unneeded.notified() => {
                let _ = tokio::time::timeout(GOODBYE, run).await;
            }
        }
    }
    track.ended.set(true);
    track.queue.wake_all();
}

/// What the socket of a connection and its requests tell each other.
#[derive(Default)]
struct Track {
    meter: Rc<Meter>,
    stamps: RefCell<Stamps>,
    /// The first failure of the socket, or of TLS.
    failure: RefCell<Option<(Fault, String)>>,
    /// Whether the connection is over.
    ended: Cell<bool>,
    /// Notified when nobody holds the connection any more.
    unneeded: Notify,
    /// Requests that wait because the server takes no more at once.
    queue: Queue,
}

/// When the bytes of each request were written.
#[derive(Default)]
struct Stamps {
    slots: Vec<Stamp>,
    free: Vec<u32>,
    /// Those who have something to be written.
    pending: Vec<u32>,
}

/// When a request was first tried to be written, and last written.
#[derive(Clone, Copy, Debug, Default)]
struct Stamp {
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Stamps {
    fn add(&mut self) -> u32 {
        if let Some(id) = self.free.pop() {
            self.slots[id as usize] = Stamp::default();
            return id;
        }
        self.slots.push(Stamp::default());
        self.slots.len() as u32 - 1
    }

    fn remove(&mut self, id: u32) {
        self.pending.retain(|pending| *pending != id);
        self.free.push(id);
    }

    /// A request has given bytes to be written.
    fn expect(&mut self, id: u32) {
        if !self.pending.contains(&id) {
            self.pending.push(id);
        }
    }

    fn attempted(&mut self, at: Instant) {
        for &id in &self.pending {
            self.slots[id as usize].first.get_or_insert(at);
        }
    }

    fn wrote(&mut self, at: Option<Instant>) {
        for id in self.pending.drain(..) {
            self.slots[id as usize].last = at;
        }
    }
}

/// The socket, below frames and above TLS.
struct Io {
    wire: Wire,
    track: Rc<Track>,
}

impl Io {
    fn write(&mut self, write: impl FnOnce(Pin<&mut Wire>) -> Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let mut stamps = self.track.stamps.borrow_mut();
        if stamps.pending.is_empty() {
            return write(Pin::new(&mut self.wire));
        }
        stamps.attempted(Instant::now());
        let wrote = write(Pin::new(&mut self.wire));
        if matches!(wrote, Poll::Ready(Ok(1..))) {
            stamps.wrote(self.track.meter.last_write());
        }
        wrote
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.wire).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &read
            // TLS that ends without a goodbye is an end all the same.
            && error.kind() != io::ErrorKind::UnexpectedEof
        {
            this.track.failure.borrow_mut().get_or_insert_with(|| classify::reading(error, &this.track.meter));
        }
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().write(|wire| wire.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(|wire| wire.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}
