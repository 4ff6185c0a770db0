//! Calls of host functions without a search for them.
//!
//! Rhai looks a function of a namespace up at each call: the namespace by its name, in it the function by the types of its
//! arguments, one combination with `Dynamic` after the other. A function without a namespace it looks up once and remembers.
//! So in the statements that Rust runs itself ([`super::calls`]) a call `http::get(...)` becomes one of a function of that
//! whole name, which no script can write; what it does, and what its errors say, is the same. A text with values in it
//! (`` `${base}/item/${id}` ``) becomes a call of a function as well: Rhai asks for a function for each of its parts.

use std::any::TypeId;
use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use rhai::{
    AST, ASTNode, Dynamic, Engine, Expr, FnCallExpr, ImmutableString, Module, NativeCallContext, Position, RhaiFunc,
    Stmt, Token,
};
use rustc_hash::FxHashMap;

use super::modules::HostResult;
use super::modules::natives::{Native, Natives};

/// The function that puts the parts of a text together.
const JOIN: &str = "`${}`";

/// How many parts it takes at most: each of the types that they may have is looked for once.
const PARTS_MAX: usize = 6;

/// How long a part is that is no text, as a guess: as long as the longest number.
const NUMBER: usize = 20;

/// The host functions that a script calls by the names of their namespaces.
pub struct Direct {
    functions: Rc<Module>,
    /// A call of each, by its name and number of arguments: what Rhai calculates of the two is in it.
    calls: FxHashMap<(String, usize), FnCallExpr>,
}

impl Direct {
    /// Those that `ast` calls; `natives` gives the functions of a namespace that the whole script knows.
    #[must_use]
    pub fn new(ast: &AST, natives: impl Fn(&str) -> Option<Rc<Natives>>) -> Self {
        let (mut functions, mut calls) = (Module::new(), FxHashMap::default());
        for parts in 1..=PARTS_MAX {
            let join = RhaiFunc::Pure { func: Rc::new(join), has_context: true, is_pure: true, is_volatile: true };
            Native::new(JOIN, &vec![TypeId::of::<Dynamic>(); parts], join).put(JOIN, &mut functions);
            calls.extend(call_of(JOIN, parts).map(|call| ((JOIN.to_owned(), parts), call)));
        }
        ast.walk(&mut |path| {
            let Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) = path.last() else {
                return true;
            };
            let Some(namespace) = global_namespace(call) else { return true };
            let key = key(namespace, call);
            if calls.contains_key(&key) {
                return true;
            }
            let Some(natives) = natives(namespace) else { return true };
            let mut overloads = natives.named(&call.name, call.args.len()).peekable();
            if overloads.peek().is_some()
                && let Some(template) = call_of(&key.0, key.1)
            {
                overloads.for_each(|native| native.put(&key.0, &mut functions));
                calls.insert(key, template);
            }
            true
        });
        Self { functions: functions.into(), calls }
    }

    /// The functions, under names of their own.
    #[must_use]
    pub fn functions(&self) -> &Rc<Module> {
        &self.functions
    }

    /// A text of these parts, as an expression; none where it has too many.
    #[must_use]
    pub fn text(&self, mut parts: Vec<Expr>, position: Position) -> Option<Expr> {
        // A variable that is the first argument would be looked at after the others.
        if let Some(Expr::Variable(..)) = parts.first() {
            parts.insert(0, Expr::StringConstant("".into(), position));
        }
        let mut call = self.calls.get(&(JOIN.to_owned(), parts.len()))?.clone();
        call.args = parts.into_iter().collect();
        Some(Expr::FnCall(call.into(), position))
    }

    /// Makes a call one that needs no search, if it is of a function that is known.
    pub fn shorten(&self, call: &mut FnCallExpr) {
        if let Some(namespace) = global_namespace(call)
            && let Some(known) = self.calls.get(&key(namespace, call))
        {
            call.namespace = known.namespace.clone();
            call.name = known.name.clone();
            call.hashes = known.hashes;
        }
    }
}

