//! What people and programs see of a run: the contract of an output, and the table of formats that `--out` knows.
//!
//! An [`Output`] takes [`RunEvent`]s: one-second snapshots, log lines, the final report, and
//! single requests where it asks for them. The
//! [`fanout`] gives each output a thread and a bounded queue, so that a slow disk or a stuck terminal loses rows (and says
//! how many) instead of slowing a virtual user.
//!
//! | file | what it shows |
//! | --- | --- |
//! | [`live`] | the region that is redrawn in place while a run goes on, on a terminal (stderr) |
//! | [`plain`] | one line every few seconds, without a terminal (stderr) |
//! | [`summary`] | the text at the end of a run (stdout): a pure function of the report |
//! | [`otlp`] | metrics and traces for OpenTelemetry collectors |
//! | [`rows`] | JSON lines and CSV: a row for each value, or for each series and second |
//! | [`json`] | the report as a `loadr/summary/v1` document |
//! | [`prometheus`] | totals to be scraped, and by remote write |
//! | [`influxdb`], [`statsd`] | what each second brought, in their protocols |
//! | [`junit`], [`markdown`], [`github`] | the verdict, for CI servers and pull requests |
//! | [`page`] | one HTML page that shows the run, live and as a file |
//!
//! Below them: [`merge`] keeps the series of a run, [`push`] is the client of all that send.
//!
//! To add a format, write a file with an `Output`, add a line to [`FORMATS`], and let the compliance test run over it.
//! What comes from outside (names, log lines, examples of errors) passes through [`text`] before it reaches a terminal.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{RunEvent, Warning};
use crate::metric::sample::Wants;

#[cfg(test)]
mod compliance;
pub mod fanout;
pub mod github;
pub mod influxdb;
pub mod json;
pub mod junit;
pub mod line;
pub mod live;
pub mod markdown;
pub mod merge;
pub mod messages;
pub mod moments;
pub mod otlp;
pub mod page;
pub mod plain;
pub mod prometheus;
pub mod push;
pub mod rows;
#[cfg(test)]
mod sample;
pub mod spec;
pub mod statsd;
pub mod summary;
pub mod table;
pub mod terminal;
pub mod text;
pub mod trace;
pub mod values;
pub mod whole_file;

pub use fanout::{Ending, Fanout};
use spec::{Arguments, Destination, Parameter, Spec};
pub use terminal::Look;

/// Something that shows or stores a run. Driven by one thread of its own, in this order: `check`, any number of `event`
/// and `idle`, `finish`; after an error nothing more is called, and it is dropped.
pub trait Output: Send {
    /// Finds out, before any load, whether it can do its work.
    ///
    /// # Errors
    /// When it can't: the destination is not writable, the disk is full.
    fn check(&mut self) -> Result<(), OutputError>;

    /// The single requests and values that it asks for, as `RunEvent::Samples`; the others cost nothing.
    fn wants_samples(&self) -> Wants {
        Wants::NOTHING
    }

    /// Whether it asks for the report as it stands, as `RunEvent::SoFar`; making it costs the coordinator some milliseconds.
    fn wants_reports(&self) -> bool {
        false
    }

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

    /// What whoever watches the run should know and was not told yet: that a receiver is gone, that rows began to be lost.
    /// Asked after each event and while idle; each trouble is told once, when it begins.
    fn take_warnings(&mut self) -> Vec<Warning> {
        Vec::new()
    }

    /// How long it may take to finish when the run is over.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// Ends its work: what is held back is written. An output that stores the report has done so at `RunEvent::Ended`.
    ///
    /// # Errors
    /// When what was held back can't be written. [`OutputError::Lost`] says that a part of it was lost on the way: that is
    /// told, and is no failure of the run.
    fn finish(self: Box<Self>) -> Result<(), OutputError>;
}

/// How long an output usually may take to finish when the run is over.
pub const PATIENCE: Duration = Duration::from_secs(10);

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
    /// A receiver can't be reached, or does not want what it is sent.
    #[error("receiver `{receiver}` {problem}")]
    Receiver {
        /// Its address, without secrets.
        receiver: String,
        /// What is wrong, as the rest of a sentence: `can't be reached: connection refused`.
        problem: String,
    },
    /// An address to listen on can't be had.
    #[error("can't listen on `{address}`: {source}")]
    Listen {
        /// Where.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Not all rows arrived: how many did not, and why.
    #[error("{0}")]
    Lost(String),
    /// `--out` gives a destination to a format that has none.
    #[error("output format `{format}` takes no destination, but was given `{found}`")]
    Destination {
        /// The format.
        format: &'static str,
        /// What was given.
        found: String,
    },
    /// `--out` gives a parameter that the format does not know.
    #[error(
        "output format `{format}` has no parameter `{found}`{}; expected {expected}; a destination with a `?` of its own \
         ends in one more `?`",
        did_you_mean(nearest.as_deref())
    )]
    UnknownParameter {
        /// The format.
        format: &'static str,
        /// What was given.
        found: String,
        /// The parameters that it knows.
        expected: String,
        /// The one nearest to it.
        nearest: Option<String>,
    },
    /// `--out` gives a parameter twice.
    #[error("output format `{format}`: parameter `{parameter}` is given twice")]
    ParameterTwice {
        /// The format.
        format: &'static str,
        /// The parameter.
        parameter: &'static str,
    },
    /// A parameter of `--out`, or a variable that stands in for one, is not what it must be.
    #[error("output format `{format}`: `{parameter}={found}`: {problem}")]
    Parameter {
        /// The format.
        format: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// What was given.
        found: String,
        /// What is wrong with it.
        problem: String,
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

/// A format that `--out` knows.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Its name.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Whether it has a destination, and what that is.
    pub destination: Destination,
    /// The parameters it knows.
    pub parameters: &'static [Parameter],
    /// Makes the output for what was given, which is checked. Does no IO: that is [`Output::check`]'s business.
    ///
    /// # Errors
    /// When arguments that are good one by one make no sense together.
    pub open: fn(&Arguments) -> Result<Box<dyn Output>, OutputError>,
}

/// All formats.
pub const FORMATS: &[Format] = &[
    json::FORMAT,
    page::FORMAT,
    rows::JSON,
    rows::CSV,
    otlp::FORMAT,
    prometheus::scrape::FORMAT,
    prometheus::remote_write::FORMAT,
    influxdb::FORMAT,
    statsd::FORMAT,
    junit::FORMAT,
    markdown::FORMAT,
    github::FORMAT,
];

/// The output that a spec, `FORMAT[=DESTINATION][?key=value&...]`, describes. Does no IO.
///
/// # Errors
/// When the spec makes no sense: see [`spec::parse`].
pub fn open(text: &str) -> Result<Named, OutputError> {
    let Spec { format, arguments, name } = spec::parse(text)?;
    Ok(Named { name, output: (format.open)(&arguments)? })
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
    fn a_spec_opens_an_output() {
        assert_eq!(open("summary=a=b.json").map(|named| named.name).unwrap(), "summary=a=b.json");
        let message = open("sumary=x").err().map(|error| error.to_string()).unwrap();
        assert!(
            message.starts_with("unknown output format `sumary` (did you mean `summary`?); expected "),
            "{message}"
        );
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
