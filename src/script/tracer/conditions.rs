//! What a check's condition compares: `|r| r.status == 200` tells `r.status`, which is to be `== 200`.
//!
//! A condition is a function. Its statements are taken from the compiled script, and each side of a comparison at their end is
//! wrapped into a call of [`NOTE`], which takes note of the value and hands it on. Conditions are then run from these
//! statements: each side is evaluated once, where and when the script says so, whatever it does.

use std::cell::RefCell;
use std::rc::Rc;

use rhai::{
    AST, ASTFlags, ASTNode, BinaryExpr, Caches, Dynamic, Engine, EvalAltResult, Expr, FnCallExpr, FnPtr,
    GlobalRuntimeState, INT, ImmutableString, NativeCallContext, Scope, Stmt, StmtBlock,
};
use rustc_hash::FxHashMap;

use crate::script::calls;
use crate::script::modules::http::Response;
use crate::script::rename::written;
use crate::trace::{Compared, redact};
use crate::units::format::format_duration;

/// The function that notes what a side was. Scripts have no use for it: without a condition around it, it does nothing.
const NOTE: &str = "__note";

/// The function that takes note of the surroundings of an imported file's functions.
const LEARN: &str = "__learn";

/// Sides that are told of one condition at most.
const SIDES_MAX: usize = 6;

/// How long what a side was may be, in characters.
const SHOWN_MAX: usize = 80;

/// Methods that look at a value and change nothing: of `r.body.contains("x")` one wants to know what `r.body` was.
const HARMLESS: [&str; 13] = [
    "contains",
    "starts_with",
    "ends_with",
    "is_empty",
    "all",
    "some",
    "matches",
    "is_match",
    "has",
    "is_nan",
    "is_odd",
    "is_even",
    "is_zero",
];

/// The functions of a worker's files that may be conditions of checks.
#[derive(Default)]
pub struct Conditions {
    files: RefCell<Vec<File>>,
    /// By name and number of parameters; none for what no file has.
    known: RefCell<FxHashMap<(ImmutableString, usize), Option<Rc<Condition>>>>,
}

/// A compiled file, with what its functions have around them.
struct File {
    ast: AST,
    around: GlobalRuntimeState,
}

/// A condition that tells what it compares.
struct Condition {
    parameters: Vec<ImmutableString>,
    statements: Vec<Stmt>,
    sides: Vec<Side>,
    around: GlobalRuntimeState,
}

/// A side of a comparison, as it is told.
struct Side {
    expression: String,
    wanted: String,
}

/// What the sides of the condition that runs were, by their number; none for those that it did not get to.
#[derive(Clone)]
struct Found(Rc<RefCell<Vec<Option<Dynamic>>>>);

/// Where the surroundings of an imported file are put.
#[derive(Clone)]
struct Surroundings(Rc<RefCell<Option<GlobalRuntimeState>>>);

/// Registers what conditions call to tell their sides.
pub fn register(engine: &mut Engine) {
    engine.register_fn(NOTE, |call: NativeCallContext, side: INT, value: Dynamic| -> Dynamic {
        if let Some(found) = call.tag().and_then(|tag| tag.read_lock::<Found>())
            && let Some(place) = found.0.borrow_mut().get_mut(side as usize)
        {
            *place = Some(value.flatten_clone());
        }
        value
    });
    engine.register_fn(LEARN, |call: NativeCallContext| {
        if let Some(around) = call.tag().and_then(|tag| tag.read_lock::<Surroundings>()) {
            *around.0.borrow_mut() = Some(call.global_runtime_state().clone());
        }
    });
}

impl Conditions {
    /// Takes note of the script.
    pub fn learn(&self, engine: &Engine, ast: &AST) {
        let mut around = engine.new_global_runtime_state();
        around.lib.push(ast.shared_lib().clone());
        around.source = ast.source().map(Into::into);
        self.files.borrow_mut().push(File { ast: ast.clone(), around });
    }

    /// Takes note of an imported file while it is evaluated: what its functions have around them (constants, imports) is
    /// there at its end. Gives what is to be evaluated instead, with what it is to be evaluated in.
    pub fn learning(&self, engine: &Engine, ast: &AST) -> Learning {
        let around = Surroundings(Rc::default());
        let mut global = engine.new_global_runtime_state();
        global.tag = Dynamic::from(around.clone());
        let last = engine.compile(format!("{LEARN}();")).unwrap_or_default();
        let mut whole = ast.merge(&last);
        whole.set_source(ast.source().unwrap_or_default());
        Learning { ast: whole, global, around }
    }

