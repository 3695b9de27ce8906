//! KILL behind the router: it reaches what it is meant for, and nothing else.

mod common;
mod traffic_support;

use common::{Fault, FaultProxy, MariaDb, Options, Router, wait_until};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use switchboard::protocol::capabilities::Capabilities;
use traffic_support::raw::Raw;
use traffic_support::{config, options, value};

/// A router in front of the server on this port, which it may open so many connections to.
fn router(port: u16, connections: u32, top: &str) -> Router {
    let limited = format!("max_connections = {connections}\n[[user]]");
    Router::with_config(&config(port, port, top).replacen("[[user]]", &limited, 1), &[])
}

fn running(server: &MariaDb) -> String {
    server.value("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(61%'").unwrap()
}

/// Forty clients with all the connections that the router may have, at a server that has four to spare: a connection for each KILL
/// would be forty more.
#[tokio::test(flavor = "multi_thread")]
async fn what_many_vanished_clients_left_running_is_ended_within_the_servers_limit() {
    let server = MariaDb::start(Options::named("small").with_arg("--max-connections=44"));
    let link = FaultProxy::start(server.address());
    let router = router(link.port(), 40, "");
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = Raw::connect(&router, "", Capabilities::COMMON).await;
        client.send(3, b"SELECT SLEEP(61)").await;
        clients.push(client);
    }
    wait_until("all run", Duration::from_secs(10), || running(&server) == "40");
    // A server across a network: connections for KILLs would all be open at once.
    link.set(Fault::Delay(Duration::from_millis(20)));
    let gone = clients.into_iter().map(|client| tokio::spawn(client.vanish()));
    for client in gone.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    wait_until("none runs any more", Duration::from_secs(8), || running(&server) == "0");
    link.set(Fault::None);
    assert!(!router.log().contains("could not be ended"), "{}", router.log());
    // Their room is free again, all of it.
    let mut all = Vec::new();
    for _ in 0..39 {
        let mut conn = Conn::new(options(&router, None)).await.unwrap();
        conn.query_drop("BEGIN").await.unwrap();
        all.push(conn);
    }
    let mut last = Conn::new(options(&router, None)).await.unwrap();
    assert_eq!(value(&mut last, "SELECT 1").await, "1");
}

fn was_interrupted(result: &Result<(), Error>) -> bool {
    matches!(result, Err(Error::Server(error)) if error.code == 1317)
}

/// One session is killed over and over while others use the same few connections.
#[tokio::test(flavor = "multi_thread")]
async fn kill_query_never_hits_another_session() {
    let server = MariaDb::start(Options::named("killed"));
    let schema = server.scratch_schema().unwrap();
    server.sql(&format!("CREATE TABLE {schema}.t (a INT); INSERT INTO {schema}.t VALUES (1), (2)")).unwrap();
    let router = router(server.port(), 3, "workers = 1\n");
    let over = Arc::new(AtomicBool::new(false));
    let hit = Arc::new(AtomicU32::new(0));
    let mut others = Vec::new();
    for _ in 0..6 {
        let mut conn = Conn::new(options(&router, Some(&schema))).await.unwrap();
        let (over, hit) = (Arc::clone(&over), Arc::clone(&hit));
        others.push(tokio::spawn(async move {
            let mut served = 0u32;
            while !over.load(Relaxed) {
                let result = conn.query_drop("SELECT COUNT(*) FROM t").await;
                if was_interrupted(&result) {
                    hit.fetch_add(1, Relaxed);
                } else {
                    result.unwrap();
                }
                served += 1;
            }
            served
        }));
    }
    let mut victim = Conn::new(options(&router, Some(&schema))).await.unwrap();
    let id = victim.id();
    let victims = Arc::clone(&over);
    let victim = tokio::spawn(async move {
        let mut interrupted = 0u32;
        while !victims.load(Relaxed) {
            let result = victim.query_drop("SELECT SLEEP(0.004) FROM t").await;
            interrupted += u32::from(was_interrupted(&result));
        }
        interrupted
    });
    let mut killer = Conn::new(options(&router, None)).await.unwrap();
    for _ in 0..500 {
        killer.query_drop(format!("KILL QUERY {id}")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    over.store(true, Relaxed);
    let interrupted = victim.await.unwrap();
    let mut served = 0;
    for other in others {
        served += other.await.unwrap();
    }
    assert!(interrupted > 10, "the victim was interrupted {interrupted} times");
    assert!(served > 500, "the others were served {served} times");
    assert_eq!(hit.load(Relaxed), 0, "statements of others were interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_ends_the_session_and_what_it_runs() {
    let server = MariaDb::start(Options::named("ended"));
    let router = router(server.port(), 10, "");
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    let mut killer = Conn::new(options(&router, None)).await.unwrap();
    let id = conn.id();
    let sleeper = tokio::spawn(async move { conn.query_drop("SELECT SLEEP(61)").await });
    wait_until("it runs", Duration::from_secs(5), || running(&server) == "1");
    killer.query_drop(format!("KILL {id}")).await.unwrap();
    assert!(sleeper.await.unwrap().is_err());
    wait_until("the statement ends", Duration::from_secs(2), || running(&server) == "0");
}
