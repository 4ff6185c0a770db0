//! Errors of host functions, and diagnostics: what a script did wrong, where, and how to mend it.
//!
//! A [`Diagnostic`] is rendered as rustc does it: the message, the place as `file:line:column`, the line with a caret, the
//! calls that led there, and a hint where one is known.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{EvalAltResult, ParseError, Position};
use rustc_hash::FxHashMap;

use super::diagnosis::{describe, lowercase_first, mistakes};
use super::rename;

/// The error that a host function gives to its script: a lowercase sentence that names what was wrong.
#[must_use]
pub fn host_error(message: impl Into<String>) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorRuntime(message.into().into(), Position::NONE))
}

/// The error with a place: its own, or else this one.
#[must_use]
pub fn placed(mut error: Box<EvalAltResult>, place: Position) -> Box<EvalAltResult> {
    if error.position().is_none() {
        error.set_position(place);
    }
    error
}

/// The texts of the script and of what it imports, by the name that diagnostics show. Shared by all workers, so that
/// they compile what was looked at, whatever happens to the files meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Sources(Arc<Mutex<BTreeMap<String, Arc<str>>>>);

impl Sources {
    /// The text of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Keeps a text.
    pub fn insert(&self, name: &str, text: Arc<str>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), text);
    }

    /// The names of all texts.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

/// A place in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user would name it.
    pub source: String,
    /// The line, from 1; 0 when it is not known.
    pub line: usize,
    /// The column in characters, from 1; 0 when it is not known.
    pub column: usize,
}

impl Place {
    /// Where Rhai says it is, in the file `source`.
    #[must_use]
    pub fn new(source: &str, position: Position) -> Self {
        Self { source: source.to_owned(), line: position.line().unwrap_or(0), column: position.position().unwrap_or(0) }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.column) {
            (0, _) => f.write_str(&self.source),
            (line, 0) => write!(f, "{}:{line}", self.source),
            (line, column) => write!(f, "{}:{line}:{column}", self.source),
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It can't work.
    Error,
    /// It works, but hardly as meant.
    Warning,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Something that belongs to a diagnostic: a related place, or what is to be known beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What there is to say.
    pub message: String,
    /// Where, if it is about a place.
    pub place: Option<Place>,
}

/// One error of a script, or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The rule that found it, as `docs/check.md` lists them; empty when it showed while the script ran.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Place,
    /// How many characters of the line it is about; 0 when only the start is known.
    pub length: usize,
    /// The calls that led there, the innermost first: the function's name, and where it was called.
    pub trace: Vec<(String, Place)>,
    /// What belongs to it.
    pub notes: Vec<Note>,
    /// How to mend it.
    pub hint: Option<String>,
}

/// The names that a script could have meant.
#[derive(Debug, Default)]
pub struct Vocabulary {
    /// Functions, with their namespace: `http::get`.
    pub functions: Vec<String>,
    /// The script's own functions and those that it imports, with the names of their parameters.
    pub signatures: Vec<(String, Vec<String>)>,
    /// Properties and methods of host types.
    pub properties: Vec<String>,
    /// Constants.
    pub constants: Vec<String>,
    /// Which file each closure stands in: Rhai gives the file of its caller.
    pub closures: ClosureFiles,
}

/// The files of closures, by the closure's internal name. Filled while files are loaded.
#[derive(Clone, Debug, Default)]
pub struct ClosureFiles(Rc<RefCell<FxHashMap<String, String>>>);

impl ClosureFiles {
    /// The closures among these functions stand in the file `source`.
    pub fn insert<'a>(&self, functions: impl IntoIterator<Item = &'a str>, source: &str) {
        let closures = functions.into_iter().filter(|name| name.starts_with(CLOSURE_PREFIX));
        self.0.borrow_mut().extend(closures.map(|name| (name.to_owned(), source.to_owned())));
    }

    fn get(&self, name: &str) -> Option<String> {
        self.0.borrow().get(name).cloned()
    }
}

/// The error at the bottom of the calls through which it came.
pub fn innermost(error: &EvalAltResult) -> &EvalAltResult {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
            innermost(inner)
        }
        leaf => leaf,
    }
}

/// How many calls of a trace are shown; the innermost are what matters.
const TRACE_MAX: usize = 8;

/// How Rhai's names of closures begin.
pub const CLOSURE_PREFIX: &str = "anon$";

impl Diagnostic {
    /// An error, with nothing but a message and a place.
    #[must_use]
    pub fn error(message: impl Into<String>, place: Place) -> Self {
        Self {
            severity: Severity::Error,
            code: "",
            message: message.into(),
            place,
            length: 0,
            trace: Vec::new(),
            notes: Vec::new(),
            hint: None,
        }
    }

    /// An error that is not about a place within the script.
    #[must_use]
    pub fn at_file(message: impl Into<String>, source: &str) -> Self {
        Self::error(message, Place { source: source.to_owned(), line: 0, column: 0 })
    }

    /// Of a script that could not be parsed.
    #[must_use]
    pub fn from_parse_error(error: &ParseError, source: &str) -> Self {
        let mut place = Place::new(source, error.1);
        let message = lowercase_first(&error.0.to_string());
        let hint = match &*error.0 {
            rhai::ParseErrorType::Reserved(word) => mistakes::elsewhere(word),
            rhai::ParseErrorType::ExprTooDeep => Some("take parts of it out into functions or variables".to_owned()),
            rhai::ParseErrorType::MissingToken(token, _) if token == ";" => {
                Some("a `;` is missing before this, or a word is misspelt just before it".to_owned())
            }
            _ => None,
        };
        if place.line == 0 {
            place.column = 0;
        }
        Self { hint, ..Self::error(message, place) }
    }

