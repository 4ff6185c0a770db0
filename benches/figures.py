#!/usr/bin/env python3
"""The figures of whole processes: loadr side by side with others, and loadr's own costs.

    cargo build --release
    python3 benches/figures.py throughput     CPU time a request, against wrk and oha where they are installed
    python3 benches/figures.py tls            the same under TLS against plain; full handshakes against wrk's
    python3 benches/figures.py http2          one connection that 50 virtual users share, against h2load
    python3 benches/figures.py memory         memory a virtual user, 5,000 of them thinking a second between requests
    python3 benches/figures.py ready          10,000 virtual users: ready within the first second, asleep for nothing
    python3 benches/figures.py ramp           up to 10,000 virtual users and down again in a minute: all come, all go
    python3 benches/figures.py growth         memory after 500,000 and after 5,000,000 requests
    python3 benches/figures.py cold           from the start of the process to its first request
    python3 benches/figures.py check          loadr check, cold: the smallest script, and one of 2,000 lines
    python3 benches/figures.py watch          loadr watch: from a save to the first line, and to the first request's, 50 saves
    python3 benches/figures.py uploads        memory while 100 virtual users upload 1 GB each
    python3 benches/figures.py demo           what the demo server costs beside what loadr costs, journey by journey
    python3 benches/figures.py share          what loadr's user CPU goes to in the shop: script, metrics, client (needs perf)
    python3 benches/figures.py all

Needs nginx for throughput, memory and growth: the target that costs least. All traffic stays on 127.0.0.1. The machine
is shared and noisy: read ratios of one sitting, not single figures.
"""

