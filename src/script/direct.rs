//! Calls of host functions without a search for them.
//!
//! Rhai looks a function of a namespace up at each call: the namespace by its name, in it the function by the types of its
//! arguments, one combination with `Dynamic` after the other. A text with values in it (`` `${base}/item/${id}` ``) asks for a
//! function for each of its parts. In the statements that Rust runs itself ([`super::calls`]) both become expressions of a
//! syntax of our own, which no script can write: one knows its functions, the other puts its parts together. What they give,
//! and what errors say, is the same.

use std::fmt::Write;
use std::rc::Rc;

use super::modules::HostResult;
use super::modules::natives::{Namespaces, Native};
use rhai::{
    CustomExpr, Dynamic, Engine, EvalContext, Expr, Expression, FnCallExpr, ImmutableString, NativeCallContext,
    Position,
};

/// The key of the syntax: no word of a script.
const KEY: &str = "`";

/// Lets an engine evaluate both.
pub fn register(engine: &mut Engine) {
    let never = |_: &[ImmutableString], _: &str, _: &mut Dynamic| Ok(None);
    engine.register_custom_syntax_with_state_raw(KEY, never, false, |context, inputs, made| {
        let made = made.read_lock::<Made>().expect("what is made here");
        match (&*made, inputs.len()) {
            (Made::Text(text), _) => text.written(context, inputs),
            (Made::Call(site), 0) => site.call::<0>(context, inputs),
            (Made::Call(site), 1) => site.call::<1>(context, inputs),
            (Made::Call(site), 2) => site.call::<2>(context, inputs),
            (Made::Call(site), 3) => site.call::<3>(context, inputs),
            (Made::Call(site), _) => site.call::<ARGUMENTS_MAX>(context, inputs),
        }
    });
}

/// What an expression of the syntax is.
#[derive(Clone)]
enum Made {
    Call(Site),
    Text(Text),
}

/// A call with more arguments is left to Rhai.
const ARGUMENTS_MAX: usize = 4;

/// The host functions that a script can call by the names of their namespaces.
pub struct Direct(Namespaces);

impl Direct {
    /// Those of `namespaces`, by their names.
    #[must_use]
    pub fn new(namespaces: Namespaces) -> Self {
        Self(namespaces)
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
        let functions = self.0.get(namespace)?.overloads(&call.name, call.args.len());
        // The last one takes anything; one with a first argument to be changed needs a variable and not its value.
        if !functions.last()?.is_open() || functions.iter().any(Native::is_method) {
            return None;
        }
        let site = Site { name: call.name.clone(), position, functions: functions.into() };
        Some(made(call.args.iter().cloned(), Made::Call(site), position))
    }
}

/// A text of these parts, put together without a search.
#[must_use]
pub fn text(parts: &[Expr], position: Position) -> Expr {
    let (mut between, mut values) = (vec![String::new()], Vec::new());
    for part in parts {
        match (part, between.last_mut()) {
            (Expr::StringConstant(text, _), Some(last)) => last.push_str(text),
            _ => {
                values.push(part.clone());
                between.push(String::new());
            }
        }
    }
    if values.is_empty() {
        return Expr::StringConstant(between.concat().into(), position);
    }
    let length = between.iter().map(|text| text.len() + VALUE).sum();
    made(values, Made::Text(Text { between: between.into(), length }), position)
}

/// How long a value in a text is, as a guess: as long as the longest number.
const VALUE: usize = 20;

fn made(inputs: impl IntoIterator<Item = Expr>, made: Made, position: Position) -> Expr {
    let syntax = CustomExpr {
        inputs: inputs.into_iter().collect(),
        tokens: std::iter::once(KEY.into()).collect(),
        state: Dynamic::from(made),
        scope_may_be_changed: false,
        self_terminated: false,
    };
    Expr::Custom(syntax.into(), position)
}

/// Where a script calls a host function.
#[derive(Clone)]
struct Site {
    name: ImmutableString,
    position: Position,
    /// What the name may mean, in the order in which Rhai would try them; the last one takes anything.
    functions: Rc<[Native]>,
}

impl Site {
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

/// A text with values in it.
#[derive(Clone)]
struct Text {
    /// What stands before each value, and after the last.
    between: Rc<[String]>,
    /// How long it will be, as a guess.
    length: usize,
}

impl Text {
    /// The whole, each value as Rhai writes it.
    fn written(&self, context: &mut EvalContext, values: &[Expression]) -> HostResult<Dynamic> {
        let mut text = String::with_capacity(self.length);
        let (last, before) = self.between.split_last().expect("there is one more than values");
        for (before, value) in before.iter().zip(values) {
            text.push_str(before);
            let mut value = context.eval_expression_tree(value)?.flatten();
            if let Ok(value) = value.as_immutable_string_ref() {
                text.push_str(&value);
            } else if let Ok(value) = value.as_int() {
                let _ = write!(text, "{value}");
            } else {
                let written = context.call_native_fn_raw("to_string", true, &mut [&mut value]);
                match written.map(Dynamic::into_immutable_string) {
                    Ok(Ok(written)) => text.push_str(&written),
                    Ok(Err(kind)) => text.push_str(context.engine().map_type_name(kind)),
                    Err(_) => text.push_str(context.engine().map_type_name(&value.to_string())),
                }
            }
        }
        text.push_str(last);
        Ok(ImmutableString::from(text).into())
    }
}

#[cfg(test)]
mod tests {
    use rhai::{AST, ASTNode, INT, Stmt};

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

    /// What the first call in a script becomes; none where it stays as it is.
    fn direct(script: &str) -> Option<Expr> {
        let ast = Engine::new_raw().compile(script).expect("it compiles");
        let known = Direct::new(Namespaces::from_iter(["host", ""].map(|name| (name.to_owned(), natives()))));
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

    fn run(expr: Expr) -> String {
        let mut engine = Engine::new_raw();
        register(&mut engine);
        engine
            .eval_ast::<Dynamic>(&AST::new([Stmt::Expr(expr.into())], rhai::Module::new()))
            .expect("it runs")
            .to_string()
    }

    #[test]
    fn a_call_finds_the_function_for_its_arguments() {
        assert_eq!(run(direct("host::twice(4)").expect("a call")), "8");
        assert_eq!(run(direct("host::twice(\"ab\")").expect("a call")), "abab");
        assert_eq!(run(direct("host::twice([])").expect("a call")), "[][]");
        assert_eq!(run(direct("fn f() { host::one() }").expect("a call")), "1");
        assert_eq!(run(direct("twice(4)").expect("a call")), "8");
    }

    #[test]
    fn what_is_not_known_for_sure_is_left_to_rhai() {
        for (script, why) in [
            ("host::twice(1, 2)", "another number of arguments"),
            ("host::thrice(1)", "another function"),
            ("other::twice(1)", "another namespace"),
            ("fn f() { import \"file\" as host; host::twice(1) }", "what the function imports"),
            ("host::push([], 1)", "what changes its first argument"),
            ("fn f(x) { twice!(x) }", "what is given the variables around"),
        ] {
            assert!(direct(script).is_none(), "{why}");
        }
    }

    #[test]
    fn a_text_without_values_is_one_piece() {
        let constant = |text: &str| Expr::StringConstant(text.into(), Position::NONE);
        let whole = text(&[constant("a"), constant(""), constant("b")], Position::NONE);
        assert!(matches!(whole, Expr::StringConstant(text, _) if text == "ab"));
        let number = Expr::IntegerConstant(-7, Position::NONE);
        assert_eq!(run(text(&[number.clone(), constant("<"), constant(">"), number], Position::NONE)), "-7<>-7");
    }
}
