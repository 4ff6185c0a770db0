//! Rules about conditions, comparisons and checks: what is always so, and what can't be told true from false.

use rhai::{Expr, FnCallExpr, Position, Stmt};

use super::evident::Type;
use super::flow::{start, start_of};
use super::rules;
use super::walk::Walker;

const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

impl Walker<'_> {
    /// An operator with its operands.
    pub(super) fn operator(&mut self, call: &FnCallExpr, position: Position) -> Type {
        let operator = call.name.as_str();
        if let ([operand], "!") = (&*call.args, operator) {
            self.condition(operand);
            return Type::Bool;
        }
        let types: Vec<Type> = call.args.iter().map(|operand| self.expression(operand)).collect();
        let (&[left, right], [left_side, right_side]) = (types.as_slice(), &*call.args) else {
            return match types.as_slice() {
                [one] if one.is_number() || *one == Type::Duration => *one,
                _ => Type::Unknown,
            };
        };
        if COMPARISONS.contains(&operator) {
            self.comparison(operator, (left_side, left), (right_side, right), position);
            return Type::Bool;
        }
        self.operand_types(operator, left_side, right);
        match (operator, left, right) {
            ("..", Type::Duration, Type::Duration) | ("..=", Type::Duration, Type::Duration) => Type::DurationRange,
            ("+" | "-" | "*" | "%", Type::Int, Type::Int) => Type::Int,
            ("+" | "-" | "*" | "/", Type::Float, Type::Int | Type::Float)
            | ("+" | "-" | "*" | "/", Type::Int, Type::Float) => Type::Float,
            ("/", Type::Int, Type::Int) => Type::Int,
            ("+" | "-", Type::Duration, Type::Duration) | ("*" | "/", Type::Duration, Type::Int | Type::Float) => {
                Type::Duration
            }
            // A text takes anything behind it, and becomes part of most things before it.
            ("+", Type::Text, _) => Type::Text,
            ("+", Type::Map, Type::Map) => Type::Map,
            ("+", Type::Array, _) => Type::Array,
            _ => Type::Unknown,
        }
    }

    /// `duration + 5`: there is no such operator.
    pub(super) fn operand_types(&mut self, operator: &str, left: &Expr, right: Type) {
        let left_type = match left {
            Expr::Variable(variable, ..) => {
                self.visible(&variable.1).map_or(Type::Unknown, |(_, variable)| variable.ty)
            }
            Expr::IntegerConstant(..) => Type::Int,
            Expr::FloatConstant(..) => Type::Float,
            _ => Type::Unknown,
        };
        let pair = [left_type, right];
        if matches!(operator, "+" | "-") && pair.contains(&Type::Duration) && pair.iter().any(|ty| ty.is_number()) {
            let message = format!("a duration and a number can't be put together by `{operator}`");
            self.report(rules::MISSING_UNIT, start(left), message).hint =
                Some("give the number a unit: `500.ms`, `2.s`".into());
        }
    }

    fn comparison(&mut self, operator: &str, left: (&Expr, Type), right: (&Expr, Type), position: Position) {
        let always = |equal: bool| if equal == (operator == "==") { "always true" } else { "always false" };
        let unit = |side: (&Expr, Type)| matches!(side.0, Expr::Unit(_));
        if unit(left) != unit(right) && matches!(operator, "==" | "!=") {
            let (other, ty) = if unit(left) { right } else { left };
            let may_be_unit = matches!(ty, Type::Unknown);
            if !may_be_unit {
                let message = match ty {
                    Type::Unit => format!("this is `()` in any case: the comparison is {}", always(true)),
                    ty => format!("{} is never `()`: the comparison is {}", ty.name(), always(false)),
                };
                let hint = self.instead_of_unit(other, ty, operator);
                self.report(rules::UNIT_COMPARISON, position, message).hint = hint;
            }
            return;
        }
        let (left_type, right_type) = (left.1, right.1);
        let pair = [left_type, right_type];
        if pair.contains(&Type::Duration) && pair.iter().any(|ty| ty.is_number()) {
            let number = if left_type == Type::Duration { right.0 } else { left.0 };
            let shown = self.file.text.from(start(number));
            let shown: String = shown.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '_' | '.')).collect();
            let hint = if shown.is_empty() {
                "give the number a unit: `limit.ms`, `limit.s`".to_owned()
            } else {
                format!("did you mean `{shown}.ms`?")
            };
            let message = "a duration can't be compared with a bare number";
            self.report(rules::MISSING_UNIT, start(number), message).hint = Some(hint);
            return;
        }
        let known = !pair.contains(&Type::Unknown) && left_type != right_type;
        let numbers = pair.iter().all(|ty| ty.is_number());
        let texts = pair.iter().all(|ty| matches!(ty, Type::Text | Type::Char));
        if !known || numbers || texts || self.world.known.has_operator(operator, left_type, right_type) {
            return;
        }
        let outcome = if operator == "!=" { "always true" } else { "always false" };
        let message = format!("{} and {} are compared: that is {outcome}", left_type.name(), right_type.name());
        let hint = match pair {
            [Type::Text, other] | [other, Type::Text] if other.is_number() => {
                Some("write the number without quotes, or turn the text into one: `parse_int(text)`".to_owned())
            }
            [Type::Response, Type::Int] | [Type::Int, Type::Response] => Some("did you mean its `status`?".to_owned()),
            [Type::Response, Type::Text] | [Type::Text, Type::Response] => Some("did you mean its `body`?".to_owned()),
            _ => None,
        };
        self.report(rules::TYPE_MISMATCH, position, message).hint = hint;
    }

    fn instead_of_unit(&self, other: &Expr, ty: Type, operator: &str) -> Option<String> {
        let empty = if operator == "==" { "is_empty()" } else { "len() > 0" };
        match ty {
            Type::Text => Some(format!("a text that is not there is empty: `.{empty}`")),
            Type::Response => {
                Some("a request that failed gives a response too: look at `ok`, `status` or `error`".into())
            }
            Type::Int if last_property(other) == Some("status") => {
                Some("where there was no response, `status` is 0: compare it with a number".into())
            }
            _ => None,
        }
    }

    /// A value that must be true or false.
    pub(super) fn condition(&mut self, condition: &Expr) {
        let ty = self.expression(condition);
        if matches!(ty, Type::Unknown | Type::Bool) {
            return;
        }
        let shown = match (ty, last_property(condition)) {
            (Type::Int, Some("status")) => "compare it: `res.status == 200`, or take `res.ok`",
            (Type::Response, _) => "look at what came back: `res.ok`, `res.status == 200`",
            (Type::Text, _) => "compare it: `text != \"\"`, or ask `!text.is_empty()`",
            (Type::Int | Type::Float, _) => "compare it: `number != 0`",
            (Type::Array | Type::Map, _) => "ask for what is in it: `.len() > 0`",
            (Type::Function, _) => "call it: `held.call()`",
            _ => "compare it with something",
        };
        let message = format!("a condition must be true or false, this is {}", ty.name());
        let length = self.chain_length(start(condition));
        let diagnostic = self.report(rules::NOT_A_CONDITION, start(condition), message);
        diagnostic.length = length;
        diagnostic.hint = Some(shown.into());
    }

    /// How many characters the chain at a place has; at least those of its first word.
    fn chain_length(&self, position: Position) -> usize {
        let text = &self.file.text;
        text.chain(position).chars().count().max(text.length(position))
    }

    /// `a ?? 0 + 1`, where the parentheses were left out.
    pub(super) fn coalesce(&mut self, sides: &[Expr], position: Position) {
        for side in sides.iter().skip(1) {
            let Expr::FnCall(call, operator) = side else { continue };
            let ([left, _], true) = (&*call.args, call.is_operator_call()) else { continue };
            let is_sum = matches!(call.name.as_str(), "+" | "-" | "*" | "/" | "%");
            let is_default =
                matches!(left, Expr::IntegerConstant(..) | Expr::FloatConstant(..) | Expr::StringConstant(..));
            if !is_sum || !is_default || self.in_parentheses(position, start(left)) {
                continue;
            }
            let text = &self.file.text;
            let word = |at: Position| text.from(at).chars().take(text.length(at)).collect::<String>();
            let (name, default) = (call.name.clone(), word(start(left)));
            let message = format!("`{name}` binds tighter than `??`: this is `... ?? ({default} {name} ...)`");
            self.report(rules::COALESCE_PRECEDENCE, *operator, message).hint =
                Some(format!("write `(... ?? {default}) {name} ...`, or put the parentheses where you mean them"));
        }
    }

    /// Whether something opens between two places.
    fn in_parentheses(&self, from: Position, to: Position) -> bool {
        let text = &self.file.text;
        let (Some(from), Some(to)) = (text.offset(from), text.offset(to)) else { return true };
        text.as_str().get(from..to).is_none_or(|between| between.contains('('))
    }

    /// `check(value, #{ "name": |v| ... })`
    pub(super) fn check(&mut self, call: &FnCallExpr) -> Type {
        let mut arguments = call.args.iter();
        let value = arguments.next().map_or(Type::Unknown, |value| self.expression(value));
        if let (Some(Expr::Map(conditions, position)), true) = (call.args.get(1), call.args.len() >= 2) {
            arguments.next();
            if conditions.0.is_empty() && conditions.1.is_empty() {
                self.report(rules::ALWAYS_TRUE_CHECK, *position, "this check has no conditions: it checks nothing")
                    .hint = Some("write `#{ \"status is 200\": |r| r.status == 200 }`".into());
            }
            for (name, condition) in &conditions.0 {
                self.check_condition(&name.name, condition, value);
            }
        } else if let (Some(held), 3) = (call.args.get(2), call.args.len()) {
            let ty = call.args.get(1).map_or(Type::Unknown, |name| self.expression(name));
            let held_type = self.expression(held);
            arguments = [].iter();
            if ty == Type::Text && !matches!(held_type, Type::Unknown | Type::Bool | Type::Map) {
                self.check_not_bool("this check", held_type, start(held));
            } else if matches!(held, Expr::BoolConstant(true, _)) {
                self.always_true(start(held), "it is `true`");
            }
        }
        self.all(arguments);
        Type::Bool
    }

    fn check_condition(&mut self, name: &str, condition: &Expr, value: Type) {
        let Some(closure) = self.file.closure(condition) else {
            let ty = self.expression(condition);
            if matches!(condition, Expr::BoolConstant(true, _)) {
                self.always_true(start(condition), "it is `true`");
            } else if !matches!(ty, Type::Unknown | Type::Bool | Type::Function) {
                self.check_not_bool(&format!("check `{name}`"), ty, start(condition));
            }
            return;
        };
        let outcome = self.closure(condition, &closure, &[value]);
        let [.., last] = closure.statements.as_slice() else {
            return self.check_not_bool(&format!("check `{name}`"), Type::Unit, start(condition));
        };
        if let Stmt::Assignment(assignment) = last {
            let place = start(&assignment.1.lhs);
            let message = format!("check `{name}` assigns instead of comparing");
            // An assignment that is an error of its own is told as that.
            if !self
                .out
                .iter()
                .any(|known| known.code == rules::READ_ONLY_PROPERTY.code && Some(known.place.line) == place.line())
            {
                self.report(rules::CHECK_NOT_BOOL, place, message).hint = Some("to compare, write `==`".into());
            }
            return;
        }
        if !outcome.ends && !matches!(outcome.ty, Type::Unknown | Type::Bool) {
            return self.check_not_bool(&format!("check `{name}`"), outcome.ty, start_of(last));
        }
        if let (Stmt::Expr(result), 1) = (last, closure.statements.len())
            && let Some(why) = always_true(result)
        {
            self.always_true(start(result), why);
        }
    }

    fn check_not_bool(&mut self, what: &str, ty: Type, position: Position) {
        let message = format!("{what} must be true or false, this is {}", ty.name());
        let length = self.chain_length(position);
        let diagnostic = self.report(rules::CHECK_NOT_BOOL, position, message);
        diagnostic.length = length;
        diagnostic.hint = Some("compare it with what it should be".into());
    }

    fn always_true(&mut self, position: Position, why: &str) {
        let message = format!("this check always holds: {why}");
        self.report(rules::ALWAYS_TRUE_CHECK, position, message).hint =
            Some("compare what came back with what it should be".into());
    }

    /// `group("name", || { ... })` gives what its body gives.
    pub(super) fn group(&mut self, call: &FnCallExpr) -> Type {
        let mut result = Type::Unknown;
        for argument in &call.args {
            match self.file.closure(argument) {
                Some(closure) => {
                    let outcome = self.closure(argument, &closure, &[]);
                    // What returns early, or gives nothing where its last statement is none, is not followed.
                    result = if outcome.ty.is_host() { outcome.ty } else { Type::Unknown };
                    let returns = self.file.text.from(closure.start);
                    let end = self.file.text.offset(closure.end).zip(self.file.text.offset(closure.start));
                    let within = end.and_then(|(end, start)| returns.get(..end.checked_sub(start)?));
                    if within.is_none_or(|within| within.contains("return")) {
                        result = Type::Unknown;
                    }
                }
                None => {
                    self.expression(argument);
                }
            }
        }
        result
    }
}

