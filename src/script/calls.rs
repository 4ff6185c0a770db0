//! Calls from Rust into the script: a journey's iteration, the conditions of a check.
//!
//! Rhai resolves each place that calls something once for each call that comes from Rust: it starts every one of those
//! with an empty memory. Here what was resolved is kept, in [`State`]s that calls take turns with, as many as there are calls
//! suspended at one time; and a function's statements are gone through once ([`super::fixed`]) and then run as they are, without
//! the ways that lead to a function. So are those of the functions that it calls.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use rhai::{
    AST, ASTNode, Caches, Dynamic, Engine, EvalAltResult, EvalContext, Expr, Expression, FnCallExpr, FnPtr,
    GlobalRuntimeState, ImmutableString, Module, NativeCallContext, Position, Scope, ScriptFuncDef, Stmt,
};
use rustc_hash::FxHashMap;

use super::bridge::stack::StackPool;
use super::fixed::{Fixing, Known};
use super::modules::HostResult;
use super::modules::duration::DurationRange;

/// States that are kept for calls to come. More calls than this are suspended at one time often, but seldom begin at one.
const KEPT: usize = 32;

/// Calls into one script on one worker.
pub struct Calls {
    this: Weak<Calls>,
    engine: Rc<Engine>,
    /// Where scripts beside the one that runs get their stacks from.
    stacks: Rc<StackPool>,
    library: Rc<Module>,
    known: Known,
    source: ImmutableString,
    #[expect(clippy::vec_box, reason = "states go in and out at each call; what moves is a pointer")]
    free: RefCell<Vec<Box<State>>>,
    functions: RefCell<FxHashMap<String, Vec<Rc<Function>>>>,
    /// By the address of a closure's name, which its script holds as long as it lives; with the name, to be sure.
    closures: RefCell<FxHashMap<usize, (ImmutableString, Option<Rc<Function>>)>>,
}

/// A function of the script.
struct Function {
    name: ImmutableString,
    parameters: Box<[ImmutableString]>,
    statements: Box<[Stmt]>,
}

/// What Rhai keeps in mind during a call.
struct State {
    global: GlobalRuntimeState,
    caches: Caches,
    scope: Scope<'static>,
}

