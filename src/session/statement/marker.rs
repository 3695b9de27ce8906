//! Diagnostics that MariaDB keeps on one connection while a routine runs on another: which of the two has the session's.
//!
//! A routine clears them if it uses a table, and no packet says whether it did. So a warning of the router's own, the marker, is
//! left on the connection before. Once the session asks for its diagnostics, the router looks there first: as long as the marker
//! is there, the routine has cleared nothing, and they are where they were.
//!
//! It refuses to look before somebody asks, or another routine is to run elsewhere. [`super::previous`] says where a marker is
//! needed. A routine that itself asks for the diagnostics before it uses a table would see the marker.

use crate::session::error::StatementError;
use crate::session::holdings::Hold;
use crate::session::link::conversation::{Talk, TalkError};
use crate::session::link::{Link, MARKED, OF_ROUTER};
use crate::session::parts::Session;
use crate::session::parts::previous::Previous;
use crate::sql::effects::Effects;
use std::rc::Rc;

/// The marker's text.
const TEXT: &str = "switchboard: before a routine";

impl Session {
    /// A link with a marker in the place of diagnostics.
    pub(super) async fn with_marker(&mut self, mut hold: Hold) -> Result<Hold, StatementError> {
        let signal = format!("SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = '{TEXT}'");
        let marked = self.worker.talk().query(&mut hold.link, &signal).await.map(drop);
        self.claim(&mut hold.link);
        self.previous.was_set_on(hold.link.serial, false);
        hold.link.diagnostics = MARKED;
        self.if_ready(hold, marked)
    }

    /// A statement has run on a link. Where that has a marker, it is not known whether the diagnostics have outlasted it.
    #[inline]
    pub(super) fn note_marker(&mut self, link: &Link, before: Previous) {
        if link.diagnostics == MARKED {
            self.previous.ran_a_routine(before);
        }
    }

    /// True for a statement that asks for diagnostics of which it is not known where they are.
    #[inline]
    pub(super) fn must_find_diagnostics(&self, effects: Effects) -> bool {
        effects.contains(Effects::NEEDS_WARNINGS)
            && self.previous.unsettled().is_some()
            && !self.left.has_no_diagnostics()
    }

    /// Looks whether a routine has left its link's marker, and so the session's diagnostics where they were.
    pub(super) async fn find_diagnostics(&mut self) {
        let Some((ran_on, before)) = self.previous.unsettled() else { return };
        let worker = Rc::clone(&self.worker);
        let said = match self.holdings.held_mut(ran_on) {
            Some(link) => look(worker.talk(), link).await,
            None => {
                let Some(mut hold) = self.take_untouched(ran_on, |_| true) else {
                    // Another session has it: nobody knows any more.
                    return self.previous.diagnostics_are_lost();
                };
                let said = look(worker.talk(), &mut hold.link).await;
                match &said {
                    Ok(_) => self.put_back(hold),
                    Err(_) => self.lose(hold).untold(),
                }
                said
            }
        };
        let Ok(said) = said else {
            self.previous.forget(ran_on);
            return self.previous.diagnostics_are_lost();
        };
        if self.previous.asked_by(Effects::NEEDS_ROW_COUNT) == ran_on {
            self.left.counted(said.row_count);
        }
        if self.previous.asked_by(Effects::NEEDS_FOUND_ROWS) == ran_on {
            self.left.found(said.found_rows);
        }
        self.previous.was_asked_on(ran_on, true);
        self.previous.diagnosed_on(if said.has_marker { before } else { ran_on });
        self.left.diagnosed(said.has_marker || said.has_own);
    }
}

/// What a link says of the routine that ran there.
struct Said {
    has_marker: bool,
    /// The routine has left warnings of its own.
    has_own: bool,
    row_count: i64,
    found_rows: u64,
}

/// Looks for the marker. To look changes both counts, so they are asked first. Whose the link's diagnostics are is known from then on.
async fn look(talk: Talk<'_>, link: &mut Link) -> Result<Said, TalkError> {
    let counts =
        talk.query(link, "SELECT ROW_COUNT(), FOUND_ROWS() LIMIT 1").await?.text_rows().pop().unwrap_or_default();
    let count = |at: usize| counts.get(at).cloned().flatten();
    let warnings = talk.query(link, "SHOW WARNINGS").await?.text_rows();
    let has_marker = warnings.iter().any(|row| row.get(2).is_some_and(|message| message.as_deref() == Some(TEXT)));
    let has_own = !has_marker && !warnings.is_empty();
    link.diagnostics = match (has_marker, has_own) {
        (true, _) => OF_ROUTER,
        (_, true) => link.owner,
        _ => 0,
    };
    Ok(Said {
        has_marker,
        has_own,
        row_count: count(0).and_then(|said| said.parse().ok()).unwrap_or(-1),
        found_rows: count(1).and_then(|said| said.parse().ok()).unwrap_or(0),
    })
}
