//! The live view: what it says at several widths, and what it does to a terminal.

use super::super::sample::{self, Captured};
use super::*;
use crate::event::{LogLevel, LogLine, Warning};

fn state(seconds: impl IntoIterator<Item = Second>) -> State {
    let mut state = State::default();
    state.apply(&RunEvent::Started(Arc::new(sample::rich_report().run)));
    for second in seconds {
        state.apply(&RunEvent::Tick(Arc::new(second)));
    }
    state
}

fn look(width: usize) -> Look {
    Look { width, height: 24, ascii: false, colour: false }
}

fn shown(state: &State, look: &Look) -> String {
    let lines = render(state, look);
    for line in &lines {
        assert!(text::width(line) <= look.width, "{line}");
    }
    lines.join("\n")
}

#[test]
fn at_80_columns() {
    insta::assert_snapshot!(shown(&state([sample::second(3), sample::second(4)]), &look(80)), @r"
    shop.rhai  4s  ·  80 VUs  ·  244 iterations, 1 failed
      shoppers  ██████░░░░░░░░░░  40%  running        80 VUs  200 it.
      warm-up   ████████████████ 100%  done            0 VUs  100/100 it.
      requests  322/s  0.62% failed  of 1288
      latency   p50 1.1 ms  p95 3.4 ms  p99 12.0 ms  last seconds
      checks    99.83% of 2404 held
      data      613 kB/s received  30.0 kB/s sent
      generator lag 1.2 ms  cpu 42%
      errors    8 × connection refused (target)
                1 × request timeout (target)
    ");
}

#[test]
fn keys_are_told_where_they_work() {
    let mut state = state([sample::second(3), sample::second(4)]);
    assert!(!shown(&state, &look(80)).contains("q stop"), "nobody listens to keys");
    state.selected = Some(1);
    let screen = shown(&state, &look(80));
    assert!(screen.contains("\n  shoppers") && screen.contains("\n> warm-up"), "{screen}");
    assert!(screen.contains("\n  p pause  +/- 10 % more or less  Tab next scenario  q stop\n"), "{screen}");
    let change = sample::rich_report().series.events.swap_remove(0);
    assert!(state.apply(&RunEvent::Changed(change)));
    let screen = shown(&state, &look(80));
    assert!(screen.contains("4s  paused  ·") && screen.contains("\n  p resume"), "{screen}");
}

/// A state in which keys work, of a run that made requests, had errors and said something.
fn watched() -> State {
    let mut state = State { selected: Some(0), ..state([]) };
    let mut recording = sample::Recording::of(vec!["front page".into(), "item".into()]);
    for index in 0..2 {
        let mut second = recording.second();
        second.elapsed = Duration::from_secs(index + 1);
        second.errors = sample::second(4).errors;
        state.apply(&RunEvent::Tick(Arc::new(second)));
        for vu in 1..4 {
            let text = "no token\nin the page".into();
            state.apply(&RunEvent::Log(LogLine { level: LogLevel::Error, text, vu }));
        }
    }
    let warning = Warning { message: "few files may be open".into(), hint: "raise the limit".into() };
    state.apply(&RunEvent::Warning(warning));
    state
}

#[test]
fn keys_choose_what_is_shown() {
    let mut state = watched();
    let overview = shown(&state, &look(80));
    assert!(overview.ends_with("\n  1 [overview]  2 requests  3 errors  4 log"), "{overview}");
    state.view = View::Requests;
    insta::assert_snapshot!("requests", shown(&state, &look(80)));
    state.view = View::Errors;
    insta::assert_snapshot!("errors", shown(&state, &look(80)));
    state.view = View::Log;
    insta::assert_snapshot!("log", shown(&state, &look(80)));
    for (index, (view, _)) in View::ALL.into_iter().enumerate() {
        assert_eq!(View::of_key(b'1' + index as u8), Some(view));
        let legend = Legend::default();
        legend.show(view);
        assert_eq!(legend.view(), view);
    }
    assert_eq!([View::of_key(b'0'), View::of_key(b'5'), View::of_key(b'\t')], [None; 3]);
}

#[test]
fn views_fit_tiny_windows_whatever_things_are_called() {
    let mut state = State { selected: Some(0), ..state([]) };
    let mut recording = sample::Recording::of(sample::hostile_names());
    let mut second = recording.second();
    second.errors = sample::second(4).errors;
    state.apply(&RunEvent::Tick(Arc::new(second)));
    for text in sample::hostile_names() {
        state.apply(&RunEvent::Log(LogLine { level: LogLevel::Info, text, vu: 1 }));
    }
    for (view, _) in View::ALL {
        state.view = view;
        for (width, height) in [(40, 1), (40, 3), (40, 8), (80, 24), (200, 60)] {
            for ascii in [true, false] {
                let look = Look { width, height, ascii, colour: false };
                let lines = render(&state, &look);
                assert!(lines.len() < height.max(2), "{view:?} at {width}x{height}: {lines:#?}");
                for line in lines {
                    assert!(text::width(&line) <= width, "{line}");
                    assert!(!line.chars().any(char::is_control), "{line:?}");
                    assert!(!ascii || line.is_ascii(), "{line}");
                }
            }
        }
    }
}

#[test]
fn the_log_forgets_what_was_not_said_for_the_longest_time() {
    let mut kept = views::Kept::default();
    let say = |kept: &mut views::Kept, text: String| {
        kept.apply(&RunEvent::Log(LogLine { level: LogLevel::Info, text, vu: 1 }), 0);
    };
    say(&mut kept, "first".into());
    for number in 0..800 {
        say(&mut kept, format!("line {number}"));
        say(&mut kept, "always".into());
    }
    let look = Look { height: 2_000, ..look(80) };
    let lines = kept.lines(View::Log, &Second::default(), &look, 1_000);
    let said: Vec<String> = lines.into_iter().map(|line| line.render(&look)).collect();
    assert!((500..=625).contains(&said.len()), "{}", said.len());
    let [.., before, last] = &said[..] else { panic!("no lines") };
    assert!(last.contains("800 × always") && before.contains("line 799"));
    assert!(!said.iter().any(|line| line.contains("first")));
}

#[test]
fn at_120_columns() {
    insta::assert_snapshot!(shown(&state([sample::second(3), sample::second(4)]), &look(120)), @r"
    shop.rhai  4s  ·  80 VUs  ·  244 iterations, 1 failed
      shoppers  █████████░░░░░░░░░░░░░░░  40%  running        80 VUs  200 iterations
      warm-up   ████████████████████████ 100%  done            0 VUs  100/100 iterations
      requests  322/s  0.62% failed  of 1288
      latency   p50 1.1 ms  p95 3.4 ms  p99 12.0 ms  last seconds
      checks    99.83% of 2404 held
      data      613 kB/s received  30.0 kB/s sent
      generator lag 1.2 ms  cpu 42%
      errors    8 × connection refused (target)
                1 × request timeout (target)
    ");
}

#[test]
fn at_40_columns_in_ascii() {
    insta::assert_snapshot!(shown(&state([sample::second(4)]), &Look { ascii: true, ..look(40) }), @r"
    shop.rhai  4s  -  80 VUs  -  244 it., 1~
      shoppers  ###.....  40%  running  80
      warm-up   ######## 100%  done     0
      requests  322/s  0.62% failed  of 1288
      latency   p50 1.1 ms  p95 3.4 ms
                p99 12.0 ms  last seconds
      checks    99.83% of 2404 held
      data      613 kB/s received
                30.0 kB/s sent
      generator lag 1.2 ms  cpu 42%
      errors    8 x connection refused (tar~
                1 x request timeout (target)
    ");
}

#[test]
fn before_the_first_second() {
    insta::assert_snapshot!(shown(&state([]), &look(80)), @r"
    shop.rhai  starting
    ");
    insta::assert_snapshot!(shown(&State::default(), &look(80)), @r"
    the run  starting
    ");
}

#[test]
fn a_low_window_gets_what_fits() {
    let lines = render(&state([sample::second(4)]), &Look { height: 4, ..look(80) });
    assert_eq!(lines.len(), 3);
    assert!(lines[2].contains("more lines"), "{lines:?}");
    assert_eq!(render(&state([sample::second(4)]), &Look { height: 0, ..look(80) }).len(), 1);
}

#[test]
fn many_scenarios_and_errors_are_counted() {
    let mut second = sample::second(2);
    second.scenarios = vec![second.scenarios[0].clone(); 11];
    second.errors = vec![second.errors[0].clone(); 20];
    let text = shown(&state([second]), &Look { height: 60, ..look(80) });
    assert!(text.contains("… and 3 more scenarios") && text.contains("… and 15 more kinds"), "{text}");
    assert_eq!(text.matches("shoppers").count(), SCENARIOS, "{text}");
}

#[test]
fn colours_only_add() {
    let state = state([sample::second(4)]);
    let coloured = render(&state, &Look { colour: true, ..look(80) }).join("\n");
    assert!(coloured.contains("\u{1b}["));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), shown(&state, &look(80)));
}

/// Enough of a terminal to see what a person would see: lines wrap, the cursor moves up, text is erased.
struct Screen {
    width: usize,
    rows: Vec<Vec<char>>,
    at: (usize, usize),
    cursor_hidden: bool,
}

impl Screen {
    fn new(width: usize) -> Self {
        Self { width, rows: vec![Vec::new()], at: (0, 0), cursor_hidden: false }
    }

    /// The window is made narrower: what is longer wraps, as terminals do it.
    fn shrink(&mut self, width: usize) {
        let mut rows = Vec::new();
        for (index, row) in std::mem::take(&mut self.rows).into_iter().enumerate() {
            if index == self.at.0 {
                self.at.0 = rows.len();
            }
            let pieces: Vec<_> = row.chunks(width).map(<[char]>::to_vec).collect();
            rows.extend(if pieces.is_empty() { vec![Vec::new()] } else { pieces });
        }
        self.rows = rows;
        self.width = width;
    }

    fn feed(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.at.1 = 0,
                '\n' => {
                    self.at = (self.at.0 + 1, 0);
                    if self.at.0 == self.rows.len() {
                        self.rows.push(Vec::new());
                    }
                }
                '\u{1b}' => {
                    assert_eq!(chars.next(), Some('['));
                    let mut parameters = String::new();
                    let letter = loop {
                        match chars.next().expect("a whole sequence") {
                            c if c.is_ascii_alphabetic() => break c,
                            c => parameters.push(c),
                        }
                    };
                    match (parameters.as_str(), letter) {
                        (_, 'm') => {}
                        ("", 'K') => self.rows[self.at.0].truncate(self.at.1),
                        ("", 'J') => {
                            self.rows[self.at.0].truncate(self.at.1);
                            self.rows.truncate(self.at.0 + 1);
                        }
                        ("?25", 'l') => self.cursor_hidden = true,
                        ("?25", 'h') => self.cursor_hidden = false,
                        (rows, 'A') => self.at.0 = self.at.0.saturating_sub(rows.parse().unwrap()),
                        other => panic!("{other:?}"),
                    }
                }
                c => {
                    if self.at.1 == self.width {
                        self.feed("\n");
                    }
                    let (row, column) = self.at;
                    let row = &mut self.rows[row];
                    row.resize(row.len().max(column + 1), ' ');
                    row[column] = c;
                    self.at.1 += 1;
                }
            }
        }
    }

    fn text(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(|row| row.iter().collect::<String>().trim_end().into()).collect();
        rows.join("\n")
    }
}

fn log(text: &str) -> RunEvent {
    RunEvent::Log(LogLine { level: LogLevel::Info, text: text.into(), vu: 1 })
}

fn tick(number: u32) -> RunEvent {
    RunEvent::Tick(Arc::new(sample::second(number)))
}

#[test]
fn messages_scroll_above_and_the_region_stays_one() {
    let captured = Captured::default();
    let mut live = Live::new(captured.stream(), look(80));
    let start = Instant::now();
    for second in 1..=5 {
        let now = start + Duration::from_secs(second);
        live.take(&log(&format!("line {second}")), now).unwrap();
        live.take(&tick(u32::try_from(second).unwrap()), now + CALM).unwrap();
    }
    let mut screen = Screen::new(80);
    screen.feed(&captured.text());
    let text = screen.text();
    let messages: Vec<_> = text.lines().take(5).collect();
    assert_eq!(messages, (1..=5).map(|n| format!("info vu 1: line {n}")).collect::<Vec<_>>(), "{text}");
    assert_eq!(text.matches("latency").count(), 1, "{text}");
    assert!(text.contains("\n5s  ·"), "{text}");
    assert!(screen.cursor_hidden);

    Box::new(live).finish().unwrap();
    let mut screen = Screen::new(80);
    screen.feed(&captured.text());
    let messages: Vec<_> = (1..=5).map(|n| format!("info vu 1: line {n}\n")).collect();
    assert_eq!(screen.text(), messages.concat(), "the region is wiped at the end");
    assert!(!screen.cursor_hidden);
}

#[test]
fn a_narrower_window_leaves_no_rubbish() {
    let captured = Captured::default();
    let mut live = Live::new(captured.stream(), look(120));
    let start = Instant::now();
    live.take(&tick(2), start).unwrap();
    let mut screen = Screen::new(120);
    screen.feed(&captured.text());
    let before = captured.text().len();

    screen.shrink(50);
    live.look = look(50);
    live.take(&tick(3), start + CALM).unwrap();
    screen.feed(&captured.text()[before..]);
    let expected = render(&live.state, &look(50)).join("\n") + "\n";
    assert_eq!(screen.text(), expected);
}

#[test]
fn it_draws_no_more_than_four_times_a_second() {
    let captured = Captured::default();
    let mut live = Live::new(captured.stream(), look(80));
    let start = Instant::now();
    for ms in 0..1_000 {
        live.take(&tick(1), start + Duration::from_millis(ms)).unwrap();
    }
    assert_eq!(captured.text().matches("\u{1b}[J").count(), 4);
}

#[test]
fn nothing_is_drawn_when_nothing_happens() {
    let captured = Captured::default();
    let mut live = Live::new(captured.stream(), look(80));
    live.idle().unwrap();
    Box::new(live).finish().unwrap();
    assert_eq!(captured.text(), "");
}

#[test]
fn a_dropped_view_shows_the_cursor_again() {
    let captured = Captured::default();
    let mut live = Live::new(captured.stream(), look(80));
    live.take(&tick(1), Instant::now()).unwrap();
    drop(live);
    let mut screen = Screen::new(80);
    screen.feed(&captured.text());
    assert_eq!((screen.text().as_str(), screen.cursor_hidden), ("", false));
}
