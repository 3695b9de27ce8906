//! The definitions of the tables of the schema `stats_history`: what was counted over time.
//!
//! [`crate::admin::stats_history`] fills them as time goes by, and removes what is old. Tables that nothing fills are
//! there because tools ask for them.

use super::Table;
use super::stats::pool_columns;

/// Of `mysql_connections`, by the minute, the hour and the day.
const CONNECTIONS: &str = "timestamp INT NOT NULL, \
    Client_Connections_aborted INT NOT NULL, \
    Client_Connections_connected INT NOT NULL, \
    Client_Connections_created INT NOT NULL, \
    Server_Connections_aborted INT NOT NULL, \
    Server_Connections_connected INT NOT NULL, \
    Server_Connections_created INT NOT NULL, \
    ConnPool_get_conn_failure INT NOT NULL, \
    ConnPool_get_conn_immediate INT NOT NULL, \
    ConnPool_get_conn_success INT NOT NULL, \
    Questions INT NOT NULL, \
    Slow_queries INT NOT NULL, \
    GTID_consistent_queries INT NOT NULL, \
    PRIMARY KEY (timestamp)";

/// Of `myhgm_connections`.
const HOSTGROUPS: &str = "timestamp INT NOT NULL, \
    MyHGM_myconnpoll_destroy INT NOT NULL, \
    MyHGM_myconnpoll_get INT NOT NULL, \
    MyHGM_myconnpoll_get_ok INT NOT NULL, \
    MyHGM_myconnpoll_push INT NOT NULL, \
    MyHGM_myconnpoll_reset INT NOT NULL, \
    PRIMARY KEY (timestamp)";

/// Of `mysql_query_cache`, which nothing fills: there is none here.
const QUERY_CACHE: &str = "timestamp INT NOT NULL, \
    count_GET INT NOT NULL, \
    count_GET_OK INT NOT NULL, \
    count_SET INT NOT NULL, \
    bytes_IN INT NOT NULL, \
    bytes_OUT INT NOT NULL, \
    Entries_Purged INT NOT NULL, \
    Entries_In_Cache INT NOT NULL, \
    Memory_Bytes INT NOT NULL, \
    PRIMARY KEY (timestamp)";

/// Of `system_cpu`.
const CPU: &str = "timestamp INT NOT NULL, tms_utime INT NOT NULL, tms_stime INT NOT NULL, PRIMARY KEY (timestamp)";

/// Of `system_memory`.
const MEMORY: &str = "timestamp INT NOT NULL, \
    allocated INT NOT NULL, \
    resident INT NOT NULL, \
    active INT NOT NULL, \
    mapped INT NOT NULL, \
    metadata INT NOT NULL, \
    retained INT NOT NULL, \
    PRIMARY KEY (timestamp)";

/// The tables, in the order in which SHOW TABLES has them.
pub const TABLES: &[Table] = &[
    Table {
        name: "history_mysql_query_digest",
        body: "dump_time INT, \
               hostgroup INT, \
               schemaname VARCHAR NOT NULL, \
               username VARCHAR NOT NULL, \
               client_address VARCHAR NOT NULL, \
               digest VARCHAR NOT NULL, \
               digest_text VARCHAR NOT NULL, \
               count_star INTEGER NOT NULL, \
               first_seen INTEGER NOT NULL, \
               last_seen INTEGER NOT NULL, \
               sum_time INTEGER NOT NULL, \
               min_time INTEGER NOT NULL, \
               max_time INTEGER NOT NULL, \
               sum_rows_affected INTEGER NOT NULL, \
               sum_rows_sent INTEGER NOT NULL",
    },
    Table {
        name: "history_mysql_status_variables",
        body: "timestamp INT NOT NULL, \
               variable_id INT NOT NULL, \
               variable_value VARCHAR NOT NULL, \
               PRIMARY KEY (timestamp, variable_id)",
    },
    Table {
        name: "history_mysql_status_variables_lookup",
        body: "variable_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, \
               variable_name VARCHAR NOT NULL, \
               UNIQUE (variable_name)",
    },
    Table {
        name: "history_stats_mysql_connection_pool",
        body: concat!(
            "timestamp INT NOT NULL, ",
            pool_columns!(),
            ", PRIMARY KEY (timestamp, hostgroup, srv_host, srv_port)"
        ),
    },
    Table { name: "myhgm_connections", body: HOSTGROUPS },
    Table { name: "myhgm_connections_day", body: HOSTGROUPS },
    Table { name: "myhgm_connections_hour", body: HOSTGROUPS },
    Table { name: "mysql_connections", body: CONNECTIONS },
    Table { name: "mysql_connections_day", body: CONNECTIONS },
    Table { name: "mysql_connections_hour", body: CONNECTIONS },
    Table { name: "mysql_query_cache", body: QUERY_CACHE },
    Table { name: "mysql_query_cache_day", body: QUERY_CACHE },
    Table { name: "mysql_query_cache_hour", body: QUERY_CACHE },
    Table { name: "system_cpu", body: CPU },
    Table { name: "system_cpu_day", body: CPU },
    Table { name: "system_cpu_hour", body: CPU },
    Table { name: "system_memory", body: MEMORY },
    Table { name: "system_memory_day", body: MEMORY },
    Table { name: "system_memory_hour", body: MEMORY },
];
