//! Changes while a run goes on, on paused time: what starts when, on one worker and on several.

use super::executors::assert_no_vu_is_left;
use super::open::{arrivals, iterations, open, vus_built};
use super::*;
use crate::report::{Change, ChangeKind};
use crate::units::parse_rate;

/// Changes a run so long after its load began; the load begins 1 ms after the run.
fn run_changed<F>(threads: usize, scenarios: Vec<Scenario>, fake: Fake, change: F) -> Seen
where
    F: AsyncFnOnce(Control) + 'static,
{
    run_with_control(Control::new(), spec(plan(threads, scenarios)), fake, change)
}

fn run_with_control<F>(control: Control, spec: RunSpec, fake: Fake, change: F) -> Seen
where
    F: AsyncFnOnce(Control) + 'static,
{
    run_controlled(control, spec, fake, |control| async move {
        after(1).await;
        change(control).await;
    })
}

async fn after(ms_: u64) {
    tokio::time::sleep(ms(ms_)).await;
}

/// Starts of iterations in all, by the millisecond.
fn starts_by_ms(seen: &Seen) -> BTreeMap<u64, usize> {
    let mut starts = BTreeMap::new();
    for (_, at) in seen.starts() {
        *starts.entry(at).or_default() += 1;
    }
    starts
}

/// What the report tells of the changes.
fn told(seen: &Seen) -> Vec<(f64, &str, ChangeKind, Option<f64>, Option<f64>)> {
    let events: Vec<&Change> = seen
        .events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Changed(change) => Some(change),
            _ => None,
        })
        .collect();
    let reported = &seen.report().series.events;
    assert_eq!(events, reported.iter().collect::<Vec<_>>(), "each change is an event, and in the report");
    reported
        .iter()
        .map(|change| (change.at_s, change.scenario.as_deref().unwrap_or("-"), change.what, change.from, change.to))
        .collect()
}

#[test]
fn paused_closed_load_starts_nothing_and_loses_nothing() {
    for threads in [1, 3] {
        let scenarios = vec![scenario("s", constant(6, 1_000))];
        let seen = run_changed(threads, scenarios, Fake::sleeping(100), async |control| {
            after(250).await;
            assert_eq!(control.pause("test"), Ok(true));
            assert_eq!((control.pause("test"), control.is_paused()), (Ok(false), true));
            after(500).await;
            assert_eq!((control.resume("test"), control.resume("test")), (Ok(true), Ok(false)));
        });
        // Those that ran when it was paused went on; the pause is not part of the duration.
        let before = (0..3).map(|n| (n * 100, 6));
        let later = (0..8).map(|n| (750 + n * 100, 6));
        assert_eq!(starts_by_ms(&seen), before.chain(later).collect(), "{threads} threads");
        assert_eq!(seen.ends().iter().filter(|end| end.1 == 300).count(), 6);
        assert_eq!((seen.end(), seen.counter("iterations_interrupted")), (&End::Completed, 0));
        assert_eq!(seen.report().run.duration_s, 1.55);
        assert_eq!(
            told(&seen),
            [(0.25, "-", ChangeKind::Pause, None, None), (0.75, "-", ChangeKind::Resume, None, None)]
        );
        assert_no_vu_is_left(&seen);
    }
}

#[test]
fn a_pause_suspends_the_schedule_of_open_load() {
    for threads in [1, 2, 3] {
        let scenarios = vec![scenario("s", arrivals(10.0, 1_000, open(6, 6)))];
        let seen = run_changed(threads, scenarios, Fake::sleeping(150), async |control| {
            after(450).await;
            control.pause("test").expect("it runs");
            after(5_000).await;
            control.resume("test").expect("it runs");
        });
        let at = |n: u64| if n < 5 { n * 100 } else { 5_000 + n * 100 };
        let expected: Vec<_> = (0..10).map(|n| (n, at(n), at(n))).collect();
        assert_eq!(iterations(&seen), expected, "{threads} threads");
        assert_eq!((seen.end(), seen.counter("dropped_iterations")), (&End::Completed, 0));
    }
}

