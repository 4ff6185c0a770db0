//! Open load, pacing, bounds and order: what starts when, against the schedule.

use super::executors::assert_no_vu_is_left;
use super::*;
use crate::plan::{ArrivalRate, Late, OpenLoad, RateStage, Spacing};
use crate::units::Rate;

fn rate(rate: f64) -> ArrivalRate {
    ArrivalRate::from_f64(rate).expect("a rate")
}

pub(super) fn open(ready: u32, most: u32) -> OpenLoad {
    OpenLoad {
        time_unit: ms(1_000),
        pre_allocated_vus: ready,
        max_vus: most,
        late: Late::Queue,
        spacing: Spacing::Uniform,
    }
}

pub(super) fn arrivals(per_second: f64, duration_ms: u64, open: OpenLoad) -> Executor {
    Executor::ConstantArrivalRate { rate: rate(per_second), duration: ms(duration_ms), open }
}

/// Iterations: (number in the scenario, intended and actual start in milliseconds), by number.
pub(super) fn iterations(seen: &Seen) -> Vec<(u64, u64, u64)> {
    let mut all: Vec<(u64, u64, u64)> = seen
        .log
        .iter()
        .filter_map(|entry| match entry {
            Entry::Iteration { start, .. } => {
                let ms = |time: Duration| time.as_millis() as u64;
                Some((start.iteration_in_scenario, ms(start.intended), ms(start.actual)))
            }
            _ => None,
        })
        .collect();
    all.sort_unstable();
    all
}

pub(super) fn vus_built(seen: &Seen) -> usize {
    seen.log.iter().filter(|entry| matches!(entry, Entry::Built(_))).count()
}

#[test]
fn a_constant_rate_starts_on_its_schedule() {
    for threads in [1, 2, 3] {
        let seen =
            run_paused(plan(threads, vec![scenario("s", arrivals(10.0, 2_000, open(6, 6)))]), Fake::sleeping(150));
        let expected: Vec<_> = (0..20).map(|n| (n, n * 100, n * 100)).collect();
        assert_eq!(iterations(&seen), expected, "{threads} threads");
        assert_eq!((seen.counter("iterations"), seen.counter("dropped_iterations")), (20, 0));
        assert_eq!((seen.trend_count("iteration_lag"), seen.trend_count("iteration_duration_intended")), (20, 20));
        assert_eq!((seen.end(), seen.report().run.duration_s), (&End::Completed, 2.05));
        assert_no_vu_is_left(&seen);
    }
}

#[test]
fn a_ramp_of_the_rate_starts_where_its_integral_is_whole() {
    // From 0 to 10 a second in 2 s, flat for 1 s, a pause, 1 in half a second.
    let stages = [(2_000, 10.0), (1_000, 10.0), (0, 0.0), (500, 0.0), (0, 2.0), (1_000, 2.0)];
    let stages: Vec<RateStage> =
        stages.iter().map(|&(at, target)| RateStage { duration: ms(at), target: rate(target) }).collect();
    let executor = Executor::RampingArrivalRate { start_rate: rate(0.0), stages, open: open(2, 9) };
    let curve = executor.rate_curve().expect("it is open");
    for threads in [1, 2] {
        let seen = run_paused(plan(threads, vec![scenario("s", executor.clone())]), Fake::sleeping(20));
        let intended: Vec<u64> = iterations(&seen).iter().map(|start| start.1).collect();
        let expected: Vec<u64> = curve.starts(Spacing::Uniform, 0).map(|at| at.as_millis() as u64).collect();
        assert_eq!(intended, expected, "{threads} threads");
        // The 10 and 10 of the first two stages, and 2.
        assert_eq!((expected.len(), &expected[..2], &expected[20..]), (22, &[0, 632][..], &[3_500, 4_000][..]));
        // The paused clock goes in whole milliseconds, upwards.
        assert!(iterations(&seen).iter().all(|&(_, intended, actual)| actual - intended <= 1), "{threads} threads");
        assert_no_vu_is_left(&seen);
    }
}

