//! `loadr run --dashboard`: the page of a run while it goes on, for browsers.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /` | the page, with what is known so far |
//! | `GET /?token=TOKEN` | a cookie with the token, and the way to `/` |
//! | `GET /events` | server-sent events: `document`, then an `update` each second, at last `document` and `bye` |
//!
//! It shows and changes nothing. On a loopback address whoever is on this machine may look; a page of another origin
//! can't, as it can't read what is sent here, and a name that was made to lead here is refused by its `Host`. On other
//! addresses a token is needed. A slow browser loses updates, never a second of the run (`output::page::live`).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::serve::{self, CONNECTION_TIME, Request, Server, ServerSpec, Service};
use crate::output::page::live::{News, Screen};

/// Where it listens when nobody says: here, on a free port.
pub const DEFAULT_ADDRESS_TEXT: &str = "127.0.0.1:0";
/// Connections at one time; each page that is open holds one.
const CONNECTIONS_MOST: u32 = 32;
/// How long browsers have to take the end of the run.
const LINGER: Duration = Duration::from_secs(3);

/// Why there is no dashboard.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// The address can't be had.
    #[error("can't listen on `{address}` for --dashboard: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The token can't be sent.
    #[error("the dashboard token must be 8 to 256 letters, digits, `-` or `_`")]
    Token,
}

/// A dashboard that is served until this is dropped.
#[derive(Debug)]
pub struct Dashboard {
    server: Server,
    token: Option<String>,
    token_is_given: bool,
}

impl Dashboard {
    /// Starts it. Without a token one is made up for an address that other machines can reach.
    ///
    /// # Errors
    /// When the address can't be had, or the token can't be sent.
    pub fn start(address: SocketAddr, token: Option<String>, screen: Arc<Screen>) -> Result<Self, DashboardError> {
        let fit = |token: &String| {
            serve::is_fit_token(token) && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        if !token.as_ref().is_none_or(fit) {
            return Err(DashboardError::Token);
        }
        let token_is_given = token.is_some();
        let token = token.or_else(|| (!serve::is_local(address.ip())).then(serve::random_token));
        let shared = Arc::new(Shared { screen, token: token.clone() });
        let spec = ServerSpec { address, name: "loadr-dashboard", connections: CONNECTIONS_MOST, linger: LINGER };
        let server = Server::start(&spec, shared).map_err(|source| DashboardError::Listen { address, source })?;
        Ok(Self { server, token, token_is_given })
    }

    /// Where to look, for people. A token that the user has chosen is not in it: it is not to end up in a log.
    #[must_use]
    pub fn url(&self) -> String {
        let query = match &self.token {
            Some(token) if !self.token_is_given => format!("?token={token}"),
            Some(_) => "?token=...".into(),
            None => String::new(),
        };
        format!("{}/{query}", self.server.base_url())
    }
}

struct Shared {
    screen: Arc<Screen>,
    token: Option<String>,
}

/// What a request gets.
enum Answer {
    /// Everything at once.
    Whole(Vec<u8>),
    /// Events, as they come.
    Events,
}

impl Service for Shared {
    fn converse(self: Arc<Self>, mut stream: TcpStream) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>> {
        Box::pin(async move {
            let answer = serve::receive(&mut stream, |request| match request {
                Ok(request) => self.answer(request),
                Err((status, problem)) => text(status, problem),
            });
            match answer.await? {
                Some(Answer::Whole(bytes)) => serve::finish(&mut stream, &bytes).await,
                Some(Answer::Events) => self.events(&mut stream).await,
                None => Ok(()),
            }
        })
    }
}

impl Shared {
    fn answer(&self, request: &Request<'_>) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
        let in_query = query.split('&').find_map(|pair| pair.strip_prefix("token="));
        match &self.token {
            // Without a token the name in `Host` tells whether somebody was led here.
            None if !request.host.is_some_and(is_local_name) => {
                return text(403, "open this page by `localhost` or a loopback address; the URL is on stderr");
            }
            Some(token) => {
                let right = |given: &[u8]| serve::same(given, token.as_bytes());
                if in_query.is_some_and(|given| right(given.as_bytes())) && path == "/" {
                    return Answer::Whole(head(
                        303,
                        &format!(
                            "Location: /\r\nSet-Cookie: {COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict\r\n\
                             Content-Length: 0\r\n"
                        ),
                    ));
                }
                let cookie = request.cookies.and_then(token_in);
                if !cookie.is_some_and(right) && !request.token.is_some_and(right) {
                    return text(401, "wrong or missing token: open the URL with `?token=TOKEN`");
                }
            }
            None => {}
        }
        match (request.method, path) {
            ("GET", "/") => {
                let page = self.screen.page();
                let mut bytes = head(
                    200,
                    &format!(
                        "Content-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
                         Content-Security-Policy: {}; frame-ancestors 'none'\r\n",
                        page.len(),
                        Screen::policy()
                    ),
                );
                bytes.extend_from_slice(page.as_bytes());
                Answer::Whole(bytes)
            }
            ("GET", "/events") => Answer::Events,
            (_, "/" | "/events") => text(405, "only GET can be used here"),
            _ => text(404, "there is nothing here but `/` and `/events`"),
        }
    }

