//! An estate for tests of traffic: a master, its replica and a router, and the question of where a statement ran.

#![allow(dead_code)]

pub mod raw;

use crate::common::{MariaDb, MySql, Router};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A master and a replica, shared by all tests of a binary, with a router in front.
pub struct Estate {
    pub master: &'static MariaDb,
    pub replica: &'static MariaDb,
    pub router: Router,
}

/// The rules of effect over a writer and a reader; `session` goes to the top of the file.
pub fn config(writer: u16, reader: u16, session: &str) -> String {
    format!(
        r#"
{session}
[listen]
addresses = ["{{listen}}"]
socket = "{{socket}}"
[[hostgroup]]
id = 10
name = "writer"
role = "writer"
[[hostgroup]]
id = 20
name = "reader"
role = "reader"
writer = 10
[[backend]]
hostgroup = 10
address = "127.0.0.1:{writer}"
[[backend]]
hostgroup = 20
address = "127.0.0.1:{reader}"
[[user]]
username = "app"
password = "app-secret"
[[rule]]
rule_id = 1
reader_safe = true
destination_hostgroups = [20, 10]
apply = true
[[rule]]
rule_id = 2
destination_hostgroup = 10
apply = true
"#
    )
}

/// Lets `read_only` hold for the application, too, which has all rights otherwise.
pub fn without_exemption(server: &MariaDb) {
    server.sql("SET sql_log_bin = 0; REVOKE READ ONLY ADMIN, SUPER ON *.* FROM app@'%'").unwrap();
}

impl Estate {
    /// A router of the test's own in front of the shared servers. Reads after writes go to the reader at once, so that tests
    /// see where rules send things; what the window does has a test of its own.
    pub fn new() -> Self {
        Self::with_session("read_your_writes = \"0s\"")
    }

    pub fn with_session(session: &str) -> Self {
        let (master, replica) = MariaDb::shared_pair();
        let router = Router::with_config(&config(master.port(), replica.port(), session), &[]);
        Estate { master, replica, router }
    }

    /// The estate that tests share which change nothing about the router.
    pub fn shared() -> &'static Estate {
        static SHARED: OnceLock<Estate> = OnceLock::new();
        SHARED.get_or_init(Estate::new)
    }

    /// A client in a schema of its own, which both servers have.
    pub async fn client(&self) -> (Conn, String) {
        let schema = self.schema().await;
        (self.connect(Some(&schema)).await, schema)
    }

    /// A new schema on the master, replicated.
    pub async fn schema(&self) -> String {
        let schema = self.master.scratch_schema().unwrap();
        self.catch_up();
        schema
    }

    /// Waits until the replica has what the master has.
    pub fn catch_up(&self) {
        let position = self.master.value("SELECT @@gtid_binlog_pos").unwrap();
        let waited = self.replica.value(&format!("SELECT MASTER_GTID_WAIT('{position}', 10)")).unwrap();
        assert_eq!(waited, "0", "the replica did not catch up");
    }

    pub async fn connect(&self, schema: Option<&str>) -> Conn {
        Conn::new(options(&self.router, schema)).await.unwrap()
    }

    /// Where the statement with this text ran: "master", "replica", "both" or "nowhere". A replica's own log also shows
    /// what replication applied; replicated rows are not logged as statements, so reads are told apart.
    pub fn ran_on(&self, text: &str) -> &'static str {
        match (self.master.saw(text).unwrap(), self.replica.saw(text).unwrap()) {
            (true, false) => "master",
            (false, true) => "replica",
            (true, true) => "both",
            (false, false) => "nowhere",
        }
    }
}

/// Runs `test` for each engine: against the shared MariaDB pair, and against the shared MySQL as writer and reader at once.
/// `session` goes to the top of the configuration. The router, an empty schema that its servers have, and the engine's name.
pub async fn on_both_engines(session: &str, mut test: impl AsyncFnMut(&Router, &str, &str)) {
    let estate = Estate::with_session(&format!("read_your_writes = \"0s\"\n{session}"));
    let schema = estate.schema().await;
    test(&estate.router, &schema, "MariaDB").await;
    let mysql = MySql::shared();
    let text = config(mysql.port(), mysql.port(), &format!("read_your_writes = \"0s\"\n{session}"));
    let router = Router::with_config(&text, &[]);
    test(&router, &mysql.scratch_schema().unwrap(), "MySQL").await;
}

/// Connection options without what mysql_async does on its own.
pub fn options(router: &Router, schema: Option<&str>) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(router.address().port())
        .user(Some("app"))
        .pass(Some("app-secret"))
        .db_name(schema)
        .prefer_socket(false)
        .stmt_cache_size(0)
        .max_allowed_packet(Some(16 << 20))
        .wait_timeout(Some(1000))
}

/// A text that no other statement has.
pub fn tag(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("tag_{name}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The first value of a query's first row, as text.
pub async fn value(conn: &mut Conn, sql: &str) -> String {
    let row: Option<mysql_async::Row> = conn.query_first(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    match row.map(|r| r.unwrap()).and_then(|v| v.into_iter().next()) {
        Some(mysql_async::Value::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Some(mysql_async::Value::NULL) => "NULL".into(),
        Some(other) => format!("{other:?}"),
        None => "no row".into(),
    }
}