#[test]
fn vus_are_added_at_once_as_they_are_needed() {
    // Nothing comes back for 3 s: each start needs a VU of its own, and has it in the same moment.
    let seen = run_paused(plan(1, vec![scenario("s", arrivals(50.0, 2_000, open(1, 200)))]), Fake::sleeping(3_000));
    let all = iterations(&seen);
    assert_eq!((all.len(), vus_built(&seen)), (100, 100));
    assert!(all.iter().all(|&(_, intended, actual)| intended == actual), "{all:?}");
    assert_no_vu_is_left(&seen);
    // Where they come back in time, none is added.
    let seen = run_paused(plan(1, vec![scenario("s", arrivals(50.0, 2_000, open(2, 200)))]), Fake::sleeping(15));
    assert_eq!((iterations(&seen).len(), vus_built(&seen)), (100, 2));
}

#[test]
fn what_finds_no_vu_waits_and_counts_as_late() {
    // One VU that takes 300 ms, and a start each 100 ms: start n happens at n * 300 ms.
    let seen = run_paused(plan(2, vec![scenario("s", arrivals(10.0, 1_000, open(1, 1)))]), Fake::sleeping(300));
    let expected: Vec<_> = (0..10).map(|n| (n, n * 100, n * 300)).collect();
    assert_eq!(iterations(&seen), expected);
    assert_eq!((seen.counter("iterations"), seen.counter("dropped_iterations")), (10, 0));
    let trend = |name: &str| match &seen.report().metrics[name] {
        MetricSummary::Trend { stats, .. } => (stats.min.round(), stats.max.round()),
        other => panic!("{other:?}"),
    };
    assert_eq!(trend("iteration_lag"), (0.0, 1_800.0));
    assert_eq!(trend("iteration_duration"), (300.0, 300.0));
    assert_eq!(trend("iteration_duration_intended"), (300.0, 2_100.0));
}

#[test]
fn what_finds_no_vu_is_dropped_where_the_author_says_so() {
    let dropping = OpenLoad { late: Late::Drop, ..open(1, 2) };
    for threads in [1, 2] {
        let seen = run_paused(plan(threads, vec![scenario("s", arrivals(10.0, 1_000, dropping))]), Fake::sleeping(450));
        let all = iterations(&seen);
        assert!(all.iter().all(|&(_, intended, actual)| intended == actual), "{all:?}");
        // Two VUs, each busy for four and a half starts: at 0 and 100, 500 and 600.
        let numbers: Vec<u64> = all.iter().map(|start| start.0).collect();
        assert_eq!(numbers, if threads == 1 { [0, 1, 5, 6] } else { [0, 1, 6, 7] }, "{threads} threads");
        assert_eq!((seen.counter("iterations"), seen.counter("dropped_iterations")), (4, 6));
    }
}

#[test]
fn what_still_waits_at_the_end_has_the_graceful_stop_and_no_longer() {
    for (grace, ran, interrupted, dropped, ended) in
        [(30_000, 10, 0, 0, 10.0), (3_500, 4, 1, 5, 4.5), (0, 1, 1, 8, 1.0)]
    {
        let s = Scenario { graceful_stop: ms(grace), ..scenario("s", arrivals(10.0, 1_000, open(1, 1))) };
        let seen = run_paused(plan(1, vec![s]), Fake::sleeping(1_000));
        let of = |name: &str| seen.counter(name);
        let found = (of("iterations"), of("iterations_interrupted"), of("dropped_iterations"));
        assert_eq!(found.0 + found.1 + found.2, 10, "{grace}");
        if grace > 0 {
            assert_eq!(found, (ran, interrupted, dropped), "{grace}");
        }
        assert_eq!(seen.report().run.duration_s, ended, "{grace}");
        assert_no_vu_is_left(&seen);
    }
}

#[test]
fn a_stop_ends_open_load_too() {
    let s = scenario("s", arrivals(10.0, 60_000, open(1, 5)));
    let seen = run_with(spec(plan(1, vec![s])), Fake::sleeping(250), |control| async move {
        tokio::time::sleep(ms(1_050)).await;
        control.stop("Ctrl-C");
    });
    assert_eq!((iterations(&seen).len(), seen.counter("iterations"), seen.end()), (11, 11, &End::Interrupted));
    assert_eq!(seen.counter("dropped_iterations"), 0);
    assert_no_vu_is_left(&seen);
}

#[test]
fn poisson_arrivals_are_the_same_on_any_number_of_workers() {
    let random = OpenLoad { spacing: Spacing::Poisson, ..open(1, 50) };
    let of = |threads| {
        let seen = run_paused(plan(threads, vec![scenario("s", arrivals(50.0, 4_000, random))]), Fake::sleeping(10));
        iterations(&seen).iter().map(|start| (start.0, start.1)).collect::<Vec<_>>()
    };
    let one = of(1);
    assert_eq!((one.len(), &one), (of(3).len(), &of(2)));
    assert!((120..280).contains(&one.len()), "{}", one.len());
}

