//! `stats_mysql_global`: each of ProxySQL's figures that has a meaning here, held against what was really done.

mod admin_support;
mod common;
mod traffic_support;

use admin_support::{connect, estate, process, rows};
use common::{MariaDb, Router};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use traffic_support::options;

const WAIT: Duration = Duration::from_secs(10);

/// ProxySQL 2.7's names, as tools ask for them.
const NAMES: &str = "ProxySQL_Uptime Questions Slow_queries Active_Transactions Client_Connections_aborted \
    Client_Connections_connected Client_Connections_created Client_Connections_non_idle Client_Connections_hostgroup_locked \
    Server_Connections_aborted Server_Connections_connected Server_Connections_created Server_Connections_delayed \
    Com_autocommit Com_commit Com_rollback Com_autocommit_filtered Com_commit_filtered Com_rollback_filtered \
    Com_backend_change_user Com_backend_init_db Com_backend_set_names Com_backend_stmt_prepare Com_backend_stmt_execute \
    Com_backend_stmt_close Com_frontend_init_db Com_frontend_set_names Com_frontend_use_db Com_frontend_stmt_prepare \
    Com_frontend_stmt_execute Com_frontend_stmt_close Queries_backends_bytes_sent Queries_backends_bytes_recv \
    Queries_frontends_bytes_sent Queries_frontends_bytes_recv Query_Processor_time_nsec Backend_query_time_nsec \
    ConnPool_get_conn_immediate ConnPool_get_conn_success ConnPool_get_conn_failure ConnPool_get_conn_latency_awareness \
    ConnPool_memory_bytes SQLite3_memory_bytes mysql_backend_buffers_bytes mysql_frontend_buffers_bytes \
    mysql_session_internal_bytes MySQL_Thread_Workers MySQL_Monitor_Workers MySQL_Monitor_Workers_Aux \
    MySQL_Monitor_Workers_Started MySQL_Monitor_connect_check_OK MySQL_Monitor_connect_check_ERR \
    MySQL_Monitor_ping_check_OK MySQL_Monitor_ping_check_ERR MySQL_Monitor_read_only_check_OK \
    MySQL_Monitor_read_only_check_ERR MySQL_Monitor_replication_lag_check_OK MySQL_Monitor_replication_lag_check_ERR \
    MyHGM_myconnpoll_get MyHGM_myconnpoll_get_ok MyHGM_myconnpoll_push MyHGM_myconnpoll_reset MyHGM_myconnpoll_destroy \
    Stmt_Client_Active_Total Stmt_Client_Active_Unique Stmt_Server_Active_Total Stmt_Server_Active_Unique Stmt_Cached \
    Stmt_Max_Stmt_id Mirror_concurrency Mirror_queue_length GTID_consistent_queries GTID_session_collected \
    Servers_table_version Selects_for_update__autocommit0 Access_Denied_Wrong_Password Access_Denied_Max_Connections \
    Access_Denied_Max_User_Connections hostgroup_locked_set_cmds hostgroup_locked_queries \
    mysql_killed_backend_connections mysql_killed_backend_queries backend_lagging_during_query \
    backend_offline_during_query max_connect_timeouts generated_error_packets client_host_error_killed_connections \
    mysql_listener_paused Query_Cache_Memory_bytes Query_Cache_count_GET Query_Cache_count_GET_OK Query_Cache_count_SET \
    Query_Cache_bytes_IN Query_Cache_bytes_OUT Query_Cache_Purged Query_Cache_Entries";

/// One worker, so that what is kept by the worker is one thing.
fn router(more: &str) -> Router {
    let (master, replica) = MariaDb::shared_pair();
    let rule = "[[rule]]\nrule_id = 1\nreader_safe = true\ndestination_hostgroups = [20, 10]\napply = true\n";
    let text = estate(master.port(), replica.port(), &format!("{rule}{more}"));
    Router::with_config(&process("workers = 1"), &[("estate.toml", &text)])
}

async fn figures(admin: &mut Conn) -> BTreeMap<String, u64> {
    let said = rows(admin, "SELECT Variable_Name, Variable_Value FROM stats_mysql_global").await;
    let count = said.len();
    let figures: BTreeMap<_, _> = said
        .into_iter()
        .map(|row| row.split_once('|').map(|(name, value)| (name.to_owned(), value.parse().unwrap())).unwrap())
        .collect();
    assert_eq!(figures.len(), count, "a name stands there twice");
    figures
}

