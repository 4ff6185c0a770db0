//! Loops that could run for ever without a look at a variable.
//!
//! A script that computes for too long fails at its next look at a variable, which gives the place. A loop without any is
//! ended without a place; but such loops are few, and can be found in the text.

use rhai::{ASTNode, Engine, Expr, Position, Stmt};

use crate::script::error::{Place, Sources};

/// The places of the loops of all files that look at no variable, call no function of a script and have no end: file by file,
/// from the top.
#[must_use]
pub fn unseen(engine: &Engine, sources: &Sources) -> Vec<Place> {
    let mut places = Vec::new();
    for name in sources.names() {
        let Some(Ok(ast)) = sources.get(&name).map(|text| engine.compile(&*text)) else { continue };
        let own: Vec<_> = ast.iter_functions().map(|function| function.name.to_owned()).collect();
        // Every loop, with those it is in; and those that look at something.
        let (mut found, mut seen): (Vec<(Position, Vec<Position>)>, Vec<Position>) = Default::default();
        ast.walk(&mut |path| {
            let loops = path.iter().filter_map(|node| match node {
                ASTNode::Stmt(Stmt::While(_, position) | Stmt::Do(_, _, position)) => Some(*position),
                _ => None,
            });
            match path.last() {
                Some(ASTNode::Stmt(Stmt::While(_, position) | Stmt::Do(_, _, position))) => {
                    found.push((*position, loops.filter(|outer| outer != position).collect()));
                }
                Some(
                    ASTNode::Expr(Expr::Variable(..))
                    | ASTNode::Stmt(Stmt::BreakLoop(..) | Stmt::Return(..) | Stmt::Assignment(..)),
                ) => seen.extend(loops),
                Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)))
                    if own.iter().any(|name| *name == call.name.as_str()) =>
                {
                    seen.extend(loops);
                }
                _ => {}
            }
            true
        });
        found.retain(|(position, _)| !seen.contains(position));
        // Who is in a loop without end does not come back to the one around it.
        let around: Vec<_> = found.iter().flat_map(|(_, outer)| outer.iter().copied()).collect();
        found.retain(|(position, _)| !around.contains(position));
        // Rhai keeps functions in no order.
        found.sort_by_key(|(position, _)| *position);
        places.extend(found.into_iter().map(|(position, _)| Place::new(&name, position)));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_that_nothing_ends_are_found() {
        let sources = Sources::default();
        let text = "fn a() {\n  loop { }\n  loop { let x = 1; x + 1; }\n  while true { 1 + 1; }\n  loop { break; }\n}\n\
                    fn b() {\n  loop { loop { a(); }\n loop { sleep(1); } }\n  do { } while true;\n  for x in 0..3 { }\n}";
        sources.insert("main.rhai", text.into());
        sources.insert("lib.rhai", "fn c() { loop { } }".into());
        let places: Vec<_> =
            unseen(&Engine::new_raw(), &sources).iter().map(|place| (place.source.clone(), place.line)).collect();
        let expected = [("lib.rhai", 1), ("main.rhai", 2), ("main.rhai", 4), ("main.rhai", 9), ("main.rhai", 10)];
        assert_eq!(places, expected.map(|(source, line)| (source.to_owned(), line)));
    }
}
