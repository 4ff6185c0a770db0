//! Executors and scenarios: who runs how often, and what the flags do to them.

use crate::harness::{Loadr, Ran};

/// A journey that says who ran it, under options.
fn script(options: &str) -> String {
    format!(
        r#"
        const options = {options};
        const RUNS = metrics::counter("runs");
        fn journey(vu) {{ RUNS.add(1, #{{ vu: `${{vu.id}}` }}); if env("PRINT", "") != "" {{ print(`${{vu.scenario}} ${{vu.id}} ${{vu.iteration}} ${{vu.iteration_in_scenario}}`); }} }}
        fn other(vu) {{ journey(vu); }}
        "#
    )
}

fn scenarios_of(ran: &Ran) -> Vec<String> {
    ran.report().run.scenarios.into_iter().map(|s| format!("{} {} {}", s.name, s.exec, s.description)).collect()
}

#[test]
fn shared_iterations_are_made_exactly_as_often_as_planned() {
    for (flags, iterations, vus) in [
        ("", 1.0, 1),
        ("--iterations 1", 1.0, 1),
        ("--iterations 17 --vus 5", 17.0, 5),
        ("--iterations 500 --vus 20 --threads 2", 500.0, 20),
        ("--iterations 7 --vus 7 --threads 2", 7.0, 7),
    ] {
        let ran = Loadr::script(&script("#{}")).flags(flags).run().expect(0);
        assert_eq!((ran.count("iterations"), ran.count("runs")), (iterations, iterations), "{flags}");
        assert_eq!(ran.values("iteration_duration"), iterations as u64, "{flags}");
        assert_eq!(ran.report().run.vus_max, vus, "{flags}");
    }
}

#[test]
fn iterations_in_a_scenario_are_numbered_without_gaps() {
    let ran =
        Loadr::script(&script("#{ vus: 4, iterations: 40 }")).var("PRINT", 1).flags("--threads 2").run().expect(0);
    let mut numbers: Vec<u64> =
        ran.prints().iter().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..40).collect::<Vec<_>>(), "{ran}");
}

#[test]
fn iterations_per_vu_are_made_by_each_vu() {
    let options = "#{ scenarios: #{ each: #{ executor: \"per-vu-iterations\", vus: 6, iterations: 4 } } }";
    let ran = Loadr::script(&script(options)).var("PRINT", 1).flags("--threads 2").run().expect(0);
    assert_eq!(ran.count("iterations"), 24.0);
    let mut seen: Vec<(u64, u64)> = Vec::new();
    for line in ran.prints() {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[0], "each");
        seen.push((words[1].parse().unwrap(), words[2].parse().unwrap()));
    }
    seen.sort_unstable();
    let expected: Vec<_> = (1..=6).flat_map(|vu| (0..4).map(move |iteration| (vu, iteration))).collect();
    assert_eq!(seen, expected);
}

#[test]
fn constant_vus_run_until_their_time_is_over() {
    let text = format!("{}\nfn pause(vu) {{ sleep(5.ms); journey(vu); }}", script("#{}"));
    let text = text.replace(
        "#{};",
        "#{ scenarios: #{ a: #{ executor: \"constant-vus\", exec: \"pause\", vus: 3, duration: \"1s\" } } };",
    );
    let ran = Loadr::script(&text).flags("--threads 2").run().expect(0);
    let report = ran.report();
    assert!(ran.count("iterations") >= 3.0, "{ran}");
    assert_eq!(ran.count("iterations"), ran.count("runs"));
    assert_eq!(report.run.vus_max, 3);
    assert!(report.run.duration_s >= 0.99, "{}", report.run.duration_s);
    assert_eq!(scenarios_of(&ran), ["a pause constant-vus: 3 VUs for 1s"]);
}

#[test]
fn stages_ramp_up_and_down() {
    let text = "fn journey(vu) { sleep(10.ms); check(vu.id, #{ positive: |id| id > 0 }); }";
    for flags in ["--stage 600ms:8 --stage 400ms:0", "-s 600ms:8,400ms:0"] {
        let ran = Loadr::script(text).flags(flags).run().expect(0);
        assert_eq!(ran.report().run.vus_max, 8);
        assert_eq!(scenarios_of(&ran), ["default journey ramping-vus: 1 to 8 VUs over 600ms, 8 to 0 over 400ms"]);
        assert!(ran.count("iterations") > 8.0, "{ran}");
    }
}

#[test]
fn scenarios_run_side_by_side_or_one_after_the_other() {
    let options = r#"#{ scenarios: #{
        first: #{ executor: "shared-iterations", exec: "journey", vus: 2, iterations: 6 },
        later: #{ executor: "per-vu-iterations", exec: "other", vus: 2, iterations: 2, startTime: "300ms" },
    } }"#;
    let ran = Loadr::script(&script(options)).var("PRINT", 1).run().expect(0);
    let prints = ran.prints();
    let of = |name: &str| prints.iter().filter(|line| line.starts_with(name)).count();
    assert_eq!((of("first"), of("later")), (6, 4), "{ran}");
    let last_first = prints.iter().rposition(|line| line.starts_with("first"));
    let first_later = prints.iter().position(|line| line.starts_with("later"));
    assert!(last_first < first_later, "{ran}");
    assert_eq!(ran.report().run.vus_max, 4);
}

/// Two scenarios, of which one has twice the VUs of the other.
const TWO: &str = r#"#{ scenarios: #{
    big:   #{ executor: "shared-iterations", exec: "journey", vus: 4, iterations: 8 },
    small: #{ executor: "shared-iterations", exec: "other", vus: 2, iterations: 4 },
} }"#;

