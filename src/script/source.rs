//! Where scripts come from: files, and the embedded standard library. And which files they wanted ([`FilesRead`]).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Engine, EvalAltResult, FnNamespace, Module, ModuleResolver, Position, Scope};
use rustc_hash::FxHashMap;

use super::context::HostContext;
use super::error::{CLOSURE_PREFIX, ClosureFiles, Sources, host_error};
use super::modules::twins;
use super::rename::Renames;
use crate::units;

/// The standard library: name, text.
pub const STDLIB: &[(&str, &str)] = &[
    ("std/auth", include_str!("../../stdlib/auth.rhai")),
    ("std/cache", include_str!("../../stdlib/cache.rhai")),
    ("std/checks", include_str!("../../stdlib/checks.rhai")),
    ("std/data", include_str!("../../stdlib/data.rhai")),
    ("std/flow", include_str!("../../stdlib/flow.rhai")),
    ("std/graphql", include_str!("../../stdlib/graphql.rhai")),
    ("std/oauth2", include_str!("../../stdlib/oauth2.rhai")),
    ("std/pages", include_str!("../../stdlib/pages.rhai")),
    ("std/pagination", include_str!("../../stdlib/pagination.rhai")),
    ("std/retry", include_str!("../../stdlib/retry.rhai")),
    ("std/think", include_str!("../../stdlib/think.rhai")),
    ("std/upload", include_str!("../../stdlib/upload.rhai")),
];

/// The name under which diagnostics show what `import "path"` in the file `importer` gives.
#[must_use]
pub fn source_name(path: &str, importer: Option<&str>) -> String {
    if path.starts_with("std/") {
        return path.to_owned();
    }
    let mut file = PathBuf::from(path);
    if file.extension().is_none() {
        file.set_extension("rhai");
    }
    let directory =
        importer.filter(|importer| !importer.starts_with("std/")).and_then(|importer| Path::new(importer).parent());
    let joined = directory.map_or_else(|| file.clone(), |directory| directory.join(&file));
    // `./` in the middle of a path only makes it longer to read.
    joined
        .components()
        .filter(|part| !matches!(part, std::path::Component::CurDir))
        .collect::<PathBuf>()
        .display()
        .to_string()
}

/// Resolves `import`: each file is read once a run, and evaluated once a worker.
pub struct Resolver {
    sources: Sources,
    closures: ClosureFiles,
    renames: Renames,
    context: HostContext,
    loaded: RefCell<FxHashMap<String, Rc<Module>>>,
    loading: RefCell<Vec<String>>,
}

impl Resolver {
    /// One that has loaded nothing yet.
    #[must_use]
    pub fn new(sources: Sources, closures: ClosureFiles, renames: Renames, context: HostContext) -> Rc<Self> {
        Rc::new(Self { sources, closures, renames, context, loaded: RefCell::default(), loading: RefCell::default() })
    }
}

