//! `vu`: the virtual user that a journey is given.

use std::rc::Rc;

use rhai::{Dynamic, Engine, ImmutableString};

use super::{FunctionDoc, HostModule};
use crate::script::context::{HostContext, VuContext};

/// The module.
pub const MODULE: HostModule =
    HostModule { name: "", summary: "The virtual user that a journey is given.", docs: DOCS, register };

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
];

/// A virtual user, as a script holds it.
#[derive(Clone)]
pub struct VuHandle(pub Rc<VuContext>);

fn register(engine: &mut Engine, _context: &HostContext) {
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
