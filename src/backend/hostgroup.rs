//! Hostgroups as the traffic sees them: interchangeable backends under one number, and the choice of one of them for a
//! statement.
//!
//! The choice looks at health, lag, `read_only`, watermarks where a read must see a write ([`Needs`]), weights and the statements under
//! way ([`super::server`]). It opens no connection and tries nothing twice: the session goes to the next backend or hostgroup. Roles and horizons for the
//! routing decision are in `rules::hostgroup`.

use super::attributes::{Attributes, Throttle};
use super::heartbeat::Feed;
use super::heartbeat::marks::Beat;
use super::server::{Backend, BackendId};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a hostgroup chooses among its backends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The fewest statements under way for its weight; ties in turn. What serves most.
    #[default]
    LeastOutstanding,
    /// By weight, in turn.
    RoundRobin,
}

/// A backend's place in a hostgroup.
#[derive(Clone, Debug)]
pub struct Member {
    /// The server.
    pub backend: Arc<Backend>,
    /// Its share; 0 means only when all others are gone.
    pub weight: u32,
}

/// What a read must find on the server that answers it: all writes of a hostgroup that were answered up to a moment, and those that
/// precede some heartbeats.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// Milliseconds of the router's clock; none: there are none of the router's own.
    after: Option<u64>,
    /// Who took the session's own write, if that is known.
    wrote_on: Option<BackendId>,
    /// What a client has carried here from another connection.
    token: &'a [Beat],
    /// Who took the writes; none: nothing is needed.
    writers: Option<&'a Hostgroup>,
    /// A reader that is silent will do, too.
    may_be_silent: bool,
}

impl<'a> Needs<'a> {
    /// Any server will do.
    pub const NOTHING: Needs<'static> =
        Needs { after: None, wrote_on: None, token: &[], writers: None, may_be_silent: false };

    /// The writes of this hostgroup that were answered up to `after`, in milliseconds of the router's clock, and those of a token.
    pub fn writes_of(writers: &'a Hostgroup, after: Option<u64>, token: &'a [Beat]) -> Self {
        Self { after, wrote_on: None, token, writers: Some(writers), may_be_silent: false }
    }

    /// The same, where it is known who took the latest write.
    #[must_use]
    pub fn of_write_on(self, wrote_on: Option<BackendId>) -> Self {
        Self { wrote_on, ..self }
    }

    /// The same from a reader that is silent, too: for where no other can be had.
    #[must_use]
    pub fn or_silent(self) -> Self {
        Self { may_be_silent: true, ..self }
    }

    /// True if this server is known to have them.
    #[inline]
    pub fn are_met_by(&self, backend: &Backend) -> bool {
        self.writers.is_none_or(|writers| self.missing_at(backend, writers).is_none())
    }

    /// The writer whose writes this server is not known to have.
    pub fn missing_writer(&self, backend: &Backend) -> Option<&'a Backend> {
        self.writers.and_then(|writers| self.missing_at(backend, writers))
    }

    /// A writer that serves has taken the place of those that do not, but for the one that took the session's own write: that may have
    /// more than the other, until it is known to be read-only. Where none serves, all count that ever had a heartbeat.
    fn missing_at(&self, backend: &Backend, writers: &'a Hostgroup) -> Option<&'a Backend> {
        let members = || writers.members.iter().map(|member| &*member.backend);
        let others = || members().filter(|writer| writer.id != backend.id);
        if !self.has_token(backend) {
            return others().next();
        }
        let after = self.after?;
        let is_missing = |writer: &&Backend| backend.watermarks.to(writer.beats.epoch()) <= after;
        if members().any(|writer| writers.could(writer)) {
            let counts = |writer: &&Backend| {
                writers.could(writer) || self.wrote_on == Some(writer.id) && !writer.read_only.is_on()
            };
            others().filter(counts).find(is_missing)
        } else if members().any(|writer| writer.beats.epoch() != 0) {
            others().filter(|writer| writer.beats.epoch() != 0).find(is_missing)
        } else {
            others().next()
        }
    }

    /// True if this server is known to have what the token asks for: by its watermark, or because it was written there. A heartbeat of
    /// which nobody here knows is nowhere.
    fn has_token(&self, backend: &Backend) -> bool {
        let has =
            |beat: &Beat| beat.epoch != 0 && (backend.watermarks.have(*beat) || backend.beats.epoch() == beat.epoch);
        self.token.iter().all(has)
    }
}

