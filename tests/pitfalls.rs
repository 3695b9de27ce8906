//! What users of other proxies complain about, as sessions feel it: the rows of the table in docs/testing.md that have no test
//! elsewhere. What a statement's text alone decides is in sql_pitfalls.rs.

mod common;
mod traffic_support;

use common::{MariaDb, Options, Router, wait_until};
use std::time::Duration;
use switchboard::protocol::capabilities::Capabilities;
use traffic_support::raw::{Answer, Bind, MODERN, PLAIN, Raw};
use traffic_support::{Estate, config, on_both_engines, tag};

/// 1, 2: whatever the driver's way of opening a transaction, its first read is inside, by text and prepared.
#[tokio::test]
async fn the_first_read_of_a_transaction_is_inside_it() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
    let ways: [(&[&str], &[&str]); 5] = [
        (&["SET autocommit=0"], &["COMMIT", "SET autocommit=1"]),
        (&["set session autocommit = off"], &["ROLLBACK", "SET AUTOCOMMIT = ON"]),
        (
            &["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET autocommit=0"],
            &["commit", "SET autocommit=1"],
        ),
        (&["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION"], &["COMMIT"]),
        (&["/* tool */ begin work"], &["ROLLBACK"]),
    ];
    for (open, close) in ways {
        for prepared in [false, true] {
            let (inside, after) = (tag("inside"), tag("after"));
            let statement = client.prepare(&format!("SELECT '{inside}', ?")).await;
            for sql in open {
                assert_eq!(client.query(sql).await.code(), 0, "{sql}");
            }
            if prepared {
                client.execute(&statement, &[Bind::Int(1)]).await;
                assert!(estate.master.saw(&format!("{inside}', 1")).unwrap(), "{open:?}");
                assert!(!estate.replica.saw(&format!("{inside}', 1")).unwrap(), "{open:?}");
            } else {
                client.query(&format!("SELECT 1, '{inside}_text'")).await;
                assert_eq!(estate.ran_on(&format!("{inside}_text")), "master", "{open:?}");
            }
            for sql in close {
                assert_eq!(client.query(sql).await.code(), 0, "{sql}");
            }
            client.query(&format!("SELECT '{after}'")).await;
            assert_eq!(estate.ran_on(&after), "replica", "{close:?}");
        }
    }
}

/// 6: a CALL runs on the writer, however it is written and sent.
#[tokio::test]
async fn a_call_goes_to_the_writer_however_a_driver_sends_it() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
    client.query("CREATE TABLE calls (tag VARCHAR(99), port INT)").await;
    client.query("CREATE PROCEDURE note(t VARCHAR(99)) INSERT INTO calls VALUES (t, @@port)").await;
    let forms = [
        "CALL note('{}')",
        "call `note` ( '{}' ) ;",
        "/* app */ CALL note('{}')",
        "-- app\nCALL note('{}')",
        "CALL {s}.note('{}')",
    ];
    for form in forms {
        let text = tag("call");
        let sql = form.replace("{}", &text).replace("{s}", &schema);
        client.query(&sql).await;
        let statement = client.prepare(&sql).await;
        client.execute(&statement, &[]).await;
        let asked = format!("SELECT COUNT(*), MIN(port), MAX(port) FROM calls WHERE tag = '{text}' FOR UPDATE");
        let ports = client.query(&asked).await;
        let port = estate.master.port().to_string();
        assert_eq!(ports.rows(), [["2", port.as_str(), port.as_str()]], "{form}");
    }
}

/// 7: no state locks a session to a hostgroup so that its next statement is refused.
#[tokio::test]
async fn a_session_with_state_of_all_kinds_is_never_refused() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
    client.query("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT)").await;
    estate.catch_up();
    for state in [
        "SET @a = 1",
        "SET sql_mode = 'ANSI'",
        "SET @@session.time_zone = '+01:00', @b = 2",
        "CREATE TEMPORARY TABLE temp_t (a INT)",
        "SELECT GET_LOCK('pitfall', 1)",
        "PREPARE s FROM 'SELECT 1'",
        "LOCK TABLES t WRITE",
        "UNLOCK TABLES",
        "HANDLER t OPEN",
        "HANDLER t CLOSE",
        "SET NAMES utf8mb4",
        "XA START 'pitfall'",
        "XA END 'pitfall'",
        "XA ROLLBACK 'pitfall'",
    ] {
        assert_eq!(client.query(state).await.code(), 0, "{state}");
        if state.starts_with("XA") || state == "LOCK TABLES t WRITE" {
            continue;
        }
        for sql in [
            "SELECT COUNT(*) FROM t",
            "INSERT INTO t (a) VALUES (1)",
            "SELECT a FROM t FOR UPDATE",
            "SELECT @a",
            "SELECT LAST_INSERT_ID()",
        ] {
            assert_eq!(client.query(sql).await.code(), 0, "{sql} after {state}");
        }
    }
    assert_eq!(client.value("SELECT @a + @b").await, "3");
}

