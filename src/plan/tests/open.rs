//! Options of open load, and of order, bounds and weights.

use super::*;

fn scenarios(all: Value) -> Value {
    json!({ "scenarios": all })
}

fn constant(more: Value) -> Value {
    let mut fields = json!({"executor": "constant-arrival-rate", "rate": 50, "duration": "10s", "preAllocatedVUs": 5});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    scenarios(json!({ "s": fields }))
}

fn ramping(more: Value) -> Value {
    let mut fields = json!({"executor": "ramping-arrival-rate", "pre_allocated_vus": 5, "max_vus": 50});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    scenarios(json!({ "s": fields }))
}

fn rates(executor: &Executor) -> Vec<(u64, f64)> {
    match executor {
        Executor::RampingArrivalRate { stages, .. } => {
            stages.iter().map(|stage| (stage.duration.as_millis() as u64, stage.target.as_f64())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn open_load_has_k6s_fields_and_defaults() {
    for (script, expected) in [
        (constant(json!({})), "constant-arrival-rate: 50/s for 10s, at most 5 VUs"),
        (constant(json!({"maxVUs": 200, "timeUnit": "1m"})), "constant-arrival-rate: 50/m for 10s, at most 200 VUs"),
        (
            constant(json!({"rate": 0.5, "time_unit": "10s", "arrivals": "poisson"})),
            "constant-arrival-rate: 0.5/10s for 10s, at most 5 VUs, at random",
        ),
        (
            ramping(json!({"startRate": 10, "stages": [{"duration": "5s", "target": 20.5}, "10s:20.5", "0s:0"]})),
            "ramping-arrival-rate: 10 to 20.5/s over 5s, 20.5 for 10s, jump to 0, at most 50 VUs",
        ),
        (
            ramping(json!({"rate": vec![1; 400], "duration": "40s"})),
            "ramping-arrival-rate: a curve up to 1/s over 40s, at most 50 VUs",
        ),
    ] {
        assert_eq!(described(&plan(&[(Script, script.clone())])), [format!("s journey {expected}")], "{script}");
    }
    let defaults = plan(&[(Script, constant(json!({})))]);
    let expected = OpenLoad {
        time_unit: Duration::from_secs(1),
        pre_allocated_vus: 5,
        max_vus: 5,
        late: Late::Queue,
        spacing: Spacing::Uniform,
    };
    assert_eq!(defaults.scenarios[0].executor.open(), Some(&expected));
    let given = plan(&[(Script, constant(json!({"max_vus": 9, "late": "drop"})))]);
    let expected = OpenLoad { max_vus: 9, late: Late::Drop, ..expected };
    assert_eq!((given.scenarios[0].executor.open(), given.vus_max()), (Some(&expected), 9));
    let without = plan(&[(Script, constant(json!({"preAllocatedVUs": null, "maxVUs": 9})))]);
    assert_eq!(without.scenarios[0].executor.open().map(|open| open.pre_allocated_vus), Some(1));
}

#[test]
fn curves_and_shapes_become_straight_stages() {
    let of = |script: Value| rates(&plan(&[(Script, script)]).scenarios[0].executor);
    assert_eq!(
        of(ramping(json!({"rate": [0, 10, 5, 0], "duration": "3s"}))),
        [(1_000, 10.0), (1_000, 5.0), (1_000, 0.0)]
    );
    let shaped = json!({"start_rate": 2, "stages": [
        {"duration": "2s", "target": 8, "shape": "step"},
        {"duration": "2s", "target": 90, "shape": "spike"},
        {"duration": "2s", "target": 4, "shape": "linear"},
    ]});
    let expected = [(0, 8.0), (2_000, 8.0), (1_000, 90.0), (1_000, 8.0), (2_000, 4.0)];
    assert_eq!(of(ramping(shaped)), expected);
    let wave = of(ramping(json!({"stages": [{"duration": "12s", "target": 10, "shape": "sine"}]})));
    assert_eq!((wave.len(), wave[11], wave[23]), (24, (500, 5.0), (500, 10.0)));
    let vus = scenarios(json!({"s": {"executor": "ramping-vus", "stages": [
        {"duration": "2s", "target": 9, "shape": "spike"}]}}));
    assert_eq!(described(&plan(&[(Script, vus)])), ["s journey ramping-vus: 1 to 9 VUs over 1s, 9 to 1 over 1s"]);
}

#[test]
fn the_rate_is_a_shorthand_and_a_flag() {
    type Case<'a> = (&'a [(Source, Value)], &'a str, &'a [&'a str]);
    let ramp = || ramping(json!({"start_rate": 10, "stages": ["10s:100", "20s:0"]}));
    let closed = || scenarios(json!({"s": {"executor": "constant-vus", "vus": 5, "duration": "1m"}}));
    let cases: &[Case] = &[
        (
            &[(Flag, json!({"rate": "50/s", "duration": "10s", "vus": 20}))],
            "default journey constant-arrival-rate: 50/s for 10s, at most 20 VUs",
            &[],
        ),
        (
            &[(Flag, json!({"rate": "90/m", "duration": "10s"}))],
            "default journey constant-arrival-rate: 90/m for 10s, at most 100 VUs",
            &["the rate may take at most 100 VUs; give `vus` for more or fewer"],
        ),
        (
            &[(Script, json!({"stages": ["10s:40"]})), (Flag, json!({"rate": 5, "duration": "3s", "vus": 2}))],
            "default journey constant-arrival-rate: 5/s for 3s, at most 2 VUs",
            &["`stages` in the script's options ignored, because of --rate"],
        ),
        (
            &[(Script, json!({"rate": 5, "duration": "3s"})), (Flag, json!({"iterations": 7}))],
            "default journey shared-iterations: 7 iterations shared by 1 VU, at most 3s",
            &["`rate` in the script's options ignored, because of --iterations"],
        ),
        // Over a scenario, it is the value of its name; a curve keeps its shape.
        (
            &[(Script, constant(json!({"time_unit": "1m"}))), (Flag, json!({"rate": "2/s"}))],
            "s journey constant-arrival-rate: 120/m for 10s, at most 5 VUs",
            &[],
        ),
        (
            &[(Script, ramp()), (Flag, json!({"rate": "50/s", "duration": "15s", "vus": 10}))],
            "s journey ramping-arrival-rate: 5 to 50/s over 5s, 50 to 0 over 10s, at most 10 VUs",
            &[
                "scenario `s`: a rate of 100 scaled to 50 by --rate",
                "scenario `s`: 30s of stages scaled to 15s by --duration",
                "scenario `s`: 50 VUs scaled to 10 by --vus",
            ],
        ),
        (
            &[(Script, ramp()), (Flag, json!({"stages": ["5s:7"]}))],
            "s journey ramping-arrival-rate: 10 to 7/s over 5s, at most 50 VUs",
            &[],
        ),
        (
            &[(Script, constant(json!({}))), (Flag, json!({"stages": ["5s:7"]}))],
            "s journey ramping-arrival-rate: 50 to 7/s over 5s, at most 5 VUs",
            &["scenario `s`: constant-arrival-rate replaced by ramping-arrival-rate by --stage"],
        ),
        (
            &[(Script, closed()), (Flag, json!({"rate": "30/s"}))],
            "s journey constant-arrival-rate: 30/s for 1m, at most 300 VUs",
            &[
                "scenario `s`: constant-vus replaced by constant-arrival-rate by --rate",
                "the rate may take at most 300 VUs; give `vus` for more or fewer",
            ],
        ),
    ];
    for (given, expected, notes) in cases {
        let plan = plan(given);
        assert_eq!(described(&plan), [*expected], "{given:?}");
        assert_eq!(plan.notes, *notes, "{given:?}");
    }
    let several = scenarios(json!({
        "a": {"executor": "constant-arrival-rate", "rate": 30, "duration": "1s", "max_vus": 1},
        "b": {"executor": "constant-arrival-rate", "rate": 600, "time_unit": "1m", "duration": "1s", "max_vus": 1},
        "c": {"executor": "constant-vus", "duration": "1s"},
    }));
    let scaled = plan(&[(Script, several), (Flag, json!({"rate": "4/s"}))]);
    let peaks: Vec<f64> = scaled.scenarios.iter().map(|scenario| scenario.executor.rate_peak().as_f64()).collect();
    assert_eq!(peaks, [3.0, 60.0, 0.0]);
}

#[test]
fn journeys_are_mixed_by_weight() {
    let of = |exec: Value| {
        let plan = plan(&[(Script, constant(json!({ "exec": exec })))]);
        let scenario = plan.scenarios[0].clone();
        let mix: Vec<_> = scenario.mix.iter().map(|journey| (journey.exec.clone(), journey.weight)).collect();
        (scenario.exec, mix)
    };
    let both = vec![("journey".to_owned(), 80), ("shop".to_owned(), 20)];
    assert_eq!(of(json!({"shop": 20, "journey": 80})), ("journey, shop".to_owned(), both));
    // One that is switched off is not there; one alone needs no choice.
    assert_eq!(of(json!({"shop": 20, "journey": 0})), ("shop".to_owned(), vec![]));
    assert_eq!(of(json!("shop")), ("shop".to_owned(), vec![]));
}

#[test]
fn scenarios_may_wait_for_each_other() {
    let closed = |more: Value| {
        let mut fields = json!({"executor": "constant-vus", "duration": "10s"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    let chain = || {
        scenarios(json!({
            "a": closed(json!({"start_time": "5s"})),
            "b": closed(json!({"startAfter": "a", "start_time": "2s"})),
            "c": closed(json!({"start_after": "b"})),
        }))
    };
    let whole = plan(&[(Script, chain())]);
    assert_eq!(whole.planned_starts(), [5, 17, 27].map(Duration::from_secs));
    assert_eq!(whole.scenarios[1].describe(), "1 VU for 10s, 2s after `a`");
    // A shorter run is shorter in all its parts.
    let half = plan(&[(Script, chain()), (Flag, json!({"duration": "18.5s"}))]);
    assert_eq!(half.planned_starts(), [2_500, 8_500, 13_500].map(Duration::from_millis));
    // Whoever waits for what is not run waits no longer.
    let two = plan(&[(Script, chain()), (Flag, json!({"scenario": "a,c"}))]);
    assert_eq!(two.planned_starts(), [5, 0].map(Duration::from_secs));
    assert!(
        two.notes.contains(&"scenario `c` does not wait for `b`, as that is not run".to_owned()),
        "{:?}",
        two.notes
    );
}

#[test]
fn wrong_open_load_says_what_is_wrong() {
    let option =
        |field: &str, problem: &str| format!("option `scenarios.s.{field}` in the script's options: {problem}");
    let lacks = |field: &str, expected: &str| format!("scenario `s`: `{field}` is missing; expected {expected}");
    let closed = |more: Value| {
        let mut fields = json!({"executor": "constant-vus", "duration": "10s"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    let cases: Vec<(Value, String)> = vec![
        (constant(json!({"rate": 0})), option("rate", "expected a rate above 0, found 0")),
        (constant(json!({"rate": -5})), option("rate", "expected a rate of at least 0, found -5")),
        (constant(json!({"rate": "fast"})), option("rate", "expected a number of iterations, found the text `fast`")),
        (
            constant(json!({"rate": 1e-9})),
            option("rate", "0.000000001 is too small, the least is a millionth; give a longer `time_unit`"),
        ),
        (constant(json!({"rate": 1e9})), option("rate", "1000000000 is too large, the most is 10000000")),
        (constant(json!({"rate": [1, 2]})), option("rate", "a curve needs `executor: \"ramping-arrival-rate\"`")),
        (constant(json!({"rate": null})), lacks("rate", "a number of iterations per `time_unit`")),
        (constant(json!({"duration": null})), lacks("duration", "a duration such as `30s`")),
        (constant(json!({"duration": "0s"})), option("duration", "expected a duration longer than zero")),
        (
            constant(json!({"duration": "31d"})),
            "scenario `s`: `duration` of open load: expected at most 720h, found 744h".into(),
        ),
        (constant(json!({"time_unit": "0s"})), option("time_unit", "expected 1ms to 1d, found 0s")),
        (constant(json!({"preAllocatedVUs": null})), lacks("pre_allocated_vus", "how many VUs are ready at the start")),
        (
            constant(json!({"max_vus": 3})),
            option("max_vus", "expected at least the 5 VUs of `pre_allocated_vus`, found 3"),
        ),
        (constant(json!({"preAllocatedVUs": 0})), option("pre_allocated_vus", "expected at least 1 VU, found 0")),
        (constant(json!({"late": "later"})), option("late", "expected one of `queue`, `drop`, found `later`")),
        (
            constant(json!({"arrivals": "even"})),
            option("arrivals", "expected one of `uniform`, `poisson`, found `even`"),
        ),
        (
            constant(json!({"max_rate": "5/s"})),
            option("max_rate", "open load has its own rate; a bound belongs to closed load"),
        ),
        (
            constant(json!({"stages": ["1s:1"]})),
            option(
                "stages",
                "executor `constant-arrival-rate` has no such field; it has `rate`, `duration`, `time_unit`, \
                 `pre_allocated_vus`, `max_vus`, `late`, `arrivals`",
            ),
        ),
        (ramping(json!({})), lacks("stages", "a list of stages such as `#{ duration: \"30s\", target: 10 }`")),
        (ramping(json!({"stages": []})), option("stages", "expected at least one stage, found an empty list")),
        (ramping(json!({"stages": [{"target": 5}]})), option("stages", "a stage has no `duration`")),
        (
            ramping(json!({"stages": [{"duration": "5s", "target": -1}]})),
            option("stages", "`target` of a stage: expected a rate of at least 0, found -1"),
        ),
        (
            ramping(json!({"stages": [{"duration": "5s", "target": 1, "shape": "square"}]})),
            option(
                "stages",
                "`shape` of a stage: expected one of `linear`, `step`, `sine`, `spike`, found the text `square`",
            ),
        ),
        (ramping(json!({"stages": ["0s:5"]})), option("stages", "the stages take no time")),
        (ramping(json!({"stages": ["5s:0"]})), option("stages", "no rate is above 0, so that nothing would start")),
        (
            ramping(json!({"rate": 5, "duration": "5s"})),
            option(
                "rate",
                "expected a curve `|t| ...` of the seconds, or a list of rates; for a fixed rate use `executor: \
                 \"constant-arrival-rate\"`",
            ),
        ),
        (ramping(json!({"rate": [1, 2]})), lacks("duration", "how long the curve is, such as `30s`")),
        (
            ramping(json!({"rate": [1, -2], "duration": "5s"})),
            option("rate", "expected a rate of at least 0, found -2"),
        ),
        (
            ramping(json!({"rate": [1, 2], "stages": ["1s:1"]})),
            "options `scenarios.s.stages` and `scenarios.s.rate` in the script's options exclude each other: give \
             stages, or a curve with a duration"
                .into(),
        ),
        (
            constant(json!({"exec": "shopp"})),
            "scenario `s`: function `shopp` is not in the script; did you mean `shop`?".into(),
        ),
        (
            constant(json!({"exec": {"shop": 1, "jurney": 2}})),
            "scenario `s`: function `jurney` is not in the script; did you mean `journey`?".into(),
        ),
        (
            constant(json!({"exec": {"shop": -1}})),
            option("exec", "the weight of `shop` must be a whole number, found the number -1"),
        ),
        (constant(json!({"exec": {"shop": 0}})), option("exec", "expected at least one journey with a weight above 0")),
        (
            scenarios(json!({"s": closed(json!({"start_after": "t"})), "other": closed(json!({}))})),
            "scenario `s`: `start_after`: there is no scenario `t`; expected one of `other`".into(),
        ),
        (
            scenarios(json!({"s": closed(json!({"start_after": "s"}))})),
            "scenario `s`: `start_after`: scenarios wait for each other in a circle: `s`, `s`".into(),
        ),
        (
            scenarios(json!({"r": closed(json!({"start_after": "s"})), "s": closed(json!({"start_after": "r"}))})),
            "scenario `r`: `start_after`: scenarios wait for each other in a circle: `r`, `s`, `r`".into(),
        ),
        (
            scenarios(json!({"s": closed(json!({"max_rate": 0}))})),
            option("max_rate", "expected a rate above 0, found 0"),
        ),
        (
            json!({"rate": "50/s"}),
            "scenario `default`: `duration` is missing; expected how long the rate is to last, such as `30s`".into(),
        ),
        (
            json!({"rate": "0/s", "duration": "1s"}),
            "option `rate` in the script's options: expected a rate above 0, found 0".into(),
        ),
    ];
    for (script, expected) in cases {
        assert_eq!(errors(&[(Script, script.clone())])[0], expected, "{script}");
    }
    let counted = scenarios(json!({"s": {"executor": "shared-iterations", "iterations": 5}}));
    assert_eq!(
        errors(&[(Script, counted), (Flag, json!({"rate": "5/s"}))]),
        ["--rate can't be applied: the scenario counts iterations; say how long with --duration"]
    );
}
