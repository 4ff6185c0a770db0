//! `--out statsd=HOST:PORT`: StatsD over UDP, once a second.
//!
//! A trend's second is told bucket by bucket: a value, and how many such values there were as the sampling rate that makes
//! the receiver count that many (`loadr.http_req_duration:12.5|ms|@0.01` is a hundred of them). Values are the upper ends
//! of buckets that grow by 1.1 %, so they are at most 1.2 % too high, and the receiver's counts are right.
//!
//! Plain StatsD has no tags: all series of a metric are told as one. With `tags=dogstatsd` each series is told by itself,
//! with its tags in the form of DogStatsD. Packets keep within what networks carry in one piece.
//!
//! UDP does not tell what got lost. What is known is counted: packets that the system refused, among them those to a port
//! of this machine at which nobody listens.

use std::collections::BTreeMap;
use std::io;
use std::net::{ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use super::merge::{Merged, Series};
use super::prometheus::native;
use super::spec::{Arguments, Destination, Kind, Parameter};
use super::{Format, Output, OutputError};
use crate::event::{RunEvent, Warning};
use crate::metric::histogram::highest_equivalent;
use crate::metric::sink::{Sink, TrendSink};
use crate::metric::{Contains, MetricDef, MetricId};

/// The format `statsd`.
pub const FORMAT: Format = Format {
    name: "statsd",
    help: "StatsD over UDP, once a second, such as 127.0.0.1:8125",
    destination: Destination::Required("HOST:PORT"),
    parameters: &[
        Parameter {
            name: "tags",
            kind: Kind::OneOf(&["none", "dogstatsd"]),
            default: "none",
            help: "whether each series is told by itself, with its tags",
        },
        Parameter { name: "prefix", kind: Kind::Text, default: "loadr.", help: "what names begin with" },
        Parameter {
            name: "packet",
            kind: Kind::Bytes,
            default: "1432",
            help: "the most bytes of a packet: what Ethernet and IPv6 carry in one piece",
        },
    ],
    open: |arguments| Ok(Box::new(StatsD::open(arguments)?)),
};

/// 64 buckets for each doubling: neighbours differ by 1.1 %.
const SCALE: i32 = 6;

/// After so many packets there is a short rest, so that a receiver's buffer does not overflow.
const BURST: u64 = 32;
const REST: Duration = Duration::from_millis(2);

/// How long it may take to hear that nobody listens.
const REFUSAL: Duration = Duration::from_millis(100);

/// The longest value of a tag.
const TAG_MOST: usize = 200;

/// The output.
struct StatsD {
    address: String,
    prefix: String,
    tagged: bool,
    packet_most: usize,
    socket: Option<UdpSocket>,
    merged: Merged,
    packet: String,
    /// Lines of the packet that is being filled.
    lines: u64,
    /// Lines of the packet before: whether it was refused shows when the next is sent.
    lines_before: u64,
    packets: u64,
    sent: u64,
    lost: u64,
    problem: String,
    /// What is lost is told when it begins.
    loss_told: bool,
}

impl StatsD {
    fn open(arguments: &Arguments) -> Result<Self, OutputError> {
        let bad = |parameter, found: &str, problem: &str| OutputError::Parameter {
            format: "statsd",
            parameter,
            found: found.to_owned(),
            problem: problem.to_owned(),
        };
        let address = &arguments.destination;
        if !address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
            return Err(bad("HOST:PORT", address, "expected a host and a port, such as `127.0.0.1:8125`"));
        }
        let prefix = arguments.text("prefix").unwrap_or_default();
        if prefix.contains(|c: char| ":|@#\n".contains(c) || c.is_whitespace()) {
            return Err(bad("prefix", prefix, "StatsD names have no `:`, `|`, `@`, `#` and no blanks"));
        }
        let packet_most = arguments.bytes("packet").and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
        if !(512..=65_507).contains(&packet_most) {
            return Err(bad("packet", arguments.text("packet").unwrap_or_default(), "expected 512 to 65507 bytes"));
        }
        Ok(Self {
            address: address.clone(),
            prefix: prefix.to_owned(),
            tagged: arguments.text("tags") == Some("dogstatsd"),
            packet_most,
            socket: None,
            merged: Merged::default(),
            packet: String::new(),
            lines: 0,
            lines_before: 0,
            packets: 0,
            sent: 0,
            lost: 0,
            problem: String::new(),
            loss_told: false,
        })
    }

    fn connect(&self) -> io::Result<UdpSocket> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "its host has no address");
        for address in self.address.to_socket_addrs()? {
            let any: std::net::IpAddr = if address.is_ipv4() {
                std::net::Ipv4Addr::UNSPECIFIED.into()
            } else {
                std::net::Ipv6Addr::UNSPECIFIED.into()
            };
            match UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(address).map(|()| socket)) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Tells what came in since the last time.
    fn tell(&mut self) {
        let mut lines = Vec::new();
        if self.tagged {
            for (def, series) in self.merged.touched() {
                let tags = tags(series);
                told(&format!("{}{}", self.prefix, def.name), def, &series.sink, &tags, true, &mut lines);
            }
        } else {
            for (metric, sink) in untagged(&self.merged) {
                let def = self.merged.def(metric);
                told(&format!("{}{}", self.prefix, def.name), def, &sink, "", false, &mut lines);
            }
        }
        self.merged.clear();
        for line in lines {
            if !self.packet.is_empty() && self.packet.len() + 1 + line.len() > self.packet_most {
                self.send();
            }
            if !self.packet.is_empty() {
                self.packet.push('\n');
            }
            self.packet.push_str(&line);
            self.lines += 1;
        }
        self.send();
    }

    fn send(&mut self) {
        let (packet, lines) = (std::mem::take(&mut self.packet), std::mem::take(&mut self.lines));
        let Some(socket) = self.socket.as_ref().filter(|_| lines > 0) else { return };
        let mut result = socket.send(packet.as_bytes());
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            // It is the packet before that was refused; this one was not sent.
            self.sent -= self.lines_before;
            self.lost += self.lines_before;
            self.problem = format!("nobody listens at `{}`", self.address);
            self.lines_before = 0;
            result = socket.send(packet.as_bytes());
        }
        match result {
            Ok(_) => (self.sent, self.lines_before) = (self.sent + lines, lines),
            Err(error) => {
                self.lost += lines;
                self.lines_before = 0;
                self.problem = format!("can't be sent to `{}`: {error}", self.address);
            }
        }
        self.packets += 1;
        if self.packets.is_multiple_of(BURST) {
            std::thread::sleep(REST);
        }
    }
}

