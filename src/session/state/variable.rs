//! The session variables that the router knows, under one name each, and how each engine spells them.
//!
//! A variable is known here for one of two reasons. *Answers* depend on it: then what a session's home begins with counts on
//! every server that serves the session. Or it is the *server's* own affair (a timeout, a buffer): then a connection keeps
//! what its server gave it until a session sets it. The values of both kinds are asked of every connection when its life
//! begins, so that whatever a session sets can be undone by value. All other variables that a server reports are carried
//! too; a connection that must lose one of those is reset.
//!
//! This module refuses to know what a session has set ([`super`]) and how a connection is brought to it
//! ([`super::transition`]).

use crate::backend::Engine;
use std::borrow::Cow;

/// Whose value counts where a session has not set the variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The value of the session's home: answers depend on it.
    Answers,
    /// The value of the server that serves the statement.
    Server,
}

/// A session variable whose value is asked of every connection.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its one name here.
    pub name: &'static str,
    /// Whose value counts.
    pub scope: Scope,
    /// MariaDB's name for it; none where it has no such variable.
    mariadb: Option<&'static str>,
    /// MySQL's.
    mysql: Option<&'static str>,
}

const fn answers(name: &'static str) -> Variable {
    Variable { name, scope: Scope::Answers, mariadb: Some(name), mysql: Some(name) }
}

const fn server(name: &'static str) -> Variable {
    Variable { name, scope: Scope::Server, mariadb: Some(name), mysql: Some(name) }
}

/// MariaDB's name for the isolation level, up to 11.0.
const TX_ISOLATION: &str = "tx_isolation";
/// MariaDB's name for the access mode.
const TX_READ_ONLY: &str = "tx_read_only";

/// The collation that a server names for text in results: not a variable, and yet a setting. What a client signs in with
/// and `SET NAMES … COLLATE` set it; any other way to a character set of results means that set's default, which is said
/// here by an empty text.
pub const RESULTS_COLLATION: &str = "collation of results";

/// The same of what a client sends: on MariaDB the parameters of its prepared statements have it.
pub const CLIENT_COLLATION: &str = "collation of the client";

/// The variables that are brought together, by `SET NAMES` where that is the way.
pub const CHARACTER_SETS: [&str; 6] = [
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "collation_connection",
    RESULTS_COLLATION,
    CLIENT_COLLATION,
];

/// All of them. In the order in which they are set: `max_join_size` sets `sql_big_selects` beside itself.
pub const VARIABLES: [Variable; 52] = [
    answers("autocommit"),
    answers("character_set_client"),
    answers("character_set_connection"),
    answers("character_set_results"),
    answers("collation_connection"),
    Variable { name: RESULTS_COLLATION, scope: Scope::Answers, mariadb: None, mysql: None },
    Variable { name: CLIENT_COLLATION, scope: Scope::Answers, mariadb: None, mysql: None },
    answers("completion_type"),
    answers("default_week_format"),
    answers("div_precision_increment"),
    answers("foreign_key_checks"),
    answers("group_concat_max_len"),
    answers("lc_time_names"),
    // Answers hang on it a little, but MySQL 9 lets nobody set it without a right of its own.
    server("max_error_count"),
    answers("max_join_size"),
    answers("max_sort_length"),
    answers("max_sp_recursion_depth"),
    answers("sql_auto_is_null"),
    answers("sql_big_selects"),
    answers("sql_mode"),
    answers("sql_notes"),
    answers("sql_quote_show_create"),
    answers("sql_safe_updates"),
    answers("sql_select_limit"),
    answers("sql_warnings"),
    answers("time_zone"),
    Variable { mariadb: Some(TX_ISOLATION), ..answers("transaction_isolation") },
    Variable { mariadb: Some(TX_READ_ONLY), ..answers("transaction_read_only") },
    answers("unique_checks"),
    answers("updatable_views_with_limit"),
    server("auto_increment_increment"),
    server("auto_increment_offset"),
    server("big_tables"),
    server("default_storage_engine"),
    server("explicit_defaults_for_timestamp"),
    server("innodb_lock_wait_timeout"),
    server("innodb_strict_mode"),
    server("interactive_timeout"),
    server("join_buffer_size"),
    server("lock_wait_timeout"),
    server("long_query_time"),
    server("low_priority_updates"),
    server("max_heap_table_size"),
    server("net_read_timeout"),
    server("net_write_timeout"),
    server("optimizer_switch"),
    server("sort_buffer_size"),
    server("sql_log_bin"),
    server("tmp_table_size"),
    server("wait_timeout"),
    Variable { mysql: None, ..server("max_statement_time") },
    Variable { mariadb: None, ..server("max_execution_time") },
];

