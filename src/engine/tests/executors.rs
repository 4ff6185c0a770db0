//! What starts when, for each executor, against its formula.

use super::*;
use crate::vu::Seat;

/// How many VUs start an iteration in the `span` milliseconds from `at`.
fn vus_from(starts: &[(u32, u64)], at: u64, span: u64) -> usize {
    starts.iter().filter(|(_, start)| (at..at + span).contains(start)).map(|(vu, _)| vu).collect::<BTreeSet<_>>().len()
}

/// Every VU that was made has been dropped, stopped if it had started, and none twice.
pub(super) fn assert_no_vu_is_left(seen: &Seen) {
    let of = |pick: fn(&Entry) -> Option<u32>| -> Vec<u32> {
        let mut vus: Vec<u32> = seen.log.iter().filter_map(pick).collect();
        vus.sort_unstable();
        vus
    };
    let built = of(|entry| if let Entry::Built(seat) = entry { Some(seat.vu) } else { None });
    let dropped = of(|entry| if let Entry::Dropped(seat) = entry { Some(seat.vu) } else { None });
    let started = of(|entry| if let Entry::Started(seat) = entry { Some(seat.vu) } else { None });
    let stopped = of(|entry| if let Entry::Stopped(seat) = entry { Some(seat.vu) } else { None });
    assert_eq!(built, dropped);
    assert_eq!(started, stopped);
    let distinct: BTreeSet<u32> = built.iter().copied().collect();
    assert_eq!(distinct.len(), built.len(), "two VUs share a number");
}

#[test]
fn constant_vus_run_until_the_end_and_finish_what_they_began() {
    for threads in [1, 2, 3] {
        let seen = run_paused(plan(threads, vec![scenario("s", constant(3, 2_500))]), Fake::sleeping(1_000));
        let expected: Vec<(u32, u64)> = (1..=3).flat_map(|vu| [(vu, 0), (vu, 1_000), (vu, 2_000)]).collect();
        assert_eq!(seen.starts(), expected, "{threads} threads");
        assert!(seen.ends().iter().all(|end| end.2 == Outcome::Completed));
        assert_eq!((seen.end(), seen.counter("iterations")), (&End::Completed, 9));
        assert_eq!((seen.trend_count("iteration_duration"), seen.counter("iterations_interrupted")), (9, 0));
        assert_eq!(seen.report().run.duration_s, 3.0);
        assert_no_vu_is_left(&seen);
    }
}

#[test]
fn seconds_follow_each_other_and_show_the_vus() {
    let seen = run_paused(plan(2, vec![scenario("s", constant(3, 2_500))]), Fake::sleeping(1_100));
    let ticks: Vec<(u32, u64, u64, u64)> =
        seen.ticks().iter().map(|tick| (tick.second, tick.vus, tick.vus_max, tick.iterations)).collect();
    // The iterations that began at 2.2 s end at 3.3 s, in the last, partial second.
    assert_eq!(ticks, [(0, 3, 3, 0), (1, 3, 3, 3), (2, 3, 3, 6), (3, 0, 3, 9)]);
    let scenarios: Vec<(ScenarioState, u64)> =
        seen.ticks().iter().map(|tick| (tick.scenarios[0].state, tick.scenarios[0].vus_target)).collect();
    use ScenarioState::{Done, Running, Stopping};
    assert_eq!(scenarios, [(Running, 3), (Running, 3), (Stopping, 0), (Done, 0)]);
    assert!(matches!(seen.events.first(), Some(RunEvent::Started(info)) if info.vus_max == 3));
    assert!(matches!(seen.events.last(), Some(RunEvent::Ended(_))));
}

