//! One look at this process and its machine: CPU, memory, open files, ephemeral ports.
//!
//! Everything comes from `/proc`, a few small files once a second (about a tenth of a millisecond in all); elsewhere than
//! on Linux nothing is known and nothing is concluded. Reading and understanding are apart, so that the tests need no
//! machine in a certain state.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The process and the machine at one moment. What could not be read is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::engine) struct Probe {
    /// CPU time of the process since its start, user and system, over all threads.
    pub cpu: Option<Duration>,
    /// CPU time of the machine since its start, over all cores: busy, and in all.
    pub machine_cpu: Option<(u64, u64)>,
    /// Bytes resident.
    pub memory: Option<u64>,
    /// Bytes that the machine has left, and has in all.
    pub machine_memory: Option<(u64, u64)>,
    /// Open files and sockets of the process.
    pub open_files: Option<u64>,
    /// Ephemeral ports that are free, at least.
    pub ports_free: Option<u64>,
}

impl Probe {
    /// Looks.
    #[cfg(target_os = "linux")]
    pub fn take() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let ticks = rustix::param::clock_ticks_per_second();
        let page = rustix::param::page_size() as u64;
        let open_files = open_files();
        Self {
            cpu: read("/proc/self/stat").and_then(|text| process_cpu(&text, ticks)),
            machine_cpu: read("/proc/stat").and_then(|text| machine_cpu(&text)),
            memory: read("/proc/self/statm").and_then(|text| resident(&text, page)),
            machine_memory: read("/proc/meminfo").and_then(|text| machine_memory(&text)),
            open_files,
            ports_free: read("/proc/sys/net/ipv4/ip_local_port_range").and_then(|range| {
                let (first, last) = port_range(&range)?;
                let sockets =
                    Sockets::read(&read("/proc/net/sockstat")?, &read("/proc/net/sockstat6").unwrap_or_default())?;
                Some((last - first + 1).saturating_sub(sockets.ports_at_most(open_files)))
            }),
        }
    }

    /// Looks.
    #[cfg(not(target_os = "linux"))]
    pub fn take() -> Self {
        Self::default()
    }
}

/// How many files this process has open. Since Linux 6.2 the folder's size says so; before, its entries are counted.
#[cfg(target_os = "linux")]
fn open_files() -> Option<u64> {
    let folder = "/proc/self/fd";
    match std::fs::metadata(folder).ok()?.len() {
        // One entry is the folder that is being read.
        0 => Some((std::fs::read_dir(folder).ok()?.count() as u64).saturating_sub(1)),
        open => Some(open),
    }
}

/// Lets the process open as many files as it may: each connection of a VU is one. Where that is refused the limit
/// stays; requests then fail with an error that says so.
pub(in crate::engine) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || (limit.current.is_some() && limit.maximum.is_none()) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// How many files the process may open; none when there is no limit.
pub(in crate::engine) fn open_files_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// From `/proc/self/stat`.
fn process_cpu(stat: &str, ticks_per_s: u64) -> Option<Duration> {
    // The name in parentheses may hold anything, so fields are counted from the last parenthesis: the state is the
    // third of the line, user and system time are the fourteenth and fifteenth.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_secs_f64((user + system) as f64 / ticks_per_s.max(1) as f64))
}

/// From `/proc/stat`: what is neither idle nor waiting for a disk is busy. Stolen time counts as busy, for it is not
/// there to be used.
fn machine_cpu(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    // user nice system idle iowait irq softirq steal; guest time is in user time already.
    let fields: Vec<u64> = line.split_ascii_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let all: u64 = fields.iter().sum();
    let idle = fields.get(3)? + fields.get(4)?;
    Some((all - idle, all))
}

/// From `/proc/self/statm`.
fn resident(statm: &str, page: u64) -> Option<u64> {
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page)
}

/// From `/proc/meminfo`: available, in all.
fn machine_memory(meminfo: &str) -> Option<(u64, u64)> {
    let bytes = |key: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some((bytes("MemAvailable:")?, bytes("MemTotal:")?))
}