impl Variable {
    /// Its name on a server of that engine; none where it has no such variable. Of a server that nobody has met, MySQL's.
    pub fn on(&self, engine: Engine) -> Option<&'static str> {
        match engine {
            Engine::MariaDb => self.mariadb,
            Engine::MySql | Engine::Unknown => self.mysql,
        }
    }
}

/// The variable of this name, if it is one of [`VARIABLES`].
pub fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// The one name of a variable, from any name that a server or a statement has for it, in any case.
pub fn one_name(name: &str) -> Cow<'_, str> {
    let lower = if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    };
    let known = match &*lower {
        TX_ISOLATION => "transaction_isolation",
        TX_READ_ONLY => "transaction_read_only",
        "storage_engine" => "default_storage_engine",
        "identity" => "last_insert_id",
        "log_slow_query" => "slow_query_log",
        "log_slow_query_time" => "long_query_time",
        _ => return lower,
    };
    Cow::Borrowed(known)
}

/// A variable's name on a server of that engine. One that is not known here has the same name everywhere, and a server that
/// does not have it refuses it.
pub fn name_on(name: &str, engine: Engine) -> Cow<'_, str> {
    match find(name) {
        Some(variable) => Cow::Borrowed(variable.on(engine).unwrap_or(variable.name)),
        None => Cow::Borrowed(name),
    }
}

/// Variables that mean something to the next statement alone, or to one connection alone: they cannot be carried. A session
/// that sets one keeps its connection.
const ONE_SHOT: [&str; 14] = [
    "insert_id",
    "last_insert_id",
    "rand_seed1",
    "rand_seed2",
    "gtid_next",
    "gtid_seq_no",
    "gtid_domain_id",
    "server_id",
    "pseudo_thread_id",
    "pseudo_slave_mode",
    "pseudo_replica_mode",
    "session_track_system_variables",
    "session_track_transaction_info",
    "session_track_gtids",
];

/// True if a variable cannot be carried from one connection to another.
pub fn is_one_shot(name: &str) -> bool {
    ONE_SHOT.contains(&name)
}

/// Reports that the router itself needs. A session may ask for them too; one that turns them off keeps its connection.
const NEEDED_REPORTS: [&str; 2] = ["session_track_schema", "session_track_state_change"];

/// True if a variable says whether the router hears of what changes.
pub fn is_needed_report(name: &str) -> bool {
    NEEDED_REPORTS.contains(&name)
}

/// Variables that a server may report and no session sets.
const REPORTED_ONLY: [&str; 8] = [
    "last_gtid",
    "in_transaction",
    "warning_count",
    "error_count",
    "proxy_user",
    "external_user",
    "statement_id",
    "pseudo_thread_id",
];

/// True if a report of this variable says nothing about what the session has set.
pub fn is_reported_only(name: &str) -> bool {
    REPORTED_ONLY.contains(&name)
}

/// Variables that change beside another without a report of their own: character sets and collations, and what
/// `max_join_size` switches. After a change of the one the other has to be asked for.
/// Seen on MariaDB 10.11 and MySQL 9.7.
pub fn companions(changed: &str) -> &'static [&'static str] {
    match changed {
        "character_set_connection" => &["collation_connection"],
        "max_join_size" => &["sql_big_selects"],
        _ => &[],
    }
}

/// What every connection of a server is told and asked when its life begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Opening {
    /// Turns session tracking on, for all variables that can be carried.
    pub track: Box<str>,
    /// Asks for the values of [`Opening::asked`], in one column of one row.
    pub ask: Box<str>,
    /// Names of [`VARIABLES`], in the order in which they are asked for.
    pub asked: Box<[&'static str]>,
    /// The server runs an `init_connect` of its own at sign-ins, and at no reset.
    pub has_init_connect: bool,
}

