//! What the router says of the statements that went through it: its log, and its numbers for sessions.

mod common;
mod traffic_support;

use common::{MariaDb, Router, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::time::Duration;
use traffic_support::{config, options, tag, value};

fn router(session: &str, rule: &str) -> Router {
    let (master, replica) = MariaDb::shared_pair();
    let text = config(master.port(), replica.port(), session);
    Router::with_config(&text.replacen("[[rule]]\n", &format!("{rule}[[rule]]\n"), 1), &[])
}

/// The lines of the log about statements.
fn statements(router: &Router) -> Vec<String> {
    router.log().lines().filter(|l| l.contains("switchboard::statement")).map(str::to_owned).collect()
}

#[tokio::test]
async fn slow_statements_are_logged_with_their_route_and_without_their_literals() {
    let router = router("[log]\nslow_statement = \"200ms\"\n", "");
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    let secret = tag("secret");
    conn.query_drop("SELECT 'quick'").await.unwrap();
    conn.query_drop(format!("SELECT SLEEP(0.3), '{secret}'")).await.unwrap();
    wait_until("the line", Duration::from_secs(5), || !statements(&router).is_empty());
    let lines = statements(&router);
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["SELECT SLEEP(?),?", "user=\"app\"", "hostgroup=20", "rule=1", "reason=\"rule 1\"", "error=0"] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
    assert!(!router.log().contains(&secret), "a literal in the log");
}

/// A field of a line, in milliseconds.
fn stage(line: &str, name: &str) -> f64 {
    let (_, rest) = line.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("no {name} in {line}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Where the time went: the server's thinking, the connection, an answer that comes bit by bit.
#[tokio::test]
async fn a_slow_statements_stages_add_up() {
    let router = router("[log]\nslow_statement = \"200ms\"\n", "");
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    conn.query_drop("SELECT SLEEP(0.3)").await.unwrap();
    // Six rows of more than the server's buffer, 0.1 s each: the first comes long before the last.
    conn.query_drop("USE mysql").await.unwrap();
    conn.query_drop("SELECT SLEEP(0.1), REPEAT('x', 100000) FROM seq_1_to_6").await.unwrap();
    wait_until("the lines", Duration::from_secs(5), || statements(&router).len() == 2);
    let lines = statements(&router);
    for line in &lines {
        let stages: f64 = ["waited_ms", "prepare_ms", "server_ms", "answer_ms"].iter().map(|n| stage(line, n)).sum();
        assert!((stages - stage(line, "total_ms")).abs() < 0.01, "{line}");
        assert!(line.contains("route=[20, 10]"), "{line}");
    }
    assert!(stage(&lines[0], "server_ms") >= 300.0 && stage(&lines[0], "answer_ms") == 0.0, "{}", lines[0]);
    assert!(stage(&lines[0], "waited_ms") > 0.0, "its connection was made for it: {}", lines[0]);
    assert!(stage(&lines[1], "answer_ms") >= 300.0 && stage(&lines[1], "server_ms") >= 90.0, "{}", lines[1]);
}

#[tokio::test]
async fn a_rule_may_ask_for_its_statements_to_be_logged() {
    let rule = "[[rule]]\nrule_id = 0\nmatch_digest = \"COUNT\"\nlog = true\n";
    let router = router("", rule);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    conn.query_drop("SELECT 1").await.unwrap();
    for _ in 0..3 {
        conn.query_drop("SELECT COUNT(*) FROM information_schema.engines").await.unwrap();
    }
    wait_until("the lines", Duration::from_secs(5), || statements(&router).len() == 3);
    // A flood is cut off, and the cut is told.
    for _ in 0..1_000 {
        conn.query_drop("SELECT COUNT(1)").await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    conn.query_drop("SELECT COUNT(1)").await.unwrap();
    wait_until("the count of what was kept back", Duration::from_secs(5), || {
        statements(&router).iter().any(|l| !l.contains("kept_back=0"))
    });
    assert!(statements(&router).len() < 800, "{} lines", statements(&router).len());
}

#[tokio::test]
async fn a_session_knows_itself_by_the_number_that_kill_takes() {
    let router = router("", "");
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    let id: u32 = value(&mut conn, "SELECT CONNECTION_ID()").await.parse().unwrap();
    assert_eq!(id, conn.id());
    assert_eq!(value(&mut conn, "select connection_id();").await, id.to_string());
    let mut other = Conn::new(options(&router, None)).await.unwrap();
    other.query_drop(format!("KILL {id}")).await.unwrap();
    assert!(conn.query_drop("SELECT 1").await.is_err(), "the session was killed");
}