/// 9, 10, 11, 12: what belongs to the statement before, by text and prepared, and in one request.
#[tokio::test]
async fn what_the_statement_before_left_is_right_by_text_and_prepared() {
    on_both_engines("", async |router, schema, engine| {
        for shape in [PLAIN, MODERN] {
            let mut client = Raw::connect(router, schema, shape | Capabilities::MULTI_STATEMENTS).await;
            client.query("DROP TABLE IF EXISTS t").await;
            client.query("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT)").await;
            client.query("INSERT INTO t (a) VALUES (1), (2), (3), (4)").await;
            let both = client.queries("UPDATE t SET a = a + 1 WHERE id > 1; SELECT ROW_COUNT()").await;
            assert_eq!(both[1].rows(), [["3"]], "{engine}: as one request");
            let last = client.prepare("SELECT LAST_INSERT_ID() AS x").await;
            let insert = client.prepare("INSERT INTO t (a) VALUES (?)").await;
            let count = client.prepare("SELECT ROW_COUNT()").await;
            for n in 5..8i64 {
                client.execute(&insert, &[Bind::Int(n)]).await;
                assert_eq!(client.execute(&last, &[]).await.rows(), [[n.to_string()]], "{engine}");
                client.execute(&insert, &[Bind::Int(n)]).await;
                assert_eq!(client.execute(&count, &[]).await.rows(), [["1"]], "{engine}");
                client
                    .queries(&format!(
                        "DELETE FROM t ORDER BY id DESC LIMIT 1; ALTER TABLE t AUTO_INCREMENT = {}",
                        n + 1
                    ))
                    .await;
            }
            let found = client.prepare("SELECT FOUND_ROWS()").await;
            // Inside a transaction, so that a replica's delay says nothing.
            client.query("BEGIN").await;
            for limit in [0, 1, 3] {
                let calc =
                    client.prepare(&format!("SELECT SQL_CALC_FOUND_ROWS id FROM t WHERE id <= ? LIMIT {limit}")).await;
                client.execute(&calc, &[Bind::Int(6)]).await;
                assert_eq!(client.execute(&found, &[]).await.rows(), [["6"]], "{engine}: limit {limit}");
            }
            client.query("COMMIT").await;
            for statement in [
                "SELECT CAST('x' AS SIGNED)",
                "INSERT INTO t (a) SELECT CAST('12x' AS SIGNED) FROM (SELECT 1) d WHERE 0",
            ] {
                let prepared = client.prepare(statement).await;
                for by_text in [true, false] {
                    if by_text {
                        client.query(statement).await;
                    } else {
                        client.execute(&prepared, &[]).await;
                    }
                    let shown = client.query("SHOW WARNINGS").await;
                    let again = client.query("SHOW COUNT(*) WARNINGS").await;
                    assert_eq!(again.rows(), [[shown.rows().len().to_string()]], "{engine}: {statement}");
                    assert!(statement.starts_with("INSERT") || shown.rows()[0][1] == "1292", "{engine}: {shown:?}");
                }
            }
            assert_eq!(client.query("SELECT no_such_column FROM t").await.code(), 1054);
            assert_eq!(client.query("SHOW ERRORS").await.rows()[0][1], "1054", "{engine}");
        }
    })
    .await;
}

