//! `POST /oauth/token`: access tokens as OAuth 2.0 (RFC 6749) gives them, by client credentials, by name and password, and
//! by refresh token.
//!
//! Access tokens are sessions like those of `/api/login`, and end when they say. A refresh token is good for one use.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::request::first_value;
use super::response::{JSON, Reply, Response};
use super::routes::Call;
use super::shop::{PASSWORD, TOKEN_LIFE, is_user, key_text, parse_key};

/// The one client that is registered; its secret is everybody's password.
const CLIENT: &str = "shop-app";

/// What a refresh token stands for.
#[derive(Debug)]
pub(super) struct Grant {
    user: Arc<str>,
    scope: Arc<str>,
}

/// An error of the token endpoint: status, code, description.
struct Refused(u16, &'static str, &'static str);

/// `POST /oauth/token?expires_in=`: a token, or an error in the standard's words.
pub(super) fn token(call: &Call<'_>, response: Response<'_>) -> Reply {
    let life_s = match call.request.query_number("expires_in", TOKEN_LIFE.as_secs()) {
        Ok(life_s) if life_s <= TOKEN_LIFE.as_secs() => life_s,
        Ok(_) => return response.error(400, &format!("`expires_in` is at most {}", TOKEN_LIFE.as_secs())),
        Err(message) => return response.error(400, &message),
    };
    match granted(call) {
        Ok((user, scope, refreshes)) => {
            let life = Duration::from_secs(life_s);
            let key = call.shop.open_token(&user, call.now, life);
            let mut answer = serde_json::json!({
                "access_token": key_text(key), "token_type": "Bearer", "expires_in": life_s, "scope": &*scope,
            });
            if refreshes {
                let refresh = call.shop.dice.next();
                call.shop.grants.insert(refresh, Grant { user, scope });
                answer["refresh_token"] = key_text(refresh).into();
            }
            response.begin(200).header("Cache-Control", "no-store").body(JSON, answer.to_string())
        }
        Err(Refused(status, code, description)) => {
            let begun = response.begin(status).header("Cache-Control", "no-store");
            let begun = if status == 401 { begun.header("WWW-Authenticate", "Basic realm=\"demo\"") } else { begun };
            begun.body(JSON, serde_json::json!({ "error": code, "error_description": description }).to_string())
        }
    }
}

/// Whose token it is to be, its scope, and whether a refresh token comes with it.
fn granted(call: &Call<'_>) -> Result<(Arc<str>, Arc<str>, bool), Refused> {
    if !call.request.is_form() {
        return Err(Refused(400, "invalid_request", "the body must be application/x-www-form-urlencoded"));
    }
    let field = |name: &str| first_value(call.body, name).unwrap_or_default();
    authenticate(call)?;
    let scope: Arc<str> = field("scope").into();
    match &*field("grant_type") {
        "client_credentials" => Ok((CLIENT.into(), scope, false)),
        "password" => {
            let (user, password) = (field("username"), field("password"));
            if !is_user(&user) || password != PASSWORD {
                return Err(Refused(400, "invalid_grant", "wrong user or password"));
            }
            Ok((user.into(), scope, true))
        }
        "refresh_token" => {
            let grant = parse_key(&field("refresh_token")).and_then(|key| call.shop.grants.remove(key));
            let unknown = Refused(400, "invalid_grant", "the refresh token is unknown or was used before");
            grant.map(|grant| (grant.user, grant.scope, true)).ok_or(unknown)
        }
        "" => Err(Refused(400, "invalid_request", "`grant_type` is missing")),
        _ => Err(Refused(
            400,
            "unsupported_grant_type",
            "`grant_type` must be client_credentials, password or refresh_token",
        )),
    }
}

/// Whether the client is who it says: by the basic scheme, or by fields of the form.
fn authenticate(call: &Call<'_>) -> Result<(), Refused> {
    let refused = || Refused(401, "invalid_client", "the client is unknown or its secret is wrong");
    let basic = call.request.authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    if let Some((_, encoded)) = basic {
        let decoded = STANDARD.decode(encoded.trim()).map_err(|_| refused())?;
        let expected = format!("{CLIENT}:{PASSWORD}");
        return if decoded == expected.as_bytes() { Ok(()) } else { Err(refused()) };
    }
    let field = |name: &str| first_value(call.body, name).unwrap_or_default();
    if field("client_id") == CLIENT && field("client_secret") == PASSWORD { Ok(()) } else { Err(refused()) }
}
