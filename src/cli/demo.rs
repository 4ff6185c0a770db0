//! `loadr demo`: runs the demo server until it is told to stop.
//!
//! Standard output gets one line, the server's base URL, so that a script may read it; everything else goes to standard
//! error.

use super::exit::Exit;
use super::signals::Listener;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;

use crate::demo::{DemoConfig, Server, Stats};
use crate::units::{format, parse_duration};

/// Runs the demo server: a small shop to point a load test at. The routes are described in docs/demo.md.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, env = "LOADR_DEMO_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Server threads [default: half of the cores]
    #[arg(long, env = "LOADR_DEMO_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// The seed of session keys, jitter and injected errors
    #[arg(long, env = "LOADR_DEMO_SEED", value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Delay every response by this
    #[arg(long, env = "LOADR_DEMO_LATENCY", value_name = "DURATION", default_value = "0", value_parser = parse_duration)]
    pub latency: Duration,

    /// Delay every response by up to this, at random, on top
    #[arg(long, env = "LOADR_DEMO_JITTER", value_name = "DURATION", default_value = "0", value_parser = parse_duration)]
    pub jitter: Duration,

    /// The share of requests that fail with status 503, from 0 to 1
    #[arg(long, env = "LOADR_DEMO_ERROR_RATE", value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub error_rate: f64,
}

impl DemoArgs {
    /// What the server is started with.
    #[must_use]
    pub fn config(&self) -> DemoConfig {
        let defaults = DemoConfig::default();
        DemoConfig {
            listen: self.listen,
            threads: self.threads.map_or(defaults.threads, usize::from),
            seed: self.seed,
            latency: self.latency,
            latency_jitter: self.jitter,
            error_rate: self.error_rate,
            ..defaults
        }
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("expected a share from 0 to 1 such as `0.01`, found `{text}`")),
    }
}

/// Runs the server until Ctrl-C or SIGTERM.
///
/// # Errors
/// When it cannot listen where it should, or standard output is closed.
pub fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    let config = args.config();
    let threads = config.threads;
    let server = Server::start(config)
        .with_context(|| format!("can't listen on `{}`; choose another address with --listen", args.listen))?;
    // Before anybody is told that it runs: who then ends it with Ctrl-C gets its closing words.
    let mut listener = Listener::new().context("can't wait for Ctrl-C")?;
    let mut stdout = anstream::stdout().lock();
    writeln!(stdout, "{}", server.base_url()).and_then(|()| stdout.flush()).context("can't write the address")?;
    drop(stdout);
    let mut stderr = anstream::stderr();
    let threads = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
    // Nobody may be reading any more: the server serves all the same.
    let _ = writeln!(stderr, "the demo shop is open ({threads}, seed {}); Ctrl-C closes it", args.seed);
    listener.wait();
    let _ = writeln!(stderr, "{}", closing_words(&server.stop()));
    Ok(Exit::Passed)
}

fn closing_words(stats: &Stats) -> String {
    let count = |number: u64| format::format_count(number as f64);
    format!(
        "closed after {} requests on {} connections: {} logins, {} orders, {} uploads",
        count(stats.requests),
        count(stats.connections),
        count(stats.logins),
        count(stats.orders),
        count(stats.uploads),
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: DemoArgs,
    }

    fn parse(line: &str) -> Result<DemoArgs, clap::Error> {
        Command::try_parse_from(std::iter::once("demo").chain(line.split_whitespace())).map(|command| command.args)
    }

    #[test]
    fn flags_become_a_configuration() {
        let line = "--listen 127.0.0.1:0 --threads 3 --seed 9 --latency 20ms --jitter 1s --error-rate 0.25";
        let config = parse(line).unwrap().config();
        let expected = DemoConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            threads: 3,
            seed: 9,
            latency: Duration::from_millis(20),
            latency_jitter: Duration::from_secs(1),
            error_rate: 0.25,
            ..DemoConfig::default()
        };
        assert_eq!(config, expected);
        let plain = DemoConfig { listen: "127.0.0.1:8080".parse().unwrap(), ..DemoConfig::default() };
        assert_eq!(parse("").unwrap().config(), plain);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "--error-rate 1.5",
            "--error-rate NaN",
            "--error-rate -1",
            "--threads 0",
            "--latency soon",
            "--listen here",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_closing_words_say_what_happened() {
        let stats = Stats { requests: 1_234, connections: 5, logins: 3, orders: 2, uploads: 1, ..Stats::default() };
        let words = closing_words(&stats);
        assert!(words.ends_with("on 5 connections: 3 logins, 2 orders, 1 uploads"), "{words}");
    }
}
