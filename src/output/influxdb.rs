//! `--out influxdb=URL`: line protocol to InfluxDB 2 and later (`/api/v2/write`), to InfluxDB 1 (`/write`), and to what
//! speaks like one of them.
//!
//! One row a series and interval, with what came in within it; its time is the interval's end. The measurement is the
//! metric, tags are tags. A row that is written twice replaces itself, so that nothing is counted twice when a receiver
//! took rows without saying so.
//!
//! | kind | fields |
//! | --- | --- |
//! | counter | `value`: the sum of the interval |
//! | gauge | `value`: the latest, `min`, `max` |
//! | rate | `value`: the share, `passes`, `total` |
//! | trend | `count`, `sum`, `min`, `max`, `avg`, `med`, `p90`, `p95`, `p99`, `p999` |

use std::fmt::Write as _;
use std::time::Duration;

use url::Url;

use super::merge::Merged;
use super::moments::Moments;
use super::push::{self, Parcel, Push};
use super::spec::{Arguments, Destination, Kind, Parameter};
use super::{Format, Output, OutputError};
use crate::event::{RunEvent, Warning};
use crate::metric::aggregate::TrendAggregate;
use crate::metric::sink::Sink;

/// The format `influxdb`.
pub const FORMAT: Format = Format {
    name: "influxdb",
    help: "InfluxDB's line protocol, one row a series a second, such as http://HOST:8086 with `org` and `bucket`",
    destination: Destination::Required("URL"),
    parameters: &[
        Parameter { name: "org", kind: Kind::Text, default: "", help: "the organisation [or INFLUX_ORG]" },
        Parameter { name: "bucket", kind: Kind::Text, default: "", help: "the bucket [or INFLUX_BUCKET_NAME]" },
        Parameter { name: "db", kind: Kind::Text, default: "", help: "InfluxDB 1: the database, instead of a bucket" },
        Parameter { name: "interval", kind: Kind::Duration, default: "1s", help: "the time that one row tells of" },
        push::TOKEN,
        push::USERNAME,
        push::PASSWORD,
        push::HEADERS,
        push::TIMEOUT,
        push::INSECURE,
    ],
    open: |arguments| Ok(Box::new(InfluxDb::open(arguments)?)),
};

/// The most bytes of one request.
const BODY_MOST: usize = 1024 * 1024;

/// The output.
struct InfluxDb {
    interval: Duration,
    push: Push,
    merged: Merged,
    moments: Moments,
    /// When rows were last written, and how far the run is, both since its start.
    written: Duration,
    now: Duration,
}

impl InfluxDb {
    fn open(arguments: &Arguments) -> Result<Self, OutputError> {
        let mut receiver = push::receiver("influxdb", arguments, "INFLUX", "Token")?;
        let given = |name: &str, variable: &str| {
            arguments.text(name).map(str::to_owned).or_else(|| std::env::var(variable).ok()).filter(|it| !it.is_empty())
        };
        let db = arguments.text("db");
        let bucket = given("bucket", "INFLUX_BUCKET_NAME").filter(|_| db.is_none());
        let bad = |parameter, problem: &str| OutputError::Parameter {
            format: "influxdb",
            parameter,
            found: arguments.text(parameter).unwrap_or_default().to_owned(),
            problem: problem.to_owned(),
        };
        if db.is_some() && arguments.is_given("bucket") {
            return Err(bad("db", "expected either a bucket (InfluxDB 2) or a database (InfluxDB 1), not both"));
        }
        let mut url = Url::parse(&receiver.url).map_err(|error| bad("bucket", &error.to_string()))?;
        let base = url.path().trim_end_matches('/').to_owned();
        match (bucket, db) {
            (Some(bucket), _) => {
                url.set_path(&format!("{base}/api/v2/write"));
                if let Some(org) = given("org", "INFLUX_ORG") {
                    url.query_pairs_mut().append_pair("org", &org);
                }
                url.query_pairs_mut().append_pair("bucket", &bucket);
            }
            (None, Some(db)) => {
                url.set_path(&format!("{base}/write"));
                url.query_pairs_mut().append_pair("db", db);
            }
            (None, None) => {
                return Err(bad(
                    "bucket",
                    "expected a bucket (InfluxDB 2: `?org=ORG&bucket=NAME`) or `?db=NAME` (InfluxDB 1)",
                ));
            }
        }
        url.query_pairs_mut().append_pair("precision", "ms");
        receiver.url = url.to_string();
        receiver.headers.push(("Content-Type".into(), "text/plain; charset=utf-8".into()));
        Ok(Self {
            interval: arguments.duration("interval").unwrap_or_default().max(Duration::from_secs(1)),
            push: Push::new(receiver),
            merged: Merged::default(),
            moments: Moments::default(),
            written: Duration::ZERO,
            now: Duration::ZERO,
        })
    }