/// Waits until figures have grown by so much since `before`, and by no more.
async fn grown(admin: &mut Conn, before: &BTreeMap<String, u64>, want: &[(&str, u64)]) {
    let until = Instant::now() + WAIT;
    loop {
        let now = figures(admin).await;
        let said: Vec<(&str, u64)> = want.iter().map(|(name, _)| (*name, now[*name] - before[*name])).collect();
        if said == want {
            return;
        }
        assert!(Instant::now() < until, "not {want:#?} but {said:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn every_figure_that_tools_ask_for_is_there() {
    let router = router("");
    let mut stats = connect(&router, "stats").await;
    let figures = figures(&mut stats).await;
    let missing: Vec<&str> = NAMES.split_whitespace().filter(|name| !figures.contains_key(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let memory = "SELECT COUNT(*) FROM stats_memory_metrics WHERE CAST(Variable_Value AS INTEGER) > 1000";
    assert!(rows(&mut stats, memory).await[0].parse::<u32>().unwrap() >= 4);
}

#[tokio::test]
async fn bytes_and_commands_are_counted_on_both_sides() {
    let router = router("");
    let mut stats = connect(&router, "stats").await;
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    conn.query_drop("SELECT 'first'").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = figures(&mut stats).await;
    let statement = "SELECT 'what goes in comes out'";
    for _ in 0..10 {
        conn.query_drop(statement).await.unwrap();
    }
    let bytes = 10 * (5 + statement.len() as u64);
    grown(
        &mut stats,
        &before,
        &[
            ("Queries_frontends_bytes_recv", bytes),
            ("Queries_backends_bytes_sent", bytes),
            ("Questions", 10),
            ("ConnPool_get_conn_success", 10),
            ("ConnPool_get_conn_immediate", 10),
            ("MyHGM_myconnpoll_push", 10),
        ],
    )
    .await;
    let after = figures(&mut stats).await;
    let more = |name: &str| after[name] - before[name];
    assert_eq!(more("Queries_frontends_bytes_sent"), more("Queries_backends_bytes_recv"));
    assert!(more("Queries_frontends_bytes_sent") > 10 * 30);
    for statement in ["SET NAMES latin1", "SET autocommit = 0", "SET autocommit = 1", "BEGIN", "COMMIT", "USE mysql"] {
        conn.query_drop(statement).await.unwrap();
    }
    let prepared = conn.prep("SELECT ? + 1").await.unwrap();
    for value in 0..3 {
        conn.exec_drop(&prepared, (value,)).await.unwrap();
    }
    grown(
        &mut stats,
        &before,
        &[
            ("Com_frontend_set_names", 1),
            ("Com_autocommit", 2),
            ("Com_commit", 1),
            ("Com_rollback", 0),
            ("Com_frontend_use_db", 1),
            ("Com_frontend_stmt_prepare", 1),
            ("Com_frontend_stmt_execute", 3),
            ("Com_backend_stmt_execute", 3),
            ("Com_frontend_stmt_close", 0),
            ("Stmt_Client_Active_Total", 1),
            ("Stmt_Cached", 1),
        ],
    )
    .await;
    let after = figures(&mut stats).await;
    assert!(after["Com_backend_stmt_prepare"] >= 1 && after["Stmt_Server_Active_Total"] >= 1);
    assert!(after["Com_backend_init_db"] >= 1 && after["Com_backend_set_names"] >= 1, "brought along to the reader");
    conn.close(prepared).await.unwrap();
    grown(&mut stats, &before, &[("Com_frontend_stmt_close", 1), ("Stmt_Client_Active_Total", 0)]).await;
}

#[tokio::test]
async fn what_was_slow_refused_killed_and_checked_is_counted() {
    let one = "[[user]]\nusername = \"one\"\npassword = \"one-secret\"\ndefault_hostgroup = 10\nmax_connections = 1\n";
    let router = router(&format!(
        "{one}[log]\nslow_statement = \"150ms\"\n[health]\ninterval = \"100ms\"\nusername = \"app\"\n\
                                 password = \"app-secret\"\n"
    ));
    let mut admin = connect(&router, "admin").await;
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    let before = figures(&mut admin).await;
    conn.query_drop("SELECT SLEEP(0.2)").await.unwrap();
    conn.query_drop("SELECT SLEEP(0)").await.unwrap();
    grown(&mut admin, &before, &[("Slow_queries", 1)]).await;
    let with =
        |user: &str, password: &str| options(&router, None).user(Some(user.to_owned())).pass(Some(password.to_owned()));
    Conn::new(with("app", "wrong")).await.unwrap_err();
    let _first = Conn::new(with("one", "one-secret")).await.unwrap();
    Conn::new(with("one", "one-secret")).await.unwrap_err();
    let turned_away = [
        ("Access_Denied_Wrong_Password", 1),
        ("Access_Denied_Max_User_Connections", 1),
        ("Access_Denied_Max_Connections", 0),
        ("Client_Connections_aborted", 2),
    ];
    grown(&mut admin, &before, &turned_away).await;
    let id = conn.id();
    let killed = tokio::spawn(async move { conn.query_drop("SELECT SLEEP(30)").await });
    let running = format!("SELECT command FROM stats_mysql_processlist WHERE SessionID = {id}");
    let until = Instant::now() + WAIT;
    while rows(&mut admin, &running).await != ["Query"] {
        assert!(Instant::now() < until, "it does not run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    admin.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    tokio::time::timeout(WAIT, killed).await.unwrap().unwrap().ok();
    grown(&mut admin, &before, &[("mysql_killed_backend_queries", 1)]).await;
    let now = figures(&mut admin).await;
    assert!(now["MySQL_Monitor_ping_check_OK"] >= 2 && now["MySQL_Monitor_connect_check_OK"] >= 2);
    assert_eq!((now["MySQL_Monitor_ping_check_ERR"], now["MySQL_Monitor_connect_check_ERR"]), (0, 0));
}

/// ProxySQL moves servers between hostgroups by what they say of `read_only`; whoever counts on that is told.
#[tokio::test]
async fn that_servers_stay_in_their_hostgroups_is_said() {
    let router = router("");
    let mut admin = connect(&router, "admin").await;
    let said = "Warning|1105|mysql_replication_hostgroups: servers stay in their hostgroups";
    for statement in [
        "UPDATE mysql_replication_hostgroups SET check_type = 'innodb_read_only' WHERE reader_hostgroup = 20",
        "LOAD MYSQL SERVERS TO RUNTIME",
    ] {
        admin.query_drop(statement).await.unwrap();
        let warnings = rows(&mut admin, "SHOW WARNINGS").await;
        assert!(warnings.len() == 1 && warnings[0].starts_with(said), "{statement}: {warnings:?}");
    }
    let log = "SELECT COUNT(*) FROM monitor.mysql_server_read_only_log";
    assert_eq!(rows(&mut admin, log).await, ["0"]);
}

#[tokio::test]
async fn figures_over_time_follow_the_traffic_at_the_interval_that_is_set() {
    let router = router("");
    let (mut admin, mut stats) = (connect(&router, "admin").await, connect(&router, "stats").await);
    for part in ["mysql_connections", "mysql_connection_pool", "system_cpu"] {
        admin.query_drop(format!("SET admin-stats_{part} = 1")).await.unwrap();
    }
    admin.query_drop("LOAD ADMIN VARIABLES TO RUNTIME").await.unwrap();
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    for _ in 0..7 {
        conn.query_drop("SELECT 'over time'").await.unwrap();
    }
    let asked = figures(&mut stats).await["Questions"];
    let sampled = format!("SELECT COUNT(*) >= 3 FROM mysql_connections WHERE Questions = {asked}");
    let by_name = "SELECT MAX(CAST(variable_value AS INTEGER)) FROM stats_history.history_mysql_status_variables \
                   JOIN history_mysql_status_variables_lookup USING (variable_id) WHERE variable_name = 'Questions'";
    let sent = "SELECT SUM(Queries) FROM history_stats_mysql_connection_pool \
                WHERE timestamp = (SELECT MAX(timestamp) FROM history_stats_mysql_connection_pool)";
    let now = "SELECT SUM(Queries) FROM stats_mysql_connection_pool";
    let until = Instant::now() + WAIT;
    while rows(&mut stats, &sampled).await != ["1"] {
        assert!(Instant::now() < until, "{:?}", rows(&mut stats, "SELECT * FROM mysql_connections").await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rows(&mut stats, by_name).await, [asked.to_string()]);
    assert_eq!(rows(&mut stats, sent).await, rows(&mut stats, now).await);
    assert!(rows(&mut stats, "SELECT COUNT(*) FROM system_cpu").await[0].parse::<u32>().unwrap() >= 3);
    assert_eq!(rows(&mut stats, "SELECT COUNT(*) FROM system_memory").await, ["1"], "its interval is another");
}
