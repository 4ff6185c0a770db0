//! Init, setup, teardown, the hooks of a virtual user, and what journeys are given.

#[cfg(target_os = "linux")]
use std::time::Duration;

use crate::harness::Loadr;
use crate::server::Server;

#[test]
fn each_part_of_a_script_runs_when_it_should_and_setup_data_reach_the_others() {
    let script = r#"
        const options = #{ scenarios: #{ only: #{ executor: "per-vu-iterations", vus: 2, iterations: 2 } } };
        const SEEN = metrics::counter("seen");
        print("init");
        fn setup() { print("setup"); #{ token: "t1", list: [1, 2.5, true, ()], nested: #{ deep: "x" } } }
        fn vu_start(vu, data) { vu.state.count = 0; print(`start ${vu.id} ${data.token}`); }
        fn journey(vu, data) {
            vu.state.count += 1;
            SEEN.add(1);
            print(`iteration ${vu.id} ${vu.iteration} ${vu.scenario} ${vu.state.count} ${data.list} ${data.nested.deep}`);
        }
        fn vu_stop(vu, data) { print(`stop ${vu.id} ${vu.state.count} ${data.token}`); }
        fn teardown(data) { print(`teardown ${data.token}`); }
    "#;
    let ran = Loadr::script(script).flags("--threads 1").run().expect(0);
    let prints = ran.prints();
    let of_vu = |id: &str| -> Vec<String> {
        let of = |line: &&&str| line.split(' ').nth(1) == Some(id);
        prints.iter().filter(of).map(|line| (*line).to_owned()).collect()
    };
    for id in ["1", "2"] {
        let expected = [
            format!("start {id} t1"),
            format!("iteration {id} 0 only 1 [1, 2.5, true, ()] x"),
            format!("iteration {id} 1 only 2 [1, 2.5, true, ()] x"),
            format!("stop {id} 2 t1"),
        ];
        assert_eq!(of_vu(id), expected, "{ran}");
    }
    assert_eq!(prints.iter().filter(|line| **line == "setup").count(), 1, "{ran}");
    let place = |line: &str| prints.iter().position(|found| *found == line).unwrap_or_else(|| panic!("{line}\n{ran}"));
    assert!(place("init") < place("setup") && place("setup") < place("start 1 t1"), "{ran}");
    assert_eq!(place("teardown t1"), prints.len() - 1, "{ran}");
    assert_eq!(ran.count("seen"), 4.0);
}

#[test]
fn init_runs_once_a_worker_and_not_for_each_iteration() {
    let script = r#"
        const LOADED = data::lines("lines.txt").len();
        print("init");
        const DONE = metrics::counter("done");
        fn journey() { DONE.add(LOADED); }
    "#;
    for threads in [1, 2] {
        let flags = format!("--iterations 20 --vus 4 --threads {threads}");
        let ran = Loadr::script(script).file("lines.txt", "a\nb\n").flags(&flags).run().expect(0);
        // The first look at the script, which finds options and metrics, is one more.
        assert_eq!(ran.prints(), vec!["init"; threads + 1], "{ran}");
        assert_eq!(ran.count("done"), 40.0);
    }
}

#[test]
fn journeys_take_no_one_or_two_parameters() {
    for (parameters, expression, seen) in
        [("", "\"nothing\"", "nothing"), ("vu", "vu.id", "1"), ("vu, data", "`${vu.id} ${data}`", "1 from setup")]
    {
        let script = format!(
            "fn setup() {{ \"from setup\" }}\nfn journey({parameters}) {{ print({expression}); check(1, #{{ ok: |n| n == 1 }}); }}"
        );
        let ran = Loadr::script(&script).run().expect(0);
        assert_eq!(ran.prints(), [seen], "{ran}");
    }
    let ran = Loadr::script("fn journey(a, b, c) {}").run().expect(104);
    assert_eq!(
        ran.stderr,
        "error: scenario `default`: function `journey` takes 3 parameters; a journey takes (), (vu) or (vu, data)\n --> script.rhai\n"
    );
}

#[test]
fn setup_and_teardown_make_requests_that_count() {
    let server = Server::ok("fine");
    let script = r#"
        const BASE = env("BASE");
        fn setup() { http::get(`${BASE}/setup`).body }
        fn journey(vu, data) { http::get(`${BASE}/journey?with=${data}`); }
        fn teardown(data) { http::get(`${BASE}/teardown?with=${data}`); }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).flags("--iterations 2").run().expect(0);
    assert_eq!(
        server.lines(),
        ["GET /setup", "GET /journey?with=fine", "GET /journey?with=fine", "GET /teardown?with=fine"]
    );
    assert_eq!(ran.count("http_reqs"), 4.0, "{ran}");
}

