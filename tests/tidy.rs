//! What the architecture promises, held against the text of the repository: the layers, what each part must not know,
//! and the habits that keep files readable. `docs/architecture.md` gives the reasons.
//!
//! [`examine`] looks at one file and returns complaints; each says what to do. It works on text: comments and literals
//! are blanked before code is judged, test code is told from the rest by `#[cfg(test)]`. What the compiler or clippy can
//! say is left to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// The modules at the root of the crate, lowest first. A module imports only from rows above its own.
const LAYERS: &[&[&str]] = &[
    &["units", "fault", "memory"],
    &["metric"],
    &["plan"],
    &["report"],
    &["event", "vu"],
    &["trace"],
    &["net"],
    &["engine", "script", "output", "demo"],
    &["session"],
    &["cli"],
    &["main"],
];

/// Modules of data and arithmetic.
const PURE: &[&str] = &["units", "fault", "metric", "plan", "report", "event", "vu", "trace"];

/// Something that some places must not contain.
struct Absence {
    /// What is looked for in code without comments and literals.
    pattern: &'static str,
    /// Where it must not be: beginnings of paths below `src/`.
    from: &'static [&'static str],
    /// Where it may be all the same.
    except: &'static [&'static str],
    /// Whether test code is judged as well.
    in_tests: bool,
    /// What to do about it.
    advice: &'static str,
}

const EVERYWHERE: &[&str] = &[""];

const ABSENCES: &[Absence] = &[
    Absence {
        pattern: r"\bunsafe\b",
        from: EVERYWHERE,
        except: &["script/bridge/", "memory.rs"],
        in_tests: true,
        advice: "`unsafe` lives in src/script/bridge/ and src/memory.rs alone; find a safe way, or a crate that has one",
    },
    Absence {
        pattern: r"\bprocess::(exit|abort)\b|\b_exit\b",
        from: EVERYWHERE,
        except: &["script/bridge/fault.rs"],
        in_tests: true,
        advice: "ending the process skips reports and destructors; return an `Exit` to `cli::main`",
    },
    Absence {
        pattern: r"\b(e?print(ln)?|dbg)!",
        from: EVERYWHERE,
        except: &["cli/"],
        in_tests: true,
        advice: "printing belongs to `cli`; anything else returns text, writes to a `Write` it is given, or sends an event",
    },
    Absence {
        pattern: r"\bio::(stdout|stderr)\b|\banstream::(stdout|stderr)\b",
        from: EVERYWHERE,
        except: &["cli/", "output/mod.rs", "output/terminal.rs"],
        in_tests: false,
        advice: "standard output and error belong to `cli` and the terminal outputs; take a `Write` as an argument",
    },
    Absence {
        pattern: r"\btokio\b|\b(Instant|SystemTime)::now\b|\bstd::(fs|net|env|process|thread)\b|\bjiff\b",
        from: PURE,
        except: &[],
        in_tests: false,
        advice: "this module is data and arithmetic: let whoever calls it do the IO and read the clock, and pass the result in",
    },
    Absence {
        pattern: r"\brhai\b|\bcrate::metric\b|\bcrate::(event|report|vu)\b",
        from: &["net"],
        except: &[],
        in_tests: false,
        advice: "`net` returns an `Exchange`; what is recorded of it is the business of `script`",
    },
    Absence {
        pattern: r"\brhai\b|\bcrate::net\b|\bhyper\w*::|\bhttp::|\breqwest\b|\banstream\b|\bstd::(fs|net|env)\b|\bio::(Read|Write|std\w+)\b",
        from: &["engine"],
        except: &["engine/health/probe.rs"],
        in_tests: false,
        advice: "`engine` drives `dyn Vu` and knows no script, protocol, terminal or file",
    },
    Absence {
        pattern: r"\bstd::time::(Instant\b|\{[^}]*\bInstant\b)|\bSystemTime\b",
        from: &["engine"],
        except: &[],
        in_tests: false,
        advice: "`engine` reads tokio's clock (`tokio::time::Instant`), so that its tests can pause time",
    },
    Absence {
        pattern: r"\brhai\b|\bcrate::(net|vu)\b",
        from: &["output"],
        except: &[],
        in_tests: false,
        advice: "`output` sees one-second snapshots, events and reports, and nothing else",
    },
    Absence {
        pattern: r"\bthread::(spawn|Builder|scope)\b|\bspawn_blocking\b",
        from: &["script", "net"],
        except: &["net/tls.rs"],
        in_tests: false,
        advice: "threads are started by `engine`, `output`, `demo` and `cli` alone: a virtual user stays on its worker's thread",
    },
    Absence {
        pattern: r"\bunbounded\w*\b|\bstd::sync::mpsc::channel\b|\bmpsc::channel\(\s*\)",
        from: EVERYWHERE,
        except: &[],
        in_tests: false,
        advice: "every queue has a bound; say what happens when it is full",
    },
    Absence {
        pattern: r"\bstatic\s+mut\b|\bstatic\s+[A-Z_0-9]+\s*:[^=;]*\b(Mutex|RwLock|Atomic\w+|OnceLock|OnceCell|RefCell|Cell)\b",
        from: EVERYWHERE,
        except: &["script/bridge/", "memory.rs"],
        in_tests: false,
        advice: "no global mutable state: two runs can share a process; put it into a value that is passed along",
    },
    Absence {
        pattern: r"\b(todo|unimplemented)!|#\[ignore\b",
        from: EVERYWHERE,
        except: &[],
        in_tests: true,
        advice: "finish it, or leave it out and say so in the documentation",
    },
];

