//! The page: one document that shows a run, live and when it is over.
//!
//! | file | what it does |
//! | --- | --- |
//! | [`model`] | what is kept of a run while it goes on: bounded, whatever its length |
//! | `columns`, `slice`, `spread`, `tally` | its parts: time in columns, what a column holds, distributions, rows of tables |
//! | `shape` | the document `loadr/page/v1`, as types |
//! | `build`, `arrays`, `tables` | the document from the model and from the report |
//! | `summary` | the document from a summary file alone |
//! | `html` | the page with the document inside, as one file |
//! | [`live`] | the state that is shared with whoever serves the page while the run goes on |
//! | `assets/` | the page itself: HTML, styles and modules of plain JavaScript |
//!
//! It is an output like any other: it sees seconds and events, on a thread of its own.

use std::path::PathBuf;

use super::spec::Destination;
use super::whole_file::WholeFile;
use super::{Format, Output, OutputError};
use crate::event::RunEvent;
use crate::report::Report;

mod arrays;
mod build;
mod columns;
mod html;
pub mod live;
mod model;
mod shape;
mod slice;
mod spread;
mod summary;
mod tables;
mod tally;

use build::Detail;
use model::Model;

/// The format `html`.
pub const FORMAT: Format = Format {
    name: "html",
    help: "the report as one HTML page, with its data inside, as --report writes it",
    destination: Destination::Required("FILE"),
    parameters: &[],
    open: |arguments| Ok(Box::new(PageFile::new(&arguments.destination))),
};

/// How much room is asked for before the run.
const ROOM_BYTES: usize = 512 * 1024;

/// The most bytes of a page.
const PAGE_MOST: usize = 495_000;

/// Writes the page of a run to a file when the run has ended.
#[derive(Debug)]
pub struct PageFile {
    file: WholeFile,
    model: Model,
}

impl PageFile {
    /// For that file. Does no IO.
    #[must_use]
    pub fn new(destination: impl Into<PathBuf>) -> Self {
        Self { file: WholeFile::new(destination), model: Model::new() }
    }
}

impl Output for PageFile {
    fn check(&mut self) -> Result<(), OutputError> {
        self.file.check(ROOM_BYTES)
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        self.model.apply(event);
        if matches!(event, RunEvent::Ended(_)) {
            self.file.write(page_of(&self.model).as_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        Ok(())
    }
}

/// The page of a run that is over.
fn page_of(model: &Model) -> String {
    let mut page = String::new();
    for detail in &Detail::LEVELS {
        page = html::page(&json(&build::document(model, detail)), html::Network::None);
        if page.len() <= PAGE_MOST {
            break;
        }
    }
    page
}

/// The page of a report alone, without what only the run itself knows: distributions by time, requests by time, phases.
#[must_use]
pub fn page_of_summary(report: &Report) -> String {
    html::page(&json(&summary::document(report)), html::Network::None)
}

fn json(document: &shape::Document) -> String {
    // Strings, numbers and maps with strings as keys can be written.
    serde_json::to_string(document).unwrap_or_else(|_| "null".into())
}

#[cfg(test)]
mod tests;
