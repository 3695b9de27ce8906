//! The rows of what ProxySQL has no table for.

use super::values::{Row, hash, number, or_null, text};
use crate::admin::feed::estate::{FreshnessRow, RouteRow, TierRow, UnprovenRow};
use rusqlite::types::Value;

/// A row of `switchboard_tiers`.
pub fn tier(row: TierRow) -> Row {
    vec![
        text(row.route),
        or_null(row.rule_id, |id| number(id.into())),
        or_null(row.username, Value::Text),
        number(row.tier),
        number(row.hostgroup.into()),
        text(row.name),
        text(row.role),
        or_null(row.horizon, Value::Text),
        number(row.writer.into()),
        number(row.servers),
        number(row.ready),
        number(row.lagging),
        text(row.state),
        number(row.takes.into()),
    ]
}

/// A row of `switchboard_routes`.
pub fn route(row: RouteRow) -> Row {
    vec![
        Value::Integer(row.hostgroup),
        or_null(row.rule_id, |id| number(id.into())),
        text(row.reason),
        or_null(row.tier, number),
        number(row.fallback.into()),
        number(row.count),
        number(row.first_seen),
        number(row.last_seen),
    ]
}

/// A row of `switchboard_unproven`.
pub fn unproven(row: UnprovenRow) -> Row {
    let mut out = vec![text(row.what), text(row.reason)];
    match row.digest {
        Some(d) => {
            out.extend([Value::Integer(d.hostgroup), text(d.schema), text(d.user), hash(d.digest), text(d.text)]);
            out.extend([number(row.count), number(d.first_seen), number(d.last_seen)]);
        }
        None => {
            out.extend([Value::Null, Value::Null, Value::Null, Value::Null, text("(digests that did not fit)")]);
            out.extend([number(row.count), Value::Null, Value::Null]);
        }
    }
    out
}

/// A row of `switchboard_freshness`.
pub fn freshness(row: FreshnessRow) -> Row {
    vec![
        number(row.hostgroup.into()),
        text(row.host),
        number(row.port.into()),
        text(row.role),
        text(row.signal),
        or_null(row.lag_seconds, number),
        number(row.max_replication_lag),
        or_null(row.position, Value::Text),
        or_null(row.gtid, Value::Text),
        or_null(row.asked_ms_ago, number),
        number(row.readable.into()),
        or_null(row.why, Value::Text),
        or_null(row.read_your_writes_ms, number),
    ]
}
