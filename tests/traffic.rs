//! Traffic through the router, with a real master and a real replica behind: where statements run, and what sessions keep.
//!
//! Where a statement ran is the servers' word (their general logs), not the router's.

mod common;
mod traffic_support;

use common::{MariaDb, Router};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use traffic_support::{Estate, config, options, tag, value};

/// The server that a session's current connection is on, told by the port it listens on.
async fn server_of(conn: &mut Conn, estate: &Estate) -> &'static str {
    let port: u16 = value(conn, "SELECT @@port").await.parse().unwrap();
    if port == estate.master.port() { "master" } else { "replica" }
}

fn code(result: Result<(), Error>) -> u16 {
    match result {
        Err(Error::Server(error)) => error.code,
        other => panic!("not a server's error: {other:?}"),
    }
}

#[tokio::test]
async fn writes_go_to_the_writer_and_reads_to_the_reader() {
    let estate = Estate::shared();
    let (mut conn, _) = estate.client().await;
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(64))").await.unwrap();
    let (insert, read, lock) = (tag("insert"), tag("read"), tag("lock"));
    conn.query_drop(format!("INSERT INTO t (a) VALUES ('{insert}')")).await.unwrap();
    estate.catch_up();
    conn.query_drop(format!("SELECT '{read}' FROM t")).await.unwrap();
    conn.query_drop(format!("SELECT '{lock}' FROM t FOR UPDATE")).await.unwrap();
    assert_eq!(estate.ran_on(&insert), "master");
    assert_eq!(estate.ran_on(&read), "replica");
    assert_eq!(estate.ran_on(&lock), "master");
}

#[tokio::test]
async fn transactions_stay_on_one_backend() {
    let estate = Estate::shared();
    let (mut conn, _) = estate.client().await;
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, a INT)").await.unwrap();
    for (open, close) in
        [("BEGIN", "COMMIT"), ("START TRANSACTION", "ROLLBACK"), ("SET autocommit=0", "SET autocommit=1")]
    {
        let (inside, after) = (tag("inside"), tag("after"));
        conn.query_drop(open).await.unwrap();
        conn.query_drop(format!("SELECT '{inside}'")).await.unwrap();
        conn.query_drop(close).await.unwrap();
        conn.query_drop(format!("SELECT '{after}'")).await.unwrap();
        assert_eq!(estate.ran_on(&inside), "master", "{open}");
        assert_eq!(estate.ran_on(&after), "replica", "{close}");
    }
}

#[tokio::test]
async fn a_failing_statement_in_a_transaction_leaves_it_open() {
    let estate = Estate::shared();
    let (mut conn, _) = estate.client().await;
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    conn.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(code(conn.query_drop("INSERT INTO t VALUES (1)").await), 1062);
    let inside = tag("inside");
    conn.query_drop(format!("SELECT '{inside}'")).await.unwrap();
    assert_eq!(estate.ran_on(&inside), "master");
    conn.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM t").await, "0");
}

#[tokio::test]
async fn what_follows_a_write_and_needs_its_result_goes_where_it_was() {
    let estate = Estate::shared();
    let (mut conn, _) = estate.client().await;
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT)").await.unwrap();
    conn.query_drop("INSERT INTO t (a) VALUES (1), (2), (3)").await.unwrap();
    assert_eq!(value(&mut conn, "SELECT ROW_COUNT()").await, "3");
    assert_eq!(value(&mut conn, "SELECT LAST_INSERT_ID()").await, "1");
    conn.query_drop("SELECT 1").await.unwrap();
    for form in
        ["SELECT LAST_INSERT_ID() AS x", "select last_insert_id ( )", "SELECT @@identity", "SELECT LAST_INSERT_ID();"]
    {
        assert_eq!(value(&mut conn, form).await, "1", "{form}");
    }
    let id: Option<u64> = conn.exec_first("SELECT LAST_INSERT_ID()", ()).await.unwrap();
    assert_eq!(id, Some(1), "prepared");
    conn.query_drop("SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 0").await.unwrap();
    estate.catch_up();
    conn.query_drop("SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 1").await.unwrap();
    assert_eq!(value(&mut conn, "SELECT FOUND_ROWS()").await, "3");
    conn.query_drop("SELECT 1/0").await.unwrap();
    let warnings: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.unwrap();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].1, 1365);
}

