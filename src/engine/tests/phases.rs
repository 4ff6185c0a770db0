//! The plateau and the stages of a run, from the plan to the report.

use super::*;
use crate::report::MarkKind;

#[test]
fn a_ramp_has_a_plateau_and_stages_of_its_own() {
    let fake = Fake::new(|_, _| Act::Sleep(ms(130), Outcome::Completed));
    let executor = ramping(0, &[(2_000, 4), (3_000, 4), (1_000, 0)], 0);
    let seen = run_paused(plan(2, vec![scenario("shop", executor)]), fake);
    let report = seen.report();
    let steady = report.steady.as_ref().expect("the plan has a plateau");
    assert_eq!((steady.from_s, steady.to_s, steady.level.as_str()), (2.0, 5.0, "4 VUs"));
    // Four VUs end 23 iterations each in three seconds: none of them ends on a border.
    assert_eq!((steady.iterations, steady.requests), (4 * 23, 0));
    let stages: Vec<_> =
        report.stages.iter().map(|stage| (stage.index, stage.from_s, stage.to_s, stage.target)).collect();
    assert_eq!(stages, [(0, 0.0, 2.0, 4.0), (1, 2.0, 5.0, 4.0), (2, 5.0, 6.0, 0.0)]);
    let marks: Vec<_> = report.series.marks.iter().map(|mark| (mark.at_s, mark.kind)).collect();
    let stage = MarkKind::Stage;
    assert_eq!(marks, [(0.0, stage), (2.0, stage), (5.0, stage), (6.0, MarkKind::End)]);
    let told: Vec<_> = seen.ticks().iter().flat_map(|second| &second.marks).map(|mark| mark.at_s).collect();
    assert_eq!(told, [0.0, 2.0, 5.0, 6.0]);
}

#[test]
fn a_run_that_is_stopped_in_its_ramp_has_no_plateau() {
    let fake = Fake::new(|_, _| Act::Sleep(ms(130), Outcome::Completed));
    let plan = plan(1, vec![scenario("shop", ramping(0, &[(2_000, 4), (3_000, 4)], 0))]);
    let seen = run_with(spec(plan), fake, |control| async move {
        tokio::time::sleep(ms(1_500)).await;
        control.stop("enough");
    });
    assert_eq!(seen.report().steady, None);
    assert_eq!(seen.report().stages.len(), 1);
}
