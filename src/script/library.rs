//! What the standard library says of itself: the comments of `stdlib/*.rhai`, read into the shape of the reference.
//!
//! A file begins with `//!` lines: a paragraph that says what it is for, then, indented, the `import` that gives it its
//! usual name, then more paragraphs if there is more to say. A function that scripts may call has `///` lines before it:
//!
//! ```text
//! /// What it does. More of it, and more paragraphs.
//! ///
//! /// - `limit`: what the parameter means; `page`, `size`: two of them.
//! /// -> Response or (): the type of what it gives, and what that is
//! /// Throws: when it throws.
//! ///
//! ///     an example; assert_eq(page::load(BASE).ok, true);
//! fn load(limit, page, size) {
//! ```
//!
//! A function of the same name that follows without a comment is another form of it. `private` functions need no comment.
//!
//! An example is the body of a journey, or, with a `fn journey` in it, a whole script; a test runs each of them against the
//! demo server, with the file imported under its usual name and `const BASE = env("BASE_URL");` before it.

use super::reference::{Entry, Parameter, Section};
use super::source::STDLIB;

/// The files of the standard library, in its order.
#[must_use]
pub fn sections() -> Vec<Section> {
    STDLIB.iter().map(|(path, text)| section(path, text)).collect()
}

/// What comes before an example so that it is a script.
#[must_use]
pub fn preamble(section: &Section) -> String {
    format!("{}\nconst BASE = env(\"BASE_URL\");\n", section.import)
}

fn section(path: &str, text: &str) -> Section {
    let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let (prose, import) = prose_and_code(&head);
    let (summary, about) = prose.split_once("\n\n").unwrap_or((&prose, ""));
    let alias = import.rsplit(" as ").next().unwrap_or_default().trim_end_matches([';', '\n']);
    Section {
        name: path.to_owned(),
        functions: functions(text, alias),
        summary: summary.to_owned(),
        about: about.to_owned(),
        import: import.trim().to_owned(),
    }
}

/// The prose of a comment, one line a paragraph, and its indented lines.
fn prose_and_code(lines: &[&str]) -> (String, String) {
    let (mut prose, mut code) = (String::new(), String::new());
    let mut joins = false;
    for line in lines {
        if let Some(indented) = line.strip_prefix("     ") {
            code += indented;
            code.push('\n');
        } else if line.trim().is_empty() {
            // A blank line within an example is one of its lines.
            if !code.is_empty() {
                code.push('\n');
            }
            joins = false;
        } else {
            prose += match (joins, prose.is_empty()) {
                (true, _) => " ",
                (false, true) => "",
                (false, false) => "\n\n",
            };
            prose += line.trim();
            joins = true;
        }
    }
    (prose, code.trim_end().to_owned())
}

/// The documented functions of a file.
fn functions(text: &str, alias: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("///") {
            comment.push(rest);
            continue;
        }
        let comment = std::mem::take(&mut comment);
        let Some(declared) = line.strip_prefix("fn ").and_then(|rest| Some(&rest[..=rest.find(')')?])) else {
            continue;
        };
        let form = format!("{alias}::{declared}");
        let name = form[..form.find('(').unwrap_or(form.len())].to_owned();
        if comment.is_empty() {
            if let Some(last) = found.last_mut().filter(|last| last.names.contains(&name)) {
                let result = last.signature.find(" -> ").unwrap_or(last.signature.len());
                last.signature.insert_str(result, &format!(", {form}"));
            }
            continue;
        }
        found.push(entry(name, form, &comment));
    }
    found
}

