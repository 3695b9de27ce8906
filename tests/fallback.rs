//! What happens when backends fail, change or are gone: fallback, retries, refusals, reload, drain.

mod common;
mod traffic_support;

use common::{Fault, FaultProxy, MariaDb, MySql, Options, Router, wait_until};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use std::time::Duration;
use traffic_support::{config, options, tag, value};

const QUICK: &str = "read_your_writes = \"0s\"\n[health]\ninterval = \"100ms\"\nretry_interval = \"50ms\"\ntimeout = \"500ms\"\nusername = \"app\"\npassword = \"app-secret\"";

fn server_error(result: Result<(), Error>) -> (u16, String) {
    match result {
        Err(Error::Server(error)) => (error.code, error.message),
        other => panic!("not a server's error: {other:?}"),
    }
}

#[tokio::test]
async fn reads_fall_back_when_the_reader_dies_and_return_when_it_is_back() {
    let writer = MariaDb::start(Options::named("writer"));
    let reader = MariaDb::start(Options::named("reader"));
    let router = Router::with_config(&config(writer.port(), reader.port(), QUICK), &[]);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    let before = tag("before");
    conn.query_drop(format!("SELECT '{before}'")).await.unwrap();
    assert!(reader.saw(&before).unwrap());
    reader.kill();
    for i in 0..20 {
        assert_eq!(
            value(&mut conn, &format!("SELECT {i}")).await,
            i.to_string(),
            "no read fails while the writer serves"
        );
    }
    let during = tag("during");
    conn.query_drop(format!("SELECT '{during}'")).await.unwrap();
    assert!(writer.saw(&during).unwrap());
    reader.start_again().unwrap();
    let mut n = 0;
    wait_until("reads return to the reader", Duration::from_secs(10), || {
        n += 1;
        let text = format!("{}_{n}", tag("after"));
        let opts = options(&router, None);
        let sql = format!("SELECT '{text}'");
        std::thread::scope(|s| {
            s.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut conn = Conn::new(opts).await.unwrap();
                    conn.query_drop(sql).await.unwrap();
                });
            });
        });
        reader.saw(&text).unwrap()
    });
}

#[tokio::test]
async fn a_read_whose_connection_is_cut_before_the_answer_is_tried_again_and_a_write_is_not() {
    let server = MariaDb::start(Options::named("server"));
    let schema = server.scratch_schema().unwrap();
    let link = FaultProxy::start(server.address());
    let router = Router::with_config(&config(link.port(), link.port(), "read_your_writes = \"0s\""), &[]);
    let mut conn = Conn::new(options(&router, Some(&schema))).await.unwrap();
    conn.query_drop("CREATE TABLE t (a INT)").await.unwrap();
    conn.query_drop("SELECT 1").await.unwrap();
    link.cut();
    assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM t").await, "0", "over a new connection");
    // The connection breaks with the write under way: whether it ran is not known, so it is not sent again.
    let marked = tag("once");
    let slow = format!("INSERT INTO t SELECT 1 FROM (SELECT SLEEP(1), '{marked}') x");
    let cutter = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        link.cut();
    };
    let (result, ()) = tokio::join!(conn.query_drop(slow), cutter);
    let (code, text) = server_error(result);
    assert_eq!(code, 2013, "{text}");
    assert!(text.contains("hostgroup 10"), "{text}");
    let seen = server.statements_seen().unwrap();
    assert_eq!(seen.iter().filter(|s| s.text.contains(&marked)).count(), 1, "sent once");
    assert_eq!(value(&mut conn, "SELECT 1").await, "1", "the session lives");
}

#[tokio::test]
async fn a_session_that_loses_its_transaction_is_told_by_losing_its_connection() {
    let server = MariaDb::start(Options::named("server"));
    let link = FaultProxy::start(server.address());
    let router = Router::with_config(&config(link.port(), link.port(), ""), &[]);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    conn.query_drop("SELECT 1").await.unwrap();
    link.cut();
    let (code, text) = server_error(conn.query_drop("SELECT 2").await);
    assert_eq!(code, 2013, "{text}");
    assert!(conn.query_drop("SELECT 3").await.is_err(), "nothing runs outside of the transaction that was lost");
}

