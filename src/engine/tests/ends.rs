//! How runs end: in grace, by a stop, by an abort, by failures of hooks; and what a bad VU does to the others.

use std::sync::atomic::Ordering;

use tokio::time::sleep;

use super::*;
use crate::metric::threshold::Threshold;
use crate::vu::VuError;

/// The different ends of iterations: when, and how.
fn ends(seen: &Seen) -> BTreeSet<(u64, String)> {
    seen.ends().iter().map(|end| (end.1, format!("{:?}", end.2))).collect()
}

fn count(seen: &Seen, wanted: fn(&Entry) -> bool) -> usize {
    seen.log.iter().filter(|entry| wanted(entry)).count()
}

fn stopped(seen: &Seen) -> usize {
    count(seen, |entry| matches!(entry, Entry::Stopped(_)))
}

fn dropped(seen: &Seen) -> usize {
    count(seen, |entry| matches!(entry, Entry::Dropped(_)))
}

#[test]
fn iterations_that_outlast_the_graceful_stop_are_interrupted() {
    for (grace, end) in [(2_000, 3_000), (0, 1_000)] {
        let s = Scenario { graceful_stop: ms(grace), ..scenario("s", constant(3, 1_000)) };
        let seen = run_paused(plan(2, vec![s]), Fake::sleeping(10_000));
        assert_eq!(ends(&seen), BTreeSet::from([(end, "Interrupted".to_owned())]));
        assert_eq!((seen.counter("iterations"), seen.counter("iterations_interrupted")), (0, 3));
        assert_eq!(seen.trend_count("iteration_duration"), 0);
        assert_eq!(seen.report().generator.interrupted_iterations, 3);
        assert_eq!((seen.end(), stopped(&seen), dropped(&seen)), (&End::Completed, 3, 3));
    }
}

#[test]
fn a_vu_that_does_not_heed_its_cancel_is_dropped() {
    let s = Scenario { graceful_stop: ms(1_000), ..scenario("s", constant(2, 1_000)) };
    let journey =
        Fake::new(
            |seat, _| {
                if seat.vu == 1 { Act::Deaf(ms(600_000)) } else { Act::Sleep(ms(500), Outcome::Completed) }
            },
        );
    let seen = run_paused(plan(1, vec![s]), journey);
    assert_eq!(seen.counter("iterations_interrupted"), 1);
    // Its stop hook can't run; the other's does.
    assert_eq!((seen.end(), stopped(&seen), dropped(&seen)), (&End::Completed, 1, 2));
    assert_eq!(seen.report().run.duration_s, 4.0);
}

#[test]
fn a_stop_lets_iterations_end_and_starts_none() {
    let seen = run_with(
        spec(plan(2, vec![scenario("s", constant(3, 60_000))])),
        Fake::sleeping(1_000),
        |control| async move {
            sleep(ms(2_500)).await;
            control.stop("Ctrl-C");
        },
    );
    assert_eq!(seen.starts().iter().map(|start| start.1).max(), Some(2_000));
    assert_eq!((seen.counter("iterations"), seen.counter("iterations_interrupted")), (9, 0));
    assert_eq!((seen.end(), stopped(&seen)), (&End::Interrupted, 3));
    assert!(seen.has(&Entry::Teardown));
    let reasons: Vec<&RunEvent> = seen.events.iter().filter(|e| matches!(e, RunEvent::Stopping { .. })).collect();
    assert!(matches!(reasons[..], [RunEvent::Stopping { reason }] if reason == "Ctrl-C"), "{reasons:?}");
    assert!(!seen.report().verdict.passed);
}

#[test]
fn a_second_stop_ends_everything_at_once() {
    let seen = run_with(
        spec(plan(2, vec![scenario("s", constant(3, 60_000))])),
        Fake::sleeping(20_000),
        |control| async move {
            sleep(ms(2_500)).await;
            control.stop("Ctrl-C");
            assert!(!control.hard_stop().load(Ordering::Relaxed));
            sleep(ms(1_000)).await;
            control.stop_now("Ctrl-C again");
            assert!(control.hard_stop().load(Ordering::Relaxed));
        },
    );
    let expected = (3_499..=3_500).map(|at| (at, "Interrupted".to_owned())).collect::<BTreeSet<_>>();
    assert!(ends(&seen).is_subset(&expected), "{:?}", ends(&seen));
    assert_eq!(seen.counter("iterations_interrupted"), 3);
    assert_eq!((seen.end(), stopped(&seen), dropped(&seen)), (&End::Interrupted, 0, 3));
    assert!(!seen.log.contains(&Entry::Teardown));
}

