//! How connections find their way: names asked of a real DNS server, addresses that connections come from and go to, Unix
//! sockets, what is blocked.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::harness::{Loadr, Ran};
use crate::program::Program;
use crate::server::{Reply, Server, closed_port};

/// A request as it arrived at one of this machine's addresses.
#[derive(Clone, Debug)]
struct Arrived {
    local: IpAddr,
    peer: IpAddr,
}

/// A server at all addresses of this machine; it notes which of them is connected to, and from where.
struct Everywhere {
    port: u16,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Everywhere {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let arrived: Arc<Mutex<Vec<Arrived>>> = Arc::default();
        let noted = Arc::clone(&arrived);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                thread::spawn(move || {
                    let of = |address: std::io::Result<SocketAddr>| address.map(|address| address.ip());
                    let (Ok(local), Ok(peer)) = (of(stream.local_addr()), of(stream.peer_addr())) else { return };
                    serve(stream, "ok", |_| noted.lock().expect("no panic").push(Arrived { local, peer }));
                });
            }
        });
        Self { port, arrived }
    }

    /// The last numbers of the addresses that were connected to, sorted.
    fn reached(&self) -> Vec<u8> {
        self.sorted(|arrived| arrived.local)
    }

    /// The same of those that were connected from.
    fn came_from(&self) -> Vec<u8> {
        self.sorted(|arrived| arrived.peer)
    }

    fn sorted(&self, which: impl Fn(&Arrived) -> IpAddr) -> Vec<u8> {
        let arrived = self.arrived.lock().expect("no panic");
        let last = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(_) => 0,
        };
        let mut found: Vec<u8> = arrived.iter().map(|arrived| last(which(arrived))).collect();
        found.sort_unstable();
        found
    }
}

/// Answers each request of a connection with a redirect for `/away`, and else with 200.
fn serve(mut stream: impl Read + Write, body: &str, mut seen: impl FnMut(&str)) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        while let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
            bytes.drain(..at + 4);
            seen(&head);
            let answer = if head.starts_with("GET /away") {
                "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.test/\r\nContent-Length: 0\r\n\r\n".to_owned()
            } else {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => bytes.extend(&piece[..read]),
            _ => return,
        }
    }
}

/// A DNS server that knows some names below `test`, and refuses to answer for any other.
struct Dns {
    port: u16,
    directory: tempfile::TempDir,
    _program: Program,
}

impl Dns {
    /// None where dnsmasq is not installed. `hosts` is as in `/etc/hosts`.
    fn start(hosts: &str, ttl_s: u32) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().display();
        let port = closed_port();
        let me = rustix::process::getuid().as_raw();
        // Not as root it stays who it is; as root it would become a user who can't read the directory.
        let user = if me == 0 { "user=root\ngroup=root\n" } else { "" };
        let config = format!(
            "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\naddn-hosts={path}/hosts\n\
             local=/test/\nlocal-ttl={ttl_s}\nlog-queries\nlog-facility={path}/log\npid-file={path}/pid\n{user}"
        );
        fs::write(directory.path().join("hosts"), hosts).expect("a file");
        fs::write(directory.path().join("dnsmasq.conf"), config).expect("a file");
        let mut command = Command::new("dnsmasq");
        command.arg("--keep-in-foreground").arg("-C").arg(directory.path().join("dnsmasq.conf"));
        let mut program = Program::start(&mut command)?;
        program.listens(port);
        Some(Self { port, directory, _program: program })
    }

    /// How often it was asked for the IPv4 addresses of a name.
    fn asked(&self, name: &str) -> usize {
        let log = fs::read_to_string(self.directory.path().join("log")).expect("a log");
        log.matches(&format!("query[A] {name} from")).count()
    }

    fn flags(&self, dns: &str) -> String {
        let servers = format!("--dns-servers 127.0.0.1:{}", self.port);
        if dns.is_empty() { servers } else { format!("{servers} --dns {dns}") }
    }
}

