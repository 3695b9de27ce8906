//! The demo's change applier against real servers: MariaDB's row log into MySQL, value by value.
#![cfg(feature = "demo")]

mod common;

use common::{MariaDb, MySql, Options, Server, must, wait_until};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchboard::cli::demo::applier::{Applier, Position, Progress};
use switchboard::cli::demo::estate::client_options;

const SOON: Duration = Duration::from_secs(20);

/// A table with a column of each type that the estate has, and some that it may get.
const TABLE: &str = "CREATE TABLE cdr.t (
  id BIGINT UNSIGNED NOT NULL, part TINYINT NOT NULL, small SMALLINT, medium MEDIUMINT UNSIGNED, whole INT UNSIGNED,
  real_ DOUBLE, single FLOAT, exact DECIMAL(12,4), word VARCHAR(300), fixed CHAR(10), doc TEXT, raw BLOB, hash BINARY(8),
  kind ENUM('a','b','c'), flags SET('x','y','z'), day DATE, tod TIME(3), at DATETIME(3), plain DATETIME, stamp TIMESTAMP(3) NULL,
  old_stamp TIMESTAMP NULL, born YEAR, doc2 JSON, bits BIT(12), PRIMARY KEY (id, part)) DEFAULT CHARSET=utf8mb4";

struct Feed {
    master: MariaDb,
    target: MySql,
    progress: Arc<Progress>,
    task: tokio::task::JoinHandle<()>,
}

fn opts(server: &Server) -> Opts {
    client_options(server.port(), ("app", "app-secret"))
}

impl Feed {
    /// A master and a MySQL, the table on both, and the applier between them from the master's position now.
    async fn start() -> Self {
        let target = std::thread::spawn(|| MySql::start(Options::named("target")));
        let master = MariaDb::start(Options::named("source").with_binlog().with_arg("--default-time-zone=+02:00"));
        let target = target.join().unwrap();
        for server in [&*master, &*target] {
            must(server.sql(&format!("CREATE SCHEMA cdr; CREATE SCHEMA other; {TABLE}")));
        }
        let progress = Arc::new(Progress::default());
        let applier =
            Applier { source: opts(&master), target: opts(&target), schema: "cdr".into(), progress: progress.clone() };
        applier.prepare(&Position::of_master(opts(&master)).await.unwrap()).await.unwrap();
        let task = tokio::spawn(applier.run());
        Feed { master, target, progress, task }
    }

