//! The journeys that people start from, run by the real binary as the README says, against the demo server.

use std::path::Path;

use crate::harness::Loadr;

fn path(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name).display().to_string()
}

fn command(name: &str, flags: &str) -> Loadr {
    Loadr::export_of(&path(name)).flags("--demo").flags(flags)
}

#[test]
fn the_main_journey_with_a_thousand_users_in_short() {
    // Its thresholds are about a quiet machine, which a test can't ask for: they may fail, nothing else may.
    let ran = command("quickstart.rhai", "--duration 6s").run();
    let report = ran.report();
    assert_eq!(report.run.vus_max, 1000, "{ran}");
    let (passed, failed) = ran.rate("checks");
    assert_eq!(failed, 0, "{ran}");
    assert!(passed >= 8000, "{ran}");
    assert_eq!(ran.rate("http_req_failed").0, 0, "{ran}");
    assert!(ran.count("orders") >= 900.0, "{ran}");
    assert_eq!(ran.count("iterations_failed"), 0.0);
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let names: std::collections::BTreeSet<_> = report.requests.iter().map(|row| row.name.as_str()).collect();
    let expected = ["cart", "item", "login", "login page", "order", "products", "upload"];
    assert_eq!(names, expected.into_iter().collect(), "{ran}");
    for threshold in report.thresholds.iter().filter(|threshold| !threshold.metric.contains("duration")) {
        assert!(threshold.ok, "{threshold:?}");
    }
}

#[test]
fn the_demo_gives_way_to_a_target_that_was_named() {
    let server = crate::server::Server::ok("mine");
    let script = "fn journey() { print(http::get(env(\"BASE_URL\")).body); }";
    let ran = Loadr::script(script).flags("--demo").var("BASE_URL", server.base()).run().expect(0);
    assert_eq!(ran.prints(), ["mine"]);
}

#[test]
fn each_journey_runs_through_the_binary() {
    // They think more than they work, so they run side by side.
    let running = ["login.rhai", "upload.rhai", "api.rhai", "shop.rhai"]
        .map(|name| (name, command(name, "--vus 6 --duration 3s --threads 1").start()));
    for (name, running) in running {
        let ran = running.wait();
        assert_eq!(ran.rate("checks").1, 0, "{name}\n{ran}");
        assert!(ran.rate("checks").0 > 0, "{name}\n{ran}");
        assert_eq!(ran.rate("http_req_failed").0, 0, "{name}\n{ran}");
        assert!(ran.report().errors.is_empty(), "{name}\n{ran}");
    }
}
