//! Failover within a writer hostgroup: writes follow the server that is writable, whoever says nothing stays what it is, and a
//! writer that stands alone is the configuration's affair.

mod admin_support;
mod common;
mod traffic_support;

use admin_support::{connect, rows};
use common::http::{get, metrics};
use common::{Fault, FaultProxy, MariaDb, MySql, Options, Router, wait_until};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use traffic_support::{config, options, without_exemption};

const WAIT: Duration = Duration::from_secs(30);
const OUT: &str = "no new writes go there";
const IN: &str = "it is writable, and takes writes";

const HEALTH: &str = "read_your_writes = \"0s\"\n[health]\ninterval = \"100ms\"\nretry_interval = \"50ms\"\ntimeout = \"2s\"\n\
    username = \"app\"\npassword = \"app-secret\"\n[http]\naddress = \"{http}\"\n[admin]\naddress = \"{admin}\"\n[[admin.user]]\n\
    username = \"admin\"\npassword = \"admin-pw\"\nrole = \"admin\"\n";

/// A router whose writers and readers are both of these servers.
fn router_of_pair(one: u16, other: u16) -> Router {
    let text = config(one, other, HEALTH);
    let text = text.replace("[[backend]]\nhostgroup = 10", "[[backend]]\nhostgroups = [10, 20]");
    Router::with_config(&text.replace("[[backend]]\nhostgroup = 20", "[[backend]]\nhostgroups = [10, 20]"), &[])
}

/// A router with one writer, which is its reader too.
fn router_of_one(port: u16, check_read_only: Option<bool>) -> Router {
    let text = config(port, port, &format!("{HEALTH}[timeouts]\nwriter_wait = \"0s\"\n"));
    let key = check_read_only.map(|on| format!("role = \"writer\"\ncheck_read_only = {on}"));
    Router::with_config(&text.replace("role = \"writer\"", key.as_deref().unwrap_or("role = \"writer\"")), &[])
}

/// Rows of the admin port, columns separated by `|`.
async fn admin(router: &Router, sql: &str) -> Vec<String> {
    rows(&mut connect(router, "admin").await, sql).await
}

/// What the page for metrics says of the writer at `port`; nothing where it is not asked.
fn gauge(router: &Router, port: u16) -> Option<f64> {
    let key = format!("switchboard_backend_read_only{{hostgroup=\"10\",backend=\"127.0.0.1:{port}\"}}");
    metrics(router).get(&key).copied()
}

/// The backends that the status page marks as read-only: hostgroup and port.
fn marked(router: &Router) -> Vec<(u64, u16)> {
    let status: serde_json::Value = serde_json::from_str(&get(router, "/api/status").1).unwrap();
    let mut found = Vec::new();
    for group in status["hostgroups"].as_array().unwrap() {
        for backend in group["backends"].as_array().unwrap() {
            if backend["read_only"].as_bool().unwrap() {
                let port = backend["name"].as_str().unwrap().rsplit_once(':').unwrap().1;
                found.push((group["id"].as_u64().unwrap(), port.parse().unwrap()));
            }
        }
    }
    found
}

/// What an application saw that wrote all the time.
#[derive(Default)]
struct Writing {
    /// Rows that were acknowledged, and when.
    written: Vec<(u32, Instant)>,
    /// What the other writes got.
    errors: Vec<String>,
}

impl Writing {
    fn take(&mut self, id: u32, result: Result<(), Error>) {
        match result {
            Ok(()) => self.written.push((id, Instant::now())),
            Err(Error::Server(error)) => self.errors.push(format!("{}: {}", error.code, error.message)),
            Err(error) => panic!("the session was lost: {error}"),
        }
    }
}