#[test]
fn what_waits_for_a_vu_is_not_late_for_a_pause() {
    let scenarios = vec![scenario("s", arrivals(10.0, 500, open(1, 1)))];
    let seen = run_changed(1, scenarios, Fake::sleeping(250), async |control| {
        // The second iteration was due at 100 ms and waits for the only VU.
        after(150).await;
        control.pause("test").expect("it runs");
        after(1_000).await;
        control.resume("test").expect("it runs");
    });
    let expected = [(0, 0, 0), (1, 1_100, 1_150), (2, 1_200, 1_400), (3, 1_300, 1_650), (4, 1_400, 1_900)];
    assert_eq!(iterations(&seen), expected);
}

#[test]
fn stages_start_times_and_what_comes_after_wait_for_the_end_of_a_pause() {
    let second = Scenario { start_time: ms(600), ..scenario("b", constant(1, 100)) };
    let third = Scenario { start_after: Some("b".into()), ..scenario("c", constant(1, 100)) };
    let ramp = scenario("a", ramping(0, &[(1_000, 4)], 30_000));
    let seen = run_changed(3, vec![ramp, second, third], Fake::sleeping(50), async |control| {
        after(510).await;
        control.pause("test").expect("it runs");
        after(1_000).await;
        control.resume("test").expect("it runs");
    });
    let first = |vu: u32| seen.starts().iter().find(|start| start.0 == vu).map(|start| start.1);
    // Two of the ramp's four before the pause, the third at 750 ms of the load's clock; the last at its very end.
    assert_eq!([1, 2, 3, 5, 6].map(first), [Some(250), Some(500), Some(1_750), Some(1_600), Some(1_700)]);
    assert_eq!(seen.starts().iter().filter(|start| start.1 > 560 && start.1 < 1_510).count(), 0);
}

#[test]
fn a_run_can_be_stopped_while_it_is_paused() {
    let scenarios = vec![scenario("s", constant(2, 60_000))];
    let seen = run_changed(2, scenarios, Fake::sleeping(100), async |control| {
        after(50).await;
        control.pause("test").expect("it runs");
        after(1_000).await;
        control.stop_by("somebody asked", "test");
    });
    assert_eq!((seen.end(), seen.starts().len()), (&End::Interrupted, 2));
    assert_eq!(seen.report().run.duration_s, 1.05);
    assert_eq!(told(&seen)[1], (1.05, "-", ChangeKind::Stop, None, None));
    assert_no_vu_is_left(&seen);
}

#[test]
fn vus_change_exactly_and_are_divided_among_workers() {
    for threads in [1, 2, 3] {
        let control = Control::of_growing_run();
        let scenarios = vec![scenario("a", constant(2, 1_000)), scenario("b", constant(1, 1_000))];
        let seen = run_with_control(control, spec(plan(threads, scenarios)), Fake::sleeping(100), async |control| {
            after(251).await;
            assert_eq!(control.set_vus("a", 7, "test"), Ok(true));
            assert_eq!(control.set_vus("a", 7, "test"), Ok(false));
            after(400).await;
            control.set_vus("a", 1, "test").expect("it runs");
        });
        let count = |from: u64, until: u64| {
            let of_b = |vu: u32| vu == 3;
            let starts = seen.starts();
            let vus: BTreeSet<u32> =
                starts.iter().filter(|s| !of_b(s.0) && (from..until).contains(&s.1)).map(|s| s.0).collect();
            vus.len()
        };
        assert_eq!([count(0, 250), count(260, 650), count(660, 1_000)], [2, 7, 1], "{threads} threads");
        // Those that are told to wait finish their iterations.
        assert_eq!(seen.counter("iterations_interrupted"), 0);
        let vus: BTreeSet<u32> = seen.starts().iter().map(|start| start.0).collect();
        assert_eq!(vus, BTreeSet::from([1, 2, 3, 4, 6, 8, 10, 12]), "the plan's numbers, and then those of `a` alone");
        assert_eq!(
            told(&seen),
            [(0.251, "a", ChangeKind::Vus, Some(2.0), Some(7.0)), (0.651, "a", ChangeKind::Vus, Some(7.0), Some(1.0))]
        );
        let now = seen.ticks()[0];
        assert_eq!((now.vus_max, now.scenarios[0].vus_target), (8, 0));
        assert_no_vu_is_left(&seen);
    }
}

