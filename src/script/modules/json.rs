//! JSON texts and script values. Responses have `res.json(path)`; this is for everything else.

use std::rc::Rc;

use bytes::Bytes;
use rhai::{Dynamic, Engine, ImmutableString};

use super::argument::Data;
use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::bridge::on_worker_stack;
use crate::script::context::HostContext;
use crate::script::error::host_error;
use crate::script::json_query::{JsonQuery, JsonQueryError};
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
        signature: "json::query(source, query) -> value",
        summary: "What a JSONPath query (RFC 9535) finds: `$..book[?@.price < 10].title`. One that names a single place, such as `$.user.name`, gives its value or `()`; any other gives an array of all that fit, empty where none does. Members of objects are gone through in alphabetical order.",
        parameters: &[("source", "a JSON text, a blob with one, or a value"), ("query", "begins with `$`")],
        errors: "when the text is not JSON, or the query is not one",
        example: "
            let text = `{\"items\": [{\"id\": 1, \"price\": 5}, {\"id\": 2, \"price\": 15}], \"price\": 20}`;
            assert_eq(json::query(text, \"$.items[?@.price < 10].id\"), [1]);
            assert_eq(json::query(text, \"$..price\"), [20, 5, 15]);
            assert_eq(json::query(text, \"$.items[0].id\"), 1);
            assert_eq(json::query(text, \"$.nothing\"), ());
            assert_eq(json::query(text, \"$.nothing[*]\"), []);
            assert_eq(json::query(#{ tags: [\"new\", \"red\"] }, \"$.tags[?@ == 'red']\"), [\"red\"]);
            assert_error(|| json::query(text, \"$.items[?\"), \"is not a JSONPath query\");
            assert_error(|| json::query(text, \"items\"), \"begins with `$`\");
        ",
    },
    FunctionDoc {
        signature: "json::get(source, path) -> value",
        summary: "One field, found by a path: `user.name`, `items[0].price`, `items[-1]`, `items.#` (how many), `items.#.id` (of each), `[\"a key\"]`. A path that begins with `$` is a JSONPath query, as `json::query` takes it.",
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

/// A worker's parsed paths and queries, for `json::get` and `res.json`.
#[derive(Debug)]
pub struct JsonPaths(WorkerCache<JsonQuery>);

impl Default for JsonPaths {
    fn default() -> Self {
        Self(WorkerCache::new(PATHS_MAX))
    }
}

impl JsonPaths {
    /// The value at a path of a text, or `()` when the path leads nowhere; of a query that may find several an array.
    ///
    /// # Errors
    /// When the path is not one, or the text is not JSON.
    pub fn get(&self, text: &LazyJson, path: &str) -> HostResult<Dynamic> {
        self.find(text, path, json_error)
    }

    /// The same, where the caller says what is wrong with its text.
    ///
    /// # Errors
    /// When the path is not one, or the text is not JSON.
    pub fn find(
        &self,
        text: &LazyJson,
        path: &str,
        fault: impl FnOnce(JsonError) -> Box<rhai::EvalAltResult>,
    ) -> HostResult<Dynamic> {
        let path = match self.0.get_or_make(path, |text| match text.starts_with('$') {
            // What reads queries goes deeper into its stack than a virtual user has.
            true => on_worker_stack(|| JsonQuery::parse(text)),
            false => JsonQuery::parse(text),
        }) {
            Ok(path) => path,
            Err(error) => return Err(path_error(error)),
        };
        on_worker_stack(|| path.find(text)).map(Option::unwrap_or_default).map_err(fault)
    }
}

fn path_error(error: JsonQueryError) -> Box<rhai::EvalAltResult> {
    host_error(error.to_string())
}

fn json_error(error: JsonError) -> Box<rhai::EvalAltResult> {
    host_error(error.to_string())
}

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    define(&mut natives, "parse", parse);
    define(&mut natives, "stringify", |value: Dynamic| write(value, false));
    define(&mut natives, "stringify", write);
    let paths = Rc::new(JsonPaths::default());
    let queries = Rc::clone(&paths);
    define(&mut natives, "get", move |source: Dynamic, path: ImmutableString| get(&paths, source, &path, "json::get"));
    define(&mut natives, "query", move |source: Dynamic, query: ImmutableString| {
        if !query.starts_with('$') {
            return Err(host_error(format!("a JSONPath query begins with `$`, this is `{query}`: write `$.{query}`")));
        }
        get(&queries, source, &query, "json::query")
    });
    publish(engine, context, MODULE.name, natives);
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

fn get(paths: &JsonPaths, source: Dynamic, path: &str, function: &str) -> HostResult<Dynamic> {
    let text = if source.is_string() || source.is_blob() {
        text_of(source, function, "source")?
    } else {
        // By way of its text, so that a path means the same wherever the value comes from.
        let text = on_worker_stack(|| stringify(source, false))
            .map_err(|error| host_error(format!("`{function}`: {error}")))?;
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
