//! Threshold expressions: `p(95)<1.5s && (rate>0.99 || count==0)`.
//!
//! ```text
//! or          = and { "||" and }
//! and         = primary { "&&" primary }
//! primary     = "(" or ")" | aggregation operator number [unit]
//! aggregation = "avg" | "min" | "max" | "med" | "p(" number ")" | "count" | "rate" | "value"
//! operator    = ">" | ">=" | "<" | "<=" | "==" | "===" | "!=" | "!=="
//! unit        = "us" | "ms" | "s" | "m" | "h"  for times      "%"  for shares
//!             | "B" | "KB" | "MB" | "GB" | "KiB" | "MiB" | "GiB"  for data
//! ```
//!
//! A number without a unit is in the metric's own: milliseconds, bytes, a share from 0 to 1. `/s` may follow where the
//! aggregation is a counter's `rate`, which is per second. Parsing knows the metric's kind, so that what makes no sense
//! is an error with its place; evaluating knows three answers, for a figure that has no data is neither above nor below.

use super::super::aggregate::Aggregate;
use super::super::{Contains, MetricKind};
use super::Limit;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregation {
    /// The mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The median.
    Med,
    /// A percentile, 0 to 100.
    Percentile(f64),
    /// A counter's sum; how many values a rate or a trend has.
    Count,
    /// A counter's sum a second; the share of a rate's values that were true.
    Rate,
    /// A gauge's latest value.
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
}

/// What a threshold demands.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// One figure against a limit, both in the metric's own unit.
    Compare(Comparison),
    /// All of them.
    And(Vec<Expression>),
    /// Any of them.
    Or(Vec<Expression>),
}

/// One figure against a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    aggregation: Aggregation,
    operator: Operator,
    limit: f64,
}

/// What an expression came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Whether it holds; none when that can't be said without data.
    pub holds: Option<bool>,
    /// The figure that decided it, in the metric's own unit.
    pub value: Option<f64>,
}

/// Why an expression can't be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The character, from 1.
    pub position: usize,
    /// What is there, quoted, or `the end`.
    pub found: String,
    /// What should be there.
    pub expected: String,
    /// What may have been meant; may be empty.
    pub hint: String,
}

/// The aggregations that fit a kind, as one writes them.
fn fitting(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "`count` or `rate`",
        MetricKind::Gauge => "`value`, `min` or `max`",
        MetricKind::Rate => "`rate` or `count`",
        MetricKind::Trend => "`avg`, `min`, `max`, `med`, `p(N)` or `count`",
    }
}

const UNITS_OF_TIME: &[(&str, f64)] =
    &[("us", 1e-3), ("µs", 1e-3), ("μs", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 60e3), ("h", 3_600e3)];
const UNITS_OF_DATA: &[(&str, f64)] = &[
    ("B", 1.0),
    ("KB", 1e3),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
];
const UNITS_OF_SHARES: &[(&str, f64)] = &[("%", 0.01)];

impl Aggregation {
    fn fits(self, kind: MetricKind) -> bool {
        match self {
            Self::Avg | Self::Med | Self::Percentile(_) => kind == MetricKind::Trend,
            Self::Min | Self::Max => matches!(kind, MetricKind::Trend | MetricKind::Gauge),
            Self::Count => kind != MetricKind::Gauge,
            Self::Rate => matches!(kind, MetricKind::Counter | MetricKind::Rate),
            Self::Value => kind == MetricKind::Gauge,
        }
    }