#[test]
fn a_changed_number_of_vus_takes_the_place_of_the_stages() {
    let scenarios = vec![scenario("s", ramping(0, &[(1_000, 10), (1_000, 0)], 30_000))];
    let seen = run_changed(3, scenarios, Fake::sleeping(10), async |control| {
        after(450).await;
        control.set_vus("s", 3, "test").expect("it runs");
    });
    let running = |from: u64, until: u64| {
        let starts = seen.starts();
        starts.iter().filter(|s| (from..until).contains(&s.1)).map(|s| s.0).collect::<BTreeSet<_>>().len()
    };
    assert_eq!([running(401, 440), running(470, 1_000), running(1_000, 1_990)], [4, 3, 3]);
    assert_eq!(told(&seen), [(0.45, "s", ChangeKind::Vus, Some(4.0), Some(3.0))]);
}

#[test]
fn places_of_vus_that_leave_are_taken_by_others_at_once() {
    let scenarios = vec![scenario("s", constant(3, 3_000))];
    let seen = run_changed(1, scenarios, Fake::sleeping(1_000), async |control| {
        after(100).await;
        control.set_vus("s", 1, "test").expect("it runs");
        after(100).await;
        control.set_vus("s", 3, "test").expect("it runs");
    });
    // Those that were there have begun their only iteration, and end it beside those that came.
    let mut ends = seen.ends();
    ends.retain(|end| end.0 != 1);
    ends.sort_by_key(|end| (end.0, end.1));
    let of = |vu: u32| [1_000, 1_200, 2_200, 3_200].map(|at| (vu, at, Outcome::Completed));
    assert_eq!(ends, [of(2), of(3)].concat());
    let count = |what: fn(&Entry) -> bool| seen.log.iter().filter(|entry| what(entry)).count();
    assert_eq!(count(|entry| matches!(entry, Entry::Started(_))), 5);
    assert_eq!(count(|entry| matches!(entry, Entry::Stopped(_))), 5);
    assert_eq!(count(|entry| matches!(entry, Entry::Dropped(_))), 5);

    // One that does not heed its cancel does not keep the run from its end.
    let deaf = Fake::new(|_, start| match start.actual {
        at if at < ms(50) => Act::Deaf(ms(3_600_000)),
        _ => Act::Sleep(ms(1_000), Outcome::Completed),
    });
    let mut scenarios = vec![scenario("s", constant(3, 3_000))];
    scenarios[0].graceful_stop = ms(500);
    let seen = run_changed(1, scenarios, deaf, async |control| {
        after(100).await;
        control.set_vus("s", 0, "test").expect("it runs");
        after(100).await;
        control.set_vus("s", 3, "test").expect("it runs");
    });
    assert_eq!(seen.counter("iterations_interrupted"), 3);
    assert_eq!(seen.log.iter().filter(|entry| matches!(entry, Entry::Dropped(_))).count(), 6);
}

#[test]
fn shared_iterations_are_made_by_as_many_vus_as_are_wanted() {
    for threads in [1, 3] {
        let shared = Executor::SharedIterations { vus: 1, iterations: 31, max_duration: ms(60_000) };
        let control = Control::of_growing_run();
        let spec = spec(plan(threads, vec![scenario("s", shared)]));
        let seen = run_with_control(control, spec, Fake::sleeping(100), async |control| {
            after(950).await;
            control.set_vus("s", 6, "test").expect("it runs");
            after(200).await;
            control.set_vus("s", 4, "test").expect("it runs");
        });
        assert_eq!((seen.starts().len(), seen.end()), (31, &End::Completed), "{threads} threads");
        // 10 by one, then 5 more VUs twice, then four: it is over soon, and waits for nobody.
        assert!(seen.report().run.duration_s < 2.0, "{}", seen.report().run.duration_s);
        assert_no_vu_is_left(&seen);
    }
}

