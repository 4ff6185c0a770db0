//! `loadr docs`: what scripts can call, from the same table that registers it.

use std::fmt::Write as _;

use clap::Args;

use super::{complain, exit::Exit};
use crate::script::modules::{FunctionDoc, TABLE};
use crate::units;

/// Show what scripts can call.
#[derive(Args, Debug)]
pub struct DocsArgs {
    /// A module or a function: `http`, `http::get`, `response.json`. All of them when left out.
    name: Option<String>,
    /// Print the whole reference as Markdown (`docs/scripting.md` is made this way).
    #[arg(long)]
    markdown: bool,
}

/// Runs the command.
pub fn run(args: &DocsArgs) -> Exit {
    let text = match &args.name {
        _ if args.markdown => reference(),
        None => overview(),
        Some(name) => match entries(name) {
            Ok(text) => text,
            Err(message) => {
                complain(&message);
                return Exit::Usage;
            }
        },
    };
    anstream::print!("{text}");
    Exit::Passed
}

/// The word by which one looks a function up: `http::get`, `response.json`.
fn key(doc: &FunctionDoc) -> &str {
    doc.signature.split(['(', ' ']).next().unwrap_or(doc.signature)
}

fn title(name: &str) -> &str {
    if name.is_empty() { "global functions" } else { name }
}

fn overview() -> String {
    let mut out = String::new();
    for module in TABLE {
        let _ = writeln!(out, "{}: {}", title(module.name), module.summary);
        for doc in module.docs {
            let _ = writeln!(out, "    {}", doc.signature);
        }
        out.push('\n');
    }
    out.push_str("`loadr docs NAME` tells more of one.\n");
    out
}

fn entries(name: &str) -> Result<String, String> {
    let all = || TABLE.iter().flat_map(|module| module.docs);
    let member = |doc: &FunctionDoc| key(doc).rsplit(['.', ':']).next() == Some(name);
    let found: Vec<_> = TABLE
        .iter()
        .filter(|module| module.name == name && !name.is_empty())
        .flat_map(|module| module.docs)
        .chain(all().filter(|doc| key(doc) == name || member(doc)))
        .collect();
    if found.is_empty() {
        let near = units::nearest(name, all().map(key).chain(TABLE.iter().map(|module| module.name)));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(format!("error: scripts have no `{name}`{hint}"));
    }
    let mut out = String::new();
    for doc in found {
        let _ = writeln!(out, "{}\n    {}", doc.signature, doc.summary);
        for (parameter, meaning) in doc.parameters {
            let _ = writeln!(out, "    {parameter}: {meaning}");
        }
        if !doc.errors.is_empty() {
            let _ = writeln!(out, "    Throws: {}", doc.errors);
        }
        out.push('\n');
        for line in doc.example.lines() {
            let _ = writeln!(out, "        {line}");
        }
        out.push('\n');
    }
    Ok(out)
}

/// The whole reference as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(
        "# What scripts can call\n\n\
         Written by `loadr docs --markdown` from the table that registers the functions; a test keeps it fresh, and each\n\
         example runs in the tests (`assert_eq` and `assert_error` exist there alone).\n\n\
         How a journey is built is told in the README; what Rhai itself offers, in [the Rhai book](https://rhai.rs/book).\n",
    );
    let mut last = None;
    for module in TABLE {
        if last != Some(module.name) || module.name.is_empty() {
            let _ = write!(out, "\n## {}\n\n{}\n", title(module.name), module.summary);
        }
        last = Some(module.name);
        for doc in module.docs {
            let _ = write!(out, "\n### `{}`\n\n{}\n", doc.signature, doc.summary);
            if !doc.parameters.is_empty() {
                out.push('\n');
            }
            for (parameter, meaning) in doc.parameters {
                let _ = writeln!(out, "- `{parameter}`: {meaning}");
            }
            if !doc.errors.is_empty() {
                let _ = write!(out, "\nThrows: {}\n", doc.errors);
            }
            let _ = write!(out, "\n```rhai\n{}\n```\n", doc.example.trim_end());
        }
    }
    out
}