    /// The file that was evaluated with what [`Conditions::learning`] gave.
    pub fn learned(&self, learning: Learning) {
        if let Some(mut around) = learning.around.0.take() {
            around.tag = Dynamic::UNIT;
            self.files.borrow_mut().push(File { ast: learning.ast, around });
        }
    }

    /// Calls a condition with a value, as Rhai would. Gives also what it compared. `secret` says that texts must not be
    /// told, whatever the expressions that gave them are named.
    pub fn judge(
        &self,
        call: &NativeCallContext,
        function: &FnPtr,
        value: &Dynamic,
        secret: bool,
    ) -> (Result<Dynamic, Box<EvalAltResult>>, Vec<Compared>) {
        let Some(condition) = self.condition(call.engine(), function) else {
            return (function.call_raw(call, None, [value.clone()]), Vec::new());
        };
        let mut scope = Scope::new();
        let arguments = function.iter_curry().cloned().chain([value.clone()]);
        for (name, argument) in condition.parameters.iter().zip(arguments) {
            scope.push_dynamic(name.clone(), argument);
        }
        let found = Found(Rc::new(RefCell::new(vec![None; condition.sides.len()])));
        let mut global = condition.around.clone();
        global.tag = Dynamic::from(found.clone());
        global.level = call.call_level() + 1;
        // Not the top level, where a constant would be everybody's.
        global.scope_level = 1;
        #[expect(deprecated, reason = "the only evaluation of statements that are not a function's own")]
        let held =
            call.engine().eval_statements_raw(&mut global, &mut Caches::new(), &mut scope, &condition.statements);
        let source = condition.around.source.as_deref().unwrap_or_default();
        let held = held.map_err(|error| calls::in_call(function.fn_name(), source, error, call.call_position()));
        let found = found.0.take();
        let told = condition.sides.iter().zip(found).filter_map(|(side, found)| {
            let found = found?;
            let secret = secret || names_a_secret(&side.expression);
            let found = masked(&found, secret).unwrap_or_else(|| shown(call, &found));
            Some(Compared { expression: side.expression.clone(), found, wanted: side.wanted.clone() })
        });
        (held, told.collect())
    }

    fn condition(&self, engine: &Engine, function: &FnPtr) -> Option<Rc<Condition>> {
        let key = (ImmutableString::from(function.fn_name()), function.curry().len() + 1);
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        let found = self.files.borrow().iter().find_map(|file| file.condition(engine, &key.0, key.1)).map(Rc::new);
        self.known.borrow_mut().insert(key, found.clone());
        found
    }
}

/// An imported file that is being evaluated.
pub struct Learning {
    /// What is to be evaluated.
    pub ast: AST,
    /// And in what.
    pub global: GlobalRuntimeState,
    around: Surroundings,
}

impl File {
    fn condition(&self, engine: &Engine, name: &str, parameters: usize) -> Option<Condition> {
        let mut alone = self.ast.clone();
        // `clone_functions_only_filtered` does not filter: Rhai 1.27 copies all functions into a module that has none.
        let is_it = |known: &str, count: usize| known == name && count == parameters;
        alone.clear_statements().retain_functions(|_, _, known, count| is_it(known, count));
        let parameters = alone.shared_lib().iter_script_fn_info().next().map(|(.., info)| info.params.to_vec())?;
        let mut statements = Vec::new();
        alone.walk(&mut |path| {
            if let [ASTNode::Stmt(statement)] = path {
                statements.push((*statement).clone());
            }
            true
        });
        let mut telling = Telling { note: note_call(engine)?, sides: Vec::new() };
        if let Some(last) = statements.last_mut() {
            telling.statement(last);
        }
        Some(Condition { parameters, statements, sides: telling.sides, around: self.around.clone() })
    }
}

