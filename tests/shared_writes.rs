//! Reads that see the writes of other sessions of their user (`read_your_writes_scope = "user"`): applications that write on one
//! connection of their pool and read on another.
//!
//! Where a statement ran is the servers' word: their general logs.

mod common;
mod traffic_support;

use common::{FaultProxy, MariaDb, Router, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::time::{Duration, Instant};
use traffic_support::{Estate, config, options, tag, value};

/// A second user, who is the same one behind.
const OTHER: &str = "[[user]]\nusername = \"other\"\npassword = \"other-secret\"\nbackend_username = \"app\"\n\
    backend_password = \"app-secret\"\n";

/// A router with several workers, and these keys at the top of its configuration; `more` goes to its end.
fn estate(window: &str, top: &str, more: &str) -> Estate {
    let (master, replica) = MariaDb::shared_pair();
    let top = format!("workers = 4\nread_your_writes = \"{window}\"\n{top}\n");
    let text = config(master.port(), replica.port(), &top) + OTHER + more;
    Estate { master, replica, router: Router::with_config(&text, &[]) }
}

const BY_USER: &str = "read_your_writes_scope = \"user\"";

async fn other_user(estate: &Estate, schema: &str) -> Conn {
    let options = options(&estate.router, Some(schema)).user(Some("other")).pass(Some("other-secret"));
    Conn::new(options).await.unwrap()
}

/// Sessions of one user: as many as each worker has two of them.
async fn sessions(estate: &Estate, schema: &str) -> Vec<Conn> {
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(estate.connect(Some(schema)).await);
    }
    all
}

/// Where a read of this session goes now.
async fn reads_from(estate: &Estate, conn: &mut Conn) -> &'static str {
    let marked = tag("read");
    conn.query_drop(format!("SELECT '{marked}'")).await.unwrap();
    estate.ran_on(&marked)
}

/// The same for a prepared read, which the log shows with its values.
async fn prepared_reads_from(estate: &Estate, conn: &mut Conn) -> &'static str {
    let marked = tag("execution");
    conn.exec_drop("SELECT ?", (&marked,)).await.unwrap();
    estate.ran_on(&marked)
}

#[tokio::test]
async fn a_write_is_seen_by_all_sessions_of_its_user_and_by_nobody_elses() {
    let estate = estate("4s", BY_USER, "");
    let schema = estate.schema().await;
    estate.master.sql(&format!("CREATE TABLE {schema}.t (a INT)")).unwrap();
    estate.catch_up();
    let (mut readers, mut stranger) = (sessions(&estate, &schema).await, other_user(&estate, &schema).await);
    let mut writer = estate.connect(Some(&schema)).await;
    for reader in &mut readers {
        assert_eq!(reads_from(&estate, reader).await, "replica", "nobody has written yet");
    }
    for prepared in [false, true] {
        let began = Instant::now();
        match prepared {
            false => writer.query_drop("INSERT INTO t VALUES (1)").await.unwrap(),
            true => writer.exec_drop("INSERT INTO t VALUES (?)", (2,)).await.unwrap(),
        }
        for reader in &mut readers {
            assert_eq!(reads_from(&estate, reader).await, "master");
            assert_eq!(prepared_reads_from(&estate, reader).await, "master");
        }
        assert_eq!(reads_from(&estate, &mut stranger).await, "replica", "another user");
        assert_eq!(prepared_reads_from(&estate, &mut stranger).await, "replica");
        let facts: Vec<(String, String)> = readers[0].query("EXPLAIN ROUTE SELECT 1").await.unwrap();
        let place = facts.iter().find(|(fact, _)| fact == "session_place").map(|(_, place)| place.as_str());
        let why = "writer: another session of its user wrote a moment ago: it reads that write";
        assert_eq!(place, Some(why), "{facts:?}");
        assert!(began.elapsed() < Duration::from_secs(4), "too slow for this window");
        tokio::time::sleep(Duration::from_millis(4_100)).await;
        for reader in &mut readers {
            assert_eq!(reads_from(&estate, reader).await, "replica", "the window is over");
            assert_eq!(prepared_reads_from(&estate, reader).await, "replica");
        }
    }
}

#[tokio::test]
async fn by_default_a_session_sees_its_own_writes_alone() {
    let estate = estate("60s", "", "");
    let schema = estate.schema().await;
    let (mut writer, mut readers) = (estate.connect(Some(&schema)).await, sessions(&estate, &schema).await);
    writer.query_drop("CREATE TABLE t (a INT)").await.unwrap();
    assert_eq!(reads_from(&estate, &mut writer).await, "master");
    for reader in &mut readers {
        assert_eq!(reads_from(&estate, reader).await, "replica");
        assert_eq!(prepared_reads_from(&estate, reader).await, "replica");
    }
}

/// What a transaction has written can be read once it has ended, and not before.
#[tokio::test]
async fn a_transaction_is_seen_from_its_end() {
    for (begin, end) in [("BEGIN", "COMMIT"), ("SET autocommit = 0", "SET autocommit = 1")] {
        let estate = estate("60s", BY_USER, "");
        let schema = estate.schema().await;
        estate.master.sql(&format!("CREATE TABLE {schema}.t (a INT)")).unwrap();
        estate.catch_up();
        let (mut writer, mut reader) = (estate.connect(Some(&schema)).await, estate.connect(Some(&schema)).await);
        for inside in [begin, "SELECT COUNT(*) FROM t", "INSERT INTO t VALUES (1)", "SELECT COUNT(*) FROM t"] {
            writer.query_drop(inside).await.unwrap();
            // Its answer is there a little before the router has noted that nothing can be read yet.
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(reads_from(&estate, &mut reader).await, "replica", "{inside}");
        }
        writer.query_drop(end).await.unwrap();
        assert_eq!(reads_from(&estate, &mut reader).await, "master", "{end}");
        assert_eq!(value(&mut reader, "SELECT COUNT(*) FROM t").await, "1");
    }
}

