//! `loadr watch`: saves a script, sees what it does.
//!
//! Each save of the script, of what it imports or of its data files checks it and rehearses it: one iteration of one
//! virtual user, each step told as it happens ([`crate::session::Rehearsal`]). It ends with Ctrl-C or `q`.
//!
//! | file | what it is about |
//! | --- | --- |
//! | this | flags, and what is set up once: the demo shop, signals, keys |
//! | [`watcher`] | the loop: what keys and saves do |
//! | [`files`] | which files are watched, and whether they have changed |
//! | [`settle`] | when a save is over |
//! | [`job`] | what goes on beside the loop: a rehearsal, or the real load |
//! | [`screen`] | what is shown |

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};

use clap::builder::BoolishValueParser;
use clap::{ArgMatches, Args};
use regex::Regex;
use serde_json::Value;

use super::exit::Exit;
use super::run::{self, RunArgs};
use super::{complain, signals};
use crate::demo::{DemoConfig, Server};
use crate::output::trace::View;
use crate::output::{self, Look};
use crate::plan::{Layer, Source};
use crate::session::SessionSpec;
use crate::trace::TraceEvent;

mod files;
mod job;
mod screen;
mod settle;
mod watcher;

use screen::Screen;
use watcher::{Setting, Watcher};

/// Run one iteration at each save of a script, and show each of its steps.
///
/// Flags of `run` mean what they mean there, with two exceptions: `--vus` and `--iterations` say what is rehearsed (each
/// virtual user runs so many iterations of each scenario), and flags that shape the load are for the load test that the
/// key `l` starts.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// What `run` has too.
    #[command(flatten)]
    pub run: RunArgs,
    /// What only `watch` has.
    #[command(flatten)]
    pub own: OwnArgs,
}

/// What only `watch` has.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Watch")]
pub struct OwnArgs {
    /// Let `think`, `sleep` and `pace` take the time that they say, instead of skipping them
    #[arg(long, env = "LOADR_WATCH_REAL_TIME", value_parser = BoolishValueParser::new())]
    pub real_time: bool,
    /// Show one run and end: with 0 if all was well, 99 for a failed check or request, 107 for an error of the script
    #[arg(long)]
    pub once: bool,
    /// Show headers and bodies from the start; secrets are left out
    #[arg(long, env = "LOADR_WATCH_BODIES", value_parser = BoolishValueParser::new())]
    pub bodies: bool,
    /// Show only steps that contain this text, or `!` for failures only
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Do not begin each run on an empty screen
    #[arg(long, env = "LOADR_WATCH_NO_CLEAR", value_parser = BoolishValueParser::new())]
    pub no_clear: bool,
    /// Look at the files twice a second instead of letting the system tell: for folders that other machines write to
    #[arg(long, env = "LOADR_WATCH_POLL", value_parser = BoolishValueParser::new())]
    pub poll: bool,
}

/// Something that the loop has to deal with.
pub(super) enum Event {
    /// A file may have changed.
    File(PathBuf, settle::Sign),
    /// A step of the rehearsal.
    Step(TraceEvent),
    /// The rehearsal is over.
    Rehearsed(Box<job::Rehearsed>),
    /// The load test is over.
    Loaded(Box<job::Loaded>),
    /// Keys that were pressed together.
    Keys(Vec<u8>),
    /// Ctrl-C or SIGTERM.
    Signal,
}

/// Events that may wait: a rehearsal that tells faster than the terminal shows has to wait itself.
const EVENTS_WAITING: usize = 1_024;

/// Runs the command. `shown` is the command line as it is told in the report of a load test.
pub fn run(args: &RunArgs, own: &OwnArgs, matches: &ArgMatches, shown: Vec<String>) -> Exit {
    let setting = match setting(args, own, matches, shown) {
        Ok(setting) => setting,
        Err(message) => {
            complain(&format!("error: {message}"));
            return Exit::InvalidConfig;
        }
    };
    let (events, taken) = sync_channel(EVENTS_WAITING);
    if let Err(error) = listen_to_signals(events.clone()) {
        complain(&format!("warning: Ctrl-C will end loadr at once: {error}"));
    }
    let on_terminal = io::stdout().is_terminal() && !own.once;
    #[cfg(unix)]
    let keys = {
        let pressed = events.clone();
        let wanted = on_terminal && io::stdin().is_terminal();
        let tell = move |keys: &[u8]| drop(pressed.send(Event::Keys(keys.to_vec())));
        wanted.then(|| super::keys::KeyReader::listen(tell)).flatten()
    };
    #[cfg(unix)]
    let has_keys = keys.is_some();
    #[cfg(not(unix))]
    let has_keys = false;
    let look = Look::stdout(args.no_color);
    let view = View {
        bodies: own.bodies,
        debug: args.verbose,
        filter: own.filter.as_deref().map(output::trace::Filter::typed).unwrap_or_default(),
    };
    let out = Box::new(anstream::stdout());
    let screen = Screen::new(out, look, view, on_terminal && !own.no_clear, has_keys, setting.vus > 1);
    Watcher::new(setting, screen, events, taken).watch()
}

