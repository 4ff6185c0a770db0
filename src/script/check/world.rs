//! The script with all that it imports: each file parsed and looked over once, before the rules walk through it.

use std::rc::Rc;

use rhai::{AST, ASTNode, Dynamic, Engine, Expr, FnPtr, Position, Stmt};
use rustc_hash::{FxHashMap, FxHashSet};

use super::evident::Type;
use super::known::Known;
use super::parse::parse;
use super::rules::{self, Rule};
use super::text::{SourceText, tokens};
use crate::script::error::{CLOSURE_PREFIX, Diagnostic, Note, Place, Sources};
use crate::script::source;
use crate::units;

/// The body of a function or closure. Rhai shows the statements of a function only while it walks through them, so they
/// are copied then.
pub struct Body {
    /// The names of its parameters; of a closure, those that it captures come first.
    pub params: Vec<String>,
    /// Its statements.
    pub statements: Vec<Stmt>,
    /// Where it begins.
    pub start: Position,
    /// Where it ends; of a closure without braces, nowhere.
    pub end: Position,
}

/// A function of a file.
pub struct Function {
    /// Its name.
    pub name: String,
    /// The names of its parameters.
    pub params: Vec<String>,
    /// Whether other files can't call it.
    pub private: bool,
    /// Its body.
    pub body: Rc<Body>,
}

/// An import of a file.
pub struct Import {
    /// The name that it has here; none when it has none.
    pub alias: Option<String>,
    /// Which file it is, a number among those of the [`World`]; none when it is not there.
    pub target: Option<usize>,
    /// Where its path stands.
    pub position: Position,
    /// Where its alias stands.
    pub alias_position: Position,
}

/// A file of the script.
pub struct File {
    /// Its name, as diagnostics show it.
    pub name: String,
    /// Its text.
    pub text: SourceText,
    /// What could be parsed of it.
    pub ast: AST,
    /// Its functions, closures left out.
    pub functions: Vec<Function>,
    /// Its closures, by Rhai's names for them.
    pub closures: FxHashMap<String, Rc<Body>>,
    /// What it imports.
    pub imports: Vec<Import>,
    /// The constants of its top level, and where they are declared.
    pub constants: FxHashMap<String, Position>,
    /// The variables of its top level, and where they are declared.
    pub variables: FxHashMap<String, Position>,
    /// The names that something is assigned to anywhere.
    pub assigned: FxHashSet<String>,
    /// The words of what could not be parsed.
    pub lost: FxHashSet<String>,
    /// Whether it uses `eval`, which may declare anything.
    pub evals: bool,
}

/// The script and its imports. The script itself is file 0.
pub struct World {
    /// All files.
    pub files: Vec<File>,
    /// What loadr has.
    pub known: Known,
    /// The keys of maps, and properties that are assigned to, anywhere: what a map can hold a function under.
    pub keys: FxHashSet<String>,
    /// The functions that scenarios name.
    pub execs: FxHashSet<String>,
    /// The functions that something calls, by name.
    pub called: FxHashSet<String>,
    /// What is wrong with the files themselves: what can't be read or parsed.
    pub found: Vec<Diagnostic>,
}

impl World {
    /// Reads, parses and looks over a script and what it imports. The script's own text must be among the sources.
    #[must_use]
    pub fn open(engine: &Engine, sources: &Sources, name: &str) -> Self {
        let mut world = Self {
            files: Vec::new(),
            known: Known::new(engine),
            keys: FxHashSet::default(),
            execs: FxHashSet::default(),
            called: FxHashSet::default(),
            found: Vec::new(),
        };
        if let Some(text) = sources.get(name) {
            world.add(engine, sources, name, text, &mut Vec::new());
        }
        world
    }

    fn add(
        &mut self,
        engine: &Engine,
        sources: &Sources,
        name: &str,
        text: std::sync::Arc<str>,
        loading: &mut Vec<String>,
    ) -> usize {
        let text = SourceText::new(text);
        let parsed = parse(engine, name, &text);
        self.found.extend(parsed.errors);
        let mut file = File {
            name: name.to_owned(),
            text,
            ast: parsed.ast,
            functions: Vec::new(),
            closures: FxHashMap::default(),
            imports: Vec::new(),
            constants: FxHashMap::default(),
            variables: FxHashMap::default(),
            assigned: FxHashSet::default(),
            lost: parsed.lost,
            evals: false,
        };
        let paths = file.look_over(self);
        let index = self.files.len();
        self.files.push(file);
        loading.push(name.to_owned());
        for (path, mut import) in paths {
            import.target = path.and_then(|path| self.import(engine, sources, index, &path, import.position, loading));
            self.files[index].imports.push(import);
        }
        loading.pop();
        index
    }

