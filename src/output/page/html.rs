//! The page as one file: styles, modules and data inside, and nothing from anywhere else.
//!
//! `assets/index.html` works as it stands from a static server; here its links are replaced by what they lead to:
//!
//! - lines `<link rel="stylesheet" href="NAME.css">` by one `<style>` with all of them, in their order,
//! - the line `<script type="module" src="main.js"></script>` by one module that is all modules joined,
//! - the data element by one that holds the document.
//!
//! Modules are joined by leaving out their imports and the word `export`: so imports are static and without renaming, and
//! top-level names are unique over all modules. A content security policy with the hashes of style and script keeps the
//! page from loading, sending or running anything else.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The page's skeleton.
const INDEX: &str = include_str!("assets/index.html");

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("assets/", $name)))),*]
    };
}

/// Styles and modules by file name. A file of `assets/` that is not here fails a test.
const ASSETS: &[(&str, &str)] = assets![
    "base.css",
    "cells.js",
    "charts.css",
    "columns.js",
    "datatable.js",
    "distribution.js",
    "dom.js",
    "errors.js",
    "figure.js",
    "format.js",
    "generator.js",
    "gestures.js",
    "heatmap.js",
    "listings.js",
    "live.js",
    "load.js",
    "main.js",
    "marks.js",
    "merge.js",
    "overview.js",
    "panel.js",
    "paths.js",
    "print.css",
    "print.js",
    "requests.js",
    "runinfo.js",
    "scale.js",
    "sections.js",
    "sentences.js",
    "specs.js",
    "state.js",
    "styles.js",
    "tables.css",
    "timechart.js",
    "timeline.js",
    "top.css",
    "xychart.js",
];

const DATA_OPENS: &str = r#"<script type="application/json" id="loadr-data">"#;
const SCRIPT_CLOSES: &str = "</script>";

/// Whom the page may speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// Nobody: it is a file.
    None,
    /// The server that it came from.
    Same,
}

/// What the page is made of, in the order of the file.
struct Parts {
    /// Up to the policy, which stands first in the head.
    before_policy: String,
    /// From there to the data.
    before_data: String,
    after_data: String,
    style_hash: String,
    script_hash: String,
}

static PARTS: LazyLock<Parts> = LazyLock::new(|| Parts::of(INDEX, ASSETS));

impl Parts {
    fn of(index: &str, assets: &[(&str, &str)]) -> Self {
        let file = |name: &str| assets.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
        let mut styles = String::new();
        let mut script = String::new();
        let mut page = String::new();
        for line in index.lines() {
            let tag = line.trim();
            if let Some(name) = between(tag, r#"<link rel="stylesheet" href=""#, r#"">"#) {
                styles.push_str(&body(file(name)).0);
                continue;
            }
            if let Some(name) = between(tag, r#"<script type="module" src=""#, r#""></script>"#) {
                script = join(name, assets);
                page.push_str(&format!("<script type=\"module\">{script}</script>\n"));
                continue;
            }
            if tag == "</head>" {
                page.push_str(&format!("<style>{styles}</style>\n"));
            }
            page.push_str(line);
            page.push('\n');
        }
        let (before_policy, rest) = page.split_once("<head>\n").unwrap_or(("", &page));
        let (before_data, rest) = rest.split_once(DATA_OPENS).unwrap_or((rest, SCRIPT_CLOSES));
        let (_, after_data) = rest.split_once(SCRIPT_CLOSES).unwrap_or(("", rest));
        Self {
            before_policy: format!("{before_policy}<head>\n"),
            before_data: format!("{before_data}{DATA_OPENS}"),
            after_data: format!("{SCRIPT_CLOSES}{after_data}"),
            style_hash: hash(&styles),
            script_hash: hash(&script),
        }
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.strip_prefix(before)?.strip_suffix(after)
}

fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// A module's text without its imports and exports, and the names of the modules it imports from. Comments that are lines
/// of their own and indentation are left out: a quarter of the text.
fn body(text: &str) -> (String, Vec<&str>) {
    let (mut code, mut imports) = (String::new(), Vec::new());
    let (mut in_import, mut in_comment) = (false, false);
    for line in text.lines() {
        let line = line.trim();
        in_comment |= line.starts_with("/*");
        if in_comment || line.is_empty() || line.starts_with("//") {
            in_comment &= !line.ends_with("*/");
            continue;
        }
        in_import |= line.starts_with("import ");
        if in_import {
            if let Some((_, from)) = line.split_once("\"./") {
                imports.extend(from.split('"').next());
            }
            in_import = !line.ends_with(';');
            continue;
        }
        code.push_str(line.strip_prefix("export ").unwrap_or(line));
        code.push('\n');
    }
    (code, imports)
}

/// The module and all that it imports, each once, after what it imports itself.
fn join(main: &str, assets: &[(&str, &str)]) -> String {
    fn add<'a>(name: &'a str, assets: &[(&'a str, &'a str)], seen: &mut Vec<&'a str>, joined: &mut String) {
        if seen.contains(&name) {
            return;
        }
        seen.push(name);
        let text = assets.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| *text);
        let (code, imports) = body(text);
        for import in imports {
            add(import, assets, seen, joined);
        }
        joined.push_str(&code);
    }
    let (mut seen, mut joined) = (Vec::new(), String::from("\n"));
    add(main, assets, &mut seen, &mut joined);
    joined
}

