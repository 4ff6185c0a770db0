//! The documentation of clients as objects.

use crate::script::modules::{FunctionDoc, HostModule};

/// Their part of the reference; they are registered with the module `http`.
pub const MODULE: HostModule = HostModule {
    name: "http clients",
    summary: "Objects with settings of their own, made by `http::client(#{ ... })`: for one service beside others.",
    docs: DOCS,
    register: |_, _| {},
};

const ERRORS: &str = "As the function of the same name in `http`.";

const URL: (&str, &str) = (
    "url",
    "An absolute URL, or a relative one that is joined to the client's `base_url` as RFC 3986 says: `/cart` begins at the host's root, `cart` at the last `/` of `base_url`.",
);

const PARAMS: (&str, &str) = ("params", "A map; what it says counts more than the client's settings.");

const BODY: (&str, &str) = ("body", "As `http::post` takes it.");

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "client.get(url, params) -> Response",
        summary: "Asks for a URL as `http::get` does, with the client's settings; `params` may be left out.",
        parameters: &[URL, PARAMS],
        errors: ERRORS,
        example: "
            const SHOP = http::client(#{ base_url: env(\"BASE_URL\"), headers: #{ \"X-Team\": \"a\", Accept: \"application/json\" } });
            fn journey() {
                let res = SHOP.get(\"/anything?a=1\", #{ headers: #{ \"X-Team\": \"b\" } });
                assert_eq(res.json(\"headers.x-team\"), \"b\");
                assert_eq(res.json(\"headers.accept\"), \"application/json\");
            }
        ",
    },
    FunctionDoc {
        signature: "client.head(url, params) -> Response",
        summary: "Asks for the headers alone; `params` may be left out.",
        parameters: &[URL, PARAMS],
        errors: ERRORS,
        example: "
            const SHOP = http::client(#{ base_url: env(\"BASE_URL\") });
            fn journey() { assert_eq(SHOP.head(\"/health\").body, \"\"); }
        ",
    },
    FunctionDoc {
        signature: "client.options(url, params) -> Response",
        summary: "Asks what may be done; `params` may be left out.",
        parameters: &[URL, PARAMS],
        errors: ERRORS,
        example: "
            const SHOP = http::client(#{ base_url: env(\"BASE_URL\") });
            fn journey() { assert_eq(SHOP.options(\"/health\").error, \"\"); }
        ",
    },
    FunctionDoc {
        signature: "client.post(url, body, params) -> Response",
        summary: "Sends a body; `body` and `params` may be left out.",
        parameters: &[URL, BODY, PARAMS],
        errors: ERRORS,
        example: "
            const SHOP = http::client(#{ base_url: env(\"BASE_URL\"), tags: #{ team: \"a\" }, timeout: 5.s });
            fn journey() {
                let res = SHOP.post(\"/anything\", #{ items: [1, 2] }, #{ tags: #{ step: \"order\" } });
                assert_eq(res.json(\"method\"), \"POST\");
            }
        ",
    },
    FunctionDoc {
        signature: "client.put(url, body, params) -> Response",
        summary: "Puts a body there; `body` and `params` may be left out.",
        parameters: &[URL, BODY, PARAMS],
        errors: ERRORS,
        example: "
            const SHOP = http::client(#{ base_url: env(\"BASE_URL\") });
            fn journey() { assert_eq(SHOP.put(\"/anything\", \"text\").json(\"method\"), \"PUT\"); }
        ",
    },
    FunctionDoc {
        signature: "client.patch(url, body, params) -> Response",
        summary: "Changes what is there; `body` and `params` may be left out.",
        parameters: &[URL, BODY, PARAMS],
        errors: ERRORS,
        example: "
            const SHOP = http::client(#{ base_url: env(\"BASE_URL\") });
            fn journey() { assert_eq(SHOP.patch(\"/anything\", #{ price: 2 }).json(\"method\"), \"PATCH\"); }
        ",
    },
    FunctionDoc {
        signature: "client.delete(url, body, params) -> Response",
        summary: "Deletes what is there; `body` and `params` may be left out. `client.del` is the same.",
        parameters: &[URL, BODY, PARAMS],
        errors: ERRORS,
        example: "
            const SHOP = http::client(#{ base_url: env(\"BASE_URL\") });
            fn journey() {
                assert_eq(SHOP.delete(\"/anything\").json(\"method\"), \"DELETE\");
                assert_eq(SHOP.del(\"/anything\").json(\"method\"), \"DELETE\");
            }
        ",
    },
    FunctionDoc {
        signature: "client.request(method, url, body, params) -> Response",
        summary: "Makes a request with any method; `body` and `params` may be left out.",
        parameters: &[("method", "The method's name."), URL, BODY, PARAMS],
        errors: ERRORS,
        example: "
            const SHOP = http::client(#{ base_url: env(\"BASE_URL\") });
            fn journey() { assert_eq(SHOP.request(\"GET\", \"/health\").status, 200); }
        ",
    },
    FunctionDoc {
        signature: "client.batch(requests) -> array or map",
        summary: "Makes several requests side by side as `http::batch` does, at most as many at once as the client's `batch` and `batch_per_host` say.",
        parameters: &[("requests", "As `http::batch` takes them; URLs may be relative.")],
        errors: ERRORS,
        example: "
            const SHOP = http::client(#{ base_url: env(\"BASE_URL\"), batch: 2 });
            fn journey() {
                let all = SHOP.batch([\"/item/1\", \"/item/2\", [\"POST\", \"/anything\", \"text\"]]);
                assert_eq(all[2].json(\"method\"), \"POST\");
            }
        ",
    },
    FunctionDoc {
        signature: "client.jar() -> CookieJar",
        summary: "The jar that its requests use for the running virtual user: that of its setting `jar`, its own with `cookies: \"own\"`, else the virtual user's.",
        parameters: &[],
        errors: "In the script's init.",
        example: "
            const SHOP = http::client(#{ base_url: env(\"BASE_URL\"), cookies: \"own\" });
            fn journey() {
                SHOP.get(\"/cookies/set?a=1\");
                assert_eq(SHOP.jar().len(), 1);
                assert_eq(http::jar().len(), 0);
            }
        ",
    },
    FunctionDoc {
        signature: "client.events(url, params) -> EventStream",
        summary: "Reads a stream of events as `http::events` does, with the client's settings; `params` may be left out.",
        parameters: &[URL, PARAMS],
        errors: ERRORS,
        example: "
            const MODEL = http::client(#{ base_url: env(\"BASE_URL\"), timeout: 30.s });
            fn journey() {
                let stream = MODEL.events(\"/stream?count=2&first=1&ms=1\");
                for event in stream { assert_eq(event.type == \"token\" || event.json(\"done\"), true); }
                assert_eq(stream.events, 3);
            }
        ",
    },
    FunctionDoc {
        signature: "client.stream(method, url, body, params) -> EventStream",
        summary: "The same with any method and body, for events and lines, as `http::stream`; `body` and `params` may be left out.",
        parameters: &[("method", "The method's name."), URL, BODY, PARAMS],
        errors: ERRORS,
        example: "
            const MODEL = http::client(#{ base_url: env(\"BASE_URL\") });
            fn journey() {
                let stream = MODEL.stream(\"POST\", \"/stream?first=1&ms=1\", #{ prompt: \"hello\" }, #{ max_events: 1 });
                assert_eq(stream.next().json(\"index\"), 0);
            }
        ",
    },
    FunctionDoc {
        signature: "client.base_url -> string",
        summary: "What its URLs start from; empty where it has none.",
        parameters: &[],
        errors: "",
        example: "
            const SHOP = http::client(#{ base_url: \"http://shop.test/v1/\" });
            fn journey() { assert_eq(SHOP.base_url, \"http://shop.test/v1/\"); }
        ",
    },
];
