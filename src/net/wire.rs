//! The socket, with a meter on it: bytes as they are on the wire, below TLS, and when the first and last of them moved.
//!
//! The meter is shared with the connection that reads it. It takes four clock readings for a request that fits one
//! write and is answered in one read; counting costs no system call.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::arrival;
use crate::plan::Bandwidth;

/// An operating system error that was seen on the socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct SocketError {
    pub(super) kind: io::ErrorKind,
    pub(super) os: Option<i32>,
}

/// What a connection's socket saw.
#[derive(Debug, Default)]
pub(super) struct Meter {
    sent: Cell<u64>,
    received: Cell<u64>,
    first_write: Cell<Option<Instant>>,
    last_write: Cell<Option<Instant>>,
    /// When the last write began, as the one before has told.
    last_write_from: Cell<Option<Instant>>,
    first_read: Cell<Option<Instant>>,
    last_read: Cell<Option<Instant>>,
    /// When the last bytes came that were taken from the socket.
    arrived: Cell<Option<Instant>>,
    /// Whether it is read as slowly as over a slow line: then bytes come when they are read.
    slow: Cell<bool>,
    error: Cell<Option<SocketError>>,
}

/// The three phases that a target is answerable for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) sending: Duration,
    pub(super) waiting: Duration,
    pub(super) receiving: Duration,
}

impl Meter {
    /// Forgets when bytes moved: a new request begins. Bytes go on counting until they are taken.
    pub(super) fn begin(&self) {
        self.first_write.set(None);
        self.last_write.set(None);
        self.last_write_from.set(None);
        self.first_read.set(None);
        self.last_read.set(None);
    }

    /// Bytes written and read since the last call.
    pub(super) fn take_bytes(&self) -> (u64, u64) {
        (self.sent.take(), self.received.take())
    }

    /// Gives bytes back that belong to another request.
    pub(super) fn put_back(&self, (sent, received): (u64, u64)) {
        self.sent.set(self.sent.get() + sent);
        self.received.set(self.received.get() + received);
    }

    /// When bytes were last written.
    pub(super) fn last_write(&self) -> Option<Instant> {
        self.last_write.get()
    }

    /// When bytes were last read.
    pub(super) fn last_read(&self) -> Option<Instant> {
        self.last_read.get()
    }

    /// Whether this request has put nothing on the wire.
    pub(super) fn is_unsent(&self) -> bool {
        self.last_write.get().is_none()
    }

    /// Whether a byte has been read since the request began.
    pub(super) fn has_read(&self) -> bool {
        self.first_read.get().is_some()
    }

    /// When the request first tried to write.
    pub(super) fn first_write(&self) -> Option<Instant> {
        self.first_write.get()
    }

    /// The first error of the socket: those after it only follow from it.
    pub(super) fn error(&self) -> Option<SocketError> {
        self.error.get()
    }

    /// The phases. `ended` is when the request failed; none if it did not, for then its last byte is its end.
    ///
    /// A target may answer before it has read the whole request: the response's first byte then ends the sending. And the
    /// system may come back from the last write when the target has answered already: then the bytes were gone when it began.
    pub(super) fn moved(&self, ended: Option<Instant>) -> Moved {
        let Some(first_write) = self.first_write.get() else { return Moved::default() };
        let last_write = self.last_write.get().unwrap_or(first_write);
        match self.first_read.get() {
            None => Moved {
                sending: last_write - first_write,
                waiting: ended.map_or(Duration::ZERO, |at| at.saturating_duration_since(last_write)),
                receiving: Duration::ZERO,
            },
            Some(first_read) => {
                let sent = if last_write <= first_read {
                    last_write
                } else {
                    self.last_write_from.get().filter(|&from| from <= first_read).unwrap_or(first_read)
                };
                let last = ended.or(self.last_read.get()).unwrap_or(first_read);
                Moved {
                    sending: sent - first_write,
                    waiting: first_read - sent,
                    receiving: last.saturating_duration_since(first_read),
                }
            }
        }
    }

    /// Forgets what was read: it was not the response yet.
    pub(super) fn unread(&self) {
        self.first_read.set(None);
        self.last_read.set(None);
    }

    fn wants_to_write(&self) {
        if self.first_write.get().is_none() {
            self.first_write.set(Some(Instant::now()));
        }
    }

    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(Ok(count)) if *count > 0 => {
                self.sent.set(self.sent.get() + *count as u64);
                self.last_write_from.set(self.last_write.get().or(self.first_write.get()));
                self.last_write.set(Some(Instant::now()));
            }
            Poll::Ready(Err(error)) => self.failed(error),
            _ => {}
        }
    }

    /// Bytes of what is spoken were read: they are as old as what was last taken from the socket.
    fn read(&self) {
        // What seems to have come before anything was sent was stamped by a clock that has been set since.
        let plausible = |&at: &Instant| !self.slow.get() && self.first_write.get().is_none_or(|sent| sent <= at);
        let at = self.arrived.get().filter(plausible).unwrap_or_else(Instant::now);
        if self.first_read.get().is_none() {
            self.first_read.set(Some(at));
        }
        self.last_read.set(Some(at));
    }

    fn failed(&self, error: &io::Error) {
        if self.error.get().is_none() {
            self.error.set(Some(SocketError { kind: error.kind(), os: error.raw_os_error() }));
        }
    }
}

/// A connection of the operating system.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Inside of TLS, which is spoken with a proxy.
    Proxy(Box<TlsStream<TcpStream>>),
}