impl Output for StatsD {
    fn check(&mut self) -> Result<(), OutputError> {
        let error = |problem: String| OutputError::Receiver { receiver: self.address.clone(), problem };
        let socket = self.connect().map_err(|source| error(format!("can't be reached: {source}")))?;
        // An empty packet means nothing, but to a port of this machine at which nobody listens it is refused.
        let probed = socket
            .set_read_timeout(Some(REFUSAL))
            .and_then(|()| socket.send(b""))
            .and_then(|_| refusal(&socket).map_or(Ok(()), Err));
        probed.map_err(|source| error(format!("does not listen: {source}")))?;
        self.socket = Some(socket);
        Ok(())
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        if let RunEvent::Tick(second) = event {
            self.merged.absorb(second);
            self.tell();
        }
        Ok(())
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        if self.lost == 0 || std::mem::replace(&mut self.loss_told, true) {
            return Vec::new();
        }
        vec![Warning {
            message: format!("has begun to lose rows: {}", self.problem),
            hint: "what is known to be lost is counted at the end".into(),
        }]
    }

    fn finish(mut self: Box<Self>) -> Result<(), OutputError> {
        if self.lines_before > 0
            && let Some(error) = self.socket.as_ref().and_then(refusal)
        {
            self.sent -= self.lines_before;
            self.lost += self.lines_before;
            self.problem = format!("nobody listens at `{}`: {error}", self.address);
        }
        if self.lost == 0 {
            return Ok(());
        }
        Err(OutputError::Lost(format!("lost {} of {} rows: {}", self.lost, self.sent + self.lost, self.problem)))
    }
}

