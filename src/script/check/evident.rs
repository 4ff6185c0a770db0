//! What is known of a value without running anything. Little is, and what is not certain is [`Type::Unknown`]: a rule
//! that is wrong once is not believed again.

use std::any::TypeId;

use rhai::{Array, Blob, FnPtr, ImmutableString, Map};

use crate::script::modules::data::{DataTable, Row};
use crate::script::modules::duration::DurationRange;
use crate::script::modules::html::selection::Selection;
use crate::script::modules::http::{
    CookieJar, EventStream, Headers, HttpBody, HttpClient, Phases, Response, StreamEvent,
};
use crate::script::modules::metrics::Metric;
use crate::script::modules::vu::VuHandle;
use crate::script::modules::xml::XmlNode;

/// The type of a value, as far as it is evident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// It could be anything.
    Unknown,
    /// `()`
    Unit,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A fraction.
    Float,
    /// A text.
    Text,
    /// A character.
    Char,
    /// An array.
    Array,
    /// A map.
    Map,
    /// Bytes.
    Blob,
    /// A function or closure.
    Function,
    /// A duration.
    Duration,
    /// A range of durations.
    DurationRange,
    /// What a request gives.
    Response,
    /// The headers of a response.
    Headers,
    /// The phases of a response.
    Timings,
    /// What `http::events` and `http::stream` give.
    Stream,
    /// An event of a stream.
    StreamEvent,
    /// Elements of a page.
    Selection,
    /// An XML document, or an element of one.
    XmlNode,
    /// What `http::form` and the like make.
    Body,
    /// What `http::client` makes.
    Client,
    /// A cookie jar.
    Jar,
    /// The virtual user that a journey is given.
    Vu,
    /// A CSV file.
    CsvTable,
    /// A file of lines.
    LineTable,
    /// A JSON file.
    JsonTable,
    /// A row of a CSV file.
    Row,
    /// A metric of the script's own.
    Metric,
}

impl Type {
    /// Rust's type behind it; none where it is not known.
    #[must_use]
    pub fn id(self) -> Option<TypeId> {
        Some(match self {
            Self::Unknown => return None,
            Self::Unit => TypeId::of::<()>(),
            Self::Bool => TypeId::of::<bool>(),
            Self::Int => TypeId::of::<i64>(),
            Self::Float => TypeId::of::<f64>(),
            Self::Text => TypeId::of::<ImmutableString>(),
            Self::Char => TypeId::of::<char>(),
            Self::Array => TypeId::of::<Array>(),
            Self::Map => TypeId::of::<Map>(),
            Self::Blob => TypeId::of::<Blob>(),
            Self::Function => TypeId::of::<FnPtr>(),
            Self::Duration => TypeId::of::<std::time::Duration>(),
            Self::DurationRange => TypeId::of::<DurationRange>(),
            Self::Response => TypeId::of::<Response>(),
            Self::Headers => TypeId::of::<Headers>(),
            Self::Timings => TypeId::of::<Phases>(),
            Self::Stream => TypeId::of::<EventStream>(),
            Self::StreamEvent => TypeId::of::<StreamEvent>(),
            Self::Selection => TypeId::of::<Selection>(),
            Self::XmlNode => TypeId::of::<XmlNode>(),
            Self::Body => TypeId::of::<HttpBody>(),
            Self::Client => TypeId::of::<HttpClient>(),
            Self::Jar => TypeId::of::<CookieJar>(),
            Self::Vu => TypeId::of::<VuHandle>(),
            Self::CsvTable | Self::LineTable | Self::JsonTable => TypeId::of::<DataTable>(),
            Self::Row => TypeId::of::<Row>(),
            Self::Metric => TypeId::of::<Metric>(),
        })
    }

