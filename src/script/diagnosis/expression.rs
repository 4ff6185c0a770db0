//! Expressions of a script, found by the place of an error and written as one would write them.
//!
//! Rhai tells where something failed as one position: an operator's, a name's. What stood around it (the operands, the
//! value that a method was called on) is found in the syntax tree. Nothing here is exact source text: spaces and
//! comments are gone, what is long is shortened.

use rhai::{AST, ASTFlags, ASTNode, Expr, FnCallExpr, Position, Stmt};

/// How long the text of an expression may get, in characters.
const TEXT_MAX: usize = 48;

/// What stands at a place of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An operator with its operands; a unary one has one.
    Operation(Vec<Operand>),
    /// A function with its arguments.
    Call(Vec<Operand>),
    /// A method or property, or an index, of something.
    Member {
        /// What it is called on.
        receiver: String,
        /// How that was got: the last name in it, which tells what could have gone wrong.
        origin: Origin,
        /// The method's arguments, or the index.
        arguments: Vec<Operand>,
    },
    /// Anything else.
    Other(Operand),
}

/// An expression that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// As one would write it.
    pub text: String,
    /// Whether it is a literal, whose value shows.
    pub literal: bool,
    /// Its name, if it is a variable.
    pub variable: Option<String>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A variable.
    Variable(String),
    /// A property of something.
    Property(String),
    /// An element: `map["key"]`, `array[3]`.
    Element(String),
    /// What a function or method of this name returned; its first argument, if that is a text.
    Returned(String, Option<String>),
    /// Something else.
    Other,
}

impl Operand {
    fn new(expression: &Expr) -> Self {
        let variable = match expression {
            Expr::Variable(named, ..) if named.2.is_empty() => Some(named.1.to_string()),
            _ => None,
        };
        let is_empty = match expression {
            Expr::Array(items, _) => items.is_empty(),
            Expr::Map(entries, _) => entries.0.is_empty(),
            _ => false,
        };
        let literal = is_empty
            || matches!(
                expression,
                Expr::BoolConstant(..)
                    | Expr::IntegerConstant(..)
                    | Expr::FloatConstant(..)
                    | Expr::CharConstant(..)
                    | Expr::StringConstant(..)
                    | Expr::Unit(..)
            );
        Self { text: shortened(&text(expression)), literal, variable }
    }
}

/// What stands at this position.
pub fn find(ast: &AST, position: Position) -> Option<Found> {
    let mut found = None;
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Expr(expression)) = path.last() {
            let within_chain = path.len() > 1
                && match path[path.len() - 2] {
                    ASTNode::Expr(Expr::Dot(parts, ..) | Expr::Index(parts, ..)) => {
                        std::ptr::eq(&raw const parts.rhs, *expression)
                    }
                    _ => false,
                };
            // The outermost wins where two begin at one place; an operator is where no operand begins.
            if !within_chain && found.is_none() {
                found = look_at(expression, position);
            }
        } else if let Some(ASTNode::Stmt(Stmt::FnCall(call, at))) = path.last()
            && *at == position
            && found.is_none()
        {
            found = Some(of_call(call));
        } else if let Some(ASTNode::Stmt(Stmt::Assignment(parts))) = path.last()
            && parts.0.position() == position
            && found.is_none()
        {
            let sides = [&parts.1.lhs, &parts.1.rhs];
            found = Some(Found::Operation(sides.into_iter().map(Operand::new).collect()));
        }
        found.is_none()
    });
    found
}

fn look_at(expression: &Expr, position: Position) -> Option<Found> {
    match expression {
        Expr::Dot(parts, flags, _) | Expr::Index(parts, flags, _) => {
            let is_index = matches!(expression, Expr::Index(..));
            let at_bracket = is_index && expression.position() == position;
            in_chain(&parts.lhs, &text(&parts.lhs), is_index, *flags, &parts.rhs, position, at_bracket)
        }
        Expr::FnCall(call, at) if *at == position => Some(of_call(call)),
        other if other.position() == position && !matches!(other, Expr::Stmt(..)) => {
            Some(Found::Other(Operand::new(other)))
        }
        _ => None,
    }
}

