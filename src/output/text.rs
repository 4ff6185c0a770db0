//! Text from outside, made safe for a terminal: escaped, measured, cut.
//!
//! Names of requests, checks and scenarios, log lines and examples of errors come from scripts and servers. None of them
//! may move the cursor, change colours, reverse the reading direction or break a table. Escapes read as in Rust
//! (`\n`, `\u{1b}`), so that nothing is silently lost.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Whether a character could disturb a terminal: controls, and characters that are invisible or change direction.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text on one line, with all that could disturb a terminal escaped.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(disturbs) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if disturbs(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// The lines of a text of several lines, each cleaned, tabs as four spaces; at most `most`, and what was left out counted.
#[must_use]
pub fn clean_lines(text: &str, most: usize) -> (Vec<String>, usize) {
    let text = text.trim_end_matches(['\n', '\r']);
    let lines = text.split('\n').take(most).map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line).replace('\t', "    ");
        clean(&line).into_owned()
    });
    (lines.collect(), text.split('\n').count().saturating_sub(most))
}

/// How many columns a cleaned text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text cut at its end to at most `columns`, with `…` where something is missing.
#[must_use]
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if fits(text, columns) {
        return Cow::Borrowed(text);
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    Cow::Owned(format!("{}…", &text[..head_within(text, columns - 1)]))
}

/// The text cut in its middle to at most `columns`: the ends of URLs tell them apart.
#[must_use]
pub fn cut_middle(text: &str, columns: usize) -> Cow<'_, str> {
    if fits(text, columns) {
        return Cow::Borrowed(text);
    }
    if columns < 3 {
        return cut(text, columns);
    }
    let head = &text[..head_within(text, (columns - 1).div_ceil(2))];
    let mut left = columns - 1 - head.chars().map(weight).sum::<usize>();
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        if weight(c) > left {
            break;
        }
        left -= weight(c);
        start = at;
    }
    Cow::Owned(format!("{head}…{}", &text[start..]))
}

/// Whether a text takes at most so many columns, and not absurdly many characters for them.
fn fits(text: &str, columns: usize) -> bool {
    text.len() <= columns || (width(text) <= columns && text.chars().count() <= columns.saturating_mul(4))
}

/// The columns that a character takes when a text is cut. A run of combining marks takes no columns and could go on for
/// ever, so each counts as one here.
fn weight(c: char) -> usize {
    c.width().unwrap_or(0).max(1)
}

/// The length in bytes of the longest beginning that takes at most so many columns.
fn head_within(text: &str, columns: usize) -> usize {
    let mut left = columns;
    for (at, c) in text.char_indices() {
        if weight(c) > left {
            return at;
        }
        left -= weight(c);
    }
    text.len()
}

/// The text for a terminal that knows ASCII only. Each character keeps its width, so that tables stay aligned.
#[must_use]
pub fn to_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if c.is_ascii() => ascii.push(c),
            '✓' => ascii.push('+'),
            '✗' | '×' => ascii.push('x'),
            'µ' => ascii.push('u'),
            '█' => ascii.push('#'),
            '░' => ascii.push('.'),
            '▒' => ascii.push('='),
            '→' => ascii.push('>'),
            '│' => ascii.push('|'),
            '·' | '─' => ascii.push('-'),
            '…' => ascii.push('~'),
            '▲' => ascii.push('!'),
            _ => ascii.extend(std::iter::repeat_n('?', c.width().unwrap_or(0))),
        }
    }
    Cow::Owned(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_disturbs_a_terminal_is_left() {
        for (text, safe) in [
            ("plain name", "plain name"),
            ("ünïcödé 日本", "ünïcödé 日本"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("\u{202e}evil", "\\u{202e}evil"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("\0\u{7f}", "\\u{0}\\u{7f}"),
        ] {
            assert_eq!(clean(text), safe);
        }
    }

    #[test]
    fn lines_are_cleaned_one_by_one_and_counted() {
        assert_eq!(clean_lines("a\r\n\tb\u{7}\n\n", 9), (vec!["a".into(), "    b\\u{7}".into()], 0));
        assert_eq!(clean_lines("1\n2\n3\n4", 2), (vec!["1".into(), "2".into()], 2));
        assert_eq!(clean_lines("", 2), (vec![String::new()], 0));
    }

    #[test]
    fn a_cut_text_takes_no_more_than_its_columns() {
        for (text, columns, end, middle) in [
            ("abcdef", 6, "abcdef", "abcdef"),
            ("abcdefgh", 5, "abcd…", "ab…gh"),
            ("abcdef", 1, "…", "…"),
            ("abcdef", 0, "", ""),
            ("日本語日本語", 6, "日本…", "日…語"),
            ("ab", 2, "ab", "ab"),
        ] {
            assert_eq!(cut(text, columns), end, "{text} {columns}");
            assert_eq!(cut_middle(text, columns), middle, "{text} {columns}");
            assert!(width(&cut_middle(text, columns)) <= columns);
        }
    }

    #[test]
    fn endless_combining_marks_are_cut() {
        let zalgo = format!("e{}", "\u{301}".repeat(10_000));
        assert!(cut(&zalgo, 10).chars().count() <= 10);
        assert!(cut_middle(&zalgo, 10).chars().count() <= 10);
    }

    #[test]
    fn ascii_keeps_widths() {
        for text in ["✓ ok", "1.2 µs · 3 ×", "█░", "日本", "é"] {
            let ascii = to_ascii(text);
            assert!(ascii.is_ascii());
            assert_eq!(width(&ascii), width(text), "{text}");
        }
    }
}
