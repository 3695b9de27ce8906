//! Several statements in one request, several results of one statement, and what they change on their way.

mod common;
mod traffic_support;

use common::Router;
use switchboard::protocol::capabilities::Capabilities;
use switchboard::protocol::status::Status;
use traffic_support::raw::{Answer, Bind, CURSOR, MODERN, PLAIN, Raw};
use traffic_support::{Estate, on_both_engines, tag};

const MULTI: Capabilities = Capabilities::MULTI_STATEMENTS;

/// Capabilities that differ in how results end.
const SHAPES: [Capabilities; 3] = [PLAIN.union(MULTI), MODERN.union(MULTI), MODERN.union(MULTI).union(TRACK)];
const TRACK: Capabilities = Capabilities::SESSION_TRACK;

/// Runs a statement until it no longer says that something is not there: a replica may be a moment behind.
async fn until_there(client: &mut Raw, sql: &str) -> Vec<Answer> {
    for _ in 0..500 {
        let answers = client.queries(sql).await;
        let code = answers[0].code();
        if ![1305, 1146].contains(&code) {
            assert_eq!(code, 0, "{sql}: {answers:?}");
            return answers;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never there: {sql}");
}

async fn procedure(client: &mut Raw, name: &str, body: &str) {
    let made = client.query(&format!("CREATE OR REPLACE PROCEDURE {name} {body}")).await;
    // MySQL has no OR REPLACE for procedures.
    if made.code() != 0 {
        client.query(&format!("DROP PROCEDURE IF EXISTS {name}")).await;
        assert_eq!(client.query(&format!("CREATE PROCEDURE {name} {body}")).await.code(), 0, "{body}");
    }
}

#[tokio::test]
async fn a_procedure_with_several_results() {
    on_both_engines("", async |router, schema, engine| {
        for shape in SHAPES {
            let mut client = Raw::connect(router, schema, shape).await;
            procedure(&mut client, "two", "() BEGIN SELECT 1 AS a UNION SELECT 2; SELECT 'x', NULL; END").await;
            for prepared in [false, true] {
                let all = if prepared {
                    let call = client.prepare("CALL two()").await;
                    client.execute_with(call.id, 0, true, &[]).await
                } else {
                    client.queries("CALL two()").await
                };
                assert_eq!(all.len(), 3, "{engine}: {all:?}");
                assert_eq!(all[0].rows(), [["1"], ["2"]]);
                assert_eq!(all[1].rows(), [["x", "NULL"]]);
                assert!(matches!(all[2], Answer::Ok { .. }));
                client.ping().await;
            }
            procedure(&mut client, "half", "() BEGIN SELECT 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='no'; END")
                .await;
            let all = client.queries("CALL half()").await;
            assert_eq!((all.len(), all[0].rows()[0][0], all[1].code()), (2, "1", 1644), "{engine}");
            assert_eq!(client.value("SELECT 'in step'").await, "in step");
        }
    })
    .await;
}

#[tokio::test]
async fn out_parameters_of_a_prepared_call() {
    on_both_engines("", async |router, schema, engine| {
        for shape in SHAPES {
            let mut client = Raw::connect(router, schema, shape).await;
            let body =
                "(IN a INT, OUT b INT, INOUT c VARCHAR(20)) BEGIN SELECT a; SET b = a * 2, c = CONCAT(c, '!'); END";
            procedure(&mut client, "outs", body).await;
            let call = client.prepare("CALL outs(?, ?, ?)").await;
            // MariaDB forgets an INOUT parameter's type once it has set it: seen without a router, too.
            for (types, a) in [(true, 21), (engine == "MariaDB", 4)] {
                let values = [Bind::Int(a), Bind::Int(0), Bind::Text("hey")];
                let all = client.execute_with(call.id, 0, types, &values).await;
                assert_eq!(all.len(), 3, "{engine}: {all:?}");
                assert_eq!(all[0].rows(), [[a.to_string().as_str()]]);
                assert!(all[1].status().contains(Status::PS_OUT_PARAMS), "{engine}: {all:?}");
                assert_eq!(all[1].rows(), [[(a * 2).to_string().as_str(), "hey!"]], "{engine}");
            }
            client.close(call.id).await;
            client.ping().await;
        }
    })
    .await;
}

/// What each kind of statement changes inside a larger request holds for what follows, on whichever connection.
#[tokio::test]
async fn state_that_changes_inside_a_request_holds_after_it() {
    on_both_engines("", async |router, schema, engine| {
        for shape in SHAPES {
            let mut client = Raw::connect(router, schema, shape).await;
            let zone = "/* read */ @@time_zone";
            for (request, read, want) in [
                ("USE information_schema; SELECT 1", "DATABASE()", "information_schema"),
                (
                    "SELECT 1; USE mysql; SET time_zone = '+05:00'; SELECT 2",
                    "CONCAT(DATABASE(), @@time_zone)",
                    "mysql+05:00",
                ),
                ("SET time_zone = '+06:00'; SELECT nonsense; SET time_zone = '+07:00'", zone, "+06:00"),
                ("SET @x = 5; SELECT 1", "@x", "5"),
                (
                    "SET NAMES latin1; SET group_concat_max_len = 4321",
                    "CONCAT(@@character_set_client, @@group_concat_max_len)",
                    "latin14321",
                ),
                ("CREATE TEMPORARY TABLE tt (a INT); INSERT INTO tt VALUES (3), (4)", "(SELECT MAX(a) FROM tt)", "4"),
                ("PREPARE s FROM 'SELECT 42'; SELECT 1; EXECUTE s", "'prepared'", "prepared"),
                (
                    "SELECT GET_LOCK('of_results', 1); SELECT 1",
                    "IS_USED_LOCK('of_results') = CONNECTION_ID() OR 1",
                    "1",
                ),
            ] {
                client.queries(request).await;
                for _ in 0..3 {
                    assert_eq!(client.value(&format!("SELECT {read}")).await, want, "{engine}: {request}");
                }
            }
            assert_eq!(client.value("EXECUTE s").await, "42", "{engine}");
            assert!(matches!(client.command(0x1f, b"").await, Answer::Ok { .. }));
            assert_eq!(client.value(&format!("SELECT {zone}")).await, "SYSTEM", "{engine}: after a reset");
        }
        let mut other = Raw::connect(router, schema, MODERN).await;
        for _ in 0..5 {
            let row = other.query("SELECT @@time_zone, @x, DATABASE(), @@group_concat_max_len = 4321").await;
            assert_eq!(row.rows(), [["SYSTEM", "NULL", schema, "0"]], "{engine}: another session");
        }
    })
    .await;
}

#[tokio::test]
async fn transactions_that_begin_or_end_inside_a_request() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    for shape in SHAPES {
        let mut client = Raw::connect(&estate.router, &schema, shape).await;
        client.query("CREATE OR REPLACE TABLE t (a INT PRIMARY KEY)").await;
        for (request, want) in [
            ("BEGIN; INSERT INTO t VALUES (1)", "master"),
            ("INSERT INTO t VALUES (2); COMMIT", "replica"),
            ("SELECT 1; SET autocommit = 0; SELECT 2", "master"),
            ("SET autocommit = 1; SELECT 1", "replica"),
            ("BEGIN; INSERT INTO t VALUES (3); INSERT INTO t VALUES (3); COMMIT", "master"),
            ("ROLLBACK; SELECT 1", "replica"),
            ("START TRANSACTION; COMMIT; SELECT 1", "replica"),
        ] {
            client.queries(request).await;
            let read = tag("after");
            client.query(&format!("SELECT '{read}'")).await;
            assert_eq!(estate.ran_on(&read), want, "{request}");
        }
        assert_eq!(client.value("SELECT COUNT(*) FROM t FOR UPDATE").await, "2");
    }
}

/// What a procedure or a function sets out of sight holds for its session, and never for another.
#[tokio::test]
async fn state_that_a_routine_changes_stays_with_its_session() {
    on_both_engines("", async |router, schema, engine| {
        for shape in SHAPES {
            let mut maker = Raw::connect(router, schema, shape).await;
            procedure(&mut maker, "sets", "() BEGIN SET time_zone = '+03:00'; SET SESSION sql_mode = 'ANSI_QUOTES'; SELECT 1; END").await;
            procedure(&mut maker, "sets_user", "() SET @of_routine = 9").await;
            maker.query("DROP FUNCTION IF EXISTS f").await;
            let function = "CREATE FUNCTION f() RETURNS INT NO SQL BEGIN SET time_zone = '+04:00'; SET @of_function = 8; RETURN 1; END";
            assert_eq!(maker.query(function).await.code(), 0, "{engine}");
            let reads = [
                ("CALL sets()", "CONCAT(@@time_zone, (SELECT COUNT(*) FROM (SELECT 1 AS \"quoted\") x))", "+03:001"),
                ("CALL sets_user()", "@of_routine", "9"),
                ("SELECT f()", "CONCAT(@@time_zone, @of_function)", "+04:008"),
                ("SELECT f() FROM (SELECT 1 UNION SELECT 2) x", "CONCAT(@@time_zone, @of_function)", "+04:008"),
                ("DO f()", "CONCAT(@@time_zone, @of_function)", "+04:008"),
            ];
            for (statement, read, want) in reads {
                let mut client = Raw::connect(router, schema, shape).await;
                until_there(&mut client, statement).await;
                for _ in 0..3 {
                    assert_eq!(client.value(&format!("SELECT {read}")).await, want, "{engine} {shape:?}: {statement}");
                }
                sees_nothing(router, schema, shape, &format!("{engine} {shape:?}: while {statement}")).await;
                client.vanish().await;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                sees_nothing(router, schema, shape, &format!("{engine} {shape:?}: after {statement}")).await;
            }
        }
    })
    .await;
}

/// Asks sessions that set nothing, over several connections at once.
async fn sees_nothing(router: &Router, schema: &str, shape: Capabilities, when: &str) {
    for sql in [
        "SELECT @@time_zone, @of_routine, @of_function, @@sql_mode LIKE '%ANSI%'",
        "SELECT @@time_zone, @of_routine, @of_function, @@sql_mode LIKE '%ANSI%' FOR UPDATE",
    ] {
        let mut client = Raw::connect(router, schema, shape).await;
        assert_eq!(client.query(sql).await.rows(), [["SYSTEM", "NULL", "NULL", "0"]], "{when}");
        let mut client = Raw::connect(router, schema, shape).await;
        assert_eq!(client.query("BEGIN").await.code(), 0);
        assert_eq!(client.query(sql).await.rows(), [["SYSTEM", "NULL", "NULL", "0"]], "{when}, in a transaction");
    }
}

/// While a procedure, a function, a block or a loop has a cursor open, servers say so in the packets of every result that goes
/// out meanwhile; rows follow all the same, also where an execution asked for a cursor of its own.
#[tokio::test]
async fn results_while_a_cursor_is_open_inside() {
    const WALK: &str = "DECLARE x INT; DECLARE c CURSOR FOR SELECT 7; OPEN c; FETCH c INTO x";
    on_both_engines("", async |router, schema, engine| {
        for shape in SHAPES {
            let mut client = Raw::connect(router, schema, shape).await;
            procedure(&mut client, "walk", &format!("() BEGIN {WALK}; SELECT x; CLOSE c; END")).await;
            procedure(&mut client, "walks", &format!("() BEGIN {WALK}; SELECT x; SELECT 8 LIMIT 0; END")).await;
            client.query("DROP FUNCTION IF EXISTS walked").await;
            let function = format!("CREATE FUNCTION walked() RETURNS INT DETERMINISTIC BEGIN {WALK}; RETURN x; END");
            assert_eq!(client.query(&function).await.code(), 0);
            // What of a statement comes back: rows per result, and whether an OK follows them.
            let mut cases = vec![
                ("CALL walk()".to_owned(), &[1][..], true),
                ("CALL walks()".to_owned(), &[1, 0], true),
                ("SELECT walked() UNION SELECT 1 FOR UPDATE".to_owned(), &[2], false),
            ];
            if engine == "MariaDB" {
                cases.push(("FOR r IN (SELECT 1 AS a) DO SELECT r.a; END FOR".to_owned(), &[1], true));
                cases.push((format!("BEGIN NOT ATOMIC {WALK}; SELECT x; CLOSE c; END"), &[1], true));
            }
            for (sql, rows, ok) in &cases {
                let mut answers = vec![client.queries(sql).await];
                let statement = client.prepare(sql).await;
                answers.push(client.execute_with(statement.id, 0, true, &[]).await);
                if *ok {
                    answers.push(client.execute_with(statement.id, CURSOR, true, &[]).await);
                    assert_eq!(
                        client.fetch(&statement, 1).await.code(),
                        1421,
                        "{engine} {sql}: no cursor is the client's"
                    );
                }
                for all in answers {
                    assert_eq!(all.len(), rows.len() + usize::from(*ok), "{engine} {sql}: {all:?}");
                    let counts: Vec<usize> = all[..rows.len()].iter().map(|a| a.rows().len()).collect();
                    assert_eq!(&counts, rows, "{engine} {sql}: {all:?}");
                    assert!(!ok || matches!(all[rows.len()], Answer::Ok { .. }), "{engine} {sql}: {all:?}");
                }
                client.ping().await;
            }
        }
        assert!(!router.log().contains("broke the protocol"), "{}", router.log());
    })
    .await;
}

/// A question about the statement before goes where that ran, a reader perhaps; what writes with the answer does not.
#[tokio::test]
async fn what_writes_runs_on_no_reader_whatever_it_asks() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
    assert_eq!(client.query("CREATE TABLE t (a VARCHAR(99), n INT)").await.code(), 0);
    for (question, known) in [("FOUND_ROWS()", true), ("ROW_COUNT()", true), ("@@warning_count", false)] {
        let (read, written) = (tag("read"), tag("write"));
        // Its warning holds the session's connection to the reader.
        client.query(&format!("SELECT CAST('x' AS SIGNED), '{read}'")).await;
        assert_eq!(estate.ran_on(&read), "replica");
        let answer = client.query(&format!("INSERT INTO t VALUES ('{written}', {question})")).await;
        if known {
            assert_eq!((answer.code(), estate.ran_on(&written)), (0, "master"), "{question}");
        } else {
            assert_eq!(answer.code(), 1105, "{question}: {answer:?}");
        }
    }
    assert_eq!(client.query("SELECT n FROM t ORDER BY n").await.rows(), [["-1"], ["1"]]);
}