/// Interchangeable backends.
#[derive(Clone, Debug)]
pub struct Hostgroup {
    /// Its number.
    pub id: u32,
    /// What people call it.
    pub name: Box<str>,
    /// True if writes may go there.
    pub writer: bool,
    /// True if a member that says it is read-only takes no writes; for writers.
    pub checks_read_only: bool,
    /// Its members.
    pub members: Vec<Member>,
    /// How it chooses.
    pub balance: Balance,
    /// What its connections are held to.
    pub attributes: Attributes,
    /// What brings a writer's rows to its members.
    pub feed: Feed,
    /// What was opened for it lately.
    pub throttle: Arc<Throttle>,
}

impl Hostgroup {
    /// True if new statements for this hostgroup may go to one of its members. A lag takes nobody out of a writer hostgroup,
    /// nor `read_only` out of a reader one.
    #[inline]
    pub fn takes(&self, backend: &Backend) -> bool {
        self.could(backend) && !self.has_too_many()
    }

    #[inline]
    fn could(&self, backend: &Backend) -> bool {
        backend.is_usable()
            && !if self.writer { self.checks_read_only && backend.read_only.is_on() } else { backend.lag.is_out() }
    }

    /// True while more of its members could serve than may: then none does.
    #[inline]
    pub fn has_too_many(&self) -> bool {
        let could = |most: u32| self.members.iter().filter(|m| self.could(&m.backend)).count() > most as usize;
        self.attributes.max_online.is_some_and(could)
    }

    /// True if one of its members is up, and is left out for its lag or for being read-only.
    pub fn is_held_back(&self, backend: &Backend) -> bool {
        backend.is_usable() && !self.could(backend)
    }

    /// True if that is for its lag.
    pub fn is_too_far_behind(&self, backend: &Backend) -> bool {
        !self.writer && self.is_held_back(backend)
    }

    /// True if that is because it is read-only.
    pub fn is_read_only(&self, backend: &Backend) -> bool {
        self.writer && self.is_held_back(backend)
    }

    /// Its members that take nothing new, and why.
    pub fn left_out(&self) -> impl Iterator<Item = (&Arc<Backend>, String)> {
        let out = self.members.iter().map(|m| &m.backend).filter(|b| !self.takes(b));
        out.map(|b| {
            let lag = b.lag.seen().out.filter(|_| self.is_too_far_behind(b));
            let crowd = self.could(b).then(|| "more servers are online than max_num_online_servers allows".to_owned());
            let read_only = self.is_read_only(b).then(|| "it is read-only, and takes no writes".to_owned());
            (b, lag.or(read_only).or(crowd).unwrap_or_else(|| b.health.state().name().to_owned()))
        })
    }

    /// True if a connection may be opened now; it is counted then.
    pub fn may_open(&self) -> bool {
        self.attributes.connects_per_second.is_none_or(|limit| self.throttle.take(limit))
    }

    /// True if one of its members takes statements.
    pub fn has_taker(&self) -> bool {
        self.members.iter().any(|member| self.takes(&member.backend))
    }

    /// True if watermarks say where the writes of its members are; otherwise a window of time does.
    pub fn has_heartbeats(&self) -> bool {
        self.members.iter().any(|member| member.backend.beats.are_on())
    }

