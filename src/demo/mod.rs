//! The demo server: a small shop on loopback to point a load test at. It also serves this project's tests and benchmarks.
//!
//! It behaves like the real thing where a journey can tell (login form with a CSRF token, sessions, bearer tokens, cart,
//! orders, uploads that are checked, redirects, gzip, caching, slow and failing routes), and is written not to be the
//! bottleneck of a test: a hand-written HTTP/1.1 loop on tokio sockets, one read and one write a request, products
//! rendered once. `docs/demo.md` lists the routes.
//!
//! One thread accepts connections and deals them out to the server threads in turn, so that each has its share even of
//! a few; everything else happens on the thread that a connection was dealt to.
//!
//! It is no web server for the public: no TLS, no HTTP/2, no limit on idle connections, session keys from a seeded
//! generator.
//!
//! | file | what it does |
//! | --- | --- |
//! | `worker` | a server thread: its connections, its buffers |
//! | `connection` | read, answer, keep open |
//! | `request` `body` `response` | HTTP/1.1 on the wire |
//! | `routes` | the table of routes |
//! | `shop` `store` `catalogue` `stats` | what is shared: sessions, orders, goods, counters |
//! | `browse` `account` `oauth` `order` `upload` `files` `graphql` `pages` `behaviour` `echo` | the handlers |
//! | `multipart` | multipart bodies, as they come |

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{mpsc, watch};

mod account;
mod behaviour;
mod body;
mod browse;
mod catalogue;
mod connection;
mod echo;
mod files;
mod graphql;
mod multipart;
mod oauth;
mod order;
mod pages;
mod request;
mod response;
mod routes;
mod shop;
mod stats;
mod store;
mod stream;
mod upload;
mod worker;

#[cfg(test)]
mod tests;

use shop::Shop;
pub use stats::Stats;
use worker::Worker;

/// Connections that may wait in the kernel to be accepted; the kernel may allow fewer.
const BACKLOG: i32 = 16 * 1024;

/// Accepted connections that may wait for a server thread.
const DEALT_MAX: usize = 1024;

/// How a demo server behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Server threads, at least one.
    pub threads: usize,
    /// The seed of everything random in it: session keys, jitter, which requests fail.
    pub seed: u64,
    /// What each response is delayed by; `/health` and `/metrics` are left alone.
    pub latency: Duration,
    /// A random delay up to this comes on top.
    pub latency_jitter: Duration,
    /// The share of requests that fail with status 503, from 0 to 1; `/health` and `/metrics` are left alone.
    pub error_rate: f64,
    /// The most bytes of an upload.
    pub upload_max: u64,
}

impl Default for DemoConfig {
    /// A free loopback port, half of the machine's cores (the other half makes the load), no latency, no errors.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            threads: (cores / 2).max(1),
            seed: 1,
            latency: Duration::ZERO,
            latency_jitter: Duration::ZERO,
            error_rate: 0.0,
            upload_max: 64 * 1024 * 1024,
        }
    }
}

/// A running demo server; it stops when it is dropped.
pub struct Server {
    addr: SocketAddr,
    shop: Arc<Shop>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on threads of its own, and returns when it accepts connections.
    ///
    /// # Errors
    /// When the address cannot be listened on, or a thread or its runtime cannot be started.
    pub fn start(config: DemoConfig) -> io::Result<Self> {
        let listener = listen(config.listen)?;
        let addr = listener.local_addr()?;
        let counters: Vec<_> = (0..config.threads.max(1)).map(|_| Arc::new(stats::Counters::new())).collect();
        let shop = Arc::new(Shop::new(config, counters.clone()));
        let (stop, stopped) = watch::channel(false);
        // From here on a failure drops the server, which stops the threads that have started.
        let mut server = Self { addr, shop, stop, threads: Vec::new() };
        let mut dealt = Vec::new();
        for (number, counters) in counters.into_iter().enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
            let worker = Arc::new(Worker::new(Arc::clone(&server.shop), counters));
            let (sockets, arriving) = mpsc::channel(DEALT_MAX);
            let run = worker.run(arriving, stopped.clone());
            dealt.push(sockets);
            server.threads.push(spawn(format!("demo-{number}"), move || runtime.block_on(run))?);
        }
        server.threads.push(spawn("demo-accept".to_owned(), move || accept(&listener, &dealt, &stopped))?);
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What journeys take as their base: `http://127.0.0.1:41234`. A server on all addresses is reached by loopback.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", reachable(self.addr))
    }

    /// What it has counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        stats::collect(&self.shop)
    }

    /// Stops it: open connections are closed, whatever they are doing. Returns what it has counted.
    pub fn stop(mut self) -> Stats {
        self.shut_down();
        self.stats()
    }

    fn shut_down(&mut self) {
        if self.stop.send_replace(true) {
            return;
        }
        // The accepting thread waits in the kernel; a connection wakes it up.
        let _ = TcpStream::connect_timeout(&reachable(self.addr), Duration::from_secs(1));
        for thread in self.threads.drain(..) {
            // A panic of a server thread has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(run)
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart may take the port while connections of the last run linger in the kernel.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The address at which a listener on `addr` is reached from this machine.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

/// Accepts connections and deals them out, until told to stop.
fn accept(listener: &TcpListener, workers: &[mpsc::Sender<TcpStream>], stopped: &watch::Receiver<bool>) {
    for worker in workers.iter().cycle() {
        let socket = loop {
            match listener.accept() {
                Ok((socket, _)) => break socket,
                // Descriptors or memory may have run out: wait for connections to close.
                Err(_) if !*stopped.borrow() => std::thread::sleep(Duration::from_millis(20)),
                Err(_) => return,
            }
        };
        if *stopped.borrow() {
            return;
        }
        // A socket that refuses its options is closed already; a worker that is gone is stopping.
        if socket.set_nonblocking(true).and(socket.set_nodelay(true)).is_ok() && worker.blocking_send(socket).is_err() {
            return;
        }
    }
}
