//! `global_variables`: the settings that have a counterpart among ProxySQL's variables, ours by their own names, and those
//! that are ProxySQL's alone, which are kept and do nothing.

use super::book::{Book, KEPT, same, text_of};
use super::{ModelError, Rows, Tables};
use crate::admin::functions::{SERVER_VERSION, VERSION};
use crate::admin::tables::Unit;
use crate::admin::vault::Vault;
use crate::auth::Secret;
use crate::config::Loaded;
use crate::config::admin::Sampling;
use rusqlite::types::Value as Sql;
use std::time::Duration;
use toml_edit::{Array, Value};

/// How a setting is written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A whole number.
    Count,
    /// A duration; milliseconds in the variable.
    Millis,
    /// A duration; seconds in the variable.
    Seconds,
    /// A number of bytes.
    Bytes,
    /// `true` or `false`.
    Flag,
    /// A text.
    Text,
    /// A password: shown as stars.
    Secret,
    /// Addresses; separated by `;` in the variable.
    Addresses,
    /// Only shown.
    Shown,
}

/// A variable that means something.
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The key in the files.
    pub path: &'static [&'static str],
    /// How it is written there.
    pub form: Form,
    /// False for what is settled when the router starts.
    pub live: bool,
    /// The value in effect.
    value: fn(&Loaded) -> String,
}

const fn live(name: &'static str, path: &'static [&'static str], form: Form, value: fn(&Loaded) -> String) -> Variable {
    Variable { name, path, form, live: true, value }
}

const fn fixed(
    name: &'static str,
    path: &'static [&'static str],
    form: Form,
    value: fn(&Loaded) -> String,
) -> Variable {
    Variable { name, path, form, live: false, value }
}

fn ms(duration: Duration) -> String {
    duration.as_millis().to_string()
}

fn flag(on: bool) -> String {
    on.to_string()
}

fn accounts(loaded: &Loaded, stats: bool) -> String {
    use crate::config::admin::AdminRole;
    let users = loaded.process.admin.iter().flat_map(|admin| &admin.users);
    let names = users.filter(|user| (user.role == AdminRole::Stats) == stats);
    names.map(|user| format!("{}:***", user.account.name)).collect::<Vec<_>>().join(";")
}

/// An interval of `stats_history`, in seconds.
fn sampled(loaded: &Loaded, interval: fn(&Sampling) -> Duration) -> String {
    loaded.process.admin.as_ref().map_or(0, |admin| interval(&admin.stats_history).as_secs()).to_string()
}

fn interfaces(loaded: &Loaded) -> String {
    let addresses = loaded.listen.addresses.iter().map(ToString::to_string);
    addresses.chain(loaded.listen.socket.iter().map(|s| s.display().to_string())).collect::<Vec<_>>().join(";")
}

fn workers(loaded: &Loaded) -> String {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    loaded.process.workers.unwrap_or_else(cores).to_string()
}