    fn import(
        &mut self,
        engine: &Engine,
        sources: &Sources,
        importer: usize,
        path: &str,
        position: Position,
        loading: &mut Vec<String>,
    ) -> Option<usize> {
        let name = source::source_name(path, Some(&self.files[importer].name));
        let fail = |world: &mut Self, rule, message: String| {
            let file = &world.files[importer];
            world.found.push(file.diagnostic(rule, position, message));
            None
        };
        if loading.contains(&name) {
            let chain = loading.join("` imports `");
            return fail(self, rules::IMPORT_CYCLE, format!("imports go in a circle: `{chain}` imports `{name}`"));
        }
        if let Some(known) = self.files.iter().position(|file| file.name == name) {
            return Some(known);
        }
        match source::read(path, &name, sources) {
            Ok(text) => {
                let place = Place::new(&self.files[importer].name, position);
                let before = self.found.len();
                let index = self.add(engine, sources, &name, text, loading);
                let note = Note { message: "imported at".into(), place: Some(place) };
                for found in self.found[before..].iter_mut().filter(|found| found.place.source == name) {
                    found.notes.push(note.clone());
                }
                Some(index)
            }
            Err(message) => fail(self, rules::MISSING_IMPORT, message),
        }
    }

    /// Whether loadr alone calls a function of the script, with the virtual user as its first argument.
    #[must_use]
    pub fn is_called_with_vu(&self, name: &str) -> bool {
        let by_loadr = matches!(name, "journey" | "vu_start" | "vu_stop") || self.execs.contains(name);
        by_loadr && !self.called.contains(name)
    }
}