/// 14: what can be carried holds no connection: many sessions share a few.
#[tokio::test]
async fn sessions_share_connections_whatever_they_have_set() {
    let server = MariaDb::start(Options::named("shared by many"));
    let top = "workers = 1\nread_your_writes = \"0s\"\n[timeouts]\nhold_results = \"20ms\"";
    let address = format!("address = \"127.0.0.1:{}\"", server.port());
    let few = config(server.port(), server.port(), top).replace(&address, &format!("{address}\nmax_connections = 2"));
    let router = Router::with_config(&few, &[]);
    let schema = server.scratch_schema().unwrap();
    let mut clients = Vec::new();
    for i in 0..40 {
        let mut client = Raw::connect(&router, &schema, MODERN).await;
        let zone = format!("+0{}:00", i % 3);
        for (sql, code) in [
            ("CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY AUTO_INCREMENT)", 0),
            (&*format!("SET time_zone = '{zone}', sql_mode = 'ANSI'"), 0),
            ("SET NAMES utf8mb4", 0),
            ("BEGIN", 0),
            ("INSERT INTO t VALUES ()", 0),
            ("COMMIT", 0),
            ("INSERT INTO t VALUES ()", 0),
            ("SELECT 1/0", 0),
            ("SET time_zone = 'nonsense'", 1298),
        ] {
            assert_eq!(client.query(sql).await.code(), code, "{sql}");
        }
        let prepared = client.prepare("SELECT ?").await;
        client.execute(&prepared, &[Bind::Int(1)]).await;
        clients.push((client, prepared, zone));
    }
    for round in 0..3 {
        for (client, prepared, zone) in &mut clients {
            assert_eq!(client.query("INSERT INTO t VALUES ()").await.code(), 0);
            assert_eq!(client.value("SELECT @@time_zone").await, *zone);
            let echo = client.execute_with(prepared.id, 0, false, &[Bind::Int(round)]).await;
            assert_eq!(echo[0].rows(), [[round.to_string()]]);
        }
    }
    let open = server.value("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'").unwrap();
    assert!(open.parse::<u32>().unwrap() <= 5, "{open} connections for forty sessions");
}

/// 15: a table that changes under a prepared statement: its rows are as the table is now.
#[tokio::test]
async fn a_statement_sees_its_table_as_it_is_after_alter() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    for shape in [PLAIN, MODERN] {
        let mut client = Raw::connect(&estate.router, &schema, shape).await;
        client.query("CREATE OR REPLACE TABLE altered (a INT)").await;
        client.query("INSERT INTO altered VALUES (1)").await;
        estate.catch_up();
        let select = client.prepare("SELECT * FROM altered").await;
        assert_eq!(client.execute(&select, &[]).await.rows(), [["1"]]);
        client.query("ALTER TABLE altered ADD COLUMN b VARCHAR(9) DEFAULT 'new' FIRST").await;
        estate.catch_up();
        for begin in ["SELECT 'on the reader'", "BEGIN"] {
            client.query(begin).await;
            let Answer::Rows { columns, rows, .. } = client.execute(&select, &[]).await else { panic!("{begin}") };
            let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
            assert_eq!(
                (names.as_slice(), rows[0].as_slice()),
                (&["b", "a"][..], &["new".to_owned(), "1".into()][..]),
                "{begin}"
            );
        }
        client.query("COMMIT").await;
        assert_eq!(client.query("SELECT * FROM altered").await.rows(), [["new", "1"]]);
    }
}

/// 36: a prepared statement on a temporary table runs where the table is, and costs nobody a connection.
#[tokio::test]
async fn a_prepared_statement_on_a_temporary_table() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
    let mut other = Raw::connect(&estate.router, &schema, MODERN).await;
    client.query("CREATE TEMPORARY TABLE only_mine (a INT)").await;
    let insert = client.prepare("INSERT INTO only_mine VALUES (?)").await;
    let select = client.prepare("SELECT SUM(a) FROM only_mine").await;
    for n in 1..=3 {
        client.execute(&insert, &[Bind::Int(n)]).await;
        assert_eq!(client.execute(&select, &[]).await.rows(), [[(n * (n + 1) / 2).to_string()]]);
        assert_eq!(other.prepare_error("SELECT SUM(a) FROM only_mine").await, 1146);
        let read = tag("others");
        other.query(&format!("SELECT '{read}'")).await;
        assert_eq!(estate.ran_on(&read), "replica");
    }
    client.query("DROP TEMPORARY TABLE only_mine").await;
    assert_eq!(client.execute(&select, &[]).await.code(), 1146);
}

/// 39: a transaction that one session leaves open never reaches the next user of its connection.
#[tokio::test]
async fn an_abandoned_transaction_is_rolled_back_and_nobody_inherits_it() {
    let server = MariaDb::start(Options::named("abandoned"));
    let router =
        Router::with_config(&config(server.port(), server.port(), "workers = 1\nread_your_writes = \"0s\""), &[]);
    let schema = server.scratch_schema().unwrap();
    let mut first = Raw::connect(&router, &schema, MODERN).await;
    first.query("CREATE TABLE t (a INT)").await;
    for leave in ["BEGIN", "SET autocommit=0", "XA START 'left'", "LOCK TABLES t WRITE"] {
        let mut leaver = Raw::connect(&router, &schema, MODERN).await;
        assert_eq!(leaver.query(leave).await.code(), 0);
        assert_eq!(leaver.query("INSERT INTO t VALUES (1)").await.code(), 0, "{leave}");
        leaver.vanish().await;
        wait_until("the connection is clean", Duration::from_secs(5), || {
            server.value("SELECT COUNT(*) FROM information_schema.innodb_trx").unwrap() == "0"
        });
        for _ in 0..4 {
            let mut next = Raw::connect(&router, &schema, MODERN).await;
            let row = next.query("SELECT @@autocommit, @@in_transaction FOR UPDATE").await;
            assert_eq!(row.rows(), [["1", "0"]], "{leave}");
            assert_eq!(next.query("SELECT COUNT(*) FROM mysql.user").await.code(), 0, "{leave}: no lock is left");
        }
    }
    // What LOCK TABLES guarded was written outside of a transaction.
    assert_eq!(first.value("SELECT COUNT(*) FROM t").await, "1");
}

