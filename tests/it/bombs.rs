//! Scripts that would take the machine, or the process, down: each ends with a message that names the script and the
//! cause, and with the exit code of a script error, never with a bare signal.

use crate::harness::{Loadr, Ran};

/// Runs a journey that takes too much memory.
#[track_caller]
fn out_of_memory(journey: &str, flags: &str) -> Ran {
    let ran = Loadr::script(&format!("fn journey(vu) {{ {journey} }}")).flags(flags).run().expect(107);
    assert!(ran.stderr.contains("script.rhai"), "{ran}");
    ran
}

#[test]
fn a_text_that_doubles_for_ever_ends_the_run_with_the_bound() {
    let ran = out_of_memory("let s = \"abc\"; loop { s += s; }", "--max-vu-memory 64MB");
    assert!(ran.stderr.contains("64"), "{ran}");
    assert!(ran.stderr.contains("--max-vu-memory"), "{ran}");
    assert!(ran.verdict().starts_with("FAILED: the run had to be aborted: "), "{ran}");
    assert_eq!(ran.error(2004).count, 1);
}

#[test]
fn arrays_and_maps_that_grow_without_end_end_the_run() {
    for journey in [
        "let a = []; loop { a.push(\"some text\" + a.len()); }",
        "let m = #{}; let n = 0; loop { n += 1; m[`key ${n}`] = n; }",
        "let b = blob(1000); loop { b.append(b); }",
        "vu.state.kept = \"some text\"; loop { vu.state.kept += vu.state.kept; }",
        "let a = [1]; loop { a += a; }",
    ] {
        let ran = out_of_memory(journey, "--max-vu-memory 8MB");
        assert_eq!(ran.error(2004).side.as_str(), "script", "{journey}\n{ran}");
    }
}

#[test]
fn memory_that_is_kept_from_iteration_to_iteration_counts() {
    let journey = "vu.state[`kept ${vu.iteration}`] = blob(100000, 1);";
    let ran = out_of_memory(journey, "-d 1h --max-vu-memory 16MB");
    assert!(ran.count("iterations") > 10.0, "{ran}");
}

#[test]
fn all_vus_together_have_a_bound_too() {
    let script = r#"
        const options = #{ scenarios: #{ a: #{ executor: "per-vu-iterations", vus: 40, iterations: 1 } } };
        fn journey(vu) { let a = []; for n in 0..40000 { a.push(`text ${n}`); } sleep(2.s); }
    "#;
    let ran = Loadr::script(script).flags("--max-memory 40MB --threads 1").run().expect(107);
    assert!(ran.stderr.contains("--max-memory"), "{ran}");
}

#[test]
fn one_huge_allocation_is_refused_with_a_message() {
    for journey in [
        "let b = blob(1 << 40);",
        "let y = \"y\"; y.pad(1 << 20, \"y\"); let s = \"x\"; s.pad(1 << 40, y);",
        "let a = []; a.pad(1 << 36, 1);",
        "random::bytes(1 << 40);",
        "random::string(1 << 40);",
    ] {
        let ran = Loadr::script(&format!("fn journey() {{ {journey} }}")).run();
        // A host function may know better and refuse by itself.
        let ran = if journey.contains("random::") { ran.expect(99) } else { ran.expect(107) };
        assert!(ran.stderr.contains("script.rhai"), "{journey}\n{ran}");
    }
}

#[test]
fn memory_bombs_in_init_and_setup_end_with_a_script_error() {
    let ran = Loadr::script("const X = blob(1 << 40);\nfn journey() {}").run().expect(107);
    assert!(ran.stderr.starts_with("error: out of memory in `script.rhai`: "), "{ran}");
    let ran = Loadr::script("fn setup() { let a = []; loop { a.push([]); } }\nfn journey() {}")
        .flags("--max-vu-memory 32MB")
        .run()
        .expect(107);
    assert!(ran.stderr.contains(" --> script.rhai"), "{ran}");
}

#[test]
fn data_nested_too_deep_to_be_freed_ends_with_a_message() {
    for (journey, what) in [
        ("let a = []; for n in 0..10000 { a = [a]; } a = ();", "arrays"),
        ("let m = #{}; for n in 0..10000 { m = #{ m: m }; } m = ();", "maps"),
        ("let a = []; for n in 0..3000 { a = [a]; } print(a);", "printing"),
    ] {
        let ran = Loadr::script(&format!("fn journey() {{ {journey} }}")).run().expect(107);
        let message = "error: stack overflow in `script.rhai`: native code needed more stack than a virtual user has";
        assert!(ran.stderr.contains(message), "{what}\n{ran}");
        assert!(ran.stderr.contains("  = help: build flat arrays or maps instead\n"), "{what}\n{ran}");
    }
}

