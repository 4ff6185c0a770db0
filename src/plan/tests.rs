//! Options to plans, as tables: what users write, and the load or the complaint that comes of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

mod open;

fn facts(functions: &[(&str, usize)]) -> ScriptFacts {
    let function = |&(name, params): &(&str, usize)| Function { name: name.into(), params };
    ScriptFacts { functions: functions.iter().map(function).collect() }
}

fn layers(list: &[(Source, Value)]) -> Vec<Layer> {
    let map = |value: &Value| value.as_object().expect("a layer is a map").clone();
    list.iter().map(|(source, value)| Layer { source: *source, options: map(value) }).collect()
}

fn plan(list: &[(Source, Value)]) -> Plan {
    resolve(&layers(list), &facts(&[("journey", 1), ("setup", 0), ("shop", 2)])).unwrap_or_else(|e| panic!("{e:#?}"))
}

fn errors(list: &[(Source, Value)]) -> Vec<String> {
    let errors = resolve(&layers(list), &facts(&[("journey", 1), ("setup", 0), ("shop", 2), ("wide", 3)]));
    errors.expect_err("a plan was made").iter().map(ToString::to_string).collect()
}

fn described(plan: &Plan) -> Vec<String> {
    let line = |s: &Scenario| format!("{} {} {}: {}", s.name, s.exec, s.executor.name(), s.describe());
    plan.scenarios.iter().map(line).collect()
}

use Source::{ConfigFile, Env, Flag, Script};