fn of_call(call: &FnCallExpr) -> Found {
    let operands = call.args.iter().map(Operand::new).collect();
    if call.is_operator_call() { Found::Operation(operands) } else { Found::Call(operands) }
}

/// Looks along `a.b(c)[d].e`, which is `a . (b(c) [ (d . e) ])` in the tree.
fn in_chain(
    last: &Expr,
    before: &str,
    is_index: bool,
    flags: ASTFlags,
    rest: &Expr,
    position: Position,
    at_bracket: bool,
) -> Option<Found> {
    let (link, next) = match rest {
        Expr::Dot(parts, next_flags, _) | Expr::Index(parts, next_flags, _) if !flags.contains(ASTFlags::BREAK) => {
            (&parts.lhs, Some((matches!(rest, Expr::Index(..)), *next_flags, &parts.rhs)))
        }
        other => (other, None),
    };
    if at_bracket || link.position() == position {
        let arguments = match link {
            Expr::MethodCall(call, _) | Expr::FnCall(call, _) if !is_index => {
                call.args.iter().map(Operand::new).collect()
            }
            _ if is_index => vec![Operand::new(link)],
            _ => Vec::new(),
        };
        return Some(Found::Member {
            receiver: shortened(before),
            origin: origin(last, !before.contains(['.', '['])),
            arguments,
        });
    }
    let so_far = format!("{before}{}", link_text(link, is_index));
    let (next_is_index, next_flags, next_rest) = next?;
    let at_bracket = next_is_index && rest.position() == position;
    in_chain(link, &so_far, next_is_index, next_flags, next_rest, position, at_bracket)
}

/// Where the value of a whole expression comes from.
fn origin_of(expression: &Expr) -> Origin {
    let (mut last, mut is_first, mut flags) = (expression, true, ASTFlags::empty());
    while let Expr::Dot(parts, next_flags, _) | Expr::Index(parts, next_flags, _) = last {
        if !is_first && flags.contains(ASTFlags::BREAK) {
            break;
        }
        (last, is_first, flags) = (&parts.rhs, false, *next_flags);
    }
    origin(last, is_first)
}

fn origin(last: &Expr, is_first: bool) -> Origin {
    match last {
        Expr::Variable(named, ..) if is_first => Origin::Variable(named.1.to_string()),
        Expr::Property(names, _) => Origin::Property(names.2.to_string()),
        Expr::MethodCall(call, _) | Expr::FnCall(call, _) if !call.is_operator_call() => {
            let argument = match call.args.first() {
                Some(Expr::StringConstant(text, _)) => Some(text.to_string()),
                _ => None,
            };
            Origin::Returned(call.name.to_string(), argument)
        }
        Expr::StringConstant(key, _) if !is_first => Origin::Element(key.to_string()),
        _ => Origin::Other,
    }
}

fn link_text(link: &Expr, is_index: bool) -> String {
    if is_index { format!("[{}]", text(link)) } else { format!(".{}", text(link)) }
}

/// An expression as one would write it.
pub fn text(expression: &Expr) -> String {
    match expression {
        Expr::BoolConstant(value, _) => value.to_string(),
        Expr::IntegerConstant(value, _) => value.to_string(),
        Expr::FloatConstant(value, _) => value.to_string(),
        Expr::CharConstant(value, _) => format!("'{value}'"),
        Expr::StringConstant(value, _) => format!("\"{}\"", value.escape_debug()),
        Expr::Unit(_) => "()".to_owned(),
        Expr::ThisPtr(_) => "this".to_owned(),
        Expr::DynamicConstant(value, _) if value.is_fnptr() => "|..| ..".to_owned(),
        Expr::InterpolatedString(parts, _) => {
            let parts = parts.iter().map(|part| match part {
                Expr::StringConstant(text, _) => text.to_string(),
                other => format!("${{{}}}", text(other)),
            });
            format!("`{}`", parts.collect::<String>()).replace('\n', " ")
        }
        Expr::Array(items, _) if items.is_empty() => "[]".to_owned(),
        Expr::Array(..) => "[..]".to_owned(),
        Expr::Map(entries, _) if entries.0.is_empty() => "#{}".to_owned(),
        Expr::Map(..) => "#{ .. }".to_owned(),
        Expr::Variable(named, ..) if named.2.is_empty() => named.1.to_string(),
        Expr::Variable(named, ..) => format!("{}::{}", named.2, named.1),
        Expr::Property(names, _) => names.2.to_string(),
        Expr::FnCall(call, _) | Expr::MethodCall(call, _) => call_text(call),
        Expr::Dot(parts, flags, _) | Expr::Index(parts, flags, _) => {
            let mut out = text(&parts.lhs);
            let (mut is_index, mut flags, mut rest) = (matches!(expression, Expr::Index(..)), *flags, &parts.rhs);
            loop {
                match rest {
                    Expr::Dot(next, next_flags, _) | Expr::Index(next, next_flags, _)
                        if !flags.contains(ASTFlags::BREAK) =>
                    {
                        out += &link_text(&next.lhs, is_index);
                        is_index = matches!(rest, Expr::Index(..));
                        flags = *next_flags;
                        rest = &next.rhs;
                    }
                    last => return format!("{out}{}", link_text(last, is_index)),
                }
            }
        }
        Expr::And(parts, _) => joined(parts, " && "),
        Expr::Or(parts, _) => joined(parts, " || "),
        Expr::Coalesce(parts, _) => joined(parts, " ?? "),
        _ => "..".to_owned(),
    }
}

