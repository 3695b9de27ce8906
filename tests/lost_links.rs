//! What a session is told once a connection that it held is lost: what stood there is an error where it is asked for, never
//! another's answer, and nothing of it is shown as if it were still held.

mod common;
mod traffic_support;

use common::{Fault, FaultProxy, MariaDb, Options, Router};
use std::time::Duration;
use traffic_support::config;
use traffic_support::raw::{MODERN, Raw};

/// The error for what is not known any more.
const NOT_KNOWN: u16 = 1105;
/// CR_SERVER_LOST.
const LOST: u16 = 2013;

struct Estate {
    server: MariaDb,
    link: FaultProxy,
    router: Router,
}

impl Estate {
    /// A server behind a link that can be cut, and a router that keeps results for so long.
    fn new(hold_results: &str) -> Self {
        let server = MariaDb::start(Options::named("lost links"));
        let link = FaultProxy::start(server.address());
        let top = format!("read_your_writes = \"0s\"\n[timeouts]\nhold_results = \"{hold_results}\"\nconnect = \"2s\"");
        let router = Router::with_config(&config(link.port(), link.port(), &top), &[]);
        Self { server, link, router }
    }

    async fn client(&self) -> Raw {
        let schema = self.server.scratch_schema().unwrap();
        let mut client = Raw::connect(&self.router, &schema, MODERN).await;
        for sql in [
            "CREATE TABLE ids (id INT PRIMARY KEY AUTO_INCREMENT)",
            "CREATE TABLE plain (a INT)",
            "ALTER TABLE ids AUTO_INCREMENT = 7",
        ] {
            assert_eq!(client.query(sql).await.code(), 0, "{sql}");
        }
        client
    }
}

async fn results_are_given_up() {
    tokio::time::sleep(Duration::from_millis(400)).await;
}

#[tokio::test]
async fn an_insert_id_that_was_lost_while_nobody_asked_is_not_known() {
    let estate = Estate::new("100ms");
    let mut client = estate.client().await;
    client.query("INSERT INTO ids VALUES ()").await;
    estate.link.cut();
    results_are_given_up().await;
    for _ in 0..2 {
        assert_eq!(client.query("SELECT LAST_INSERT_ID()").await.code(), NOT_KNOWN);
    }
    assert_eq!(client.query("INSERT INTO ids VALUES ()").await.code(), 0);
    assert_eq!(client.value("SELECT LAST_INSERT_ID()").await, "8", "the next one is known");
    results_are_given_up().await;
    assert_eq!(client.value("SELECT LAST_INSERT_ID()").await, "8", "and is remembered");
}

#[tokio::test]
async fn an_insert_id_that_was_lost_with_a_statement_is_not_known() {
    let estate = Estate::new("30s");
    let mut client = estate.client().await;
    client.query("INSERT INTO ids VALUES ()").await;
    let slow = client.query("INSERT INTO plain VALUES (SLEEP(5))");
    let cut = async {
        while !estate.server.saw("VALUES (SLEEP(5))").unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        estate.link.cut();
    };
    assert_eq!(tokio::join!(slow, cut).0.code(), LOST, "it may have run");
    assert_eq!(client.query("SELECT 1").await.code(), 0, "the session goes on");
    assert_eq!(client.query("SELECT LAST_INSERT_ID()").await.code(), NOT_KNOWN);
    // A new life has none.
    assert_eq!(client.command(0x1f, &[]).await.code(), 0);
    assert_eq!(client.value("SELECT LAST_INSERT_ID()").await, "0");
}

#[tokio::test]
async fn an_idle_connection_that_was_cut_is_felt_only_by_who_asks_for_what_was_there() {
    let estate = Estate::new("30s");
    let mut client = estate.client().await;
    client.query("INSERT INTO ids VALUES ()").await;
    estate.link.cut();
    // So that the router has seen it.
    results_are_given_up().await;
    assert_eq!(client.query("INSERT INTO plain VALUES (1)").await.code(), 0, "nothing of it had left");
    assert_eq!(client.query("SELECT LAST_INSERT_ID()").await.code(), NOT_KNOWN);
    for (begins, code) in [("BEGIN", LOST), ("CREATE TEMPORARY TABLE t (a INT)", LOST), ("SET @x = 1", LOST)] {
        let mut client = estate.client().await;
        client.query(begins).await;
        estate.link.cut();
        results_are_given_up().await;
        assert_eq!(client.query("INSERT INTO plain VALUES (1)").await.code(), code, "{begins}");
    }
}

/// The router gives up on an answer, and the answer comes all the same.
#[tokio::test]
async fn an_answer_to_the_router_that_comes_too_late_is_no_clients() {
    let estate = Estate::new("30s");
    let mut client = estate.client().await;
    client.query("SET @u = 5").await;
    client.query("INSERT INTO ids VALUES ()").await;
    assert_eq!(client.query("SELECT id FROM ids").await.rows(), [["7"]]);
    // What the statement before found is on a reader's connection; the id is at home, which is asked for it.
    estate.link.set(Fault::Withhold("SELECT LAST_INSERT_ID()"));
    assert_eq!(client.query("SELECT FOUND_ROWS(), LAST_INSERT_ID()").await.code(), NOT_KNOWN);
    estate.link.set(Fault::None);
    assert_eq!(
        client.query("SELECT @u").await.code(),
        LOST,
        "the variable went with its connection, and the session with it"
    );
}

#[tokio::test]
async fn an_insert_id_is_remembered_beyond_inserts_that_make_none() {
    let estate = Estate::new("100ms");
    let mut client = estate.client().await;
    client.query("INSERT INTO ids VALUES ()").await;
    results_are_given_up().await;
    // A result of rows does not say whether an id was made, so the connection is kept, and asked.
    assert_eq!(client.query("INSERT INTO plain VALUES (1) RETURNING a").await.rows(), [["1"]]);
    results_are_given_up().await;
    assert_eq!(client.value("SELECT LAST_INSERT_ID()").await, "7");
}

#[tokio::test]
async fn a_lost_connection_is_not_shown_as_held() {
    let estate = Estate::new("30s");
    let mut client = estate.client().await;
    client.query("DO 0").await;
    client.query("SELECT CAST('x' AS SIGNED)").await;
    let pins = async |client: &mut Raw| {
        let answer = client.query("EXPLAIN ROUTE SELECT 1").await;
        answer.rows().iter().find(|row| row[0] == "session_pins").map(|row| row[1].to_owned()).unwrap()
    };
    assert_eq!(pins(&mut client).await, "warnings");
    estate.link.cut();
    assert_eq!(client.query("SHOW WARNINGS").await.code(), LOST);
    assert_eq!(client.query("SELECT 1").await.code(), 0);
    assert_eq!(pins(&mut client).await, "");
}
