//! The control thread: it starts the router, checks the backends, hears signals, reloads the configuration, and ends
//! the process.
//!
//! It alone publishes configurations, and it carries out the orders of the admin port ([`crate::admin::orders`]).
//! Nothing of it runs on a worker's thread, so it holds up no client. [`super::setup`] makes its snapshots, and
//! `super::supervisor` tells a service manager how things stand.

use super::definitions::{self, Learner};
use super::feed::Seen;
use super::gate::Gate;
use super::heartbeats;
use super::setup::snapshot;
use super::{Ending, Router, Setup, StartError, publish, supervisor};
use crate::admin;
use crate::admin::desk::Parts;
use crate::admin::history::{News, Versions};
use crate::admin::orders::{Order, Source};
use crate::admin::server::Context;
use crate::backend::check::{Checks, check, meet};
use crate::backend::health::State;
use crate::backend::server::{Backend, BackendId};
use crate::config::{self, Cause, Change, Fault, Loaded, Watch};
use crate::session::worker::Published;
use crate::session::worker::kill::Verdict;
use crate::session::worker::snapshot::Snapshot;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

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
    let admin = bind_admin(&loaded, &setup)?;
    let versions = first_version(&loaded, first.version, &setup);
    // The first client is to be greeted as by the writer, too.
    runtime.block_on(async {
        meet(first.writers(), &first.checks).await;
        definitions::meet(&first).await;
    });
    let mut learner = Learner::default();
    let (learnt, readings) = learner.look(&first);
    let first = learnt.unwrap_or(first);
    readings.take_effect();
    let router = Router::start(&setup, publish(first))?;
    if let (Some(bound), Some((_, password))) = (http, setup.http.clone()) {
        super::http::serve(bound, password, router.view())?;
    }
    let (orders, inbox) = mpsc::channel(ORDERS);
    let server = match (admin, setup.admin.clone()) {
        (Some(listener), Some(settings)) => {
            let parts = Parts {
                versions: Arc::clone(&versions),
                feed: Arc::new(Seen::new(router.view())),
                orders,
                paths: paths.clone(),
                published: Arc::clone(router.published()),
            };
            let context = Context { settings, published: Arc::clone(router.published()), rsa: router.rsa(), parts };
            Some(admin::server::start(listener, context)?)
        }
        _ => None,
    };
    let pid_file = PidFile::write(setup.pid_file.clone());
    ready(&router);
    supervisor::ready();
    if let Some(server) = &server {
        tracing::info!(address = %server.address, "serving the admin port");
    }
    let retired = RefCell::default();
    let published = Arc::clone(router.published());
    let learner = RefCell::new(learner);
    let control = Control { published, versions, gate: router.gate(), retired, learner };
    let end = runtime.block_on(async {
        tokio::task::spawn_local(check_backends(Arc::clone(&control.published)));
        let heartbeats = heartbeats::keep_all(Arc::clone(&control.published), control.gate.started);
        tokio::task::spawn_local(heartbeats);
        tokio::task::spawn_local(supervisor::feed_watchdog(router.view()));
        if paths.is_empty() {
            control.until_ended(None, None, inbox).await
        } else {
            let (watch, changes) = config::watch(paths, &loaded)?;
            control.until_ended(Some(watch), Some(changes), inbox).await
        }
    })?;
    let deadline = if end == End::Fast { Duration::ZERO } else { setup.drain };
    let clients = router.clients();
    tracing::info!(clients, ?deadline, "draining: no new clients; statements and transactions may finish");
    supervisor::stopping();
    let ending = router.drain(deadline);
    match ending {
        Ending::Drained => tracing::info!("drained: every session had finished"),
        Ending::CutOff(sessions) => tracing::warn!(sessions, "the drain's deadline passed: sessions were cut off"),
        Ending::Failed(_) => {}
    }
    drop(server);
    drop(pid_file);
    Ok(if let End::Lost(worker) = end { Ending::Failed(worker) } else { ending })
}

/// Why the router ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was told to; what runs may finish.
    Slow,
    /// It was told to, at once.
    Fast,
    /// This worker failed; what runs on the others may finish.
    Lost(usize),
}

/// Orders of the admin port that may wait.
const ORDERS: usize = 16;

/// The admin port's socket; none where nobody could sign in, which is said.
fn bind_admin(loaded: &Loaded, setup: &Setup) -> Result<Option<std::net::TcpListener>, StartError> {
    match (&setup.admin, &loaded.process.admin) {
        (Some(settings), _) => {
            let address = settings.address.to_string();
            admin::server::bind(settings).map(Some).map_err(|source| StartError::Listen { address, source })
        }
        (None, Some(settings)) => {
            let address = settings.address;
            tracing::warn!(%address, "the admin port is not served: nobody may sign in there (add an [[admin.user]])");
            Ok(None)
        }
        (None, None) => Ok(None),
    }
}