fn joined(parts: &[Expr], between: &str) -> String {
    parts.iter().map(text).collect::<Vec<_>>().join(between)
}

fn call_text(call: &FnCallExpr) -> String {
    match (&call.args[..], call.is_operator_call()) {
        ([left, right], true) => format!("{} {} {}", text(left), call.name, text(right)),
        ([only], true) => format!("{}{}", call.name, text(only)),
        (arguments, _) if call.name == "curry" || call.name == "Fn" => {
            let _ = arguments;
            "|..| ..".to_owned()
        }
        (arguments, _) => {
            let namespace = if call.is_qualified() { format!("{}::", call.namespace) } else { String::new() };
            format!("{namespace}{}({})", call.name, joined(arguments, ", "))
        }
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= TEXT_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(TEXT_MAX - 2).collect();
    format!("{kept}..")
}

/// Where a variable got its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The place of the `let` or of the assignment.
    pub position: Position,
    /// What it was given, as one would write it.
    pub text: String,
    /// Where that came from.
    pub origin: Origin,
}

/// The last `let` or assignment of a variable above the position.
pub fn last_assignment(ast: &AST, variable: &str, above: Position) -> Option<Assignment> {
    let mut last = None;
    ast.walk(&mut |path: &[ASTNode]| {
        let (position, value) = match path.last() {
            Some(ASTNode::Stmt(Stmt::Var(declared, _, position))) if declared.0.name == variable => {
                (*position, &declared.1)
            }
            Some(ASTNode::Stmt(Stmt::Assignment(parts))) => match &parts.1.lhs {
                Expr::Variable(named, ..) if named.1 == variable => (parts.1.lhs.position(), &parts.1.rhs),
                _ => return true,
            },
            _ => return true,
        };
        let newer = last.as_ref().is_none_or(|known: &Assignment| before(known.position, position));
        if before(position, above) && newer {
            last = Some(Assignment { position, text: shortened(&text(value)), origin: origin_of(value) });
        }
        true
    });
    last
}

fn before(one: Position, other: Position) -> bool {
    (one.line(), one.position()) < (other.line(), other.position())
}

/// All names of properties and keys of maps in a script, but for what stands at one place.
pub fn member_names(ast: &AST, but: Position) -> Vec<String> {
    let mut names = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        match path.last() {
            Some(ASTNode::Expr(Expr::Property(property, at))) if *at != but => names.push(property.2.to_string()),
            Some(ASTNode::Expr(Expr::Map(entries, _))) => {
                names.extend(entries.0.iter().map(|(key, _)| key.name.to_string()));
            }
            _ => {}
        }
        true
    });
    names.sort_unstable();
    names.dedup();
    names
}

/// The names of all variables and constants that a script declares.
pub fn variables(ast: &AST) -> Vec<String> {
    let mut names = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::Var(declared, ..))) = path.last() {
            names.push(declared.0.name.to_string());
        }
        true
    });
    names
}