#[tokio::test]
async fn a_new_session_sees_nothing_of_the_last_user_of_its_connection() {
    let estate = Estate::shared();
    let (mut first, schema) = estate.client().await;
    first.query_drop("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT)").await.unwrap();
    first.query_drop("INSERT INTO t (a) VALUES (1)").await.unwrap();
    first.query_drop("SET @secret = 'x', sql_mode = 'ANSI', time_zone = '+05:00'").await.unwrap();
    first.query_drop("CREATE TEMPORARY TABLE temp_t (a INT)").await.unwrap();
    first.query_drop("SELECT 1/0").await.unwrap();
    first.disconnect().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    for _ in 0..5 {
        let mut second = estate.connect(Some(&schema)).await;
        assert_eq!(value(&mut second, "SELECT LAST_INSERT_ID()").await, "0");
        assert_eq!(value(&mut second, "SELECT @secret").await, "NULL");
        assert_eq!(value(&mut second, "SELECT @@time_zone").await, "SYSTEM");
        assert!(!value(&mut second, "SELECT @@sql_mode").await.contains("ANSI"));
        let warnings: Vec<(String, u16, String)> = second.query("SHOW WARNINGS").await.unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(code(second.query_drop("SELECT * FROM temp_t").await), 1146);
        second.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn session_variables_follow_from_backend_to_backend() {
    let estate = Estate::shared();
    let (mut conn, schema) = estate.client().await;
    let cases = [
        ("SET time_zone = '+05:00'", "@@time_zone", "+05:00"),
        ("SET SESSION sql_mode = CONCAT('ANSI_QUOTES,', @@sql_mode)", "@@sql_mode LIKE '%ANSI_QUOTES%'", "1"),
        ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "@@tx_isolation", "READ-COMMITTED"),
        ("SET NAMES latin1 COLLATE latin1_bin", "@@collation_connection", "latin1_bin"),
        ("SET sql_select_limit = 7", "@@sql_select_limit", "7"),
        ("SET sql_select_limit = DEFAULT", "@@sql_select_limit > 1000", "1"),
        (
            "SET group_concat_max_len = 2048, max_statement_time = 5",
            "CONCAT(@@group_concat_max_len, @@max_statement_time)",
            "20485.000000",
        ),
    ];
    for (set, read, want) in cases {
        conn.query_drop(set).await.unwrap();
        let marked = tag("follow");
        assert_eq!(value(&mut conn, &format!("SELECT {read}, '{marked}'")).await, want, "{set}, on the reader");
        assert_eq!(estate.ran_on(&marked), "replica", "{set}");
        conn.query_drop("BEGIN").await.unwrap();
        assert_eq!(value(&mut conn, &format!("SELECT {read}")).await, want, "{set}, on the writer");
        conn.query_drop("COMMIT").await.unwrap();
    }
    conn.query_drop("USE information_schema").await.unwrap();
    assert_eq!(value(&mut conn, "SELECT DATABASE()").await, "information_schema");
    conn.query_drop(format!("USE `{schema}`")).await.unwrap();
    assert_eq!(value(&mut conn, "SELECT DATABASE()").await, schema);
    // Another session, which set nothing, has the servers' own.
    let mut other = estate.connect(Some(&schema)).await;
    assert_eq!(value(&mut other, "SELECT @@time_zone").await, "SYSTEM");
    assert_eq!(value(&mut other, "SELECT DATABASE()").await, schema);
}

#[tokio::test]
async fn state_that_cannot_be_carried_pins_the_session() {
    let estate = Estate::shared();
    let (mut conn, _) = estate.client().await;
    conn.query_drop("SET @x = 5").await.unwrap();
    assert_eq!(value(&mut conn, "SELECT @x").await, "5");
    let marked = tag("unrelated");
    conn.query_drop(format!("SELECT '{marked}'")).await.unwrap();
    assert_eq!(estate.ran_on(&marked), "replica", "a read that needs no user variable");
    assert_eq!(value(&mut conn, "SELECT @x").await, "5");
    conn.query_drop("CREATE TEMPORARY TABLE tt (a INT)").await.unwrap();
    conn.query_drop("INSERT INTO tt VALUES (7)").await.unwrap();
    assert_eq!(value(&mut conn, "SELECT a FROM tt").await, "7");
    assert_eq!(value(&mut conn, "SELECT GET_LOCK('traffic', 1)").await, "1");
    assert_eq!(value(&mut conn, "SELECT RELEASE_LOCK('traffic')").await, "1");
    conn.query_drop("PREPARE s FROM 'SELECT 42'").await.unwrap();
    assert_eq!(value(&mut conn, "EXECUTE s").await, "42");
}

#[tokio::test]
async fn a_temporary_table_made_inside_a_procedure_pins_too() {
    let estate = Estate::shared();
    let (mut conn, _) = estate.client().await;
    conn.query_drop("CREATE PROCEDURE p() CREATE TEMPORARY TABLE made_inside (a INT)").await.unwrap();
    estate.catch_up();
    conn.query_drop("CALL p()").await.unwrap();
    assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM made_inside").await, "0");
}

#[tokio::test]
async fn a_failed_set_changes_and_pins_nothing() {
    let estate = Estate::shared();
    let (mut conn, _) = estate.client().await;
    assert_eq!(code(conn.query_drop("SET no_such_variable = 1").await), 1193);
    assert_eq!(code(conn.query_drop("SET time_zone = 'Nowhere/Nothing'").await), 1298);
    let marked = tag("after");
    assert_eq!(value(&mut conn, &format!("SELECT @@time_zone, '{marked}'")).await, "SYSTEM");
    assert_eq!(estate.ran_on(&marked), "replica");
}

#[tokio::test]
async fn prepared_statements_go_where_their_text_belongs_and_survive_moves() {
    let estate = Estate::shared();
    let (mut conn, _) = estate.client().await;
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(99))").await.unwrap();
    let (insert, read) = (tag("prepared_insert"), tag("prepared_read"));
    let write = conn.prep(format!("INSERT INTO t (a) VALUES (CONCAT('{insert}', ?))")).await.unwrap();
    for i in 0..3 {
        conn.exec_drop(&write, (i,)).await.unwrap();
    }
    estate.catch_up();
    let select = conn.prep(format!("SELECT COUNT(*), '{read}' FROM t WHERE id > ?")).await.unwrap();
    for i in 0..4u32 {
        let (count, _): (u32, String) = conn.exec_first(&select, (i,)).await.unwrap().unwrap();
        assert_eq!(count, 3 - i);
    }
    assert_eq!(estate.ran_on(&insert), "master");
    assert_eq!(estate.ran_on(&read), "replica");
    // In a transaction the same statement must run on the writer, where it was never prepared.
    conn.query_drop("BEGIN").await.unwrap();
    conn.exec_drop(&write, ("inside",)).await.unwrap();
    let (count, _): (u32, String) = conn.exec_first(&select, (0,)).await.unwrap().unwrap();
    assert_eq!(count, 4, "it sees its own transaction");
    conn.query_drop("ROLLBACK").await.unwrap();
    conn.close(select).await.unwrap();
    conn.close(write).await.unwrap();
    assert_eq!(value(&mut conn, "SELECT 1").await, "1");
}

