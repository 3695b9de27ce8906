//! The schema `main`: what is edited, and what `runtime_` and `disk` have a twin of.
//!
//! Defaults and checks are those that statements written for ProxySQL count on: a row that its tables took is taken here.

use super::{Table, Unit};

/// Of the two kinds of clusters that have the same columns.
const CLUSTER_HOSTGROUPS: &str = "writer_hostgroup INT CHECK (writer_hostgroup >= 0) NOT NULL PRIMARY KEY, \
    backup_writer_hostgroup INT CHECK (backup_writer_hostgroup >= 0 AND backup_writer_hostgroup <> writer_hostgroup) NOT NULL, \
    reader_hostgroup INT NOT NULL CHECK (reader_hostgroup <> writer_hostgroup AND reader_hostgroup > 0), \
    offline_hostgroup INT NOT NULL CHECK (offline_hostgroup <> writer_hostgroup AND offline_hostgroup >= 0), \
    active INT CHECK (active IN (0,1)) NOT NULL DEFAULT 1, \
    max_writers INT NOT NULL CHECK (max_writers >= 0) DEFAULT 1, \
    writer_is_also_reader INT CHECK (writer_is_also_reader IN (0,1,2)) NOT NULL DEFAULT 0, \
    max_transactions_behind INT CHECK (max_transactions_behind >= 0) NOT NULL DEFAULT 0, \
    comment VARCHAR, \
    UNIQUE (reader_hostgroup), \
    UNIQUE (offline_hostgroup), \
    UNIQUE (backup_writer_hostgroup)";

