//! Reading of option values: one place in which names are matched and types are checked.
//!
//! A [`Fields`] holds the values of one table of options (the run's, or one scenario's), each with its source. Reading a
//! value gives the default where none was given, and notes an error where it is wrong; so that all errors are found.
//! Values from the environment are texts, so every type may be given as one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::arrivals::ArrivalRate;
use super::error::{PlanError, list};
use super::http::{Bandwidth, HttpDebug, HttpVersion};
use super::layer::Source;
use super::shapes::{Shape, ShapedStage};
use crate::units::{self, Rate, UnitError};

/// A value, and where it was given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub value: Value,
    pub origin: Source,
}

/// The most entries of a map that an option may have (tags, hosts, environment), and the most stages.
pub(super) const ENTRIES_MAX: usize = 10_000;

/// The most points of a curve of rates: one each 100 ms for more than two and a half hours.
pub const CURVE_POINTS_MAX: usize = 100_000;

/// The values of one table of options.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    /// What stands before a name in messages: `scenarios.shop.`.
    pub prefix: String,
    pub values: BTreeMap<&'static str, Given>,
}

/// The known name that `name` stands for, in `snake_case` or `camelCase`.
pub(super) fn canonical(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if name.contains('_') || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return known.iter().copied().find(|candidate| *candidate == name);
    }
    let squash = |text: &str| text.replace('_', "").to_ascii_lowercase();
    let wanted = squash(name);
    known.iter().copied().find(|candidate| squash(candidate) == wanted)
}

/// What a value is, for messages.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(value) => format!("the number {value}"),
        Value::String(value) => format!("the text `{value}`"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
    }
}

impl Fields {
    /// Takes the values of a map over those that are there already. Names that are not among `known` are errors.
    pub fn take(
        &mut self,
        map: &Map<String, Value>,
        origin: Source,
        known: &[&'static str],
        errors: &mut Vec<PlanError>,
    ) {
        let mut seen: Vec<&'static str> = Vec::new();
        for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            let path = format!("{}{name}", self.prefix);
            let Some(name) = canonical(name, known) else {
                let nearest = units::nearest(name, known.iter().copied()).map(String::from);
                let known = if known.len() <= 16 { list(known.iter().copied()) } else { String::new() };
                errors.push(PlanError::UnknownOption { path, origin, nearest, known });
                continue;
            };
            if seen.contains(&name) {
                errors.push(PlanError::Twice { path, origin });
                continue;
            }
            seen.push(name);
            self.values.insert(name, Given { value: value.clone(), origin });
        }
    }

    /// Where a value was given.
    pub fn origin(&self, name: &str) -> Option<Source> {
        self.values.get(name).map(|given| given.origin)
    }

    /// An error about a value.
    pub fn invalid(&self, name: &'static str, problem: impl Into<String>) -> PlanError {
        let origin = self.origin(name).unwrap_or(Source::Default);
        PlanError::Value { path: format!("{}{name}", self.prefix), origin, problem: problem.into() }
    }

    /// Reads a value by a function of its own.
    pub(super) fn read<T>(
        &self,
        name: &'static str,
        errors: &mut Vec<PlanError>,
        read: impl FnOnce(&Value) -> Result<T, Wrong>,
    ) -> Option<T> {
        debug_assert!(!name.is_empty());
        let given = self.values.get(name)?;
        read(&given.value)
            .map_err(|wrong| errors.push(wrong.at(format!("{}{name}", self.prefix), given.origin, &given.value)))
            .ok()
    }

