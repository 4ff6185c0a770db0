//! `metrics`: metrics of the script's own.

use std::time::Duration;

use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Map};

use super::{FunctionDoc, HostModule, Natives, check::tag_set, define, publish};
use crate::metric::{Contains, MetricId, MetricKind};
use crate::script::context::{HostContext, Phase};
use crate::script::error::host_error;
use crate::trace::{Recorded, Step};

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "metrics",
    summary: "Metrics of the script's own: they stand in the summary, and thresholds can be set on them.",
    docs: DOCS,
    register,
};

const NAME: (&str, &str) = ("name", "Letters, digits and `_`; up to 128.");
const DECLARED: &str =
    "When the name is not allowed, when it has another kind already, or outside of the script's top level.";

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "metrics::counter(name) -> Metric",
        summary: "Declares a metric that adds up: orders, bytes.",
        parameters: &[NAME],
        errors: DECLARED,
        example: "const ORDERS = metrics::counter(\"orders\");\nfn journey() { ORDERS.add(1); }",
    },
    FunctionDoc {
        signature: "metrics::gauge(name) -> Metric",
        summary: "Declares a metric that keeps its latest, smallest and largest value: a queue's length.",
        parameters: &[NAME],
        errors: DECLARED,
        example: "const QUEUE = metrics::gauge(\"queue_length\");\nfn journey() { QUEUE.add(12); }",
    },
    FunctionDoc {
        signature: "metrics::rate(name) -> Metric",
        summary: "Declares a metric that is the share of values that were true: cache hits.",
        parameters: &[NAME],
        errors: DECLARED,
        example: "const HITS = metrics::rate(\"cache_hits\");\nfn journey() { HITS.add(true); HITS.add(0); }",
    },
    FunctionDoc {
        signature: "metrics::trend(name) -> Metric",
        summary: "Declares a metric that is a distribution of numbers, with percentiles: items in a cart.",
        parameters: &[NAME],
        errors: DECLARED,
        example: "const ITEMS = metrics::trend(\"cart_items\");\nfn journey() { ITEMS.add(3); }",
    },
    FunctionDoc {
        signature: "metrics::trend(name, is_time) -> Metric",
        summary: "Declares a distribution of times: `add` takes durations, or numbers of milliseconds.",
        parameters: &[NAME, ("is_time", "Whether its values are times.")],
        errors: DECLARED,
        example: "const WAIT = metrics::trend(\"payment_wait\", true);\nfn journey() { WAIT.add(20.ms); WAIT.add(12.5); }",
    },
    FunctionDoc {
        signature: "metric.add(value)",
        summary: "Adds a value to a metric.",
        parameters: &[("value", "A number; for rates a boolean or a number; for times also a duration.")],
        errors: "When the value does not fit the metric: a negative value for a counter or a trend, a text.",
        example: "const ORDERS = metrics::counter(\"orders\");\nfn journey() { ORDERS.add(2); }",
    },
    FunctionDoc {
        signature: "metric.add(value, tags)",
        summary: "Adds a value with tags, for thresholds such as `orders{kind:gift}`.",
        parameters: &[("value", "A number, boolean or duration."), ("tags", "A map from tag names to texts.")],
        errors: "When the value does not fit the metric, or a tag is no text, number or boolean.",
        example: "const ORDERS = metrics::counter(\"orders\");\nfn journey() { ORDERS.add(1, #{ kind: \"gift\" }); }",
    },
];

/// A metric, as a script holds it.
#[derive(Clone, Debug)]
pub struct Metric {
    id: MetricId,
    kind: MetricKind,
    name: ImmutableString,
}

fn register(engine: &mut Engine, context: &HostContext) {
    engine.register_type_with_name::<Metric>("Metric");
    let mut natives = Natives::default();
    for (name, kind) in [
        ("counter", MetricKind::Counter),
        ("gauge", MetricKind::Gauge),
        ("rate", MetricKind::Rate),
        ("trend", MetricKind::Trend),
    ] {
        let host = context.clone();
        define(&mut natives, name, move |name: ImmutableString| declare(&host, name, kind, Contains::Default));
    }
    let host = context.clone();
    define(&mut natives, "trend", move |name: ImmutableString, is_time: bool| {
        declare(&host, name, MetricKind::Trend, if is_time { Contains::Time } else { Contains::Default })
    });
    publish(engine, context, "metrics", natives);
    let host = context.clone();
    engine.register_fn("add", move |metric: &mut Metric, value: Dynamic| add(&host, metric, &value, 0));
    let host = context.clone();
    engine.register_fn("add", move |metric: &mut Metric, value: Dynamic, tags: Map| {
        let tags = tag_set(&host, &tags)?;
        add(&host, metric, &value, tags)
    });
    engine.register_get("name", |metric: &mut Metric| metric.name.clone());
}

fn declare(
    host: &HostContext,
    name: ImmutableString,
    kind: MetricKind,
    contains: Contains,
) -> Result<Metric, Box<EvalAltResult>> {
    if host.phase() != Phase::Init {
        return Err(host_error(format!(
            "metric `{name}` must be declared at the top level of the script: `const METRIC = metrics::...(\"{name}\");`"
        )));
    }
    let id = host.metric(&name, kind, contains).map_err(|error| host_error(error.to_string()))?;
    Ok(Metric { id, kind, name })
}

fn add(host: &HostContext, metric: &Metric, value: &Dynamic, tags: u32) -> Result<(), Box<EvalAltResult>> {
    let number = if let Ok(number) = value.as_int() {
        number as f64
    } else if let Ok(number) = value.as_float() {
        number
    } else if let Ok(flag) = value.as_bool() {
        f64::from(u8::from(flag))
    } else if let Some(duration) = value.read_lock::<Duration>() {
        duration.as_secs_f64() * 1e3
    } else {
        return Err(host_error(format!("metric `{}` takes numbers, this is {}", metric.name, value.type_name())));
    };
    if !number.is_finite() || number < 0.0 && metric.kind != MetricKind::Gauge {
        return Err(host_error(format!("metric `{}` takes no value like {number}", metric.name)));
    }
    let Some((recorder, series)) = host.recording() else { return Ok(()) };
    let vu = host.vu();
    let series = series.borrow_mut().value(recorder, metric.id, vu.scenario.index, vu.group.get(), tags);
    match metric.kind {
        MetricKind::Counter => recorder.count(series, number),
        MetricKind::Gauge => recorder.gauge(series, number),
        MetricKind::Rate => recorder.rate(series, number != 0.0),
        MetricKind::Trend => recorder.trend(series, (number * 1e3).round() as u64),
    }
    if let Some(tracer) = host.tracer() {
        let is_time = recorder.catalogue().get(metric.id).contains == Contains::Time;
        let tags = host.recording().map(|(_, series)| series.borrow().tags_of(tags)).unwrap_or_default();
        let (name, kind) = (metric.name.to_string(), metric.kind);
        tracer.tell(vu.id, Step::Recorded(Recorded { metric: name, kind, is_time, value: number, tags }));
    }
    Ok(())
}
