//! What every output must pass: an empty run, a run of one second, names that want to break the terminal, and a closed
//! pipe.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::sample::{self, Captured, ClosedPipe};
use super::{Fanout, Look, Named, Output, OutputError, json, live, page, plain, summary};
use crate::event::{LogLevel, LogLine, RunEvent, Second, Warning};
use crate::report::Report;

type Make = fn(Box<dyn Write + Send>) -> Box<dyn Output>;

const NARROW: Look = Look { width: 40, height: 24, ascii: false, colour: true };

/// All outputs that write to a stream.
const STREAMS: &[(&str, Make)] = &[
    ("live", |stream| Box::new(live::Live::new(stream, NARROW))),
    ("live, ASCII", |stream| Box::new(live::Live::new(stream, Look { ascii: true, colour: false, ..NARROW }))),
    ("plain", |stream| Box::new(plain::Plain::new(stream))),
    ("quiet", |stream| Box::new(plain::Plain::quiet(stream))),
];

fn tick(second: Second) -> RunEvent {
    RunEvent::Tick(Arc::new(second))
}

fn run_of(report: Report, seconds: Vec<Second>) -> Vec<RunEvent> {
    let mut events = vec![RunEvent::Started(Arc::new(report.run.clone()))];
    events.extend(seconds.into_iter().map(tick));
    events.push(RunEvent::Ended(Arc::new(report)));
    events
}

fn hostile_run() -> Vec<RunEvent> {
    let mut events = run_of(sample::hostile_report(), vec![sample::hostile_second()]);
    for text in sample::hostile_names() {
        events.insert(1, RunEvent::Log(LogLine { level: LogLevel::Error, text: text.clone(), vu: 1 }));
        events.insert(1, RunEvent::Warning(Warning { message: text.clone(), hint: text.clone() }));
        events.insert(1, RunEvent::Stopping { reason: text.clone() });
        events.insert(
            1,
            RunEvent::ThresholdCrossed {
                metric: text.clone(),
                expression: text,
                ok: false,
                value: Some(f64::NAN),
                aborts: true,
            },
        );
    }
    events
}

fn runs() -> Vec<(&'static str, Vec<RunEvent>)> {
    vec![
        ("no event at all", Vec::new()),
        ("an empty run", run_of(sample::empty_report(), Vec::new())),
        ("a run of one second", run_of(sample::small_report(), vec![sample::second(1)])),
        ("a run of ten seconds", run_of(sample::rich_report(), (1..=10).map(sample::second).collect())),
        ("hostile names", hostile_run()),
    ]
}

fn drive(mut output: Box<dyn Output>, events: &[RunEvent]) -> Result<(), OutputError> {
    output.check()?;
    for event in events {
        output.event(event)?;
        output.idle()?;
    }
    output.finish()
}

/// Panics when a text could disturb a terminal: it may hold colours, and the movements that the live view makes.
fn assert_tame(what: &str, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c)) {
        let sequence = &rest[at..];
        if let Some(after) = sequence.strip_prefix('\r') {
            rest = after;
            continue;
        }
        let ours = sequence.strip_prefix("\u{1b}[").and_then(|sequence| {
            let end = sequence.find(|c: char| c.is_ascii_alphabetic())?;
            let (parameters, letter) = (&sequence[..end], sequence.as_bytes()[end]);
            let known = match letter {
                b'm' => parameters.bytes().all(|b| b.is_ascii_digit() || b == b';'),
                b'A' => parameters.bytes().all(|b| b.is_ascii_digit()),
                b'J' | b'K' => parameters.is_empty(),
                b'h' | b'l' => parameters == "?25",
                _ => false,
            };
            known.then(|| &sequence[end + 1..])
        });
        rest = ours.unwrap_or_else(|| panic!("{what}: {:?}", sequence.chars().take(20).collect::<String>()));
    }
}

