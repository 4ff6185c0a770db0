//! The bodies of a script's functions, gone through when they first run.
//!
//! Rhai lets nobody change a function's statements, but a function can be given another body: one that is a single expression
//! of our syntax, which holds the statements and runs them in its place.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rhai::{
    AST, ASTNode, Caches, Dynamic, Engine, EvalContext, Expr, Expression, GlobalRuntimeState, ImmutableString, Module,
    Position, Scope, ScriptFuncDef, Stmt, StmtBlock, Token,
};

use super::call::Known;
use super::statements::Fixing;
use super::{KEY, Made};
use crate::script::modules::HostResult;
use crate::script::modules::duration::DurationRange;

/// The body of a function.
#[derive(Clone)]
pub struct Body(Rc<Inner>);

struct Inner {
    known: Rc<Known>,
    parameters: Box<[ImmutableString]>,
    written: Vec<Stmt>,
    /// The statements as they are run, in a block.
    made: OnceCell<Expr>,
}

impl Body {
    /// That of a function which `statements` found.
    fn new(function: &ScriptFuncDef, written: Vec<Stmt>, known: Rc<Known>) -> Self {
        let parameters = function.params.iter().cloned().collect();
        Self(Rc::new(Inner { known, parameters, written, made: OnceCell::new() }))
    }

    /// The body of a function, if it has one of these.
    #[must_use]
    pub fn of(statements: &[Stmt]) -> Option<Self> {
        let [Stmt::Expr(expr)] = statements else { return None };
        let Expr::Custom(custom, _) = &**expr else { return None };
        match &*custom.state.read_lock::<Made>()? {
            Made::Body(body) => Some(body.clone()),
            _ => None,
        }
    }

    /// Runs it where its function was called.
    ///
    /// # Errors
    /// What it throws.
    pub(super) fn run(&self, context: &mut EvalContext) -> HostResult<Dynamic> {
        let made = self.made(context.engine(), context.global_runtime_state());
        context.eval_expression_tree(&Expression::from(made))
    }

    /// Its statements, as they are to be run; `global` knows the constants of its file.
    #[must_use]
    pub fn statements(&self, engine: &Engine, global: &GlobalRuntimeState) -> &[Stmt] {
        match self.made(engine, global) {
            Expr::Stmt(block) => block.statements(),
            _ => &[],
        }
    }

    fn made(&self, engine: &Engine, global: &GlobalRuntimeState) -> &Expr {
        self.0.made.get_or_init(|| {
            let mut statements = self.0.written.clone();
            let value = |expr: &Expr| self.value(expr, engine, global);
            Fixing { value, known: &self.0.known }.statements(&mut statements);
            Expr::Stmt(StmtBlock::new(statements, Position::NONE, Position::NONE).into())
        })
    }

    /// The value of an expression that has the same each time.
    fn value(&self, expr: &Expr, engine: &Engine, global: &GlobalRuntimeState) -> Option<Dynamic> {
        // What a closure has captured is one of its parameters, though Rhai does not number it as such.
        if let Expr::Variable(variable, ..) = expr
            && self.0.parameters.contains(&variable.1)
        {
            return None;
        }
        let mut alone = engine.new_global_runtime_state();
        alone.constants.clone_from(&global.constants);
        let statement = [Stmt::Expr(expr.clone().into())];
        #[expect(deprecated, reason = "the only evaluation of a single expression")]
        let value = engine.eval_statements_raw(&mut alone, &mut Caches::new(), &mut Scope::new(), &statement).ok()?;
        // What is else may be changed by who gets it, or is found out at its own place.
        let stays = value.is_string() || value.is_int() || value.is_float() || value.is_bool();
        (stays || value.is::<Duration>() || value.is::<DurationRange>()).then_some(value)
    }
}

/// The same file with bodies that are gone through when they first run; `known` is what it can call.
#[must_use]
pub fn prepare(ast: &AST, known: Known) -> AST {
    let known = Rc::new(known);
    let stubs = Stubs::new();
    let mut library: Module = ast.shared_lib().as_ref().clone();
    let own: Vec<_> = library.iter_script_fn_info().map(|(.., function)| function.clone()).collect();
    for function in own {
        let written = statements_of(function.clone());
        if written.is_empty() {
            continue;
        }
        let body = Made::Body(Body::new(&function, written, known.clone()));
        if let Some(stub) = stubs.with(body) {
            let mut function = (*function).clone();
            function.body = stub.body.clone();
            library.set_script_fn(function);
        }
    }
    let mut prepared = AST::new(ast.statements().iter().cloned(), library);
    if let Some(source) = ast.source() {
        prepared.set_source(source);
    }
    prepared
}