    /// The backend for the next statement: usable, not among `tried`, with what the statement needs, and by the hostgroup's balance the
    /// best.
    ///
    /// `turn` is the worker's own counter, so that workers do not move in step.
    pub fn pick(&self, tried: &[BackendId], needs: &Needs<'_>, turn: &Cell<u32>) -> Option<&Arc<Backend>> {
        let usable = |m: &&Member| {
            self.takes(&m.backend)
                && !tried.contains(&m.backend.id)
                && (self.writer || needs.may_be_silent || !m.backend.is_silent())
                && needs.are_met_by(&m.backend)
        };
        if let [only] = self.members.as_slice() {
            return Some(only).filter(usable).map(|m| &m.backend);
        }
        let start = turn.get();
        turn.set(start.wrapping_add(1));
        let heaviest = self.members.iter().filter(usable).map(|m| m.weight).max()?;
        let candidates = || self.members.iter().filter(usable).filter(|m| m.weight > 0 || heaviest == 0);
        match self.balance {
            Balance::LeastOutstanding => {
                let count = self.members.len();
                // Starting elsewhere each time turns ties round; `min_by` keeps the first of equals.
                let offset = start as usize % count;
                let order = |m: &Member| (u64::from(m.backend.busy()) + 1) * 1_000_000 / u64::from(m.weight.max(1));
                let (tail, head) = self.members.split_at(offset);
                head.iter()
                    .chain(tail)
                    .filter(usable)
                    .filter(|m| m.weight > 0 || heaviest == 0)
                    .min_by_key(|m| order(m))
                    .map(|m| &m.backend)
            }
            Balance::RoundRobin => in_turn(start, candidates).map(|m| &m.backend),
        }
    }
}

/// The member whose turn it is, by weight. `candidates` is gone through twice, and who is among them may change in between: a backend may go
/// down at any moment. Then the last that is seen has the turn.
fn in_turn<'a, I: Iterator<Item = &'a Member>>(start: u32, candidates: impl Fn() -> I) -> Option<&'a Member> {
    let share = |m: &Member| u64::from(m.weight.max(1));
    let total: u64 = candidates().map(share).sum();
    let mut place = u64::from(start).checked_rem(total)?;
    let mut last = None;
    for member in candidates() {
        if place < share(member) {
            return Some(member);
        }
        place -= share(member);
        last = Some(member);
    }
    last
}

/// All hostgroups of one configuration.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    hostgroups: BTreeMap<u32, Hostgroup>,
}

impl Topology {
    /// A topology of these hostgroups; a later one with the same number takes the earlier one's place.
    pub fn new(hostgroups: impl IntoIterator<Item = Hostgroup>) -> Self {
        Self { hostgroups: hostgroups.into_iter().map(|h| (h.id, h)).collect() }
    }

    /// The hostgroup with this number.
    pub fn hostgroup(&self, id: u32) -> Option<&Hostgroup> {
        self.hostgroups.get(&id)
    }

    /// The members of these hostgroups, in order.
    pub fn members_of(&self, hostgroups: &[u32]) -> impl Iterator<Item = &Member> {
        hostgroups.iter().filter_map(|id| self.hostgroup(*id)).flat_map(|hostgroup| &hostgroup.members)
    }

    /// The backends of these hostgroups that take nothing new, and why: `20: db1:3306: 45 s behind, 10 s are allowed`.
    pub fn left_out(&self, hostgroups: &[u32]) -> Vec<String> {
        let known = hostgroups.iter().filter_map(|id| self.hostgroup(*id));
        known.flat_map(|h| h.left_out().map(move |(b, why)| format!("{}: {}: {why}", h.id, b.name))).collect()
    }

    /// All hostgroups, by number.
    pub fn hostgroups(&self) -> impl Iterator<Item = &Hostgroup> {
        self.hostgroups.values()
    }