#[test]
fn a_freeze_shows_in_full_from_the_intended_start() {
    // A target that answers at once but for 3 s from 4 s on, as the bench `freeze` has it for real.
    for most in [5, 50, 200] {
        let journey = Fake::new(|_, start| {
            let at = start.actual;
            let frozen = (ms(4_000)..ms(7_000)).contains(&at);
            Act::Sleep(if frozen { ms(7_000) - at } else { ms(1) }, Outcome::Completed)
        });
        let seen = run_paused(plan(1, vec![scenario("s", arrivals(50.0, 10_000, open(5, most)))]), journey);
        let MetricSummary::Trend { count, stats, .. } = &seen.report().metrics["iteration_duration_intended"] else {
            panic!("no trend");
        };
        // 150 of 500 meet the freeze and take 3 s, 2.98 s ... 20 ms: the 25th longest is at 95 %.
        assert_eq!(*count, 500);
        assert!((stats.p95 - 2_520.0).abs() < 126.0, "{most} VUs: {}", stats.p95);
        assert!(vus_built(&seen) <= most as usize);
    }
}

#[test]
fn a_paced_iteration_takes_its_time_at_least() {
    let fake = Fake {
        pace: |start| (start.iteration < 3).then_some(ms(1_000)),
        ..Fake::new(|seat, _| Act::Sleep(ms(if seat.vu == 1 { 100 } else { 1_300 }), Outcome::Completed))
    };
    let seen = run_paused(plan(1, vec![scenario("s", constant(2, 3_200))]), fake);
    // One that takes longer is followed at once; the fourth does not ask for a pace.
    let expected = [(1, 0), (1, 1_000), (1, 2_000), (1, 3_000), (1, 3_100), (2, 0), (2, 1_300), (2, 2_600)];
    assert_eq!(seen.starts(), expected);
    // The pause is none of the iteration's, and a VU in it leaves at once.
    let MetricSummary::Trend { stats, .. } = &seen.report().metrics["iteration_duration"] else { panic!("no trend") };
    assert_eq!(stats.max.round(), 1_300.0);
    assert!(!seen.report().metrics.contains_key("iteration_lag"));
    assert_no_vu_is_left(&seen);
}

#[test]
fn a_bound_on_the_rate_holds_across_all_vus() {
    for threads in [1, 2, 3] {
        let bound = Rate { count: 20, per: ms(1_000) };
        let s = Scenario { max_rate: Some(bound), ..scenario("s", constant(6, 3_000)) };
        let seen = run_paused(plan(threads, vec![s]), Fake::sleeping(1));
        let starts: Vec<u64> = seen.starts().iter().map(|start| start.1).collect();
        assert!((58..=63).contains(&starts.len()), "{threads} threads: {}", starts.len());
        for from in (0..2_000).step_by(50) {
            let within = starts.iter().filter(|&&at| (from..from + 1_000).contains(&at)).count();
            assert!(within <= 20 + threads, "{threads} threads: {within} in the second from {from} ms");
        }
        assert_no_vu_is_left(&seen);
    }
    // Iterations that are counted come to an end under it too.
    let executor = Executor::SharedIterations { vus: 50, iterations: 60, max_duration: ms(60_000) };
    let s = Scenario { max_rate: Some(Rate { count: 10, per: ms(1_000) }), ..scenario("s", executor) };
    let seen = run_paused(plan(1, vec![s]), Fake::sleeping(1));
    assert_eq!((seen.counter("iterations"), seen.report().run.duration_s.round()), (60, 6.0));
    assert_no_vu_is_left(&seen);
}

