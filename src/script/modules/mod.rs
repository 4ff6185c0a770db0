//! Host modules: what scripts can call. One file a module, one table of them all.
//!
//! Each module documents each of its functions in a [`FunctionDoc`] beside its registration; a test runs every example,
//! and `docs/scripting.md` is written from the same table.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::rc::Rc;

use rhai::{
    Dynamic, Engine, EvalAltResult, FnCallExpr, FuncRegistration, Module, NativeCallContext, Position, RhaiFunc,
    RhaiNativeFunc, Variant,
};

use super::context::HostContext;

pub mod args;
pub mod argument;
pub mod assert;
pub mod check;
pub mod crypto;
pub mod data;
pub mod data_table;
pub mod duration;
pub mod fake;
pub mod global;
pub mod html;
pub mod http;
pub mod json;
pub mod jwt;
pub mod metrics;
pub mod parallel;
pub mod pause;
pub mod random;
pub mod regex;
#[cfg(test)]
mod tests;
pub mod time;
pub mod twins;
pub mod url;
pub mod vu;
pub mod xml;

/// What a host function returns: its value, or the error that its script sees.
pub type HostResult<T> = Result<T, Box<EvalAltResult>>;

/// A host module.
pub struct HostModule {
    /// Its namespace, or an empty string for global functions.
    pub name: &'static str,
    /// What it is for, in one sentence.
    pub summary: &'static str,
    /// Its functions and properties.
    pub docs: &'static [FunctionDoc],
    /// Registers it.
    pub register: fn(&mut Engine, &HostContext),
}

/// The documentation of one function, method or property that scripts see.
pub struct FunctionDoc {
    /// As one writes it: `random::int(min, max) -> int`, `response.status -> int`.
    pub signature: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Parameters: name and meaning.
    pub parameters: &'static [(&'static str, &'static str)],
    /// When it throws; empty when it never does.
    pub errors: &'static str,
    /// A script that shows it and throws when it does not hold: a test runs it. `assert_eq(actual, expected)` and
    /// `assert_error(function, part of its message)` exist in that test alone.
    pub example: &'static str,
}

impl FunctionDoc {
    /// The names in the signature, each as one writes it: `random::int`, `response.status`, `check`. Operators have none.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut depth = 0;
        let pieces = self.signature.split(move |c| {
            depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
            c == ',' && depth == 0
        });
        pieces.filter_map(|piece| {
            let piece = piece.trim_start();
            let end =
                piece.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '.'))).unwrap_or(piece.len());
            let (name, rest) = piece.split_at(end);
            let is_name = rest.starts_with('(')
                || name.contains("::")
                || name.split('.').filter(|part| !part.is_empty()).count() == 2;
            (is_name && !name.is_empty() && !name.contains("..")).then_some(name)
        })
    }
}

/// Every host module.
pub const TABLE: &[HostModule] = &[
    vu::MODULE,
    http::MODULE,
    http::CLIENTS,
    http::JARS,
    http::STREAMS,
    check::MODULE,
    pause::MODULE,
    parallel::MODULE,
    global::MODULE,
    assert::MODULE,
    metrics::MODULE,
    args::MODULE,
    crypto::MODULE,
    data::MODULE,
    duration::MODULE,
    fake::MODULE,
    html::MODULE,
    json::MODULE,
    jwt::MODULE,
    random::MODULE,
    regex::MODULE,
    time::MODULE,
    url::MODULE,
    xml::MODULE,
];

/// Adds a function to a module: [`FuncRegistration`] with two differences.
///
/// Its errors carry the place of the call, which Rhai 1.27 gives to errors of global functions but not to those of a
/// namespace. And it is volatile: its result may depend on more than its arguments, so that nothing calls it early.
pub fn define<A: 'static, const N: usize, const X: bool, R, const F: bool, FUNC>(
    module: &mut Module,
    name: &str,
    function: FUNC,
) where
    R: Variant + Clone,
    FUNC: RhaiNativeFunc<A, N, X, R, F> + 'static,
{
    FuncRegistration::new(name).set_into_module_raw(module, FUNC::param_types(), placed(function));
}

/// Adds a function of [`Dynamic`] parameters for arguments of these types. Rhai tries the exact types first and then
/// every way of taking some of them as `Dynamic`, each over all modules: naming the types that a function is mostly
/// called with finds it at the first try.
pub fn define_for<A: 'static, const N: usize, const X: bool, R, const F: bool, FUNC>(
    module: &mut Module,
    name: &str,
    types: &[TypeId],
    function: FUNC,
) where
    R: Variant + Clone,
    FUNC: RhaiNativeFunc<A, N, X, R, F> + 'static,
{
    FuncRegistration::new(name).set_into_module_raw(module, types, placed(function));
}

/// Which argument of a call may be a [`FixedMap`](super::fixed::FixedMap); none where the function takes none.
#[must_use]
pub fn fixed_argument(call: &FnCallExpr) -> Option<usize> {
    let last = call.args.len().checked_sub(1)?;
    let takes = match &*call.namespace.path {
        [] => call.name == "check" && last == 1,
        [module] if module.name == "http" => http::params_of(&call.name) == Some(last),
        _ => false,
    };
    takes.then_some(last)
}

/// Puts a module under its name. Rhai does not ask the host for help with calls into a namespace that fit no function
/// (as it does with other calls), and forgets their values: so each function gets a twin that takes anything, is found
/// where nothing else fits, notes what it was given, and fails as Rhai would have.
pub fn publish(engine: &mut Engine, context: &HostContext, name: &'static str, module: Module) {
    let any = TypeId::of::<Dynamic>();
    let module = Rc::new(module);
    // Only an engine tells what is in a module.
    let mut teller = Engine::new_raw();
    teller.register_static_module(name, module.clone());
    let known = teller.collect_fn_metadata(
        None,
        |info| {
            let open = info.metadata.num_params > 0 && info.metadata.param_types.iter().all(|&kind| kind == any);
            Some((info.metadata.name.clone(), info.metadata.num_params, open))
        },
        false,
    );
    drop(teller);
    let mut module = Rc::unwrap_or_clone(module);
    let twins: BTreeSet<_> = known.iter().filter(|&&(_, parameters, open)| parameters > 0 && !open).collect();
    for (function, parameters, _) in twins {
        if known.contains(&(function.clone(), *parameters, true)) {
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
        FuncRegistration::new(function.as_str()).set_into_module_raw(&mut module, vec![any; *parameters], twin);
    }
    engine.register_static_module(name, module.into());
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
