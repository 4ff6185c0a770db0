//! Rules about what runs, what does not, and what is left of it: code that is never reached, loops without an end,
//! results thrown away, closures that outlive what they look at.

use rhai::{ASTFlags, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::calls::root_of;
use super::evident::Type;
use super::rules;
use super::walk::{Kind, Walker, captured};

/// Modules whose functions do nothing but give a result.
const PURE: &[&str] = &["random", "url", "json", "regex", "time", "crypto"];

/// Methods of arrays that call a function for each item, on the array itself.
const WALKS: &[&str] = &[
    "map",
    "filter",
    "for_each",
    "reduce",
    "reduce_rev",
    "some",
    "all",
    "find",
    "find_map",
    "index_of",
    "sort",
    "retain",
    "drain",
    "dedup",
];

/// Methods that change their array.
const CHANGES: &[&str] = &[
    "push", "pop", "shift", "insert", "remove", "clear", "append", "truncate", "pad", "reverse", "sort", "retain",
    "drain", "dedup", "extract", "splice",
];

impl Walker<'_> {
    /// Something that follows what never returns.
    pub(super) fn unreachable(&mut self, before: &Stmt, statement: &Stmt) {
        let why = match before {
            Stmt::Return(_, flags, _) if flags.intersects(ASTFlags::BREAK) => "`throw`",
            Stmt::Return(..) => "`return`",
            Stmt::BreakLoop(_, flags, _) if flags.intersects(ASTFlags::BREAK) => "`break`",
            Stmt::BreakLoop(..) => "`continue`",
            Stmt::FnCall(call, _) if call.name == "abort" => "`abort`",
            Stmt::Expr(expression) if matches!(&**expression, Expr::FnCall(call, _) if call.name == "abort") => {
                "`abort`"
            }
            Stmt::FnCall(..) | Stmt::Expr(_) => "`fail`",
            Stmt::While(..) => "a loop without an end",
            _ => "branches that all end",
        };
        let position = start_of(statement);
        let note = self.note("it ends here", start_of(before));
        let diagnostic =
            self.report(rules::UNREACHABLE_CODE, position, format!("nothing gets here: it stands after {why}"));
        diagnostic.notes.push(note);
    }

    /// Whether a `loop`, or `while true`, goes on for ever; tells of one that never waits.
    pub(super) fn loop_without_end(&mut self, body: &[Stmt], position: Position) -> bool {
        let mut leaves = false;
        let mut waits = false;
        for statement in body {
            statement.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
                match path.last() {
                    Some(ASTNode::Stmt(Stmt::BreakLoop(_, flags, _))) => {
                        // A `break` of a loop within this one ends that one.
                        let loops = path.iter().filter(|node| matches!(node, ASTNode::Stmt(Stmt::While(..) | Stmt::Do(..) | Stmt::For(..))));
                        leaves |= flags.intersects(ASTFlags::BREAK) && loops.count() == 0;
                    }
                    Some(ASTNode::Stmt(Stmt::Return(..))) => leaves = true,
                    Some(ASTNode::Stmt(Stmt::FnCall(..)) | ASTNode::Expr(Expr::FnCall(..) | Expr::MethodCall(..))) => {
                        // Any call may wait, throw, or be stopped by the host, but for operators.
                        waits |= !matches!(path.last(), Some(ASTNode::Expr(Expr::FnCall(call, _))) if call.is_operator_call());
                    }
                    _ => {}
                }
                true
            });
        }
        if !leaves && !waits {
            self.report(rules::ENDLESS_LOOP, position, "this loop has no end and never waits").hint =
                Some("leave it by `break` or `return`; a virtual user's journey is repeated by itself".into());
        }
        !leaves && !waits
    }

    /// A statement whose value nobody looks at.
    pub(super) fn unused_result(&mut self, statement: &Stmt) {
        let (what, position, hint) = match statement {
            Stmt::FnCall(call, position) => match self.pure_call(call) {
                Some(name) => (format!("the result of `{name}`"), *position, None),
                None => return,
            },
            Stmt::Expr(expression) => match &**expression {
                Expr::FnCall(call, position) if call.is_operator_call() => {
                    let operator = call.name.as_str();
                    let comparison = matches!(operator, "==" | "!=" | "<" | "<=" | ">" | ">=");
                    let hint = if operator == "==" {
                        Some("to assign, write `=`; to check, `check(value, #{ \"name\": |v| ... })`")
                    } else if comparison {
                        Some("to check, write `check(value, #{ \"name\": |v| ... })`")
                    } else {
                        None
                    };
                    (format!("the result of `{operator}`"), *position, hint)
                }
                Expr::FnCall(call, position) => match self.pure_call(call) {
                    Some(name) => (format!("the result of `{name}`"), *position, None),
                    None => return,
                },
                Expr::Dot(link, ..) => match (&link.lhs, &link.rhs) {
                    (Expr::Variable(variable, ..), last) => {
                        let owner = self.visible(&variable.1).map_or(Type::Unknown, |(_, variable)| variable.ty);
                        match last {
                            Expr::Property(property, position) if owner == Type::Response || owner == Type::Vu => {
                                (format!("`{}.{}`", variable.1, property.2), *position, None)
                            }
                            Expr::MethodCall(call, position) if owner == Type::Response && call.name == "json" => {
                                (format!("the result of `{}.json`", variable.1), *position, None)
                            }
                            _ => return,
                        }
                    }
                    _ => return,
                },
                Expr::Variable(variable, _, position) if variable.2.is_empty() => {
                    // A function's name alone: its call lacks the parentheses.
                    let is_function =
                        self.visible(&variable.1).is_none() && self.file.function(&variable.1, None).is_some();
                    let hint = is_function.then_some("to call it, write parentheses behind it");
                    (format!("`{}`", variable.1), *position, hint)
                }
                _ => return,
            },
            _ => return,
        };
        self.report(rules::UNUSED_RESULT, position, format!("{what} is thrown away")).hint = hint.map(str::to_owned);
    }

    fn pure_call(&self, call: &FnCallExpr) -> Option<String> {
        let module = (!call.namespace.is_empty()).then(|| call.namespace.root())?;
        let is_own = self.file.alias(module).is_some();
        (PURE.contains(&module) && !is_own && self.tries == 0).then(|| format!("{module}::{}", call.name))
    }

    /// `list.push(|| i)` in a loop over `i`: the list outlives the turn.
    pub(super) fn kept_closures(&mut self, call: &FnCallExpr, receiver: Option<&Expr>) {
        if !matches!(call.name.as_str(), "push" | "insert" | "unshift" | "set") {
            return;
        }
        let root = receiver.and_then(root_of).and_then(|root| self.visible(root)).map(|(index, _)| index);
        for argument in &call.args {
            self.kept_closure(argument, root);
        }
    }

    /// A closure that is put into a variable that was there before the loop.
    pub(super) fn kept_closure(&mut self, closure: &Expr, kept_in: Option<usize>) {
        let Some(kept_in) = kept_in else { return };
        let looped = captured(closure).find_map(|name| {
            let (index, variable) = self.visible(name)?;
            // The loop's variables are declared right behind what was visible before it.
            let outlived = self.loops.iter().any(|&before| kept_in < before && before <= index);
            (variable.kind == Kind::Loop && outlived).then(|| name.to_owned())
        });
        if let Some(name) = looped {
            let message = format!("this closure is kept, and `{name}` in it will be the last one for all of them");
            self.report(rules::CAPTURED_LOOP_VARIABLE, closure.position(), message).hint =
                Some(format!("copy it first: `let this_{name} = {name};`, and use that in the closure"));
        }
    }

    /// `list.map(|x| list.push(x))`
    pub(super) fn self_mutation(&mut self, call: &FnCallExpr, receiver: Option<&Expr>, _position: Position) {
        let Some(Expr::Variable(variable, ..)) = receiver else { return };
        if !WALKS.contains(&call.name.as_str()) {
            return;
        }
        for argument in &call.args {
            let Some(closure) = self.file.closure(argument) else { continue };
            if !captured(argument).any(|name| name == variable.1.as_str()) {
                continue;
            }
            let mut changed = None;
            for statement in &closure.statements {
                statement.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
                    if let Some(ASTNode::Expr(Expr::Dot(link, ..))) = path.last()
                        && let (Expr::Variable(owner, ..), Expr::MethodCall(inner, position)) = (&link.lhs, &link.rhs)
                        && owner.1 == variable.1
                        && CHANGES.contains(&inner.name.as_str())
                    {
                        changed.get_or_insert((inner.name.to_string(), *position));
                    }
                    true
                });
            }
            if let Some((method, position)) = changed {
                let message =
                    format!("`{}` can't be changed while its own `{}` goes through it", variable.1, call.name);
                self.report(rules::SELF_MUTATION, position, message).hint =
                    Some(format!("collect what `{method}` is to change in another array, or go through it by `for`"));
            }
        }
    }
}

/// Where a statement begins.
pub(super) fn start_of(statement: &Stmt) -> Position {
    match statement {
        Stmt::Expr(expression) => start(expression),
        Stmt::Assignment(assignment) => start(&assignment.1.lhs),
        Stmt::FnCall(call, position) if call.namespace.is_empty() => *position,
        Stmt::FnCall(call, _) => call.namespace.position(),
        other => other.position(),
    }
}

/// Where a value begins. To Rhai an operator begins at its sign, and a call at its function's name.
pub(super) fn start(expression: &Expr) -> Position {
    match expression {
        Expr::FnCall(call, position) => match call.args.first() {
            Some(first) if call.is_operator_call() && call.args.len() > 1 => start(first),
            _ if call.namespace.is_empty() => *position,
            _ => call.namespace.position(),
        },
        Expr::And(sides, _) | Expr::Or(sides, _) | Expr::Coalesce(sides, _) => start(&sides[0]),
        Expr::Index(link, ..) | Expr::Dot(link, ..) => start(&link.lhs),
        other => other.start_position(),
    }
}
