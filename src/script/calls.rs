//! Calls from Rust into the script: a journey's iteration, the conditions of a check.
//!
//! Rhai resolves each place that calls something once for each call that comes from Rust: it starts every one of those
//! with an empty memory. Here what was resolved is kept, in [`State`]s that calls take turns with, as many as there are calls
//! suspended at one time. A call is compiled once, as the text `callee(a0, a1)` with the function put in place of `callee`.

use std::cell::RefCell;
use std::rc::Rc;

use rhai::{
    AST, Caches, Dynamic, Engine, EvalAltResult, Expr, FnCallHashes, FnPtr, GlobalRuntimeState, ImmutableString,
    Module, NativeCallContext, Position, Scope, Stmt,
};
use rustc_hash::FxHashMap;

/// States that are kept for calls to come. More calls than this are suspended at one time often, but seldom begin at one.
const KEPT: usize = 32;

/// The texts of calls, by their number of arguments.
const TEXTS: [&str; 4] = ["callee()", "callee(a0)", "callee(a0, a1)", "callee(a0, a1, a2)"];
const ARGUMENTS: [&str; 3] = ["a0", "a1", "a2"];

/// Calls into one script on one worker.
pub struct Calls {
    library: Rc<Module>,
    source: ImmutableString,
    free: RefCell<Vec<Box<State>>>,
    /// By name, then by number of arguments.
    functions: RefCell<FxHashMap<String, [Option<Call>; TEXTS.len()]>>,
    /// By the address of a closure's name, which its script holds as long as it lives; with the name, to be sure.
    closures: RefCell<FxHashMap<usize, (ImmutableString, Option<Call>)>>,
}

/// The statements of a compiled call.
type Call = Rc<[Stmt]>;

/// What Rhai keeps in mind during a call.
struct State {
    global: GlobalRuntimeState,
    caches: Caches,
    scope: Scope<'static>,
}

impl Calls {
    /// Calls into the functions of `ast`, which has a source.
    #[must_use]
    pub fn new(ast: &AST) -> Self {
        Self {
            library: ast.shared_lib().clone(),
            source: ast.source().unwrap_or_default().into(),
            free: RefCell::default(),
            functions: RefCell::default(),
            closures: RefCell::default(),
        }
    }

    /// Calls a function of the script with at most three arguments. One that is shared reaches the function as a copy.
    ///
    /// # Errors
    /// What it threw, or that it does not exist.
    pub fn function(
        &self,
        engine: &Engine,
        name: &str,
        arguments: Vec<Dynamic>,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let count = arguments.len();
        let known = self.functions.borrow().get(name).and_then(|calls| calls[count].clone());
        let call = match known {
            Some(call) => call,
            None => {
                let Some(call) = self.compile(engine, name, count) else {
                    return Err(EvalAltResult::ErrorFunctionNotFound(name.into(), Position::NONE).into());
                };
                self.functions.borrow_mut().entry(name.to_owned()).or_default()[count] = Some(call.clone());
                call
            }
        };
        let mut state = self.state(engine, 0);
        for (name, argument) in ARGUMENTS.iter().zip(arguments) {
            state.scope.push_dynamic(*name, argument);
        }
        let result = state.run(engine, &call);
        self.put_back(state, result.is_ok());
        result.map_err(|error| match *error {
            EvalAltResult::ErrorInFunctionCall(called, _, inner, _) if called == name => inner,
            error => error.into(),
        })
    }

    /// The call of a closure of the script itself; none for other functions, which only Rhai can call.
    fn closure(&self, engine: &Engine, function: &FnPtr, arguments: usize) -> Option<Call> {
        if function.is_curried() || !function.is_anonymous() {
            return None;
        }
        let name = function.fn_name();
        let key = name.as_ptr().addr();
        if let Some((known, call)) = self.closures.borrow().get(&key)
            && known == name
        {
            return call.clone();
        }
        let call = self.compile(engine, name, arguments);
        self.closures.borrow_mut().insert(key, (name.into(), call.clone()));
        call
    }

