//! Tokens, GraphQL, lists in pieces, pages with their resources, caches in layers, uploads in pieces, over real sockets.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Client, FORM, server};

/// base64 of `shop-app:secret`.
const BASIC: &str = "Authorization: Basic c2hvcC1hcHA6c2VjcmV0";

fn token(client: &mut Client, query: &str, headers: &str, body: &str) -> Answer {
    client.send("POST", &format!("/oauth/token{query}"), &format!("{FORM}\n{headers}"), body)
}

fn me(client: &mut Client, token: &Value) -> Answer {
    client.send("GET", "/api/me", &format!("Authorization: Bearer {}", token.as_str().unwrap()), "")
}

#[test]
fn tokens_are_given_to_those_who_may_have_them() {
    let server = server();
    let mut client = Client::new(&server);
    let given = token(&mut client, "", BASIC, "grant_type=client_credentials&scope=a+b");
    assert_eq!((given.status, given.header("cache-control")), (200, "no-store"));
    let given = given.json();
    assert_eq!(
        (&given["token_type"], &given["expires_in"], &given["scope"]),
        (&json!("Bearer"), &json!(3600), &json!("a b"))
    );
    assert_eq!(given.get("refresh_token"), None);
    assert_eq!(me(&mut client, &given["access_token"]).json()["user"], "shop-app");
    for (headers, body, status, error) in [
        ("", "grant_type=client_credentials&client_id=shop-app&client_secret=wrong", 401, "invalid_client"),
        ("Authorization: Basic ?", "grant_type=client_credentials", 401, "invalid_client"),
        ("", "grant_type=client_credentials", 401, "invalid_client"),
        (BASIC, "grant_type=password&username=user1&password=wrong", 400, "invalid_grant"),
        (BASIC, "grant_type=password&username=nobody&password=secret", 400, "invalid_grant"),
        (BASIC, "grant_type=refresh_token&refresh_token=0123456789abcdef", 400, "invalid_grant"),
        (BASIC, "grant_type=implicit", 400, "unsupported_grant_type"),
        (BASIC, "", 400, "invalid_request"),
    ] {
        let refused = token(&mut client, "", headers, body);
        assert_eq!((refused.status, refused.json()["error"].as_str()), (status, Some(error)), "{body}");
        assert_eq!(refused.header("www-authenticate").is_empty(), status != 401);
    }
    let in_body = "grant_type=client_credentials&client_id=shop-app&client_secret=secret";
    assert_eq!(token(&mut client, "", "", in_body).status, 200);
    assert_eq!(token(&mut client, "?expires_in=3601", BASIC, in_body).status, 400);
    assert_eq!(client.send("POST", "/oauth/token", BASIC, in_body).json()["error"], "invalid_request", "not a form");
}

#[test]
fn a_refresh_token_is_good_once_and_an_access_token_until_its_end() {
    let server = server();
    let mut client = Client::new(&server);
    let given = token(&mut client, "", BASIC, "grant_type=password&username=user7&password=secret").json();
    assert_eq!(me(&mut client, &given["access_token"]).json()["user"], "user7");
    let refresh = format!("grant_type=refresh_token&refresh_token={}", given["refresh_token"].as_str().unwrap());
    let fresh = token(&mut client, "", BASIC, &refresh).json();
    assert_eq!(me(&mut client, &fresh["access_token"]).json()["user"], "user7");
    assert_ne!(fresh["refresh_token"], given["refresh_token"]);
    assert_eq!(token(&mut client, "", BASIC, &refresh).json()["error"], "invalid_grant");
    let ended = token(&mut client, "?expires_in=0", BASIC, "grant_type=client_credentials").json();
    assert_eq!(me(&mut client, &ended["access_token"]).status, 401);
}

fn ask(client: &mut Client, query: &str, variables: Value) -> Answer {
    let body = json!({ "query": query, "variables": variables }).to_string();
    client.send("POST", "/graphql", "Content-Type: application/json", body)
}

#[test]
fn graphql_answers_what_is_asked_for() {
    let server = server();
    let mut client = Client::new(&server);
    let item = client.get("/item/3").json();
    for (query, variables, data) in [
        ("{ product(id: 3) { name } }", json!({}), json!({ "product": { "name": item["name"] } })),
        (
            "query($id: Int!) { it: product(id: $id) { ...p } none: product(id: 5000) { id } } fragment p on Product { no: id price }",
            json!({ "id": 3 }),
            json!({ "it": { "no": 3, "price": item["price"] }, "none": null }),
        ),
        (
            "query($n: Int = 2) { products(perPage: $n) { id ... on Product { id } } __typename }",
            Value::Null,
            json!({ "products": [{ "id": 1 }, { "id": 2 }], "__typename": "Query" }),
        ),
        (
            "query($yes: Boolean!) { a: product(id: 1) @skip(if: $yes) { id } b: product(id: 1) @include(if: $yes) { id } }",
            json!({ "yes": true }),
            json!({ "b": { "id": 1 } }),
        ),
    ] {
        let answer = ask(&mut client, query, variables);
        assert_eq!((answer.status, answer.json()), (200, json!({ "data": data })), "{query}");
    }
    let hits = ask(&mut client, "{ search(q: \"red chair\") { name } }", json!({})).json();
    assert_eq!(hits["data"]["search"], json!([{ "name": "Red Chair" }]));

    let login = "mutation In($u: String!) { login(user: $u, password: \"secret\") { token } }";
    let token = ask(&mut client, login, json!({ "u": "user2" })).json()["data"]["login"]["token"].clone();
    let headers = format!("Content-Type: application/json\nAuthorization: Bearer {}", token.as_str().unwrap());
    let who = client.send("POST", "/graphql", &headers, json!({ "query": "{ me }" }).to_string());
    assert_eq!(who.json(), json!({ "data": { "me": "user2" } }));
    let two = json!({ "query": "query A { me } query B { product(id: 1) { id } }", "operationName": "B" });
    assert_eq!(client.send("POST", "/graphql", "", two.to_string()).json()["data"]["product"]["id"], 1);
}

