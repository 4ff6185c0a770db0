//! The walk through a file: which names are visible where, and what type a value evidently has. The rules hang on to it,
//! each family in a file of its own.

use std::path::PathBuf;

use rhai::{ASTFlags, Expr, FnCallExpr, Position, Stmt};
use rustc_hash::FxHashSet;

use super::evident::Type;
use super::rules::{self, Rule};
use super::world::{Body, File, Function, World, type_of_constant};
use super::{Facts, hints};
use crate::script::error::{Diagnostic, Note, Place};

/// What declares a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `let`
    Let,
    /// `const`
    Const,
    /// A parameter, or the variable of a `catch`.
    Parameter,
    /// The variable of a `for`.
    Loop,
}

/// A variable that is visible.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub name: String,
    pub ty: Type,
    pub kind: Kind,
}

/// What a statement or block comes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Whether what follows is never reached.
    pub ends: bool,
    /// The type of its value.
    pub ty: Type,
}

impl Outcome {
    const UNKNOWN: Self = Self { ends: false, ty: Type::Unknown };

    fn of(ty: Type) -> Self {
        Self { ends: false, ty }
    }
}

/// The walk through one file.
pub(super) struct Walker<'w> {
    pub world: &'w World,
    pub file: &'w File,
    pub facts: &'w Facts<'w>,
    /// Whether it is the script itself, not something imported.
    pub is_main: bool,
    pub out: Vec<Diagnostic>,
    pub scope: Vec<Variable>,
    /// The function around; none at the top level.
    pub function: Option<&'w str>,
    /// How many `try` are around.
    pub tries: usize,
    /// How many closures are around.
    pub closures: usize,
    /// For each loop around, how many variables were visible before it.
    pub loops: Vec<usize>,
    pub aliases_used: FxHashSet<String>,
    /// The script's functions that something calls or names.
    pub functions_used: FxHashSet<String>,
    /// The variables of the environment that are missing.
    pub missing_env: Vec<String>,
    /// The data files that are named.
    pub data_files: Vec<PathBuf>,
}

impl<'w> Walker<'w> {
    /// A walk that begins.
    pub fn new(world: &'w World, index: usize, facts: &'w Facts<'w>) -> Self {
        Self {
            world,
            file: &world.files[index],
            facts,
            is_main: index == 0,
            out: Vec::new(),
            scope: Vec::new(),
            function: None,
            tries: 0,
            closures: 0,
            loops: Vec::new(),
            aliases_used: FxHashSet::default(),
            functions_used: FxHashSet::default(),
            missing_env: Vec::new(),
            data_files: Vec::new(),
        }
    }

    /// Walks through the whole file.
    pub fn file(&mut self) {
        let file = self.file;
        self.statements(file.ast.statements(), true);
        let constants: Vec<Variable> =
            std::mem::take(&mut self.scope).into_iter().filter(|variable| variable.kind == Kind::Const).collect();
        for function in &file.functions {
            self.scope.clone_from(&constants);
            self.loops.clear();
            self.function(function);
        }
    }

    fn function(&mut self, function: &'w Function) {
        self.function = Some(&function.name);
        let of_vu = self.is_main && self.world.is_called_with_vu(&function.name);
        for (index, name) in function.params.iter().enumerate() {
            let ty = if of_vu && index == 0 { Type::Vu } else { Type::Unknown };
            self.declare(name, ty, Kind::Parameter);
        }
        self.block(&function.body.statements, true);
    }

    /// Tells of a breach of a rule.
    pub fn report(&mut self, rule: &Rule, position: Position, message: impl Into<String>) -> &mut Diagnostic {
        self.out.push(self.file.diagnostic(rule, position, message));
        self.out.last_mut().expect("it was just pushed")
    }

    /// A note about a place of this file.
    pub fn note(&self, message: &str, position: Position) -> Note {
        Note { message: message.to_owned(), place: Some(Place::new(&self.file.name, position)) }
    }