#[test]
fn a_scenario_waits_for_the_one_that_it_follows() {
    for threads in [1, 2, 3] {
        let first = Executor::SharedIterations { vus: 2, iterations: 4, max_duration: ms(60_000) };
        let second =
            Scenario { start_after: Some("first".into()), ..scenario("second", arrivals(10.0, 500, open(1, 5))) };
        let third =
            Scenario { start_after: Some("second".into()), start_time: ms(250), ..scenario("third", constant(1, 100)) };
        let seen = run_paused(plan(threads, vec![third, scenario("first", first), second]), Fake::sleeping(700));
        let starts_of = |scenario: usize| -> BTreeSet<u64> {
            let start = |entry: &Entry| match entry {
                Entry::Iteration { seat, start } if seat.scenario == scenario => Some(start.actual.as_millis() as u64),
                _ => None,
            };
            seen.log.iter().filter_map(start).collect()
        };
        assert_eq!(starts_of(1), BTreeSet::from([0, 700]), "{threads} threads");
        // The first ends at 1.4 s, the last of the second at 2.5 s.
        assert_eq!(starts_of(2), BTreeSet::from([1_400, 1_500, 1_600, 1_700, 1_800]), "{threads} threads");
        assert_eq!(starts_of(0), BTreeSet::from([2_750]), "{threads} threads");
        assert_no_vu_is_left(&seen);
    }
}

#[test]
fn a_stop_ends_the_wait_for_another_scenario() {
    let second = Scenario { start_after: Some("first".into()), ..scenario("second", constant(2, 1_000)) };
    let seen = run_with(
        spec(plan(1, vec![scenario("first", constant(1, 60_000)), second])),
        Fake::sleeping(100),
        |control| async move {
            tokio::time::sleep(ms(1_000)).await;
            control.stop("Ctrl-C");
        },
    );
    assert_eq!((seen.end(), seen.starts().iter().filter(|start| start.0 > 1).count()), (&End::Interrupted, 0));
    assert_no_vu_is_left(&seen);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn random_open_load_starts_its_integral_with_no_more_vus_than_allowed(
        start in 0u32..30,
        stages in proptest::collection::vec((0u64..1_500, 0u32..30), 1..5),
        ready in 1u32..4,
        more in 0u32..6,
        threads in 1usize..4,
        takes in 1u64..900,
        grace in 0u64..1_500,
        drop in proptest::prelude::any::<bool>(),
    ) {
        let late = if drop { Late::Drop } else { Late::Queue };
        let load = OpenLoad { late, ..open(ready, ready + more) };
        let stages: Vec<RateStage> =
            stages.iter().map(|&(at, target)| RateStage { duration: ms(at), target: rate(target.into()) }).collect();
        let executor = Executor::RampingArrivalRate { start_rate: rate(start.into()), stages, open: load };
        let planned = executor.rate_curve().expect("it is open").starts_planned();
        let end = executor.duration();
        let s = Scenario { graceful_stop: ms(grace), ..scenario("s", executor) };
        let seen = run_paused(plan(threads, vec![s]), Fake::sleeping(takes));
        let all = iterations(&seen);
        proptest::prop_assert_eq!(all.len() as u64 + seen.counter("dropped_iterations"), planned);
        proptest::prop_assert_eq!(seen.counter("iterations") + seen.counter("iterations_interrupted"), all.len() as u64);
        proptest::prop_assert!(vus_built(&seen) <= (ready + more) as usize);
        let late_by = |ends: u64| ends as i64 - (end + ms(grace)).as_millis() as i64;
        let last = seen.ends().iter().map(|end| end.1).max().unwrap_or(0);
        proptest::prop_assert!(late_by(last) <= 2, "{} ms after the graceful stop", late_by(last));
        assert_no_vu_is_left(&seen);
    }

    #[test]
    fn random_ramps_have_no_more_vus_than_the_line_and_end_in_time(
        stages in proptest::collection::vec((0u64..1_500, 0u32..12), 1..5),
        threads in 1usize..4,
        takes in 1u64..900,
        ramp_down in 0u64..600,
        grace in 0u64..1_500,
    ) {
        let executor = ramping(1, &stages, ramp_down);
        let (peak, end) = (executor.vus_max() as usize, executor.duration());
        let s = Scenario { graceful_stop: ms(grace), ..scenario("s", executor) };
        let seen = run_paused(plan(threads, vec![s]), Fake::sleeping(takes));
        proptest::prop_assert!(vus_built(&seen) <= peak);
        let most = seen.ticks().iter().map(|tick| tick.vus).max().unwrap_or(0);
        proptest::prop_assert!(most <= peak as u64);
        let last = seen.ends().iter().map(|end| end.1).max().unwrap_or(0);
        proptest::prop_assert!(last as i64 - (end + ms(grace)).as_millis() as i64 <= 2);
        assert_no_vu_is_left(&seen);
    }
}