/// The tables, in the order in which SHOW TABLES has them.
pub const TABLES: &[Table] = &[
    Table {
        name: "mysql_servers",
        body: "hostgroup_id INT CHECK (hostgroup_id >= 0) NOT NULL DEFAULT 0, \
               hostname VARCHAR NOT NULL, \
               port INT CHECK (port >= 0 AND port <= 65535) NOT NULL DEFAULT 3306, \
               gtid_port INT CHECK (gtid_port >= 0 AND gtid_port <= 65535) NOT NULL DEFAULT 0, \
               status VARCHAR CHECK (UPPER(status) IN ('ONLINE','SHUNNED','OFFLINE_SOFT','OFFLINE_HARD')) NOT NULL DEFAULT 'ONLINE', \
               weight INT CHECK (weight >= 0 AND weight <= 10000000) NOT NULL DEFAULT 1, \
               compression INT CHECK (compression IN (0,1)) NOT NULL DEFAULT 0, \
               max_connections INT CHECK (max_connections >= 0) NOT NULL DEFAULT 1000, \
               max_replication_lag INT CHECK (max_replication_lag >= 0 AND max_replication_lag <= 126144000) NOT NULL DEFAULT 0, \
               use_ssl INT CHECK (use_ssl IN (0,1)) NOT NULL DEFAULT 0, \
               max_latency_ms INT UNSIGNED CHECK (max_latency_ms >= 0) NOT NULL DEFAULT 0, \
               comment VARCHAR NOT NULL DEFAULT '', \
               PRIMARY KEY (hostgroup_id, hostname, port)",
    },
    Table {
        name: "mysql_users",
        body: "username VARCHAR NOT NULL, \
               password VARCHAR, \
               active INT CHECK (active IN (0,1)) NOT NULL DEFAULT 1, \
               use_ssl INT CHECK (use_ssl IN (0,1)) NOT NULL DEFAULT 0, \
               default_hostgroup INT NOT NULL DEFAULT 0, \
               default_schema VARCHAR, \
               schema_locked INT CHECK (schema_locked IN (0,1)) NOT NULL DEFAULT 0, \
               transaction_persistent INT CHECK (transaction_persistent IN (0,1)) NOT NULL DEFAULT 1, \
               fast_forward INT CHECK (fast_forward IN (0,1)) NOT NULL DEFAULT 0, \
               backend INT CHECK (backend IN (0,1)) NOT NULL DEFAULT 1, \
               frontend INT CHECK (frontend IN (0,1)) NOT NULL DEFAULT 1, \
               max_connections INT CHECK (max_connections >= 0) NOT NULL DEFAULT 10000, \
               attributes VARCHAR CHECK (JSON_VALID(attributes) OR attributes = '') NOT NULL DEFAULT '', \
               comment VARCHAR NOT NULL DEFAULT '', \
               PRIMARY KEY (username, backend), \
               UNIQUE (username, frontend)",
    },
    Table {
        name: "mysql_query_rules",
        body: "rule_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, \
               active INT CHECK (active IN (0,1)) NOT NULL DEFAULT 0, \
               username VARCHAR, \
               schemaname VARCHAR, \
               flagIN INT CHECK (flagIN >= 0) NOT NULL DEFAULT 0, \
               client_addr VARCHAR, \
               proxy_addr VARCHAR, \
               proxy_port INT CHECK (proxy_port >= 0 AND proxy_port <= 65535), \
               digest VARCHAR, \
               match_digest VARCHAR, \
               match_pattern VARCHAR, \
               negate_match_pattern INT CHECK (negate_match_pattern IN (0,1)) NOT NULL DEFAULT 0, \
               re_modifiers VARCHAR DEFAULT 'CASELESS', \
               flagOUT INT CHECK (flagOUT >= 0), \
               replace_pattern VARCHAR CHECK (CASE WHEN replace_pattern IS NULL THEN 1 WHEN replace_pattern IS NOT NULL AND match_pattern IS NOT NULL THEN 1 ELSE 0 END), \
               destination_hostgroup INT DEFAULT NULL, \
               cache_ttl INT CHECK (cache_ttl > 0), \
               cache_empty_result INT CHECK (cache_empty_result IN (0,1)) DEFAULT NULL, \
               cache_timeout INT CHECK (cache_timeout >= 0), \
               reconnect INT CHECK (reconnect IN (0,1)) DEFAULT NULL, \
               timeout INT UNSIGNED CHECK (timeout >= 0), \
               retries INT CHECK (retries >= 0 AND retries <= 1000), \
               delay INT UNSIGNED CHECK (delay >= 0), \
               next_query_flagIN INT UNSIGNED, \
               mirror_flagOUT INT UNSIGNED, \
               mirror_hostgroup INT UNSIGNED, \
               error_msg VARCHAR, \
               OK_msg VARCHAR, \
               sticky_conn INT CHECK (sticky_conn IN (0,1)), \
               multiplex INT CHECK (multiplex IN (0,1,2)), \
               gtid_from_hostgroup INT UNSIGNED, \
               log INT CHECK (log IN (0,1)), \
               apply INT CHECK (apply IN (0,1)) NOT NULL DEFAULT 0, \
               attributes VARCHAR CHECK (JSON_VALID(attributes) OR attributes = '') NOT NULL DEFAULT '', \
               comment VARCHAR",
    },
    Table {
        name: "mysql_query_rules_fast_routing",
        body: "username VARCHAR NOT NULL, \
               schemaname VARCHAR NOT NULL, \
               flagIN INT NOT NULL DEFAULT 0, \
               destination_hostgroup INT CHECK (destination_hostgroup >= 0) NOT NULL, \
               comment VARCHAR NOT NULL DEFAULT '', \
               PRIMARY KEY (username, schemaname, flagIN)",
    },
    // ProxySQL has writer_hostgroup as the whole key; one writer with several readers is an estate of ours.
    Table {
        name: "mysql_replication_hostgroups",
        body: "writer_hostgroup INT CHECK (writer_hostgroup >= 0) NOT NULL, \
               reader_hostgroup INT NOT NULL CHECK (reader_hostgroup <> writer_hostgroup AND reader_hostgroup >= 0), \
               check_type VARCHAR CHECK (LOWER(check_type) IN ('read_only','innodb_read_only','super_read_only','read_only|innodb_read_only','read_only&innodb_read_only')) NOT NULL DEFAULT 'read_only', \
               comment VARCHAR NOT NULL DEFAULT '', \
               PRIMARY KEY (writer_hostgroup, reader_hostgroup), \
               UNIQUE (reader_hostgroup)",
    },
    Table { name: "mysql_group_replication_hostgroups", body: CLUSTER_HOSTGROUPS },
    Table { name: "mysql_galera_hostgroups", body: CLUSTER_HOSTGROUPS },
    Table {
        name: "mysql_aws_aurora_hostgroups",
        body: "writer_hostgroup INT CHECK (writer_hostgroup >= 0) NOT NULL PRIMARY KEY, \
               reader_hostgroup INT NOT NULL CHECK (reader_hostgroup <> writer_hostgroup AND reader_hostgroup > 0), \
               active INT CHECK (active IN (0,1)) NOT NULL DEFAULT 1, \
               aurora_port INT NOT NULL DEFAULT 3306, \
               domain_name VARCHAR NOT NULL DEFAULT '', \
               max_lag_ms INT NOT NULL CHECK (max_lag_ms >= 10 AND max_lag_ms <= 600000) DEFAULT 600000, \
               check_interval_ms INT NOT NULL CHECK (check_interval_ms >= 100 AND check_interval_ms <= 600000) DEFAULT 1000, \
               check_timeout_ms INT NOT NULL CHECK (check_timeout_ms >= 80 AND check_timeout_ms <= 3000) DEFAULT 800, \
               writer_is_also_reader INT CHECK (writer_is_also_reader IN (0,1)) NOT NULL DEFAULT 0, \
               new_reader_weight INT CHECK (new_reader_weight >= 0 AND new_reader_weight <= 10000000) NOT NULL DEFAULT 1, \
               add_lag_ms INT NOT NULL CHECK (add_lag_ms >= 0 AND add_lag_ms <= 600000) DEFAULT 30, \
               min_lag_ms INT NOT NULL CHECK (min_lag_ms >= 0 AND min_lag_ms <= 600000) DEFAULT 30, \
               lag_num_checks INT NOT NULL CHECK (lag_num_checks >= 1 AND lag_num_checks <= 16) DEFAULT 1, \
               comment VARCHAR, \
               UNIQUE (reader_hostgroup)",
    },
    Table {
        name: "mysql_hostgroup_attributes",
        body: "hostgroup_id INT NOT NULL PRIMARY KEY, \
               max_num_online_servers INT CHECK (max_num_online_servers >= 0 AND max_num_online_servers <= 1000000) NOT NULL DEFAULT 1000000, \
               autocommit INT CHECK (autocommit IN (-1,0,1)) NOT NULL DEFAULT -1, \
               free_connections_pct INT CHECK (free_connections_pct >= 0 AND free_connections_pct <= 100) NOT NULL DEFAULT 10, \
               init_connect VARCHAR NOT NULL DEFAULT '', \
               multiplex INT CHECK (multiplex IN (0,1)) NOT NULL DEFAULT 1, \
               connection_warming INT CHECK (connection_warming IN (0,1)) NOT NULL DEFAULT 0, \
               throttle_connections_per_sec INT CHECK (throttle_connections_per_sec >= 1 AND throttle_connections_per_sec <= 1000000) NOT NULL DEFAULT 1000000, \
               ignore_session_variables VARCHAR CHECK (JSON_VALID(ignore_session_variables) OR ignore_session_variables = '') NOT NULL DEFAULT '', \
               hostgroup_settings VARCHAR CHECK (JSON_VALID(hostgroup_settings) OR hostgroup_settings = '') NOT NULL DEFAULT '', \
               servers_defaults VARCHAR CHECK (JSON_VALID(servers_defaults) OR servers_defaults = '') NOT NULL DEFAULT '', \
               comment VARCHAR NOT NULL DEFAULT ''",
    },
    Table {
        name: "mysql_servers_ssl_params",
        body: "hostname VARCHAR NOT NULL, \
               port INT CHECK (port >= 0 AND port <= 65535) NOT NULL DEFAULT 3306, \
               username VARCHAR NOT NULL DEFAULT '', \
               ssl_ca VARCHAR NOT NULL DEFAULT '', \
               ssl_cert VARCHAR NOT NULL DEFAULT '', \
               ssl_key VARCHAR NOT NULL DEFAULT '', \
               ssl_capath VARCHAR NOT NULL DEFAULT '', \
               ssl_crl VARCHAR NOT NULL DEFAULT '', \
               ssl_crlpath VARCHAR NOT NULL DEFAULT '', \
               ssl_cipher VARCHAR NOT NULL DEFAULT '', \
               tls_version VARCHAR NOT NULL DEFAULT '', \
               comment VARCHAR NOT NULL DEFAULT '', \
               PRIMARY KEY (hostname, port, username)",
    },
    Table {
        name: "mysql_firewall_whitelist_users",
        body: "active INT CHECK (active IN (0,1)) NOT NULL DEFAULT 1, \
               username VARCHAR NOT NULL, \
               client_address VARCHAR NOT NULL, \
               mode VARCHAR CHECK (mode IN ('OFF','DETECTING','PROTECTING')) NOT NULL DEFAULT 'OFF', \
               comment VARCHAR NOT NULL, \
               PRIMARY KEY (username, client_address)",
    },
    Table {
        name: "mysql_firewall_whitelist_rules",
        body: "active INT CHECK (active IN (0,1)) NOT NULL DEFAULT 1, \
               username VARCHAR NOT NULL, \
               client_address VARCHAR NOT NULL, \
               schemaname VARCHAR NOT NULL, \
               flagIN INT NOT NULL DEFAULT 0, \
               digest VARCHAR NOT NULL, \
               comment VARCHAR NOT NULL, \
               PRIMARY KEY (username, client_address, schemaname, flagIN, digest)",
    },
    Table {
        name: "mysql_firewall_whitelist_sqli_fingerprints",
        body: "active INT CHECK (active IN (0,1)) NOT NULL DEFAULT 1, \
               fingerprint VARCHAR NOT NULL, \
               PRIMARY KEY (fingerprint)",
    },
    Table {
        name: "mysql_ldap_mapping",
        body: "priority INTEGER CHECK (priority >= 1 AND priority <= 1000000) PRIMARY KEY NOT NULL, \
               frontend_entity VARCHAR NOT NULL, \
               backend_entity VARCHAR NOT NULL, \
               comment VARCHAR NOT NULL DEFAULT '', \
               UNIQUE (frontend_entity)",
    },
    Table {
        name: "global_variables",
        body: "variable_name VARCHAR NOT NULL PRIMARY KEY, \
               variable_value VARCHAR NOT NULL",
    },
    Table {
        name: "scheduler",
        body: "id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, \
               active INT CHECK (active IN (0,1)) NOT NULL DEFAULT 1, \
               interval_ms INTEGER CHECK (interval_ms >= 100 AND interval_ms <= 100000000) NOT NULL, \
               filename VARCHAR NOT NULL, \
               arg1 VARCHAR, \
               arg2 VARCHAR, \
               arg3 VARCHAR, \
               arg4 VARCHAR, \
               arg5 VARCHAR, \
               comment VARCHAR NOT NULL DEFAULT ''",
    },
    Table {
        name: "restapi_routes",
        body: "id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, \
               active INT CHECK (active IN (0,1)) NOT NULL DEFAULT 1, \
               timeout_ms INTEGER CHECK (timeout_ms >= 100 AND timeout_ms <= 100000000) NOT NULL, \
               method VARCHAR NOT NULL CHECK (UPPER(method) IN ('GET','POST')), \
               uri VARCHAR NOT NULL, \
               script VARCHAR NOT NULL, \
               comment VARCHAR NOT NULL DEFAULT '', \
               UNIQUE (method, uri)",
    },
    Table {
        name: "proxysql_servers",
        body: "hostname VARCHAR NOT NULL, \
               port INT NOT NULL DEFAULT 6032, \
               weight INT CHECK (weight >= 0) NOT NULL DEFAULT 0, \
               comment VARCHAR NOT NULL DEFAULT '', \
               PRIMARY KEY (hostname, port)",
    },
    // Ours: what a hostgroup is, beyond its number.
    Table {
        name: "switchboard_hostgroups",
        body: "hostgroup_id INTEGER PRIMARY KEY NOT NULL, \
               name VARCHAR NOT NULL DEFAULT '', \
               role VARCHAR CHECK (role IN ('writer','reader')) NOT NULL DEFAULT 'reader', \
               writer_hostgroup INT, \
               horizon VARCHAR, \
               policy VARCHAR NOT NULL DEFAULT 'least_outstanding', \
               check_read_only INT CHECK (check_read_only IN (0,1))",
    },
    // Ours: the conditions of a rule that ProxySQL has not. Lists are separated by commas.
    Table {
        name: "switchboard_rules",
        body: "rule_id INTEGER PRIMARY KEY NOT NULL, \
               effect VARCHAR, \
               reader_safe INT CHECK (reader_safe IN (0,1)), \
               tables VARCHAR, \
               horizon VARCHAR, \
               older_than VARCHAR, \
               hint VARCHAR, \
               destination_hostgroups VARCHAR",
    },
    // Ours: which column says when a row was.
    Table {
        name: "switchboard_tables",
        body: "name VARCHAR PRIMARY KEY NOT NULL, \
               time_columns VARCHAR NOT NULL, \
               unit VARCHAR CHECK (unit IN ('datetime','epoch_seconds','epoch_millis')) NOT NULL DEFAULT 'datetime'",
    },
];

