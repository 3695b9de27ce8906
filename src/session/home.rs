//! A session's home: the writer of the route that its default schema has, and what the session begins with there.
//!
//! Everything that a session has not set is as its home says, by value: how statements are read, character sets, the time
//! zone. So a home must be met before the first statement. The schema that a client asks for is asked of the home that goes
//! with *that* schema, by the rules, the fast routes and the user's default; one router serves schemas of many hostgroups.
//!
//! It refuses to turn a client away because its home cannot be reached: reads may be served all the same, and then the
//! session is like the first server that answers.

use crate::protocol::status::Status;
use crate::rules::Route;
use crate::session::error::{SessionEnd, StatementError};
use crate::session::parts::Session;
use crate::session::state::State;
use crate::session::state::base::{Base, Born};
use crate::session::state::pins::Pins;
use crate::session::supply::Tried;
use crate::session::worker::schemas::Schema;
use crate::session::worker::snapshot::Snapshot;
use crate::session::worker::{FRESH, SignIn};
use crate::sql::lexer::{Lexer, TokenKind};
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

/// `USE x`, as a statement that rules can see.
pub(super) fn use_statement(schema: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    put_use(&mut text, schema);
    text
}

/// Appends it.
fn put_use(text: &mut Vec<u8>, schema: &[u8]) {
    text.extend_from_slice(b"USE ");
    quote(text, schema);
}

/// Appends a name in backquotes.
pub(super) fn quote(text: &mut Vec<u8>, name: &[u8]) {
    for part in name.split(|byte| *byte == b'`') {
        // What ends one part and begins the next is a backquote doubled.
        text.push(b'`');
        text.extend_from_slice(part);
        text.push(b'`');
    }
}

/// The name in `USE name`; none where the text is anything more.
pub(super) fn name_used(sql: &[u8], mode: crate::sql::LexMode) -> Option<String> {
    let mut tokens = Lexer::new(sql, mode).filter(|token| !token.is_hint());
    let (verb, name) = (tokens.next()?, tokens.next()?);
    let ends = tokens.all(|token| token.text(sql) == b";");
    if !ends || verb.kind != TokenKind::Word || !verb.text(sql).eq_ignore_ascii_case(b"USE") {
        return None;
    }
    // One that is not in UTF-8 is for the server to read.
    std::str::from_utf8(name.text(sql)).ok()?;
    Some(name.name(sql)?.into_owned())
}

impl Session {
    /// The route of a session's own affairs with this default schema, whatever it is now.
    fn route_home(&self, snapshot: &Snapshot, schema: Option<&str>) -> Rc<Route> {
        // Most sign-ins ask for the schema that they have: what the rules see of the session is then found out once.
        let subject = match self.subject.schema() == schema {
            true => Cow::Borrowed(&self.subject),
            false => {
                let mut other = self.subject.clone();
                other.set_schema(schema);
                Cow::Owned(other)
            }
        };
        let mut text = self.worker.buffers.take();
        match schema {
            Some(schema) => put_use(&mut text, schema.as_bytes()),
            None => text.extend_from_slice(b"DO 0"),
        }
        let mut plans = self.worker.plans.borrow_mut();
        let (_, route) = plans.route(&subject, &text, &snapshot.rules, &|| self.now(), self.time_zone(snapshot));
        self.worker.buffers.give(text);
        route
    }

    /// The writers among the hostgroups of that route; the route's own writer if there are none.
    pub(super) fn home_tiers(&self, snapshot: &Snapshot, schema: Option<&str>) -> Arc<[u32]> {
        let route = self.route_home(snapshot, schema);
        let is_writer = |id: &u32| snapshot.topology.hostgroup(*id).is_some_and(|h| h.writer);
        if !route.tiers.is_empty() && route.tiers.iter().all(is_writer) {
            return Arc::clone(&route.tiers);
        }
        let writers: Arc<[u32]> = route.tiers.iter().copied().filter(is_writer).collect();
        if writers.is_empty() { Arc::new([route.writer]) } else { writers }
    }

    /// What of its sign-in decides about what it begins with.
    fn sign_in(&self) -> SignIn {
        SignIn::of(self.collation, self.capabilities)
    }

    /// What a session with this schema begins with, as far as its home has said.
    fn known_base(&self, snapshot: &Snapshot, schema: Option<&str>) -> Option<Rc<Base>> {
        let tiers = self.home_tiers(snapshot, schema);
        Some(self.base_of(&tiers, Born::BySignIn)?.0)
    }

