//! One script, compiled for one thread: the engine with its host modules, the journeys, the constants.
//!
//! Loading runs the script's top level (its init) once. What it declares with `const` is visible in every function
//! afterwards, through a variable resolver: Rhai itself does not show a function the constants around it. What it imports
//! is resolved then, and registered by its alias, so that an iteration runs nothing but its journey.

use std::any::TypeId;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rhai::packages::{Package, StandardPackage};
use rhai::{
    AST, Caches, Dynamic, Engine, EvalAltResult, FuncRegistration, INT, ImmutableString, Module, OptimizationLevel,
    Scope,
};
use rustc_hash::FxHashMap;

use super::bridge::guard::{self, Budget};
use super::bridge::stack::StackPool;
use super::bridge::{self, Ending, Surroundings, fault};
use super::calls::{self, Calls};
use super::context::{HostContext, Phase, VuContext};
use super::diagnosis::{self, Evidence};
use super::error::{ClosureFiles, Diagnostic, Note, Place, Sources, Vocabulary, innermost};
use super::fixed::{self, FixedMap, Known};
use super::modules::natives::Namespaces;
use super::modules::{self, FunctionDoc};
use super::rename::{Renames, is_written};
use super::source::{Resolver, SharedResolver};
use super::tracer;
use crate::plan::Function;

/// How deep calls of a script may be nested. Together with the expression depth and the stack's guard this keeps a
/// script on its stack; the numbers are in `docs/decisions/0001-stack-limits.md`.
const MAX_CALL_LEVELS: usize = 64;

/// How deep expressions may be nested, at the top level and in functions.
const MAX_EXPRESSION_DEPTH: usize = 64;

/// So many loops are told where any of them may be the one that did not end.
const LOOPS_TOLD: usize = 3;

type Constants = Rc<RefCell<FxHashMap<ImmutableString, Dynamic>>>;

/// A compiled script on its thread.
pub struct Program {
    engine: Rc<Engine>,
    ast: AST,
    calls: Rc<Calls>,
    constants: Constants,
    name: String,
    sources: Sources,
    vocabulary: Vocabulary,
    evidence: Evidence,
    functions: Vec<Function>,
}

/// The surroundings of code that runs outside of the load: init.
struct Outside<'a> {
    context: &'a HostContext,
    vu: Rc<VuContext>,
    budget: &'a Budget,
}

impl Surroundings for Outside<'_> {
    fn enter(&self) {
        self.context.enter(Phase::Init, &self.vu);
    }

    fn budget(&self) -> &Budget {
        self.budget
    }
}

/// An engine that has not seen a script yet.
pub struct Prepared {
    engine: Engine,
    constants: Constants,
    closures: ClosureFiles,
    renames: Renames,
    namespaces: Rc<RefCell<Namespaces>>,
}

impl Prepared {
    /// One with everything that scripts can call.
    #[must_use]
    pub fn new(context: &HostContext, sources: &Sources) -> Self {
        let (constants, closures) = (Constants::default(), ClosureFiles::default());
        let (renames, namespaces) = (Renames::default(), Rc::<RefCell<Namespaces>>::default());
        context.set_namespaces(&namespaces);
        let engine = new_engine(context, sources, &constants, &closures, &renames);
        Self { engine, constants, closures, renames, namespaces }
    }

    /// The engine, for tools that look at it.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl Program {
    /// Compiles the script and runs its init.
    ///
    /// # Errors
    /// The diagnostic of what is wrong with it.
    pub fn load(
        context: &HostContext,
        name: &str,
        sources: &Sources,
        pool: &Rc<StackPool>,
        budget: &Budget,
    ) -> Result<Self, Box<Diagnostic>> {
        Self::start(Prepared::new(context, sources), context, name, sources, pool, budget)
    }

