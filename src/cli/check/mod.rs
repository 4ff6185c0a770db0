//! `loadr check`: what is wrong with scripts, without running them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::complain;
use super::exit::Exit;
use crate::script::check::is_library;
use crate::script::error::{Diagnostic, Severity, Sources};
use crate::session::check::{CheckSpec, Checked, check, is_about_script};

mod formats;

/// Tell what is wrong with scripts, without running them.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Scripts, folders of them, or `-` for one on standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// A variable for the scripts' `env`: `-e BASE_URL=http://127.0.0.1:8080`; may be repeated
    #[arg(short = 'e', long = "env", value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Take BASE_URL for set, as `loadr run --demo` sets it
    #[arg(long)]
    pub demo: bool,
    /// Who is to read it
    #[arg(long, value_enum, default_value_t = Format::Human, env = "LOADR_CHECK_FORMAT")]
    pub format: Format,
    /// Fail on warnings too
    #[arg(short = 'D', long, alias = "strict", env = "LOADR_DENY_WARNINGS")]
    pub deny_warnings: bool,
}

/// How mistakes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: the line, a caret, a hint
    Human,
    /// An array of objects, for editors and scripts
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

/// The mistakes of all scripts.
struct Found {
    diagnostics: Vec<Diagnostic>,
    /// For each of them, the texts that it quotes.
    sources: Vec<Sources>,
    files: Vec<String>,
}

/// Runs the command.
#[must_use]
pub fn run(args: &CheckArgs) -> Exit {
    let mut env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match super::run::pairs("-e", &args.env) {
        Ok(pairs) => env.extend(pairs),
        Err(error) => {
            complain(&format!("error: {error}"));
            return Exit::Usage;
        }
    }
    if args.demo {
        env.entry("BASE_URL".into()).or_insert_with(|| "http://127.0.0.1:8080".into());
    }
    let scripts = match scripts(&args.paths) {
        Ok(scripts) => scripts,
        Err(error) => {
            complain(&format!("error: {error}"));
            return Exit::InvalidConfig;
        }
    };
    let found = check_all(scripts, &env);
    let text = match args.format {
        Format::Human => human(&found),
        Format::Json => formats::json(&found.diagnostics),
        Format::Sarif => formats::sarif(&found.diagnostics),
        Format::Github => formats::github(&found.diagnostics),
    };
    anstream::print!("{text}");
    let counts = |error: &&Diagnostic| error.severity == Severity::Error || args.deny_warnings;
    let errors: Vec<&Diagnostic> = found.diagnostics.iter().filter(counts).collect();
    if errors.is_empty() {
        Exit::Passed
    } else if errors.iter().any(|error| is_about_script(error)) {
        Exit::ScriptError
    } else {
        Exit::InvalidConfig
    }
}

/// A script that is to be checked.
struct Script {
    path: String,
    /// Its text, if it was read already.
    text: Option<Arc<str>>,
}

/// The scripts that the paths mean; those of a folder in the order of their names.
fn scripts(paths: &[String]) -> Result<Vec<Script>, String> {
    let mut scripts = Vec::new();
    for path in paths {
        if path == "-" {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| format!("can't read the script from standard input: {error}"))?;
            scripts.push(Script { path: "<stdin>".into(), text: Some(text.into()) });
        } else if Path::new(path).is_dir() {
            let mut files = Vec::new();
            walk(Path::new(path), &mut files).map_err(|error| format!("can't read the folder `{path}`: {error}"))?;
            if files.is_empty() {
                return Err(format!("there is no script (`*.rhai`) in the folder `{path}`"));
            }
            files.sort();
            scripts.extend(files.into_iter().map(|file| Script { path: file.display().to_string(), text: None }));
        } else {
            scripts.push(Script { path: path.clone(), text: None });
        }
    }
    Ok(scripts)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if kind.is_dir() && !hidden {
            walk(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rhai") {
            files.push(path);
        }
    }
    Ok(())
}

/// Checks scripts first, then those files that only scripts import and that were not looked at with them.
fn check_all(scripts: Vec<Script>, env: &BTreeMap<String, String>) -> Found {
    let mut found = Found { diagnostics: Vec::new(), sources: Vec::new(), files: Vec::new() };
    let (libraries, scripts): (Vec<Script>, Vec<Script>) = scripts.into_iter().partition(|script| {
        let read = || std::fs::read_to_string(&script.path).ok().map(Arc::from);
        script.text.clone().or_else(read).is_some_and(|text: Arc<str>| is_library(&text))
    });
    let all =
        scripts.into_iter().map(|script| (script, false)).chain(libraries.into_iter().map(|script| (script, true)));
    for (script, is_library) in all {
        if is_library && found.files.contains(&script.path) {
            continue;
        }
        let spec = CheckSpec { path: script.path, text: script.text, layers: Vec::new(), env: env.clone(), is_library };
        let Checked { diagnostics, sources, files } = check(spec);
        for diagnostic in diagnostics {
            // What two scripts import is looked at twice.
            if !found.diagnostics.contains(&diagnostic) {
                found.diagnostics.push(diagnostic);
                found.sources.push(sources.clone());
            }
        }
        for file in files.into_iter().filter(|file| !file.starts_with("std/")) {
            if !found.files.contains(&file) {
                found.files.push(file);
            }
        }
    }
    found
}

fn human(found: &Found) -> String {
    let mut text = String::new();
    for (diagnostic, sources) in found.diagnostics.iter().zip(&found.sources) {
        text.push_str(&diagnostic.render(sources));
        text.push_str("\n\n");
    }
    let of = |severity| found.diagnostics.iter().filter(|found| found.severity == severity).count();
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let files = count(found.files.len().max(1), "file");
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let counts: Vec<String> = [(errors, "error"), (warnings, "warning")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| count(number, word))
        .collect();
    let counts = if counts.is_empty() { "no mistakes".to_owned() } else { counts.join(", ") };
    text.push_str(&format!("{counts} in {files}\n"));
    text
}
