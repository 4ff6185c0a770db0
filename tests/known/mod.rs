//! A server whose delays follow a known distribution and which keeps its own record of each, and a run against it: what
//! the test of known latencies and the bench of the same name share.
//!
//! The record begins when a request has arrived, as the kernel saw it (elsewhere than on Linux: when it is read), and ends
//! just before its answer is written. So each of loadr's durations is at least the server's of the same request, whatever the
//! machine does meanwhile.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use loadr::engine::{Control, Timer};
use loadr::plan::{Layer, Source};
use loadr::report::{MetricSummary, Report, TrendStats};
use loadr::session::{Session, SessionSpec};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};

/// How long answers take.
#[derive(Clone, Copy, Debug)]
pub enum Delays {
    /// Always so long, in milliseconds.
    Constant(f64),
    /// One of two times, in milliseconds; the second for this share of the requests.
    Bimodal(f64, f64, f64),
    /// A Pareto distribution that begins at so many milliseconds, with this exponent, cut at two seconds.
    HeavyTail(f64, f64),
}

impl Delays {
    fn draw(self, random: &mut fastrand::Rng) -> Duration {
        let ms = match self {
            Self::Constant(ms) => ms,
            Self::Bimodal(often, seldom, share) => {
                if random.f64() < share {
                    seldom
                } else {
                    often
                }
            }
            Self::HeavyTail(least, exponent) => (least * (1.0 - random.f64()).powf(-1.0 / exponent)).min(2_000.0),
        };
        Duration::from_secs_f64(ms / 1e3)
    }

    /// The mean of the distribution, from a large sample.
    #[allow(dead_code, reason = "only the bench chooses its VUs by it")]
    pub fn mean(self) -> Duration {
        let mut random = fastrand::Rng::with_seed(1);
        (0..100_000).map(|_| self.draw(&mut random)).sum::<Duration>() / 100_000
    }
}

/// How the server waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(dead_code, reason = "the test waits calmly, the bench closely")]
pub enum Waits {
    /// By the event loop's timers: they tick in whole milliseconds, and what is due in the same one is answered in one go.
    Calmly,
    /// By a finer timer: every answer at its own moment.
    Closely,
}

/// Waits that end at their own moment, as long as somebody keeps watching the clock.
#[derive(Default)]
struct Clock {
    waiting: RefCell<BTreeMap<(Instant, u64), Waker>>,
    /// Told when the first of them is another one.
    earlier: Notify,
}

impl Clock {
    /// Waits until `at`; `who` tells apart those who wait for the same moment.
    async fn until(&self, at: Instant, who: u64) {
        std::future::poll_fn(|context| {
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            waiting.insert((at, who), context.waker().clone());
            if waiting.first_key_value().is_some_and(|(first, _)| *first == (at, who)) {
                self.earlier.notify_one();
            }
            Poll::Pending
        })
        .await;
    }

    /// Wakes those whose moment has come; gives the next one's.
    fn look(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut waiting = self.waiting.borrow_mut();
        while let Some(first) = waiting.first_entry() {
            if first.key().0 > now {
                return Some(first.key().0);
            }
            first.remove().wake();
        }
        None
    }