    /// The same with an engine that was made before, for the same context and texts.
    ///
    /// # Errors
    /// The diagnostic of what is wrong with it.
    pub fn start(
        prepared: Prepared,
        context: &HostContext,
        name: &str,
        sources: &Sources,
        pool: &Rc<StackPool>,
        budget: &Budget,
    ) -> Result<Self, Box<Diagnostic>> {
        fault::install();
        fault::name_script(name);
        let Some(text) = sources.get(name) else {
            return Err(Box::new(Diagnostic::at_file("the script's text was not read", name)));
        };
        let Prepared { mut engine, constants, closures, renames, namespaces } = prepared;
        let evidence = context.evidence().clone();
        let mut ast =
            renames.isolate(&engine, &text, 0).map_err(|error| Box::new(Diagnostic::from_parse_error(&error, name)))?;
        ast.set_source(name);
        if let Some(tracer) = context.tracer() {
            tracer.conditions().learn(&engine, &ast);
        }
        let mut functions: Vec<_> = ast
            .iter_functions()
            .filter(|function| is_written(function.name))
            .map(|function| Function { name: function.name.to_owned(), params: function.params.len() })
            .collect();
        // Rhai keeps them in no order.
        functions.sort_by(|one, other| (&one.name, one.params).cmp(&(&other.name, other.params)));
        closures.insert(ast.iter_functions().map(|function| function.name), name);
        let mut vocabulary = vocabulary(&functions, closures);
        let own = ast.iter_functions().filter(|function| is_written(function.name));
        vocabulary.signatures.extend(own.map(|function| {
            (function.name.to_owned(), function.params.iter().map(|&parameter| parameter.to_owned()).collect())
        }));

        let mut global = engine.new_global_runtime_state();
        global.source = Some(name.into());
        let library: &Rc<Module> = ast.as_ref();
        global.lib.push(library.clone());
        let mut scope = Scope::new();
        let outside = Outside { context, vu: context.vu(), budget };
        budget.begin();
        let ending = {
            let init = || {
                let statements: &[rhai::Stmt] = ast.as_ref();
                #[expect(
                    deprecated,
                    reason = "the only call that leaves the runtime state with us: its imports and constants"
                )]
                engine.eval_statements_raw(&mut global, &mut Caches::new(), &mut scope, statements)
            };
            bridge::run_now(pool, &outside, init)
        };
        match ending {
            Ending::Returned(Ok(_)) => {}
            Ending::Returned(Err(error)) => {
                let mut diagnostic = Diagnostic::from_eval_error(&error, name, &vocabulary);
                explain(&mut diagnostic, &error, &engine, sources, &evidence, &vocabulary);
                return Err(Box::new(diagnostic));
            }
            Ending::Tripped(trip, error) => {
                let loops = || diagnosis::loops::unseen(&engine, sources);
                return Err(Box::new(tripped(&trip, error.as_deref(), name, &vocabulary, &loops)));
            }
            Ending::Panicked(message) => {
                return Err(Box::new(Diagnostic::at_file(format!("loadr's own code failed: {message}"), name)));
            }
        }
        for (variable, is_constant, value) in scope.iter() {
            if is_constant {
                constants.borrow_mut().insert(variable.into(), value);
            }
        }
        vocabulary.constants = constants.borrow().keys().map(ToString::to_string).collect();
        let imports: Vec<_> =
            global.iter_imports_raw().map(|(alias, module)| (alias.clone(), module.clone())).collect();
        for (alias, module) in imports {
            if modules::TABLE.iter().any(|known| known.name == alias.as_str()) {
                let message = format!("`{alias}` is a module of loadr's own");
                let mut diagnostic = Diagnostic::at_file(message, name);
                diagnostic.hint = Some(format!("import it under another name: `as my_{alias}`"));
                return Err(Box::new(diagnostic));
            }
            let imported = module.iter_script_fn_info().map(|(.., function)| function);
            for function in imported.filter(|function| is_written(&function.name)) {
                let qualified = format!("{alias}::{}", function.name);
                let parameters = function.params.iter().map(ToString::to_string).collect();
                vocabulary.functions.push(qualified.clone());
                vocabulary.signatures.push((qualified, parameters));
            }
            engine.register_static_module(alias.as_str(), module);
        }
        drop(scope);
        let engine = Rc::new(engine);
        let calls = Calls::new(engine.clone(), &ast, pool.clone(), Known::in_file(&ast, name, &namespaces));
        context.set_calls(&calls);
        let (name, sources) = (name.to_owned(), sources.clone());
        Ok(Self { engine, ast, calls, constants, name, sources, vocabulary, evidence, functions })
    }

    /// The value of a constant of the script's top level.
    #[must_use]
    pub fn constant(&self, name: &str) -> Option<Dynamic> {
        self.constants.borrow().get(name).cloned()
    }

    /// The script's own functions.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// How many parameters the function of that name takes; where there are several, the most.
    #[must_use]
    pub fn parameters(&self, function: &str) -> Option<usize> {
        self.functions.iter().filter(|known| known.name == function).map(|known| known.params).max()
    }

    /// Calls a function of the script. Only within a [`bridge::Run`].
    ///
    /// # Errors
    /// What the script threw.
    pub fn call(&self, function: &str, arguments: Vec<Dynamic>) -> Result<Dynamic, Box<EvalAltResult>> {
        self.calls.function(&self.engine, function, arguments)
    }

    /// Runs `work` with the engine as the script's init runs: it may call closures of the script, and may not wait.
    ///
    /// # Errors
    /// The diagnostic of what the script threw, or of the bound that it hit.
    pub fn evaluate(
        &self,
        context: &HostContext,
        pool: &Rc<StackPool>,
        budget: &Budget,
        work: impl FnOnce(&Engine, &AST) -> Result<Dynamic, Box<EvalAltResult>>,
    ) -> Result<Dynamic, Box<Diagnostic>> {
        let outside = Outside { context, vu: context.vu(), budget };
        budget.begin();
        match bridge::run_now(pool, &outside, || work(&self.engine, &self.ast)) {
            Ending::Returned(Ok(value)) => Ok(value),
            Ending::Returned(Err(error)) => Err(Box::new(self.diagnose_fully(&error))),
            Ending::Tripped(trip, error) => Err(Box::new(self.diagnose_trip(&trip, error.as_deref()))),
            Ending::Panicked(message) => {
                Err(Box::new(Diagnostic::at_file(format!("loadr's own code failed: {message}"), &self.name)))
            }
        }
    }

    /// What is wrong and where, for the user: what errors are counted by.
    #[must_use]
    pub fn diagnose(&self, error: &EvalAltResult) -> Diagnostic {
        Diagnostic::from_eval_error(error, &self.name, &self.vocabulary)
    }

    /// The same with the values involved, where they came from, and how to mend it. To be called right after the error,
    /// and once for many that are alike: it parses the script once more.
    #[must_use]
    pub fn diagnose_fully(&self, error: &EvalAltResult) -> Diagnostic {
        let mut diagnostic = self.diagnose(error);
        explain(&mut diagnostic, error, &self.engine, &self.sources, &self.evidence, &self.vocabulary);
        diagnostic
    }

    /// Why a script was ended, for the user.
    #[must_use]
    pub fn diagnose_trip(&self, trip: &guard::Trip, error: Option<&EvalAltResult>) -> Diagnostic {
        tripped(trip, error, &self.name, &self.vocabulary, &|| diagnosis::loops::unseen(&self.engine, &self.sources))
    }

    /// The texts that diagnostics quote.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The script's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine, for tools that look at it.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// An engine with everything that scripts can call.
