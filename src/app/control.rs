//! The control thread: health checks, signals, reload, and the end. Nothing of it runs where traffic runs.

use super::setup::snapshot;
use super::{Ending, Router, Setup, StartError, publish, supervisor};
use crate::backend::check::{Checks, check};
use crate::backend::server::{Backend, BackendId};
use crate::config::{self, Change, Fault, Loaded, Watch};
use crate::session::snapshot::Snapshot;
use crate::session::worker::Published;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

/// Runs a router until a signal ends it: SIGTERM and SIGINT drain, SIGHUP reads the files of `paths` again (they are
/// watched, too). `ready` is called once clients can connect.
///
/// # Errors
/// [`StartError`], if it never came to serve.
pub fn run(loaded: Loaded, paths: Vec<PathBuf>, ready: impl FnOnce(&Router)) -> Result<Ending, StartError> {
    let setup = Setup::new(&loaded);
    let first = snapshot(&loaded, None).map_err(StartError::Configuration)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default())?;
    // Whatever cannot be had is found out before anything runs.
    let http = setup.http.as_ref().map(|(address, _)| super::http::bind(*address)).transpose()?;
    let router = Router::start(&setup, publish(first))?;
    if let (Some(bound), Some((_, password))) = (http, setup.http.clone()) {
        super::http::serve(bound, password, router.view())?;
    }
    let pid_file = PidFile::write(setup.pid_file.clone());
    let published = Arc::clone(router.published());
    ready(&router);
    supervisor::ready();
    let reloads = router.reloads();
    runtime.block_on(async {
        tokio::task::spawn_local(check_backends(Arc::clone(&published)));
        tokio::task::spawn_local(supervisor::feed_watchdog(router.view()));
        if paths.is_empty() {
            until_ended(None, None, &published, reloads).await
        } else {
            let (watch, changes) = config::watch(paths, &loaded)?;
            until_ended(Some(watch), Some(changes), &published, reloads).await
        }
    })?;
    let clients = router.clients();
    tracing::info!(clients, deadline = ?setup.drain, "draining: no new clients; statements and transactions may finish");
    supervisor::stopping();
    let ending = router.drain(setup.drain);
    match ending {
        Ending::Drained => tracing::info!("drained: every session had finished"),
        Ending::CutOff(sessions) => tracing::warn!(sessions, "the drain's deadline passed: sessions were cut off"),
    }
    drop(pid_file);
    Ok(ending)
}

async fn until_ended(
    watch: Option<Watch>,
    mut changes: Option<Receiver<Change>>,
    published: &Published,
    [done, refused]: &[AtomicU32; 2],
) -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        let change = async {
            match &mut changes {
                Some(changes) => changes.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => match &watch {
                Some(watch) => watch.reload(),
                None => tracing::info!("SIGHUP: this router was started without a file; nothing to reload"),
            },
            change = change => match change {
                Some(change) => {
                    let count = if take(change, published) { done } else { refused };
                    count.fetch_add(1, Relaxed);
                }
                None => changes = None,
            },
        }
    }
}

/// Publishes a changed configuration, or says why not. True if it was published.
fn take(change: Change, published: &Published) -> bool {
    match change.result {
        Ok(loaded) => {
            let present = published.load_full();
            match snapshot(&loaded, Some(&present)) {
                Ok(next) => {
                    let version = next.version;
                    published.store(Arc::new(next));
                    loaded.warnings.iter().for_each(|w| tracing::warn!("{w}"));
                    tracing::info!(version, cause = ?change.cause, files = loaded.files.len(), "configuration reloaded");
                    return true;
                }
                Err(error) => tracing::error!(error, "the configuration was not reloaded; the present one stays"),
            }
        }
        Err(faults) => refuse(&faults),
    }
    false
}

fn refuse(faults: &[Fault]) {
    for fault in faults {
        tracing::error!("{fault}");
    }
    tracing::error!(faults = faults.len(), "the configuration was not reloaded; the present one stays");
}

/// The process's number in a file, for as long as it runs.
struct PidFile(Option<PathBuf>);

impl PidFile {
    fn write(path: Option<PathBuf>) -> Self {
        if let Some(path) = &path
            && let Err(error) = std::fs::write(path, format!("{}\n", std::process::id()))
        {
            tracing::warn!(path = %path.display(), %error, "the pid file could not be written: `switchboard reload` will not find this process");
        }
        Self(path)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Keeps one checking task for each backend of the published topology. Never returns.
async fn check_backends(published: Published) {
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
fn learner(snapshot: &Snapshot, backend: &Arc<Backend>) -> Option<Arc<OnceLock<String>>> {
    let mut hostgroups = snapshot.topology.hostgroups();
    let writes = hostgroups.any(|h| h.writer && h.members.iter().any(|m| m.backend.id == backend.id));
    writes.then(|| Arc::clone(&snapshot.frontend.learnt_version))
}
