//! What no rule can override: safety on readers, and horizons. And what a statement's own hints may choose.
//!
//! **Readers.** A statement that is not proven safe never keeps a hostgroup whose role is reader; where that leaves
//! nothing, the writer behind the route takes it ([`Reason::UnsafeOnReader`]). The one exception is asked for by name: a rule
//! whose `effect` is `begin_read_only` may send `START TRANSACTION READ ONLY` to a reader, and the session then refuses what
//! is not proven safe until the transaction ends.
//!
//! **Horizons.** A hostgroup that declares a horizon lacks older rows. A statement that answers from rows is given only to
//! hostgroups that hold every row it can touch: those without a horizon, or with one that it is proven to stay inside.
//! Where none is left it is refused ([`Reason::BeyondHorizon`]): an error says what a short answer would hide. This holds for
//! the writer as for any other, and for reads that only the writer may run (a stored function, `INTO OUTFILE`).
//! It does *not* hold for what changes, locks or defines something, belongs to a transaction's edges, or is unproven:
//! that is the writer's business, whatever it has purged. An `UPDATE` there finds the rows that are there, and an
//! `INSERT … SELECT` copies what the writer sees: refusing writes for what they might have read would be a silent
//! failover of the schema's owner.
//!
//! **Hints.** `/* switchboard: route=writer */`, `route=reader`, `hostgroup=N` choose among the hostgroups, after the rules
//! and before the two laws above: a hint can demote a read, never promote a write. `horizon=any` says that an answer from a
//! purged hostgroup will do. A rule's `error_msg` is not hinted away.

use super::fast::FastOf;
use super::hostgroup::{Hostgroups, ReachClass, Role};
use super::route::{Holds, HostgroupId, Reason, Route};
use super::rule::Rule;
use crate::sql::effects::{Effects, Facts, RouteHint};
use std::fmt::Write as _;
use std::sync::Arc;

/// Effects that make a statement the writer's business whatever rows the writer has purged.
const WRITERS_BUSINESS: Effects = Effects::WRITE
    .union(Effects::DDL)
    .union(Effects::LOCK_ROWS)
    .union(Effects::LOCK_TABLES)
    .union(Effects::UNLOCK_TABLES)
    .union(Effects::BEGIN)
    .union(Effects::COMMIT)
    .union(Effects::ROLLBACK)
    .union(Effects::CHAIN)
    .union(Effects::RELEASE)
    .union(Effects::SAVEPOINT)
    .union(Effects::IMPLICIT_COMMIT)
    .union(Effects::XA)
    .union(Effects::CALL)
    .union(Effects::TEXT_PREPARE)
    .union(Effects::HANDLER)
    .union(Effects::TEMPORARY_TABLE)
    .union(Effects::ADMIN)
    .union(Effects::SET_GLOBAL)
    .union(Effects::UNPROVEN);

/// What the decision needs beside the rules' outcome. The same for every execution of a plan.
#[derive(Debug)]
pub(super) struct Grounds {
    pub hostgroups: Arc<Hostgroups>,
    /// The user's default hostgroup, if it has one.
    pub default: Option<HostgroupId>,
    /// The fast routes of the user and schema.
    pub fast: FastOf,
    /// True if statements may carry hints.
    pub hints: bool,
}

/// What the rules said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome<'a> {
    /// The rule that named the destination, or answers the statement.
    pub rule: Option<&'a Rule>,
    /// Where a fast route sends what the rules left open. There is no `rule` then: its destination is replaced.
    pub fast: Option<HostgroupId>,
    /// A rule that matched asks for the statement to be logged.
    pub log: bool,
}

/// True for `START TRANSACTION READ ONLY` and nothing else beside it, where the rule asks for just that.
fn begins_on_reader(facts: &Facts, rule: Option<&Rule>) -> bool {
    const READ_ONLY: Effects = Effects::BEGIN.union(Effects::BEGIN_READ_ONLY);
    facts.effects == READ_ONLY && rule.is_some_and(|r| r.settings.effect == Some(Effects::BEGIN_READ_ONLY))
}

/// True if the statement answers from rows, so that missing ones would make its answer wrong without a word.
pub(super) fn answers_from_rows(facts: &Facts) -> bool {
    let effects = facts.effects;
    let names_rows =
        effects.intersects(Effects::READ_TABLE) || (!facts.tables.is_empty() && !effects.intersects(Effects::METADATA));
    names_rows && !effects.intersects(WRITERS_BUSINESS)
}