/// A call of [`NOTE`], to be copied: what Rhai calculates of name and number of parameters is in it.
fn note_call(engine: &Engine) -> Option<FnCallExpr> {
    let ast = engine.compile(format!("{NOTE}(0, 0)")).ok()?;
    match ast.statements() {
        [Stmt::FnCall(call, _)] => Some((**call).clone()),
        [Stmt::Expr(expr)] => match &**expr {
            Expr::FnCall(call, _) => Some((**call).clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Whether one of the words of a text is the name of a secret.
pub fn names_a_secret(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(redact::is_secret)
}

/// What stands for a text that is secret.
pub fn masked(value: &Dynamic, secret: bool) -> Option<String> {
    (secret && value.is_string()).then(|| format!("\"{}\"", redact::MASK))
}

/// A value for people, short.
fn shown(call: &NativeCallContext, value: &Dynamic) -> String {
    if let Some(plain) = shown_plainly(value) {
        return plain;
    }
    let text = call.call_native_fn::<ImmutableString>("to_string", (value.clone(),));
    text.map_or_else(|_| value.type_name().to_owned(), |text| short(&text))
}

/// The same without an engine; none for a response and for nothing, which say nothing of what was tested, and for types
/// that only the engine can write.
pub fn shown_plainly(value: &Dynamic) -> Option<String> {
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Some(quoted(&text));
    }
    if let Some(duration) = value.read_lock::<std::time::Duration>() {
        return Some(format_duration(*duration));
    }
    if value.is_unit() {
        return Some("()".into());
    }
    if value.read_lock::<Response>().is_some() {
        return None;
    }
    let plain = value.is_int() || value.is_float() || value.is_bool() || value.is_char();
    (plain || value.is_map() || value.is_array()).then(|| short(&value.to_string()))
}

fn short(text: &str) -> String {
    let text = redact::text(text);
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", short(text))
}

/// Wraps the sides of a condition.
struct Telling {
    note: FnCallExpr,
    sides: Vec<Side>,
}

impl Telling {
    fn statement(&mut self, statement: &mut Stmt) {
        match statement {
            Stmt::Expr(expr) => self.condition(expr, false),
            Stmt::FnCall(call, position) => {
                let mut expr = Expr::FnCall(call.clone(), *position);
                self.condition(&mut expr, false);
                *statement = Stmt::Expr(expr.into());
            }
            Stmt::Return(Some(expr), flags, _) if !flags.contains(ASTFlags::BREAK) => self.condition(expr, false),
            Stmt::Block(block) => self.block(block),
            Stmt::If(flow, _) => {
                self.condition(&mut flow.expr, true);
                self.block(&mut flow.body);
                self.block(&mut flow.branch);
            }
            _ => {}
        }
    }

    fn block(&mut self, block: &mut StmtBlock) {
        if let Some(last) = block.statements_mut().last_mut() {
            self.statement(last);
        }
    }

    /// Wraps the sides of a condition from left to right. Of a condition that is one of several it is worth knowing which
    /// of them held.
    fn condition(&mut self, expr: &mut Expr, one_of_several: bool) {
        match expr {
            Expr::And(parts, _) | Expr::Or(parts, _) => {
                parts.iter_mut().for_each(|part| self.condition(part, true));
            }
            Expr::Stmt(block) => self.block(block),
            Expr::FnCall(call, _) => match (call.name.as_str(), call.args.as_mut_slice()) {
                ("!", [negated]) => self.condition(negated, one_of_several),
                (operator @ ("==" | "!=" | "<" | "<=" | ">" | ">="), [left, right]) => {
                    if is_constant(left) && !is_constant(right) {
                        self.compare(right, flipped(operator), left);
                    } else {
                        self.compare(left, operator, right);
                    }
                }
                ("contains", [container, value]) if call.namespace.is_empty() => self.compare(value, "in", container),
                _ if one_of_several => self.side(expr, String::new()),
                _ => {}
            },
            Expr::Dot(..) | Expr::Index(..) => match split_last(expr) {
                Some((mut receiver, Expr::MethodCall(method, position), flags)) if !is_bare(&receiver) => {
                    let method = Expr::MethodCall(method, position);
                    let Expr::MethodCall(call, _) = &method else { return };
                    if HARMLESS.contains(&call.name.as_str()) {
                        self.side(&mut receiver, format!(".{}", label_of_call(call)));
                        *expr = Expr::Dot(Box::new(BinaryExpr { lhs: receiver, rhs: method }), flags, position);
                    } else if one_of_several {
                        self.side(expr, String::new());
                    }
                }
                Some((_, Expr::MethodCall(..), _)) if !one_of_several => {}
                _ => self.side(expr, String::new()),
            },
            _ => self.side(expr, String::new()),
        }
    }

    fn compare(&mut self, left: &mut Expr, operator: &str, right: &mut Expr) {
        self.side(left, format!("{operator} {}", label(right)));
        self.side(right, String::new());
    }

    fn side(&mut self, expr: &mut Expr, wanted: String) {
        if is_constant(expr) || self.sides.len() == SIDES_MAX {
            return;
        }
        let position = expr.position();
        let mut call = self.note.clone();
        let number = Expr::IntegerConstant(self.sides.len() as INT, position);
        self.sides.push(Side { expression: label(expr), wanted });
        call.args = [number, expr.clone()].into_iter().collect();
        *expr = Expr::FnCall(Box::new(call), position);
    }
}

/// `r.is_empty()`: the receiver alone, a variable, is no value that one can read, or is told nowhere else.
fn is_bare(receiver: &Expr) -> bool {
    matches!(receiver, Expr::Variable(..))
}

fn flipped(operator: &str) -> &str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        same => same,
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::DynamicConstant(..)
        | Expr::BoolConstant(..)
        | Expr::IntegerConstant(..)
        | Expr::FloatConstant(..)
        | Expr::CharConstant(..)
        | Expr::StringConstant(..)
        | Expr::Unit(..) => true,
        Expr::Array(items, _) => items.iter().all(is_constant),
        Expr::FnCall(call, _) => is_operator(call) && call.args.iter().all(is_constant),
        // `2.s`
        Expr::Dot(pair, ..) => is_constant(&pair.lhs) && matches!(pair.rhs, Expr::Property(..)),
        _ => false,
    }
}

fn is_operator(call: &FnCallExpr) -> bool {
    call.namespace.is_empty() && !call.name.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The expression as the script says it, on one line; what would be long is left out.
fn label(expr: &Expr) -> String {
    match expr {
        Expr::BoolConstant(value, _) => value.to_string(),
        Expr::IntegerConstant(value, _) => value.to_string(),
        Expr::FloatConstant(value, _) => value.to_string(),
        Expr::CharConstant(value, _) => format!("'{value}'"),
        Expr::StringConstant(value, _) => quoted(value),
        Expr::DynamicConstant(value, _) if value.is_fnptr() => "|…| …".into(),
        Expr::DynamicConstant(value, _) => short(&value.to_string()),
        Expr::Unit(_) => "()".into(),
        Expr::ThisPtr(_) => "this".into(),
        Expr::Variable(variable, ..) if variable.2.is_empty() => variable.1.to_string(),
        Expr::Variable(variable, ..) => format!("{}::{}", variable.2, variable.1),
        Expr::Array(items, _) => short(&format!("[{}]", labels(items, ", "))),
        Expr::Map(..) => "#{…}".into(),
        Expr::InterpolatedString(..) => "`…`".into(),
        Expr::Coalesce(parts, _) => format!("({})", labels(parts, " ?? ")),
        Expr::And(parts, _) => format!("({})", labels(parts, " && ")),
        Expr::Or(parts, _) => format!("({})", labels(parts, " || ")),
        Expr::Dot(pair, flags, _) => {
            let question = if flags.contains(ASTFlags::NEGATED) { "?" } else { "" };
            format!("{}{question}{}", label(&pair.lhs), link(&pair.rhs))
        }
        Expr::Index(pair, flags, _) => format!("{}{}", label(&pair.lhs), index_link(&pair.rhs, *flags)),
        Expr::FnCall(call, _) if is_operator(call) => match call.args.as_slice() {
            [only] => format!("{}{}", call.name, label(only)),
            [left, right] => format!("{} {} {}", label(left), call.name, label(right)),
            _ => "…".into(),
        },
        Expr::FnCall(call, _) if call.namespace.is_empty() => label_of_call(call),
        Expr::FnCall(call, _) => format!("{}::{}", call.namespace, label_of_call(call)),
        _ => "…".into(),
    }
}

fn labels(parts: &[Expr], between: &str) -> String {
    parts.iter().map(label).collect::<Vec<_>>().join(between)
}

/// What follows a dot.
fn link(expr: &Expr) -> String {
    match expr {
        Expr::Property(property, _) => format!(".{}", property.2),
        Expr::MethodCall(call, _) => format!(".{}", label_of_call(call)),
        Expr::Dot(pair, flags, _) => {
            let question = if flags.contains(ASTFlags::NEGATED) { "?" } else { "" };
            format!("{}{question}{}", link(&pair.lhs), link(&pair.rhs))
        }
        Expr::Index(pair, flags, _) => format!("{}{}", link(&pair.lhs), index_link(&pair.rhs, *flags)),
        _ => ".…".into(),
    }
}

/// What stands in brackets, and what follows them: `[0].price` is an index whose right side is a chain, unless the chain
/// ends there.
fn index_link(expr: &Expr, flags: ASTFlags) -> String {
    match expr {
        Expr::Dot(pair, ..) if !flags.contains(ASTFlags::BREAK) => {
            format!("[{}]{}", label(&pair.lhs), link(&pair.rhs))
        }
        Expr::Index(pair, flags_of_next, _) if !flags.contains(ASTFlags::BREAK) => {
            format!("[{}]{}", label(&pair.lhs), index_link(&pair.rhs, *flags_of_next))
        }
        other => format!("[{}]", label(other)),
    }
}

fn label_of_call(call: &FnCallExpr) -> String {
    // What captures variables is a function that got them as its first arguments.
    if call.name == "curry" {
        return "|…| …".into();
    }
    short(&format!("{}({})", written(&call.name), labels(&call.args, ", ")))
}

/// A chain without its last link, that link, and the flags before it.
fn split_last(expr: &Expr) -> Option<(Expr, Expr, ASTFlags)> {
    let (pair, flags) = match expr {
        Expr::Dot(pair, flags, _) | Expr::Index(pair, flags, _) => (pair, *flags),
        _ => return None,
    };
    let further = if flags.contains(ASTFlags::BREAK) { None } else { split_last(&pair.rhs) };
    match (further, expr) {
        // What was in the middle of the chain is its end now.
        (Some((rest, last, before)), Expr::Dot(_, _, position)) => {
            let pair = BinaryExpr { lhs: pair.lhs.clone(), rhs: rest };
            Some((Expr::Dot(Box::new(pair), flags, *position), last, before))
        }
        (Some((rest, last, before)), Expr::Index(_, _, position)) => {
            let pair = BinaryExpr { lhs: pair.lhs.clone(), rhs: rest };
            Some((Expr::Index(Box::new(pair), flags, *position), last, before))
        }
        (None, Expr::Dot(..)) => Some((pair.lhs.clone(), pair.rhs.clone(), flags)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rhai::Engine;

    use super::*;

    fn engine() -> Engine {
        let mut engine = Engine::new();
        engine.set_optimization_level(rhai::OptimizationLevel::None);
        register(&mut engine);
        engine
    }

    /// What is told of a condition: each side with what is wanted of it.
    fn sides(condition: &str) -> Vec<String> {
        let engine = engine();
        let source = format!("fn other() {{ 1 == 2 }} let limit = 5; let max = 7; {condition}");
        let ast = engine.compile(source).expect("it compiles");
        // They come in any order; of closures within one another the outer one is meant, whose parameter stands first. What it
        // captures are parameters, too, before its own.
        let is_outer = |own: Option<&&str>| own.is_some_and(|own| condition.starts_with(&format!("|{own}|")));
        let is_it = |name: &str, own: Option<&&str>| name.starts_with("anon$") && is_outer(own);
        let found = ast.iter_functions().find(|function| is_it(function.name, function.params.last()));
        let closure = found.expect("a closure");
        let (name, parameters) = (closure.name.to_owned(), closure.params.len());
        let file = File { ast, around: engine.new_global_runtime_state() };
        let found = file.condition(&engine, &name, parameters).expect("it is there");
        found.sides.iter().map(|side| format!("{} {}", side.expression, side.wanted).trim().to_owned()).collect()
    }

    #[test]
    fn sides_are_read_from_the_condition() {
        for (condition, expected) in [
            ("|r| r.status == 200", vec!["r.status == 200"]),
            ("|r| { r.status == 200 }", vec!["r.status == 200"]),
            ("|r| { return r.status == 200; }", vec!["r.status == 200"]),
            ("|r| 200 < r.status", vec!["r.status > 200"]),
            ("|r| r.status >= 200 && r.status < 300", vec!["r.status >= 200", "r.status < 300"]),
            ("|r| !(r.json(\"a.b\") == ())", vec!["r.json(\"a.b\") == ()"]),
            ("|r| r.json(\"a\").len() > limit", vec!["r.json(\"a\").len() > limit", "limit"]),
            ("|r| r.body.contains(\"x\")", vec!["r.body .contains(\"x\")"]),
            (
                "|r| r.headers[\"Content-Type\"].starts_with(\"text\")",
                vec!["r.headers[\"Content-Type\"] .starts_with(\"text\")"],
            ),
            ("|r| r.json().items[0].price > 0.5", vec!["r.json().items[0].price > 0.5"]),
            ("|r| r.status in [200, 201]", vec!["r.status in [200, 201]"]),
            ("|r| (r.json(\"n\") ?? 0) > -1", vec!["(r.json(\"n\") ?? 0) > -1"]),
            ("|r| r.ok", vec!["r.ok"]),
            ("|n| n % 2 == 1", vec!["n % 2 == 1"]),
            ("|r| buy(r) == 1", vec!["buy(r) == 1"]),
            ("|r| r.items.pop() == 1", vec!["r.items.pop() == 1"]),
            ("|r| http::get(r.url).status == 200", vec!["http::get(r.url).status == 200"]),
            ("|r| buy(r) == r.price", vec!["buy(r) == r.price", "r.price"]),
            ("|r| r.items.filter(|x| x > 1).len() == 2", vec!["r.items.filter(|…| …).len() == 2"]),
            // Whether it holds is told anyway, unless it is one of several.
            ("|r| is_fine(r)", vec![]),
            ("|r| is_fine(r) && r.is_open()", vec!["is_fine(r)", "r.is_open()"]),
            (
                "|r| if r.ok { r.status == 200 } else { r.error_code > max }",
                vec!["r.ok", "r.status == 200", "r.error_code > max", "max"],
            ),
            ("|r| r.a?.b.contains(1)", vec!["r.a?.b .contains(1)"]),
            ("|r| { let x = r.status; x == 200 }", vec!["x == 200"]),
            ("|r| { let n = 0; for x in r.items { n += x; } n > 3 && r.ok }", vec!["n > 3", "r.ok"]),
        ] {
            assert_eq!(sides(condition), expected, "{condition}");
        }
    }

    /// Calls the script's function `conditions` with [`judge`](Conditions::judge) at hand as `judge(condition, value)`;
    /// gives what was told: the outcome, and each side as `expression = found`.
    fn judged(script: &str) -> Vec<String> {
        let mut engine = engine();
        let conditions = Rc::new(Conditions::default());
        let told = Rc::new(RefCell::new(Vec::new()));
        let (judge, heard) = (conditions.clone(), told.clone());
        engine.register_fn("judge", move |call: NativeCallContext, value: Dynamic, condition: FnPtr| {
            let (held, compared) = judge.judge(&call, &condition, &value, false);
            let mut line = vec![held.map_or_else(|error| error.to_string(), |held| held.to_string())];
            line.extend(compared.into_iter().map(|side| format!("{} = {}", side.expression, side.found)));
            heard.borrow_mut().push(line.join("; "));
        });
        let ast = engine.compile(script).expect("it compiles");
        conditions.learn(&engine, &ast);
        engine.run_ast(&ast).expect("it runs");
        told.take()
    }

    #[test]
    fn each_side_is_evaluated_once_and_in_its_place() {
        let script = "
            let bought = [];
            let limit = 2;
            let buy = |x| { bought.push(x); bought.len() };
            judge(7, |n| buy.call(n) > limit || bought.len() == 1);
            judge(8, |n| n == 8 || buy.call(n) == 1);
            judge(9, |n| buy.call(n) == 2);
            fn price(n) { n * 2 }
            judge(4, |n| price(n) > 3 && price(n + 1) < price(n));
            judge(5, |n| { let n = n + 1; return n == 6; });
            judge(0, |n| price(n) == 0 && [1][n + 1] == 1);
            judge(4, Fn(\"is_even\"));
            fn is_even(n) { n % 2 == 0 }
        ";
        let expected = [
            "true; buy.call(n) = 1; limit = 2; bought.len() = 1",
            "true; n = 8",
            "true; buy.call(n) = 2",
            "false; price(n) = 8; price(n + 1) = 10; price(n) = 8",
            "true; n = 6",
        ];
        let told = judged(script);
        assert_eq!(told[..5], expected);
        assert!(told[5].ends_with("; price(n) = 0") && told[5].contains("index"), "{}", told[5]);
        assert_eq!(told[6], "true; n % 2 = 0");
    }
}