/// The unit that a table goes with.
pub fn unit(table: &str) -> Unit {
    match table {
        "mysql_users" => Unit::Users,
        "mysql_query_rules" | "mysql_query_rules_fast_routing" | "switchboard_rules" | "switchboard_tables" => {
            Unit::Rules
        }
        "mysql_firewall_whitelist_users"
        | "mysql_firewall_whitelist_rules"
        | "mysql_firewall_whitelist_sqli_fingerprints" => Unit::Firewall,
        "mysql_ldap_mapping" => Unit::Ldap,
        "scheduler" => Unit::Scheduler,
        "restapi_routes" => Unit::RestApi,
        "proxysql_servers" => Unit::ProxySqlServers,
        "global_variables" => Unit::MysqlVariables,
        _ => Unit::Servers,
    }
}

/// Tables of `main` that are not edited: they have no twin.
pub const FIXED: &[Table] = &[
    Table {
        name: "runtime_checksums_values",
        body: "name VARCHAR NOT NULL, version INT NOT NULL, epoch INT NOT NULL, checksum VARCHAR NOT NULL, \
               PRIMARY KEY (name)",
    },
    Table {
        name: "mysql_collations",
        body: "Id INTEGER NOT NULL PRIMARY KEY, Collation VARCHAR NOT NULL, Charset VARCHAR NOT NULL, \
               \"Default\" VARCHAR NOT NULL",
    },
    Table {
        name: "switchboard_config_history",
        body: "version INTEGER PRIMARY KEY NOT NULL, time VARCHAR NOT NULL, author VARCHAR NOT NULL, \
               source VARCHAR NOT NULL, change VARCHAR NOT NULL, diff VARCHAR NOT NULL",
    },
];