/// From `/proc/sys/net/ipv4/ip_local_port_range`: the first and the last.
fn port_range(text: &str) -> Option<(u64, u64)> {
    let mut ports = text.split_ascii_whitespace().map(str::parse);
    let (first, last) = (ports.next()?.ok()?, ports.next()?.ok()?);
    (first <= last).then_some((first, last))
}

/// TCP sockets of the machine (or the container).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sockets {
    in_use: u64,
    /// Closed ones that keep their port for a minute.
    waiting: u64,
}

impl Sockets {
    /// From `/proc/net/sockstat` and `/proc/net/sockstat6`.
    fn read(v4: &str, v6: &str) -> Option<Self> {
        let field = |text: &str, protocol: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(protocol))?;
            let mut words = line.split_ascii_whitespace();
            words.find(|word| *word == name)?;
            words.next()?.parse::<u64>().ok()
        };
        let in_use = field(v4, "TCP:", "inuse")? + field(v6, "TCP6:", "inuse").unwrap_or(0);
        Some(Self { in_use, waiting: field(v4, "TCP:", "tw")? })
    }

    /// Ephemeral ports that these can take: a socket of a server takes none, but only this process's sockets are known
    /// to be clients, and each of them is an open file.
    fn ports_at_most(self, open_files: Option<u64>) -> u64 {
        self.in_use.min(open_files.unwrap_or(u64::MAX)) + self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_files_are_read_whatever_the_name() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 5 0 100 1 1";
        assert_eq!(process_cpu(stat, 100), Some(Duration::from_secs(3)));
        assert_eq!(process_cpu("42 (a) S 1", 100), None);
        assert_eq!(resident("900 25 3 1 0 9 0", 4_096), Some(25 * 4_096));
        assert_eq!(resident("", 4_096), None);
    }

    #[test]
    fn machine_files_are_read() {
        let stat = "cpu  100 5 50 800 45 0 0 10 90 0\ncpu0 50 5 25 400 20 0 0 5 45 0\nintr 1";
        assert_eq!(machine_cpu(stat), Some((165, 1_010)));
        assert_eq!(machine_cpu("cpu  1 2 3"), None);
        let meminfo = "MemTotal:        8000 kB\nMemFree:          100 kB\nMemAvailable:    2000 kB\n";
        assert_eq!(machine_memory(meminfo), Some((2_000 * 1024, 8_000 * 1024)));
        assert_eq!(machine_memory("MemTotal: 8000 kB\n"), None);
        assert_eq!(port_range("32768\t60999\n"), Some((32_768, 60_999)));
        assert_eq!((port_range("9 1"), port_range("x")), (None, None));
    }

    #[test]
    fn ports_are_taken_by_own_sockets_and_by_closed_ones() {
        let v4 = "sockets: used 19\nTCP: inuse 50 orphan 0 tw 7 alloc 2 mem 4\nUDP: inuse 3 mem 0\n";
        let sockets = Sockets::read(v4, "TCP6: inuse 4\nUDP6: inuse 1\n");
        assert_eq!(sockets, Some(Sockets { in_use: 54, waiting: 7 }));
        assert_eq!(Sockets::read(v4, "").map(|sockets| sockets.in_use), Some(50));
        assert_eq!(Sockets::read("TCP: inuse x", ""), None);
        for (open_files, ports) in [(None, 61), (Some(20), 27), (Some(900), 61)] {
            assert_eq!(sockets.map(|sockets| sockets.ports_at_most(open_files)), Some(ports), "{open_files:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_and_its_machine_are_known() {
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        let probe = Probe::take();
        drop(file);
        assert!(probe.cpu.is_some() && probe.machine_cpu.is_some(), "{probe:?}");
        assert!(probe.memory.is_some_and(|bytes| bytes > 0), "{probe:?}");
        assert!(probe.machine_memory.is_some_and(|(available, all)| available <= all), "{probe:?}");
        assert!(probe.open_files.is_some_and(|open| open > 3), "{probe:?}");
    }
}