fn new_engine(
    context: &HostContext,
    sources: &Sources,
    constants: &Constants,
    closures: &ClosureFiles,
    renames: &Renames,
) -> Engine {
    let mut engine = Engine::new_raw();
    engine.register_global_module(standard_library());
    // Higher levels panic on an assignment to a constant's property, and run host functions while compiling.
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_call_levels(MAX_CALL_LEVELS);
    engine.set_max_expr_depths(MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_DEPTH);
    let resolver = Resolver::new(sources.clone(), closures.clone(), renames.clone(), context.clone());
    engine.set_module_resolver(SharedResolver(resolver));
    renames.install(&mut engine);
    engine.on_progress(|_| if guard::check() { None } else { Some(Dynamic::UNIT) });
    let constants = constants.clone();
    #[expect(deprecated, reason = "volatile, Rhai says, not deprecated")]
    engine.on_var(move |name, index, context| {
        if guard::raise() {
            // The place is added by the engine; what it is about, by the trip.
            return Err(Box::new(EvalAltResult::ErrorRuntime(Dynamic::UNIT, rhai::Position::NONE)));
        }
        // What a closure has captured has no index, but is there.
        if index > 0 || context.scope().contains(name) {
            return Ok(None);
        }
        // In init, and in functions of imported files, the constants of that file; else those of the script.
        if let Some(own) = &context.global_runtime_state().constants
            && let Some(value) = own.borrow().get(name)
        {
            return Ok(Some(value.clone()));
        }
        Ok(constants.borrow().get(name).cloned())
    });
    note_failed_calls(&mut engine, context.evidence());
    if context.tracer().is_some() {
        tracer::register(&mut engine);
    }
    engine.register_type_with_name::<FixedMap>("map");
    fixed::register(&mut engine);
    calls::register(&mut engine);
    for module in modules::TABLE {
        (module.register)(&mut engine, context);
    }
    engine
}

/// Lets the values of calls and operators be noted that nothing fits. `modules::publish` does it for those of a namespace.
fn note_failed_calls(engine: &mut Engine, evidence: &Evidence) {
    let noted = evidence.clone();
    #[expect(deprecated, reason = "volatile, Rhai says, not deprecated")]
    engine.on_missing_function(move |name, arguments, _, context| {
        noted.note(context.engine(), name, arguments);
        Ok(None)
    });
    // About `a += b` Rhai does not ask: this is found where nothing else fits, and what it gives lets Rhai go on with
    // `a = a + b`.
    for operator in ["+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^"] {
        let (noted, assigning) = (evidence.clone(), format!("{operator}="));
        let any = [TypeId::of::<Dynamic>(); 2];
        engine.register_raw_fn(assigning.clone(), any, move |call, values| -> Result<(), Box<EvalAltResult>> {
            noted.note(call.engine(), operator, values);
            Err(Box::new(EvalAltResult::ErrorFunctionNotFound(assigning.clone(), call.call_position())))
        });
    }
}

