//! Families as text: Prometheus' own form (0.0.4) and OpenMetrics (1.0.0).
//!
//! The two differ little: OpenMetrics names a counter without `_total` in its comments, tells units, and ends with a mark,
//! so that a text that was cut off is noticed. Exponential buckets have no textual form.

use std::fmt::Write as _;

use super::family::{Family, Kind, Row, Value};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Prometheus' own.
    Prometheus,
    /// OpenMetrics.
    OpenMetrics,
}

impl Form {
    /// What the form is called in headers.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes families down.
#[must_use]
pub fn render(families: &[Family], form: Form) -> String {
    let mut text = String::new();
    for family in families {
        render_family(&mut text, family, form);
    }
    if form == Form::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn render_family(text: &mut String, family: &Family, form: Form) {
    let Family { name, help, unit, kind, rows } = family;
    let total = if *kind == Kind::Counter { "_total" } else { "" };
    let title = if form == Form::OpenMetrics { "" } else { total };
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    // Writing to a text can't fail.
    let _ = write!(text, "# HELP {name}{title} ");
    escape(text, help, form == Form::OpenMetrics);
    let _ = writeln!(text, "\n# TYPE {name}{title} {kind}");
    if form == Form::OpenMetrics && !unit.is_empty() {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    for Row { labels, value, .. } in rows {
        match value {
            Value::Number(number) => {
                let _ = write!(text, "{name}{total}");
                write_labels(text, labels, None);
                let _ = writeln!(text, " {}", float(*number));
            }
            Value::Histogram(histogram) => {
                let ends = histogram.classic.iter().map(|&(end, count)| (float(end), count));
                for (end, count) in ends.chain([("+Inf".into(), histogram.count)]) {
                    let _ = write!(text, "{name}_bucket");
                    write_labels(text, labels, Some(&end));
                    let _ = writeln!(text, " {count}");
                }
                let _ = write!(text, "{name}_sum");
                write_labels(text, labels, None);
                let _ = write!(text, " {}\n{name}_count", float(histogram.sum));
                write_labels(text, labels, None);
                let _ = writeln!(text, " {}", histogram.count);
            }
        }
    }
}

/// A number as both forms read it: with a point or an exponent, as OpenMetrics wants the ends of buckets.
#[must_use]
pub fn float(number: f64) -> String {
    if number.is_nan() {
        "NaN".into()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        format!("{number:?}")
    }
}

fn write_labels(text: &mut String, labels: &[(String, String)], le: Option<&str>) {
    if labels.is_empty() && le.is_none() {
        return;
    }
    let mut before = '{';
    for (name, value) in labels {
        text.push(before);
        text.push_str(name);
        text.push_str("=\"");
        escape(text, value, true);
        text.push('"');
        before = ',';
    }
    if let Some(le) = le {
        let _ = write!(text, "{before}le=\"{le}\"");
    }
    text.push('}');
}

fn escape(text: &mut String, raw: &str, quotes: bool) {
    for character in raw.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::{self, tests};
    use super::*;
    use crate::output::sample;

    fn texts(names: Vec<String>) -> [String; 2] {
        let (merged, facts) = tests::recorded(names);
        let families = family::families(&merged, &facts, &tests::ALL());
        [Form::Prometheus, Form::OpenMetrics].map(|form| render(&families, form))
    }

    #[test]
    fn both_forms() {
        let [prometheus, open] = texts(vec!["a \"b\" \\ c\nd".into()]);
        for line in [
            "# TYPE loadr_http_reqs_total counter",
            r#"loadr_http_reqs_total{method="GET",name="a \"b\" \\ c\nd",scenario="shoppers",status="200"} 36.0"#,
            "loadr_data_received_bytes_total 4096.0",
            "loadr_vus 20.0",
            "loadr_temperature -3.5",
            r#"loadr_checks_total{check="a \"b\" \\ c\nd",value="true"} 4.0"#,
            r#"loadr_cart_value_bucket{le="25.0"} 0"#,
            r#"loadr_cart_value_bucket{le="50.0"} 4"#,
            r#"loadr_cart_value_bucket{le="+Inf"} 4"#,
            "loadr_cart_value_sum 102.0",
            "loadr_cart_value_count 4",
        ] {
            assert!(prometheus.lines().any(|found| found == line), "{line}\n{prometheus}");
            if !line.starts_with('#') {
                assert!(open.lines().any(|found| found == line), "{line}\n{open}");
            }
        }
        for line in ["# TYPE loadr_http_reqs counter", "# UNIT loadr_http_req_duration_seconds seconds"] {
            assert!(open.lines().any(|found| found == line), "{line}\n{open}");
        }
        assert!(open.ends_with("\n# EOF\n") && !prometheus.contains("# EOF") && !prometheus.contains("# UNIT"));
    }

    #[test]
    fn hostile_names_stay_within_their_quotes() {
        for text in texts(sample::hostile_names()) {
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                let (_, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                assert!(line.starts_with("loadr_"), "{line}");
            }
        }
    }

    #[test]
    fn numbers() {
        for (number, text) in [
            (1.0, "1.0"),
            (0.0001, "0.0001"),
            (1e21, "1e21"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(float(number), text);
        }
    }
}