impl Grounds {
    /// The route of an execution of this class for which the rules had this outcome.
    pub fn decide(&self, facts: &Facts, outcome: Outcome<'_>, class: ReachClass) -> Route {
        let rule_id = outcome.rule.map(|r| r.settings.rule_id);
        let hints: &[RouteHint] = if self.hints { &facts.hints } else { &[] };
        let any_will_do = hints.iter().any(|h| &*h.key == "horizon" && &*h.value == "any");
        let class = if answers_from_rows(facts) && !any_will_do { class } else { ReachClass::TIMELESS };
        let named: &[HostgroupId] = outcome.rule.and_then(|r| r.destination.as_deref()).unwrap_or_default();
        let mut tiers = outcome.fast.map_or_else(|| named.to_vec(), |id| vec![id]);
        if tiers.is_empty() {
            tiers.push(self.default.unwrap_or_else(|| self.hostgroups.writer_for(&[], None)));
        }
        let mut draft = Draft {
            writer: self.hostgroups.writer_for(&tiers, self.default),
            tiers,
            reason: match (rule_id, outcome.fast) {
                (Some(id), _) => Reason::Rule(id),
                (None, Some(_)) => Reason::FastRoute,
                (None, None) => Reason::DefaultHostgroup,
            },
            excluded: Vec::new(),
            refusal: None,
        };
        let mut ok_msg = None;
        match (outcome.rule, rule_id) {
            (Some(rule), Some(id)) if rule.answers() => {
                draft.tiers.clear();
                draft.reason = Reason::Answered(id);
                draft.refusal = rule.refusal.clone();
                ok_msg = if draft.refusal.is_none() { rule.ok_msg.clone() } else { None };
            }
            _ => {
                self.follow_hints(hints, &mut draft);
                if !begins_on_reader(facts, outcome.rule) {
                    self.keep_from_readers(facts, rule_id, &mut draft);
                }
                self.keep_complete(facts, rule_id, class, &mut draft);
            }
        }
        Route {
            unbounded: class == ReachClass::UNKNOWN && !draft.excluded.is_empty(),
            tiers: draft.tiers.into(),
            excluded: draft.excluded.into(),
            reason: draft.reason,
            rule_id,
            refusal: draft.refusal,
            ok_msg,
            reader_safe: facts.reader_safe(),
            writer: draft.writer,
            writer_holds: self.hostgroups.holds(draft.writer, class),
            log: outcome.log,
        }
    }

    /// The first hint that says something about hostgroups is followed; one that names none we know is not.
    fn follow_hints(&self, hints: &[RouteHint], draft: &mut Draft) {
        for hint in hints {
            let tiers = match (&*hint.key, &*hint.value) {
                ("route", "writer") => vec![draft.writer],
                ("route", "reader") => self.readers_of(draft),
                ("hostgroup", number) => match number.parse() {
                    Ok(id) if self.hostgroups.get(id).is_some() => vec![id],
                    _ => continue,
                },
                _ => continue,
            };
            if tiers.is_empty() {
                continue;
            }
            draft.writer = self.hostgroups.writer_for(&tiers, Some(draft.writer));
            draft.tiers = tiers;
            draft.reason = Reason::Hint(format!("{}={}", hint.key, hint.value).into());
            return;
        }
    }

    /// The readers that the route names, or else all that stand before the same writer.
    fn readers_of(&self, draft: &Draft) -> Vec<HostgroupId> {
        let named: Vec<_> = draft.tiers.iter().copied().filter(|&id| self.hostgroups.is_reader(id)).collect();
        if !named.is_empty() {
            return named;
        }
        let before = |id: HostgroupId| self.hostgroups.writer_for(&[id], None) == draft.writer;
        let all = self.hostgroups.iter().filter(|g| g.role == Role::Reader);
        all.map(|g| g.id).filter(|&id| before(id)).collect()
    }

    fn keep_from_readers(&self, facts: &Facts, rule: Option<u32>, draft: &mut Draft) {
        if facts.reader_safe() {
            return;
        }
        let preferred = draft.tiers.first().copied();
        // Not "is no reader": a hostgroup that is not known is no writer either.
        draft.tiers.retain(|&id| self.hostgroups.is_writer(id));
        if draft.tiers.is_empty() {
            draft.tiers.push(draft.writer);
        }
        if draft.tiers.first().copied() != preferred {
            let rule = if matches!(draft.reason, Reason::Rule(_)) { rule } else { None };
            draft.reason = Reason::UnsafeOnReader { rule, why: why_unsafe(facts).into() };
        }
    }

    fn keep_complete(&self, facts: &Facts, rule: Option<u32>, class: ReachClass, draft: &mut Draft) {
        let holds = |id: &HostgroupId| self.hostgroups.holds(*id, class) == Holds::Yes;
        if draft.tiers.iter().all(holds) {
            return;
        }
        draft.excluded = draft.tiers.iter().copied().filter(|id| !holds(id)).collect();
        draft.tiers.retain(holds);
        if draft.tiers.is_empty() {
            draft.refusal = Some(self.refusal_text(facts, rule, class, draft).into());
            let rule = if matches!(draft.reason, Reason::Hint(_)) { None } else { rule };
            draft.reason = Reason::BeyondHorizon { rule };
        }
    }

