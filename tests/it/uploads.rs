//! Bodies of any size in flat memory: many large ones at once, up and down, by the high-water mark of the process.
//!
//! The peak is compared with that of the same run over small bodies: what is left is what the bodies themselves take.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::Loadr;

/// A large body.
const LARGE: u64 = 64 << 20;

/// A small one.
const SMALL: u64 = 1 << 10;

/// How much more the process may hold when bodies are large. All of them together are forty times as much, one alone twice: so not
/// even one of them was held. A request of them has a piece of 64 KiB in its hands, and a pattern of that size.
const MORE_MAX: u64 = LARGE / 2;

/// Reads bodies and throws them away, and sends bodies of zeros. Nobody comes to its end before all have come to it and
/// the memory has been looked at.
struct Sink {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    bytes: AtomicU64,
    /// How many requests are all but over, and whether they may end.
    gate: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else { return };
                thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, state }
    }

    /// Waits until so many requests are all but over.
    fn wait_for(&self, count: usize) {
        let gate = self.state.gate.lock().expect("no panic");
        let patience = Duration::from_secs(80);
        let (gate, _) = self.state.changed.wait_timeout_while(gate, patience, |gate| gate.0 < count).expect("no panic");
        assert_eq!(gate.0, count, "requests that moved their bodies");
    }

    fn let_go(&self) {
        self.state.gate.lock().expect("no panic").1 = true;
        self.state.changed.notify_all();
    }
}

impl State {
    fn arrive(&self) {
        let mut gate = self.gate.lock().expect("no panic");
        gate.0 += 1;
        self.changed.notify_all();
        let _gone = self.changed.wait_while(gate, |gate| !gate.1).expect("no panic");
    }

    /// One request: `PUT` with a length, or `GET /BYTES`.
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut piece = vec![0; 256 << 10];
        let mut head = Vec::new();
        let end = loop {
            let read = stream.read(&mut piece).ok().filter(|&read| read > 0)?;
            head.extend(&piece[..read]);
            if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let text = String::from_utf8_lossy(&head[..end]).into_owned();
        if let Some(length) = text.split("\r\n").find_map(|line| line.strip_prefix("Content-Length: ")) {
            let mut left = length.parse::<u64>().ok()? - (head.len() - end) as u64;
            while left > 0 {
                let read = stream.read(&mut piece).ok().filter(|&read| read > 0)? as u64;
                left -= read;
            }
            self.bytes.fetch_add(length.parse().ok()?, Ordering::Relaxed);
            self.arrive();
            return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok();
        }
        let length: u64 = text.strip_prefix("GET /")?.split(' ').next()?.parse().ok()?;
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes()).ok()?;
        piece.fill(0);
        let mut left = length - 1;
        while left > 0 {
            let count = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            stream.write_all(&piece[..count]).ok()?;
            left -= count as u64;
        }
        self.bytes.fetch_add(length, Ordering::Relaxed);
        self.arrive();
        stream.write_all(&[0]).ok()
    }
}

/// The most memory that a process has had so far, in bytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a high-water mark");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Runs one iteration of each of so many users, with bodies of a size; the memory at its peak.
fn run(script: &str, users: usize, size: u64) -> u64 {
    let sink = Sink::start();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file.bin");
    // It has the length without the content.
    File::create(&path).and_then(|file| file.set_len(size)).expect("a file");
    let flags = format!("--vus {users} --iterations {users} --threads 2 --threshold checks:rate==1");
    let running = Loadr::script(script)
        .var("BASE", format!("http://{}", sink.address))
        .var("FILE", path.display())
        .var("SIZE", size)
        .flags(&flags)
        .start();
    let begun = Instant::now();
    sink.wait_for(users);
    let peak = peak(running.pid());
    sink.let_go();
    let ran = running.wait().expect(0);
    let bytes = sink.state.bytes.load(Ordering::Relaxed);
    assert!(bytes >= users as u64 * size, "{bytes} bytes in {:?}\n{ran}", begun.elapsed());
    peak
}

/// That large bodies take no more memory than small ones.
fn is_flat(script: &str, users: usize) {
    let (small, large) = (run(script, users, SMALL), run(script, users, LARGE));
    let more = large.saturating_sub(small);
    assert!(more < MORE_MAX, "{users} bodies of {LARGE} bytes took {more} bytes more than small ones ({small})");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "the high-water mark of memory is read from /proc")]
fn uploads_are_never_held_whole() {
    is_flat(
        r#"
        const OPTIONS = #{ name: "upload", timeout: 5.m };
        fn journey(vu) {
            let body = switch vu.id {
                1 => http::file(env("FILE")),
                2 => http::multipart(#{ file: http::file(env("FILE")), title: "large" }),
                3 => http::generated(parse_int(env("SIZE")), #{ seed: 1 }),
                _ => http::generated(parse_int(env("SIZE"))),
            };
            let res = http::put(env("BASE"), body, OPTIONS);
            check(res, #{ "sent": |r| r.status == 200 });
        }
        "#,
        22,
    );
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "the high-water mark of memory is read from /proc")]
fn downloads_that_are_not_kept_take_no_memory() {
    is_flat(
        r#"
        fn journey(vu) {
            let how = if vu.id == 1 { #{ save_to: "saved.bin" } } else { #{ response: "discard" } };
            let res = http::get(`${env("BASE")}/${env("SIZE")}`, how + #{ name: "download", timeout: 5.m });
            check(res, #{ "came": |r| r.status == 200 && r.error == "" });
        }
        "#,
        20,
    );
}
