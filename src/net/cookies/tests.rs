//! What is kept, where it goes, and when it ends.

use proptest::prelude::*;

use super::*;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn shown(jar: &Jar, at: &str, now_s: i64) -> String {
    let kept = jar.get_at(&url(at), || now_s);
    kept.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_cookie_goes_where_its_domain_and_path_say() {
    for (from, line, to, expected) in [
        ("http://shop.test/", "a=1", "http://shop.test/x", "a=1"),
        ("http://shop.test/", "a=1", "http://www.shop.test/", ""),
        ("http://www.shop.test/", "a=1; Domain=shop.test", "http://api.shop.test/", "a=1"),
        ("http://www.shop.test/", "a=1; Domain=.SHOP.test", "http://shop.test/", "a=1"),
        ("http://shop.test/", "a=1; Domain=shop.test", "http://notshop.test/", ""),
        ("http://shop.test/", "a=1", "http://shop.test:81/", "a=1"),
        ("http://127.0.0.1/", "a=1; Domain=127.0.0.1", "http://127.0.0.1/", "a=1"),
        ("http://shop.test/a/b", "a=1", "http://shop.test/a/c", "a=1"),
        ("http://shop.test/a/b", "a=1", "http://shop.test/b", ""),
        ("http://shop.test/a/b", "a=1; Path=/", "http://shop.test/b", "a=1"),
        ("http://shop.test/", "a=1; Path=/cart", "http://shop.test/cart", "a=1"),
        ("http://shop.test/", "a=1; Path=/cart", "http://shop.test/cart/1", "a=1"),
        ("http://shop.test/", "a=1; Path=/cart", "http://shop.test/carts", ""),
        ("http://shop.test/", "a=1; Path=nonsense", "http://shop.test/x", "a=1"),
        ("https://shop.test/", "a=1; Secure", "http://shop.test/", ""),
        ("https://shop.test/", "a=1; Secure", "https://shop.test/", "a=1"),
        ("http://127.0.0.1/", "a=1; Secure", "http://127.0.0.1/", "a=1"),
        ("http://shop.test/", "a=b=c; HttpOnly; SameSite=Lax", "http://shop.test/", "a=b=c"),
        ("http://shop.test/", "a=\"quoted\"", "http://shop.test/", "a=\"quoted\""),
        ("http://shop.test/", "a=", "http://shop.test/", "a="),
        ("http://shop.test/", "a=grün", "http://shop.test/", "a=grün"),
        ("https://shop.test/", "__Host-a=1; Secure; Path=/", "https://shop.test/", "__Host-a=1"),
        ("http://shop.test/", "nameless", "http://shop.test/", "=nameless"),
        ("http://shop.co.uk/", "a=1; Domain=shop.co.uk", "http://www.shop.co.uk/", "a=1"),
        ("http://shop.github.io/", "a=1; Domain=shop.github.io", "http://www.shop.github.io/", "a=1"),
        ("http://github.io/", "a=1; Domain=github.io", "http://github.io/", "a=1"),
        ("http://github.io/", "a=1; Domain=github.io", "http://shop.github.io/", ""),
        ("http://localhost/", "a=1; Domain=localhost", "http://localhost/", "a=1"),
        ("http://[::1]/", "a=1", "http://[::1]/", "a=1"),
    ] {
        let mut jar = Jar::new();
        assert_eq!(jar.store_at(&url(from), line, 0), Ok(()), "{line}");
        assert_eq!(shown(&jar, to, 0), expected, "`{line}` from {from} to {to}");
    }
}

#[test]
fn what_a_browser_refuses_is_refused() {
    let long = format!("a={}", "x".repeat(COOKIE_BYTES_MAX));
    let foreign = |domain: &str| Refused::Foreign(domain.into());
    let public = |domain: &str| Refused::PublicSuffix(domain.into());
    for (from, line, why) in [
        ("http://shop.test/", "a=1; Domain=other.test", foreign("other.test")),
        ("http://shop.test/", "a=1; Domain=www.shop.test", foreign("www.shop.test")),
        ("http://shop.test/", "a=1; Domain=test", public("test")),
        ("http://www.shop.co.uk/", "a=1; Domain=.co.uk", public("co.uk")),
        ("http://shop.github.io/", "a=1; Domain=github.io", public("github.io")),
        ("http://127.0.0.1/", "a=1; Domain=0.0.1", foreign("0.0.1")),
        ("http://shop.test/", "a=1; Secure", Refused::Insecure),
        ("https://shop.test/", "__Secure-a=1", Refused::Prefix),
        ("https://shop.test/", "__Host-a=1; Secure", Refused::Prefix),
        ("https://www.shop.test/", "__Host-a=1; Secure; Path=/; Domain=shop.test", Refused::Prefix),
        ("https://shop.test/", "__Host-a; Secure; Path=/", Refused::Prefix),
        ("http://shop.test/", " =", Refused::Empty),
        ("http://shop.test/", "a=1\u{7f}", Refused::Characters),
        ("http://shop.test/", &*long, Refused::TooLong),
    ] {
        let mut jar = Jar::new();
        assert_eq!(jar.store_at(&url(from), line, 0), Err(why), "`{line}` from {from}");
        assert!(jar.is_empty());
    }
    assert_eq!(Jar::closed().store(&url("http://shop.test/"), "a=1"), Err(Refused::Closed));
}

#[test]
fn an_insecure_url_does_not_touch_a_secure_cookie() {
    let mut jar = Jar::new();
    assert_eq!(jar.store_at(&url("https://www.shop.test/"), "a=1; Secure; Domain=shop.test; Path=/x", 0), Ok(()));
    for (from, line, expected) in [
        ("http://www.shop.test/x/y", "a=2; Path=/x/y", Err(Refused::Shadowed)),
        ("http://shop.test/", "a=; Max-Age=0; Path=/x", Err(Refused::Shadowed)),
        ("http://shop.test/", "a=2; Path=/", Ok(())),
        ("http://shop.test/", "b=2; Path=/x", Ok(())),
        ("https://shop.test/", "a=3; Domain=shop.test; Path=/x", Ok(())),
    ] {
        assert_eq!(jar.store_at(&url(from), line, 0), expected, "`{line}` from {from}");
    }
}

#[test]
fn a_cookie_expires() {
    let mut jar = Jar::new();
    let shop = url("http://shop.test/");
    jar.store_at(&shop, "age=1; Max-Age=10", 1_000).unwrap();
    jar.store_at(&shop, "date=1; Expires=Thu, 01 Jan 1970 00:33:20 GMT", 1_000).unwrap();
    jar.store_at(&shop, "both=1; Max-Age=5; Expires=Thu, 01 Jan 2170 00:00:00 GMT", 1_000).unwrap();
    jar.store_at(&shop, "session=1", 1_000).unwrap();
    for (now_s, expected) in [
        (1_000, "age=1; date=1; both=1; session=1"),
        (1_005, "age=1; date=1; session=1"),
        (1_010, "date=1; session=1"),
        (2_000, "session=1"),
    ] {
        assert_eq!(shown(&jar, "http://shop.test/", now_s), expected, "at {now_s}");
    }
    assert_eq!(jar.store_at(&shop, "session=; Max-Age=0", 2_000), Ok(()));
    assert_eq!(shown(&jar, "http://shop.test/", 2_000), "");
}

#[test]
fn longer_paths_come_first_and_a_new_value_keeps_its_place() {
    let mut jar = Jar::new();
    let shop = url("http://shop.test/a/b");
    for line in ["one=1; Path=/", "two=2; Path=/a", "three=3; Path=/", "one=4; Path=/"] {
        assert_eq!(jar.store_at(&shop, line, 0), Ok(()));
    }
    assert_eq!(shown(&jar, "http://shop.test/a/b", 0), "two=2; one=4; three=3");
}

fn set(jar: &mut Jar, at: &str, name: &str, value: &str) -> Result<(), Refused> {
    jar.set(&url(at), &SetCookie { name, value, path: Some("/"), ..SetCookie::default() })
}

#[test]
fn cookies_of_one_request_stand_in_for_those_of_the_jar() {
    let mut jar = Jar::new();
    let shop = url("http://shop.test/a");
    assert_eq!(jar.header(&shop, &[]), None);
    for (name, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
        assert_eq!(set(&mut jar, "http://shop.test/", name, value), Ok(()));
    }
    let more = [
        RequestCookie::new("a", "4"),
        RequestCookie { name: "b".into(), value: None, beside: false },
        RequestCookie { beside: true, ..RequestCookie::new("c", "5") },
        RequestCookie::new("d", "6"),
        RequestCookie::new("e", "7;8"),
    ];
    assert_eq!(jar.header(&shop, &more).unwrap(), "c=3; a=4; c=5; d=6");
    assert!(jar.remove(&shop, "a"));
    assert!(!jar.remove(&shop, "a"));
    assert_eq!(jar.header(&shop, &[]).unwrap(), "b=2; c=3");
    assert_eq!(jar.header(&shop, &[RequestCookie { name: "b".into(), value: None, beside: false }]).unwrap(), "c=3");
}

#[test]
fn what_can_not_be_sent_as_it_is_can_not_be_set() {
    let mut jar = Jar::new();
    for (name, value) in [("d", "x;y"), ("d", " x"), ("a=b", "c"), ("", "a=b"), ("a\n", "b"), ("a ", "b")] {
        assert_eq!(set(&mut jar, "http://shop.test/", name, value), Err(Refused::Characters), "{name}={value}");
    }
    assert_eq!(set(&mut jar, "data:text/plain,x", "a", "b"), Err(Refused::NoHost));
    assert!(jar.is_empty());
}

#[test]
fn a_jar_is_bounded() {
    let mut jar = Jar::new();
    let shop = "http://shop.test/";
    jar.store(&url("https://shop.test/"), "kept=1; Secure; Path=/").unwrap();
    for id in 0..2 * OF_DOMAIN_MAX {
        assert_eq!(set(&mut jar, shop, &format!("c{id}"), "1"), Ok(()));
    }
    assert_eq!(jar.len(), OF_DOMAIN_MAX);
    let kept = jar.get(&url("https://shop.test/"));
    assert_eq!((&*kept[0].name, &*kept[1].name), ("kept", "c181"));

    let long = "x".repeat(COOKIE_BYTES_MAX - 8);
    for id in 0..200 {
        assert_eq!(set(&mut jar, &format!("http://h{id}.test/"), "long", &long), Ok(()));
        assert!(jar.bytes <= JAR_BYTES_MAX);
    }
    assert!(jar.len() > 50 && jar.get(&url("http://h199.test/")).len() == 1);
    assert_eq!(jar.get(&url("https://shop.test/"))[0].value, "1".into());
    jar.clear();
    assert_eq!(jar.bytes, 0);
}

#[test]
fn what_is_over_makes_room_first() {
    let mut jar = Jar::new();
    let shop = url("http://shop.test/");
    jar.store_at(&shop, "old=1", 0).unwrap();
    for id in 1..OF_DOMAIN_MAX {
        jar.store_at(&shop, &format!("c{id}=1; Max-Age=10"), 0).unwrap();
    }
    jar.store_at(&shop, "new=1", 10).unwrap();
    assert_eq!(shown(&jar, "http://shop.test/", 10), "old=1; new=1");
    assert_eq!(jar.len(), 2);
}

#[test]
fn cookies_go_from_jar_to_jar() {
    let mut jar = Jar::new();
    jar.store(&url("https://www.shop.test/"), "a=1; Domain=shop.test; Secure; SameSite=Lax; Max-Age=1000").unwrap();
    jar.store(&url("http://[::1]/x/y"), "b=2; HttpOnly").unwrap();
    let mut other = Jar::new();
    for cookie in jar.all() {
        assert_eq!(other.restore(cookie.clone()), Ok(()));
    }
    assert_eq!(other.cookies, jar.cookies);
    let good = jar.cookies[0].clone();
    for (bad, why) in [
        (Cookie { domain: "uk".into(), ..good.clone() }, Refused::PublicSuffix("uk".into())),
        (Cookie { domain: "a b".into(), ..good.clone() }, Refused::Place("a b".into())),
        (Cookie { path: "x".into(), ..good.clone() }, Refused::Place("x".into())),
        (Cookie { path: "/;".into(), ..good.clone() }, Refused::Characters),
        (Cookie { value: "1;2".into(), ..good.clone() }, Refused::Characters),
        (Cookie { name: "".into(), value: "".into(), ..good.clone() }, Refused::Empty),
    ] {
        assert_eq!(other.restore(bad), Err(why));
    }
    assert_eq!(other.restore(Cookie { expires_s: Some(7), ..good }), Ok(()));
    assert_eq!(other.len(), 1);
}

#[test]
fn a_jar_is_cleared_for_a_url() {
    let mut jar = Jar::new();
    for host in ["http://a.test/", "http://b.test/"] {
        set(&mut jar, host, "x", "1").unwrap();
    }
    jar.clear_for(&url("http://a.test/y"));
    assert_eq!((shown(&jar, "http://a.test/", 0), shown(&jar, "http://b.test/", 0)), (String::new(), "x=1".into()));
}

proptest! {
    /// Whatever servers send, the jar stays within its bounds, and what it sends is a header.
    #[test]
    fn fuzz_set_cookie_in_a_jar(
        lines in prop::collection::vec(
            ("(http|https)://(a\\.test|b\\.a\\.test|co\\.uk|x\\.co\\.uk|127\\.0\\.0\\.1|\\[::1\\])/[a-c/]{0,4}",
             "[a-b_=\\-]{0,3}=\\PC{0,8}(; ?(Domain=[.a-b]{0,4}(test|uk)?|Path=[/a-c]{0,3}|Secure|Max-Age=-?[0-9]{1,3}|\\PC{0,6})){0,4}"),
            0..40,
        ),
    ) {
        let mut jar = Jar::new();
        for (from, line) in &lines {
            let from = url(from);
            let _ = jar.store_at(&from, line, 1_000);
            let bytes: usize = jar.cookies.iter().map(Cookie::bytes).sum();
            prop_assert_eq!(jar.bytes, bytes);
            prop_assert!(jar.cookies.iter().all(|cookie| cookie.host_only || !is_public_suffix(&cookie.domain)));
            for cookie in jar.get_at(&from, || 1_000) {
                prop_assert!(is_sendable(&cookie.name) && is_sendable(&cookie.value));
            }
        }
        for (from, _) in &lines {
            let from = url(from);
            prop_assert_eq!(jar.header(&from, &[]).is_none(), jar.get(&from).is_empty());
        }
    }
}