/// Writes rows one after the other through one session, until `stop`.
async fn write_on(router: &Router, stop: Arc<AtomicBool>, seen: Arc<Mutex<Writing>>) -> tokio::task::JoinHandle<()> {
    let mut conn = Conn::new(options(router, Some("fo"))).await.unwrap();
    tokio::spawn(async move {
        let mut id = 0;
        while !stop.load(Relaxed) {
            id += 1;
            let result = conn.query_drop(format!("INSERT INTO t VALUES ({id})")).await;
            seen.lock().unwrap().take(id, result);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
}

fn ids(server: &MariaDb) -> Vec<u32> {
    server.sql("SELECT id FROM fo.t").unwrap().into_iter().map(|row| row[0].parse().unwrap()).collect()
}

/// Complaints 24 and 25. The roles of a master and its replica are swapped as a failover does it, twice, while an application
/// writes: no write is lost, none lands on the wrong server, and the router follows within seconds, by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_followed_under_traffic() {
    let master = MariaDb::master();
    master.sql("CREATE DATABASE fo; CREATE TABLE fo.t (id INT PRIMARY KEY)").unwrap();
    let replica = MariaDb::replica_of(&master);
    for server in [&master, &replica] {
        without_exemption(server);
    }
    replica.sql("SET GLOBAL read_only = 1").unwrap();
    let router = router_of_pair(master.port(), replica.port());
    wait_until("the replica is left out", WAIT, || router.log().contains(OUT));
    let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Writing::default())));
    let writer = write_on(&router, Arc::clone(&stop), Arc::clone(&seen)).await;
    let written = || seen.lock().unwrap().written.len();
    wait_until("rows are written", WAIT, || written() > 50);
    assert!(seen.lock().unwrap().errors.is_empty(), "{:?}", seen.lock().unwrap().errors);
    // There.
    master.sql("SET GLOBAL read_only = 1").unwrap();
    let position = master.value("SELECT @@gtid_binlog_pos").unwrap();
    assert_eq!(replica.value(&format!("SELECT MASTER_GTID_WAIT('{position}', 10)")).unwrap(), "0");
    let of_master = ids(&master).len();
    replica.sql("STOP SLAVE; SET GLOBAL read_only = 0").unwrap();
    let swapped = Instant::now();
    let before = written();
    wait_until("rows are written again", WAIT, || written() > before + 50);
    let followed = seen.lock().unwrap().written[before].1.saturating_duration_since(swapped);
    assert!(followed < Duration::from_secs(5), "it took {followed:?}");
    assert_eq!(ids(&master).len(), of_master, "nothing was written to the old master any more");
    let status = "SELECT port, status FROM runtime_mysql_servers WHERE hostgroup_id = 10 ORDER BY status";
    let (old, new) = (master.port(), replica.port());
    assert_eq!(admin(&router, status).await, [format!("{new}|ONLINE"), format!("{old}|SHUNNED")]);
    let readers = admin(&router, "SELECT status FROM runtime_mysql_servers WHERE hostgroup_id = 20").await;
    assert_eq!(readers, ["ONLINE", "ONLINE"], "a read-only server is a good reader");
    assert_eq!((gauge(&router, old), gauge(&router, new)), (Some(1.0), Some(0.0)));
    assert!(!metrics(&router).keys().any(|name| name.contains("read_only{hostgroup=\"20\"")), "readers are not asked");
    assert_eq!(marked(&router), [(10, old)], "the picture");
    let why = format!("SELECT readable, why FROM switchboard_freshness WHERE role = 'writer' AND srv_port = {old}");
    assert_eq!(admin(&router, &why).await, ["0|it is read-only, and takes no writes"]);
    let log =
        format!("SELECT DISTINCT read_only FROM monitor.mysql_server_read_only_log WHERE port = {old} ORDER BY 1");
    assert_eq!(admin(&router, &log).await, ["0", "1"]);
    let changes = format!("SELECT from_state, to_state FROM monitor.switchboard_health_log WHERE port = {new}");
    assert_eq!(admin(&router, &changes).await, ["writable|read_only", "read_only|writable"]);
    // And back.
    replica.sql("SET GLOBAL read_only = 1").unwrap();
    let of_replica = ids(&replica).len();
    master.sql("SET GLOBAL read_only = 0").unwrap();
    let before = written();
    wait_until("rows are written again", WAIT, || written() > before + 50);
    stop.store(true, Relaxed);
    writer.await.unwrap();
    assert_eq!(ids(&replica).len(), of_replica);
    let seen = seen.lock().unwrap();
    let kept: std::collections::HashSet<u32> = ids(&master).into_iter().chain(ids(&replica)).collect();
    assert!(seen.written.iter().all(|(id, _)| kept.contains(id)), "an acknowledged row is gone");
    assert_eq!(kept.len(), seen.written.len(), "a row is there that was refused");
    assert_eq!(seen.errors, [] as [String; 0], "while none was writable, writes waited");
}