impl Calls {
    /// Calls into the functions of `ast`, which has a source; `known` are the host functions that it can call.
    #[must_use]
    pub fn new(engine: Rc<Engine>, ast: &AST, stacks: Rc<StackPool>, known: Known) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            this: this.clone(),
            engine,
            stacks,
            library: ast.shared_lib().clone(),
            known,
            source: ast.source().unwrap_or_default().into(),
            free: RefCell::default(),
            functions: RefCell::default(),
            closures: RefCell::default(),
        })
    }

    /// Calls a function of the script.
    ///
    /// # Errors
    /// What it threw, or that it does not exist.
    pub fn function(
        &self,
        engine: &Engine,
        name: &str,
        arguments: Vec<Dynamic>,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let Some(function) = self.known_function(name, arguments.len()) else {
            return Err(EvalAltResult::ErrorFunctionNotFound(name.into(), Position::NONE).into());
        };
        let mut state = self.state(engine, 0);
        match state.run(engine, &function, arguments) {
            Ok(value) => {
                self.put_back(state);
                Ok(value)
            }
            Err(error) => match *error {
                EvalAltResult::Exit(value, _) => {
                    Ok(value.try_cast_result::<Exiting>().map_or_else(|other| other, |exiting| exiting.0))
                }
                _ => Err(error),
            },
        }
    }

    /// Where scripts beside the one that runs get their stacks from.
    #[must_use]
    pub fn stacks(&self) -> &Rc<StackPool> {
        &self.stacks
    }

    /// Calls a function that runs beside the one that made it: with an empty memory of its own.
    ///
    /// # Errors
    /// What it threw.
    pub fn flow(&self, function: &FnPtr) -> Result<Dynamic, Box<EvalAltResult>> {
        let engine = &*self.engine;
        let mut global = engine.new_global_runtime_state();
        global.lib.push(self.library.clone());
        global.source = Some(self.source.clone());
        let context = (engine, function.fn_name(), Some(self.source.as_str()), &global, Position::NONE).into();
        function.call_raw(&context, None, [])
    }

    /// A closure of the script itself; none for other functions, which only Rhai can call. What it captured are its first
    /// parameters.
    fn closure(&self, function: &FnPtr, arguments: usize) -> Option<Rc<Function>> {
        if !function.is_anonymous() {
            return None;
        }
        let name = function.fn_name();
        let key = name.as_ptr().addr();
        if let Some((known, function)) = self.closures.borrow().get(&key)
            && known == name
        {
            return function.clone();
        }
        let function = self.find(name, function.curry().len() + arguments);
        self.closures.borrow_mut().insert(key, (name.into(), function.clone()));
        function
    }

    /// A function of the script, gone through once.
    fn known_function(&self, name: &str, arguments: usize) -> Option<Rc<Function>> {
        let overload = |known: &&Rc<Function>| known.parameters.len() == arguments;
        if let Some(known) = self.functions.borrow().get(name).and_then(|known| known.iter().find(overload)) {
            return Some(known.clone());
        }
        let function = self.find(name, arguments)?;
        self.functions.borrow_mut().entry(name.to_owned()).or_default().push(function.clone());
        Some(function)
    }

    fn find(&self, name: &str, arguments: usize) -> Option<Rc<Function>> {
        let function = self.written(name, arguments)?;
        // The only public way to a function's statements is to walk through it.
        let mut alone = Module::new();
        alone.set_script_fn(function.clone());
        let mut statements = Vec::new();
        AST::new([], alone).walk(&mut |path| {
            if let [ASTNode::Stmt(statement)] = path {
                statements.push((*statement).clone());
            }
            true
        });
        let parameters: Box<[ImmutableString]> = function.params.iter().cloned().collect();
        Fixing { calls: self, parameters: &parameters }.statements(&mut statements);
        Some(Rc::new(Function { name: function.name.clone(), parameters, statements: statements.into() }))
    }

    /// A function as it stands in the script; methods of a type are called otherwise.
    fn written(&self, name: &str, arguments: usize) -> Option<&Rc<ScriptFuncDef>> {
        let mut own = self.library.iter_script_fn_info().map(|(.., function)| function);
        own.find(|own| own.name == name && own.params.len() == arguments && own.this_type.is_none())
    }

    /// The host functions that the script can call.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// A call of the script's own function, if it is one.
    #[must_use]
    pub fn own(&self, call: &FnCallExpr, position: Position) -> Option<OwnCall> {
        if call.is_qualified() || call.capture_parent_scope {
            return None;
        }
        let name = self.written(&call.name, call.args.len())?.name.clone();
        Some(OwnCall { calls: self.this.clone(), name, position, function: Rc::default() })
    }

    /// The value of an expression that has the same each time, in a function of these parameters.
    #[must_use]
    pub fn constant(&self, expr: &Expr, parameters: &[ImmutableString]) -> Option<Dynamic> {
        // What a closure has captured is one of its parameters, though Rhai does not number it as such.
        if let Expr::Variable(variable, ..) = expr
            && parameters.contains(&variable.1)
        {
            return None;
        }
        let (mut global, mut caches) = (self.engine.new_global_runtime_state(), Caches::new());
        let statement = [Stmt::Expr(expr.clone().into())];
        #[expect(deprecated, reason = "the only evaluation of a single expression")]
        let value = self.engine.eval_statements_raw(&mut global, &mut caches, &mut Scope::new(), &statement).ok()?;
        // What is else may be changed by who gets it, or is found out at its own place.
        let stays = value.is_string() || value.is_int() || value.is_float() || value.is_bool();
        (stays || value.is::<Duration>() || value.is::<DurationRange>()).then_some(value)
    }

    fn state(&self, engine: &Engine, level: usize) -> Box<State> {
        let free = self.free.borrow_mut().pop();
        let mut state = free.unwrap_or_else(|| {
            let mut global = engine.new_global_runtime_state();
            global.lib.push(self.library.clone());
            global.source = Some(self.source.clone());
            // Not the top level, where a constant would be everybody's.
            global.scope_level = 1;
            let mut caches = Caches::new();
            caches.push_fn_resolution_cache();
            Box::new(State { global, caches, scope: Scope::new() })
        });
        state.global.level = level + 1;
        state
    }

    /// Keeps for the next call a state whose last call returned. In any other, nobody knows what it holds.
    fn put_back(&self, state: Box<State>) {
        let mut free = self.free.borrow_mut();
        if free.len() < KEPT {
            free.push(state);
        }
    }
}

impl State {
    fn run(
        &mut self,
        engine: &Engine,
        function: &Function,
        arguments: impl IntoIterator<Item = Dynamic>,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        for (name, argument) in function.parameters.iter().zip(arguments) {
            self.scope.push_dynamic(name.clone(), argument);
        }
        self.evaluate(engine, function)
    }

    /// Runs a function whose parameters are in the scope.
    fn evaluate(&mut self, engine: &Engine, function: &Function) -> Result<Dynamic, Box<EvalAltResult>> {
        #[expect(deprecated, reason = "the only call that leaves Rhai's memory with us")]
        let value =
            engine.eval_statements_raw(&mut self.global, &mut self.caches, &mut self.scope, &function.statements)?;
        if value.is::<Exiting>() {
            return Err(EvalAltResult::Exit(value, Position::NONE).into());
        }
        self.scope.clear();
        self.global.truncate_imports(0);
        self.global.always_search_scope = false;
        Ok(value)
    }
}