/// The variables that mean something.
pub const VARIABLES: &[Variable] = &[
    fixed("admin-admin_credentials", &[], Form::Shown, |l| accounts(l, false)),
    fixed("admin-stats_credentials", &[], Form::Shown, |l| accounts(l, true)),
    fixed("admin-mysql_ifaces", &["admin", "address"], Form::Text, |l| {
        l.process.admin.as_ref().map_or_else(String::new, |a| a.address.to_string())
    }),
    fixed("admin-version", &[], Form::Shown, |_| VERSION.to_owned()),
    live("admin-stats_mysql_connections", &["admin", "stats_history", "mysql_connections"], Form::Seconds, |l| {
        sampled(l, |s| s.mysql_connections)
    }),
    live(
        "admin-stats_mysql_connection_pool",
        &["admin", "stats_history", "mysql_connection_pool"],
        Form::Seconds,
        |l| sampled(l, |s| s.mysql_connection_pool),
    ),
    live("admin-stats_system_cpu", &["admin", "stats_history", "system_cpu"], Form::Seconds, |l| {
        sampled(l, |s| s.system_cpu)
    }),
    live("admin-stats_system_memory", &["admin", "stats_history", "system_memory"], Form::Seconds, |l| {
        sampled(l, |s| s.system_memory)
    }),
    live(
        "admin-stats_mysql_query_digest_to_disk",
        &["admin", "stats_history", "mysql_query_digest"],
        Form::Seconds,
        |l| sampled(l, |s| s.mysql_query_digest),
    ),
    live("mysql-max_connections", &["limits", "max_clients"], Form::Count, |l| l.listen.max_clients.to_string()),
    live("mysql-max_allowed_packet", &["limits", "max_allowed_packet"], Form::Bytes, |l| {
        l.session.max_allowed_packet.to_string()
    }),
    live("mysql-max_stmts_per_connection", &["limits", "max_statements_per_connection"], Form::Count, |l| {
        l.session.max_statements_per_connection.to_string()
    }),
    live("mysql-enable_load_data_local_infile", &["limits", "local_infile"], Form::Flag, |l| {
        flag(l.session.local_infile)
    }),
    live("mysql-wait_timeout", &["timeouts", "client_idle"], Form::Millis, |l| ms(l.session.wait_timeout)),
    live("mysql-connect_timeout_client", &["timeouts", "sign_in"], Form::Millis, |l| ms(l.session.sign_in_timeout)),
    live("mysql-connect_timeout_server", &["timeouts", "connect"], Form::Millis, |l| ms(l.session.connect_timeout)),
    live("mysql-connect_timeout_server_max", &["timeouts", "pool_wait"], Form::Millis, |l| ms(l.session.pool_wait)),
    live("mysql-connection_max_age_ms", &["timeouts", "pool_lifetime"], Form::Millis, |l| ms(l.session.pool_lifetime)),
    live(SERVER_VERSION, &["server_version"], Form::Text, |l| {
        l.listen.server_version.as_deref().unwrap_or_default().to_owned()
    }),
    live("mysql-monitor_username", &["health", "username"], Form::Text, |l| {
        l.health.username.clone().unwrap_or_default()
    }),
    live("mysql-monitor_password", &["health", "password"], Form::Secret, |_| String::new()),
    live("mysql-monitor_ping_interval", &["health", "interval"], Form::Millis, |l| ms(l.health.timing.interval)),
    live("mysql-monitor_ping_timeout", &["health", "timeout"], Form::Millis, |l| ms(l.health.timing.timeout)),
    live("mysql-monitor_ping_max_failures", &["health", "fall"], Form::Count, |l| l.health.timing.fall.to_string()),
    fixed("mysql-interfaces", &["listen", "addresses"], Form::Addresses, interfaces),
    fixed("mysql-threads", &["workers"], Form::Count, workers),
    fixed("mysql-have_ssl", &[], Form::Shown, |l| flag(l.listen.tls.is_some())),
    live("switchboard-read_your_writes", &["read_your_writes"], Form::Millis, |l| ms(l.session.read_your_writes)),
    live("switchboard-read_your_writes_wait", &["read_your_writes_wait"], Form::Millis, |l| {
        ms(l.session.read_your_writes_wait)
    }),
    live("switchboard-read_your_writes_scope", &["read_your_writes_scope"], Form::Text, |l| {
        l.session.read_your_writes_scope.name().to_owned()
    }),
    live("switchboard-hold_results", &["timeouts", "hold_results"], Form::Millis, |l| ms(l.session.hold_results)),
    live("switchboard-pool_idle", &["timeouts", "pool_idle"], Form::Millis, |l| ms(l.session.pool_idle)),
    live("switchboard-max_statements", &["limits", "max_statements"], Form::Count, |l| {
        l.session.max_statements.to_string()
    }),
    live("switchboard-health_retry_interval", &["health", "retry_interval"], Form::Millis, |l| {
        ms(l.health.timing.retry_interval)
    }),
    live("switchboard-health_catalogue_interval", &["health", "catalogue_interval"], Form::Millis, |l| {
        ms(l.health.timing.catalogue_interval)
    }),
    live("switchboard-health_rise", &["health", "rise"], Form::Count, |l| l.health.timing.rise.to_string()),
    fixed("switchboard-drain", &["timeouts", "drain"], Form::Millis, |l| ms(l.process.drain_timeout)),
    fixed("switchboard-http", &["http", "address"], Form::Text, |l| {
        l.process.http.map_or_else(String::new, |a| a.to_string())
    }),
];

