//! How many connections there are: `connections_per_host`, for a user's own and for shared ones.

use super::*;
use crate::fault::Fault;

fn distinct(server: &Server) -> usize {
    let mut connections = server.connections();
    connections.sort_unstable();
    connections.dedup();
    connections.len()
}

#[tokio::test]
async fn a_user_has_no_more_connections_to_a_host_than_it_may() {
    let server = Server::start(|arrived| Reply::Keep(ok(arrived.line()))).await;
    let client = client_with(|o| (o.connections_per_host, o.batch_per_host) = (2, 6));
    for round in 0..2 {
        let urls: Vec<_> = (0..6).map(|id| server.url(&format!("/{id}"))).collect();
        let exchanges = futures_util::future::join_all(urls.iter().map(|url| get_ok(&client, url))).await;
        for (id, exchange) in exchanges.iter().enumerate() {
            assert_eq!(exchange.body, format!("GET /{id} HTTP/1.1"));
        }
        assert_eq!(distinct(&server), 2, "in round {round}");
        assert!(exchanges[5].timings.blocked > Duration::ZERO, "the last had to wait");
    }
}

#[tokio::test]
async fn users_who_share_connections_share_the_bound() {
    let server = Server::start(|arrived| Reply::Keep(ok(arrived.line()))).await;
    let first = client_with(|o| (o.connections_per_host, o.share_connections) = (2, true));
    let others: Vec<_> = (0..5).map(|_| Client::new(first.network().clone())).collect();
    let url = server.url("/");
    futures_util::future::join_all(others.iter().map(|client| get_ok(client, &url))).await;
    assert_eq!(distinct(&server), 2);
}

#[tokio::test]
async fn each_host_has_connections_of_its_own() {
    let (one, other) =
        (Server::start(|_| Reply::Keep(ok(""))).await, Server::start(|_| Reply::Stall(String::new())).await);
    let client = client_with(|o| o.connections_per_host = 1);
    let (stalled, url) = (client.send(request(&client, Method::GET, &other.url("/"))), one.url("/"));
    tokio::select! {
        biased;
        _ = stalled => unreachable!("the server never answers"),
        exchange = get_ok(&client, &url) => assert_eq!(exchange.status, 200),
    }
}

#[tokio::test]
async fn a_connection_for_each_request_counts_too() {
    let server = Server::start(|_| Reply::Close(ok(""))).await;
    let client = client_with(|o| (o.connections_per_host, o.no_connection_reuse) = (1, true));
    let url = server.url("/");
    let exchanges = futures_util::future::join_all((0..3).map(|_| get_ok(&client, &url))).await;
    assert_eq!(server.connections(), [0, 1, 2]);
    assert!(exchanges.iter().all(|exchange| !exchange.reused));
}

#[tokio::test]
async fn a_wait_for_a_connection_counts_against_the_timeout() {
    let server = Server::start(|_| Reply::Stall(String::new())).await;
    let client = client_with(|o| o.connections_per_host = 1);
    let failed = behind_one_without_an_answer(&client, &server).await;
    let error = failed.error.unwrap();
    assert_eq!(error.fault, Fault::TIMEOUT);
    let told = "while waiting for one of the 1 connections that `connections_per_host` allows";
    assert!(error.detail.ends_with(told), "{}", error.detail);
    assert!(failed.timings.blocked >= Duration::from_millis(30));
}

#[tokio::test]
async fn who_breaks_off_leaves_the_connection_to_the_next() {
    let server = Server::start(|arrived| match arrived.line().contains("slow") {
        true => Reply::Stall(String::new()),
        false => Reply::Keep(ok("")),
    })
    .await;
    let client = client_with(|o| o.connections_per_host = 1);
    for _ in 0..2 {
        let slow = client.send(request(&client, Method::GET, &server.url("/slow")));
        assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
        assert_eq!(get_ok(&client, &server.url("/")).await.status, 200);
    }
}
