//! Every journey of `scripts/` runs against the demo server: no iteration fails, no check fails, no request fails.
//!
//! The journeys run as they are, think times included, with a few virtual users side by side; how many and for how long
//! their options want is the engine's business and not looked at here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use loadr::demo::{DemoConfig, Server, Stats};
use loadr::event::LogLevel;
use loadr::metric::builtin;
use loadr::metric::registry::{Recorder, SeriesLimits};
use loadr::metric::snapshot::{SinkDelta, Snapshot, SourceId};
use loadr::metric::store::Store;
use loadr::metric::threshold::Threshold;
use loadr::plan::{self, Layer, ScriptFacts, Source, ThresholdOption};
use loadr::script::host::{Script, ScriptSpec};
use loadr::trace::{Step, Tracing};
use loadr::vu::{Cancel, Outcome, Seat, Start, VuFactory, VuHost, WorkerSeat};

/// The journeys that have a test below.
const TESTED: [&str; 6] = ["api", "llm", "login", "quickstart", "shop", "upload"];

/// Virtual users of each scenario.
const VUS: u32 = 3;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")
}

/// What came of running a script.
struct Ran {
    outcomes: Vec<Vec<Outcome>>,
    snapshot: Snapshot,
    /// What it printed.
    log: Vec<String>,
    /// What the server saw.
    stats: Stats,
    /// The thresholds of its options that are about nothing that happened.
    idle_thresholds: Vec<String>,
}

/// Runs every scenario of a script, `iterations` for each of a few virtual users.
fn run_file(path: &Path, iterations: u64) -> Ran {
    run_traced(path, iterations, None)
}

fn run_traced(path: &Path, iterations: u64, tracing: Option<Tracing>) -> Ran {
    let server = Server::start(DemoConfig { threads: 1, ..DemoConfig::default() }).unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&log);
    let script = Script::load(ScriptSpec {
        max_memory: 1 << 40,
        path: path.display().to_string(),
        env: BTreeMap::from([("BASE_URL".to_owned(), server.base_url())]),
        seed: 1,
        log: Arc::new(move |line| {
            if line.level > LogLevel::Debug {
                sink.lock().unwrap().push(line.text);
            }
        }),
    });
    let script = script.unwrap_or_else(|text| panic!("{text}"));
    let layers = [Layer { source: Source::Script, options: script.options.clone() }];
    let facts = ScriptFacts { functions: script.functions.clone() };
    let plan = plan::resolve(&layers, &facts).unwrap_or_else(|errors| panic!("{errors:?}"));

    let catalogue = Arc::clone(&script.catalogue);
    let recorder = Recorder::new(script.catalogue.clone(), SourceId(0), SeriesLimits { per_metric: 1000 });
    let seat = WorkerSeat { worker: 0, workers: 1, epoch: Instant::now(), hard_stop: Arc::new(AtomicBool::new(false)) };
    let factory = script.into_factory(&plan, 1 << 40);
    let factory = match tracing {
        Some(tracing) => factory.traced(tracing),
        None => factory,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcomes = tokio::task::LocalSet::new().block_on(&runtime, async {
        let host = factory.host(seat, recorder.clone()).unwrap_or_else(|error| panic!("{error}"));
        let cancel = Cancel::new();
        let data = host.setup(&cancel).await.unwrap_or_else(|error| panic!("{error}"));
        host.set_data(data);
        let seats = (0..plan.scenarios.len()).flat_map(|scenario| (0..VUS).map(move |vu| (scenario, vu)));
        let seats = seats.map(|(scenario, vu)| Seat { vu: 1 + scenario as u32 * VUS + vu, scenario });
        let outcomes = join_all(seats.map(|seat| live(&*host, seat, iterations))).await;
        host.teardown(&cancel).await.unwrap_or_else(|error| panic!("{error}"));
        outcomes
    });
    let log = log.lock().unwrap().clone();
    let snapshot = recorder.take_snapshot(0);
    let mut store = Store::new(Arc::clone(&catalogue));
    store.absorb(&snapshot).unwrap();
    let mut idle_thresholds = Vec::new();
    for ThresholdOption { metric, expression, .. } in &plan.thresholds {
        // Whether it holds depends on the machine; that it makes sense and has data does not.
        let threshold = Threshold::parse(metric, expression, &catalogue, &[]).unwrap_or_else(|error| panic!("{error}"));
        if threshold.evaluate(&store, Duration::from_secs(1)).no_data {
            idle_thresholds.push(format!("{metric}: {expression}"));
        }
    }
    Ran { outcomes, snapshot, log, stats: server.stop(), idle_thresholds }
}

