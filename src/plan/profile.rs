//! Profiles: the usual tests by name, for any journey.
//!
//! A profile replaces how load arrives and for how long, and nothing else: journeys, tags and environments of the
//! scenarios stay, and several scenarios share the profile's VUs in proportion to the VUs that they had. `vus` and
//! `duration` given with the profile, or later, change its numbers and keep its shape. Its thresholds are defaults: a
//! threshold on the same metric takes their place (docs/profiles.md).
//!
//! `time_scale` is here too, though it works without a profile: it makes everything that is planned take so many times as
//! long.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::adjust::{GRACE, apportion, set_duration, set_vus};
use super::error::{PlanError, list};
use super::fields::Fields;
use super::layer::Source;
use super::thresholds::Thresholds;
use super::{Executor, Plan, Scenario, Stage};
use crate::units;

/// A usual test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Does the journey work at all?
    Smoke,
    /// What is normal?
    Baseline,
    /// Are the goals met on a busy day?
    Load,
    /// Where does it bend, and where does it break?
    Stress,
    /// What does a sudden rush do?
    Spike,
    /// Does it last?
    Endurance,
}

/// What a profile is.
struct Shape {
    name: &'static str,
    /// What it is for, and what it does.
    about: &'static str,
    vus: u32,
    /// Seconds, and the percentage of the VUs at their end. A single one is held from the start.
    stages: &'static [(u64, u32)],
    /// The share of requests that may fail.
    failed: &'static str,
}

/// All profiles, in the order of [`Profile`].
const SHAPES: [Shape; 6] = [
    Shape {
        name: "smoke",
        about: "does the journey work at all? One user for a minute; nothing is measured that would need more",
        vus: 1,
        stages: &[(60, 100)],
        failed: "rate<0.01",
    },
    Shape {
        name: "baseline",
        about: "what is normal? A modest load that the target carries with ease, to compare later runs with",
        vus: 50,
        stages: &[(30, 100), (540, 100), (30, 0)],
        failed: "rate<0.01",
    },
    Shape {
        name: "load",
        about: "are the goals met on a busy day? Up, held for most of the time, and down",
        vus: 200,
        stages: &[(90, 100), (750, 100), (60, 0)],
        failed: "rate<0.01",
    },
    Shape {
        name: "stress",
        about: "where does it bend, and where does it break? Five steps up; compare the stages",
        vus: 500,
        stages: &[
            (10, 20),
            (110, 20),
            (10, 40),
            (110, 40),
            (10, 60),
            (110, 60),
            (10, 80),
            (110, 80),
            (10, 100),
            (110, 100),
        ],
        failed: "rate<0.01",
    },
    Shape {
        name: "spike",
        about: "what does a sudden rush do, and does the target recover? A tenth of the users, all of them at once for \
                two minutes, a tenth again",
        vus: 1_000,
        stages: &[(10, 10), (50, 10), (5, 100), (120, 100), (5, 10), (50, 10), (10, 0)],
        failed: "rate<0.01",
    },
    Shape {
        name: "endurance",
        about: "does it last? A steady load for long enough that leaks and full disks show",
        vus: 100,
        stages: &[(60, 100), (1_680, 100), (60, 0)],
        failed: "rate<0.001",
    },
];

/// The bounds of `time_scale`.
const TIME_SCALE: std::ops::RangeInclusive<f64> = 0.001..=1_000.0;