const ONE_GET: &str = r#"
    fn journey() {
        let res = http::get(env("URL"));
        print(`${res.status} ${res.error_code} ${res.remote_ip}`);
        check(res, #{ "ran": |r| true });
    }
"#;

fn get(url: &str, flags: &str) -> Ran {
    Loadr::script(ONE_GET).var("URL", url).flags(flags).run().expect(0)
}

/// The same where nothing works.
fn get_none(url: &str, flags: &str) -> Ran {
    Loadr::script(ONE_GET).var("URL", url).flags(flags).flags("--allow-failure").run().expect(0)
}

#[test]
fn several_addresses_of_a_name_are_taken_in_turn() {
    let Some(dns) = Dns::start("127.0.0.2 shop.test\n127.0.0.3 shop.test\n", 60) else { return };
    for load in ["-u 4 -i 4 --threads 2", "-u 1 -i 4 --no-connection-reuse"] {
        let server = Everywhere::start();
        let url = format!("http://shop.test:{}/", server.port);
        let ran = get(&url, &format!("{} {load}", dns.flags("select=roundRobin")));
        if load.starts_with("-u 1") {
            assert_eq!(server.reached(), [2, 2, 3, 3], "{ran}");
        } else {
            // Which VU makes how many of the iterations is open, but none stays away from its address.
            assert!(server.reached().iter().all(|last| [2, 3].contains(last)), "{ran}");
            assert_eq!(server.reached().len(), 4, "{ran}");
        }
    }
    // By the seed: the same run chooses the same.
    let chosen = || {
        let server = Everywhere::start();
        let url = format!("http://shop.test:{}/", server.port);
        get(&url, &format!("{} -u 1 -i 12 --no-connection-reuse --seed 5", dns.flags("")));
        server.reached()
    };
    let first = chosen();
    assert!(first.contains(&2) && first.contains(&3), "{first:?}");
    assert_eq!(first, chosen());
}

#[test]
fn a_policy_decides_about_the_family() {
    let server = Everywhere::start();
    let Some(dns) = Dns::start("127.0.0.2 both.test four.test\n::1 both.test\n", 60) else { return };
    let url = |name: &str| format!("http://{name}:{}/", server.port);
    // Nothing listens at ::1; what prefers it comes through all the same.
    for policy in ["preferIPv4", "preferIPv6", "onlyIPv4", "any"] {
        let ran = get(&url("both.test"), &dns.flags(&format!("policy={policy}")));
        assert_eq!(ran.prints(), ["200 0 127.0.0.2"], "{policy}\n{ran}");
    }
    let ran = get_none(&url("four.test"), &dns.flags("policy=onlyIPv6"));
    assert_eq!(ran.prints(), ["0 1101"], "{ran}");
    let ran = get_none(&url("both.test"), &dns.flags("policy=onlyIPv6"));
    assert!(["0 1212 ::1", "0 1214 ::1", "0 1901 ::1"].contains(&ran.prints()[0]), "{ran}");
}

#[test]
fn an_answer_is_used_as_long_as_it_may() {
    let Some(dns) = Dns::start("127.0.0.2 shop.test slow.test\n", 1) else { return };
    let server = Everywhere::start();
    let url = format!("http://shop.test:{}/", server.port);
    let of = |flags: &str| {
        let before = dns.asked("shop.test");
        get(&url, &format!("{} -u 1 -i 5 --no-connection-reuse", dns.flags(flags)));
        dns.asked("shop.test") - before
    };
    assert_eq!(of("ttl=0"), 5);
    assert_eq!(of("ttl=inf"), 1);
    assert_eq!(of("ttl=10m"), 1);
    // The record says one second, and the journey lets it pass.
    let script = r#"
        fn journey() {
            for n in 0..2 {
                check(http::get(env("URL")), #{ "came": |r| r.status == 200 });
                if n == 0 { sleep(1500.ms); }
            }
        }
    "#;
    let passed = |flags: &str| {
        let before = dns.asked("slow.test");
        let url = format!("http://slow.test:{}/", server.port);
        let flags = format!("{} --no-connection-reuse", dns.flags(flags));
        Loadr::script(script).var("URL", url).flags(&flags).run().expect(0);
        dns.asked("slow.test") - before
    };
    assert_eq!(passed(""), 2);
    assert_eq!(passed("ttl=10m"), 1);
}

#[test]
fn failures_of_look_ups_have_their_classes() {
    if let Some(dns) = Dns::start("127.0.0.2 shop.test\n", 60) {
        let ran = get_none("http://none.test/", &dns.flags(""));
        assert_eq!(ran.prints(), ["0 1101"], "{ran}");
        assert_eq!(ran.error(1101).message, "no such host");
        // It has nobody to ask for other domains.
        let ran = get_none("http://shop.example/", &dns.flags(""));
        assert_eq!(ran.prints(), ["0 1103"], "{ran}");
    }
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let ran = get_none("http://shop.test/", &format!("--dns-servers {address}"));
    assert_eq!(ran.prints(), ["0 1102"], "{ran}");
    // The request's time may be over before.
    let ran = get_none("http://shop.test/", &format!("--dns-servers {address} --timeout 100ms"));
    assert_eq!(ran.prints(), ["0 1050"], "{ran}");
}

/// A DNS server that answers each question with this code and nothing else, and the questions that it was asked.
fn answering(code: u8) -> (SocketAddr, Arc<Mutex<usize>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let asked: Arc<Mutex<usize>> = Arc::default();
    let noted = Arc::clone(&asked);
    thread::spawn(move || {
        let mut message = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut message) {
            *noted.lock().expect("no panic") += 1;
            let answer = &mut message[..length];
            // It is an answer, recursion is available, and so it went; of additional records there are none.
            answer[2] |= 0x80;
            answer[3] = 0x80 | code;
            answer[10..12].copy_from_slice(&[0, 0]);
            let end = 12 + answer[12..].iter().position(|&byte| byte == 0).expect("a name") + 5;
            let _ = socket.send_to(&answer[..end], peer);
        }
    });
    (address, asked)
}

#[test]
fn answers_without_an_address_have_their_classes() {
    // FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, and one that says that all is well and has nothing to tell.
    for (code, fault) in [(1, 1103), (2, 1103), (3, 1101), (4, 1103), (5, 1103), (0, 1101)] {
        let (address, asked) = answering(code);
        let ran = get_none("http://shop.test/", &format!("--dns-servers {address}"));
        assert_eq!(ran.prints(), [format!("0 {fault}")], "code {code}\n{ran}");
        assert!(*asked.lock().expect("no panic") > 0);
    }
}

#[test]
fn connections_come_from_the_addresses_that_are_named() {
    let script = r#"
        const options = #{ scenarios: #{ all: #{ executor: "per-vu-iterations", exec: "journey", vus: 3, iterations: 2 } } };
        fn journey() { check(http::get(env("URL")), #{ "came": |r| r.status == 200 }); }
    "#;
    let server = Everywhere::start();
    let url = format!("http://127.0.0.1:{}/", server.port);
    Loadr::script(script).var("URL", &url).flags("--local-ips 127.0.0.2-127.0.0.3 --threads 2").run().expect(0);
    assert_eq!(server.came_from(), [2, 2, 2, 2, 3, 3]);

    // An address of another machine.
    let ran = get_none(&url, "--local-ips 192.0.2.1");
    assert_eq!(ran.prints(), ["0 1901 127.0.0.1"], "{ran}");
    let ran = get_none(&url, "--local-ips ::1");
    assert_eq!(ran.prints(), ["0 1210 127.0.0.1"], "{ran}");
    let ran = Loadr::script(ONE_GET).var("URL", &url).flags("--local-ips eth0").run().expect(104);
    assert!(
        ran.stderr.contains("option `local_ips` in the command line: expected an address, a range such as"),
        "{ran}"
    );
}

/// A server at a Unix socket, and the heads of the requests that came.
fn at_socket(path: &Path) -> Arc<Mutex<Vec<String>>> {
    let listener = UnixListener::bind(path).expect("a socket");
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&heads);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let noted = Arc::clone(&noted);
            thread::spawn(move || {
                serve(stream, "by socket", |head| noted.lock().expect("no panic").push(head.to_owned()));
            });
        }
    });
    heads
}

