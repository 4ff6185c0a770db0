//! What is the same each time a script's statements are run: made once.
//!
//! Rhai evaluates what a script says as it stands, each time anew: it makes a map of constants, looks for the function that a call
//! means, asks for a function for each part of a text. The statements that Rust runs itself ([`super::calls`]) are gone through
//! before they first run ([`statements`]): maps of constants become [`FixedMap`]s, durations and constants become what they are,
//! calls know their functions ([`call`]), properties of responses are read where they are ([`property`]), texts are put together in
//! one go ([`text`]). These are expressions of a syntax of our own, which no script can write. What a script does, and what its
//! errors say, is the same.

use rhai::{CustomExpr, Dynamic, Engine, EvalContext, Expr, Expression, ImmutableString, Position};

pub use self::call::Known;
use self::call::Site;
pub use self::map::{FixedMap, Labels};
use self::property::Reading;
pub use self::statements::Fixing;
use self::text::Text;
use super::calls::OwnCall;
use super::modules::HostResult;

pub mod call;
pub mod map;
pub mod property;
pub mod statements;
pub mod text;

/// The key of the syntax: no word of a script.
const KEY: &str = "`";

/// An expression of the syntax.
#[derive(Clone)]
enum Made {
    Call(Site),
    Own(OwnCall),
    Property(Reading),
    Text(Text),
}

/// Lets an engine evaluate what is made here.
pub fn register(engine: &mut Engine) {
    let never = |_: &[ImmutableString], _: &str, _: &mut Dynamic| Ok(None);
    engine.register_custom_syntax_with_state_raw(KEY, never, false, evaluate);
}

fn evaluate(context: &mut EvalContext, inputs: &[Expression], made: &Dynamic) -> HostResult<Dynamic> {
    let made = made.read_lock::<Made>().expect("what is made here");
    match &*made {
        Made::Call(site) => site.run(context, inputs),
        Made::Own(call) => call.run(context, inputs),
        Made::Property(reading) => reading.read(context, inputs),
        Made::Text(text) => text.written(context, inputs),
    }
}

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

#[cfg(test)]
mod tests {
    use rhai::{AST, Module, Stmt};

    use super::*;

    /// What an expression gives.
    pub fn run(expr: Expr) -> String {
        let mut engine = Engine::new_raw();
        register(&mut engine);
        engine.eval_ast::<Dynamic>(&AST::new([Stmt::Expr(expr.into())], Module::new())).expect("it runs").to_string()
    }
}
