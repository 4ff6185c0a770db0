//! The page's own tests, in JavaScript: its arithmetic under node, and its behaviour in a real browser.
//!
//! What they test is in `src/output/page/assets`; they are in `tests/page`. `npm install --prefix tests/page` fetches what
//! drives the browser.

use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page")
}

/// Whether a test has to be left out, because something is missing; a failure where everything has to be there.
#[expect(clippy::print_stderr, reason = "a test that is skipped says which program it lacks")]
fn skipped(missing: &str) -> bool {
    assert!(std::env::var_os("LOADR_REQUIRE_PROGRAMS").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
    true
}

/// Whether something is missing that tests in a browser need.
pub fn lacks_browser() -> bool {
    if lacks_node() {
        return true;
    }
    if !folder().join("node_modules/playwright-core").is_dir() {
        return skipped("playwright-core is not installed; run npm install --prefix tests/page");
    }
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into());
    !Path::new(&chromium).exists() && skipped(&format!("{chromium} is not installed; CHROMIUM names another"))
}

/// Whether there is a node that knows modules by their text, from 20.19 on.
fn lacks_node() -> bool {
    let Ok(output) = Command::new("node").arg("--version").output() else {
        return skipped("node is not installed");
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    found < (20, 19) && skipped(&format!("node {version} is too old, 20.19 or later is needed"))
}

/// Runs node in the folder of the page's tests, and fails with what it printed.
pub fn node(arguments: &[&str]) -> String {
    let output = Command::new("node").args(arguments).current_dir(folder()).output().expect("node runs");
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "node {arguments:?}:\n{printed}");
    printed
}

#[test]
fn the_arithmetic_of_the_page() {
    if lacks_node() {
        return;
    }
    let printed = node(&["--test", "--test-reporter=tap", "unit"]);
    let passed = printed.lines().find_map(|line| line.strip_prefix("# pass ")).and_then(|n| n.parse::<u32>().ok());
    assert!(passed.is_some_and(|n| n >= 20), "the tests were not found:\n{printed}");
}

#[test]
fn the_page_in_a_browser() {
    if lacks_browser() {
        return;
    }
    let profile = tempfile::tempdir().expect("a folder");
    let printed = node(&["behaviour.mjs", profile.path().to_str().expect("a path in UTF-8")]);
    assert!(printed.lines().filter(|line| line.starts_with("ok: ")).count() >= 10, "tests are missing:\n{printed}");
}
