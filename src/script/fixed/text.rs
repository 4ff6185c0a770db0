//! Texts with values in them, `` `${base}/item/${id}` ``: Rhai asks for a function for each of their parts.

use std::fmt::Write;
use std::rc::Rc;

use rhai::{Dynamic, EvalContext, Expr, Expression, ImmutableString, Position};

use super::{Made, made};
use crate::script::modules::HostResult;

/// A text of these parts, put together in one go.
#[must_use]
pub fn text(parts: &[Expr], position: Position) -> Expr {
    let (mut between, mut values) = (vec![String::new()], Vec::new());
    for part in parts {
        match (part, between.last_mut()) {
            (Expr::StringConstant(text, _), Some(last)) => last.push_str(text),
            _ => {
                values.push(part.clone());
                between.push(String::new());
            }
        }
    }
    if values.is_empty() {
        return Expr::StringConstant(between.concat().into(), position);
    }
    let length = between.iter().map(|text| text.len() + VALUE).sum();
    made(values, Made::Text(Text { between: between.into(), length }), position)
}

/// How long a value in a text is, as a guess: as long as the longest number.
const VALUE: usize = 20;

/// A text with values in it.
#[derive(Clone)]
pub(super) struct Text {
    /// What stands before each value, and after the last.
    between: Rc<[String]>,
    /// How long it will be, as a guess.
    length: usize,
}

impl Text {
    /// The whole, each value as Rhai writes it.
    pub(super) fn written(&self, context: &mut EvalContext, values: &[Expression]) -> HostResult<Dynamic> {
        let mut text = String::with_capacity(self.length);
        let (last, before) = self.between.split_last().expect("there is one more than values");
        for (before, value) in before.iter().zip(values) {
            text.push_str(before);
            let mut value = context.eval_expression_tree(value)?.flatten();
            if let Ok(value) = value.as_immutable_string_ref() {
                text.push_str(&value);
            } else if let Ok(value) = value.as_int() {
                let _ = write!(text, "{value}");
            } else {
                let written = context.call_native_fn_raw("to_string", true, &mut [&mut value]);
                match written.map(Dynamic::into_immutable_string) {
                    Ok(Ok(written)) => text.push_str(&written),
                    Ok(Err(kind)) => text.push_str(context.engine().map_type_name(kind)),
                    Err(_) => text.push_str(context.engine().map_type_name(&value.to_string())),
                }
            }
        }
        text.push_str(last);
        Ok(ImmutableString::from(text).into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn a_text_without_values_is_one_piece() {
        let constant = |text: &str| Expr::StringConstant(text.into(), Position::NONE);
        let whole = text(&[constant("a"), constant(""), constant("b")], Position::NONE);
        assert!(matches!(whole, Expr::StringConstant(text, _) if text == "ab"));
        let number = Expr::IntegerConstant(-7, Position::NONE);
        assert_eq!(run(text(&[number.clone(), constant("<"), constant(">"), number], Position::NONE)), "-7<>-7");
    }
}