#[test]
fn shorthands_make_one_scenario() {
    type Case<'a> = (&'a [(Source, Value)], &'a str, &'a [&'a str]);
    let cases: &[Case] = &[
        (&[], "shared-iterations: 1 iteration shared by 1 VU, at most 10m", &[]),
        (&[(Flag, json!({"vus": 5, "duration": "30s"}))], "constant-vus: 5 VUs for 30s", &[]),
        (&[(Flag, json!({"duration": 1500}))], "constant-vus: 1 VU for 1.5s", &[]),
        (
            &[(Script, json!({"vus": 5, "iterations": 100}))],
            "shared-iterations: 100 iterations shared by 5 VUs, at most 10m",
            &[],
        ),
        (
            &[(Script, json!({"iterations": "1k", "duration": "1m"}))],
            "shared-iterations: 1000 iterations shared by 1 VU, at most 1m",
            &[],
        ),
        (
            &[(Script, json!({"stages": [{"duration": "10s", "target": 4}, "5s:0"]}))],
            "ramping-vus: 1 to 4 VUs over 10s, 4 to 0 over 5s",
            &[],
        ),
        (
            &[(Env, json!({"vus": "7", "stages": "10s:4,5s:0"}))],
            "ramping-vus: 7 to 4 VUs over 10s, 4 to 0 over 5s",
            &[],
        ),
        (
            &[(Flag, json!({"vus": 1_000}))],
            "per-vu-iterations: 1 iteration for each of 1000 VUs, at most 10m",
            &["1000 VUs make one iteration each; give `duration` or `iterations` for more"],
        ),
        // A later source changes what it names.
        (
            &[(Script, json!({"vus": 5, "duration": "30s"})), (Flag, json!({"vus": 9}))],
            "constant-vus: 9 VUs for 30s",
            &[],
        ),
        (
            &[(Script, json!({"vus": 5, "duration": "30s"})), (Flag, json!({"iterations": 3}))],
            "shared-iterations: 3 iterations shared by 3 VUs, at most 30s",
            &["5 VUs cut to 3, as there are only 3 iterations"],
        ),
        (
            &[(Script, json!({"stages": ["10s:40", "20s:0"]})), (Flag, json!({"vus": 10, "duration": "3s"}))],
            "ramping-vus: 1 to 10 VUs over 1s, 10 to 0 over 2s",
            &["40 VUs of the stages scaled to 10 by --vus", "30s of stages scaled to 3s by --duration"],
        ),
        (
            &[(Script, json!({"stages": ["10s:40", "20s:0"]})), (Flag, json!({"vus": 40, "duration": "30s"}))],
            "ramping-vus: 1 to 40 VUs over 10s, 40 to 0 over 20s",
            &[],
        ),
        (
            &[(Script, json!({"duration": "10s"})), (Flag, json!({"stages": ["10s:40"]}))],
            "ramping-vus: 1 to 40 VUs over 10s",
            &["`duration` in the script's options ignored, because of --stage"],
        ),
        (
            &[(Script, json!({"stages": ["10s:40"]})), (Flag, json!({"iterations": 1}))],
            "shared-iterations: 1 iteration shared by 1 VU, at most 10m",
            &["`stages` in the script's options ignored, because of --iterations"],
        ),
        // The order of the layers is that of their sources, not of the list; null is nothing.
        (
            &[
                (Flag, json!({"vus": 2})),
                (Env, json!({"vus": 3})),
                (ConfigFile, json!({"vus": null, "duration": "9s"})),
            ],
            "constant-vus: 2 VUs for 9s",
            &[],
        ),
    ];
    for (given, expected, notes) in cases {
        let plan = plan(given);
        assert_eq!(described(&plan), [format!("default journey {expected}")], "{given:?}");
        assert_eq!(plan.notes, *notes, "{given:?}");
    }
}

fn two_scenarios() -> Value {
    json!({"scenarios": {
        "browse": {"executor": "constant-vus", "vus": 30, "duration": "1m", "exec": "shop"},
        "buy": {"executor": "ramping-vus", "startVUs": 0, "stages": [{"duration": "30s", "target": 10}],
                "startTime": "1m30s", "gracefulStop": "5s", "graceful_ramp_down": "2s",
                "env": {"MODE": "buy", "N": 3}, "tags": {"team": "a"}},
    }})
}

#[test]
fn scenarios_have_k6s_fields() {
    let plan = plan(&[(Script, two_scenarios())]);
    assert_eq!(
        described(&plan),
        ["browse shop constant-vus: 30 VUs for 1m", "buy journey ramping-vus: 0 to 10 VUs over 30s, after 1m30s"]
    );
    let buy = &plan.scenarios[1];
    assert_eq!((buy.start_time, buy.graceful_stop), (Duration::from_secs(90), Duration::from_secs(5)));
    assert_eq!(buy.env["MODE"], "buy");
    assert_eq!(buy.env["N"], "3");
    assert_eq!(buy.tags["team"], "a");
    assert!(
        matches!(&buy.executor, Executor::RampingVus { graceful_ramp_down, .. } if graceful_ramp_down.as_secs() == 2)
    );
    assert_eq!(plan.scenarios[0].graceful_stop, Duration::from_secs(30));
    assert_eq!((plan.vus_max(), plan.places(0), plan.places(1)), (40, 0..30, 30..40));
}

#[test]
fn a_flag_changes_the_value_of_its_name_and_nothing_else() {
    let one = |executor: Value| json!({"scenarios": {"s": executor}});
    let constant = || one(json!({"executor": "constant-vus", "vus": 200, "duration": "1m", "tags": {"a": "b"}}));
    let ramp = || one(json!({"executor": "ramping-vus", "start_vus": 0, "stages": ["30s:200", "2m:200", "30s:0"]}));
    let shared = || one(json!({"executor": "shared-iterations", "vus": 10, "iterations": 100}));
    let per_vu = || one(json!({"executor": "per-vu-iterations", "vus": 10, "iterations": 100}));
    let cases: &[(Value, Value, &[&str], &[&str])] = &[
        (constant(), json!({"vus": 10}), &["s journey constant-vus: 10 VUs for 1m"], &[]),
        (constant(), json!({"duration": "5s"}), &["s journey constant-vus: 200 VUs for 5s"], &[]),
        (
            constant(),
            json!({"iterations": 3}),
            &["s journey shared-iterations: 3 iterations shared by 3 VUs, at most 1m"],
            &["scenario `s`: constant-vus changed to 3 iterations shared by 3 VUs by --iterations"],
        ),
        (
            constant(),
            json!({"stages": ["5s:5"]}),
            &["s journey ramping-vus: 1 to 5 VUs over 5s"],
            &["scenario `s`: constant-vus replaced by ramping-vus by --stage"],
        ),
        (
            ramp(),
            json!({"vus": 10}),
            &["s journey ramping-vus: 0 to 10 VUs over 30s, 10 for 2m, 10 to 0 over 30s"],
            &["scenario `s`: 200 VUs scaled to 10 by --vus"],
        ),
        (
            ramp(),
            json!({"duration": "18s"}),
            &["s journey ramping-vus: 0 to 200 VUs over 3s, 200 for 12s, 200 to 0 over 3s"],
            &["scenario `s`: 3m of stages scaled to 18s by --duration"],
        ),
        (ramp(), json!({"stages": ["5s:5"]}), &["s journey ramping-vus: 0 to 5 VUs over 5s"], &[]),
        (
            shared(),
            json!({"iterations": 50, "vus": 5, "duration": "9s"}),
            &["s journey shared-iterations: 50 iterations shared by 5 VUs, at most 9s"],
            &["scenario `s`: 100 iterations changed to 50 iterations shared by 10 VUs by --iterations"],
        ),
        (
            per_vu(),
            json!({"iterations": 2}),
            &["s journey per-vu-iterations: 2 iterations for each of 10 VUs, at most 10m"],
            &[],
        ),
        (
            two_scenarios(),
            json!({"vus": 8}),
            &["browse shop constant-vus: 6 VUs for 1m", "buy journey ramping-vus: 0 to 2 VUs over 30s, after 1m30s"],
            &["scenario `browse`: 30 VUs scaled to 6 by --vus", "scenario `buy`: 10 VUs scaled to 2 by --vus"],
        ),
        (
            two_scenarios(),
            json!({"duration": "12s"}),
            &["browse shop constant-vus: 30 VUs for 6s", "buy journey ramping-vus: 0 to 10 VUs over 3s, after 9s"],
            &["scenario `browse`: 1m scaled to 6s by --duration", "scenario `buy`: 30s scaled to 3s by --duration"],
        ),
        (
            two_scenarios(),
            json!({"scenario": "buy", "vus": 5}),
            &["buy journey ramping-vus: 0 to 5 VUs over 30s, after 1m30s"],
            &["not run, by --scenario: `browse`", "scenario `buy`: 10 VUs scaled to 5 by --vus"],
        ),
    ];
    for (script, flags, expected, notes) in cases {
        let plan = plan(&[(Script, script.clone()), (Flag, flags.clone())]);
        assert_eq!(described(&plan), *expected, "{script} {flags}");
        assert_eq!(plan.notes, *notes, "{script} {flags}");
    }
    assert_eq!(plan(&[(Script, constant()), (Flag, json!({"vus": 1}))]).scenarios[0].tags["a"], "b");
}

#[test]
fn later_sources_change_single_fields_of_scenarios() {
    let plan = plan(&[
        (Script, two_scenarios()),
        (
            ConfigFile,
            json!({"scenarios": {
                "browse": {"vus": 3},
                "buy": {"executor": "per-vu-iterations", "iterations": 2},
            }}),
        ),
    ]);
    assert_eq!(
        described(&plan),
        [
            "browse shop constant-vus: 3 VUs for 1m",
            "buy journey per-vu-iterations: 2 iterations for each of 1 VU, at most 10m"
        ]
    );
}

#[test]
fn shorthands_of_an_earlier_source_give_way_to_scenarios() {
    let plan = plan(&[(Script, json!({"vus": 3})), (ConfigFile, two_scenarios())]);
    assert_eq!(plan.vus_max(), 40);
    assert_eq!(plan.notes, ["`vus` in the script's options ignored: the config file has scenarios"]);
}

#[test]
fn thresholds_come_from_maps_and_flags() {
    let plan = plan(&[
        (
            Script,
            json!({"thresholds": {
                "http_req_failed": "rate<0.01",
                "http_req_duration{name:item}": ["p(95)<500", {"threshold": "p(99)<1s", "abortOnFail": true, "delay_abort_eval": "10s"}],
            }}),
        ),
        (ConfigFile, json!({"thresholds": {"http_req_failed": ["rate<0.05"]}})),
        (Flag, json!({"thresholds": ["http_req_duration{name:a:b}: p(50)<1", "checks: rate==1"]})),
    ]);
    let lines: Vec<String> = plan
        .thresholds
        .iter()
        .map(|t| format!("{} | {} | {} {:?}", t.metric, t.expression, t.abort_on_fail, t.delay_abort_eval))
        .collect();
    assert_eq!(
        lines,
        [
            "http_req_duration{name:item} | p(95)<500 | false 0ns",
            "http_req_duration{name:item} | p(99)<1s | true 10s",
            "http_req_failed | rate<0.05 | false 0ns",
            "http_req_duration{name:a:b} | p(50)<1 | false 0ns",
            "checks | rate==1 | false 0ns",
        ]
    );
}

#[test]
fn thresholds_of_scenarios_that_are_not_run_are_left_out() {
    let mut script = two_scenarios();
    script["thresholds"] = json!({"checks{scenario:browse}": "rate==1", "checks{scenario:buy}": "rate==1"});
    let plan = plan(&[(Script, script), (Flag, json!({"scenario": ["buy"]}))]);
    assert_eq!(plan.thresholds.iter().map(|t| t.metric.as_str()).collect::<Vec<_>>(), ["checks{scenario:buy}"]);
    assert_eq!(plan.notes[1], "threshold `checks{scenario:browse}: rate==1` left out, as scenario `browse` is not run");
}

#[test]
fn every_option_reaches_the_plan_in_both_spellings() {
    let plan = plan(&[
        (
            Script,
            json!({
                "tags": {"a": "1", "b": 2}, "seed": 9, "threads": 3, "timeout": "5s", "maxRedirects": 1, "userAgent": "me",
                "httpVersion": 2, "tlsVersion": "tls1.3", "tlsServerName": "a.test", "tlsResumption": true, "connectionsPerHost": 4,
                "insecureSkipTLSVerify": true, "noCookiesReset": true, "no_connection_reuse": true, "noVUConnectionReuse": true,
                "discardResponseBodies": true, "maxBody": "1MB", "batch": 2, "batchPerHost": 1.0, "hosts": {"a.test": "127.0.0.1"},
                "throw": true, "traceContext": true, "maxMemory": "1GiB", "maxVuMemory": "1MiB", "max_script_time": 2500, "maxSeries": 10,
                "setupTimeout": "1s", "teardownTimeout": "2s", "noSetup": true, "noTeardown": true, "allowFailure": "true",
            }),
        ),
        (Env, json!({"tags": {"b": "3"}})),
    ]);
    assert_eq!(plan.tags, BTreeMap::from([("a".into(), "1".into()), ("b".into(), "3".into())]));
    assert_eq!((plan.seed, plan.threads), (9, 3));
    assert_eq!(
        plan.http,
        HttpOptions {
            timeout: Duration::from_secs(5),
            max_redirects: 1,
            user_agent: "me".into(),
            http_version: HttpVersion::Http2,
            tls: TlsOptions {
                tls12: false,
                server_name: Some("a.test".into()),
                resumption: true,
                ..TlsOptions::default()
            },
            connections_per_host: 4,
            insecure_skip_tls_verify: true,
            no_cookies_reset: true,
            no_connection_reuse: true,
            no_vu_connection_reuse: true,
            discard_response_bodies: true,
            max_body: 1_000_000,
            batch: 2,
            batch_per_host: 1,
            hosts: BTreeMap::from([("a.test".into(), "127.0.0.1".into())]),
            throw: true,
            trace_context: true,
            ..HttpOptions::default()
        }
    );
    assert_eq!(
        plan.limits,
        Limits {
            max_memory: 1 << 30,
            max_vu_memory: 1 << 20,
            max_script_time: Duration::from_millis(2_500),
            max_series: 10
        }
    );
    assert_eq!((plan.setup_timeout.as_secs(), plan.teardown_timeout.as_secs()), (1, 2));
    assert!(plan.no_setup && plan.no_teardown && plan.allow_failure);
    let defaults = self::plan(&[]);
    assert_eq!((defaults.http, defaults.limits), (HttpOptions::default(), Limits::DEFAULT));
}

#[test]
fn journeys_are_found_or_asked_for() {
    let name = |functions: &[(&str, usize)]| {
        resolve(&[], &facts(functions)).map(|plan| plan.scenarios[0].exec.clone()).map_err(|e| e[0].to_string())
    };
    type Case<'a> = (&'a [(&'a str, usize)], Result<&'a str, &'a str>);
    let cases: &[Case] = &[
        (&[("journey", 0), ("other", 1)], Ok("journey")),
        (&[("setup", 0), ("shop", 2), ("vu_start", 2)], Ok("shop")),
        (
            &[("shop", 2), ("search", 1), ("big", 3)],
            Err("scenario `default`: no function `journey`, and the script has `shop`, `search`; name one with `exec`"),
        ),
        (
            &[("setup", 0)],
            Err(
                "scenario `default`: there is nothing to run: the script has no function that can be a journey; write `fn journey() { ... }`",
            ),
        ),
        (
            &[("journey", 3)],
            Err("scenario `default`: function `journey` takes 3 parameters; a journey takes (), (vu) or (vu, data)"),
        ),
    ];
    for (functions, expected) in cases {
        assert_eq!(name(functions), expected.map(String::from).map_err(String::from), "{functions:?}");
    }
}

#[test]
fn all_errors_are_told_at_once_with_their_source() {
    let found = errors(&[
        (
            Script,
            json!({
                "vuss": 1, "duration": "soon", "maxRedirects": -1, "throw": 7, "gracefulStop": "1s", "paused": true,
                "user_agent": "a", "userAgent": "b", "hosts": [1],
            }),
        ),
        (Flag, json!({"vus": 0, "threads": 0, "thresholds": ["checks"]})),
    ]);
    assert_eq!(
        found,
        [
            "option `paused` is not supported yet by this version of loadr (given in the script's options)",
            "unknown option `gracefulStop` in the script's options",
            "option `user_agent` is given twice in the script's options, in two spellings",
            "unknown option `vuss` in the script's options; did you mean `vus`?",
            "option `thresholds` in the command line: expected `METRIC: EXPRESSION`, such as `http_req_failed: rate<0.01`, found `checks`",
            "option `vus` in the command line: expected at least 1 VU, found 0",
            "option `duration` in the script's options: expected a duration such as `30s`, `1m30s` or `500ms`, found `soon`",
            "option `threads` in the command line: expected 1 to 1024 threads, found 0",
            "option `maxRedirects` in the script's options: expected a whole number, found the number -1",
            "option `hosts` in the script's options: expected a map of texts, found a list",
            "option `throw` in the script's options: expected `true` or `false`, found the number 7",
        ]
        .map(|text| text.replace("`maxRedirects`", "`max_redirects`"))
    );
}

#[test]
fn wrong_scenarios_say_what_is_wrong() {
    let scenario = |fields: Value| json!({"scenarios": {"s": fields}});
    let constant = |more: Value| {
        let mut fields = json!({"executor": "constant-vus", "duration": "1s"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scenario(fields)
    };
    let cases: &[(Value, &str)] = &[
        (
            scenario(json!({"vus": 1})),
            "scenario `s`: `executor` is missing; expected one of `shared-iterations`, `per-vu-iterations`, `constant-vus`, `ramping-vus`, `constant-arrival-rate`, `ramping-arrival-rate`",
        ),
        (
            scenario(json!({"executor": "constant-vu"})),
            "option `scenarios.s.executor` in the script's options: unknown executor `constant-vu`; did you mean `constant-vus`?",
        ),
        (
            scenario(json!({"executor": "externally-controlled", "vus": 5, "duration": "1s"})),
            "executor `externally-controlled` of scenario `s` is not supported yet by this version of loadr (given in the script's options)",
        ),
        (
            constant(json!({"stages": ["1s:1"]})),
            "option `scenarios.s.stages` in the script's options: executor `constant-vus` has no such field; it has `vus`, `duration`",
        ),
        (
            constant(json!({"gracefulStopp": "1s"})),
            "unknown option `scenarios.s.gracefulStopp` in the script's options; did you mean `graceful_stop`?",
        ),
        (
            constant(json!({"graceful_stopp": "1s"})),
            "unknown option `scenarios.s.graceful_stopp` in the script's options; did you mean `graceful_stop`?",
        ),
        (
            constant(json!({"exec": "shopp"})),
            "scenario `s`: function `shopp` is not in the script; did you mean `shop`?",
        ),
        (
            constant(json!({"exec": "setup"})),
            "scenario `s`: function `setup` is called by loadr itself and can't be the journey; the script has `journey`, `shop`",
        ),
        (
            constant(json!({"exec": "wide"})),
            "scenario `s`: function `wide` takes 3 parameters; a journey takes (), (vu) or (vu, data)",
        ),
        (
            constant(json!({"duration": "0s"})),
            "option `scenarios.s.duration` in the script's options: expected a duration longer than zero",
        ),
        (
            scenario(json!({"executor": "constant-vus"})),
            "scenario `s`: `duration` is missing; expected a duration such as `30s`",
        ),
        (
            scenario(json!({"executor": "ramping-vus", "start_vus": 0, "stages": ["5s:0"]})),
            "option `scenarios.s.stages` in the script's options: no stage has a target above 0",
        ),
        (
            scenario(json!({"executor": "ramping-vus", "stages": []})),
            "option `scenarios.s.stages` in the script's options: expected at least one stage, found an empty list",
        ),
        (
            scenario(json!({"executor": "ramping-vus", "stages": [{"duration": "1s"}]})),
            "option `scenarios.s.stages` in the script's options: a stage has no `target`",
        ),
        (
            scenario(json!({"executor": "shared-iterations", "vus": 5, "iterations": 3})),
            "scenario `s`: 3 iterations for 5 VUs; expected at least one for each VU",
        ),
        (constant(json!({"vus": 2_000_000})), "the scenarios have 2000000 VUs in all, a run can have at most 1000000"),
        (
            json!({"scenarios": {"a b": {"executor": "constant-vus", "duration": "1s"}}}),
            "scenario `a b`: scenario name `a b` must be letters, digits, `_` and `-`",
        ),
        (json!({"scenarios": {}}), "expected at least one scenario, found none"),
        (
            json!({"scenarios": {"s": {"executor": "constant-vus", "duration": "1s"}}, "vus": 3}),
            "options `scenarios` and `vus` in the script's options exclude each other: put it into a scenario",
        ),
        (
            json!({"stages": ["1s:1"], "duration": "3s"}),
            "options `stages` and `duration` in the script's options exclude each other: the stages have their own durations",
        ),
    ];
    for (script, expected) in cases {
        assert_eq!(errors(&[(Script, script.clone())])[0], *expected, "{script}");
    }
}

#[test]
fn overrides_that_do_not_fit_say_what_to_do() {
    for (flags, expected) in [
        (
            json!({"vus": 1}),
            "--vus can't be applied: 1 VU can't be split among 2 scenarios; pick one with --scenario NAME",
        ),
        (
            json!({"iterations": 1}),
            "--iterations can't be applied: 1 iteration can't be split among 2 scenarios; pick one with --scenario NAME",
        ),
        (
            json!({"stages": ["5s:5"]}),
            "--stage can't be applied: there are several scenarios; pick one with --scenario NAME",
        ),
        (json!({"duration": 0}), "--duration can't be applied: expected a duration longer than zero"),
        (
            json!({"scenario": "browser"}),
            "option `scenario` in the command line: there is no scenario `browser`; did you mean `browse`?",
        ),
    ] {
        assert_eq!(errors(&[(Script, two_scenarios()), (Flag, flags.clone())]), [expected], "{flags}");
    }
}
