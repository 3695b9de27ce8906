//! The figures of `stats_mysql_global`, by ProxySQL's names where it has one.
//!
//! They are sums over all workers and backends, read while the traffic goes on, so they need not agree with each other
//! to the last statement. Names that ProxySQL has and that have no meaning here are 0.

use crate::admin::feed::{Figure, figure};
use crate::app::view::View;
use crate::backend::Backend;
use crate::backend::record::Asked;
use crate::session::Session;
use crate::session::link::Link;
use crate::session::state::pins::Pins;
use crate::session::worker::registry::Activity;
use crate::sql::effects::Verb;
use std::sync::Arc;

/// All of them, by name.
pub fn figures(view: &View) -> Vec<Figure> {
    let backends = view.snapshot().topology.backends();
    let mut figures = process(view);
    figures.extend(clients(view));
    figures.extend(statements(view));
    figures.extend(prepared(view));
    figures.extend(servers(view, &backends));
    figures.extend(checks(&backends));
    figures.extend(own(view));
    figures.extend(NEVER.iter().map(|name| figure(name, 0)));
    figures.sort();
    figures
}

fn process(view: &View) -> Vec<Figure> {
    let snapshot = view.snapshot();
    vec![
        figure("ProxySQL_Uptime", view.uptime().as_secs()),
        figure("MySQL_Thread_Workers", view.workers()),
        figure("Servers_table_version", snapshot.version),
        figure("mysql_listener_paused", u8::from(view.is_paused())),
        figure("mysql_session_internal_bytes", view.clients() * size_of::<Session>()),
        // One worker's buffers are for both sides.
        figure("mysql_frontend_buffers_bytes", view.count(|c| &c.buffer_bytes)),
    ]
}

fn clients(view: &View) -> Vec<Figure> {
    let sessions = view.sessions();
    let busy = sessions.iter().filter(|(_, s)| s.activity == Activity::Busy).count();
    let in_transaction = sessions.iter().filter(|(_, s)| s.pins.contains(Pins::TRANSACTION)).count();
    let (signed_in, too_many) = (view.count(|c| &c.sign_ins), view.count(|c| &c.too_many_clients));
    let turned_away = view.count(|c| &c.sign_in_failures) + too_many;
    vec![
        figure("Active_Transactions", in_transaction),
        figure("Client_Connections_aborted", turned_away),
        figure("Client_Connections_connected", view.clients()),
        figure("Client_Connections_created", signed_in + turned_away),
        figure("Client_Connections_non_idle", busy),
        figure("Access_Denied_Wrong_Password", view.count(|c| &c.denied)),
        figure("Access_Denied_Max_Connections", too_many),
        figure("Access_Denied_Max_User_Connections", view.count(|c| &c.too_many_sessions)),
        figure("Queries_frontends_bytes_recv", view.count(|c| &c.client_bytes_received)),
        figure("Queries_frontends_bytes_sent", view.count(|c| &c.client_bytes_sent)),
    ]
}

fn statements(view: &View) -> Vec<Figure> {
    let commands = view.commands();
    let of = |verb: Verb| commands.get(verb as usize).map_or(0, |sum| sum.count);
    let init_db = view.count(|c| &c.front.init_db);
    vec![
        figure("Questions", view.count(|c| &c.statements)),
        figure("Slow_queries", view.count(|c| &c.slow)),
        figure("generated_error_packets", view.count(|c| &c.errors)),
        figure("mysql_killed_backend_queries", view.count(|c| &c.killed_queries)),
        figure("Com_autocommit", view.count(|c| &c.front.set_autocommit)),
        figure("Com_commit", of(Verb::Commit)),
        figure("Com_rollback", of(Verb::Rollback)),
        figure("Com_frontend_init_db", init_db),
        figure("Com_frontend_set_names", view.count(|c| &c.front.set_names)),
        // COM_INIT_DB is counted among the commands as what it means.
        figure("Com_frontend_use_db", of(Verb::Use).saturating_sub(init_db)),
        figure("Com_frontend_stmt_prepare", view.count(|c| &c.front.prepare)),
        figure("Com_frontend_stmt_execute", view.count(|c| &c.front.execute)),
        figure("Com_frontend_stmt_close", view.count(|c| &c.front.close)),
        figure("Com_backend_change_user", view.count(|c| &c.behind.reset)),
        figure("Com_backend_init_db", view.count(|c| &c.behind.init_db)),
        figure("Com_backend_set_names", view.count(|c| &c.behind.set_names)),
        figure("Com_backend_stmt_prepare", view.count(|c| &c.behind.prepare)),
        figure("Com_backend_stmt_execute", view.count(|c| &c.behind.execute)),
        figure("Com_backend_stmt_close", view.count(|c| &c.behind.close)),
    ]
}

/// Each worker tells texts apart for itself: a text that two have counts twice among the unique ones.
fn prepared(view: &View) -> Vec<Figure> {
    vec![
        figure("Stmt_Client_Active_Total", view.count(|c| &c.text_clients)),
        figure("Stmt_Client_Active_Unique", view.count(|c| &c.texts)),
        figure("Stmt_Server_Active_Total", view.count(|c| &c.text_servers)),
        figure("Stmt_Server_Active_Unique", view.count(|c| &c.server_texts)),
        figure("Stmt_Cached", view.count(|c| &c.texts)),
        figure("Stmt_Max_Stmt_id", view.highest(|c| &c.text_number)),
    ]
}

