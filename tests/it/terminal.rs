//! Runs the real binary in a pseudo-terminal, and reads the screen that it draws.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

/// When a screen is given up: far beyond what anything takes.
const PATIENCE: Duration = Duration::from_secs(90);

const ROWS: u16 = 60;
const COLUMNS: u16 = 110;

/// What a terminal shows, drawn so far.
type Screen = Arc<(Mutex<vt100::Parser>, Condvar)>;

/// `loadr` in a terminal, with a directory of its own.
pub struct Terminal {
    directory: TempDir,
    screen: Screen,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    /// Starts it in this directory.
    pub fn start(directory: TempDir, args: &[&str]) -> Self {
        let size = PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_loadr"));
        command.args(args);
        command.cwd(directory.path());
        command.env_clear();
        for (name, value) in [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8"), ("PATH", "/usr/bin:/bin")] {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("the binary starts");
        drop(pair.slave);
        let parser = vt100::Parser::new(ROWS.try_into().expect("rows"), COLUMNS.try_into().expect("columns"), 0);
        let screen: Screen = Arc::new((Mutex::new(parser), Condvar::new()));
        let mut output = pair.master.try_clone_reader().expect("its output");
        let drawn = screen.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                drawn.0.lock().expect("no panic").process(&bytes[..read]);
                drawn.1.notify_all();
            }
        });
        let keys = pair.master.take_writer().expect("its keys");
        Self { directory, screen, keys, child, master: pair.master }
    }

    /// Where a file of its directory is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        self.screen.0.lock().expect("no panic").screen().contents()
    }

    /// Waits until the screen is as it should be; gives it.
    #[track_caller]
    pub fn wait_until(&self, what: &str, good: impl Fn(&str) -> bool) -> String {
        let parser = self.screen.0.lock().expect("no panic");
        let is_bad = |parser: &mut vt100::Parser| !good(&parser.screen().contents());
        let (parser, waited) = self.screen.1.wait_timeout_while(parser, PATIENCE, is_bad).expect("no panic");
        let text = parser.screen().contents();
        assert!(!waited.timed_out(), "{what} did not come:\n{text}");
        text
    }

    /// Waits until all of these texts are on the screen at once; gives it.
    #[track_caller]
    pub fn wait_for(&self, parts: &[&str]) -> String {
        self.wait_until(&format!("{parts:?}"), |text| parts.iter().all(|part| text.contains(part)))
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("the keys are taken");
    }

    /// Whether the terminal is in its line mode, as it was before.
    pub fn is_in_line_mode(&self) -> bool {
        let mode = self.master.get_termios().expect("a mode");
        let flags = format!("{:?}", mode.local_flags);
        flags.contains("ICANON") && flags.contains("ECHO")
    }

    /// Waits for its end; gives its exit code.
    #[track_caller]
    pub fn exit_code(&mut self) -> u32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status.exit_code();
            }
            assert!(begun.elapsed() < PATIENCE, "it did not end:\n{}", self.text());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