/// A client that has its write's answer may read through another worker at once: the window is open by then.
#[tokio::test]
async fn the_window_is_open_before_the_answer_is_out() {
    const WINDOW: Duration = Duration::from_millis(150);
    let estate = estate("150ms", BY_USER, "");
    let schema = estate.schema().await;
    estate.master.sql(&format!("CREATE TABLE {schema}.t (a INT)")).unwrap();
    let (mut writer, mut readers) = (estate.connect(Some(&schema)).await, sessions(&estate, &schema).await);
    let mut quick = 0;
    for round in 0..60 {
        let began = Instant::now();
        writer.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
        let place = round % readers.len();
        let marked = tag("at_once");
        readers[place].query_drop(format!("SELECT '{marked}'")).await.unwrap();
        // A machine that is too slow has let the window go by.
        if began.elapsed() < WINDOW {
            assert_eq!(estate.ran_on(&marked), "master", "round {round}");
            quick += 1;
        }
        tokio::time::sleep(WINDOW + Duration::from_millis(5)).await;
    }
    assert!(quick > 30, "the machine is too slow for this test: {quick}");
}

/// A write that waits has done nothing yet: it takes no reads away from the readers, however long it waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waits_takes_no_reads_to_the_writer() {
    let estate = estate("60s", BY_USER, "");
    let schema = estate.schema().await;
    estate.master.sql(&format!("CREATE TABLE {schema}.t (a INT); INSERT INTO {schema}.t VALUES (1)")).unwrap();
    estate.catch_up();
    let (mut writer, mut reader) = (estate.connect(Some(&schema)).await, estate.connect(Some(&schema)).await);
    let mut stranger = other_user(&estate, &schema).await;
    stranger.query_drop("BEGIN").await.unwrap();
    stranger.query_drop("UPDATE t SET a = 2").await.unwrap();
    let update = tag("waits");
    let waiting = tokio::spawn({
        let update = format!("UPDATE t SET a = 3 /* {update} */");
        async move { writer.query_drop(update).await }
    });
    wait_until("the update is at the master", Duration::from_secs(10), || estate.master.saw(&update).unwrap());
    assert_eq!(reads_from(&estate, &mut reader).await, "replica");
    stranger.query_drop("ROLLBACK").await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(reads_from(&estate, &mut reader).await, "master");
    assert_eq!(value(&mut reader, "SELECT a FROM t").await, "3");
}

/// A write that is lost with its server opens no window: the readers go on serving while the writer is dead.
#[tokio::test]
async fn a_write_that_is_lost_takes_no_reads_to_a_dead_writer() {
    let (master, replica) = MariaDb::shared_pair();
    let link = FaultProxy::start(master.address());
    let top = format!("workers = 2\nread_your_writes = \"60s\"\n{BY_USER}\n");
    let router = Router::with_config(&config(link.port(), replica.port(), &top), &[]);
    let estate = Estate { master, replica, router };
    let schema = estate.schema().await;
    estate.master.sql(&format!("CREATE TABLE {schema}.t (a INT)")).unwrap();
    estate.catch_up();
    let (mut writer, mut reader) = (estate.connect(Some(&schema)).await, estate.connect(Some(&schema)).await);
    let cutter = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        link.cut();
    };
    let (lost, ()) = tokio::join!(writer.query_drop("INSERT INTO t SELECT SLEEP(2)"), cutter);
    assert!(lost.unwrap_err().to_string().contains("hostgroup 10"));
    assert_eq!(reads_from(&estate, &mut reader).await, "replica");
    assert_eq!(reads_from(&estate, &mut writer).await, "replica");
}

/// While its user writes, a lookup by id must still find rows that the writer has purged: it follows the session's own write
/// (docs/adr/0007), and no other's. What is proven to be at the writer goes there.
#[tokio::test]
async fn a_lookup_by_id_finds_old_rows_while_its_user_writes() {
    let estate = {
        let (master, replica) = MariaDb::shared_pair();
        let top = format!("workers = 2\nread_your_writes = \"60s\"\n{BY_USER}\n");
        let horizon = "name = \"writer\"\nrole = \"writer\"\nhorizon = \"90d\"";
        let text = config(master.port(), replica.port(), &top).replace("name = \"writer\"\nrole = \"writer\"", horizon);
        let text = text + "[[table]]\nname = \"calls\"\ntime_column = \"at\"\n";
        Estate { master, replica, router: Router::with_config(&text, &[]) }
    };
    let schema = estate.schema().await;
    let (mut writer, mut reader) = (estate.connect(Some(&schema)).await, estate.connect(Some(&schema)).await);
    writer.query_drop("CREATE TABLE calls (id INT, at DATETIME)").await.unwrap();
    estate.catch_up();
    let recent = "at > NOW() - INTERVAL 1 DAY";
    for (condition, own, others) in [("id = 1", "master", "replica"), (recent, "master", "master")] {
        for (conn, want) in [(&mut writer, own), (&mut reader, others)] {
            let marked = tag("calls");
            conn.query_drop(format!("SELECT '{marked}' FROM calls WHERE {condition}")).await.unwrap();
            assert_eq!(estate.ran_on(&marked), want, "{condition}");
        }
    }
}
