//! Where options come from, and what is known of the script they are for.

use std::fmt;

use serde_json::{Map, Value};

use super::fields::canonical;

/// Where a value was given. A later source overrides an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Nobody gave it; what depends on the machine (threads, seed) comes in as a layer of this source too.
    Default,
    /// The script's `options`.
    Script,
    /// The config file.
    ConfigFile,
    /// `LOADR_*` environment variables.
    Env,
    /// Flags of the command line.
    Flag,
    /// The settings of a client of the script's: for its own requests they count more than all the others.
    Client,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "the defaults",
            Self::Script => "the script's options",
            Self::ConfigFile => "the config file",
            Self::Env => "the environment",
            Self::Flag => "the command line",
            Self::Client => "the settings of a client",
        })
    }
}

impl Source {
    /// How the user spelled an option there: `--vus`, `LOADR_VUS`, "`vus` in the config file".
    #[must_use]
    pub fn spell(self, option: &str) -> String {
        match self {
            // Flags that may be repeated are named for one of their values.
            Self::Flag if matches!(option, "stages" | "thresholds" | "tags") => {
                format!("--{}", &option[..option.len() - 1])
            }
            Self::Flag => format!("--{}", option.replace('_', "-")),
            Self::Env => format!("LOADR_{}", option.to_uppercase()),
            _ => format!("`{option}` in {self}"),
        }
    }
}

/// The options of one source. A `null` is the same as nothing.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Where they were given.
    pub source: Source,
    /// The options by name, in `camelCase` or `snake_case`.
    pub options: Map<String, Value>,
}

impl Layer {
    /// Whether it has this option, in `snake_case` or `camelCase`.
    #[must_use]
    pub fn gives(&self, option: &'static str) -> bool {
        self.options.keys().any(|name| canonical(name, &[option]).is_some())
    }
}

/// What is known of the script before it runs.
#[derive(Clone, Debug, Default)]
pub struct ScriptFacts {
    /// Its public functions; one that exists with several numbers of parameters is listed once for each.
    pub functions: Vec<Function>,
}

/// A function of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// How many parameters it has.
    pub params: usize,
}

/// The functions that loadr calls itself; none of them is a journey.
pub const LIFECYCLE: &[&str] = &["setup", "teardown", "vu_start", "vu_stop", "summary"];

/// The most parameters that a journey has: `(vu, data)`.
pub const JOURNEY_PARAMS_MAX: usize = 2;

/// The journey that is run where none is named.
pub const DEFAULT_JOURNEY: &str = "journey";

impl ScriptFacts {
    /// The numbers of parameters that function `name` exists with; empty when there is none of that name.
    #[must_use]
    pub fn params(&self, name: &str) -> Vec<usize> {
        self.functions.iter().filter(|function| function.name == name).map(|function| function.params).collect()
    }

    /// The names of the functions that can be journeys, each once, in the order of the script.
    #[must_use]
    pub fn journeys(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for function in &self.functions {
            let name = function.name.as_str();
            let fits = function.params <= JOURNEY_PARAMS_MAX && !LIFECYCLE.contains(&name);
            if fits && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}