#[test]
fn a_unix_socket_stands_for_every_host() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.sock");
    let heads = at_socket(&path);
    let socket = path.to_str().expect("UTF-8");
    let flags = format!("--unix-socket {socket} -u 1 -i 3");
    let ran = get("http://api.test/v1", &flags);
    assert_eq!(ran.prints(), ["200 0"; 3], "{ran}");
    assert_eq!(ran.values("http_req_connecting"), 1, "the connection is kept\n{ran}");
    let seen = std::mem::take(&mut *heads.lock().expect("no panic"));
    assert!(seen.len() == 3 && seen.iter().all(|head| head.starts_with("GET /v1 HTTP/1.1\r\nHost: api.test\r\n")));

    // For one request, redirects included; the others go where they went.
    let server = Server::ok("by address");
    let script = r#"
        fn journey() {
            let there = http::get("http://api.test/away", #{ unix_socket: env("SOCKET") });
            check(there, #{ "followed": |r| r.body == "by socket" && r.redirects == 1 });
            check(http::get(env("BASE")), #{ "not there": |r| r.body == "by address" });
            let again = http::get(env("BASE"), #{ unix_socket: env("SOCKET") });
            check(again, #{ "connections are told apart": |r| r.body == "by socket" });
            let gone = http::get(env("BASE"), #{ unix_socket: "/run/there/is/none.sock" });
            check(gone, #{ "nobody": |r| r.error_code == 1212 && r.error.contains("Unix socket `/run/there/is/none.sock`") });
        }
    "#;
    let ran = Loadr::script(script).var("SOCKET", socket).var("BASE", server.base()).run().expect(0);
    assert_eq!(ran.rate("checks"), (4, 0), "{ran}");
    assert!(heads.lock().expect("no panic")[1].contains("Host: elsewhere.test"));
}

#[test]
fn what_is_blocked_is_never_connected_to() {
    let target = Server::ok("forbidden");
    let port = target.address().port();
    let address = target.address();
    let places =
        [format!("http://ads.test:{port}/"), format!("http://{address}/"), format!("http://inner.test:{port}/")];
    let server = Server::start(move |request| match request.target() {
        "/host" => Reply::redirect("302 Found", &places[0]),
        "/address" => Reply::redirect("302 Found", &places[1]),
        "/name" => Reply::redirect("302 Found", &places[2]),
        _ => Reply::ok("fine"),
    });
    // The server itself is at another address of this machine.
    let script = r#"
        const options = #{
            hosts: #{ "shop.test": env("SERVER"), "ads.test": "127.0.0.1", "inner.test": "127.0.0.1" },
            blockHostnames: ["*.tracker.test", "ads.test"], blacklistIPs: ["127.0.0.0/30", "::1/128"],
        };
        fn journey() {
            print(http::get("http://shop.test/").status);
            for path in ["host", "address", "name"] {
                let res = http::get(`http://shop.test/${path}`);
                print(`${res.error_code} ${res.redirects}`);
            }
            print(http::get("http://a.tracker.test/").error_code);
            print(http::get("http://localhost/").error_code);
            print(http::get("http://[::ffff:127.0.0.1]/").error_code);
            check(1, #{ "ran": |n| true });
        }
    "#;
    let forward = Forward::start(server.address());
    let ran = Loadr::script(script).var("SERVER", forward).run().expect(0);
    assert_eq!(ran.prints(), ["200", "1111 1", "1110 1", "1110 1", "1111", "1110", "1110"], "{ran}");
    assert_eq!((target.connections(), server.requests().len()), (0, 4));
    assert_eq!(ran.error(1110).message, "address is blocked");
}

/// Makes a server that is at 127.0.0.1 reachable at 127.0.0.9.
struct Forward;

impl Forward {
    fn start(to: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.9:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(onward) = TcpStream::connect(to) else { continue };
                let copies = (stream.try_clone(), onward.try_clone());
                let (Ok(mut from), Ok(mut back)) = copies else { continue };
                let (mut stream, mut onward) = (stream, onward);
                thread::spawn(move || std::io::copy(&mut from, &mut onward));
                thread::spawn(move || std::io::copy(&mut back, &mut stream));
            }
        });
        address
    }
}

#[test]
fn an_address_that_does_not_answer_costs_no_failure() {
    let server = Everywhere::start();
    // A listener whose queue is full answers to no more attempts to connect, as a host behind a firewall does.
    let dead = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    dead.set_reuse_address(true).expect("an option");
    let address = SocketAddr::from(([127, 0, 0, 2], closed_port()));
    dead.bind(&address.into()).expect("an address");
    dead.listen(0).expect("a queue");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue does not fill");
    }
    let live = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 3), address.port())).expect("an address");
    thread::spawn(move || {
        for stream in live.incoming().flatten() {
            thread::spawn(move || serve(stream, "alive", |_| {}));
        }
    });
    let Some(dns) = Dns::start("127.0.0.2 shop.test\n127.0.0.3 shop.test\n", 60) else { return };
    // Round robin begins at the lowest, which is dead.
    let ran = get(&format!("http://shop.test:{}/", address.port()), &dns.flags("select=roundRobin"));
    assert_eq!(ran.prints(), ["200 0 127.0.0.3"], "{ran}");
    // Where there is no other, it is a failure to connect, and not of the request's whole time.
    let ran = get_none(&format!("http://{address}/"), "--connect-timeout 300ms --timeout 60s");
    assert_eq!(ran.prints(), ["0 1211 127.0.0.2"], "{ran}");
    drop((server, waiting));
}
