//! What scripts say of load, and what is recorded of open load: curves, weights, pace, lag.

use std::io::{Read, Write};

use super::*;
use crate::metric::builtin;
use crate::metric::snapshot::SinkDelta;
use crate::plan::Executor;

/// The plan that a script's options make.
fn planned(options: &str) -> Result<Plan, String> {
    let text = format!("const options = {options}; fn journey() {{}} fn other() {{}}");
    let (script, _, _directory) = load(&[("main.rhai", &text)])?;
    let layers = [Layer { source: Source::Script, options: script.options.clone() }];
    let facts = ScriptFacts { functions: script.functions.clone() };
    plan::resolve(&layers, &facts).map_err(|errors| errors[0].to_string())
}

fn curve(fields: &str) -> String {
    format!("#{{ scenarios: #{{ s: #{{ executor: \"ramping-arrival-rate\", max_vus: 5, {fields} }} }} }}")
}

#[test]
fn a_curve_is_sampled_every_tenth_of_a_second() {
    for duration in ["2.s", "\"2s\"", "2000", "2000.0"] {
        let plan = planned(&curve(&format!("rate: |t| 100 - 10.0 * t, duration: {duration}"))).expect("a plan");
        let Executor::RampingArrivalRate { start_rate, stages, .. } = &plan.scenarios[0].executor else { panic!() };
        assert_eq!((start_rate.as_f64(), stages.len()), (100.0, 20), "{duration}");
        assert!(stages.iter().all(|stage| stage.duration == Duration::from_millis(100)));
        assert_eq!((stages[0].target.as_f64(), stages[19].target.as_f64()), (99.0, 80.0));
        assert_eq!(plan.scenarios[0].executor.rate_curve().map(|curve| curve.starts_planned()), Some(180));
    }
    // It may use what the script has, and a long one has longer steps.
    let text = format!(
        "const PEAK = 50; fn level(t) {{ if t < 3600 {{ 0 }} else {{ PEAK }} }} const options = {}; fn journey() {{}}",
        curve("rate: |t| level(t), duration: 2.h")
    );
    let (script, ..) = load(&[("main.rhai", &text)]).unwrap_or_else(|text| panic!("{text}"));
    let points = script.options["scenarios"]["s"]["rate"].as_array().expect("points").clone();
    assert_eq!((points.len(), &points[0], &points[36_000]), (36_001, &0.0.into(), &50.0.into()));
}

#[test]
fn a_curve_that_gives_no_rate_is_an_error_before_any_load() {
    for (fields, expected) in [
        (
            "rate: |t| \"fast\", duration: 2.s",
            "scenario `s`: `rate` must give a number, it gave a value of type `string` at t = 0",
        ),
        ("rate: |t| 1.0 / (t - t), duration: 2.s", "scenario `s`: `rate` must give a number, it gave inf at t = 0"),
        ("rate: |t| if t > 1 { () } else { 1 }, duration: 2.s", "it gave a value of type `()` at t = 1.1"),
        ("rate: |t| throw \"no curve\", duration: 2.s", "no curve"),
        ("rate: |t| sleep(1.s), duration: 2.s", "the top level of a script can't pause"),
        ("rate: |a, b| 1, duration: 2.s", "error: "),
        (
            "rate: |t| -1 - t, duration: 2.s",
            "option `scenarios.s.rate` in the script's options: expected a rate of at least 0, found -1",
        ),
        ("rate: |t| 5", "scenario `s`: `duration` is missing; expected how long the curve is, such as `30s`"),
    ] {
        let error = planned(&curve(fields)).expect_err("a plan was made");
        assert!(error.contains(expected), "{fields}: {error}");
    }
}

