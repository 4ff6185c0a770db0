//! A server that does all that servers should not, and a good one beside it: each failure has its class, bodies that
//! explode are not unpacked, memory stays what it was, and who calls the good one notices nothing.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::harness::Loadr;
use crate::server::{Server, self_signed};

/// What a request to each path fails with: the error's code, 0 where it is a response as any other.
const PATHS: &[(&str, u32)] = &[
    ("drip-head", 1050),
    ("drip-body", 1050),
    ("drip-chunk", 1050),
    ("stall", 1050),
    ("flood-unwanted", 1050),
    ("head-of-1-GB", 1801),
    ("headers-without-end", 1801),
    ("informational-without-end", 1800),
    ("blank-without-end", 1800),
    ("extensions-without-end", 1800),
    ("body-without-end", 1804),
    ("body-too-long", 1804),
    ("chunk-that-lies", 1800),
    ("shorter-than-announced", 1803),
    ("longer-than-announced", 0),
    ("half-closed", 1221),
    ("half-closed-head", 1802),
    ("reset-before-head", 1220),
    ("reset-in-head", 1220),
    ("reset-in-body", 1220),
    ("not-http", 1800),
    ("redirect-loop", 1810),
    ("redirect-to-forbidden-host", 1111),
    ("redirect-to-forbidden-address", 1110),
    ("redirect-to-file", 1811),
    ("no-text", 0),
    ("bomb/gzip", 0),
    ("bomb/deflate", 0),
    ("bomb/br", 0),
    ("bomb/zstd", 0),
    ("bomb/gzip,gzip", 0),
];

/// Bodies of 512 MB of zeros, and of 64 MB where what is packed can't be put together from pieces.
struct Bombs(Vec<(&'static str, Vec<u8>)>);

fn gzip(bytes: impl std::io::Read) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzEncoder::new(bytes, flate2::Compression::new(1)).read_to_end(&mut out).expect("it packs");
    out
}

impl Bombs {
    fn new() -> Self {
        let zeros = || std::io::repeat(0).take(64 << 20);
        let (mut deflate, mut br, mut zstd) = (Vec::new(), Vec::new(), Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| brotli::CompressorReader::new(zeros(), 1 << 20, 1, 18).read_to_end(&mut br));
            let level = flate2::Compression::new(1);
            flate2::read::ZlibEncoder::new(zeros(), level).read_to_end(&mut deflate).expect("it packs");
        });
        zstd::stream::copy_encode(zeros(), &mut zstd, 1).expect("it packs");
        let gzipped = gzip(zeros()).repeat(8);
        let twice = gzip(&gzipped[..]);
        let bombs =
            [("gzip", gzipped), ("deflate", deflate), ("br", br), ("zstd", zstd.repeat(8)), ("gzip,gzip", twice)];
        assert!(bombs.iter().all(|(_, packed)| !packed.is_empty() && packed.len() < 4_000_000));
        Self(bombs.into())
    }

    fn of(&self, coding: &str) -> Vec<u8> {
        let (_, packed) = self.0.iter().find(|(known, _)| *known == coding).expect("a coding");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", packed.len());
        [head.as_bytes(), packed].concat()
    }
}

/// Writes for as long as the other side reads.
fn flood(tcp: &mut TcpStream, first: &str, then: &str) {
    let piece = then.repeat(64 * 1024 / then.len());
    let mut going = tcp.write_all(first.as_bytes()).is_ok();
    let mut left = (1_u64 << 30) / piece.len() as u64;
    while going && left > 0 {
        going = tcp.write_all(piece.as_bytes()).is_ok();
        left -= 1;
    }
}

fn drip(tcp: &mut TcpStream, first: &str, then: u8) {
    let mut going = tcp.write_all(first.as_bytes()).is_ok();
    while going {
        thread::sleep(Duration::from_millis(20));
        going = tcp.write_all(&[then]).is_ok();
    }
}

fn say(tcp: &mut TcpStream, text: impl AsRef<[u8]>) {
    // Whoever went away does not hear it.
    let _ = tcp.write_all(text.as_ref());
}