    async fn events(&self, stream: &mut TcpStream) -> io::Result<()> {
        let mut watcher = self.screen.watch();
        let head = head(200, "Content-Type: text/event-stream\r\n");
        send(stream, &head).await?;
        while let Some(news) = watcher.next().await {
            // A document is one line: JSON has no line ends of its own.
            let (event, data) = match &news {
                News::Document(document) => ("document", &**document),
                News::Update(update) => ("update", &**update),
                News::Bye => ("bye", "{}"),
            };
            send(stream, format!("event: {event}\ndata: {data}\n\n").as_bytes()).await?;
        }
        serve::finish(stream, b"").await
    }
}

/// A browser that takes nothing for so long is left behind.
async fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let sent = tokio::time::timeout(CONNECTION_TIME, stream.write_all(bytes)).await;
    sent.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

const COOKIE: &str = "loadr_dashboard";

fn token_in(cookies: &[u8]) -> Option<&[u8]> {
    cookies.split(|&b| b == b';').find_map(|pair| pair.trim_ascii().strip_prefix(COOKIE.as_bytes())?.strip_prefix(b"="))
}

/// Whether a `Host` is a name that only this machine can give itself.
fn is_local_name(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(serve::is_local)
}

fn head(status: u16, more: &str) -> Vec<u8> {
    format!(
        "{}{more}Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n\
         Connection: close\r\n\r\n",
        serve::status_line(status)
    )
    .into_bytes()
}

fn text(status: u16, text: &str) -> Answer {
    let about = format!("Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n", text.len() + 1);
    let mut bytes = head(status, &about);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'\n');
    Answer::Whole(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for (host, local) in [
            ("localhost", true),
            ("LocalHost:80", true),
            ("127.0.0.1:4000", true),
            ("127.9.9.9", true),
            ("[::1]:4000", true),
            ("localhost.evil.test:4000", false),
            ("evil.test", false),
            ("10.0.0.1:80", false),
            ("127.0.0.1.evil.test", false),
            ("", false),
        ] {
            assert_eq!(is_local_name(host.as_bytes()), local, "{host}");
        }
    }

    #[test]
    fn a_token_is_found_among_cookies() {
        for (cookies, token) in [
            ("loadr_dashboard=abc", Some("abc")),
            ("a=b; loadr_dashboard=abc; c=d", Some("abc")),
            ("xloadr_dashboard=abc; loadr_dashboard2=x", None),
            ("", None),
        ] {
            assert_eq!(token_in(cookies.as_bytes()), token.map(str::as_bytes), "{cookies}");
        }
    }
}
