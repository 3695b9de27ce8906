//! SIGTERM: what has begun may end, nothing begins, and nobody waits for a client that never pauses.

mod common;
mod traffic_support;

use common::Router;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use std::time::{Duration, Instant};
use traffic_support::{Estate, value};

/// The server's code of an error; none where the connection was closed.
fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Server(error) => Some(error.code),
        _ => None,
    }
}

/// Waits for the router's end, and gives back how long it took.
async fn ends(router: &mut Router, limit: Duration) -> Duration {
    let from = Instant::now();
    while router.ended().is_none() {
        assert!(from.elapsed() < limit, "the router has not ended within {limit:?}:\n{}", router.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    from.elapsed()
}

async fn table(estate: &Estate) -> (Conn, String) {
    let (mut conn, schema) = estate.client().await;
    conn.query_drop("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT)").await.unwrap();
    (conn, schema)
}

/// Each INSERT leaves an insert id, for which its connection is kept: such a session is never without one, and is ended all the
/// same.
#[tokio::test]
async fn clients_that_write_all_the_time_are_ended_and_lose_nothing() {
    let mut estate = Estate::new();
    let (conn, schema) = table(&estate).await;
    drop(conn);
    let mut clients = Vec::new();
    for pause in [0, 0, 300, 300, 700] {
        let mut conn = estate.connect(Some(&schema)).await;
        clients.push(tokio::spawn(async move {
            let mut written = 0;
            loop {
                if let Err(error) = conn.query_drop("INSERT INTO t (a) VALUES (1)").await {
                    return (written, code(&error));
                }
                written += 1;
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    estate.router.signal("TERM");
    ends(&mut estate.router, Duration::from_secs(3)).await;
    let mut written = 0;
    for client in clients {
        let (count, code) = client.await.unwrap();
        assert_eq!(code, Some(1053), "they are told, and not just cut off");
        written += count;
    }
    let rows = estate.master.value(&format!("SELECT COUNT(*) FROM {schema}.t")).unwrap();
    assert_eq!(rows, written.to_string(), "what was answered is there, and nothing else");
    assert!(estate.router.log().contains("drained: every session had finished"));
}

#[tokio::test]
async fn a_transaction_may_end_and_none_begins() {
    let mut estate = Estate::new();
    let (mut open, schema) = table(&estate).await;
    let mut stateful = estate.connect(Some(&schema)).await;
    let mut manual = estate.connect(Some(&schema)).await;
    let mut idle = estate.connect(Some(&schema)).await;
    open.query_drop("BEGIN").await.unwrap();
    open.query_drop("INSERT INTO t (a) VALUES (1)").await.unwrap();
    stateful.query_drop("SET @x = 7").await.unwrap();
    manual.query_drop("SET autocommit = 0").await.unwrap();
    idle.query_drop("SELECT 1").await.unwrap();
    estate.router.signal("TERM");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(idle.query_drop("SELECT 1").await.is_err(), "who had nothing open is gone");
    // No new transaction, in whatever way it would begin.
    assert!(manual.query_drop("INSERT INTO t (a) VALUES (9)").await.is_err(), "nothing was open there either");
    assert_eq!(value(&mut stateful, "SELECT @x").await, "7", "a single statement on what the session has");
    assert_eq!(code(&stateful.query_drop("BEGIN").await.unwrap_err()), Some(1053));
    assert!(stateful.query_drop("SELECT @x").await.is_err(), "the session ended with the error");
    // New clients are told.
    let refused = Conn::new(traffic_support::options(&estate.router, None)).await.err().unwrap();
    assert_eq!(code(&refused), Some(1053), "{refused}");
    // The open transaction goes on, and ends.
    open.query_drop("INSERT INTO t (a) VALUES (2)").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    open.query_drop("INSERT INTO t (a) VALUES (3)").await.unwrap();
    open.query_drop("COMMIT").await.unwrap();
    ends(&mut estate.router, Duration::from_secs(3)).await;
    let rows = estate.master.value(&format!("SELECT COUNT(*) FROM {schema}.t")).unwrap();
    assert_eq!(rows, "3");
    assert!(estate.router.log().contains("drained: every session had finished"));
}

#[tokio::test]
async fn what_the_last_statement_left_may_still_be_asked_for() {
    let mut estate = Estate::new();
    let (mut conn, _) = table(&estate).await;
    conn.query_drop("INSERT INTO t (a) VALUES (1)").await.unwrap();
    estate.router.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(value(&mut conn, "SELECT LAST_INSERT_ID()").await, "1");
    assert_eq!(code(&conn.query_drop("INSERT INTO t (a) VALUES (2)").await.unwrap_err()), Some(1053));
    ends(&mut estate.router, Duration::from_secs(3)).await;
}

#[tokio::test]
async fn state_without_a_transaction_holds_up_no_drain() {
    let mut estate = Estate::new();
    let (mut conn, _) = estate.client().await;
    conn.query_drop("CREATE TEMPORARY TABLE mine (a INT)").await.unwrap();
    estate.router.signal("TERM");
    let busy = tokio::spawn(async move {
        let (began, mut served_until) = (Instant::now(), Duration::ZERO);
        while conn.query_drop("INSERT INTO mine VALUES (1)").await.is_ok() {
            served_until = began.elapsed();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        served_until
    });
    let took = ends(&mut estate.router, Duration::from_secs(8)).await;
    let served_until = busy.await.unwrap();
    let most = Duration::from_secs(4);
    assert!(
        took > most && served_until > most - Duration::from_secs(1),
        "it had its five seconds: {took:?}, {served_until:?}"
    );
}
