//! Mistakes as data: JSON for editors, SARIF for code scanning, annotations for GitHub Actions.

use serde::Serialize;
use serde_json::{Value, json};

use crate::script::check::rules::RULES;
use crate::script::error::{Diagnostic, Severity};

/// A mistake, as `--format json` writes it. Fields are added, never renamed.
#[derive(Serialize)]
struct Entry<'a> {
    code: &'a str,
    severity: String,
    message: &'a str,
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    hint: Option<&'a str>,
    notes: Vec<Related<'a>>,
}

#[derive(Serialize)]
struct Related<'a> {
    message: &'a str,
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
}

/// An array of objects, one a mistake.
pub(super) fn json(diagnostics: &[Diagnostic]) -> String {
    let entries: Vec<Entry<'_>> = diagnostics
        .iter()
        .map(|found| Entry {
            code: found.code,
            severity: found.severity.to_string(),
            message: &found.message,
            file: &found.place.source,
            line: found.place.line,
            column: found.place.column,
            end_line: found.place.line,
            end_column: found.place.column + found.length,
            hint: found.hint.as_deref(),
            notes: found
                .notes
                .iter()
                .map(|note| Related {
                    message: &note.message,
                    file: note.place.as_ref().map(|place| place.source.as_str()),
                    line: note.place.as_ref().map(|place| place.line),
                    column: note.place.as_ref().map(|place| place.column),
                })
                .collect(),
        })
        .collect();
    let text = serde_json::to_string_pretty(&entries).expect("texts and numbers are JSON");
    format!("{text}\n")
}

/// One run of one tool, as SARIF 2.1.0 has it.
pub(super) fn sarif(diagnostics: &[Diagnostic]) -> String {
    let level = |severity| if severity == Severity::Error { "error" } else { "warning" };
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.code,
                "shortDescription": { "text": rule.help },
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        })
        .collect();
    let results: Vec<Value> = diagnostics.iter().map(|found| result(found, level(found.severity))).collect();
    let document = json!({
        "version": "2.1.0",
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "runs": [{
            "tool": { "driver": { "name": "loadr", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let text = serde_json::to_string_pretty(&document).expect("texts and numbers are JSON");
    format!("{text}\n")
}

fn result(found: &Diagnostic, level: &str) -> Value {
    let text = match &found.hint {
        Some(hint) => format!("{}. Help: {hint}", found.message),
        None => found.message.clone(),
    };
    let location = |source: &str, line: usize, column: usize, length: usize| {
        let mut physical = json!({ "artifactLocation": { "uri": uri(source) } });
        if line > 0 {
            let mut region = json!({ "startLine": line });
            if column > 0 {
                region["startColumn"] = column.into();
                region["endColumn"] = (column + length.max(1)).into();
            }
            physical["region"] = region;
        }
        json!({ "physicalLocation": physical })
    };
    let mut result = json!({ "ruleId": found.code, "level": level, "message": { "text": text } });
    if let Some(index) = RULES.iter().position(|rule| rule.code == found.code) {
        result["ruleIndex"] = index.into();
    }
    let place = &found.place;
    if !place.source.is_empty() {
        result["locations"] = json!([location(&place.source, place.line, place.column, found.length)]);
    }
    let related: Vec<Value> = found
        .notes
        .iter()
        .filter_map(|note| {
            let place = note.place.as_ref()?;
            let mut related = location(&place.source, place.line, place.column, 1);
            related["message"] = json!({ "text": note.message });
            Some(related)
        })
        .collect();
    if !related.is_empty() {
        result["relatedLocations"] = related.into();
    }
    result
}

/// A path as a URI: what no URI can hold is written by its number.
fn uri(path: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(path, KEPT).to_string()
}

/// A line a mistake, which GitHub Actions shows at its place in the pull request.
pub(super) fn github(diagnostics: &[Diagnostic]) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let line = |found: &Diagnostic| {
        let place = &found.place;
        let mut properties = vec![format!("title={}", property(found.code))];
        if !place.source.is_empty() {
            properties.insert(0, format!("file={}", property(&place.source)));
        }
        if place.line > 0 {
            properties.insert(1, format!("line={}", place.line));
        }
        if place.column > 0 {
            properties.insert(2, format!("col={}", place.column));
            properties.insert(3, format!("endColumn={}", place.column + found.length.max(1)));
        }
        let hint = found.hint.as_ref().map_or_else(String::new, |hint| format!("\nhelp: {hint}"));
        format!("::{} {}::{}\n", found.severity, properties.join(","), data(&format!("{}{hint}", found.message)))
    };
    diagnostics.iter().map(line).collect()
}
