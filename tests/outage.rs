//! While there is no writer, what can wait waits: nothing is refused that another moment would have served, nothing runs twice, and
//! who waits in vain is told why.

mod common;
mod traffic_support;

use common::http::metrics;
use common::{MariaDb, MySql, Options, Router, Server};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use traffic_support::{config, options, without_exemption};

const TOP: &str = "read_your_writes = \"0s\"\n[health]\nusername = \"app\"\npassword = \"app-secret\"\n[http]\naddress = \"{http}\"\n\
    [timeouts]\nwriter_wait = \"";

/// A router whose writer and reader are these; statements wait for so long.
fn router(writer: u16, reader: u16, writer_wait: &str) -> Router {
    Router::with_config(&config(writer, reader, &format!("{TOP}{writer_wait}\"")), &[])
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    /// Rows that were acknowledged.
    written: Vec<u32>,
    /// Rows of which the client was told that the connection was lost: they may be there.
    doubtful: Vec<u32>,
    /// All other errors.
    errors: Vec<String>,
    /// The longest that a statement or a sign-in took, and when that was over.
    longest: Option<(Duration, Instant)>,
}

impl Seen {
    fn took(&mut self, since: Instant) {
        let (took, now) = (since.elapsed(), Instant::now());
        if self.longest.is_none_or(|(longest, _)| took > longest) {
            self.longest = Some((took, now));
        }
    }
}