    /// The call of a function of the script; none if it has no such function.
    fn compile(&self, engine: &Engine, name: &str, arguments: usize) -> Option<Call> {
        let function = self.library.get_script_fn(name, arguments)?;
        // The only public way to a script function's hash is to add it to a module.
        let hash = Module::new().set_script_fn(function.clone());
        let mut scope = Scope::new();
        for name in &ARGUMENTS[..arguments] {
            scope.push(*name, ());
        }
        let ast = engine.compile_with_scope(&scope, TEXTS[arguments]).expect("these texts parse");
        let mut statements: Box<[Stmt]> = ast.statements().into();
        for statement in &mut statements {
            let Stmt::Expr(expression) = statement else { unreachable!("these texts are an expression") };
            let Expr::FnCall(call, _) = &mut **expression else { unreachable!("which calls a function") };
            call.name = function.name.clone();
            call.hashes = FnCallHashes::from_hash(hash);
        }
        Some(statements.into())
    }

    fn state(&self, engine: &Engine, level: usize) -> Box<State> {
        let free = self.free.borrow_mut().pop();
        let mut state = free.unwrap_or_else(|| {
            let mut global = engine.new_global_runtime_state();
            global.lib.push(self.library.clone());
            global.source = Some(self.source.clone());
            let mut caches = Caches::new();
            caches.push_fn_resolution_cache();
            Box::new(State { global, caches, scope: Scope::new() })
        });
        state.global.level = level;
        state
    }

    /// Keeps a state for the next call. One in which something went wrong is dropped: what it holds is not known.
    fn put_back(&self, mut state: Box<State>, clean: bool) {
        let mut free = self.free.borrow_mut();
        if clean && free.len() < KEPT {
            state.scope.clear();
            free.push(state);
        }
    }
}

impl State {
    fn run(&mut self, engine: &Engine, call: &Call) -> Result<Dynamic, Box<EvalAltResult>> {
        #[expect(deprecated, reason = "the only call that leaves Rhai's memory with us")]
        engine.eval_statements_raw(&mut self.global, &mut self.caches, &mut self.scope, call)
    }
}

/// Calls functions with one value, as often as one likes.
pub struct WithValue<'a> {
    calls: Option<Rc<Calls>>,
    context: &'a NativeCallContext<'a>,
    value: Dynamic,
    state: Option<Box<State>>,
}

impl<'a> WithValue<'a> {
    /// `context` is the call of the host function that calls the functions. Without `calls` (while the script's init runs)
    /// each call begins with an empty memory.
    #[must_use]
    pub fn new(calls: Option<Rc<Calls>>, context: &'a NativeCallContext<'a>, value: Dynamic) -> Self {
        Self { calls, context, value, state: None }
    }

    /// Calls a function with the value.
    ///
    /// # Errors
    /// What it threw.
    pub fn call(&mut self, function: &FnPtr) -> Result<Dynamic, Box<EvalAltResult>> {
        let engine = self.context.engine();
        let own = self.calls.as_deref().and_then(|calls| Some((calls, calls.closure(engine, function, 1)?)));
        let Some((calls, call)) = own else {
            return function.call_raw(self.context, None, [self.value.clone()]);
        };
        // Whatever ends the call otherwise than by returning leaves the state in nobody's hands.
        let mut state = self.state.take().unwrap_or_else(|| {
            let mut state = calls.state(engine, self.context.call_level());
            state.scope.push_dynamic(ARGUMENTS[0], self.value.clone());
            state
        });
        match state.run(engine, &call) {
            Ok(value) => {
                self.state = Some(state);
                Ok(value)
            }
            Err(mut error) => {
                // The place of the call is where the script called the host function, not in the text that was made here.
                if let EvalAltResult::ErrorInFunctionCall(_, _, _, position) = &mut *error {
                    *position = self.context.call_position();
                }
                Err(error)
            }
        }
    }
}

impl Drop for WithValue<'_> {
    fn drop(&mut self) {
        if let (Some(state), Some(calls)) = (self.state.take(), &self.calls) {
            calls.put_back(state, true);
        }
    }
}
