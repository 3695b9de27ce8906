//! From what the servers' catalogues have to what statements are planned by.
//!
//! The health checks read the catalogues ([`crate::backend::catalogue`]), [`crate::sql::definitions`] says what follows from
//! them, and the rules carry that to the plans. All servers' definitions are taken together: what a trigger does on one
//! server it may do on each. Runs on the control thread; it refuses to ask a server.

use crate::backend::Backend;
use crate::backend::catalogue::{self, Entry, Moment};
use crate::session::worker::snapshot::Snapshot;
use crate::sql::definitions::{Definition, Definitions, Kind};
use std::sync::Arc;

/// What of the servers' catalogues is taken into account.
#[derive(Default)]
pub struct Learner {
    /// The definitions of each server that has been read, by the server's name.
    taken: Vec<(Box<str>, Arc<Vec<Entry>>)>,
}

/// Readings of servers, which are in effect once what follows from them is published.
pub struct Readings(Vec<(Arc<Backend>, Moment)>);

impl Learner {
    /// Looks at what has been read of a snapshot's servers. Gives the snapshot that takes their place in effect, if anything new
    /// follows from them, and the readings.
    pub fn look(&mut self, snapshot: &Snapshot) -> (Option<Snapshot>, Readings) {
        let (mut taken, mut readings) = (Vec::new(), Vec::new());
        for backend in snapshot.topology.backends() {
            if let Some((entries, moment)) = backend.catalogue.read() {
                taken.push((backend.name.clone(), entries));
                readings.push((backend, moment));
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
        for (backend, moment) in self.0 {
            backend.catalogue.take_effect(moment);
        }
    }
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