/// The same, where it is the router's own question about the transaction's connection that finds it gone.
#[tokio::test]
async fn a_lost_transaction_ends_its_session_whatever_is_asked_first() {
    let server = MariaDb::start(Options::named("server"));
    let link = FaultProxy::start(server.address());
    let router = Router::with_config(&config(link.port(), link.port(), ""), &[]);
    for asks in ["SELECT LAST_INSERT_ID()", "SELECT ROW_COUNT()", "SHOW WARNINGS", "USE mysql", "SET NAMES utf8mb4"] {
        let mut conn = Conn::new(options(&router, None)).await.unwrap();
        conn.query_drop("BEGIN").await.unwrap();
        link.cut();
        assert!(conn.query_drop(asks).await.is_err(), "{asks}");
        assert!(
            conn.query_drop("DO 1").await.is_err(),
            "{asks}: nothing runs outside of the transaction that was lost"
        );
    }
}

#[tokio::test]
async fn a_dead_writer_is_a_clear_error_and_reads_go_on() {
    let writer = MariaDb::start(Options::named("writer"));
    let reader = MariaDb::start(Options::named("reader"));
    let quick = format!("{QUICK}\n[timeouts]\nwriter_wait = \"0s\"");
    let router = Router::with_config(&config(writer.port(), reader.port(), &quick), &[]);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    writer.kill();
    let (code, text) = server_error(conn.query_drop("CREATE DATABASE never").await);
    assert_eq!(code, 9001, "{text}");
    assert!(text.contains("hostgroup 10") && text.contains("rule 2"), "{text}");
    assert_eq!(value(&mut conn, "SELECT 7").await, "7");
    writer.start_again().unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_is_found_out_by_checks() {
    let writer = MariaDb::start(Options::named("writer"));
    let reader = MariaDb::start(Options::named("reader"));
    let router = Router::with_config(&config(writer.port(), reader.port(), QUICK), &[]);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    reader.pause().unwrap();
    wait_until("the reader is down", Duration::from_secs(10), || router.log().contains("to=\"down\""));
    assert_eq!(value(&mut conn, "SELECT 7").await, "7");
    reader.resume().unwrap();
}

/// What waits for it when it is found out does not wait any longer: a read that is under way, a SET that brings a connection
/// to a session's state, and a change of the schema.
#[tokio::test]
async fn nothing_waits_for_a_server_that_hangs() {
    let writer = MariaDb::start(Options::named("writer"));
    let reader = MariaDb::start(Options::named("reader"));
    for server in [&writer, &reader] {
        server.sql("CREATE DATABASE other").unwrap();
    }
    let router = Router::with_config(&config(writer.port(), reader.port(), QUICK), &[]);
    // One connection to the reader, in a state that none of the sessions is in.
    let mut first = Conn::new(options(&router, None)).await.unwrap();
    first.query_drop("SET time_zone = '+05:00'").await.unwrap();
    assert_eq!(value(&mut first, "SELECT @@time_zone").await, "+05:00");
    let mut read = Conn::new(options(&router, None)).await.unwrap();
    let mut set = Conn::new(options(&router, None)).await.unwrap();
    set.query_drop("SET time_zone = '+06:00'").await.unwrap();
    let mut named = Conn::new(options(&router, Some("other"))).await.unwrap();
    reader.pause().unwrap();
    let begun = std::time::Instant::now();
    let (one, two, three) = tokio::join!(
        value(&mut read, "SELECT 1 + 1"),
        value(&mut set, "SELECT @@time_zone"),
        value(&mut named, "SELECT DATABASE()")
    );
    assert_eq!((one.as_str(), two.as_str(), three.as_str()), ("2", "+06:00", "other"));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "they waited for {took:?}");
    reader.resume().unwrap();
}

