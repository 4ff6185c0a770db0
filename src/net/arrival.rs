//! When bytes arrived, as the kernel saw it.
//!
//! A response lies ready in the socket until its worker reads it. While that one works on others, or the system gave its
//! core to somebody else, the wait would count as the target's. So the kernel is asked to stamp what arrives
//! (`SO_TIMESTAMPNS`), and each read is told how long ago the last of its bytes came. On systems that don't stamp TCP,
//! and over Unix sockets, bytes arrive when they are read.

use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;

/// Asks for stamps on what this connection receives. Where they are refused, bytes arrive when they are read.
pub(super) fn stamp(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::ReceiveTimestampns, &true);
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

/// Reads as [`tokio::io::AsyncRead::poll_read`] does; gives when the last byte that was read arrived.
#[cfg(not(target_os = "linux"))]
pub(super) fn poll_read(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<Instant>> {
    std::pin::Pin::new(stream).poll_read(cx, buf).map_ok(|()| Instant::now())
}

/// Reads as [`tokio::io::AsyncRead::poll_read`] does; gives when the last byte that was read arrived.
#[cfg(target_os = "linux")]
pub(super) fn poll_read(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<Instant>> {
    use tokio::io::Interest;

    loop {
        std::task::ready!(stream.poll_read_ready(cx))?;
        let mut read = None;
        let tried = stream.try_io(Interest::READABLE, || {
            let space = buf.initialize_unfilled();
            let room = space.len();
            let (count, arrived) = kernel::receive(stream, space)?;
            read = Some((count, arrived));
            // All that there was: as with tokio's own reads, the next one waits for news without asking the kernel.
            if 0 < count && count < room { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match (read, tried) {
            (Some((count, arrived)), _) => {
                buf.advance(count);
                return Poll::Ready(Ok(arrived));
            }
            (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            (None, Err(error)) => return Poll::Ready(Err(error)),
            (None, Ok(())) => unreachable!("what succeeds has read"),
        }
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::io::{self, IoSliceMut};
    use std::os::fd::AsRawFd as _;
    use std::time::{Duration, Instant, SystemTime};

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    use tokio::net::TcpStream;

    /// Room for one stamp (32 bytes on 64-bit systems), which has to stand as the kernel's headers do.
    #[repr(align(8))]
    struct Control([u8; 64]);

    /// Reads once: how many bytes, and when the last of them arrived.
    pub(super) fn receive(stream: &TcpStream, space: &mut [u8]) -> io::Result<(usize, Instant)> {
        let mut control = Control([0; 64]);
        let mut spaces = [IoSliceMut::new(space)];
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut spaces, Some(&mut control.0), MsgFlags::empty())?;
        let now = Instant::now();
        let stamp = message.cmsgs().ok().and_then(|mut controls| {
            controls.find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                _ => None,
            })
        });
        Ok((message.bytes, stamp.map_or(now, |stamp| back_dated(now, stamp))))
    }

    /// The instant of a stamp, which is by the clock on the wall. One of the future is of before that was set back.
    fn back_dated(now: Instant, stamp: Duration) -> Instant {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.checked_sub(wall.saturating_sub(stamp)).unwrap_or(now)
    }
}
