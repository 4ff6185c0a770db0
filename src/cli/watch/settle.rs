//! When a save is over: editors write in several steps, and several files may be saved at once.
//!
//! A change is taken up when nothing has happened for [`QUIET`]. Two things make it wait longer, up to [`PATIENCE`]:
//! somebody has the file open and has written to it (the system says when it is closed), or a file that was there is
//! gone or empty, as it is for a moment when an editor renames or truncates it.
//!
//! Times are arguments: nothing here reads a clock.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long nothing must happen. Long enough for the steps of a save that has no sign of its end, short enough not to be
/// felt.
pub const QUIET: Duration = Duration::from_millis(10);

/// How long a save may take at most, from its first sign.
pub const PATIENCE: Duration = Duration::from_millis(300);

/// What the system says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Somebody writes to it, and will close it.
    Writing,
    /// Who wrote to it has closed it.
    Closed,
    /// It came, went, was renamed, or has other attributes.
    Other,
}

/// A save that goes on.
#[derive(Debug, Default)]
pub struct Settling {
    first: Option<Instant>,
    last: Option<Instant>,
    open: BTreeSet<PathBuf>,
}

impl Settling {
    /// Takes a sign.
    pub fn noticed(&mut self, path: &Path, sign: Sign, now: Instant) {
        match sign {
            Sign::Writing => drop(self.open.insert(path.to_owned())),
            Sign::Closed => drop(self.open.remove(path)),
            Sign::Other => {}
        }
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// When to look at the files; none when nothing has happened.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let (first, last) = (self.first?, self.last?);
        let latest = first + PATIENCE;
        Some(if self.open.is_empty() { (last + QUIET).min(latest) } else { latest })
    }

    /// Whether to wait for a file that is gone or empty.
    #[must_use]
    pub fn may_wait(&self, now: Instant) -> bool {
        self.first.is_some_and(|first| now < first + PATIENCE)
    }

    /// Looks again later.
    pub fn wait(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// The save is over.
    pub fn done(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_is_over_when_nothing_has_happened_for_a_while() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let file = Path::new("a");
        let mut settling = Settling::default();
        assert_eq!(settling.due(), None);
        settling.noticed(file, Sign::Other, at(0));
        assert_eq!(settling.due(), Some(at(10)));
        settling.noticed(file, Sign::Other, at(8));
        assert_eq!(settling.due(), Some(at(18)));
        settling.noticed(file, Sign::Writing, at(12));
        assert_eq!(settling.due(), Some(at(300)), "whoever writes will close it");
        settling.noticed(file, Sign::Closed, at(40));
        assert_eq!(settling.due(), Some(at(50)));
        for ms in 50..400 {
            settling.noticed(file, Sign::Other, at(ms));
        }
        assert_eq!(settling.due(), Some(at(300)), "what never ends is not waited for");
        settling.done();
        assert_eq!(settling.due(), None);
    }

    #[test]
    fn a_file_that_is_gone_is_waited_for_but_not_for_ever() {
        let start = Instant::now();
        let mut settling = Settling::default();
        settling.noticed(Path::new("a"), Sign::Other, start);
        assert!(settling.may_wait(start + PATIENCE / 2));
        settling.wait(start + PATIENCE / 2);
        assert_eq!(settling.due(), Some(start + PATIENCE / 2 + QUIET));
        assert!(!settling.may_wait(start + PATIENCE));
    }
}