#[test]
fn whoever_asks_sees_the_report_every_few_seconds() {
    for (reports, expected) in [(false, vec![]), (true, vec![(5.0, 12), (10.0, 27)])] {
        let spec = RunSpec { reports, ..spec(plan(2, vec![scenario("s", constant(3, 12_000))])) };
        let seen = run_with(spec, Fake::sleeping(1_100), |_| std::future::ready(()));
        let iterations = |report: &Report| match report.metrics["iterations"] {
            MetricSummary::Counter { count, .. } => count as u64,
            ref other => panic!("{other:?}"),
        };
        let so_far: Vec<(f64, u64)> = seen
            .events
            .iter()
            .filter_map(|event| match event {
                RunEvent::SoFar(report) => Some((report.run.duration_s, iterations(report))),
                _ => None,
            })
            .collect();
        assert_eq!(so_far, expected);
    }
}

#[test]
fn ramping_vus_follow_the_line() {
    // Up to 4 in 4 s, flat for 1 s, jump to 2, down to 0 in 2 s.
    let stages = [(4_000, 4), (1_000, 4), (0, 2), (1_000, 2), (2_000, 0)];
    let Executor::RampingVus { start_vus, stages: curve, .. } = ramping(0, &stages, 30_000) else { unreachable!() };
    let curve = crate::plan::Ramp { start: start_vus, stages: &curve };
    for threads in [1, 2, 3] {
        let seen = run_paused(plan(threads, vec![scenario("s", ramping(0, &stages, 30_000))]), Fake::sleeping(10));
        let starts = seen.starts();
        for at in (50..8_400).step_by(100) {
            let level = curve.level_at(ms(at)) as usize;
            assert_eq!(vus_from(&starts, at, 10), level, "{threads} threads at {at} ms");
        }
        assert_eq!(seen.counter("iterations"), starts.len() as u64);
        assert_eq!(seen.counter("iterations_interrupted"), 0);
        assert_no_vu_is_left(&seen);
    }
}

#[test]
fn vus_that_are_ramped_down_have_their_grace() {
    // VU 2 leaves at 1 s, in the middle of its iteration of 10 s.
    let executor = || ramping(2, &[(1_000, 2), (0, 1), (20_000, 1)], 3_000);
    let seen = run_paused(plan(1, vec![scenario("s", executor())]), Fake::sleeping(10_000));
    let second: Vec<_> = seen.ends().into_iter().filter(|end| end.0 == 2).collect();
    assert_eq!(second, [(2, 4_000, Outcome::Interrupted)]);
    assert_eq!(seen.counter("iterations_interrupted"), 1);
    assert_no_vu_is_left(&seen);

    // An iteration that ends within its grace counts, and no other follows.
    let seen = run_paused(plan(1, vec![scenario("s", executor())]), Fake::sleeping(3_500));
    let second: Vec<_> = seen.ends().into_iter().filter(|end| end.0 == 2).collect();
    assert_eq!(second, [(2, 3_500, Outcome::Completed)]);
}

#[test]
fn a_vu_that_is_wanted_again_within_its_grace_goes_on() {
    let executor = ramping(2, &[(1_000, 2), (0, 1), (1_000, 1), (0, 2), (20_500, 2)], 3_000);
    let seen = run_paused(plan(1, vec![scenario("s", executor)]), Fake::sleeping(10_000));
    let second: Vec<_> = seen.ends().into_iter().filter(|end| end.0 == 2).collect();
    assert_eq!(
        second,
        [(2, 10_000, Outcome::Completed), (2, 20_000, Outcome::Completed), (2, 30_000, Outcome::Completed)]
    );
}