#[test]
fn setup_and_teardown_can_be_left_out() {
    let script = r#"
        fn setup() { print("setup"); 1 }
        fn journey(vu, data) { print(`journey ${data == ()}`); check(1, #{ one: |n| n == 1 }); }
        fn teardown() { print("teardown"); }
    "#;
    for (flags, prints) in [
        ("", vec!["setup", "journey false", "teardown"]),
        ("--no-setup", vec!["journey true", "teardown"]),
        ("--no-teardown", vec!["setup", "journey false"]),
        ("--no-setup --no-teardown", vec!["journey true"]),
    ] {
        let ran = Loadr::script(script).flags(flags).run().expect(0);
        assert_eq!(ran.prints(), prints, "{flags}");
    }
}

#[test]
fn teardown_runs_after_an_abort_and_after_failed_iterations() {
    for (body, code) in [("abort(\"enough\");", 108), ("throw \"no\";", 99)] {
        let script = format!("fn journey() {{ {body} }}\nfn teardown() {{ print(\"teardown\"); }}");
        let ran = Loadr::script(&script).run().expect(code);
        assert_eq!(ran.prints(), ["teardown"], "{ran}");
    }
}

#[test]
fn a_hook_that_fails_is_told_and_the_journey_is_tried_all_the_same() {
    let script = r#"
        fn vu_start(vu) { throw "no start"; }
        fn journey() { check(1, #{ one: |n| n == 1 }); }
        fn vu_stop(vu) { throw "no stop"; }
    "#;
    let ran = Loadr::script(script).flags("--iterations 2").run().expect(0);
    assert_eq!(ran.rate("checks"), (2, 0));
    let errors: Vec<_> = ran.report().errors.into_iter().map(|error| (error.message, error.count)).collect();
    assert_eq!(
        errors,
        [("no start (script.rhai:2:27)".to_owned(), 1), ("no stop (script.rhai:4:26)".to_owned(), 1)],
        "{ran}"
    );
}

#[test]
fn state_stays_with_its_vu_and_constants_are_seen_everywhere() {
    let script = r#"
        import "lib/prices" as prices;
        const FACTOR = 3;
        const MAP = #{ list: [1, 2, 3] };
        fn scaled(n) { n * FACTOR }
        fn journey(vu) {
            if vu.state.total == () { vu.state.total = 0; }
            let numbers = MAP.list;
            vu.state.total += group("sum", || { let sum = 0; for n in numbers { sum += scaled(n); } sum });
            let limit = FACTOR;
            check(vu.state.total, #{ "multiple of the factor": |n| n % FACTOR == 0 && limit == 3 });
            print(`${vu.state.total} ${prices::price("tea")}`);
        }
    "#;
    let library = "const PRICES = #{ tea: 7 };\nfn price(name) { PRICES[name] }";
    let ran = Loadr::script(script).file("lib/prices.rhai", library).flags("--iterations 3").run().expect(0);
    assert_eq!(ran.prints(), ["18 7", "36 7", "54 7"], "{ran}");
    assert_eq!(ran.rate("checks"), (3, 0));
}

/// What users had who came and went goes back to the system while the run goes on.
#[cfg(target_os = "linux")]
#[test]
fn memory_goes_back_after_a_ramp_down() {
    let running = Loadr::script(
        r#"
        const options = #{ allow_failure: true, scenarios: #{ ramp: #{
            executor: "ramping-vus", start_vus: 0, graceful_ramp_down: 1.s,
            stages: [#{ duration: 3.s, target: 3000 }, #{ duration: 1.s, target: 3000 }, #{ duration: 2.s, target: 0 }, #{ duration: 5.s, target: 0 }],
        } } };
        const started = metrics::counter("started");
        const stopped = metrics::counter("stopped");
        fn setup() { print("ready"); }
        fn vu_start(vu) { started.add(1); }
        fn vu_stop(vu) { stopped.add(1); }
        fn journey() { sleep(500.ms); }
        "#,
    )
    .start();
    running.wait_for_line("ready");
    let mut resident = Vec::new();
    let statm = format!("/proc/{}/statm", running.pid());
    while let Some(pages) =
        std::fs::read_to_string(&statm).ok().and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
    {
        // One that has ended, and that nobody has waited for, has none.
        if pages == 0 {
            break;
        }
        resident.push(pages);
        std::thread::sleep(Duration::from_millis(100));
    }
    let ran = running.wait().expect(0);
    assert_eq!((ran.count("started"), ran.count("stopped")), (3000.0, 3000.0));
    let (before, most) = (resident[0], *resident.iter().max().expect("it ran"));
    // A second before the end all users have been gone for long.
    let after = resident[resident.len() - 10];
    assert!(most > before + before / 5, "users take memory: {resident:?}");
    assert!(after < before + (most - before) / 4, "{resident:?}");
}
