//! What workers hold: idle connections to servers, and statements that clients have prepared. Asked of the workers themselves.

use crate::admin::feed::held::{FreeRow, PreparedRow};
use crate::admin::tables::servers::place_of;
use crate::app::view::View;
use crate::session::display::{IdleLink, Look, PreparedText};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Idle connections.
pub fn free(view: &View) -> Vec<FreeRow> {
    let snapshot = view.snapshot();
    let backends = snapshot.topology.backends();
    let init = |id: u32| snapshot.topology.hostgroup(id).and_then(|h| h.attributes.init_connect.clone());
    let row = |worker: usize, link: IdleLink| {
        // A server that was just taken out: its connections are closed within the second.
        let backend = backends.iter().find(|backend| backend.id == link.backend)?;
        let (host, port) = place_of(backend);
        let set =
            |name: &str| link.variables.iter().find(|(known, _)| &**known == name).map(|(_, value)| value.to_string());
        let statistics = serde_json::json!({ "age_ms": u64::from(link.age_s) * 1_000, "prepared": link.prepared });
        let info = serde_json::json!({ "thread_id": link.thread_id, "worker": worker });
        Some(FreeRow {
            fd: link.fd.into(),
            hostgroup: link.hostgroup,
            host,
            port,
            user: link.user,
            schema: link.schema.map(String::from).unwrap_or_default(),
            init_connect: init(link.hostgroup).map(String::from).unwrap_or_default(),
            time_zone: set("time_zone").unwrap_or_default(),
            sql_mode: link.sql_mode.to_string(),
            autocommit: link.autocommit,
            idle_ms: u64::from(link.idle_s) * 1_000,
            statistics: statistics.to_string(),
            info: info.to_string(),
        })
    };
    let shown = view.look(Look::Idle).into_iter();
    let row = &row;
    shown.flat_map(|(worker, shown)| shown.idle.into_iter().filter_map(move |link| row(worker, link))).collect()
}

/// Prepared texts, each once however many workers have it.
pub fn prepared(view: &View) -> Vec<PreparedRow> {
    let workers = view.workers() as u64;
    let all = view.look(Look::Prepared).into_iter();
    let numbered = all.flat_map(|(worker, shown)| {
        let number = move |text: PreparedText| (text.number.wrapping_mul(workers) + worker as u64, text);
        shown.prepared.into_iter().map(number)
    });
    let mut rows: BTreeMap<(String, String, String), PreparedRow> = BTreeMap::new();
    for (id, text) in numbered {
        let row = PreparedRow {
            id,
            schema: text.schema.into(),
            user: text.user.into(),
            digest: text.digest,
            clients: text.clients as u64,
            servers: text.servers as u64,
            columns: text.columns.into(),
            parameters: text.parameters.into(),
            text: text.text,
        };
        match rows.entry((row.schema.clone(), row.user.clone(), row.text.clone())) {
            Entry::Vacant(place) => {
                place.insert(row);
            }
            Entry::Occupied(mut place) => {
                let same = place.get_mut();
                same.id = same.id.min(row.id);
                same.clients += row.clients;
                same.servers += row.servers;
            }
        }
    }
    rows.into_values().collect()
}
