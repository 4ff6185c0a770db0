//! What is the same each time in statements gets its place; the rest of them stays as it is.

use rhai::{Dynamic, Expr, FnCallExpr, ImmutableString, Map, Position, Stmt, StmtBlock};

use super::property::property;
use super::text::text;
use super::{FixedMap, Made, made};
use crate::script::calls::Calls;
use crate::script::modules::fixed_argument;

/// Goes through the statements of a function.
pub struct Fixing<'a> {
    /// What they can call, and the script's constants.
    pub calls: &'a Calls,
    /// The function's.
    pub parameters: &'a [ImmutableString],
}

impl Fixing<'_> {
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
                if let Some(read) = property(expr) {
                    *expr = read;
                }
            }
            Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
                parts.iter_mut().for_each(|part| self.expr(part));
            }
            Expr::InterpolatedString(parts, position) => {
                parts.iter_mut().for_each(|part| self.read(part));
                *expr = text(parts, *position);
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
        let Some(value) = self.calls.constant(expr, self.parameters) else { return };
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
        match self.calls.own(call, position) {
            Some(own) => Some(made(call.args.iter().cloned(), Made::Own(own), position)),
            None => self.calls.known().call(call, position),
        }
    }
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::IntegerConstant(..) | Expr::FloatConstant(..))
}
