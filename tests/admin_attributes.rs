//! `mysql_hostgroup_attributes`: one model with the files, and in effect at real servers.

mod admin_support;
mod common;
mod traffic_support;

use admin_support::{connect, estate, process, refused, rows, run};
use common::{MariaDb, Router};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::time::{Duration, Instant};
use traffic_support::{options, value};

const WAIT: Duration = Duration::from_secs(10);
const LOAD: &str = "LOAD MYSQL SERVERS TO RUNTIME";

/// One worker: what it keeps is what there is. All statements go to the writer.
fn router() -> (Router, &'static (MariaDb, MariaDb)) {
    let servers = MariaDb::shared_pair();
    let text = estate(servers.0.port(), servers.1.port(), "");
    (Router::with_config(&process("workers = 1"), &[("estate.toml", &text)]), servers)
}

async fn attribute(admin: &mut Conn, column: &str, value: &str) {
    let insert = format!("INSERT INTO mysql_hostgroup_attributes (hostgroup_id, {column}) VALUES (10, {value})");
    run(admin, &[&insert, LOAD]).await;
}

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
async fn rows_and_files_are_one_model() {
    let (router, _) = router();
    let mut admin = connect(&router, "admin").await;
    let file = || std::fs::read_to_string(router.dir().join("rules/estate.toml")).unwrap();
    let before = file();
    let insert = "INSERT INTO mysql_hostgroup_attributes (hostgroup_id, max_num_online_servers, autocommit, \
                  init_connect, comment) VALUES (10, 3, 1, 'SET SESSION max_statement_time = 60', 'it''s ours')";
    admin.query_drop(insert).await.unwrap();
    let said = "Warning|1105|mysql_hostgroup_attributes.autocommit is kept and does nothing here";
    assert_eq!(rows(&mut admin, "SHOW WARNINGS").await, [said]);
    admin.query_drop(LOAD).await.unwrap();
    let said = "Warning|1105|mysql_hostgroup_attributes hostgroup_id=10: autocommit is kept and does nothing here";
    assert_eq!(rows(&mut admin, "SHOW WARNINGS").await, [said]);
    let row = "10|3|1|10|SET SESSION max_statement_time = 60|1|0|1000000||||it's ours";
    assert_eq!(rows(&mut admin, "SELECT * FROM runtime_mysql_hostgroup_attributes").await, [row]);
    assert_eq!(file(), before, "loaded is not saved");
    run(&mut admin, &["SAVE MYSQL SERVERS TO DISK"]).await;
    let saved = file();
    let table = "[hostgroup.attributes]\nmax_num_online_servers = 3\nproxysql = { autocommit = 1 }\n\
                 init_connect = \"SET SESSION max_statement_time = 60\"\ncomment = \"it's ours\"\n";
    assert!(saved.contains(table), "{saved}");
    for line in before.lines() {
        assert!(saved.contains(line), "lost: {line}\n{saved}");
    }
    assert_eq!(rows(&mut admin, "SELECT * FROM disk.mysql_hostgroup_attributes").await, [row]);
    // An edit of the file is a row, and a hostgroup without the table has none.
    router.write_rules("estate.toml", &saved.replace("max_num_online_servers = 3", "max_num_online_servers = 4"));
    wait_for(&mut admin, "SELECT max_num_online_servers FROM mysql_hostgroup_attributes", &["4"]).await;
    run(&mut admin, &["DELETE FROM mysql_hostgroup_attributes", LOAD, "SAVE MYSQL SERVERS TO DISK"]).await;
    assert_eq!(file(), before);
    // What cannot be is refused with its row, and nothing has changed.
    for (column, value, why) in [
        ("init_connect", "'SET sql_mode = ''ANSI'''", "kept for each session by the router"),
        ("init_connect", "'BEGIN'", "its effect is begin"),
        ("init_connect", "'SELECT 1; SELECT 2'", "its effect is multi"),
    ] {
        let insert = format!("INSERT INTO mysql_hostgroup_attributes (hostgroup_id, {column}) VALUES (10, {value})");
        run(&mut admin, &[&insert]).await;
        let (_, message) = refused(&mut admin, LOAD).await;
        assert!(message.contains("hostgroup_id=10") && message.contains(why), "{value}: {message}");
        run(&mut admin, &["DELETE FROM mysql_hostgroup_attributes"]).await;
    }
    run(&mut admin, &["INSERT INTO mysql_hostgroup_attributes (hostgroup_id) VALUES (77)"]).await;
    let (_, message) = refused(&mut admin, LOAD).await;
    assert!(message.contains("mysql_hostgroup_attributes hostgroup_id=77: there is no such hostgroup"), "{message}");
}

