//! The definitions of the tables of the schema `stats`: what the router counts.
//!
//! A table is filled anew just before a statement that names it, with rows of [`crate::admin::feed`]. Columns are
//! ProxySQL's, and figures that only this router has are in tables of their own.

use super::Table;

/// Of `stats_proxysql_message_metrics`, and of its twin that forgets.
const MESSAGES: &str = "message_id VARCHAR, \
    filename VARCHAR, \
    line INT, \
    func VARCHAR, \
    count_star INT, \
    first_seen INT, \
    last_seen INT";

/// Of `stats_mysql_query_digest`, and of its twin that forgets.
const DIGESTS: &str = "hostgroup INT, \
    schemaname VARCHAR, \
    username VARCHAR, \
    client_address VARCHAR, \
    digest VARCHAR, \
    digest_text VARCHAR, \
    count_star INT, \
    first_seen INT, \
    last_seen INT, \
    sum_time INT, \
    min_time INT, \
    max_time INT, \
    sum_rows_affected INT, \
    sum_rows_sent INT";

/// Of `stats_mysql_errors`, and of its twin that forgets.
const ERRORS: &str = "hostgroup INT, \
    hostname VARCHAR, \
    port INT, \
    username VARCHAR, \
    client_address VARCHAR, \
    schemaname VARCHAR, \
    errno INT, \
    count_star INT, \
    first_seen INT, \
    last_seen INT, \
    last_error VARCHAR";

/// The columns of `stats_mysql_connection_pool`: its own, its twin's that forgets, and those of its history.
macro_rules! pool_columns {
    () => {
        "hostgroup INT, \
         srv_host VARCHAR, \
         srv_port INT, \
         status VARCHAR, \
         ConnUsed INT, \
         ConnFree INT, \
         ConnOK INT, \
         ConnERR INT, \
         MaxConnUsed INT, \
         Queries INT, \
         Queries_GTID_sync INT, \
         Bytes_data_sent INT, \
         Bytes_data_recv INT, \
         Latency_us INT"
    };
}
pub(super) use pool_columns;

/// Of `stats_mysql_client_host_cache`, and of its twin that forgets.
const CLIENT_HOSTS: &str = "client_address VARCHAR, \
    error_count INT, \
    last_updated INT";

