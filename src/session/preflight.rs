//! What is known before a run of whether its plan fits the machine: open files, ephemeral ports, memory.
//!
//! A warning, not an error: a journey may open no connection at all. Each says what will happen and gives the command
//! that mends it. The arithmetic knows no machine; [`Bounds::of_this_machine`] looks.

use crate::event::Warning;
use crate::plan::Plan;
use crate::units::format::{format_bytes, format_count};

/// Files that a process needs besides the connections of VUs: the script's, epoll, pipes, outputs; some more a worker.
const FILES_OF_ITS_OWN: u64 = 40;
const FILES_PER_WORKER: u64 = 8;
/// Memory that a VU takes (measured: docs/performance.md), with its connection, and a process without any.
const BYTES_PER_VU: u64 = 32 << 10;
const BYTES_OF_ITS_OWN: u64 = 40 << 20;
/// The ports that can be ephemeral at most: those above 1023.
const PORTS_MOST: u64 = 65_535 - 1_023;
/// How long a closed connection keeps its port.
const TIME_WAIT_S: u64 = 60;

/// What this machine gives to one process. None where there is no bound, or it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Open files, once the soft limit is raised to the hard one.
    pub open_files: Option<u64>,
    /// Ephemeral ports.
    pub ports: Option<u64>,
    /// Bytes of memory that are left.
    pub memory: Option<u64>,
}

impl Bounds {
    /// Looks at this machine, and at the container that this process may be in.
    pub fn of_this_machine() -> Self {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
        Self {
            open_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum,
            ports: range.and_then(|text| {
                let mut ports = text.split_ascii_whitespace().map(str::parse::<u64>);
                let (first, last) = (ports.next()?.ok()?, ports.next()?.ok()?);
                Some((last + 1).saturating_sub(first))
            }),
            memory: super::memory_available(),
        }
    }
}

/// What of a plan does not fit.
pub(super) fn warnings(plan: &Plan, bounds: &Bounds) -> Vec<Warning> {
    [files(plan, bounds), ports(plan, bounds), reopened_ports(plan, bounds), memory(plan, bounds)]
        .into_iter()
        .flatten()
        .collect()
}

fn files(plan: &Plan, bounds: &Bounds) -> Option<Warning> {
    let needed = plan.vus_max() + FILES_OF_ITS_OWN + FILES_PER_WORKER * plan.threads as u64;
    let limit = bounds.open_files.filter(|&limit| limit < needed)?;
    // Room for a second connection of each VU, in a round number.
    let wanted = (needed + plan.vus_max()).next_power_of_two();
    Some(Warning {
        message: format!(
            "{} need {needed} open files or more, one for each connection, and this process may open {limit}: requests \
             beyond that will fail",
            vus(plan)
        ),
        hint: format!("run `sudo prlimit --pid $$ --nofile={wanted}:{wanted}` in this shell, then loadr again"),
    })
}

/// How many addresses this machine connects from: each has all ports. None where no ports are used.
fn addresses(plan: &Plan) -> Option<u64> {
    match plan.http.unix_socket {
        Some(_) => None,
        None => Some(u64::try_from(plan.http.local_ips.count()).unwrap_or(u64::MAX).max(1)),
    }
}