#[tokio::test]
async fn a_statement_prepared_under_one_schema_keeps_it() {
    let estate = Estate::shared();
    let (mut conn, first) = estate.client().await;
    let second = estate.schema().await;
    conn.query_drop("CREATE TABLE t (a INT)").await.unwrap();
    conn.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
    conn.query_drop(format!("CREATE TABLE `{second}`.t (a INT)")).await.unwrap();
    conn.query_drop(format!("INSERT INTO `{second}`.t VALUES (2)")).await.unwrap();
    estate.catch_up();
    let select = conn.prep("SELECT a FROM t WHERE a > ?").await.unwrap();
    conn.query_drop(format!("USE `{second}`")).await.unwrap();
    assert_eq!(conn.exec_first::<u32, _, _>(&select, (0,)).await.unwrap(), Some(1), "of {first}");
    conn.query_drop("BEGIN").await.unwrap();
    assert_eq!(conn.exec_first::<u32, _, _>(&select, (0,)).await.unwrap(), Some(1), "on another backend too");
    assert_eq!(value(&mut conn, "SELECT a FROM t").await, "2");
    conn.query_drop("COMMIT").await.unwrap();
}

#[tokio::test]
async fn multi_statements_and_multi_results() {
    let estate = Estate::shared();
    let (mut conn, _) = estate.client().await;
    conn.query_drop("CREATE TABLE t (a INT)").await.unwrap();
    let (both, reads) = (tag("both"), tag("reads"));
    let mut result =
        conn.query_iter(format!("INSERT INTO t VALUES (1), (2); SELECT ROW_COUNT(); SELECT '{both}'")).await.unwrap();
    let mut sets = Vec::new();
    while !result.is_empty() {
        sets.push(result.collect::<String>().await.unwrap());
    }
    drop(result);
    assert_eq!(sets.last().unwrap(), std::slice::from_ref(&both));
    assert_eq!(estate.ran_on(&both), "master");
    conn.query_drop(format!("SELECT 1; SELECT '{reads}'")).await.unwrap();
    assert_eq!(estate.ran_on(&reads), "replica");
    assert_eq!(server_of(&mut conn, estate).await, "master", "@@port is the writer's to answer");
}

