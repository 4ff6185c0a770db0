//! Runs the real binary: a builder for the command and its files, and what came of it.
//!
//! Each run has a directory of its own, which is also its working directory, so that paths in messages are short and the
//! same everywhere. The environment holds nothing of loadr's. A run that does not end is killed and fails its test.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use loadr::report::{CheckSummary, ErrorSummary, MetricSummary, Report, RequestSummary};
use serde_json::Value;
use tempfile::TempDir;

use crate::texts;

/// When a run is given up: far beyond what any takes, so that a hang is told apart from a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A command to run, with the files it finds in its directory.
pub struct Loadr {
    directory: TempDir,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    export: bool,
}

impl Loadr {
    /// `loadr` without any argument, in an empty directory.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self { directory, args: Vec::new(), env: BTreeMap::new(), export: false }
    }

    /// `loadr run script.rhai --summary-export summary.json`, with this text in the script.
    pub fn script(text: &str) -> Self {
        let mut new = Self::new().file("script.rhai", text);
        new.args.extend(["run", "script.rhai", "--summary-export", "summary.json"].map(str::to_owned));
        new.export = true;
        new
    }

    /// `loadr run PATH --summary-export summary.json`, for a script that is there already.
    pub fn export_of(path: &str) -> Self {
        let mut new = Self::new().args(["run", path, "--summary-export", "summary.json"]);
        new.export = true;
        new
    }

    /// `loadr run script.rhai` without an export.
    pub fn script_without_export(text: &str) -> Self {
        Self::new().file("script.rhai", text).args(["run", "script.rhai"])
    }

    /// A file in the run's directory; folders are made as needed.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
        self
    }

    /// A named pipe in the run's directory.
    #[cfg(unix)]
    pub fn pipe(self, name: &str) -> Self {
        let made = Command::new("mkfifo").arg(self.directory.path().join(name)).status().expect("mkfifo is installed");
        assert!(made.success());
        self
    }

    /// More arguments.
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// More arguments, given as one text with spaces between.
    pub fn flags(self, flags: &str) -> Self {
        self.args(flags.split_whitespace())
    }

    /// A variable for `env` in the script.
    pub fn var(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.args(["-e", &format!("{name}={value}")])
    }

    /// A variable of the process's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Ran {
        self.start().wait()
    }

    /// Starts it.
    pub fn start(self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadr"));
        command.args(&self.args).current_dir(self.directory.path());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            // The requests of a test go where it says, whatever proxy its machine has.
            if text.starts_with("LOADR_") || text.to_ascii_uppercase().ends_with("_PROXY") {
                command.env_remove(name);
            }
        }
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env_remove("BASE_URL");
        command.env("LC_ALL", "C.UTF-8").envs(&self.env);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stdout = child.stdout.take().expect("a pipe");
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("stdout is UTF-8");
            text
        });
        let stderr = Lines::follow(child.stderr.take().expect("a pipe"));
        Running { child: Some(child), stdout: Some(stdout), stderr, command: self }
    }
}

/// A run that has not ended yet. Dropped, it is killed.
pub struct Running {
    child: Option<Child>,
    stdout: Option<JoinHandle<String>>,
    stderr: Lines,
    command: Loadr,
}

impl Running {
    /// Waits until stderr has a line that contains this text.
    pub fn wait_for_line(&self, part: &str) {
        assert!(self.stderr.wait_for(part), "no line with {part:?} came:\n{}", self.stderr.text());
    }

    /// What stderr has so far.
    pub fn stderr_so_far(&self) -> String {
        self.stderr.text()
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let child = self.child.as_ref().expect("it runs");
        rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).expect("a signal");
    }

    /// Waits for its end.
    pub fn wait(self) -> Ran {
        self.wait_keeping().0
    }

    /// Waits for its end; its directory stays for as long as what is returned beside.
    pub fn wait_keeping(mut self) -> (Ran, TempDir) {
        let mut child = self.child.take().expect("it runs");
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("its state") {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{:?} did not end:\n{}", self.command.args, self.stderr.text());
            }
            thread::sleep(Duration::from_millis(2));
        };
        let stdout = self.stdout.take().expect("it is read").join().expect("its reader ends");
        let stderr = self.stderr.whole();
        let export = self.command.export.then(|| self.command.directory.path().join("summary.json"));
        let export = export.and_then(|path| fs::read_to_string(path).ok());
        let ran = Ran { status, stdout, stderr, export, command: self.command.args.clone() };
        let empty = tempfile::tempdir().expect("a directory");
        (ran, std::mem::replace(&mut self.command.directory, empty))
    }

    /// Where a file of its directory is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.command.directory.path().join(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The lines of a stream as they come.
struct Lines {
    state: Arc<(Mutex<String>, Condvar)>,
    ended: mpsc::Receiver<()>,
}