/// The patterns of [`ABSENCES`], in its order.
static ABSENT: LazyLock<Vec<Regex>> =
    LazyLock::new(|| ABSENCES.iter().map(|absence| Regex::new(absence.pattern).expect("a pattern")).collect());

/// The most lines of code a file has before its tests.
const LINES_MAX: usize = 600;

/// The most lines of a file that holds tests.
const TEST_LINES_MAX: usize = 900;

/// Names that say nothing about what is in a file.
const VAGUE_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "types", "imp"];

/// What no text of the project has, whatever its language.
static UNWANTED_TEXT: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"(?m)^(<{7}|>{7}|={7})( |$)", "resolve the conflict"),
        (r"\b(FIXME|XXX|TODO)\b", "do it now, or describe what is missing where users read it"),
        (r"(?i)\bissues? #?[0-9]+\b|(^|[\s(])#[0-9]+\b", "say what it is about: numbers of issues mean nothing here"),
        (r"(^|[\s`\x22'(=])/(work|root|home|Users)/", "name no directory of somebody's machine"),
        (r"(?m)[ \t]+$", "remove the blanks at the end of the line"),
    ]
    .map(|(pattern, advice)| (Regex::new(pattern).expect("a pattern"), advice))
    .into()
});

/// The text with comments and literals blanked: line numbers stay.
fn code_of(text: &str) -> String {
    static HIDDEN: LazyLock<Regex> = LazyLock::new(|| {
        let comment = r"//[^\n]*|/\*(?s:.*?)\*/";
        let raw = r##"\bb?r"[^"]*"|\bb?r#"(?s:.*?)"#|\bb?r\x23{2}"(?s:.*?)"\x23{2}"##;
        let string = r#""(?:[^"\\]|\\(?s:.))*""#;
        let character = r"'(?:[^'\\\n]|\\[^\n][^'\n]*)'";
        Regex::new(&[comment, raw, string, character].join("|")).expect("a pattern")
    });
    let blank = |found: &regex::Captures<'_>| {
        found[0].chars().map(|character| if character == '\n' { '\n' } else { ' ' }).collect::<String>()
    };
    HIDDEN.replace_all(text, blank).into_owned()
}

/// Where the tests at the bottom of a file begin, as an offset into its code.
fn tests_begin(code: &str) -> usize {
    static TESTS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^#\[cfg\(test\)\]\s*(?:#\[[^\n]*\]\s*)*mod \w+ \{").expect("a pattern"));
    TESTS.find(code).map_or(code.len(), |found| found.start())
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text[..offset].matches('\n').count()
}

