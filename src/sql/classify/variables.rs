//! What reading or setting a system variable does, by its name.
//!
//! Some variables are the session's own wherever it runs, some describe one server, and some change state that no
//! report shows. [`super::set`] and [`super::scan`] ask here. A variable that is not listed is about one server when it
//! is read, and an ordinary session variable when it is set; values are never looked at.

use super::super::effects::Effects;
use hashbrown::{HashMap, HashSet};
use std::sync::LazyLock;

/// A system variable as a statement names it: `@@session.sql_mode`, `@@sql_mode`, `GLOBAL sql_mode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub scope: Scope,
    /// Lower case, without quotes. With its component or cache name where it has one (`hot.key_buffer_size`).
    pub name: String,
}

/// Whose value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// None was written.
    Bare,
    Session,
    Global,
    Persist,
}

impl Scope {
    pub(super) fn of(word: &str) -> Option<Scope> {
        match word {
            "session" | "local" => Some(Scope::Session),
            "global" => Some(Scope::Global),
            "persist" | "persist_only" => Some(Scope::Persist),
            _ => None,
        }
    }
}

impl Variable {
    /// Reads the text of a `@@…` token; none if it has no name.
    pub(super) fn read(token: &[u8]) -> Option<Variable> {
        let text = String::from_utf8_lossy(token.strip_prefix(b"@@")?).replace('`', "").to_ascii_lowercase();
        let (scope, name) = match text.split_once('.') {
            Some((first, rest)) if Scope::of(first).is_some() => (Scope::of(first)?, rest),
            _ => (Scope::Bare, text.as_str()),
        };
        if name.is_empty() || Scope::of(name).is_some() {
            return None;
        }
        Some(Variable { scope, name: name.to_owned() })
    }

    /// What reading it does.
    pub(super) fn read_effects(&self) -> Effects {
        match self.name.as_str() {
            "identity" | "last_insert_id" => Effects::NEEDS_INSERT_ID,
            "warning_count" | "error_count" => Effects::NEEDS_WARNINGS,
            _ if matches!(self.scope, Scope::Global | Scope::Persist) => Effects::SERVER_BOUND,
            name => READABLE.get(name).copied().unwrap_or(Effects::SERVER_BOUND),
        }
    }

    /// What setting it for the session does.
    pub(super) fn set_effects(&self) -> Effects {
        let untracked = UNTRACKED.contains(self.name.as_str())
            || ["wsrep_", "debug", "rand_seed", "pseudo_", "gtid_"].iter().any(|p| self.name.starts_with(p));
        match self.name.as_str() {
            "autocommit" => Effects::SET_SESSION | Effects::SET_AUTOCOMMIT,
            "identity" | "last_insert_id" => Effects::SET_SESSION | Effects::SETS_INSERT_ID | Effects::UNTRACKED_STATE,
            _ if untracked => Effects::SET_SESSION | Effects::UNTRACKED_STATE,
            _ => Effects::SET_SESSION,
        }
    }

    /// True if `SET STATEMENT` may change it around a statement without changing what the statement does.
    pub(super) fn is_harmless_around_a_statement(&self) -> bool {
        AROUND.contains(self.name.as_str())
    }
}

static READABLE: LazyLock<HashMap<&'static str, Effects>> = LazyLock::new(|| {
    let both = BOTH.split_ascii_whitespace().map(|name| (name, Effects::empty()));
    let mariadb = MARIADB.split_ascii_whitespace().map(|name| (name, Effects::MARIADB_ONLY));
    let mysql = MYSQL.split_ascii_whitespace().map(|name| (name, Effects::MYSQL_ONLY));
    both.chain(mariadb).chain(mysql).collect()
});

/// Variables that a session carries with it, or that describe no particular server: what drivers ask when they connect. A server's
/// version is its own: the home's is asked for.
const BOTH: &str = "
    autocommit auto_increment_increment auto_increment_offset big_tables bulk_insert_buffer_size character_set_client
    character_set_connection character_set_database character_set_filesystem character_set_results character_set_server
    character_set_system collation_connection collation_database collation_server completion_type
    default_storage_engine default_tmp_storage_engine default_week_format div_precision_increment
    eq_range_index_dive_limit explicit_defaults_for_timestamp foreign_key_checks group_concat_max_len init_connect
    innodb_lock_wait_timeout interactive_timeout join_buffer_size lc_messages lc_time_names license local_infile
    lock_wait_timeout lower_case_file_system lower_case_table_names max_allowed_packet max_error_count
    max_heap_table_size max_join_size max_length_for_sort_data max_seeks_for_key max_sort_length
    max_sp_recursion_depth min_examined_row_limit net_buffer_length net_read_timeout net_retry_count
    net_write_timeout old_alter_table optimizer_prune_level optimizer_search_depth optimizer_switch performance_schema
    preload_buffer_size protocol_version range_alloc_block_size read_buffer_size read_rnd_buffer_size
    sort_buffer_size sql_auto_is_null sql_big_selects sql_buffer_result sql_mode sql_notes sql_quote_show_create
    sql_safe_updates sql_select_limit sql_warnings system_time_zone time_zone tmp_table_size transaction_isolation
    transaction_read_only unique_checks updatable_views_with_limit wait_timeout
    ";

