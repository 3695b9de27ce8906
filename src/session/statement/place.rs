//! Where a statement goes, once the rules have spoken and the session's own state has its say.
//!
//! One pure function, so that all of it can be tested as a table. That a read must see a write is settled here; which server has that
//! write is [`super::follow`]'s to say, where there are heartbeats.

use crate::rules::{Holds, Route};
use crate::session::parts::place::{Place, Why};
use crate::session::state::pins::Pins;
use crate::sql::effects::Effects;

/// The connection that a session holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its hostgroup.
    pub hostgroup: u32,
    /// True if that is a writer.
    pub writer: bool,
    /// Why it is held.
    pub pins: Pins,
}

/// What of a session decides about a statement's place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// The connection with the session's lasting pins.
    pub home: Option<Held>,
    /// The connection of the previous statement, kept for what the next one may ask of it; never the home.
    pub last: Option<Held>,
    /// The previous statement ran on the home connection.
    pub previous_at_home: bool,
    /// Who wrote a moment ago.
    pub wrote_lately: Wrote,
    /// Watermarks say where that write is; otherwise it is taken to be nowhere but on the writer.
    pub by_watermark: bool,
    /// `autocommit` is off: whatever uses a table opens a transaction.
    pub autocommit_off: bool,
}

/// Whose write of a moment ago a session's reads must see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wrote {
    /// Nobody's.
    #[default]
    Nobody,
    /// That of another session of its user, by `read_your_writes_scope`.
    User {
        /// The route's writer has purged nothing.
        writer_is_whole: bool,
    },
    /// Its own.
    Itself,
}

impl Wrote {
    /// True if a read follows the write to a writer of which this is known. One that is not proven to need purged rows (a
    /// lookup by id) follows the session's own write: the row that was just written is what it is likely to be after. Behind
    /// a user that writes all the time it would never find an old row again, so it follows no other session's write.
    /// One that is proven to need purged rows goes where they are. See docs/adr/0007 and 0013.
    pub(super) fn takes_read(self, writer_holds: Holds) -> bool {
        match self {
            Wrote::Nobody => false,
            Wrote::User { .. } => writer_holds == Holds::Yes,
            Wrote::Itself => writer_holds != Holds::No,
        }
    }

    /// True if a READ ONLY transaction that a rule sends to a reader follows it: it is full of reads, nobody knows which.
    pub(super) fn takes_transaction(self) -> bool {
        matches!(self, Wrote::Itself | Wrote::User { writer_is_whole: true })
    }

    fn why(self) -> Why {
        if self == Wrote::Itself { Why::ReadYourWrites } else { Why::ReadUserWrites }
    }
}

/// Effects of statements that run where the one before ran.
pub(super) const ASKS_LAST: Effects = Effects::NEEDS_PREVIOUS.difference(Effects::NEEDS_INSERT_ID);

/// Effects that end a READ ONLY transaction by themselves and may then run elsewhere.
const ENDS_TRANSACTION: Effects = Effects::BEGIN.union(Effects::IMPLICIT_COMMIT);

/// Statements of a transaction's own life, which run wherever it lives.
const OF_TRANSACTION: Effects =
    Effects::COMMIT.union(Effects::ROLLBACK).union(Effects::SAVEPOINT).union(Effects::CHAIN).union(Effects::RELEASE);

/// The same, and what changes the session alone, or computes without a table, or asks about the server: harmless wherever it is.
const AT_HOME_IN_IT: Effects = OF_TRANSACTION
    .union(Effects::SET_SCHEMA)
    .union(Effects::SET_SESSION)
    .union(Effects::SET_AUTOCOMMIT)
    .union(Effects::READ)
    .union(Effects::SERVER_BOUND)
    .union(Effects::ASKS_COUNTERS)
    .union(Effects::SHOWS_NO_TABLE)
    .union(Effects::FINDS_NO_ROWS)
    .union(Effects::UNLOCK_TABLES)
    .union(Effects::CONSTANT);