    pub fn declare(&mut self, name: &str, ty: Type, kind: Kind) {
        // What is assigned to later may be anything by then.
        let fixed = kind == Kind::Const || !self.is_assigned(name);
        let ty = if fixed { ty } else { Type::Unknown };
        self.scope.push(Variable { name: name.to_owned(), ty, kind });
    }

    fn is_assigned(&self, name: &str) -> bool {
        self.file.assigned.contains(name) || self.file.lost.contains(name) || self.file.evals
    }

    pub fn visible(&self, name: &str) -> Option<(usize, &Variable)> {
        self.scope.iter().enumerate().rev().find(|(_, variable)| variable.name == name)
    }

    /// Whether what is here runs when the script is loaded.
    pub fn is_init(&self) -> bool {
        self.function.is_none() && self.closures == 0
    }

    /// A block with a scope of its own. `used` tells whether somebody may look at its value.
    pub fn block(&mut self, statements: &[Stmt], used: bool) -> Outcome {
        let before = self.scope.len();
        let outcome = self.statements(statements, used);
        self.scope.truncate(before);
        outcome
    }

    fn statements(&mut self, statements: &[Stmt], used: bool) -> Outcome {
        let mut outcome = Outcome::of(Type::Unit);
        let mut told = false;
        for (index, statement) in statements.iter().enumerate() {
            if outcome.ends && !told && !matches!(statement, Stmt::Noop(_)) {
                told = true;
                self.unreachable(&statements[index - 1], statement);
            }
            let is_last = index + 1 == statements.len();
            if !(is_last && used) {
                self.unused_result(statement);
            }
            let ended = outcome.ends;
            outcome = self.statement(statement, is_last && used);
            outcome.ends |= ended;
        }
        outcome
    }

    fn statement(&mut self, statement: &Stmt, used: bool) -> Outcome {
        match statement {
            Stmt::If(control, _) => {
                self.condition(&control.expr);
                let body = self.block(control.body.statements(), used);
                let branch = self.block(control.branch.statements(), used);
                let ty = if body.ty == branch.ty { body.ty } else { Type::Unknown };
                Outcome { ends: body.ends && branch.ends, ty }
            }
            Stmt::Switch(switch, _) => {
                self.expression(&switch.0);
                for case in &switch.1.expressions {
                    if !matches!(case.lhs, Expr::BoolConstant(..)) {
                        self.condition(&case.lhs);
                    }
                    self.expression(&case.rhs);
                }
                Outcome::UNKNOWN
            }
            Stmt::While(control, position) => {
                let is_loop = matches!(control.expr, Expr::Unit(_) | Expr::BoolConstant(true, _));
                if !is_loop {
                    self.condition(&control.expr);
                }
                self.loop_body(control.body.statements());
                let ends = is_loop && self.loop_without_end(control.body.statements(), *position);
                Outcome { ends, ty: Type::Unknown }
            }
            Stmt::Do(control, ..) => {
                self.loop_body(control.body.statements());
                if !matches!(control.expr, Expr::BoolConstant(..)) {
                    self.condition(&control.expr);
                }
                Outcome::UNKNOWN
            }
            Stmt::For(parts, _) => {
                let (variable, counter, control) = &**parts;
                let items = self.expression(&control.expr);
                let before = self.scope.len();
                self.loops.push(before);
                self.declare(&variable.name, items.element(), Kind::Loop);
                if let Some(counter) = counter {
                    self.declare(&counter.name, Type::Int, Kind::Loop);
                }
                self.block(control.body.statements(), false);
                self.loops.pop();
                self.scope.truncate(before);
                Outcome::UNKNOWN
            }
            Stmt::Var(variable, flags, _) => {
                let ty = self.expression(&variable.1);
                // A bare `let x;` is there to be given a value.
                let bare = matches!(variable.1, Expr::Unit(position) if position.is_none());
                let kind = if flags.intersects(ASTFlags::CONSTANT) { Kind::Const } else { Kind::Let };
                self.declare(&variable.0.name, if bare { Type::Unknown } else { ty }, kind);
                Outcome::of(Type::Unit)
            }
            Stmt::Assignment(assignment) => {
                let (operator, sides) = &**assignment;
                let value = self.expression(&sides.rhs);
                self.assignment(operator, &sides.lhs, &sides.rhs, value);
                Outcome::of(Type::Unit)
            }
            Stmt::FnCall(call, position) => {
                let ty = self.call(call, *position);
                Outcome { ends: ends_iteration(call), ty }
            }
            Stmt::Block(block) => self.block(block.statements(), used),
            Stmt::TryCatch(control, _) => {
                self.tries += 1;
                self.block(control.body.statements(), used);
                self.tries -= 1;
                let before = self.scope.len();
                if let Expr::Variable(variable, ..) = &control.expr {
                    self.declare(&variable.1.clone(), Type::Unknown, Kind::Parameter);
                }
                self.block(control.branch.statements(), used);
                self.scope.truncate(before);
                Outcome::UNKNOWN
            }
            Stmt::Expr(expression) => {
                let ends = matches!(&**expression, Expr::FnCall(call, _) if ends_iteration(call));
                Outcome { ends, ty: self.expression(expression) }
            }
            Stmt::BreakLoop(value, ..) => {
                self.all(value.iter().map(|value| &**value));
                Outcome { ends: true, ty: Type::Unknown }
            }
            Stmt::Return(value, ..) => {
                self.all(value.iter().map(|value| &**value));
                Outcome { ends: true, ty: Type::Unknown }
            }
            Stmt::Import(import, _) => {
                self.expression(&import.0);
                Outcome::of(Type::Unit)
            }
            _ => Outcome::of(Type::Unit),
        }
    }

