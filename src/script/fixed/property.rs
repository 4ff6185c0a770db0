//! Properties of a response, `res.status`: read where the variable is, without Rhai's way to what reads them.

use rhai::{Dynamic, EvalContext, Expr, Expression, ImmutableString, Position};

use super::{Made, made};
use crate::script::error::placed;
use crate::script::modules::HostResult;
use crate::script::modules::http::Response;
use crate::script::modules::http::response::{self, Property};

/// The same property, read at once where the variable holds a response.
#[must_use]
pub fn property(expr: &Expr) -> Option<Expr> {
    let Expr::Dot(pair, flags, position) = expr else { return None };
    let (Expr::Variable(variable, ..), Expr::Property(names, at)) = (&pair.lhs, &pair.rhs) else { return None };
    if !flags.is_empty() || !variable.2.is_empty() {
        return None;
    }
    let reading = Reading { variable: variable.1.clone(), read: response::property(&names.2)?, position: *at };
    Some(made([expr.clone()], Made::Property(reading), *position))
}

/// Where a script reads a property that responses have.
#[derive(Clone)]
pub(super) struct Reading {
    variable: ImmutableString,
    read: Property,
    position: Position,
}

impl Reading {
    /// The property's value; what the script says, evaluated by Rhai, where the variable holds anything else.
    pub(super) fn read(&self, context: &mut EvalContext, written: &[Expression]) -> HostResult<Dynamic> {
        if let Some(value) = context.scope().get(&self.variable)
            && let Some(response) = value.read_lock::<Response>()
        {
            return (self.read)(&response).map_err(|error| placed(error, self.position));
        }
        context.eval_expression_tree(&written[0])
    }
}