/// Decides.
pub fn place(route: &Route, effects: Effects, standing: &Standing) -> (Place, Why) {
    if effects.intersects(Effects::NEEDS_PREVIOUS) {
        return needs_previous(effects, standing);
    }
    if let Some(home) = standing.home {
        if home.pins.contains(Pins::TRANSACTION) && !home.writer {
            return in_reader_transaction(route, effects, home.hostgroup);
        }
        let asks_elsewhere = effects.is_about_counters() && !standing.previous_at_home;
        let stays = home.pins.intersects(Pins::EVERYTHING)
            || !route.reader_safe && !asks_elsewhere
            || effects.contains(Effects::LEAVES_FOUND_ROWS);
        if stays {
            // A read that is proven to need rows which the home has purged must not be answered from there, whatever
            // holds the session: the answer would lack rows without a word.
            if route.reader_safe && route.writer_holds == Holds::No && !route.tiers.contains(&home.hostgroup) {
                return (Place::Refuse, Why::Pinned);
            }
            // What is not proven safe runs on no reader, whatever holds the session there.
            if !route.reader_safe && !home.writer {
                return (Place::Refuse, Why::Unsafe);
            }
            return (Place::Home, if home.pins.intersects(Pins::EVERYTHING) { Why::Pinned } else { Why::Unsafe });
        }
    }
    let wrote = standing.wrote_lately;
    let leads_elsewhere = || route.tiers.iter().any(|tier| *tier != route.writer);
    let by_watermark = standing.by_watermark && wrote != Wrote::Nobody && leads_elsewhere();
    if !route.reader_safe {
        let begins = effects.contains(Effects::BEGIN_READ_ONLY);
        return match begins && wrote.takes_transaction() {
            _ if begins && by_watermark => (Place::Fresh, wrote.why()),
            true => (Place::Writer, wrote.why()),
            false => (Place::Route, Why::Route),
        };
    }
    if standing.autocommit_off {
        // Its transaction lives on the writer; rows that are not there cannot be read in it.
        let refused = route.writer_holds == Holds::No && !route.tiers.contains(&route.writer);
        let place = match standing.home {
            _ if refused => Place::Refuse,
            // One connection alone can hold what the session has and its transaction too.
            Some(home) if home.writer => Place::Home,
            _ => Place::Writer,
        };
        return (place, Why::OpensTransaction);
    }
    if by_watermark {
        return (Place::Fresh, wrote.why());
    }
    if wrote.takes_read(route.writer_holds) && route.tiers.first() != Some(&route.writer) {
        return match standing.home {
            Some(home) if home.writer && home.hostgroup == route.writer => (Place::Home, wrote.why()),
            _ => (Place::Writer, wrote.why()),
        };
    }
    match standing.home {
        // The route leads to where the session is held, by what it cannot outlive: it needs no second connection there.
        Some(home)
            if home.writer
                && route.tiers.first() == Some(&home.hostgroup)
                && home.pins.intersects(Pins::LOST_WITH_CONNECTION)
                && !effects.intersects(Effects::MARIADB_ONLY | Effects::MYSQL_ONLY) =>
        {
            (Place::Home, Why::Route)
        }
        _ => (Place::Route, Why::Route),
    }
}

/// `LAST_INSERT_ID()` lives on the home connection, where there is one; the rest lives where the previous statement ran.
fn needs_previous(effects: Effects, standing: &Standing) -> (Place, Why) {
    let insert_id_only = (effects & Effects::NEEDS_PREVIOUS) == Effects::NEEDS_INSERT_ID;
    let beside = beside(effects);
    // What it asks is not the transaction's, and it reads nothing that is.
    let is_elsewhere = beside != Beside::More && !effects.intersects(Effects::READ_TABLE | Effects::NEEDS_INSERT_ID);
    let place = match (standing.last, standing.home) {
        (Some(_), Some(_)) if is_elsewhere => Place::Last,
        (_, Some(home)) if insert_id_only || home.pins.contains(Pins::TRANSACTION) => Place::Home,
        (_, None) if insert_id_only => Place::Writer,
        (None, Some(home)) if standing.previous_at_home && (home.writer || beside != Beside::More) => Place::Home,
        // What it does beside is done on a writer, and may hold the session: the connection of the statement before becomes
        // the home, where it can. Where it cannot, what is known of that statement is left again at home.
        (_, Some(home)) if beside == Beside::More && home.pins.intersects(Pins::NEEDS_RESET) => {
            if home.writer {
                Place::Home
            } else {
                Place::Refuse
            }
        }
        (_, Some(_)) if beside == Beside::More => Place::PreviousAsHome,
        (Some(last), None) if beside == Beside::More && !last.writer => Place::Previous,
        (Some(_), _) => Place::Last,
        (None, _) => Place::Previous,
    };
    (place, Why::NeedsPrevious)
}

/// What a statement that asks about the one before does beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nothing: it may run wherever the one before ran.
    Nothing,
    /// It sets user variables with the answer (`GET DIAGNOSTICS`, `SELECT … INTO`), which are carried home later.
    Variables,
    /// It writes, or reads user variables, or nobody knows.
    More,
}

/// Says which.
pub(super) fn beside(effects: Effects) -> Beside {
    const ASKS: Effects = Effects::READER_SAFE.union(Effects::NEEDS_PREVIOUS);
    const READ_BY_NAME: Effects = ASKS.difference(Effects::MULTI.union(Effects::EXECUTABLE_COMMENT));
    if ASKS.contains(effects) {
        Beside::Nothing
    } else if READ_BY_NAME.union(Effects::SET_USER_VARIABLE).contains(effects) {
        Beside::Variables
    } else {
        Beside::More
    }
}

fn in_reader_transaction(route: &Route, effects: Effects, hostgroup: u32) -> (Place, Why) {
    if effects.intersects(ENDS_TRANSACTION) {
        (Place::EndReadOnly, Why::ReadOnly)
    } else if route.reader_safe && route.excluded.contains(&hostgroup) {
        // The transaction's server lacks rows that the read may need, and its view cannot be had elsewhere.
        (Place::Refuse, Why::ReadOnly)
    } else if route.reader_safe || !effects.intersects(!AT_HOME_IN_IT) {
        (Place::Home, Why::Pinned)
    } else {
        (Place::ReadOnlyTransaction, Why::ReadOnly)
    }
}

#[cfg(test)]
mod tests;
