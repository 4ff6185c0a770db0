//! `loadr check`: a corpus of wrong scripts, each with the whole text of what it is told; all right scripts of this
//! repository, with nothing; and the formats and exit codes, from outside.
//!
//! The corpus is `tests/check`: a script, and beside it what it gets. After a change of a text, `INSTA_UPDATE=always` writes
//! them anew; then read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use loadr::script::check::is_library;
use loadr::script::check::rules::RULES;
use loadr::script::error::{Diagnostic, Severity, Sources};
use loadr::script::modules::TABLE;
use loadr::session::check::{CheckSpec, Checked, check};
use serde_json::{Value, json};

use crate::examples::as_script;
use crate::harness::Loadr;

fn checked(path: &str, text: Option<&str>, is_library: bool) -> Checked {
    check(CheckSpec {
        path: path.to_owned(),
        text: text.map(Into::into),
        layers: Vec::new(),
        env: BTreeMap::from([("BASE_URL".to_owned(), "http://127.0.0.1:8080".to_owned())]),
        is_library,
    })
}

fn scripts_in(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::from(folder)];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rhai") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn told(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let texts: Vec<String> =
        diagnostics.iter().map(|found| format!("({})\n{}", found.code, found.render(sources))).collect();
    texts.join("\n\n")
}

#[test]
fn every_wrong_script_is_told_what_is_wrong() {
    let scripts: Vec<PathBuf> =
        scripts_in("tests/check").into_iter().filter(|path| path.parent() == Some(Path::new("tests/check"))).collect();
    assert!(scripts.len() >= 60, "the corpus has {} scripts", scripts.len());
    let mut codes = BTreeSet::new();
    let mut missed = Vec::new();
    for path in scripts {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let Checked { diagnostics, sources, .. } = checked(&path.to_string_lossy(), None, false);
        if diagnostics.is_empty() {
            missed.push(name.clone());
        }
        codes.extend(diagnostics.iter().map(|found| found.code));
        insta::with_settings!({
            snapshot_path => "../check",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!(name, told(&diagnostics, &sources)) });
    }
    assert_eq!(missed, [""; 0], "nothing is found in these");
    // A file that can't be read is no script of the corpus.
    let rules = RULES.iter().map(|rule| rule.code).filter(|code| *code != "unreadable-file");
    let unproven: Vec<&str> = rules.filter(|code| !codes.contains(code)).collect();
    assert_eq!(unproven, [""; 0], "no script of the corpus breaks these rules");
}