/// ProxySQL's variables that tools and scripts set, and that do nothing here; with ProxySQL's defaults.
pub const KEPT_VARIABLES: &[(&str, &str)] = &[
    ("admin-checksum_mysql_query_rules", "true"),
    ("admin-checksum_mysql_servers", "true"),
    ("admin-checksum_mysql_users", "true"),
    ("admin-cluster_check_interval_ms", "1000"),
    ("admin-cluster_mysql_query_rules_diffs_before_sync", "3"),
    ("admin-cluster_mysql_servers_diffs_before_sync", "3"),
    ("admin-cluster_mysql_users_diffs_before_sync", "3"),
    ("admin-cluster_username", ""),
    ("admin-hash_passwords", "true"),
    ("admin-prometheus_memory_metrics_interval", "61"),
    ("admin-read_only", "false"),
    ("admin-refresh_interval", "2000"),
    ("admin-restapi_enabled", "false"),
    ("admin-restapi_port", "6070"),
    ("admin-stats_mysql_query_cache", "60"),
    ("admin-web_enabled", "false"),
    ("admin-web_port", "6080"),
    ("mysql-auditlog_filename", ""),
    ("mysql-auto_increment_delay_multiplex", "5"),
    ("mysql-autocommit_false_is_transaction", "false"),
    ("mysql-connect_retries_on_failure", "10"),
    ("mysql-connection_delay_multiplex_ms", "0"),
    ("mysql-connection_warming", "false"),
    ("mysql-default_authentication_plugin", "mysql_native_password"),
    ("mysql-default_max_latency_ms", "1000"),
    ("mysql-default_query_delay", "0"),
    ("mysql-default_query_timeout", "86400000"),
    ("mysql-default_schema", "information_schema"),
    ("mysql-default_session_track_gtids", "OFF"),
    ("mysql-enforce_autocommit_on_reads", "false"),
    ("mysql-eventslog_default_log", "0"),
    ("mysql-eventslog_filename", ""),
    ("mysql-eventslog_format", "1"),
    ("mysql-free_connections_pct", "10"),
    ("mysql-handle_warnings", "1"),
    ("mysql-have_compress", "true"),
    ("mysql-keep_multiplexing_variables", "tx_isolation,transaction_isolation,version"),
    ("mysql-kill_backend_connection_when_disconnect", "true"),
    ("mysql-long_query_time", "1000"),
    ("mysql-max_stmts_cache", "10000"),
    ("mysql-max_transaction_idle_time", "14400000"),
    ("mysql-max_transaction_time", "14400000"),
    ("mysql-mirror_max_concurrency", "16"),
    ("mysql-mirror_max_queue_length", "32000"),
    ("mysql-monitor_connect_interval", "120000"),
    ("mysql-monitor_enabled", "true"),
    ("mysql-monitor_galera_healthcheck_interval", "5000"),
    ("mysql-monitor_galera_healthcheck_max_timeout_count", "3"),
    ("mysql-monitor_galera_healthcheck_timeout", "800"),
    ("mysql-monitor_groupreplication_healthcheck_interval", "5000"),
    ("mysql-monitor_groupreplication_healthcheck_timeout", "800"),
    ("mysql-monitor_read_only_interval", "1000"),
    ("mysql-monitor_read_only_timeout", "800"),
    ("mysql-monitor_replication_lag_interval", "10000"),
    ("mysql-monitor_replication_lag_timeout", "1000"),
    ("mysql-monitor_replication_lag_use_percona_heartbeat", ""),
    ("mysql-monitor_slave_lag_when_null", "60"),
    ("mysql-monitor_writer_is_also_reader", "true"),
    ("mysql-multiplexing", "true"),
    ("mysql-ping_interval_server_msec", "10000"),
    ("mysql-ping_timeout_server", "200"),
    ("mysql-proxy_protocol_networks", ""),
    ("mysql-query_cache_size_MB", "256"),
    ("mysql-query_digests", "true"),
    ("mysql-query_retries_on_failure", "1"),
    ("mysql-set_query_lock_on_hostgroup", "1"),
    ("mysql-shun_on_failures", "5"),
    ("mysql-shun_recovery_time_sec", "10"),
    ("mysql-ssl_p2s_ca", ""),
    ("mysql-ssl_p2s_cert", ""),
    ("mysql-ssl_p2s_cipher", ""),
    ("mysql-ssl_p2s_key", ""),
    ("mysql-threshold_resultset_size", "4194304"),
    ("mysql-throttle_connections_per_sec_to_hostgroup", "1000000"),
];

/// Where those are kept in the files.
const PLACE: &str = "variables";

/// The unit that a variable goes with.
pub fn unit_of(name: &str) -> Unit {
    if name.starts_with("admin-") { Unit::AdminVariables } else { Unit::MysqlVariables }
}

/// True for a variable that a SET may name.
pub fn is_known(name: &str) -> bool {
    VARIABLES.iter().any(|v| v.name == name) || KEPT_VARIABLES.iter().any(|(known, _)| *known == name)
}

/// The variables that nobody sets.
pub fn only_shown() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().filter(|v| v.form == Form::Shown).map(|v| v.name)
}

/// Why a variable does nothing, or not at once; none for one that does.
pub fn caveat(name: &str) -> Option<String> {
    if KEPT_VARIABLES.iter().any(|(known, _)| *known == name) {
        return Some(format!("{name} is kept and does nothing here"));
    }
    let fixed = VARIABLES.iter().find(|v| v.name == name && !v.live && v.form != Form::Shown)?;
    Some(format!("{} is settled when the router starts: it counts after SAVE … TO DISK and a restart", fixed.name))
}