#[test]
fn graphql_says_what_is_wrong() {
    let server = server();
    let mut client = Client::new(&server);
    for (query, message) in [
        ("{ me }", "nobody is logged in"),
        ("{ products(perPage: 0) { id } }", "`perPage` from 1 to 100"),
        ("{ product { id } }", "`product` needs the argument `id`"),
        ("{ product(id: \"x\") { id } }", "must be an Int"),
        ("{ product(id: $id) { id } }", "`$id` has no value"),
        ("{ product(id: 1) }", "needs a selection"),
        ("{ product(id: 1) { colour } }", "has no field `colour`"),
        ("{ nothing }", "Query has no field `nothing`"),
        ("mutation { login(user: \"user1\", password: \"x\") { token } }", "wrong user or password"),
    ] {
        let answer = ask(&mut client, query, json!({}));
        let told = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(answer.status == 200 && told.contains(message), "{query}: {told}");
    }
    let everything = format!("{{ {} }}", "products(perPage: 100) { id name price stock } ".repeat(10));
    let circle = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }";
    let deep = format!("{}{}", "{ me ".repeat(3000), "}".repeat(3000));
    for query in ["{ product(", "", "subscription { me }", "query A { me } query B { me }", &everything, circle, &deep]
    {
        let answer = ask(&mut client, query, json!({}));
        assert_eq!(answer.status, 400, "{}", &query[..query.len().min(60)]);
        assert!(answer.json()["errors"][0]["message"].is_string());
    }
    assert_eq!(client.send("POST", "/graphql", "", "{").status, 400);
}