fn servers(view: &View, backends: &[Arc<Backend>]) -> Vec<Figure> {
    let (mut sent, mut received, mut time_us) = (0, 0, 0);
    view.places(&view.snapshot(), |place| {
        sent += place.tally.bytes_sent.get();
        received += place.tally.bytes_received.get();
        time_us += place.tally.sum_us.get();
    });
    let open: u64 = backends.iter().map(|b| u64::from(b.open())).sum();
    let (made, gets) = (view.count(|c| &c.connects), view.count(|c| &c.pool_gets));
    let (timeouts, failed) =
        (view.count(|c| &c.pool_timeouts), backends.iter().map(|b| b.record.counts().1).sum::<u64>());
    vec![
        figure("Server_Connections_connected", open),
        figure("Server_Connections_created", made),
        figure("Server_Connections_aborted", failed),
        figure("Server_Connections_delayed", view.count(|c| &c.pool_waits)),
        figure("ConnPool_get_conn_success", gets),
        // Those that were there already.
        figure("ConnPool_get_conn_immediate", gets.saturating_sub(made)),
        figure("ConnPool_get_conn_failure", timeouts),
        figure("ConnPool_memory_bytes", open * size_of::<Link>() as u64),
        figure("MyHGM_myconnpoll_get", gets + timeouts),
        figure("MyHGM_myconnpoll_get_ok", gets),
        figure("MyHGM_myconnpoll_push", view.count(|c| &c.pool_puts)),
        figure("MyHGM_myconnpoll_reset", view.count(|c| &c.behind.reset)),
        figure("MyHGM_myconnpoll_destroy", made.saturating_sub(open)),
        figure("max_connect_timeouts", timeouts),
        figure("Queries_backends_bytes_sent", sent),
        figure("Queries_backends_bytes_recv", received),
        figure("Backend_query_time_nsec", time_us * 1_000),
    ]
}

fn checks(backends: &[Arc<Backend>]) -> Vec<Figure> {
    let mut figures = vec![figure("MySQL_Monitor_Workers", 1), figure("MySQL_Monitor_Workers_Started", 1)];
    for (asked, good, bad) in [
        (Asked::Connect, "MySQL_Monitor_connect_check_OK", "MySQL_Monitor_connect_check_ERR"),
        (Asked::Ping, "MySQL_Monitor_ping_check_OK", "MySQL_Monitor_ping_check_ERR"),
        (Asked::Lag, "MySQL_Monitor_replication_lag_check_OK", "MySQL_Monitor_replication_lag_check_ERR"),
        (Asked::ReadOnly, "MySQL_Monitor_read_only_check_OK", "MySQL_Monitor_read_only_check_ERR"),
    ] {
        let [succeeded, failed] = backends
            .iter()
            .map(|backend| backend.record.outcomes(asked))
            .fold([0, 0], |sum, one| [sum[0] + one[0], sum[1] + one[1]]);
        figures.extend([figure(good, succeeded), figure(bad, failed)]);
    }
    figures
}

/// What ProxySQL has no name for.
fn own(view: &View) -> Vec<Figure> {
    vec![
        figure("Switchboard_unproven", view.count(|c| &c.unproven)),
        figure("Switchboard_retries", view.count(|c| &c.retries)),
        figure("Switchboard_fallbacks", view.count(|c| &c.fallbacks)),
        figure("Switchboard_state_syncs", view.count(|c| &c.syncs)),
        figure("Switchboard_plan_hits", view.count(|c| &c.plan_text_hits) + view.count(|c| &c.plan_digest_hits)),
        figure("Switchboard_plan_misses", view.count(|c| &c.plan_misses)),
    ]
}

/// What never happens here, so that 0 is the true figure: there is no query cache and no mirror, no COMMIT is kept from a
/// server, no session is locked to a hostgroup, a session that a server's lag or drain finds there stays, sessions share
/// buffers with their servers' side, and GTIDs decide nothing.
const NEVER: [&str; 27] = [
    "Client_Connections_hostgroup_locked",
    "Com_autocommit_filtered",
    "Com_commit_filtered",
    "Com_rollback_filtered",
    "ConnPool_get_conn_latency_awareness",
    "GTID_consistent_queries",
    "GTID_session_collected",
    "Mirror_concurrency",
    "Mirror_queue_length",
    "MySQL_Monitor_Workers_Aux",
    "Query_Cache_Entries",
    "Query_Cache_Memory_bytes",
    "Query_Cache_Purged",
    "Query_Cache_bytes_IN",
    "Query_Cache_bytes_OUT",
    "Query_Cache_count_GET",
    "Query_Cache_count_GET_OK",
    "Query_Cache_count_SET",
    "backend_lagging_during_query",
    "backend_offline_during_query",
    "client_host_error_killed_connections",
    "hostgroup_locked_queries",
    "hostgroup_locked_set_cmds",
    "mysql_backend_buffers_bytes",
    "mysql_killed_backend_connections",
    // Not measured: it would cost a look at the clock for each statement.
    "Query_Processor_time_nsec",
    // Not counted.
    "Selects_for_update__autocommit0",
];
