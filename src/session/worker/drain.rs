//! What a session may still do once the router drains: end what it has begun, and begin nothing.
//!
//! | what the session has open | between two commands | its next command |
//! |---|---|---|
//! | nothing | it is ended at once | error 1053, and the end |
//! | only what the last statement left (warnings, an insert id), or `autocommit = 0` and no transaction | it is ended after [`FOLLOW_UP`] | served if it asks for what was left; else error 1053, and the end |
//! | other state, such as user variables or temporary tables | it is ended [`STRAGGLE`] after the drain began | until then served, unless it begins a transaction |
//! | a transaction, locks, an open cursor | it goes on | served |
//!
//! A session goes down this table backwards as it comes to its end: after a COMMIT it has nothing open. The drain's deadline ends all
//! of them, which is not done here (`app`).

use super::registry::{Activity, Card};
use crate::session::state::pins::Pins;
use crate::sql::effects::Effects;
use std::time::Duration;

/// How long a session is left alone for the client to ask what its last statement left. In whole ticks of a worker, rounded up.
const FOLLOW_UP: Duration = Duration::from_secs(1);
/// How long after the beginning of a drain a session may go on that has state and no transaction.
const STRAGGLE: Duration = Duration::from_secs(5);

/// Pins of work that the client itself will bring to an end, and that would be lost.
const UNDER_WAY: Pins = Pins::TRANSACTION
    .union(Pins::XA)
    .union(Pins::LOCK_TABLES)
    .union(Pins::USER_LOCK)
    .union(Pins::HANDLER)
    .union(Pins::CURSOR);

/// Pins that are worth a moment and no more.
const SLIGHT: Pins = Pins::UNTIL_NEXT.union(Pins::INSERT_ID).union(Pins::AUTOCOMMIT_OFF);

/// True if a drain that began `since` may end a session with this card now, at the worker's tick `now`.
pub fn may_end(card: &Card, since: Duration, now: u32) -> bool {
    let pins = card.pins();
    match card.activity() {
        Activity::Busy => false,
        // Nothing is lost by whoever has not come in yet.
        Activity::SigningIn => since > FOLLOW_UP,
        Activity::Idle | Activity::Holding if pins.is_empty() => true,
        Activity::Idle | Activity::Holding if SLIGHT.contains(pins) => {
            u64::from(now.wrapping_sub(card.since())) > FOLLOW_UP.as_secs()
        }
        Activity::Idle | Activity::Holding => !pins.intersects(UNDER_WAY) && since > STRAGGLE,
    }
}

/// True if a session that is held so may not have a statement run any more that asks for this, so long after a drain began.
pub fn is_too_late(pins: Pins, asks: Effects, since: Option<Duration>) -> bool {
    if pins.intersects(UNDER_WAY) {
        false
    } else if SLIGHT.contains(pins) {
        !asks.intersects(Effects::NEEDS_PREVIOUS)
    } else {
        let straggles = since.is_some_and(|since| since > STRAGGLE);
        straggles || asks.contains(Effects::BEGIN) || pins.contains(Pins::AUTOCOMMIT_OFF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_ended_when() {
        let seconds = Duration::from_secs;
        let rests = |pins| {
            let card = Card::default();
            card.waits(Activity::Holding, pins, 100);
            card
        };
        // Pins; may it be ended at once, two seconds on, six seconds on?
        for (pins, want) in [
            (Pins::empty(), [true, true, true]),
            (Pins::INSERT_ID | Pins::WARNINGS, [false, true, true]),
            (Pins::AUTOCOMMIT_OFF, [false, true, true]),
            (Pins::USER_VARIABLE, [false, false, true]),
            (Pins::TEMPORARY_TABLE | Pins::INSERT_ID, [false, false, true]),
            (Pins::TRANSACTION | Pins::INSERT_ID, [false, false, false]),
            (Pins::CURSOR, [false, false, false]),
        ] {
            let card = rests(pins);
            let got = [(0, 100), (2, 102), (6, 106)].map(|(since, now)| may_end(&card, seconds(since), now));
            assert_eq!(got, want, "{}", pins.names());
        }
        let busy = rests(Pins::empty());
        busy.begins(100);
        assert!(!may_end(&busy, seconds(60), 160), "a command is never cut here");
        assert!(!may_end(&Card::default(), seconds(0), 0) && may_end(&Card::default(), seconds(2), 0), "signing in");
    }
}
