//! The checks that need all files to have been read: entries that name each other, names that are there twice, and
//! settings that need another one.
//!
//! [`super::read`] calls them at its end. Rules are checked by [`crate::rules::RuleSet`] instead. What is certainly
//! wrong is a fault; what is probably not meant is a warning.

use super::Lists;
use crate::config::fault::{Fault, Sink};
use crate::config::server::Server;
use std::path::Path;

impl Lists<'_> {
    /// Hostgroups that share a server share its connections: they begin in one way.
    fn check_shared(&self, hostgroups: &[u32]) {
        for (at, id) in hostgroups.iter().enumerate() {
            let init = |id: u32| {
                let settings = self.hostgroup_settings.iter().find(|h| h.id == id);
                settings.and_then(|h| h.attributes.init_connect.as_deref())
            };
            let servers = |id: &u32| {
                self.backends
                    .iter()
                    .filter(|(b, _)| b.hostgroups.contains(id))
                    .map(|(b, _)| &b.target.address)
                    .collect::<Vec<_>>()
            };
            let mine = servers(id);
            let other = hostgroups
                .iter()
                .take(at)
                .find(|other| init(**other) != init(*id) && servers(other).iter().any(|s| mine.contains(s)));
            if let (Some(other), Some((_, section))) = (other, self.hostgroups.get(at)) {
                section.fault(
                    "attributes",
                    format!(
                        "hostgroup {other} has a server of this one and another init_connect: connections are shared"
                    ),
                );
            }
        }
    }

    /// Who is to be asked whether it is read-only is asked by checks that sign in.
    fn check_askers(&self, server: &Server) {
        let nobody_asks = server.health.username.is_none();
        for (settings, (_, section)) in self.hostgroup_settings.iter().zip(&self.hostgroups) {
            if nobody_asks && settings.check_read_only == Some(true) {
                section.warn(
                    "check_read_only",
                    "[health] has no account, so nobody can ask: a read-only server takes writes all the same",
                );
            }
        }
    }

    /// What shows only in the whole, beside what the rules check themselves.
    pub(super) fn check(&self, server: &Server, first_file: &Path, sink: &Sink) {
        let known: Vec<u32> = self.hostgroups.iter().map(|(h, _)| h.id).collect();
        let mut places = Vec::new();
        for (backend, section) in &self.backends {
            for id in &backend.hostgroups {
                if !known.contains(id) {
                    let key = if section.contains("hostgroups") { "hostgroups" } else { "hostgroup" };
                    section.fault(key, format!("hostgroup {id} is not declared"));
                }
                let place = (id, &backend.target.address);
                if places.contains(&place) {
                    section.fault("address", format!("{} is in hostgroup {id} twice", backend.target.address));
                }
                places.push(place);
            }
        }
        self.check_shared(&known);
        self.check_askers(server);
        for (hostgroup, section) in &self.hostgroups {
            if !places.iter().any(|(id, _)| **id == hostgroup.id) {
                section.warn("id", format!("hostgroup {} has no backend", hostgroup.id));
            }
            if hostgroup.horizon.is_some() && self.tables.is_empty() {
                section.warn(
                    "horizon",
                    "no [[table]] says which column a row's time is in: the horizon is never looked at",
                );
            }
        }
        let mut names: Vec<&str> = Vec::new();
        for (user, section) in &self.users {
            if names.contains(&user.account.name.as_str()) {
                section.fault("username", format!("user {} is there twice", user.account.name));
            }
            names.push(&user.account.name);
        }
        let mut tables: Vec<(Option<String>, String)> = Vec::new();
        for (table, section) in &self.tables {
            let key = (table.schema.as_ref().map(|s| s.to_lowercase()), table.name.to_lowercase());
            if tables.contains(&key) {
                section.fault("name", format!("table {} is there twice", table.name));
            }
            tables.push(key);
        }
        for (rule, section) in self.rules.iter().filter(|(r, _)| !r.horizon.is_empty() && self.tables.is_empty()) {
            section
                .warn("horizon", format!("rule {}: no [[table]] says which column a row's time is in", rule.rule_id));
        }
        for (missing, what) in [(self.backends.is_empty(), "[[backend]]"), (self.users.is_empty(), "[[user]]")] {
            if missing {
                sink.fault(Fault::whole(first_file, format!("there is no {what}: nothing could be served")));
            }
        }
    }
}
