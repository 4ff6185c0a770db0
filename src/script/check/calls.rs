//! Rules about names that are called or asked for: functions, modules, methods, properties.

use rhai::{Expr, FnCallExpr, OpAssignment, Position};

use super::evident::{Type, result_of};
use super::known::{documented_members, signatures};
use super::walk::{Kind, Walker};
use super::{hints, rules};
use crate::script::error::{Note, Place};
use crate::script::source::STDLIB;
use crate::units;

impl Walker<'_> {
    /// A call of a function, or an operator.
    pub(super) fn call(&mut self, call: &FnCallExpr, position: Position) -> Type {
        if call.is_operator_call() {
            return self.operator(call, position);
        }
        let module = if call.namespace.is_empty() { "" } else { call.namespace.root() };
        let name = if module.is_empty() { call.name.to_string() } else { format!("{module}::{}", call.name) };
        let exists = self.callee(call, module, &name, position);
        let result = match name.as_str() {
            "check" => self.check(call),
            "group" => self.group(call),
            _ => {
                let types: Vec<Type> = call.args.iter().map(|argument| self.expression(argument)).collect();
                if exists {
                    self.arguments(&name, call, &types, position);
                }
                Type::Unknown
            }
        };
        if result == Type::Unknown && exists && self.file.function(&call.name, None).is_none() {
            return result_of(&name);
        }
        result
    }

    /// Whether what is called is there and takes as many arguments.
    fn callee(&mut self, call: &FnCallExpr, module: &str, name: &str, position: Position) -> bool {
        let given = call.args.len();
        if module.is_empty() {
            self.functions_used.insert(name.to_owned());
            let own = self.file.arities(name);
            let more = if self.is_main { Vec::new() } else { self.world.files[0].arities(name) };
            if self.world.known.is_built_in(name) || own.contains(&given) || more.contains(&given) {
                return true;
            }
            // A variable that holds a function can be called by its name.
            let is_variable = self.visible(name).is_some() || self.file.constants.contains_key(name);
            if is_variable || self.file.lost.contains(name) || self.file.evals {
                return true;
            }
            let host = self.world.known.arities("", name);
            if host.contains(&given) {
                return true;
            }
            let arities = if own.is_empty() { host } else { own.clone() };
            if arities.is_empty() {
                self.unknown_function("", name, position);
            } else {
                let declared = if own.is_empty() { None } else { self.file.place_of(name) };
                let shown = self.shown(name);
                self.wrong_arguments(name, &arities, given, position, declared, shown);
            }
            return false;
        }
        if call.namespace.path.len() > 1 || !self.module(module, call.namespace.position()) {
            return false;
        }
        match self.file.alias(module) {
            Some(None) => false,
            Some(Some(index)) => {
                let file = &self.world.files[index];
                let arities = file.arities(&call.name);
                let hidden = file.function(&call.name, Some(given)).is_some_and(|function| function.private);
                if (arities.contains(&given) && !hidden) || file.lost.contains(call.name.as_str()) || file.evals {
                    return true;
                }
                if hidden {
                    let declared = file.place_of(&call.name);
                    let message = format!("`{name}` is private: only its own file can call it");
                    let note = Note { message: "declared here".into(), place: declared };
                    self.report(rules::UNKNOWN_FUNCTION, position, message).notes.push(note);
                } else if arities.is_empty() {
                    self.unknown_function(module, &call.name, position);
                } else {
                    let shown = file
                        .functions
                        .iter()
                        .filter(|function| function.name == call.name.as_str())
                        .map(|function| format!("{module}::{}({})", function.name, function.params.join(", ")))
                        .collect();
                    self.wrong_arguments(name, &arities, given, position, file.place_of(&call.name), shown);
                }
                false
            }
            None => {
                let arities = self.world.known.arities(module, &call.name);
                if arities.contains(&given) {
                    return true;
                }
                if arities.is_empty() {
                    self.unknown_function(module, &call.name, position);
                } else {
                    self.wrong_arguments(name, &arities, given, position, None, self.shown(name));
                }
                false
            }
        }
    }

    /// How a function of the script, or of loadr, is written.
    fn shown(&self, name: &str) -> Vec<String> {
        let own = self.file.functions.iter().filter(|function| function.name == name);
        let own: Vec<String> = own.map(|function| format!("{name}({})", function.params.join(", "))).collect();
        if own.is_empty() { signatures(name).into_iter().map(str::to_owned).collect() } else { own }
    }

    fn wrong_arguments(
        &mut self,
        name: &str,
        arities: &[usize],
        given: usize,
        position: Position,
        declared: Option<Place>,
        shown: Vec<String>,
    ) {
        let mut arities = arities.to_vec();
        arities.sort_unstable();
        arities.dedup();
        let takes = match arities.as_slice() {
            [one] => plural(*one),
            [rest @ .., last] => {
                let rest: Vec<String> = rest.iter().map(ToString::to_string).collect();
                format!("{} or {}", rest.join(", "), plural(*last))
            }
            [] => "no arguments".into(),
        };
        let message = format!(
            "`{name}` takes {takes}, {} given",
            if given == 1 { "1 is".into() } else { format!("{given} are") }
        );
        let diagnostic = self.report(rules::WRONG_ARGUMENTS, position, message);
        if !shown.is_empty() {
            diagnostic.hint = Some(format!("write {}", listed(&shown)));
        }
        diagnostic.notes.extend(declared.map(|place| Note { message: "declared here".into(), place: Some(place) }));
    }

    fn unknown_function(&mut self, module: &str, name: &str, position: Position) {
        let full = if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") };
        let known = &self.world.known;
        let mut names: Vec<String> = match self.file.alias(module) {
            Some(Some(index)) => {
                let functions = self.world.files[index].functions.iter().filter(|function| !function.private);
                functions.map(|function| format!("{module}::{}", function.name)).collect()
            }
            _ if module.is_empty() => {
                let own = self.file.functions.iter().map(|function| function.name.clone());
                own.chain(known.functions("").into_iter().map(str::to_owned)).collect()
            }
            _ => known.functions(module).into_iter().map(|name| format!("{module}::{name}")).collect(),
        };
        names.sort_unstable();
        names.dedup();
        let hint = if module.is_empty() { hints::of_function(name) } else { None };
        let hint = hint
            .or_else(|| Some(format!("did you mean `{}`?", units::nearest(&full, names.iter().map(String::as_str))?)));
        let hint = hint.or_else(|| {
            // The right name without its module: `csv(...)`.
            let module =
                known.modules().filter(|_| module.is_empty()).find(|module| !known.arities(module, name).is_empty())?;
            Some(format!("did you mean `{module}::{name}`?"))
        });
        let hint = hint.or_else(|| {
            let few = names.len() <= 12 && !module.is_empty();
            few.then(|| {
                let all = listed(&names).replace(" or `", " and `");
                format!("there {} {all}", if names.len() == 1 { "is" } else { "are" })
            })
        });
        self.report(rules::UNKNOWN_FUNCTION, position, format!("there is no function `{full}`")).hint = hint;
    }

    /// Whether a namespace is one that is there.
    pub(super) fn module(&mut self, name: &str, position: Position) -> bool {
        if self.file.alias(name).is_some() {
            self.aliases_used.insert(name.to_owned());
            return true;
        }
        if self.world.known.has_module(name) || name == "global" {
            return true;
        }
        if self.file.lost.contains(name) {
            return false;
        }
        let library = format!("std/{name}");
        let hint = if STDLIB.iter().any(|(known, _)| *known == library) {
            Some(format!("import it first: `import \"{library}\" as {name};`"))
        } else {
            let aliases = self.file.imports.iter().filter_map(|import| import.alias.as_deref());
            let near = units::nearest(name, aliases.chain(self.world.known.modules()));
            near.map(|near| format!("did you mean `{near}`?"))
                .or_else(|| Some(format!("import it: `import \"lib/{name}\" as {name};`")))
        };
        self.report(rules::UNKNOWN_MODULE, position, format!("there is no module `{name}`")).hint = hint;
        false
    }

    /// A chain of properties, methods and indexes.
    pub(super) fn chain(&mut self, expression: &Expr) -> Type {
        let (mut link, flags, mut dot) = match expression {
            Expr::Dot(link, flags, _) => (link, *flags, true),
            Expr::Index(link, flags, _) => (link, *flags, false),
            _ => return Type::Unknown,
        };
        let mut stops = flags.intersects(rhai::ASTFlags::BREAK);
        if let Some(ty) = self.module_with_dot(&link.lhs, &link.rhs) {
            return ty;
        }
        let mut ty = self.expression(&link.lhs);
        let mut receiver = Some(&link.lhs);
        loop {
            let next = match &link.rhs {
                Expr::Dot(next, flags, _) if dot || !stops => Some((next, *flags, true)),
                Expr::Index(next, flags, _) if dot || !stops => Some((next, *flags, false)),
                _ => None,
            };
            let segment = next.as_ref().map_or(&link.rhs, |(next, ..)| &next.lhs);
            ty = match segment {
                Expr::Property(property, position) if dot => self.property(ty, &property.2, *position),
                Expr::MethodCall(call, position) if dot => self.method(ty, call, *position, receiver),
                index => {
                    self.expression(index);
                    ty.element()
                }
            };
            receiver = None;
            let Some((next, flags, is_dot)) = next else { return ty };
            (link, dot, stops) = (next, is_dot, flags.intersects(rhai::ASTFlags::BREAK));
        }
    }

    /// `http.get(...)`, as k6 has it: a module is followed by `::`.
    fn module_with_dot(&mut self, lhs: &Expr, rhs: &Expr) -> Option<Type> {
        let Expr::Variable(variable, _, position) = lhs else { return None };
        let name = variable.1.as_str();
        let is_module = self.world.known.has_module(name) || self.file.alias(name).is_some();
        let is_variable = self.visible(name).is_some()
            || self.file.constants.contains_key(name)
            || self.world.files[0].constants.contains_key(name);
        if !variable.2.is_empty() || !is_module || is_variable {
            return None;
        }
        let member = match rhs {
            Expr::Dot(chain, ..) | Expr::Index(chain, ..) => &chain.lhs,
            other => other,
        };
        let member = match member {
            Expr::MethodCall(call, _) => {
                self.all(call.args.iter());
                call.name.to_string()
            }
            Expr::Property(property, _) => property.2.to_string(),
            _ => return None,
        };
        self.aliases_used.insert(name.to_owned());
        self.report(rules::UNDEFINED_VARIABLE, *position, format!("`{name}` is a module, not a value")).hint =
            Some(format!("write `{name}::{member}`"));
        Some(Type::Unknown)
    }

    fn property(&mut self, owner: Type, name: &str, position: Position) -> Type {
        let known = &self.world.known;
        if owner.is_host() && !known.has_property(owner, name) {
            let is_method = !known.method_arities(owner, name).is_empty();
            let hint = if is_method {
                Some(format!("it is a method: write `{name}(...)`"))
            } else {
                self.nearest_member(owner, name)
            };
            self.report(rules::UNKNOWN_PROPERTY, position, format!("{} has no property `{name}`", owner.name())).hint =
                hint;
            return Type::Unknown;
        }
        owner.property(name)
    }

    fn nearest_member(&self, owner: Type, name: &str) -> Option<String> {
        let mut members = self.world.known.members(owner);
        members.sort_unstable();
        if let Some(near) = units::nearest(name, members.iter().copied()) {
            return Some(format!("did you mean `{near}`?"));
        }
        let documented = match owner {
            Type::Response => {
                return Some(
                    "a response has `status`, `body`, `headers`, `json()`, `duration` and more: `loadr docs response`"
                        .into(),
                );
            }
            Type::Vu => documented_members("vu"),
            Type::Timings => documented_members("timings"),
            Type::Client => documented_members("client"),
            Type::Jar => documented_members("jar"),
            Type::Metric => documented_members("metric"),
            Type::Stream => documented_members("stream"),
            Type::StreamEvent => documented_members("event"),
            Type::Selection => documented_members("selection"),
            Type::XmlNode => documented_members("xmlnode"),
            _ => return None,
        };
        (!documented.is_empty()).then(|| format!("there are {}", listed(&documented).replace(" or `", " and `")))
    }

    fn method(&mut self, owner: Type, call: &FnCallExpr, position: Position, receiver: Option<&Expr>) -> Type {
        let name = call.name.as_str();
        self.functions_used.insert(name.to_owned());
        let given = call.args.len();
        for argument in &call.args {
            self.expression(argument);
        }
        self.kept_closures(call, receiver);
        self.self_mutation(call, receiver, position);
        if matches!(owner, Type::Response | Type::StreamEvent) && name == "json" {
            self.json_path(call.args.first());
        }
        if owner == Type::Client {
            self.client_method(call, position);
        }
        if self.world.known.is_built_in(name) || self.file.lost.contains(name) || self.file.evals {
            return owner.method(name);
        }
        // A function of the script can be called as a method, and a map may hold one.
        let of_script = self.file.function(name, None).is_some() || self.world.files[0].function(name, None).is_some();
        let may_be_held = matches!(owner, Type::Unknown | Type::Map | Type::Row) && self.world.keys.contains(name);
        if of_script || may_be_held || (owner == Type::Row) {
            return Type::Unknown;
        }
        let checked = if owner.is_host() || matches!(owner, Type::Text | Type::Array) { owner } else { Type::Unknown };
        if !self.world.known.has_method(checked, name, given) {
            self.unknown_method(checked, call, position);
            return Type::Unknown;
        }
        owner.method(name)
    }

    fn unknown_method(&mut self, owner: Type, call: &FnCallExpr, position: Position) {
        let name = call.name.as_str();
        let known = &self.world.known;
        let arities = known.method_arities(owner, name);
        if !arities.is_empty() {
            let shown = signatures_of_method(name, owner);
            return self.wrong_arguments(name, &arities, call.args.len(), position, None, shown);
        }
        if owner.is_host() && known.has_getter(owner, name) {
            let message = format!("`{name}` of {} is a property, not a method", owner.name());
            self.report(rules::UNKNOWN_METHOD, position, message).hint =
                Some(format!("write `{name}` without parentheses"));
            return;
        }
        let hint = if owner == Type::Unknown {
            let mut names = known.functions("");
            names.sort_unstable();
            units::nearest(name, names).map(|near| format!("did you mean `{near}`?"))
        } else {
            self.nearest_member(owner, name)
        };
        let message = match owner {
            Type::Unknown => format!("there is no method `{name}`"),
            owner => format!("{} has no method `{name}`", owner.name()),
        };
        self.report(rules::UNKNOWN_METHOD, position, message).hint = hint;
    }

    /// `left = right`, or an operator with it.
    pub(super) fn assignment(&mut self, operator: &OpAssignment, lhs: &Expr, rhs: &Expr, value: Type) {
        match lhs {
            Expr::Variable(variable, _, position) => {
                let name = variable.1.as_str();
                let is_constant = |walker: &Self| walker.function.is_some() && walker.file.constants.contains_key(name);
                match self.visible(name).map(|(index, variable)| (index, variable.kind)) {
                    Some((_, Kind::Const)) => self.assigned_constant(name, *position),
                    None if is_constant(self) => self.assigned_constant(name, *position),
                    _ => {
                        let outer = self.visible(name).map(|(index, _)| index);
                        self.expression(lhs);
                        self.kept_closure(rhs, outer);
                    }
                }
            }
            Expr::Dot(..) | Expr::Index(..) => {
                self.expression(lhs);
                self.set_property(lhs);
                let outer = root_of(lhs).and_then(|root| self.visible(root)).map(|(index, _)| index);
                self.kept_closure(rhs, outer);
            }
            other => {
                self.expression(other);
            }
        }
        if operator.is_op_assignment() {
            self.operand_types(operator.get_op_assignment_info().map_or("", |info| info.5), lhs, value);
        }
    }

    fn assigned_constant(&mut self, name: &str, position: Position) {
        let message = format!("`{name}` is a constant, and can't be given another value");
        self.report(rules::ASSIGNED_CONSTANT, position, message).hint =
            Some("keep what changes in `vu.state`, or in a variable of the function".into());
    }

    /// `vu.id = 5`, `res.status = 200`: only of one step, as the owner of further ones is seldom evident.
    fn set_property(&mut self, lhs: &Expr) {
        let Expr::Dot(link, ..) = lhs else { return };
        let (Expr::Variable(variable, ..), Expr::Property(property, position)) = (&link.lhs, &link.rhs) else { return };
        let owner = self.visible(&variable.1).map_or(Type::Unknown, |(_, variable)| variable.ty);
        let name = property.2.as_str();
        let known = &self.world.known;
        if !owner.is_host() || !known.has_property(owner, name) || known.has_setter(owner, name) {
            return;
        }
        let message = format!("`{name}` of {} can't be set", owner.name());
        let hint = if owner == Type::Vu {
            "what a virtual user is to remember goes into `vu.state`"
        } else {
            "to compare, write `==`"
        };
        self.report(rules::READ_ONLY_PROPERTY, *position, message).hint = Some(hint.into());
    }
}

/// The variable that a chain begins with.
pub(super) fn root_of(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Variable(variable, ..) if variable.2.is_empty() => Some(&variable.1),
        Expr::Dot(link, ..) | Expr::Index(link, ..) => root_of(&link.lhs),
        _ => None,
    }
}

fn signatures_of_method(name: &str, owner: Type) -> Vec<String> {
    let prefix = match owner {
        Type::Response => "response",
        Type::Headers => "headers",
        Type::Selection => "selection",
        Type::XmlNode => "xmlnode",
        Type::Client => "client",
        Type::Jar => "jar",
        Type::Stream => "stream",
        Type::StreamEvent => "event",
        Type::CsvTable | Type::LineTable | Type::JsonTable => "table",
        Type::Metric => "metric",
        _ => return Vec::new(),
    };
    signatures(&format!("{prefix}.{name}")).into_iter().map(str::to_owned).collect()
}

fn plural(count: usize) -> String {
    match count {
        0 => "no arguments".into(),
        1 => "1 argument".into(),
        count => format!("{count} arguments"),
    }
}

/// "`a`, `b` or `c`".
pub(super) fn listed(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}
