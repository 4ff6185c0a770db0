//! The documentation of the `http` module and of responses.

use crate::script::modules::FunctionDoc;

const URL: (&str, &str) = ("url", "An absolute `http` or `https` URL.");

const PARAMS: (&str, &str) = ("params", "A map; see \"Parameters of a request\".");

const BODY: (&str, &str) = (
    "body",
    "A text, a blob, a map or an array (sent as JSON), or made by `http::form`, `http::json`, `http::multipart`, `http::file`, `http::generated`.",
);

/// In the order in which they are printed.
pub(super) const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "http::get(url) -> Response",
        summary: "Asks for a URL.",
        parameters: &[URL],
        errors: "When the URL or a parameter is not what it must be, or in the script's init. A failure on the way throws only with `throws: true`; else the response has status 0 and an `error`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/health`);\n    assert_eq(res.status, 200);\n}",
    },
    FunctionDoc {
        signature: "http::get(url, params) -> Response",
        summary: "The same with parameters: `name`, `tags`, `headers`, `cookies` (name to value, for this request alone; `sid: ()` leaves that of the jar out, `sid: #{ value: \"x\", replace: false }` sends both, as k6 does unless told to replace), `jar` (see `http::new_jar`), `timeout`, `redirects`, `http_version` (`\"auto\"`, `\"1.1\"`, `\"2\"`, `\"h2c\"`), `expected`, `auth` (see [identity](identity.md)), `throws` (k6's `throw`, which is a reserved word in Rhai and needs quotes), `unix_socket` (the path of a socket to connect to, whatever the URL's host: see [network](network.md)); for what it sends `chunked`, `compression`, `expect_continue`, `bandwidth`, and for what comes back `response` (`\"keep\"`, `\"discard\"`), `max_body`, `save_to`, `digest`: see [transfers](transfers.md).",
        parameters: &[URL, PARAMS],
        errors: "When the URL or a parameter is not what it must be, or in the script's init. A failure on the way throws only with `throws: true`; else the response has status 0 and an `error`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/status/404`, #{ name: \"missing\", expected: 404, headers: #{ \"X-Trace\": \"1\" }, timeout: 5.s });\n    assert_eq(res.expected, true);\n}",
    },
    FunctionDoc {
        signature: "http::head(url, params) -> Response",
        summary: "Asks for the headers alone; `params` may be left out.",
        parameters: &[URL, PARAMS],
        errors: "When the URL or a parameter is not what it must be, or in the script's init. A failure on the way throws only with `throws: true`; else the response has status 0 and an `error`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    assert_eq(http::head(`${BASE}/health`).body, \"\");\n}",
    },
    FunctionDoc {
        signature: "http::options(url, params) -> Response",
        summary: "Asks what may be done; `params` may be left out.",
        parameters: &[URL, PARAMS],
        errors: "When the URL or a parameter is not what it must be, or in the script's init. A failure on the way throws only with `throws: true`; else the response has status 0 and an `error`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::options(`${BASE}/health`);\n    assert_eq(res.error, \"\");\n}",
    },
    FunctionDoc {
        signature: "http::post(url, body, params) -> Response",
        summary: "Sends a body; `body` and `params` may be left out.",
        parameters: &[URL, BODY, PARAMS],
        errors: "When the URL or a parameter is not what it must be, or in the script's init. A failure on the way throws only with `throws: true`; else the response has status 0 and an `error`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::post(`${BASE}/anything`, #{ items: [1, 2] });\n    assert_eq(res.json(\"method\"), \"POST\");\n}",
    },
    FunctionDoc {
        signature: "http::put(url, body, params) -> Response",
        summary: "Puts a body there; `body` and `params` may be left out.",
        parameters: &[URL, BODY, PARAMS],
        errors: "When the URL or a parameter is not what it must be, or in the script's init. A failure on the way throws only with `throws: true`; else the response has status 0 and an `error`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::put(`${BASE}/anything`, \"text\");\n    assert_eq(res.json(\"method\"), \"PUT\");\n}",
    },
    FunctionDoc {
        signature: "http::patch(url, body, params) -> Response",
        summary: "Changes what is there; `body` and `params` may be left out.",
        parameters: &[URL, BODY, PARAMS],
        errors: "When the URL or a parameter is not what it must be, or in the script's init. A failure on the way throws only with `throws: true`; else the response has status 0 and an `error`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::patch(`${BASE}/anything`, #{ price: 2 });\n    assert_eq(res.json(\"method\"), \"PATCH\");\n}",
    },
    FunctionDoc {
        signature: "http::delete(url, body, params) -> Response",
        summary: "Deletes what is there; `body` and `params` may be left out. `http::del` is the same.",
        parameters: &[URL, BODY, PARAMS],
        errors: "When the URL or a parameter is not what it must be, or in the script's init. A failure on the way throws only with `throws: true`; else the response has status 0 and an `error`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::delete(`${BASE}/anything`);\n    assert_eq(res.json(\"method\"), \"DELETE\");\n}",
    },
    FunctionDoc {
        signature: "http::del(url, body, params) -> Response",
        summary: "The same as `http::delete`.",
        parameters: &[URL, BODY, PARAMS],
        errors: "When the URL or a parameter is not what it must be, or in the script's init. A failure on the way throws only with `throws: true`; else the response has status 0 and an `error`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    assert_eq(http::del(`${BASE}/anything`).json(\"method\"), \"DELETE\");\n}",
    },
    FunctionDoc {
        signature: "http::request(method, url, body, params) -> Response",
        summary: "Makes a request with any method; `body` and `params` may be left out.",
        parameters: &[
            ("method", "The method's name."),
            URL,
            BODY,
            PARAMS,
        ],
        errors: "When the URL or a parameter is not what it must be, or in the script's init. A failure on the way throws only with `throws: true`; else the response has status 0 and an `error`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    assert_eq(http::request(\"GET\", `${BASE}/health`).status, 200);\n}",
    },
    FunctionDoc {
        signature: "http::batch(requests) -> array or map",
        summary: "Makes several requests side by side, as a browser does, and waits for all: an array gives an array, a map gives a map. At once go at most 20, and 6 to one host (the options `batch` and `batch_per_host`).",
        parameters: &[(
            "requests",
            "URLs, arrays `[method, url, body, params]`, or maps `#{ method, url, body, params }`.",
        )],
        errors: "When the URL or a parameter is not what it must be, or in the script's init. A failure on the way throws only with `throws: true`; else the response has status 0 and an `error`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let all = http::batch(#{ home: `${BASE}/`, item: [\"GET\", `${BASE}/item/1`] });\n    assert_eq(all.item.status, 200);\n    let list = http::batch([`${BASE}/item/1`, `${BASE}/item/2`]);\n    assert_eq(list.len(), 2);\n}",
    },
    FunctionDoc {
        signature: "http::client(settings) -> HttpClient",
        summary: "A client with settings of its own: it has `get`, `post`, `put`, `patch`, `delete`, `head`, `options`, `request` and `batch` as the functions of this module. It can be made at the top level, where it is a constant for all journeys, or anywhere else: equal settings are the same client. Connections are each virtual user's own; clients whose options and cookies are the run's use those of the global functions.",
        parameters: &[(
            "settings",
            "A map of `base_url` (relative URLs are joined to it, RFC 3986), `headers`, `tags`, `auth`, `timeout`, `redirects`, `expected`, `discard_body`, `throws`, `retries` (all requests get them unless they say otherwise), `cookies` (`\"shared\"` with the virtual user's jar, which is usual, `\"own\"`, `\"none\"`, or a map of cookies for each request), `name_prefix` (before the name of each request in the results), and any option about HTTP that the run has: `user_agent`, `insecure_skip_tls_verify`, `hosts`, `max_body`, `no_connection_reuse` and so on.",
        )],
        errors: "When there is no setting of a name, or its value makes no sense; when a worker has more than 4,096 sets of options, or a virtual user connections for more than 16 clients.",
        example: "
            const SHOP = http::client(#{
                base_url: env(\"BASE_URL\"),
                headers: #{ \"X-Tenant\": \"north\" },
                timeout: 5.s,
                name_prefix: \"shop: \",
                retries: #{ count: 2, on: [503, \"network\"], delay: 1.ms },
            });
            fn journey() {
                assert_eq(SHOP.get(\"/item/1\", #{ name: \"item\" }).status, 200);
                assert_eq(SHOP.get(`/flaky?fails=2&key=${crypto::uuid()}`).attempts, 3);
                assert_error(|| http::client(#{ base: \"http://shop.test\" }), \"did you mean `base_url`\");
            }
        ",
    },
    FunctionDoc {
        signature: "http::form(fields) -> HttpBody",
        summary: "A body as an HTML form sends it (`application/x-www-form-urlencoded`); an array repeats its field.",
        parameters: &[("fields", "A map from names to values.")],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::post(`${BASE}/anything`, http::form(#{ user: \"ann\", tag: [\"a\", \"b\"] }));\n    assert_eq(res.status, 200);\n}",
    },
    FunctionDoc {
        signature: "http::json(value) -> HttpBody",
        summary: "A body of JSON, for values that are not maps or arrays too.",
        parameters: &[("value", "Any value that JSON can hold.")],
        errors: "When JSON can't hold it.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::post(`${BASE}/anything`, http::json(\"text\"));\n    assert_eq(res.status, 200);\n}",
    },
    FunctionDoc {
        signature: "http::multipart(fields) -> HttpBody",
        summary: "A `multipart/form-data` body: texts, blobs and files. Files are read from disk while they are sent.",
        parameters: &[(
            "fields",
            "A map from names to texts, numbers, blobs, `http::file(...)`, `http::part(...)`, `http::generated(...)`, or arrays of these (several of one name); or an array of `[name, value]` pairs, to say their order.",
        )],
        errors: "When a field is none of these.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let form = http::multipart(#{ title: \"a picture\", photo: http::file(\"pixel.png\") });\n    let res = http::post(`${BASE}/upload`, form);\n    assert_eq(res.status, 201);\n}",
    },
    FunctionDoc {
        signature: "http::file(path) -> HttpBody",
        summary: "A file beside the script, as a body or as a field of a multipart form.",
        parameters: &[("path", "Relative to the script.")],
        errors: "When there is no such file.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::put(`${BASE}/upload/raw`, http::file(\"pixel.png\"));\n    assert_eq(res.ok, true);\n}",
    },
    FunctionDoc {
        signature: "http::file(path, content_type) -> HttpBody",
        summary: "The same with a content type; without, the name decides.",
        parameters: &[("path", "Relative to the script."), ("content_type", "For example `image/png`.")],
        errors: "When there is no such file.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::put(`${BASE}/upload/raw`, http::file(\"pixel.png\", \"image/png\"));\n    assert_eq(res.ok, true);\n}",
    },
    FunctionDoc {
        signature: "http::part(content, settings) -> HttpBody",
        summary: "A field of a multipart form with a file name or a content type of its own.",
        parameters: &[
            ("content", "A text, a number, a blob, `http::file(...)`, `http::generated(...)`."),
            ("settings", "`filename` and `content_type`, one of them or both."),
        ],
        errors: "When there is another setting, or when it is sent as a body of its own.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let note = http::part(\"<b>hello</b>\", #{ filename: \"note.html\", content_type: \"text/html\" });\n    let form = http::multipart([[\"files\", note], [\"files\", http::part(http::file(\"pixel.png\"), #{ filename: \"dot.png\" })]]);\n    let res = http::post(`${BASE}/upload`, form);\n    assert_eq(res.json(\"files[1].name\"), \"dot.png\");\n}",
    },
    FunctionDoc {
        signature: "http::generated(size, settings) -> HttpBody",
        summary: "A body of any size that is made while it is sent and never held; `settings` may be left out. Without a pattern its bytes are random and can't be compressed.",
        parameters: &[
            ("size", "A number of bytes, or a text such as `\"1GB\"`."),
            (
                "settings",
                "`pattern` (a text or a blob that is repeated) or `seed` (a number: the same seed, the same bytes).",
            ),
        ],
        errors: "When the size or a setting is not what it must be.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let body = http::generated(\"1MB\", #{ pattern: \"abc\" });\n    let res = http::put(`${BASE}/upload/raw`, body, #{ compression: \"gzip\", expect_continue: true });\n    assert_eq(res.status, 201);\n}",
    },
    FunctionDoc {
        signature: "http::jar() -> CookieJar, http::cookie_jar() -> CookieJar",
        summary: "This virtual user's cookie jar, emptied at the end of each iteration unless `no_cookies_reset` is set. `http::cookie_jar` is k6's word for it. A request uses another one by its parameter `jar`, or none by `jar: ()`.",
        parameters: &[],
        errors: "In the script's init.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    http::jar().set(BASE, \"taste\", \"sweet\");\n    assert_eq(http::cookie_jar().len(), 1);\n    assert_eq(http::get(`${BASE}/headers`).json(\"headers.cookie\"), \"taste=sweet\");\n    assert_eq(http::get(`${BASE}/headers`, #{ jar: () }).json(\"headers.cookie\"), ());\n}",
    },
    FunctionDoc {
        signature: "http::new_jar() -> CookieJar, http::new_jar(cookies) -> CookieJar",
        summary: "A jar of the script's own (k6's `new http.CookieJar()`), empty or with the cookies that `jar.to_array` gave: for the parameter `jar` of requests and the setting `jar` of clients. It lives as long as the script holds it, for example in `vu.state`, and is not emptied between iterations.",
        parameters: &[("cookies", "An array of maps, as `jar.add` takes it.")],
        errors: "When a cookie can't be added, or in the script's init: all virtual users would share it.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let admin = http::new_jar();\n    http::get(`${BASE}/cookies/set?role=admin`, #{ jar: admin });\n    assert_eq(admin.get(BASE, \"role\"), \"admin\");\n    assert_eq(http::jar().len(), 0);\n    let again = http::new_jar(admin.to_array());\n    let client = http::client(#{ base_url: BASE, jar: again });\n    assert_eq(client.get(\"/headers\").json(\"headers.cookie\"), \"role=admin\");\n}",
    },
    FunctionDoc {
        signature: "http::events(url, params) -> EventStream",
        summary: "Reads a stream of events (`text/event-stream`), each when it comes; `params` may be left out. Returns when the response's head is there. See [streams](streams.md).",
        parameters: &[
            URL,
            (
                "params",
                "Those of a request but `response`, `save_to` and `digest`, and: `max_events` (closes after so many), `idle_timeout` (fails when nothing comes for so long), `max_event` (the most bytes of one, 1 MiB), `format` (see `http::stream`). `timeout` is for the whole stream.",
            ),
        ],
        errors: "As those of `http::get`.",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let stream = http::events(`${BASE}/stream?count=3&first=1&ms=1`, #{ name: \"answer\", idle_timeout: 10.s });
                let text = \"\";
                for event in stream {
                    if event.type == \"token\" { text += event.json(\"text\"); }
                }
                assert_eq(text, \"the shop has\");
                assert_eq(stream.status, 200);
            }
        ",
    },
    FunctionDoc {
        signature: "http::stream(method, url, body, params) -> EventStream",
        summary: "The same with any method and body, for events and for lines (NDJSON): what the response's type says, or `format: \"events\"` or `\"lines\"`. `body` and `params` may be left out.",
        parameters: &[
            ("method", "`GET`, `POST` or any other."),
            URL,
            ("body", "As `http::post` takes it; `()` for none."),
            ("params", "As `http::events` takes them."),
        ],
        errors: "As those of `http::get`.",
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                let url = `${BASE}/stream?count=2&first=1&ms=1&format=lines`;
                let stream = http::stream(\"POST\", url, #{ prompt: \"hello\" });
                assert_eq(stream.next().json(\"text\"), \"the\");
                stream.close();
                assert_eq(stream.next(), ());
            }
        ",
    },
    FunctionDoc {
        signature: "http::cookies(url) -> map",
        summary: "The cookies that this virtual user would send to a URL.",
        parameters: &[URL],
        errors: "When it is no URL, or in the script's init.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    http::get(`${BASE}/cookies/set?name=taste`);\n    assert_eq(type_of(http::cookies(BASE)), \"map\");\n}",
    },
    FunctionDoc {
        signature: "http::set_cookie(url, name, value)",
        summary: "Puts a cookie into this virtual user's jar, as if the URL had set it.",
        parameters: &[("url", "An absolute `http` or `https` URL."), ("name", "Its name."), ("value", "Its value.")],
        errors: "When it can't be set for that URL, or in the script's init.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    http::set_cookie(BASE, \"taste\", \"sweet\");\n    assert_eq(http::cookies(BASE).taste, \"sweet\");\n}",
    },
    FunctionDoc {
        signature: "http::clear_cookies()",
        summary: "Empties this virtual user's cookie jar.",
        parameters: &[],
        errors: "In the script's init.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    http::set_cookie(BASE, \"taste\", \"sweet\");\n    http::clear_cookies();\n    assert_eq(http::cookies(BASE).len(), 0);\n}",
    },
    FunctionDoc {
        signature: "response.status -> int",
        summary: "The status; 0 when there was no response.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.status, 200);\n}",
    },
    FunctionDoc {
        signature: "response.status_text -> string",
        summary: "The usual words for the status.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.status_text, \"OK\");\n}",
    },
    FunctionDoc {
        signature: "response.ok -> bool",
        summary: "Whether the status is 200 to 399.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.ok, true);\n}",
    },
    FunctionDoc {
        signature: "response.expected -> bool",
        summary: "Whether the response is one that the request expects; else it counts in `http_req_failed`.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.expected, true);\n}",
    },
    FunctionDoc {
        signature: "response.body -> string",
        summary: "The body as text, decompressed and decoded when first looked at. Its charset is that of its byte order mark, else of `Content-Type`, else what an HTML or XML document declares at its beginning, else UTF-8; bytes that mean nothing in it are replaced by U+FFFD. A byte order mark is no part of the text.",
        parameters: &[],
        errors: "When it can't be decompressed.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/gzip`);\n    assert_eq(res.body.len() > 0, true);\n}",
    },
    FunctionDoc {
        signature: "response.bytes -> blob",
        summary: "The body as bytes, decompressed: for pictures, archives and whatever else is no text.",
        parameters: &[],
        errors: "When it can't be decompressed.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.bytes.len() > 0, true);\n}",
    },
    FunctionDoc {
        signature: "response.size -> int",
        summary: "How many bytes of body came, before decompression.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.size > 0, true);\n}",
    },
    FunctionDoc {
        signature: "response.headers -> Headers",
        summary: "The headers: `res.headers[\"content-type\"]` without regard to case, `()` when there is none; `.get_all(name)` for those that come several times; `.contains(name)`, `.keys()`.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.headers[\"Content-Type\"].contains(\"json\"), true);\n    assert_eq(res.headers[\"x-nothing\"], ());\n}",
    },
    FunctionDoc {
        signature: "headers.get(name) -> string",
        summary: "The first header of that name, or `()`.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.headers.get(\"content-type\").contains(\"json\"), true);\n}",
    },
    FunctionDoc {
        signature: "headers.get_all(name) -> array",
        summary: "All headers of that name.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.headers.get_all(\"x-nothing\").len(), 0);\n}",
    },
    FunctionDoc {
        signature: "headers.contains(name) -> bool",
        summary: "Whether there is a header of that name.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.headers.contains(\"content-type\"), true);\n}",
    },
    FunctionDoc {
        signature: "headers.keys() -> array",
        summary: "The names of all headers.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.headers.keys().len() > 0, true);\n}",
    },
    FunctionDoc {
        signature: "response.cookies -> map",
        summary: "The cookies that this response sets: name to value.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(type_of(res.cookies), \"map\");\n}",
    },
    FunctionDoc {
        signature: "response.caches -> array",
        summary: "The caches that the response passed, from the one nearest to the origin, as maps of `name`, `outcome` (`hit`, `miss` or `bypass`) and `detail` (in its own words): from `Cache-Status`, or from the headers that caches and content networks are known by (`X-Cache`, `CF-Cache-Status`, `X-Varnish`, `Age` and others). Empty where nothing tells of one.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    http::get(`${BASE}/cache/a`);\n    let res = http::get(`${BASE}/cache/a`);\n    assert_eq(res.caches[0].outcome, \"hit\");\n    assert_eq(http::get(`${BASE}/health`).caches, []);\n}",
    },
    FunctionDoc {
        signature: "response.json() -> any",
        summary: "The body parsed as JSON.",
        parameters: &[],
        errors: "When the body is not JSON.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.json().id, 1);\n}",
    },
    FunctionDoc {
        signature: "response.json(path) -> any",
        summary: "One value out of a JSON body, without parsing the rest; `()` when it is not there.",
        parameters: &[(
            "path",
            "Keys and indexes: `items[0].price`, `items[-1]`, `items.#` for the length. One that begins with `$` is a JSONPath query (RFC 9535), such as `$..book[?@.price < 10].title`: it gives an array of all that fit, or, where it names a single place, its value or `()`.",
        )],
        errors: "When the body is not JSON, or the path can't be understood.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.json(\"price\") > 0, true);\n    assert_eq(res.json(\"nothing.here\"), ());\n    assert_eq(res.json(\"$..price\"), [res.json(\"price\")]);\n}",
    },
    FunctionDoc {
        signature: "response.decode(charset) -> string",
        summary: "The body as text in a charset that you name, for servers that don't say theirs, or the wrong one.",
        parameters: &[("charset", "its name: `windows-1252`, `shift_jis`, `gb18030`, and whatever else browsers know")],
        errors: "When there is no charset of that name, or the body can't be decompressed.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.decode(\"windows-1252\").contains(\"price\"), true);\n    assert_error(|| res.decode(\"klingon\"), \"there is no charset `klingon`\");\n}",
    },
    FunctionDoc {
        signature: "response.find(pattern) -> string",
        summary: "What a regular expression takes out of the body: its group; of several groups an array, or a map where they have names; without groups all that matched. Of the first match; `()` where there is none.",
        parameters: &[("pattern", "a regular expression, as the functions of `regex` take it")],
        errors: "When the pattern is not a regular expression, or the body can't be decompressed.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let page = http::get(`${BASE}/login`);\n    assert_eq(page.find(#\"name=\"csrf_token\" value=\"(\\w+)\"\"#).len, 16);\n    assert_eq(page.find(#\"<(\\w+) name=\"(user)\"\"#), [\"input\", \"user\"]);\n    assert_eq(page.find(\"no such thing\"), ());\n}",
    },
    FunctionDoc {
        signature: "response.find_all(pattern) -> array",
        summary: "The same of every match.",
        parameters: &[("pattern", "a regular expression, as the functions of `regex` take it")],
        errors: "When the pattern is not a regular expression, or the body can't be decompressed.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let page = http::get(`${BASE}/login`);\n    assert_eq(page.find_all(\"<input[^>]* name=\\\"(\\\\w+)\\\"\").contains(\"password\"), true);\n    assert_eq(page.find_all(\"no such thing\"), []);\n}",
    },
    FunctionDoc {
        signature: "response.html() -> Selection",
        summary: "The body as an HTML page, parsed at the first look and kept; see `html` for what can be done with it.",
        parameters: &[],
        errors: "When it is too large to be a page (see `html::parse`), or can't be decompressed",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let page = http::get(`${BASE}/login`).html();\n    assert_eq(page.select(\"form input[name=user]\").len, 1);\n    assert_eq(page.select(\"form\").fields().csrf_token.len, 16);\n}",
    },
    FunctionDoc {
        signature: "response.xml() -> XmlNode",
        summary: "The body as an XML document, parsed at the first look and kept; see `xml` for what can be done with it.",
        parameters: &[],
        errors: "When it is not XML, or beyond the bounds of `xml::parse`.",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    // A feed would give `res.xml().get(\"//item[1]/title\")`.\n    assert_error(|| res.xml(), \"is not XML\");\n}",
    },
    FunctionDoc {
        signature: "response.submit_form() -> response, response.submit_form(options) -> response",
        summary: "Sends a form of the page as a browser does: its method, address and encoding, hidden fields, boxes and options as they stand, with what is filled in. The page is sent as `Referer`.",
        parameters: &[(
            "options",
            "a map, all of it optional: `selector` (which form, `form`), `fields` (names to what is filled in: a text, an array for several, `true` or `false` for a box, `http::file(...)` for a file, `()` to leave the field out), `extra` (fields that the page's scripts would add, sent as they are), `submit` (a selector of the button that is pressed; the first one), `params` (of the request, as `http::post` takes them)",
        )],
        errors: "When there is no such form or button; when the form has no such field, or the field no such value",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let page = http::get(`${BASE}/login`);\n    let home = page.submit_form(#{ fields: #{ user: \"user1\", password: \"secret\" } });\n    assert_eq(home.url, `${BASE}/account`);\n    assert_error(|| page.submit_form(#{ fields: #{ usr: \"user1\" } }), \"did you mean `user`?\");\n    assert_error(|| page.submit_form(#{ selector: \"form#other\" }), \"has no form `form#other`\");\n}",
    },
    FunctionDoc {
        signature: "response.follow_link(options) -> response",
        summary: "Goes where a link of the page leads, as a click does. The page is sent as `Referer`.",
        parameters: &[(
            "options",
            "a map: `selector` (which link; by default any), `text` (the first of these that says so), `params` (of the request, as `http::get` takes them)",
        )],
        errors: "When there is no such link, or it leads to no page",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let page = http::get(`${BASE}/products`);\n    assert_eq(page.follow_link(#{ text: \"Next\" }).url, `${BASE}/products?page=2`);\n    assert_eq(page.follow_link(#{ selector: \"nav a[href='/cart']\" }).url.ends_with(\"/cart\"), true);\n    assert_error(|| page.follow_link(#{ text: \"Nowhere\" }), \"that says `Nowhere`\");\n}",
    },
    FunctionDoc {
        signature: "response.timings -> Timings",
        summary: "The phases in milliseconds: `duration` (sending, waiting and receiving together), `blocked`, `looking_up`, `connecting`, `tls_handshaking`, `sending`, `waiting`, `receiving`; 0 where a phase did not happen.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.timings.duration >= res.timings.waiting, true);\n}",
    },
    FunctionDoc {
        signature: "timings.duration -> float",
        summary: "Sending, waiting and receiving together, in milliseconds.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.timings.duration >= 0.0, true);\n}",
    },
    FunctionDoc {
        signature: "timings.blocked -> float",
        summary: "From wanting to send until a connection was ready.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.timings.blocked >= 0.0, true);\n}",
    },
    FunctionDoc {
        signature: "timings.looking_up -> float",
        summary: "Name resolution.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.timings.looking_up >= 0.0, true);\n}",
    },
    FunctionDoc {
        signature: "timings.connecting -> float",
        summary: "TCP connect.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.timings.connecting >= 0.0, true);\n}",
    },
    FunctionDoc {
        signature: "timings.tls_handshaking -> float",
        summary: "TLS handshake.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.timings.tls_handshaking >= 0.0, true);\n}",
    },
    FunctionDoc {
        signature: "timings.sending -> float",
        summary: "Writing the request.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.timings.sending >= 0.0, true);\n}",
    },
    FunctionDoc {
        signature: "timings.waiting -> float",
        summary: "From the last byte written to the first byte read.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.timings.waiting >= 0.0, true);\n}",
    },
    FunctionDoc {
        signature: "timings.receiving -> float",
        summary: "From the first byte read to the last.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.timings.receiving >= 0.0, true);\n}",
    },
    FunctionDoc {
        signature: "response.duration -> Duration",
        summary: "`timings.duration` as a duration.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.duration < 10.s, true);\n}",
    },
    FunctionDoc {
        signature: "response.url -> string",
        summary: "The URL that answered: after redirects the last one.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.url.contains(\"/item/1\"), true);\n}",
    },
    FunctionDoc {
        signature: "response.redirects -> int",
        summary: "How many redirects were followed.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.redirects, 0);\n}",
    },
    FunctionDoc {
        signature: "response.attempts -> int",
        summary: "Which attempt this is the response of: more than 1 where `retries` made the request again. Each attempt is a request of its own in the results.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let url = `${BASE}/flaky?fails=1&key=${crypto::uuid()}`;\n    assert_eq(http::get(url, #{ retries: #{ count: 3, delay: 1.ms } }).attempts, 2);\n    assert_eq(http::get(`${BASE}/health`).attempts, 1);\n}",
    },
    FunctionDoc {
        signature: "response.proto -> string",
        summary: "The version of HTTP that was spoken: `HTTP/1.1`, `HTTP/2.0`.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.proto, \"HTTP/1.1\");\n}",
    },
    FunctionDoc {
        signature: "response.tls_version -> string",
        summary: "`TLS 1.3`; empty without TLS.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.tls_version, \"\");\n}",
    },
    FunctionDoc {
        signature: "response.remote_ip -> string",
        summary: "The address that answered.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.remote_ip, \"127.0.0.1\");\n}",
    },
    FunctionDoc {
        signature: "response.remote_port -> int",
        summary: "The port that answered.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.remote_port > 0, true);\n}",
    },
    FunctionDoc {
        signature: "response.reused -> bool",
        summary: "Whether the connection had served an earlier request.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(http::get(`${BASE}/item/2`).reused, true);\n}",
    },
    FunctionDoc {
        signature: "response.error -> string",
        summary: "What failed on the way; empty when a response came.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(\"http://127.0.0.1:1/\");\n    assert_eq(res.error != \"\", true);\n}",
    },
    FunctionDoc {
        signature: "response.error_code -> int",
        summary: "The class of what failed: k6's numbers, `1000 + status` for 4xx and 5xx; 0 for nothing.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    assert_eq(http::get(`${BASE}/status/503`).error_code, 1503);\n}",
    },
    FunctionDoc {
        signature: "response.digest -> string",
        summary: "The digest that the parameter `digest` asked for, in hexadecimal digits: of the body's bytes as they came, also where the body is not kept. Empty where none was asked for, or the body did not come to its end.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/bytes/1000`, #{ response: \"discard\", digest: \"sha256\" });\n    let kept = http::get(`${BASE}/bytes/1000`);\n    assert_eq(res.digest, crypto::sha256(kept.bytes));\n    assert_eq(res.body, \"\");\n    assert_eq(res.size, 1000);\n}",
    },
    FunctionDoc {
        signature: "response.saved -> string",
        summary: "Where the parameter `save_to` put the body; empty where it did not: no success (200 to 299), or not the whole body.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/status/404`, #{ save_to: \"missing.bin\", expected: 404 });\n    assert_eq(res.saved, \"\");\n}",
    },
    FunctionDoc {
        signature: "response.request -> map",
        summary: "What was sent: `method`, `url`, `headers`, `body`.",
        parameters: &[],
        errors: "",
        example: "const BASE = env(\"BASE_URL\");\nfn journey() {\n    let res = http::get(`${BASE}/item/1`);\n    assert_eq(res.request.method, \"GET\");\n}",
    },
];