/// Writes rows one after the other until `stop`: through one session, or signing in for each.
async fn write(router: &Router, stop: Arc<AtomicBool>, first: u32, signs_in: bool) -> tokio::task::JoinHandle<Seen> {
    let options = options(router, Some("o"));
    let mut conn = Conn::new(options.clone()).await.unwrap();
    tokio::spawn(async move {
        let mut seen = Seen::default();
        let mut id = first;
        while !stop.load(Relaxed) {
            let since = Instant::now();
            if signs_in {
                match Conn::new(options.clone()).await {
                    Ok(new) => conn = new,
                    Err(error) => {
                        seen.errors.push(format!("sign-in: {error}"));
                        continue;
                    }
                }
            }
            id += 1;
            match conn.query_drop(format!("INSERT INTO t VALUES ({id})")).await {
                Ok(()) => seen.written.push(id),
                Err(Error::Server(error)) if error.code == 2013 => seen.doubtful.push(id),
                Err(error) => seen.errors.push(error.to_string()),
            }
            seen.took(since);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        seen
    })
}

/// Four clients, two of which sign in for each row.
async fn writers(router: &Router, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<Seen>> {
    let mut all = Vec::new();
    for number in 0..4 {
        all.push(write(router, Arc::clone(stop), number * 1_000_000, number >= 2).await);
    }
    all
}

/// Every acknowledged row is there once, none is there that was refused, and nobody saw an error.
async fn all_is_well(server: &Server, writers: Vec<tokio::task::JoinHandle<Seen>>) -> Vec<Seen> {
    let mut all = Vec::new();
    for writer in writers {
        all.push(writer.await.unwrap());
    }
    let rows = server.sql("SELECT id FROM o.t ORDER BY id").unwrap();
    let mut kept: Vec<u32> = rows.into_iter().map(|row| row[0].parse().unwrap()).collect();
    let before = kept.len();
    kept.dedup();
    assert_eq!(kept.len(), before, "a row is there twice");
    for seen in &all {
        assert_eq!(seen.errors, [] as [String; 0]);
        assert!(seen.written.iter().all(|id| kept.binary_search(id).is_ok()), "an acknowledged row is gone");
    }
    let known = |id: &u32| all.iter().any(|seen| seen.written.contains(id) || seen.doubtful.contains(id));
    assert!(kept.iter().all(known), "a row is there that was refused");
    all
}

/// No key: a row that is written twice is there twice.
const TABLE: &str = "CREATE DATABASE o; CREATE TABLE o.t (id INT, KEY (id))";

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_read_only_for_a_while_is_waited_for() {
    let server = MariaDb::start(Options::named("read-only for a while"));
    server.sql(TABLE).unwrap();
    without_exemption(&server);
    let router = router(server.port(), server.port(), "10s");
    let stop = Arc::new(AtomicBool::new(false));
    let writers = writers(&router, &stop).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.sql("SET GLOBAL read_only = 1").unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.sql("SET GLOBAL read_only = 0").unwrap();
    let over = Instant::now();
    tokio::time::sleep(Duration::from_millis(700)).await;
    stop.store(true, Relaxed);
    for seen in all_is_well(&server, writers).await {
        assert_eq!(seen.doubtful, [] as [u32; 0]);
        let (longest, at) = seen.longest.unwrap();
        assert!(longest > Duration::from_secs(1), "it was read-only: {longest:?}");
        assert!(at.saturating_duration_since(over) < Duration::from_millis(500), "it went on late");
    }
    assert!(metrics(&router)["switchboard_writer_waits_total"] >= 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_killed_and_comes_back_is_waited_for() {
    let server = MySql::start(Options::named("killed"));
    // As test servers are started, what they acknowledge may go with their process.
    server.sql("SET PERSIST innodb_flush_log_at_trx_commit = 1").unwrap();
    server.sql(TABLE).unwrap();
    let router = router(server.port(), server.port(), "10s");
    let stop = Arc::new(AtomicBool::new(false));
    let writers = writers(&router, &stop).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.start_again().unwrap();
    let over = Instant::now();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    stop.store(true, Relaxed);
    for seen in all_is_well(&server, writers).await {
        assert!(seen.doubtful.len() <= 1, "what had been sent when it was killed: {:?}", seen.doubtful);
        let (longest, at) = seen.longest.unwrap();
        assert!(longest > Duration::from_millis(800), "it was gone: {longest:?}");
        assert!(at.saturating_duration_since(over) < Duration::from_secs(1), "it went on late");
    }
}

#[tokio::test]
async fn who_waits_in_vain_is_told_why() {
    let server = MariaDb::start(Options::named("in vain"));
    server.sql(TABLE).unwrap();
    without_exemption(&server);
    let reader = MariaDb::start(Options::named("reader of a writer in vain"));
    reader.sql(TABLE).unwrap();
    let router = router(server.port(), reader.port(), "600ms");
    let mut conn = Conn::new(options(&router, Some("o"))).await.unwrap();
    let mut refused = async |sql: &str| {
        let since = Instant::now();
        let error = conn.query_drop(sql).await.unwrap_err().to_string();
        (error, since.elapsed())
    };
    let patience = Duration::from_millis(600);
    server.sql("SET GLOBAL read_only = 1").unwrap();
    let (error, took) = refused("INSERT INTO t VALUES (1)").await;
    assert!(error.contains("1290") && error.contains("--read-only"), "the server's own word: {error}");
    assert!(took >= patience && took < patience * 3, "{took:?}");
    // A server that is read-only for good is the estate's wish: the next is not kept waiting.
    let (error, took) = refused("INSERT INTO t VALUES (2)").await;
    assert!(error.contains("1290") && took < patience, "{error} {took:?}");
    // What may have run in part is not sent again, and so does not wait.
    let (error, took) = refused("CREATE PROCEDURE p() INSERT INTO t VALUES (3)").await;
    assert!(error.contains("1290") && took < patience, "{error} {took:?}");
    server.sql("SET GLOBAL read_only = 0").unwrap();
    let mut other = Conn::new(options(&router, Some("o"))).await.unwrap();
    other.query_drop("INSERT INTO t VALUES (4)").await.unwrap();
    server.sql("SET GLOBAL read_only = 1").unwrap();
    let (error, took) = refused("INSERT INTO t VALUES (5)").await;
    assert!(error.contains("1290") && took >= patience, "it has taken a write since: {error} {took:?}");
    server.kill();
    let (error, took) = refused("INSERT INTO t VALUES (6)").await;
    assert!(error.contains("9001") && error.contains("hostgroup 10 (writer)"), "{error}");
    assert!(took >= patience, "{took:?}");
    let since = Instant::now();
    let _: Option<u32> = conn.query_first("SELECT id FROM t").await.unwrap();
    assert!(since.elapsed() < patience, "a read that a reader serves does not wait");
    assert!(metrics(&router)["switchboard_writer_wait_timeouts_total"] >= 3.0);
}

#[tokio::test]
async fn another_configuration_is_a_way_out() {
    let (old, new) = (MariaDb::start(Options::named("old writer")), MariaDb::start(Options::named("new writer")));
    for server in [&old, &new] {
        server.sql(TABLE).unwrap();
    }
    let text = |writer: u16| config(writer, writer, &format!("rules = \"rules\"\n{TOP}20s\""));
    let at = |text: &str| text.find("[[backend]]").unwrap();
    let before = text(old.port());
    let (top, rules) = before.split_at(at(&before));
    let router = Router::with_config(top, &[("rules.toml", rules)]);
    let mut conn = Conn::new(options(&router, Some("o"))).await.unwrap();
    conn.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
    old.kill();
    let waits = async { conn.query_drop("INSERT INTO t VALUES (2)").await };
    let reload = async {
        while metrics(&router)["switchboard_writer_waits_total"] < 1.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let after = text(new.port());
        router.write_rules("rules.toml", &after[at(&after)..]);
        router.signal("HUP");
    };
    let (written, ()) = tokio::join!(waits, reload);
    written.unwrap();
    assert_eq!(new.value("SELECT id FROM o.t").unwrap(), "2");
}

/// Whoever waits can still be killed, and one who is killed is not served later.
#[tokio::test]
async fn who_waits_can_be_killed() {
    let (writer, reader) = (MariaDb::start(Options::named("waits")), MariaDb::start(Options::named("kills")));
    for server in [&writer, &reader] {
        server.sql(TABLE).unwrap();
    }
    let router = router(writer.port(), reader.port(), "60s");
    let mut waits = Conn::new(options(&router, Some("o"))).await.unwrap();
    let mut kills = Conn::new(options(&router, Some("o"))).await.unwrap();
    waits.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
    writer.kill();
    let number = waits.id();
    let waiting = tokio::spawn(async move { waits.query_drop("INSERT INTO t VALUES (2)").await });
    while metrics(&router)["switchboard_writer_waits_total"] < 1.0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let since = Instant::now();
    kills.query_drop(format!("KILL {number}")).await.unwrap();
    assert!(waiting.await.unwrap().is_err());
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    writer.start_again().unwrap();
    // Behind the one that was killed.
    kills.query_drop("INSERT INTO t VALUES (3)").await.unwrap();
    let rows = writer.sql("SELECT COUNT(*), MAX(id) FROM o.t WHERE id <> 1").unwrap();
    assert_eq!(rows, [["1", "3"]]);
}