#[tokio::test]
async fn a_backend_that_talks_nonsense_is_an_error_for_its_session_alone() {
    let server = MariaDb::start(Options::named("server"));
    let link = FaultProxy::start(server.address());
    let router = Router::with_config(&config(server.port(), link.port(), "read_your_writes = \"0s\""), &[]);
    let mut one = Conn::new(options(&router, None)).await.unwrap();
    let mut other = Conn::new(options(&router, None)).await.unwrap();
    one.query_drop("SELECT 1").await.unwrap();
    link.set(Fault::GarbageAfter(0));
    // A read may be tried again elsewhere; nonsense is never passed on.
    for i in 0..5 {
        if let Ok(n) = one.query_first::<String, _>(format!("SELECT {i}")).await {
            assert_eq!(n, Some(i.to_string()));
        } else {
            one = Conn::new(options(&router, None)).await.unwrap();
        }
    }
    link.set(Fault::None);
    other.query_drop("BEGIN").await.unwrap();
    assert_eq!(value(&mut other, "SELECT 2").await, "2");
}

#[tokio::test]
async fn mysql_behind_mariadb_in_front() {
    let master = MariaDb::start(Options::named("writer"));
    let aurora = MySql::start(Options::named("aurora"));
    let schema = master.scratch_schema().unwrap();
    aurora.sql(&format!("CREATE DATABASE `{schema}`; CREATE TABLE `{schema}`.t (a INT, b VARCHAR(9)); INSERT INTO `{schema}`.t VALUES (1, 'x')")).unwrap();
    master.sql(&format!("CREATE TABLE `{schema}`.t (a INT, b VARCHAR(9))")).unwrap();
    let router = Router::with_config(&config(master.port(), aurora.port(), "read_your_writes = \"0s\""), &[]);
    let mut conn = Conn::new(options(&router, Some(&schema))).await.unwrap();
    let marked = tag("aurora");
    assert_eq!(value(&mut conn, &format!("SELECT b, '{marked}' FROM t")).await, "x");
    assert!(aurora.saw(&marked).unwrap());
    conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
    conn.query_drop("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_CREATE_USER,ANSI_QUOTES')").await.unwrap();
    conn.query_drop("SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci").await.unwrap();
    let marked = tag("modes");
    assert_eq!(
        value(&mut conn, &format!("SELECT @@transaction_isolation, '{marked}' FROM \"t\"")).await,
        "READ-COMMITTED"
    );
    assert!(aurora.saw(&marked).unwrap(), "the modes that MySQL has were carried");
    let select = conn.prep("SELECT a FROM t WHERE b = ?").await.unwrap();
    assert_eq!(conn.exec_first::<i32, _, _>(&select, ("x",)).await.unwrap(), Some(1));
    conn.query_drop("BEGIN").await.unwrap();
    assert_eq!(conn.exec_first::<i32, _, _>(&select, ("x",)).await.unwrap(), None, "the writer has no rows");
    conn.query_drop("ROLLBACK").await.unwrap();
    // A function that only MariaDB has is not tried on MySQL.
    let marked = tag("mariadb_function");
    assert_eq!(value(&mut conn, &format!("SELECT JSON_COMPACT('[1]') = '[1]', '{marked}'")).await, "1");
    assert!(master.saw(&marked).unwrap() && !aurora.saw(&marked).unwrap());
    // A setting that only MariaDB has keeps the session's reads where it can be had.
    conn.query_drop("SET max_statement_time = 10").await.unwrap();
    let marked = tag("mariadb_only");
    assert_eq!(value(&mut conn, &format!("SELECT '{marked}'")).await, marked);
    assert!(master.saw(&marked).unwrap());
}