fn ports(plan: &Plan, bounds: &Bounds) -> Option<Warning> {
    let addresses = addresses(plan)?;
    let ports = bounds.ports?.saturating_mul(addresses);
    if ports >= plan.vus_max() {
        return None;
    }
    let most = PORTS_MOST.saturating_mul(addresses);
    let hint = if plan.vus_max() > most {
        format!(
            "{} has no more than {most} for one target: give this machine more addresses and name them with \
             `--local-ips`, run a part of the VUs on another machine, or give the target several addresses; and run \
             `sudo sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"`",
            if addresses == 1 { "one address" } else { "this many addresses" }
        )
    } else {
        "run `sudo sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"`".into()
    };
    Some(Warning {
        message: format!(
            "{} need as many connections, and this machine has {ports} ephemeral ports for connections to one target: \
             connecting will fail beyond that",
            vus(plan)
        ),
        hint,
    })
}

/// Connections that are not used again keep their ports for a minute after they were closed.
fn reopened_ports(plan: &Plan, bounds: &Bounds) -> Option<Warning> {
    let reopens = plan.http.no_connection_reuse || plan.http.no_vu_connection_reuse;
    let per_s = bounds.ports.filter(|_| reopens)?.saturating_mul(addresses(plan)?) / TIME_WAIT_S;
    (plan.vus_max() > per_s).then(|| Warning {
        message: format!(
            "connections are not reused, and each keeps its port for {TIME_WAIT_S} s after its end: more than {per_s} new \
             ones a second to one target use up all ports"
        ),
        hint: "run `sudo sysctl -w net.ipv4.tcp_tw_reuse=1 net.ipv4.ip_local_port_range=\"1024 65535\"`".into(),
    })
}

fn memory(plan: &Plan, bounds: &Bounds) -> Option<Warning> {
    let needed = plan.vus_max() * BYTES_PER_VU + BYTES_OF_ITS_OWN;
    let left = bounds.memory.filter(|&left| left < needed)?;
    let fit = left.saturating_sub(BYTES_OF_ITS_OWN) / BYTES_PER_VU;
    let hint = match fit {
        0 => "free some memory, or use a machine with more".to_owned(),
        fit => format!("use a machine with more memory, or `--vus {fit}`"),
    };
    Some(Warning {
        message: format!(
            "{} need about {} of memory, and {} are left: the system may kill loadr, or another process",
            vus(plan),
            format_bytes(needed),
            format_bytes(left)
        ),
        hint,
    })
}

fn vus(plan: &Plan) -> String {
    format!("{} VUs", format_count(plan.vus_max() as f64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::{self, Function, Layer, ScriptFacts, Source};

    fn plan(vus: u64, options: serde_json::Value) -> Plan {
        let mut options = options.as_object().expect("a map").clone();
        options.extend([("vus".to_owned(), vus.into()), ("duration".to_owned(), json!("10s"))]);
        let facts = ScriptFacts { functions: vec![Function { name: "journey".into(), params: 0 }] };
        plan::resolve(&[Layer { source: Source::Script, options }], &facts).expect("a plan")
    }

    /// What is said of a plan, shortened to the part that matters.
    fn said(plan: &Plan, bounds: Bounds) -> Vec<String> {
        warnings(plan, &bounds).into_iter().map(|warning| format!("{}; {}", warning.message, warning.hint)).collect()
    }

    #[test]
    fn what_fits_is_passed_over() {
        let roomy = Bounds { open_files: Some(60_000), ports: Some(28_232), memory: Some(2 << 30) };
        for bounds in [roomy, Bounds::default()] {
            assert_eq!(said(&plan(20_000, json!({})), bounds), Vec::<String>::new(), "{bounds:?}");
        }
        let exact = Bounds { open_files: Some(1_048), ports: Some(1_000), memory: Some((1_000 << 15) + (40 << 20)) };
        assert_eq!(said(&plan(1_000, json!({})), exact), Vec::<String>::new());
    }

    #[test]
    fn what_does_not_fit_comes_with_the_command_that_mends_it() {
        let none = Bounds::default();
        let cases: &[(u64, serde_json::Value, Bounds, &[&str])] = &[
            (
                1_000,
                json!({}),
                Bounds { open_files: Some(1_024), ..none },
                &["need 1048 open files", "may open 1024", "sudo prlimit --pid $$ --nofile=2048:2048"],
            ),
            (
                30_000,
                json!({}),
                Bounds { ports: Some(28_232), ..none },
                &["30.0 k VUs", "28232 ephemeral ports", "ip_local_port_range=\"1024 65535\""],
            ),
            (
                70_000,
                json!({}),
                Bounds { ports: Some(64_512), ..none },
                &["70.0 k VUs", "one address has no more than 64512", "--local-ips", "another machine"],
            ),
            (
                500,
                json!({ "no_connection_reuse": true }),
                Bounds { ports: Some(28_232), ..none },
                &["more than 470 new ones a second", "tcp_tw_reuse=1"],
            ),
            (
                10_000,
                json!({}),
                Bounds { memory: Some(200 << 20), ..none },
                &["need about 370 MB", "210 MB are left", "--vus 5120"],
            ),
            (10, json!({}), Bounds { memory: Some(1 << 20), ..none }, &["free some memory"]),
        ];
        for (vus, options, bounds, parts) in cases {
            let said = said(&plan(*vus, options.clone()), *bounds);
            let [text] = said.as_slice() else { panic!("{vus} VUs: {said:?}") };
            for part in *parts {
                assert!(text.contains(part), "`{part}` is not in: {text}");
            }
        }
        // Each address of the machine has all ports; a Unix socket needs none.
        let two = json!({ "local_ips": "127.0.0.2,127.0.0.3", "no_connection_reuse": true });
        let few = Bounds { ports: Some(28_232), ..none };
        assert_eq!(said(&plan(900, two.clone()), few), Vec::<String>::new());
        assert!(said(&plan(1_000, two), few)[0].contains("more than 941 new ones a second"));
        assert_eq!(said(&plan(50_000, json!({ "local_ips": "127.0.0.2-127.0.0.3" })), few), Vec::<String>::new());
        let unix = json!({ "unix_socket": "/run/app.sock", "no_connection_reuse": true });
        assert_eq!(said(&plan(50_000, unix), few), Vec::<String>::new());
        // Connections that live on don't use up ports one after the other.
        assert_eq!(said(&plan(500, json!({})), Bounds { ports: Some(28_232), ..none }), Vec::<String>::new());
    }
}
