//! The rows of `stats` and `monitor`, made of what the feed gives.

mod estate;
mod held;
mod values;

use crate::admin::feed::{CheckKind, Feed, PoolRow};
use rusqlite::types::Value;
use values::{Row, hash, micros, number, or_null, text};

/// The rows of a table of `stats`; none for one that nothing fills.
pub fn stats(table: &str, feed: &dyn Feed) -> Option<Vec<Row>> {
    let (name, reset) = match table.strip_suffix("_reset") {
        Some(name) => (name, true),
        None => (table, false),
    };
    Some(match name {
        "stats_mysql_connection_pool" => feed.connection_pool(reset).into_iter().map(pool).collect(),
        "stats_mysql_global" => figures(feed.global_status()),
        "stats_memory_metrics" => figures(feed.memory()),
        "stats_mysql_users" => feed
            .users()
            .into_iter()
            .map(|u| vec![text(u.username), number(u.connections), number(u.max_connections)])
            .collect(),
        "stats_mysql_query_rules" => {
            feed.rule_hits().into_iter().map(|h| vec![number(h.rule_id.into()), number(h.hits)]).collect()
        }
        "stats_mysql_query_digest" => digests(feed, reset),
        "stats_mysql_commands_counters" => feed
            .commands()
            .into_iter()
            .map(|c| {
                let head = [text(c.command), number(c.total_us), number(c.total)];
                head.into_iter().chain(c.buckets.into_iter().map(number)).collect()
            })
            .collect(),
        "stats_mysql_processlist" => processlist(feed),
        "stats_mysql_errors" => errors(feed, reset),
        "stats_mysql_free_connections" => feed.free_connections().into_iter().map(held::free).collect(),
        "stats_mysql_prepared_statements_info" => feed.prepared().into_iter().map(held::prepared).collect(),
        "switchboard_tiers" => feed.tiers().into_iter().map(estate::tier).collect(),
        "switchboard_routes" => feed.routes().into_iter().map(estate::route).collect(),
        "switchboard_unproven" => feed.unproven().into_iter().map(estate::unproven).collect(),
        "switchboard_freshness" => feed.freshness().into_iter().map(estate::freshness).collect(),
        _ => return None,
    })
}

/// A row of `stats_mysql_connection_pool`.
pub(in crate::admin) fn pool(row: PoolRow) -> Row {
    vec![
        number(row.hostgroup.into()),
        text(row.host),
        number(row.port.into()),
        text(row.status),
        number(row.used),
        number(row.free),
        number(row.ok),
        number(row.errors),
        number(row.max_used),
        number(row.queries),
        // GTIDs of readers are not followed.
        number(0),
        number(row.bytes_sent),
        number(row.bytes_received),
        number(row.latency_us),
    ]
}

/// A row of a name and a figure.
pub fn figure(name: &str, value: u64) -> Row {
    vec![text(name), text(value.to_string())]
}

fn figures(figures: Vec<crate::admin::feed::Figure>) -> Vec<Row> {
    figures.into_iter().map(|(name, value)| vec![text(name), text(value)]).collect()
}

/// The rows of `stats_mysql_query_digest`.
pub(in crate::admin) fn digests(feed: &dyn Feed, reset: bool) -> Vec<Row> {
    feed.digests(reset)
        .into_iter()
        .map(|d| {
            let words = [text(d.schema), text(d.user), text(d.client), hash(d.digest), text(d.text)];
            let figures =
                [d.count, d.first_seen, d.last_seen, d.sum_us, d.min_us, d.max_us, d.rows_affected, d.rows_sent];
            let head = std::iter::once(Value::Integer(d.hostgroup)).chain(words);
            head.chain(figures.into_iter().map(number)).collect()
        })
        .collect()
}

fn processlist(feed: &dyn Feed) -> Vec<Row> {
    let place = |place: Option<(String, u16)>| match place {
        Some((host, port)) => [text(host), number(port.into())],
        None => [Value::Null, Value::Null],
    };
    feed.processlist()
        .into_iter()
        .map(|p| {
            let mut row = vec![number(p.thread), number(p.session), text(p.user), or_null(p.schema, Value::Text)];
            row.extend([or_null(p.client, Value::Text), or_null(p.client_port, |port| number(port.into()))]);
            row.push(or_null(p.hostgroup, |h| number(h.into())));
            row.extend(place(p.local));
            row.extend(place(p.server));
            row.extend([text(p.command), number(p.time_ms), or_null(p.info, Value::Text)]);
            row.extend([number(p.status_flags.into()), or_null(p.extended, Value::Text)]);
            row
        })
        .collect()
}

fn errors(feed: &dyn Feed, reset: bool) -> Vec<Row> {
    feed.errors(reset)
        .into_iter()
        .map(|e| {
            vec![
                Value::Integer(e.hostgroup),
                text(e.host),
                number(e.port.into()),
                text(e.user),
                text(e.client),
                text(e.schema),
                number(e.code.into()),
                number(e.count),
                number(e.first_seen),
                number(e.last_seen),
                text(without_statement(e.code, e.text)),
            ]
        })
        .collect()
}

/// A syntax error, as the server has it, ends in a piece of the statement: a password may stand there.
fn without_statement(code: u16, mut error: String) -> String {
    if code == SYNTAX
        && let Some(quote) = error.find('\'')
    {
        error.truncate(quote);
        error.push('…');
    }
    error
}

/// ER_PARSE_ERROR.
const SYNTAX: u16 = 1064;

/// The rows of a table of `monitor`; none for one that nothing fills.
pub fn monitor(table: &str, feed: &dyn Feed) -> Option<Vec<Row>> {
    let kind = match table {
        "mysql_server_connect_log" => CheckKind::Connect,
        "mysql_server_ping_log" => CheckKind::Ping,
        "mysql_server_read_only_log" => CheckKind::ReadOnly,
        "mysql_server_replication_lag_log" => CheckKind::ReplicationLag,
        "switchboard_health_log" => return Some(health(feed)),
        _ => return None,
    };
    let with_value = matches!(kind, CheckKind::ReadOnly | CheckKind::ReplicationLag);
    let rows = feed.checks().into_iter().filter(|check| check.kind == kind).map(|check| {
        let mut row = vec![text(check.host), number(check.port.into()), micros(check.at), number(check.took_us)];
        if with_value {
            row.push(or_null(check.value, Value::Integer));
        }
        row.push(or_null(check.error, Value::Text));
        row
    });
    Some(rows.collect())
}

fn health(feed: &dyn Feed) -> Vec<Row> {
    feed.health()
        .into_iter()
        .map(|h| vec![text(h.host), number(h.port.into()), micros(h.at), text(h.from), text(h.to), text(h.cause)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_is_shown_without_the_statement() {
        let error = "for the right syntax to use near ''hunter2' AND it's' at line 1".to_owned();
        assert_eq!(without_statement(SYNTAX, error), "for the right syntax to use near …");
        let other = "Table 'nowhere.nothing' doesn't exist";
        assert_eq!(without_statement(1146, other.to_owned()), other);
    }
}