fn first_version(loaded: &Loaded, version: u64, setup: &Setup) -> Arc<Versions> {
    let news = News {
        version,
        loaded: Arc::new(loaded.clone()),
        author: "start".to_owned(),
        source: Source::Start,
        change: "the start".to_owned(),
    };
    Arc::new(Versions::new(news, setup.admin.as_ref().map_or(1, |admin| admin.history)))
}

/// What the control thread works with.
struct Control {
    published: Published,
    versions: Arc<Versions>,
    gate: Arc<Gate>,
    /// Snapshots that gave way to another. Workers let go of them with their next statement, or within a second; who lets
    /// go last would free ten thousand rules, so they are let go of here last.
    retired: RefCell<Vec<Arc<Snapshot>>>,
    /// What of the servers' catalogues is in effect.
    learner: RefCell<Learner>,
}

/// How often the control thread looks whether the checks have read new definitions.
const LOOK: Duration = Duration::from_millis(100);

/// How often the control thread looks whether retired snapshots have no users any more.
const SWEEP: Duration = Duration::from_secs(1);

impl Control {
    /// Serves signals, changed files and orders until one of them ends the router, or a worker fails.
    async fn until_ended(
        &self,
        watch: Option<Watch>,
        mut changes: Option<Receiver<Change>>,
        mut orders: Receiver<Order>,
    ) -> Result<End, StartError> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut open = true;
        let (mut look, mut sweep) = (tokio::time::interval(LOOK), tokio::time::interval(SWEEP));
        for ticks in [&mut look, &mut sweep] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            let change = async {
                match &mut changes {
                    Some(changes) => changes.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = terminate.recv() => return Ok(End::Slow),
                _ = interrupt.recv() => return Ok(End::Slow),
                worker = self.gate.lost.hear() => return Ok(End::Lost(worker)),
                _ = hangup.recv() => match &watch {
                    Some(watch) => watch.reload(),
                    None => tracing::info!("SIGHUP: this router was started without a file; nothing to reload"),
                },
                order = orders.recv(), if open => match order {
                    Some(Order::End { slow }) => return Ok(if slow { End::Slow } else { End::Fast }),
                    Some(order) => self.obey(order, watch.as_ref()),
                    None => open = false,
                },
                _ = look.tick() => self.learn(),
                _ = sweep.tick() => self.free_retired(),
                change = change => match change {
                    Some(change) => self.take(change),
                    None => changes = None,
                },
            }
        }
    }

    /// Does what the admin port asks for.
    fn obey(&self, order: Order, watch: Option<&Watch>) {
        match order {
            Order::Publish { loaded, author, source, change, based_on, reply } => {
                let meanwhile = based_on.is_some_and(|version| version != self.versions.runtime().0);
                let result = if meanwhile {
                    Err("another configuration took effect in this very moment: look at it, and try again".to_owned())
                } else {
                    self.publish(*loaded, author.clone(), source, change.clone())
                };
                self.gate.reloads.note(&author, &change, &result);
                let _ = reply.send(result);
            }
            Order::Saving(documents, reply) => {
                if let Some(watch) = watch {
                    watch.expect(documents);
                }
                let _ = reply.send(());
            }
            Order::Pause(paused) => {
                self.gate.paused.store(paused, Relaxed);
                tracing::warn!(paused, "an operator's word: new clients");
            }
            Order::Kill { session, query, reply } => {
                let board = Arc::clone(&self.gate.shared.board);
                tokio::task::spawn_local(async move {
                    let verdict = board.kill(session, query, None).await;
                    let _ = reply.send(verdict == Verdict::Done);
                });
            }
            // Ends the loop, which does not come here with it.
            Order::End { .. } => {}
        }
    }

    /// Takes what the checks have read of the servers' catalogues into account.
    fn learn(&self) {
        let present = self.published.load_full();
        let (learnt, readings) = self.learner.borrow_mut().look(&present);
        if let Some(learnt) = learnt {
            self.published.store(Arc::new(learnt));
            self.retired.borrow_mut().push(present);
        }
        readings.take_effect();
    }

    /// Publishes what the files say, or says why not.
    fn take(&self, change: Change) {
        let unsaved = self.versions.unsaved();
        let asked = format!("{:?}", change.cause).to_lowercase();
        let result = match (change.result, change.cause, unsaved) {
            (Ok(_), Cause::File, Some((version, author))) => {
                tracing::error!(version, author, "the files changed, but {UNSAVED}");
                Err(UNSAVED.to_owned())
            }
            (Ok(loaded), cause, unsaved) => {
                if let Some((version, author)) = unsaved {
                    tracing::warn!(
                        version,
                        author,
                        "a change that was made at the admin port and not saved gives way to the files"
                    );
                }
                let files = loaded.files.len();
                let published = self.publish(loaded, FILES.to_owned(), Source::Files, asked.clone());
                match &published {
                    Ok(version) => tracing::info!(version, ?cause, files, "configuration reloaded"),
                    Err(error) => refuse(&[Fault::whole(Path::new(""), error.as_str())]),
                }
                published
            }
            (Err(faults), ..) => {
                refuse(&faults);
                Err(summary(&faults))
            }
        };
        self.gate.reloads.note(FILES, &asked, &result);
    }

    /// Frees the retired snapshots that nobody else has any more, away from this thread and its checks.
    fn free_retired(&self) {
        let mut retired = self.retired.borrow_mut();
        let unused: Vec<_> = retired.extract_if(.., |snapshot| Arc::strong_count(snapshot) == 1).collect();
        if unused.is_empty() {
            return;
        }
        let free = move || {
            config::stand_back();
            config::with_breaks(|| drop(unused));
        };
        // Where no thread can be had, what was to be freed there is freed here.
        let _ = std::thread::Builder::new().name("free".to_owned()).spawn(free);
    }

    /// Puts a configuration into effect, whole.
    fn publish(&self, loaded: Loaded, author: String, source: Source, change: String) -> Result<u64, String> {
        let present = self.published.load_full();
        let next = snapshot(&loaded, Some(&present))?;
        let version = next.version;
        self.published.store(Arc::new(next));
        // What was said of the version before is not said again: each row that is loaded would repeat all of it.
        let (_, before) = self.versions.runtime();
        Fault::new_among(&loaded.warnings, &before.warnings).iter().for_each(|w| tracing::warn!("{w}"));
        tracing::info!(target: "admin", version, author, source = source.name(), change, "configuration published");
        self.versions.published(News { version, loaded: Arc::new(loaded), author, source, change });
        self.retired.borrow_mut().push(present);
        self.free_retired();
        Ok(version)
    }
}