#[test]
fn a_changed_rate_is_divided_exactly() {
    for threads in [1, 2, 3] {
        let scenarios = vec![scenario("s", arrivals(10.0, 1_000, open(5, 50)))];
        let seen = run_changed(threads, scenarios, Fake::sleeping(20), async |control| {
            // The load's clock is at 440 ms; the new rate holds from 450 ms.
            after(440).await;
            let rate = parse_rate("40/s").expect("a rate");
            assert_eq!(control.set_rate("s", rate, "test"), Ok(true));
        });
        let mut expected: Vec<_> = (0..5).map(|n| (n, n * 100, n * 100)).collect();
        expected.extend((0..22).map(|n| (5 + n, 450 + n * 25, 450 + n * 25)));
        let found: Vec<_> = iterations(&seen);
        assert_eq!(found.len(), 27, "{threads} threads: {found:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{threads} threads");
        }
        assert_eq!(told(&seen), [(0.44, "s", ChangeKind::Rate, Some(10.0), Some(40.0))]);
        assert_eq!(seen.counter("dropped_iterations"), 0);
    }
}

#[test]
fn open_load_may_be_given_more_vus() {
    let scenarios = vec![scenario("s", arrivals(10.0, 1_000, open(1, 1)))];
    let seen = run_changed(1, scenarios, Fake::sleeping(300), async |control| {
        after(350).await;
        control.set_vus("s", 4, "test").expect("it runs");
    });
    assert_eq!(vus_built(&seen), 4);
    let late = iterations(&seen).iter().filter(|start| start.1 != start.2 && start.1 > 700).count();
    assert_eq!(late, 0, "{:?}", iterations(&seen));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let per_vu = Executor::PerVuIterations { vus: 1, iterations: 20, max_duration: ms(60_000) };
    let scenarios = vec![
        scenario("shop", constant(1, 1_000)),
        scenario("search", arrivals(10.0, 1_000, open(1, 1))),
        scenario("each", per_vu),
    ];
    let seen = run_with(spec(plan(1, scenarios)), Fake::sleeping(100), |control| async move {
        assert_eq!(control.pause("test"), Err(SteerError::NotRunning("has not begun yet")));
        after(100).await;
        let rate = |text| parse_rate(text).expect("a rate");
        for (result, text) in [
            (
                control.set_vus("shp", 1, "test"),
                "unknown scenario `shp` (did you mean `shop`?); expected one of `shop`, `search`, `each`",
            ),
            (
                control.set_vus("each", 1, "test"),
                "scenario `each` is `per-vu-iterations`: its number of iterations follows from its VUs, which can't be changed",
            ),
            (
                control.set_rate("shop", rate("5/s"), "test"),
                "scenario `shop` is `constant-vus`: closed load has no rate of its own; change its VUs",
            ),
            (control.set_vus("shop", 100_001, "test"), "100001 is too much: expected at most 100000 VUs"),
            (
                control.set_rate("search", rate("20000000/s"), "test"),
                "20000000/s is too much: expected at most 10000000 iterations per time unit",
            ),
        ] {
            assert_eq!(result.expect_err(text).to_string(), text);
        }
        assert_eq!(control.set_rate("*", rate("20/s"), "test"), Ok(true));
        assert_eq!(control.set_vus("*", 2, "test"), Ok(true));
        after(60_000).await;
        assert_eq!(control.resume("test"), Err(SteerError::NotRunning("is over")));
    });
    let all: Vec<_> = told(&seen).iter().map(|change| (change.1.to_owned(), change.2)).collect();
    let expected = [("search", ChangeKind::Rate), ("shop", ChangeKind::Vus), ("search", ChangeKind::Vus)];
    assert_eq!(all, expected.map(|(name, what)| (name.to_owned(), what)));
}
