//! Gives words of a script other names while it is compiled, at chosen places: how files are kept apart.
//!
//! Rhai looks functions up by name and number of arguments in all files that are being run, and remembers what it found
//! whatever the file. So a helper of an imported file would be taken for one of the script's own with the same name, or the
//! other way round, from the second call on. [`Renames::isolate`] lets each file call its own functions by names that no
//! other file has.

use std::cell::RefCell;
use std::rc::Rc;

use rhai::{AST, ASTNode, Engine, Expr, FnCallExpr, ImmutableString, Module, ParseError, Position, Stmt, Token};
use rustc_hash::{FxHashMap, FxHashSet};

use super::error::CLOSURE_PREFIX;

/// Stands between a function's name and the number of its file. It has to be the middle of an identifier: Rhai looks for
/// functions with other names among its own only.
const MARK: &str = "__of_file_";

/// What is renamed in the text that is being compiled. An engine has one.
#[derive(Clone, Default)]
pub struct Renames(Rc<RefCell<FxHashMap<Position, String>>>);

impl Renames {
    /// Lets an engine ask here for each word that it compiles.
    pub fn install(&self, engine: &mut Engine) {
        let names = self.0.clone();
        #[expect(deprecated, reason = "volatile, Rhai says, not deprecated")]
        engine.on_parse_token(move |token, position, _| match token {
            Token::Identifier(word) => {
                let word = names.borrow().get(&position).map_or(word, |name| Box::new(name.as_str().into()));
                Token::Identifier(word)
            }
            // To Rhai `debug` is a word of its own and may not follow `log::`; as a plain name it still finds Rhai's
            // `debug(value)`.
            Token::Reserved(word) if word.as_str() == "debug" => Token::Identifier(word),
            token => token,
        });
    }

    /// Compiles a text with the words at these places renamed; `engine` is one that asks here.
    ///
    /// # Errors
    /// When it does not parse.
    fn compile(&self, engine: &Engine, text: &str, names: FxHashMap<Position, String>) -> Result<AST, ParseError> {
        self.0.replace(names);
        let compiled = engine.compile(text);
        self.0.borrow_mut().clear();
        compiled
    }

    /// Compiles a file, in which calls of its own functions can mean no other's. `number` is the file's own.
    ///
    /// # Errors
    /// When it does not parse.
    pub fn isolate(&self, engine: &Engine, text: &str, number: usize) -> Result<AST, ParseError> {
        let ast = engine.compile(text)?;
        let functions: FxHashSet<(&str, usize)> =
            ast.iter_functions().map(|function| (function.name, function.params.len())).collect();
        let mut calls = FxHashMap::default();
        let mut note = |call: &FnCallExpr, position: Position| {
            if !call.is_qualified() && functions.contains(&(call.name.as_str(), call.args.len())) {
                calls.insert(position, marked(&call.name, number));
            }
        };
        ast.walk(&mut |path| {
            if let Some(ASTNode::Expr(Expr::FnCall(call, position)) | ASTNode::Stmt(Stmt::FnCall(call, position))) =
                path.last()
            {
                note(call, *position);
            }
            true
        });
        if calls.is_empty() {
            return Ok(ast);
        }
        let called: FxHashSet<String> = calls.values().cloned().collect();
        let ast = self.compile(engine, text, calls)?;
        let mut library: Module = ast.shared_lib().as_ref().clone();
        let own: Vec<_> = library.iter_script_fn_info().map(|(_, _, _, _, function)| function.clone()).collect();
        for function in own {
            let name = marked(&function.name, number);
            if called.contains(&name) {
                let mut alias = (*function).clone();
                alias.name = ImmutableString::from(name);
                library.set_script_fn(alias);
            }
        }
        Ok(AST::new(ast.statements().iter().cloned(), library))
    }
}

fn marked(name: &str, number: usize) -> String {
    format!("{name}{MARK}{number}")
}

/// The name of a function as it stands in the script.
#[must_use]
pub fn written(name: &str) -> &str {
    name.split_once(MARK).map_or(name, |(written, _)| written)
}

/// Whether a function is one that the script's author knows by this name: neither a closure nor renamed.
#[must_use]
pub fn is_written(name: &str) -> bool {
    !name.starts_with(CLOSURE_PREFIX) && !name.contains(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_renamed_where_it_is_said() {
        let renames = Renames::default();
        let mut engine = Engine::new();
        renames.install(&mut engine);
        let names = FxHashMap::from_iter([(Position::new(1, 1), "one".to_owned())]);
        let ast = renames.compile(&engine, "callee() + 2; fn one() { 1 }", names);
        assert_eq!(engine.eval_ast::<i64>(&ast.expect("it parses")).expect("it runs"), 3);
    }

    #[test]
    fn a_file_calls_its_own_functions_by_names_of_its_own() {
        let renames = Renames::default();
        let mut engine = Engine::new();
        renames.install(&mut engine);
        let text =
            "fn a(x) { b(x) + `${b(1)}`.len + b() } fn b(x) { if x == 0 { 0 } else { b(x - 1) } } const b = 1; a.b(1)";
        let ast = renames.isolate(&engine, text, 7).expect("it parses");
        let mut names: Vec<_> = ast.iter_functions().map(|function| function.name.to_owned()).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "b__of_file_7"]);
        assert!(!is_written("b__of_file_7") && is_written("b"));
        assert_eq!(written("b__of_file_7"), "b");
    }
}
