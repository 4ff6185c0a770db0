//! What is the same each time a journey's statements are run: made once.
//!
//! Rhai makes a map of constants anew wherever it evaluates it, and the host function that gets it takes it apart again: a
//! tenth of what a small request costs. In the statements that Rust runs itself ([`super::calls`]) such an argument becomes a
//! [`FixedMap`], if the function it is for takes one; that one remembers what it came to the first time. Durations (`500.ms`,
//! `1.s..3.s`) and constants of the script become what they are.

use std::cell::OnceCell;
use std::rc::Rc;

use rhai::{Dynamic, Expr, FnCallExpr, ImmutableString, Map, Position, Stmt, StmtBlock};

use super::direct::{self, Direct};
use super::modules::fixed_argument;

/// A map of constants in a script's text. Scripts never hold one: it goes straight to a host function.
#[derive(Clone)]
pub struct FixedMap(Rc<Fixed>);

struct Fixed {
    map: Map,
    labels: OnceCell<Labels>,
}

/// What the parameters of a request come to where they only say how it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Labels {
    /// The number of its name.
    pub name: u32,
    /// Whether it was given one.
    pub named: bool,
    /// The number of its set of tags.
    pub tags: u32,
}

impl FixedMap {
    fn new(map: Map) -> Self {
        Self(Rc::new(Fixed { map, labels: OnceCell::new() }))
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> &Map {
        &self.0.map
    }

    /// What it came to, once that is known.
    #[must_use]
    pub fn labels(&self) -> Option<Labels> {
        self.0.labels.get().copied()
    }

    /// Takes note of what it came to.
    pub fn note(&self, labels: Labels) {
        let _ = self.0.labels.set(labels);
    }
}

/// Fixes what is constant in statements.
pub struct Fixing<'a, V> {
    /// The value of an expression that has the same each time.
    pub value: V,
    /// What calls are made of that need no search.
    pub direct: &'a Direct,
}

impl<V: Fn(&Expr) -> Option<Dynamic>> Fixing<'_, V> {
    /// Fixes what is in these statements; closures in them are functions of their own.
    pub fn statements(&self, statements: &mut [Stmt]) {
        statements.iter_mut().for_each(|statement| self.statement(statement));
    }

    fn statement(&self, statement: &mut Stmt) {
        match statement {
            Stmt::Expr(expr) => self.expr(expr),
            Stmt::FnCall(call, position) => {
                if let Some(direct) = self.call(call, *position) {
                    *statement = Stmt::Expr(direct.into());
                }
            }
            Stmt::Var(declared, ..) => self.expr(&mut declared.1),
            Stmt::Assignment(assigned) => self.expr(&mut assigned.1.rhs),
            Stmt::Return(Some(expr), ..) | Stmt::BreakLoop(Some(expr), ..) => self.expr(expr),
            Stmt::Block(block) => self.block(block),
            Stmt::If(flow, _) | Stmt::While(flow, _) | Stmt::Do(flow, ..) | Stmt::TryCatch(flow, _) => {
                self.expr(&mut flow.expr);
                self.block(&mut flow.body);
                self.block(&mut flow.branch);
            }
            Stmt::For(parts, _) => {
                self.expr(&mut parts.2.expr);
                self.block(&mut parts.2.body);
            }
            // What is elsewhere is evaluated as it is.
            _ => {}
        }
    }

    fn block(&self, block: &mut StmtBlock) {
        self.statements(block.statements_mut());
    }

    fn expr(&self, expr: &mut Expr) {
        match expr {
            // `500.ms`
            Expr::Dot(pair, ..) if is_number(&pair.lhs) && matches!(pair.rhs, Expr::Property(..)) => self.fold(expr),
            Expr::FnCall(call, position) => {
                if let Some(direct) = self.call(call, *position) {
                    *expr = direct;
                // `1.s..3.s`
                } else if call.op_token.is_some()
                    && call.args.iter().all(|part| matches!(part, Expr::DynamicConstant(..)))
                {
                    self.fold(expr);
                }
            }
            Expr::MethodCall(call, _) => call.args.iter_mut().for_each(|argument| self.expr(argument)),
            Expr::Dot(pair, ..) | Expr::Index(pair, ..) => {
                self.expr(&mut pair.lhs);
                self.expr(&mut pair.rhs);
            }
            Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
                parts.iter_mut().for_each(|part| self.expr(part));
            }
            Expr::InterpolatedString(parts, position) => {
                parts.iter_mut().for_each(|part| self.read(part));
                *expr = direct::text(parts, *position);
            }
            Expr::Array(parts, _) => parts.iter_mut().for_each(|part| self.expr(part)),
            Expr::Map(parts, _) => parts.0.iter_mut().for_each(|(_, part)| self.expr(part)),
            Expr::Stmt(block) => self.block(block),
            _ => {}
        }
    }

    /// Fixes what is only read where it stands: a constant of the script, too.
    fn read(&self, expr: &mut Expr) {
        // One without an index is none of the function's own.
        match expr {
            Expr::Variable(variable, None, _) if variable.0.is_none() && variable.2.is_empty() => self.fold(expr),
            _ => self.expr(expr),
        }
    }

    /// Puts its value in the place of an expression, where it has one.
    fn fold(&self, expr: &mut Expr) {
        let position = expr.position();
        let Some(value) = (self.value)(expr) else { return };
        *expr = match value.read_lock::<ImmutableString>() {
            Some(text) => Expr::StringConstant(text.clone(), position),
            None => Expr::DynamicConstant(value.clone().into(), position),
        };
    }

    /// Fixes what is in a call; gives what can stand in its place.
    fn call(&self, call: &mut FnCallExpr, position: Position) -> Option<Expr> {
        // Only functions of a namespace are sure to leave their arguments as they are.
        let reads = call.is_qualified() || call.op_token.is_some();
        call.args.iter_mut().for_each(|argument| if reads { self.read(argument) } else { self.expr(argument) });
        if let Some(argument) = fixed_argument(call).and_then(|index| call.args.get_mut(index))
            && let position = argument.position()
            && let Expr::Map(..) = argument
            && let Some(map) = argument.get_literal_value(None).and_then(Dynamic::try_cast::<Map>)
        {
            *argument = Expr::DynamicConstant(Dynamic::from(FixedMap::new(map)).into(), position);
        }
        self.direct.call(call, position)
    }
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::IntegerConstant(..) | Expr::FloatConstant(..))
}
