//! Prepared statements packet by packet: cursors, long data, types that are left out, and where statements live.

mod common;
mod traffic_support;

use common::{Fault, FaultProxy, MariaDb, MySql, Options, Router};
use switchboard::protocol::capabilities::Capabilities;
use switchboard::protocol::status::Status;
use traffic_support::raw::{Answer, Bind, CURSOR, MODERN, PLAIN, Raw};
use traffic_support::{Estate, config, on_both_engines, tag};

/// Opens a cursor; the statement's rows come by fetching.
async fn open(client: &mut Raw, id: u32, values: &[Bind<'_>]) {
    let answer = client.execute_with(id, CURSOR, true, values).await.remove(0);
    assert!(answer.status().contains(Status::CURSOR_EXISTS) && answer.rows().is_empty(), "{answer:?}");
}

fn first_column(answer: &Answer) -> Vec<i64> {
    answer.rows().iter().map(|row| row[0].parse().unwrap()).collect()
}

async fn numbers(client: &mut Raw, router: &Router, schema: &str) {
    client.query("CREATE TABLE IF NOT EXISTS n (id INT PRIMARY KEY)").await;
    client.query("REPLACE INTO n VALUES (1),(2),(3),(4),(5),(6),(7)").await;
    // A read that needs the writer's rows waits for nothing inside a transaction; outside, the replica must have them.
    let mut other = Raw::connect(router, schema, MODERN).await;
    for _ in 0..1000 {
        if matches!(other.query("SELECT COUNT(*) FROM n").await, Answer::Rows { rows, .. } if rows[0][0] == "7") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the rows never came");
}

#[tokio::test]
async fn a_cursor_is_fetched_in_batches() {
    on_both_engines("", async |router, schema, engine| {
        for capabilities in [PLAIN, MODERN] {
            let mut client = Raw::connect(router, schema, capabilities).await;
            numbers(&mut client, router, schema).await;
            for begin in ["SELECT 1", "BEGIN", "COMMIT", "SET @pins_the_session = 1"] {
                client.query(begin).await;
                let select = client.prepare("SELECT id FROM n WHERE id > ? ORDER BY id").await;
                open(&mut client, select.id, &[Bind::Int(1)]).await;
                assert_eq!(first_column(&client.fetch(&select, 2).await), [2, 3], "{engine} {begin}");
                assert_eq!(client.value("SELECT 'between'").await, "between");
                assert_eq!(first_column(&client.fetch(&select, 3).await), [4, 5, 6], "{engine} {begin}");
                let rest = client.fetch(&select, 100).await;
                assert_eq!(first_column(&rest), [7], "{engine} {begin}");
                assert!(rest.status().contains(Status::LAST_ROW_SENT));
                assert_eq!(client.fetch(&select, 1).await.code(), 1421, "{engine}: no cursor any more");
                open(&mut client, select.id, &[Bind::Int(5)]).await;
                assert!(matches!(client.reset_statement(select.id).await, Answer::Ok { .. }));
                assert_eq!(client.fetch(&select, 1).await.code(), 1421, "{engine}: closed by the reset");
                open(&mut client, select.id, &[Bind::Int(5)]).await;
                open(&mut client, select.id, &[Bind::Int(6)]).await;
                assert_eq!(first_column(&client.fetch(&select, 9).await), [7], "{engine}: the newer execution's");
                client.close(select.id).await;
                assert_eq!(client.fetch(&select, 1).await.code(), 1243, "{engine}: closed");
                client.ping().await;
            }
        }
    })
    .await;
}

/// MySQL answers an EXPLAIN that asks for a cursor with rows, and says behind them that a cursor exists. None does: MySQL 9.7
/// dies of a fetch from it, so the fetch must not get there.
#[tokio::test]
async fn an_execution_that_was_answered_with_rows_has_no_cursor() {
    on_both_engines("", async |router, schema, engine| {
        for capabilities in [PLAIN, MODERN] {
            let mut client = Raw::connect(router, schema, capabilities).await;
            let explain = client.prepare("EXPLAIN SELECT 1").await;
            let answer = client.execute_with(explain.id, CURSOR, true, &[]).await.remove(0);
            assert_eq!(answer.rows().len(), 1, "{engine}");
            assert_eq!(client.fetch(&explain, 1).await.code(), 1421, "{engine}");
            assert_eq!(client.value("SELECT 'alive' FOR UPDATE").await, "alive", "{engine}");
        }
    })
    .await;
}

/// The same text twice in one session, and other statements that come and go: each cursor keeps its own rows.
#[tokio::test]
async fn cursors_do_not_disturb_each_other() {
    on_both_engines("", async |router, schema, engine| {
        let mut client = Raw::connect(router, schema, MODERN).await;
        numbers(&mut client, router, schema).await;
        for begin in ["SELECT 1", "BEGIN"] {
            client.query(begin).await;
            let text = "SELECT id FROM n WHERE id > ? ORDER BY id";
            let one = client.prepare(text).await;
            open(&mut client, one.id, &[Bind::Int(0)]).await;
            assert_eq!(first_column(&client.fetch(&one, 1).await), [1]);
            let two = client.prepare(text).await;
            assert_ne!(one.id, two.id);
            assert_eq!(first_column(&client.fetch(&one, 1).await), [2], "{engine}: prepared again beside it");
            open(&mut client, two.id, &[Bind::Int(4)]).await;
            let plain = client.prepare(text).await;
            assert_eq!(first_column(&client.execute(&plain, &[Bind::Int(6)]).await), [7]);
            assert_eq!(first_column(&client.fetch(&one, 2).await), [3, 4], "{engine} {begin}");
            assert_eq!(first_column(&client.fetch(&two, 1).await), [5], "{engine} {begin}");
            client.close(plain.id).await;
            let other = client.prepare("SELECT 1").await;
            client.execute(&other, &[]).await;
            client.reset_statement(other.id).await;
            client.close(other.id).await;
            assert_eq!(first_column(&client.fetch(&two, 9).await), [6, 7], "{engine} {begin}");
            assert_eq!(first_column(&client.fetch(&one, 9).await), [5, 6, 7], "{engine} {begin}");
        }
        client.query("COMMIT").await;
    })
    .await;
}

#[tokio::test]
async fn a_write_goes_to_the_writer_while_a_cursor_is_open_on_a_reader() {
    let estate = Estate::new();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
    client.query("CREATE TABLE w (id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(99))").await;
    numbers(&mut client, &estate.router, &schema).await;
    let (read, write, before) = (tag("read"), tag("write"), tag("before"));
    let select = client.prepare(&format!("SELECT id, '{read}' FROM n ORDER BY id")).await;
    open(&mut client, select.id, &[]).await;
    assert_eq!(estate.ran_on(&read), "replica");
    client.query(&format!("INSERT INTO w (a) VALUES ('{write}')")).await;
    assert_eq!(estate.ran_on(&write), "master");
    assert_eq!(client.value("SELECT LAST_INSERT_ID()").await, "1");
    assert_eq!(first_column(&client.fetch(&select, 2).await), [1, 2]);
    client.query("BEGIN").await;
    client.query(&format!("INSERT INTO w (a) VALUES ('{before}')")).await;
    assert_eq!(first_column(&client.fetch(&select, 2).await), [3, 4], "inside a transaction elsewhere");
    client.query("ROLLBACK").await;
    assert_eq!(first_column(&client.fetch(&select, 9).await), [5, 6, 7]);
    assert_eq!(client.value("SELECT COUNT(*) FROM w FOR UPDATE").await, "1");
}

#[tokio::test]
async fn a_cursor_whose_connection_is_lost_is_an_error_and_the_session_goes_on() {
    let server = MariaDb::start(Options::named("cursor"));
    let schema = server.scratch_schema().unwrap();
    let link = FaultProxy::start(server.address());
    let router = Router::with_config(&config(link.port(), link.port(), "read_your_writes = \"0s\""), &[]);
    let mut client = Raw::connect(&router, &schema, MODERN).await;
    numbers(&mut client, &router, &schema).await;
    let select = client.prepare("SELECT id FROM n ORDER BY id").await;
    open(&mut client, select.id, &[]).await;
    assert_eq!(first_column(&client.fetch(&select, 1).await), [1]);
    link.cut();
    assert_eq!(client.fetch(&select, 1).await.code(), 2013);
    assert_eq!(client.fetch(&select, 1).await.code(), 1421, "never rows of another execution");
    assert_eq!(client.execute(&select, &[]).await.rows().len(), 7, "prepared again on a new connection");
    link.set(Fault::None);
}

/// Answers that arrive a byte at a time end where they end.
#[tokio::test]
async fn answers_that_come_in_the_smallest_pieces() {
    let server = MariaDb::shared();
    let link = FaultProxy::start(server.address());
    link.set(Fault::Dribble);
    let router = Router::with_config(&config(link.port(), link.port(), "read_your_writes = \"0s\""), &[]);
    for capabilities in [PLAIN, MODERN] {
        let mut client = Raw::connect(&router, "mysql", capabilities).await;
        for round in 0..20 {
            let statement = client.prepare(&format!("SELECT ? AS a_name_of_some_length, {round}")).await;
            assert_eq!(statement.columns[0].name, "a_name_of_some_length");
            assert_eq!(client.execute(&statement, &[Bind::Int(round)]).await.rows()[0][0], round.to_string());
            assert_eq!(client.prepare("DO ?").await.parameters, 1);
            client.ping().await;
        }
    }
    assert!(!router.log().contains("broke the protocol"), "{}", router.log());
}

#[tokio::test]
async fn long_data_is_collected_used_once_and_forgotten() {
    on_both_engines("", async |router, schema, engine| {
        let mut client = Raw::connect(router, schema, MODERN).await;
        client.query("CREATE TABLE blobs (id INT PRIMARY KEY AUTO_INCREMENT, a LONGTEXT, b VARCHAR(20))").await;
        let insert = client.prepare("INSERT INTO blobs (a, b) VALUES (?, ?)").await;
        for part in ["one,", "", "two,", "three"] {
            client.long_data(insert.id, 0, part.as_bytes()).await;
        }
        client.execute(&insert, &[Bind::Long, Bind::Text("x")]).await;
        client.execute(&insert, &[Bind::Text("plain"), Bind::Text("y")]).await;
        client.long_data(insert.id, 1, b"second").await;
        client.execute(&insert, &[Bind::Text("first"), Bind::Long]).await;
        client.long_data(insert.id, 0, b"taken back").await;
        assert!(matches!(client.reset_statement(insert.id).await, Answer::Ok { .. }));
        client.execute(&insert, &[Bind::Null, Bind::Text("z")]).await;
        let rows = client.query("SELECT a, b FROM blobs ORDER BY id FOR UPDATE").await;
        let want = [["one,two,three", "x"], ["plain", "y"], ["first", "second"], ["NULL", "z"]];
        assert_eq!(rows.rows(), want, "{engine}");
        // As a read, on whichever connection; and again without types.
        let echo = client.prepare("SELECT CONCAT(?, '!')").await;
        for (round, types) in [(1, true), (2, false), (3, false)] {
            if round == 3 {
                client.query("BEGIN").await;
            }
            client.long_data(echo.id, 0, b"long ").await;
            client.long_data(echo.id, 0, b"data").await;
            let answer = client.execute_with(echo.id, 0, types, &[Bind::Long]).await;
            assert_eq!(answer[0].rows(), [["long data!"]], "{engine} {round}");
        }
        client.query("COMMIT").await;
        // Data for statements and parameters that are not there is ignored, as it is never answered.
        client.long_data(4711, 0, b"nobody's").await;
        client.long_data(echo.id, 9, b"nothing's").await;
        client.ping().await;
    })
    .await;
}

/// A parameter of tens of megabytes in parts, as drivers send streams.
#[tokio::test]
async fn long_data_of_many_megabytes() {
    let server = MariaDb::start(
        Options::named("long").with_arg("--max-allowed-packet=64M").with_arg("--innodb-log-file-size=256M"),
    );
    let router = Router::with_config(&config(server.port(), server.port(), ""), &[]);
    let schema = server.scratch_schema().unwrap();
    let mut client = Raw::connect(&router, &schema, MODERN).await;
    client.query("CREATE TABLE blobs (a LONGBLOB)").await;
    let insert = client.prepare("INSERT INTO blobs VALUES (?)").await;
    for part in 0..5u8 {
        client.long_data(insert.id, 0, &vec![b'a' + part; 4 << 20]).await;
    }
    client.long_data(insert.id, 0, &vec![b'z'; 17 << 20]).await;
    client.execute(&insert, &[Bind::Long]).await;
    let sum = client.query("SELECT LENGTH(a), LEFT(a, 1), MID(a, 20971520, 2) FROM blobs").await;
    assert_eq!(sum.rows(), [["38797312", "a", "ez"]]);
}

/// What was sent ahead for an execution that never ran must not stand before what is sent for the next.
#[tokio::test]
async fn long_data_of_a_refused_execution_is_forgotten() {
    let server = MariaDb::start(Options::named("refused"));
    let schema = server.scratch_schema().unwrap();
    let link = FaultProxy::start(server.address());
    let quick = "read_your_writes = \"0s\"\n[timeouts]\nconnect = \"1s\"\n[health]\ninterval = \"100ms\"\nretry_interval = \"50ms\"\ntimeout = \"500ms\"";
    let router = Router::with_config(&config(link.port(), link.port(), quick), &[]);
    let mut client = Raw::connect(&router, &schema, MODERN).await;
    client.query("CREATE TABLE blobs (a TEXT)").await;
    let insert = client.prepare("INSERT INTO blobs VALUES (?)").await;
    link.set(Fault::Refuse);
    link.cut();
    client.long_data(insert.id, 0, b"lost").await;
    let refused = client.execute(&insert, &[Bind::Long]).await.code();
    assert!([9001, 2013].contains(&refused), "{refused}");
    link.set(Fault::None);
    for attempt in 0.. {
        client.long_data(insert.id, 0, b"kept").await;
        match client.execute(&insert, &[Bind::Long]).await {
            Answer::Ok { .. } => break,
            Answer::Err { code: 9001, .. } if attempt < 100 => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.value(&format!("SELECT a FROM `{schema}`.blobs")).unwrap(), "kept");
}

#[tokio::test]
async fn types_that_are_left_out_are_sent_again_to_another_connection() {
    on_both_engines("", async |router, schema, engine| {
        for capabilities in [PLAIN, MODERN] {
            let mut client = Raw::connect(router, schema, capabilities).await;
            let text = "SELECT CONCAT(?, '/', ?, '/', COALESCE(?, 'null'))";
            let echo = client.prepare(text).await;
            let values = [Bind::Int(-5), Bind::Text("abc"), Bind::Null];
            assert_eq!(client.execute_with(echo.id, 0, true, &values).await[0].rows(), [["-5/abc/null"]], "{engine}");
            assert_eq!(client.execute_with(echo.id, 0, false, &values).await[0].rows(), [["-5/abc/null"]], "{engine}");
            client.query("BEGIN").await;
            let moved = client.execute_with(echo.id, 0, false, &values).await;
            assert_eq!(moved[0].rows(), [["-5/abc/null"]], "{engine}: on the writer, which never saw them");
            // Another session's types on the same shared connection, in between.
            client.query("COMMIT").await;
            let mut other = Raw::connect(router, schema, capabilities).await;
            let theirs = other.prepare(text).await;
            let texts = [Bind::Text("12345678"), Bind::Text("x"), Bind::Text("y")];
            assert_eq!(other.execute_with(theirs.id, 0, true, &texts).await[0].rows(), [["12345678/x/y"]]);
            assert_eq!(client.execute_with(echo.id, 0, false, &values).await[0].rows(), [["-5/abc/null"]], "{engine}");
            assert_eq!(other.execute_with(theirs.id, 0, false, &texts).await[0].rows(), [["12345678/x/y"]]);
            // Never sent at all.
            let never = client.prepare("SELECT ?").await;
            let code = client.execute_with(never.id, 0, false, &[Bind::Int(1)]).await[0].code();
            assert!(code != 0, "{engine}: values of no type");
            client.ping().await;
        }
    })
    .await;
}

#[tokio::test]
async fn statements_outlive_their_connections() {
    let server = MariaDb::start(Options::named("outlived"));
    let mysql = MySql::shared();
    for (target, port) in [("MariaDB", server.port()), ("MySQL", mysql.port())] {
        let router = Router::with_config(&config(port, port, "read_your_writes = \"0s\""), &[]);
        let mut client = Raw::connect(&router, "mysql", MODERN).await;
        let (read, write) = (tag("outlive_read"), tag("outlive_write"));
        let select = client.prepare(&format!("SELECT ? + 1, '{read}'")).await;
        let locked = client.prepare(&format!("SELECT GET_LOCK(?, 0), '{write}'")).await;
        for round in 0..3 {
            let sum = client.execute_with(select.id, 0, round == 0, &[Bind::Int(41)]).await;
            assert_eq!(sum[0].rows()[0][0], "42", "{target}");
            let kill = |text: &str| {
                let find = format!(
                    "SELECT GROUP_CONCAT(id) FROM information_schema.processlist WHERE user = 'app' AND id <> CONNECTION_ID() AND '{text}' <> ''"
                );
                let sql = |s: &str| if target == "MySQL" { mysql.sql(s) } else { server.sql(s) };
                let ids = sql(&find).unwrap()[0][0].clone();
                for id in ids.split(',').filter(|id| id.parse::<u64>().is_ok()) {
                    let _ = sql(&format!("KILL {id}"));
                }
            };
            kill(&read);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let lock = client.execute(&locked, &[Bind::Text(&write)]).await;
        assert_eq!(lock.rows()[0][0], "1", "{target}");
    }
}

#[tokio::test]
async fn statement_numbers_are_not_used_again_and_unknown_ones_are_errors() {
    on_both_engines("", async |router, schema, engine| {
        let mut client = Raw::connect(router, schema, MODERN).await;
        let mut seen = Vec::new();
        for _ in 0..20 {
            let statement = client.prepare("SELECT 1").await;
            assert!(!seen.contains(&statement.id), "{engine}");
            seen.push(statement.id);
            if seen.len() % 2 == 0 {
                client.close(statement.id).await;
                client.close(statement.id).await;
            }
        }
        for id in [0, 4711, seen[1], u32::MAX] {
            assert_eq!(client.execute_with(id, 0, true, &[]).await[0].code(), 1243, "{engine} execute {id}");
            assert_eq!(client.reset_statement(id).await.code(), 1243, "{engine} reset {id}");
            client.send(0x1c, &[id.to_le_bytes(), 1u32.to_le_bytes()].concat()).await;
            assert_eq!(client.answer(true).await.code(), 1243, "{engine} fetch {id}");
            client.close(id).await;
        }
        // Cut short wherever: an error, and never a crash or a hang.
        for (command, argument) in [(0x17u8, &b"\x01"[..]), (0x1a, b""), (0x1c, b"\x01\0"), (0x17, b"\x01\0\0\0")] {
            assert_ne!(client.command(command, argument).await.code(), 0, "{engine} {command:#x}");
        }
        client.send(0x19, b"\x01").await;
        client.send(0x18, b"\x01\0").await;
        assert_eq!(client.prepare_error("SELEC 1").await, 1064, "{engine}");
        assert_eq!(client.value("SELECT 'lives'").await, "lives");
    })
    .await;
}

#[tokio::test]
async fn too_many_statements_are_refused_and_closing_some_makes_room() {
    let server = MariaDb::shared();
    let limits = "[limits]\nmax_statements = 5";
    let router = Router::with_config(&config(server.port(), server.port(), limits), &[]);
    let mut client = Raw::connect(&router, "mysql", MODERN).await;
    let mut statements = Vec::new();
    for i in 0..5 {
        statements.push(client.prepare(&format!("SELECT {i}")).await);
    }
    assert_eq!(client.prepare_error("SELECT 5").await, 1461);
    assert_eq!(client.execute(&statements[3], &[]).await.rows(), [["3"]]);
    client.close(statements[0].id).await;
    let sixth = client.prepare("SELECT 6").await;
    assert_eq!(client.execute(&sixth, &[]).await.rows(), [["6"]]);
    assert_eq!(client.prepare_error("SELECT 7").await, 1461);
}

/// However many statements clients prepare, a backend connection keeps only so many: its server has a limit for all.
#[tokio::test]
async fn a_backend_connection_keeps_a_bounded_number_of_statements() {
    let server = MariaDb::start(Options::named("bounded"));
    let limits = "read_your_writes = \"0s\"\n[limits]\nmax_statements_per_connection = 4";
    let router = Router::with_config(&config(server.port(), server.port(), limits), &[]);
    let mut client = Raw::connect(&router, "mysql", MODERN).await;
    let kept = || {
        server.value("SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'PREPARED_STMT_COUNT'").unwrap().parse::<u32>().unwrap()
    };
    client.query("BEGIN").await;
    let cursor = client.prepare("SELECT 'cursor' UNION SELECT 'rows'").await;
    open(&mut client, cursor.id, &[]).await;
    let mut all = Vec::new();
    for i in 0..30 {
        all.push(client.prepare(&format!("SELECT {i}, ?")).await);
        assert!(kept() <= 4, "after {i}: {}", kept());
    }
    for (i, statement) in all.iter().enumerate() {
        assert_eq!(client.execute(statement, &[Bind::Int(7)]).await.rows()[0], [&i.to_string(), "7"]);
    }
    assert_eq!(client.fetch(&cursor, 9).await.rows(), [["cursor"], ["rows"]], "a cursor's statement is not for room");
    client.query("COMMIT").await;
    for statement in all {
        client.close(statement.id).await;
    }
    assert!(kept() <= 4);
}

/// What a text means is settled when it is prepared, wherever it is prepared again.
#[tokio::test]
async fn a_statement_means_what_it_meant_when_it_was_prepared() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
    client.query("CREATE TABLE t (col VARCHAR(20))").await;
    client.query("INSERT INTO t VALUES ('the column')").await;
    estate.catch_up();
    client.query("SET sql_mode = 'ANSI_QUOTES'").await;
    let quoted = client.prepare("SELECT \"col\" FROM t").await;
    assert_eq!(client.execute(&quoted, &[]).await.rows(), [["the column"]]);
    client.query("SET sql_mode = ''").await;
    assert_eq!(client.execute(&quoted, &[]).await.rows(), [["the column"]], "on the reader");
    client.query("BEGIN").await;
    assert_eq!(client.execute(&quoted, &[]).await.rows(), [["the column"]], "prepared again on the writer");
    assert_eq!(client.value("SELECT @@sql_mode").await, "", "and the session's own mode is back");
    client.query("COMMIT").await;
    let literal = client.prepare("SELECT \"col\" FROM t").await;
    assert_eq!(client.execute(&literal, &[]).await.rows(), [["col"]]);
}

/// The bytes of a text are of the character set in force when it was prepared; that of the sign-in has no SET of its own.
#[tokio::test]
async fn a_text_is_read_in_the_character_set_that_it_was_prepared_in() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    for later in [
        &["SET NAMES latin1"][..],
        &["SET character_set_client = 'latin1'"],
        &["SET NAMES latin1 COLLATE latin1_bin", "SET collation_connection = 'latin1_general_ci'"],
    ] {
        // Signed in with utf8mb4.
        let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
        let select = client
            .prepare(&format!("SELECT LENGTH('\u{e9}'), CHAR_LENGTH('\u{e9}'), COLLATION('\u{e9}'), '{}'", tag("text")))
            .await;
        let want = client.execute(&select, &[]).await;
        assert_eq!(want.rows()[0][..2], ["2", "1"]);
        for statement in later {
            client.query(statement).await;
        }
        let variables = "SELECT @@character_set_client, @@character_set_connection, @@collation_connection";
        let set = client.query(variables).await;
        client.query("BEGIN").await;
        assert_eq!(client.execute(&select, &[]).await.rows(), want.rows(), "{later:?}: prepared again on the writer");
        assert_eq!(client.query(variables).await.rows(), set.rows(), "{later:?}: and what the session set is in force");
        client.query("COMMIT").await;
    }
}

/// Preparing again under the schema of then fails: the session must still be where it was.
#[tokio::test]
async fn a_statement_that_cannot_be_prepared_again_leaves_the_sessions_schema_alone() {
    let estate = Estate::shared();
    let (first, second) = (estate.schema().await, estate.schema().await);
    let mut client = Raw::connect(&estate.router, &first, MODERN).await;
    client.query("CREATE TABLE gone (a INT)").await;
    estate.catch_up();
    let select = client.prepare("SELECT a FROM gone").await;
    assert_eq!(client.execute(&select, &[]).await.rows().len(), 0);
    client.query("DROP TABLE gone").await;
    client.query(&format!("USE `{second}`")).await;
    client.query("BEGIN").await;
    assert_eq!(client.execute(&select, &[]).await.code(), 1146);
    assert_eq!(client.value("SELECT DATABASE()").await, second);
    client.query("ROLLBACK").await;
    client.query(&format!("DROP DATABASE `{first}`")).await;
    estate.catch_up();
    client.query("BEGIN").await;
    assert_eq!(client.execute(&select, &[]).await.code(), 1049);
    assert_eq!(client.value("SELECT DATABASE()").await, second);
    client.query("COMMIT").await;
}

/// Rules and horizons go by the tables that a statement names where it was prepared, not where the session is by now.
#[tokio::test]
async fn a_statement_is_routed_by_the_schema_it_was_prepared_under() {
    let (master, replica) = MariaDb::shared_pair();
    let (held, other) = (master.scratch_schema().unwrap(), master.scratch_schema().unwrap());
    let rule =
        format!("[[rule]]\nrule_id = 0\ntables = [\"{held}.t\"]\ndestination_hostgroup = 10\napply = true\n[[rule]]\n");
    let text = config(master.port(), replica.port(), "read_your_writes = \"0s\"").replacen("[[rule]]\n", &rule, 1);
    let estate = Estate { master, replica, router: Router::with_config(&text, &[]) };
    for schema in [&held, &other] {
        master.sql(&format!("CREATE TABLE `{schema}`.t (a INT)")).unwrap();
    }
    estate.catch_up();
    let mut client = Raw::connect(&estate.router, &held, MODERN | Capabilities::SESSION_TRACK).await;
    let (here, there) = (tag("here"), tag("there"));
    let select = client.prepare(&format!("SELECT a, '{here}' FROM t WHERE a > ?")).await;
    client.query(&format!("USE `{other}`")).await;
    client.execute(&select, &[Bind::Int(1)]).await;
    assert_eq!(estate.ran_on(&here), "master");
    let select = client.prepare(&format!("SELECT a, '{there}' FROM t WHERE a > ?")).await;
    client.query(&format!("USE `{held}`")).await;
    client.execute(&select, &[Bind::Int(1)]).await;
    assert_eq!(estate.ran_on(&there), "replica");
}
