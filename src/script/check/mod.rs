//! What is wrong with a script, told without running it: texts in, diagnostics out.
//!
//! [`analyse`] parses the script and what it imports, with recovery ([`parse`]), looks each file over ([`world`]) and walks
//! through it with names and evident types ([`walk`]). The rules hang on to the walk, a family a file: [`calls`] (names),
//! [`requests`] (arguments of loadr's own functions), [`logic`] (conditions and checks), [`flow`] (what runs at all); those
//! about whole files are here. The table of all rules is [`rules::RULES`].
//!
//! A rule speaks only where it is certain: what depends on a value that is not evident is left to the run. What needs the
//! init to run (options, thresholds) is the session's part of a check.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rhai::Engine;
use rustc_hash::{FxHashMap, FxHashSet};

use super::error::{Diagnostic, Place, Severity, Sources};
use crate::units;

mod calls;
mod evident;
mod flow;
mod hints;
mod known;
mod logic;
pub mod options;
mod parse;
mod requests;
pub mod rules;
mod syntax;
mod text;

mod walk;
mod world;

use options::OptionPlaces;
use text::{SourceText, TokenKind, tokens};
use walk::Walker;
use world::World;

/// What is known of the surroundings of a script.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// What `env` gives; none where that is not known.
    pub env: Option<&'a BTreeMap<String, String>>,
    /// Where paths of data files start; none where that is not known, or files are not to be looked for.
    pub base_dir: Option<&'a Path>,
    /// Whether it is a file that scripts import, looked at on its own: their constants are visible in it.
    pub is_library: bool,
}

/// What an analysis has found.
#[derive(Debug, Default)]
pub struct Analysis {
    /// The mistakes, by file (the script's own first) and place.
    pub diagnostics: Vec<Diagnostic>,
    /// Where the script's options stand.
    pub options: OptionPlaces,
    /// All files, by name: the script and what it imports.
    pub files: Vec<String>,
    /// The variables that the script can't do without and that are not set.
    pub missing_env: Vec<String>,
    /// The data files that are named in it, whether or not they are there.
    pub data_files: Vec<PathBuf>,
}

impl Analysis {
    /// Whether some of the files could not be parsed or found, so that the script can't be loaded.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        let codes = [rules::SYNTAX, rules::MISSING_IMPORT, rules::IMPORT_CYCLE, rules::UNREADABLE_FILE];
        self.diagnostics.iter().any(|found| codes.iter().any(|rule| rule.code == found.code))
    }
}

/// Functions that loadr calls by their name, and the most parameters that it has for them.
const HOOKS: &[(&str, usize)] = &[("setup", 0), ("teardown", 1), ("vu_start", 2), ("vu_stop", 2), ("summary", 1)];

/// Looks at a script, whose text is among the sources, and at what it imports, which is read into them.
///
/// The engine must have all host modules: it says what can be called.
#[must_use]
pub fn analyse(engine: &Engine, sources: &Sources, name: &str, facts: &Facts<'_>) -> Analysis {
    let mut world = World::open(engine, sources, name);
    let mut found = std::mem::take(&mut world.found);
    let mut functions_used = FxHashSet::default();
    let (mut missing_env, mut data_files) = (Vec::new(), Vec::new());
    for (index, file) in world.files.iter().enumerate() {
        if index > 0 && file.name.starts_with("std/") {
            continue;
        }
        let mut walker = Walker::new(&world, index, facts);
        walker.file();
        imports(&mut walker);
        functions_used.extend(std::mem::take(&mut walker.functions_used));
        missing_env.append(&mut walker.missing_env);
        data_files.append(&mut walker.data_files);
        found.append(&mut walker.out);
    }
    if !world.files.is_empty() && !facts.is_library {
        hooks(&world, &functions_used, &mut found);
    }
    for file in &world.files {
        allow(&file.name, &file.text, &mut found);
    }
    let files: Vec<String> = world.files.iter().map(|file| file.name.clone()).collect();
    sort(&mut found, &files);
    found.dedup_by(|a, b| a.place == b.place && a.code == b.code);
    // What is wrong in itself need not be used.
    let wrong: FxHashSet<(String, usize)> = found
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .map(|found| (found.place.source.clone(), found.place.line))
        .collect();
    found.retain(|found| {
        let beside = || wrong.contains(&(found.place.source.clone(), found.place.line));
        found.code != rules::UNUSED_RESULT.code || !beside()
    });
    Analysis {
        diagnostics: found,
        options: world.files.first().map(OptionPlaces::of).unwrap_or_default(),
        files,
        missing_env,
        data_files,
    }
}

/// By file, in that order, and place; what is about none of these files comes last.
pub fn sort(found: &mut [Diagnostic], files: &[String]) {
    let order: FxHashMap<&str, usize> = files.iter().enumerate().map(|(index, file)| (file.as_str(), index)).collect();
    found.sort_by_key(|found| {
        let file = order.get(found.place.source.as_str()).copied().unwrap_or(usize::MAX);
        (file, found.place.line, found.place.column, found.code)
    });
}

/// Whether a file looks like one that scripts import: it says neither what load there is nor what a virtual user does.
#[must_use]
pub fn is_library(text: &str) -> bool {
    let text_tokens = tokens(text);
    let words: Vec<&str> = text_tokens
        .iter()
        .filter(|token| token.kind == TokenKind::Word)
        .map(|token| &text[token.bytes.clone()])
        .collect();
    !words.windows(2).any(|pair| match pair {
        ["const", "options"] => true,
        ["fn", name] => units::nearest(name, ["journey"]).is_some() || HOOKS.iter().any(|(hook, _)| hook == name),
        _ => false,
    })
}

