//! Logging in: by form with a CSRF token and a session cookie, by API with a bearer token.

use std::sync::atomic::Ordering;

use serde::Deserialize;
use smallvec::SmallVec;

use super::browse::{PAGE_END, csrf_meta, escape, login_form, page_start, page_start_with};
use super::request::first_value;
use super::response::{HTML, JSON, Reply, Response, error_body};
use super::routes::Call;
use super::shop::{Carrier, PASSWORD, TOKEN_LIFE, is_user, key_text, parse_key};

/// The header that gives a visitor a session.
pub(super) fn session_cookie(key: u64) -> String {
    format!("sid={}; Path=/; HttpOnly; SameSite=Lax", key_text(key))
}

/// A page with the login form; a visitor without a session gets one.
pub(super) fn form_page(call: &Call<'_>, response: Response<'_>, status: u16, title: &str, message: &str) -> Reply {
    let held = call.shop.caller(call.request, call.now);
    let csrf = held.and_then(|key| call.shop.sessions.with(key, |session| session.csrf));
    let (begun, csrf) = match csrf {
        Some(csrf) => (response.begin(status), csrf),
        None => {
            let (key, csrf) = call.shop.open_session(Carrier::Cookie, None, SmallVec::new(), call.now);
            (response.begin(status).header("Set-Cookie", &session_cookie(key)), csrf)
        }
    };
    let message = if message.is_empty() { String::new() } else { format!("<p class=\"error\">{message}</p>\n") };
    let (start, form) = (page_start_with(title, &csrf_meta(csrf)), login_form(csrf));
    let parts = [start.as_bytes(), message.as_bytes(), form.as_bytes(), PAGE_END.as_bytes()];
    begun.header("Cache-Control", "no-store").parts(HTML, &parts)
}

/// `GET /login`: the login form.
pub(super) fn login_page(call: &Call<'_>, response: Response<'_>) -> Reply {
    form_page(call, response, 200, "Log in", "")
}

/// `POST /login`: 403 without the session's CSRF token, 401 with a wrong name or password, else a new session and 303.
pub(super) fn login(call: &Call<'_>, response: Response<'_>) -> Reply {
    let shop = call.shop;
    let field = |name: &str| first_value(call.body, name).unwrap_or_default();
    // In the form as browsers send it, or in a header as a page's scripts do.
    let token = parse_key(&field("csrf_token")).or_else(|| parse_key(call.request.header("x-csrf-token")));
    let caller = shop.caller(call.request, call.now);
    let expected = caller.and_then(|key| shop.sessions.with(key, |session| session.csrf));
    if token.is_none() || token != expected {
        return form_page(call, response, 403, "Log in", "The form has expired. Please try again.");
    }
    let (user, password) = (field("user"), field("password"));
    if !is_user(&user) || password != PASSWORD {
        return form_page(call, response, 401, "Log in", "Wrong user or password.");
    }
    // A session that was there before the login must not be worth more after it: the cart moves to a new one.
    let cart = caller.and_then(|key| shop.sessions.remove(key)).map(|session| session.cart).unwrap_or_default();
    let (key, _) = shop.open_session(Carrier::Cookie, Some(&user), cart, call.now);
    shop.events.logins.fetch_add(1, Ordering::Relaxed);
    response.begin(303).header("Location", "/account").header("Set-Cookie", &session_cookie(key)).empty()
}

/// `POST /logout`: forgets the session.
pub(super) fn logout(call: &Call<'_>, response: Response<'_>) -> Reply {
    if let Some(key) = call.shop.caller(call.request, call.now) {
        call.shop.sessions.remove(key);
    }
    response.begin(303).header("Location", "/").header("Set-Cookie", "sid=; Path=/; Max-Age=0").empty()
}

/// `GET /account`: the page of who is logged in; anybody else is sent to the login form.
pub(super) fn account_page(call: &Call<'_>, response: Response<'_>) -> Reply {
    let caller = call.shop.caller(call.request, call.now);
    match caller.and_then(|key| call.shop.sessions.with(key, |session| session.user.clone())).flatten() {
        Some(user) => {
            let page =
                format!("{}<p>Logged in as <b class=\"user\">{}</b></p>\n", page_start("Your account"), escape(&user));
            response.begin(200).header("Cache-Control", "no-store").body(HTML, page + PAGE_END)
        }
        None => response.redirect(303, "/login"),
    }
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(alias = "username")]
    user: String,
    password: String,
}

/// `POST /api/login`: a bearer token for name and password in JSON.
pub(super) fn api_login(call: &Call<'_>, response: Response<'_>) -> Reply {
    let credentials: Credentials = match serde_json::from_slice(call.body) {
        Ok(credentials) => credentials,
        Err(error) => return response.error(400, &format!("expected {{\"user\", \"password\"}} in JSON: {error}")),
    };
    if !is_user(&credentials.user) || credentials.password != PASSWORD {
        return unauthorized(response, "wrong user or password");
    }
    let (key, _) = call.shop.open_session(Carrier::Bearer, Some(&credentials.user), SmallVec::new(), call.now);
    call.shop.events.logins.fetch_add(1, Ordering::Relaxed);
    let (token, expires_in) = (key_text(key), TOKEN_LIFE.as_secs());
    response.json(200, format!(r#"{{"token":"{token}","token_type":"Bearer","expires_in":{expires_in}}}"#))
}

/// `GET /api/me`: whose token it is.
pub(super) fn api_me(call: &Call<'_>, response: Response<'_>) -> Reply {
    let caller = call.shop.caller(call.request, call.now);
    let me = caller
        .and_then(|key| call.shop.sessions.with(key, |session| Some((session.user.clone()?, session.cart.len()))));
    match me.flatten() {
        Some((user, lines)) => {
            response.json(200, serde_json::json!({ "user": &*user, "cart_lines": lines }).to_string())
        }
        None => unauthorized(response, "this needs a bearer token from `/api/login`"),
    }
}

/// A refusal that says how to log in.
pub(super) fn unauthorized(response: Response<'_>, message: &str) -> Reply {
    response.begin(401).header("WWW-Authenticate", "Bearer realm=\"demo\"").body(JSON, error_body(message))
}