/// A writer that does not answer this question is neither taken for read-only nor, if it was, for writable.
#[tokio::test]
async fn who_does_not_answer_stays_what_it_is() {
    let (writer, other) = (MariaDb::start(Options::named("writer")), MariaDb::start(Options::named("other")));
    other.sql("SET GLOBAL read_only = 1").unwrap();
    let proxy = |server: &MariaDb| FaultProxy::start((std::net::Ipv4Addr::LOCALHOST, server.port()).into());
    let links = [proxy(&writer), proxy(&other)];
    let router = router_of_pair(links[0].port(), links[1].port());
    wait_until("the other is left out", WAIT, || router.log().contains(OUT));
    for link in &links {
        link.set(Fault::Withhold("@@global.read_only"));
    }
    let silent = || router.log().matches("it does not say whether it is read-only").count();
    wait_until("neither answers", WAIT, || silent() == 2);
    other.sql("SET GLOBAL read_only = 0").unwrap();
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    for number in 0..20 {
        conn.query_drop(format!("CREATE DATABASE silent_{number}")).await.unwrap();
    }
    let made = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name LIKE 'silent%'";
    assert_eq!((writer.value(made).unwrap(), other.value(made).unwrap()), ("20".to_owned(), "0".to_owned()));
    assert!(!router.log().contains("to=\"down\""), "{}", router.log());
    for link in &links {
        link.set(Fault::None);
    }
    wait_until("it is writable", WAIT, || router.log().contains(IN));
}

/// One writer has nobody to stand in for it: it is asked only if the configuration says so.
#[tokio::test]
async fn a_writer_alone_is_asked_only_where_that_is_wanted() {
    let server = MySql::start(Options::named("mysql"));
    let checked = router_of_one(server.port(), Some(true));
    let unchecked = router_of_one(server.port(), None);
    server.sql("SET GLOBAL super_read_only = 1").unwrap();
    wait_until("it is left out", WAIT, || checked.log().contains(OUT));
    assert_eq!((gauge(&checked, server.port()), gauge(&unchecked, server.port())), (Some(1.0), None));
    assert_eq!((marked(&checked), marked(&unchecked)), (vec![(10, server.port())], vec![]));
    let mut conn = Conn::new(options(&checked, None)).await.unwrap();
    let refused = conn.query_drop("CREATE DATABASE lone").await.unwrap_err().to_string();
    assert!(refused.contains("it is read-only, and takes no writes"), "{refused}");
    let _: u32 = conn.query_first("SELECT 1").await.unwrap().unwrap();
    let mut conn = Conn::new(options(&unchecked, None)).await.unwrap();
    let refused = conn.query_drop("CREATE DATABASE lone").await.unwrap_err().to_string();
    assert!(refused.contains("super-read-only"), "the server's own word: {refused}");
    assert!(admin(&unchecked, "SELECT * FROM monitor.mysql_server_read_only_log").await.is_empty());
    server.sql("SET GLOBAL read_only = 0").unwrap();
    wait_until("it is back", WAIT, || checked.log().contains(IN));
    let mut conn = Conn::new(options(&checked, None)).await.unwrap();
    conn.query_drop("CREATE DATABASE lone").await.unwrap();
}
