//! Thresholds as options: a map from metric to expressions, or texts `METRIC: EXPRESSION` that add to it.
//!
//! What the texts mean is not known here: [`crate::metric::threshold`] parses them.

use std::time::Duration;

use serde_json::Value;

use super::ThresholdOption;
use super::error::PlanError;
use super::fields::{Given, Wrong, canonical, duration};

/// The most thresholds that a run can have.
const THRESHOLDS_MAX: usize = 1_000;

const EXPECTED: &str = "a map such as `#{ http_req_failed: [\"rate<0.01\"] }`";

/// The thresholds of all sources.
#[derive(Debug, Default)]
pub(super) struct Thresholds {
    by_metric: Vec<(String, Vec<ThresholdOption>)>,
    added: Vec<ThresholdOption>,
}

impl Thresholds {
    /// Takes those of a source: a map replaces what earlier sources gave for the same metric, texts add.
    pub fn take(&mut self, given: &Given, errors: &mut Vec<PlanError>) {
        let mut note = |path: String, wrong: Wrong, value: &Value| errors.push(wrong.at(path, given.origin, value));
        match &given.value {
            Value::Object(map) => {
                for (metric, value) in map {
                    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                    let mut options = Vec::new();
                    for item in items {
                        match threshold(metric, item) {
                            Ok(option) => options.push(option),
                            Err(wrong) => note(format!("thresholds.{metric}"), wrong, item),
                        }
                    }
                    match self.by_metric.iter_mut().find(|(known, _)| known == metric) {
                        Some((_, known)) => *known = options,
                        None => self.by_metric.push((metric.clone(), options)),
                    }
                }
            }
            Value::String(_) | Value::Array(_) => {
                let items = given.value.as_array().map_or(std::slice::from_ref(&given.value), Vec::as_slice);
                for item in items {
                    match item.as_str().ok_or(Wrong::Type("a text `METRIC: EXPRESSION`")).and_then(split) {
                        Ok(option) => self.added.push(option),
                        Err(wrong) => note("thresholds".into(), wrong, item),
                    }
                }
            }
            other => note("thresholds".into(), Wrong::Type(EXPECTED), other),
        }
        if self.by_metric.len() + self.added.len() > THRESHOLDS_MAX {
            note("thresholds".into(), Wrong::Problem(format!("a run has at most {THRESHOLDS_MAX}")), &given.value);
        }
    }

    /// Gives a metric these expressions, before all others, unless a map has given it some, or none.
    pub fn default_to(&mut self, metric: &str, expressions: &[&str]) {
        if !self.by_metric.iter().any(|(known, _)| known == metric) {
            let options = expressions.iter().map(|expression| plain(metric, expression)).collect();
            self.by_metric.insert(0, (metric.to_owned(), options));
        }
    }

    /// All of them, in the order in which they were given.
    pub fn into_options(self) -> Vec<ThresholdOption> {
        self.by_metric.into_iter().flat_map(|(_, options)| options).chain(self.added).collect()
    }
}

/// Whether a threshold looks only at a scenario of this name.
pub(super) fn selects_scenario(metric: &str, scenario: &str) -> bool {
    let Some((_, selector)) = metric.split_once('{') else { return false };
    selector
        .trim_end_matches('}')
        .split(',')
        .any(|tag| tag.split_once(':').is_some_and(|(key, value)| key.trim() == "scenario" && value.trim() == scenario))
}

fn plain(metric: &str, expression: &str) -> ThresholdOption {
    ThresholdOption {
        metric: metric.trim().into(),
        expression: expression.trim().into(),
        abort_on_fail: false,
        delay_abort_eval: Duration::ZERO,
    }
}

fn threshold(metric: &str, value: &Value) -> Result<ThresholdOption, Wrong> {
    let map = match value {
        Value::String(expression) => return Ok(plain(metric, expression)),
        Value::Object(map) => map,
        _ => return Err(Wrong::Type("an expression such as `p(95)<500`, or a map with `threshold`")),
    };
    const NAMES: &[&str] = &["threshold", "abort_on_fail", "delay_abort_eval"];
    let mut option = plain(metric, "");
    for (name, value) in map {
        match (canonical(name, NAMES), value) {
            (Some("threshold"), Value::String(expression)) => option.expression = expression.trim().into(),
            (Some("abort_on_fail"), Value::Bool(abort)) => option.abort_on_fail = *abort,
            (Some("delay_abort_eval"), value) => option.delay_abort_eval = duration(value)?,
            (Some(name), _) => return Err(Wrong::Problem(format!("`{name}` has a value of the wrong type"))),
            (None, _) => {
                let names = super::error::list(NAMES.iter().copied());
                return Err(Wrong::Problem(format!("unknown field `{name}`; a threshold has {names}")));
            }
        }
    }
    if option.expression.is_empty() {
        return Err(Wrong::Problem("`threshold`, the expression, is missing".into()));
    }
    Ok(option)
}

/// Splits `METRIC: EXPRESSION` at the first colon that is not within a selector.
fn split(text: &str) -> Result<ThresholdOption, Wrong> {
    let mut depth = 0usize;
    for (index, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && !text[..index].trim().is_empty() && !text[index + 1..].trim().is_empty() => {
                return Ok(plain(&text[..index], &text[index + 1..]));
            }
            _ => {}
        }
    }
    Err(Wrong::Problem(format!("expected `METRIC: EXPRESSION`, such as `http_req_failed: rate<0.01`, found `{text}`")))
}