/// The statements of a function. The only public way to them is to walk through it.
#[must_use]
pub fn statements_of(function: Rc<ScriptFuncDef>) -> Vec<Stmt> {
    let mut alone = Module::new();
    alone.set_script_fn(function);
    let mut statements = Vec::new();
    AST::new([], alone).walk(&mut |path| {
        if let [ASTNode::Stmt(statement)] = path {
            statements.push((*statement).clone());
        }
        true
    });
    statements
}

/// Makes functions whose body is one expression of our syntax: only Rhai's parser makes bodies.
struct Stubs {
    engine: Engine,
    body: Rc<RefCell<Dynamic>>,
}

impl Stubs {
    fn new() -> Self {
        let mut engine = Engine::new_raw();
        let body = Rc::new(RefCell::new(Dynamic::UNIT));
        let given = body.clone();
        let parse = move |_: &[ImmutableString], _: &str, state: &mut Dynamic| {
            *state = given.take();
            Ok(None)
        };
        engine.register_custom_syntax_with_state_raw(KEY, parse, false, |_, _, _| Ok(Dynamic::UNIT));
        #[expect(deprecated, reason = "volatile, Rhai says, not deprecated")]
        engine.on_parse_token(|token, _, _| match token {
            Token::Identifier(word) if *word == "body" => Token::Identifier(Box::new(KEY.into())),
            token => token,
        });
        Self { engine, body }
    }