/// Gone from MySQL 8, or never in it.
const MARIADB: &str = "
    column_compression_threshold date_format datetime_format default_regex_flags histogram_size histogram_type
    idle_readonly_transaction_timeout idle_transaction_timeout idle_write_transaction_timeout join_cache_level
    max_statement_time optimizer_use_condition_selectivity query_cache_limit query_cache_size query_cache_type
    sql_if_exists storage_engine system_versioning_alter_history system_versioning_asof time_format tx_isolation
    tx_read_only use_stat_tables
    ";

const MYSQL: &str = "
    cte_max_recursion_depth default_collation_for_utf8mb4 information_schema_stats_expiry max_execution_time
    print_identified_with_as_hex resultset_metadata sql_generate_invisible_primary_key
    sql_require_primary_key temptable_max_ram use_secondary_engine windowing_use_high_precision
    ";

/// Session variables that no session tracking reports or no SET can bring to another connection.
static UNTRACKED: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    "insert_id server_id external_user proxy_user immediate_server_version original_commit_timestamp
     original_server_version transaction_write_set_extraction last_gtid error_count warning_count
     default_master_connection replicate_rewrite_db"
        .split_ascii_whitespace()
        .collect()
});

/// What `SET STATEMENT` may set without changing what the statement means.
static AROUND: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    "max_statement_time optimizer_switch optimizer_search_depth optimizer_prune_level optimizer_use_condition_selectivity
     sort_buffer_size join_buffer_size join_buffer_space_limit read_buffer_size read_rnd_buffer_size mrr_buffer_size
     tmp_table_size max_heap_table_size tmp_memory_table_size group_concat_max_len join_cache_level use_stat_tables
     eq_range_index_dive_limit long_query_time lock_wait_timeout innodb_lock_wait_timeout max_length_for_sort_data
     max_sort_length expensive_subquery_limit histogram_size rowid_merge_buff_size query_cache_type
     in_predicate_conversion_threshold max_recursive_iterations max_rowid_filter_size optimizer_join_limit_pref_ratio
     slow_query_log log_slow_query log_slow_query_time log_slow_verbosity net_write_timeout net_read_timeout"
        .split_ascii_whitespace()
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read() {
        let rows: [(&str, Option<(Scope, &str)>); 9] = [
            ("@@version", Some((Scope::Bare, "version"))),
            ("@@SESSION.Sql_Mode", Some((Scope::Session, "sql_mode"))),
            ("@@local.`sql_mode`", Some((Scope::Session, "sql_mode"))),
            ("@@`global`.x", Some((Scope::Global, "x"))),
            ("@@persist_only.x", Some((Scope::Persist, "x"))),
            ("@@hot.key_buffer_size", Some((Scope::Bare, "hot.key_buffer_size"))),
            ("@@", None),
            ("@@global", None),
            ("@@global.", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|(scope, name)| Variable { scope, name: name.to_owned() });
            assert_eq!(Variable::read(text.as_bytes()), expected, "of {text}");
        }
    }

    #[test]
    fn servers_and_sessions_are_told_apart() {
        let effects = |text: &str| Variable::read(text.as_bytes()).map(|v| v.read_effects());
        assert_eq!(effects("@@license"), Some(Effects::empty()));
        assert_eq!(effects("@@session.sql_mode"), Some(Effects::empty()));
        for bound in [
            "@@hostname",
            "@@server_id",
            "@@port",
            "@@gtid_current_pos",
            "@@read_only",
            "@@global.sql_mode",
            "@@new_one",
            "@@version",
            "@@session_track_schema",
        ] {
            assert_eq!(effects(bound), Some(Effects::SERVER_BOUND), "{bound}");
        }
        assert_eq!(effects("@@identity"), Some(Effects::NEEDS_INSERT_ID));
        assert_eq!(effects("@@session.warning_count"), Some(Effects::NEEDS_WARNINGS));
        assert_eq!(effects("@@tx_isolation"), Some(Effects::MARIADB_ONLY));
    }
}
