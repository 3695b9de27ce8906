//! Who writes and who reads heartbeats: a task for each server of the published topology ([`crate::backend::heartbeat`]).
//!
//! Runs on the control thread. It refuses to say what follows for a statement.

use crate::backend::Backend;
use crate::backend::heartbeat::task::{Duties, keep};
use crate::backend::heartbeat::{Feed, Settings};
use crate::backend::server::BackendId;
use crate::session::worker::Published;
use crate::session::worker::snapshot::Snapshot;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often it is looked whether another configuration has been published.
const LOOK: Duration = Duration::from_millis(200);

/// Keeps a task for each backend of the published topology, while there are to be heartbeats. Never returns.
pub async fn keep_all(published: Published, origin: Instant) {
    let mut tasks: HashMap<BackendId, (Settings, JoinHandle<()>)> = HashMap::new();
    loop {
        let snapshot = published.load_full();
        let backends = if snapshot.heartbeat.is_some() { snapshot.topology.backends() } else { Vec::new() };
        let goes_on = |id: &BackendId, settings: &Settings| {
            snapshot.heartbeat.as_ref() == Some(settings) && backends.iter().any(|backend| backend.id == *id)
        };
        for (_, (_, task)) in tasks.extract_if(|id, (settings, _)| !goes_on(id, settings)) {
            task.abort();
        }
        for (backend, settings) in backends.into_iter().zip(std::iter::repeat(&snapshot.heartbeat)) {
            let Some(settings) = settings else { continue };
            tasks.entry(backend.id).or_insert_with(|| {
                let (published, settings) = (Arc::clone(&published), settings.clone());
                let of = Arc::clone(&backend);
                let duties = move || duties(&of, &published.load());
                (settings.clone(), tokio::task::spawn_local(keep(backend, settings, origin, duties)))
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What a server is asked for: a writer that is not known to be read-only gets heartbeats, and all are asked for other writers'.
fn duties(backend: &Backend, snapshot: &Snapshot) -> Duties {
    let mut writers: Vec<_> = snapshot.writers().map(Arc::clone).collect();
    writers.sort_by_key(|writer| writer.id);
    writers.dedup_by_key(|writer| writer.id);
    let is_in = |members: &[crate::backend::hostgroup::Member]| members.iter().any(|m| m.backend.id == backend.id);
    let hostgroups = || snapshot.topology.hostgroups().filter(|hostgroup| is_in(&hostgroup.members));
    let writes = hostgroups().any(|h| h.writer && !(h.checks_read_only && backend.read_only.is_on()));
    // Of several hostgroups' feeds, the one counts that proves the least.
    let feeds = || hostgroups().filter(|hostgroup| !hostgroup.writer).map(|hostgroup| hostgroup.feed);
    let feed = feeds().find(|feed| feed.is_in_batches()).or_else(|| feeds().next()).unwrap_or(Feed::Replication);
    let reads = writers.iter().any(|writer| writer.id != backend.id).then_some(feed);
    Duties { writes, reads, writers }
}
