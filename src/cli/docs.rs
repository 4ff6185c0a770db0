//! `loadr docs`: what scripts can call, from what registers it and from the comments of the standard library.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};

use super::{complain, exit::Exit};
use crate::script::reference::{Entry, Section, sections};
use crate::units;

/// The most entries that a search for a word shows.
const FOUND_MAX: usize = 40;

/// Show what scripts can call.
#[derive(Args, Debug)]
pub struct DocsArgs {
    /// A module or a function: `http`, `http::get`, `response.json`, `std/auth`; any other word is searched for. All of
    /// them when left out.
    name: Option<String>,
    /// How to print them: as text to read, as Markdown (`docs/scripting.md` is made this way), or as JSON for editors.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as `--format markdown`.
    #[arg(long, conflicts_with = "format")]
    markdown: bool,
}

/// How the reference is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

/// Runs the command.
pub fn run(args: &DocsArgs) -> Exit {
    let format = if args.markdown { Format::Markdown } else { args.format };
    let all = sections();
    let found = match &args.name {
        None => Found::All(all),
        Some(name) => match find(all, name) {
            Ok(found) => found,
            Err(message) => {
                complain(&message);
                return Exit::Usage;
            }
        },
    };
    let text = match (format, found) {
        (Format::Text, Found::All(sections)) => overview(&sections),
        (Format::Text, Found::Named(sections)) => whole(&sections),
        (Format::Text, Found::Mentioned(sections)) => mentions(&sections),
        (Format::Markdown, Found::All(_)) => reference(),
        (Format::Markdown, Found::Named(sections) | Found::Mentioned(sections)) => {
            markdown(&sections).trim_start().to_owned()
        }
        (Format::Json, Found::All(sections) | Found::Named(sections) | Found::Mentioned(sections)) => {
            serde_json::to_string_pretty(&sections).unwrap_or_default() + "\n"
        }
    };
    anstream::print!("{text}");
    Exit::Passed
}

/// What is to be shown.
enum Found {
    /// Everything there is.
    All(Vec<Section>),
    /// What has the name that was asked for.
    Named(Vec<Section>),
    /// What has the word somewhere in its name or its text.
    Mentioned(Vec<Section>),
}

fn title(name: &str) -> &str {
    if name.is_empty() { "global functions" } else { name }
}

/// What is called so: a module by its name or its usual one, functions by their whole name or its last part. Where
/// nothing is, what mentions the word.
fn find(all: Vec<Section>, wanted: &str) -> Result<Found, String> {
    let wanted_import = format!(" as {wanted};");
    let is_module =
        |section: &Section| section.name == wanted && !wanted.is_empty() || section.import.ends_with(&wanted_import);
    let is_called =
        |entry: &Entry| entry.names.iter().any(|name| name == wanted || name.rsplit(['.', ':']).next() == Some(wanted));
    let named = select(&all, |section, entry| is_module(section) || is_called(entry));
    if !named.is_empty() {
        return Ok(Found::Named(named));
    }
    let word = wanted.to_lowercase();
    let mentions = |text: &str| text.to_lowercase().contains(&word);
    // A misspelt name is no word to search for.
    let mentioned = select(&all, |_, entry| {
        mentions(&entry.signature)
            || mentions(&entry.summary)
            || entry.parameters.iter().any(|parameter| mentions(&parameter.meaning))
    });
    if !mentioned.is_empty() && !word.trim().is_empty() {
        return Ok(Found::Mentioned(mentioned));
    }
    let names = all.iter().flat_map(|section| section.functions.iter().flat_map(|entry| &entry.names));
    let known = names.map(String::as_str).chain(all.iter().map(|section| section.name.as_str()));
    let near = units::nearest(wanted, known);
    let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Err(format!("error: scripts have no `{wanted}`{hint}"))
}