#[test]
fn a_stop_hook_that_does_not_heed_its_cancel_is_dropped() {
    let fake = Fake { stop: Act::Deaf(ms(3_600_000)), ..Fake::sleeping(1_000) };
    let plan = plan(1, vec![scenario("s", constant(1, 1_500))]);
    let seen = run_with(spec(Plan { teardown_timeout: ms(3_600_000), ..plan }), fake, |control| async move {
        sleep(ms(4_000)).await;
        control.stop_now("Ctrl-C");
    });
    assert_eq!((seen.end(), dropped(&seen)), (&End::Interrupted, 1));
}

#[test]
fn a_worker_that_falls_silent_holds_up_neither_the_seconds_nor_the_hardest_stop() {
    let spec = spec(plan(2, vec![scenario("s", constant(2, 3_000))]));
    let fake = Fake::sleeping(500);
    let log = fake.log.clone();
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let mut events = Vec::new();
    let (result, lost) = LocalSet::new().block_on(&runtime, async {
        let control = Control::new();
        let (links, mut ends) = prepare(&spec, &control);
        let (_, mut commands, told) = ends.pop().expect("two workers");
        let (worker_spec, worker_commands, worker_told) = ends.pop().expect("two workers");
        tokio::task::spawn_local(async move {
            worker::drive(worker_spec, &fake, worker_commands, worker_told).await;
        });
        tokio::task::spawn_local(async move {
            let say = |news| told.send(Told { worker: 1, news });
            say(News::Host(Ok(()))).await.expect("the coordinator listens");
            while let Some(command) = commands.recv().await {
                if matches!(command, worker::Command::Data(_)) {
                    say(News::Ready(Ok(()))).await.expect("the coordinator listens");
                }
            }
        });
        let stop = control.clone();
        tokio::task::spawn_local(async move {
            sleep(ms(6_000)).await;
            stop.stop_now("enough");
        });
        coordinator::coordinate(spec, links, control, &mut |event| events.push(event)).await
    });
    let log = log.lock().expect("no test panics while it holds the log").clone();
    let seen = Seen { result, events, log };
    assert_eq!((seen.end(), lost), (&End::Interrupted, vec![1]));
    // What the other worker did is all there, second by second.
    assert_eq!((seen.counter("iterations"), seen.ticks()[0].vus), (6, 1));
    let seconds: Vec<u32> = seen.ticks().iter().map(|tick| tick.second).collect();
    assert_eq!(seconds, (0..seconds.len() as u32).collect::<Vec<_>>());
    assert!(seconds.len() > 6, "{seconds:?}");
}

#[test]
fn a_stop_before_a_scenario_starts_keeps_it_from_starting() {
    let late = Scenario { start_time: ms(5_000), ..scenario("late", constant(2, 1_000)) };
    let seen = run_with(spec(plan(1, vec![late])), Fake::sleeping(100), |control| async move {
        sleep(ms(1_000)).await;
        control.stop("SIGTERM");
    });
    assert_eq!((seen.starts(), seen.end(), dropped(&seen)), (vec![], &End::Interrupted, 2));
}

#[test]
fn an_abort_cancels_all_vus_on_all_workers_and_runs_teardown() {
    for requested in [true, false] {
        let journey = Fake::new(move |seat, start| match (seat.vu, start.iteration) {
            (2, 1) => Act::Instant(Outcome::Abort(Abort { message: "enough".into(), requested })),
            (2, _) => Act::Sleep(ms(1_000), Outcome::Completed),
            _ => Act::Sleep(ms(30_000), Outcome::Completed),
        });
        let seen = run_paused(plan(3, vec![scenario("s", constant(3, 60_000))]), journey);
        assert_eq!(seen.end(), &End::Aborted { requested });
        assert_eq!((seen.counter("iterations"), seen.counter("iterations_interrupted")), (1, 3));
        assert!(seen.ends().iter().all(|end| end.1 == 1_000), "{:?}", seen.ends());
        assert!(seen.has(&Entry::Teardown));
        assert!(
            seen.report().verdict.reasons.iter().any(|reason| reason.contains("enough")),
            "{:?}",
            seen.report().verdict
        );
    }
}

