//! The definitions of the tables of the schema `monitor`: what the checks of the backends found.
//!
//! [`crate::admin::feed`] gives the rows. Tables of checks that this router does not make are there because tools ask
//! for them.

use super::Table;

/// The tables, in the order in which SHOW TABLES has them.
pub const TABLES: &[Table] = &[
    Table {
        name: "mysql_server_aws_aurora_check_status",
        body: "writer_hostgroup INT, \
               hostname VARCHAR, \
               port INT, \
               last_checked_at INT, \
               checks_tot INT, \
               checks_ok INT, \
               last_error VARCHAR",
    },
    Table {
        name: "mysql_server_aws_aurora_failovers",
        body: "writer_hostgroup INT, \
               hostname VARCHAR, \
               inserted_at VARCHAR",
    },
    Table {
        name: "mysql_server_aws_aurora_log",
        body: "hostname VARCHAR, \
               port INT, \
               time_start_us INT, \
               success_time_us INT, \
               error VARCHAR, \
               SERVER_ID VARCHAR, \
               SESSION_ID VARCHAR, \
               LAST_UPDATE_TIMESTAMP VARCHAR, \
               replica_lag_in_milliseconds INT, \
               estimated_lag_ms INT, \
               CPU VARCHAR",
    },
    Table {
        name: "mysql_server_connect_log",
        body: "hostname VARCHAR, \
               port INT, \
               time_start_us INT, \
               connect_success_time_us INT, \
               connect_error VARCHAR",
    },
    Table {
        name: "mysql_server_galera_log",
        body: "hostname VARCHAR, \
               port INT, \
               time_start_us INT, \
               success_time_us INT, \
               primary_partition VARCHAR, \
               read_only INT, \
               wsrep_local_recv_queue INT, \
               wsrep_local_state INT, \
               wsrep_desync VARCHAR, \
               wsrep_reject_queries VARCHAR, \
               wsrep_sst_donor_rejects_queries VARCHAR, \
               pxc_maint_mode VARCHAR, \
               error VARCHAR",
    },
    Table {
        name: "mysql_server_group_replication_log",
        body: "hostname VARCHAR, \
               port INT, \
               time_start_us INT, \
               success_time_us INT, \
               viable_candidate VARCHAR, \
               read_only INT, \
               transactions_behind INT, \
               error VARCHAR",
    },
    Table {
        name: "mysql_server_ping_log",
        body: "hostname VARCHAR, \
               port INT, \
               time_start_us INT, \
               ping_success_time_us INT, \
               ping_error VARCHAR",
    },
    Table {
        name: "mysql_server_read_only_log",
        body: "hostname VARCHAR, \
               port INT, \
               time_start_us INT, \
               success_time_us INT, \
               read_only INT, \
               error VARCHAR",
    },
    Table {
        name: "mysql_server_replication_lag_log",
        body: "hostname VARCHAR, \
               port INT, \
               time_start_us INT, \
               success_time_us INT, \
               repl_lag INT, \
               error VARCHAR",
    },
    // Ours: each change of a backend's health, with its cause.
    Table {
        name: "switchboard_health_log",
        body: "hostname VARCHAR, \
               port INT, \
               time_us INT, \
               from_state VARCHAR, \
               to_state VARCHAR, \
               cause VARCHAR",
    },
];