/// The system's word that nobody listens, if it comes.
fn refusal(socket: &UdpSocket) -> Option<io::Error> {
    socket.recv(&mut [0; 16]).err().filter(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// The series of each metric as one.
fn untagged(merged: &Merged) -> BTreeMap<MetricId, Sink> {
    let mut all: BTreeMap<MetricId, Sink> = BTreeMap::new();
    for (_, series) in merged.touched() {
        match (all.get_mut(&series.metric), &series.sink) {
            (None, sink) => _ = all.insert(series.metric, sink.clone()),
            (Some(Sink::Counter { sum: all }), Sink::Counter { sum }) => *all += sum,
            (Some(Sink::Gauge { last: all, .. }), Sink::Gauge { last, .. }) => *all = *last,
            (Some(Sink::Rate { passes: held, total: of }), Sink::Rate { passes, total }) => {
                (*held, *of) = (*held + passes, *of + total);
            }
            (Some(Sink::Trend(all)), Sink::Trend(trend)) => {
                let buckets = trend.histogram.buckets();
                buckets.for_each(|(value, count)| all.histogram.record(value, count));
                all.max = all.max.max(trend.max);
            }
            // A metric has one kind.
            (Some(_), _) => {}
        }
    }
    all
}

/// The lines that tell a sink.
fn told(name: &str, def: &MetricDef, sink: &Sink, tags: &str, tagged: bool, lines: &mut Vec<String>) {
    let ending = if tags.is_empty() { String::new() } else { format!("|#{tags}") };
    match sink {
        Sink::Counter { sum } => lines.push(format!("{name}:{sum}|c{ending}")),
        Sink::Gauge { last, .. } => {
            if *last < 0.0 {
                // A sign would mean a change of the gauge: it is set to nothing first.
                lines.push(format!("{name}:0|g{ending}"));
            }
            lines.push(format!("{name}:{last}|g{ending}"));
        }
        &Sink::Rate { passes, total } => {
            for (value, count) in [("true", passes), ("false", total - passes)].into_iter().filter(|(_, n)| *n > 0) {
                let comma = if tags.is_empty() { "" } else { "," };
                lines.push(if tagged {
                    format!("{name}:{count}|c|#{tags}{comma}value:{value}")
                } else {
                    format!("{name}.{value}:{count}|c")
                });
            }
        }
        Sink::Trend(trend) => {
            // Plain StatsD has no other kind for distributions.
            let kind = if tagged && def.contains != Contains::Time { "h" } else { "ms" };
            for (value, count) in coarse(trend) {
                let value = value as f64 / 1e3;
                let rate = if count == 1 { String::new() } else { format!("|@{}", 1.0 / count as f64) };
                lines.push(format!("{name}:{value}|{kind}{rate}{ending}"));
            }
        }
    }
}

/// A trend's values in buckets that grow by 1.1 %, each told as the largest value in it.
fn coarse(trend: &TrendSink) -> Vec<(u64, u64)> {
    let mut buckets: Vec<(i32, u64, u64)> = Vec::new();
    for (value, count) in trend.histogram.buckets() {
        let value = highest_equivalent(value).min(trend.max);
        let index = if value == 0 { i32::MIN } else { native::index(value as f64, SCALE) };
        match buckets.last_mut() {
            Some((last, largest, all)) if *last == index => (*largest, *all) = (value, *all + count),
            _ => buckets.push((index, value, count)),
        }
    }
    buckets.into_iter().map(|(_, value, count)| (value, count)).collect()
}

/// Tags in DogStatsD's form. What would end a tag or a line becomes `_`.
fn tags(series: &Series) -> String {
    let tame = |text: &str, colons: bool| -> String {
        let tame = |c: char| if c.is_control() || ",|#".contains(c) || (c == ':' && !colons) { '_' } else { c };
        text.chars().take(TAG_MOST).map(tame).collect()
    };
    let tags = series.tags.iter().map(|(key, value)| format!("{}:{}", tame(key, false), tame(value, true)));
    tags.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{open, sample};
    use super::*;

    /// Two seconds of a run as packets.
    fn packets(parameters: &str, names: Vec<String>) -> Vec<String> {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let address = receiver.local_addr().unwrap();
        let mut output = open(&format!("statsd={address}{parameters}")).unwrap().output;
        output.check().unwrap();
        // The receiver works them off meanwhile: its buffer is no larger than the system's.
        let reader = std::thread::spawn(move || {
            let mut packets = Vec::new();
            let mut bytes = vec![0; 65_536];
            loop {
                let length = receiver.recv(&mut bytes).unwrap();
                match std::str::from_utf8(&bytes[..length]).unwrap() {
                    "end" => return packets,
                    "" => {}
                    packet => packets.push(packet.to_owned()),
                }
            }
        });
        let mut recording = sample::Recording::of(names);
        for _ in 0..2 {
            output.event(&RunEvent::Tick(Arc::new(recording.second()))).unwrap();
        }
        output.finish().unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"end", address).unwrap();
        reader.join().unwrap()
    }

    #[derive(Debug, PartialEq)]
    struct Line {
        name: String,
        value: f64,
        kind: String,
        count: f64,
        tags: Vec<(String, String)>,
    }

    /// A line as the protocol's description has it.
    fn parse(line: &str) -> Line {
        let (name, rest) = line.split_once(':').unwrap();
        let mut parts = rest.split('|');
        let value = parts.next().unwrap().parse().unwrap();
        let kind = parts.next().unwrap().to_owned();
        let mut parsed = Line { name: name.to_owned(), value, kind, count: 1.0, tags: Vec::new() };
        for part in parts {
            match part.split_at(1) {
                ("@", rate) => parsed.count = (1.0 / rate.parse::<f64>().unwrap()).round(),
                ("#", tags) => {
                    let pairs = tags.split(',').map(|tag| tag.split_once(':').unwrap());
                    parsed.tags = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                }
                _ => panic!("{line}"),
            }
        }
        parsed
    }

    fn lines(packets: &[String]) -> Vec<Line> {
        packets.iter().flat_map(|packet| packet.lines().map(parse)).collect()
    }

    fn sum(lines: &[Line], name: &str) -> f64 {
        lines.iter().filter(|line| line.name == name && line.kind == "c").map(|line| line.value).sum()
    }

    #[test]
    fn plain_statsd_tells_each_metric_as_one() {
        let lines = lines(&packets("", vec!["a".into(), "b".into()]));
        assert!(lines.iter().all(|line| line.tags.is_empty()));
        assert_eq!(sum(&lines, "loadr.http_reqs"), 80.0);
        assert_eq!(
            (sum(&lines, "loadr.http_req_failed.true"), sum(&lines, "loadr.http_req_failed.false")),
            (8.0, 72.0)
        );
        let durations: Vec<_> = lines.iter().filter(|line| line.name == "loadr.http_req_duration").collect();
        assert!(durations.iter().all(|line| line.kind == "ms"));
        assert_eq!(durations.iter().map(|line| line.count).sum::<f64>(), 80.0, "every value is counted");
        for n in 1..=10 {
            // Two names, two workers, two seconds: eight times n ms, at most a thousandth more.
            let near = durations
                .iter()
                .filter(|line| (0.0..0.01).contains(&(line.value - f64::from(n))))
                .map(|line| line.count);
            assert_eq!(near.sum::<f64>(), 8.0, "{n} ms: {durations:?}");
        }
        let gauge: Vec<f64> = lines
            .iter()
            .filter(|line| line.kind == "g" && line.name == "loadr.temperature")
            .map(|line| line.value)
            .collect();
        assert_eq!(gauge, [0.0, -3.5, 0.0, -3.5], "a sign would be a change");
    }

    #[test]
    fn dogstatsd_tells_each_series_with_its_tags() {
        let lines = lines(&packets("?tags=dogstatsd&prefix=x.", vec!["front page".into()]));
        let good = lines.iter().find(|line| line.name == "x.http_reqs" && line.value == 18.0).unwrap();
        let pairs: Vec<_> = good.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(pairs, ["method=GET", "name=front page", "scenario=shoppers", "status=200"]);
        let failed = lines
            .iter()
            .filter(|line| line.name == "x.http_req_failed" && line.tags.contains(&("value".into(), "true".into())));
        assert_eq!(failed.map(|line| line.value).sum::<f64>(), 4.0);
        assert!(lines.iter().any(|line| line.name == "x.cart_value" && line.kind == "h" && line.value == 25.5));
    }

    #[test]
    fn packets_keep_to_their_size_and_hostile_names_to_their_line() {
        let packets = packets("?tags=dogstatsd&packet=1kb", sample::hostile_names());
        let lines = lines(&packets);
        assert!(packets.iter().all(|packet| packet.len() <= 1_000), "{:?}", packets.iter().map(String::len).max());
        let expected = sample::hostile_names().len() as f64 * 40.0;
        assert_eq!(sum(&lines, "loadr.http_reqs"), expected);
    }

    #[test]
    fn nobody_who_listens_is_known_before_the_run() {
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = open(&format!("statsd={gone}")).unwrap().output.check().unwrap_err().to_string();
        assert!(error.starts_with(&format!("receiver `{gone}` does not listen: ")), "{error}");
        for (spec, problem) in [
            ("statsd=x", "expected a host and a port"),
            ("statsd=:1", "expected a host and a port"),
            ("statsd=h:1?prefix=a b", "no blanks"),
            ("statsd=h:1?packet=5", "expected 512 to 65507 bytes"),
        ] {
            let error = open(spec).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(problem), "{spec}: {error}");
        }
    }

    #[test]
    fn a_receiver_that_goes_away_costs_what_it_could_not_take() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut output = open(&format!("statsd={}", receiver.local_addr().unwrap())).unwrap().output;
        output.check().unwrap();
        drop(receiver);
        let mut recording = sample::Recording::of(vec!["a".into()]);
        output.event(&RunEvent::Tick(Arc::new(recording.second()))).unwrap();
        output.event(&RunEvent::Tick(Arc::new(recording.second()))).unwrap();
        assert!(output.take_warnings().iter().all(|warning| warning.message.contains("nobody listens")));
        let error = output.finish().unwrap_err().to_string();
        let (lost, all) = error
            .strip_prefix("lost ")
            .and_then(|rest| rest.split_once(" rows"))
            .unwrap()
            .0
            .split_once(" of ")
            .unwrap();
        assert_eq!(lost, all, "{error}");
    }
}
