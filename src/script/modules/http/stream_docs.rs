//! The documentation of streams and their events.

use crate::script::modules::{FunctionDoc, HostModule};

/// Their part of the reference; they are registered with the module `http`.
pub const MODULE: HostModule = HostModule {
    name: "http streams",
    summary: "Responses that are read event by event or line by line, made by `http::events` and `http::stream`.",
    docs: DOCS,
    register: |_, _| {},
};

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "stream.next() -> StreamEvent or ()",
        summary: "The next event, waiting for it; `()` at the end.",
        parameters: &[],
        errors: "When the virtual user is being stopped; with `throws: true` also when the stream has failed.",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=3&first=1&ms=1`);
                let first = stream.next();
                assert_eq(first.type, \"token\");
                assert_eq(first.json(\"text\"), \"the\");
            }
        ",
    },
    FunctionDoc {
        signature: "for event in stream",
        summary: "The same in a loop, until the end; what ends the loop before does not close the stream.",
        parameters: &[],
        errors: "As `stream.next`.",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=3&first=1&ms=1`);
                let count = 0;
                for event in stream { count += 1; }
                assert_eq(count, 4);
            }
        ",
    },
    FunctionDoc {
        signature: "stream.close()",
        summary: "Ends the stream: its connection is closed, and events that were not read yet are dropped. So does letting go of it, and the end of the iteration.",
        parameters: &[],
        errors: "",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=3&first=1&ms=1`);
                stream.close();
                assert_eq(stream.next(), ());
            }
        ",
    },
    FunctionDoc {
        signature: "stream.status -> int",
        summary: "The response's status; 0 when there was none.",
        parameters: &[],
        errors: "",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/status/404`, #{ expected: 404 });
                assert_eq(stream.status, 404);
                assert_eq(stream.next(), ());
            }
        ",
    },
    FunctionDoc {
        signature: "stream.ok -> bool",
        summary: "Whether the status is from 200 to 399, and nothing has failed so far.",
        parameters: &[],
        errors: "",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=3&first=1&ms=1`);
                assert_eq(stream.ok, true);
            }
        ",
    },
    FunctionDoc {
        signature: "stream.error -> string",
        summary: "Why it failed, once it has; empty else.",
        parameters: &[],
        errors: "",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let url = `${BASE}/stream?count=9&first=1&ms=60000`;
                let stream = http::events(url, #{ idle_timeout: 100.ms });
                let count = 0;
                for event in stream { count += 1; }
                assert_eq(count, 1);
                assert_eq(stream.error.contains(\"nothing came for 100ms\"), true);
            }
        ",
    },
    FunctionDoc {
        signature: "stream.error_code -> int",
        summary: "The class of the failure, as that of a response; 0 for none so far.",
        parameters: &[],
        errors: "",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=9&ms=60000`, #{ timeout: 200.ms });
                for event in stream { }
                assert_eq(stream.error_code, 1050);
            }
        ",
    },
    FunctionDoc {
        signature: "stream.events -> int",
        summary: "How many events have arrived so far, read or not.",
        parameters: &[],
        errors: "",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=9&first=1&ms=1`, #{ max_events: 4 });
                for event in stream { }
                assert_eq(stream.events, 4);
            }
        ",
    },
    FunctionDoc {
        signature: "stream.response -> Response",
        summary: "The response: its headers, its phases, its size; its body only where the status was no success. Closes the stream and waits until it is over.",
        parameters: &[],
        errors: "When the virtual user is being stopped.",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::stream(\"GET\", `${BASE}/status/503`);
                assert_eq(stream.response.json(\"status\"), 503);
            }
        ",
    },
    FunctionDoc {
        signature: "event.type -> string",
        summary: "Its type: `message` where the stream gives none, and for lines.",
        parameters: &[],
        errors: "",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=3&first=1&ms=1`);
                assert_eq(stream.next().type, \"token\");
            }
        ",
    },
    FunctionDoc {
        signature: "event.data -> string",
        summary: "Its data; several lines of it are joined by line feeds.",
        parameters: &[],
        errors: "",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=3&first=1&ms=1`);
                assert_eq(stream.next().data.contains(\"the\"), true);
            }
        ",
    },
    FunctionDoc {
        signature: "event.json() -> value, event.json(path) -> value",
        summary: "Its data as JSON, or what is at a path of it, as `response.json` does.",
        parameters: &[("path", "A path such as `a.b[0]`, or a JSONPath query.")],
        errors: "When the data is no JSON.",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=3&first=1&ms=1`);
                let event = stream.next();
                assert_eq(event.json().text, \"the\");
                assert_eq(event.json(\"index\"), 0);
            }
        ",
    },
    FunctionDoc {
        signature: "event.id -> string",
        summary: "The latest id that the stream has given; empty where it has given none.",
        parameters: &[],
        errors: "",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=3&first=1&ms=1`);
                stream.next();
                assert_eq(stream.next().id, \"1\");
            }
        ",
    },
    FunctionDoc {
        signature: "event.at -> float",
        summary: "When it was there: milliseconds from sending the request.",
        parameters: &[],
        errors: "",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=3&first=1&ms=1`);
                let first = stream.next();
                assert_eq(stream.next().at >= first.at, true);
            }
        ",
    },
    FunctionDoc {
        signature: "event.retry -> int or ()",
        summary: "How long the stream wants a client to wait before it connects again, in milliseconds, where it has said so since the event before.",
        parameters: &[],
        errors: "",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=3&first=1&ms=1`);
                assert_eq(stream.next().retry, ());
            }
        ",
    },
];
