//! Where the statement before ran, and on which connections its results can be asked for.
//!
//! Mostly that is one connection. `FOUND_ROWS()` outlasts statements that have no rows, and MariaDB keeps the diagnostics of a
//! statement over those that use no table; these may run elsewhere. So each of the three has a place of its own.

use crate::sql::effects::Effects;

/// The links that the statement before is asked about, by their serial numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Previous {
    /// Where it ran, and `ROW_COUNT()` is; 0 if there was none.
    statement: u64,
    /// Where `FOUND_ROWS()` is.
    found: u64,
    /// Where the diagnostics are.
    diagnostics: u64,
    /// Where they were before a routine ran elsewhere, which may have left them in force; 0 where that is no question.
    before_routine: u64,
}

/// What a statement leaves as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeps {
    /// `FOUND_ROWS()`.
    pub found: Kept,
    /// The diagnostics.
    pub diagnostics: bool,
}

/// What is known of whether a statement leaves something as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// It leaves its own.
    #[default]
    No,
    /// It leaves what was there.
    Yes,
    /// One or the other, and no packet says which.
    Perhaps,
}

/// No link has this number.
const NOWHERE: u64 = u64::MAX;

impl Previous {
    /// A statement has run there; what it `keeps` stays where it is.
    #[inline]
    pub fn ran_on(&mut self, link: u64, keeps: Keeps) {
        self.statement = link;
        match keeps.found {
            Kept::No => self.found = link,
            // What its connection says is right either way, if what was there before is there too.
            Kept::Perhaps if self.found != link => self.found = NOWHERE,
            Kept::Perhaps | Kept::Yes => {}
        }
        if !keeps.diagnostics {
            (self.diagnostics, self.before_routine) = (link, 0);
        }
    }

    /// A statement has run on no connection; what it `keeps` stays where it is.
    pub fn ran_nowhere(&mut self, keeps: Keeps) {
        if !self.is_none() {
            self.ran_on(NOWHERE, keeps);
        }
    }

    /// What the statement before left is on no connection any more.
    pub fn is_lost(&mut self) {
        *self = Self { statement: NOWHERE, found: NOWHERE, diagnostics: NOWHERE, before_routine: 0 };
    }

    /// Nothing is on this link any more; what is elsewhere still is.
    pub fn forget(&mut self, link: u64) {
        for place in [&mut self.statement, &mut self.found, &mut self.diagnostics, &mut self.before_routine] {
            if *place == link {
                *place = NOWHERE;
            }
        }
    }

    /// The diagnostics are on no connection any more.
    pub fn diagnostics_are_lost(&mut self) {
        self.diagnosed_on(NOWHERE);
    }

    /// True if the diagnostics are on a link.
    pub fn has_diagnostics_place(self) -> bool {
        self.diagnostics != 0 && self.diagnostics != NOWHERE
    }

    /// True if nothing that the statement before left is on this link.
    pub fn is_elsewhere(self, link: u64) -> bool {
        ![self.statement, self.found, self.diagnostics, self.before_routine].contains(&link)
    }

    /// The number of rows that were found has been left there; the rest is where it was.
    pub fn found_on(&mut self, link: u64) {
        if self.is_none() {
            (self.statement, self.diagnostics) = (NOWHERE, NOWHERE);
        }
        self.found = link;
    }

    /// The diagnostics are there now; the counts are where they were.
    pub fn diagnosed_on(&mut self, link: u64) {
        if self.is_none() {
            (self.statement, self.found) = (NOWHERE, NOWHERE);
        }
        (self.diagnostics, self.before_routine) = (link, 0);
    }

    /// The diagnostics are where they were before.
    pub fn outlasted(&mut self, before: Self) {
        (self.diagnostics, self.before_routine) = (before.diagnostics, before.before_routine);
    }

    /// A routine has run on a link. If it has not cleared the diagnostics, they are still where they were `before`.
    pub fn ran_a_routine(&mut self, before: Self) {
        if self.diagnostics != before.diagnostics {
            self.before_routine = before.diagnostics;
        }
    }

