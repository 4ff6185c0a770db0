//! The documentation of cookie jars.

use crate::script::modules::{FunctionDoc, HostModule};

/// Their part of the reference; they are registered with the module `http`.
pub const MODULE: HostModule = HostModule {
    name: "cookie jars",
    summary: "What `http::jar()` and `http::new_jar()` give: cookies as a browser keeps them, to look at, to set, and to hand on.",
    docs: DOCS,
    register: |_, _| {},
};

const URL: (&str, &str) = ("url", "An absolute URL: its scheme, host and path decide.");

const NO_URL: &str = "When it is no URL.";

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "jar.cookies(url) -> map",
        summary: "The cookies that a request to a URL would carry: name to value. Of several with one name it is the first that is sent, whose path is the longest.",
        parameters: &[URL],
        errors: NO_URL,
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                http::get(`${BASE}/cookies/set?taste=sweet`);
                assert_eq(http::jar().cookies(BASE).taste, \"sweet\");
            }
        ",
    },
    FunctionDoc {
        signature: "jar.cookies_for_url(url) -> map",
        summary: "The same with all values: name to an array, as k6's `cookiesForURL`.",
        parameters: &[URL],
        errors: NO_URL,
        example: "
            fn journey() {
                let jar = http::new_jar();
                jar.set(\"http://shop.test/\", \"a\", \"1\");
                jar.set(\"http://shop.test/\", \"a\", \"2\", #{ path: \"/cart\" });
                assert_eq(jar.cookies_for_url(\"http://shop.test/cart\").a, [\"2\", \"1\"]);
            }
        ",
    },
    FunctionDoc {
        signature: "jar.get(url, name) -> string or ()",
        summary: "The value of a cookie that a request to a URL would carry; `()` where there is none.",
        parameters: &[URL, ("name", "The cookie's name.")],
        errors: NO_URL,
        example: "
            fn journey() {
                let jar = http::new_jar();
                jar.set(\"http://shop.test/\", \"sid\", \"7\");
                assert_eq(jar.get(\"http://shop.test/cart\", \"sid\"), \"7\");
                assert_eq(jar.get(\"http://other.test/\", \"sid\"), ());
            }
        ",
    },
    FunctionDoc {
        signature: "jar.to_array() -> array, jar.to_array(url) -> array",
        summary: "All cookies, or those that a request to a URL would carry, as maps: `name`, `value`, `domain`, `path`, `host_only` (not for names below the domain), `secure`, `http_only`, `same_site` (`strict`, `lax`, `none` or `()`), `expires` (seconds since 1970, or `()` for the session). `jar.add` and `http::new_jar` take it back. A jar that `setup` returns becomes this array.",
        parameters: &[URL],
        errors: NO_URL,
        example: "
            const BASE = env(\"BASE_URL\");
            fn journey() {
                http::get(`${BASE}/cookies/set?sid=7`);
                let saved = http::jar().to_array();
                http::jar().clear();
                http::jar().add(saved);
                let one = http::jar().to_array(`${BASE}/account`)[0];
                assert_eq([one.name, one.value, one.host_only, one.expires], [\"sid\", \"7\", true, ()]);
            }
        ",
    },
    FunctionDoc {
        signature: "jar.add(cookies)",
        summary: "Puts cookies into the jar as `jar.to_array` gave them. Those that are over are left out.",
        parameters: &[(
            "cookies",
            "An array of maps with `name`, `value` and `domain`; without `path` it is for the whole host, without `host_only` for no name below it.",
        )],
        errors: "When one of them is no such map, or a browser would not have kept it.",
        example: "
            fn journey() {
                let jar = http::new_jar();
                jar.add([#{ name: \"sid\", value: \"7\", domain: \"shop.test\" }]);
                assert_eq(jar.cookies(\"http://shop.test/\"), #{ sid: \"7\" });
                assert_error(|| jar.add([#{ name: \"sid\" }]), \"`value` is missing\");
            }
        ",
    },
    FunctionDoc {
        signature: "jar.set(url, name, value, attributes)",
        summary: "Keeps a cookie as if a response from the URL had set it, for the whole host and the session; `attributes` may be left out.",
        parameters: &[
            URL,
            ("name", "Its name."),
            ("value", "Its value."),
            (
                "attributes",
                "A map of what is to be otherwise: `domain`, `path`, `secure`, `http_only`, `same_site`, `expires` (seconds since 1970, or a date), `max_age` (a duration, or seconds; 0 takes the cookie out).",
            ),
        ],
        errors: "When there is no such attribute, or a browser would not keep such a cookie of that URL: a domain that it is not below, a public suffix such as `co.uk`, `secure` without `https` (but from this machine itself), more than 4096 bytes.",
        example: "
            fn journey() {
                let jar = http::new_jar();
                jar.set(\"https://www.shop.test/\", \"sid\", \"7\", #{ domain: \"shop.test\", secure: true, max_age: 1.h });
                assert_eq(jar.cookies(\"https://api.shop.test/\"), #{ sid: \"7\" });
                assert_eq(jar.cookies(\"http://api.shop.test/\"), #{});
                assert_error(|| jar.set(\"http://shop.co.uk/\", \"a\", \"1\", #{ domain: \"co.uk\" }), \"anyone can have a name below\");
            }
        ",
    },
    FunctionDoc {
        signature: "jar.delete(url, name) -> bool",
        summary: "Takes a cookie out of what a request to a URL would carry; whether there was one.",
        parameters: &[URL, ("name", "The cookie's name.")],
        errors: NO_URL,
        example: "
            fn journey() {
                let jar = http::new_jar();
                jar.set(\"http://shop.test/\", \"sid\", \"7\");
                assert_eq(jar.delete(\"http://shop.test/\", \"sid\"), true);
                assert_eq(jar.delete(\"http://shop.test/\", \"sid\"), false);
            }
        ",
    },
    FunctionDoc {
        signature: "jar.clear(), jar.clear(url)",
        summary: "Takes all cookies out, or those that a request to a URL would carry.",
        parameters: &[URL],
        errors: NO_URL,
        example: "
            fn journey() {
                let jar = http::new_jar();
                jar.set(\"http://a.test/\", \"x\", \"1\");
                jar.set(\"http://b.test/\", \"x\", \"1\");
                jar.clear(\"http://a.test/\");
                assert_eq(jar.len(), 1);
                jar.clear();
                assert_eq(jar.len(), 0);
            }
        ",
    },
    FunctionDoc {
        signature: "jar.len() -> int",
        summary: "How many cookies it holds.",
        parameters: &[],
        errors: "",
        example: "
            fn journey() { assert_eq(http::new_jar().len(), 0); }
        ",
    },
];
