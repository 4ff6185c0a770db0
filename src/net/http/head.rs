//! The head of a request as it goes out: what the request says, what its client adds, who it says it comes from.

use std::borrow::Cow;

use ::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
};
use ::http::{HeaderMap, HeaderValue};

use super::{Client, Hop};
use crate::net::Exchange;
use crate::net::auth::Auth;
use crate::net::auth::aws::{self, Payload};
use crate::net::body::{Body, Outgoing};
use crate::net::http1::Message;
use crate::net::proxy::Forwarding;
use crate::net::target::{self, Target};

impl Client {
    pub(super) fn message<'a>(
        &self,
        hop: &'a Hop,
        target: &'a Target,
        body: Outgoing,
        forwarding: Option<&Forwarding>,
    ) -> Message<'a> {
        let request = &hop.request;
        let is_plain = request.headers.is_empty()
            && request.cookies.is_empty()
            && request.auth.is_none()
            && target.authorization().is_none()
            && !request.body.is_streamed()
            && !self.network.options.no_connection_reuse
            && forwarding.is_none()
            && self.jar_of(request).borrow().is_empty();
        let has_body = !body.is_over();
        let made = target.origin().headers();
        let headers = if is_plain {
            Cow::Borrowed(made)
        } else {
            Cow::Owned(self.headers(hop, target, made.clone(), forwarding))
        };
        let line = if forwarding.is_some() { target.absolute() } else { target.line() };
        Message {
            method: &request.method,
            target: line,
            headers,
            chunked: request.chunked && has_body,
            expect_continue: request.expect_continue && has_body,
            body,
        }
    }

    fn headers(
        &self,
        hop: &Hop,
        target: &Target,
        mut headers: HeaderMap,
        forwarding: Option<&Forwarding>,
    ) -> HeaderMap {
        let request = &hop.request;
        if let Some(value) = forwarding.and_then(|proxy| proxy.authorization.as_ref()) {
            headers.insert(PROXY_AUTHORIZATION, value.clone());
        }
        if self.network.options.no_connection_reuse {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(value) = request.body.content_type() {
            headers.insert(CONTENT_TYPE, value);
        }
        if let Some(value) = request.body.content_encoding() {
            headers.insert(CONTENT_ENCODING, value);
        }
        let authorization = match &request.auth {
            None | Some(Auth::Aws(_)) => target.authorization().cloned(),
            Some(Auth::Basic { user, password }) => Some(target::basic(user, password)),
            Some(Auth::Bearer(value)) => Some(value.clone()),
            Some(Auth::Digest(credentials)) => {
                let mut challenges = self.challenges.borrow_mut();
                challenges.answer(target.origin(), credentials, &request.method, target.line(), at_hand(&request.body))
            }
        };
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value);
        }
        for name in request.headers.keys() {
            // The length is the body's, and a form's type holds the boundary that its body uses.
            let own = *name == CONTENT_LENGTH
                || *name == TRANSFER_ENCODING
                || (*name == CONTENT_TYPE && request.body.is_form());
            if own {
                continue;
            }
            let mut values = request.headers.get_all(name).iter();
            if let Some(first) = values.next() {
                headers.insert(name.clone(), first.clone());
            }
            for value in values {
                headers.append(name.clone(), value.clone());
            }
        }
        let more: &[_] = if hop.same_origin { &request.cookies } else { &[] };
        let jar = self.jar_of(request).borrow();
        if (!jar.is_empty() || !more.is_empty())
            && !request.headers.contains_key(COOKIE)
            && let Some(value) = jar.header(target, more)
        {
            headers.insert(COOKIE, value);
        }
        // What is signed is the head as it goes out.
        if let Some(Auth::Aws(key)) = &request.auth {
            let payload = at_hand(&request.body).map_or(Payload::Streamed, Payload::Bytes);
            let path_and_query = (target.path(), target.query().unwrap_or_default());
            aws::sign(key, &request.method, path_and_query, &mut headers, payload, jiff::Timestamp::now());
        }
        headers
    }

    /// Whether a response challenges for a digest that can be given: then the request is made once more.
    pub(super) fn is_challenged(&self, hop: &mut Hop, exchange: &Exchange) -> bool {
        let is_digest = matches!(hop.request.auth, Some(Auth::Digest(_)));
        if exchange.status != 401 || !is_digest || hop.has_answered || exchange.error.is_some() {
            return false;
        }
        // An answer to a fresh challenge that is refused as well is the end of it.
        let has_body = at_hand(&hop.request.body).is_some();
        hop.has_answered = self.challenges.borrow_mut().learn(hop.request.url.origin(), &exchange.headers, has_body);
        hop.has_answered
    }
}

/// The bytes of a body, where they need not be streamed.
fn at_hand(body: &Body) -> Option<&[u8]> {
    match body {
        Body::Empty => Some(&[]),
        Body::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}