#[tokio::test]
async fn packets_over_sixteen_mebibytes_both_ways() {
    let master = common::MariaDb::start(
        common::Options::named("big").with_arg("--max-allowed-packet=64M").with_arg("--innodb-log-file-size=256M"),
    );
    let router = common::Router::with_config(&traffic_support::config(master.port(), master.port(), ""), &[]);
    let schema = master.scratch_schema().unwrap();
    let mut conn = Conn::new(options(&router, Some(&schema)).max_allowed_packet(Some(64 << 20))).await.unwrap();
    conn.query_drop("CREATE TABLE t (a LONGBLOB)").await.unwrap();
    for size in [(1 << 24) - 60, (1 << 24) - 1, 1 << 24, (1 << 24) + 1, 40_000_000] {
        conn.query_drop("TRUNCATE t").await.unwrap();
        conn.query_drop(format!("INSERT INTO t VALUES ('{}')", "x".repeat(size))).await.unwrap();
        let back: Vec<u8> = conn.query_first("SELECT a FROM t").await.unwrap().unwrap();
        assert_eq!(back.len(), size);
        assert!(back.iter().all(|b| *b == b'x'));
        conn.exec_drop("UPDATE t SET a = ?", (vec![b'y'; size],)).await.unwrap();
        assert_eq!(value(&mut conn, "SELECT LENGTH(a), MD5(a) FROM t").await, size.to_string());
    }
}

#[tokio::test]
async fn read_your_writes_keeps_reads_on_the_writer_for_its_window() {
    let estate = Estate::with_session("read_your_writes = \"1s\"");
    let (mut conn, _) = estate.client().await;
    conn.query_drop("CREATE TABLE t (a INT)").await.unwrap();
    for i in 0..50 {
        conn.query_drop(format!("INSERT INTO t VALUES ({i})")).await.unwrap();
        assert_eq!(value(&mut conn, "SELECT MAX(a) FROM t").await, i.to_string(), "its own last write");
    }
    let within = tag("within");
    conn.query_drop(format!("SELECT '{within}'")).await.unwrap();
    assert_eq!(estate.ran_on(&within), "master");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let later = tag("later");
    conn.query_drop(format!("SELECT '{later}'")).await.unwrap();
    assert_eq!(estate.ran_on(&later), "replica");
}

#[tokio::test]
async fn commands_that_are_not_statements() {
    let estate = Estate::shared();
    let (mut conn, schema) = estate.client().await;
    conn.ping().await.unwrap();
    conn.query_drop("SET time_zone = '+03:00'").await.unwrap();
    conn.query_drop("SET @x = 1").await.unwrap();
    assert!(conn.reset().await.unwrap());
    assert_eq!(value(&mut conn, "SELECT @@time_zone").await, "SYSTEM");
    assert_eq!(value(&mut conn, "SELECT @x").await, "NULL");
    assert_eq!(value(&mut conn, "SELECT DATABASE()").await, schema);
    conn.change_user(mysql_async::ChangeUserOpts::new()).await.unwrap();
    assert_eq!(value(&mut conn, "SELECT CURRENT_USER()").await, "app@%");
    assert_eq!(code(conn.query_drop("KILL 4000000000").await), 1094);
}

