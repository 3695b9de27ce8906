//! The session variables of an engine and values for each, as its server says them: no list here can be out of date.
//!
//! A server is asked for the variables that a session has, and each is set to its own value: what that succeeds for can be set.
//! Values follow from the present one: another switch position, other numbers (one far too large, which is cut with a warning), and for
//! texts the table below. Left out is what no two servers agree on, what would end or hang a session, and what would cost gigabytes.

use super::player::{ask, tell};
use crate::traffic_support::raw::Raw;
use switchboard::cli::demo::servers::Engine;

/// A variable that a session can set.
#[derive(Clone, Debug)]
pub struct Variable {
    pub name: String,
    /// As they stand behind `=`. The last one may be refused.
    pub values: Vec<String>,
}

/// What the servers of an engine have.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    pub all: Vec<Variable>,
    /// Names whose values differ from server to server, or from moment to moment, as a list of quoted names.
    pub unlike: String,
}

/// Never set: it ends or hangs sessions, costs memory, or changes what other programs see.
const NEVER_SET: [&str; 39] = [
    // MariaDB takes it for a session and sets the server's.
    "sql_slave_skip_counter",
    "wait_timeout",
    "interactive_timeout",
    "net_read_timeout",
    "net_write_timeout",
    "net_retry_count",
    "net_buffer_length",
    "lock_wait_timeout",
    "innodb_lock_wait_timeout",
    "idle_transaction_timeout",
    "idle_readonly_transaction_timeout",
    "idle_write_transaction_timeout",
    "max_statement_time",
    "max_execution_time",
    "transaction_prealloc_size",
    "transaction_alloc_block_size",
    "query_prealloc_size",
    "query_alloc_block_size",
    "range_alloc_block_size",
    "parser_max_mem_size",
    "pseudo_thread_id",
    "pseudo_slave_mode",
    "pseudo_replica_mode",
    "thread_stack",
    "debug_sync",
    "sql_log_bin",
    "sql_log_off",
    "log_slow_rate_limit",
    "slow_query_log",
    "long_query_time",
    "log_slow_query_time",
    "max_tmp_tables",
    "skip_replication",
    "resultset_metadata",
    "xa_detach_on_prepare",
    "max_user_connections",
    "connection_memory_limit",
    "connection_memory_status_limit",
    "max_recursive_iterations",
];

/// Has kinds of its own in the vocabulary.
const OF_ITS_OWN: [&str; 14] = [
    "autocommit",
    "timestamp",
    "insert_id",
    "last_insert_id",
    "identity",
    "rand_seed1",
    "rand_seed2",
    "session_track_system_variables",
    "session_track_schema",
    "session_track_state_change",
    "session_track_transaction_info",
    "session_track_gtids",
    "completion_type",
    "gtid_next",
];

/// Values of texts, by what the name holds. The first that fits is taken.
const TEXTS: [(&str, &[&str]); 18] = [
    (
        "sql_mode",
        &[
            "''",
            "'ANSI_QUOTES'",
            "'STRICT_ALL_TABLES,NO_ZERO_DATE'",
            "'NO_BACKSLASH_ESCAPES'",
            "'ANSI'",
            "'PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE'",
            "'no_such_mode'",
        ],
    ),
    ("collation", &["'utf8mb4_bin'", "latin1_swedish_ci", "'utf8mb4_unicode_ci'", "'binary'", "'no_such'"]),
    ("character_set_results", &["NULL", "'latin1'", "utf8mb4", "binary", "'koi8r'"]),
    ("character_set", &["'latin1'", "utf8mb4", "'cp1251'", "binary", "'no_such'"]),
    ("time_zone", &["'+02:00'", "'-05:30'", "'SYSTEM'", "'UTC'", "'No/Such'"]),
    ("lc_", &["'de_DE'", "'fr_FR'", "'en_US'", "'xx_YY'"]),
    ("isolation", &["'READ-COMMITTED'", "'SERIALIZABLE'", "'READ-UNCOMMITTED'", "'REPEATABLE-READ'", "'NONE'"]),
    ("optimizer_switch", &["'index_merge=off'", "'mrr=on'", "'index_merge=on,mrr=off'", "'default'", "'nothing=on'"]),
    ("optimizer_trace", &["'enabled=on'", "'enabled=off'", "'enabled=2'"]),
    ("storage_engine", &["'MyISAM'", "MEMORY", "InnoDB", "'no_such'"]),
    ("old_mode", &["''", "'UTF8_IS_UTF8MB3'", "'NO_PROGRESS_INFO'", "'no_such'"]),
    ("default_regex_flags", &["'DOTALL'", "'MULTILINE,DUPNAMES'", "'no_such'"]),
    ("use_stat_tables", &["NEVER", "'PREFERABLY'", "COMPLEMENTARY", "'no_such'"]),
    ("myisam_stats_method", &["nulls_equal", "'nulls_ignored'", "'no_such'"]),
    ("histogram_type", &["SINGLE_PREC_HB", "'DOUBLE_PREC_HB'", "'no_such'"]),
    ("system_versioning_asof", &["'2020-01-01'", "DEFAULT", "'no_such'"]),
    ("session_track", &["OFF"]),
    ("", &["DEFAULT", "'no_such_value'"]),
];

