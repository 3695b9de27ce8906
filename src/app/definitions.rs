//! From what the servers' catalogues have to what statements are planned by.
//!
//! The catalogues are read by a task for each backend ([`crate::backend::catalogue`]), [`crate::sql::definitions`] says what follows from
//! them, and the rules carry that to the plans. All servers' definitions are taken together: what a trigger does on one
//! server it may do on each. Runs on the control thread; it refuses to ask a server.

use crate::auth::Credentials;
use crate::backend::Backend;
use crate::backend::catalogue::follow::{self, Readers};
use crate::backend::catalogue::{self, Entry};
use crate::session::worker::Published;
use crate::session::worker::snapshot::Snapshot;
use crate::sql::definitions::{Definition, Definitions, Kind};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The longest that a start waits for the writers' definitions.
const LONGEST_START: Duration = Duration::from_secs(1);

/// What of the servers' catalogues is taken into account.
#[derive(Default)]
pub struct Learner {
    /// The definitions of each server that has been read, by the server's name.
    taken: Vec<(Box<str>, Arc<Vec<Entry>>)>,
}

/// Readings of servers, which are in effect once what follows from them is published.
pub struct Readings(Vec<(Arc<Backend>, Arc<Vec<Entry>>)>);

impl Learner {
    /// Looks at what has been read of a snapshot's servers. Gives the snapshot that takes their place in effect, if anything new
    /// follows from them, and the readings.
    pub fn look(&mut self, snapshot: &Snapshot) -> (Option<Snapshot>, Readings) {
        let (mut taken, mut readings) = (Vec::new(), Vec::new());
        for backend in snapshot.topology.backends() {
            if let Some(entries) = backend.catalogue.read() {
                taken.push((backend.name.clone(), Arc::clone(&entries)));
                readings.push((backend, entries));
            }
        }
        let readings = Readings(readings);
        let same = |(a, b): (&(Box<str>, Arc<Vec<Entry>>), &(Box<str>, Arc<Vec<Entry>>))| {
            a.0 == b.0 && Arc::ptr_eq(&a.1, &b.1)
        };
        if taken.len() == self.taken.len() && taken.iter().zip(&self.taken).all(same) {
            return (None, readings);
        }
        let all: Vec<Definition> = taken.iter().flat_map(|(_, entries)| entries.iter().map(definition)).collect();
        self.taken = taken;
        let definitions = Definitions::new(&all);
        if definitions == **snapshot.rules.definitions() {
            return (None, readings);
        }
        let (tables, views, routines) = definitions.counts();
        tracing::info!(
            tables,
            views,
            routines,
            "what stands behind these tables, views and routines is taken into account"
        );
        let rules = Arc::new(snapshot.rules.with_definitions(Arc::new(definitions)));
        (Some(Snapshot { rules, ..snapshot.clone() }), readings)
    }
}

impl Readings {
    /// What follows from them is published.
    pub fn take_effect(self) {
        for (backend, entries) in self.0 {
            backend.catalogue.take_effect(&entries);
        }
    }
}

/// Reads the definitions of the writers, so that they are known before the first client comes. Who does not answer soon is not
/// waited for.
pub async fn meet(snapshot: &Snapshot) {
    let (readers, accounts) = (readers(snapshot), || accounts(snapshot));
    let all = async {
        for writer in snapshot.writers().filter(|writer| writer.greeted().is_some()) {
            follow::read_now(writer, &readers, &accounts).await;
        }
    };
    let _ = timeout(LONGEST_START, all).await;
}

/// Reads a backend's definitions for ever, as the published configuration says.
pub async fn follow(backend: Arc<Backend>, published: Published) {
    let readers = || readers(&published.load());
    follow::follow(backend, readers, &|| accounts(&published.load())).await;
}

fn readers(snapshot: &Snapshot) -> Readers {
    Readers {
        checks: snapshot.checks.credentials.clone(),
        interval: snapshot.catalogue_interval,
        connect_timeout: snapshot.checks.timeout,
    }
}

/// What the accounts sign in with behind, as far as it is known, each once.
fn accounts(snapshot: &Snapshot) -> Vec<Credentials> {
    let mut all: Vec<Credentials> = snapshot.accounts.iter().filter_map(|account| account.credentials()).collect();
    all.sort_by(|a, b| a.username.cmp(&b.username));
    all.dedup_by(|a, b| a.username == b.username);
    all
}

fn definition(entry: &Entry) -> Definition {
    let kind = match entry.kind {
        catalogue::Kind::Trigger => Kind::Trigger,
        catalogue::Kind::View => Kind::View,
        catalogue::Kind::Routine => Kind::Routine,
    };
    let Entry { name, body, parameters, sql_mode, .. } = entry.clone();
    Definition { kind, name, body, parameters, sql_mode }
}
