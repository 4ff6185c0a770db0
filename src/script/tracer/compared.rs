//! What a check's condition compares: `|r| r.status == 200` tells `r.status`, which is to be `== 200`.
//!
//! A condition is a closure. Its last expression is taken from the compiled script and looked through for comparisons; their
//! sides are evaluated once more, after the condition itself, with the variables that it looked at ([`Seen`]). Only what has
//! no effect is evaluated again: variables, properties, indexes, arithmetic, and a few methods that are known to look and
//! not to change. A side that is anything else is not told.

use rhai::{AST, ASTFlags, ASTNode, BinaryExpr, Caches, Dynamic, Expr, FnCallExpr, FnPtr, ImmutableString, Module};
use rhai::{NativeCallContext, Scope, Stmt};
use rustc_hash::FxHashMap;

use crate::script::modules::http::Response;
use crate::trace::{Compared, redact};
use crate::units::format::format_duration;

/// Sides that are told of one condition at most.
const SIDES_MAX: usize = 6;

/// How long what a side was may be, in characters.
const SHOWN_MAX: usize = 80;

/// Methods and functions that look at a value and change nothing.
const HARMLESS: [&str; 34] = [
    "json",
    "len",
    "contains",
    "starts_with",
    "ends_with",
    "index_of",
    "get",
    "get_all",
    "keys",
    "values",
    "to_string",
    "to_int",
    "to_float",
    "to_lower",
    "to_upper",
    "is_empty",
    "type_of",
    "abs",
    "floor",
    "ceiling",
    "round",
    "sub_string",
    "split",
    "chars",
    "bytes",
    "is_nan",
    "min",
    "max",
    "row",
    "find",
    "find_all",
    "matches",
    "parse_int",
    "parse_float",
];

/// A side of a comparison.
pub struct Operand {
    expression: String,
    wanted: String,
    /// The names of the condition's parameters.
    params: Vec<ImmutableString>,
    statement: Stmt,
}

/// The sides of the condition `closure`, which one of these files holds; none where they can't be told.
pub fn operands(asts: &[AST], closure: &str) -> Vec<Operand> {
    for ast in asts {
        let mut alone = ast.clone();
        // `clone_functions_only_filtered` does not filter: Rhai 1.27 copies all functions into a module that has none.
        alone.clear_statements().retain_functions(|_, _, name, _| name == closure);
        let library: &rhai::Shared<Module> = alone.as_ref();
        let Some(params) = library.iter_script_fn_info().next().map(|(.., function)| function.params.to_vec()) else {
            continue;
        };
        let mut statements = Vec::new();
        alone.walk(&mut |path| {
            if let [ASTNode::Stmt(statement)] = path {
                statements.push((*statement).clone());
            }
            true
        });
        let mut sides = Vec::new();
        if let Some(last) = statements.last() {
            sides_of_statement(last, &mut sides);
        }
        sides.truncate(SIDES_MAX);
        let operand = |Side { expr, expression, wanted }| Operand {
            expression,
            wanted,
            params: params.clone(),
            statement: Stmt::Expr(Box::new(expr)),
        };
        return sides.into_iter().map(operand).collect();
    }
    Vec::new()
}

impl Operand {
    /// What it is for a condition that was called with `value` and looked at the variables of `seen`; none where one of its
    /// variables was not looked at. `secret` says that it must not be told, whatever its own name says.
    pub fn of(
        &self,
        call: &NativeCallContext,
        condition: &FnPtr,
        value: &Dynamic,
        seen: &Seen,
        secret: bool,
    ) -> Option<Compared> {
        let mut scope = Scope::new();
        for (name, value) in &seen.variables {
            scope.push_dynamic(name.as_str(), value.clone());
        }
        let arguments = condition.iter_curry().cloned().chain([value.clone()]);
        for (name, argument) in self.params.iter().zip(arguments) {
            // What it last was: a condition may change it.
            if !seen.variables.contains_key(name) {
                scope.push_dynamic(name.as_str(), argument);
            }
        }
        let mut global = call.engine().new_global_runtime_state();
        // Where its variables were in the condition's own scope is of no use here: they are found by their names.
        global.always_search_scope = true;
        #[expect(deprecated, reason = "the only evaluation that finds variables by their names")]
        let found = call.engine().eval_statements_raw(
            &mut global,
            &mut Caches::new(),
            &mut scope,
            std::slice::from_ref(&self.statement),
        );
        let found = found.ok()?;
        let secret = secret || names_a_secret(&self.expression);
        let found = masked(&found, secret).unwrap_or_else(|| shown(call, &found));
        Some(Compared { expression: self.expression.clone(), found, wanted: self.wanted.clone() })
    }
}