/// 40: what drivers set when they connect pins nobody.
#[tokio::test]
async fn what_drivers_set_on_connecting_leaves_reads_free() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    let drivers: [&[&str]; 5] = [
        &[
            "SET NAMES utf8mb4",
            "SET autocommit=1",
            "SET sql_mode='STRICT_TRANS_TABLES'",
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        ],
        &[
            "SET character_set_results = NULL",
            "SET autocommit=1",
            "SET sql_mode=concat(@@sql_mode,',STRICT_TRANS_TABLES')",
        ],
        &["set autocommit=1, sql_mode = concat(@@sql_mode,',STRICT_TRANS_TABLES')", "set session_track_schema=1"],
        &["SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci", "SET SESSION sql_mode='TRADITIONAL', time_zone='+00:00'"],
        &[
            "SET SQL_AUTO_IS_NULL = 0",
            "SET SESSION wait_timeout=28800",
            "SET net_write_timeout=600",
            "SET max_statement_time=30",
        ],
    ];
    for statements in drivers {
        let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
        for sql in statements {
            assert_eq!(client.query(sql).await.code(), 0, "{sql}");
        }
        let read = tag("driver");
        client.query(&format!("SELECT '{read}'")).await;
        assert_eq!(estate.ran_on(&read), "replica", "{statements:?}");
    }
}

/// 22: a backend of weight 0 stands by: it serves while nothing else can, and not a statement longer.
#[tokio::test]
async fn a_standby_serves_only_while_the_others_cannot() {
    let (writer, reader) = (MariaDb::start(Options::named("writer")), MariaDb::start(Options::named("reader")));
    let standby = MariaDb::start(Options::named("standby"));
    let top = "read_your_writes = \"0s\"\n[health]\ninterval = \"100ms\"\nretry_interval = \"50ms\"\ntimeout = \"500ms\"\nusername = \"app\"\npassword = \"app-secret\"";
    let more =
        format!("[[backend]]\nhostgroup = 20\naddress = \"127.0.0.1:{}\"\nweight = 0\n[[user]]\n", standby.port());
    let text = config(writer.port(), reader.port(), top).replacen("[[user]]\n", &more, 1);
    let router = Router::with_config(&text, &[]);
    let mut client = Raw::connect(&router, "mysql", MODERN).await;
    for phase in ["well", "reader down", "reader back"] {
        match phase {
            "reader down" => reader.kill(),
            "reader back" => {
                reader.start_again().unwrap();
                let probe = tag("probe");
                while !reader.saw(&probe).unwrap() {
                    client.query(&format!("SELECT '{probe}'")).await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            _ => {}
        }
        let text = tag("standby");
        for _ in 0..20 {
            assert_eq!(client.query(&format!("SELECT '{text}'")).await.code(), 0, "{phase}");
        }
        let ran = |server: &MariaDb| {
            let seen = server.statements_seen().unwrap();
            seen.iter().filter(|statement| statement.text.contains(&text)).count()
        };
        let want = if phase == "reader down" { [0, 0, 20] } else { [0, 20, 0] };
        assert_eq!([&writer, &reader, &standby].map(ran), want, "{phase}: writer, reader, standby");
    }
}

/// The table says which test stands for which complaint: each of them is there.
#[test]
fn every_test_that_the_table_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("docs/testing.md")).unwrap();
    let name = regex::Regex::new(r"`(\w+)::(\w+)`").unwrap();
    let mut named = 0;
    for found in name.captures_iter(&table) {
        let file = std::fs::read_to_string(root.join(format!("tests/{}.rs", &found[1]))).unwrap_or_default();
        assert!(file.contains(&format!("fn {}()", &found[2])), "{}", &found[0]);
        named += 1;
    }
    assert!(named > 40, "{named}");
}
