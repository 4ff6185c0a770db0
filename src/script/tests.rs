//! Scripts run as virtual users, without an engine: what the host must bear.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::context::{Shared, Told};
use super::host::{Script, ScriptSpec};
use super::modules::data::DataPool;
use crate::metric::registry::{Recorder, SeriesLimits};
use crate::metric::snapshot::{Snapshot, SourceId};
use crate::plan::{self, Layer, Plan, ScriptFacts, Source};
use crate::vu::{Cancel, Outcome, Seat, Start, StopReason, Vu, VuFactory, VuHost, WorkerSeat};

mod both_ways;
mod diagnostics;
mod open;

/// One worker's host for a script, and what it printed.
struct Stage {
    host: Rc<dyn VuHost>,
    recorder: Recorder,
    log: Arc<Mutex<Vec<String>>>,
    _directory: tempfile::TempDir,
}

/// What the workers of a run over `tests/fixtures` share.
pub fn shared(seed: u64) -> Arc<Shared> {
    Arc::new(Shared {
        base_dir: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"),
        seed,
        data: DataPool::default(),
        env: BTreeMap::default(),
        log: Arc::new(|_| {}),
        told: Told::default(),
    })
}

fn load(files: &[(&str, &str)]) -> Result<(Script, Arc<Mutex<Vec<String>>>, tempfile::TempDir), String> {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    let log = Arc::new(Mutex::new(Vec::new()));
    let sink = log.clone();
    let path = directory.path().join("main.rhai").display().to_string();
    let strip = format!("{}/", directory.path().display());
    let script = Script::load(ScriptSpec {
        max_memory: 1 << 40,
        path,
        env: BTreeMap::from([("COLOUR".to_owned(), "red".to_owned())]),
        seed: 7,
        log: Arc::new(move |line| sink.lock().expect("no panic").push(line.text)),
    });
    script.map(|script| (script, log, directory)).map_err(|text| text.replace(&strip, ""))
}

fn stage_with(files: &[(&str, &str)], change: impl FnOnce(&mut Plan), max_memory: u64) -> Stage {
    let (script, log, directory) = load(files).unwrap_or_else(|text| panic!("{text}"));
    let catalogue = script.catalogue.clone();
    let layers = [Layer { source: Source::Script, options: script.options.clone() }];
    let facts = ScriptFacts { functions: script.functions.clone() };
    let mut plan = plan::resolve(&layers, &facts).unwrap_or_else(|errors| panic!("{errors:?}"));
    change(&mut plan);
    let recorder = Recorder::new(catalogue, SourceId(0), SeriesLimits { per_metric: 100 });
    let seat = WorkerSeat { worker: 0, workers: 1, epoch: Instant::now(), hard_stop: Arc::new(AtomicBool::new(false)) };
    let factory = script.into_factory(&plan, max_memory);
    let host = factory.host(seat, recorder.clone()).unwrap_or_else(|error| panic!("{error}"));
    Stage { host, recorder, log, _directory: directory }
}

fn stage(text: &str) -> Stage {
    stage_with(&[("main.rhai", text)], |_| {}, 1 << 40)
}

impl Stage {
    fn vu(&self, vu: u32) -> Box<dyn Vu> {
        self.host.build(Seat { vu, scenario: 0 }).unwrap_or_else(|error| panic!("{error}"))
    }

    fn snapshot(&self) -> Snapshot {
        self.recorder.take_snapshot(0)
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().expect("no panic").clone()
    }

    /// Runs one iteration of a new VU.
    fn run(&self) -> Outcome {
        let mut vu = self.vu(1);
        block_on(vu.iterate(start(0), &Cancel::new()))
    }

    /// The message of the only error of one iteration.
    fn error(&self) -> String {
        assert_eq!(self.run(), Outcome::Failed, "{:?}", self.log());
        let errors = self.snapshot().errors;
        assert_eq!(errors.len(), 1);
        errors[0].key.message.to_string()
    }
}