/// Parts values in the answer to [`Opening::ask`]: a byte that no value has.
pub const SEPARATOR: char = '\x1f';
/// Values that stand before those of the variables: the server's own time zone, and how far it is from UTC in minutes.
pub const BEFORE: usize = 2;

impl Opening {
    /// The opening for a server that cannot be asked for its variables: with those alone that every version has.
    pub fn of_known(engine: Engine) -> Self {
        let has = |name: &str| VARIABLES.iter().any(|variable| variable.on(engine) == Some(name));
        // Whether it runs statements at sign-ins is not known.
        Self { has_init_connect: true, ..Self::new(engine, has) }
    }

    /// The opening for a server of this engine that has variables of these names (lower case).
    pub fn new(engine: Engine, has: impl Fn(&str) -> bool) -> Self {
        let tracked: Vec<&str> = TRACKED.split_ascii_whitespace().filter(|name| has(name)).collect();
        let track = format!(
            "SET session_track_system_variables='{}',session_track_schema=1,session_track_state_change=1",
            tracked.join(",")
        );
        let asked: Vec<(&str, &str)> =
            VARIABLES.iter().filter_map(|v| v.on(engine).filter(|name| has(name)).map(|name| (v.name, name))).collect();
        let mut ask = String::from(
            "SELECT CONCAT_WS(X'1F',IFNULL(@@system_time_zone,''),TIMESTAMPDIFF(MINUTE,UTC_TIMESTAMP(),NOW())",
        );
        for (_, name) in &asked {
            ask.push_str(&format!(",IFNULL(@@session.{name},'')"));
        }
        // A session may have set sql_select_limit to 0.
        ask.push_str(") LIMIT 1");
        let asked = asked.into_iter().map(|(name, _)| name).collect();
        Self { track: track.into(), ask: ask.into(), asked, has_init_connect: false }
    }
}

