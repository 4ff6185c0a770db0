//! Programs from outside that tests speak to: started on a port of their own, waited for, ended by their id.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take to do what is waited for: far longer than any needs.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A program that was started. Dropped, it is ended.
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts it; none when it is not installed, which is an error where all programs are required.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says which program it lacks")]
    pub fn start(command: &mut Command) -> Option<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => Some(Self { child }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                assert!(std::env::var_os("LOADR_REQUIRE_PROGRAMS").is_none(), "{name} is not installed");
                eprintln!("skipped: {name} is not installed");
                None
            }
            Err(error) => panic!("{name} can't be started: {error}"),
        }
    }

    /// Waits until it listens.
    pub fn listens(&mut self, port: u16) {
        wait_until("a program listens", || {
            if let Some(status) = self.child.try_wait().expect("its state") {
                panic!("it ended: {status}");
            }
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // What it holds is in a directory of the test's, and not needed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something to become true.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "gave up waiting until {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a program is installed that is run to its end; where all programs are required, its absence is an error.
#[expect(clippy::print_stderr, reason = "a test that is skipped says which program it lacks")]
pub fn installed(name: &str) -> bool {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var_os("LOADR_REQUIRE_PROGRAMS").is_none(), "{name} is not installed");
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// The body of a GET; none when there was no answer, or none that is good.
pub fn get(url: &str) -> Option<String> {
    ureq::get(url).call().ok()?.body_mut().read_to_string().ok()
}