    /// The base that the first of these hostgroups has said, which has said one, and its age in ticks.
    fn base_of(&self, tiers: &[u32], born: Born) -> Option<(Rc<Base>, u32)> {
        tiers.iter().find_map(|hostgroup| self.worker.base_of(*hostgroup, self.sign_in(), born))
    }

    /// The state that a new life of this session begins in, by a sign-in.
    pub(super) fn fresh(&self, schema: Option<&str>) -> Rc<State> {
        match self.known_base(&self.worker.snapshot(), schema) {
            Some(base) => self.worker.states.begun(schema, &base),
            None => self.worker.states.unmet(schema),
        }
    }

    /// The one that it begins in after COM_RESET_CONNECTION: what a connection of its home does.
    pub(super) async fn fresh_by_reset(&mut self) -> Rc<State> {
        let snapshot = self.worker.snapshot();
        let before = Rc::clone(&self.state);
        let schema = before.values.schema.as_deref();
        let tiers = self.home_tiers(&snapshot, schema);
        match self.meet(&snapshot, &tiers, Born::ByReset).await {
            Some(base) => self.worker.states.begun(schema, &base),
            None => self.fresh(schema),
        }
    }

    /// Resets an idle connection of these hostgroups to hear what connections begin with now. False if there is none.
    async fn refresh(&self, snapshot: &Snapshot, tiers: &[u32]) -> bool {
        let Some(mut link) = self.supply().any_idle(snapshot, tiers) else { return false };
        match self.worker.reset_and_ask(&mut link).await {
            Ok(()) => self.release(link),
            Err(_) => self.discard(link),
        }
        true
    }

    /// Before the first statement: makes sure that the home has said what the session begins with, and that the schema
    /// exists there, unless both are known.
    ///
    /// # Errors
    /// The server's own, where it refuses the schema.
    pub(super) async fn meet_home(&mut self) -> Result<(), StatementError> {
        let snapshot = self.worker.snapshot();
        let tiers = self.home_tiers(&snapshot, self.state.values.schema.as_deref());
        let base = match self.meet(&snapshot, &tiers, self.born).await {
            Some(base) => base,
            // Whoever answers: a session must know how its statements are read before it has the first.
            None => {
                let others: Vec<u32> = snapshot.topology.hostgroups().map(|h| h.id).collect();
                match self.meet(&snapshot, &others, self.born).await {
                    Some(base) => base,
                    None => return Ok(()),
                }
            }
        };
        self.enter(self.worker.states.over(&self.state.values, base));
        self.status.set(Status::AUTOCOMMIT, self.state.autocommit);
        self.ensure_schema(&snapshot, &tiers, &Rc::clone(&self.state)).await
    }

    /// What lives that began so begin with at the first of these hostgroups that says it. Where none has said it a moment ago, an
    /// idle connection is reset to hear it, or a new one is opened.
    async fn meet(&mut self, snapshot: &Snapshot, tiers: &[u32], born: Born) -> Option<Rc<Base>> {
        let known = |session: &Self| session.base_of(tiers, born);
        let before = known(self);
        if let Some((base, age)) = &before {
            if *age <= FRESH {
                return Some(Rc::clone(base));
            }
            if born == Born::BySignIn {
                // Those who come meanwhile take what is known.
                self.worker.touch_base(tiers, self.sign_in());
            }
        }
        // What a sign-in begins with, a reset tells where it is known what both began with earlier.
        if (before.is_some() || born == Born::ByReset) && self.refresh(snapshot, tiers).await {
            return known(self).map(|(base, _)| base);
        }
        if before.is_some() && !has_room(snapshot, tiers) {
            return before.map(|(base, _)| base);
        }
        let blank = self.worker.states.unmet(None);
        let Ok(mut link) = self.obtain(&blank, tiers, snapshot, &mut Tried::default()).await else {
            return before.map(|(base, _)| base);
        };
        if born == Born::ByReset && self.worker.reset_and_ask(&mut link).await.is_err() {
            self.discard(link);
            return before.map(|(base, _)| base);
        }
        let base = Rc::clone(&link.base);
        self.release(link);
        known(self).map(|(base, _)| base).or(Some(base))
    }

