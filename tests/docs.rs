//! The documentation does what it says: its scripts run, its commands are understood, its links lead somewhere, and what
//! is made from the code is fresh.
//!
//! The examples of `docs/scripting.md` come from the table of host functions and run where those are tested. That
//! `docs/metrics.md` and `docs/demo.md` list what there is, is tested beside the tables they describe.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use loadr::cli;
use loadr::cli::exit::Exit;
use loadr::engine::{Control, End};
use loadr::plan::{Layer, Source};
use loadr::report::Report;
use loadr::session::{Session, SessionSpec};
use regex::Regex;
use serde_json::json;

/// A fenced block of a document.
struct Block {
    /// `README.md:12`
    place: String,
    language: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents, by path from the root.
fn documents() -> Vec<String> {
    let mut found = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for folder in ["docs", "docs/decisions", "benches"] {
        let entries = fs::read_dir(root().join(folder)).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        found.extend(names.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}/{name}")));
    }
    found.sort();
    found
}

fn blocks_of(path: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let place = format!("{path}:{}", number + 1);
                open = Some(Block { place, language: language.trim().to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{path} ends within a block");
    blocks
}

fn blocks(language: &str) -> Vec<Block> {
    let all = documents().into_iter().filter(|path| path != "docs/scripting.md");
    let blocks = all.flat_map(|path| blocks_of(&path, &read(&path)));
    blocks.filter(|block| block.language == language).collect()
}

/// Runs a script against the demo server, one iteration of one virtual user for each of its scenarios.
fn run_once(script: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = directory.path().join("script.rhai");
    fs::write(&path, script).map_err(|error| error.to_string())?;
    let serde_json::Value::Object(options) = json!({ "iterations": 1, "vus": 1, "threads": 1, "seed": 1 }) else {
        unreachable!("it is an object");
    };
    let session = Session::prepare(SessionSpec {
        verbose: false,
        script: path.display().to_string(),
        layers: vec![Layer { source: Source::Flag, options }],
        env: BTreeMap::new(),
        demo: true,
        outputs: Vec::new(),
        args: Vec::new(),
    });
    let end = session.and_then(|session| session.run(Control::new())).map_err(|error| error.to_string())?;
    if end.outcome.end != End::Completed {
        return Err(format!("it ended so: {:?}", end.outcome.end));
    }
    let Report { verdict, errors, checks, requests, thresholds, .. } = &*end.outcome.report;
    let errors = errors.iter().map(|error| format!("{}: {}", error.message, error.example));
    // Whether a threshold on times holds is up to the machine; that it has data is not.
    let idle = thresholds.iter().filter(|threshold| threshold.value.is_none());
    let idle = idle.map(|threshold| format!("`{}: {}` has no data", threshold.metric, threshold.expression));
    let failed = checks.iter().filter(|check| check.fails > 0).map(|check| format!("the check `{}` fails", check.name));
    let wrong: Vec<String> = errors.chain(idle).chain(failed).collect();
    match wrong.is_empty() {
        true if requests.is_empty() && checks.is_empty() => Err(format!("nothing happened: {:?}", verdict.reasons)),
        true => Ok(()),
        false => Err(wrong.join("\n")),
    }
}

#[test]
fn every_script_runs() {
    let scripts: Vec<Block> = blocks("rhai").into_iter().filter(|block| block.text.contains("fn ")).collect();
    assert!(scripts.iter().any(|block| block.place.starts_with("README.md")), "the README has a first script");
    let failures: Vec<String> =
        scripts.iter().filter_map(|block| Some(format!("{}: {}", block.place, run_once(&block.text).err()?))).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn a_script_that_does_not_work_is_noticed() {
    const GET: &str = "http::get(`${env(\"BASE_URL\")}/item/1`)";
    for (journey, expected) in [
        ("http::gett(\"x\");".to_owned(), "did you mean `http::get`?"),
        (format!("check({GET}, #{{ \"is 500\": |r| r.status == 500 }});"), "the check `is 500` fails"),
        ("http::get(`${env(\"BASE_URL\")}/status/500`);".to_owned(), "500"),
        ("think(1.ms);".to_owned(), "nothing happened"),
        ("let x = ;".to_owned(), "script.rhai:1"),
    ] {
        let error = run_once(&format!("fn journey() {{ {journey} }}")).expect_err(&journey);
        assert!(error.contains(expected), "{journey}: {error}");
    }
    let idle = "const options = #{ thresholds: #{ \"http_req_duration{name:x}\": [\"p(95)<500\"] } };";
    let error = run_once(&format!("{idle}\nfn journey() {{ {GET}; }}")).expect_err("a threshold without data");
    assert!(error.contains("has no data"), "{error}");
    assert_eq!(run_once(&format!("fn journey() {{ {GET}; }}")), Ok(()));
}

/// The words of a line of shell, without its comment.
fn words_of(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(mark), _) if mark == character => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// What is wrong with a command of a document; commands of other programs are none of our business.
fn mistake_in(words: &[String]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let arguments = match &words[..] {
        ["loadr", arguments @ ..] => arguments,
        ["cargo", "run", rest @ ..] => &rest[1 + rest.iter().position(|word| *word == "--")?..],
        ["python3", file, ..] => return (!root().join(file).is_file()).then(|| format!("there is no `{file}`")),
        ["cargo", "bench", rest @ ..] => {
            let name = rest.iter().skip_while(|word| **word != "--bench").nth(1)?;
            let exists = root().join(format!("benches/{name}.rs")).is_file();
            return (!exists).then(|| format!("there is no benchmark `{name}`"));
        }
        _ => return None,
    };
    let parsed = cli::command().try_get_matches_from(std::iter::once("loadr").chain(arguments.iter().copied()));
    if let Err(error) = parsed
        && error.use_stderr()
    {
        return Some(error.to_string());
    }
    let missing = arguments.iter().find(|word| word.starts_with("scripts/") && !root().join(word).is_file())?;
    Some(format!("there is no `{missing}`"))
}

fn commands(block: &Block) -> Vec<Vec<String>> {
    let joined = block.text.replace("\\\n", " ");
    joined.lines().map(|line| words_of(line.trim_start().trim_start_matches("$ "))).collect()
}

#[test]
fn every_command_is_understood() {
    let mut failures = Vec::new();
    let mut own = 0;
    for block in blocks("sh") {
        for words in commands(&block) {
            own += usize::from(words.first().is_some_and(|program| program == "loadr" || program == "cargo"));
            failures.extend(mistake_in(&words).map(|what| format!("{}: {}: {what}", block.place, words.join(" "))));
        }
    }
    assert!(own >= 5, "only {own} commands were found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    for (wrong, expected) in [
        ("loadr run x.rhai --vuss 3", "--vuss"),
        ("loadr rum x.rhai", "rum"),
        ("cargo run --release -- run x.rhai --duration", "--duration"),
        ("loadr run scripts/none.rhai  # a comment", "there is no `scripts/none.rhai`"),
        ("python3 benches/none.py all", "there is no `benches/none.py`"),
        ("cargo bench --bench none", "there is no benchmark `none`"),
    ] {
        let mistake = mistake_in(&words_of(wrong)).unwrap_or_default();
        assert!(mistake.contains(expected), "{wrong}: {mistake}");
    }
    assert_eq!(
        words_of("loadr run --threshold 'a: p(95)<1' \"b c\"d # e"),
        ["loadr", "run", "--threshold", "a: p(95)<1", "b cd"]
    );
}

#[test]
fn the_first_two_commands_are_what_ci_runs_and_what_the_journey_needs() {
    let readme = read("README.md");
    let first = blocks_of("README.md", &readme).into_iter().find(|block| block.language == "sh").expect("a command");
    let commands = commands(&first);
    let demo = "cargo run --release -- run scripts/quickstart.rhai --demo --vus 1000";
    assert_eq!([commands[0].join(" "), commands[1].join(" ")], [demo, "cargo test"]);
    assert!(read(".ci/run").lines().any(|line| line == "cargo test"), ".ci/run does not run the README's test command");
}

#[test]
fn the_reference_is_fresh() {
    let fresh = read("docs/scripting.md") == cli::docs::reference();
    assert!(fresh, "docs/scripting.md is old; write it anew: cargo run -- docs --format markdown > docs/scripting.md");
}

#[test]
fn exit_codes_are_told() {
    let row = Regex::new(r"(?m)^\| ([0-9]+) \|").unwrap();
    let told: Vec<u8> = row.captures_iter(&read("README.md")).map(|row| row[1].parse().unwrap()).collect();
    let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
    assert_eq!(told, codes, "the README's table on the left, `Exit` on the right");
}

/// The places that a document names and that are not there.
fn dead_ends(path: &str, text: &str) -> Vec<String> {
    let links = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let paths = Regex::new(r"`([\w./-]*/[\w.-]+\.(?:rs|rhai|md|json|toml)|[\w-]+\.(?:toml|md))`").unwrap();
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut dead = Vec::new();
    for link in links.captures_iter(text).map(|found| found.get(1).unwrap().as_str()) {
        let file = link.split('#').next().unwrap_or_default();
        if !link.contains("://") && !file.is_empty() && !root().join(folder).join(file).exists() {
            dead.push(format!("{path}: the link `{link}` leads nowhere"));
        }
    }
    for named in paths.captures_iter(text).map(|found| found.get(1).unwrap().as_str()) {
        let places: [PathBuf; 3] = [named.into(), Path::new("src").join(named), folder.join(named)];
        if !places.iter().any(|place| root().join(place).is_file()) {
            dead.push(format!("{path}: there is no `{named}`"));
        }
    }
    dead
}

#[test]
fn what_documents_name_is_there() {
    let dead: Vec<String> = documents().iter().flat_map(|path| dead_ends(path, &read(path))).collect();
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert_eq!(dead_ends("docs/x.md", "[a](none.md) `src/none.rs` `script/none.rs`").len(), 3);
    assert_eq!(dead_ends("docs/x.md", "[a](demo.md#routes) [b](https://x.y/z) `src/vu.rs` `script/names.rs`"), [""; 0]);
}

#[test]
fn every_decision_is_listed_and_every_document_named_in_code_is_there() {
    let index = read("docs/decisions/README.md");
    let unlisted: Vec<String> = documents()
        .into_iter()
        .filter_map(|path| Some(path.strip_prefix("docs/decisions/")?.to_owned()))
        .filter(|name| name != "README.md" && !index.contains(&format!("({name})")))
        .collect();
    assert_eq!(unlisted, [""; 0], "docs/decisions/README.md leaves these out");

    let named = Regex::new(r"docs/[\w/.-]+\.(?:md|json)").unwrap();
    let mut waiting = vec![root().join("src")];
    let mut dead = Vec::new();
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            let missing = named.find_iter(&text).inspect(|_| seen += 1);
            let missing = missing.filter(|found| !root().join(found.as_str()).is_file());
            dead.extend(missing.map(|found| format!("{}: there is no `{}`", path.display(), found.as_str())));
        }
    }
    assert!(seen > 5, "only {seen} mentions of documents were found");
    assert_eq!(dead, [""; 0]);
}
