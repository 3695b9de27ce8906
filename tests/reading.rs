//! How statements are read depends on the servers' global `sql_mode` and on the client's character set. A statement that is a
//! harmless literal under one reading and a call under the other must go where the server's reading sends it.

mod common;
mod traffic_support;

use common::{MariaDb, MySql, Options, Router};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use switchboard::protocol::collation;
use switchboard::sql::LexMode;
use traffic_support::{Estate, config, options, tag, value};

/// A pair of servers with this `sql_mode`, and a schema with a function that writes.
fn pair(name: &str, writer_mode: &str, reader_mode: &str) -> (MariaDb, MariaDb) {
    let mode = |mode: &str| format!("--sql-mode={mode}");
    let master = MariaDb::start(Options::named(name).with_binlog().with_arg(&mode(writer_mode)));
    let replica =
        MariaDb::replica_with(&master, Options::named(&format!("{name}-replica")).with_arg(&mode(reader_mode)));
    (master, replica)
}

fn router(master: &MariaDb, replica: &MariaDb) -> Router {
    Router::with_config(&config(master.port(), replica.port(), "read_your_writes = \"0s\""), &[])
}

#[tokio::test]
async fn a_session_begins_with_the_writers_sql_mode() {
    let (master, replica) = pair("no-backslash", "NO_BACKSLASH_ESCAPES", "NO_BACKSLASH_ESCAPES");
    let router = router(&master, &replica);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    // One string to those who believe in backslashes; here a string, a call, and a comment.
    let call = tag("call");
    let _ = conn.query_drop(format!(r"SELECT '\', no_such.{call}() -- '")).await;
    assert!(master.saw(&call).unwrap() && !replica.saw(&call).unwrap(), "a call went to the reader");
    let read = tag("read");
    conn.query_drop(format!("SELECT '{read}'")).await.unwrap();
    assert!(replica.saw(&read).unwrap() && !master.saw(&read).unwrap());
    // What the session sets itself holds from there on, and its default is the server's again.
    conn.query_drop("SET sql_mode=''").await.unwrap();
    let literal = tag("literal");
    conn.query_drop(format!(r"SELECT '\', no_such.{literal}() -- '")).await.unwrap();
    assert!(replica.saw(&literal).unwrap() && !master.saw(&literal).unwrap());
    conn.query_drop("SET sql_mode=DEFAULT").await.unwrap();
    let again = tag("again");
    let _ = conn.query_drop(format!(r"SELECT '\', no_such.{again}() -- '")).await;
    assert!(master.saw(&again).unwrap() && !replica.saw(&again).unwrap());
}

#[tokio::test]
async fn a_backend_that_reads_otherwise_than_the_writer_is_brought_to_it() {
    let (master, replica) = pair("ansi", "", "ANSI_QUOTES,PIPES_AS_CONCAT");
    let router = router(&master, &replica);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    for _ in 0..3 {
        let read = tag("read");
        // Under the replica's own mode, the first is a column's name and the second a text.
        assert_eq!(value(&mut conn, &format!("SELECT \"{read}\"")).await, read);
        assert_eq!(value(&mut conn, &format!("SELECT 0 || 1 /* {read} */")).await, "1");
        assert_eq!(value(&mut conn, &format!("SELECT @@sql_mode /* {read} */")).await, "");
        assert!(replica.saw(&read).unwrap() && !master.saw(&read).unwrap());
    }
}

#[tokio::test]
async fn a_character_set_that_hides_a_backslash_is_not_read_as_ascii() {
    let estate = Estate::shared();
    let (mut conn, _) = estate.client().await;
    // 0xbf5c is one character in gbk; read as ASCII, the backslash escapes the quote and hides the call.
    let text = |call: &str| {
        let mut text = b"SELECT '\xbf\\', no_such.".to_vec();
        text.extend_from_slice(call.as_bytes());
        text.extend_from_slice(b"() -- '");
        text
    };
    conn.query_drop("SET NAMES gbk").await.unwrap();
    let set = tag("set_names");
    let _ = conn.query_drop(text(&set)).await;
    assert_eq!(estate.ran_on(&set), "master");
    conn.query_drop("SET NAMES utf8mb4").await.unwrap();
    // Chosen at sign-in.
    let chosen = tag("sign_in");
    let port = estate.router.address().port();
    let done = Command::new("mariadb")
        .args(["--no-defaults", "-h127.0.0.1", "-uapp", "-papp-secret", "--default-character-set=gbk"])
        .arg(format!("-P{port}"))
        .arg("-e")
        .arg(OsStr::from_bytes(&text(&chosen)))
        .output()
        .unwrap();
    assert!(!done.status.success(), "the function does not exist");
    assert_eq!(estate.ran_on(&chosen), "master");
}

#[test]
fn collations_that_hide_ascii_are_known_by_number() {
    let of = |rows: Vec<Vec<String>>| -> Vec<(u16, String)> {
        rows.into_iter().filter_map(|row| Some((row[0].parse().ok()?, row[1].clone()))).collect()
    };
    let mariadb = MariaDb::shared()
        .sql("SELECT id, character_set_name FROM information_schema.collation_character_set_applicability")
        .unwrap();
    let mysql = MySql::shared().sql("SELECT id, character_set_name FROM information_schema.collations").unwrap();
    for rows in [of(mariadb), of(mysql)] {
        assert!(rows.len() > 200, "{} collations", rows.len());
        for (id, charset) in rows {
            assert_eq!(collation::is_foreign(id), LexMode::is_foreign_charset(&charset), "{id}: {charset}");
        }
    }
}
