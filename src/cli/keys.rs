//! Keys in the live view: `p` pauses and resumes, `q` stops, `+` and `-` change the selected scenario by a tenth, Tab
//! selects the next; `1` to `4` choose what is shown.
//!
//! The terminal is taken out of its line mode and does not echo; signals stay as they are, so that Ctrl-C works as ever,
//! and so does output. Its own mode comes back when [`KeyReader`] is dropped, also on the way out of a panic; what ends the
//! process without unwinding (a script's stack overflow) brings it back itself. Ctrl-\ is switched off meanwhile, as it
//! would end the process with the terminal as it is; after a suspend (Ctrl-Z) and its resumption keys work again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use crate::engine::{Control, Level};
use crate::output::live::{Legend, View};
use crate::script::bridge::fault;
use crate::units::Rate;

/// Who asked, in the report.
const BY: &str = "key";
/// How long the thread waits for a key before it looks whether it is to end.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Listens to the keys of a run until it is dropped.
pub struct Keys(#[expect(dead_code, reason = "held for its drop")] KeyReader);

impl Keys {
    /// Listens to the terminal on stdin; none when there is no terminal, or this is a background job.
    #[must_use]
    pub fn listen(control: &Control, legend: &Arc<Legend>) -> Option<Self> {
        let (control, legend) = (control.clone(), legend.clone());
        let press = move |keys: &[u8]| keys.iter().for_each(|&key| press(key, &control, &legend));
        KeyReader::listen(press).map(Self)
    }
}

/// Takes the terminal out of its line mode and reads keys on a thread of its own, until it is dropped.
pub struct KeyReader {
    own_mode: Termios,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl KeyReader {
    /// Listens to the terminal on stdin, and gives the bytes of keys that were pressed together; none when there is no
    /// terminal, or this is a background job. Arrow and function keys are left out.
    #[must_use]
    pub fn listen(mut pressed: impl FnMut(&[u8]) + Send + 'static) -> Option<Self> {
        let stdin = io::stdin();
        let own_mode = tcgetattr(&stdin).ok()?;
        if !in_foreground() {
            return None;
        }
        fault::remember_terminal();
        tcsetattr(&stdin, OptionalActions::Now, &key_mode(&own_mode)).ok()?;
        let ends = Arc::new(AtomicBool::new(false));
        let (told, mode) = (ends.clone(), key_mode(&own_mode));
        let thread = std::thread::Builder::new().name("loadr-keys".into()).spawn(move || {
            while !told.load(Ordering::Relaxed) {
                match read_keys(&mode) {
                    Ok(keys) if keys.is_empty() => {}
                    Ok(keys) => pressed(&keys),
                    Err(_) => return,
                }
            }
        });
        // Dropped without a thread, it still brings the terminal's own mode back.
        Some(Self { own_mode, ends, thread: thread.ok() })
    }
}

impl Drop for KeyReader {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if in_foreground() {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.own_mode);
        }
    }
}

/// Whether the terminal may be changed: in the background that would stop the process.
fn in_foreground() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

fn key_mode(own: &Termios) -> Termios {
    let mut mode = own.clone();
    mode.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    mode.special_codes[SpecialCodeIndex::VMIN] = 1;
    mode.special_codes[SpecialCodeIndex::VTIME] = 0;
    // 0 is "no such key".
    mode.special_codes[SpecialCodeIndex::VQUIT] = 0;
    mode
}

/// The keys that were pressed within [`WAIT`].
fn read_keys(mode: &Termios) -> io::Result<Vec<u8>> {
    let stdin = io::stdin();
    if !in_foreground() {
        std::thread::sleep(std::time::Duration::from_millis(100));
        return Ok(Vec::new());
    }
    // Whoever had the terminal while this process was suspended has left it in another mode.
    if tcgetattr(&stdin)?.local_modes.contains(LocalModes::ICANON) {
        tcsetattr(&stdin, OptionalActions::Now, mode)?;
    }
    let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut ready, Some(&WAIT)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let mut bytes = [0u8; 64];
    match rustix::io::read(&stdin, &mut bytes[..])? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        read => Ok(without_sequences(&bytes[..read])),
    }
}