    fn with(&self, body: Made) -> Option<Rc<ScriptFuncDef>> {
        *self.body.borrow_mut() = Dynamic::from(body);
        let ast = self.engine.compile("fn stub() { body }").ok()?;
        ast.shared_lib().get_script_fn("stub", 0).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::context::HostContext;
    use crate::script::engine::Prepared;
    use crate::script::error::Sources;
    use crate::script::tests::shared;

    /// What a script gives or throws: as it is, and with prepared bodies, each run twice.
    fn both_ways(script: &str) -> [String; 4] {
        let context = HostContext::new(shared(7));
        let host = Prepared::new(&context, &Sources::default());
        let mut ast = host.engine().compile(script).unwrap_or_else(|error| panic!("{error}: {script}"));
        ast.set_source("main.rhai");
        let namespaces = context.namespaces().expect("an engine was made");
        let prepared = prepare(&ast, Known::to(&ast, "main.rhai", &namespaces));
        [&ast, &ast, &prepared, &prepared].map(|ast| {
            context.vu().begin_iteration(7, 0);
            let result = host.engine().eval_ast::<Dynamic>(ast);
            result.map_or_else(|error| format!("threw {error:?}"), |value| format!("{value:?}"))
        })
    }

    fn same(script: &str) -> String {
        let [plain, again, prepared, prepared_again] = both_ways(script);
        assert_eq!(plain, again, "{script}");
        assert_eq!(plain, prepared, "{script}");
        assert_eq!(plain, prepared_again, "{script}");
        plain
    }

    #[test]
    fn texts_are_what_rhai_makes_of_them() {
        let values = [
            "\"text\"",
            "\"\"",
            "1",
            "-5",
            "9223372036854775807",
            "1.0",
            "0.1",
            "1e300",
            "true",
            "'c'",
            "()",
            "[1, \"a\", ()]",
            "#{ a: 1 }",
            "5.s",
            "1.s..3.s",
            "|x| x",
            "0..3",
            "http::form(#{ a: 1 })",
            "random::bytes(3)",
            "time::parse_duration(\"3s\")",
        ];
        for value in values {
            let told = same(&format!(
                "const BASE = \"base\"; fn f(x, y) {{ [`<${{x}}>`, `${{x}} and ${{y}}, ${{BASE}}/${{y}}${{x}}`, `${{x}}`, `${{{value}}}!`] }} f({value}, 1)"
            ));
            assert!(told.starts_with("[\"<") && told.contains("base/1"), "{told}");
        }
        assert_eq!(
            same("fn f() { let n = 0; let next = || { n += 1; n }; `${n} ${next.call()} ${n}` } f()"),
            "\"0 1 1\""
        );
        assert_eq!(same("const A = \"a\"; fn f() { `${A}/b` + `${A}${A}` } f()"), "\"a/baa\"");
    }

    #[test]
    fn calls_give_and_throw_what_they_did() {
        for (call, part) in [
            ("random::int(1, 6) + random::int(1, 6)", ""),
            ("random::pick([1, 2, 3])", ""),
            ("random::int(3, 1)", "`min` 3 is more than `max` 1"),
            ("random::int([], 1)", "random::int (array, i64)"),
            ("url::encode(x)", "a%20b"),
            ("url::encode(5)", "url::encode (i64)"),
            ("regex::matches(x, \"(\")", "unclosed group"),
            ("crypto::sha256(x)", "c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65"),
            ("checks::status(7, 200)", "`checks::status: res` must be a response"),
            ("checks::matches(7, \"a\")", "`checks::matches: res` must be a response"),
            ("think::uniform(7, 2.s)", "`think::uniform: shortest` must be a duration"),
            ("http::post(true, 1, #{ name: \"x\" })", "http::post (bool, i64, map)"),
            ("http::get(x)", "the top level of a script"),
            ("think(x)", "takes a duration"),
            ("sleep(1.s..2.s)", "`sleep` takes a duration"),
            ("check(1, 2)", "check (i64, i64)"),
            ("group(\"g\", 5)", "group (&str | ImmutableString | String, i64)"),
            ("fail(`no ${x}`)", "no a b"),
            ("env(\"COLOUR\", \"none\")", "none"),
            ("none::such(1)", "none"),
            ("random::such(1)", "random::such (i64)"),
        ] {
            let imports = "import \"std/checks\" as checks; import \"std/think\" as think;";
            let script = format!("{imports} fn f(x) {{ {call} }} f(\"a b\")");
            let told = same(&script);
            assert!(told.contains(part), "{call}: {told}");
            same(&format!(
                "{imports} fn f(x) {{ try {{ {call} }} catch (error) {{ `caught ${{error}}` }} }} f(\"a b\")"
            ));
        }
    }

    #[test]
    fn functions_do_what_they_did() {
        for (script, gives) in [
            ("fn f(n) { if n < 2 { 1 } else { n * f(n - 1) } } f(10)", "3628800"),
            ("fn even(n) { n == 0 || odd(n - 1) } fn odd(n) { n != 0 && even(n - 1) } even(8)", "true"),
            ("fn f(x) { if x > 1 { return x * 2; } x } f(1) + f(2)", "5"),
            ("fn f(x) { for i in 0..9 { if i == x { return i; } } } [f(3), f(99)]", "[3, ()]"),
            ("fn f() { let a = 1; { let a = 2; } a } f()", "1"),
            ("fn f() { loop { break 5; } } f()", "5"),
            ("fn f(x) { switch x { 1 => \"one\", _ => `${x}` } } f(1) + f(2)", "\"one2\""),
            ("fn f() { this *= 2; } let x = 4; x.f(); x", "8"),
            ("fn int.twice() { this * 2 } 4.twice()", "8"),
            ("fn f() { [1, 2, 3].map(|x| x * 2).filter(|x| x > 2) } f()", "[4, 6]"),
            ("fn f(k) { let add = |x| x + k; add.call(1) + add.call(2) } f(10)", "23"),
            ("fn f() { let g = Fn(\"h\"); g.call(2) } fn h(x) { x + 1 } f()", "3"),
            ("fn f() { let x = 1; let g = || x += 1; g.call(); g.call(); x } f()", "3"),
            ("const A = 1; fn f(A) { A } fn g() { let A = 3; A } fn h() { A } [f(2), g(), h()]", "[2, 3, 1]"),
            ("const A = [1]; fn f() { let a = A; a.push(2); a } [f(), A]", "[[1, 2], [1]]"),
            ("const W = 2.s; fn f() { `${W} ${500.ms + W} ${W == 2.s}` } f()", "\"2s 2.5s true\""),
            ("fn f(r) { r.status } [f(#{ status: 5 }), f(#{})]", "[5, ()]"),
            ("fn f(r) { r.status == 5 && r?.ok == () } f(#{ status: 5 })", "true"),
            (
                "fn f() { let r = #{ status: 1 }; let g = || r.status; r.status = 2; [g.call(), r.status] } f()",
                "[2, 2]",
            ),
            ("const R = #{ status: 3 }; fn f() { R.status } f()", "3"),
            ("fn f(r) { r.status } f(5)", "threw"),
            ("fn f() { r.status } f()", "threw"),
            ("fn f() { let m = #{ a: 1 }; m.a += 1; m } [f(), f()]", "[#{\"a\": 2}, #{\"a\": 2}]"),
            ("fn f(x) { x += 1; x } let y = 1; [f(y), y]", "[2, 1]"),
            ("fn f() { } f()", "()"),
            ("fn f(x) { throw #{ code: x }; } try { f(5) } catch (e) { e.code }", "()"),
            ("import \"std/data\" as d; fn f() { d::no_such() } f()", "threw"),
            ("fn f() { let a = 1;\n  a.no_such() } f()", "threw"),
            ("fn f() { g() } fn g() { h() } fn h() {\n [][5] } f()", "threw"),
            ("fn f() { NOT_THERE } f()", "threw"),
            ("fn f(n) { f(n + 1) } f(0)", "threw"),
        ] {
            let told = same(script);
            assert!(told == gives || gives == "threw" && told.starts_with(gives), "{script}: {told}");
        }
    }
}