/// The tables, in the order in which SHOW TABLES has them.
pub const TABLES: &[Table] = &[
    // Ours: servers that take nothing new, and what they still have.
    Table {
        name: "switchboard_draining",
        body: "srv_host VARCHAR, srv_port INT, status VARCHAR, sessions INT, connections INT, seconds INT, done INT",
    },
    // Ours: the hostgroups of each route, in order, and which of them would take a statement now.
    Table {
        name: "switchboard_tiers",
        body: "route VARCHAR, \
               rule_id INT, \
               username VARCHAR, \
               tier INT, \
               hostgroup INT, \
               name VARCHAR, \
               role VARCHAR, \
               horizon VARCHAR, \
               writer_hostgroup INT, \
               servers INT, \
               servers_ready INT, \
               servers_lagging INT, \
               state VARCHAR, \
               takes INT",
    },
    // Ours: the ways that statements took.
    Table {
        name: "switchboard_routes",
        body: "hostgroup INT, \
               rule_id INT, \
               reason VARCHAR, \
               tier INT, \
               fallback INT, \
               count_star INT, \
               first_seen INT, \
               last_seen INT",
    },
    // Ours: statements of which something is not proven.
    Table {
        name: "switchboard_unproven",
        body: "what VARCHAR, \
               reason VARCHAR, \
               hostgroup INT, \
               schemaname VARCHAR, \
               username VARCHAR, \
               digest VARCHAR, \
               digest_text VARCHAR, \
               count_star INT, \
               first_seen INT, \
               last_seen INT",
    },
    // Ours: how far behind servers are, as the router knows it: by their replication, and by heartbeats.
    Table {
        name: "switchboard_freshness",
        body: "hostgroup INT, \
               srv_host VARCHAR, \
               srv_port INT, \
               role VARCHAR, \
               lag_signal VARCHAR, \
               lag_seconds INT, \
               max_replication_lag INT, \
               applied_position VARCHAR, \
               applied_gtid VARCHAR, \
               asked_ms_ago INT, \
               readable INT, \
               why VARCHAR, \
               read_your_writes_ms INT, \
               feed VARCHAR, \
               freshness VARCHAR, \
               behind_ms INT, \
               watermark_ms_ago INT, \
               heartbeat INT, \
               heartbeat_ms INT, \
               freshness_why VARCHAR, \
               distortion VARCHAR",
    },
    Table {
        name: "stats_memory_metrics",
        body: "Variable_Name VARCHAR, \
               Variable_Value VARCHAR",
    },
    Table { name: "stats_mysql_client_host_cache", body: CLIENT_HOSTS },
    Table { name: "stats_mysql_client_host_cache_reset", body: CLIENT_HOSTS },
    Table {
        name: "stats_mysql_commands_counters",
        body: "Command VARCHAR, \
               Total_Time_us INT, \
               Total_cnt INT, \
               cnt_100us INT, \
               cnt_500us INT, \
               cnt_1ms INT, \
               cnt_5ms INT, \
               cnt_10ms INT, \
               cnt_50ms INT, \
               cnt_100ms INT, \
               cnt_500ms INT, \
               cnt_1s INT, \
               cnt_5s INT, \
               cnt_10s INT, \
               cnt_INFs INT",
    },
    Table { name: "stats_mysql_connection_pool", body: pool_columns!() },
    Table { name: "stats_mysql_connection_pool_reset", body: pool_columns!() },
    Table { name: "stats_mysql_errors", body: ERRORS },
    Table { name: "stats_mysql_errors_reset", body: ERRORS },
    Table {
        name: "stats_mysql_free_connections",
        body: "fd INT, \
               hostgroup INT, \
               srv_host VARCHAR, \
               srv_port INT, \
               user VARCHAR, \
               schema VARCHAR, \
               init_connect VARCHAR, \
               time_zone VARCHAR, \
               sql_mode VARCHAR, \
               autocommit VARCHAR, \
               idle_ms INT, \
               statistics VARCHAR, \
               mysql_info VARCHAR",
    },
    Table {
        name: "stats_mysql_global",
        body: "Variable_Name VARCHAR, \
               Variable_Value VARCHAR",
    },
    Table {
        name: "stats_mysql_gtid_executed",
        body: "hostname VARCHAR, \
               port INT, \
               gtid_executed VARCHAR, \
               events INT",
    },
    Table {
        name: "stats_mysql_prepared_statements_info",
        body: "global_stmt_id INT, \
               schemaname VARCHAR, \
               username VARCHAR, \
               digest VARCHAR, \
               ref_count_client INT, \
               ref_count_server INT, \
               num_columns INT, \
               num_params INT, \
               query VARCHAR",
    },
    Table {
        name: "stats_mysql_processlist",
        body: "ThreadID INT, \
               SessionID INT, \
               user VARCHAR, \
               db VARCHAR, \
               cli_host VARCHAR, \
               cli_port INT, \
               hostgroup INT, \
               l_srv_host VARCHAR, \
               l_srv_port INT, \
               srv_host VARCHAR, \
               srv_port INT, \
               command VARCHAR, \
               time_ms INT, \
               info VARCHAR, \
               status_flags VARCHAR, \
               extended_info VARCHAR",
    },
    Table { name: "stats_mysql_query_digest", body: DIGESTS },
    Table { name: "stats_mysql_query_digest_reset", body: DIGESTS },
    Table {
        name: "stats_mysql_query_rules",
        body: "rule_id INT, \
               hits INT",
    },
    Table {
        name: "stats_mysql_users",
        body: "username VARCHAR, \
               frontend_connections INT, \
               frontend_max_connections INT",
    },
    Table { name: "stats_proxysql_message_metrics", body: MESSAGES },
    Table { name: "stats_proxysql_message_metrics_reset", body: MESSAGES },
    Table {
        name: "stats_proxysql_servers_checksums",
        body: "hostname VARCHAR, \
               port INT, \
               name VARCHAR, \
               version INT, \
               epoch INT, \
               checksum VARCHAR, \
               changed_at INT, \
               updated_at INT, \
               diff_check INT",
    },
    Table {
        name: "stats_proxysql_servers_clients_status",
        body: "uuid VARCHAR, \
               hostname VARCHAR, \
               port INT, \
               admin_mysql_ifaces VARCHAR, \
               last_seen_at INT",
    },
    Table {
        name: "stats_proxysql_servers_metrics",
        body: "hostname VARCHAR, \
               port INT, \
               weight INT, \
               comment VARCHAR, \
               response_time_ms INT, \
               Uptime_s INT, \
               last_check_ms INT, \
               Queries INT, \
               Client_Connections_connected INT, \
               Client_Connections_created INT",
    },
    Table {
        name: "stats_proxysql_servers_status",
        body: "hostname VARCHAR, \
               port INT, \
               weight INT, \
               master VARCHAR, \
               global_version VARCHAR, \
               check_age_us INT, \
               ping_time_us INT, \
               checks_OK INT, \
               checks_ERR INT",
    },
];