impl Profile {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Smoke, Self::Baseline, Self::Load, Self::Stress, Self::Spike, Self::Endurance];

    fn shape(self) -> &'static Shape {
        &SHAPES[self as usize]
    }

    /// Its name, as options spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.shape().name
    }

    /// The thresholds that hold unless others are given: the metric, and its expressions.
    #[must_use]
    pub fn thresholds(self) -> [(&'static str, &'static [&'static str]); 2] {
        let failed = std::slice::from_ref(&self.shape().failed);
        [("http_req_duration", &["p(95)<500", "p(99)<1000"]), ("http_req_failed", failed)]
    }

    /// Its load with so many VUs.
    fn executor(self, vus: u32) -> Executor {
        let seconds = Duration::from_secs;
        match self.shape().stages {
            [(duration_s, 100)] => Executor::ConstantVus { vus, duration: seconds(*duration_s) },
            stages => {
                let stage = |&(s, percent): &(u64, u32)| Stage { duration: seconds(s), target: percent };
                let stages = stages.iter().map(stage).collect();
                let mut executor = Executor::RampingVus { start_vus: 0, stages, graceful_ramp_down: GRACE };
                // A hundred percent become so many VUs, and no level that has any loses all.
                set_vus(&mut executor, vus);
                executor
            }
        }
    }

    /// What it means and does in a plan, for people.
    #[must_use]
    pub fn explain(self, plan: &Plan) -> String {
        let mut text = format!("profile {}: {}\n", self.name(), self.shape().about);
        let widest = plan.scenarios.iter().map(|scenario| scenario.name.chars().count()).max().unwrap_or(0);
        for scenario in &plan.scenarios {
            let _ = writeln!(text, "  {:widest$}  {}", scenario.name, scenario.describe());
        }
        for threshold in &plan.thresholds {
            let _ = writeln!(text, "  must hold: {}: {}", threshold.metric, threshold.expression);
        }
        text
    }
}

/// The profile that the options ask for.
pub(super) fn requested(options: &Fields, errors: &mut Vec<PlanError>) -> Option<Profile> {
    let name = options.text("profile", errors)?;
    let found = Profile::ALL.into_iter().find(|profile| profile.name() == name);
    if found.is_none() {
        let names = || Profile::ALL.into_iter().map(Profile::name);
        let hint = units::nearest(&name, names())
            .map_or_else(|| format!("expected one of {}", list(names())), |near| format!("did you mean `{near}`?"));
        errors.push(options.invalid("profile", format!("there is no profile `{name}`; {hint}")));
    }
    found
}

/// Gives the scenarios the load of a profile, and the thresholds that nobody has given.
pub(super) fn apply(
    profile: Profile,
    options: &Fields,
    scenarios: &mut [Scenario],
    thresholds: &mut Thresholds,
    errors: &mut Vec<PlanError>,
) {
    for (metric, expressions) in profile.thresholds().into_iter().rev() {
        thresholds.default_to(metric, expressions);
    }
    let base = options.origin("profile").unwrap_or(Source::Default);
    // The script's own numbers belong to the load that is replaced, unless the script asks for the profile itself.
    let counts = |name: &str| options.origin(name).filter(|&origin| origin > Source::Script || origin >= base);
    for (name, why) in [
        ("stages", "the profile has its own stages"),
        ("iterations", "the profile has a duration; leave the iterations out"),
        ("rate", "the profile has a number of VUs; leave the rate out"),
    ] {
        if let Some(origin) = counts(name) {
            let problem = format!("{why}; `{}` was asked for by {}", profile.name(), base.spell("profile"));
            errors.push(PlanError::Override { option: origin.spell(name), problem });
        }
    }
    let mut refuse = |origin: Source, name: &str, problem: String| {
        errors.push(PlanError::Override { option: origin.spell(name), problem });
    };
    let all = scenarios.len() as u64;
    let mut vus = u64::from(profile.shape().vus).max(all);
    let (mut wrong, mut duration) = (Vec::new(), None);
    if let (Some(origin), Some(wanted)) = (counts("vus"), options.count_u32("vus", &mut wrong)) {
        match u64::from(wanted) {
            0 => refuse(origin, "vus", "expected at least 1 VU, found 0".into()),
            few if few < all => {
                let problem = format!("{few} VUs can't be split among {all} scenarios; pick one with --scenario NAME");
                refuse(origin, "vus", problem);
            }
            enough => vus = enough,
        }
    }
    if let (Some(origin), Some(wanted)) = (counts("duration"), options.duration("duration", &mut wrong)) {
        if wanted.is_zero() {
            refuse(origin, "duration", "expected a duration longer than zero".into());
        } else {
            duration = Some(wanted);
        }
    }
    errors.append(&mut wrong);
    if scenarios.is_empty() {
        return;
    }
    let weights: Vec<u64> = scenarios.iter().map(|scenario| scenario.executor.vus_max().into()).collect();
    for (scenario, share) in scenarios.iter_mut().zip(apportion(vus, &weights)) {
        (scenario.start_time, scenario.start_after) = (Duration::ZERO, None);
        scenario.executor = profile.executor(u32::try_from(share).unwrap_or(u32::MAX));
        if let Some(duration) = duration {
            set_duration(&mut scenario.executor, duration);
        }
    }
}

/// Makes all that is planned take `time_scale` times as long. What ends by its iterations keeps its pace.
pub(super) fn scale_time(
    options: &Fields,
    scenarios: &mut [Scenario],
    notes: &mut Vec<String>,
    errors: &mut Vec<PlanError>,
) {
    let Some(given) = options.values.get("time_scale") else { return };
    let scale = match &given.value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let Some(scale) = scale.filter(|scale| TIME_SCALE.contains(scale)) else {
        let (least, most) = (TIME_SCALE.start(), TIME_SCALE.end());
        let problem = format!("expected a factor from {least} to {most}, such as 0.1, found {}", given.value);
        return errors.push(options.invalid("time_scale", problem));
    };
    for scenario in scenarios.iter_mut() {
        scenario.start_time = scenario.start_time.mul_f64(scale);
        if scenario.executor.iterations_planned().is_none() {
            let duration = scenario.executor.duration().mul_f64(scale);
            set_duration(&mut scenario.executor, duration);
        }
    }
    notes.push(format!("everything takes {scale} times as long, by {}", given.origin.spell("time_scale")));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::layer::{Function, Layer, ScriptFacts};
    use super::super::resolve;
    use super::*;

    fn layer(source: Source, options: &Value) -> Layer {
        Layer { source, options: options.as_object().expect("a map of options").clone() }
    }

    fn planned(script: &Value, flags: &Value) -> Result<Plan, Vec<String>> {
        let function = |name: &str| Function { name: name.into(), params: 0 };
        let facts = ScriptFacts { functions: ["journey", "buy", "look"].map(function).into() };
        resolve(&[layer(Source::Script, script), layer(Source::Flag, flags)], &facts)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    fn described(plan: &Plan) -> Vec<String> {
        plan.scenarios.iter().map(|scenario| format!("{}: {}", scenario.name, scenario.describe())).collect()
    }

    fn thresholds(plan: &Plan) -> Vec<String> {
        plan.thresholds.iter().map(|option| format!("{}: {}", option.metric, option.expression)).collect()
    }

    #[test]
    fn every_profile_has_its_users_and_its_time() {
        for (name, vus, minutes) in [
            ("smoke", 1, 1.0),
            ("baseline", 50, 10.0),
            ("load", 200, 15.0),
            ("stress", 500, 10.0),
            ("spike", 1_000, 250.0 / 60.0),
            ("endurance", 100, 30.0),
        ] {
            // Whatever the script says of its load is replaced.
            let script = json!({ "vus": 3, "stages": ["1s:3"] });
            let plan = planned(&script, &json!({ "profile": name })).unwrap();
            assert_eq!(plan.profile.map(Profile::name), Some(name));
            assert_eq!((plan.vus_max(), plan.scenarios[0].exec.as_str()), (vus, "journey"), "{name}");
            let seconds = plan.scenarios[0].executor.duration().as_secs_f64();
            assert!((seconds - minutes * 60.0).abs() < 0.5, "{name}: {seconds}");
            assert_eq!(plan.notes, Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn scenarios_share_the_users_and_keep_their_journeys() {
        let script = json!({ "scenarios": {
            "buyers": { "executor": "constant-vus", "exec": "buy", "vus": 10, "duration": "20s", "start_time": "5s" },
            "lookers": { "executor": "ramping-vus", "exec": "look", "stages": ["5s:30"], "tags": { "team": "web" } },
        } });
        let plan = planned(&script, &json!({ "profile": "baseline" })).unwrap();
        assert_eq!(plan.scenarios[1].tags.get("team").map(String::as_str), Some("web"));
        assert_eq!(plan.scenarios.iter().map(|s| s.exec.as_str()).collect::<Vec<_>>(), ["buy", "look"]);
        let expected = [
            "buyers: 0 to 13 VUs over 30s, 13 for 9m, 13 to 0 over 30s",
            "lookers: 0 to 37 VUs over 30s, 37 for 9m, 37 to 0 over 30s",
        ];
        assert_eq!(described(&plan), expected);
        let one = planned(&script, &json!({ "profile": "smoke" })).unwrap();
        assert_eq!(described(&one), ["buyers: 1 VU for 1m", "lookers: 1 VU for 1m"]);
    }

    #[test]
    fn flags_change_its_numbers_and_keep_its_shape() {
        for (flags, expected) in [
            (json!({ "vus": 20 }), "0 to 20 VUs over 1m30s, 20 for 12m30s, 20 to 0 over 1m"),
            (json!({ "duration": "90s" }), "0 to 200 VUs over 9s, 200 for 1m15s, 200 to 0 over 6s"),
            (json!({ "vus": "20", "duration": "15s" }), "0 to 20 VUs over 1.5s, 20 for 12.5s, 20 to 0 over 1s"),
            (json!({ "time_scale": "0.1" }), "0 to 200 VUs over 9s, 200 for 1m15s, 200 to 0 over 6s"),
        ] {
            let mut with_profile = flags.clone();
            with_profile["profile"] = "load".into();
            let plan = planned(&json!({ "duration": "7s", "vus": 7 }), &with_profile).unwrap();
            assert_eq!(plan.scenarios[0].describe(), expected, "{flags}");
        }
        // A script that asks for the profile itself may say with how many.
        let plan = planned(&json!({ "profile": "smoke", "vus": 3 }), &json!({ "duration": "5s" })).unwrap();
        assert_eq!(plan.scenarios[0].describe(), "3 VUs for 5s");
    }

    #[test]
    fn its_thresholds_give_way_metric_by_metric() {
        let own = json!({ "thresholds": { "http_req_duration": ["p(95)<200"], "checks": ["rate>0.9"] } });
        let plan = planned(&own, &json!({ "profile": "endurance" })).unwrap();
        let expected = ["http_req_failed: rate<0.001", "checks: rate>0.9", "http_req_duration: p(95)<200"];
        assert_eq!(thresholds(&plan), expected);
        let none = json!({ "thresholds": { "http_req_duration": [], "http_req_failed": [] } });
        assert_eq!(thresholds(&planned(&none, &json!({ "profile": "load" })).unwrap()), Vec::<String>::new());
        let all = planned(&json!({}), &json!({ "profile": "load" })).unwrap();
        let expected = ["http_req_duration: p(95)<500", "http_req_duration: p(99)<1000", "http_req_failed: rate<0.01"];
        assert_eq!(thresholds(&all), expected);
    }

    #[test]
    fn what_it_means_and_does_is_explained() {
        let plan = planned(&json!({}), &json!({ "profile": "smoke", "vus": 2 })).unwrap();
        let text = Profile::Smoke.explain(&plan);
        assert!(text.starts_with("profile smoke: does the journey work at all?"), "{text}");
        for line in ["  default  2 VUs for 1m\n", "  must hold: http_req_duration: p(95)<500\n"] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn time_is_scaled_without_a_profile_too() {
        let script = json!({ "scenarios": {
            "a": { "executor": "constant-vus", "vus": 1, "duration": "20s", "start_time": "10s" },
            "b": { "executor": "shared-iterations", "vus": 1, "iterations": 5, "max_duration": "1m" },
        } });
        let plan = planned(&script, &json!({ "time_scale": 0.5 })).unwrap();
        assert_eq!(described(&plan), ["a: 1 VU for 10s, after 5s", "b: 5 iterations shared by 1 VU, at most 1m"]);
        assert_eq!(plan.notes, ["everything takes 0.5 times as long, by --time-scale"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let two = json!({ "scenarios": {
            "a": { "executor": "constant-vus", "vus": 1, "duration": "20s" },
            "b": { "executor": "constant-vus", "vus": 1, "duration": "20s" },
        } });
        for (script, flags, error) in [
            (
                json!({}),
                json!({ "profile": "lod" }),
                "option `profile` in the command line: there is no profile `lod`; did you mean `load`?",
            ),
            (
                json!({}),
                json!({ "profile": "quick" }),
                "option `profile` in the command line: there is no profile `quick`; expected one of `smoke`, \
                 `baseline`, `load`, `stress`, `spike`, `endurance`",
            ),
            (
                json!({}),
                json!({ "profile": "load", "iterations": 5 }),
                "--iterations can't be applied: the profile has a duration; leave the iterations out; `load` was asked \
                 for by --profile",
            ),
            (
                json!({}),
                json!({ "profile": "load", "stages": ["1s:5"] }),
                "--stage can't be applied: the profile has its own stages; `load` was asked for by --profile",
            ),
            (
                two,
                json!({ "profile": "load", "vus": 1 }),
                "--vus can't be applied: 1 VUs can't be split among 2 scenarios; pick one with --scenario NAME",
            ),
            (
                json!({}),
                json!({ "profile": "load", "vus": 0 }),
                "--vus can't be applied: expected at least 1 VU, found 0",
            ),
            (
                json!({}),
                json!({ "profile": "load", "duration": "0s" }),
                "--duration can't be applied: expected a duration longer than zero",
            ),
            (
                json!({ "vus": 1, "duration": "5s" }),
                json!({ "time_scale": "fast" }),
                "option `time_scale` in the command line: expected a factor from 0.001 to 1000, such as 0.1, found \
                 \"fast\"",
            ),
            (
                json!({ "vus": 1, "duration": "5s" }),
                json!({ "time_scale": 0 }),
                "option `time_scale` in the command line: expected a factor from 0.001 to 1000, such as 0.1, found 0",
            ),
        ] {
            assert_eq!(planned(&script, &flags).unwrap_err(), [error]);
        }
    }
}