    /// What it is called in messages, with its article.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "a value",
            Self::Unit => "`()`",
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Text => "a text",
            Self::Char => "a character",
            Self::Array => "an array",
            Self::Map => "a map",
            Self::Blob => "a blob",
            Self::Function => "a function",
            Self::Duration => "a duration",
            Self::DurationRange => "a range of durations",
            Self::Response => "a response",
            Self::Headers => "`headers`",
            Self::Timings => "`timings`",
            Self::Stream => "a stream",
            Self::StreamEvent => "an event",
            Self::Selection => "a selection",
            Self::XmlNode => "an XML node",
            Self::Body => "a body made by `http`",
            Self::Client => "a client",
            Self::Jar => "a cookie jar",
            Self::Vu => "a virtual user",
            Self::CsvTable | Self::LineTable | Self::JsonTable => "a data table",
            Self::Row => "a row of a data table",
            Self::Metric => "a metric",
        }
    }

    /// Whether it is a type of loadr's own, whose properties and methods are all known.
    #[must_use]
    pub fn is_host(self) -> bool {
        matches!(
            self,
            Self::Duration
                | Self::Response
                | Self::Headers
                | Self::Timings
                | Self::Stream
                | Self::StreamEvent
                | Self::Selection
                | Self::XmlNode
                | Self::Body
                | Self::Client
                | Self::Jar
                | Self::Vu
                | Self::CsvTable
                | Self::LineTable
                | Self::JsonTable
                | Self::Metric
        )
    }

    /// Whether it is a number.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }

    /// What a property of it is.
    #[must_use]
    pub fn property(self, name: &str) -> Self {
        if matches!(name, "us" | "ms" | "s" | "m" | "h" | "d") {
            return match self {
                Self::Int | Self::Float => Self::Duration,
                Self::Duration => Self::Float,
                _ => Self::Unknown,
            };
        }
        match (self, name) {
            (Self::Row, _) => Self::Text,
            (Self::Timings, _) => Self::Float,
            (
                Self::CsvTable | Self::LineTable | Self::JsonTable | Self::Text | Self::Array | Self::Selection,
                "len",
            ) => Self::Int,
            (Self::Response, name) => lookup(RESPONSE, name),
            (Self::Stream, "status" | "events" | "error_code") => Self::Int,
            (Self::Stream, "ok") => Self::Bool,
            (Self::Stream, "response") => Self::Response,
            (Self::Stream, "error") | (Self::StreamEvent, "type" | "data" | "id") => Self::Text,
            (Self::StreamEvent, "at") => Self::Float,
            (Self::Vu, "id" | "iteration" | "iteration_in_scenario") => Self::Int,
            (Self::Vu, "scenario") | (Self::Metric, "name") | (Self::Client, "base_url") => Self::Text,
            _ => Self::Unknown,
        }
    }

    /// What a method of it gives.
    #[must_use]
    pub fn method(self, name: &str) -> Self {
        match (self, name) {
            (Self::CsvTable, "row" | "next" | "random" | "unique") => Self::Row,
            (Self::LineTable, "row" | "next" | "random" | "unique") => Self::Text,
            (
                Self::CsvTable | Self::LineTable | Self::JsonTable | Self::Text | Self::Array | Self::Selection,
                "len",
            ) => Self::Int,
            (Self::Response, "xml") => Self::XmlNode,
            (Self::XmlNode, "name" | "text") => Self::Text,
            (Self::XmlNode, "find_all" | "children") => Self::Array,
            (Self::XmlNode, "attrs") => Self::Map,
            (Self::Response, "html")
            | (
                Self::Selection,
                "select" | "filter" | "closest" | "parent" | "children" | "siblings" | "next" | "previous" | "first"
                | "last" | "at",
            ) => Self::Selection,
            (Self::Response, "submit_form" | "follow_link") => Self::Response,
            (Self::Selection, "text" | "html") => Self::Text,
            (Self::Selection, "attrs" | "fields") => Self::Map,
            (Self::Selection, "texts" | "to_array") => Self::Array,
            (Self::Selection, "matches" | "is_empty") => Self::Bool,
            (Self::Headers | Self::Text | Self::Array | Self::Map | Self::Row, "contains")
            | (Self::Text, "starts_with" | "ends_with" | "is_empty") => Self::Bool,
            (Self::Headers, "get_all" | "keys") | (Self::Text, "split") | (Self::Response, "find_all") => Self::Array,
            (Self::Row, "to_map") => Self::Map,
            (Self::Client, "to_string") => Self::Text,
            (Self::Client, "jar") => Self::Jar,
            (Self::Jar, "cookies" | "cookies_for_url") => Self::Map,
            (Self::Jar, "to_array") => Self::Array,
            (Self::Jar, "len") => Self::Int,
            (Self::Jar, "delete") => Self::Bool,
            (Self::Client, "batch") => Self::Unknown,
            (Self::Client, "events" | "stream") => Self::Stream,
            (Self::Client, _) => Self::Response,
            (_, "to_string") => Self::Text,
            _ => Self::Unknown,
        }
    }

    /// What an element of it is, taken by an index or in a loop.
    #[must_use]
    pub fn element(self) -> Self {
        match self {
            Self::CsvTable => Self::Row,
            Self::LineTable | Self::Row => Self::Text,
            Self::Selection => Self::Selection,
            Self::Stream => Self::StreamEvent,
            _ => Self::Unknown,
        }
    }
}

