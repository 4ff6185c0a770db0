//! Lines of one request: a line for each exchange, with a bar that shows where its time went; headers and the beginnings
//! of bodies below, where they are wanted.
//!
//! In the bar `▒` is getting a connection (look-up, connect, TLS), `█` waiting for the first byte, `░` sending and
//! receiving. Eight cells are the whole exchange; a phase that took a sixteenth or more has at least one.

use std::time::Duration;

use super::mark;
use crate::output::line::{Line, Role};
use crate::output::text;
use crate::trace::{Excerpt, Hop, Phases, Requested};
use crate::units::format::{format_bytes, format_latency_ms};

/// Cells of the bar.
const BAR: usize = 8;
/// Lines of a body that are shown.
const BODY_LINES: usize = 12;
/// Columns of the method.
const METHOD: usize = 6;

/// Where the columns of a request's line begin.
struct Columns {
    status: usize,
    size: usize,
    bar: usize,
    time: usize,
}

/// The columns for lines of that width.
fn columns(room: usize) -> Columns {
    // From the right: time, bar, size, status.
    let time = room.saturating_sub(8);
    let bar = time.saturating_sub(BAR + 1);
    let size = bar.saturating_sub(9);
    Columns { status: size.saturating_sub(5), size, bar, time }
}

/// The lines of a request. `origin` is that of the request before; it is shown where it changes.
pub(super) fn lines(requested: &Requested, room: usize, bodies: bool, origin: &mut String) -> Vec<Line> {
    let mut lines = Vec::new();
    let last = requested.hops.len().saturating_sub(1);
    for (index, hop) in requested.hops.iter().enumerate() {
        let is_last = index == last;
        let name = if index == 0 { requested.name.as_str() } else { "" };
        lines.push(hop_line(hop, name, index > 0, !is_last || requested.expected, room, origin));
        if let Some(error) = &hop.error {
            lines.push(Line::new().with(Role::Plain, "    ").with(Role::Bad, text::clean(error)));
        }
        if !bodies {
            continue;
        }
        if index == 0 {
            lines.extend(headers(">", &requested.headers));
            lines.extend(body(">", &requested.body));
        }
        if hop.error.is_none() {
            lines.push(Line::new().with(Role::Dim, format!("    {}", phases_in_words(hop))));
            lines.extend(headers("<", &hop.headers));
            lines.extend(body("<", &hop.body));
        }
    }
    lines
}

fn hop_line(hop: &Hop, name: &str, follows: bool, good: bool, room: usize, origin: &mut String) -> Line {
    let columns = columns(room);
    let mut line = if good { Line::new().with(Role::Plain, "  ") } else { mark(false) };
    if follows {
        line.push(Role::Dim, "→ ");
    }
    let method = if follows { hop.method.clone() } else { format!("{:METHOD$}", hop.method) };
    line.push(if good { Role::Plain } else { Role::Bad }, format!("{} ", text::clean(&method)));
    let (own_origin, path) = split(&hop.url);
    // A default name says what the URL says.
    if !name.is_empty() && !name.starts_with("http") {
        line.push(Role::Strong, text::clean(name));
        line.push(Role::Plain, "  ");
    }
    let shown = if own_origin == origin.as_str() { path } else { hop.url.as_str() };
    own_origin.clone_into(origin);
    let left = columns.status.saturating_sub(line.width() + 2);
    line.push(Role::Dim, text::cut_middle(&text::clean(shown), left));
    line = line.cut(columns.status.saturating_sub(1));
    line.pad_to(columns.status);
    match hop.status {
        0 => line.push(Role::Bad, "---"),
        status => line.push(if good { Role::Good } else { Role::Bad }, status.to_string()),
    }
    line.pad_to(columns.size);
    let size = format_bytes(hop.size);
    line.push(Role::Plain, format!("{size:>8}"));
    line.pad_to(columns.bar);
    line.append(bar(&hop.phases));
    line.pad_to(columns.time);
    line.push(Role::Plain, format!("{:>8}", millis(hop.phases.total())));
    line
}

/// Scheme, host and port; and the rest.
fn split(url: &str) -> (&str, &str) {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    url.split_at(end)
}

