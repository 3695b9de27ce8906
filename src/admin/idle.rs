//! Warnings about what a statement writes and nothing follows from: columns and tables of ProxySQL that are kept and do
//! nothing here.
//!
//! They are found by the names in the statement's text, so that whoever writes one is told at once. Nothing is refused.
//! [`super::model`] says which columns are only kept.

use super::commands::pieces::{first_word_is, pieces};
use super::model;

/// Columns without a meaning that a change names: a warning for each.
pub(super) fn columns(text: &str) -> Vec<String> {
    if !first_word_is(text, &["INSERT", "UPDATE", "REPLACE"]) {
        return Vec::new();
    }
    let pieces = pieces(text);
    let names = |word: &str| pieces.iter().any(|p| p.plain().eq_ignore_ascii_case(word));
    let tables = [
        ("mysql_query_rules", model::rules::RULE),
        ("mysql_users", model::users::USER),
        ("mysql_servers", model::servers::SERVER),
        (model::attributes::TABLE, model::attributes::FIELDS),
        (model::server_tls::TABLE, model::server_tls::FIELDS),
    ];
    let mut out = Vec::new();
    for (table, fields) in tables.into_iter().filter(|(table, _)| names(table)) {
        let kept = fields.iter().filter(|field| field.kind == model::codec::Kind::Kept && names(field.column));
        out.extend(kept.map(|field| format!("{table}.{} is kept and does nothing here", field.column)));
    }
    if names("mysql_replication_hostgroups") {
        out.push(model::servers::NOT_MOVED.to_owned());
    }
    for (table, _) in model::KEPT_TABLES.iter().filter(|(table, _)| names(table)) {
        out.push(format!("{table} is kept and does nothing here"));
    }
    out
}