impl Lines {
    fn follow(stream: impl Read + Send + 'static) -> Self {
        let state = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let (end, ended) = mpsc::channel();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                shared.0.lock().expect("no panic").push_str(&String::from_utf8_lossy(&line));
                shared.1.notify_all();
                line.clear();
            }
            let _ = end.send(());
        });
        Self { state, ended }
    }

    fn text(&self) -> String {
        self.state.0.lock().expect("no panic").clone()
    }

    fn wait_for(&self, part: &str) -> bool {
        let text = self.state.0.lock().expect("no panic");
        let (text, _) = self.state.1.wait_timeout_while(text, PATIENCE, |text| !text.contains(part)).expect("no panic");
        text.contains(part)
    }

    fn whole(&self) -> String {
        self.ended.recv_timeout(PATIENCE).expect("the stream ends with its process");
        self.text()
    }
}

/// What came of a run.
pub struct Ran {
    status: ExitStatus,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
    export: Option<String>,
    command: Vec<String>,
}

impl Ran {
    /// That it ended with this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.status.signal(), None, "it was killed by a signal\n{self}");
        assert_eq!(self.status.code(), Some(code), "the exit code\n{self}");
        self
    }

    /// stdout without what differs from run to run.
    pub fn stdout_filtered(&self) -> String {
        texts::filter(&self.stdout)
    }

    /// stderr without what differs from run to run.
    pub fn stderr_filtered(&self) -> String {
        texts::filter(&self.stderr)
    }

    /// The first line of the summary.
    pub fn verdict(&self) -> &str {
        self.stdout.lines().next().unwrap_or_default()
    }

    /// The lines that the script printed, in order, without their prefix.
    pub fn prints(&self) -> Vec<&str> {
        let printed = self.stderr.lines().filter(|line| line.starts_with("info"));
        printed.map(|line| line.split_once(": ").map_or("", |(_, said)| said)).collect()
    }

    /// Whether a summary was written.
    pub fn has_export(&self) -> bool {
        self.export.is_some()
    }

    /// The exported summary as JSON; it follows the schema.
    #[track_caller]
    pub fn json(&self) -> Value {
        let text = self.export.as_ref().unwrap_or_else(|| panic!("no summary was written\n{self}"));
        let document: Value = serde_json::from_str(text).expect("the summary is JSON");
        let errors: Vec<String> =
            schema().iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "the summary does not follow its schema: {errors:#?}\n{text}");
        document
    }

    /// The exported summary.
    #[track_caller]
    pub fn report(&self) -> Report {
        serde_json::from_value(self.json()).expect("the summary is a report")
    }

    /// The sum of a counter; 0 when it is not in the report.
    #[track_caller]
    pub fn count(&self, metric: &str) -> f64 {
        match self.report().metrics.get(metric) {
            Some(MetricSummary::Counter { count, .. }) => *count,
            None => 0.0,
            other => panic!("{metric} is no counter: {other:?}"),
        }
    }

    /// How many values of a rate were true and how many were false.
    #[track_caller]
    pub fn rate(&self, metric: &str) -> (u64, u64) {
        match self.report().metrics.get(metric) {
            Some(MetricSummary::Rate { passes, fails, .. }) => (*passes, *fails),
            None => (0, 0),
            other => panic!("{metric} is no rate: {other:?}"),
        }
    }

    /// How many values a trend has; 0 when it is not in the report.
    #[track_caller]
    pub fn values(&self, metric: &str) -> u64 {
        match self.report().metrics.get(metric) {
            Some(MetricSummary::Trend { count, .. }) => *count,
            None => 0,
            other => panic!("{metric} is no trend: {other:?}"),
        }
    }

    /// The row of a request.
    #[track_caller]
    pub fn request(&self, method: &str, name: &str) -> RequestSummary {
        let rows = self.report().requests;
        let found = rows.iter().find(|row| row.method == method && row.name == name);
        found.cloned().unwrap_or_else(|| panic!("no row {method} {name} in {rows:#?}"))
    }

    /// A check's row.
    #[track_caller]
    pub fn check(&self, name: &str) -> CheckSummary {
        let rows = self.report().checks;
        let found = rows.iter().find(|row| row.name == name);
        found.cloned().unwrap_or_else(|| panic!("no check {name} in {rows:#?}"))
    }

    /// The error of a code.
    #[track_caller]
    pub fn error(&self, code: u32) -> ErrorSummary {
        let rows = self.report().errors;
        let found = rows.iter().find(|row| row.code == code);
        found.cloned().unwrap_or_else(|| panic!("no error {code} in {rows:#?}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, status, stdout, stderr, .. } = self;
        write!(f, "loadr {}\n{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", command.join(" "))
    }
}

fn schema() -> &'static jsonschema::Validator {
    static SCHEMA: OnceLock<jsonschema::Validator> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let schema = serde_json::from_str(include_str!("../../docs/summary.schema.json")).expect("the schema is JSON");
        jsonschema::draft202012::new(&schema).expect("the schema compiles")
    })
}