/// Names of variables whose values are a server's, a moment's or a connection's own.
const UNLIKE: [&str; 17] = [
    "statement_id",
    "timestamp",
    "pseudo_thread_id",
    "rand_seed1",
    "rand_seed2",
    "session_track_system_variables",
    "session_track_schema",
    "session_track_state_change",
    "session_track_transaction_info",
    "session_track_gtids",
    "last_gtid",
    "warning_count",
    "error_count",
    "identity",
    "last_insert_id",
    "insert_id",
    "in_transaction",
];

/// Asks both servers of an engine.
pub async fn discover(engine: Engine, one: &mut Raw, other: &mut Raw) -> Variables {
    let (here, there) = (values(one).await, values(other).await);
    let mut unlike: Vec<String> = UNLIKE.iter().map(|name| format!("'{name}'")).collect();
    let differing = here.iter().zip(&there).filter(|(a, b)| a != b).map(|(a, _)| format!("'{}'", a.0));
    unlike.extend(differing);
    let mut all = Vec::new();
    for (name, value) in here {
        if NEVER_SET.contains(&name.as_str()) || OF_ITS_OWN.contains(&name.as_str()) || large(&name) {
            continue;
        }
        if tell(one, &format!("SET SESSION {name} = @@SESSION.{name}")).await.is_ok() {
            all.push(Variable { values: values_for(&name, &value), name });
        }
    }
    // Asking changed the account's session; what the programs need of it is said again.
    let restored = if engine == Engine::MariaDb { "SET NAMES utf8mb4, sql_mode = ''" } else { "SET NAMES utf8mb4" };
    ask(one, restored).await;
    Variables { all, unlike: unlike.join(", ") }
}

/// Buffers and caches: a session of a program needs none of that size.
fn large(name: &str) -> bool {
    ["_size", "_cache", "_memory", "_mem", "debug", "gtid_", "wsrep", "rocksdb", "spider", "server_id", "binlog", "ssl"]
        .iter()
        .any(|part| name.contains(part))
}

async fn values(server: &mut Raw) -> Vec<(String, String)> {
    let rows = ask(server, "SHOW SESSION VARIABLES").await;
    rows.into_iter()
        .map(|row| {
            let mut row = row.into_iter();
            (row.next().unwrap_or_default().to_lowercase(), row.next().unwrap_or_default())
        })
        .collect()
}

fn values_for(name: &str, value: &str) -> Vec<String> {
    let named = TEXTS.iter().find(|(part, _)| !part.is_empty() && name.contains(part));
    let values: Vec<String> = match (value, named) {
        (_, Some((_, values))) => return values.iter().map(ToString::to_string).collect(),
        ("ON", _) => ["OFF", "0", "'off'", "FALSE", "7"].map(str::to_owned).into(),
        ("OFF", _) => ["ON", "1", "'on'", "TRUE", "'maybe'"].map(str::to_owned).into(),
        (number, _) => match number.parse::<f64>() {
            Ok(number) => {
                let number = number.min(1e9) as i64;
                vec![(number + 1).to_string(), (number / 2 + 3).to_string(), "1".into(), "-1".into(), "'text'".into()]
            }
            Err(_) => TEXTS[TEXTS.len() - 1].1.iter().map(ToString::to_string).collect(),
        },
    };
    values
}