/// The variables that a condition looked at, with what they were the last time.
#[derive(Default)]
pub struct Seen {
    /// How deep in calls the condition itself is; those it calls are deeper, and have variables of their own.
    level: usize,
    variables: FxHashMap<ImmutableString, Dynamic>,
}

impl Seen {
    /// Notes a look at a variable by a function so deep in calls.
    pub fn note(&mut self, level: usize, name: &str, value: Dynamic) {
        if self.variables.is_empty() || level < self.level {
            self.variables.clear();
            self.level = level;
        }
        if level == self.level {
            self.variables.insert(name.into(), value);
        }
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

struct Side {
    expr: Expr,
    expression: String,
    wanted: String,
}

fn sides_of_statement(statement: &Stmt, sides: &mut Vec<Side>) {
    match statement {
        Stmt::Expr(expr) => sides_of(expr, sides),
        Stmt::FnCall(call, position) => sides_of(&Expr::FnCall(call.clone(), *position), sides),
        Stmt::Return(Some(expr), flags, _) if !flags.contains(ASTFlags::BREAK) => sides_of(expr, sides),
        Stmt::Block(block) => {
            if let Some(last) = block.statements().last() {
                sides_of_statement(last, sides);
            }
        }
        _ => {}
    }
}

/// The sides of a condition, from left to right.
fn sides_of(expr: &Expr, sides: &mut Vec<Side>) {
    match expr {
        Expr::And(parts, _) | Expr::Or(parts, _) => parts.iter().for_each(|part| sides_of(part, sides)),
        Expr::Stmt(block) => {
            if let [only] = block.statements() {
                sides_of_statement(only, sides);
            }
        }
        Expr::FnCall(call, _) => sides_of_call(call, expr, sides),
        Expr::Dot(..) | Expr::Index(..) => match split_last(expr) {
            // `r.body.contains("x")`: what counts is what `r.body` was.
            Some((receiver, Expr::MethodCall(method, _))) if !is_bare_response(&receiver) => {
                let wanted = label_of_call(&method).map(|call| format!(".{call}"));
                if let (Some(expression), Some(wanted)) = (label(&receiver), wanted) {
                    sides.push(Side { expr: receiver, expression, wanted });
                }
            }
            _ => push_whole(expr, sides),
        },
        _ => push_whole(expr, sides),
    }
}

/// `r.json()`, `r.is_ok()`: the receiver alone, a parameter, is no value that one can read.
fn is_bare_response(receiver: &Expr) -> bool {
    matches!(receiver, Expr::Variable(..))
}

fn push_whole(expr: &Expr, sides: &mut Vec<Side>) {
    if is_constant(expr) {
        return;
    }
    if let Some(expression) = label(expr) {
        sides.push(Side { expr: expr.clone(), expression, wanted: String::new() });
    }
}

fn sides_of_call(call: &FnCallExpr, expr: &Expr, sides: &mut Vec<Side>) {
    match (call.name.as_str(), call.args.as_slice()) {
        ("!", [negated]) => sides_of(negated, sides),
        (operator @ ("==" | "!=" | "<" | "<=" | ">" | ">="), [left, right]) => {
            if is_constant(left) && !is_constant(right) {
                compare(right, flipped(operator), left, sides);
            } else {
                compare(left, operator, right, sides);
            }
        }
        ("contains", [container, value]) if call.op_token.is_some() || call.namespace.is_empty() => {
            compare(value, "in", container, sides);
        }
        _ => push_whole(expr, sides),
    }
}

fn compare(left: &Expr, operator: &str, right: &Expr, sides: &mut Vec<Side>) {
    let wanted = label(right).map_or_else(String::new, |right| format!("{operator} {right}"));
    if let Some(expression) = label(left) {
        sides.push(Side { expr: left.clone(), expression, wanted });
    }
    push_whole(right, sides);
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
    call.namespace.is_empty() && matches!(call.name.as_str(), "+" | "-" | "*" | "/" | "%" | "..=" | "..")
}

/// The expression as the script says it; none where evaluating it again might do something.
fn label(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::BoolConstant(value, _) => value.to_string(),
        Expr::IntegerConstant(value, _) => value.to_string(),
        Expr::FloatConstant(value, _) => value.to_string(),
        Expr::CharConstant(value, _) => format!("'{value}'"),
        Expr::StringConstant(value, _) => quoted(value),
        Expr::DynamicConstant(value, _) => short(&value.to_string()),
        Expr::Unit(_) => "()".into(),
        Expr::Variable(variable, ..) if variable.2.is_empty() => variable.1.to_string(),
        Expr::Array(items, _) => {
            let items = items.iter().map(label).collect::<Option<Vec<_>>>()?;
            short(&format!("[{}]", items.join(", ")))
        }
        Expr::Coalesce(parts, _) => {
            format!("({})", parts.iter().map(label).collect::<Option<Vec<_>>>()?.join(" ?? "))
        }
        Expr::Dot(pair, flags, _) => {
            let question = if flags.contains(ASTFlags::NEGATED) { "?" } else { "" };
            format!("{}{question}{}", label(&pair.lhs)?, link(&pair.rhs)?)
        }
        Expr::Index(pair, flags, _) => format!("{}{}", label(&pair.lhs)?, index_link(&pair.rhs, *flags)?),
        Expr::FnCall(call, _) if is_operator(call) => match call.args.as_slice() {
            [only] => format!("{}{}", call.name, label(only)?),
            [left, right] => format!("{} {} {}", label(left)?, call.name, label(right)?),
            _ => return None,
        },
        Expr::FnCall(call, _) if call.namespace.is_empty() => label_of_call(call)?,
        _ => return None,
    })
}