fn listen_to_signals(events: SyncSender<Event>) -> io::Result<()> {
    let mut listener = signals::Listener::new()?;
    let listen = move || {
        loop {
            listener.wait();
            if events.send(Event::Signal).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("loadr-signals".into()).spawn(listen)?;
    Ok(())
}

/// What is the same for all runs.
fn setting(args: &RunArgs, own: &OwnArgs, matches: &ArgMatches, shown: Vec<String>) -> Result<Setting, String> {
    for (flag, is_given) in [("--control", args.control.is_some()), ("--dashboard", args.dashboard.is_some())] {
        if is_given {
            return Err(format!("{flag} is for `loadr run`: a watch has keys, and its load test a live view"));
        }
    }
    // Flags that make no sense are told once and for all, and not at each save.
    run::session_spec(args, matches, shown.clone(), None)?;
    for problem in run::environment_proxies().1 {
        complain(&format!("warning: {problem}"));
    }
    let number = |flag: &str, given: &Option<String>| match given.as_deref().map(str::trim) {
        None => Ok(1),
        Some(text) => match text.parse::<u32>() {
            Ok(number) if (1..=MOST).contains(&number) => Ok(number),
            _ => Err(format!("--{flag} `{text}`: a rehearsal takes a number from 1 to {MOST}")),
        },
    };
    let (vus, iterations) = (number("vus", &args.vus)?, number("iterations", &args.iterations)?);
    let (script, no_color) = (args.script.clone(), args.no_color);
    let takes_keys = !args.quiet && output::takes_keys();
    let given = std::env::var_os("BASE_URL").is_some() || args.env.iter().any(|pair| pair.starts_with("BASE_URL="));
    let asks = !given && std::fs::read_to_string(&script).is_ok_and(|text| asks_for_base_url(&text));
    let demo = if args.demo || asks {
        let server = Server::start(DemoConfig::default());
        Some(server.map_err(|error| format!("can't start the demo server: {error}"))?)
    } else {
        None
    };
    let note = demo.as_ref().map(|server| match asks && !args.demo {
        true => format!("BASE_URL is not set: the demo shop stands in at {}", server.base_url()),
        false => format!("demo shop at {}", server.base_url()),
    });
    let base_url = demo.as_ref().filter(|_| !given).map(Server::base_url);
    let seed = fastrand::u64(..=u64::from(u32::MAX));
    let (args, matches) = (args.clone(), matches.clone());
    let spec = move |legend| -> Result<SessionSpec, String> {
        let mut spec = run::session_spec(&args, &matches, shown.clone(), legend)?;
        for layer in &mut spec.layers {
            // They say what is rehearsed; the load is the script's own.
            layer.options.remove("vus");
            layer.options.remove("iterations");
        }
        // One seed for all runs: what is different after a save is different because of it.
        let seed = [("seed".to_owned(), Value::from(seed))];
        spec.layers.push(Layer { source: Source::Default, options: seed.into_iter().collect() });
        spec.demo = false;
        if let Some(base_url) = &base_url {
            spec.env.insert("BASE_URL".into(), base_url.clone());
        }
        Ok(spec)
    };
    Ok(Setting {
        vus,
        iterations: iterations.into(),
        real_time: own.real_time,
        once: own.once,
        poll: own.poll,
        script: PathBuf::from(script),
        note,
        plain_look: Look::stdout(no_color),
        takes_keys,
        spec: Box::new(spec),
        roots: Arc::default(),
        _demo: demo,
    })
}

/// The most virtual users, and iterations of each: nobody reads more.
const MOST: u32 = 1_000;

/// Whether a script needs `BASE_URL`: it asks for it without saying what it is otherwise.
fn asks_for_base_url(text: &str) -> bool {
    static ASKS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"\benv\(\s*"BASE_URL"\s*\)"#).expect("a pattern"));
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.into_iter().any(|line| ASKS.is_match(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_script_that_would_fail_asks_for_the_shop() {
        for (text, asks) in [
            (r#"const BASE = env("BASE_URL");"#, true),
            (r#"http::get(`${env( "BASE_URL" )}/`);"#, true),
            (r#"const BASE = env("BASE_URL", "http://127.0.0.1:8080");"#, false),
            (r#"// const BASE = env("BASE_URL");"#, false),
            ("fn journey() {}", false),
        ] {
            assert_eq!(asks_for_base_url(text), asks, "{text}");
        }
    }
}
