//! From flags and the environment to layers of options.

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::{Map, Value};

use super::{RunArgs, pairs};
use crate::plan::{self, Layer, Source};

/// Flags whose value is an option of the same name.
const VALUES: &[&str] = &[
    "vus",
    "duration",
    "iterations",
    "rate",
    "profile",
    "time_scale",
    "scenario",
    "seed",
    "setup_timeout",
    "teardown_timeout",
    "timeout",
    "max_redirects",
    "user_agent",
    "http_version",
    "http_debug",
    "tls_version",
    "tls_ca",
    "connections_per_host",
    "max_body",
    "connect_timeout",
    "dns_servers",
    "local_ips",
    "unix_socket",
    "blacklist_ips",
    "block_hostnames",
    "proxy",
    "no_proxy",
    "save_dir",
    "threads",
    "max_memory",
    "max_vu_memory",
    "max_script_time",
    "max_series",
];

/// Flags that switch the option of the same name on.
const SWITCHES: &[&str] = &[
    "no_setup",
    "no_teardown",
    "allow_failure",
    "require_healthy",
    "tls_resumption",
    "share_connections",
    "insecure_skip_tls_verify",
    "no_connection_reuse",
    "no_vu_connection_reuse",
    "no_cookies_reset",
    "discard_response_bodies",
    "throw",
    "trace_context",
];

/// The options that the environment and the flags give, each in its layer.
pub(super) fn layers(args: &RunArgs, matches: &ArgMatches) -> Result<Vec<Layer>, String> {
    let mut flags = Map::new();
    let mut environment = Map::new();
    let mut put = |name: &str, value: Value| match matches.value_source(name) {
        Some(ValueSource::CommandLine) => drop(flags.insert(name.into(), value)),
        Some(ValueSource::EnvVariable) => drop(environment.insert(name.into(), value)),
        _ => {}
    };
    for name in VALUES {
        if let Some(value) = matches.get_one::<String>(name) {
            put(name, Value::String(value.clone()));
        }
    }
    for name in SWITCHES {
        if matches.get_flag(name) {
            put(name, Value::Bool(true));
        }
    }
    if let Some(text) = &args.dns {
        put("dns", plan::dns::split(text).map_err(|problem| format!("--dns: {problem}"))?.into());
    }
    if !args.stages.is_empty() {
        let stages = args.stages.iter().map(|stage| match stage.split_once(':') {
            Some((duration, target)) => Ok(serde_json::json!({ "duration": duration, "target": target })),
            None => Err(format!("--stage `{stage}`: expected a duration and a number such as `30s:200`")),
        });
        put("stages", stages.collect::<Result<Value, _>>()?);
    }
    let tags = listed(matches, "tags", &args.tags, ',');
    if !tags.is_empty() {
        let tags = pairs("--tag", &tags)?;
        put("tags", tags.into_iter().map(|(key, value)| (key, Value::String(value))).collect::<Map<_, _>>().into());
    }
    let thresholds = listed(matches, "thresholds", &args.thresholds, ';');
    if !thresholds.is_empty() {
        let mut all = Map::new();
        for threshold in &thresholds {
            let (metric, expression) = split_threshold(threshold)?;
            let list = all.entry(metric).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(Value::String(expression));
            }
        }
        put("thresholds", all.into());
    }
    Ok(vec![Layer { source: Source::Env, options: environment }, Layer { source: Source::Flag, options: flags }])
}

/// The values of a flag that may be repeated. A variable of the environment can't be: there they stand in one text, with
/// `separator` between them.
pub(super) fn listed(matches: &ArgMatches, name: &str, values: &[String], separator: char) -> Vec<String> {
    match matches.value_source(name) {
        Some(ValueSource::EnvVariable) => {
            let parts = values.iter().flat_map(|value| value.split(separator)).map(str::trim);
            parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
        }
        _ => values.to_vec(),
    }
}

/// `METRIC: EXPR`: the colon after the selector's braces, if there are any.
fn split_threshold(text: &str) -> Result<(String, String), String> {
    let after_selector = text.find('}').map_or(0, |at| at + 1);
    match text[after_selector..].find(':') {
        Some(at) => {
            let at = after_selector + at;
            Ok((text[..at].trim().to_owned(), text[at + 1..].trim().to_owned()))
        }
        None => Err(format!(
            "--threshold `{text}`: expected a metric and an expression such as `http_req_duration: p(95)<500`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_split_after_its_selector() {
        for (text, metric, expression) in [
            ("http_reqs: count>1", "http_reqs", "count>1"),
            ("http_req_duration{name:item,status:200}:p(95)<1s", "http_req_duration{name:item,status:200}", "p(95)<1s"),
        ] {
            assert_eq!(split_threshold(text), Ok((metric.to_owned(), expression.to_owned())));
        }
        assert!(split_threshold("http_reqs count>1").is_err());
    }
}
