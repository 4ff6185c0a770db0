//! `loadr new`: each template is written, and what it writes passes `loadr check` and runs against the demo shop.

use std::fs;

use crate::harness::Loadr;

const TEMPLATES: [&str; 7] = ["quickstart", "login", "api", "upload", "spike", "data-driven", "suite"];

#[test]
fn every_template_passes_check_and_runs_against_the_demo_shop() {
    for template in TEMPLATES {
        let (ran, directory) = Loadr::new().args(["new", "load/shop", "--template", template]).start().wait_keeping();
        let ran = ran.expect(0);
        assert!(ran.stdout.starts_with("wrote  load/shop.rhai\n"), "{ran}");
        assert!(ran.stdout.contains("\n  loadr run --demo load/shop.rhai "), "{ran}");
        assert_eq!(ran.stderr, "");

        let script = directory.path().join("load/shop.rhai").display().to_string();
        let checked = Loadr::new().args(["check", "--deny-warnings", "--demo", &script]).run().expect(0);
        assert!(checked.stdout.starts_with("no mistakes in "), "{template}\n{checked}");
        let ran = Loadr::export_of(&script).flags("--demo --time-scale 0.1 --quiet").run();
        let report = ran.report();
        assert_eq!(report.errors, [], "{template}\n{ran}");
        assert!(!report.checks.is_empty() && report.checks.iter().all(|check| check.fails == 0), "{template}\n{ran}");
        assert!(report.thresholds.len() >= 3, "{template}\n{ran}");
        for threshold in &report.thresholds {
            // How long something takes is up to the machine; that it was measured is not.
            let is_time = threshold.metric.starts_with("http_req_duration");
            assert!(threshold.value.is_some() && (threshold.ok || is_time), "{template}: {}\n{ran}", threshold.metric);
        }
        let only_times = report.thresholds.iter().all(|threshold| threshold.ok);
        ran.expect(if only_times { 0 } else { 99 });
    }
}

#[test]
fn the_templates_are_listed() {
    let ran = Loadr::new().flags("new --list").run().expect(0);
    let names: Vec<_> = ran.stdout.lines().take(7).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, TEMPLATES, "{ran}");
}

#[test]
fn nothing_is_overwritten_unless_it_is_wanted() {
    let new = |there: &str, flags: &str| {
        let command = Loadr::new().file("data/users.csv", there).flags("new shop.rhai --template login");
        command.flags(flags).start().wait_keeping()
    };
    let (ran, directory) = new("name\nann\n", "");
    let ran = ran.expect(1);
    assert_eq!(
        ran.stderr,
        "error: `data/users.csv` is there already: choose another name, or overwrite it with --force\n"
    );
    assert!(!directory.path().join("shop.rhai").exists(), "all or nothing");
    assert_eq!(fs::read_to_string(directory.path().join("data/users.csv")).expect("a file"), "name\nann\n");

    let (ran, directory) = new("name\nann\n", "--force");
    assert!(ran.expect(0).stdout.contains("wrote  data/users.csv\n"));
    assert!(fs::read_to_string(directory.path().join("data/users.csv")).expect("a file").contains("user1,secret"));

    // The same file, from another new script, is left as it is.
    let same = include_str!("../../scripts/templates/data/users.csv");
    assert!(new(same, "").0.expect(0).stdout.contains("kept   data/users.csv\n"));
}

#[test]
fn the_target_is_written_into_the_script() {
    let command = Loadr::new().flags("new shop.rhai -t suite --base-url https://shop.example/eu/");
    let (ran, directory) = command.start().wait_keeping();
    let ran = ran.expect(0);
    assert!(ran.stdout.contains("  loadr run shop.rhai "), "{ran}");
    let script = fs::read_to_string(directory.path().join("shop.rhai")).expect("a script");
    assert!(script.contains("env(\"BASE_URL\", \"https://shop.example/eu\")"), "{script}");
    assert!(directory.path().join("lib/shop.rhai").exists());
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (flags, told) in [
        ("new", "error: say what to write: `loadr new shop.rhai --template quickstart`; --list shows the templates\n"),
        ("new .", "error: `.` is a directory: name the script in it, like `./shop.rhai`\n"),
        ("new shop.js", "error: a script ends in `.rhai`: `shop.rhai`\n"),
        ("new shop --template nothing", "error: invalid value 'nothing' for '--template <NAME>'"),
        ("new shop --base-url shop.example", "write it like `https://staging.example`"),
    ] {
        let ran = Loadr::new().flags(flags).run().expect(2);
        assert!(ran.stderr.contains(told), "{ran}");
        assert_eq!(ran.stdout, "");
    }
}
