//! Clients beside a user's own: what they share with it, and what they have for themselves.

use super::super::cookies::{Jar, Refused, RequestCookie, SetCookie};
use super::*;

fn server_with_login() -> impl Fn(&Arrived) -> Reply + Send + Sync {
    |arrived| {
        let cookie = if arrived.line().starts_with("GET /login") { "Set-Cookie: sid=1; Path=/\r\n" } else { "" };
        Reply::Keep(format!("HTTP/1.1 200 OK\r\n{cookie}Content-Length: 0\r\n\r\n"))
    }
}

async fn status(client: &Client, url: &str) -> u16 {
    let Exchange { status, .. } = get_ok(client, url).await;
    status
}

#[tokio::test]
async fn a_client_beside_has_its_own_connections_and_options_and_the_same_jar() {
    let server = Server::start(server_with_login()).await;
    let own = client();
    let mut options = own.network().options().clone();
    options.user_agent = "shop/2".into();
    let beside = own.beside(own.network().derived(&options));
    assert_eq!(status(&own, &server.url("/login")).await, 200);
    assert_eq!(status(&beside, &server.url("/a")).await, 200);
    assert_eq!(status(&own, &server.url("/b")).await, 200);
    let arrived = server.arrived();
    let seen: Vec<_> =
        arrived.iter().map(|one| (one.connection, one.header("User-Agent"), one.header("Cookie"))).collect();
    assert_eq!(
        seen,
        [(0, Some("loadr/test"), None), (1, Some("shop/2"), Some("sid=1")), (0, Some("loadr/test"), Some("sid=1"))]
    );
    // The jar is the other's, who says when it is emptied.
    beside.end_iteration();
    assert_eq!(own.cookies().borrow().len(), 1);
    own.end_iteration();
    assert!(beside.cookies().borrow().is_empty());
}

#[tokio::test]
async fn a_client_without_cookies_neither_keeps_nor_sends_any() {
    let server = Server::start(server_with_login()).await;
    let client = Client::without_cookies(client().network().clone());
    get_ok(&client, &server.url("/login")).await;
    let mut once = request(&client, Method::GET, &server.url("/once"));
    once.cookies = vec![RequestCookie::new("once", "1")];
    send(&client, once).await;
    get_ok(&client, &server.url("/")).await;
    let cookies: Vec<_> = server.arrived().iter().map(|one| one.header("Cookie").map(str::to_owned)).collect();
    assert_eq!(cookies, [None, Some("once=1".into()), None]);
    let cookie = SetCookie { name: "a", value: "1", ..SetCookie::default() };
    let set = client.cookies().borrow_mut().set(&server.url("/").parse().unwrap(), &cookie);
    assert_eq!(set, Err(Refused::Closed));
}

#[test]
fn a_derived_network_shares_what_is_alike() {
    let network = Network::new(&options(), TlsRoots::only([]));
    let with = |change: fn(&mut HttpOptions)| {
        let mut options = options();
        change(&mut options);
        network.derived(&options)
    };
    let url = "http://shop.test/";
    let known = network.target(url).unwrap();
    let slow = with(|options| options.timeout = Duration::from_secs(1));
    assert!(Rc::ptr_eq(&known, &slow.target(url).unwrap()), "parsed URLs are shared");
    assert_eq!(slow.options().timeout, Duration::from_secs(1));
    let named = with(|options| options.user_agent = "shop/2".into());
    assert!(!Rc::ptr_eq(&known, &named.target(url).unwrap()), "a target holds its user agent");
}

#[tokio::test]
async fn a_request_may_use_another_jar_on_every_hop() {
    let server = Server::start(|arrived| {
        Reply::Keep(match arrived.line().split(' ').nth(1) {
            Some("/login") => {
                "HTTP/1.1 302 Found\r\nLocation: /home\r\nSet-Cookie: sid=1; Path=/\r\nContent-Length: 0\r\n\r\n".into()
            }
            _ => ok(arrived.header("Cookie").unwrap_or("none")),
        })
    })
    .await;
    let client = client();
    let jar = Rc::new(std::cell::RefCell::new(Jar::new()));
    let mut login = request(&client, Method::GET, &server.url("/login"));
    login.jar = Some(jar.clone());
    let exchanges = client.send(login).await;
    assert_eq!(exchanges[1].body, "sid=1");
    assert_eq!((jar.borrow().len(), client.cookies().borrow().len()), (1, 0));
    client.end_iteration();
    assert_eq!(jar.borrow().len(), 1, "it is the script's own");
    let mut without = request(&client, Method::GET, &server.url("/home"));
    without.jar = Some(jar);
    without.cookies = vec![RequestCookie { name: "sid".into(), value: None, beside: false }];
    assert_eq!(client.send(without).await[0].body, "none");
}
