//! What needs real threads and a real clock: that they start, agree and end, and that one can be lost.

use super::*;

fn run_threads(plan: Plan, fake: Fake) -> Seen {
    let log = fake.log.clone();
    let mut events = Vec::new();
    let result = run(spec(plan), Arc::new(fake), Control::new(), &mut |event| events.push(event));
    let log = log.lock().expect("no test panics while it holds the log").clone();
    Seen { result, events, log }
}

#[test]
fn threads_share_iterations_exactly() {
    let executor = Executor::SharedIterations { vus: 7, iterations: 1_000, max_duration: ms(600_000) };
    let seen = run_threads(plan(3, vec![scenario("s", executor)]), Fake::sleeping(1));
    assert_eq!(seen.end(), &End::Completed);
    assert_eq!((seen.counter("iterations"), seen.starts().len()), (1_000, 1_000));
    let distinct: BTreeSet<u64> = seen
        .log
        .iter()
        .filter_map(|entry| match entry {
            Entry::Iteration { start, .. } => Some(start.iteration_in_scenario),
            _ => None,
        })
        .collect();
    assert_eq!(distinct, (0..1_000).collect());
}

#[test]
fn a_worker_that_is_lost_means_no_run() {
    let fake = Fake { data_panics: |worker| worker == 1, ..Fake::sleeping(1) };
    let seen = run_threads(plan(2, vec![scenario("s", constant(2, 500))]), fake);
    let error = seen.result.expect_err("there was a run");
    assert_eq!(error.to_string(), "worker 1 was lost: it panicked: on purpose");
}

#[test]
fn a_worker_without_vus_is_not_made() {
    let seen = run_threads(plan(8, vec![scenario("s", constant(1, 50))]), Fake::sleeping(10));
    assert_eq!(seen.log.iter().filter(|entry| matches!(entry, Entry::Data(_))).count(), 1);
    assert_eq!(seen.end(), &End::Completed);
}