#[test]
fn a_list_goes_on_by_cursor_and_by_link() {
    let server = server();
    let mut client = Client::new(&server);
    let (mut url, mut ids) = ("/api/items?limit=99".to_owned(), Vec::new());
    loop {
        let piece = client.get(&url);
        let body = piece.json();
        ids.extend(body["items"].as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap()));
        let link = piece.header("link").to_owned();
        let Some(cursor) = body["next_cursor"].as_str() else {
            assert!(!link.contains("rel=\"next\""), "{link}");
            break;
        };
        url = format!("/api/items?limit=99&cursor={cursor}");
        assert_eq!(link, format!("<{url}>; rel=\"next\", </api/items?limit=99>; rel=\"first\""));
    }
    assert_eq!(ids, (1..=1000).collect::<Vec<u64>>());
    for wrong in ["?limit=0", "?limit=101", "?limit=x", "?cursor=0", "?cursor=ffffffffffffffff"] {
        assert_eq!(client.get(&format!("/api/items{wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn a_page_names_what_there_is() {
    let server = server();
    let mut client = Client::new(&server);
    let page = client.get("/page/2").text();
    for (path, kind) in [
        ("/asset/style.css", "text/css; charset=utf-8"),
        ("/asset/shop.js", "text/javascript; charset=utf-8"),
        ("/asset/picture-2.png", "image/png"),
    ] {
        assert!(page.contains(path), "{page}");
        let asset = client.get(path);
        assert_eq!((asset.status, asset.header("content-type")), (200, kind));
        assert!(!asset.body.is_empty() && asset.header("cache-control").contains("immutable"));
    }
    assert!(!page.contains("picture-3"));
    assert_eq!(
        [client.get("/page/201").status, client.get("/page/x").status, client.get("/asset/x.exe").status],
        [400, 400, 404]
    );
}

#[test]
fn caches_tell_of_themselves_by_layer() {
    let server = server();
    let mut client = Client::new(&server);
    let mut status = |target: &str| {
        let answer = client.get(target);
        format!("{} {}", answer.header("x-cache"), answer.header("cache-status"))
    };
    assert_eq!(status("/cache/a"), "MISS shield; fwd=miss; stored");
    assert!(status("/cache/a").starts_with("HIT shield; hit; ttl="));
    assert!(status("/cache/a?edge_age=60").ends_with(", edge; fwd=miss; stored"), "the edge has it from the shield");
    assert!(status("/cache/a?edge_age=60").starts_with("HIT edge; hit; ttl="));
    assert_eq!(status("/cache/b?edge_age=60"), "MISS shield; fwd=miss; stored, edge; fwd=miss; stored");
}

#[test]
fn flaky_fails_as_often_as_asked_and_says_when_to_come_back() {
    let server = server();
    let mut client = Client::new(&server);
    let mut statuses = |key: &str| {
        let url = format!("/flaky?fails=2&key={key}&retry_after=7");
        (0..4)
            .map(|_| client.get(&url))
            .map(|answer| (answer.status, answer.header("retry-after").to_owned()))
            .collect()
    };
    let (failed, fine) = ((503, "7".to_owned()), (200, String::new()));
    let expected = vec![failed.clone(), failed, fine.clone(), fine];
    let first: Vec<_> = statuses("a");
    assert_eq!((first, statuses("b")), (expected.clone(), expected));
}

fn tus(client: &mut Client, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
    client.send(method, target, &format!("Tus-Resumable: 1.0.0\n{headers}"), body)
}

fn piece(offset: usize) -> String {
    format!("Content-Type: application/offset+octet-stream\nUpload-Offset: {offset}")
}

#[test]
fn an_upload_by_tus_goes_on_where_it_stopped() {
    let server = server();
    let mut client = Client::new(&server);
    let made = tus(&mut client, "POST", "/files", "Upload-Length: 11\nUpload-Metadata: filename YS5iaW4=", b"");
    let file = made.header("location").to_owned();
    assert_eq!((made.status, made.header("tus-resumable")), (201, "1.0.0"));
    let sent = tus(&mut client, "PATCH", &file, &piece(0), b"hello ");
    assert_eq!((sent.status, sent.header("upload-offset")), (204, "6"));
    let asked = tus(&mut client, "HEAD", &file, "", b"");
    assert_eq!((asked.status, asked.header("upload-offset"), asked.header("upload-length")), (200, "6", "11"));
    assert_eq!(tus(&mut client, "PATCH", &file, &piece(0), b"hello ").status, 409);
    assert_eq!(tus(&mut client, "PATCH", &file, &piece(6), b"far too long").status, 413);
    assert_eq!(tus(&mut client, "PATCH", &file, "Upload-Offset: 6", b"world").status, 415);
    assert_eq!(client.send("PATCH", &file, &piece(6), "world").status, 412);
    assert_eq!(tus(&mut client, "PATCH", &file, &piece(6), b"world").status, 204);
    let whole = client.get(&file).json();
    let expected = json!({
        "length": 11, "offset": 11, "complete": true, "sha1": "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed",
        "metadata": "filename YS5iaW4=",
    });
    assert_eq!(whole, expected);
    assert_eq!(tus(&mut client, "DELETE", &file, "", b"").status, 204);
    assert_eq!(tus(&mut client, "HEAD", &file, "", b"").status, 404);
    assert_eq!(tus(&mut client, "POST", "/files", "", b"").status, 400);
    assert_eq!(tus(&mut client, "POST", "/files", "Upload-Length: 99999999999", b"").status, 413);
    let options = client.send("OPTIONS", "/files", "", "");
    assert_eq!((options.status, options.header("tus-extension")), (204, "creation,termination"));

    let broken = tus(&mut client, "POST", "/files?flaky=1", "Upload-Length: 4", b"").header("location").to_owned();
    assert_eq!(tus(&mut client, "PATCH", &broken, &piece(0), b"abcd").status, 503);
    assert_eq!(tus(&mut client, "HEAD", &broken, "", b"").header("upload-offset"), "2");
}

#[test]
fn an_upload_by_ranges_is_asked_for_what_is_missing() {
    let server = server();
    let mut client = Client::new(&server);
    let mut put = |name: &str, range: &str, body: &str| {
        let headers = if range.is_empty() { String::new() } else { format!("Content-Range: bytes {range}") };
        let answer = client.send("PUT", &format!("/files/{name}"), &headers, body);
        (answer.status, answer.header("range").to_owned())
    };
    let plain = |status: u16| (status, String::new());
    assert_eq!(put("a", "*/11", ""), plain(404));
    assert_eq!(put("a", "0-5/11", "hello "), (308, "bytes=0-5".to_owned()));
    assert_eq!(put("a", "*/11", ""), (308, "bytes=0-5".to_owned()));
    assert_eq!(put("a", "8-10/11", "rld"), plain(416));
    assert_eq!(put("a", "6-10/12", "world"), plain(409));
    assert_eq!(put("a", "6-10/11", "wor"), plain(400));
    assert_eq!(put("a", "6-10/11", "world"), plain(201));
    assert_eq!(put("a", "*/11", ""), plain(201));
    assert_eq!(put("whole", "", "hello world"), plain(201));
    assert_eq!(put("broken?flaky=1", "0-3/8", "abcd"), plain(503));
    assert_eq!(put("broken", "*/8", ""), (308, "bytes=0-1".to_owned()));
    let described: BTreeMap<String, Value> = serde_json::from_slice(&client.get("/files/a").body).unwrap();
    assert_eq!(described["sha1"], "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed");
}