#[test]
fn a_panic_is_a_failed_iteration_of_one_vu() {
    let journey = Fake::new(|seat, start| match (seat.vu, start.iteration) {
        (1, 1) => Act::Panic,
        _ => Act::Sleep(ms(1_000), Outcome::Completed),
    });
    let seen = run_paused(plan(1, vec![scenario("s", constant(2, 3_500))]), journey);
    // VU 1 fails at once at 1 s, is made anew and goes on.
    let starts: Vec<u64> = seen.starts().iter().filter(|start| start.0 == 1).map(|start| start.1).collect();
    assert_eq!(starts, [0, 1_000, 1_000, 2_000, 3_000]);
    assert_eq!((seen.counter("iterations"), seen.counter("iterations_failed")), (9, 1));
    let error = &seen.report().errors[0];
    assert_eq!((error.count, error.example.as_str()), (1, "VU 1 panicked: on purpose"));
    assert_eq!(dropped(&seen), 3);
    assert_eq!(seen.end(), &End::Completed);
}

#[test]
fn a_journey_that_fails_at_once_is_slowed_down() {
    let journey = Fake::new(|_, _| Act::Instant(Outcome::Failed));
    let seen = run_paused(plan(1, vec![scenario("s", constant(1, 10_000))]), journey);
    // Ten for nothing, then pauses of 1, 2, 4 .. 128 ms: about (10,000 - 255) / 128 more.
    let failed = seen.counter("iterations_failed");
    assert!((80..110).contains(&failed), "{failed}");
    assert_eq!(seen.counter("iterations"), failed);
    assert!(!seen.report().verdict.passed);
}

#[test]
fn iterations_that_never_wait_leave_room_for_others() {
    // VU 1 never waits; VU 2 ends the run, which it could not if it were starved.
    let journey = Fake::new(|seat, start| match (seat.vu, start.iteration) {
        (1, _) => Act::Instant(Outcome::Completed),
        (_, 100) => Act::Instant(Outcome::Abort(Abort { message: "done".into(), requested: true })),
        _ => Act::Instant(Outcome::Completed),
    });
    let seen = run_paused(plan(1, vec![scenario("s", constant(2, 60_000))]), journey);
    assert_eq!(seen.end(), &End::Aborted { requested: true });
    assert!(seen.counter("iterations") >= 100);
}

#[test]
fn setup_reaches_every_worker_before_its_vus() {
    let fake = Fake {
        setup: Arc::new(|| (Act::Sleep(ms(500), Outcome::Completed), Ok(serde_json::json!({"token": 7})))),
        ..Fake::sleeping(1_000)
    };
    let seen = run_paused(plan(2, vec![scenario("s", constant(2, 500))]), fake);
    let data = Entry::Data(serde_json::json!({"token": 7}));
    assert_eq!(seen.log[0], Entry::Setup);
    assert_eq!(seen.log.iter().filter(|entry| **entry == data).count(), 2);
    let first_vu = seen.log.iter().position(|entry| matches!(entry, Entry::Built(_)));
    assert!(first_vu > seen.log.iter().position(|entry| *entry == data));
    // The load's time does not include it.
    assert_eq!(seen.report().run.duration_s, 1.0);
    assert_eq!(seen.log.iter().rposition(|entry| *entry == Entry::Teardown).map(|at| at > 2), Some(true));
}

#[test]
fn without_setup_and_teardown_none_is_run() {
    let plan = Plan { no_setup: true, no_teardown: true, ..plan(1, vec![scenario("s", constant(1, 500))]) };
    let seen = run_paused(plan, Fake::sleeping(100));
    assert!(!seen.log.contains(&Entry::Setup) && !seen.log.contains(&Entry::Teardown));
    assert_eq!(seen.end(), &End::Completed);
}

