//! The commands that are neither statements nor executions, packet by packet, through the router.

mod common;
mod traffic_support;

use common::{MariaDb, MySql};
use mysql_async::prelude::Queryable;
use switchboard::protocol::capabilities::Capabilities;
use tokio::io::AsyncWriteExt;
use traffic_support::raw::{Answer, MODERN, PLAIN, Raw};
use traffic_support::{Estate, on_both_engines, tag};

const INIT_DB: u8 = 0x02;
const FIELD_LIST: u8 = 0x04;
const STATISTICS: u8 = 0x09;
const PING: u8 = 0x0e;
const SET_OPTION: u8 = 0x1b;

/// COM_FIELD_LIST: the columns' names, or the error.
async fn field_list(client: &mut Raw, table: &str, pattern: &str) -> Result<Vec<String>, Answer> {
    client.send(FIELD_LIST, &[table.as_bytes(), b"\0", pattern.as_bytes()].concat()).await;
    let mut names = Vec::new();
    loop {
        let packet = client.packet().await;
        match packet[0] {
            0xff => {
                let error = switchboard::protocol::response::ErrPacket::decode(&packet).unwrap();
                return Err(Answer::Err { code: error.code, text: error.text().into_owned() });
            }
            0xfe => return Ok(names),
            _ => {
                let mut r = switchboard::protocol::codec::Reader::new(&packet);
                let texts: Vec<&[u8]> = (0..6).map(|_| r.lenenc_bytes().unwrap()).collect();
                names.push(String::from_utf8_lossy(texts[4]).into_owned());
            }
        }
    }
}

#[tokio::test]
async fn field_list_with_and_without_eof_packets() {
    on_both_engines("", async |router, schema, engine| {
        for capabilities in [PLAIN, MODERN] {
            let mut client = Raw::connect(router, schema, capabilities).await;
            client.query("CREATE TABLE IF NOT EXISTS fields (id INT PRIMARY KEY, `na``me` TEXT, note BLOB)").await;
            // Until a replica has it, the list comes from where it is.
            client.query("BEGIN").await;
            assert_eq!(field_list(&mut client, "fields", "").await.unwrap(), ["id", "na`me", "note"], "{engine}");
            assert_eq!(field_list(&mut client, "fields", "n%").await.unwrap(), ["na`me", "note"], "{engine}");
            let unknown = field_list(&mut client, "no_such_table", "").await.unwrap_err();
            assert_eq!(unknown.code(), 1146, "{engine}");
            client.ping().await;
            client.query("COMMIT").await;
            client.query("CREATE TEMPORARY TABLE of_this_session (a INT)").await;
            assert_eq!(field_list(&mut client, "of_this_session", "").await.unwrap(), ["a"], "{engine}");
        }
    })
    .await;
}

#[tokio::test]
async fn field_list_goes_where_the_rules_send_the_table() {
    let (master, replica) = MariaDb::shared_pair();
    let rule = "[[rule]]\nrule_id = 0\ntables = [\"only_here\"]\ndestination_hostgroup = 20\napply = true\n[[rule]]\n";
    let text = traffic_support::config(master.port(), replica.port(), "read_your_writes = \"0s\"");
    let router = common::Router::with_config(&text.replacen("[[rule]]\n", rule, 1), &[]);
    let schema = master.scratch_schema().unwrap();
    replica.wait_for(master).unwrap();
    replica.sql(&format!("SET sql_log_bin=0; CREATE TABLE `{schema}`.only_here (held_by_the_reader INT)")).unwrap();
    let mut client = Raw::connect(&router, &schema, MODERN).await;
    assert_eq!(field_list(&mut client, "only_here", "").await.unwrap(), ["held_by_the_reader"]);
}

#[tokio::test]
async fn the_mariadb_client_completes_names() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    estate.master.sql(&format!("CREATE TABLE `{schema}`.completed (a INT)")).unwrap();
    estate.catch_up();
    // Names are completed for people alone: the client wants a terminal.
    let client = format!(
        "mariadb --no-defaults --auto-rehash -h127.0.0.1 -uapp -papp-secret -P{} {schema}",
        estate.router.address().port()
    );
    let mut child = tokio::process::Command::new("script")
        .args(["-qec", &client, "/dev/null"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"SELECT CONCAT('still ', 'in step');\nexit\n").await.unwrap();
    let output = tokio::time::timeout(std::time::Duration::from_secs(30), child.wait_with_output()).await;
    let output = output.expect("the client ends").unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("still in step"), "{output:?}");
    let asked = |server: &MariaDb| {
        let seen = server.statements_seen().unwrap();
        seen.iter().any(|s| s.command == "Field List" && s.text.contains("completed"))
    };
    assert!(asked(estate.replica) && !asked(estate.master), "the list of its columns came from the reader");
}