/// The text of what `import "path"` means, which has the name `name`: from memory where it was read before.
///
/// # Errors
/// When it is not there, with the nearest name of the standard library.
pub fn read(path: &str, name: &str, sources: &Sources) -> Result<Arc<str>, String> {
    if let Some(text) = sources.get(name) {
        return Ok(text);
    }
    let text: Arc<str> = if path.starts_with("std/") {
        let Some((_, text)) = STDLIB.iter().find(|(known, _)| *known == path) else {
            let near = units::nearest(path, STDLIB.iter().map(|(known, _)| *known));
            let known: Vec<_> = STDLIB.iter().map(|(known, _)| *known).collect();
            let hint = near
                .map_or_else(|| format!("there are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            return Err(format!("the standard library has no `{path}`: {hint}"));
        };
        (*text).into()
    } else {
        std::fs::read_to_string(name)
            .map_err(|error| format!("can't import `{path}`: can't read `{name}`: {error}"))?
            .into()
    };
    sources.insert(name, text.clone());
    Ok(text)
}

/// What the engine holds: it wants to own its resolver.
pub struct SharedResolver(pub Rc<Resolver>);

impl ModuleResolver for SharedResolver {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Rc<Module>, Box<EvalAltResult>> {
        let resolver = &self.0;
        let name = source_name(path, source);
        if let Some(module) = resolver.loaded.borrow().get(&name) {
            return Ok(module.clone());
        }
        let fail = |message: String| {
            let mut error = host_error(message);
            error.set_position(position);
            error
        };
        if resolver.loading.borrow().contains(&name) {
            let chain = resolver.loading.borrow().join("` imports `");
            return Err(fail(format!("imports go in a circle: `{chain}` imports `{name}`")));
        }
        if !path.starts_with("std/") {
            resolver.context.shared().data.note(Path::new(&name));
        }
        let text = read(path, &name, &resolver.sources).map_err(fail)?;
        let inside = |error: Box<EvalAltResult>| Box::new(EvalAltResult::ErrorInModule(name.clone(), error, position));
        // The script itself is number 0; files that are still being loaded have their number already.
        let number = 1 + resolver.loaded.borrow().len() + resolver.loading.borrow().len();
        let compiled = resolver.renames.isolate(engine, &text, number);
        let mut ast = compiled.map_err(|error| inside(Box::new(EvalAltResult::ErrorParsing(*error.0, error.1))))?;
        ast.set_source(name.as_str());
        // A rehearsal tells what a library does, step by step.
        let has_twins = resolver.context.tracer().is_none();
        if has_twins {
            twins::make_room(path, &mut ast);
        }
        resolver.closures.insert(ast.iter_functions().map(|function| function.name), &name);
        resolver.loading.borrow_mut().push(name.clone());
        let module = match resolver.context.tracer() {
            None => Module::eval_ast_as_new(Scope::new(), &ast, engine),
            Some(tracer) => {
                let mut learning = tracer.conditions().learning(engine, &ast);
                Module::eval_ast_as_new_raw(engine, &mut Scope::new(), &mut learning.global, &learning.ast)
                    .inspect(|_| tracer.conditions().learned(learning))
            }
        };
        resolver.loading.borrow_mut().pop();
        let mut module = module.map_err(inside)?;
        if has_twins {
            let twins = twins::of(path, &resolver.context);
            twins.fill(&mut module);
            resolver.context.keep_natives(&name, twins);
        }
        share_closures(&mut module);
        let module: Rc<Module> = module.into();
        resolver.loaded.borrow_mut().insert(name, module.clone());
        Ok(module)
    }
}

/// Makes the closures of an imported file callable wherever they are handed to. Rhai knows a closure by its name alone,
/// which it looks up in the file that calls it; the names are made from hashes, so that they do not collide.
fn share_closures(module: &mut Module) {
    // The only public way to a script function's hash is to add it to a module.
    let mut scratch = Module::new();
    let closures: Vec<_> = module
        .iter_script_fn_info()
        .filter(|(_, _, name, _, _)| name.starts_with(CLOSURE_PREFIX))
        .map(|(_, _, _, _, function)| scratch.set_script_fn(function.clone()))
        .collect();
    for hash in closures {
        #[expect(deprecated, reason = "there is no other way to change a script function's namespace")]
        module.update_fn_namespace(hash, FnNamespace::Global);
    }
    module.build_index();
}

/// The files that a script wanted, whether they could be read or not: what has to be watched for changes. Shared by all
/// who hold a clone.
#[derive(Clone, Debug, Default)]
pub struct FilesRead(Arc<Mutex<BTreeSet<PathBuf>>>);

impl FilesRead {
    /// Takes note of a file.
    pub fn note(&self, path: &Path) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() < FILES_NOTED_MAX && !files.contains(path) {
            files.insert(path.to_owned());
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeSet<PathBuf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The most files that are noted.
const FILES_NOTED_MAX: usize = 10_000;
