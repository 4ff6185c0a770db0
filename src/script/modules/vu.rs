//! `vu`: the virtual user that a journey is given, and what functions that are not given it can ask and keep.

use std::rc::Rc;

use rhai::{Dynamic, Engine, ImmutableString};

use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::context::{HostContext, VuContext};
use crate::script::error::host_error;

/// The module.
pub const MODULE: HostModule =
    HostModule { name: "vu", summary: "The virtual user that runs a journey.", docs: DOCS, register };

/// The most values that a virtual user keeps by [`remember`].
const KEPT_MAX: usize = 1000;

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "vu.id -> int",
        summary: "Its number in the run, from 1.",
        parameters: &[],
        errors: "",
        example: "fn journey(vu) { assert_eq(vu.id >= 1, true); }",
    },
    FunctionDoc {
        signature: "vu.iteration -> int",
        summary: "Which of its iterations this is, from 0.",
        parameters: &[],
        errors: "",
        example: "fn journey(vu) { assert_eq(vu.iteration, 0); }",
    },
    FunctionDoc {
        signature: "vu.iteration_in_scenario -> int",
        summary: "Which iteration of the whole scenario this is, from 0: no two iterations of a run share it.",
        parameters: &[],
        errors: "",
        example: "fn journey(vu) { assert_eq(vu.iteration_in_scenario, 0); }",
    },
    FunctionDoc {
        signature: "vu.scenario -> string",
        summary: "The name of its scenario.",
        parameters: &[],
        errors: "",
        example: "fn journey(vu) { assert_eq(vu.scenario, \"default\"); }",
    },
    FunctionDoc {
        signature: "vu.state -> any",
        summary: "What the script wants to keep from one of its iterations to the next; at first an empty map.",
        parameters: &[],
        errors: "",
        example: "fn journey(vu) {\n    vu.state.visits = (vu.state.visits ?? 0) + 1;\n    assert_eq(vu.state.visits, 1);\n}",
    },
    FunctionDoc {
        signature: "vu::current() -> vu",
        summary: "The virtual user that runs this, for functions that are not handed it.",
        parameters: &[],
        errors: "",
        example: "
            fn journey(vu) { assert_eq(my_number(), vu.id); }
            fn my_number() { vu::current().id }
        ",
    },
    FunctionDoc {
        signature: "vu::remember(key, value)",
        summary: "Keeps a value for this virtual user until the run ends, apart from `vu.state`: what a library keeps, such as a token.",
        parameters: &[("key", "a text; begin it with the library's name"), ("value", "anything; `()` forgets it")],
        errors: "when a virtual user keeps more than 1000 values",
        example: "
            vu::remember(\"shop: token\", \"abc\");
            assert_eq(vu::recall(\"shop: token\"), \"abc\");
            vu::remember(\"shop: token\", ());
            assert_eq(vu::recall(\"shop: token\"), ());
        ",
    },
    FunctionDoc {
        signature: "vu::recall(key) -> any",
        summary: "What this virtual user keeps under a key, or `()`.",
        parameters: &[("key", "as it was given to `vu::remember`")],
        errors: "",
        example: "assert_eq(vu::recall(\"nobody kept this\"), ());",
    },
];

/// A virtual user, as a script holds it.
#[derive(Clone)]
pub struct VuHandle(pub Rc<VuContext>);

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    let host = context.clone();
    define(&mut natives, "current", move || VuHandle(host.vu()));
    let host = context.clone();
    define(&mut natives, "remember", move |key: ImmutableString, value: Dynamic| remember(&host.vu(), key, value));
    let host = context.clone();
    define(&mut natives, "recall", move |key: ImmutableString| {
        host.vu().kept.borrow().as_ref().and_then(|kept| kept.get(&key).cloned()).unwrap_or(Dynamic::UNIT)
    });
    publish(engine, context, MODULE.name, natives);
    engine.register_type_with_name::<VuHandle>("Vu");
    engine.register_get("id", |vu: &mut VuHandle| i64::from(vu.0.id));
    engine.register_get("iteration", |vu: &mut VuHandle| vu.0.iteration.get() as i64);
    engine.register_get("iteration_in_scenario", |vu: &mut VuHandle| vu.0.iteration_in_scenario.get() as i64);
    engine.register_get("scenario", |vu: &mut VuHandle| ImmutableString::from(&*vu.0.scenario.name));
    engine.register_get_set(
        "state",
        |vu: &mut VuHandle| vu.0.state.borrow().clone(),
        |vu: &mut VuHandle, value: Dynamic| *vu.0.state.borrow_mut() = value,
    );
}

/// Keeps a value, or forgets it where it is `()`.
fn remember(vu: &VuContext, key: ImmutableString, value: Dynamic) -> HostResult<()> {
    let mut kept = vu.kept.borrow_mut();
    if value.is_unit() {
        if let Some(kept) = &mut *kept {
            kept.remove(&key);
        }
        return Ok(());
    }
    let kept = kept.get_or_insert_default();
    if kept.len() >= KEPT_MAX && !kept.contains_key(&key) {
        return Err(host_error(format!(
            "`vu::remember`: this virtual user keeps {KEPT_MAX} values already: keep several in one map, or forget some"
        )));
    }
    // What a closure has captured is shared; a copy of it is kept.
    kept.insert(key, value.flatten());
    Ok(())
}