#[test]
fn every_right_script_of_the_repository_is_told_nothing() {
    let mut wrong = Vec::new();
    for folder in ["scripts", "stdlib"] {
        let scripts = scripts_in(folder);
        assert!(!scripts.is_empty(), "there are no scripts in {folder}");
        for path in scripts {
            let is_library = is_library(&fs::read_to_string(&path).expect("a script"));
            let Checked { diagnostics, sources, .. } = checked(&path.to_string_lossy(), None, is_library);
            if !diagnostics.is_empty() {
                wrong.push(told(&diagnostics, &sources));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_documented_example_is_told_nothing() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for doc in TABLE.iter().flat_map(|module| module.docs) {
        let script = as_script(doc.example);
        // The files that examples name are there.
        let Checked { diagnostics, sources, .. } = checked("tests/fixtures/example.rhai", Some(&script), false);
        seen += 1;
        // What an example shows to fail may well be told.
        let fails =
            |line: usize| script.lines().nth(line.saturating_sub(1)).is_some_and(|line| line.contains("assert_error"));
        // Examples call things for themselves, and assert what is so in any case.
        let shown = ["unused-result", "unit-comparison", "always-true-check", "type-mismatch"];
        let found: Vec<Diagnostic> =
            diagnostics.into_iter().filter(|found| !fails(found.place.line) && !shown.contains(&found.code)).collect();
        if !found.is_empty() {
            wrong.push(format!("{}\n{}", doc.signature, told(&found, &sources)));
        }
    }
    assert!(seen > 50, "only {seen} examples");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_scripts_of_documents_are_told_nothing() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    let documents = fs::read_dir("docs").expect("a folder").map(|entry| entry.expect("an entry").path());
    for path in documents.chain([PathBuf::from("README.md")]) {
        // The reference has the examples of functions; the list of rules has what is wrong.
        let left_out = ["scripting.md", "check.md"].iter().any(|name| path.ends_with(name));
        if left_out || path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a document");
        for block in text.split("```rhai\n").skip(1) {
            let script = block.split("```").next().unwrap_or_default();
            if !script.contains("fn ") {
                continue;
            }
            seen += 1;
            let Checked { diagnostics, sources, .. } = checked("scripts/example.rhai", Some(script), false);
            if !diagnostics.is_empty() {
                wrong.push(format!("{}\n{}", path.display(), told(&diagnostics, &sources)));
            }
        }
    }
    assert!(seen > 0, "there are no scripts in the documents");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

const TWO_MISTAKES: &str = "import \"std/auth\" as auth;\n\nfn journey(vu) {\n    print(vu.iteratoin);\n}\n";

#[test]
fn the_command_tells_people_and_counts() {
    let ran = Loadr::new().file("a.rhai", TWO_MISTAKES).flags("check a.rhai").run().expect(107);
    assert_eq!(ran.stderr, "");
    insta::assert_snapshot!(ran.stdout, @r#"
    warning[unused-import]: the import `auth` is not used
     --> a.rhai:1:22
      |
    1 | import "std/auth" as auth;
      |                      ^^^^

    error: a virtual user has no property `iteratoin`
     --> a.rhai:4:14
      |
    4 |     print(vu.iteratoin);
      |              ^^^^^^^^^
      = help: did you mean `iteration`?

    1 error, 1 warning in 1 file
    "#);
    let right = Loadr::new().file("a.rhai", "fn journey(vu) { print(vu.id); }").flags("check a.rhai").run().expect(0);
    assert_eq!(right.stdout, "no mistakes in 1 file\n");
}

#[test]
fn exit_codes_tell_what_is_wrong() {
    let unused = "import \"std/auth\" as auth;\nfn journey(vu) { print(vu.id); }";
    for (script, flags, code) in [
        (unused, "check a.rhai", 0),
        (unused, "check --deny-warnings a.rhai", 107),
        (unused, "check --strict a.rhai", 107),
        ("const options = #{ vsu: 1 };\nfn journey(vu) { print(vu.id); }", "check a.rhai", 104),
        ("const options = #{ vsu: 1 };\nfn journey(vu) { print(vu.di); }", "check a.rhai", 107),
        ("fn journey(vu) { http::get(env(\"BASE_URL\")); }", "check a.rhai", 107),
        ("fn journey(vu) { http::get(env(\"BASE_URL\")); }", "check --demo a.rhai", 0),
        ("fn journey(vu) { http::get(env(\"BASE_URL\")); }", "check -e BASE_URL=http://127.0.0.1 a.rhai", 0),
        ("", "check missing.rhai", 107),
        ("", "check -e NONSENSE a.rhai", 2),
        ("", "check", 2),
    ] {
        Loadr::new().file("a.rhai", script).flags(flags).run().expect(code);
    }
}

#[test]
fn folders_are_looked_through_and_what_is_imported_is_told_once() {
    let script = "import \"./lib/cart\" as cart;\nfn journey() { cart::add(1); }";
    let ran = Loadr::new()
        .file("load/a.rhai", script)
        .file("load/b.rhai", script)
        .file("load/lib/cart.rhai", "fn add(n) { nowhere(n) }")
        .file("load/lib/alone.rhai", "fn run() { print(BASE); not_there(); }")
        .file("load/.hidden/c.rhai", "fn (")
        .flags("check load")
        .run()
        .expect(107);
    assert_eq!(ran.stdout.matches("there is no function `nowhere`").count(), 1, "{ran}");
    assert!(ran.stdout.contains("load/lib/alone.rhai:1:25") && !ran.stdout.contains("BASE`"), "{ran}");
    assert!(ran.stdout.ends_with("2 errors in 4 files\n"), "{ran}");
    let empty = Loadr::new().file("x/readme.txt", "").flags("check x").run().expect(104);
    assert_eq!(empty.stderr, "error: there is no script (`*.rhai`) in the folder `x`\n");
}

#[test]
fn json_has_what_editors_need() {
    let ran = Loadr::new().file("a.rhai", TWO_MISTAKES).flags("check --format json a.rhai").run().expect(107);
    let found: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(
        found,
        json!([
            { "code": "unused-import", "severity": "warning", "message": "the import `auth` is not used", "file": "a.rhai",
              "line": 1, "column": 22, "end_line": 1, "end_column": 26, "hint": null, "notes": [] },
            { "code": "unknown-property", "severity": "error", "message": "a virtual user has no property `iteratoin`",
              "file": "a.rhai", "line": 4, "column": 14, "end_line": 4, "end_column": 23,
              "hint": "did you mean `iteration`?", "notes": [] },
        ])
    );
    let none =
        Loadr::new().file("a.rhai", "fn journey(vu) { print(vu.id); }").flags("check --format json a.rhai").run();
    assert_eq!(none.expect(0).stdout, "[]\n");
}

#[test]
fn github_gets_annotations() {
    let ran = Loadr::new().file("a.rhai", TWO_MISTAKES).flags("check --format github a.rhai").run().expect(107);
    assert_eq!(
        ran.stdout,
        "::warning file=a.rhai,line=1,col=22,endColumn=26,title=unused-import::the import `auth` is not used\n\
         ::error file=a.rhai,line=4,col=14,endColumn=23,title=unknown-property::a virtual user has no property \
         `iteratoin`%0Ahelp: did you mean `iteration`?\n"
    );
}

/// What SARIF 2.1.0 asks of the parts that are used here.
fn sarif_schema() -> Value {
    let place = json!({
        "type": "object", "required": ["physicalLocation"],
        "properties": { "physicalLocation": {
            "type": "object", "required": ["artifactLocation"], "additionalProperties": false,
            "properties": {
                "artifactLocation": { "type": "object", "required": ["uri"], "properties": { "uri": { "type": "string", "pattern": "^[A-Za-z0-9/._~%-]+$" } } },
                "region": { "type": "object", "required": ["startLine"], "additionalProperties": false, "properties": {
                    "startLine": { "type": "integer", "minimum": 1 },
                    "startColumn": { "type": "integer", "minimum": 1 },
                    "endColumn": { "type": "integer", "minimum": 1 } } } } } } });
    let message = json!({ "type": "object", "required": ["text"], "properties": { "text": { "type": "string", "minLength": 1 } } });
    json!({
        "type": "object", "required": ["version", "runs"],
        "properties": {
            "version": { "const": "2.1.0" },
            "$schema": { "type": "string" },
            "runs": { "type": "array", "minItems": 1, "items": {
                "type": "object", "required": ["tool", "results"],
                "properties": {
                    "columnKind": { "enum": ["utf16CodeUnits", "unicodeCodePoints"] },
                    "tool": { "type": "object", "required": ["driver"], "properties": { "driver": {
                        "type": "object", "required": ["name"], "properties": {
                            "name": { "type": "string" }, "version": { "type": "string" },
                            "rules": { "type": "array", "uniqueItems": true, "items": { "type": "object", "required": ["id"],
                                "properties": { "id": { "type": "string" }, "shortDescription": message } } } } } } },
                    "results": { "type": "array", "items": { "type": "object", "required": ["message"], "properties": {
                        "ruleId": { "type": "string" },
                        "ruleIndex": { "type": "integer", "minimum": 0 },
                        "level": { "enum": ["none", "note", "warning", "error"] },
                        "message": message,
                        "locations": { "type": "array", "items": place },
                        "relatedLocations": { "type": "array", "items": place } } } } } } } },
    })
}

#[test]
fn sarif_follows_its_schema() {
    let script = "fn add(a, b) { a + b }\nfn journey(vu) {\n    print(add(1));\n    print(vu.iteratoin);\n}\n";
    let command = Loadr::new().file("a b/ä.rhai", script).args(["check", "--format", "sarif", "a b/ä.rhai"]);
    let document: Value = serde_json::from_str(&command.run().expect(107).stdout).expect("JSON");
    let schema = jsonschema::draft202012::new(&sarif_schema()).expect("a schema");
    let errors: Vec<String> =
        schema.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, [""; 0], "{document:#}");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), RULES.len());
    let results = run["results"].as_array().expect("results");
    let ids: Vec<&str> = results.iter().map(|result| result["ruleId"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["wrong-arguments", "unknown-property"]);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("a small one");
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let location = &result["locations"][0]["physicalLocation"];
        assert_eq!(location["artifactLocation"]["uri"], "a%20b/%C3%A4.rhai");
    }
    assert_eq!(results[0]["relatedLocations"][0]["physicalLocation"]["region"]["startLine"], 1);
    assert_eq!(
        results[1]["locations"][0]["physicalLocation"]["region"],
        json!({ "startLine": 4, "startColumn": 14, "endColumn": 23 })
    );
}

#[test]
fn a_run_checks_first_and_tells_a_few_warnings() {
    let wrong = "fn journey(vu) {\n    chekc(vu.iteratoin, #{});\n}\n";
    let ran = Loadr::script(wrong).run().expect(107);
    assert!(!ran.has_export(), "{ran}");
    assert_eq!(ran.stdout, "");
    let heads: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(
        heads,
        ["error: there is no function `chekc`", "error: a virtual user has no property `iteratoin`"],
        "{ran}"
    );
    let odd = "fn journey(vu) {\n    random::int(1, 2);\n    random::int(1, 2);\n    random::int(1, 2);\n    \
               random::int(1, 2);\n    random::int(1, 2);\n    check(vu.id, #{ one: |id| id > 0 });\n}\n";
    let ran = Loadr::script(odd).run().expect(0);
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("warning")).collect();
    assert_eq!(
        warnings,
        [
            "warning: the result of `random::int` is thrown away (script.rhai:2:13)",
            "warning: the result of `random::int` is thrown away (script.rhai:3:13)",
            "warning: the result of `random::int` is thrown away (script.rhai:4:13)",
            "warning: 2 more about the script",
        ],
        "{ran}"
    );
}

#[test]
fn a_run_can_go_without_the_check() {
    let ran = Loadr::script("fn journey(vu) {\n    print(vu.iteratoin);\n}\n").flags("--no-check").run().expect(99);
    assert!(ran.stderr.contains("iteratoin"), "{ran}");
    assert_eq!(ran.count("iterations_failed"), 1.0);
}

#[test]
fn severities_are_those_of_the_rules() {
    let Checked { diagnostics, .. } = checked("a.rhai", Some(TWO_MISTAKES), false);
    let severities: Vec<Severity> = diagnostics.iter().map(|found| found.severity).collect();
    assert_eq!(severities, [Severity::Warning, Severity::Error]);
}
