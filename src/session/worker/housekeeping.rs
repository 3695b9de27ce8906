//! What a worker does once a second, whatever its sessions do: it closes idle links that are of no more use, forgets what nobody uses,
//! and shows to others what only its thread can see.
//!
//! The loop of a worker (`app`) calls it. It refuses to touch what a session holds: those who hold what others wait for are called, and
//! give it back themselves.

use super::Worker;
use super::registry::Registry;
use super::snapshot::Snapshot;
use crate::backend::Hostgroup;
use crate::backend::health::State as HealthState;
use crate::backend::server::BackendId;
use crate::net::outbox;
use std::collections::HashSet;

/// Seconds for which what was found out about a server is believed: that a schema exists, that its `sql_mode` is another.
const TRUST: u32 = 10;

impl Worker {
    /// Calls those who hold connections that others wait for, here or at another worker, and that they need for no more than what
    /// their clients may ask next.
    pub fn call_back(&self) {
        for backend in self.snapshot().topology.hostgroups().flat_map(|h| &h.members).map(|m| &m.backend) {
            let waiting = usize::try_from(backend.waiting()).unwrap_or(usize::MAX);
            if waiting > 0 {
                self.pool.borrow_mut().lines.call_back(backend.id, waiting);
            }
        }
    }

    /// Backends that are down.
    pub fn backends_down(&self) -> Vec<BackendId> {
        let snapshot = self.snapshot();
        let backends = snapshot.topology.hostgroups().flat_map(|h| &h.members).map(|m| &m.backend);
        backends.filter(|b| b.health.state() == HealthState::Down).map(|b| b.id).collect()
    }

    /// Backends that are silent.
    pub fn backends_silent(&self) -> Vec<BackendId> {
        let snapshot = self.snapshot();
        let backends = snapshot.topology.hostgroups().flat_map(|h| &h.members).map(|m| &m.backend);
        backends.filter(|b| b.is_silent()).map(|b| b.id).collect()
    }

    /// Gives up reads at backends that are silent, as many as may be run a second time; they are run elsewhere.
    pub fn move_reads(&self, registry: &Registry) {
        let counters = &self.stats.counters;
        let mut moves = self.moves.borrow_mut();
        let most = moves.earned(counters.statements.get(), self.snapshot.borrow().settings.moved_reads);
        let silent = self.backends_silent();
        if silent.is_empty() {
            return;
        }
        let (moved, left) = registry.cut_reads(|backend| silent.contains(&backend), most);
        moves.spend(moved);
        counters.moved_reads.add(moved as u64);
        if left > 0 && moves.is_news() {
            tracing::warn!(
                left,
                "reads wait for a silent server: more than moved_reads allows would be run a second time"
            );
        }
    }

    /// Once a second: counts the tick, and closes idle links that are dead, too old, or not wanted any more.
    pub fn housekeep(&self) {
        let now = self.ticks.get().wrapping_add(1);
        self.ticks.set(now);
        let snapshot = self.snapshot();
        let idle_limit = u32::try_from(snapshot.settings.pool_idle.as_secs()).unwrap_or(u32::MAX);
        let lifetime = u32::try_from(snapshot.settings.pool_lifetime.as_secs()).unwrap_or(u32::MAX);
        self.pool.borrow_mut().sweep(|link, since| {
            now.wrapping_sub(since) > idle_limit
                || now.wrapping_sub(link.born) > lifetime
                || link.backend().waiting() > 0
                || !link.backend().is_usable()
                || link.is_disturbed()
        });
        self.keep_shares(&snapshot);
        self.forget_accounts(&snapshot);
        self.show_gauges();
        self.texts.borrow_mut().retain(|_, (_, users)| users.strong_count() > 0);
        let is_past = |at: u32| now.wrapping_sub(at) >= TRUST;
        self.schemas.forget(is_past);
        self.echoes.forget(is_past);
        let backends = snapshot.topology.backends();
        self.openings.retain(|id| backends.iter().any(|backend| backend.id == id));
    }

    /// Closes idle links that are more than this worker's share of what a server's hostgroups let lie idle.
    fn keep_shares(&self, snapshot: &Snapshot) {
        if snapshot.topology.hostgroups().all(|h| h.attributes.free_pct.is_none()) {
            return;
        }
        for backend in snapshot.topology.backends() {
            let of = |h: &Hostgroup| h.attributes.idle_share(backend.max_connections(), self.board.workers());
            let is_in = |h: &&Hostgroup| h.members.iter().any(|m| m.backend.id == backend.id);
            // One hostgroup that has no limit keeps them all.
            let shares: Option<Vec<usize>> = snapshot.topology.hostgroups().filter(is_in).map(of).collect();
            if let Some(most) = shares.and_then(|shares| shares.into_iter().max()) {
                self.pool.borrow_mut().trim(backend.id, most);
            }
        }
    }

    /// Shows to others what only this thread can see.
    fn show_gauges(&self) {
        let counters = &self.stats.counters;
        let plans = self.plans.borrow();
        let cache = plans.counters();
        counters.plan_text_hits.set(cache.text_hits);
        counters.plan_digest_hits.set(cache.digest_hits);
        counters.plan_misses.set(cache.misses);
        counters.plan_evicted.set(cache.evicted);
        counters.plans.set(plans.len() as u64);
        counters.pool_idle.set(self.pool.borrow().len() as u64);
        counters.buffer_bytes.set(self.buffers.bytes() as u64);
        let sent = outbox::counts();
        counters.batches.set(sent.batches);
        counters.batched_messages.set(sent.messages);
        let (mut texts, mut clients, mut server_texts, mut servers) = (0, 0, 0, 0);
        self.each_text(|number, text, users| {
            texts += 1;
            clients += users as u64;
            server_texts += u64::from(text.servers() > 0);
            servers += text.servers() as u64;
            counters.text_number.set(counters.text_number.get().max(number));
        });
        counters.texts.set(texts);
        counters.text_clients.set(clients);
        counters.server_texts.set(server_texts);
        counters.text_servers.set(servers);
    }

    /// Forgets what accounts signed in with once, and nobody does any more: passwords that were changed.
    fn forget_accounts(&self, snapshot: &Snapshot) {
        let present = (snapshot.version, self.accounts.borrow().count());
        if present.1 <= snapshot.accounts.len() || self.accounts_swept.replace(present) == present {
            return;
        }
        let valid: HashSet<u32> = {
            let accounts = self.accounts.borrow();
            snapshot.accounts.iter().filter_map(|account| accounts.known(account)).collect()
        };
        let mut pooled = HashSet::new();
        self.pool.borrow().each(|key, _, _| {
            pooled.insert(key.account);
        });
        let mut accounts = self.accounts.borrow_mut();
        accounts.retain(|number| valid.contains(&number) || pooled.contains(&number));
        self.accounts_swept.set((snapshot.version, accounts.count()));
    }
}