/// Calls the same function of whichever stream it is.
macro_rules! of_stream {
    ($this:expr, $stream:ident => $call:expr) => {
        match &mut $this.stream {
            Stream::Tcp($stream) => $call,
            Stream::Unix($stream) => $call,
            Stream::Proxy($stream) => $call,
        }
    };
}

/// A connection that counts what passes.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    meter: Rc<Meter>,
}

impl Socket {
    pub(super) fn new(stream: Stream, meter: Rc<Meter>) -> Self {
        Self { stream, meter }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = match &mut this.stream {
            Stream::Tcp(tcp) => arrival::poll_read(tcp, cx, buf),
            Stream::Unix(unix) => Pin::new(unix).poll_read(cx, buf).map_ok(|()| Instant::now()),
            Stream::Proxy(tls) => Pin::new(tls).poll_read(cx, buf).map_ok(|()| Instant::now()),
        };
        read.map(|read| {
            let arrived = read.inspect_err(|error| this.meter.failed(error))?;
            let count = buf.filled().len() - before;
            this.meter.received.set(this.meter.received.get() + count as u64);
            this.meter.arrived.set(Some(arrived));
            Ok(())
        })
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.meter.wants_to_write();
        let result = of_stream!(this, stream => Pin::new(stream).poll_write(cx, buf));
        this.meter.wrote(&result);
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.meter.wants_to_write();
        let result = of_stream!(this, stream => Pin::new(stream).poll_write_vectored(cx, bufs));
        this.meter.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Unix(stream) => stream.is_write_vectored(),
            Stream::Proxy(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_stream!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_stream!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// What HTTP is spoken over.
///
/// Reads are stamped here, above TLS: a session ticket that arrives after the handshake is no byte of a response.
#[derive(Debug)]
pub(super) enum Wire {
    Plain(Socket),
    Tls { stream: Box<TlsStream<Socket>>, meter: Rc<Meter> },
}

impl Wire {
    /// Makes the socket's buffers small, so that the other side sees how slow this one is: a tenth of a second's worth.
    pub(super) fn narrow(&self, bandwidth: Bandwidth) {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls { stream, .. } => stream.get_ref().0,
        };
        let Socket { stream, meter } = socket;
        meter.slow.set(bandwidth.down.is_some());
        let bytes = |rate: u64| usize::try_from(rate / 10).unwrap_or(usize::MAX).clamp(4 * 1024, 256 * 1024);
        let socket = match stream {
            Stream::Tcp(tcp) => socket2::SockRef::from(tcp),
            Stream::Unix(unix) => socket2::SockRef::from(unix),
            Stream::Proxy(tls) => socket2::SockRef::from(tls.get_ref().0),
        };
        // A system that refuses buffers more; what is read and written is paced all the same.
        if let Some(rate) = bandwidth.down {
            let _ = socket.set_recv_buffer_size(bytes(rate));
        }
        if let Some(rate) = bandwidth.up {
            let _ = socket.set_send_buffer_size(bytes(rate));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let (result, meter) = match self.get_mut() {
            Self::Plain(socket) => (Pin::new(&mut *socket).poll_read(cx, buf), &socket.meter),
            Self::Tls { stream, meter } => (Pin::new(stream).poll_read(cx, buf), &*meter),
        };
        if buf.filled().len() > before {
            meter.read();
        }
        result
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls { stream, .. } => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Tls { stream, .. } => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls { stream, .. } => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls { stream, .. } => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls { stream, .. } => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_whatever_the_order_of_reads_and_writes() {
        let start = Instant::now();
        let at = |ms: u64| Some(start + Duration::from_millis(ms));
        // first write, last write, first read, last read, ended -> sending, waiting, receiving
        for (first_write, last_write, first_read, last_read, ended, expected) in [
            (at(0), at(2), at(5), at(9), None, [2, 3, 4]),
            (at(0), at(2), at(5), at(5), None, [2, 3, 0]),
            // Answered before the whole request was written.
            (at(0), at(7), at(5), at(9), None, [5, 0, 4]),
            // Cut off in the body: the end is when that was noticed.
            (at(0), at(2), at(5), at(6), at(9), [2, 3, 4]),
            // No answer.
            (at(0), at(2), None, None, at(9), [2, 7, 0]),
            // Tried to write, wrote nothing.
            (at(0), None, None, None, at(9), [0, 9, 0]),
            (None, None, None, None, at(9), [0, 0, 0]),
        ] {
            let meter = Meter::default();
            meter.first_write.set(first_write);
            meter.last_write.set(last_write);
            meter.first_read.set(first_read);
            meter.last_read.set(last_read);
            let moved = meter.moved(ended);
            let found = [moved.sending, moved.waiting, moved.receiving].map(|phase| phase.as_millis());
            assert_eq!(found, expected);
        }
        // Answered before the system came back from the only write, and from the second of two.
        for (from, expected) in [(at(0), [0, 5, 4]), (at(3), [3, 2, 4]), (at(6), [5, 0, 4])] {
            let meter = Meter::default();
            meter.first_write.set(at(0));
            meter.last_write_from.set(from);
            meter.last_write.set(at(7));
            meter.first_read.set(at(5));
            meter.last_read.set(at(9));
            let moved = meter.moved(None);
            assert_eq!([moved.sending, moved.waiting, moved.receiving].map(|phase| phase.as_millis()), expected);
        }
    }
}