/// The sections with the functions that are wanted, without those that have none.
fn select(all: &[Section], wanted: impl Fn(&Section, &Entry) -> bool) -> Vec<Section> {
    let kept = all.iter().map(|section| Section {
        functions: section.functions.iter().filter(|entry| wanted(section, entry)).cloned().collect(),
        ..section.clone()
    });
    kept.filter(|section| !section.functions.is_empty()).collect()
}

fn overview(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        let _ = writeln!(out, "{}: {}", title(&section.name), section.summary);
        for entry in &section.functions {
            let _ = writeln!(out, "    {}", entry.signature);
        }
        out.push('\n');
    }
    out.push_str("`loadr docs NAME` tells more of one, `loadr docs WORD` searches.\n");
    out
}

/// All that is known of each entry.
fn whole(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        if !section.import.is_empty() {
            let _ = writeln!(out, "{}\n", section.import);
        }
        for entry in &section.functions {
            let _ = writeln!(out, "{}\n    {}", entry.signature, entry.summary.replace('\n', "\n    "));
            for parameter in &entry.parameters {
                let _ = writeln!(out, "    {}: {}", parameter.name, parameter.meaning);
            }
            if !entry.result.is_empty() {
                let _ = writeln!(out, "    Gives: {}", entry.result);
            }
            if !entry.errors.is_empty() {
                let _ = writeln!(out, "    Throws: {}", entry.errors);
            }
            out.push('\n');
            for line in entry.example.lines() {
                let _ = writeln!(out, "{}", format!("        {line}").trim_end());
            }
            out.push('\n');
        }
    }
    out
}

/// A line or two of each entry.
fn mentions(sections: &[Section]) -> String {
    let mut out = String::new();
    let all = || sections.iter().flat_map(|section| &section.functions);
    for entry in all().take(FOUND_MAX) {
        let _ = writeln!(out, "{}\n    {}", entry.signature, entry.summary.replace('\n', "\n    "));
    }
    let more = all().count().saturating_sub(FOUND_MAX);
    if more > 0 {
        let _ = writeln!(out, "and {more} more");
    }
    out.push_str("\n`loadr docs NAME` tells more of one.\n");
    out
}

/// The whole reference as Markdown.
#[must_use]
pub fn reference() -> String {
    let head = "# What scripts can call\n\n\
         Written by `loadr docs --format markdown` from what registers the functions and from the comments of\n\
         `stdlib/`; a test keeps it fresh. Each example runs in the tests: in a journey, or as a script of its own where it\n\
         has a `fn journey`. There alone exist `assert_eq` and `assert_error`; examples of the standard library have its file\n\
         imported under the name that stands above them, and `const BASE = env(\"BASE_URL\");`, the demo shop.\n\n\
         How a journey is built is told in the README; what Rhai itself offers, in [the Rhai book](https://rhai.rs/book).\n";
    format!("{head}{}", markdown(&sections()))
}

fn markdown(sections: &[Section]) -> String {
    let mut out = String::new();
    let mut last = None;
    for section in sections {
        if last != Some(&section.name) || section.name.is_empty() {
            let _ = write!(out, "\n## {}\n\n{}\n", title(&section.name), section.summary);
            if !section.import.is_empty() {
                let _ = write!(out, "\n```rhai\n{}\n```\n", section.import);
            }
            if !section.about.is_empty() {
                let _ = write!(out, "\n{}\n", section.about);
            }
        }
        last = Some(&section.name);
        for entry in &section.functions {
            let _ = write!(out, "\n### `{}`\n\n{}\n", entry.signature, entry.summary);
            if !entry.parameters.is_empty() {
                out.push('\n');
            }
            for parameter in &entry.parameters {
                let _ = writeln!(out, "- `{}`: {}", parameter.name, parameter.meaning);
            }
            if !entry.result.is_empty() {
                let _ = write!(out, "\nGives: {}\n", entry.result);
            }
            if !entry.errors.is_empty() {
                let _ = write!(out, "\nThrows: {}\n", entry.errors);
            }
            let _ = write!(out, "\n```rhai\n{}\n```\n", entry.example);
        }
    }
    out
}