    /// The units that its figures can have: what they are called together, and each with its factor.
    fn units(self, kind: MetricKind, contains: Contains) -> (&'static str, &'static [(&'static str, f64)]) {
        let counts_values = self == Self::Count && kind != MetricKind::Counter;
        match (kind, contains) {
            _ if counts_values => ("no unit", &[]),
            (MetricKind::Rate, _) => ("`%`", UNITS_OF_SHARES),
            (_, Contains::Time) => ("`us`, `ms`, `s`, `m` or `h`", UNITS_OF_TIME),
            (_, Contains::Data) => ("`B`, `KB`, `MB`, `GB`, `KiB`, `MiB` or `GiB`", UNITS_OF_DATA),
            (_, Contains::Default) => ("no unit", &[]),
        }
    }

    /// The figure, in the metric's own unit; none without data. `elapsed_s` is what a counter's rate is divided by.
    fn of(self, aggregate: &Aggregate, elapsed_s: f64) -> Option<f64> {
        match (self, aggregate) {
            (Self::Count, Aggregate::Counter { sum, .. }) => Some(*sum),
            (Self::Rate, Aggregate::Counter { sum, .. }) => (elapsed_s > 0.0).then(|| sum / elapsed_s),
            (Self::Value, Aggregate::Gauge { last, .. }) => Some(*last).filter(|value| !value.is_nan()),
            (Self::Min, Aggregate::Gauge { min, .. }) => Some(*min).filter(|value| !value.is_nan()),
            (Self::Max, Aggregate::Gauge { max, .. }) => Some(*max).filter(|value| !value.is_nan()),
            (Self::Rate, Aggregate::Rate { passes, total }) => (*total > 0).then(|| *passes as f64 / *total as f64),
            (Self::Count, Aggregate::Rate { total, .. }) => Some(*total as f64),
            (Self::Count, Aggregate::Trend(trend)) => Some(trend.count as f64),
            (Self::Avg, Aggregate::Trend(trend)) => trend.avg(),
            (Self::Min, Aggregate::Trend(trend)) => trend.min(),
            (Self::Max, Aggregate::Trend(trend)) => trend.max(),
            (Self::Med, Aggregate::Trend(trend)) => trend.percentile(50.0),
            (Self::Percentile(p), Aggregate::Trend(trend)) => trend.percentile(p),
            _ => None,
        }
    }
}

impl Comparison {
    fn answer(self, aggregate: &Aggregate, elapsed_s: f64) -> Answer {
        let value = self.aggregation.of(aggregate, elapsed_s);
        let holds = value.map(|value| match self.operator {
            Operator::Greater => value > self.limit,
            Operator::GreaterOrEqual => value >= self.limit,
            Operator::Less => value < self.limit,
            Operator::LessOrEqual => value <= self.limit,
            // `==` is for counts and for shares of 0 and 1, which are exact.
            Operator::Equal => value == self.limit,
            Operator::NotEqual => value != self.limit,
        });
        Answer { holds, value }
    }
}

impl Expression {
    /// Reads an expression about a metric of this kind.
    pub(super) fn parse(text: &str, kind: MetricKind, contains: Contains) -> Result<Self, Problem> {
        let mut parser = Parser { text, at: 0, depth: 0, kind, contains };
        let expression = parser.any()?;
        parser.skip_spaces();
        if !parser.rest().is_empty() {
            return Err(parser.problem("`&&`, `||` or the end"));
        }
        Ok(expression)
    }

    /// What it comes to. An `&&` fails with its first part that fails, even when another has no data; an `||` holds
    /// with its first part that holds.
    pub(super) fn answer(&self, aggregate: &Aggregate, elapsed_s: f64) -> Answer {
        let (parts, decisive) = match self {
            Self::Compare(comparison) => return comparison.answer(aggregate, elapsed_s),
            Self::And(parts) => (parts, false),
            Self::Or(parts) => (parts, true),
        };
        let answers: Vec<_> = parts.iter().map(|part| part.answer(aggregate, elapsed_s)).collect();
        let decided = answers.iter().find(|answer| answer.holds == Some(decisive));
        let unknown = answers.iter().find(|answer| answer.holds.is_none());
        decided.or(unknown).or(answers.first()).copied().unwrap_or(Answer { holds: None, value: None })
    }

    /// Its limit, when it is one comparison with one.
    pub(super) fn limit(&self) -> Option<Limit> {
        let Self::Compare(comparison) = self else { return None };
        match comparison.operator {
            Operator::Less | Operator::LessOrEqual => Some(Limit::AtMost(comparison.limit)),
            Operator::Greater | Operator::GreaterOrEqual => Some(Limit::AtLeast(comparison.limit)),
            Operator::Equal | Operator::NotEqual => None,
        }
    }

    /// The figure that is compared first.
    pub(super) fn leading_aggregation(&self) -> Option<Aggregation> {
        match self {
            Self::Compare(comparison) => Some(comparison.aggregation),
            Self::And(parts) | Self::Or(parts) => parts.first().and_then(Self::leading_aggregation),
        }
    }
}

/// How deep parentheses may nest: what people write needs two, and a hostile option must not exhaust the stack.
const MAX_DEPTH: usize = 32;

struct Parser<'a> {
    text: &'a str,
    /// In bytes, always at a character's start.
    at: usize,
    depth: usize,
    kind: MetricKind,
    contains: Contains,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, wanted: &str) -> bool {
        self.skip_spaces();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    /// Takes the characters that fit, perhaps none.
    fn take(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let length = self.rest().find(|c| !fits(c)).unwrap_or(self.rest().len());
        let taken = &self.rest()[..length];
        self.at += length;
        taken
    }

    fn problem(&self, expected: impl Into<String>) -> Problem {
        let word: String = self.rest().chars().take_while(|c| c.is_alphanumeric() || *c == '_').take(32).collect();
        let found = match self.rest().chars().next() {
            None => "the end".into(),
            Some(first) if word.is_empty() => format!("`{first}`"),
            Some(_) => format!("`{word}`"),
        };
        let position = self.text[..self.at].chars().count() + 1;
        Problem { position, found, expected: expected.into(), hint: String::new() }
    }

    fn any(&mut self) -> Result<Expression, Problem> {
        let mut parts = vec![self.all()?];
        while self.eat("||") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
    }

    fn all(&mut self) -> Result<Expression, Problem> {
        let mut parts = vec![self.primary()?];
        while self.eat("&&") {
            parts.push(self.primary()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    fn primary(&mut self) -> Result<Expression, Problem> {
        if !self.eat("(") {
            return self.comparison().map(Expression::Compare);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.problem(format!("at most {MAX_DEPTH} nested parentheses")));
        }
        let inner = self.any()?;
        if !self.eat(")") {
            return Err(self.problem("`&&`, `||` or `)`"));
        }
        self.depth -= 1;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Comparison, Problem> {
        let aggregation = self.aggregation()?;
        let operator = self.operator()?;
        let limit = self.limit(aggregation)?;
        Ok(Comparison { aggregation, operator, limit })
    }

    fn aggregation(&mut self) -> Result<Aggregation, Problem> {
        self.skip_spaces();
        let start = self.at;
        let word = self.take(|c| c.is_alphanumeric() || c == '_');
        let found = match word {
            "avg" => Aggregation::Avg,
            "min" => Aggregation::Min,
            "max" => Aggregation::Max,
            "med" => Aggregation::Med,
            "count" => Aggregation::Count,
            "rate" => Aggregation::Rate,
            "value" => Aggregation::Value,
            "p" => Aggregation::Percentile(self.percentile()?),
            _ => {
                self.at = start;
                return Err(Problem { hint: hint_for(word, self.kind), ..self.problem(fitting(self.kind)) });
            }
        };
        if !found.fits(self.kind) {
            self.at = start;
            return Err(self.problem(format!("{}, which fit a {}", fitting(self.kind), kind_name(self.kind))));
        }
        Ok(found)
    }

    fn percentile(&mut self) -> Result<f64, Problem> {
        if !self.eat("(") {
            return Err(self.problem("`(` and a number from 0 to 100"));
        }
        self.skip_spaces();
        let start = self.at;
        let number = self.take(|c| c.is_ascii_digit() || c == '.').parse().ok();
        let Some(number) = number.filter(|number| (0.0..=100.0).contains(number)) else {
            self.at = start;
            return Err(self.problem("a number from 0 to 100"));
        };
        if !self.eat(")") {
            return Err(self.problem("`)`"));
        }
        Ok(number)
    }

    fn operator(&mut self) -> Result<Operator, Problem> {
        // Longer ones first: each is tried as a prefix.
        const OPERATORS: &[(&str, Operator)] = &[
            ("===", Operator::Equal),
            ("!==", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            (">", Operator::Greater),
            ("<", Operator::Less),
        ];
        let found = OPERATORS.iter().find(|(text, _)| self.eat(text));
        found.map(|&(_, operator)| operator).ok_or_else(|| self.problem("one of `>`, `>=`, `<`, `<=`, `==`, `!=`"))
    }

    fn limit(&mut self, aggregation: Aggregation) -> Result<f64, Problem> {
        self.skip_spaces();
        let start = self.at;
        let negative = self.rest().starts_with('-');
        if negative || self.rest().starts_with('+') {
            self.at += 1;
        }
        let digits = self.take(|c| c.is_ascii_digit() || "._".contains(c)).replace('_', "");
        let exponent = self.exponent();
        let number = format!("{digits}{exponent}").parse::<f64>().ok().filter(|number| number.is_finite());
        let Some(number) = number else {
            self.at = start;
            return Err(self.problem("a number"));
        };
        let number = if negative { -number } else { number };
        self.skip_spaces();
        let unit_at = self.at;
        let unit = self.take(|c| c.is_alphabetic() || c == '%');
        let (names, units) = aggregation.units(self.kind, self.contains);
        let factor = match units.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => *factor,
            None if unit.is_empty() => 1.0,
            None => {
                self.at = unit_at;
                let mut problem = self.problem(format!("{names} after the number"));
                problem.found = format!("`{unit}`");
                return Err(problem);
            }
        };
        if aggregation == Aggregation::Rate && self.kind == MetricKind::Counter {
            let _ = self.eat("/s");
        }
        // `1%` is to be 0.01 exactly, as the parser reads it, so shares are divided rather than multiplied.
        Ok(if unit == "%" { number / 100.0 } else { number * factor })
    }

    /// `e9`, `E-3`; empty when there is none. A letter that no digits follow belongs to a unit.
    fn exponent(&mut self) -> &'a str {
        let rest = self.rest();
        let Some(after) = rest.strip_prefix(['e', 'E']) else { return "" };
        let digits = after.strip_prefix(['+', '-']).unwrap_or(after);
        let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        if length == 0 {
            return "";
        }
        let taken = &rest[..rest.len() - digits.len() + length];
        self.at += taken.len();
        taken
    }
}

/// A kind with the word that people use for it.
fn kind_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Rate => "rate",
        MetricKind::Trend => "trend",
    }
}

fn hint_for(word: &str, kind: MetricKind) -> String {
    let percentile = word.strip_prefix('p').filter(|digits| !digits.is_empty());
    if let Some(digits) = percentile.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())) {
        return format!("write `p({digits})`");
    }
    let known = match kind {
        MetricKind::Counter => &["count", "rate"][..],
        MetricKind::Gauge => &["value", "min", "max"],
        MetricKind::Rate => &["rate", "count"],
        MetricKind::Trend => &["avg", "min", "max", "med", "count"],
    };
    match word {
        "median" if kind == MetricKind::Trend => "did you mean `med`?".into(),
        "mean" | "average" if kind == MetricKind::Trend => "did you mean `avg`?".into(),
        _ => crate::units::nearest(word, known.iter().copied())
            .map_or_else(String::new, |near| format!("did you mean `{near}`?")),
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_text_breaks_the_grammar(text in "(p\\(?[0-9.]{0,6}\\)?|avg|med|rate|count|value|min|max|passes|[<>=!]=?|&&|\\|\\||[()]|[0-9.e+-]{0,20}|(ms|s|m|%|kb|/s)|[ ]|\\PC){0,14}") {
            for (kind, contains) in [
                (MetricKind::Trend, Contains::Time),
                (MetricKind::Counter, Contains::Default),
                (MetricKind::Rate, Contains::Default),
                (MetricKind::Gauge, Contains::Data),
            ] {
                match Expression::parse(&text, kind, contains) {
                    Ok(expression) => {
                        let _ = (expression.limit(), expression.leading_aggregation());
                    }
                    Err(problem) => prop_assert!(problem.position <= text.chars().count() + 1),
                }
            }
        }
    }
}
