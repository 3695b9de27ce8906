//! What is found of servers, in the words and the places that tables of servers have for it. Who decides about servers is elsewhere
//! ([`crate::backend`]); this only shows.

use crate::admin::feed::Feed;
use crate::admin::model::book::{int_of, text_of};
use crate::admin::tables::values::{Row, row};
use crate::backend::connect::Address;
use crate::backend::health::State;
use crate::backend::{Backend, Hostgroup};
use crate::session::worker::Published;
use rusqlite::types::Value;
use std::sync::Arc;
use std::time::SystemTime;

/// ProxySQL's word for a backend's state.
fn status_word(state: State) -> &'static str {
    match state {
        State::Up | State::Suspect => "ONLINE",
        State::Down => "SHUNNED",
        State::Draining => "OFFLINE_SOFT",
        State::Disabled => "OFFLINE_HARD",
    }
}

/// The same for a backend's place in a hostgroup, where it may be left out for its lag, or for being read-only.
pub fn status_in(hostgroup: &Hostgroup, backend: &Backend) -> &'static str {
    if hostgroup.is_too_far_behind(backend) {
        return "SHUNNED_REPLICATION_LAG";
    }
    if hostgroup.is_read_only(backend) {
        return status_word(State::Down);
    }
    status_word(backend.health.state())
}

/// Host and port of a backend; a unix socket's path has port 0.
pub fn place_of(backend: &Backend) -> (String, u16) {
    match &backend.target().address {
        Address::Tcp(host, port) => (host.clone(), *port),
        Address::Unix(path) => (path.display().to_string(), 0),
    }
}

/// Puts what is found of servers into the rows that say what is told of them.
pub fn overlay_health(rows: &mut [Vec<Value>], published: &Published) {
    let snapshot = published.load();
    for row in rows {
        let [id, host, port, _, status, ..] = row.as_mut_slice() else { continue };
        let (host, port) = (text_of(host).unwrap_or_default(), int_of(port).unwrap_or_default());
        let told = text_of(status).unwrap_or_default();
        let id = int_of(id).and_then(|id| u32::try_from(id).ok());
        let Some(hostgroup) = id.and_then(|id| snapshot.topology.hostgroup(id)) else { continue };
        let is_it = |b: &&Arc<Backend>| {
            let place = place_of(b);
            place.0 == host && i64::from(place.1) == port
        };
        if let Some(backend) = hostgroup.members.iter().map(|m| &m.backend).find(is_it).filter(|_| told == "ONLINE") {
            // The table's own constraint, ProxySQL's, knows no more words; the pool says which kind of SHUNNED it is.
            let found = if hostgroup.is_held_back(backend) { State::Down } else { backend.health.state() };
            *status = Value::Text(status_word(found).to_owned());
        }
    }
}

/// The rows of `switchboard_draining`: servers that take nothing new, and what they still have.
pub fn draining(published: &Published, feed: &dyn Feed) -> Vec<Row> {
    let idle = feed.idle();
    let leaving = |b: &Arc<Backend>| matches!(b.health.state(), State::Draining | State::Disabled);
    let row = |backend: Arc<Backend>| {
        let (host, port) = place_of(&backend);
        let since = backend.health.history().last().map_or(SystemTime::UNIX_EPOCH, |change| change.at);
        let seconds = since.elapsed().map_or(0, |d| d.as_secs());
        let open = backend.open();
        let used = open.saturating_sub(idle.get(&backend.id).copied().unwrap_or(0));
        row![host, port, status_word(backend.health.state()), used, open, seconds, used == 0]
    };
    published.load().topology.backends().into_iter().filter(leaving).map(row).collect()
}