fn explain(
    diagnostic: &mut Diagnostic,
    error: &EvalAltResult,
    engine: &Engine,
    sources: &Sources,
    evidence: &Evidence,
    vocabulary: &Vocabulary,
) {
    let Some(Ok(ast)) = sources.get(&diagnostic.place.source).map(|text| engine.compile(&*text)) else { return };
    let around = diagnosis::Surroundings { engine, ast: &ast, evidence, vocabulary };
    diagnosis::explain(diagnostic, innermost(error), &around);
}

/// Rhai's standard library, every function of it registered. As Rhai makes it, functions are looked for in lists each
/// time that a call is resolved, which is at least once an iteration for each place that calls one.
fn standard_library() -> Rc<Module> {
    let mut module = (*StandardPackage::new().as_shared_module()).clone();
    module.register_lazy_functions();
    // Rhai's own takes whatever it is for the name of a type first.
    FuncRegistration::new("to_string")
        .set_into_module(&mut module, |number: INT| ImmutableString::from(number.to_string()));
    module.build_index();
    module.into()
}

fn vocabulary(functions: &[Function], closures: ClosureFiles) -> Vocabulary {
    let mut words = Vocabulary { closures, ..Vocabulary::default() };
    words.functions.extend(functions.iter().map(|function| function.name.clone()));
    for name in modules::TABLE.iter().flat_map(|module| module.docs).flat_map(FunctionDoc::names) {
        match name.split_once('.') {
            Some((_, member)) => words.properties.push(member.to_owned()),
            None => words.functions.push(name.to_owned()),
        }
    }
    words
}

/// What a script that was ended is told. Where it was is known but for a loop that looks at no variable, of which at most
/// the outermost call is known: of such loops, `loops` gives the places.
fn tripped(
    trip: &guard::Trip,
    error: Option<&EvalAltResult>,
    name: &str,
    vocabulary: &Vocabulary,
    loops: &dyn Fn() -> Vec<Place>,
) -> Diagnostic {
    let mut diagnostic = error
        .map_or_else(|| Diagnostic::at_file("", name), |error| Diagnostic::from_eval_error(error, name, vocabulary));
    let (message, hint) = match trip {
        guard::Trip::Stack => (
            "the calls are nested too deep: a function calls itself without end, or too often".to_owned(),
            Some("write it as a loop".to_owned()),
        ),
        guard::Trip::VuMemory { bound } => (
            format!(
                "the script of one virtual user holds more than {} of memory",
                crate::units::format::format_bytes(*bound)
            ),
            Some("find the text or array that grows without end; --max-vu-memory raises the bound".to_owned()),
        ),
        guard::Trip::WorkerMemory { bound } => (
            format!(
                "the scripts of one worker hold more than {} of memory",
                crate::units::format::format_bytes(*bound)
            ),
            Some("run fewer virtual users, or raise the bound with --max-memory".to_owned()),
        ),
        guard::Trip::Time { bound } => (
            format!(
                "the script computed for more than {} without calling the host",
                crate::units::format::format_duration(*bound)
            ),
            Some("a loop may have no end; --max-script-time raises the bound".to_owned()),
        ),
        guard::Trip::Cancelled(_) => ("the script was stopped".to_owned(), None),
        guard::Trip::Abort(message) => (message.clone(), None),
    };
    diagnostic.message = message;
    diagnostic.hint = hint;
    let unseen = error.is_none_or(EvalAltResult::is_system_exception);
    if unseen && matches!(trip, guard::Trip::Time { .. }) {
        match &mut *loops() {
            [only] => diagnostic.place = only.clone(),
            several => diagnostic.notes.extend(several.iter().take(LOOPS_TOLD).map(|place| Note {
                message: "this loop may be the one: it looks at no variable, and nothing ends it".to_owned(),
                place: Some(place.clone()),
            })),
        }
    }
    diagnostic
}

/// Reads a script and keeps its text.
///
/// # Errors
/// When it can't be read, or is not UTF-8.
pub fn read_script(path: &str, sources: &Sources) -> Result<(), Box<Diagnostic>> {
    match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => {
                sources.insert(path, Arc::from(text));
                Ok(())
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                Err(Box::new(Diagnostic::at_file(
                    format!("the script is not UTF-8 text (byte {at} is the first bad one)"),
                    path,
                )))
            }
        },
        Err(error) => Err(Box::new(Diagnostic::at_file(format!("can't read the script: {error}"), path))),
    }
}