/// What `exit(value)` of a script ends it with. Rhai takes it for what the statements gave that it was asked to run: this type
/// tells the two apart, so that it ends all that is running, and not the innermost call alone.
#[derive(Clone)]
struct Exiting(Dynamic);

/// Registers `exit`, which ends what is being run.
pub fn register(engine: &mut Engine) {
    let exit = |value: Dynamic| -> HostResult<Dynamic> {
        Err(EvalAltResult::Exit(Dynamic::from(Exiting(value)), Position::NONE).into())
    };
    engine.register_fn("exit", exit);
    engine.register_fn("exit", move || exit(Dynamic::UNIT));
}

/// Where a function of the script calls another one.
#[derive(Clone)]
pub struct OwnCall {
    calls: Weak<Calls>,
    name: ImmutableString,
    position: Position,
    function: Rc<OnceCell<Weak<Function>>>,
}

impl OwnCall {
    /// Calls it.
    ///
    /// # Errors
    /// What it or one of the arguments throws.
    pub fn run(&self, context: &mut EvalContext, arguments: &[Expression]) -> HostResult<Dynamic> {
        let not_found = || EvalAltResult::ErrorFunctionNotFound(self.name.to_string(), self.position);
        let calls = self.calls.upgrade().ok_or_else(not_found)?;
        let known = || calls.known_function(&self.name, arguments.len()).map(|known| Rc::downgrade(&known));
        let function = self.function.get_or_init(|| known().unwrap_or_default()).upgrade().ok_or_else(not_found)?;
        let engine = context.engine();
        // How deep calls may be nested is the guard's to say: it looks at the stack, and tells where it was.
        let mut state = calls.state(engine, context.global_runtime_state().level);
        for (name, argument) in function.parameters.iter().zip(arguments) {
            match context.eval_expression_tree(argument) {
                Ok(value) => {
                    let value = value.flatten();
                    // A constant that is handed over is a variable of the function's: a copy may be changed.
                    let value = if value.is_read_only() { value.clone() } else { value };
                    state.scope.push_dynamic(name.clone(), value);
                }
                Err(error) => {
                    state.scope.clear();
                    calls.put_back(state);
                    return Err(error);
                }
            }
        }
        let value = state.evaluate(engine, &function).map_err(|mut error| {
            if error.is_system_exception() {
                error.set_position(self.position);
            }
            in_call(&function.name, &calls.source, error, self.position)
        })?;
        calls.put_back(state);
        Ok(value)
    }
}

/// Calls functions that a host function was given, one after the other and as often as it likes.
pub struct Caller<'a> {
    calls: Option<Rc<Calls>>,
    context: &'a NativeCallContext<'a>,
    state: Option<Box<State>>,
}

impl<'a> Caller<'a> {
    /// `context` is the call of the host function. Without `calls` (while the script's init runs) each call begins with an
    /// empty memory.
    #[must_use]
    pub fn new(calls: Option<Rc<Calls>>, context: &'a NativeCallContext<'a>) -> Self {
        Self { calls, context, state: None }
    }

    /// Calls a function.
    ///
    /// # Errors
    /// What it threw.
    pub fn call<const N: usize>(
        &mut self,
        function: &FnPtr,
        arguments: [Dynamic; N],
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let own = self.calls.as_deref().and_then(|calls| Some((calls, calls.closure(function, N)?)));
        let Some((calls, own)) = own else {
            return function.call_raw(self.context, None, arguments);
        };
        let engine = self.context.engine();
        // Whatever ends the call otherwise than by returning leaves the state in nobody's hands.
        let mut state = self.state.take().unwrap_or_else(|| calls.state(engine, self.context.call_level()));
        let arguments = function.curry().iter().cloned().chain(arguments);
        let value = state.run(engine, &own, arguments).map_err(|error| self.told(function, error))?;
        self.state = Some(state);
        Ok(value)
    }

    /// An error of a function, with the place of its call.
    fn told(&self, function: &FnPtr, error: Box<EvalAltResult>) -> Box<EvalAltResult> {
        let source = self.calls.as_ref().map_or("", |calls| &calls.source);
        in_call(function.fn_name(), source, error, self.context.call_position())
    }
}

/// An error of a function of the file `source` that was called at a place, as Rhai tells it.
#[must_use]
pub fn in_call(name: &str, source: &str, error: Box<EvalAltResult>, position: Position) -> Box<EvalAltResult> {
    if error.is_system_exception() || matches!(*error, EvalAltResult::Exit(..)) {
        return error;
    }
    EvalAltResult::ErrorInFunctionCall(name.to_owned(), source.to_owned(), error, position).into()
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if let (Some(state), Some(calls)) = (self.state.take(), &self.calls) {
            calls.put_back(state);
        }
    }
}
