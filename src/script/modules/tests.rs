//! What is registered is what is documented. That the documented examples hold is in `tests/examples.rs`: some of them
//! need a server.

use std::collections::BTreeSet;

use rhai::{Engine, OptimizationLevel, Position};

use super::{FunctionDoc, TABLE};
use crate::script::context::{HostContext, Phase};
use crate::script::tests::shared;

/// An engine with every module, over `tests/fixtures`.
fn engine(seed: u64) -> Engine {
    let context = HostContext::new(shared(seed));
    let mut engine = Engine::new();
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_expr_depths(64, 64);
    for module in TABLE {
        (module.register)(&mut engine, &context);
    }
    engine
}

#[test]
fn every_example_uses_what_it_documents() {
    for doc in TABLE.iter().flat_map(|module| module.docs) {
        for name in doc.names() {
            let name = name.rsplit(['.', ':']).next().unwrap_or_default();
            let called = doc.signature.contains(&format!("{name}("));
            assert!(!called || doc.example.contains(name), "the example of `{}` does without it", doc.signature);
        }
    }
}

#[test]
fn every_function_of_a_module_is_documented_and_the_other_way_round() {
    let engine = engine(1);
    for module in TABLE.iter().filter(|module| !module.name.is_empty()) {
        let namespace = format!("{}::", module.name);
        let names = module.docs.iter().flat_map(FunctionDoc::names);
        let documented: BTreeSet<&str> = names.filter_map(|name| name.strip_prefix(&namespace)).collect();
        let registered = registered_names(&engine, module.name);
        let registered: BTreeSet<&str> = registered.iter().map(String::as_str).collect();
        assert_eq!(documented, registered, "functions of `{}`: documented, registered", module.name);
    }
}

fn registered_names(engine: &Engine, namespace: &str) -> BTreeSet<String> {
    let prefix = [namespace.to_owned()];
    engine
        .collect_fn_metadata(
            None,
            |info| (info.namespace.as_str() == prefix[0]).then(|| info.metadata.name.to_string()),
            false,
        )
        .into_iter()
        .collect()
}

#[test]
fn one_seed_makes_the_same_choices() {
    let script = "[random::int(0, 1000000), random::float(), random::uuid(), random::string(8), random::shuffle([1, 2, 3, 4, 5])]";
    let draw = |seed| engine(seed).eval::<rhai::Array>(script).map(|values| format!("{values:?}")).unwrap();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn errors_carry_the_place_of_the_call() {
    let error = engine(1).run("let x = 1;\n  random::int(5, 1);").unwrap_err();
    assert_eq!(error.position(), Position::new(2, 11));
    assert_eq!(error.to_string(), "Runtime error: `random::int`: `min` 5 is more than `max` 1 (line 2, position 11)");
}

#[test]
fn data_files_are_opened_in_init_alone() {
    let context = HostContext::new(shared(1));
    let mut engine = Engine::new();
    (super::data::MODULE.register)(&mut engine, &context);
    assert!(engine.run("data::lines(\"words.txt\")").is_ok());
    for phase in [Phase::Setup, Phase::Vu, Phase::Teardown] {
        context.enter(phase, &context.vu());
        assert_eq!(
            engine.run("data::lines(\"words.txt\")").unwrap_err().to_string(),
            "Runtime error: `data::lines` reads a file for the whole run, so it belongs to the top level of the script: \
             `const ROWS = data::lines(\"words.txt\");` (line 1, position 7)"
        );
    }
}

#[test]
fn signatures_give_their_names() {
    let table: &[(&str, &[&str])] = &[
        ("random::int(min, max) -> int", &["random::int"]),
        ("random::string(n) -> string, random::string(n, alphabet) -> string", &["random::string", "random::string"]),
        ("response.status -> int", &["response.status"]),
        ("number.us, number.ms -> duration", &["number.us", "number.ms"]),
        ("table.len -> int, table.len() -> int", &["table.len", "table.len"]),
        ("check(value, conditions) -> bool", &["check"]),
        ("table[index] -> row", &[]),
        ("duration < duration, <=, == -> bool", &[]),
        ("duration..duration, duration..=duration -> duration range", &[]),
        ("for row in table", &[]),
    ];
    for &(signature, names) in table {
        let doc = FunctionDoc { signature, summary: "", parameters: &[], errors: "", example: "" };
        assert_eq!(doc.names().collect::<Vec<_>>(), names, "{signature}");
    }
}
