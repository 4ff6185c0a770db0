//! `loadr ctl`: asks a run that was started with `--control`, or changes it.
//!
//! Exit codes: 0 it is done · 1 the run refused, or can't be reached · 2 usage.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::control::Access;
use super::{complain, exit::Exit};
use crate::units::format::{format_count, format_duration};

/// How long the run may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of an answer.
const ANSWER_MOST: u64 = 4 << 20;

/// Watch or change a run that was started with `--control`.
#[derive(Args, Debug)]
pub struct CtlArgs {
    /// Where the run listens, as it said: `http://127.0.0.1:40123`
    #[arg(short = 'a', long, env = "LOADR_CONTROL", value_name = "ADDRESS")]
    pub address: Option<String>,
    /// The run's token
    #[arg(short = 't', long, env = "LOADR_CONTROL_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The file that `--control-file` wrote: address and token in one
    #[arg(short = 'f', long, env = "LOADR_CONTROL_FILE", value_name = "FILE", conflicts_with = "address")]
    pub file: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be asked of a run.
#[derive(Subcommand, Debug)]
pub enum Action {
    /// Show how the run fares.
    Status {
        /// As JSON, as the run gives it
        #[arg(long)]
        json: bool,
    },
    /// Start no iterations; those that run go on.
    Pause,
    /// Start iterations again.
    Resume,
    /// Stop the run gracefully.
    Stop,
    /// Give a scenario so many virtual users.
    Vus {
        /// Its name; `*` means every scenario that can be changed so
        scenario: String,
        /// How many
        vus: u32,
    },
    /// Let a scenario of open load start so many iterations.
    Rate {
        /// Its name; `*` means every scenario that has a rate
        scenario: String,
        /// How many, such as `50/s`
        rate: String,
    },
}

/// Runs the command.
#[must_use]
pub fn run(args: &CtlArgs) -> Exit {
    let target = match target(args) {
        Ok(target) => target,
        Err(problem) => {
            complain(&format!("error: {problem}"));
            return Exit::Usage;
        }
    };
    match act(&target, &args.action) {
        Ok(text) => {
            anstream::println!("{text}");
            Exit::Passed
        }
        Err(problem) => {
            complain(&format!("error: {problem}"));
            Exit::Failed
        }
    }
}

fn target(args: &CtlArgs) -> Result<Access, String> {
    let file = args.file.as_deref().map(read_file).transpose()?;
    let (address, token) = file.map_or((None, None), |file| (Some(file.address), Some(file.token)));
    let address = address.or_else(|| args.address.clone());
    let address = address.ok_or("which run? give --address and --token, or --file with what --control-file wrote")?;
    let token =
        args.token.clone().or(token).ok_or("the run's token is missing: give --token or LOADR_CONTROL_TOKEN")?;
    Ok(Access { address, token })
}

fn read_file(path: &Path) -> Result<Access, String> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|error| format!("can't read the control file `{shown}`: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("`{shown}` is not what --control-file writes: {error}"))
}

/// Does it, and gives what is to be said of it.
fn act(target: &Access, action: &Action) -> Result<String, String> {
    let scenario = |name: &str| {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        format!("/v1/scenarios/{name}")
    };
    let post = |path: &str, body: &Value| ask(target, "POST", path, Some(body));
    let changed = |answer: Value| answer["changed"].as_bool() == Some(true);
    let say = |answer: Value, done: &str, already: &str| (if changed(answer) { done } else { already }).to_owned();
    Ok(match action {
        Action::Status { json } => {
            let status = ask(target, "GET", "/v1/status", None)?;
            if *json { format!("{status:#}") } else { describe(&status) }
        }
        Action::Pause => say(post("/v1/pause", &json!({}))?, "paused", "it was paused already"),
        Action::Resume => say(post("/v1/resume", &json!({}))?, "resumed", "it was not paused"),
        Action::Stop => say(post("/v1/stop", &json!({}))?, "stopping", "it is stopping already"),
        Action::Vus { scenario: name, vus } => {
            let answer = post(&scenario(name), &json!({ "vus": vus }))?;
            say(answer, &format!("{name}: {vus} VUs"), &format!("{name} has {vus} VUs already"))
        }
        Action::Rate { scenario: name, rate } => {
            let answer = post(&scenario(name), &json!({ "rate": rate }))?;
            say(answer, &format!("{name}: {rate}"), &format!("{name} has a rate of {rate} already"))
        }
    })
}

/// A status in words: a line for the run, and one for each scenario.
fn describe(status: &Value) -> String {
    let count = |value: &Value| format_count(value.as_f64().unwrap_or(0.0));
    let elapsed = Duration::from_secs(status["elapsed_s"].as_f64().unwrap_or(0.0).max(0.0) as u64);
    let mut text = format!(
        "{}  {}  {} of {} VUs  {} iterations  {} requests, {} failed  {}/s",
        status["state"].as_str().unwrap_or("?"),
        format_duration(elapsed),
        count(&status["vus"]),
        count(&status["vus_max"]),
        count(&status["iterations"]),
        count(&status["requests"]),
        count(&status["requests_failed"]),
        count(&status["requests_per_s"]),
    );
    for scenario in status["scenarios"].as_array().into_iter().flatten() {
        let rate = scenario["rate_target"].as_f64().map(|rate| format!("  {rate}/s")).unwrap_or_default();
        text.push_str(&format!(
            "\n  {}  {}  {}  {:.0}%  {} of {} VUs{rate}  {} iterations",
            scenario["name"].as_str().unwrap_or("?"),
            scenario["executor"].as_str().unwrap_or("?"),
            scenario["state"].as_str().unwrap_or("?"),
            scenario["progress"].as_f64().unwrap_or(0.0) * 100.0,
            count(&scenario["vus"]),
            count(&scenario["vus_target"]),
            count(&scenario["iterations"]),
        ));
    }
    text
}

fn ask(target: &Access, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
    let Access { address, token } = target;
    let unreachable = |error: io::Error| format!("can't reach the run at `{address}`: {error}");
    let host = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the token must be printable ASCII without spaces".into());
    }
    let resolved = host
        .to_socket_addrs()
        .map_err(|error| format!("`{address}` is not an address such as `http://127.0.0.1:40123`: {error}"))?;
    let mut stream = Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
    for candidate in resolved {
        stream = TcpStream::connect_timeout(&candidate, PATIENCE);
        if stream.is_ok() {
            break;
        }
    }
    let mut stream = stream.map_err(unreachable)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(unreachable)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(unreachable)?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(unreachable)?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_MOST).read_to_end(&mut bytes).map_err(unreachable)?;
    let (status, body) = parse(&bytes).ok_or_else(|| format!("what answers at `{address}` is not a run of loadr"))?;
    match body["error"].as_str() {
        None if status == 200 => Ok(body),
        Some(problem) => Err(problem.to_owned()),
        None => Err(format!("the run answered with status {status}")),
    }
}

/// Status and body of an answer that ends with its connection.
fn parse(bytes: &[u8]) -> Option<(u16, Value)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).ok()? else { return None };
    Some((response.code?, serde_json::from_slice(&bytes[head..]).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_in_lines() {
        let status = json!({
            "state": "paused", "elapsed_s": 65.4, "vus": 3, "vus_max": 10, "iterations": 1200, "requests": 4800,
            "requests_failed": 2, "requests_per_s": 71,
            "scenarios": [{ "name": "shop", "executor": "constant-arrival-rate", "state": "running", "progress": 0.254,
                            "vus": 3, "vus_target": 10, "rate_target": 2.5, "iterations": 1200 }],
        });
        assert_eq!(
            describe(&status),
            "paused  1m5s  3 of 10 VUs  1200 iterations  4800 requests, 2 failed  71/s\n  \
             shop  constant-arrival-rate  running  25%  3 of 10 VUs  2.5/s  1200 iterations"
        );
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), Some((200, json!({}))));
        for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n\r\n<html>"] {
            assert_eq!(parse(bytes), None);
        }
    }
}