fn bar(phases: &Phases) -> Line {
    let parts = [
        (Role::Warn, '▒', phases.connection()),
        (Role::Dim, '░', phases.sending),
        (Role::Accent, '█', phases.waiting),
        (Role::Dim, '░', phases.receiving),
    ];
    let mut line = Line::new();
    for ((role, glyph, _), cells) in parts.iter().zip(cells(parts.map(|(.., time)| time))) {
        line.push(*role, glyph.to_string().repeat(cells));
    }
    line
}

/// How many of the bar's cells each phase gets.
fn cells<const N: usize>(times: [Duration; N]) -> [usize; N] {
    let total: Duration = times.iter().sum();
    let share = |time: Duration| if total.is_zero() { 0.0 } else { time.as_secs_f64() / total.as_secs_f64() };
    let mut cells = times.map(|time| (share(time) * BAR as f64).round() as usize);
    // Rounding may have given one too many or too few: the longest phase takes it.
    let sum: usize = cells.iter().sum();
    if let Some(longest) = (0..N).max_by_key(|&index| times[index]).filter(|_| !total.is_zero()) {
        cells[longest] = (cells[longest] + BAR).saturating_sub(sum);
    }
    cells
}

fn millis(time: Duration) -> String {
    format_latency_ms(time.as_secs_f64() * 1e3)
}

fn phases_in_words(hop: &Hop) -> String {
    let phases = &hop.phases;
    let named = [
        ("blocked", phases.blocked),
        ("look-up", phases.looking_up),
        ("connect", phases.connecting),
        ("TLS", phases.tls),
        ("send", phases.sending),
        ("wait", phases.waiting),
        ("receive", phases.receiving),
    ];
    let happened = named.iter().filter(|(_, time)| !time.is_zero());
    let mut words: Vec<String> = happened.map(|(name, time)| format!("{name} {}", millis(*time))).collect();
    words.push(if hop.reused { "kept connection" } else { "new connection" }.into());
    words.extend(hop.protocol.clone());
    words.join(" · ")
}

fn headers(side: &str, headers: &[(String, String)]) -> Vec<Line> {
    let line = |(name, value): &(String, String)| {
        Line::new().with(Role::Dim, format!("    {side} {}: ", text::clean(name))).with(Role::Plain, text::clean(value))
    };
    headers.iter().map(line).collect()
}

fn body(side: &str, body: &Excerpt) -> Vec<Line> {
    let note = |what: String| Line::new().with(Role::Dim, format!("    {side} {what}"));
    if body.text.is_empty() {
        return match body.note {
            Some(what) if body.size > 0 => vec![note(format!("({what}, {})", format_bytes(body.size)))],
            Some(what) => vec![note(format!("({what})"))],
            None => Vec::new(),
        };
    }
    // JSON that is whole is easier to read over several lines.
    let pretty = serde_json::from_str::<serde_json::Value>(&body.text)
        .ok()
        .filter(|value| value.is_object() || value.is_array())
        .and_then(|value| serde_json::to_string_pretty(&value).ok());
    let (lines, left_out) = text::clean_lines(pretty.as_deref().unwrap_or(&body.text), BODY_LINES);
    let mut shown: Vec<Line> = lines
        .into_iter()
        .map(|line| Line::new().with(Role::Dim, format!("    {side} ")).with(Role::Plain, line))
        .collect();
    if left_out > 0 || body.note.is_some() {
        shown.push(note(format!("… of {}", format_bytes(body.size))));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_always_full() {
        let micros = Duration::from_micros;
        for (times, expected) in [
            ([0, 0, 100, 0], [0, 0, 8, 0]),
            ([25, 25, 25, 25], [2, 2, 2, 2]),
            ([1, 1, 1, 97], [0, 0, 0, 8]),
            ([33, 33, 34, 0], [3, 3, 2, 0]),
            ([0, 7, 93, 0], [0, 1, 7, 0]),
        ] {
            assert_eq!(cells(times.map(micros)), expected, "{times:?}");
        }
        assert_eq!(cells([Duration::ZERO; 4]), [0; 4]);
    }

    #[test]
    fn a_url_is_split_behind_its_origin() {
        for (url, origin, path) in
            [("http://a:1/b?c", "http://a:1", "/b?c"), ("https://a", "https://a", ""), ("/odd", "", "/odd")]
        {
            assert_eq!(split(url), (origin, path));
        }
    }
}