#[test]
fn vus_that_will_not_be_wanted_again_leave_on_the_way_down() {
    // Down to 1, up to 2 again, and down to 1: of four VUs two leave in the first second and one in the third.
    let executor = ramping(4, &[(1_000, 4), (0, 1), (1_000, 1), (0, 2), (1_000, 2), (0, 1), (2_000, 1)], 3_000);
    let seen = run_paused(plan(1, vec![scenario("s", executor)]), Fake::sleeping(300));
    let place = |what: &dyn Fn(&Entry) -> bool| seen.log.iter().position(what).expect("it happened");
    let begun = |after: u64| {
        place(&|entry| matches!(entry, Entry::Iteration { seat, start } if seat.vu == 1 && start.actual >= ms(after)))
    };
    for (vu, after, before) in [(4, 1_200, 1_500), (3, 1_200, 1_500), (2, 3_000, 3_600)] {
        let stopped = place(&|entry| *entry == Entry::Stopped(Seat { vu, scenario: 0 }));
        let dropped = place(&|entry| *entry == Entry::Dropped(Seat { vu, scenario: 0 }));
        assert!(begun(after) - 1 <= stopped && stopped < dropped && dropped < begun(before), "VU {vu}: {:?}", seen.log);
    }
    assert_eq!(seen.counter("iterations_interrupted"), 0);
    assert_no_vu_is_left(&seen);
}

