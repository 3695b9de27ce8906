//! From a checked configuration to what the threads run on: [`Setup`], which is settled when the router starts, and
//! snapshots, which a reload makes anew.
//!
//! Backends and accounts that a new snapshot shares with the previous one keep their health, connections and what was
//! learned. It binds no socket and starts no thread; [`super::control`] publishes what it makes.

use crate::auth::{Accounts, Credentials, Plugin, Secret};
use crate::backend::check::Checks;
use crate::backend::health::{Health, State, Thresholds};
use crate::backend::heartbeat;
use crate::backend::hostgroup::{Balance, Member};
use crate::backend::lag::Limits;
use crate::backend::server::BackendId;
use crate::backend::{Backend, Hostgroup, Topology};
use crate::config::Loaded;
use crate::config::admin::AdminSettings;
use crate::config::backends::{
    AdminStatus, BackendSettings, HeartbeatSettings, HostgroupSettings, Policy, UnknownCatalogue, UnknownLag,
};
use crate::rules::CacheLimits;
use crate::session::worker::snapshot::{Frontend, Snapshot};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// What is settled when the router starts, and cannot be reloaded.
#[derive(Clone, Debug)]
pub struct Setup {
    /// TCP addresses.
    pub listen: Vec<SocketAddr>,
    /// The unix socket.
    pub socket: Option<PathBuf>,
    /// Worker threads.
    pub workers: usize,
    /// What sessions send in a turn goes out together, where the system has io_uring.
    pub io_uring: bool,
    /// Connections that the system may hold before they are accepted.
    pub backlog: i32,
    /// Bounds of the plan caches.
    pub caches: CacheLimits,
    /// The admin port, if anybody may sign in there.
    pub admin: Option<AdminSettings>,
    /// How long a drain may take.
    pub drain: Duration,
    /// The HTTP port, and the password of its status page.
    pub http: Option<(SocketAddr, Option<Secret>)>,
    /// Where the process writes its number.
    pub pid_file: Option<PathBuf>,
}

impl Setup {
    /// The setup that a configuration asks for.
    pub fn new(loaded: &Loaded) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            listen: loaded.listen.addresses.clone(),
            socket: loaded.listen.socket.clone(),
            workers: loaded.process.workers.unwrap_or(cores),
            io_uring: loaded.process.io_uring,
            backlog: i32::try_from(loaded.listen.backlog).unwrap_or(i32::MAX),
            caches: loaded.cache,
            drain: loaded.process.drain_timeout,
            admin: loaded.process.admin.clone().filter(|admin| !admin.users.is_empty()),
            http: loaded.process.http.map(|address| (address, loaded.process.http_password.clone())),
            pid_file: loaded.process.pid_file.clone(),
        }
    }
}

static NEXT_BACKEND: AtomicU32 = AtomicU32::new(1);

/// The snapshot of a configuration. Backends that the `previous` one had keep their health, their connections and their
/// numbers; accounts keep what they have learned.
pub fn snapshot(loaded: &Loaded, previous: Option<&Snapshot>) -> Result<Snapshot, String> {
    let specs = loaded.users.iter().filter(|u| u.active && u.frontend).map(|user| user.account.clone());
    let accounts = Accounts::build(specs, previous.map(|p| &*p.accounts)).map_err(|e| e.to_string())?;
    let frontend = Frontend {
        version: loaded.listen.server_version.clone(),
        collation: loaded.listen.server_collation,
        plugin: Plugin::Native,
        tls: loaded.listen.tls.clone(),
        require_secure: loaded.listen.require_tls,
        rsa: loaded.listen.rsa_key.clone(),
        guesses: loaded.listen.guesses,
        max_clients: loaded.listen.max_clients as usize,
    };
    Ok(Snapshot {
        version: previous.map_or(1, |p| p.version + 1),
        rules: match previous {
            Some(previous) => Arc::new(loaded.rules.with_definitions(Arc::clone(previous.rules.definitions()))),
            None => Arc::clone(&loaded.rules),
        },
        topology: topology(loaded, previous.map(|p| &p.topology)),
        accounts: Arc::new(accounts),
        settings: loaded.session.clone(),
        frontend,
        checks: checks(loaded),
        heartbeat: heartbeat_settings(loaded),
        catalogue_interval: loaded.health.timing.catalogue_interval,
        ready: loaded.process.ready.clone(),
    })
}

/// Checks sign in as the user that the configuration names, or as the first that can.
fn checks(loaded: &Loaded) -> Checks {
    let named = loaded.health.username.as_ref().map(|name| {
        let password = loaded.health.password.clone().unwrap_or_else(|| Secret::from(Vec::new()));
        Credentials::new(name.clone(), password)
    });
    let timing = &loaded.health.timing;
    Checks {
        interval: timing.interval,
        retry_interval: timing.retry_interval,
        timeout: timing.timeout,
        silence: timing.silence,
        credentials: named,
    }
}

/// True if a server stands in a writer hostgroup.
fn is_writer(loaded: &Loaded, name: &str) -> bool {
    let mut same = loaded.backends.iter().filter(|b| b.target.address.to_string() == name);
    same.any(|b| loaded.hostgroups.iter().any(|h| h.writer && b.hostgroups.contains(&h.id)))
}

