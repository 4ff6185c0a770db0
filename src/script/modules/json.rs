//! JSON texts and script values. Responses have `res.json(path)`; this is for everything else.

use bytes::Bytes;
use rhai::{Dynamic, Engine, ImmutableString, Module};

use super::argument::Data;
use super::{FunctionDoc, HostModule, HostResult, define, publish};
use crate::script::bridge::on_worker_stack;
use crate::script::context::HostContext;
use crate::script::error::host_error;
use crate::script::json_path::{JsonPath, JsonPathError};
use crate::script::json_value::stringify;
use crate::script::lazy_json::{JsonError, LazyJson};
use crate::script::worker_cache::WorkerCache;

/// How many parsed paths a worker remembers.
pub const PATHS_MAX: usize = 256;

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "json",
    summary: "JSON texts and script values: parse, write, and take one field out.",
    docs: DOCS,
    register,
};

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "json::parse(text) -> value",
        summary: "The value of a JSON text: objects are maps, `null` is `()`, integers stay integers.",
        parameters: &[("text", "a string or a blob")],
        errors: "when it is not JSON (with the place), or nests deeper than 128 levels",
        example: "
            let order = json::parse(`{\"id\": 7, \"total\": 9.5, \"note\": null}`);
            assert_eq(order.id, 7);
            assert_eq(order.total, 9.5);
            assert_eq(order.note, ());
            assert_error(|| json::parse(`{\"id\": }`), \"at byte 7\");
        ",
    },
    FunctionDoc {
        signature: "json::stringify(value) -> string, json::stringify(value, pretty) -> string",
        summary: "A value as a JSON text; members of maps are in alphabetical order.",
        parameters: &[
            ("value", "anything but functions and blobs"),
            ("pretty", "`true`: a line for each member and element"),
        ],
        errors: "when something in it has no JSON form, or nests deeper than 128 levels",
        example: "
            assert_eq(json::stringify(#{ b: [1, 2.5], a: \"x\" }), `{\"a\":\"x\",\"b\":[1,2.5]}`);
            assert_eq(json::stringify([1], true), \"[\\n  1\\n]\");
            assert_error(|| json::stringify(|| 1), \"no JSON form\");
        ",
    },
    FunctionDoc {
        signature: "json::get(source, path) -> value",
        summary: "One field, found by a path: `user.name`, `items[0].price`, `items[-1]`, `items.#` (how many), `items.#.id` (of each), `[\"a key\"]`.",
        parameters: &[("source", "a JSON text, a blob with one, or a value"), ("path", "where the field is")],
        errors: "when the text is not JSON, or the path is not one; a path that leads nowhere gives `()`",
        example: "
            let text = `{\"items\": [{\"id\": 1}, {\"id\": 2, \"a b\": true}]}`;
            assert_eq(json::get(text, \"items[-1].id\"), 2);
            assert_eq(json::get(text, \"items.#\"), 2);
            assert_eq(json::get(text, \"items.#.id\"), [1, 2]);
            assert_eq(json::get(text, `items[1][\"a b\"]`), true);
            assert_eq(json::get(text, \"items[9].id\"), ());
            assert_eq(json::get(#{ user: #{ name: \"eve\" } }, \"user.name\"), \"eve\");
            assert_error(|| json::get(text, \"items[\"), \"position 6\");
        ",
    },
];

/// A worker's parsed paths, for `json::get` and `res.json`.
#[derive(Debug)]
pub struct JsonPaths(WorkerCache<JsonPath>);

impl Default for JsonPaths {
    fn default() -> Self {
        Self(WorkerCache::new(PATHS_MAX))
    }
}

impl JsonPaths {
    /// The value at a path of a text, or `()` when the path leads nowhere.
    ///
    /// # Errors
    /// When the path is not one, or the text is not JSON.
    pub fn get(&self, text: &LazyJson, path: &str) -> HostResult<Dynamic> {
        let path = self.0.get_or_make(path, JsonPath::parse).map_err(path_error)?;
        on_worker_stack(|| text.get(&path)).map(Option::unwrap_or_default).map_err(json_error)
    }
}

fn path_error(error: JsonPathError) -> Box<rhai::EvalAltResult> {
    host_error(error.to_string())
}

fn json_error(error: JsonError) -> Box<rhai::EvalAltResult> {
    host_error(error.to_string())
}

fn register(engine: &mut Engine, context: &HostContext) {
    let mut module = Module::new();
    define(&mut module, "parse", parse);
    define(&mut module, "stringify", |value: Dynamic| write(value, false));
    define(&mut module, "stringify", write);
    let paths = JsonPaths::default();
    define(&mut module, "get", move |source: Dynamic, path: ImmutableString| get(&paths, source, &path));
    publish(engine, context, MODULE.name, module);
}

fn parse(text: Dynamic) -> HostResult<Dynamic> {
    let text = text_of(text, "json::parse", "text")?;
    on_worker_stack(|| text.value()).map_err(json_error)
}

fn write(value: Dynamic, pretty: bool) -> HostResult<ImmutableString> {
    on_worker_stack(|| stringify(value, pretty))
        .map(Into::into)
        .map_err(|error| host_error(format!("`json::stringify`: {error}")))
}

fn get(paths: &JsonPaths, source: Dynamic, path: &str) -> HostResult<Dynamic> {
    let text = if source.is_string() || source.is_blob() {
        text_of(source, "json::get", "source")?
    } else {
        // By way of its text, so that a path means the same wherever the value comes from.
        let text = on_worker_stack(|| stringify(source, false))
            .map_err(|error| host_error(format!("`json::get`: {error}")))?;
        LazyJson::new(text.into())
    };
    paths.get(&text, path)
}

fn text_of(text: Dynamic, function: &str, parameter: &str) -> HostResult<LazyJson> {
    let bytes = match Data::from_value(text, function, parameter)? {
        Data::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
        Data::Blob(blob) => Bytes::from(blob),
    };
    Ok(LazyJson::new(bytes))
}