/// Names under which both engines' session variables are tracked, those that no SET can bring elsewhere left out. What is
/// not here is seen in a SET's text, and pins the session. Not `*`: MariaDB then reports `last_gtid` with every write, and
/// MySQL `statement_id` with every statement.
/// Source: what MariaDB 10.11 and MySQL 9.7 let a session set and then report.
const TRACKED: &str = "
    alter_algorithm analyze_sample_percentage auto_increment_increment auto_increment_offset autocommit big_tables
    binlog_annotate_row_events binlog_direct_non_transactional_updates binlog_format binlog_row_image
    binlog_row_value_options binlog_rows_query_log_events block_encryption_mode bulk_insert_buffer_size
    character_set_client character_set_connection character_set_filesystem character_set_results character_set_server
    check_constraint_checks collation_connection collation_server column_compression_threshold
    column_compression_zlib_level completion_type cte_max_recursion_depth default_collation_for_utf8mb4
    default_regex_flags default_storage_engine default_table_encryption default_tmp_storage_engine default_week_format
    div_precision_increment end_markers_in_json enforce_storage_engine eq_range_index_dive_limit
    expensive_subquery_limit explain_format explain_json_format_version explicit_defaults_for_timestamp
    foreign_key_checks generated_random_password_length group_concat_max_len histogram_size histogram_type
    idle_readonly_transaction_timeout idle_transaction_timeout idle_write_transaction_timeout
    in_predicate_conversion_threshold information_schema_stats_expiry innodb_compression_default
    innodb_ft_enable_stopword innodb_ft_user_stopword_table innodb_lock_wait_timeout innodb_snapshot_isolation
    innodb_strict_mode innodb_table_locks innodb_tmpdir insert_id interactive_timeout internal_tmp_mem_storage_engine
    join_buffer_size join_buffer_space_limit join_cache_level keep_files_on_create last_insert_id lc_messages
    lc_time_names lock_wait_timeout log_disabled_statements log_queries_not_using_indexes log_slow_admin_statements
    log_slow_disabled_statements log_slow_filter log_slow_min_examined_row_limit log_slow_query log_slow_query_time
    log_slow_rate_limit log_slow_verbosity log_warnings long_query_time low_priority_updates max_error_count
    max_execution_time max_heap_table_size max_join_size max_length_for_sort_data max_points_in_geometry
    max_recursive_iterations max_rowid_filter_size max_seeks_for_key max_session_mem_used max_sort_length
    max_sp_recursion_depth max_statement_time min_examined_row_limit mrr_buffer_size myisam_sort_buffer_size
    myisam_stats_method net_read_timeout net_retry_count net_write_timeout note_verbosity old old_alter_table old_mode
    old_passwords optimizer_extra_pruning_depth optimizer_join_limit_pref_ratio optimizer_max_sel_arg_weight
    optimizer_prune_level optimizer_search_depth optimizer_selectivity_sampling_limit optimizer_switch optimizer_trace
    optimizer_trace_features optimizer_trace_limit optimizer_trace_max_mem_size optimizer_trace_offset
    optimizer_use_condition_selectivity parser_max_mem_size preload_buffer_size print_identified_with_as_hex profiling
    profiling_history_size query_alloc_block_size query_cache_strip_comments query_cache_type
    query_cache_wlock_invalidate query_prealloc_size range_alloc_block_size range_optimizer_max_mem_size
    read_buffer_size read_rnd_buffer_size require_row_format rowid_merge_buff_size secondary_engine_cost_threshold
    select_into_buffer_size session_track_schema session_track_state_change set_operations_buffer_size
    show_create_table_verbosity skip_parallel_replication
    skip_replication slow_query_log sort_buffer_size sql_auto_is_null sql_big_selects sql_buffer_result
    sql_generate_invisible_primary_key sql_if_exists sql_log_bin sql_log_off sql_mode sql_notes sql_quote_show_create
    sql_require_primary_key sql_safe_updates sql_select_limit sql_warnings standard_compliant_cte storage_engine
    system_versioning_alter_history system_versioning_asof system_versioning_insert_history time_zone timestamp
    tmp_disk_table_size tmp_memory_table_size tmp_table_size transaction_alloc_block_size transaction_isolation
    transaction_prealloc_size transaction_read_only tx_isolation tx_read_only unique_checks updatable_views_with_limit
    use_secondary_engine use_stat_tables wait_timeout windowing_use_high_precision xa_detach_on_prepare
    ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_one_name_and_each_engines_own() {
        for (given, one) in [
            ("tx_isolation", "transaction_isolation"),
            ("Transaction_Isolation", "transaction_isolation"),
            ("TX_READ_ONLY", "transaction_read_only"),
            ("storage_engine", "default_storage_engine"),
            ("sql_mode", "sql_mode"),
            ("wsrep_OSU_method", "wsrep_osu_method"),
        ] {
            assert_eq!(one_name(given), one);
        }
        assert_eq!(name_on("transaction_isolation", Engine::MariaDb), "tx_isolation");
        assert_eq!(name_on("transaction_isolation", Engine::MySql), "transaction_isolation");
        assert_eq!(name_on("whatever", Engine::MySql), "whatever");
        assert_eq!(name_on("max_statement_time", Engine::MySql), "max_statement_time", "left to be refused");
    }

    #[test]
    fn no_variable_is_listed_twice_and_all_are_tracked() {
        let mut names: Vec<&str> = VARIABLES.iter().map(|v| v.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        let tracked: Vec<&str> = TRACKED.split_ascii_whitespace().collect();
        for variable in VARIABLES {
            for engine in [Engine::MariaDb, Engine::MySql] {
                assert!(variable.on(engine).is_none_or(|name| tracked.contains(&name)), "{}", variable.name);
            }
        }
    }

    #[test]
    fn a_server_is_told_and_asked_what_it_has() {
        let opening = Opening::new(Engine::MariaDb, |name| ["sql_mode", "tx_isolation"].contains(&name));
        assert_eq!(&*opening.asked, ["sql_mode", "transaction_isolation"]);
        assert!(opening.ask.ends_with("IFNULL(@@session.sql_mode,''),IFNULL(@@session.tx_isolation,'')) LIMIT 1"));
        assert!(opening.track.starts_with("SET session_track_system_variables='sql_mode,tx_isolation',"));
        let mysql = Opening::new(Engine::MySql, |_| true);
        assert!(mysql.asked.contains(&"max_execution_time") && !mysql.asked.contains(&"max_statement_time"));
    }
}