    fn refusal_text(&self, facts: &Facts, rule: Option<u32>, class: ReachClass, draft: &Draft) -> String {
        let mut text = String::from("Switchboard: ");
        match (&draft.reason, rule) {
            (Reason::Hint(hint), _) => text.push_str(&format!("the hint {hint} names ")),
            (Reason::UnsafeOnReader { why, .. }, _) => text.push_str(&format!("{why}, so it may run only on ")),
            (_, Some(id)) => text.push_str(&format!("rule {id} names ")),
            (Reason::FastRoute, None) => text.push_str("the fast route names "),
            (_, None) => text.push_str("the default is "),
        }
        for (i, id) in draft.excluded.iter().enumerate() {
            text.push_str(if i == 0 { "" } else { ", " });
            let group = self.hostgroups.get(*id);
            let name = group.map(|g| &*g.name).unwrap_or_default();
            let horizon = group.and_then(|g| g.horizon);
            // Writing to a String cannot fail.
            let _ = write!(text, "hostgroup {id}{}{name}", if name.is_empty() { "" } else { " " });
            if let Some(horizon) = horizon {
                let _ = write!(text, " (holds the last {horizon})");
            }
        }
        text.push_str(match class {
            ReachClass::UNKNOWN => ", and the statement has no proven lower bound on time: an answer could lack rows",
            _ => ", and the statement reaches further back: its answer would lack rows",
        });
        if let Some(table) = facts.tables.first() {
            let _ = write!(text, " of {}", table.name);
        }
        if self.hints {
            text.push_str(" (/* switchboard: horizon=any */ accepts that)");
        }
        text
    }
}

struct Draft {
    tiers: Vec<HostgroupId>,
    writer: HostgroupId,
    reason: Reason,
    excluded: Vec<HostgroupId>,
    refusal: Option<Arc<str>>,
}

/// What each effect that keeps a statement from readers is called, most telling first.
const WHY: [(Effects, &str); 31] = [
    (Effects::WRITE, "it writes rows"),
    (
        Effects::DDL.union(Effects::STORED_DEFINITION).union(Effects::SCHEMA_DEFINITION).union(Effects::FED_BY_QUERY),
        "it changes definitions",
    ),
    (Effects::LOCK_ROWS, "it locks rows"),
    (Effects::LOCK_TABLES, "it locks tables"),
    (Effects::UNLOCK_TABLES, "it unlocks tables"),
    (Effects::USER_LOCK, "it uses named locks"),
    (Effects::SEQUENCE, "it draws a value from a sequence"),
    (Effects::CALL, "it calls a procedure, which may write"),
    (Effects::XA, "it belongs to an XA transaction"),
    (Effects::BEGIN.union(Effects::BEGIN_READ_ONLY), "it begins a transaction"),
    (Effects::COMMIT.union(Effects::ROLLBACK).union(Effects::CHAIN).union(Effects::RELEASE), "it ends a transaction"),
    (Effects::IMPLICIT_COMMIT, "it commits the open transaction"),
    (Effects::SAVEPOINT, "it belongs to a transaction"),
    (Effects::SET_AUTOCOMMIT, "it sets autocommit"),
    (Effects::SET_NEXT_TRANSACTION, "it sets the next transaction's character"),
    (Effects::SET_GLOBAL, "it sets the server's variables"),
    (Effects::ADMIN, "it administers the server"),
    (Effects::TEMPORARY_TABLE, "it deals in temporary tables"),
    (Effects::SET_USER_VARIABLE, "it sets a user variable"),
    (Effects::READ_USER_VARIABLE, "it reads a user variable"),
    (Effects::TEXT_PREPARE, "it prepares or executes a statement by name"),
    (Effects::HANDLER, "it uses HANDLER"),
    (Effects::SET_SCHEMA, "it changes the default schema"),
    (Effects::SET_SESSION, "it sets session variables"),
    (Effects::NEEDS_PREVIOUS, "it needs the result of the statement before it"),
    (Effects::SETS_INSERT_ID, "it sets LAST_INSERT_ID()"),
    (Effects::SERVER_FILE, "it uses files of the server"),
    (Effects::LOCAL_INFILE, "it loads a file"),
    (Effects::SERVER_BOUND.union(Effects::ASKS_COUNTERS), "its answer depends on which server runs it"),
    (Effects::REPLICATION_WAIT, "it asks about replication"),
    (Effects::UNTRACKED_STATE, "it leaves state that cannot be carried"),
];

/// Why a statement that is not safe on a reader is not, in words.
pub fn why_unsafe(facts: &Facts) -> String {
    let effects = facts.effects;
    if effects.contains(Effects::UNPROVEN) {
        let why = if facts.unproven.is_empty() { "no reason kept" } else { facts.unproven };
        return format!("nothing is proven about it ({why})");
    }
    if let Some((_, words)) = WHY.iter().find(|(effect, _)| effects.intersects(*effect)) {
        return (*words).to_owned();
    }
    if effects.contains(Effects::UNKNOWN_FUNCTION) {
        let function = facts.functions.first().map_or("a function", |f| f);
        return format!("it calls {function}, which is no known built-in function and may write");
    }
    if effects.contains(Effects::HIDDEN_STATE) {
        return "a view in it may leave something on the connection".to_owned();
    }
    match effects.difference(Effects::READER_SAFE).names().next() {
        Some(name) => format!("its effect {name} is not known to be harmless"),
        None => "it is not known to be a read".to_owned(),
    }
}

#[cfg(test)]
mod tests;