#[tokio::test]
async fn unknown_schemas_and_wrong_passwords_are_clear_errors() {
    let estate = Estate::shared();
    let unknown = Conn::new(options(&estate.router, Some("no_such_schema"))).await.map(drop);
    assert_eq!(code(unknown), 1049);
    let wrong = Conn::new(options(&estate.router, None).pass(Some("wrong"))).await.map(drop);
    assert_eq!(code(wrong), 1045);
    let stranger = Conn::new(options(&estate.router, None).user(Some("stranger"))).await.map(drop);
    assert_eq!(code(stranger), 1045);
}

#[tokio::test]
async fn explain_route_says_where_and_why() {
    let estate = Estate::shared();
    let (mut conn, _) = estate.client().await;
    let facts: Vec<(String, String)> = conn.query("EXPLAIN ROUTE SELECT * FROM t WHERE id = 5").await.unwrap();
    let fact = |name: &str| facts.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()).unwrap();
    assert_eq!(fact("hostgroups"), "20, 10");
    assert_eq!(fact("reader_safe"), "true");
    assert_eq!(fact("rule"), "1");
    assert_eq!(fact("digest"), "SELECT * FROM t WHERE id = ?");
    conn.query_drop("BEGIN").await.unwrap();
    let facts: Vec<(String, String)> = conn.query("EXPLAIN ROUTE SELECT 1").await.unwrap();
    assert!(facts.iter().any(|(k, v)| k == "session_pins" && v == "transaction"), "{facts:?}");
    conn.query_drop("COMMIT").await.unwrap();
}

#[tokio::test]
async fn a_read_only_transaction_goes_to_a_reader_where_a_rule_says_so() {
    let (master, replica) = MariaDb::shared_pair();
    let rule =
        "[[rule]]\nrule_id = 0\neffect = [\"begin_read_only\"]\ndestination_hostgroup = 20\napply = true\n[[rule]]\n";
    let text = config(master.port(), replica.port(), "").replacen("[[rule]]\n", rule, 1);
    let estate = Estate { master, replica, router: Router::with_config(&text, &[]) };
    let (mut conn, schema) = estate.client().await;
    conn.query_drop("START TRANSACTION READ ONLY").await.unwrap();
    let inside = tag("inside");
    conn.query_drop(format!("SELECT '{inside}'")).await.unwrap();
    conn.query_drop("SAVEPOINT a").await.unwrap();
    assert_eq!(estate.ran_on(&inside), "replica");
    assert_eq!(code(conn.query_drop("CREATE TEMPORARY TABLE t (a INT)").await), 1792, "may not run there");
    assert_eq!(code(conn.query_drop("SELECT 1 FOR UPDATE").await), 1792);
    let still = tag("still");
    conn.query_drop(format!("SELECT '{still}'")).await.unwrap();
    assert_eq!(estate.ran_on(&still), "replica", "the transaction is still open");
    conn.query_drop("USE information_schema").await.unwrap();
    assert_eq!(value(&mut conn, "SELECT DATABASE()").await, "information_schema");
    conn.query_drop(format!("USE `{schema}`")).await.unwrap();
    conn.query_drop("COMMIT").await.unwrap();
    // A write, and then a transaction that must see it.
    conn.query_drop("CREATE TABLE t (a INT)").await.unwrap();
    conn.query_drop("START TRANSACTION READ ONLY").await.unwrap();
    assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM t").await, "0");
    assert_eq!(server_of(&mut conn, &estate).await, "master");
    conn.query_drop("ROLLBACK").await.unwrap();
    // One that is left open by a statement that commits goes on where that statement belongs.
    let (mut other, _) = estate.client().await;
    other.query_drop("START TRANSACTION READ ONLY").await.unwrap();
    other.query_drop("CREATE TABLE implicit (a INT)").await.unwrap();
    assert_eq!(value(&mut other, "SELECT @@in_transaction").await, "0");
}