#[test]
fn shared_iterations_are_made_exactly() {
    for threads in [1, 2, 3] {
        let executor = Executor::SharedIterations { vus: 3, iterations: 10, max_duration: ms(600_000) };
        // VU 1 is slow, so that the others take over its share.
        let journey = Fake::new(|seat, _| Act::Sleep(ms(if seat.vu == 1 { 5_000 } else { 700 }), Outcome::Completed));
        let seen = run_paused(plan(threads, vec![scenario("s", executor)]), journey);
        let mut numbers: Vec<u64> = seen
            .log
            .iter()
            .filter_map(|entry| match entry {
                Entry::Iteration { start, .. } => Some(start.iteration_in_scenario),
                _ => None,
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>(), "{threads} threads");
        assert_eq!((seen.counter("iterations"), seen.counter("dropped_iterations")), (10, 0));
        assert_eq!(seen.starts().iter().filter(|(vu, _)| *vu == 1).count(), 1);
        assert_eq!(seen.report().run.duration_s, 5.0);
        assert_no_vu_is_left(&seen);
    }
}

#[test]
fn shared_iterations_that_find_no_time_are_dropped() {
    for threads in [1, 2] {
        let executor = Executor::SharedIterations { vus: 2, iterations: 100, max_duration: ms(2_500) };
        let seen = run_paused(plan(threads, vec![scenario("s", executor)]), Fake::sleeping(1_000));
        // Two VUs start at 0, 1 and 2 s; the last two finish within the graceful stop.
        assert_eq!((seen.counter("iterations"), seen.counter("dropped_iterations")), (6, 94), "{threads} threads");
        assert_eq!(seen.report().generator.dropped_iterations, 94);
    }
}

#[test]
fn per_vu_iterations_are_made_exactly_by_each() {
    for threads in [1, 2, 3] {
        let executor = Executor::PerVuIterations { vus: 4, iterations: 3, max_duration: ms(600_000) };
        let journey = Fake::new(|seat, _| Act::Sleep(ms(100 * u64::from(seat.vu)), Outcome::Completed));
        let seen = run_paused(plan(threads, vec![scenario("s", executor)]), journey);
        let mut expected: Vec<(u32, u64)> =
            (1..=4).flat_map(|vu| (0..3).map(move |n| (vu, n * 100 * u64::from(vu)))).collect();
        expected.sort_unstable();
        assert_eq!(seen.starts(), expected, "{threads} threads");
        assert_eq!((seen.counter("iterations"), seen.counter("dropped_iterations")), (12, 0));
        let distinct: BTreeSet<u64> = seen
            .log
            .iter()
            .filter_map(|entry| match entry {
                Entry::Iteration { start, .. } => Some(start.iteration_in_scenario),
                _ => None,
            })
            .collect();
        assert_eq!(distinct.len(), 12, "two iterations share a number");
        assert_no_vu_is_left(&seen);
    }
}

#[test]
fn per_vu_iterations_that_find_no_time_are_dropped() {
    let executor = Executor::PerVuIterations { vus: 2, iterations: 10, max_duration: ms(2_500) };
    let seen = run_paused(plan(2, vec![scenario("s", executor)]), Fake::sleeping(1_000));
    assert_eq!((seen.counter("iterations"), seen.counter("dropped_iterations")), (6, 14));
}

#[test]
fn scenarios_start_at_their_time_and_have_their_own_vus() {
    let late = Scenario { start_time: ms(1_500), ..scenario("late", constant(2, 1_000)) };
    let seen = run_paused(plan(2, vec![scenario("early", constant(3, 1_000)), late]), Fake::sleeping(400));
    let first = |vus: std::ops::RangeInclusive<u32>| -> BTreeSet<u64> {
        let starts = seen.starts();
        vus.map(|wanted| starts.iter().find(|(vu, _)| *vu == wanted).expect("it never started").1).collect()
    };
    assert_eq!((first(1..=3), first(4..=5)), (BTreeSet::from([0]), BTreeSet::from([1_500])));
    let scenario_of = |vu: u32| {
        seen.log.iter().find_map(|entry| match entry {
            Entry::Built(seat) if seat.vu == vu => Some(seat.scenario),
            _ => None,
        })
    };
    assert_eq!((scenario_of(3), scenario_of(4)), (Some(0), Some(1)));
    use ScenarioState::{Done, Running, Waiting};
    let second = |index: usize| seen.ticks()[index].scenarios.iter().map(|s| s.state).collect::<Vec<_>>();
    assert_eq!(second(1), [Done, Running]);
    assert_eq!(seen.ticks()[0].scenarios[1].state, Waiting);
    assert_no_vu_is_left(&seen);
}

#[test]
fn ten_thousand_vus_all_start_at_once() {
    let seen = run_paused(plan(2, vec![scenario("s", constant(10_000, 1_000))]), Fake::sleeping(60_000));
    let starts = seen.starts();
    assert_eq!(starts.len(), 10_000);
    assert!(starts.iter().all(|(_, at)| *at == 0));
    assert_eq!(seen.ticks()[0].vus, 10_000);
    // All are cancelled when their graceful stop is used up, and none is left.
    assert_eq!(seen.counter("iterations_interrupted"), 10_000);
    assert_eq!(seen.report().run.duration_s, 31.0);
    assert_no_vu_is_left(&seen);
}

#[test]
fn ten_thousand_vus_come_and_go_without_a_loss() {
    let stages = [(30_000, 10_000), (30_000, 0)];
    let seen = run_paused(plan(2, vec![scenario("s", ramping(0, &stages, 30_000))]), Fake::sleeping(7_000));
    // VU n joins as the line reaches n, within the millisecond of the clock.
    for vu in [1, 2_500, 10_000] {
        let first = seen.starts().iter().find(|start| start.0 == vu).map(|start| start.1);
        assert_eq!(first, Some(u64::from(vu) * 3), "VU {vu}");
    }
    // Whoever joins or leaves in the moment of the tick may be in it or not.
    for (tick, vus) in [(14, 5_000u64), (29, 10_000)] {
        let found = seen.ticks()[tick].vus;
        assert!(found.abs_diff(vus) <= 1, "second {tick}: {found}");
    }
    assert_eq!((seen.counter("iterations_interrupted"), seen.end()), (0, &End::Completed));
    assert_no_vu_is_left(&seen);
}

#[test]
fn a_part_of_a_run_has_its_own_vus_only() {
    let part = |index| RunSpec {
        part: Part::new(index, 2).unwrap(),
        ..spec(plan(2, vec![scenario("s", constant(5, 1_000))]))
    };
    let vus = |index| -> BTreeSet<u32> {
        run_with(part(index), Fake::sleeping(600), |_| std::future::ready(())).starts().iter().map(|s| s.0).collect()
    };
    assert_eq!((vus(0), vus(1)), (BTreeSet::from([1, 3, 5]), BTreeSet::from([2, 4])));
}