impl File {
    /// A diagnostic about a place of this file.
    #[must_use]
    pub fn diagnostic(&self, rule: &Rule, position: Position, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: rule.severity,
            code: rule.code,
            length: self.text.length(position),
            ..Diagnostic::error(message, Place::new(&self.name, position))
        }
    }

    /// The function of that name with that many parameters, else any of that name.
    #[must_use]
    pub fn function(&self, name: &str, params: Option<usize>) -> Option<&Function> {
        self.functions
            .iter()
            .find(|function| function.name == name && params.is_none_or(|params| function.params.len() == params))
    }

    /// The numbers of parameters that a function of that name has.
    #[must_use]
    pub fn arities(&self, name: &str) -> Vec<usize> {
        let functions = self.functions.iter().filter(|function| function.name == name);
        functions.map(|function| function.params.len()).collect()
    }

    /// The file that an alias stands for: none when there is no such alias, none in it when the file is not there.
    #[must_use]
    pub fn alias(&self, name: &str) -> Option<Option<usize>> {
        self.imports.iter().find(|import| import.alias.as_deref() == Some(name)).map(|import| import.target)
    }

    /// Where a function's name stands in its definition.
    #[must_use]
    pub fn place_of(&self, function: &str) -> Option<Place> {
        let text = self.text.as_str();
        let (line, column) = self.text.line_column(super::syntax::definition(text, &tokens(text), function)?);
        Some(Place { source: self.name.clone(), line, column })
    }

    /// The closure that an expression makes, if it makes one.
    #[must_use]
    pub fn closure(&self, expression: &Expr) -> Option<Rc<Body>> {
        let constant = match expression {
            Expr::Stmt(block) => match block.statements() {
                [Stmt::Share(_), Stmt::Expr(inner)] => match &**inner {
                    Expr::FnCall(call, _) if call.name == "curry" => call.args.first()?,
                    _ => return None,
                },
                _ => return None,
            },
            other => other,
        };
        let Expr::DynamicConstant(value, _) = constant else { return None };
        let pointer = value.read_lock::<FnPtr>()?;
        self.closures.get(pointer.fn_name()).cloned()
    }

    /// Collects what the rules ask for; gives the imports with their paths, where these are known.
    fn look_over(&mut self, world: &mut World) -> Vec<(Option<String>, Import)> {
        let library = self.ast.shared_lib().clone();
        let mut bodies: Vec<Body> = Vec::new();
        let mut names = Vec::new();
        for (_, access, name, _, definition) in library.iter_script_fn_info() {
            names.push((name.to_owned(), access == rhai::FnAccess::Private));
            bodies.push(Body {
                params: definition.params.iter().map(ToString::to_string).collect(),
                statements: Vec::new(),
                start: definition.body.start_position(),
                end: definition.body.end_position(),
            });
        }
        let mut by_start: Vec<usize> = (0..bodies.len()).collect();
        by_start.sort_by_key(|&index| bodies[index].start);
        for statement in self.ast.statements() {
            if let Stmt::Var(variable, flags, _) = statement {
                let (name, position) = (variable.0.name.to_string(), variable.0.pos);
                if flags.intersects(rhai::ASTFlags::CONSTANT) {
                    self.constants.insert(name, position);
                } else {
                    self.variables.insert(name, position);
                }
            }
        }
        let mut paths = Vec::new();
        let (mut assigned, mut evals) = (FxHashSet::default(), false);
        let mut of_top_level = self.ast.statements().len();
        self.ast.walk(&mut |path: &[ASTNode]| {
            if let [ASTNode::Stmt(statement)] = path {
                match of_top_level.checked_sub(1) {
                    Some(left) => of_top_level = left,
                    None => {
                        if let Some(index) = innermost(&bodies, &by_start, statement.position()) {
                            bodies[index].statements.push((*statement).clone());
                        }
                    }
                }
            }
            match path.last() {
                Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => match &assignment.1.lhs {
                    Expr::Variable(variable, ..) => drop(assigned.insert(variable.1.to_string())),
                    Expr::Dot(..) | Expr::Index(..) => {
                        world.keys.extend(last_property(&assignment.1.lhs));
                    }
                    _ => {}
                },
                Some(ASTNode::Stmt(Stmt::Import(import, _))) => {
                    let path = match &import.0 {
                        Expr::StringConstant(path, _) => Some(path.to_string()),
                        _ => None,
                    };
                    let alias = Some(import.1.name.to_string()).filter(|alias| !alias.is_empty());
                    let (position, alias_position) = (import.0.position(), import.1.pos);
                    paths.push((path, Import { alias, target: None, position, alias_position }));
                }
                Some(ASTNode::Expr(Expr::Map(map, _))) => {
                    world.keys.extend(map.0.iter().map(|(key, _)| key.name.to_string()));
                    world.execs.extend(map.0.iter().filter_map(|(key, value)| match value {
                        Expr::StringConstant(name, _) if key.name == "exec" => Some(name.to_string()),
                        _ => None,
                    }));
                }
                Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)))
                    if !call.is_operator_call() =>
                {
                    evals |= call.name == "eval";
                    let named = call.args.first().filter(|_| call.name == "Fn");
                    world.called.insert(match named {
                        Some(Expr::StringConstant(name, _)) => name.to_string(),
                        _ => call.name.to_string(),
                    });
                }
                _ => {}
            }
            true
        });
        self.assigned = assigned;
        self.evals = evals;
        for ((name, private), body) in names.into_iter().zip(bodies) {
            let body = Rc::new(body);
            if name.starts_with(CLOSURE_PREFIX) {
                self.closures.insert(name, body);
            } else {
                self.functions.push(Function { name, params: body.params.clone(), private, body });
            }
        }
        self.functions.sort_by_key(|function| function.body.start);
        paths.sort_by_key(|(_, import)| import.position);
        paths
    }

    /// The name nearest to a misspelt one among the names of this file and those given.
    #[must_use]
    pub fn nearest<'a>(&'a self, word: &str, more: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let own = self.functions.iter().map(|function| function.name.as_str());
        units::nearest(word, own.chain(more)).map(str::to_owned)
    }
}

/// The function or closure whose body a statement stands in: of those around it the one that begins last.
fn innermost(bodies: &[Body], by_start: &[usize], position: Position) -> Option<usize> {
    let begun = by_start.partition_point(|&index| bodies[index].start <= position);
    by_start[..begun].iter().rev().copied().find(|&index| {
        let body = &bodies[index];
        if body.end.is_none() { body.start == position } else { position <= body.end }
    })
}

/// The name of the property, or the constant key, at the end of a chain.
fn last_property(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => last_property(&chain.rhs),
        Expr::Property(property, _) => Some(property.2.to_string()),
        Expr::StringConstant(key, _) => Some(key.to_string()),
        _ => None,
    }
}

/// The type of a constant that the parser has made whole.
#[must_use]
pub fn type_of_constant(value: &Dynamic) -> Type {
    if value.is::<FnPtr>() {
        Type::Function
    } else if value.is_array() {
        Type::Array
    } else if value.is_map() {
        Type::Map
    } else {
        Type::Unknown
    }
}
