//! The verbs, as functions of the module and as methods of a client: the same code under both.

use std::any::TypeId;

use ::http::Method;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map};

use super::client::HttpClient;
use super::{HttpBody, Natives, batch_array, batch_map, define, define_for, send, verb};
use crate::script::context::HostContext;
use crate::script::fixed::FixedMap;

/// Verbs without a body.
const ASKING: [(&str, Method); 3] = [("get", Method::GET), ("head", Method::HEAD), ("options", Method::OPTIONS)];

/// Verbs with one.
const SENDING: [(&str, Method); 5] = [
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
    ("del", Method::DELETE),
];

/// Registers both.
pub(super) fn register(engine: &mut Engine, natives: &mut Natives, context: &HostContext) {
    functions(natives, context);
    methods(engine, context);
}

/// Which argument of a verb of the module, by name, has its parameters.
#[must_use]
pub fn params_of(name: &str) -> Option<usize> {
    let is = |(known, _): &(&str, Method)| *known == name;
    if ASKING.iter().any(is) { Some(1) } else { SENDING.iter().any(is).then_some(2) }
}

fn functions(natives: &mut Natives, context: &HostContext) {
    let (text, map) = (TypeId::of::<ImmutableString>(), TypeId::of::<Map>());
    let params_types = [map, TypeId::of::<FixedMap>()];
    for (name, method) in ASKING {
        let (host, verb) = (context.clone(), method.clone());
        define(natives, name, move |url: ImmutableString| {
            send(&host, None, verb.clone(), &url, Dynamic::UNIT, Dynamic::UNIT)
        });
        let with_params = |host: HostContext, verb: Method| {
            move |url: ImmutableString, params: Dynamic| send(&host, None, verb.clone(), &url, Dynamic::UNIT, params)
        };
        for params in params_types {
            define_for(natives, name, &[text, params], with_params(context.clone(), method.clone()));
        }
    }
    for (name, method) in SENDING {
        let (host, verb) = (context.clone(), method.clone());
        define(natives, name, move |url: ImmutableString| {
            send(&host, None, verb.clone(), &url, Dynamic::UNIT, Dynamic::UNIT)
        });
        let plain = |host: HostContext, verb: Method| {
            move |url: ImmutableString, body: Dynamic| send(&host, None, verb.clone(), &url, body, Dynamic::UNIT)
        };
        let with_params = |host: HostContext, verb: Method| {
            move |url: ImmutableString, body: Dynamic, params: Dynamic| {
                send(&host, None, verb.clone(), &url, body, params)
            }
        };
        define(natives, name, plain(context.clone(), method.clone()));
        for body in [text, map, TypeId::of::<HttpBody>()] {
            define_for(natives, name, &[text, body], plain(context.clone(), method.clone()));
        }
        for body in [text, map, TypeId::of::<HttpBody>(), TypeId::of::<Dynamic>()] {
            for params in params_types {
                define_for(natives, name, &[text, body, params], with_params(context.clone(), method.clone()));
            }
        }
    }
    let host = context.clone();
    define(natives, "request", move |method: ImmutableString, url: ImmutableString| {
        send(&host, None, verb(&method)?, &url, Dynamic::UNIT, Dynamic::UNIT)
    });
    let host = context.clone();
    define(natives, "request", move |method: ImmutableString, url: ImmutableString, body: Dynamic| {
        send(&host, None, verb(&method)?, &url, body, Dynamic::UNIT)
    });
    let host = context.clone();
    define(natives, "request", move |method: ImmutableString, url: ImmutableString, body: Dynamic, params: Map| {
        send(&host, None, verb(&method)?, &url, body, params.into())
    });
    let host = context.clone();
    define(natives, "batch", move |requests: Array| batch_array(&host, None, requests));
    let host = context.clone();
    define(natives, "batch", move |requests: Map| batch_map(&host, None, requests));
}

fn methods(engine: &mut Engine, context: &HostContext) {
    engine.register_type_with_name::<HttpClient>("HttpClient");
    engine.register_get("base_url", |client: &mut HttpClient| client.base_url());
    for (name, method) in ASKING {
        let (host, verb) = (context.clone(), method.clone());
        engine.register_fn(name, move |client: &mut HttpClient, url: ImmutableString| {
            send(&host, Some(client), verb.clone(), &url, Dynamic::UNIT, Dynamic::UNIT)
        });
        let host = context.clone();
        engine.register_fn(name, move |client: &mut HttpClient, url: ImmutableString, params: Map| {
            send(&host, Some(client), method.clone(), &url, Dynamic::UNIT, params.into())
        });
    }
    for (name, method) in SENDING {
        let (host, verb) = (context.clone(), method.clone());
        engine.register_fn(name, move |client: &mut HttpClient, url: ImmutableString| {
            send(&host, Some(client), verb.clone(), &url, Dynamic::UNIT, Dynamic::UNIT)
        });
        let (host, verb) = (context.clone(), method.clone());
        engine.register_fn(name, move |client: &mut HttpClient, url: ImmutableString, body: Dynamic| {
            send(&host, Some(client), verb.clone(), &url, body, Dynamic::UNIT)
        });
        let host = context.clone();
        engine.register_fn(name, move |client: &mut HttpClient, url: ImmutableString, body: Dynamic, params: Map| {
            send(&host, Some(client), method.clone(), &url, body, params.into())
        });
    }
    let host = context.clone();
    engine.register_fn("request", move |client: &mut HttpClient, method: ImmutableString, url: ImmutableString| {
        send(&host, Some(client), verb(&method)?, &url, Dynamic::UNIT, Dynamic::UNIT)
    });
    let host = context.clone();
    engine.register_fn(
        "request",
        move |client: &mut HttpClient, method: ImmutableString, url: ImmutableString, body: Dynamic| {
            send(&host, Some(client), verb(&method)?, &url, body, Dynamic::UNIT)
        },
    );
    let host = context.clone();
    engine.register_fn(
        "request",
        move |client: &mut HttpClient, method: ImmutableString, url: ImmutableString, body: Dynamic, params: Map| {
            send(&host, Some(client), verb(&method)?, &url, body, params.into())
        },
    );
    let host = context.clone();
    engine.register_fn("batch", move |client: &mut HttpClient, requests: Array| {
        batch_array(&host, Some(client), requests)
    });
    let host = context.clone();
    engine.register_fn("batch", move |client: &mut HttpClient, requests: Map| batch_map(&host, Some(client), requests));
}