    /// Every backend once.
    pub fn backends(&self) -> Vec<Arc<Backend>> {
        let mut all: Vec<_> = self.hostgroups().flat_map(|h| &h.members).map(|m| Arc::clone(&m.backend)).collect();
        all.sort_by_key(|b| b.id);
        all.dedup_by_key(|b| b.id);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::connect::Target;
    use crate::backend::discovery;
    use crate::backend::health::{Health, State, Thresholds};
    use crate::backend::heartbeat::beats::By;
    use crate::backend::heartbeat::table::Row;

    fn member(id: u32, weight: u32) -> Member {
        let health = Health::new(Thresholds::default(), State::Up);
        Member { backend: Arc::new(Backend::new(BackendId(id), Target::tcp("db", 3306), 10, health)), weight }
    }

    /// Backends that go down between the two looks at them.
    #[test]
    fn turns_while_backends_go_down() {
        let members = [member(1, 1), member(2, 1), member(3, 2)];
        let looks = Cell::new(0);
        let shrinking = |left: [usize; 2]| {
            looks.set(0);
            let members = &members;
            let looks = &looks;
            move || {
                let look = looks.replace(looks.get() + 1);
                members[..left[look.min(1)]].iter()
            }
        };
        let turn = |start, left| in_turn(start, shrinking(left)).map(|m| m.backend.id.0);
        assert_eq!((0..5).map(|start| turn(start, [3, 3])).collect::<Vec<_>>(), [1, 2, 3, 3, 1].map(Some));
        assert_eq!(turn(0, [0, 0]), None, "none at the first look");
        assert_eq!(turn(3, [3, 0]), None, "none at the second");
        assert_eq!(turn(3, [3, 1]), Some(1), "whose turn it was is gone: one that is there has it");
    }

    const NOW: u64 = 1_000;

    /// Two servers that are writers and readers both: the first has a heartbeat of epoch 1, and what it had until 900 is on the second.
    fn pair() -> Hostgroup {
        let members = vec![member(1, 1), member(2, 1)];
        let [one, other] = [&members[0].backend, &members[1].backend];
        one.read_only.reconfigure(true);
        other.read_only.reconfigure(true);
        let beat = Beat { epoch: 1, seq: 7 };
        one.beats.note(beat, 900, By::Us);
        let rows = [Row::as_written(beat)];
        other.watermarks.observe(Ok(&rows), std::iter::once(("one", &one.beats)), Feed::Replication, NOW);
        Hostgroup {
            id: 10,
            name: "w".into(),
            writer: true,
            checks_read_only: true,
            members,
            balance: Balance::default(),
            attributes: Attributes::default(),
            feed: Feed::default(),
            throttle: Arc::default(),
        }
    }

    fn read_only(backend: &Backend) {
        backend.read_only.observe(discovery::Reading::ReadOnly("read_only"));
    }

    #[test]
    fn a_server_has_a_write_if_its_watermark_says_so() {
        let pair = pair();
        let [one, other] = [&*pair.members[0].backend, &*pair.members[1].backend];
        read_only(other);
        let met = |after, backend| Needs::writes_of(&pair, Some(after), &[]).are_met_by(backend);
        assert!(met(899, other) && !met(900, other), "its watermark is 900");
        assert!(met(900, one), "it was written there");
        assert!(Needs::NOTHING.are_met_by(other));
    }

    #[test]
    fn while_no_writer_serves_what_they_had_is_needed_all_the_same() {
        let pair = pair();
        let [one, other] = [&*pair.members[0].backend, &*pair.members[1].backend];
        read_only(one);
        read_only(other);
        let met = |after| Needs::writes_of(&pair, Some(after), &[]).are_met_by(other);
        assert!(met(899) && !met(900));
        one.health.set("one", State::Disabled, "for the test");
        assert!(met(899) && !met(900));
    }

    #[test]
    fn who_took_the_sessions_write_counts_though_another_serves() {
        let pair = pair();
        let [one, other] = [&*pair.members[0].backend, &*pair.members[1].backend];
        one.health.set("one", State::Disabled, "for the test");
        let needs = Needs::writes_of(&pair, Some(900), &[]);
        assert!(needs.are_met_by(other), "another has taken its place");
        assert!(!needs.of_write_on(Some(one.id)).are_met_by(other), "it may have more than that");
        read_only(one);
        assert!(needs.of_write_on(Some(one.id)).are_met_by(other), "it has been demoted");
    }

    #[test]
    fn a_token_is_found_where_its_heartbeats_are_and_nowhere_else() {
        let pair = pair();
        let [one, other] = [&*pair.members[0].backend, &*pair.members[1].backend];
        read_only(other);
        let met = |epoch, seq, backend| Needs::writes_of(&pair, None, &[Beat { epoch, seq }]).are_met_by(backend);
        assert!(met(1, 7, other) && met(1, 8, one), "it is there; it was written there");
        assert!(!met(1, 8, other), "a member of the writers' hostgroup, and a replica");
        assert!(!met(9, 1, other) && !met(9, 1, one), "nobody knows it");
        assert!(!met(0, 0, other) && !met(0, 0, one), "nobody's");
    }
}