#[tokio::test]
async fn connections_begin_with_init_connect_and_come_back_to_it() {
    let (router, _) = router();
    let mut admin = connect(&router, "admin").await;
    attribute(&mut admin, "init_connect", "'SET SESSION group_concat_max_len = 4321'").await;
    let ask = "SELECT @@group_concat_max_len";
    let mut first = Conn::new(options(&router, None)).await.unwrap();
    assert_eq!(value(&mut first, ask).await, "4321");
    first.query_drop("SET group_concat_max_len = 99").await.unwrap();
    assert_eq!(value(&mut first, ask).await, "99");
    // The same connection, for somebody else: not the server's default, not the first one's value.
    let mut second = Conn::new(options(&router, None)).await.unwrap();
    assert_eq!(value(&mut second, ask).await, "4321");
    assert_eq!(value(&mut first, ask).await, "99");
    let pool = "SELECT ConnOK FROM stats_mysql_connection_pool WHERE hostgroup = 10";
    assert_eq!(rows(&mut admin, pool).await, ["1"], "one connection served both");
    let shown = "SELECT DISTINCT init_connect FROM stats_mysql_free_connections";
    wait_for(&mut admin, shown, &["SET SESSION group_concat_max_len = 4321"]).await;
    // One that the server refuses says whose fault it is.
    run(&mut admin, &["UPDATE mysql_hostgroup_attributes SET init_connect = 'SET SESSION nonsense = 1'", LOAD]).await;
    run(&mut first, &["BEGIN"]).await;
    let error = second.query_drop("BEGIN").await.unwrap_err().to_string();
    assert!(error.contains("init_connect of hostgroup 10: Unknown system variable"), "{error}");
}

#[tokio::test]
async fn connections_are_opened_at_the_pace_that_is_allowed() {
    let (router, _) = router();
    let mut admin = connect(&router, "admin").await;
    attribute(&mut admin, "throttle_connections_per_sec", "1").await;
    let began = Instant::now();
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut conn = Conn::new(options(&router, None)).await.unwrap();
        run(&mut conn, &["BEGIN", "DO 1"]).await;
        held.push(conn);
    }
    // Three connections, one for each second: the third is at least a whole second after the first.
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    let created = "SELECT Variable_Value FROM stats_mysql_global WHERE Variable_Name = 'Server_Connections_created'";
    assert_eq!(rows(&mut admin, created).await, ["3"]);
}

#[tokio::test]
async fn no_more_lies_idle_than_its_share() {
    let (router, _) = router();
    let mut admin = connect(&router, "admin").await;
    run(&mut admin, &["UPDATE mysql_servers SET max_connections = 20 WHERE hostgroup_id = 10"]).await;
    attribute(&mut admin, "free_connections_pct", "10").await;
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut conn = Conn::new(options(&router, None)).await.unwrap();
        run(&mut conn, &["BEGIN", "DO 1"]).await;
        held.push(conn);
    }
    let pool = "SELECT ConnUsed, ConnFree FROM stats_mysql_connection_pool WHERE hostgroup = 10";
    wait_for(&mut admin, pool, &["5|0"]).await;
    for conn in &mut held {
        conn.query_drop("COMMIT").await.unwrap();
    }
    wait_for(&mut admin, pool, &["0|2"]).await;
}

#[tokio::test]
async fn with_more_writers_than_may_be_none_is_one() {
    let (router, (_, replica)) = router();
    let mut admin = connect(&router, "admin").await;
    let second = format!(
        "INSERT INTO mysql_servers (hostgroup_id, hostname, port) VALUES (10, '127.0.0.1', {})",
        replica.port()
    );
    run(&mut admin, &[&second]).await;
    attribute(&mut admin, "max_num_online_servers", "1").await;
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    let error = conn.query_drop("CREATE DATABASE nowhere").await.unwrap_err().to_string();
    assert!(error.contains("9001") && error.contains("max_num_online_servers"), "{error}");
    let tier = "SELECT DISTINCT servers, servers_ready, state FROM switchboard_tiers WHERE hostgroup = 10";
    assert_eq!(rows(&mut admin, tier).await, ["2|0|out"]);
    let out = format!(
        "UPDATE mysql_servers SET status = 'OFFLINE_HARD' WHERE hostgroup_id = 10 AND port = {}",
        replica.port()
    );
    run(&mut admin, &[&out, LOAD]).await;
    conn.query_drop("DO 1").await.unwrap();
    assert_eq!(rows(&mut admin, tier).await, ["2|1|degraded"]);
}