/// The page's content security policy, for a header.
pub(super) fn policy(network: Network) -> String {
    let connect = match network {
        Network::None => "'none'",
        Network::Same => "'self'",
    };
    let Parts { style_hash, script_hash, .. } = &*PARTS;
    format!(
        "default-src 'none'; script-src {script_hash}; style-src {style_hash}; img-src data:; connect-src {connect}; \
         base-uri 'none'; form-action 'none'"
    )
}

/// The page with its data, a JSON document.
pub(super) fn page(data: &str, network: Network) -> String {
    let Parts { before_policy, before_data, after_data, .. } = &*PARTS;
    let policy = policy(network);
    // In JSON `<` occurs within strings alone: no name can end the element, or begin a comment.
    let data = data.replace('<', "\\u003c");
    format!(
        "{before_policy}<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n{before_data}{data}{after_data}"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use regex::Regex;

    use super::*;

    fn modules() -> impl Iterator<Item = (&'static str, &'static str)> {
        ASSETS.iter().copied().filter(|(name, _)| name.ends_with(".js"))
    }

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/output/page/assets");
        let found: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "index.html")
            .collect();
        let known: BTreeSet<String> = ASSETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(found, known, "`ASSETS` lists what is in {folder}");
    }

    /// The line of a module in which a text between backticks is broken off; code within it may be.
    fn broken_text(module: &str) -> Option<&str> {
        for line in module.lines().scan(Vec::new(), |depths, line| {
            // For each text that is open the depth of braces of the code within it, 0 when it is the text itself.
            let mut chars = line.chars().peekable();
            while let Some(c) = chars.next() {
                match (c, depths.last().copied()) {
                    ('\\', _) => _ = chars.next(),
                    ('`', Some(0)) => _ = depths.pop(),
                    ('`', _) => depths.push(0_u32),
                    ('$', Some(0)) if chars.peek() == Some(&'{') => {
                        chars.next();
                        *depths.last_mut()? = 1;
                    }
                    (_, Some(0)) => {}
                    ('/', _) if chars.peek() == Some(&'/') => break,
                    ('"' | '\'', _) => {
                        while let Some(inner) = chars.next().filter(|&inner| inner != c) {
                            if inner == '\\' {
                                chars.next();
                            }
                        }
                    }
                    ('{', Some(_)) => *depths.last_mut()? += 1,
                    ('}', Some(_)) => *depths.last_mut()? -= 1,
                    _ => {}
                }
            }
            Some((line, depths.last() == Some(&0)))
        }) {
            let ((line, true), false) = (line, line.0.trim().starts_with(['*', '/'])) else { continue };
            return Some(line);
        }
        None
    }

    #[test]
    fn a_broken_text_is_noticed() {
        for (module, broken) in [
            ("a(`b`);\nc(\"`\", /x/);", None),
            ("a(`b ${c ? `d` : \"`\"} \\` e`);", None),
            ("a(`b ${\n  c}`);", None),
            ("// don't `\na();", None),
            ("a(`b\n  c`);", Some("a(`b")),
            ("a(`b ${c}\n  d`);", Some("a(`b ${c}")),
        ] {
            assert_eq!(broken_text(module), broken, "{module}");
        }
    }

    #[test]
    fn modules_can_be_joined() {
        let declaration = Regex::new(r"(?m)^(?:export )?(?:async )?(?:function\*?|const|let|class) +([\w$]+)").unwrap();
        let import = Regex::new(r#"(?ms)^import \{([^}]*)\} from "\./([\w.-]+)";$"#).unwrap();
        let odd = Regex::new(
            r"(?m)^(export default|export \{|export \*|import \*|import [\w$]+ from|import \x22|export let)",
        )
        .unwrap();
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        let mut reached = BTreeSet::from(["main.js"]);
        for (name, text) in modules() {
            assert!(!odd.is_match(text), "{name}: only named imports and exports of declarations can be joined");
            assert!(!text.to_lowercase().contains("</script"), "{name} would end its own element");
            assert_eq!(
                broken_text(text),
                None,
                "{name}: a text goes over a line's end, and its indentation would be lost"
            );
            for found in declaration.captures_iter(text) {
                let top = found.get(1).unwrap().as_str();
                let before = owners.insert(top, name);
                assert_eq!(before, None, "{top} is declared in two modules, {name} is one");
            }
            assert_eq!(
                text.matches("\nimport ").count() + usize::from(text.starts_with("import ")),
                import.find_iter(text).count(),
                "{name}: an import that is not understood"
            );
            for found in import.captures_iter(text) {
                let from = found.get(2).unwrap().as_str();
                let source = modules().find(|(known, _)| *known == from);
                let (_, source) = source.unwrap_or_else(|| panic!("{name} imports from {from}, which is not there"));
                reached.insert(from);
                for wanted in found[1].split(',').map(str::trim).filter(|wanted| !wanted.is_empty()) {
                    assert!(!wanted.contains(" as "), "{name}: {wanted} renames");
                    let exported = Regex::new(&format!(
                        r"(?m)^export (async )?(function\*?|const|class) +{}\b",
                        regex::escape(wanted)
                    ));
                    assert!(
                        exported.unwrap().is_match(source),
                        "{name} imports {wanted}, which {from} does not export"
                    );
                }
            }
        }
        let all: BTreeSet<&str> = modules().map(|(name, _)| name).collect();
        assert_eq!(reached, all, "each module is imported by another one");
    }

    #[test]
    fn a_module_comes_after_what_it_imports() {
        let assets = [
            ("main.js", "import { b } from \"./b.js\";\nimport {\n  a,\n} from \"./a.js\";\nb(a);\n"),
            ("a.js", "export const a = 1;\n"),
            (
                "b.js",
                "// What b is.\nimport { a } from \"./a.js\";\n\n/**\n * Gives a.\n */\nexport function b() {\n  return a; // a\n}\n",
            ),
        ];
        assert_eq!(join("main.js", &assets), "\nconst a = 1;\nfunction b() {\nreturn a; // a\n}\nb(a);\n");
    }

    #[test]
    fn the_page_holds_everything_and_loads_nothing() {
        let hostile = r#"{"name":"</script><script>alert(1)</script><!--"}"#;
        let page = page(hostile, Network::None);
        assert!(page.starts_with("<!doctype html>"), "{}", &page[..40]);
        let data = page.split_once(DATA_OPENS).unwrap().1.split_once(SCRIPT_CLOSES).unwrap().0;
        let read: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(read["name"], "</script><script>alert(1)</script><!--");
        for part in ["<link rel=\"stylesheet\"", "src=\"main.js\"", "http://", "https://"] {
            let place = page.find(part);
            let shown = place.map(|at| page[at..].chars().take(80).collect::<String>());
            // Names of namespaces are no addresses that anything is loaded from.
            let namespace = shown.as_deref().is_some_and(|shown| shown.starts_with("http://www.w3.org/"));
            assert!(place.is_none() || namespace, "{part}: {shown:?}");
        }
        let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        let script = page.split_once("<script type=\"module\">").unwrap().1.split_once(SCRIPT_CLOSES).unwrap().0;
        let policy = policy(Network::None);
        assert!(policy.contains(&hash(style)) && policy.contains(&hash(script)), "{policy}");
        assert!(page.contains(&policy) && policy.contains("connect-src 'none'"));
    }

    #[test]
    fn the_page_itself_is_small() {
        let empty = page("null", Network::None).len();
        assert!(empty <= 150_000, "{empty} bytes without data leave too little room for them");
    }
}