/// Runs a journey of `scripts/`, in which nothing may fail; gives what the server saw.
fn run(name: &str, iterations: u64) -> Stats {
    let Ran { outcomes, snapshot, log, stats, idle_thresholds } =
        run_file(&directory().join(format!("{name}.rhai")), iterations);
    let errors: Vec<_> = snapshot.errors.iter().map(|error| &*error.key.message).collect();
    let completed = outcomes.iter().flatten().all(|outcome| *outcome == Outcome::Completed);
    assert!(completed, "{outcomes:?} {errors:?} {log:?}");
    assert_eq!(failed(&snapshot), [""; 0], "failed checks and requests of {name}: {log:?}");
    assert_eq!(idle_thresholds, [""; 0], "thresholds of {name} without data");
    stats
}

/// The life of one virtual user.
async fn live(host: &dyn VuHost, seat: Seat, iterations: u64) -> Vec<Outcome> {
    let mut vu = host.build(seat).unwrap_or_else(|error| panic!("{error}"));
    let cancel = Cancel::new();
    let mut outcomes = vec![vu.start(&cancel).await];
    for iteration in 0..iterations {
        let now = Duration::ZERO;
        let start = Start { intended: now, actual: now, iteration, iteration_in_scenario: iteration };
        outcomes.push(vu.iterate(start, &cancel).await);
    }
    outcomes.push(vu.stop(&cancel).await);
    outcomes
}

/// The series of checks that were false and of requests that failed.
fn failed(snapshot: &Snapshot) -> Vec<String> {
    let mut checks = 0;
    let mut failed = Vec::new();
    for (id, sink) in &snapshot.sinks {
        let (SinkDelta::Rate { passes, total }, Some(series)) =
            (sink, snapshot.new_series.iter().find(|def| def.id == *id))
        else {
            continue;
        };
        let is_failed = match series.metric {
            builtin::CHECKS => {
                checks += total;
                passes < total
            }
            builtin::HTTP_REQ_FAILED => *passes > 0,
            _ => false,
        };
        if is_failed {
            failed.push(format!("{:?}", series.tags));
        }
    }
    assert!(checks > 0, "no check was made");
    failed
}

