//! What people and programs see of a run: the contract of an output, and the table of formats that `--out` knows.
//!
//! An [`Output`] takes [`RunEvent`]s: one-second snapshots, log lines, the final report; never a single request. The
//! [`fanout`] gives each output a thread and a bounded queue, so that a slow disk or a stuck terminal loses rows (and says
//! how many) instead of slowing a virtual user.
//!
//! | file | what it shows |
//! | --- | --- |
//! | [`live`] | the region that is redrawn in place while a run goes on, on a terminal (stderr) |
//! | [`plain`] | one line every few seconds, without a terminal (stderr) |
//! | [`summary`] | the text at the end of a run (stdout): a pure function of the report |
//! | [`json`] | the report as a `loadr/summary/v1` document |
//!
//! To add a format, write a file with an `Output`, add a line to [`FORMATS`], and let the compliance test run over it.
//! What comes from outside (names, log lines, examples of errors) passes through [`text`] before it reaches a terminal.

use std::io;
use std::sync::Arc;

use crate::event::RunEvent;

#[cfg(test)]
mod compliance;
pub mod fanout;
pub mod json;
pub mod line;
pub mod live;
pub mod messages;
pub mod plain;
#[cfg(test)]
mod sample;
pub mod summary;
pub mod table;
pub mod terminal;
pub mod text;
pub mod trace;
pub mod values;

pub use fanout::{Ending, Fanout};
pub use terminal::Look;

/// Something that shows or stores a run. Driven by one thread of its own, in this order: `check`, any number of `event`
/// and `idle`, `finish`; after an error nothing more is called, and it is dropped.
pub trait Output: Send {
    /// Finds out, before any load, whether it can do its work.
    ///
    /// # Errors
    /// When it can't: the destination is not writable, the disk is full.
    fn check(&mut self) -> Result<(), OutputError>;

    /// Takes an event. May block; its own queue fills up meanwhile.
    ///
    /// # Errors
    /// When it can't go on; it is then dropped.
    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError>;

    /// Called about four times a second while there is no event: the place to draw what was held back.
    ///
    /// # Errors
    /// When it can't go on; it is then dropped.
    fn idle(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    /// Ends its work: what is held back is written. An output that stores the report has done so at `RunEvent::Ended`.
    ///
    /// # Errors
    /// When what was held back can't be written.
    fn finish(self: Box<Self>) -> Result<(), OutputError>;
}

/// Why an output can't do its work.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Its destination can't be written.
    #[error("can't write `{destination}`: {source}{}", write_hint(source))]
    Write {
        /// The file, or `the terminal`.
        destination: String,
        /// What the system said.
        source: io::Error,
    },
    /// `--out` names a format that does not exist.
    #[error("unknown output format `{found}`{}; expected one of {expected}", did_you_mean(nearest.as_deref()))]
    UnknownFormat {
        /// What was given.
        found: String,
        /// The formats that exist.
        expected: String,
        /// The one nearest to it.
        nearest: Option<String>,
    },
    /// `--out` names a format without the destination that it needs.
    #[error("output format `{format}` needs a destination: `{format}={placeholder}`")]
    NoDestination {
        /// The format.
        format: &'static str,
        /// What its destination is.
        placeholder: &'static str,
    },
    /// The report could not be turned into a document.
    #[error("can't turn the report into JSON for `{destination}`: {source}")]
    Serialise {
        /// The file.
        destination: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Its thread could not be started.
    #[error("can't start the thread of output `{name}`: {source}")]
    Thread {
        /// The output.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its code panicked: a defect of loadr.
    #[error("it panicked (a defect of loadr, please report it): {0}")]
    Panicked(String),
}

fn write_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "; does its folder exist?",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "; choose a place that you may write to",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room, or choose another disk",
        io::ErrorKind::IsADirectory => "; give the name of a file in it",
        _ => "",
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

/// An output and how messages call it.
pub struct Named {
    /// As the user gave it: `summary=run.json`, or `terminal`.
    pub name: String,
    /// The output.
    pub output: Box<dyn Output>,
}

/// A format that `--out FORMAT=DESTINATION` knows.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Its name.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// What its destination is (`FILE`, `URL`).
    pub placeholder: &'static str,
    /// Makes the output for a destination. Does no IO: that is [`Output::check`]'s business.
    pub open: fn(destination: &str) -> Box<dyn Output>,
}

/// All formats.
pub const FORMATS: &[Format] = &[Format {
    name: "summary",
    help: "the result of the run as one JSON document (loadr/summary/v1), as --summary-export writes it",
    placeholder: "FILE",
    open: |destination| Box::new(json::SummaryFile::new(destination)),
}];

/// The output that `FORMAT=DESTINATION` describes. Does no IO.
///
/// # Errors
/// When there is no such format, or when the destination is missing.
pub fn open(spec: &str) -> Result<Named, OutputError> {
    let (name, destination) = spec.split_once('=').unwrap_or((spec, ""));
    let Some(format) = FORMATS.iter().find(|format| format.name == name) else {
        let names = || FORMATS.iter().map(|format| format.name);
        return Err(OutputError::UnknownFormat {
            found: name.into(),
            expected: names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            nearest: crate::units::nearest(name, names()).map(Into::into),
        });
    };
    if destination.is_empty() {
        return Err(OutputError::NoDestination { format: format.name, placeholder: format.placeholder });
    }
    Ok(Named { name: spec.into(), output: (format.open)(destination) })
}

/// Checks all outputs before the run.
///
/// # Errors
/// The first that can't do its work.
pub fn check_all(outputs: &mut [Named]) -> Result<(), OutputError> {
    outputs.iter_mut().try_for_each(|named| named.output.check())
}

/// How progress is shown on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressOptions {
    /// Nothing but errors.
    pub quiet: bool,
    /// No colours, whatever the terminal can do.
    pub no_colour: bool,
}