#[test]
fn recursion_without_end_is_an_error_of_its_iteration() {
    for journey in [
        "fn again(n) { again(n + 1) }\nfn journey() { again(0); }",
        "fn even(n) { odd(n) }\nfn odd(n) { group(\"g\", || even(n)) }\nfn journey() { even(0); }",
        "fn deep(n) { [1].map(|x| deep(n)) }\nfn journey() { deep(0); }",
        "fn deep(n) { check(1, #{ a: |x| deep(n) }) }\nfn journey() { deep(0); }",
    ] {
        let script = format!("{journey}\nfn teardown() {{ print(\"teardown\"); }}");
        let ran = Loadr::script(&script).flags("--iterations 2").run().expect(99);
        assert_eq!(ran.count("iterations"), 2.0, "{ran}");
        assert!(ran.stderr.contains(" --> script.rhai"), "{ran}");
        assert_eq!(ran.prints(), ["teardown"]);
    }
}

#[test]
fn expressions_nested_too_deep_are_a_script_error() {
    let nested = format!("fn journey() {{ let a = {}1{}; }}", "(".repeat(500), ")".repeat(500));
    let ran = Loadr::script(&nested).run().expect(107);
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("script.rhai:1:"), "{ran}");
    assert!(ran.stderr.contains("= help: take parts of it out into functions or variables"), "{ran}");
}

#[test]
fn a_loop_without_end_is_ended_by_its_deadline_and_only_it() {
    let script = r#"
        const options = #{ scenarios: #{ a: #{ executor: "per-vu-iterations", vus: 3, iterations: 2 } } };
        fn journey(vu) {
            if vu.id == 2 { let n = 0; loop { n += 1; } }
            check(vu.id, #{ "not 2": |id| id != 2 });
        }
    "#;
    let ran = Loadr::script(script).flags("--max-script-time 200ms --threads 1").run().expect(0);
    assert_eq!(
        (ran.count("iterations"), ran.count("iterations_failed"), ran.rate("checks")),
        (6.0, 2.0, (4, 0)),
        "{ran}"
    );
    let error = ran.error(2003);
    assert_eq!((error.side.as_str(), error.count), ("script", 2));
    assert!(error.message.contains("script.rhai") && error.example.contains("200ms"), "{ran}");
}

#[test]
fn a_loop_without_end_in_init_or_setup_ends_too() {
    let ran = Loadr::script("fn spin() { loop { } }\nfn setup() { spin(); }\nfn journey() {}")
        .flags("--max-script-time 200ms")
        .run();
    let ran = ran.expect(107);
    assert!(ran.stderr.contains(" --> script.rhai:1:13"), "{ran}");
    // Where several loops may be the one, all of them are told.
    let two = "fn setup() {\n  if false { loop { } }\n  loop { }\n}\nfn journey() {}";
    let ran = Loadr::script(two).flags("--max-script-time 200ms").run().expect(107);
    for place in ["script.rhai:2:14", "script.rhai:3:3"] {
        assert!(ran.stderr.contains(place) && ran.stderr.contains("looks at no variable"), "{ran}");
    }
    let ran = Loadr::script("fn setup() { sleep(1.h); }\nfn journey() {}").flags("--setup-timeout 100ms").run();
    assert_eq!(ran.expect(100).verdict(), "FAILED: setup took longer than 100ms");
    let script = "fn journey() { check(1, #{ a: |n| n == 1 }); }\nfn teardown() { sleep(1.h); }";
    let ran = Loadr::script(script).flags("--teardown-timeout 100ms").run();
    assert_eq!(ran.expect(101).verdict(), "FAILED: teardown took longer than 100ms");
}

#[test]
fn a_try_of_the_script_cannot_swallow_a_limit() {
    let script = "fn journey() { loop { try { let n = 0; loop { n += 1; } } catch { print(\"caught\"); } } }";
    let ran = Loadr::script(script).flags("--max-script-time 100ms").run().expect(99);
    assert_eq!(ran.prints(), [""; 0], "{ran}");
    let script = "fn journey() { loop { try { let s = \"abc\"; loop { s += s; } } catch { print(\"caught\"); } } }";
    let ran = Loadr::script(script).flags("--max-vu-memory 32MB").run().expect(107);
    assert_eq!(ran.prints(), [""; 0], "{ran}");
}

#[test]
fn native_work_of_milliseconds_between_two_checks_is_seen_by_the_clock() {
    // Each turn of the loop copies and sorts a hundred thousand numbers: too few turns for a count alone to notice.
    let script = r#"
        fn journey() {
            let numbers = [];
            numbers.pad(100000, 1);
            loop { let copy = numbers; copy.sort(); }
        }
    "#;
    let ran = Loadr::script(script).flags("--max-script-time 300ms").run().expect(99);
    assert_eq!(ran.error(2003).count, 1, "{ran}");
}