import fcntl
import json
import math
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOADR = os.environ.get("LOADR_BIN", os.path.join(ROOT, "target", "release", "loadr"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
TICK = os.sysconf("SC_CLK_TCK")

GET = """const URL = env("URL");
fn journey() {
    let res = http::get(URL, #{ name: "root" });
    check(res, #{ "is 200": |r| r.status == 200 });
}
"""

THINK = GET.replace("    check(", "    sleep(1.s);\n    check(")

NGINX = """worker_processes 1;
pid %(dir)s/nginx.pid;
error_log %(dir)s/error.log;
daemon off;
events { worker_connections 20000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  server {
    listen 127.0.0.1:%(port)d backlog=4096;
%(more)s    location / { default_type text/plain; return 200 "%(body)s"; }
  }
}
"""

TLS = """    listen 127.0.0.1:%(port)d ssl backlog=4096;
    ssl_certificate %(dir)s/cert.pem;
    ssl_certificate_key %(dir)s/key.pem;
    ssl_session_cache off;
    ssl_session_tickets off;
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"nothing listens on port {port}")


class Server:
    """A child process that serves until the block ends."""

    def __init__(self, command, port):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.port = port

    def __enter__(self):
        wait_for(self.port)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def nginx(directory, more=""):
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not os.path.exists(program):
        sys.exit("nginx is not installed; these figures need it")
    port = free_port()
    path = os.path.join(directory, "nginx.conf")
    with open(path, "w") as config:
        config.write(NGINX % {"dir": directory, "port": port, "body": "0123456789" * 10, "more": more})
    return Server([program, "-c", path, "-p", directory], port)


def certificate(directory):
    """A key and a certificate that it signed: P-256, as most servers have now."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
               "-subj", "/CN=localhost", "-keyout", os.path.join(directory, "key.pem"), "-out", os.path.join(directory, "cert.pem")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def measured(command, env=None):
    """User and system seconds, peak memory in KB and wall seconds of a command, with what it printed."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **(env or {})})
        _, status, usage = os.wait4(process.pid, 0)
        out.seek(0)
        text = out.read()
    wall = time.monotonic() - began
    return usage.ru_utime, usage.ru_stime, usage.ru_maxrss, wall, text, os.waitstatus_to_exitcode(status)


def loadr(directory, script, url, *flags):
    path = os.path.join(directory, "journey.rhai")
    with open(path, "w") as file:
        file.write(script)
    export = os.path.join(directory, "summary.json")
    command = [LOADR, "run", path, "-e", f"URL={url}", "--quiet", "--summary-export", export, *flags]
    user, system, memory, wall, text, code = measured(command)
    if code != 0:
        sys.exit(f"loadr exited with {code}:\n{text}")
    with open(export) as file:
        return user, system, memory, wall, json.load(file)


def row(name, user, system, requests, base=None):
    cpu = (user + system) * 1e6 / requests
    ratio = f"  {cpu / base:.2f} x wrk" if base else ""
    print(f"  {name:6} {cpu:6.2f} us/request (user {user * 1e6 / requests:.2f}, system {system * 1e6 / requests:.2f}), "
          f"{requests / 1000:.0f} k requests{ratio}")
    return cpu


def throughput(directory):
    print(f"throughput: GET of 100 bytes over keep-alive from one nginx worker, 50 connections, {SECONDS} s a run")
    oha = shutil.which("oha") or os.environ.get("OHA_BIN")
    with nginx(directory) as server:
        url = f"http://127.0.0.1:{server.port}/"
        for _ in range(ROUNDS):
            base = None
            if shutil.which("wrk"):
                user, system, _, _, text, _ = measured(["wrk", "-t1", "-c50", f"-d{SECONDS}", url])
                base = row("wrk", user, system, int(re.search(r"(\d+) requests in", text)[1]))
            if oha:
                command = [oha, "--no-tui", "-c", "50", "-z", f"{SECONDS}s", "--output-format", "json", url]
                user, system, _, _, text, code = measured(command, {"TOKIO_WORKER_THREADS": "1"})
                if code != 0:
                    command = [oha, "--no-tui", "-c", "50", "-z", f"{SECONDS}s", "-j", url]
                    user, system, _, _, text, code = measured(command, {"TOKIO_WORKER_THREADS": "1"})
                statuses = json.loads(text[text.index("{"):])["statusCodeDistribution"]
                row("oha", user, system, sum(statuses.values()), base)
            user, system, memory, _, report = loadr(
                directory, GET, url, "--vus", "50", "--duration", f"{SECONDS}s", "--threads", "1")
            row("loadr", user, system, report["metrics"]["http_reqs"]["count"], base)


def tls(directory):
    """Requests on kept connections, with TLS and without; and connections that are made for one request each."""
    certificate(directory)
    port = free_port()
    flags = ("--vus", "50", "--duration", f"{SECONDS}s", "--threads", "1", "--insecure-skip-tls-verify", "--http-version", "1.1")
    with nginx(directory, TLS % {"dir": directory, "port": port}) as server:
        plain, secret = f"http://127.0.0.1:{server.port}/", f"https://127.0.0.1:{port}/"

        def cost(url, *more):
            user, system, _, _, report = loadr(directory, GET, url, *flags, *more)
            return (user + system) * 1e6 / report["metrics"]["http_reqs"]["count"]

        print(f"tls: GET of 100 bytes over keep-alive from nginx, 50 connections, {SECONDS} s a run")
        for _ in range(ROUNDS):
            without, with_tls = cost(plain), cost(secret)
            print(f"  plain {without:.2f} us/request, TLS {with_tls:.2f}  {with_tls / without:.2f} x plain")
        print("tls: a full handshake for each request (P-256), connections closed")
        for _ in range(ROUNDS):
            command = ["wrk", "-t1", "-c50", f"-d{SECONDS}", "-H", "Connection: close", secret]
            user, system, _, _, text, _ = measured(command)
            base = (user + system) * 1e6 / int(re.search(r"(\d+) requests in", text)[1])
            own = cost(secret, "--no-connection-reuse")
            print(f"  wrk {base:.0f} us/handshake, loadr {own:.0f}: {base / own:.2f} x wrk's handshakes a CPU second")


def http2(directory):
    """One connection that 50 virtual users share, against h2load with 50 streams on one."""
    port = free_port()
    with nginx(directory, f"    listen 127.0.0.1:{port} http2;\n    http2_max_concurrent_streams 256;\n") as _:
        url = f"http://127.0.0.1:{port}/"
        print("http2: GET of 100 bytes from nginx, one connection without TLS, 50 requests under way")
        for _ in range(ROUNDS):
            count = 60_000 * SECONDS
            user, system, _, _, text, _ = measured(["h2load", "-t1", "-c1", "-m50", "-n", str(count), url])
            if f"{count} succeeded" not in text:
                sys.exit(f"h2load: {text}")
            base = (user + system) * 1e6 / count
            user, system, _, _, report = loadr(
                directory, GET, url, "--vus", "50", "--duration", f"{SECONDS}s", "--threads", "1",
                "--http-version", "2", "--share-connections")
            requests = report["metrics"]["http_reqs"]["count"]
            connections = report["metrics"]["http_req_connecting"]["count"]
            own = (user + system) * 1e6 / requests
            print(f"  h2load {base:.2f} us/request, loadr {own:.2f} (user {user * 1e6 / requests:.2f}, "
                  f"system {system * 1e6 / requests:.2f}; {connections:.0f} connections)  {own / base:.2f} x h2load")


def memory(directory):
    with nginx(directory) as server:
        url = f"http://127.0.0.1:{server.port}/"
        flags = ("--vus", "5000", "--duration", "15s")
        user, system, peak, wall, report = loadr(directory, THINK, url, *flags)
        requests = report["metrics"]["http_reqs"]["count"]
        print(f"memory: 5,000 VUs, a second between requests: {peak / 5000:.1f} KB a VU in all at the peak "
              f"({peak / 1000:.0f} MB, {requests:.0f} requests in {wall:.0f} s)")


def ready(directory):
    path = os.path.join(directory, "asleep.rhai")
    with open(path, "w") as file:
        file.write('const PAUSE = parse_float(env("PAUSE"));\nfn journey() { sleep(PAUSE); }\n')
    costs = []
    for seconds in (4, 16):
        export = os.path.join(directory, "summary.json")
        command = [LOADR, "run", path, "--vus", "10000", "--duration", f"{seconds}s", "--quiet", "--allow-failure",
                   "--summary-export", export, "-e", f"PAUSE={seconds}"]
        user, system, peak, _, text, code = measured(command)
        if code != 0:
            sys.exit(f"loadr exited with {code}:\n{text}")
        costs.append(user + system)
        with open(export) as file:
            first = json.load(file)["series"]["points"][0]
    print(f"ready: {first['vus']:.0f} of 10,000 VUs run at the end of the first second; {peak / 10000:.1f} KB a VU; "
          f"CPU of the whole run: {costs[0]:.2f} s when it lasts 4 s, {costs[1]:.2f} s when it lasts 16 s")


RAMP = """const URL = env("URL");
const options = #{ scenarios: #{ ramp: #{ executor: "ramping-vus", start_vus: 0, graceful_ramp_down: 10.s, stages: [
    #{ duration: 30.s, target: 10000 }, #{ duration: 25.s, target: 0 }, #{ duration: 5.s, target: 0 },
] } } };
const started = metrics::counter("started");
const stopped = metrics::counter("stopped");
fn vu_start(vu) { started.add(1); }
fn vu_stop(vu) { stopped.add(1); }
fn journey() { http::get(URL, #{ name: "root" }); sleep(2.s); }
"""


def ramp(directory):
    """Up to 10,000 virtual users and down again within a minute: all of them come, all go, and so does their memory."""
    path, export = os.path.join(directory, "ramp.rhai"), os.path.join(directory, "summary.json")
    with open(path, "w") as file:
        file.write(RAMP)
    with nginx(directory) as server:
        command = [LOADR, "run", path, "-e", f"URL=http://127.0.0.1:{server.port}/", "--quiet", "--summary-export", export]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        resident = []
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/statm") as statm:
                    resident.append(int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
            except (OSError, IndexError):
                break
            time.sleep(0.25)
        code = process.wait()
    with open(export) as file:
        report = json.load(file)
    points = report["series"]["points"]
    started, stopped = (report["metrics"][name]["count"] for name in ("started", "stopped"))
    # Of the last samples some are of a process that is ending.
    after = resident[-8]
    print(f"ramp: {max(point['vus'] for point in points):.0f} virtual users at the most, {points[-1]['vus']:.0f} at the end; "
          f"{started:.0f} started, {stopped:.0f} stopped; exit code {code}; "
          f"{max(resident):.0f} MB resident at the peak, {after:.0f} MB after it, {resident[4]:.0f} MB a second after the start")


def growth(directory):
    peaks = []
    with nginx(directory) as server:
        url = f"http://127.0.0.1:{server.port}/"
        for count in (500_000, 5_000_000):
            flags = ("--vus", "50", "--iterations", str(count), "--threads", "1")
            _, _, peak, wall, _ = loadr(directory, GET, url, *flags)
            peaks.append(peak)
            print(f"growth: {count:,} requests: {peak / 1000:.1f} MB at the peak ({wall:.0f} s)")
    print(f"growth: {(peaks[1] - peaks[0]) / 1000:+.1f} MB from ten times the requests")


def cold(directory):
    listener = socket.create_server(("127.0.0.1", 0))
    path = os.path.join(directory, "cold.rhai")
    with open(path, "w") as file:
        file.write('import "std/auth" as auth;\nfn journey() { http::get(env("URL")); }\n')
    times = []
    for _ in range(15):
        began = time.perf_counter()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        process = subprocess.Popen([LOADR, "run", path, "-e", f"URL={url}", "--quiet"], stdout=subprocess.DEVNULL)
        connection, _ = listener.accept()
        connection.recv(4096)
        times.append((time.perf_counter() - began) * 1e3)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        process.wait()
        connection.close()
    times.sort()
    print(f"cold: first request after {times[len(times) // 2]:.1f} ms (least {times[0]:.1f}, most {times[-1]:.1f})")


def check(directory):
    """Whole processes, cold: what an editor waits for at each save."""
    step = """/// Step %d.
fn step_%d(vu) {
    let res = http::get(`${BASE}/item/${random::int(1, 500)}`, #{ name: "item %d" });
    check(res, #{
        "item is 200": |r| r.status == 200,
        "has a price": |r| r.json("price") > 0.0,
    });
    think(1.s..3.s);
    res.json("token")
}
"""
    steps = "".join(step % (number, number, number) for number in range(182))
    calls = "".join(f"    step_{number}(vu);\n" for number in range(182))
    base = 'const BASE = env("BASE_URL", "http://127.0.0.1:8080");\n'
    large = f"{base}{steps}fn journey(vu) {{\n{calls}}}\n"
    scripts = {"smallest": "fn journey(vu) { print(vu.id); }\n", f"{large.count(chr(10)):,} lines": large}
    for what, text in scripts.items():
        path = os.path.join(directory, "check.rhai")
        with open(path, "w") as file:
            file.write(text)
        times = []
        for _ in range(25):
            began = time.perf_counter()
            subprocess.run([LOADR, "check", path], stdout=subprocess.DEVNULL, check=True)
            times.append((time.perf_counter() - began) * 1e3)
        times.sort()
        print(f"check: {what}: {times[len(times) // 2]:.1f} ms (least {times[0]:.1f}, most {times[-1]:.1f})")


def watch(directory):
    """Saves as editors make them, in turn: a new file renamed over the old one, and a file truncated and written."""
    shutil.copytree(os.path.join(ROOT, "scripts", "data"), os.path.join(directory, "data"))
    path = os.path.join(directory, "quickstart.rhai")
    with open(os.path.join(ROOT, "scripts", "quickstart.rhai")) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text)
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8")
        os.execv(LOADR, [LOADR, "watch", path, "--demo", "--no-color"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    seen = b""

    def until(pattern):
        nonlocal seen
        while not (found := re.search(pattern, seen)):
            seen += os.read(terminal, 65536)
        came = time.perf_counter()
        seen = seen[found.end():]
        return came

    until(rb"waiting for a save")
    first_line, first_request = [], []
    for number in range(50):
        changed = f"{text}// {number}\n"
        beside = os.path.join(directory, "beside")
        time.sleep(0.05)
        began = time.perf_counter()
        if number % 2:
            with open(path, "w") as file:
                file.write(changed)
        else:
            with open(beside, "w") as file:
                file.write(changed)
            os.rename(beside, path)
        first_line.append((until(rb"quickstart.rhai changed") - began) * 1e3)
        first_request.append((until(rb"GET ") - began) * 1e3)
        until(rb"waiting for a save")
    os.write(terminal, b"q")
    os.waitpid(child, 0)
    for what, times in (("first line", first_line), ("first request's line", first_request)):
        times.sort()
        p95 = times[math.ceil(0.95 * len(times)) - 1]
        print(f"watch: {what} after {times[len(times) // 2]:.1f} ms, p95 {p95:.1f} ms, most {times[-1]:.1f} ms")


UPLOAD = """const URL = env("URL");
const SIZE = env("SIZE");
fn journey() {
    let res = http::put(URL, http::generated(SIZE), #{ name: "upload", timeout: 60.m });
    check(res, #{ "arrived": |r| r.status == 200 });
}
"""


class Sink:
    """Reads bodies with a length and throws them away, each connection in a thread of its own."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.bytes = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        # With MSG_TRUNC the kernel drops what has arrived instead of copying it: what is left is the sender's cost.
        nowhere, head = bytearray(1 << 20), b""
        with connection:
            while b"\r\n\r\n" not in head:
                head += connection.recv(1024)
            length = int(re.search(rb"content-length: (\d+)", head, re.I)[1])
            left = length - (len(head) - head.index(b"\r\n\r\n") - 4)
            while left > 0:
                count = connection.recv_into(nowhere, min(left, len(nowhere)), socket.MSG_TRUNC)
                if count == 0:
                    return
                left -= count
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            with self.lock:
                self.bytes += length


def uploads(directory):
    users, megabytes = 100, int(os.environ.get("BENCH_UPLOAD_MB", "1000"))
    sink = Sink()
    flags = ("--vus", str(users), "--iterations", str(users), "-e", f"SIZE={megabytes}MB")
    user, system, peak, wall, report = loadr(directory, UPLOAD, f"http://127.0.0.1:{sink.port}/", *flags)
    arrived = report["checks"][0]["passes"]
    if arrived != users or sink.bytes < users * megabytes * 1_000_000:
        sys.exit(f"{arrived} of {users} uploads arrived, {sink.bytes:,} bytes")
    gigabytes = sink.bytes / 1e9
    print(f"uploads: {users} VUs at once, {megabytes:,} MB each: {peak / 1000:.1f} MB resident at the peak; "
          f"{gigabytes:.0f} GB in {wall:.0f} s ({gigabytes / wall:.2f} GB/s), "
          f"{(user + system) / gigabytes:.2f} s of CPU a GB (user {user / gigabytes:.2f}, system {system / gigabytes:.2f})")


def demo(directory):
    port = free_port()
    with Server([LOADR, "demo", "--listen", f"127.0.0.1:{port}", "--threads", "1"], port) as server:
        for script in ("quickstart", "shop", "api"):
            export = os.path.join(directory, "summary.json")
            before = server.cpu()
            command = [LOADR, "run", os.path.join(ROOT, "scripts", f"{script}.rhai"), "--quiet", "--threads", "1",
                       "-e", f"BASE_URL=http://127.0.0.1:{port}", "--vus", "400", "--summary-export", export]
            user, system, _, _, text, _ = measured(command)
            served = server.cpu() - before
            with open(export) as file:
                requests = json.load(file)["metrics"]["http_reqs"]["count"]
            own, other = (user + system) * 1e6 / requests, served * 1e6 / requests
            print(f"demo: {script}: loadr {own:.1f} us/request, demo server {other:.1f}: {own / other:.1f} times")


# Whose work a function does, by its name: the first that fits. What a host function does (a request, a page, JSON) is not
# the script's, the way to it is.
ROOMS = [
    ("metrics", re.compile(r"loadr::metric|loadr::script::series")),
    ("script", re.compile(r"loadr::script::modules::(placed|args|argument|check)|rhai|corosensei")),
    ("host functions", re.compile(r"loadr::script::(modules|json|lazy_json|names|worker_cache)|html5gum|url::")),
    ("script", re.compile(r"loadr::script")),
    ("client", re.compile(r"loadr::net|httparse")),
    ("engine", re.compile(r"loadr::engine")),
]


def room(stack):
    """The innermost function decides that is loadr's or Rhai's; memory and text belong to whom they serve."""
    for name in stack:
        for where, pattern in ROOMS:
            if pattern.search(name):
                return where
    return "event loop" if any("tokio" in name or "mio" in name for name in stack) else "rest"


def share(directory):
    """What loadr's user CPU goes to in the shop, by samples of perf."""
    port, data = free_port(), os.path.join(directory, "perf.data")
    with Server([LOADR, "demo", "--listen", f"127.0.0.1:{port}", "--threads", "1"], port):
        for vus in (400, 4000):
            subprocess.run(
                ["perf", "record", "-q", "-e", "cpu-clock:u", "-F", "4999" if vus < 1000 else "997", "--call-graph",
                 "dwarf,8192", "-o", data, LOADR, "run", os.path.join(ROOT, "scripts", "shop.rhai"), "--quiet", "--threads", "1",
                 "-e", f"BASE_URL=http://127.0.0.1:{port}", "--vus", str(vus)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            text = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,sym"], check=True, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, errors="replace").stdout
            counts = {}
            for sample in text.split("\n\n"):
                lines = sample.strip().splitlines()
                if lines and "worker" in lines[0]:
                    where = room([line.split(None, 1)[-1] for line in lines[1:]])
                    counts[where] = counts.get(where, 0) + 1
            total = sum(counts.values())
            shares = sorted(counts.items(), key=lambda entry: -entry[1])
            both = (counts.get("script", 0) + counts.get("metrics", 0)) / total
            print(f"share: shop with {vus} virtual users, {total} samples: "
                  + ", ".join(f"{where} {100 * count / total:.1f} %" for where, count in shares)
                  + f"; script and metrics {100 * both:.1f} %")


def main():
    known = {f.__name__: f for f in (throughput, tls, http2, memory, ready, ramp, growth, cold, check, watch, uploads, demo,
                                   share)}
    wanted = sys.argv[1:] or ["help"]
    if wanted == ["all"]:
        wanted = list(known)
    if any(name not in known for name in wanted):
        sys.exit(__doc__)
    if not os.path.exists(LOADR):
        sys.exit(f"{LOADR} is not there: cargo build --release")
    for name in wanted:
        with tempfile.TemporaryDirectory() as directory:
            known[name](directory)


if __name__ == "__main__":
    main()