    /// Makes sure that the schema of a session in this state is there, in these hostgroups. One that was there a moment ago still
    /// is; where nobody can be asked, the first statement will tell.
    async fn ensure_schema(
        &mut self,
        snapshot: &Snapshot,
        tiers: &[u32],
        state: &Rc<State>,
    ) -> Result<(), StatementError> {
        let Some(name) = state.values.schema.as_deref() else { return Ok(()) };
        let schema =
            Schema { account: self.account_number, hostgroup: tiers.first().copied().unwrap_or_default(), name };
        if self.worker.schemas.has(schema) {
            return Ok(());
        }
        match self.obtain(state, tiers, snapshot, &mut Tried::default()).await {
            Ok(link) => {
                self.release(link);
                self.worker.schemas.found(schema, self.worker.ticks());
                Ok(())
            }
            Err(error @ StatementError::State { .. }) => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// `USE` as a statement of its own. False if it is not for the router to answer: it has to run where the session is held,
    /// or says more.
    pub(super) async fn use_schema(&mut self) -> Result<bool, SessionEnd> {
        let Some(name) = name_used(self.inbox.payload().get(1..).unwrap_or_default(), self.subject.mode()) else {
            return Ok(false);
        };
        self.change_schema(&name, false).await
    }

    /// COM_INIT_DB; false as for [`Session::use_schema`].
    pub(super) async fn init_schema(&mut self) -> Result<bool, SessionEnd> {
        self.worker.stats.counters.front.init_db.inc();
        let name = self.inbox.payload().get(1..).unwrap_or_default().to_vec();
        match String::from_utf8(name) {
            Ok(name) if !name.is_empty() => self.change_schema(&name, true).await,
            _ => Ok(false),
        }
    }

    /// `keeps` says that the diagnostics outlast it.
    async fn change_schema(&mut self, name: &str, keeps: bool) -> Result<bool, SessionEnd> {
        let snapshot = self.worker.snapshot();
        let tiers = self.home_tiers(&snapshot, Some(name));
        // What holds the session to a connection holds its schema to it too.
        let is_held = self
            .holdings
            .home()
            .is_some_and(|home| home.pins().intersects(Pins::EVERYTHING) || !tiers.contains(&home.link.hostgroup));
        // A name that is not in UTF-8 is for the server to read, which says what it has read.
        let is_unread = !self.state.values.reads_name(name, &self.state.values.base);
        let is_asked = self.holdings.last().is_some() && !keeps;
        if is_held || is_asked || is_unread || name.len() > LONGEST_NAME {
            return Ok(false);
        }
        // At the same home the session goes on with what it began with, whatever the globals are by now.
        let stays = self.state.has_base && tiers == self.home_tiers(&snapshot, self.state.values.schema.as_deref());
        let mut values = match stays {
            true => self.state.values.clone(),
            false => match self.meet(&snapshot, &tiers, self.born).await {
                Some(base) => self.state.values.over(base),
                None => return Ok(false),
            },
        };
        values.schema = Some(name.into());
        let state = self.worker.states.intern(values);
        if self.ensure_schema(&snapshot, &tiers, &state).await.is_err() {
            // A server says it in its own words, and its diagnostics have it for SHOW WARNINGS.
            return Ok(false);
        }
        self.enter(state);
        let before = (self.left, self.previous);
        self.answered();
        if keeps {
            self.outlasted(before);
        }
        self.send_ok_with(b"", &[], Some(name)).await?;
        Ok(true)
    }
}

/// True if a connection could be opened to one of these hostgroups without a wait.
fn has_room(snapshot: &Snapshot, tiers: &[u32]) -> bool {
    snapshot.topology.members_of(tiers).any(|member| member.backend.is_usable() && member.backend.has_room())
}

/// Bytes that a schema's name has at most: 64 characters.
const LONGEST_NAME: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::LexMode;

    #[test]
    fn the_name_that_is_used() {
        let used = |sql: &str| name_used(sql.as_bytes(), LexMode::default());
        assert_eq!(used("USE a").as_deref(), Some("a"));
        assert_eq!(used("use `a``b` ;").as_deref(), Some("a`b"));
        for other in ["USE", "USE a b", "USE a; SELECT 1", "SELECT a", "USE 'a'"] {
            assert_eq!(used(other), None, "{other}");
        }
        assert_eq!(use_statement(b"a`b"), b"USE `a``b`");
        assert_eq!(use_statement(b"`"), b"USE ````");
        assert_eq!(use_statement(b"a"), b"USE `a`");
    }
}