    /// Waits until the target has everything that the master has.
    async fn caught_up(&self) {
        let end = Position::of_master(opts(&self.master)).await.unwrap();
        let deadline = Instant::now() + SOON;
        while self.progress.position() < end {
            assert!(
                Instant::now() < deadline,
                "at {:?}, not {end:?}: {:?}",
                self.progress.position(),
                self.progress.trouble()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The same question to both.
    fn both(&self, question: &str) -> [Vec<Vec<String>>; 2] {
        [must(self.master.sql(question)), must(self.target.sql(question))]
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_arrives_as_it_was() {
    let feed = Feed::start().await;
    must(feed.master.sql(
        r#"SET NAMES utf8mb4;
        INSERT INTO cdr.t VALUES
        (18446744073709551615, -128, -32768, 16777215, 4294967295, 1.5e300, -2.25, '-99999999.1234', 'naïve ''quoted\\ 😀', 'pad',
         'line\nline', x'00FF80', x'0102030405060700', 'c', 'x,z', '2024-02-29', '-23:59:59.125', '2026-11-22 23:59:59.999',
         '1999-12-31 00:00:00', '2026-11-22 12:00:00.250', '2026-11-22 12:00:00', 2026, '{"k": ["ü", 1.5, null]}', b'101010101010'),
        (0, 0, 0, 0, 0, 0, 0, 0, '', '', '', '', x'', 'a', '', '1000-01-01', '00:00:00', '1000-01-01', '1000-01-01', '1970-01-02',
         '1970-01-02', 1901, '{}', b'0'),
        (1, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL)"#,
    ));
    feed.caught_up().await;
    // In one zone, in words that both print alike; JSON by its members, for MySQL lays it out anew.
    let [source, target] = feed.both(
        "SET time_zone='+00:00'; SELECT id, part, small, medium, whole, real_ = 1.5e300, single, exact, HEX(CAST(word AS CHAR CHARACTER \
         SET utf8mb4)), fixed, doc, HEX(raw), HEX(hash), kind, flags, day, tod, at, plain, stamp, old_stamp, born, \
         JSON_UNQUOTE(JSON_EXTRACT(doc2, '$.k[0]')), JSON_EXTRACT(doc2, '$.k[1]'), bits + 0 FROM cdr.t ORDER BY id",
    );
    assert_eq!(source.len(), 3);
    assert_eq!(source, target);
    assert_eq!(feed.progress.rows(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_follow_in_order_and_foreign_ones_do_not() {
    let feed = Feed::start().await;
    must(feed.master.sql(
        "USE cdr; INSERT INTO cdr.t (id, part, word) SELECT seq, 0, CONCAT('w', seq) FROM seq_1_to_3000;
         UPDATE cdr.t SET word = 'changed' WHERE id % 3 = 0;
         DELETE FROM cdr.t WHERE id BETWEEN 100 AND 199;
         UPDATE cdr.t SET id = id + 10000 WHERE id BETWEEN 1 AND 50;
         START TRANSACTION; INSERT INTO cdr.t (id, part) VALUES (5000, 1); SAVEPOINT s; INSERT INTO cdr.t (id, part) VALUES (5001, 1);
         ROLLBACK TO s; COMMIT;
         START TRANSACTION; INSERT INTO cdr.t (id, part) VALUES (6000, 1); ROLLBACK;
         CREATE TABLE other.u (id INT PRIMARY KEY); INSERT INTO other.u VALUES (1);
         REPLACE INTO cdr.t (id, part, word) VALUES (60, 0, 'replaced');
         FLUSH BINARY LOGS;
         INSERT INTO cdr.t (id, part, word) VALUES (7000, 0, 'in the next file') ON DUPLICATE KEY UPDATE word = 'never'",
    ));
    feed.caught_up().await;
    let [source, target] = feed
        .both("SELECT COUNT(*), SUM(id), SUM(CRC32(word)), SUM(word = 'changed'), MAX(word = 'replaced') FROM cdr.t");
    assert_eq!(source[0][0], "2902");
    assert_eq!(source, target);
    assert_eq!(must(feed.target.sql("SHOW TABLES IN other")), Vec::<Vec<String>>::new());
    assert_eq!(feed.progress.notes(), ["not carried, only rows are: CREATE TABLE other.u (id INT PRIMARY KEY)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lag_is_as_told_and_a_break_loses_nothing() {
    let feed = Feed::start().await;
    feed.progress.set_lag(Duration::from_millis(700));
    must(feed.master.sql("INSERT INTO cdr.t (id, part) VALUES (1, 0)"));
    let written = Instant::now();
    wait_until("the row arrives", SOON, || must(feed.target.value("SELECT COUNT(*) FROM cdr.t")) == "1");
    assert!(written.elapsed() >= Duration::from_millis(600), "{:?}", written.elapsed());
    assert!(feed.progress.behind() >= Duration::from_millis(700));
    feed.progress.set_lag(Duration::ZERO);

    // The target dies while rows arrive; each of them is there once when it is back.
    let mut conn = Conn::new(opts(&feed.master)).await.unwrap();
    for id in 2..200 {
        conn.query_drop(format!("INSERT INTO cdr.t (id, part, word) VALUES ({id}, 0, 'first')")).await.unwrap();
        if id == 60 {
            feed.target.kill();
        }
    }
    wait_until("the break is noticed", SOON, || feed.progress.trouble().is_some());
    must(feed.target.start_again());
    feed.caught_up().await;
    let [source, target] = feed.both("SELECT COUNT(*), SUM(id) FROM cdr.t");
    assert_eq!(source, target);
    assert_eq!(feed.progress.trouble(), None);

    // So does the source.
    must(feed.master.stop());
    wait_until("the break is noticed", SOON, || feed.progress.trouble().is_some());
    must(feed.master.start_again());
    must(feed.master.sql("DELETE FROM cdr.t WHERE id > 150"));
    feed.caught_up().await;
    let [source, target] = feed.both("SELECT COUNT(*), SUM(id) FROM cdr.t");
    assert_eq!(source, target);
    conn.disconnect().await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_names_or_a_table_without_key_is_refused_clearly() {
    let feed = Feed::start().await;
    must(feed.master.sql("CREATE TABLE cdr.keyless (a INT); INSERT INTO cdr.keyless VALUES (1)"));
    let trouble = || feed.progress.trouble().unwrap_or_default();
    wait_until("the applier says why it stands", SOON, || trouble().contains("`cdr`.`keyless` has no primary key"));

    let feed = Feed::start().await;
    must(feed.master.sql("SET GLOBAL binlog_row_metadata = 'NO_LOG'; INSERT INTO cdr.t (id, part) VALUES (1, 0)"));
    let trouble = || feed.progress.trouble().unwrap_or_default();
    wait_until("the applier says why it stands", SOON, || trouble().contains("binlog_row_metadata=FULL"));
}
