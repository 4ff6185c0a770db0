//! Host functions on their way into the engine: put together one by one, then published under a namespace.

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use rhai::{
    Dynamic, Engine, EvalAltResult, FuncRegistration, Module, NativeCallContext, Position, RhaiFunc, RhaiNativeFunc,
    Variant,
};
use rustc_hash::FxHashMap;

use super::HostResult;
use crate::script::context::HostContext;

/// The functions of one namespace, or of an imported file.
#[derive(Default)]
pub struct Natives(Vec<Native>);

/// One of them; several have the same name where they take other types.
pub struct Native {
    name: String,
    types: Box<[TypeId]>,
    function: RhaiFunc,
}

impl Natives {
    /// Puts them into a module.
    pub fn fill(&self, module: &mut Module) {
        for native in &self.0 {
            native.put(&native.name, module);
        }
    }

    /// A module of nothing else.
    #[must_use]
    pub fn module(&self) -> Rc<Module> {
        let mut module = Module::new();
        self.fill(&mut module);
        module.into()
    }

    /// Those of that name which take so many arguments.
    pub fn named(&self, name: &str, parameters: usize) -> impl Iterator<Item = &Native> {
        self.0.iter().filter(move |native| native.name == name && native.types.len() == parameters)
    }

    fn add(&mut self, name: &str, types: &[TypeId], function: RhaiFunc) {
        self.0.push(Native::new(name, types, function));
    }
}

impl Native {
    /// A function of that name for arguments of these types.
    #[must_use]
    pub fn new(name: &str, types: &[TypeId], function: RhaiFunc) -> Self {
        Self { name: name.to_owned(), types: types.into(), function }
    }

    /// Puts it into a module, under this name.
    pub fn put(&self, name: &str, module: &mut Module) {
        FuncRegistration::new(name).set_into_module_raw(module, &self.types, self.function.clone());
    }
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
/// (as it does with other calls), and forgets their values: so each function gets a twin that takes anything, is found
/// where nothing else fits, notes what it was given, and fails as Rhai would have.
pub fn publish(engine: &mut Engine, context: &HostContext, name: &'static str, mut natives: Natives) {
    let any = TypeId::of::<Dynamic>();
    let is_open = |native: &Native| native.types.iter().all(|&kind| kind == any);
    let signatures: BTreeSet<_> = natives.0.iter().map(|native| (native.name.clone(), native.types.len())).collect();
    for (function, parameters) in signatures {
        if natives.named(&function, parameters).any(is_open) {
            continue;
        }
        let (evidence, called) = (context.evidence().clone(), format!("{name}::{function}"));
        let func = move |call: Option<NativeCallContext>, values: &mut [&mut Dynamic]| -> HostResult<Dynamic> {
            let (signature, place) = match &call {
                Some(call) => (evidence.note(call.engine(), &called, values), call.call_position()),
                None => (called.clone(), Position::NONE),
            };
            Err(Box::new(EvalAltResult::ErrorFunctionNotFound(signature, place)))
        };
        let twin = RhaiFunc::Pure { func: Rc::new(func), has_context: true, is_pure: true, is_volatile: true };
        natives.add(&function, &vec![any; parameters], twin);
    }
    engine.register_static_module(name, natives.module());
    context.keep_natives(name, natives);
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
            inner(context, arguments).map_err(|mut error| {
                if error.position().is_none() {
                    error.set_position(place);
                }
                error
            })
        });
    }
    native
}

/// The native functions of an engine: by the names of their namespaces, and those of imported files by the files' names.
pub type Namespaces = RefCell<FxHashMap<String, Rc<Natives>>>;