    /// Of a script that failed while it ran: what and where. [`super::diagnosis::explain`] adds why.
    #[must_use]
    pub fn from_eval_error(error: &EvalAltResult, source: &str, vocabulary: &Vocabulary) -> Self {
        let mut source = source.to_owned();
        let mut trace = Vec::new();
        let mut leaf = error;
        loop {
            match leaf {
                EvalAltResult::ErrorInFunctionCall(function, callee, inner, position) => {
                    trace.push((function_name(function), Place::new(&source, *position)));
                    if let Some(file) = vocabulary.closures.get(function) {
                        source = file;
                    } else if !callee.is_empty() {
                        source.clone_from(callee);
                    }
                    leaf = inner;
                }
                EvalAltResult::ErrorInModule(name, inner, position) => {
                    trace.push((format!("import \"{name}\""), Place::new(&source, *position)));
                    // The module's own name leads to its text, unless the error is about finding it.
                    if !matches!(**inner, EvalAltResult::ErrorModuleNotFound(..)) {
                        source = module_source(name, inner, &source);
                    }
                    leaf = inner;
                }
                _ => break,
            }
        }
        trace.reverse();
        let (message, hint) = describe(leaf, vocabulary);
        let mut place = Place::new(&source, leaf.position());
        if place.line == 0 {
            // Native functions don't know where they were called; the innermost call does.
            if let Some((_, called_at)) = trace.first() {
                place = called_at.clone();
            }
        }
        Self { trace, hint, ..Self::error(message, place) }
    }

    /// The first line: what and where.
    #[must_use]
    pub fn headline(&self) -> String {
        format!("{} ({})", self.message.lines().next().unwrap_or_default(), self.place)
    }

    /// The whole text, without a newline at its end.
    #[must_use]
    pub fn render(&self, sources: &Sources) -> String {
        // What can be allowed by its code shows it.
        let is_warning = self.severity == Severity::Warning && !self.code.is_empty();
        let code = if is_warning { format!("[{}]", self.code) } else { String::new() };
        let mut out = format!("{}{code}: {}", self.severity, self.message);
        // Options from the command line stand in no file.
        if !self.place.source.is_empty() {
            let _ = write!(out, "\n --> {}", self.place);
        }
        let text = sources.get(&self.place.source);
        if let Some(line) = text.as_deref().and_then(|text| text.lines().nth(self.place.line.wrapping_sub(1))) {
            let number = self.place.line.to_string();
            let margin = " ".repeat(number.len());
            // Writing to a string can't fail.
            let _ = write!(out, "\n{margin} |\n{number} | {line}");
            if self.place.column > 0 {
                let before: String =
                    line.chars().take(self.place.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                let left = line.chars().count().saturating_sub(self.place.column - 1);
                let carets = "^".repeat(self.length.min(left).max(1));
                let _ = write!(out, "\n{margin} | {before}{carets}");
            }
        }
        let mut calls = self.trace.chunk_by(|one, next| one == next);
        for same in calls.by_ref().take(TRACE_MAX) {
            let (function, place) = &same[0];
            let _ = write!(out, "\n  = in `{function}`, called at {place}");
            if same.len() > 1 {
                let _ = write!(out, ", {} times", same.len());
            }
        }
        let left: usize = calls.map(<[_]>::len).sum();
        if left > 0 {
            let _ = write!(out, "\n  = and {left} more calls");
        }
        for note in &self.notes {
            let _ = match &note.place {
                Some(place) => write!(out, "\n  = {}: {place}", note.message),
                None => write!(out, "\n  = {}", note.message),
            };
        }
        if let Some(hint) = &self.hint {
            let _ = write!(out, "\n  = help: {hint}");
        }
        out
    }
}

/// Rhai names closures `anon$0123abcd`.
fn function_name(name: &str) -> String {
    if name.starts_with(CLOSURE_PREFIX) { "a closure".to_owned() } else { rename::written(name).to_owned() }
}

fn module_source(name: &str, inner: &EvalAltResult, importer: &str) -> String {
    match inner {
        EvalAltResult::ErrorParsing(..) => super::source::source_name(name, Some(importer)),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_rendered_with_its_code_its_length_and_its_notes() {
        let sources = Sources::default();
        sources.insert("a.rhai", "fn journey() {\n\tlet n = 1;\n}".into());
        let place = |line, column| Place { source: "a.rhai".into(), line, column };
        let diagnostic = Diagnostic {
            severity: Severity::Warning,
            code: "odd-name",
            length: 3,
            notes: vec![
                Note { message: "declared here".into(), place: Some(place(1, 1)) },
                Note { message: "names have a reason".into(), place: None },
            ],
            hint: Some("call it `count`".into()),
            ..Diagnostic::error("an odd name", place(2, 2))
        };
        insta::assert_snapshot!(diagnostic.render(&sources), @r"
        warning[odd-name]: an odd name
         --> a.rhai:2:2
          |
        2 | 	let n = 1;
          | 	^^^
          = declared here: a.rhai:1:1
          = names have a reason
          = help: call it `count`
        ");
    }
}