#[tokio::test]
async fn saving_a_rule_file_takes_effect_and_a_broken_one_changes_nothing() {
    let writer = MariaDb::start(Options::named("writer"));
    let reader = MariaDb::start(Options::named("reader"));
    let text = config(writer.port(), reader.port(), "read_your_writes = \"0s\"\nrules = \"rules\"");
    let (base, rules) = text.split_once("[[rule]]").unwrap();
    let rules = format!("[[rule]]{rules}");
    let router = Router::with_config(base, &[("rules.toml", &rules)]);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    let one = tag("one");
    conn.query_drop(format!("SELECT '{one}'")).await.unwrap();
    assert!(reader.saw(&one).unwrap());
    router.write_rules("rules.toml", &rules.replace("destination_hostgroups = [20, 10]", "destination_hostgroup = 10"));
    wait_until("the reload", Duration::from_secs(10), || router.log().contains("configuration reloaded"));
    let two = tag("two");
    conn.query_drop(format!("SELECT '{two}'")).await.unwrap();
    assert!(writer.saw(&two).unwrap(), "the same connection, the new rules");
    router.write_rules("rules.toml", "[[rule]]\nrule_id = 1\nmatch_digest = '('\n");
    wait_until("the refusal", Duration::from_secs(10), || router.log().contains("was not reloaded"));
    assert!(router.log().contains("rules.toml:3:"), "{}", router.log());
    let three = tag("three");
    conn.query_drop(format!("SELECT '{three}'")).await.unwrap();
    assert!(writer.saw(&three).unwrap());
    router.write_rules("rules.toml", &rules);
    router.signal("HUP");
    wait_until("the second reload", Duration::from_secs(10), || {
        router.log().matches("configuration reloaded").count() > 1
    });
    let four = tag("four");
    conn.query_drop(format!("SELECT '{four}'")).await.unwrap();
    assert!(reader.saw(&four).unwrap());
}