#[test]
fn a_failed_setup_means_no_load() {
    let sleep_for = |time| Act::Sleep(ms(time), Outcome::Completed);
    let failed = || VuError::Script("no such host".into());
    type Case = (Act, Result<serde_json::Value, VuError>, End, &'static str);
    let cases: Vec<Case> = vec![
        (sleep_for(10), Err(failed()), End::SetupFailed(failed()), "setup failed: no such host"),
        (sleep_for(90_000), Ok(serde_json::Value::Null), End::SetupTimeout, "setup took longer than 60s"),
        (Act::Deaf(ms(90_000)), Ok(serde_json::Value::Null), End::SetupTimeout, "setup took longer than 60s"),
        (sleep_for(10), Err(VuError::Aborted("not today".into())), End::Aborted { requested: true }, "not today"),
    ];
    for (act, result, end, reason) in cases {
        let fake = Fake { setup: Arc::new(move || (act.clone(), result.clone())), ..Fake::sleeping(100) };
        let seen = run_paused(plan(2, vec![scenario("s", constant(2, 500))]), fake);
        assert_eq!(seen.end(), &end);
        assert!(seen.starts().is_empty());
        let reasons = &seen.report().verdict.reasons;
        assert!(reasons.iter().any(|text| text.contains(reason)), "{reasons:?}");
        assert!(!seen.events.iter().any(|event| matches!(event, RunEvent::Started(_))));
    }
}

#[test]
fn a_stop_during_setup_cancels_it() {
    let fake = Fake {
        setup: Arc::new(|| (Act::Sleep(ms(50_000), Outcome::Completed), Ok(serde_json::Value::Null))),
        ..Fake::sleeping(100)
    };
    let seen = run_with(spec(plan(1, vec![scenario("s", constant(1, 500))])), fake, |control| async move {
        sleep(ms(1_000)).await;
        control.stop("Ctrl-C");
    });
    assert_eq!((seen.end(), seen.starts()), (&End::Interrupted, vec![]));
    assert!(!seen.log.contains(&Entry::Teardown));
}

#[test]
fn a_failed_teardown_is_told() {
    let failed = || VuError::Script("can't log out".into());
    let cases: Vec<(Act, Result<(), VuError>, End, &str)> = vec![
        (
            Act::Instant(Outcome::Completed),
            Err(failed()),
            End::TeardownFailed(failed()),
            "teardown failed: can't log out",
        ),
        (Act::Sleep(ms(90_000), Outcome::Completed), Ok(()), End::TeardownTimeout, "teardown took longer than 60s"),
    ];
    for (act, result, end, text) in cases {
        let fake = Fake { teardown: Arc::new(move || (act.clone(), result.clone())), ..Fake::sleeping(100) };
        let seen = run_paused(plan(1, vec![scenario("s", constant(1, 500))]), fake);
        assert_eq!(seen.end(), &end);
        assert!(seen.counter("iterations") > 0);
        assert!(seen.events.iter().any(|e| matches!(e, RunEvent::Warning(w) if w.message.contains("teardown"))));
        assert!(
            seen.report().verdict.reasons.iter().any(|reason| reason.contains(text)),
            "{:?}",
            seen.report().verdict
        );
    }
}

#[test]
fn vus_that_can_not_be_made_end_the_run() {
    // Before the load: there is none. In the load: it ends.
    let fails = Fake { build_fails: |seat| seat.vu == 2, ..Fake::sleeping(100) };
    let seen = run_paused(plan(1, vec![scenario("s", constant(3, 500))]), fails.clone());
    assert_eq!(seen.end(), &End::VusFailed(VuError::Script("no such function".into())));
    assert_eq!((seen.starts(), seen.has(&Entry::Teardown)), (vec![], true));

    let seen =
        run_paused(plan(1, vec![scenario("s", ramping(1, &[(2_000, 3)], 0))]), Fake { log: Arc::default(), ..fails });
    assert_eq!(seen.end(), &End::Aborted { requested: false });
    let reasons = &seen.report().verdict.reasons;
    assert!(reasons.iter().any(|text| text.contains("virtual user 2 can't be made: no such function")), "{reasons:?}");
}

#[test]
fn a_host_that_can_not_be_made_means_no_run() {
    let fake = Fake { host_fails: |worker| worker == 1, ..Fake::sleeping(100) };
    let seen = run_paused(plan(2, vec![scenario("s", constant(2, 500))]), fake);
    let error = seen.result.expect_err("there was a run");
    assert!(matches!(error, EngineError::Host(_)));
    assert_eq!(error.to_string(), "init failed on worker 1");
}

#[test]
fn a_threshold_can_end_the_run() {
    let mut threshold =
        Threshold::parse("iterations_failed", "count<3", &Catalogue::new(), &[]).expect("a threshold that makes sense");
    threshold.abort_on_fail = true;
    let journey = Fake::new(|_, _| Act::Sleep(ms(600), Outcome::Failed));
    let spec = RunSpec { thresholds: vec![threshold], ..spec(plan(2, vec![scenario("s", constant(2, 60_000))])) };
    let seen = run_with(spec, journey, |_| std::future::ready(()));
    assert_eq!(seen.end(), &End::ThresholdAbort);
    // Two have failed by the end of the first second, six by the end of the second; the next two are cancelled then.
    assert_eq!((seen.counter("iterations_failed"), seen.counter("iterations_interrupted")), (6, 2));
    assert_eq!(seen.ticks().iter().map(|tick| tick.iterations_failed).collect::<Vec<_>>(), [2, 6, 6]);
    assert!(seen.has(&Entry::Teardown));
}