    async fn watch(&self) {
        let timer = Timer::new(true);
        loop {
            let next = self.look();
            let come = async {
                match next {
                    Some(at) => timer.sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = come => {}
                () = self.earlier.notified() => {}
            }
        }
    }
}

/// The server, on a thread of its own.
pub struct Server {
    pub address: SocketAddr,
    record: Arc<Mutex<Vec<u64>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(delays: Delays, waits: Waits) -> Self {
        let record = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let (told, address) = std::sync::mpsc::channel();
        let kept = record.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
            tokio::task::LocalSet::new().block_on(&runtime, async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                told.send(listener.local_addr().expect("it is bound")).expect("somebody waits for the address");
                let clock = (waits == Waits::Closely).then(Rc::<Clock>::default);
                if let Some(clock) = clock.clone() {
                    tokio::task::spawn_local(async move { clock.watch().await });
                }
                let accept = async {
                    for number in 0.. {
                        let Ok((stream, _)) = listener.accept().await else { break };
                        let random = fastrand::Rng::with_seed(number);
                        tokio::task::spawn_local(serve(stream, delays, random, kept.clone(), clock.clone(), number));
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().expect("the server has started");
        Self { address, record, stop: Some(stop), thread: Some(thread) }
    }

    /// Stops it; gives how long each answer took by its own record, in microseconds, sorted.
    pub fn stop(mut self) -> Vec<u64> {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server did not panic");
        }
        let mut record = std::mem::take(&mut *self.record.lock().expect("the server did not panic"));
        record.sort_unstable();
        record
    }
}

async fn serve(
    mut stream: TcpStream,
    delays: Delays,
    mut random: fastrand::Rng,
    record: Arc<Mutex<Vec<u64>>>,
    clock: Option<Rc<Clock>>,
    number: u64,
) {
    let _ = stream.set_nodelay(true);
    let stamped = arrival::stamp(&stream);
    let mut head = Vec::with_capacity(1_024);
    loop {
        head.clear();
        let mut begun = Instant::now();
        while !head.ends_with(b"\r\n\r\n") {
            match arrival::read(&mut stream, stamped, &mut head).await {
                Ok((0, _)) | Err(_) => return,
                Ok((_, at)) => begun = at,
            }
        }
        let delay = delays.draw(&mut random);
        if !delay.is_zero() {
            match &clock {
                Some(clock) => clock.until(begun + delay, number).await,
                None => tokio::time::sleep(delay).await,
            }
        }
        let took = u64::try_from(begun.elapsed().as_micros()).expect("a delay is short");
        record.lock().expect("nobody panics while holding it").push(took);
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}

/// Reading with the time at which the bytes came.
mod arrival {
    use std::io;
    use std::time::Instant;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpStream;

    /// Asks for times; whether there will be any.
    pub fn stamp(stream: &TcpStream) -> bool {
        #[cfg(target_os = "linux")]
        return nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::ReceiveTimestampns, &true).is_ok();
        #[cfg(not(target_os = "linux"))]
        return false;
    }

    /// Reads once: how much, and when it came.
    pub async fn read(stream: &mut TcpStream, stamped: bool, head: &mut Vec<u8>) -> io::Result<(usize, Instant)> {
        #[cfg(target_os = "linux")]
        if stamped {
            stream.readable().await?;
            match stream.try_io(tokio::io::Interest::READABLE, || receive(stream, head)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
        let count = stream.read_buf(head).await?;
        Ok((count, Instant::now()))
    }

    #[cfg(target_os = "linux")]
    fn receive(stream: &TcpStream, head: &mut Vec<u8>) -> io::Result<(usize, Instant)> {
        use std::os::fd::AsRawFd as _;
        use std::time::{Duration, SystemTime};

        use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

        let (mut bytes, mut control) = ([0; 1_024], nix::cmsg_space!(nix::sys::time::TimeSpec));
        let mut spaces = [io::IoSliceMut::new(&mut bytes)];
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut spaces, Some(&mut control), MsgFlags::empty())?;
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is set");
        let age = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(at) => Some(wall.saturating_sub(Duration::from(at))),
            _ => None,
        });
        let (count, age) = (message.bytes, age.unwrap_or_default());
        head.extend_from_slice(&bytes[..count]);
        Ok((count, Instant::now() - age))
    }
}

/// The percentile of a sorted record by nearest rank, in milliseconds.
pub fn percentile_ms(sorted: &[u64], p: f64) -> f64 {
    let rank = (p / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1] as f64 / 1e3
}

/// Runs a journey of one request; `options` are those of the command line.
pub fn run(address: SocketAddr, options: &serde_json::Value) -> Arc<Report> {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("known.rhai");
    std::fs::write(&script, "const BASE = env(\"BASE_URL\");\nfn journey() { http::get(BASE); }\n").expect("a script");
    let spec = SessionSpec {
        script: script.display().to_string(),
        layers: vec![Layer { source: Source::Flag, options: options.as_object().expect("a map").clone() }],
        env: BTreeMap::from([("BASE_URL".to_owned(), format!("http://{address}/known"))]),
        demo: false,
        outputs: Vec::new(),
        args: Vec::new(),
        verbose: false,
    };
    let session = Session::prepare(spec).unwrap_or_else(|error| panic!("{error}"));
    let end = session.run(Control::new()).unwrap_or_else(|error| panic!("{error}"));
    end.outcome.report
}

/// What a report says of its requests: how many, and how long they took.
pub fn durations(report: &Report) -> (u64, TrendStats) {
    match report.metrics.get("http_req_duration") {
        Some(MetricSummary::Trend { count, stats, .. }) => (*count, *stats),
        other => panic!("no durations: {other:?}"),
    }
}
