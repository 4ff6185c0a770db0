//! A line made of coloured pieces, which knows its width: it is cut first and coloured last.
//!
//! Colours are roles, not colours: what a role looks like is decided in one place. No role carries a meaning of its own
//! that the text does not carry as well.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::terminal::Look;
use super::text;

/// What a piece of text is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Ordinary text.
    #[default]
    Plain,
    /// Good news.
    Good,
    /// Bad news.
    Bad,
    /// Worth a look.
    Warn,
    /// A heading, or what matters most.
    Strong,
    /// What matters least: labels, units, what is left out.
    Dim,
    /// Names, bars.
    Accent,
}

impl Role {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Strong => Style::new().bold(),
            Self::Dim => Style::new().dimmed(),
            Self::Accent => AnsiColor::Cyan.on_default(),
        }
    }
}

/// Pieces of text on one line. Pieces must be free of control characters (see [`text::clean`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pieces: Vec<(Role, String)>,
}

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a piece added.
    #[must_use]
    pub fn with(mut self, role: Role, piece: impl Into<String>) -> Self {
        self.push(role, piece);
        self
    }

    /// Adds a piece.
    pub fn push(&mut self, role: Role, piece: impl Into<String>) {
        let piece = piece.into();
        if !piece.is_empty() {
            self.pieces.push((role, piece));
        }
    }

    /// Adds all pieces of another line.
    pub fn append(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
    }

    /// Adds spaces up to a column.
    pub fn pad_to(&mut self, column: usize) {
        let width = self.width();
        if width < column {
            self.push(Role::Plain, " ".repeat(column - width));
        }
    }

    /// How many columns it takes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|(_, piece)| text::width(piece)).sum()
    }

    /// Whether nothing is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Cut at its end to at most so many columns.
    #[must_use]
    pub fn cut(self, columns: usize) -> Self {
        if self.width() <= columns {
            return self;
        }
        let mut cut = Self::new();
        let mut left = columns;
        for (role, piece) in self.pieces {
            let width = text::width(&piece);
            // The piece in which the last column lies is cut even when it just fits, so that `…` shows what is missing.
            if width >= left {
                let shortened = if width > left {
                    text::cut(&piece, left).into_owned()
                } else {
                    text::cut(&format!("{piece}_"), left).into_owned()
                };
                cut.push(role, shortened);
                break;
            }
            left -= width;
            cut.push(role, piece);
        }
        cut
    }

    /// Without its first so many columns, which must be spaces.
    #[must_use]
    pub fn without_start(mut self, columns: usize) -> Self {
        let mut left = columns;
        for (_, piece) in &mut self.pieces {
            let spaces = piece.len() - piece.trim_start_matches(' ').len();
            piece.drain(..spaces.min(left));
            left -= spaces.min(left);
            if left == 0 || !piece.is_empty() {
                break;
            }
        }
        self
    }

    /// The text for a terminal of that look, without a line end and without spaces at its end.
    #[must_use]
    pub fn render(&self, look: &Look) -> String {
        let mut rendered = String::new();
        let last = self.pieces.iter().rposition(|(_, piece)| !piece.trim_end().is_empty());
        for (index, (role, piece)) in self.pieces.iter().enumerate() {
            let piece = match last {
                Some(last) if index < last => piece.as_str(),
                Some(last) if index == last => piece.trim_end(),
                _ => break,
            };
            let piece = if look.ascii { text::to_ascii(piece) } else { piece.into() };
            let style = role.style();
            if look.colour && *role != Role::Plain {
                let _ = write!(rendered, "{style}{piece}{style:#}");
            } else {
                rendered.push_str(&piece);
            }
        }
        rendered
    }
}

/// Puts items on as many lines as they need, separated by two spaces, each line at most `columns` wide and indented.
#[must_use]
pub fn flow(items: Vec<Line>, indent: usize, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Line::new();
    for item in items {
        if !line.is_empty() && line.width() + 2 + item.width() > columns {
            lines.push(std::mem::take(&mut line));
        }
        let gap = if line.is_empty() { indent } else { 2 };
        line.push(Role::Plain, " ".repeat(gap));
        line.append(item);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines.into_iter().map(|line| line.cut(columns)).collect()
}

/// Puts words on as many lines as they need.
#[must_use]
pub fn wrap(role: Role, words: &str, indent: usize, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in words.split_whitespace() {
        if !line.is_empty() && indent + text::width(&line) + 1 + text::width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    let indented = |line| Line::new().with(Role::Plain, " ".repeat(indent)).with(role, line).cut(columns);
    lines.into_iter().map(indented).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: Look = Look { width: 80, height: 24, ascii: false, colour: false };

    #[test]
    fn a_line_is_cut_by_columns_not_by_bytes() {
        let line = || Line::new().with(Role::Good, "abc").with(Role::Plain, "日本").with(Role::Dim, "xyz");
        assert_eq!(line().width(), 10);
        for (columns, text) in
            [(10, "abc日本xyz"), (9, "abc日本x…"), (8, "abc日本…"), (7, "abc日…"), (3, "ab…"), (0, "")]
        {
            let cut = line().cut(columns);
            assert_eq!(cut.render(&BARE), text, "{columns}");
            assert!(cut.width() <= columns);
        }
    }

    #[test]
    fn colours_come_only_when_wanted_and_are_closed() {
        let line = Line::new().with(Role::Good, "ok").with(Role::Plain, " x  ");
        assert_eq!(line.render(&BARE), "ok x");
        assert_eq!(line.render(&Look { colour: true, ..BARE }), "\u{1b}[32mok\u{1b}[0m x");
    }

    #[test]
    fn items_flow_and_words_wrap() {
        let items = ["one", "two", "three"].map(|word| Line::new().with(Role::Plain, word)).to_vec();
        let lines: Vec<_> = flow(items, 2, 11).iter().map(|line| line.render(&BARE)).collect();
        assert_eq!(lines, ["  one  two", "  three"]);
        let lines: Vec<_> =
            wrap(Role::Plain, "some words  here", 1, 12).iter().map(|line| line.render(&BARE)).collect();
        assert_eq!(lines, [" some words", " here"]);
    }
}
