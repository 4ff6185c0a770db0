//! Calls of host functions without a search for them.
//!
//! Rhai looks a function of a namespace up at each call: the namespace by its name, in it the function by the types of its
//! arguments, one combination with `Dynamic` after the other. Here a call knows what its name may mean.

use std::cell::RefCell;
use std::rc::Rc;

use rhai::{
    AST, Dynamic, EvalContext, Expr, Expression, FnCallExpr, ImmutableString, NativeCallContext, Position, Stmt,
};
use rustc_hash::FxHashMap;

use super::{Made, made};
use crate::script::modules::HostResult;
use crate::script::modules::natives::{Namespaces, Native};
use crate::script::source::source_name;

/// A call with more arguments is left to Rhai.
const ARGUMENTS_MAX: usize = 4;

/// The host functions that a file can call by name.
pub struct Known {
    namespaces: Rc<RefCell<Namespaces>>,
    /// What the file imports: the names of the files by their aliases.
    imports: FxHashMap<String, String>,
}

impl Known {
    /// Those that the file `name` can call.
    #[must_use]
    pub fn in_file(ast: &AST, name: &str, namespaces: &Rc<RefCell<Namespaces>>) -> Self {
        let import = |statement: &Stmt| match statement {
            Stmt::Import(import, _) => {
                let path = match &import.0 {
                    Expr::StringConstant(path, _) => path.as_str(),
                    // Whatever it is, no host module.
                    _ => "",
                };
                (!import.1.name.is_empty()).then(|| (import.1.name.to_string(), source_name(path, Some(name))))
            }
            _ => None,
        };
        let imports = ast.statements().iter().filter_map(import).collect();
        Self { namespaces: namespaces.clone(), imports }
    }

    /// The same call without a search, if it is of a host function that takes its arguments by value.
    #[must_use]
    pub fn call(&self, call: &FnCallExpr, position: Position) -> Option<Expr> {
        let namespace = match &*call.namespace.path {
            [] => "",
            [namespace] => namespace.name.as_str(),
            _ => return None,
        };
        // An import of the function around comes first.
        let is_local = call.namespace.index.is_some() || call.capture_parent_scope;
        if is_local || call.args.len() > ARGUMENTS_MAX {
            return None;
        }
        let namespace = self.imports.get(namespace).map_or(namespace, String::as_str);
        let functions = self.namespaces.borrow().get(namespace)?.overloads(&call.name, call.args.len());
        // The last one takes anything; one with a first argument to be changed needs a variable and not its value.
        if !functions.last()?.is_open() || functions.iter().any(Native::is_method) {
            return None;
        }
        let site = Site { name: call.name.clone(), position, functions: functions.into() };
        Some(made(call.args.iter().cloned(), Made::Call(site), position))
    }
}

/// Where a script calls a host function.
#[derive(Clone)]
pub(super) struct Site {
    name: ImmutableString,
    position: Position,
    /// What the name may mean, in the order in which Rhai would try them; the last one takes anything.
    functions: Rc<[Native]>,
}

impl Site {
    /// Calls the function that fits.
    pub(super) fn run(&self, context: &mut EvalContext, arguments: &[Expression]) -> HostResult<Dynamic> {
        match arguments.len() {
            0 => self.call::<0>(context, arguments),
            1 => self.call::<1>(context, arguments),
            2 => self.call::<2>(context, arguments),
            3 => self.call::<3>(context, arguments),
            _ => self.call::<ARGUMENTS_MAX>(context, arguments),
        }
    }

    fn call<const N: usize>(&self, context: &mut EvalContext, arguments: &[Expression]) -> HostResult<Dynamic> {
        let mut values = [const { Dynamic::UNIT }; N];
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = context.eval_expression_tree(argument)?.flatten();
        }
        let types = values.each_ref().map(Dynamic::type_id);
        let function = self.functions.iter().find(|function| function.takes(&types)).expect("the last takes anything");
        context.global_runtime_state_mut().level += 1;
        let call: NativeCallContext =
            (context.engine(), self.name.as_str(), None, context.global_runtime_state(), self.position).into();
        let result = function.call(call, &mut values.each_mut());
        context.global_runtime_state_mut().level -= 1;
        result
    }
}

#[cfg(test)]
mod tests {
    use rhai::{ASTNode, Engine, INT, Stmt};

    use super::super::tests::run;
    use super::*;
    use crate::script::modules::{Natives, define};

    fn natives() -> Natives {
        let mut natives = Natives::default();
        define(&mut natives, "twice", |number: INT| number * 2);
        define(&mut natives, "twice", |value: Dynamic| format!("{value}{value}"));
        define(&mut natives, "one", || 1 as INT);
        define(&mut natives, "push", |list: &mut rhai::Array, value: Dynamic| list.push(value));
        define(&mut natives, "push", |list: Dynamic, _: Dynamic| list);
        natives
    }

    /// What the first call in a file becomes; none where it stays as it is.
    fn direct(file: &str) -> Option<Expr> {
        let ast = Engine::new_raw().compile(file).expect("it compiles");
        let namespaces = ["host", "", "std/twins"].map(|name| (name.to_owned(), natives()));
        let known = Known::in_file(&ast, "main.rhai", &Rc::new(RefCell::new(Namespaces::from_iter(namespaces))));
        let mut made = None;
        ast.walk(&mut |path| {
            if let Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) = path.last() {
                made = known.call(call, Position::NONE);
                return false;
            }
            true
        });
        made
    }

    #[test]
    fn a_call_finds_the_function_for_its_arguments() {
        assert_eq!(run(direct("host::twice(4)").expect("a call")), "8");
        assert_eq!(run(direct("host::twice(\"ab\")").expect("a call")), "abab");
        assert_eq!(run(direct("host::twice([])").expect("a call")), "[][]");
        assert_eq!(run(direct("fn f() { host::one() }").expect("a call")), "1");
        assert_eq!(run(direct("twice(4)").expect("a call")), "8");
        assert_eq!(run(direct("import \"std/twins\" as t; fn f() { t::twice(4) }").expect("a call")), "8");
    }

    #[test]
    fn what_is_not_known_for_sure_is_left_to_rhai() {
        for (script, why) in [
            ("host::twice(1, 2)", "another number of arguments"),
            ("host::thrice(1)", "another function"),
            ("other::twice(1)", "another namespace"),
            ("fn f() { import \"file\" as host; host::twice(1) }", "what the function imports"),
            ("import \"mine\" as host; fn f() { host::twice(1) }", "what the file imports"),
            ("import \"mine\" + 1 as host; fn f() { host::twice(1) }", "whatever the file imports"),
            ("host::push([], 1)", "what changes its first argument"),
            ("fn f(x) { twice!(x) }", "what is given the variables around"),
        ] {
            assert!(direct(script).is_none(), "{why}");
        }
    }
}
