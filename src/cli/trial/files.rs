//! Which files have tests: a script and the `NAME_test.rhai` beside it; of a directory, every script that has some.

use std::fs;
use std::path::{Path, PathBuf};

use crate::session::trial::{TEST_FILE_SUFFIX, has_tests};

/// Directories that are not looked into: they hold what others wrote.
const LEFT_OUT: &[&str] = &["target", "node_modules"];

/// How deep directories are looked into.
const DEPTH_MAX: usize = 16;

/// The files that may have tests, each once, in the order of what was given.
///
/// # Errors
/// When one is not there.
pub(super) fn find(given: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in given {
        if path.is_dir() {
            let mut below = Vec::new();
            walk(path, 0, &mut below)?;
            below.sort();
            found.extend(below.into_iter().map(|path| path.strip_prefix(".").map_or(path.clone(), Path::to_owned)));
        } else {
            let text = fs::read_to_string(path).map_err(|error| format!("can't read `{}`: {error}", path.display()))?;
            let beside = test_file_of(path).filter(|beside| beside.is_file());
            if has_tests(&text) || beside.is_none() {
                found.push(path.clone());
            }
            found.extend(beside);
        }
    }
    let mut seen = Vec::new();
    found.retain(|path| {
        !seen.contains(path) && {
            seen.push(path.clone());
            true
        }
    });
    Ok(found)
}

/// `shop_test.rhai` of `shop.rhai`; none of a file of tests.
fn test_file_of(path: &Path) -> Option<PathBuf> {
    let stem = path.file_stem()?.to_str()?;
    (!stem.ends_with(TEST_FILE_SUFFIX)).then(|| path.with_file_name(format!("{stem}{TEST_FILE_SUFFIX}.rhai")))
}

fn walk(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("can't read the directory `{}`: {error}", directory.display());
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            if depth < DEPTH_MAX && !name.starts_with('.') && !LEFT_OUT.contains(&name.as_str()) {
                walk(&path, depth + 1, found)?;
            }
        } else if name.ends_with(".rhai") && fs::read_to_string(&path).is_ok_and(|text| has_tests(&text)) {
            found.push(path);
        }
    }
    Ok(())
}

/// What is said where there is no test at all.
pub(super) fn none_found(given: &[PathBuf]) -> String {
    let places: Vec<_> = given.iter().map(|path| format!("`{}`", path.display())).collect();
    let script = given.iter().find(|path| path.is_file());
    let beside =
        script.and_then(|path| test_file_of(path)).map_or("shop_test.rhai".into(), |path| path.display().to_string());
    format!(
        "error: there are no tests in {}\n  = help: a test is a function whose name begins with `test_`, in the script or in `{beside}`:\n\n    \
         const BASE = env(\"BASE_URL\");\n\n    \
         fn test_an_item_has_a_price() {{\n        \
         let res = http::get(`${{BASE}}/item/1`);\n        \
         assert::status(res, 200);\n        \
         assert::ok(res.json(\"price\") > 0.0);\n    }}",
        places.join(" and ")
    )
}