#[tokio::test]
async fn statistics_are_one_line_of_text() {
    on_both_engines("", async |router, schema, engine| {
        for capabilities in [PLAIN, MODERN] {
            let mut client = Raw::connect(router, schema, capabilities).await;
            client.send(STATISTICS, b"").await;
            let text = String::from_utf8(client.packet().await).unwrap();
            assert!(text.starts_with("Uptime: ") && text.contains("Queries per second"), "{engine}: {text}");
            client.ping().await;
        }
    })
    .await;
}

#[tokio::test]
async fn multi_statements_are_turned_on_and_off() {
    on_both_engines("", async |router, schema, engine| {
        for capabilities in [PLAIN, MODERN] {
            let mut client = Raw::connect(router, schema, capabilities).await;
            for pinned in [false, true] {
                if pinned {
                    client.query("SET @held = 1").await;
                }
                assert_eq!(client.query("SELECT 1; SELECT 2").await.code(), 1064, "{engine}: off at sign-in");
                assert!(matches!(client.command(SET_OPTION, &[0, 0]).await, Answer::Ok { .. }), "{engine}");
                let both = client.queries("SELECT 1; SELECT 2").await;
                assert_eq!((both[0].rows()[0][0], both[1].rows()[0][0]), ("1", "2"), "{engine}");
                let held = client.queries("SET @held = 7; SELECT @held").await;
                assert_eq!(held[1].rows(), [["7"]], "{engine}");
                assert!(matches!(client.command(SET_OPTION, &[1, 0]).await, Answer::Ok { .. }), "{engine}");
                assert_eq!(client.query("SELECT 1; SELECT 2").await.code(), 1064, "{engine}: off again");
            }
            assert_eq!(client.command(SET_OPTION, &[9, 0]).await.code(), 1047, "{engine}: an option that is none");
            assert_eq!(client.command(SET_OPTION, &[0]).await.code(), 1835, "{engine}: cut short");
            assert_eq!(client.value("SELECT @held").await, "7", "{engine}");
        }
    })
    .await;
}

/// What a statement may ask of the one before must not bring back what the option has turned off.
#[tokio::test]
async fn multi_statements_are_off_on_a_connection_that_is_kept_for_its_warnings() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN | Capabilities::MULTI_STATEMENTS).await;
    client.query("SELECT 1/0").await;
    client.command(SET_OPTION, &[1, 0]).await;
    assert_eq!(client.query("SHOW WARNINGS; SELECT 1").await.code(), 1064);
    client.command(SET_OPTION, &[0, 0]).await;
    client.query("SELECT 1/0").await;
    client.command(SET_OPTION, &[1, 0]).await;
    assert_eq!(client.query("SHOW WARNINGS").await.rows()[0][1], "1365", "and the warnings are still there");
}

#[tokio::test]
async fn ping_answers_with_the_sessions_own_status() {
    use switchboard::protocol::status::Status;
    let estate = Estate::shared();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
    assert_eq!(client.command(PING, b"").await.status(), Status::AUTOCOMMIT);
    client.query("BEGIN").await;
    assert!(client.command(PING, b"").await.status().contains(Status::IN_TRANSACTION));
    client.query("ROLLBACK").await;
    assert_eq!(client.command(PING, b"").await.status(), Status::AUTOCOMMIT);
}