/// Whether keys make sense: there is a terminal to press them on, and one to show what they do.
#[must_use]
pub fn takes_keys() -> bool {
    cfg!(unix) && terminal::stderr_can_redraw() && terminal::stdin_is_terminal()
}

/// The output for progress that suits stderr: the live region on a terminal, with a legend where keys work; else plain
/// lines.
#[must_use]
pub fn progress(options: ProgressOptions, legend: Option<Arc<live::Legend>>) -> Named {
    let look = Look::stderr(options.no_colour);
    let stream = Box::new(io::stderr());
    let output: Box<dyn Output> = if options.quiet {
        Box::new(plain::Plain::quiet(stream))
    } else if terminal::stderr_can_redraw() {
        Box::new(live::Live::on_terminal(stream, look, legend))
    } else {
        Box::new(plain::Plain::new(stream))
    };
    Named { name: "terminal".into(), output }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_names_a_format_and_a_destination() {
        assert_eq!(open("summary=a=b.json").map(|named| named.name).unwrap(), "summary=a=b.json");
        for (spec, message) in [
            ("sumary=x", "unknown output format `sumary` (did you mean `summary`?); expected one of `summary`"),
            ("x", "unknown output format `x`; expected one of `summary`"),
            ("summary", "output format `summary` needs a destination: `summary=FILE`"),
            ("summary=", "output format `summary` needs a destination: `summary=FILE`"),
        ] {
            assert_eq!(open(spec).err().map(|error| error.to_string()).as_deref(), Some(message), "{spec}");
        }
    }

    #[test]
    fn what_can_be_mended_carries_a_hint() {
        for (kind, hint) in [
            (io::ErrorKind::StorageFull, "make room"),
            (io::ErrorKind::NotFound, "does its folder exist?"),
            (io::ErrorKind::PermissionDenied, "may write to"),
        ] {
            let error = OutputError::Write { destination: "a.json".into(), source: kind.into() };
            assert!(error.to_string().starts_with("can't write `a.json`: "), "{error}");
            assert!(error.to_string().contains(hint), "{error}");
        }
    }
}