#[tokio::test]
async fn sigterm_lets_a_transaction_finish() {
    let server = MariaDb::start(Options::named("server"));
    let schema = server.scratch_schema().unwrap();
    let mut router = Router::with_config(&config(server.port(), server.port(), ""), &[]);
    let mut busy = Conn::new(options(&router, Some(&schema))).await.unwrap();
    let mut idle = Conn::new(options(&router, Some(&schema))).await.unwrap();
    busy.query_drop("CREATE TABLE t (a INT)").await.unwrap();
    busy.query_drop("BEGIN").await.unwrap();
    busy.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
    idle.query_drop("SELECT 1").await.unwrap();
    router.signal("TERM");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(idle.query_drop("SELECT 1").await.is_err(), "idle sessions are closed");
    busy.query_drop("INSERT INTO t VALUES (2)").await.unwrap();
    busy.query_drop("COMMIT").await.unwrap();
    wait_until("the end", Duration::from_secs(10), || router.ended().is_some());
    assert!(router.log().contains("every session had finished"), "{}", router.log());
    assert_eq!(server.value(&format!("SELECT COUNT(*) FROM `{schema}`.t")).unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_query_and_vanished_clients_end_what_runs_behind() {
    let server = MariaDb::start(Options::named("server"));
    let router = Router::with_config(&config(server.port(), server.port(), ""), &[]);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    let mut killer = Conn::new(options(&router, None)).await.unwrap();
    let id = conn.id();
    let kill = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        killer.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    };
    let started = std::time::Instant::now();
    let (slept, ()) = tokio::join!(conn.query_drop("SELECT SLEEP(20)"), kill);
    assert!(started.elapsed() < Duration::from_secs(10), "{slept:?}");
    assert_eq!(value(&mut conn, "SELECT 1").await, "1", "the session lives");
    let running = || {
        server.value("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(21%'").unwrap()
    };
    let sleeper = tokio::spawn(async move {
        let _ = conn.query_drop("SELECT SLEEP(21)").await;
    });
    wait_until("it runs", Duration::from_secs(5), || running() == "1");
    sleeper.abort();
    wait_until("the query of the vanished client ends", Duration::from_secs(5), || running() == "0");
}

/// A server that is asked to stop answers what is under way with error 1053. Here a function says so, behind a view, so that the
/// moment is not left to chance; the configuration vouches for the function, or the view would not be read on a reader.
#[tokio::test]
async fn a_read_that_a_stopping_server_refuses_is_tried_elsewhere_and_a_write_is_not() {
    let writer = MariaDb::start(Options::named("writer"));
    let reader = MariaDb::start(Options::named("reader"));
    let stopping = "CREATE FUNCTION s.f() RETURNS INT BEGIN SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1053, MESSAGE_TEXT = 'Server \
                    shutdown in progress'; RETURN 1; END";
    for server in [&writer, &reader] {
        server
            .sql(&format!("CREATE SCHEMA s;\nDELIMITER //\n{stopping}//\nDELIMITER ;\nCREATE TABLE s.w (a INT);"))
            .unwrap();
    }
    writer.sql("CREATE TABLE s.t (a INT); INSERT INTO s.t VALUES (7); CREATE TRIGGER s.x BEFORE INSERT ON s.w FOR EACH ROW SET NEW.a = s.f();").unwrap();
    // The second view has sent its columns and a row when the server says that it stops.
    reader
        .sql("CREATE VIEW s.t AS SELECT s.f() AS a; CREATE TABLE s.two (a INT PRIMARY KEY); INSERT INTO s.two VALUES (7), (8); \
              CREATE VIEW s.later AS SELECT IF(a = 7, a, s.f()) AS a FROM s.two")
        .unwrap();
    writer.sql("CREATE TABLE s.later AS SELECT 7 AS a UNION ALL SELECT 8").unwrap();
    let vouched = format!("{QUICK}\n[routing]\nsafe_functions = [\"s.f\"]");
    let router = Router::with_config(&config(writer.port(), reader.port(), &vouched), &[]);
    let mut conn = Conn::new(options(&router, Some("s"))).await.unwrap();
    let marked = tag("read");
    assert_eq!(value(&mut conn, &format!("SELECT a FROM t /* {marked} */")).await, "7");
    assert!(reader.saw(&marked).unwrap(), "the reader was asked first");
    assert!(writer.saw(&marked).unwrap());
    let marked = tag("later");
    let rows: Vec<u8> = conn.query(format!("SELECT a FROM later ORDER BY a /* {marked} */")).await.unwrap();
    assert_eq!(rows, [7, 8], "the row that had come is not given twice");
    assert!(reader.saw(&marked).unwrap(), "the reader was asked first");
    let marked = tag("write");
    let (code, text) = server_error(conn.query_drop(format!("INSERT INTO w VALUES (1) /* {marked} */")).await);
    assert!(text.contains("the server is shutting down"), "{code} {text}");
    let times = writer.statements_seen().unwrap().iter().filter(|seen| seen.text.contains(&marked)).count();
    assert_eq!(times, 1, "sent once");
}

/// The same while the router brings a connection to the session's state, or prepares a statement there: no verdict on the
/// client's statement, which the server has not been asked yet.
#[tokio::test]
async fn a_server_that_stops_while_a_connection_is_made_ready_refuses_nothing() {
    let writer = MariaDb::start(Options::named("writer"));
    let reader = MariaDb::start(Options::named("reader"));
    let link = FaultProxy::start(reader.address());
    // No checks: that the reader serves when it is asked is not left to chance.
    let config = config(writer.port(), link.port(), "read_your_writes = \"0s\"\n[health]\ninterval = \"1h\"")
        .replace("[20, 10]", "[20]");
    let router = Router::with_config(&config, &[]);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    assert_eq!(value(&mut conn, "SELECT 6").await, "6");
    conn.query_drop("SET lc_time_names = 'de_DE'").await.unwrap();
    link.set(Fault::Stopping("de_DE"));
    let (code, text) = server_error(conn.query_drop("SELECT 7").await);
    assert_eq!(code, 9001, "none of the hostgroup's servers serves, and no other has it: {text}");
    assert!(text.contains("hostgroup 20"), "{text}");
    assert_eq!(value(&mut conn, "SELECT 8 FOR UPDATE").await, "8", "the session lives, and the writer serves");
}

/// A statement that was prepared on one connection is prepared again on another, where the server stops.
#[tokio::test]
async fn a_server_that_stops_while_a_statement_is_prepared_again_refuses_nothing() {
    let writer = MariaDb::start(Options::named("writer"));
    let reader = MariaDb::start(Options::named("reader"));
    let link = FaultProxy::start(reader.address());
    let router = Router::with_config(&config(writer.port(), link.port(), QUICK), &[]);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    let statement = conn.prep("SELECT ? + 40").await.unwrap();
    link.cut();
    link.set(Fault::Stopping("+ 40"));
    let sum: Option<u8> = conn.exec_first(&statement, (2,)).await.unwrap();
    assert_eq!(sum, Some(42), "prepared and run at the writer");
}