#[test]
fn flags_scale_several_scenarios_and_say_so() {
    let ran = Loadr::script(&script(TWO)).flags("--vus 3").run().expect(0);
    assert_eq!(
        scenarios_of(&ran),
        [
            "big journey shared-iterations: 8 iterations shared by 2 VUs, at most 10m",
            "small other shared-iterations: 4 iterations shared by 1 VU, at most 10m"
        ]
    );
    let warnings = ["scenario `big`: 4 VUs scaled to 2 by --vus", "scenario `small`: 2 VUs scaled to 1 by --vus"];
    assert_eq!(ran.report().warnings, warnings);
    for warning in warnings {
        assert!(ran.stderr.contains(&format!("warning: {warning}\n")), "{ran}");
        assert!(ran.stdout.contains(warning), "{ran}");
    }
    assert_eq!(ran.count("iterations"), 12.0);

    let ran = Loadr::script(&script(TWO)).flags("--iterations 6 --vus 3").run().expect(0);
    assert_eq!(ran.count("iterations"), 6.0);
    let names: Vec<_> = ran.report().run.scenarios.into_iter().map(|scenario| scenario.name).collect();
    assert_eq!(names, ["big", "small"], "a flag wipes out no scenario");
}

#[test]
fn flags_that_cannot_be_split_ask_for_a_scenario() {
    let ran = Loadr::script(&script(TWO)).flags("--vus 1").run().expect(104);
    assert_eq!(
        ran.stderr,
        "error: --vus can't be applied: 1 VU can't be split among 2 scenarios; pick one with --scenario NAME\n"
    );
    let ran = Loadr::script(&script(TWO)).flags("--stage 1s:2").run().expect(104);
    assert_eq!(
        ran.stderr,
        "error: --stage can't be applied: there are several scenarios; pick one with --scenario NAME\n"
    );
}

#[test]
fn one_scenario_can_be_picked() {
    let ran = Loadr::script(&script(TWO)).var("PRINT", 1).flags("--scenario small --vus 1").run().expect(0);
    assert_eq!(scenarios_of(&ran), ["small other shared-iterations: 4 iterations shared by 1 VU, at most 10m"]);
    assert!(ran.prints().iter().all(|line| line.starts_with("small 1 ")), "{ran}");
    assert_eq!(ran.report().warnings[0], "not run, by --scenario: `big`");
    let ran = Loadr::script(&script(TWO)).flags("--scenario smal").run().expect(104);
    assert_eq!(
        ran.stderr,
        "error: option `scenario` in the command line: there is no scenario `smal`; did you mean `small`?\n"
    );
}

#[test]
fn scenarios_have_their_own_environment_and_tags() {
    let text = r#"
        const options = #{
            scenarios: #{
                red:  #{ executor: "per-vu-iterations", env: #{ COLOUR: "red" }, tags: #{ team: "r" } },
                blue: #{ executor: "per-vu-iterations", env: #{ COLOUR: "blue" }, tags: #{ team: "b" }, iterations: 2 },
            },
            thresholds: #{ "seen{team:b}": ["count==2"], "seen{team:r}": ["count==1"], "seen{scenario:blue}": ["count==2"] },
        };
        const SEEN = metrics::counter("seen");
        fn journey() { print(env("COLOUR")); SEEN.add(1); }
    "#;
    let ran = Loadr::script(text).var("COLOUR", "green").run().expect(0);
    let mut prints = ran.prints();
    prints.sort_unstable();
    assert_eq!(prints, ["blue", "blue", "red"]);
}

#[test]
fn an_iteration_that_outlasts_its_grace_is_interrupted_and_counted() {
    let text = r#"
        const options = #{ scenarios: #{ a: #{ executor: "constant-vus", vus: 2, duration: "200ms", graceful_stop: "0s" } } };
        fn journey(vu) { check(1, #{ one: |n| n == 1 }); sleep(1.h); }
        fn vu_stop(vu) { print("stopped"); }
    "#;
    let ran = Loadr::script(text).run().expect(99);
    assert_eq!(ran.report().generator.interrupted_iterations, 2, "{ran}");
    assert_eq!(ran.count("iterations"), 0.0);
    assert_eq!(ran.prints(), ["stopped", "stopped"]);
    assert_eq!(ran.verdict(), "FAILED: no iteration ran to its end (2 were cancelled)");
}

#[test]
fn an_iteration_within_its_grace_is_finished() {
    let text = r#"
        const options = #{ scenarios: #{ a: #{ executor: "constant-vus", vus: 2, duration: "100ms", graceful_stop: "30s" } } };
        fn journey(vu) { sleep(400.ms); check(1, #{ one: |n| n == 1 }); }
    "#;
    let ran = Loadr::script(text).run().expect(0);
    assert_eq!((ran.count("iterations"), ran.report().generator.interrupted_iterations), (2.0, 0), "{ran}");
}

#[test]
fn vus_of_a_run_shorter_than_a_second_are_counted() {
    let text = r#"
        const options = #{ scenarios: #{
            a: #{ executor: "per-vu-iterations", vus: 3, iterations: 1 },
            b: #{ executor: "per-vu-iterations", vus: 2, iterations: 1 },
        }, thresholds: #{ vus: ["max==5"], vus_max: ["value==5"] } };
        fn journey() { sleep(50.ms); check(1, #{ one: |n| n == 1 }); }
    "#;
    let ran = Loadr::script(text).flags("--threads 2").run().expect(0);
    assert!(ran.stdout.contains("vus         5 at most"), "{ran}");
}