/// How heartbeats are written and read: by the account that they name, or by that of the checks. None: there are none.
pub fn heartbeat_settings(loaded: &Loaded) -> Option<heartbeat::Settings> {
    let HeartbeatSettings { schema, interval, create, required, username, password, .. } = loaded.heartbeat.clone()?;
    let own = username.map(|name| Credentials::new(name, password.unwrap_or_else(|| Secret::from(Vec::new()))));
    let checks = checks(loaded);
    let credentials = own.or(checks.credentials)?;
    Some(heartbeat::Settings { schema, interval, create, required, timeout: checks.timeout, credentials })
}

fn topology(loaded: &Loaded, previous: Option<&Topology>) -> Topology {
    let thresholds = Thresholds { failures: loaded.health.timing.fall, successes: loaded.health.timing.rise };
    let mut known: HashMap<Box<str>, Arc<Backend>> =
        previous.map(Topology::backends).unwrap_or_default().into_iter().map(|b| (b.name.clone(), b)).collect();
    let mut members: HashMap<u32, Vec<Member>> = HashMap::new();
    for settings in &loaded.backends {
        let backend = backend(settings, thresholds, &mut known);
        backend.lag.reconfigure(lag_limits(loaded, &backend.name));
        backend.read_only.reconfigure(is_asked_for_read_only(loaded, &backend.name));
        let heartbeat = loaded.heartbeat.as_ref().filter(|_| is_writer(loaded, &backend.name));
        backend.beats.reconfigure(heartbeat.is_some(), heartbeat.is_some_and(|heartbeat| heartbeat.required));
        backend.catalogue.reconfigure(loaded.health.unknown_catalogue == UnknownCatalogue::Trust);
        for hostgroup in &settings.hostgroups {
            let member = Member { backend: Arc::clone(&backend), weight: settings.weight };
            members.entry(*hostgroup).or_default().push(member);
        }
    }
    Topology::new(loaded.hostgroups.iter().map(|settings| Hostgroup {
        id: settings.id,
        name: settings.name.clone(),
        writer: settings.writer,
        checks_read_only: checks_read_only(loaded, settings),
        members: members.remove(&settings.id).unwrap_or_default(),
        balance: match settings.policy {
            Policy::LeastOutstanding => Balance::LeastOutstanding,
            Policy::RoundRobin => Balance::RoundRobin,
        },
        attributes: settings.attributes.clone(),
        feed: settings.feed,
        throttle: previous.and_then(|p| p.hostgroup(settings.id)).map(|h| Arc::clone(&h.throttle)).unwrap_or_default(),
    }))
}

/// A server that stands in several entries is held to the strictest limit that one of them names. Limits are for readers:
/// an entry of writer hostgroups alone has none.
fn lag_limits(loaded: &Loaded, name: &str) -> Limits {
    let reads = |id: &u32| loaded.hostgroups.iter().any(|h| h.id == *id && !h.writer);
    let same =
        loaded.backends.iter().filter(|b| b.target.address.to_string() == name && b.hostgroups.iter().any(reads));
    let seconds = same.map(|b| b.max_replication_lag).filter(|seconds| *seconds > 0).min();
    Limits { seconds: seconds.unwrap_or_default(), needs_signal: loaded.health.unknown_lag == UnknownLag::LeaveOut }
}

/// Unless the configuration says: where there is another server that writes could go to, and checks that can ask.
fn checks_read_only(loaded: &Loaded, hostgroup: &HostgroupSettings) -> bool {
    let members = || loaded.backends.iter().filter(|b| b.hostgroups.contains(&hostgroup.id)).count();
    hostgroup.writer && hostgroup.check_read_only.unwrap_or_else(|| members() > 1 && loaded.health.username.is_some())
}

/// A server that stands in several entries is asked if one of its hostgroups wants to know.
fn is_asked_for_read_only(loaded: &Loaded, name: &str) -> bool {
    let mut same = loaded.backends.iter().filter(|b| b.target.address.to_string() == name);
    same.any(|b| loaded.hostgroups.iter().any(|h| b.hostgroups.contains(&h.id) && checks_read_only(loaded, h)))
}

fn backend(
    settings: &BackendSettings,
    thresholds: Thresholds,
    known: &mut HashMap<Box<str>, Arc<Backend>>,
) -> Arc<Backend> {
    let name: Box<str> = settings.target.address.to_string().into();
    let backend = known.entry(name).or_insert_with(|| {
        let id = BackendId(NEXT_BACKEND.fetch_add(1, Relaxed));
        let health = Health::new(thresholds, State::Up);
        Arc::new(Backend::new(id, settings.target.clone(), settings.max_connections, health))
    });
    backend.reconfigure(settings.target.clone(), settings.max_connections);
    backend.health.reconfigure(thresholds);
    let wanted = match settings.status {
        AdminStatus::Online => None,
        AdminStatus::Draining => Some(State::Draining),
        AdminStatus::Disabled => Some(State::Disabled),
    };
    match (wanted, backend.health.state()) {
        (Some(state), _) => backend.health.set(&backend.name, state, "the configuration says so"),
        (None, State::Draining | State::Disabled) => {
            backend.health.set(&backend.name, State::Up, "the configuration says so");
        }
        (None, _) => {}
    }
    Arc::clone(backend)
}
