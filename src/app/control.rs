//! The control thread: health checks, and whatever else must never run where traffic runs.

use crate::backend::check::{Checks, check};
use crate::backend::server::{Backend, BackendId};
use crate::session::snapshot::Snapshot;
use crate::session::worker::Published;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Keeps one checking task for each backend of the published topology. Never returns.
pub async fn check_backends(published: Published) {
    let mut tasks: HashMap<BackendId, (Checks, JoinHandle<()>)> = HashMap::new();
    loop {
        let snapshot = published.load_full();
        let backends = snapshot.topology.backends();
        tasks.retain(|id, (checks, task)| {
            let keep = *checks == snapshot.checks && backends.iter().any(|b| b.id == *id);
            if !keep {
                task.abort();
            }
            keep
        });
        for backend in backends {
            tasks.entry(backend.id).or_insert_with(|| {
                let checks = snapshot.checks.clone();
                let learn = learner(&snapshot, &backend);
                (checks.clone(), tokio::task::spawn_local(check(backend, checks, learn)))
            });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Where a writer's version is written down for the greeting; nowhere for a reader.
fn learner(snapshot: &Snapshot, backend: &Arc<Backend>) -> Option<Arc<std::sync::OnceLock<String>>> {
    let writes =
        snapshot.topology.hostgroups().any(|h| h.writer && h.members.iter().any(|m| m.backend.id == backend.id));
    writes.then(|| Arc::clone(&snapshot.frontend.learnt_version))
}
