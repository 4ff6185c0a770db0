//! What the terminal can show: its size, whether it knows UTF-8, whether colours are wanted.
//!
//! Only the detection looks at the process's environment; what it finds is a [`Look`], which everything else takes as an
//! argument.

use std::io::IsTerminal;

use anstream::{AutoStream, ColorChoice};

/// The width for text that goes to a file or a pipe: nothing needs to be cut to a window there.
const WIDTH_WITHOUT_TERMINAL: usize = 120;

/// How text is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Only ASCII can be shown.
    pub ascii: bool,
    /// Colours are wanted.
    pub colour: bool,
}

impl Look {
    /// The least width that layouts are made for; a narrower terminal wraps.
    pub const NARROWEST: usize = 40;

    /// The look of stdout. `NO_COLOR`, `CLICOLOR_FORCE` and `TERM` are honoured.
    #[must_use]
    pub fn stdout(no_colour: bool) -> Self {
        let stdout = std::io::stdout();
        Self::of(stdout.is_terminal(), AutoStream::choice(&stdout), no_colour)
    }

    /// The look of stderr.
    #[must_use]
    pub fn stderr(no_colour: bool) -> Self {
        let stderr = std::io::stderr();
        Self::of(stderr.is_terminal(), AutoStream::choice(&stderr), no_colour)
    }

    fn of(terminal: bool, choice: ColorChoice, no_colour: bool) -> Self {
        let (width, height) = size().filter(|_| terminal).unwrap_or((WIDTH_WITHOUT_TERMINAL, 24));
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| std::env::var(name).unwrap_or_default());
        Self {
            width: width.max(Self::NARROWEST),
            height,
            ascii: !speaks_utf8(locale.each_ref().map(String::as_str)),
            colour: !no_colour && choice != ColorChoice::Never,
        }
    }

    /// The same look with the terminal's size of now: it may have been resized.
    #[must_use]
    pub fn resized(self) -> Self {
        size().map_or(self, |(width, height)| Self { width, height, ..self })
    }
}

/// The terminal's columns and rows; none when there is no terminal, or when it does not say.
fn size() -> Option<(usize, usize)> {
    let (columns, rows) = crossterm::terminal::size().ok()?;
    (columns > 0 && rows > 0).then_some((usize::from(columns), usize::from(rows)))
}

/// Whether the locale (LC_ALL, LC_CTYPE, LANG: the first that is set decides) speaks UTF-8.
fn speaks_utf8(locale: [&str; 3]) -> bool {
    if cfg!(windows) {
        return true;
    }
    let decides = locale.into_iter().find(|value| !value.is_empty()).unwrap_or_default().to_ascii_lowercase();
    decides.contains("utf-8") || decides.contains("utf8")
}

/// The log of a CI server: stderr, where nothing else than text for people goes.
#[must_use]
pub fn log() -> Box<dyn std::io::Write + Send> {
    Box::new(std::io::stderr())
}

/// Whether stderr is a terminal on which a region can be redrawn, and somebody looks at it: CI servers (which set `CI`)
/// may give their jobs a terminal, but keep its text as a log.
#[must_use]
pub fn stderr_can_redraw() -> bool {
    let variable = |name| std::env::var(name).ok();
    std::io::stderr().is_terminal()
        && can_redraw(variable("TERM").as_deref())
        && !is_unattended(variable("CI").as_deref())
}

/// Whether somebody can press keys.
#[must_use]
pub fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

fn can_redraw(term: Option<&str>) -> bool {
    term.map_or(cfg!(windows), |term| !term.is_empty() && term != "dumb")
}

fn is_unattended(ci: Option<&str>) -> bool {
    ci.is_some_and(|ci| !["", "0", "false"].contains(&ci))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        for (locale, utf8) in [
            (["", "", "en_GB.UTF-8"], true),
            (["C.utf8", "", ""], true),
            (["C", "", "en_GB.UTF-8"], false),
            (["", "POSIX", "en_GB.UTF-8"], false),
            (["", "", "de_DE.ISO-8859-1"], false),
            (["", "", ""], false),
        ] {
            assert_eq!(speaks_utf8(locale), utf8 || cfg!(windows), "{locale:?}");
        }
    }

    #[test]
    fn a_dumb_terminal_is_not_redrawn() {
        for (term, redraw) in [(Some("xterm-256color"), true), (Some("dumb"), false), (Some(""), false)] {
            assert_eq!(can_redraw(term), redraw, "{term:?}");
        }
    }

    #[test]
    fn a_ci_server_reads_its_log_later() {
        for (ci, unattended) in
            [(None, false), (Some(""), false), (Some("false"), false), (Some("true"), true), (Some("1"), true)]
        {
            assert_eq!(is_unattended(ci), unattended, "{ci:?}");
        }
    }
}