fn entry(name: String, mut signature: String, comment: &[&str]) -> Entry {
    let mut prose = Vec::new();
    let mut parameters: Vec<Parameter> = Vec::new();
    let (mut result, mut errors) = (String::new(), String::new());
    // Where a line that goes on belongs to.
    let mut open: Option<&mut String> = None;
    for line in comment {
        let text = line.trim();
        if line.starts_with("     ") || text.is_empty() {
            open = None;
            prose.push(*line);
        } else if let Some((names, meaning)) = text.strip_prefix("- ").and_then(|rest| rest.split_once(": ")) {
            parameters.push(Parameter { name: names.replace('`', ""), meaning: meaning.to_owned() });
            open = parameters.last_mut().map(|parameter| &mut parameter.meaning);
        } else if let Some(given) = text.strip_prefix("-> ") {
            let (kind, meaning) = given.split_once(": ").unwrap_or((given, ""));
            signature += &format!(" -> {kind}");
            meaning.clone_into(&mut result);
            open = Some(&mut result);
        } else if let Some(when) = text.strip_prefix("Throws: ") {
            errors = when.to_owned();
            open = Some(&mut errors);
        } else if let Some(open) = &mut open {
            open.push(' ');
            open.push_str(text);
        } else {
            prose.push(*line);
        }
    }
    let (summary, example) = prose_and_code(&prose);
    Entry { names: vec![name], signature, summary, parameters, result, errors, example }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "//! What it is\n//! for.\n//!\n//!     import \"std/page\" as pages;\n//!\n//! More.\n\n\
        const X = 1;\n\n\
        /// Loads it.\n/// All.\n///\n/// - `url`: where\n///   it is\n/// - `a`, `b`: both\n/// -> Response or (): what\n/// came\n\
        /// Throws: when\n/// it can't.\n///\n///     let x = 1;\n///\n///       x + 1\nfn load(url, a, b) {\n}\n\n\
        fn load(url) {\n}\n\nprivate fn hidden() {}\n\n/// Other.\n///\n///     pages::other()\nfn other() {}\n";

    #[test]
    fn comments_become_the_reference() {
        let section = section("std/page", FILE);
        assert_eq!((section.name.as_str(), section.summary.as_str()), ("std/page", "What it is for."));
        assert_eq!((section.about.as_str(), section.import.as_str()), ("More.", "import \"std/page\" as pages;"));
        let [load, other] = section.functions.as_slice() else { panic!("{:?}", section.functions) };
        assert_eq!(load.signature, "pages::load(url, a, b), pages::load(url) -> Response or ()");
        assert_eq!(load.names, ["pages::load"]);
        assert_eq!(load.summary, "Loads it. All.");
        let meanings = [("url", "where it is"), ("a, b", "both")];
        let meanings = meanings.map(|(name, meaning)| Parameter { name: name.into(), meaning: meaning.into() });
        assert_eq!(load.parameters, meanings);
        assert_eq!((load.result.as_str(), load.errors.as_str()), ("what came", "when it can't."));
        assert_eq!(load.example, "let x = 1;\n\n  x + 1");
        assert_eq!((other.signature.as_str(), other.example.as_str()), ("pages::other()", "pages::other()"));
    }

    #[test]
    fn every_function_of_the_library_is_documented_whole() {
        let mut wrong = Vec::new();
        for ((path, text), section) in STDLIB.iter().zip(sections()) {
            let import = format!("import \"{path}\" as ");
            if !section.import.starts_with(&import) || section.summary.is_empty() {
                wrong.push(format!("{path}: begin with what it is for, and the import that gives it its usual name"));
            }
            let declared: Vec<&str> =
                text.lines().filter_map(|line| line.strip_prefix("fn ")?.split('(').next()).collect();
            for name in declared {
                if !section.functions.iter().any(|entry| entry.names[0].ends_with(&format!("::{name}"))) {
                    wrong.push(format!("{path}: `{name}` has no comment"));
                }
            }
            for entry in &section.functions {
                let name = &entry.names[0];
                if entry.summary.is_empty() || !entry.example.contains(&format!("{name}(")) {
                    wrong.push(format!("{path}: `{name}` wants a sentence, and an example that calls it"));
                }
                let first = entry.signature.split([')']).next().unwrap_or_default();
                let forms = entry.signature.split(" -> ").next().unwrap_or_default().split("), ");
                let parameters = forms.flat_map(|form| {
                    form.split_once('(').map_or("", |(_, list)| list).trim_end_matches(')').split(", ")
                });
                for parameter in parameters.filter(|parameter| !parameter.is_empty()) {
                    let named = |known: &Parameter| known.name.split(", ").any(|name| name == parameter);
                    if !entry.parameters.iter().any(named) {
                        wrong.push(format!("{path}: `{first})` does not say what `{parameter}` is"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