    fn loop_body(&mut self, statements: &[Stmt]) {
        self.loops.push(self.scope.len());
        self.block(statements, false);
        self.loops.pop();
    }

    /// Several values.
    pub fn all<'e>(&mut self, expressions: impl IntoIterator<Item = &'e Expr>) {
        for expression in expressions {
            self.expression(expression);
        }
    }

    /// A value: tells what is wrong in it, and gives its type.
    pub fn expression(&mut self, expression: &Expr) -> Type {
        if let Some(closure) = self.file.closure(expression) {
            self.closure(expression, &closure, &[]);
            return Type::Function;
        }
        match expression {
            Expr::DynamicConstant(value, _) => type_of_constant(value),
            Expr::BoolConstant(..) => Type::Bool,
            Expr::IntegerConstant(..) => Type::Int,
            Expr::FloatConstant(..) => Type::Float,
            Expr::CharConstant(..) => Type::Char,
            Expr::StringConstant(..) => Type::Text,
            Expr::InterpolatedString(parts, _) => {
                self.all(parts.iter());
                Type::Text
            }
            Expr::Array(items, _) => {
                self.all(items.iter());
                Type::Array
            }
            Expr::Map(map, _) => {
                self.all(map.0.iter().map(|(_, value)| value));
                Type::Map
            }
            Expr::Unit(_) => Type::Unit,
            Expr::Variable(variable, _, position) => match variable.2.is_empty() {
                true => self.variable(&variable.1, *position),
                false => {
                    self.module(variable.2.root(), variable.2.position());
                    Type::Unknown
                }
            },
            Expr::Stmt(block) => self.block(block.statements(), true).ty,
            Expr::FnCall(call, position) => self.call(call, *position),
            Expr::Dot(..) | Expr::Index(..) => self.chain(expression),
            Expr::And(sides, _) | Expr::Or(sides, _) => {
                sides.iter().for_each(|side| self.condition(side));
                Type::Bool
            }
            Expr::Coalesce(sides, position) => {
                let mut ty = None;
                for side in sides.iter() {
                    let side = self.expression(side);
                    ty = ty.map_or(Some(side), |ty| Some(if ty == side { ty } else { Type::Unknown }));
                }
                self.coalesce(sides, *position);
                ty.unwrap_or(Type::Unknown)
            }
            _ => Type::Unknown,
        }
    }

    /// A closure that is called with values of these types.
    pub fn closure(&mut self, expression: &Expr, closure: &Body, arguments: &[Type]) -> Outcome {
        let before = self.scope.len();
        // What it captures comes first among its parameters, and is visible anyway.
        for (index, name) in closure.params.iter().skip(captured(expression).count()).enumerate() {
            let ty = arguments.get(index).copied().unwrap_or(Type::Unknown);
            self.declare(name, ty, Kind::Parameter);
        }
        self.closures += 1;
        let outcome = self.block(&closure.statements, true);
        self.closures -= 1;
        self.scope.truncate(before);
        outcome
    }

    fn variable(&mut self, name: &str, position: Position) -> Type {
        if let Some((_, variable)) = self.visible(name) {
            return variable.ty;
        }
        if self.file.function(name, None).is_some() {
            self.functions_used.insert(name.to_owned());
            return Type::Function;
        }
        let of_script = &self.world.files[0].constants;
        let is_known =
            self.function.is_some() && (self.file.constants.contains_key(name) || of_script.contains_key(name));
        // Constants of the script that imports a library are visible in it.
        let is_alone = self.facts.is_library && name.chars().all(|c| c.is_uppercase() || c.is_numeric() || c == '_');
        if is_known || is_alone || self.file.lost.contains(name) || self.file.evals {
            return Type::Unknown;
        }
        // At the top level, what is declared further down; in a function, what it does not see.
        let later = self.file.constants.get(name).filter(|_| self.function.is_none());
        let declared = self.file.variables.get(name).or(later).copied();
        let visible: Vec<&str> = self.scope.iter().map(|variable| variable.name.as_str()).collect();
        let near = self.file.nearest(name, visible.into_iter().chain(of_script.keys().map(String::as_str)));
        let is_init = self.function.is_none();
        let note = declared.map(|declared| self.note("declared here", declared));
        let diagnostic = match &note {
            Some(_) if self.function.is_none() => {
                self.report(rules::UNDEFINED_VARIABLE, position, format!("`{name}` is used before it is declared"))
            }
            Some(_) => self.report(
                rules::UNDEFINED_VARIABLE,
                position,
                format!("functions don't see `{name}`: it is a `let` of the top level"),
            ),
            None => self.report(rules::UNDEFINED_VARIABLE, position, format!("there is no variable `{name}`")),
        };
        diagnostic.hint = if note.is_some() && is_init {
            None
        } else if note.is_some() {
            Some("declare it with `const`, pass it as an argument, or keep it in `vu.state`".into())
        } else {
            hints::of_variable(name).or_else(|| near.map(|near| format!("did you mean `{near}`?")))
        };
        diagnostic.notes.extend(note);
        Type::Unknown
    }
}

/// The names that a closure captures, which Rhai hands to it as its first parameters.
pub(super) fn captured(expression: &Expr) -> impl Iterator<Item = &str> {
    let arguments = match expression {
        Expr::Stmt(block) => match block.statements() {
            [Stmt::Share(_), Stmt::Expr(inner)] => match &**inner {
                Expr::FnCall(call, _) => call.args.get(1..).unwrap_or_default(),
                _ => &[],
            },
            _ => &[],
        },
        _ => &[],
    };
    arguments.iter().filter_map(|argument| match argument {
        Expr::Variable(variable, ..) => Some(variable.1.as_str()),
        _ => None,
    })
}

/// Whether a call never returns.
fn ends_iteration(call: &FnCallExpr) -> bool {
    call.namespace.is_empty() && matches!(call.name.as_str(), "fail" | "abort") && call.args.len() == 1
}