/// Waits until the other side has gone.
fn wait(tcp: &mut TcpStream) {
    while tcp.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
}

fn misbehave(mut tcp: TcpStream, bombs: &Bombs) {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match tcp.read(&mut piece) {
            // The first byte of a TLS record.
            Ok(count) if piece[0] == 0x16 && count > 0 => return say(&mut tcp, "HTTP/1.1 400 Bad Request\r\n\r\n"),
            Ok(count) if count > 0 => head.extend(&piece[..count]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).and_then(|target| target.strip_prefix('/')).expect("a path");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let redirect = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nConnection: close\r\n\r\n");
    let tcp = &mut tcp;
    match path {
        "drip-head" => drip(tcp, "HTTP/1.1 200 OK\r\nX: ", b'x'),
        "drip-body" => drip(tcp, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b'x'),
        "drip-chunk" => drip(tcp, &format!("{chunked}1;"), b'x'),
        "stall" => wait(tcp),
        "flood-unwanted" => flood(tcp, "HTTP/1.1 200 OK\r\n\r\n", "x"),
        "head-of-1-GB" => flood(tcp, "HTTP/1.1 200 OK\r\nX: ", "x"),
        "headers-without-end" => flood(tcp, "HTTP/1.1 200 OK\r\n", "X: y\r\n"),
        "informational-without-end" => flood(tcp, "", "HTTP/1.1 100 Continue\r\n\r\n"),
        "blank-without-end" => flood(tcp, "", "\r\n"),
        "extensions-without-end" => flood(tcp, &format!("{chunked}1;"), "x"),
        "body-without-end" => flood(tcp, "HTTP/1.1 200 OK\r\n\r\n", "x"),
        "body-too-long" => flood(tcp, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", "x"),
        "chunk-that-lies" => say(tcp, format!("{chunked}2\r\nabc\r\n0\r\n\r\n")),
        "shorter-than-announced" => say(tcp, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        "longer-than-announced" => say(tcp, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf of it"),
        "half-closed" | "half-closed-head" => {
            say(tcp, if path == "half-closed" { "" } else { "HTTP/1.1 200 OK\r\n" });
            let _ = tcp.shutdown(Shutdown::Write);
            wait(tcp);
        }
        "reset-before-head" | "reset-in-head" | "reset-in-body" => {
            say(
                tcp,
                match path {
                    "reset-before-head" => "",
                    "reset-in-head" => "HTTP/1.1 200 OK\r\nX",
                    _ => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                },
            );
            // What was said has to arrive before the reset, which throws away what is on the way.
            thread::sleep(Duration::from_millis(20));
            socket2::SockRef::from(&*tcp).set_linger(Some(Duration::ZERO)).expect("linger");
        }
        "not-http" => say(tcp, "SSH-2.0-OpenSSH_9.6\r\n"),
        "redirect-loop" => say(tcp, redirect("/redirect-loop")),
        "redirect-to-forbidden-host" => say(tcp, redirect("http://ads.test/")),
        "redirect-to-forbidden-address" => say(tcp, redirect("http://10.1.2.3/")),
        "redirect-to-file" => say(tcp, redirect("file:///etc/passwd")),
        "no-text" => say(
            tcp,
            b"HTTP/1.1 200 \xff\r\nX-Odd: \xfe\xff\r\nSet-Cookie: \xff=\xfe\r\nContent-Type: text/plain; charset=\xff\r\n\
              Content-Length: 3\r\n\r\n\xff\xfe\xfd",
        ),
        path => match path.strip_prefix("bomb/") {
            Some(coding) => say(tcp, bombs.of(&coding.replace("%2C", ","))),
            None => panic!("no such path: {path}"),
        },
    }
}

fn hostile() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let bombs = Arc::new(Bombs::new());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let bombs = Arc::clone(&bombs);
            thread::spawn(move || {
                // Nothing waits for ever where the other side does.
                let _ = stream.set_read_timeout(Some(Duration::from_secs(120)));
                misbehave(stream, &bombs);
            });
        }
    });
    address
}

