//! What workers hold: idle connections to servers, and statements that clients have prepared.
//!
//! Only a worker can see these, so each is asked, and shows them when it has time
//! ([`crate::session::worker::display`]). [`super::Seen`] returns the rows to the admin port.

use crate::admin::tables::servers::place_of;
use crate::admin::tables::values::{Hash, Row, row};
use crate::app::view::View;
use crate::session::worker::display::{IdleLink, Look, PreparedText};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Idle connections.
pub fn free(view: &View) -> Vec<Row> {
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
        let schema = link.schema.map(String::from).unwrap_or_default();
        let init_connect = init(link.hostgroup).map(String::from).unwrap_or_default();
        let autocommit = if link.autocommit { "1" } else { "0" };
        let mut row = row![i64::from(link.fd), link.hostgroup, host, port, link.user, schema, init_connect];
        row.extend(row![set("time_zone").unwrap_or_default(), link.sql_mode.to_string(), autocommit]);
        row.extend(row![u64::from(link.idle_s) * 1_000, statistics.to_string(), info.to_string()]);
        Some(row)
    };
    let shown = view.look(Look::Idle).into_iter();
    let row = &row;
    shown.flat_map(|(worker, shown)| shown.idle.into_iter().filter_map(move |link| row(worker, link))).collect()
}

/// Prepared texts, each once however many workers have it: it has the least of their numbers, and the sum of their users.
pub fn prepared(view: &View) -> Vec<Row> {
    let workers = view.workers() as u64;
    let mut texts: BTreeMap<(String, String, String), (u64, PreparedText)> = BTreeMap::new();
    for (worker, shown) in view.look(Look::Prepared) {
        for text in shown.prepared {
            let number = text.number.wrapping_mul(workers) + worker as u64;
            match texts.entry((String::from(&*text.schema), String::from(&*text.user), text.text.clone())) {
                Entry::Vacant(place) => {
                    place.insert((number, text));
                }
                Entry::Occupied(mut place) => {
                    let (least, same) = place.get_mut();
                    *least = number.min(*least);
                    same.clients += text.clients;
                    same.servers += text.servers;
                }
            }
        }
    }
    let row = |((schema, user, text), (number, t)): ((String, String, String), (u64, PreparedText))| {
        let (clients, servers) = (t.clients as u64, t.servers as u64);
        row![number, schema, user, Hash(t.digest), clients, servers, t.columns, t.parameters, text]
    };
    texts.into_iter().map(row).collect()
}