fn last_property(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Dot(link, ..) => last_property(&link.rhs),
        Expr::Property(property, _) => Some(&property.2),
        _ => None,
    }
}

/// Why a condition holds whatever is checked.
fn always_true(condition: &Expr) -> Option<&'static str> {
    match condition {
        Expr::BoolConstant(true, _) => Some("it is `true`"),
        Expr::FnCall(call, _) if matches!(call.name.as_str(), "==" | "<=" | ">=") && call.is_operator_call() => {
            let [left, right] = &*call.args else { return None };
            same(left, right).then_some("both sides are the same")
        }
        Expr::Or(sides, _) => {
            sides.iter().any(|side| matches!(side, Expr::BoolConstant(true, _))).then_some("one side of `||` is `true`")
        }
        _ => None,
    }
}

/// Whether two values are written the same, and have no other reason to differ.
fn same(left: &Expr, right: &Expr) -> bool {
    match (left, right) {
        (Expr::Variable(left, ..), Expr::Variable(right, ..)) => {
            left.1 == right.1 && left.2.is_empty() && right.2.is_empty()
        }
        (Expr::Property(left, _), Expr::Property(right, _)) => left.2 == right.2,
        (Expr::Dot(left, ..), Expr::Dot(right, ..)) => same(&left.lhs, &right.lhs) && same(&left.rhs, &right.rhs),
        (Expr::IntegerConstant(left, _), Expr::IntegerConstant(right, _)) => left == right,
        (Expr::StringConstant(left, _), Expr::StringConstant(right, _)) => left == right,
        (Expr::BoolConstant(left, _), Expr::BoolConstant(right, _)) => left == right,
        _ => false,
    }
}