/// Calls every function of the standard library, those that fail too, and prints what they give.
const STDLIB: &str = r#"
    import "std/auth" as auth;
    import "std/checks" as checks;
    import "std/think" as think;

    const BASE = env("BASE_URL");

    fn journey(vu) {
        if vu.id > 1 { return; }
        print(auth::login(BASE, "user1", "secret").url == `${BASE}/account`);
        http::clear_cookies();
        print(auth::login(BASE, "user1", "wrong") == ());
        print(auth::login("http://127.0.0.1:9", "user1", "secret") == ());
        let fields = #{ user: "user1", password: "secret" };
        print(auth::form_login(BASE, fields, #{ page: "/", action: "/login" }) != ());
        print(auth::form_login(BASE, fields, #{ token: () }) == ());
        print(auth::form_login(BASE, fields, #{ token: "_csrf" }) == ());

        print(auth::bearer(BASE, "user1", "wrong") == ());
        let as_me = auth::header(auth::bearer(BASE, "user-é", "secret"));
        let me = http::get(`${BASE}/api/me`, as_me + #{ name: "me" });
        print(me.json("user"));
        print(auth::hidden_field(`<input name="a" value="1"><input value="2" name="b" type="hidden">`, "b"));
        print(auth::hidden_field(`<p>name="b" value="2"</p>`, "b") == ());

        print([checks::ok(me), checks::status(me, 200), checks::status(me, 201)]);
        print([checks::json(me, "user", "user-é"), checks::json(me, "user", 1), checks::json(me, "no.such", 1)]);
        print([checks::has(me, "user"), checks::has(me, "nothing")]);
        print([checks::contains(me, "user-"), checks::contains(me, "nobody")]);
        print([checks::header(me, "Content-Type", "json"), checks::header(me, "x-none", "")]);
        print([checks::faster_than(me, 1.h), checks::faster_than(me, 0.ms)]);

        think::uniform(1.ms, 2.ms);
        think::normal(2.ms, 5.ms);
        think::lognormal(1.ms, 0.5);
        think::exponential(1.ms);
        think::reading(0);
    }
"#;

/// Calls each function that has a twin in Rust, with what it takes and with what it can't use, and prints what it gives and
/// which random number comes next.
const TWINS: &str = r#"
import "std/auth" as auth;
import "std/checks" as checks;
import "std/think" as think;
const BASE = env("BASE_URL");
fn logins() {
    for (password, index) in ["secret", "wrong", 5] {
        http::clear_cookies();
        tell(`login ${index}`, || auth::login(BASE, "user1", password));
    }
    for (base, index) in [5, "no url", (), `${BASE}/status/404`] {
        tell(`login at ${index}`, || auth::login(base, "user1", "secret"));
    }
    let fields = #{ user: "user1", password: "secret" };
    for (given, index) in [fields, #{}, 5, (), "text"] {
        http::clear_cookies();
        tell(`form ${index}`, || auth::form_login(BASE, given));
        let forms = [#{}, #{ page: "/", action: "/login" }, #{ token: () }, #{ token: "no_such" }, #{ token: 5 },
            #{ page: "/products" }, #{ action: "/status/500" }, #{ action: 5 }, #{ page: 5 }, #{ pgae: "/" }, 5, ()];
        for (form, of) in forms {
            http::clear_cookies();
            tell(`form ${index} ${of}`, || auth::form_login(BASE, given, form));
        }
    }
    if fields.len() != 2 { fail("the fields have changed"); }
}
fn tell(what, f) {
    let said = `${try_call(f)}`;
    said.replace(BASE, "BASE");
    print(`${what}: ${said}, then ${random::int(1, 1000000)}`);
}
fn try_call(f) {
    let said = "";
    try { said = f.call(); } catch (error) { said = `error ${error}`; }
    said
}
fn journey() {
    let res = http::get(`${BASE}/products`);
    let none = http::get(`${BASE}/status/404`);
    logins();
    for (given, index) in [res, none, (), "text", 200] {
        tell(`ok ${index}`, || checks::ok(given));
        for code in [200, 404, 200.0, "200", [200, 204], [204], [404.0, "x"], [], ()] {
            tell(`status ${index} ${code}`, || checks::status(given, code));
        }
        for text in ["Products", "", "é", 3, ()] {
            tell(`contains ${index} ${text}`, || checks::contains(given, text));
        }
        if index > 1 { tell(`reading ${index}`, || think::reading(if given == 200 { 0 } else { given })); }
    }
    tell("words", || think::reading("<p>a few</p><style>no { }</style> words"));
    for (first, index) in [1.ms, 0.ms, 2.ms, 1, 0.5, "1s", ()] {
        tell(`exponential ${index}`, || think::exponential(first));
        for (second, of) in [1.ms, 0.ms, 3.ms, 0.1, 0, -1, "x"] {
            tell(`uniform ${index} ${of}`, || think::uniform(first, second));
            tell(`normal ${index} ${of}`, || think::normal(first, second));
            tell(`lognormal ${index} ${of}`, || think::lognormal(first, second));
        }
    }
}
"#;

/// What a run does in Rust is what the library's text does, which a rehearsal runs.
#[test]
fn twins_do_what_the_text_of_the_library_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("twins.rhai");
    std::fs::write(&path, TWINS).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let tracing = Tracing {
        sink: Arc::new(move |event| {
            if let Step::Logged { text, .. } = event.step {
                sink.lock().unwrap().push(text);
            }
        }),
        real_time: false,
    };
    let [by_twins, by_text] = [None, Some(tracing)].map(|tracing| {
        let Ran { outcomes, snapshot, mut log, .. } = run_traced(&path, 2, tracing);
        assert!(outcomes.iter().flatten().all(|outcome| *outcome == Outcome::Completed), "{:?}", snapshot.errors);
        log.append(&mut told.lock().unwrap());
        log.sort();
        let mut checks: Vec<String> = snapshot
            .new_series
            .iter()
            .filter(|series| series.metric == builtin::CHECKS)
            .map(|series| {
                let sink = snapshot.sinks.iter().find(|(id, _)| *id == series.id).map(|(_, sink)| sink);
                format!("{:?} {sink:?}", series.tags)
            })
            .collect();
        checks.sort();
        (log, checks)
    });
    assert!(by_text.0.len() > 6 * 200, "{} lines", by_text.0.len());
    for (twin, text) in by_twins.0.iter().zip(&by_text.0) {
        assert_eq!(twin, text);
    }
    assert_eq!(by_twins, by_text);
}

#[test]
fn the_standard_library_does_as_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stdlib.rhai");
    std::fs::write(&path, STDLIB).unwrap();
    let Ran { outcomes, snapshot, log, .. } = run_file(&path, 1);
    let completed = outcomes.iter().flatten().all(|outcome| *outcome == Outcome::Completed);
    assert!(completed, "{:?} {log:?}", snapshot.errors);
    let expected = [
        "true",
        "true",
        "true",
        "true",
        "true",
        "true",
        "true",
        "user-é",
        "2",
        "true",
        "[true, true, false]",
        "[true, false, false]",
        "[true, false]",
        "[true, false]",
        "[true, false]",
        "[true, false]",
    ];
    assert_eq!(log, expected);
    let failed = failed(&snapshot).join("\n");
    for check in [
        "logged in",
        "login page has a token",
        "got a token",
        "status is 201",
        "user is 1",
        "has nothing",
        "faster than 0",
    ] {
        assert!(failed.contains(check), "`{check}` did not fail:\n{failed}");
    }
}

#[test]
fn every_journey_is_tested() {
    let mut found: Vec<_> = std::fs::read_dir(directory())
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".rhai")?.to_owned()))
        .collect();
    found.sort();
    assert_eq!(found, TESTED);
}

#[test]
fn quickstart_logs_in_uploads_and_orders() {
    let stats = run("quickstart", 1);
    assert_eq!((stats.logins, stats.uploads, stats.orders), (3, 3, 3));
}

#[test]
fn shop_runs_three_kinds_of_visitors() {
    let stats = run("shop", 1);
    assert_eq!((stats.logins, stats.orders), (3, 3));
    assert_eq!((stats.route("/products"), stats.route("/search")), (3, 3));
}

#[test]
fn login_goes_in_and_out() {
    let stats = run("login", 2);
    assert_eq!((stats.logins, stats.route("/logout")), (6, 6));
}

#[test]
fn upload_compares_what_arrived() {
    let stats = run("upload", 2);
    assert_eq!((stats.uploads, stats.route("/upload"), stats.route("/upload/raw")), (18, 6, 12));
}

#[test]
fn llm_reads_token_by_token() {
    let stats = run("llm", 2);
    assert_eq!(stats.route("/stream"), 6);
}

#[test]
fn api_logs_in_once_for_each_user() {
    let stats = run("api", 2);
    assert_eq!((stats.logins, stats.route("/api/me")), (3, 12));
}
