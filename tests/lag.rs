//! Replication lag: a reader that is too far behind takes no reads, whoever says nothing about it is neither shunned nor
//! taken back for that, and a writer is never left out.

mod admin_support;
mod common;
mod traffic_support;

use admin_support::{connect, rows};
use common::http::{get, metrics};
use common::{Fault, FaultProxy, MariaDb, MySql, Options, Router, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::time::{Duration, Instant};
use traffic_support::{config, options, tag, value};

const WAIT: Duration = Duration::from_secs(30);
const OUT: &str = "no new reads go there";
const BACK: &str = "reads go there again";

/// A router whose backends may be `limit` seconds behind, the writer too; checks sign in as `checker`.
fn router(writer: u16, reader: u16, limit: u32, checker: &str, more: &str) -> Router {
    let timeout = if more.contains("timeout = ") { "" } else { "timeout = \"2s\"" };
    let health = format!(
        "read_your_writes = \"0s\"\n[health]\ninterval = \"50ms\"\nretry_interval = \"50ms\"\n{timeout}\n\
         username = \"{checker}\"\npassword = \"app-secret\"\n{more}\n[http]\naddress = \"{{http}}\"\n[admin]\n\
         address = \"{{admin}}\"\n[[admin.user]]\nusername = \"admin\"\npassword = \"admin-pw\"\nrole = \"admin\"\n"
    );
    let limited = |port: u16| format!("address = \"127.0.0.1:{port}\"\n");
    let mut text = config(writer, reader, &health);
    for port in [writer, reader] {
        text = text.replace(&limited(port), &format!("{}max_replication_lag = {limit}\n", limited(port)));
    }
    Router::with_config(&text, &[])
}

/// True if a read goes to `reader` now.
async fn reads_go_to(conn: &mut Conn, reader: &MariaDb) -> bool {
    let marked = tag("where");
    assert_eq!(value(conn, &format!("SELECT '{marked}'")).await, marked);
    reader.saw(&marked).unwrap()
}

/// What is known of a backend's lag: a value of the page for metrics.
fn signal(router: &Router, port: u16, name: &str) -> bool {
    let key = format!("switchboard_backend_replication_lag_signal{{backend=\"127.0.0.1:{port}\",signal=\"{name}\"}}");
    metrics(router).get(&key) == Some(&1.0)
}

/// Rows of the admin port, columns separated by `|`.
async fn admin(router: &Router, sql: &str) -> Vec<String> {
    rows(&mut connect(router, "admin").await, sql).await
}

/// A write that the replica gets late puts it behind; once it has caught up, it serves again.
#[tokio::test]
async fn a_reader_that_is_behind_takes_no_reads_until_it_has_caught_up() {
    let master = MariaDb::master();
    let replica = MariaDb::replica_of(&master);
    let router = router(master.port(), replica.port(), 1, "app", "");
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    wait_until("the lag is known", WAIT, || signal(&router, replica.port(), "known"));
    let seconds = format!("switchboard_backend_replication_lag_seconds{{backend=\"127.0.0.1:{}\"}}", replica.port());
    assert_eq!(metrics(&router).get(&seconds), Some(&0.0));
    assert!(reads_go_to(&mut conn, &replica).await);
    replica.sql("STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 6; START SLAVE").unwrap();
    master.sql("CREATE DATABASE late").unwrap();
    wait_until("it is left out", WAIT, || router.log().contains(OUT));
    assert!(!reads_go_to(&mut conn, &replica).await);
    let explained: Vec<(String, String)> = conn.query("EXPLAIN ROUTE SELECT 1").await.unwrap();
    let out = explained.iter().find(|(fact, _)| fact == "left_out").map(|(_, why)| why.as_str());
    let place = format!("20: 127.0.0.1:{}: ", replica.port());
    assert!(out.is_some_and(|why| why.starts_with(&place) && why.ends_with("1 s are allowed")), "{explained:?}");
    let status = admin(&router, "SELECT hostgroup_id, status FROM runtime_mysql_servers ORDER BY hostgroup_id").await;
    assert_eq!(status, ["10|ONLINE", "20|SHUNNED"]);
    let pool = admin(&router, "SELECT status FROM stats_mysql_connection_pool WHERE hostgroup = 20").await;
    assert_eq!(pool, ["SHUNNED_REPLICATION_LAG"]);
    let page = get(&router, "/api/status").1;
    assert!(page.contains("\"left_out\":true"), "{page}");
    wait_until("it serves again", WAIT, || router.log().contains(BACK));
    assert!(reads_go_to(&mut conn, &replica).await);
    let log = admin(
        &router,
        "SELECT DISTINCT repl_lag > 1 FROM monitor.mysql_server_replication_lag_log WHERE repl_lag IS NOT NULL ORDER BY 1",
    );
    assert_eq!(log.await, ["0", "1"]);
    let changes = admin(&router, "SELECT from_state, to_state FROM monitor.switchboard_health_log ORDER BY time_us");
    assert_eq!(changes.await, ["in_step|lagging", "lagging|in_step"]);
}

/// A stopped replication names no seconds, and what the replica holds gets older.
#[tokio::test]
async fn a_replication_that_stands_still_counts_by_the_clock() {
    let master = MariaDb::master();
    let replica = MariaDb::replica_of(&master);
    let router = router(master.port(), replica.port(), 5, "app", "");
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    wait_until("the lag is known", WAIT, || signal(&router, replica.port(), "known"));
    replica.sql("STOP SLAVE SQL_THREAD").unwrap();
    wait_until("it says nothing", WAIT, || signal(&router, replica.port(), "stands_still"));
    assert!(!router.log().contains(OUT), "NULL is not a lag by itself:\n{}", router.log());
    assert!(!metrics(&router).keys().any(|name| name.contains("replication_lag_seconds{")), "no seconds are made up");
    wait_until("it is left out", WAIT, || router.log().contains(OUT));
    assert!(!reads_go_to(&mut conn, &replica).await);
    replica.sql("START SLAVE SQL_THREAD").unwrap();
    wait_until("it serves again", WAIT, || router.log().contains(BACK));
    assert!(reads_go_to(&mut conn, &replica).await);
    assert!(!router.log().contains("to=\"down\""), "{}", router.log());
}

/// Two channels: the one that stands still counts, though the other is in step.
#[tokio::test]
async fn of_several_channels_the_worst_counts() {
    let master = MariaDb::master();
    let replica = MariaDb::replica_of(&master);
    replica.sql("CHANGE MASTER 'second' TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1, MASTER_USER = 'x'").unwrap();
    let router = router(master.port(), replica.port(), 1, "app", "");
    wait_until("it is left out", WAIT, || router.log().contains(OUT));
    replica.sql("RESET SLAVE 'second' ALL").unwrap();
    wait_until("it serves again", WAIT, || router.log().contains(BACK));
}

/// Complaints 19 to 21: for want of a signal nobody is shunned and nobody is taken back; a writer least of all.
#[tokio::test]
async fn without_a_signal_nobody_is_shunned_and_nobody_is_taken_back() {
    let checker = "SET sql_log_bin = 0; CREATE USER checker@'%' IDENTIFIED BY 'app-secret'";
    let master = MariaDb::master();
    let replica = MariaDb::replica_of(&master);
    for server in [&master, &replica] {
        server.sql(checker).unwrap();
    }
    replica.sql("STOP SLAVE").unwrap();
    let router = router(master.port(), replica.port(), 1, "checker", "");
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    wait_until("it may not be asked", WAIT, || signal(&router, replica.port(), "unreadable"));
    assert!(router.log().contains("the signal changed") && router.log().contains("Access denied"), "{}", router.log());
    assert!(reads_go_to(&mut conn, &replica).await, "not to know is not to be behind");
    conn.query_drop("CREATE DATABASE IF NOT EXISTS written").await.unwrap();
    // With the right it is found to stand still; without it again, it is not taken back.
    replica.sql("GRANT REPLICA MONITOR ON *.* TO checker@'%'").unwrap();
    kill_checker(&replica);
    wait_until("it is left out", WAIT, || router.log().contains(OUT));
    replica.sql("REVOKE REPLICA MONITOR ON *.* FROM checker@'%'").unwrap();
    kill_checker(&replica);
    wait_until("it may not be asked", WAIT, || signal(&router, replica.port(), "unreadable"));
    assert!(!reads_go_to(&mut conn, &replica).await);
    assert!(!router.log().contains(BACK), "{}", router.log());
}

/// Rights count from the next connection on.
fn kill_checker(server: &MariaDb) {
    let ids = server.sql("SELECT id FROM information_schema.processlist WHERE user = 'checker'").unwrap();
    for id in ids.into_iter().flatten() {
        // It may be gone by itself.
        let _ = server.sql(&format!("KILL {id}"));
    }
}

/// The same by `unknown_lag = "leave_out"`: who says nothing takes no reads. The writer, which is no replica, serves.
#[tokio::test]
async fn a_signal_may_be_asked_for() {
    let (master, other) = (MariaDb::start(Options::named("writer")), MariaDb::start(Options::named("no replica")));
    let router = router(master.port(), other.port(), 5, "app", "unknown_lag = \"leave_out\"");
    wait_until("it is left out", WAIT, || router.log().contains(OUT));
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    assert!(!reads_go_to(&mut conn, &other).await);
    assert!(reads_go_to(&mut conn, &master).await);
    conn.query_drop("CREATE DATABASE written").await.unwrap();
    let status = admin(&router, "SELECT hostgroup_id, status FROM runtime_mysql_servers ORDER BY hostgroup_id").await;
    assert_eq!(status, ["10|ONLINE", "20|SHUNNED"]);
}

/// MySQL has its own words for the question, and for who is asked.
#[tokio::test]
async fn a_mysql_replica_is_asked_in_its_own_words() {
    let reader = MySql::start(Options::named("aurora"));
    let writer = MariaDb::start(Options::named("writer"));
    let router = router(writer.port(), reader.port(), 1, "app", "");
    wait_until("it is no replica", WAIT, || signal(&router, reader.port(), "not_a_replica"));
    assert!(!router.log().contains(OUT));
    reader.sql("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1").unwrap();
    wait_until("it stands still", WAIT, || signal(&router, reader.port(), "stands_still"));
    wait_until("it is left out", WAIT, || router.log().contains(OUT));
}

/// A server that answers pings and leaves this question alone, as it may while a replication is being stopped, is not down
/// for that; it is asked again when it has answered, so that no connections pile up there.
#[tokio::test]
async fn a_question_that_is_not_answered_fails_no_check_and_is_asked_once() {
    let master = MariaDb::master();
    let replica = MariaDb::replica_of(&master);
    let link = FaultProxy::start((std::net::Ipv4Addr::LOCALHOST, replica.port()).into());
    let router = router(master.port(), link.port(), 1, "app", "fall = 2\ntimeout = \"500ms\"");
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    wait_until("the lag is known", WAIT, || signal(&router, link.port(), "known"));
    assert!(reads_go_to(&mut conn, &replica).await);
    link.set(Fault::Withhold("SHOW ALL SLAVES STATUS"));
    wait_until("it does not answer", WAIT, || signal(&router, link.port(), "unreadable"));
    let before = link.accepted();
    let in_vain = format!(
        "SELECT COUNT(*) FROM monitor.mysql_server_replication_lag_log WHERE port = {} AND error LIKE 'no answer %'",
        link.port()
    );
    // More than it takes to bring a backend down.
    let end = Instant::now() + WAIT;
    while admin(&router, &in_vain).await[0].parse::<u32>().unwrap() < 10 {
        assert!(Instant::now() < end, "it is not asked again and again whether there is an answer");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(link.accepted() <= before + 1, "{} connections for one question", link.accepted() - before);
    let changes = format!("switchboard_backend_state_changes_total{{backend=\"127.0.0.1:{}\"}}", link.port());
    assert_eq!(metrics(&router).get(&changes), Some(&0.0), "{}", router.log());
    assert!(reads_go_to(&mut conn, &replica).await, "not to know is not to be behind");
    link.set(Fault::None);
    wait_until("the lag is known again", WAIT, || signal(&router, link.port(), "known"));
    assert!(!router.log().contains(OUT), "{}", router.log());
}