/// The parts of a text, one after the other, as Rhai writes them.
fn join(call: Option<NativeCallContext>, parts: &mut [&mut Dynamic]) -> HostResult<Dynamic> {
    let length = |part: &&mut Dynamic| part.as_immutable_string_ref().map_or(NUMBER, |part| part.len());
    let mut text = String::with_capacity(parts.iter().map(length).sum());
    for part in parts {
        if let Ok(part) = part.as_immutable_string_ref() {
            text.push_str(&part);
        } else if let Ok(part) = part.as_int() {
            let _ = write!(text, "{part}");
        } else {
            let written = call.as_ref().and_then(|call| call.call_native_fn_raw("to_string", true, &mut [part]).ok());
            match (written.map(Dynamic::into_immutable_string), &call) {
                (Some(Ok(written)), _) => text.push_str(&written),
                (Some(Err(kind)), Some(call)) => text.push_str(call.engine().map_type_name(kind)),
                (_, Some(call)) => text.push_str(call.engine().map_type_name(&part.to_string())),
                (_, None) => text.push_str(&part.to_string()),
            }
        }
    }
    Ok(ImmutableString::from(text).into())
}

/// The namespace of a call, if it is a single name that does not mean an import of the function around.
fn global_namespace(call: &FnCallExpr) -> Option<&str> {
    match &*call.namespace.path {
        [name] if call.namespace.index.is_none() => Some(&name.name),
        _ => None,
    }
}

fn key(namespace: &str, call: &FnCallExpr) -> (String, usize) {
    (format!("{namespace}::{}", call.name), call.args.len())
}

/// A call of a function of this name, which need not be an identifier, as Rhai compiles it: to be copied, with what it
/// calculates of name and number of arguments.
#[must_use]
pub fn call_of(name: &str, arguments: usize) -> Option<FnCallExpr> {
    let mut engine = Engine::new_raw();
    let word = RefCell::new(Some(name.to_owned()));
    #[expect(deprecated, reason = "volatile, Rhai says, not deprecated")]
    engine.on_parse_token(move |token, _, _| match (token, word.take()) {
        (Token::Identifier(_), Some(name)) => Token::Identifier(Box::new(name.into())),
        (token, name) => {
            word.replace(name);
            token
        }
    });
    let ast = engine.compile(format!("f({})", vec!["0"; arguments].join(", "))).ok()?;
    match ast.statements() {
        [Stmt::FnCall(call, _)] => Some((**call).clone()),
        [Stmt::Expr(expr)] => match &**expr {
            Expr::FnCall(call, _) => Some((**call).clone()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rhai::{INT, ImmutableString};

    use super::*;
    use crate::script::modules::define;

    fn natives() -> Rc<Natives> {
        let mut natives = Natives::default();
        define(&mut natives, "twice", |number: INT| number * 2);
        define(&mut natives, "twice", |text: ImmutableString| format!("{text}{text}"));
        define(&mut natives, "one", || 1 as INT);
        natives.into()
    }

    /// The calls in a function of the script, shortened, as `namespace::name`.
    fn shortened(body: &str) -> Vec<String> {
        let engine = Engine::new_raw();
        let ast = engine.compile(format!("fn f(x) {{ {body} }}")).expect("it compiles");
        let natives = natives();
        let direct = Direct::new(&ast, |name| (name == "host").then(|| natives.clone()));
        let mut calls = Vec::new();
        ast.walk(&mut |path| {
            if let Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) = path.last() {
                let mut call = (**call).clone();
                direct.shorten(&mut call);
                calls.push(format!("{}|{}", call.namespace, call.name));
            }
            true
        });
        calls
    }

    #[test]
    fn only_what_is_known_is_shortened() {
        assert_eq!(shortened("host::twice(1)"), ["|host::twice"]);
        assert_eq!(shortened("let y = host::one() + 1; y"), ["|+", "|host::one"]);
        assert_eq!(shortened("host::twice(1, 2)"), ["host|twice"], "another number of arguments");
        assert_eq!(shortened("host::thrice(1)"), ["host|thrice"]);
        assert_eq!(shortened("other::twice(1)"), ["other|twice"]);
        assert_eq!(shortened("twice(1)"), ["|twice"]);
        assert_eq!(shortened("import \"file\" as host; host::twice(1)"), ["host|twice"], "what it imports itself");
    }

    #[test]
    fn a_call_of_any_name_can_be_made() {
        let call = call_of("host::twice", 3).expect("it compiles");
        assert_eq!((call.name.as_str(), call.args.len(), call.is_qualified()), ("host::twice", 3, false));
        assert!(call.hashes.is_native_only(), "no script can have a function of that name");
    }
}