/// The keys among these bytes that are letters and the like. Arrow and function keys come as sequences behind an escape,
/// of which no byte is meant for itself; an escape that comes alone is a key.
fn without_sequences(bytes: &[u8]) -> Vec<u8> {
    let mut keys = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != 0x1b || rest.peek().is_none() {
            keys.push(byte);
            continue;
        }
        match rest.next() {
            // Parameters, then a final byte.
            Some(b'[') => drop(rest.by_ref().find(|byte| matches!(byte, 0x40..=0x7e))),
            Some(b'O') => drop(rest.next()),
            _ => {}
        }
    }
    keys
}

/// Does what a key asks for. Where the run refuses (it has not begun, it is over), nothing is to be done.
pub(super) fn press(key: u8, control: &Control, legend: &Legend) {
    let levels = control.levels();
    let selected = legend.selected().checked_rem(levels.len()).unwrap_or(0);
    let result = match key {
        b'p' | b'P' | b' ' if control.is_paused() => control.resume(BY),
        b'p' | b'P' | b' ' => control.pause(BY),
        b'q' | b'Q' => {
            if !control.is_stopping() {
                control.stop_by("stopped by key `q`", BY);
            }
            return;
        }
        b'\t' => return legend.select((selected + 1).checked_rem(levels.len()).unwrap_or(0)),
        b'+' | b'=' | b'-' | b'_' => match levels.get(selected) {
            Some(level) => step(level, matches!(key, b'+' | b'='), control),
            None => return,
        },
        key => {
            if let Some(view) = View::of_key(key) {
                legend.show(view);
            }
            return;
        }
    };
    let _refused = result;
}

fn step(level: &Level, up: bool, control: &Control) -> Result<bool, crate::engine::SteerError> {
    match level.rate {
        Some(rate) => {
            let rate = Rate { count: stepped_rate(rate, up), per: std::time::Duration::from_secs(1_000) };
            control.set_rate(&level.name, rate, BY)
        }
        None => control.set_vus(&level.name, stepped_vus(level.vus, up), BY),
    }
}

/// A tenth more or less, at least one.
fn stepped_vus(vus: u32, up: bool) -> u32 {
    let step = vus.div_ceil(10).max(1);
    if up { vus.saturating_add(step) } else { vus.saturating_sub(step) }
}

/// A tenth more or less, in thousandths of an iteration a second, at least one of them.
fn stepped_rate(per_second: f64, up: bool) -> u64 {
    let thousandths = (per_second * 1e3).round().max(0.0) as u64;
    let step = thousandths.div_ceil(10).max(1);
    if up { thousandths.saturating_add(step) } else { thousandths.saturating_sub(step) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_of_arrow_and_function_keys_are_left_out() {
        for (bytes, keys) in [
            ("abc", "abc"),
            ("\x1b", "\x1b"),
            ("\x1b[A", ""),
            ("a\x1b[Bl", "al"),
            ("\x1bOPq", "q"),
            ("\x1b[15~\x1b[1;5Cx", "x"),
            ("\x1bx", ""),
            ("\x1b[1", ""),
        ] {
            assert_eq!(without_sequences(bytes.as_bytes()), keys.as_bytes(), "{bytes:?}");
        }
    }

    #[test]
    fn steps_are_a_tenth_and_never_nothing() {
        for (vus, more, less) in [(0, 1, 0), (1, 2, 0), (9, 10, 8), (10, 11, 9), (15, 17, 13), (100, 110, 90)] {
            assert_eq!((stepped_vus(vus, true), stepped_vus(vus, false)), (more, less), "{vus}");
        }
        for (rate, more, less) in [(0.0, 1, 0), (50.0, 55_000, 45_000), (0.5, 550, 450)] {
            assert_eq!((stepped_rate(rate, true), stepped_rate(rate, false)), (more, less), "{rate}");
        }
    }
}