    pub fn duration(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<Duration> {
        self.read(name, errors, duration)
    }

    pub fn bytes(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<u64> {
        self.read(name, errors, |value| number(value, "a size in bytes", units::parse_bytes))
    }

    pub fn bandwidth(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<Bandwidth> {
        self.read(name, errors, |value| Bandwidth::read(value).map_err(Wrong::Problem))
    }

    pub fn count(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<u64> {
        self.read(name, errors, |value| number(value, "a whole number", units::parse_count))
    }

    pub fn count_u32(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<u32> {
        self.read(name, errors, count_u32)
    }

    pub fn flag(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<bool> {
        self.read(name, errors, |value| match value {
            Value::Bool(value) => Ok(*value),
            Value::String(text) if matches!(text.as_str(), "true" | "1" | "yes") => Ok(true),
            Value::String(text) if matches!(text.as_str(), "false" | "0" | "no" | "") => Ok(false),
            _ => Err(Wrong::Type("`true` or `false`")),
        })
    }

    pub fn text(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<String> {
        self.read(name, errors, |value| value.as_str().map(String::from).ok_or(Wrong::Type("a text")))
    }

    /// A version of HTTP: `"2"`, or the number 2.
    pub fn http_debug(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<HttpDebug> {
        self.read(name, errors, |value| {
            let found = match value {
                Value::String(text) => HttpDebug::named(text),
                Value::Bool(on) => HttpDebug::named(if *on { "true" } else { "false" }),
                _ => None,
            };
            let expected = || format!("expected `headers`, `full` or `failed`, found {}", describe(value));
            found.ok_or_else(|| Wrong::Problem(expected()))
        })
    }

    pub fn http_version(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<HttpVersion> {
        self.read(name, errors, |value| {
            let found = match value {
                Value::String(text) => HttpVersion::named(text),
                Value::Number(number) => HttpVersion::named(&number.to_string()),
                _ => None,
            };
            let expected = || format!("expected one of {}, found {}", list(HttpVersion::NAMES), describe(value));
            found.ok_or_else(|| Wrong::Problem(expected()))
        })
    }

    /// A list of texts, or one text with commas between.
    pub fn texts(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<Vec<String>> {
        self.read(name, errors, |value| {
            let wrong = || Wrong::Type("a text or a list of texts");
            match value {
                Value::String(text) => Ok(text.split(',').map(|part| part.trim().to_owned()).collect()),
                Value::Array(items) => {
                    items.iter().map(|item| item.as_str().map(String::from).ok_or_else(wrong)).collect()
                }
                _ => Err(wrong()),
            }
        })
    }

    /// A map of texts; numbers and truth values become texts.
    pub fn text_map(&self, name: &'static str, errors: &mut Vec<PlanError>) -> BTreeMap<String, String> {
        let read = self.read(name, errors, |value| {
            let map = value.as_object().filter(|map| map.len() <= ENTRIES_MAX);
            let map = map.ok_or(Wrong::Type("a map of texts"))?;
            map.iter()
                .map(|(key, value)| match value {
                    Value::String(text) => Ok((key.clone(), text.clone())),
                    Value::Number(_) | Value::Bool(_) => Ok((key.clone(), value.to_string())),
                    _ => Err(Wrong::Problem(format!("`{key}` must be a text, found {}", describe(value)))),
                })
                .collect()
        });
        read.unwrap_or_default()
    }

    /// Stages of VUs: a list of `#{ duration, target, shape }` or of `30s:10`, or one text `30s:10,1m:20`.
    pub fn stages(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<Vec<ShapedStage<u32>>> {
        self.list_of_stages(name, errors, count_u32)
    }

    /// Stages of rates, in the same forms.
    pub fn rate_stages(
        &self,
        name: &'static str,
        errors: &mut Vec<PlanError>,
    ) -> Option<Vec<ShapedStage<ArrivalRate>>> {
        self.list_of_stages(name, errors, arrival_rate)
    }

    fn list_of_stages<T>(
        &self,
        name: &'static str,
        errors: &mut Vec<PlanError>,
        target: fn(&Value) -> Result<T, Wrong>,
    ) -> Option<Vec<ShapedStage<T>>> {
        let stages: Vec<ShapedStage<T>> = self.read(name, errors, |value| match value {
            Value::String(text) => text.split(',').map(|text| stage_from_text(text, target)).collect(),
            Value::Array(items) if items.len() <= ENTRIES_MAX => items.iter().map(|item| stage(item, target)).collect(),
            _ => Err(Wrong::Type("a list of stages such as `#{ duration: \"30s\", target: 10 }`")),
        })?;
        if stages.is_empty() {
            errors.push(self.invalid(name, "expected at least one stage, found an empty list"));
            return None;
        }
        Some(stages)
    }

    /// A number of iterations per time unit.
    pub fn arrival_rate(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<ArrivalRate> {
        self.read(name, errors, arrival_rate)
    }

    /// A rate with its own period: `50/s`, or a number a second.
    pub fn rate(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<Rate> {
        let rate = self.read(name, errors, |value| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(per_second) => per_second.to_string(),
                _ => return Err(Wrong::Type("a rate such as `50/s`")),
            };
            units::parse_rate(&text).map_err(Wrong::Unit)
        })?;
        if rate.count == 0 {
            errors.push(self.invalid(name, "expected a rate above 0, found 0"));
            return None;
        }
        Some(rate)
    }

    /// A curve of rates, as a list of numbers; none when the value is not a list.
    pub fn curve(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<Vec<ArrivalRate>> {
        self.values.get(name).filter(|given| given.value.is_array())?;
        self.read(name, errors, |value| {
            let items = value.as_array().filter(|items| (2..=CURVE_POINTS_MAX).contains(&items.len()));
            let items = items.ok_or(Wrong::Type("a curve of 2 to 100,000 rates"))?;
            items.iter().map(arrival_rate).collect()
        })
    }

    /// Whole numbers by name; none when the value is not a map.
    pub fn weights(&self, name: &'static str, errors: &mut Vec<PlanError>) -> Option<Vec<(String, u32)>> {
        self.values.get(name).filter(|given| given.value.is_object())?;
        self.read(name, errors, |value| {
            let map = value.as_object().into_iter().flatten().take(ENTRIES_MAX);
            map.map(|(key, value)| {
                let weight = count_u32(value).map_err(|_| {
                    let found = describe(value);
                    Wrong::Problem(format!("the weight of `{key}` must be a whole number, found {found}"))
                });
                Ok((key.clone(), weight?))
            })
            .collect()
        })
    }
}

/// What is wrong with a value, before it is known where it stands.
pub(super) enum Wrong {
    /// It is of another type than this.
    Type(&'static str),
    /// It can't be read.
    Unit(UnitError),
    /// Something else.
    Problem(String),
}

impl Wrong {
    pub fn at(self, path: String, origin: Source, value: &Value) -> PlanError {
        match self {
            Self::Type(expected) => PlanError::Type { path, origin, expected, found: describe(value) },
            Self::Unit(error) => PlanError::Unit { path, origin, error },
            Self::Problem(problem) => PlanError::Value { path, origin, problem },
        }
    }
}

pub(super) fn duration(value: &Value) -> Result<Duration, Wrong> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(milliseconds) => milliseconds.to_string(),
        _ => return Err(Wrong::Type("a duration such as `30s`, or a number of milliseconds")),
    };
    units::parse_duration(&text).map_err(Wrong::Unit)
}

/// A whole number, given as one, as a float without a fraction, or as a text.
fn number(value: &Value, expected: &'static str, parse: impl Fn(&str) -> Result<u64, UnitError>) -> Result<u64, Wrong> {
    match value {
        Value::Number(number) => {
            let whole = number.as_u64().or_else(|| {
                let float = number.as_f64()?;
                // Exact up to 2^53; larger floats are not whole numbers that anybody meant.
                (float.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&float)).then_some(float as u64)
            });
            whole.ok_or(Wrong::Type(expected))
        }
        Value::String(text) => parse(text).map_err(Wrong::Unit),
        _ => Err(Wrong::Type(expected)),
    }
}

fn count_u32(value: &Value) -> Result<u32, Wrong> {
    let count = number(value, "a whole number", units::parse_count)?;
    u32::try_from(count).map_err(|_| Wrong::Problem(format!("{count} is too large, the most is {}", u32::MAX)))
}

fn arrival_rate(value: &Value) -> Result<ArrivalRate, Wrong> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let rate = number.ok_or(Wrong::Type("a number of iterations"))?;
    if rate < 0.0 {
        return Err(Wrong::Problem(format!("expected a rate of at least 0, found {rate}")));
    }
    let too_large = || Wrong::Problem(format!("{rate} is too large, the most is {}", ArrivalRate::MOST));
    let arrivals = ArrivalRate::from_f64(rate).ok_or_else(too_large)?;
    if arrivals.is_zero() && rate > 0.0 {
        let problem = "is too small, the least is a millionth; give a longer `time_unit`";
        return Err(Wrong::Problem(format!("{rate} {problem}")));
    }
    Ok(arrivals)
}

fn stage<T>(value: &Value, target: fn(&Value) -> Result<T, Wrong>) -> Result<ShapedStage<T>, Wrong> {
    let map = match value {
        Value::Object(map) => map,
        Value::String(text) => return stage_from_text(text, target),
        _ => return Err(Wrong::Problem(format!("expected a stage, found {}", describe(value)))),
    };
    if let Some(name) = map.keys().find(|name| !matches!(name.as_str(), "duration" | "target" | "shape")) {
        return Err(Wrong::Problem(format!("a stage has `duration`, `target` and `shape`, found `{name}`")));
    }
    let field = |name: &str| map.get(name).ok_or_else(|| Wrong::Problem(format!("a stage has no `{name}`")));
    let within = |name: &str, wrong: Wrong, value: &Value| match wrong {
        Wrong::Type(expected) => {
            Wrong::Problem(format!("`{name}` of a stage: expected {expected}, found {}", describe(value)))
        }
        Wrong::Unit(error) => Wrong::Problem(format!("`{name}` of a stage: {error}")),
        Wrong::Problem(problem) => Wrong::Problem(format!("`{name}` of a stage: {problem}")),
    };
    let shape = match map.get("shape") {
        None => Shape::Linear,
        Some(value) => value.as_str().and_then(Shape::named).ok_or_else(|| {
            let (found, names) = (describe(value), list(Shape::NAMES));
            Wrong::Problem(format!("`shape` of a stage: expected one of {names}, found {found}"))
        })?,
    };
    let (time, level) = (field("duration")?, field("target")?);
    Ok(ShapedStage {
        duration: duration(time).map_err(|wrong| within("duration", wrong, time))?,
        target: target(level).map_err(|wrong| within("target", wrong, level))?,
        shape,
    })
}

fn stage_from_text<T>(text: &str, target: fn(&Value) -> Result<T, Wrong>) -> Result<ShapedStage<T>, Wrong> {
    let (span, level) = text
        .rsplit_once(':')
        .ok_or_else(|| Wrong::Problem(format!("expected a stage such as `30s:10`, found `{text}`")))?;
    let target = target(&Value::String(level.to_owned()))?;
    Ok(ShapedStage { duration: units::parse_duration(span).map_err(Wrong::Unit)?, target, shape: Shape::Linear })
}