/// Whose work a configuration from the files is.
const FILES: &str = "files";

/// Why changed files are left alone.
const UNSAVED: &str = "what is in effect was changed at the admin port and not saved: nothing was reloaded. \
    SAVE … TO DISK there, or `switchboard reload` to take the files";

/// The first fault, and how many more there are.
fn summary(faults: &[Fault]) -> String {
    match faults {
        [] => String::new(),
        [only] => only.to_string(),
        [first, more @ ..] => format!("{first} (and {} more)", more.len()),
    }
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

/// Keeps a task that checks each backend of the published topology, and one that reads its definitions. Never returns.
async fn check_backends(published: Published) {
    let mut tasks: HashMap<BackendId, (Checks, JoinHandle<()>)> = HashMap::new();
    let mut followers: HashMap<BackendId, JoinHandle<()>> = HashMap::new();
    let mut empty: HashSet<BackendId> = HashSet::new();
    loop {
        let snapshot = published.load_full();
        let backends = snapshot.topology.backends();
        say_drained(&backends, &mut empty);
        let is_there = |id: &BackendId| backends.iter().any(|b| b.id == *id);
        for (_, (_, task)) in tasks.extract_if(|id, (checks, _)| *checks != snapshot.checks || !is_there(id)) {
            task.abort();
        }
        for (_, task) in followers.extract_if(|id, _| !is_there(id)) {
            task.abort();
        }
        for backend in backends {
            followers.entry(backend.id).or_insert_with(|| {
                let (backend, published) = (Arc::clone(&backend), Arc::clone(&published));
                tokio::task::spawn_local(definitions::follow(backend, published))
            });
            tasks.entry(backend.id).or_insert_with(|| {
                let checks = snapshot.checks.clone();
                (checks.clone(), tokio::task::spawn_local(check(backend, checks)))
            });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Says once of each backend that an operator takes out when nobody uses it any more: the workers close what is idle there, so
/// what is open is in use. `empty` is whom that was said of.
fn say_drained(backends: &[Arc<Backend>], empty: &mut HashSet<BackendId>) {
    for backend in backends {
        let leaving = matches!(backend.health.state(), State::Draining | State::Disabled);
        if !leaving {
            empty.remove(&backend.id);
        } else if backend.open() == 0 && empty.insert(backend.id) {
            tracing::info!(backend = &*backend.name, "drained: no session uses it any more");
        }
    }
}
