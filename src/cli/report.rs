//! `loadr report`: the page of a run, from its exported summary.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{complain, exit::Exit};
use crate::output::page::page_of_summary;
use crate::output::whole_file::WholeFile;
use crate::report::{Report, SCHEMA};

/// Make the HTML page of a run from its exported summary.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// What `loadr run --summary-export` wrote
    pub summary: PathBuf,
    /// Where the page goes [default: the summary's name with `.html`]
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs the command.
pub fn report(args: &ReportArgs) -> Exit {
    let page = match read(&args.summary) {
        Ok(report) => page_of_summary(&report),
        Err(message) => {
            complain(&format!("error: {message}"));
            return Exit::InvalidConfig;
        }
    };
    let path = args.output.clone().unwrap_or_else(|| args.summary.with_extension("html"));
    if let Err(error) = WholeFile::new(&path).write(page.as_bytes()) {
        complain(&format!("error: {error}"));
        return Exit::Failed;
    }
    complain(&format!(
        "wrote `{}`; a summary does not hold what some charts show (heatmap, phases, errors and requests by time): for \
         these, let the run itself write the page with --report",
        path.display()
    ));
    Exit::Passed
}

fn read(path: &Path) -> Result<Report, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("can't read the summary `{shown}`: {error}"))?;
    let document: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("`{shown}` is not JSON: {error}"))?;
    match document.get("schema").and_then(serde_json::Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => return Err(format!("`{shown}` is a `{other}`, expected a `{SCHEMA}`")),
        None => {
            return Err(format!(
                "`{shown}` is no summary: expected a `{SCHEMA}`, as `loadr run --summary-export` writes it"
            ));
        }
    }
    serde_json::from_value(document).map_err(|error| format!("the summary `{shown}` is damaged: {error}"))
}