/// The most memory that a process has had resident, in bytes; none when it is gone, or the system does not tell.
fn peak_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kb| kb * 1024)
}

#[test]
fn a_hostile_server_harms_nobody_but_who_calls_it() {
    let script = r#"
        const options = #{
            scenarios: #{
                bad: #{ executor: "per-vu-iterations", exec: "bad", vus: 3, iterations: 1 },
                good: #{ executor: "per-vu-iterations", exec: "good", vus: 5, iterations: 100 },
            },
            max_body: "4MB", block_hostnames: ["ads.test"], block_ips: ["10.0.0.0/8"],
        };
        fn bad(vu) {
            for path in json::parse(env("PATHS")) {
                let params = #{ name: path, timeout: if path.contains("drip") || path == "stall" || path.contains("unwanted") { 300.ms } else { 60.s } };
                if path.contains("unwanted") { params.response = "discard"; }
                let res = http::get(`${env("BAD")}/${path}`, params);
                let said = "";
                try { said = res.body.len(); } catch (error) { said = if error.contains("longer than 4000000 bytes once") { "bomb" } else { error }; }
                if res.error_code != 0 { said = "" }
                print(`vu ${vu.id} ${path} ${res.error_code} ${said}`);
            }
            // The certificate is not to be trusted, and here is none.
            print(`vu ${vu.id} self-signed ${http::get(env("SELF_SIGNED"), #{ name: "self-signed" }).error_code} `);
            print(`vu ${vu.id} plain ${http::get(env("NO_TLS"), #{ name: "plain" }).error_code} `);
        }
        fn good() {
            check(http::get(env("GOOD"), #{ name: "good" }), #{ "good": |r| r.status == 200 && r.body == "fine" });
            sleep(10.ms);
        }
    "#;
    let (bad, good) = (hostile(), Server::ok("fine"));
    let secure = Server::tls(self_signed("localhost"), |_| panic!("it is not asked"));
    let paths: Vec<&str> = PATHS.iter().map(|(path, _)| *path).collect();
    let running = Loadr::script(script)
        .var("PATHS", serde_json::to_string(&paths).expect("names"))
        .var("BAD", format!("http://{bad}"))
        .var("GOOD", good.base())
        .var("SELF_SIGNED", secure.https())
        .var("NO_TLS", format!("https://{bad}"))
        .flags("--threads 2 --allow-failure")
        .start();
    let pid = running.pid();
    let peak = thread::spawn(move || {
        let mut peak = None;
        while let Some(now) = peak_of(pid) {
            peak = Some(now);
            thread::sleep(Duration::from_millis(5));
        }
        peak
    });
    let ran = running.wait().expect(0);

    let prints = ran.prints();
    for (path, code) in PATHS {
        let said = match *path {
            "longer-than-announced" => "4",
            // It begins as UTF-16 does, and has half a character.
            "no-text" => "1",
            path if path.starts_with("bomb/") => "bomb",
            _ => "",
        };
        for vu in 1..=3 {
            let line = format!("vu {vu} {path} {code} {said}");
            assert!(prints.iter().any(|print| print.trim_end() == line.trim_end()), "no {line:?}\n{ran}");
        }
    }
    for (what, code) in [("self-signed", 1310), ("plain", 1300)] {
        let lines = prints.iter().filter(|print| print.trim_end().ends_with(&format!(" {what} {code}"))).count();
        assert_eq!(lines, 3, "{what}\n{ran}");
    }
    // Who calls the good server has had no failure, and all that was planned.
    assert_eq!(ran.check("good").passes, 500, "{ran}");
    let row = ran.request("GET", "good");
    assert_eq!((row.count, row.failed), (500, 0), "{ran}");
    let peak = peak.join().expect("it looks").expect("the system tells");
    assert!(peak < 200 << 20, "it has held {} MB\n{ran}", peak >> 20);
}