    fn write(&mut self) -> Result<(), OutputError> {
        let at_ms = self.moments.at_ms(self.now);
        let (mut body, mut rows) = (String::new(), 0);
        for (def, series) in self.merged.touched() {
            line(&mut body, &def.name, &series.tags, &series.sink, at_ms);
            rows += 1;
            if body.len() >= BODY_MOST {
                self.push.send(Parcel { body: std::mem::take(&mut body).into_bytes(), rows })?;
                rows = 0;
            }
        }
        if rows > 0 {
            self.push.send(Parcel { body: body.into_bytes(), rows })?;
        }
        self.merged.clear();
        self.written = self.now;
        Ok(())
    }
}

impl Output for InfluxDb {
    fn check(&mut self) -> Result<(), OutputError> {
        self.push.check(b"")
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        self.moments.event(event);
        match event {
            RunEvent::Tick(second) => {
                self.merged.absorb(second);
                self.now = second.elapsed;
                // A tick may come a little early.
                if self.now + Duration::from_millis(100) >= self.written + self.interval {
                    return self.write();
                }
                Ok(())
            }
            RunEvent::Ended(_) => self.write(),
            _ => Ok(()),
        }
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        self.push.take_warnings()
    }

    fn patience(&self) -> Duration {
        push::FINISH_PATIENCE + Duration::from_secs(5)
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        self.push.finish(push::FINISH_PATIENCE)
    }
}

/// Writes one row.
fn line(
    text: &mut String,
    measurement: &str,
    tags: &[(std::sync::Arc<str>, std::sync::Arc<str>)],
    sink: &Sink,
    at_ms: i64,
) {
    // Writing to a text can't fail. Names of metrics need no escaping.
    text.push_str(measurement);
    for (key, value) in tags {
        let value = value.trim_end_matches('\\');
        if value.is_empty() {
            continue;
        }
        text.push(',');
        escape(text, key.trim_end_matches('\\'));
        text.push('=');
        escape(text, value);
    }
    text.push(' ');
    match sink {
        Sink::Counter { sum } => _ = write!(text, "value={sum}"),
        // A gauge that was cleared has extremes again once it is set.
        Sink::Gauge { last, min, max } => _ = write!(text, "value={last},min={min},max={max}"),
        Sink::Rate { passes, total } => {
            let share = *passes as f64 / (*total).max(1) as f64;
            let _ = write!(text, "value={share},passes={passes}i,total={total}i");
        }
        Sink::Trend(trend) => {
            let all = TrendAggregate::merge([&**trend]);
            let _ = write!(text, "count={}i,sum={}", all.count, all.sum as f64 / 1e3);
            let figures = [("min", all.min()), ("max", all.max()), ("avg", all.avg())];
            let percentiles = [("med", 50.0), ("p90", 90.0), ("p95", 95.0), ("p99", 99.0), ("p999", 99.9)];
            let percentiles = percentiles.map(|(name, p)| (name, all.percentile(p)));
            for (name, figure) in figures.into_iter().chain(percentiles) {
                let _ = write!(text, ",{name}={}", figure.unwrap_or_default());
            }
        }
    }
    let _ = writeln!(text, " {at_ms}");
}

