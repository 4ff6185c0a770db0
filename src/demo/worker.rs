//! A server thread: its runtime, its connections, the buffers they share.

use std::net::TcpStream as StdStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::connection;
use super::routes::Router;
use super::shop::Shop;
use super::stats::Counters;

/// Scratches that a thread keeps for later.
const POOL_MAX: usize = 64;

/// The input buffer's size; most requests fit in a tenth of it.
const INPUT: usize = 8 * 1024;

/// A buffer that has grown beyond this is not kept.
const KEPT_MAX: usize = 128 * 1024;

/// What the connections of a server thread share.
pub(super) struct Worker {
    pub(super) shop: Arc<Shop>,
    pub(super) router: Router,
    pub(super) counters: Arc<Counters>,
    /// Never contended: only this thread's connections use it.
    pool: Mutex<Vec<Scratch>>,
}

/// The buffers of a connection that is not idle.
pub(super) struct Scratch {
    /// What has arrived.
    pub(super) input: Vec<u8>,
    /// How much of it has been answered.
    pub(super) at: usize,
    /// What is to be written.
    pub(super) out: Vec<u8>,
    /// A body that did not arrive with its head.
    pub(super) body: Vec<u8>,
    /// The current second as `date` wants it.
    pub(super) date: String,
    date_s: u64,
}

impl Scratch {
    fn new() -> Self {
        let (input, out) = (Vec::with_capacity(INPUT), Vec::with_capacity(INPUT));
        Self { input, at: 0, out, body: Vec::new(), date: String::new(), date_s: 0 }
    }

    /// Moves what has not been answered to the front of the input.
    pub(super) fn compact(&mut self) {
        if self.at == self.input.len() {
            self.input.clear();
        } else if self.at > 0 {
            self.input.drain(..self.at);
        }
        self.at = 0;
    }

    /// Brings the date up to date.
    fn tell_time(&mut self) {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.date_s != now_s {
            let timestamp = i64::try_from(now_s).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
            self.date = timestamp.unwrap_or_default().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            self.date_s = now_s;
        }
    }
}

impl Worker {
    pub(super) fn new(shop: Arc<Shop>, counters: Arc<Counters>) -> Self {
        Self { shop, router: Router::new(), counters, pool: Mutex::new(Vec::new()) }
    }

    /// Buffers for a connection at which bytes have arrived.
    pub(super) fn take_scratch(&self) -> Scratch {
        let kept = self.pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = kept.unwrap_or_else(Scratch::new);
        scratch.tell_time();
        scratch
    }

    /// Takes the buffers of a connection back that has nothing in them any more, or is about to close.
    pub(super) fn give_back(&self, mut scratch: Scratch) {
        let Scratch { input, at, out, body, .. } = &mut scratch;
        *at = 0;
        for buffer in [input, out, body] {
            buffer.clear();
            if buffer.capacity() > KEPT_MAX {
                *buffer = Vec::with_capacity(INPUT);
            }
        }
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOL_MAX {
            pool.push(scratch);
        }
    }

    /// Serves the connections that arrive, until `stop` changes or there will be no more of either.
    pub(super) async fn run(self: Arc<Self>, mut sockets: mpsc::Receiver<StdStream>, mut stop: watch::Receiver<bool>) {
        loop {
            let socket = tokio::select! {
                biased;
                _ = stop.changed() => return,
                socket = sockets.recv() => socket,
            };
            let Some(socket) = socket else { return };
            // A socket that cannot be registered is closed: there are no descriptors left to serve it with.
            if let Ok(stream) = TcpStream::from_std(socket) {
                tokio::spawn(connection::serve(stream, Arc::clone(&self)));
            }
        }
    }
}