#[test]
fn streams_survive_every_run() {
    for (output, make) in STREAMS {
        for (run, events) in runs() {
            let captured = Captured::default();
            drive(make(captured.stream()), &events).unwrap_or_else(|error| panic!("{output}, {run}: {error}"));
            let text = captured.text();
            assert_tame(&format!("{output}, {run}"), &text);
            if output.contains("ASCII") {
                assert!(text.is_ascii(), "{output}, {run}");
            }
        }
    }
}

#[test]
fn a_closed_pipe_is_an_error_and_no_panic() {
    for (output, make) in STREAMS {
        let error = drive(make(Box::new(ClosedPipe)), &hostile_run()).expect_err(output);
        assert!(matches!(error, OutputError::Write { .. }), "{output}: {error}");
        let named = Named { name: (*output).into(), output: make(Box::new(ClosedPipe)) };
        let mut fanout = Fanout::start(vec![named]).unwrap();
        for event in hostile_run() {
            fanout.send(&event);
        }
        assert_eq!(fanout.finish(Duration::from_secs(60)).failed, [*output]);
    }
}

#[test]
fn files_survive_every_run() {
    for (run, events) in runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        drive(Box::new(json::SummaryFile::new(&path)), &events).unwrap_or_else(|error| panic!("{run}: {error}"));
        let ended = events.iter().find_map(|event| match event {
            RunEvent::Ended(report) => Some(report.clone()),
            _ => None,
        });
        let written = std::fs::read(&path).ok().map(|text| serde_json::from_slice::<Report>(&text).unwrap());
        assert_eq!(written, ended.map(Arc::unwrap_or_clone), "{run}");
    }
}

#[test]
fn rows_survive_every_run() {
    for spec in
        ["json=rows", "json=rows.gz", "json=rows?mode=aggregate", "csv=rows", "csv=rows.gz", "csv=rows?mode=aggregate"]
    {
        for (run, events) in runs() {
            let folder = tempfile::tempdir().unwrap();
            let spec = spec.replace("rows", &folder.path().join("rows").display().to_string());
            let output = super::open(&spec).unwrap().output;
            drive(output, &events).unwrap_or_else(|error| panic!("{spec}, {run}: {error}"));
            let started = events.iter().any(|event| matches!(event, RunEvent::Started(_)));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), usize::from(started), "{spec}, {run}");
        }
    }
}

#[test]
fn pages_survive_every_run() {
    for (run, events) in runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.html");
        drive(Box::new(page::PageFile::new(&path)), &events).unwrap_or_else(|error| panic!("{run}: {error}"));
        let ended = events.iter().any(|event| matches!(event, RunEvent::Ended(_)));
        let written = std::fs::read_to_string(&path).ok();
        assert_eq!(written.is_some(), ended, "{run}");
        if let Some(text) = written {
            let from = text.split_once("id=\"loadr-data\">").expect("data").1;
            let data = from.split_once("</script>").expect("its end").0;
            assert!(!data.contains('<'), "{run}: a name could end the element");
            let data: serde_json::Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{run}: {error}"));
            assert_eq!(data["schema"], "loadr/page/v1", "{run}");
        }
    }
}

#[test]
fn summaries_survive_every_run_and_fit() {
    for (name, report) in sample::reports() {
        for width in [40, 80, 120] {
            for (ascii, colour) in [(false, false), (true, false), (false, true)] {
                let look = Look { width, height: 24, ascii, colour };
                let text = summary::render(&report, &look);
                let what = format!("{name} at {width}");
                assert_tame(&what, &text);
                assert!(!ascii || text.is_ascii(), "{what}");
                let verdict = if report.verdict.passed { "PASSED" } else { "FAILED: " };
                assert!(anstream::adapter::strip_str(&text).to_string().starts_with(verdict), "{what}");
                for line in anstream::adapter::strip_str(&text).to_string().lines() {
                    assert!(super::text::width(line) <= width, "{what}: {line}");
                }
            }
        }
    }
}
