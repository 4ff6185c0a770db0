//! Takes out of a text what differs from run to run: times, rates, sizes, ports, seeds, the generator's health.

use std::sync::OnceLock;

use regex::Regex;

/// What is replaced, in this order.
const FILTERS: &[(&str, &str)] = &[
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"seed([ =])\d+", "seed${1}SEED"),
    (r"(first at) [\d.]+ ?(µs|ms|s)", "${1} TIME"),
    (r"\b[\d,.]+ [kMG]?B\b", "SIZE"),
    (r"\b[\d.]+ ?(ns|µs|ms|s)\b( to spare)?", "TIME${2}"),
    (r"\b[\d,.]+/s\b", "RATE/s"),
    (r"SIZE/s", "RATE"),
    (r"(duration_s|t_s|requests_per_s|p50_ms|p95_ms|p99_ms|received_bytes|sent_bytes)=[\d.-]+", "${1}=N"),
    // The section's lines depend on the machine, and so does what is said of them.
    (r"(?s)GENERATOR .*?(\n\n|$)", "GENERATOR ...${1}"),
    // Which requests were slowest differs too.
    (r"(?s)SLOWEST\n.*?(\n\n|$)", "SLOWEST ...${1}"),
    // Columns are as wide as what stands in them.
    (r"(\S)  +", "${1}  "),
    (r"(?m)^    +(\S)", "    ${1}"),
];

/// The text without what differs from run to run.
pub fn filter(text: &str) -> String {
    static COMPILED: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        FILTERS.iter().map(|&(pattern, with)| (Regex::new(pattern).expect("a pattern"), with)).collect()
    });
    compiled.iter().fold(text.to_owned(), |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
}

#[test]
fn what_differs_is_taken_out_and_the_rest_stays() {
    for (text, filtered) in [
        ("script.rhai  ·  9.4s  ·  1 VU  ·  seed 310984183", "script.rhai  ·  TIME  ·  1 VU  ·  seed SEED"),
        ("  a       GET        20       0   2.1/s  220 µs", "  a  GET  20  0  RATE/s  TIME"),
        ("  data  108 kB received (11.5 kB/s)", "  data  SIZE received (RATE)"),
        ("connect to `127.0.0.1:4242` failed", "connect to `127.0.0.1:PORT` failed"),
        ("p(95)<500", "p(95)<500"),
        ("a\n\nGENERATOR  x\n  cpu 9%\n\nWARNINGS", "a\n\nGENERATOR ...\n\nWARNINGS"),
    ] {
        assert_eq!(filter(text), filtered);
    }
}
