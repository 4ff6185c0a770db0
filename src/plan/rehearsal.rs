//! A plan in small: what it takes to look at its journeys instead of putting load on a target.

use std::time::Duration;

use super::{Executor, Plan};

/// When a rehearsal is given up: whoever watches it stops it long before.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

impl Plan {
    /// The same scenarios, one after the other, each with so many VUs that run so many iterations each, on one thread.
    /// There is no load to judge, so thresholds are left out.
    #[must_use]
    pub fn rehearsal(mut self, vus: u32, iterations: u64) -> Self {
        let mut before: Option<String> = None;
        for scenario in &mut self.scenarios {
            scenario.executor = Executor::PerVuIterations { vus, iterations, max_duration: LONGEST };
            scenario.start_time = Duration::ZERO;
            scenario.start_after = before.replace(scenario.name.clone());
            scenario.max_rate = None;
            scenario.graceful_stop = Duration::ZERO;
        }
        Self { threads: 1, thresholds: Vec::new(), notes: Vec::new(), profile: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::{Function, Layer, ScriptFacts, Source, resolve};

    #[test]
    fn scenarios_run_one_after_the_other_in_small() {
        let options = json!({
            "threads": 4,
            "thresholds": { "checks": ["rate>0.9"] },
            "scenarios": {
                "many": { "executor": "constant-vus", "exec": "journey", "vus": 500, "duration": "1h", "maxRate": "3/s" },
                "open": { "executor": "constant-arrival-rate", "exec": "journey", "rate": 50, "duration": "1h",
                          "preAllocatedVUs": 20, "startTime": "5m" },
            },
        });
        let serde_json::Value::Object(options) = options else { unreachable!() };
        let facts = ScriptFacts { functions: vec![Function { name: "journey".into(), params: 1 }] };
        let plan = resolve(&[Layer { source: Source::Script, options }], &facts).expect("a plan").rehearsal(2, 3);
        assert_eq!((plan.threads, plan.thresholds.len(), plan.vus_max()), (1, 0, 4));
        let order: Vec<_> = plan.scenarios.iter().map(|one| (&*one.name, one.start_after.as_deref())).collect();
        assert_eq!(order, [("many", None), ("open", Some("many"))]);
        for scenario in &plan.scenarios {
            let small = Executor::PerVuIterations { vus: 2, iterations: 3, max_duration: LONGEST };
            assert_eq!((&scenario.executor, scenario.start_time), (&small, Duration::ZERO));
            assert_eq!(scenario.max_rate, None);
        }
    }
}
