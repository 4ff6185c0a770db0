//! A script before the load: read, compiled, its init run once, its options and functions known.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::bridge::guard::Budget;
use super::bridge::stack::StackPool;
use super::context::{HostContext, LogSink, Shared, Told};
use super::engine::{Prepared, Program, read_script};
use super::error::{Diagnostic, Sources};
use super::modules::data::DataPool;
use super::source::FilesRead;
use super::{curves, json_value};
use crate::metric::Catalogue;
use crate::plan::Function;

/// What looking at a script needs to know.
pub struct ScriptSpec {
    /// Its path.
    pub path: String,
    /// What `env` gives.
    pub env: BTreeMap<String, String>,
    /// The seed of all random choices.
    pub seed: u64,
    /// Where `print` and `log` write to.
    pub log: LogSink,
    /// The most memory that its init may hold, in bytes.
    pub max_memory: u64,
}

/// A script that was read, compiled and looked at: its init ran once.
pub struct Script {
    pub(super) path: String,
    pub(super) shared: Arc<Shared>,
    pub(super) sources: Sources,
    /// What its `const options` says, as JSON; empty when it has none.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// Its functions.
    pub functions: Vec<Function>,
    /// The metrics that it declares, with the built-in ones.
    pub catalogue: Arc<Catalogue>,
}

/// How much time an init may take: it reads data files, so more than an iteration.
pub const INIT_TIME: Duration = Duration::from_secs(60);

impl Script {
    /// Reads and compiles a script, and runs its init.
    ///
    /// # Errors
    /// The whole diagnostic, ready to print.
    pub fn load(spec: ScriptSpec) -> Result<Self, String> {
        Self::load_noting(spec, FilesRead::default())
    }

    /// The same, and notes the files that it read or wanted to read, also when it fails.
    ///
    /// # Errors
    /// The whole diagnostic, ready to print.
    pub fn load_noting(spec: ScriptSpec, files: FilesRead) -> Result<Self, String> {
        files.note(Path::new(&spec.path));
        let sources = Sources::default();
        let render = |diagnostic: Box<Diagnostic>| diagnostic.render(&sources);
        read_script(&spec.path, &sources).map_err(render)?;
        Self::start(spec, files, sources.clone(), |_, _| {}).map_err(render)
    }

    /// Compiles a script whose text is among the sources, and runs its init. Before that `inspect` sees the engine, and
    /// what the script will find around it.
    ///
    /// # Errors
    /// The diagnostic of what is wrong.
    pub fn start(
        spec: ScriptSpec,
        files: FilesRead,
        sources: Sources,
        inspect: impl FnOnce(&Prepared, &Shared),
    ) -> Result<Self, Box<Diagnostic>> {
        let base_dir = Path::new(&spec.path).parent().unwrap_or(Path::new("")).to_owned();
        let shared = Arc::new(Shared {
            base_dir,
            seed: spec.seed,
            data: DataPool::noting(files),
            env: spec.env,
            log: spec.log,
            told: Told::default(),
        });
        let context = HostContext::new(shared.clone());
        let mut budget = Budget::new(spec.max_memory, spec.max_memory, INIT_TIME, Arc::new(AtomicBool::new(false)));
        budget.init = true;
        let pool = StackPool::new();
        let prepared = Prepared::new(&context, &sources);
        inspect(&prepared, &shared);
        let program = Program::start(prepared, &context, &spec.path, &sources, &pool, &budget)?;
        let mut options = program.constant("options");
        if let Some(options) = &mut options {
            curves::sample(&program, &context, &pool, &budget, options)?;
        }
        let options = match options {
            None => serde_json::Map::new(),
            Some(options) => match json_value::to_value(options) {
                Ok(serde_json::Value::Object(options)) => options,
                Ok(_) => {
                    let message = "`options` must be a map: `const options = #{ vus: 10, duration: 30.s };`";
                    return Err(Box::new(Diagnostic::at_file(message, &spec.path)));
                }
                Err(error) => {
                    return Err(Box::new(Diagnostic::at_file(format!("`options`: {error}"), &spec.path)));
                }
            },
        };
        let functions = program.functions().to_vec();
        let catalogue = Arc::new(context.declared().unwrap_or_default());
        Ok(Self { path: spec.path, shared, sources, options, functions, catalogue })
    }

    /// The seed that its init was run with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// Its path, as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.path
    }

    /// The texts of the script and of what it imports.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}
