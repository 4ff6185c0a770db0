//! Every documented example runs, and what is registered is what is documented.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, NativeCallContext, OptimizationLevel, Position};

use super::data::DataPool;
use super::{HostResult, TABLE};
use crate::script::context::{HostContext, Phase, Shared};
use crate::script::error::host_error;

/// An engine with every module, over `tests/fixtures`, and the two assertions that examples use.
fn engine(seed: u64) -> Engine {
    let base_dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let context = HostContext::new(Arc::new(Shared {
        base_dir,
        seed,
        data: DataPool::default(),
        env: Default::default(),
        log: Arc::new(|_| {}),
    }));
    let mut engine = Engine::new();
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_expr_depths(64, 64);
    for module in TABLE {
        (module.register)(&mut engine, &context);
    }
    engine.register_fn("assert_eq", assert_eq_values);
    engine.register_fn("assert_error", assert_error);
    engine
}

fn assert_eq_values(context: NativeCallContext<'_>, actual: Dynamic, expected: Dynamic) -> HostResult<()> {
    let texts = format!("{actual:?} is not {expected:?}");
    // To Rhai 1 and 1.0 are equal; which of them a function returns is part of its documentation.
    let same_type = actual.type_name() == expected.type_name();
    if same_type && context.call_fn::<bool>("==", (actual, expected))? { Ok(()) } else { Err(host_error(texts)) }
}

fn assert_error(context: NativeCallContext<'_>, function: FnPtr, part: ImmutableString) -> HostResult<()> {
    match function.call_within_context::<Dynamic>(&context, ()) {
        Ok(value) => Err(host_error(format!("expected an error with `{part}`, found the value {value:?}"))),
        Err(error) if message_of(&error).contains(part.as_str()) => Ok(()),
        Err(error) => Err(host_error(format!("expected an error with `{part}`, found `{}`", message_of(&error)))),
    }
}

fn message_of(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => message_of(inner),
        other => other.to_string(),
    }
}

#[test]
fn every_documented_example_holds() {
    for module in TABLE {
        for doc in module.docs {
            let engine = engine(1);
            if let Err(error) = engine.run(doc.example) {
                panic!("the example of `{}` fails: {error}\n{}", doc.signature, doc.example);
            }
        }
    }
}

#[test]
fn every_example_can_fail() {
    for doc in TABLE.iter().flat_map(|module| module.docs) {
        assert!(
            ["assert_eq(", "assert_error(", "throw"].iter().any(|word| doc.example.contains(word)),
            "the example of `{}` checks nothing",
            doc.signature
        );
    }
    assert!(engine(1).run("assert_eq(1, 2);").is_err());
    assert!(engine(1).run("assert_eq(1, 1.0);").is_err());
    assert!(engine(1).run("assert_error(|| 1, \"x\");").is_err());
    assert!(engine(1).run("assert_error(|| throw \"y\", \"x\");").is_err());
}

#[test]
fn every_function_of_a_module_is_documented_and_the_other_way_round() {
    let engine = engine(1);
    for module in TABLE.iter().filter(|module| !module.name.is_empty()) {
        let namespace = format!("{}::", module.name);
        let documented: BTreeSet<&str> = module
            .docs
            .iter()
            .flat_map(|doc| {
                doc.signature.match_indices(&namespace).map(|(at, _)| &doc.signature[at + namespace.len()..])
            })
            .map(|rest| rest.split('(').next().unwrap_or(rest))
            .collect();
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
    let base_dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let context = HostContext::new(Arc::new(Shared {
        base_dir,
        seed: 1,
        data: DataPool::default(),
        env: Default::default(),
        log: Arc::new(|_| {}),
    }));
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