/// What follows a dot.
fn link(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Property(property, _) => format!(".{}", property.2),
        Expr::MethodCall(call, _) => format!(".{}", label_of_call(call)?),
        Expr::Dot(pair, flags, _) => {
            let question = if flags.contains(ASTFlags::NEGATED) { "?" } else { "" };
            format!("{}{question}{}", link(&pair.lhs)?, link(&pair.rhs)?)
        }
        Expr::Index(pair, flags, _) => format!("{}{}", link(&pair.lhs)?, index_link(&pair.rhs, *flags)?),
        _ => return None,
    })
}

/// What stands in brackets, and what follows them: `[0].price` is an index whose right side is a chain, unless the chain
/// ends there.
fn index_link(expr: &Expr, flags: ASTFlags) -> Option<String> {
    match expr {
        Expr::Dot(pair, ..) if !flags.contains(ASTFlags::BREAK) => {
            Some(format!("[{}]{}", label(&pair.lhs)?, link(&pair.rhs)?))
        }
        Expr::Index(pair, flags_of_next, _) if !flags.contains(ASTFlags::BREAK) => {
            Some(format!("[{}]{}", label(&pair.lhs)?, index_link(&pair.rhs, *flags_of_next)?))
        }
        other => Some(format!("[{}]", label(other)?)),
    }
}

fn label_of_call(call: &FnCallExpr) -> Option<String> {
    if !HARMLESS.contains(&call.name.as_str()) {
        return None;
    }
    let arguments = call.args.iter().map(label).collect::<Option<Vec<_>>>()?;
    Some(format!("{}({})", call.name, arguments.join(", ")))
}

/// A chain without its last link, and that link.
fn split_last(expr: &Expr) -> Option<(Expr, Expr)> {
    let (pair, flags) = match expr {
        Expr::Dot(pair, flags, _) | Expr::Index(pair, flags, _) => (pair, *flags),
        _ => return None,
    };
    let further = if flags.contains(ASTFlags::BREAK) { None } else { split_last(&pair.rhs) };
    match (further, expr) {
        // What was in the middle of the chain is its end now.
        (Some((rest, last)), Expr::Dot(_, _, position)) => {
            let pair = BinaryExpr { lhs: pair.lhs.clone(), rhs: rest };
            Some((Expr::Dot(Box::new(pair), flags, *position), last))
        }
        (Some((rest, last)), Expr::Index(_, _, position)) => {
            let pair = BinaryExpr { lhs: pair.lhs.clone(), rhs: rest };
            Some((Expr::Index(Box::new(pair), flags, *position), last))
        }
        (None, Expr::Dot(..)) => Some((pair.lhs.clone(), pair.rhs.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rhai::Engine;

    use super::*;

    /// What is told of a condition: each side with what is wanted of it.
    fn sides(condition: &str) -> Vec<String> {
        let mut engine = Engine::new();
        engine.set_optimization_level(rhai::OptimizationLevel::None);
        let source = format!("fn other() {{ 1 == 2 }} let limit = 5; {condition}");
        let ast = engine.compile(source).expect("it compiles");
        let mut names = ast.iter_functions().map(|function| function.name.to_owned());
        let closure = names.find(|name| name.starts_with("anon$")).expect("a closure");
        let found = operands(std::slice::from_ref(&ast), &closure);
        found.iter().map(|side| format!("{} {}", side.expression, side.wanted).trim().to_owned()).collect()
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
            // What may do something is not evaluated again.
            ("|r| buy(r) == 1", vec![]),
            ("|r| r.items.pop() == 1", vec![]),
            ("|r| http::get(r.url).status == 200", vec![]),
            ("|r| buy(r) == r.price", vec!["r.price"]),
            ("|r| { let x = r.status; x == 200 }", vec!["x == 200"]),
            ("|r| { let n = 0; for x in r.items { n += x; } n > 3 && r.ok }", vec!["n > 3", "r.ok"]),
        ] {
            assert_eq!(sides(condition), expected, "{condition}");
        }
    }
}