fn imports(walker: &mut Walker<'_>) {
    for import in &walker.file.imports {
        let Some(alias) = import.alias.as_deref() else { continue };
        if walker.world.known.has_module(alias) {
            let message = format!("`{alias}` is a module of loadr's own");
            walker.report(rules::SHADOWED_MODULE, import.alias_position, message).hint =
                Some(format!("import it under another name: `as my_{alias}`"));
        } else if !walker.aliases_used.contains(alias) && !walker.file.lost.contains(alias) && !walker.file.evals {
            let message = format!("the import `{alias}` is not used");
            walker.report(rules::UNUSED_IMPORT, import.alias_position, message);
        }
    }
}

/// Functions that loadr calls, or that look as if they were meant to be.
fn hooks(world: &World, used: &FxHashSet<String>, found: &mut Vec<Diagnostic>) {
    let file = &world.files[0];
    let journeys: Vec<&str> = file
        .functions
        .iter()
        .map(|function| function.name.as_str())
        .filter(|name| !HOOKS.iter().any(|(hook, _)| hook == name))
        .collect();
    for function in &file.functions {
        let name = function.name.as_str();
        let place = || file.place_of(name).unwrap_or_else(|| Place { source: file.name.clone(), line: 0, column: 0 });
        let tell = |rule: &rules::Rule, message: String, hint: String| Diagnostic {
            severity: rule.severity,
            code: rule.code,
            length: name.chars().count(),
            hint: Some(hint),
            ..Diagnostic::error(message, place())
        };
        if let Some((_, most)) = HOOKS.iter().find(|(hook, _)| *hook == name) {
            let given = function.params.len();
            if given > *most {
                let takes = match most {
                    0 => "no parameters: there is no virtual user yet, and no data",
                    1 if name == "summary" => "one parameter: the report",
                    1 => "at most one parameter: what `setup` has returned",
                    _ => "at most two parameters: the virtual user, and what `setup` has returned",
                };
                let message = format!("`{name}` is given {takes}");
                let arguments = match (*most, name) {
                    (0, _) => "",
                    (1, "summary") => "report",
                    (1, _) => "data",
                    _ => "vu, data",
                };
                found.push(tell(rules::WRONG_HOOK, message, format!("write `fn {name}({arguments})`")));
            }
            continue;
        }
        let is_called = used.contains(name) || world.execs.contains(name) || world.called.contains(name);
        if is_called || function.private || name == "journey" || journeys.len() == 1 {
            continue;
        }
        let plain = |text: &str| text.replace('_', "").to_lowercase();
        let meant = if plain(name) == "handlesummary" {
            Some("summary")
        } else {
            let names = HOOKS.iter().map(|(hook, _)| *hook);
            names.clone().find(|hook| plain(hook) == plain(name)).or_else(|| units::nearest(name, names))
        };
        if let Some(meant) = meant {
            let message = format!("nothing calls `{name}`: did you mean `{meant}`?");
            found.push(tell(rules::MISNAMED_HOOK, message, format!("loadr calls `{meant}` by that name alone")));
        }
    }
}

/// Leaves out what comments allow: `// loadr: allow(code)` on the line or above it, `//! loadr: allow(code)` for a file.
fn allow(name: &str, text: &SourceText, found: &mut Vec<Diagnostic>) {
    const MARK: &str = "loadr: allow(";
    if !text.as_str().contains(MARK) {
        return;
    }
    let mut unknown = Vec::new();
    for token in tokens(text.as_str()).into_iter().filter(|token| token.kind == TokenKind::Comment) {
        let comment = &text.as_str()[token.bytes.clone()];
        let Some(codes_at) = comment.find(MARK).map(|at| at + MARK.len()) else { continue };
        let codes = comment[codes_at..].split(')').next().unwrap_or_default();
        let whole_file = comment.starts_with("//!");
        let first = text.line_column(token.bytes.start).0;
        let is_alone = text.line(first).trim_start().starts_with("//");
        // The line below, or the first that is no comment.
        let mut last = first;
        while is_alone && text.line(last).trim_start().starts_with("//") {
            last += 1;
        }
        for code in codes.split(',').map(str::trim) {
            let rule = rules::find(code);
            if let Some(rule) = rule.filter(|rule| rule.severity == Severity::Warning) {
                found.retain(|known| {
                    let within = whole_file || (first..=last).contains(&known.place.line);
                    known.code != rule.code || known.place.source != name || !within
                });
                continue;
            }
            let at = token.bytes.start + codes_at + codes.find(code).unwrap_or(0);
            let (line, column) = text.line_column(at);
            let message = match rule {
                Some(_) => format!("`{code}` is an error, which can't be allowed"),
                None => format!("there is no rule `{code}`"),
            };
            let warnings = rules::RULES.iter().filter(|rule| rule.severity == Severity::Warning).map(|rule| rule.code);
            let near = units::nearest(code, warnings).map(|near| format!("did you mean `{near}`?"));
            unknown.push(Diagnostic {
                severity: rules::UNKNOWN_CODE.severity,
                code: rules::UNKNOWN_CODE.code,
                length: code.chars().count(),
                hint: near.filter(|_| rule.is_none()),
                ..Diagnostic::error(message, Place { source: name.to_owned(), line, column })
            });
        }
    }
    found.append(&mut unknown);
}
