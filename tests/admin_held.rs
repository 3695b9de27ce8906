//! What the admin port says of connections and prepared statements, held against what servers and clients really have.

mod admin_support;
mod common;
mod traffic_support;

use admin_support::{connect, estate, process, rows, run, with_servers};
use common::{MariaDb, Router, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::time::{Duration, Instant};
use traffic_support::options;

const WAIT: Duration = Duration::from_secs(10);
const RULE: &str = "[[rule]]\nrule_id = 1\nreader_safe = true\ndestination_hostgroups = [20, 10]\napply = true\n";

/// Waits until a query of the admin port gives these rows.
async fn wait_for(conn: &mut Conn, sql: &str, want: &[&str]) {
    let until = Instant::now() + WAIT;
    loop {
        let said = rows(conn, sql).await;
        if said == want {
            return;
        }
        assert!(Instant::now() < until, "{sql}: not {want:#?} but\n{said:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn free_connections_are_those_that_servers_have_and_nobody_uses() {
    let (router, (master, replica)) = with_servers(RULE);
    let schema = master.scratch_schema().unwrap();
    let position = master.value("SELECT @@gtid_binlog_pos").unwrap();
    assert_eq!(replica.value(&format!("SELECT MASTER_GTID_WAIT('{position}', 10)")).unwrap(), "0");
    let mut stats = connect(&router, "stats").await;
    assert!(rows(&mut stats, "SELECT * FROM stats_mysql_free_connections").await.is_empty());
    let mut conn = Conn::new(options(&router, Some(&schema))).await.unwrap();
    run(&mut conn, &["SET time_zone = '+03:00'", "SELECT 1"]).await;
    let ask = "SELECT hostgroup, srv_port, user, schema, time_zone, autocommit, idle_ms < 60000, fd > 2, \
               json_extract(statistics, '$.prepared') FROM stats_mysql_free_connections \
               WHERE hostgroup = 20 ORDER BY hostgroup";
    wait_for(&mut stats, ask, &[&format!("20|{}|app|{schema}|+03:00|1|1|1|0", replica.port())]).await;
    // The server's own number for it, and what the server reads statements by.
    let thread = "SELECT json_extract(mysql_info, '$.thread_id'), sql_mode FROM stats_mysql_free_connections WHERE hostgroup = 20";
    let said = rows(&mut stats, thread).await;
    let (id, sql_mode) = said[0].split_once('|').unwrap();
    let there = format!("SELECT CONCAT(user, '|', db) FROM information_schema.processlist WHERE id = {id}");
    assert_eq!(replica.value(&there).unwrap(), format!("app|{schema}"));
    assert_eq!(replica.value("SELECT @@global.sql_mode").unwrap(), sql_mode);
    // The pool's figures are the same ones, also where a hostgroup has one server.
    let pool = "SELECT hostgroup, ConnUsed, ConnFree FROM stats_mysql_connection_pool WHERE hostgroup = 20";
    assert_eq!(rows(&mut stats, pool).await, ["20|0|1"]);
}

#[tokio::test]
async fn a_connection_in_use_is_counted_and_stands_in_a_drains_way() {
    let (router, _) = with_servers(RULE);
    let (mut ops, mut conn) = (connect(&router, "ops").await, Conn::new(options(&router, None)).await.unwrap());
    run(&mut conn, &["BEGIN", "DO 1"]).await;
    let pool = "SELECT ConnUsed, MaxConnUsed > 0 FROM stats_mysql_connection_pool WHERE hostgroup = 10";
    wait_for(&mut ops, pool, &["1|1"]).await;
    let drain = "UPDATE mysql_servers SET status = 'OFFLINE_SOFT' WHERE hostgroup_id = 10";
    run(&mut ops, &[drain, "LOAD MYSQL SERVERS TO RUNTIME"]).await;
    let draining = "SELECT status, sessions, done FROM switchboard_draining";
    assert_eq!(rows(&mut ops, draining).await, ["OFFLINE_SOFT|1|0"]);
    // The log looks every 200 ms: time enough to say what is not so.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(!router.log().contains("no session uses it any more"), "a transaction is open:\n{}", router.log());
    assert_eq!(rows(&mut ops, draining).await, ["OFFLINE_SOFT|1|0"]);
    conn.query_drop("COMMIT").await.unwrap();
    wait_for(&mut ops, draining, &["OFFLINE_SOFT|0|1"]).await;
    wait_until("it is said", WAIT, || router.log().contains("no session uses it any more"));
}

#[tokio::test]
async fn prepared_statements_are_counted_by_who_has_them() {
    let (master, replica) = MariaDb::shared_pair();
    // Workers share no connections: with one, there is one.
    let text = estate(master.port(), replica.port(), RULE);
    let router = Router::with_config(&process("workers = 1"), &[("estate.toml", &text)]);
    let schema = master.scratch_schema().unwrap();
    let mut stats = connect(&router, "stats").await;
    let ask = "SELECT schemaname, username, ref_count_client, ref_count_server, num_columns, num_params, query \
               FROM stats_mysql_prepared_statements_info ORDER BY query";
    assert!(rows(&mut stats, ask).await.is_empty());
    let mut first = Conn::new(options(&router, Some(&schema))).await.unwrap();
    let mut second = Conn::new(options(&router, Some(&schema))).await.unwrap();
    let text = "INSERT INTO t (a, b) VALUES (?, ?)";
    first.query_drop("CREATE TABLE t (a INT, b INT)").await.unwrap();
    let (one, _two) = (first.prep(text).await.unwrap(), second.prep(text).await.unwrap());
    let _read = first.prep("SELECT a, b, 7 FROM t WHERE a = ? FOR UPDATE").await.unwrap();
    let read = format!("{schema}|app|1|1|3|1|SELECT a, b, 7 FROM t WHERE a = ? FOR UPDATE");
    wait_for(&mut stats, ask, &[&format!("{schema}|app|2|1|0|2|{text}"), &read]).await;
    first.exec_drop(&one, (1, 2)).await.unwrap();
    let same = "SELECT COUNT(*) FROM stats_mysql_prepared_statements_info p \
                JOIN stats_mysql_query_digest d USING (digest) WHERE p.num_params = 2";
    wait_for(&mut stats, same, &["1"]).await;
    first.close(one).await.unwrap();
    wait_for(&mut stats, ask, &[&format!("{schema}|app|1|1|0|2|{text}"), &read]).await;
    drop((first, second));
    wait_for(&mut stats, "SELECT COUNT(*) FROM stats_mysql_prepared_statements_info", &["0"]).await;
}
