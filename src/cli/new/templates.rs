//! The templates of `loadr new`: real scripts, in `scripts/templates/`, which are in the binary.

use std::path::{Path, PathBuf};

/// What a new script may be like.
pub struct Template {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub summary: &'static str,
    /// The script first, then what it needs: paths beside it, and texts.
    files: &'static [(&'static str, &'static str)],
}

/// The target that templates name.
const TARGET: &str = "http://127.0.0.1:8080";

macro_rules! file {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../scripts/templates/", $path)))
    };
}

/// All templates.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "quickstart",
        summary: "a visitor looks at a few pages: the place to start",
        files: &[file!("quickstart.rhai")],
    },
    Template {
        name: "login",
        summary: "users from a file log in by a form, and out again",
        files: &[file!("login.rhai"), file!("data/users.csv")],
    },
    Template { name: "api", summary: "a JSON API with a bearer token, at a fixed rate", files: &[file!("api.rhai")] },
    Template {
        name: "upload",
        summary: "a form with a file, and raw bytes",
        files: &[file!("upload.rhai"), file!("data/picture.svg")],
    },
    Template {
        name: "spike",
        summary: "a sudden rush: ten times the visitors within seconds",
        files: &[file!("spike.rhai")],
    },
    Template {
        name: "data-driven",
        summary: "who does what stands in a CSV file",
        files: &[file!("data-driven.rhai"), file!("data/shoppers.csv")],
    },
    Template {
        name: "suite",
        summary: "several journeys side by side, with a shared library and its tests",
        files: &[file!("suite.rhai"), file!("lib/shop.rhai"), file!("suite_test.rhai")],
    },
];

/// The template of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name)
}

impl Template {
    /// Whether it comes with tests.
    #[must_use]
    pub fn has_tests(&self) -> bool {
        self.files.iter().any(|(path, _)| path.ends_with("_test.rhai"))
    }

    /// The files of a new script of this kind: where they go, and their texts. `base_url` is its target.
    #[must_use]
    pub fn files(&self, script: &Path, base_url: Option<&str>) -> Vec<(PathBuf, String)> {
        let directory = script.parent().unwrap_or(Path::new(""));
        let stem = script.file_stem().unwrap_or_default().to_string_lossy();
        // Files that are the script's own carry its name: `suite.rhai`, `suite_test.rhai`.
        let rename = |text: &str| {
            let text = text.replace(&format!("{}_test.rhai", self.name), &format!("{stem}_test.rhai"));
            text.replace(&format!("{}.rhai", self.name), &format!("{stem}.rhai"))
        };
        let files = self.files.iter().map(|(path, text)| {
            let text = rename(text);
            let text = base_url.map_or(text.clone(), |url| text.replace(TARGET, url));
            (directory.join(rename(path)), text)
        });
        files.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_reads_its_target_from_a_variable_and_says_how_it_is_run() {
        for template in TEMPLATES {
            let files = template.files(Path::new("load/shop.rhai"), Some("https://shop.example"));
            let (path, script) = &files[0];
            assert_eq!(path, Path::new("load/shop.rhai"));
            assert!(script.contains("env(\"BASE_URL\", \"https://shop.example\")"), "{}", template.name);
            assert!(script.contains("//!     loadr run --demo shop.rhai"), "{}", template.name);
            for (path, text) in &files {
                assert!(!text.contains(TARGET), "{}", path.display());
                assert!(!text.contains(&format!("{}.rhai", template.name)), "{}", path.display());
                assert!(path.starts_with("load"), "{}", path.display());
            }
        }
    }

    #[test]
    fn every_data_file_is_named_by_its_script() {
        for template in TEMPLATES {
            for (path, _) in template.files.iter().filter(|(path, _)| path.starts_with("data/")) {
                assert!(template.files[0].1.contains(path), "{path}");
            }
        }
    }
}