#[test]
fn journeys_are_chosen_by_weight_and_the_same_for_the_same_seed() {
    let text = r#"
        const options = #{ scenarios: #{ s: #{ executor: "constant-vus", duration: "1s", exec: #{ a: 3, b: 1, off: 0 } } } };
        fn a() { print("a") } fn b(vu, data) { print("b") } fn off() { print("off") }
    "#;
    let choices = || {
        let stage = stage(text);
        let mut vu = stage.vu(1);
        for iteration in 0..400 {
            assert_eq!(block_on(vu.iterate(start(iteration), &Cancel::new())), Outcome::Completed);
        }
        stage.log()
    };
    let chosen = choices();
    assert_eq!(chosen, choices());
    let of = |name: &str| chosen.iter().filter(|line| *line == name).count();
    // Three standard deviations about 300 of 400.
    assert!((274..=326).contains(&of("a")), "{}", of("a"));
    assert_eq!(of("a") + of("b"), 400);
}

#[test]
fn a_pace_is_told_once_after_the_iteration_that_asked_for_it() {
    let stage = stage("fn journey(vu) { if vu.iteration == 0 { pace(10.s); pace(2.s); } } fn setup() { pace(1.s) }");
    let mut vu = stage.vu(1);
    let mut pace_of = |iteration| {
        block_on(vu.iterate(start(iteration), &Cancel::new()));
        (vu.pace(), vu.pace())
    };
    assert_eq!((pace_of(0), pace_of(1)), ((Some(Duration::from_secs(2)), None), (None, None)));
    let error = block_on(stage.host.setup(&Cancel::new())).expect_err("a pace of nothing").to_string();
    assert!(error.contains("`pace` is about iterations: call it in a journey"), "{error}");
    let wrong = super::stage("fn journey() { pace(10) }").error();
    assert!(wrong.contains("`pace` takes a duration, this is int: write `pace(10.s)`"), "{wrong}");
}

/// A server that answers each request of its connections with an empty 200, one connection after the other.
fn server() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { return };
            let mut buffer = [0; 4_096];
            while connection.read(&mut buffer).is_ok_and(|read| read > 0) {
                let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        }
    });
    format!("http://{address}/")
}

#[test]
fn requests_of_open_load_are_measured_from_their_intended_start_too() {
    let url = server();
    for (executor, open) in [
        ("executor: \"constant-arrival-rate\", rate: 1, duration: \"1s\", max_vus: 1", true),
        ("executor: \"constant-vus\", duration: \"1s\"", false),
    ] {
        let stage = stage(&format!(
            "const options = #{{ scenarios: #{{ s: #{{ {executor} }} }} }};
             fn journey() {{ http::get(\"{url}\"); http::get(\"{url}\"); }} fn vu_stop() {{ http::get(\"{url}\"); }}"
        ));
        let lag = Duration::from_secs(70);
        let late = Start { actual: Duration::from_secs(2) + lag, intended: Duration::from_secs(2), ..start(0) };
        let mut vu = stage.vu(1);
        assert_eq!(block_on(vu.iterate(late, &Cancel::new())), Outcome::Completed, "{:?}", stage.log());
        let trend = |snapshot: &Snapshot, metric| {
            let series: Vec<_> = snapshot.new_series.iter().filter(|series| series.metric == metric).collect();
            let of_series = |id| snapshot.sinks.iter().find(|(known, _)| *known == id).map(|(_, sink)| sink.clone());
            series.iter().filter_map(|series| of_series(series.id)).collect::<Vec<SinkDelta>>()
        };
        let snapshot = stage.snapshot();
        let intended = trend(&snapshot, builtin::HTTP_REQ_DURATION_INTENDED);
        assert_eq!(trend(&snapshot, builtin::HTTP_REQ_DURATION).len(), 1);
        assert_eq!(intended.len(), usize::from(open), "{executor}");
        for sink in intended {
            let SinkDelta::Trend(trend) = sink else { panic!("{sink:?}") };
            // Both requests would have been sent 70 s earlier; neither took ten seconds itself.
            assert_eq!(trend.count, 2);
            assert!((70_000_000..80_000_000).contains(&trend.min), "{}", trend.min);
        }
        block_on(vu.stop(&Cancel::new()));
        // A request of `vu_stop` is nobody's late iteration.
        let sinks: Vec<_> = stage.snapshot().sinks;
        let trends = sinks.iter().filter_map(|(_, sink)| match sink {
            SinkDelta::Trend(trend) => Some(trend.max),
            _ => None,
        });
        assert!(trends.max().is_some_and(|longest| longest < 60_000_000));
    }
}