const RESPONSE: &[(&str, Type)] = &[
    ("status", Type::Int),
    ("status_text", Type::Text),
    ("ok", Type::Bool),
    ("expected", Type::Bool),
    ("body", Type::Text),
    ("bytes", Type::Blob),
    ("size", Type::Int),
    ("headers", Type::Headers),
    ("cookies", Type::Map),
    ("caches", Type::Array),
    ("timings", Type::Timings),
    ("duration", Type::Duration),
    ("url", Type::Text),
    ("redirects", Type::Int),
    ("attempts", Type::Int),
    ("proto", Type::Text),
    ("tls_version", Type::Text),
    ("remote_ip", Type::Text),
    ("remote_port", Type::Int),
    ("reused", Type::Bool),
    ("error", Type::Text),
    ("error_code", Type::Int),
    ("digest", Type::Text),
    ("saved", Type::Text),
    ("request", Type::Map),
];

/// What loadr's functions give. Those that may give `()` too are left out, and those that give one of several types.
const RESULTS: &[(&str, Type)] = &[
    ("check", Type::Bool),
    ("http::get", Type::Response),
    ("http::head", Type::Response),
    ("http::options", Type::Response),
    ("http::post", Type::Response),
    ("http::put", Type::Response),
    ("http::patch", Type::Response),
    ("http::delete", Type::Response),
    ("http::del", Type::Response),
    ("http::request", Type::Response),
    ("http::events", Type::Stream),
    ("http::stream", Type::Stream),
    ("http::client", Type::Client),
    ("http::jar", Type::Jar),
    ("http::cookie_jar", Type::Jar),
    ("http::new_jar", Type::Jar),
    ("http::form", Type::Body),
    ("http::json", Type::Body),
    ("http::multipart", Type::Body),
    ("http::file", Type::Body),
    ("http::cookies", Type::Map),
    ("data::csv", Type::CsvTable),
    ("data::json", Type::JsonTable),
    ("data::lines", Type::LineTable),
    ("html::parse", Type::Selection),
    ("html::tags", Type::Array),
    ("html::resources", Type::Array),
    ("json::stringify", Type::Text),
    ("jwt::sign", Type::Text),
    ("jwt::decode", Type::Map),
    ("jwt::verify", Type::Map),
    ("metrics::counter", Type::Metric),
    ("metrics::gauge", Type::Metric),
    ("metrics::rate", Type::Metric),
    ("metrics::trend", Type::Metric),
    ("random::int", Type::Int),
    ("random::float", Type::Float),
    ("random::bool", Type::Bool),
    ("random::chance", Type::Bool),
    ("random::string", Type::Text),
    ("random::uuid", Type::Text),
    ("random::shuffle", Type::Array),
    ("random::sample", Type::Array),
    ("random::duration", Type::Duration),
    ("regex::matches", Type::Bool),
    ("regex::find_all", Type::Array),
    ("regex::split", Type::Array),
    ("regex::replace", Type::Text),
    ("time::now", Type::Float),
    ("time::now_ms", Type::Int),
    ("time::iso", Type::Text),
    ("time::format", Type::Text),
    ("time::since", Type::Duration),
    ("time::parse_duration", Type::Duration),
    ("url::encode", Type::Text),
    ("url::decode", Type::Text),
    ("url::query", Type::Text),
    ("url::join", Type::Text),
    ("url::with_query", Type::Text),
    ("crypto::uuid", Type::Text),
    ("crypto::hex_encode", Type::Text),
    ("crypto::base64_encode", Type::Text),
    ("xml::parse", Type::XmlNode),
];

fn lookup(table: &[(&str, Type)], name: &str) -> Type {
    table.iter().find(|(known, _)| *known == name).map_or(Type::Unknown, |&(_, result)| result)
}

/// What a function of loadr's gives, by its name with its namespace.
#[must_use]
pub fn result_of(function: &str) -> Type {
    lookup(RESULTS, function)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::modules::{FunctionDoc, TABLE};

    #[test]
    fn the_tables_name_what_there_is() {
        let documented: Vec<&str> = TABLE.iter().flat_map(|module| module.docs).flat_map(FunctionDoc::names).collect();
        for (name, _) in RESULTS {
            assert!(documented.contains(name), "there is no `{name}`");
        }
        let signatures = TABLE.iter().flat_map(|module| module.docs).map(|doc| doc.signature);
        let properties: Vec<&str> = signatures
            .filter(|signature| !signature.contains('('))
            .filter_map(|signature| signature.strip_prefix("response.")?.split_once(" -> "))
            .map(|(name, _)| name)
            .collect();
        let known: Vec<&str> = RESPONSE.iter().map(|(name, _)| *name).collect();
        assert_eq!(properties, known);
    }
}
