//! Host functions on their way into the engine: put together one by one, then published under a namespace.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::rc::Rc;

use rhai::{
    Dynamic, Engine, EvalAltResult, FuncRegistration, ImmutableString, Module, NativeCallContext, Position, RhaiFunc,
    RhaiNativeFunc, Variant,
};
use rustc_hash::FxHashMap;

use super::HostResult;
use crate::script::context::HostContext;
use crate::script::error;

/// The functions of one namespace, or of an imported file.
#[derive(Clone, Default)]
pub struct Natives(Vec<Native>);

/// One of them; several have the same name where they take other types.
#[derive(Clone)]
pub struct Native {
    name: String,
    types: Box<[TypeId]>,
    function: RhaiFunc,
}

impl Natives {
    /// Puts them into a module.
    pub fn fill(&self, module: &mut Module) {
        for native in &self.0 {
            let function = native.function.clone();
            FuncRegistration::new(&native.name).set_into_module_raw(module, &native.types, function);
        }
    }

    /// Adds others.
    pub fn append(&mut self, others: Natives) {
        self.0.extend(others.0);
    }

    /// A module of nothing else.
    #[must_use]
    pub fn module(&self) -> Rc<Module> {
        let mut module = Module::new();
        self.fill(&mut module);
        module.into()
    }

    /// Those of that name which take so many arguments, in the order in which Rhai tries them: whatever takes anything comes
    /// after what takes a type.
    #[must_use]
    pub fn overloads(&self, name: &str, arguments: usize) -> Vec<Native> {
        let is_it = |native: &&Native| native.name == name && native.types.len() == arguments;
        let mut found: Vec<_> = self.0.iter().filter(is_it).cloned().collect();
        found.sort_by_key(|native| native.types.iter().map(is_any).collect::<Vec<_>>());
        found
    }

    /// Adds, for each function, one that takes anything, notes what it was given, and fails as Rhai does.
    fn refuse_the_rest(&mut self, context: &HostContext, namespace: &str) {
        let signatures: BTreeSet<_> = self.0.iter().map(|native| (native.name.clone(), native.types.len())).collect();
        for (function, parameters) in signatures {
            if self.overloads(&function, parameters).iter().any(Native::is_open) {
                continue;
            }
            let (evidence, called) = (context.evidence().clone(), format!("{namespace}{function}"));
            let func = move |call: Option<NativeCallContext>, values: &mut [&mut Dynamic]| -> HostResult<Dynamic> {
                let (signature, place) = match &call {
                    Some(call) => (evidence.note(call.engine(), &called, values), call.call_position()),
                    None => (called.clone(), Position::NONE),
                };
                Err(Box::new(EvalAltResult::ErrorFunctionNotFound(signature, place)))
            };
            let refusing = RhaiFunc::Pure { func: Rc::new(func), has_context: true, is_pure: true, is_volatile: true };
            self.add(&function, &vec![TypeId::of::<Dynamic>(); parameters], refusing);
        }
    }

    fn add(&mut self, name: &str, types: &[TypeId], function: RhaiFunc) {
        // A text comes as Rhai holds it, whatever the function takes it as.
        let text = TypeId::of::<ImmutableString>();
        let held =
            |&kind: &TypeId| if kind == TypeId::of::<&str>() || kind == TypeId::of::<String>() { text } else { kind };
        self.0.push(Native { name: name.to_owned(), types: types.iter().map(held).collect(), function });
    }
}

impl Native {
    /// Whether it takes whatever it is given.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.types.iter().all(is_any)
    }

    /// Whether it changes its first argument.
    #[must_use]
    pub fn is_method(&self) -> bool {
        self.function.is_method()
    }

    /// Whether it takes arguments of these types.
    #[must_use]
    pub fn takes(&self, types: &[TypeId]) -> bool {
        self.types.iter().zip(types).all(|(wanted, found)| wanted == found || is_any(wanted))
    }

    /// Calls it with arguments that it takes.
    ///
    /// # Errors
    /// What it throws.
    pub fn call(&self, call: NativeCallContext, arguments: &mut [&mut Dynamic]) -> HostResult<Dynamic> {
        match &self.function {
            RhaiFunc::Pure { func, .. } | RhaiFunc::Method { func, .. } => func(Some(call), arguments),
            _ => unreachable!("host functions are made by `define` and `publish` alone"),
        }
    }
}

fn is_any(kind: &TypeId) -> bool {
    *kind == TypeId::of::<Dynamic>()
}

/// Adds a function: [`FuncRegistration`] with two differences.
///
/// Its errors carry the place of the call, which Rhai 1.27 gives to errors of global functions but not to those of a
/// namespace. And it is volatile: its result may depend on more than its arguments, so that nothing calls it early.
pub fn define<A: 'static, const N: usize, const X: bool, R, const F: bool, FUNC>(
    natives: &mut Natives,
    name: &str,
    function: FUNC,
) where
    R: Variant + Clone,
    FUNC: RhaiNativeFunc<A, N, X, R, F> + 'static,
{
    natives.add(name, FUNC::param_types().as_ref(), placed(function));
}

/// Adds a function of [`Dynamic`] parameters for arguments of these types. Rhai tries the exact types first and then
/// every way of taking some of them as `Dynamic`, each over all modules: naming the types that a function is mostly
/// called with finds it at the first try.
pub fn define_for<A: 'static, const N: usize, const X: bool, R, const F: bool, FUNC>(
    natives: &mut Natives,
    name: &str,
    types: &[TypeId],
    function: FUNC,
) where
    R: Variant + Clone,
    FUNC: RhaiNativeFunc<A, N, X, R, F> + 'static,
{
    natives.add(name, types, placed(function));
}

/// Puts functions under a name. Rhai does not ask the host for help with calls into a namespace that fit no function
/// (as it does with other calls), and forgets their values: so each function gets an overload that takes anything, is found
/// where nothing else fits, notes what it was given, and fails as Rhai would have.
pub fn publish(engine: &mut Engine, context: &HostContext, name: &'static str, mut natives: Natives) {
    natives.refuse_the_rest(context, &format!("{name}::"));
    engine.register_static_module(name, natives.module());
    context.keep_natives(name, natives);
}

/// Lets scripts call functions without a namespace.
pub fn publish_everywhere(engine: &mut Engine, context: &HostContext, mut natives: Natives) {
    engine.register_global_module(natives.module());
    natives.refuse_the_rest(context, "");
    context.keep_natives("", natives);
}

/// A native function whose errors carry the place of the call.
fn placed<A: 'static, const N: usize, const X: bool, R, const F: bool, FUNC>(function: FUNC) -> RhaiFunc
where
    R: Variant + Clone,
    FUNC: RhaiNativeFunc<A, N, X, R, F> + 'static,
{
    let mut native = function.into_rhai_function(true, true);
    if let RhaiFunc::Pure { func, has_context, .. } | RhaiFunc::Method { func, has_context, .. } = &mut native {
        let inner = Rc::clone(func);
        *has_context = true;
        *func = Rc::new(move |context, arguments| {
            let place = context.as_ref().map_or(Position::NONE, NativeCallContext::call_position);
            inner(context, arguments).map_err(|error| error::placed(error, place))
        });
    }
    native
}

/// The native functions of an engine: by the names of their namespaces (an empty one for those that have none), and those
/// of imported files by the files' names.
pub type Namespaces = FxHashMap<String, Natives>;