    /// Where a routine ran, and where the diagnostics were before, as long as nobody has looked which of the two has them.
    pub fn unsettled(&self) -> Option<(u64, u64)> {
        (self.before_routine != 0).then_some((self.diagnostics, self.before_routine))
    }

    /// The router has run statements of its own on this link: the counts are on no connection any more, and diagnostics that were there
    /// are gone.
    pub fn is_lost_on(&mut self, link: u64) {
        self.forget(link);
        self.counts_are_lost();
    }

    /// The counts are on no connection any more; the diagnostics are where they were.
    pub fn counts_are_lost(&mut self) {
        (self.statement, self.found) = (NOWHERE, NOWHERE);
    }

    /// The router has asked this link something with a row, which found that.
    pub fn was_asked_on(&mut self, link: u64, keeps_diagnostics: bool) {
        self.was_set_on(link, keeps_diagnostics);
        if self.found == link {
            self.found = NOWHERE;
        }
    }

    /// The router has set something on this link, which found no rows and counted none.
    pub fn was_set_on(&mut self, link: u64, keeps_diagnostics: bool) {
        if self.statement == link {
            self.statement = NOWHERE;
        }
        if self.diagnostics == link && !keeps_diagnostics {
            self.diagnostics = NOWHERE;
        }
    }

    /// True if the session has run no statement.
    pub fn is_none(self) -> bool {
        self.statement == 0
    }

    /// The link that a statement with these effects asks.
    #[inline]
    pub fn asked_by(self, effects: Effects) -> u64 {
        if effects.contains(Effects::NEEDS_WARNINGS) {
            self.diagnostics
        } else if effects.contains(Effects::NEEDS_FOUND_ROWS) && !effects.contains(Effects::NEEDS_ROW_COUNT) {
            self.found
        } else {
            self.statement
        }
    }

    /// Of the counts that a statement with these effects asks for, those that are not on this link.
    #[inline]
    pub fn elsewhere(self, effects: Effects, link: u64) -> Effects {
        let mut elsewhere = Effects::empty();
        elsewhere.set(Effects::NEEDS_ROW_COUNT, self.statement != link);
        elsewhere.set(Effects::NEEDS_FOUND_ROWS, self.found != link);
        elsewhere & effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_where_it_is() {
        let (counts, found, warnings) = (Effects::NEEDS_ROW_COUNT, Effects::NEEDS_FOUND_ROWS, Effects::NEEDS_WARNINGS);
        let mut previous = Previous::default();
        assert!(previous.is_none());
        previous.ran_on(7, Keeps::default());
        assert_eq!((previous.asked_by(counts), previous.asked_by(warnings)), (7, 7));
        previous.ran_on(8, Keeps { found: Kept::Yes, diagnostics: true });
        assert_eq!((previous.asked_by(counts), previous.asked_by(warnings)), (8, 7));
        assert_eq!((previous.elsewhere(counts | found, 8), previous.elsewhere(counts | found, 7)), (found, counts));
        assert!(previous.elsewhere(warnings, 9).is_empty());
        previous.ran_on(9, Keeps::default());
        assert_eq!(previous.asked_by(warnings), 9);
        previous.ran_on(4, Keeps { found: Kept::Yes, diagnostics: true });
        previous.is_lost_on(4);
        assert_eq!((previous.asked_by(counts), previous.asked_by(warnings)), (NOWHERE, 9));
        previous.forget(8);
        assert_eq!(previous.asked_by(warnings), 9);
        previous.forget(9);
        assert_eq!(previous.asked_by(warnings), NOWHERE);
        let perhaps = Keeps { found: Kept::Perhaps, diagnostics: false };
        previous.ran_on(5, Keeps::default());
        previous.ran_on(5, perhaps);
        assert_eq!(previous.asked_by(found), 5);
        previous.ran_on(6, perhaps);
        assert_eq!((previous.asked_by(counts), previous.asked_by(found)), (6, NOWHERE));
        previous.is_lost();
        assert!(!previous.is_none() && previous.asked_by(counts) == NOWHERE);
    }
}
