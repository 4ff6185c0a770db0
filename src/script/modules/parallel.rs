//! `parallel`: whole flows of a virtual user, side by side.
//!
//! Each flow is a function that runs as a script of its own: on its own stack from the worker's pool, with its own memory of
//! Rhai's, so that flows may wait in the middle of anything while others go on. They are the virtual user's all the same: one
//! budget, one cookie jar, one `vu.state`. What a closure has captured is copied for each flow; its group and its random choices
//! are its own.
//!
//! Flows lie in their VU's [`FlowSlot`] and are polled, and dropped, on the worker's stack alone: whoever ends the script that waits
//! for them empties the slot first.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rhai::{Array, Dynamic, Engine, FnPtr, Map};

use super::{FunctionDoc, HostModule, HostResult};
use crate::script::bridge::guard::Budget;
use crate::script::bridge::{self, Ending, Run, Surroundings};
use crate::script::calls::Calls;
use crate::script::context::{HostContext, Phase, VuContext};
use crate::script::error::host_error;
use crate::units;

/// The module.
pub const MODULE: HostModule =
    HostModule { name: "flows", summary: "Whole flows of one virtual user side by side.", docs: DOCS, register };

/// The most flows of one call.
const FLOWS_MAX: usize = 1_000;

/// The settings.
const SETTINGS: [&str; 2] = ["at_once", "timeout"];

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "parallel(flows) -> array or map",
        summary: "Runs functions side by side, as a page that loads in several parts does, and waits for all: an array gives an array of what they return, in order, a map gives a map. At once run at most 20 (the option `batch`). Flows share the virtual user's connections, cookies and `vu.state`; each has its own group, its own random choices, and its own copy of the variables that it has captured.",
        parameters: &[("flows", "An array or a map of functions without parameters.")],
        errors: "What a flow throws, as soon as it does: the other flows are cancelled. Within a flow, as flows can't be nested; in the script's init; when something is no function.",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let first = 1;
                let all = parallel([
                    || group(\"page\", || http::get(`${BASE}/`).status),
                    || {
                        let res = http::get(`${BASE}/item/${first}`);
                        think(1.ms);
                        http::get(`${BASE}/item/${res.json(\"id\") + 1}`).json(\"id\")
                    },
                ]);
                assert_eq(all, [200, 2]);
                let named = parallel(#{ one: || 1, two: || http::get(`${BASE}/health`).status });
                assert_eq(named, #{ one: 1, two: 200 });
                assert_error(|| parallel([|| http::get(`${BASE}/health`), || throw \"no stock\"]), \"no stock\");
            }
        ",
    },
    FunctionDoc {
        signature: "parallel(flows, settings) -> array or map",
        summary: "The same with settings: `at_once` (the most flows that run at one time) and `timeout` (how long all of them may take together).",
        parameters: &[("flows", "An array or a map of functions without parameters."), ("settings", "A map.")],
        errors: "The same; and when the time is over before all flows are.",
        example: "
            fn journey() {
                assert_eq(parallel([|| 1, || 2, || 3], #{ at_once: 1, timeout: 10.s }), [1, 2, 3]);
                assert_error(|| parallel([|| sleep(60.s)], #{ timeout: 10.ms }), \"not over within 10ms\");
            }
        ",
    },
];

fn register(engine: &mut Engine, context: &HostContext) {
    let host = context.clone();
    engine.register_fn("parallel", move |flows: Array| of_array(&host, flows, &Map::new()));
    let host = context.clone();
    engine.register_fn("parallel", move |flows: Array, settings: Map| of_array(&host, flows, &settings));
    let host = context.clone();
    engine.register_fn("parallel", move |flows: Map| of_map(&host, flows, &Map::new()));
    let host = context.clone();
    engine.register_fn("parallel", move |flows: Map, settings: Map| of_map(&host, flows, &settings));
}

/// The flows of a virtual user while they run.
#[derive(Default)]
pub struct FlowSlot {
    flows: Cell<Option<Box<Flows>>>,
    /// Whether code of a flow is running.
    within: Cell<bool>,
}

impl FlowSlot {
    /// Ends the flows. On the worker's own stack.
    pub fn abandon(&self) {
        drop(self.flows.take());
    }
}

/// What a flow's run needs.
struct FlowSurroundings {
    host: HostContext,
    vu: Rc<VuContext>,
    phase: Phase,
    budget: Rc<Budget>,
}

impl Surroundings for FlowSurroundings {
    fn enter(&self) {
        self.host.enter(self.phase, &self.vu);
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }
}

/// One flow.
struct Flow {
    index: usize,
    vu: Rc<VuContext>,
    budget: Rc<Budget>,
    /// None when it is over.
    run: Option<Run<'static, FlowSurroundings>>,
    group: u32,
    random: fastrand::Rng,
    computed: Duration,
}

impl Flow {
    /// Does something with what is this flow's own in its place.
    fn within<T>(&mut self, work: impl FnOnce(&mut Option<Run<'static, FlowSurroundings>>) -> T) -> T {
        let Self { vu, budget, run, group, random, computed, .. } = self;
        let mut swap = |within| {
            *group = vu.group.replace(*group);
            std::mem::swap(random, &mut vu.rng.borrow_mut());
            *computed = budget.exchange_computed(*computed);
            vu.flows.within.set(within);
        };
        swap(true);
        let result = work(run);
        swap(false);
        result
    }
}

impl Future for Flow {
    type Output = (usize, Ending);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<(usize, Ending)> {
        let flow = self.get_mut();
        let index = flow.index;
        flow.within(|run| {
            let Some(running) = run else { return Poll::Pending };
            let ended = Pin::new(running).poll(context);
            if ended.is_ready() {
                *run = None;
            }
            ended.map(|ending| (index, ending))
        })
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if self.run.is_some() {
            // Groups that are open in it are left.
            self.within(|run| drop(run.take()));
        }
    }
}

/// All flows of one call.
struct Flows {
    waiting: VecDeque<(usize, FnPtr)>,
    running: FuturesUnordered<Flow>,
    at_once: usize,
    results: Vec<Dynamic>,
    host: HostContext,
    calls: Rc<Calls>,
    vu: Rc<VuContext>,
    phase: Phase,
    budget: Rc<Budget>,
}

impl Flows {
    fn start(&mut self, index: usize, function: FnPtr) -> std::io::Result<Flow> {
        let surroundings = FlowSurroundings {
            host: self.host.clone(),
            vu: self.vu.clone(),
            phase: self.phase,
            budget: self.budget.clone(),
        };
        let calls = self.calls.clone();
        let run = Run::of_part(self.calls.stacks(), surroundings, move || calls.flow(&function))?;
        Ok(Flow {
            index,
            vu: self.vu.clone(),
            budget: self.budget.clone(),
            run: Some(run),
            group: self.vu.group.get(),
            random: self.vu.rng.borrow_mut().fork(),
            computed: Duration::ZERO,
        })
    }

    /// Gives the results when all flows have ended, or the first error.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<HostResult<Vec<Dynamic>>> {
        loop {
            while self.running.len() < self.at_once
                && let Some((index, function)) = self.waiting.pop_front()
            {
                match self.start(index, function) {
                    Ok(flow) => self.running.push(flow),
                    Err(error) => {
                        return Poll::Ready(Err(host_error(format!("`parallel`: no stack for a flow: {error}"))));
                    }
                }
            }
            let (index, ending) = match self.running.poll_next_unpin(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(std::mem::take(&mut self.results))),
                Poll::Ready(Some(ended)) => ended,
            };
            match ending {
                Ending::Returned(Ok(value)) => self.results[index] = value,
                Ending::Returned(Err(error)) => return Poll::Ready(Err(error)),
                // The budget is the virtual user's, whose script is ended for the same reason.
                Ending::Tripped(_, error) => {
                    return Poll::Ready(Err(error.unwrap_or_else(|| host_error("a flow was stopped"))));
                }
                Ending::Panicked(message) => {
                    return Poll::Ready(Err(host_error(format!("loadr's own code failed in a flow: {message}"))));
                }
            }
        }
    }
}

/// Runs flows side by side, and gives what they return, in order.
fn run(host: &HostContext, functions: Vec<FnPtr>, settings: &Map) -> HostResult<Vec<Dynamic>> {
    let vu = host.vu();
    let (Some(calls), Some(budget)) = (host.calls(), vu.budget.get().cloned()) else {
        return Err(bridge::WaitError::NoTask.into_script_error("run flows"));
    };
    if vu.flows.within.get() {
        return Err(host_error("`parallel` can't be called within a flow of another one: give all flows to one call"));
    }
    if functions.len() > FLOWS_MAX {
        return Err(host_error(format!(
            "`parallel` runs at most {FLOWS_MAX} flows, these are {}: let each do more, in a loop",
            functions.len()
        )));
    }
    let mut at_once = host.http().map_or(1, |http| http.options.batch.max(1) as usize);
    let mut timeout = None;
    for (name, value) in settings {
        match name.as_str() {
            "at_once" => {
                let count =
                    value.as_int().ok().and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0);
                at_once = count.ok_or_else(|| host_error("`parallel`: `at_once` must be a number from 1"))?;
            }
            "timeout" => {
                let wanted = value.read_lock::<Duration>().map(|duration| *duration);
                timeout =
                    Some(wanted.ok_or_else(|| host_error("`parallel`: `timeout` must be a duration such as `5.s`"))?);
            }
            unknown => {
                let hint = units::nearest(unknown, SETTINGS).map_or_else(
                    || format!("there are {}", SETTINGS.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(host_error(format!("`parallel` has no setting `{unknown}`: {hint}")));
            }
        }
    }
    let flows = Flows {
        results: vec![Dynamic::UNIT; functions.len()],
        waiting: functions.into_iter().enumerate().collect(),
        running: FuturesUnordered::new(),
        at_once,
        host: host.clone(),
        calls,
        phase: host.phase(),
        budget,
        vu: vu.clone(),
    };
    vu.flows.flows.set(Some(Box::new(flows)));
    let slot = vu.clone();
    let all = poll_fn(move |context| {
        let Some(mut flows) = slot.flows.flows.take() else { return Poll::Pending };
        let polled = flows.poll(context);
        if polled.is_pending() {
            slot.flows.flows.set(Some(flows));
        }
        polled
    });
    let slot = vu.clone();
    let bounded = async move {
        match timeout {
            None => all.await,
            Some(timeout) => match tokio::time::timeout(timeout, all).await {
                Ok(ended) => ended,
                Err(_) => {
                    slot.flows.abandon();
                    let shown = units::format::format_duration(timeout);
                    Err(host_error(format!("`parallel`: its flows were not over within {shown}")))
                }
            },
        }
    };
    bridge::wait(Box::pin(bounded)).map_err(|error| error.into_script_error("run flows"))?
}

/// A function that is to be a flow, with copies of what it has captured.
fn flow(value: Dynamic, which: &str) -> HostResult<FnPtr> {
    let mut function = value.flatten().try_cast_result::<FnPtr>().map_err(|found| {
        host_error(format!("`parallel` runs functions, {which} is {}", super::argument::short_type_name(&found)))
    })?;
    for captured in function.iter_curry_mut() {
        *captured = std::mem::take(captured).flatten();
    }
    Ok(function)
}

fn of_array(host: &HostContext, flows: Array, settings: &Map) -> HostResult<Array> {
    let functions = flows.into_iter().enumerate().map(|(index, value)| flow(value, &format!("number {}", index + 1)));
    run(host, functions.collect::<HostResult<_>>()?, settings)
}

fn of_map(host: &HostContext, flows: Map, settings: &Map) -> HostResult<Map> {
    let (names, values): (Vec<_>, Vec<_>) = flows.into_iter().unzip();
    let functions = names.iter().zip(values).map(|(name, value)| flow(value, &format!("`{name}`")));
    let results = run(host, functions.collect::<HostResult<_>>()?, settings)?;
    Ok(names.into_iter().zip(results).collect())
}