/// A key or value of a tag. Line breaks, which have no escape, are told as in Rust.
fn escape(text: &mut String, raw: &str) {
    for character in raw.chars() {
        match character {
            ',' | '=' | ' ' => {
                text.push('\\');
                text.push(character);
            }
            character if character.is_control() => text.extend(character.escape_default()),
            character => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::push::tests::Standin;
    use super::super::{open, sample};
    use super::*;

    fn sent(standin: &Standin, parameters: &str, names: Vec<String>) -> Vec<String> {
        let mut output = open(&format!("influxdb={}?{parameters}", standin.url(""))).unwrap().output;
        output.check().unwrap();
        let mut recording = sample::Recording::of(names);
        for _ in 0..3 {
            output.event(&RunEvent::Tick(Arc::new(recording.second()))).unwrap();
        }
        output.event(&RunEvent::Ended(Arc::new(sample::rich_report()))).unwrap();
        output.finish().unwrap();
        standin.requests(3).into_iter().map(|request| String::from_utf8(request.body).unwrap()).collect()
    }

    #[test]
    fn a_row_a_series_and_interval() {
        let standin = Standin::answering(&[]);
        let bodies = sent(&standin, "org=team a&bucket=loads&token=abc&interval=2s", vec!["front page".into()]);
        let requests = standin.requests(3);
        assert_eq!(requests[1].path, "/api/v2/write?org=team+a&bucket=loads&precision=ms");
        assert_eq!(requests[1].headers["authorization"], "Token abc");
        // Two workers and two seconds; then what was left of the run.
        for (body, good, all) in [(&bodies[1], 36, 40), (&bodies[2], 18, 20)] {
            let found =
                |start: &str| body.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{body}"));
            let tags = r"method=GET,name=front\ page,scenario=shoppers";
            assert!(found(&format!("http_reqs,{tags},status=200 ")).contains(&format!(" value={good} ")), "{body}");
            let duration = found(&format!("http_req_duration,{tags},status=200 "));
            let figures = format!("count={good}i,sum={},min=1,max=9,avg=5,med=5", good * 5);
            assert!(duration.contains(&figures), "{duration}");
            assert!(
                found("checks,").contains(&format!("value=0.5,passes={}i,total={}i ", all / 10, all / 5)),
                "{body}"
            );
            assert!(found("temperature ").contains("value=-3.5,min=-3.5,max=-3.5 "));
            let time = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<i64>().unwrap();
            assert!(body.lines().all(|line| time(line) == time(duration)));
        }
    }

    #[test]
    fn influxdb_1_has_databases_and_users() {
        let standin = Standin::answering(&[]);
        sent(&standin, "db=loads&username=me&password=pw", vec!["x".into()]);
        let request = &standin.requests(2)[1];
        assert_eq!(request.path, "/write?db=loads&precision=ms");
        assert_eq!(request.headers["authorization"], "Basic bWU6cHc=");
    }

    #[test]
    fn hostile_names_stay_within_their_row() {
        let standin = Standin::answering(&[]);
        let names = sample::hostile_names();
        let bodies = sent(&standin, "db=x", names.clone());
        let text: String = bodies.concat();
        let rows = text.lines().filter(|line| line.starts_with("http_reqs,")).count();
        assert!(rows >= names.len(), "{rows}");
        for line in text.lines() {
            // What is not escaped: one blank before the fields, one before the time.
            let bare = line.replace(r"\ ", "_").replace(r"\,", "_").replace(r"\=", "_");
            assert_eq!(bare.split(' ').count(), 3, "{line}");
            assert!(!line.contains("\\ value") && !line.chars().any(char::is_control), "{line}");
        }
    }

    #[test]
    fn where_rows_go_must_be_said() {
        let problem = |spec: &str| open(spec).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(problem("influxdb=http://h").contains("expected a bucket"), "{}", problem("influxdb=http://h"));
        assert!(problem("influxdb=http://h?db=a&bucket=b").contains("not both"));
        assert!(problem("influxdb=h:8086?db=a").contains("begins with `http://`"));
    }
}