/// The variable whose setting a fault of the loader begins with, as a row: `[limits] max_clients: …`.
pub fn label(reason: &str) -> Option<String> {
    let says = |variable: &&Variable| {
        let Some((key, sections)) = variable.path.split_last() else { return false };
        let section = if sections.is_empty() { String::new() } else { format!("[{}] ", sections.join(".")) };
        reason.strip_prefix(&format!("{section}{key}")).is_some_and(|rest| rest.starts_with(':'))
    };
    VARIABLES.iter().find(says).map(|variable| format!("global_variables variable_name='{}'", variable.name))
}

/// The rows of a configuration, by name.
pub fn project(book: &Book, loaded: &Loaded, vault: &Vault, tables: &mut Tables) {
    let mut rows: Rows = Vec::new();
    let text = |value: String| Sql::Text(value);
    for variable in VARIABLES {
        let value = match (variable.form, &loaded.health.password) {
            (Form::Secret, Some(secret)) => vault.mark(secret),
            _ => (variable.value)(loaded),
        };
        rows.push(vec![text(variable.name.to_owned()), text(value)]);
    }
    for (name, default) in KEPT_VARIABLES {
        let kept = book.single(&[KEPT, PLACE, name]).and_then(super::codec::scalar).and_then(|v| text_of(&v));
        rows.push(vec![text((*name).to_owned()), text(kept.unwrap_or_else(|| (*default).to_owned()))]);
    }
    rows.sort_by_key(|row| row.first().and_then(text_of));
    tables.insert("global_variables", rows);
}

/// Brings the rows of one unit onto the text. `present` are the text's own.
///
/// # Errors
/// [`ModelError`] with the row.
pub fn apply(book: &mut Book, wanted: &Tables, present: &Tables, unit: Unit, vault: &Vault) -> Result<(), ModelError> {
    let empty = Rows::new();
    let rows = |tables: &Tables| tables.get("global_variables").unwrap_or(&empty).clone();
    let known: std::collections::HashMap<String, Sql> =
        rows(present).into_iter().filter_map(|row| Some((text_of(row.first()?)?, row.get(1)?.clone()))).collect();
    for row in rows(wanted) {
        let name = row.first().and_then(text_of).unwrap_or_default();
        let value = row.get(1).cloned().unwrap_or(Sql::Null);
        if unit_of(&name) != unit || known.get(&name).is_some_and(|now| same(now, &value)) {
            continue;
        }
        let text = text_of(&value).unwrap_or_default();
        let fault = |reason: String| ModelError::row(format!("global_variables variable_name='{name}'"), reason);
        if let Some((_, default)) = KEPT_VARIABLES.iter().find(|(known, _)| *known == name) {
            let value = if text == *default { None } else { Some(Value::from(text)) };
            book.set_single(&[KEPT, PLACE, &name], value);
            continue;
        }
        let variable = VARIABLES.iter().find(|v| v.name == name);
        let variable = variable.ok_or_else(|| fault("there is no such variable".to_owned()))?;
        write(book, variable, &text, vault).map_err(fault)?;
    }
    Ok(())
}

fn write(book: &mut Book, variable: &Variable, text: &str, vault: &Vault) -> Result<(), String> {
    let number = || text.trim().parse::<i64>().map_err(|_| format!("`{text}` is no number"));
    let value = match variable.form {
        Form::Count | Form::Bytes => Some(Value::from(number()?)),
        Form::Millis => {
            let millis = u64::try_from(number()?).map_err(|_| format!("`{text}` is less than nothing"))?;
            let written = if millis % 1_000 == 0 { format!("{}s", millis / 1_000) } else { format!("{millis}ms") };
            Some(Value::from(written))
        }
        Form::Seconds => {
            let seconds = u64::try_from(number()?).map_err(|_| format!("`{text}` is less than nothing"))?;
            Some(Value::from(format!("{seconds}s")))
        }
        Form::Flag => Some(Value::from(match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" => true,
            "false" | "0" | "off" => false,
            _ => return Err(format!("`{text}` is neither true nor false")),
        })),
        Form::Text | Form::Secret if text.is_empty() => None,
        Form::Text => Some(super::book::literal(text)),
        Form::Secret => {
            for key in ["password_env", "password_file"] {
                book.set_single(&["health", key], None);
            }
            let clear = vault.reveal(text).unwrap_or_else(|| Secret::from(text));
            Some(super::book::literal(&String::from_utf8_lossy(clear.expose())))
        }
        Form::Addresses => {
            let (sockets, addresses): (Vec<&str>, Vec<&str>) =
                text.split(';').map(str::trim).filter(|a| !a.is_empty()).partition(|a| a.starts_with('/'));
            book.set_single(&["listen", "socket"], sockets.first().map(|path| super::book::literal(path)));
            Some(Value::from(addresses.into_iter().collect::<Array>()))
        }
        Form::Shown => return Err("is only shown here".to_owned()),
    };
    book.set_single(variable.path, value);
    Ok(())
}
