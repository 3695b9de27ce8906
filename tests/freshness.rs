//! Freshness by heartbeats: a session finds its own writes on whatever server its reads go to, however far behind that is, and a server
//! of which nothing is known is not taken for one that has them.
//!
//! Where a statement ran is the servers' word: their general logs.

mod admin_support;
mod common;
mod traffic_support;

use admin_support::{connect, rows};
use common::http::metrics;
use common::{MariaDb, Options, Router, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::time::{Duration, Instant};
use traffic_support::{config, options, tag, value};

const WAIT: Duration = Duration::from_secs(30);

/// Heartbeats that make their own table, and the admin port.
const TOP: &str = "workers = 2\n[heartbeat]\ncreate = true\ninterval = \"50ms\"\n[health]\nusername = \"app\"\n\
    password = \"app-secret\"\n[http]\naddress = \"{http}\"\n[admin]\naddress = \"{admin}\"\n[[admin.user]]\nusername = \"admin\"\n\
    password = \"admin-pw\"\nrole = \"admin\"\n";

struct Estate {
    master: MariaDb,
    replica: MariaDb,
    router: Router,
}

impl Estate {
    /// A master, its replica and a router; `top` goes to the top of its configuration, `edit` changes the rest.
    fn new(top: &str, edit: impl Fn(String) -> String) -> Self {
        let master = MariaDb::master();
        let replica = MariaDb::replica_of(&master);
        master
            .sql("CREATE DATABASE s; CREATE TABLE s.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(40))")
            .unwrap();
        let text = edit(config(master.port(), replica.port(), &format!("{top}{TOP}")));
        Self { master, replica, router: Router::with_config(&text, &[]) }
    }

    async fn connect(&self) -> Conn {
        Conn::new(options(&self.router, Some("s"))).await.unwrap()
    }

    /// Where a read of this session goes now.
    async fn reads_from(&self, conn: &mut Conn) -> &'static str {
        let marked = tag("read");
        assert_eq!(value(conn, &format!("SELECT '{marked}'")).await, marked);
        if self.replica.saw(&marked).unwrap() { "replica" } else { "master" }
    }

    /// What the admin port says of the reader's freshness.
    async fn freshness(&self) -> String {
        let ask = "SELECT freshness FROM switchboard_freshness WHERE hostgroup = 20";
        rows(&mut connect(&self.router, "admin").await, ask).await.concat()
    }

    async fn wait_for(&self, state: &str) {
        let from = Instant::now();
        while self.freshness().await != state {
            assert!(from.elapsed() < WAIT, "{state}: {}\n{}", self.freshness().await, self.router.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Writes a row, and gives its value.
async fn write(conn: &mut Conn) -> String {
    let marked = tag("write");
    conn.query_drop(format!("INSERT INTO t (v) VALUES ('{marked}')")).await.unwrap();
    marked
}

async fn finds(conn: &mut Conn, marked: &str) -> bool {
    value(conn, &format!("SELECT COUNT(*) FROM t WHERE v = '{marked}'")).await == "1"
}

/// The window of two seconds would be over long before the write is there.
#[tokio::test]
async fn a_session_finds_its_write_however_far_behind_the_reader_is() {
    let estate = Estate::new("read_your_writes = \"100ms\"\n", |text| text);
    let mut conn = estate.connect().await;
    estate.wait_for("fresh").await;
    assert_eq!(estate.reads_from(&mut conn).await, "replica", "it has not written");
    estate.replica.sql("STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 4; START SLAVE").unwrap();
    let (from, mut places) = (Instant::now(), Vec::new());
    let marked = write(&mut conn).await;
    loop {
        assert!(finds(&mut conn, &marked).await, "after {:?}", from.elapsed());
        let place = estate.reads_from(&mut conn).await;
        if places.last() != Some(&place) {
            places.push(place);
        }
        if place == "replica" || from.elapsed() > WAIT {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(places, ["master", "replica"], "{}", estate.router.log());
    assert!(from.elapsed() >= Duration::from_secs(4), "{:?}", from.elapsed());
    assert!(finds(&mut conn, &marked).await, "on the reader");
    // Who has not written is not held.
    let mut other = estate.connect().await;
    assert_eq!(estate.reads_from(&mut other).await, "replica");
}

/// What is near is waited for; a session that goes on reading is not kept on the writer.
#[tokio::test]
async fn a_read_waits_a_little_for_its_write() {
    let estate = Estate::new("read_your_writes_wait = \"2s\"\n", |text| text);
    let mut conn = estate.connect().await;
    estate.wait_for("fresh").await;
    for round in 0..20 {
        let marked = write(&mut conn).await;
        assert!(finds(&mut conn, &marked).await, "round {round}");
        assert_eq!(estate.reads_from(&mut conn).await, "replica", "round {round}: {}", estate.router.log());
    }
    let waits = "switchboard_freshness_waits_total";
    assert!(metrics(&estate.router).get(waits).is_some_and(|waits| *waits > 0.0));
    assert_eq!(metrics(&estate.router).get("switchboard_freshness_wait_timeouts_total"), Some(&0.0));
}

/// Prepared reads, transactions and what was made follow as well; sessions of one user where they are to.
#[tokio::test]
async fn all_that_reads_follows() {
    let estate = Estate::new("read_your_writes_scope = \"user\"\nread_your_writes_wait = \"0s\"\n", |text| text);
    let (mut conn, mut other) = (estate.connect().await, estate.connect().await);
    estate.wait_for("fresh").await;
    estate.replica.sql("STOP SLAVE SQL_THREAD").unwrap();
    let marked = write(&mut conn).await;
    for conn in [&mut conn, &mut other] {
        let sql = "SELECT COUNT(*) FROM t WHERE v = ?";
        assert_eq!(conn.exec_first::<u64, _, _>(sql, (&marked,)).await.unwrap(), Some(1));
        conn.query_drop("START TRANSACTION READ ONLY").await.unwrap();
        assert!(finds(conn, &marked).await);
        conn.query_drop("COMMIT").await.unwrap();
    }
    conn.query_drop("CREATE TABLE made (a INT)").await.unwrap();
    let count = "SELECT COUNT(*) FROM made";
    assert_eq!(conn.exec_first::<u64, _, _>(count, ()).await.unwrap(), Some(0));
    estate.replica.sql("START SLAVE SQL_THREAD").unwrap();
    let from = Instant::now();
    while estate.reads_from(&mut other).await != "replica" {
        assert!(from.elapsed() < WAIT, "{}", estate.router.log());
    }
    assert!(finds(&mut other, &marked).await);
}

/// Unknown is never "no lag": not at the start, not without the right to read, not when the row is gone.
#[tokio::test]
async fn what_is_not_known_proves_nothing() {
    let estate = Estate::new("read_your_writes = \"100ms\"\n", |text| text);
    let mut conn = estate.connect().await;
    estate.wait_for("fresh").await;
    estate.replica.sql("SET sql_log_bin = 0; RENAME TABLE switchboard.heartbeat TO switchboard.elsewhere").unwrap();
    estate.wait_for("unknown").await;
    let why = "SELECT freshness_why FROM switchboard_freshness WHERE hostgroup = 20";
    let why = rows(&mut connect(&estate.router, "admin").await, why).await.concat();
    assert!(why.contains("heartbeat' doesn't exist"), "{why}");
    assert_eq!(estate.reads_from(&mut conn).await, "replica", "who has not written reads there");
    let marked = write(&mut conn).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(finds(&mut conn, &marked).await);
    assert_eq!(estate.reads_from(&mut conn).await, "master", "the window is over, and nothing is known");
    let facts: Vec<(String, String)> = conn.query("EXPLAIN ROUTE SELECT 1").await.unwrap();
    let said = facts.iter().find(|(fact, _)| fact == "freshness").map(|(_, text)| text.as_str());
    assert!(said.is_some_and(|said| said.starts_with("20: 127.0.0.1:") && said.contains("unknown")), "{facts:?}");
    estate.replica.sql("SET sql_log_bin = 0; RENAME TABLE switchboard.elsewhere TO switchboard.heartbeat").unwrap();
    // The replication has stopped at the table that it missed.
    estate.replica.sql("START SLAVE").unwrap();
    let from = Instant::now();
    while estate.reads_from(&mut conn).await != "replica" {
        assert!(from.elapsed() < WAIT, "{}", estate.router.log());
    }
    assert!(finds(&mut conn, &marked).await);
    assert!(estate.router.log().contains("freshness is not known"), "{}", estate.router.log());
}

/// Two routers on one pair: one writes, the other goes by what it finds; when the first ends, the second writes.
#[tokio::test]
async fn of_two_routers_one_writes() {
    let mut estate = Estate::new("", |text| text);
    estate.wait_for("fresh").await;
    let text = config(estate.master.port(), estate.replica.port(), TOP);
    let second = Estate {
        master: MariaDb::start(Options::default()),
        replica: MariaDb::start(Options::default()),
        router: Router::with_config(&text, &[]),
    };
    second.wait_for("fresh").await;
    let by = "SELECT freshness_why FROM switchboard_freshness WHERE hostgroup = 10";
    let by = async |router: &Router| rows(&mut connect(router, "admin").await, by).await.concat();
    assert_eq!(by(&estate.router).await, "written by this router");
    assert_eq!(by(&second.router).await, "written by another router");
    let mut conn = Conn::new(options(&second.router, Some("s"))).await.unwrap();
    estate.replica.sql("STOP SLAVE SQL_THREAD").unwrap();
    let marked = write(&mut conn).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(finds(&mut conn, &marked).await, "no heartbeat is taken for one from after the write");
    estate.replica.sql("START SLAVE SQL_THREAD").unwrap();
    let from = Instant::now();
    loop {
        let read = tag("read");
        assert!(finds(&mut conn, &marked).await);
        value(&mut conn, &format!("SELECT '{read}'")).await;
        if estate.replica.saw(&read).unwrap() {
            break;
        }
        assert!(from.elapsed() < WAIT, "{}", second.router.log());
    }
    estate.router.stop();
    let from = Instant::now();
    while by(&second.router).await != "written by this router" {
        assert!(from.elapsed() < WAIT, "{}", second.router.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A web request follows its user: what one connection wrote is found by another, of another user and through another router.
#[tokio::test]
async fn a_token_carries_a_write_to_another_connection() {
    let estate = Estate::new("read_your_writes_wait = \"0s\"\n", |text| text);
    let mut writer = estate.connect().await;
    estate.wait_for("fresh").await;
    assert_eq!(value(&mut writer, "SELECT @@switchboard_token").await, "", "it has not written");
    estate.replica.sql("STOP SLAVE SQL_THREAD").unwrap();
    let marked = write(&mut writer).await;
    let token = value(&mut writer, "SELECT @@switchboard_token AS t").await;
    assert!(token.contains('-'), "{token}");
    let text = config(estate.master.port(), estate.replica.port(), TOP);
    let second = Router::with_config(&text, &[]);
    let mut others = [estate.connect().await, Conn::new(options(&second, Some("s"))).await.unwrap()];
    for (place, other) in others.iter_mut().enumerate() {
        assert!(!finds(other, &marked).await, "{place}: without the token");
        other.query_drop(format!("SET @@session.switchboard_token = '{token}'")).await.unwrap();
        assert!(finds(other, &marked).await, "{place}: with it");
        assert_eq!(value(other, "SELECT @@switchboard_token").await, token, "it is handed on");
        assert!(finds(other, &marked).await);
    }
    estate.replica.sql("START SLAVE SQL_THREAD").unwrap();
    for other in &mut others {
        let from = Instant::now();
        while estate.reads_from(other).await != "replica" {
            assert!(from.elapsed() < WAIT, "{}", estate.router.log());
            assert!(finds(other, &marked).await);
        }
        assert!(finds(other, &marked).await);
    }
    // What nobody knows is nowhere but on the writer; nothing is asked for any more after DEFAULT.
    let [other, _] = &mut others;
    other.query_drop("SET switchboard_token = '1-ff'").await.unwrap();
    assert_eq!(estate.reads_from(other).await, "master");
    other.query_drop("SET switchboard_token = DEFAULT").await.unwrap();
    assert_eq!(estate.reads_from(other).await, "replica");
    for (sql, code) in [("SET switchboard_token = 'x'", 1231), ("SELECT @@switchboard_token, 1", 1193)] {
        match other.query_drop(sql).await.unwrap_err() {
            mysql_async::Error::Server(error) => assert_eq!(error.code, code, "{sql}: {error}"),
            error => panic!("{sql}: {error}"),
        }
    }
}

/// A feed that changes values on their way is seen within a second.
#[tokio::test]
async fn a_feed_that_changes_values_is_seen() {
    let estate = Estate::new("", |text| text);
    estate.wait_for("fresh").await;
    let distortion = async || {
        let ask = "SELECT distortion FROM switchboard_freshness WHERE hostgroup = 20";
        rows(&mut connect(&estate.router, "admin").await, ask).await.concat()
    };
    assert_eq!(distortion().await, "NULL");
    for (change, what) in [
        ("NEW.instant = NEW.instant + INTERVAL 1 HOUR", "a TIMESTAMP(6) came as"),
        ("NEW.wall = DATE_FORMAT(NEW.wall, '%Y-%m-%d %H:%i:%s')", "a DATETIME(6) came as"),
        ("NEW.letter = '?'", "a character of four bytes came as `3F` for `F09"),
    ] {
        let trigger = format!(
            "SET GLOBAL slave_run_triggers_for_rbr = 'YES'; SET sql_log_bin = 0; \
             CREATE TRIGGER switchboard.changes BEFORE UPDATE ON switchboard.heartbeat FOR EACH ROW SET {change}"
        );
        estate.replica.sql(&trigger).unwrap();
        let from = Instant::now();
        while !distortion().await.contains(what) {
            assert!(from.elapsed() < WAIT, "{what}: {}", distortion().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        estate.replica.sql("SET sql_log_bin = 0; DROP TRIGGER switchboard.changes").unwrap();
        let from = Instant::now();
        while distortion().await != "NULL" {
            assert!(from.elapsed() < WAIT, "{}", distortion().await);
        }
    }
    let log = estate.router.log();
    assert!(log.contains("the feed changes values on their way"), "{log}");
}

/// The checks' account has SUPER here: it could write on a server that is read-only, and must not.
#[tokio::test]
async fn a_server_that_is_read_only_is_not_written_to() {
    let estate = Estate::new("", |text| text);
    estate.wait_for("fresh").await;
    let count = |server: &MariaDb| server.value("SELECT COALESCE(MAX(seq), 0) FROM switchboard.heartbeat").unwrap();
    estate.master.sql("SET GLOBAL read_only = 1").unwrap();
    wait_until("it is said", WAIT, || estate.router.log().contains("the server is read-only"));
    let before = count(&estate.master);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(count(&estate.master), before);
    // Neither the table nor a row is made there.
    estate.master.sql("SET sql_log_bin = 0; DELETE FROM switchboard.heartbeat").unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(count(&estate.master), "0");
    estate.master.sql("SET GLOBAL read_only = 0").unwrap();
    wait_until("it goes on", WAIT, || count(&estate.master) != "0");
}

/// Without a file: heartbeats where the account may, and else the window, which is said.
#[tokio::test]
async fn without_a_file_heartbeats_are_made_where_the_account_may() {
    for may in [true, false] {
        let master = MariaDb::master();
        let replica = MariaDb::replica_of(&master);
        let rights = if may { "ALL" } else { "SELECT" };
        let account = format!("CREATE USER quick@'%' IDENTIFIED BY 'pw'; GRANT {rights} ON *.* TO quick@'%'");
        master.sql(&account).unwrap();
        let (writer, reader) =
            (format!("mysql://quick:pw@127.0.0.1:{}", master.port()), format!("mysql://127.0.0.1:{}", replica.port()));
        let router = Router::start(&["--writer", &writer, "--reader", &reader]);
        let said =
            if may { "reads follow writes by watermark" } else { "reads stay on the writer for read_your_writes" };
        wait_until("it is said", WAIT, || router.log().contains(said));
    }
}

/// The table can be made by hand, by the statements that the command prints, and by the command.
#[test]
fn the_table_is_made_by_the_command() {
    let master = MariaDb::start(Options::default());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("switchboard.toml");
    let text = config(
        master.port(),
        master.port(),
        "[heartbeat]\nschema = \"beats\"\nusername = \"app\"\npassword = \"app-secret\"\n",
    );
    std::fs::write(&file, text.replace("{listen}", "127.0.0.1:0").replace("{socket}", "/nowhere")).unwrap();
    let run = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_switchboard"));
        let output = command.args(["heartbeat", "init", "--config"]).arg(&file).args(more).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, printed, _) = run(&["--print"]);
    assert_eq!(code, Some(0));
    assert!(printed.contains("CREATE TABLE IF NOT EXISTS `beats`.heartbeat"), "{printed}");
    assert!(printed.contains("GRANT SELECT, INSERT, UPDATE ON `beats`.heartbeat TO 'app'@'%'"), "{printed}");
    for _ in 0..2 {
        let (code, said, error) = run(&[]);
        assert_eq!(
            (code, said.trim()),
            (Some(0), &*format!("127.0.0.1:{}: the table is there", master.port())),
            "{error}"
        );
    }
    master.sql("DROP DATABASE beats; GRANT USAGE ON *.* TO app@'%'").unwrap();
    master.sql(&printed).unwrap();
    assert_eq!(master.value("SELECT COUNT(*) FROM beats.heartbeat").unwrap(), "0");
    let without = config(master.port(), master.port(), "");
    std::fs::write(&file, without.replace("{listen}", "127.0.0.1:0").replace("{socket}", "/nowhere")).unwrap();
    let (code, _, error) = run(&[]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("has no [heartbeat]"), "{error}");
}