/// The module at the root of the crate that a path below `src/` belongs to.
fn root_module(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Whether a file is nothing but tests.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.contains("/tests/")
        || ["output/compliance.rs", "output/sample.rs"].contains(&path)
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Whether `path` lies where `place` says: a folder with its slash, a file, a module, or everywhere.
fn lies_in(path: &str, place: &str) -> bool {
    place.is_empty() || path == place || place.ends_with('/') && path.starts_with(place) || root_module(path) == place
}

/// The modules at the root of the crate that code names, with the offsets.
fn imports(code: &str) -> Vec<(usize, String)> {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bcrate::\s*(\w+|\{)").expect("a pattern"));
    let mut found = Vec::new();
    for import in NAMED.captures_iter(code) {
        let name = import.get(1).expect("a group");
        if name.as_str() != "{" {
            found.push((name.start(), name.as_str().to_owned()));
            continue;
        }
        // `use crate::{a::b, c::{d, e}}`: the first word of each item at depth one.
        let (mut depth, mut expects) = (1, true);
        let mut word = String::new();
        for (at, character) in code[name.end()..].char_indices() {
            if expects && (character.is_alphanumeric() || character == '_') {
                word.push(character);
                continue;
            }
            if !word.is_empty() {
                found.push((name.end() + at, std::mem::take(&mut word)));
                expects = false;
            }
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => expects = true,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

/// Judges the layers in one file of `src/`.
fn examine_layers(path: &str, code: &str, complain: &mut dyn FnMut(usize, String)) {
    static UPWARDS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(super(?:::super)*)::(\w+)").expect("a pattern"));
    let own = root_module(path);
    if own == "lib" || own == "main" {
        return;
    }
    let Some(layer) = layer_of(own) else {
        complain(0, format!("`{own}` has no layer: give it one in LAYERS here and in the table of src/lib.rs"));
        return;
    };
    for (at, name) in imports(code) {
        // A macro or an item of the crate's root has no layer; there is none today.
        let Some(other) = layer_of(&name) else {
            complain(at, format!("`crate::{name}` is no module with a layer"));
            continue;
        };
        if name != own && other >= layer {
            let advice = "move what both need into a layer below, or pass it in as a value or a trait (src/vu.rs, \
                          src/event.rs); where parts of one layer meet is src/session.rs";
            complain(at, format!("`{own}` must not import `{name}`, which is not below it: {advice}"));
        }
    }
    let depth = path.trim_end_matches("/mod.rs").split('/').count();
    for found in UPWARDS.captures_iter(code) {
        let at = found.get(1).expect("a group").start();
        if found[1].matches("super").count() >= depth && layer_of(&found[2]).is_some() {
            complain(at, "this leads out of the module: write `crate::`, so that layers can be seen".into());
        }
    }
}

/// Judges one file by its path from the root of the repository: complaints as `path:line: what is wrong and what to do`.
fn examine(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |line: usize, what: String| complaints.push(format!("{path}:{line}: {what}"));
    let tidy_itself = path == "tests/tidy.rs";
    if !tidy_itself && !path.starts_with("LICENSE") {
        for (unwanted, advice) in UNWANTED_TEXT.iter() {
            for found in unwanted.find_iter(text) {
                complain(line_of(text, found.start()), format!("`{}`: {advice}", found.as_str().trim()));
            }
        }
    }
    if !text.ends_with('\n') {
        complain(line_of(text, text.len()), "end the last line".into());
    }
    let is_rust = path.ends_with(".rs");
    if (is_rust || path.ends_with(".rhai")) && !text.starts_with("//!") {
        complain(1, "begin with `//!`: what the file does, how it fits, what it leaves out".into());
    }
    if !is_rust {
        return complaints;
    }
    let name = Path::new(path).file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    if VAGUE_NAMES.contains(&name) {
        complain(1, format!("`{name}` says nothing: name the file for what is in it"));
    }
    let code = code_of(text);
    let Some(below_src) = path.strip_prefix("src/") else {
        if line_of(text, text.len()) > TEST_LINES_MAX + 1 {
            complain(1, format!("more than {TEST_LINES_MAX} lines: split it by subject"));
        }
        let unfinished = Regex::new(r"#\[ignore\b|\b(todo|unimplemented)!").expect("a pattern");
        for found in unfinished.find_iter(&code) {
            complain(line_of(&code, found.start()), format!("`{}`: finish it or leave it out", found.as_str()));
        }
        return complaints;
    };
    let is_test_file = is_test_file(below_src);
    let tests_at = if is_test_file { 0 } else { tests_begin(&code) };
    let (lines, lines_max) = match is_test_file {
        true => (line_of(text, text.len()) - 1, TEST_LINES_MAX),
        false => (line_of(&code, tests_at) - 1, LINES_MAX),
    };
    if lines > lines_max {
        complain(1, format!("{lines} lines, of at most {lines_max}: split the file by what it does"));
    }
    examine_layers(below_src, &code[..tests_at], &mut |at, what| complain(line_of(&code, at), what));
    for (Absence { from, except, in_tests, advice, .. }, pattern) in ABSENCES.iter().zip(ABSENT.iter()) {
        let is_meant =
            from.iter().any(|place| lies_in(below_src, place)) && !except.iter().any(|place| lies_in(below_src, place));
        if is_meant {
            let judged = if *in_tests { &code[..] } else { &code[..tests_at] };
            for found in pattern.find_iter(judged) {
                complain(line_of(judged, found.start()), format!("`{}`: {advice}", found.as_str()));
            }
        }
    }
    complaints
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The texts of the project: paths from its root, with their content.
fn texts() -> Vec<(String, String)> {
    const PLACES: [&str; 12] = [
        "src",
        "tests",
        "benches",
        "stdlib",
        "scripts",
        "docs",
        ".ci",
        "README.md",
        "CHANGELOG.md",
        "Cargo.toml",
        "clippy.toml",
        "justfile",
    ];
    let mut waiting: Vec<PathBuf> = PLACES.iter().map(|place| root().join(place)).collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        // What npm fetched for the page's tests is not the project's.
        if path.file_name().is_some_and(|name| name == "node_modules") {
            continue;
        }
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        // Pictures and the like are no text.
        if let Ok(text) =
            String::from_utf8(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        {
            let shown = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
            found.push((shown, text));
        }
    }
    found.sort();
    found
}

#[test]
fn the_repository_is_tidy() {
    let texts = texts();
    assert!(texts.len() > 100, "only {} files were found", texts.len());
    let complaints: Vec<String> = texts.iter().flat_map(|(path, text)| examine(path, text)).collect();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn every_module_has_a_layer_and_a_line_in_the_map() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules: Vec<&str> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut layered: Vec<&str> = LAYERS.concat().into_iter().filter(|module| *module != "main").collect();
    layered.sort_unstable();
    assert_eq!(modules, layered, "src/lib.rs on the left, LAYERS of tests/tidy.rs on the right");
    let architecture = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for module in modules {
        assert!(lib.contains(&format!("[`{module}`]")), "the map in src/lib.rs leaves `{module}` out");
        assert!(architecture.contains(&format!("`{module}`")), "docs/architecture.md leaves `{module}` out");
    }
}

#[test]
fn panics_unwind_in_every_profile() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let aborts = Regex::new(r#"(?m)^\s*panic\s*=\s*"abort""#).unwrap();
    assert!(!aborts.is_match(&manifest), "a virtual user's panic is caught where its script began: it has to unwind");
    assert!(aborts.is_match("[profile.x]\npanic = \"abort\"\n"));
}

#[test]
fn what_is_untidy_is_noticed() {
    for (path, text, expected) in [
        ("src/metric/x.rs", "use crate::engine::run;\n", "`metric` must not import `engine`"),
        ("src/metric/x.rs", "use crate::{units, plan::Plan};\n", "`metric` must not import `plan`"),
        ("src/script/x.rs", "fn f() { crate::demo::run() }\n", "`script` must not import `demo`"),
        ("src/script/x.rs", "use crate::cli;\n", "`script` must not import `cli`"),
        ("src/script/x.rs", "use super::super::demo;\n", "leads out of the module"),
        ("src/script/modules/x.rs", "use super::super::super::demo;\n", "leads out of the module"),
        ("src/script/modules/mod.rs", "use super::super::demo;\n", "leads out of the module"),
        ("src/novel.rs", "fn f() {}\n", "`novel` has no layer"),
        ("src/net/x.rs", "use crate::metric::Tags;\n", "returns an `Exchange`"),
        ("src/engine/x.rs", "use hyper::Request;\n", "drives `dyn Vu`"),
        ("src/engine/x.rs", "let at = std::time::Instant::now();\n", "tokio's clock"),
        ("src/plan/x.rs", "use tokio::time;\n", "data and arithmetic"),
        ("src/vu.rs", "let now = Instant::now();\n", "data and arithmetic"),
        ("src/output/x.rs", "use crate::vu::Vu;\n", "and nothing else"),
        ("src/output/x.rs", "println!();\n", "printing belongs to `cli`"),
        ("src/output/x.rs", "let out = io::stdout();\n", "take a `Write`"),
        ("src/script/x.rs", "std::thread::spawn(f);\n", "threads are started by"),
        ("src/net/x.rs", "unsafe { f() }\n", "`unsafe` lives in"),
        ("src/net/x.rs", "#[cfg(test)]\nmod tests {\n    fn f() { unsafe { g() } }\n}\n", "`unsafe` lives in"),
        ("src/cli/x.rs", "std::process::exit(1);\n", "return an `Exit`"),
        ("src/engine/x.rs", "let queue = mpsc::unbounded_channel();\n", "every queue has a bound"),
        ("src/engine/x.rs", "let queue = mpsc::channel();\n", "every queue has a bound"),
        ("src/demo/x.rs", "static COUNT: AtomicU64 = AtomicU64::new(0);\n", "no global mutable state"),
        ("src/demo/x.rs", "fn f() { todo!() }\n", "finish it"),
        ("src/demo/x.rs", "#[cfg(test)]\nmod tests {\n    #[test]\n    #[ignore]\n    fn f() {}\n}\n", "finish it"),
        ("tests/x.rs", "#[test]\n#[ignore]\nfn f() {}\n", "finish it"),
        ("src/demo/helpers.rs", "fn f() {}\n", "says nothing"),
        ("src/demo/x.rs", "// FIXME: slow\n", "do it now"),
        ("docs/x.md", "As issue 12 says.\n", "numbers of issues"),
        ("docs/x.md", "See (#12).\n", "numbers of issues"),
        ("docs/x.md", "In `/home/ann/loadr`.\n", "no directory of somebody's machine"),
        ("docs/x.md", "blank \n", "remove the blanks"),
        ("docs/x.md", "no end", "end the last line"),
        ("stdlib/x.rhai", "<<<<<<< HEAD\n", "resolve the conflict"),
        ("stdlib/x.rhai", "fn f() {}\n", "begin with `//!`"),
    ] {
        let head = if path.ends_with(".rs") { "//! Test.\n" } else { "" };
        let complaints = examine(path, &format!("{head}{text}"));
        assert!(complaints.iter().any(|complaint| complaint.contains(expected)), "{path}: {text}{complaints:?}");
    }
    let long = format!("//! Test.\n{}", "fn f() {}\n".repeat(LINES_MAX));
    assert!(examine("src/demo/x.rs", &long)[0].contains("split the file"), "a long file");
    assert!(examine("src/demo/x.rs", "fn f() {}\n")[0].contains("begin with `//!`"), "a file without a head");
}

#[test]
fn what_is_tidy_is_left_alone() {
    for (path, text) in [
        ("src/plan/x.rs", "use crate::{metric::Kind, units::{self, format}};\n"),
        ("src/script/x.rs", "/// As in [`crate::demo`].\nlet text = \"crate::demo // unsafe\"; let c = '\"';\n"),
        ("src/script/x.rs", "let raw = r#\"println!(\"x\"); todo!()\"#; fn f<'a>(a: &'a str) {}\n"),
        ("src/script/x.rs", "#[cfg(test)]\nmod tests {\n    use crate::demo::Server;\n}\n"),
        ("src/script/modules/x.rs", "use super::super::error;\n"),
        ("src/script/tests.rs", "use crate::demo::Server;\n"),
        ("src/script/bridge/x.rs", "unsafe { f() }\n"),
        ("src/session.rs", "use crate::{demo, engine, output, script};\n"),
        ("src/cli/x.rs", "println!();\n"),
        ("src/vu.rs", "use std::time::Instant;\n"),
        ("src/engine/x.rs", "let queue = mpsc::channel(8);\n"),
    ] {
        assert_eq!(examine(path, &format!("//! Test.\n{text}")), [""; 0], "{path}: {text}");
    }
    assert_eq!(examine("docs/x.md", "# A heading\n\n`#{id}` and `items.#.price` and a row: |#1|\n"), [""; 0]);
}