#[tokio::test]
async fn init_db_changes_the_schema_everywhere_and_an_unknown_one_changes_nothing() {
    let estate = Estate::shared();
    let (first, second) = (estate.schema().await, estate.schema().await);
    for capabilities in [PLAIN, MODERN, MODERN | Capabilities::SESSION_TRACK] {
        let mut client = Raw::connect(&estate.router, &first, capabilities).await;
        assert!(matches!(client.command(INIT_DB, second.as_bytes()).await, Answer::Ok { .. }));
        let read = tag("read");
        assert_eq!(client.query(&format!("SELECT DATABASE(), '{read}'")).await.rows()[0][0], second);
        assert_eq!(estate.ran_on(&read), "replica");
        assert_eq!(client.command(INIT_DB, b"no_such_schema").await.code(), 1049);
        assert_eq!(client.command(INIT_DB, b"").await.code(), 1046, "no schema named");
        assert_eq!(client.value("SELECT DATABASE()").await, second, "on a reader");
        client.query("BEGIN").await;
        assert_eq!(client.value("SELECT DATABASE()").await, second, "on the writer");
        assert!(matches!(client.command(INIT_DB, first.as_bytes()).await, Answer::Ok { .. }));
        client.query("COMMIT").await;
        assert_eq!(client.value("SELECT DATABASE()").await, first, "changed inside a transaction");
    }
}

#[tokio::test]
async fn init_db_on_mysql() {
    let mysql = MySql::shared();
    let router = common::Router::with_config(&traffic_support::config(mysql.port(), mysql.port(), ""), &[]);
    let (first, second) = (mysql.scratch_schema().unwrap(), mysql.scratch_schema().unwrap());
    let mut client = Raw::connect(&router, &first, MODERN).await;
    assert!(matches!(client.command(INIT_DB, second.as_bytes()).await, Answer::Ok { .. }));
    assert_eq!(client.value("SELECT DATABASE()").await, second);
    assert_eq!(client.command(INIT_DB, b"no_such_schema").await.code(), 1049);
    assert_eq!(client.value("SELECT DATABASE()").await, second);
}

#[tokio::test]
async fn unknown_commands_are_error_1047_and_the_session_goes_on() {
    let estate = Estate::shared();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
    client.query("SET @kept = 5").await;
    // Sleep, refresh, shutdown, process info, kill, debug, binlog dump, daemon, bulk execution, and numbers of nothing.
    for byte in [0x00, 0x07, 0x08, 0x0a, 0x0c, 0x0d, 0x12, 0x1d, 0xfa, 0x20, 0x42, 0xff] {
        assert_eq!(client.command(byte, b"whatever").await.code(), 1047, "command {byte:#x}");
        client.ping().await;
    }
    // A packet without even a command byte.
    client.send_empty().await;
    assert_eq!(client.answer(false).await.code(), 1047);
    assert_eq!(client.value("SELECT @kept").await, "5");
}

/// A client that sends its next commands before the answers of the first gets each answer in its turn.
#[tokio::test]
async fn commands_sent_ahead_are_answered_in_order() {
    use switchboard::protocol::codec::put_packet;
    let estate = Estate::shared();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
    let mut bytes = Vec::new();
    for i in 0..20 {
        put_packet(&mut bytes, format!("\u{3}SELECT {i} + SLEEP(0.005)").as_bytes(), 0);
    }
    client.stream.write_all(&bytes).await.unwrap();
    client.stream.flush().await.unwrap();
    for i in 0..20 {
        client.expect_fresh_answer();
        assert_eq!(client.answer(false).await.rows()[0][0].parse::<f64>().unwrap(), f64::from(i));
    }
    client.ping().await;
}

#[tokio::test]
async fn python_speaks_to_both_ends() {
    let estate = Estate::shared();
    let (mut conn, schema) = estate.client().await;
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(20))").await.unwrap();
    let script = format!(
        r#"
import pymysql
c = pymysql.connect(host='127.0.0.1', port={port}, user='app', password='app-secret', database='{schema}',
                    client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS)
cur = c.cursor()
cur.execute("INSERT INTO t (a) VALUES (%s), (%s)", ('x', 'é'))
assert c.insert_id() == 1 and cur.rowcount == 2
c.commit()
cur.execute("SELECT a FROM t ORDER BY id FOR UPDATE")
assert cur.fetchall() == (('x',), ('é',))
c.rollback()
cur.execute("SELECT 1; SELECT 2")
assert cur.fetchall() == ((1,),)
assert cur.nextset() and cur.fetchall() == ((2,),)
c.select_db('information_schema')
cur.execute("SELECT DATABASE()")
assert cur.fetchone() == ('information_schema',)
c.ping(reconnect=False)
try:
    cur.execute("SELECT nonsense")
    raise SystemExit('no error')
except pymysql.err.OperationalError as e:
    assert e.args[0] == 1054, e
c.close()
print('done')
"#,
        port = estate.router.address().port()
    );
    let output = tokio::process::Command::new("/usr/bin/python3").args(["-c", &script]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n");
}