fn start(iteration: u64) -> Start {
    Start { intended: Duration::ZERO, actual: Duration::ZERO, iteration, iteration_in_scenario: iteration }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

#[test]
fn constants_are_visible_everywhere() {
    let stage = stage(
        r#"
        const BASE = "http://shop"; const OPTS = #{ n: [1, 2, 3] };
        const DOUBLED = double(21);
        fn double(x) { x * 2 }
        fn helper() { BASE + OPTS.n[2] + DOUBLED }
        fn journey() {
            let inner = || { let nested = || helper() + BASE; nested.call() };
            print(group("g", || inner.call()));
            check(OPTS, #{ "map": |o| o.n.len() == 3 && BASE == "http://shop" });
        }
    "#,
    );
    assert_eq!(stage.run(), Outcome::Completed, "{:?}", stage.log());
    assert_eq!(stage.log(), ["http://shop342http://shop"]);
}

#[test]
fn a_helper_of_an_imported_file_is_not_taken_for_one_of_the_script() {
    let main = r#"
        import "lib" as lib;
        fn helper(x) { "main" }
        fn journey() {
            for i in 0..3 { print(`${lib::ask(1)} ${helper(1)} ${lib::ask(1)} ${lib::hand(|x| helper(x))}`); }
        }
    "#;
    let lib = r#"fn helper(x) { "lib" } fn ask(x) { helper(x) } fn hand(f) { f.call(1) + helper(1) }"#;
    let stage = stage_with(&[("main.rhai", main), ("lib.rhai", lib)], |_| {}, 1 << 40);
    let mut vu = stage.vu(1);
    for iteration in 0..3 {
        assert_eq!(block_on(vu.iterate(start(iteration), &Cancel::new())), Outcome::Completed, "{:?}", stage.log());
    }
    assert_eq!(stage.log(), ["lib main lib mainlib"; 9]);
}

#[test]
fn imports_are_resolved_once_and_keep_their_own_constants() {
    let stage = stage_with(
        &[
            (
                "main.rhai",
                r#"import "lib/cart" as cart; const NAME = "main"; fn journey() { print(cart::describe()); print(cart::later().call()); print(NAME); }"#,
            ),
            (
                "lib/cart.rhai",
                r#"import "price" as price; print("loaded"); const NAME = "cart"; fn describe() { NAME + price::of(2) } fn later() { || NAME }"#,
            ),
            ("lib/price.rhai", "const UNIT = 5; fn of(n) { n * UNIT }"),
        ],
        |_| {},
        1 << 40,
    );
    let mut vu = stage.vu(1);
    for iteration in 0..2 {
        let outcome = block_on(vu.iterate(start(iteration), &Cancel::new()));
        assert_eq!(outcome, Outcome::Completed, "{:?}", stage.log());
    }
    // Once to look at the script, once on the worker.
    assert_eq!(stage.log(), ["loaded", "loaded", "cart10", "cart", "main", "cart10", "cart", "main"]);
}

#[test]
fn journeys_take_up_to_two_parameters_and_keep_state() {
    let stage = stage(
        r#"fn setup() { #{ started: 5 } }
           fn journey(vu, data) { vu.state.n = (vu.state.n ?? 0) + data.started; print(`${vu.id} ${vu.iteration} ${vu.state.n} ${vu.scenario}`); }"#,
    );
    let data = block_on(stage.host.setup(&Cancel::new())).expect("setup");
    stage.host.set_data(data);
    let mut vu = stage.vu(3);
    for iteration in 0..2 {
        assert_eq!(block_on(vu.iterate(start(iteration), &Cancel::new())), Outcome::Completed);
    }
    assert_eq!(stage.log(), ["3 0 5 default", "3 1 10 default"]);
}

#[test]
fn a_script_error_says_what_where_and_how_to_mend_it() {
    let error = load(&[("main.rhai", "fn journey() {\n    let x = (1 + ;\n}\n")]).map(|_| ()).unwrap_err();
    insta::assert_snapshot!(error, @r"
    error: unexpected ';'
     --> main.rhai:2:18
      |
    2 |     let x = (1 + ;
      |                  ^
    ");
    let stage = stage_with(
        &[
            ("main.rhai", "import \"lib\" as lib;\nfn journey() {\n    lib::twice(|| chek(1, #{}));\n}\n"),
            ("lib.rhai", "fn twice(f) {\n    f.call();\n    f.call();\n}\n"),
        ],
        |_| {},
        1 << 40,
    );
    assert_eq!(stage.run(), Outcome::Failed);
    let strip = stage._directory.path().display().to_string() + "/";
    let log = stage.log().join("\n").replace(&strip, "");
    insta::assert_snapshot!(log, @r"
    error: there is no function `chek` that takes (int, map)
     --> main.rhai:3:19
      |
    3 |     lib::twice(|| chek(1, #{}));
      |                   ^
      = in `a closure`, called at lib.rhai:2:7
      = in `twice`, called at main.rhai:3:10
      = help: did you mean `check`?
    ");
}

#[test]
fn endless_recursion_of_any_shape_is_an_error() {
    for body in [
        "fn down(n) { down(n + 1) } fn journey() { down(0) }",
        "fn down(n) { let f = || down(n + 1); f.call() } fn journey() { down(0) }",
        "fn down(n) { group(\"g\", || down(n + 1)) } fn journey() { down(0) }",
        "fn down(n) { check(n, #{ \"c\": |x| down(x) }) } fn journey() { down(0) }",
        "fn down(n) { [1, 2].map(|x| down(n + x)) } fn journey() { down(0) }",
        "fn down(n) { eval(\"down(\" + n + \")\") } fn journey() { down(0) }",
        "fn down(n) { try { down(n) } catch { down(n) } } fn journey() { down(0) }",
        "fn down(n) { if n >= 0 { for i in 0..1 { while true { switch n { _ => { return [down(n)] } } } } } } fn journey() { down(0) }",
    ] {
        let stage = stage(body);
        let error = stage.error();
        assert!(error.contains("nested too deep"), "{body}: {error}");
        // The VU, and the worker, go on.
        assert_eq!(stage.run(), Outcome::Failed);
    }
}

#[test]
fn an_endless_loop_is_ended_and_leaves_the_others_alone() {
    let stage = stage_with(
        &[("main.rhai", "fn journey(vu) { if vu.id == 1 { while true { } } sleep(1.ms); print(vu.id); }")],
        |plan| plan.limits.max_script_time = Duration::from_millis(300),
        1 << 40,
    );
    let mut busy = stage.vu(1);
    let mut other = stage.vu(2);
    let (cancel_busy, cancel_other) = (Cancel::new(), Cancel::new());
    block_on(async {
        let busy = busy.iterate(start(0), &cancel_busy);
        let other = other.iterate(start(0), &cancel_other);
        let both = futures_util::future::join(busy, other).await;
        assert_eq!(both, (Outcome::Failed, Outcome::Completed));
    });
    assert_eq!(stage.log()[0], "2");
    assert!(stage.log()[1].contains("without calling the host"), "{:?}", stage.log());
}

#[test]
fn memory_bombs_end_the_run() {
    for body in [
        "fn journey() { let s = \"abcdefgh\"; loop { s += s; } }",
        "fn journey() { let a = []; loop { a.push(\"some text that takes memory\" + a.len()); } }",
        "fn journey() { let m = #{}; let i = 0; loop { m[\"key\" + i] = i; i += 1; } }",
        "fn journey() { let b = blob(); loop { b.write_utf8(0..0, \"\"); b += blob(1000); } }",
        "fn journey(vu) { vu.state.all = \"abc\"; loop { vu.state.all += vu.state.all; } }",
    ] {
        let stage = stage_with(&[("main.rhai", body)], |plan| plan.limits.max_vu_memory = 8 << 20, 1 << 40);
        match stage.run() {
            Outcome::Abort(abort) => {
                assert!(!abort.requested);
                assert!(abort.message.contains("memory"), "{abort:?}");
            }
            other => panic!("{body}: {other:?} {:?}", stage.log()),
        }
    }
}

#[test]
fn filling_an_array_takes_linear_time() {
    let stage = stage("fn journey() { let a = []; for i in 0..200000 { a.push(i); } print(a.len()); }");
    assert_eq!(stage.run(), Outcome::Completed);
    assert_eq!(stage.log(), ["200000"]);
}

#[test]
fn a_cancelled_script_can_not_go_on() {
    let stage = stage(
        r#"fn journey() {
               group("g", || { try { sleep(1.h); } catch { print("caught"); } });
               try { sleep(1.h); } catch { print("caught"); }
               print("after");
           }"#,
    );
    let mut vu = stage.vu(1);
    let cancel = Rc::new(Cancel::new());
    let outcome = block_on(async {
        let later = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            cancel.cancel(StopReason::Deadline);
        };
        futures_util::future::join(vu.iterate(start(0), &cancel), later).await.0
    });
    assert_eq!(outcome, Outcome::Interrupted);
    assert!(stage.log().is_empty(), "{:?}", stage.log());
}

#[test]
fn dropping_a_waiting_script_unwinds_it() {
    let stage = stage("fn journey(vu) { let big = [1, 2, 3]; group(\"g\", || { sleep(1.h); big.push(4); }); }");
    for _ in 0..100 {
        let mut vu = stage.vu(1);
        let cancel = Cancel::new();
        block_on(async {
            let run = vu.iterate(start(0), &cancel);
            assert!(tokio::time::timeout(Duration::from_millis(1), run).await.is_err());
        });
    }
    assert!(stage.log().is_empty());
}

#[test]
fn abort_can_not_be_caught() {
    let stage = stage("fn journey() { try { abort(\"enough\"); } catch { } print(\"after\"); }");
    let Outcome::Abort(abort) = stage.run() else { panic!("not aborted") };
    assert_eq!((abort.message.as_str(), abort.requested), ("enough", true));
    assert!(stage.log().is_empty());
}

#[test]
fn init_may_not_wait() {
    let error = load(&[("main.rhai", "const X = 1;\nsleep(1.s);\nfn journey() { }\n")]).map(|_| ()).unwrap_err();
    insta::assert_snapshot!(error, @r"
    error: the top level of a script can't pause: it runs before the load; do it in `setup` or in a journey
     --> main.rhai:2:1
      |
    2 | sleep(1.s);
      | ^
    ");
}

#[test]
fn random_choices_repeat_with_the_seed() {
    let text = "fn journey(vu) { print(random::int(1, 1000000)); think(1.ms..2.ms); print(random::int(1, 1000000)); }";
    let (first, second) = (stage(text), stage(text));
    first.run();
    second.run();
    assert_eq!(first.log(), second.log());
    assert_ne!(first.log()[0], first.log()[1]);
}

#[test]
fn env_and_bad_names_are_told() {
    let stage = stage("fn journey() { print(env(\"COLOUR\")); print(env(\"NONE\", 3)); env(\"COLOR\"); }");
    let error = stage.error();
    assert!(error.contains("did you mean `COLOUR`?"), "{error}");
    assert_eq!(stage.log()[..2], ["red", "3"]);
}
