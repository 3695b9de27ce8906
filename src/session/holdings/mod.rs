//! The links that a session holds, each with what stands on it as one value, and the only code that changes them.
//!
//! | what is held | what for |
//! |---|---|
//! | the home | the session's lasting pins: a transaction, a lock, a user variable |
//! | the last | what the next statement may ask of the one before |
//! | the parked | their cursors alone ([`cursors`]) |
//!
//! ```text
//!            take_home, take_last, take_parked
//!   held ──────────────────────────────────────▶ a statement has it ──┬─▶ put_back: as it was
//!                                                  ▲                  ├─▶ settle: with other pins, or free for others
//!                               Hold::pooled ──────┘                  └─▶ lose: what stood on it is gone
//! ```
//!
//! A link is never without its pins: they leave with it and come back with it. What stood on a link that is lost ends here, and
//! [`Lost`] says what that was; whoever loses a link must tell the client, or say that there is nobody to tell.
//!
//! It refuses to talk to a server, to know where links come from ([`super::supply`]), and to decide what a statement pins
//! ([`super::statement::settle`]).

pub mod cursors;
mod hold;

pub(super) use self::hold::{From, Hold, Lost};

use self::cursors::{Cursor, Cursors};
use super::link::Link;
use super::state::pins::Pins;
use super::state::things::{Event, Text, Things};

/// Connections that one session may have parked.
pub const MAX_PARKED: usize = 8;

/// Pins that hold a link only for what the client may ask next.
const FOR_A_WHILE: Pins = Pins::UNTIL_NEXT.union(Pins::INSERT_ID);

/// `LAST_INSERT_ID()` of a home that the session has no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum InsertId {
    /// None was left.
    #[default]
    None,
    /// It was this when the home was given back.
    Known(u64),
    /// It went with the home.
    Lost,
}

/// Who has a link once its statement is settled.
pub(super) enum Settled {
    /// The session, as its home.
    Home,
    /// The session, until the next statement or for cursors. A link that it held in its place is nobody's now.
    Held(Option<Hold>),
    /// Nothing stands on it: it is free for others.
    Free(Box<Link>),
    /// Something stands on it that the session cannot hold: it must be closed.
    Stained(Hold),
}

/// The links that a session holds.
#[derive(Default)]
pub(super) struct Holdings {
    home: Option<Hold>,
    last: Option<Hold>,
    /// Boxed: few sessions ever have one.
    cursors: Option<Box<Cursors>>,
    /// Named things on the home.
    things: Things,
    insert_id: InsertId,
    /// User variables that were set on the last link, which are to be the home's. Boxed: few sessions ever have one.
    #[expect(clippy::box_collection, reason = "a session is idle most of its life, and is to be small")]
    aside: Option<Box<Vec<Box<str>>>>,
}

/// What is held.
impl Holdings {
    /// True if the session has neither a home nor the link of the statement before.
    #[inline]
    pub fn is_free(&self) -> bool {
        self.home.is_none() && self.last.is_none()
    }

    /// The link with the session's lasting pins.
    #[inline]
    pub fn home(&self) -> Option<&Hold> {
        self.home.as_ref()
    }

    /// The same, to ask it something.
    pub fn home_mut(&mut self) -> Option<&mut Hold> {
        self.home.as_mut()
    }

    /// What stands on the home; nothing where there is none.
    #[inline]
    pub fn home_pins(&self) -> Pins {
        self.home.as_ref().map_or(Pins::empty(), Hold::pins)
    }

    /// The link of the statement before, kept for what the next may ask of it; never the home.
    #[inline]
    pub fn last(&self) -> Option<&Hold> {
        self.last.as_ref()
    }

    /// All pins of all links.
    pub fn pins(&self) -> Pins {
        let last = self.last.as_ref().map_or(Pins::empty(), Hold::pins);
        let parked = if self.parked() > 0 { Pins::CURSOR } else { Pins::empty() };
        self.home_pins() | last | parked
    }

    /// True if something is held that would be lost with the session.
    pub fn holds(&self) -> bool {
        self.home.is_some() || self.parked() > 0
    }

    /// The link that is held just for what the client may ask next, if one is.
    pub fn for_a_while(&self) -> Option<&Link> {
        let for_a_while = |hold: &&Hold| FOR_A_WHILE.contains(hold.pins);
        let last = self.last.as_ref().filter(for_a_while);
        last.or(self.home.as_ref().filter(for_a_while)).map(|hold| &*hold.link)
    }

    /// The link of that serial number, where it is held as the last or as the home.
    pub fn held_mut(&mut self, serial: u64) -> Option<&mut Link> {
        let mut held = self.last.iter_mut().chain(self.home.as_mut());
        held.find(|hold| hold.link.serial == serial).map(|hold| &mut *hold.link)
    }

    /// What is known of the insert id of a home that is no more.
    pub fn insert_id(&self) -> InsertId {
        self.insert_id
    }

    /// What the named things on the home pin.
    pub fn things(&self) -> Pins {
        self.things.pins()
    }
}

/// How links leave, and come back.
impl Holdings {
    /// Takes out the home.
    pub fn take_home(&mut self) -> Option<Hold> {
        self.home.take()
    }

    /// Takes out the home if its link `fits`.
    #[inline]
    pub fn take_home_if(&mut self, fits: impl FnOnce(&Link) -> bool) -> Option<Hold> {
        self.home.take_if(|home| fits(&home.link))
    }

    /// Takes out the home if it is held just for what the client may ask next.
    pub fn take_home_for_a_while(&mut self) -> Option<Hold> {
        self.home.take_if(|home| FOR_A_WHILE.contains(home.pins))
    }

    /// Takes out the link of the statement before.
    #[inline]
    pub fn take_last(&mut self) -> Option<Hold> {
        self.last.take()
    }

    /// A statement came that asks nothing of the one before: the home's pins of that kind are lifted. Gives out the home if nothing
    /// else stands on it.
    pub fn lift_until_next(&mut self) -> Option<Box<Link>> {
        let home = self.home.as_mut()?;
        home.pins -= Pins::UNTIL_NEXT;
        self.home.take_if(|home| home.pins.is_empty()).map(|home| home.link)
    }

    /// Takes out the link of the statement before if it is held just for what the client may ask next, and not for user variables that
    /// are to be carried home.
    pub fn take_last_for_a_while(&mut self) -> Option<Hold> {
        self.last.take_if(|last| FOR_A_WHILE.contains(last.pins))
    }

    /// Puts a link back to where it was, with what stands on it. Gives out one that nothing holds any more.
    pub fn put_back(&mut self, hold: Hold) -> Option<Hold> {
        match hold.from {
            From::Home => self.home = Some(hold),
            From::Last => self.last = Some(hold),
            From::Pool if self.has_cursor_on(hold.link.serial) => self.park(hold),
            From::Pool => return Some(hold),
        }
        None
    }

    /// The transaction on a home has ended, and the home is to be another link. Keeps it for its cursors, if it has any.
    pub fn leave_home(&mut self, mut hold: Hold) -> Option<Hold> {
        hold.pins -= Pins::TRANSACTION | Pins::UNTIL_NEXT;
        hold.from = From::Pool;
        let stays = (Pins::CURSOR | Pins::INSERT_ID).contains(hold.pins);
        if stays { self.put_back(hold) } else { Some(hold) }
    }

    /// What stands on a link after its statement: `lasting` until it ends, `fleeting` until the next statement. Keeps the link if
    /// the session has a place for it.
    pub fn settle(&mut self, hold: Hold, lasting: Pins, fleeting: Pins) -> Settled {
        let Hold { link, from, .. } = hold;
        match keeper(from, self.home.is_some(), link.writer, lasting, fleeting) {
            Keeper::Parked => self.park(Hold { link, pins: lasting, from: From::Pool }),
            Keeper::Home => {
                self.home = Some(Hold { link, pins: lasting | fleeting, from: From::Home });
                return Settled::Home;
            }
            Keeper::Last => {
                let before = self.last.replace(Hold { link, pins: fleeting, from: From::Last });
                return Settled::Held(before);
            }
            Keeper::Nobody => return Settled::Stained(Hold { link, pins: lasting, from: From::Pool }),
            Keeper::Others => return Settled::Free(link),
        }
        Settled::Held(None)
    }

    /// The link of the statement before stays that, with user variables of these names on it, which are to be the home's.
    pub fn settle_aside(&mut self, hold: Hold, fleeting: Pins, names: impl IntoIterator<Item = Box<str>>) -> Settled {
        let aside = self.aside.get_or_insert_default();
        for name in names {
            if !aside.contains(&name) {
                aside.push(name);
            }
        }
        let pins = fleeting | Pins::USER_VARIABLE;
        Settled::Held(self.last.replace(Hold { link: hold.link, pins, from: From::Last }))
    }

    /// True if user variables wait to be carried home.
    #[inline]
    pub fn has_aside(&self) -> bool {
        self.aside.is_some()
    }

    /// Takes out the last link with the names of the user variables that are to be carried from it.
    pub fn take_aside(&mut self) -> Option<(Hold, Vec<Box<str>>)> {
        let names = self.aside.take()?;
        Some((self.last.take()?, *names))
    }

    /// A link is of no more use. What stood on it is gone: named things, an insert id; its cursors are found missing when they are
    /// asked for. Gives out the link, to be closed.
    pub fn lose(&mut self, hold: Hold) -> (Box<Link>, Lost) {
        match hold.from {
            From::Home => self.things = Things::default(),
            From::Last => self.aside = None,
            From::Pool => {}
        }
        if hold.pins.contains(Pins::INSERT_ID) {
            self.insert_id = InsertId::Lost;
        }
        let lost = Lost::of(&hold);
        (hold.link, lost)
    }

    /// The home goes back to others, and its `LAST_INSERT_ID()` was this. 0 is none of its own: what was known before still holds.
    pub fn remember_insert_id(&mut self, id: u64) {
        if id != 0 {
            self.insert_id = InsertId::Known(id);
        }
    }

    /// The text that is prepared under a name on the home, where it is known.
    pub fn prepared_text(&self, name: &str) -> Option<&Text> {
        self.things.prepared(name)
    }

    /// What is prepared under their names may be something else by now.
    pub fn forget_texts(&mut self) {
        self.things.forget_texts();
    }

    /// Takes down what a statement did to named things. They are on the home, or on the link that is about to be it.
    pub fn note_thing(&mut self, event: Event) {
        self.things.note(event);
    }

    /// A link is the home from now on, with what stands on it.
    pub fn make_home(&mut self, hold: Hold) {
        debug_assert!(self.home.is_none(), "a session has one home");
        self.home = Some(Hold { from: From::Home, ..hold });
    }

    /// The home has what the named things pin.
    pub fn pin_things(&mut self) {
        let things = self.things.pins();
        if let Some(home) = &mut self.home {
            home.pins |= things;
        }
    }
}

/// Cursors, and the links that are kept for them.
impl Holdings {
    /// True if a cursor is open.
    #[inline]
    pub fn has_cursors(&self) -> bool {
        self.cursors.as_ref().is_some_and(|cursors| !cursors.open.is_empty())
    }

    /// The open cursor of a statement.
    pub fn cursor_of(&self, id: u32) -> Option<Cursor> {
        self.cursors.as_ref()?.of(id)
    }

    /// True if a cursor is open on the link of that serial number.
    pub fn has_cursor_on(&self, link: u64) -> bool {
        self.cursors.as_ref().is_some_and(|cursors| cursors.stand_on(link))
    }

    /// True if one is open there under this number of a text.
    pub fn has_cursor_under(&self, link: u64, number: u64) -> bool {
        let open = self.cursors.as_ref().map(|cursors| cursors.open.as_slice()).unwrap_or_default();
        open.iter().any(|cursor| cursor.link == link && cursor.number == number)
    }

    /// True if the cursor of another statement than `id` is open under this number of a text.
    pub fn is_number_taken(&self, number: u64, id: u32) -> bool {
        self.cursors.as_ref().is_some_and(|cursors| cursors.take_number(number, id))
    }

    /// A statement has opened a cursor.
    pub fn open_cursor(&mut self, cursor: Cursor) {
        self.cursors.get_or_insert_default().open.push(cursor);
    }

    /// The cursor of a statement is closed, or lost.
    pub fn forget_cursor(&mut self, id: u32) {
        if let Some(cursors) = &mut self.cursors {
            cursors.open.retain(|cursor| cursor.id != id);
        }
    }

    /// The link of that serial number, where a cursor is open on it: a reset will take away what else is there.
    pub fn with_cursor_mut(&mut self, serial: u64) -> Option<&mut Link> {
        if !self.has_cursor_on(serial) {
            return None;
        }
        let parked = self.cursors.iter_mut().flat_map(|cursors| &mut cursors.parked);
        let mut held = self.home.iter_mut().chain(parked);
        held.find(|hold| hold.link.serial == serial).map(|hold| &mut *hold.link)
    }

    /// How many links are kept for cursors alone.
    pub fn parked(&self) -> usize {
        self.cursors.as_ref().map_or(0, |cursors| cursors.parked.len())
    }

    /// Takes out a parked link that `is` what is wanted.
    pub fn take_parked(&mut self, is: impl Fn(&Link) -> bool) -> Option<Hold> {
        let parked = &mut self.cursors.as_mut()?.parked;
        let place = parked.iter().position(|hold| is(&hold.link))?;
        Some(parked.swap_remove(place))
    }

    /// Takes out the link of that serial number from where it is held for its cursors: the home, or a parked link.
    pub fn take_for_cursor(&mut self, serial: u64) -> Option<Hold> {
        self.take_home_if(|link| link.serial == serial).or_else(|| self.take_parked(|link| link.serial == serial))
    }

    /// Puts such a link back, with the pin of a cursor if one is still open on it. Gives out one that nothing holds any more.
    pub fn put_back_for_cursor(&mut self, mut hold: Hold) -> Option<Hold> {
        let has_cursor = self.has_cursor_on(hold.link.serial);
        hold.pins.set(Pins::CURSOR, has_cursor);
        self.put_back(hold)
    }

    /// Takes out all parked links, and forgets their cursors.
    pub fn take_all_parked(&mut self) -> Vec<Hold> {
        self.cursors.take().map(|cursors| cursors.parked).unwrap_or_default()
    }

    /// Keeps a link for its cursors.
    fn park(&mut self, hold: Hold) {
        self.cursors.get_or_insert_default().parked.push(hold);
    }
}

/// Who keeps a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    /// The session, as its home.
    Home,
    /// The session, for what the next statement may ask.
    Last,
    /// The session, for cursors alone.
    Parked,
    /// Others: it is free.
    Others,
    /// Nobody: it must be closed.
    Nobody,
}

/// Who keeps a link that came from there, once a statement has left these pins on it.
fn keeper(from: From, has_home: bool, is_writer: bool, lasting: Pins, fleeting: Pins) -> Keeper {
    if lasting == Pins::CURSOR {
        // A cursor alone makes no home: it would draw statements to where they do not belong.
        Keeper::Parked
    } else if lasting.is_empty() {
        if fleeting.is_empty() { Keeper::Others } else { Keeper::Last }
    } else if from == From::Pool && !is_writer && lasting == Pins::UNTRACKED_STATE {
        // A read that left something on a reader, out of sight (a view that calls a function, and so on). Variables are
        // carried; what is left cannot be, and would keep the session's writes from the writer.
        Keeper::Nobody
    } else if from == From::Home || !has_home {
        Keeper::Home
    } else {
        // A second connection with lasting state: only a server whose defaults open transactions by themselves does that to a
        // harmless read. Closing it ends what it began.
        Keeper::Nobody
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_a_link() {
        let (nothing, warnings, untracked) = (Pins::empty(), Pins::WARNINGS, Pins::UNTRACKED_STATE);
        let (transaction, cursor) = (Pins::TRANSACTION, Pins::CURSOR);
        // From where; is there a home beside it; lasting pins; fleeting ones; on a writer, on a reader.
        let cases = [
            (From::Pool, false, nothing, nothing, [Keeper::Others, Keeper::Others]),
            (From::Home, false, nothing, nothing, [Keeper::Others, Keeper::Others]),
            (From::Pool, true, nothing, warnings, [Keeper::Last, Keeper::Last]),
            (From::Home, false, nothing, warnings, [Keeper::Last, Keeper::Last]),
            (From::Pool, false, transaction, warnings, [Keeper::Home, Keeper::Home]),
            (From::Home, false, transaction, nothing, [Keeper::Home, Keeper::Home]),
            (From::Last, false, transaction, nothing, [Keeper::Home, Keeper::Home]),
            (From::Pool, true, transaction, nothing, [Keeper::Nobody, Keeper::Nobody]),
            (From::Last, true, transaction, nothing, [Keeper::Nobody, Keeper::Nobody]),
            (From::Pool, false, untracked, nothing, [Keeper::Home, Keeper::Nobody]),
            (From::Home, false, untracked, nothing, [Keeper::Home, Keeper::Home]),
            (From::Pool, true, cursor, warnings, [Keeper::Parked, Keeper::Parked]),
            (From::Home, false, cursor, nothing, [Keeper::Parked, Keeper::Parked]),
            (From::Home, false, cursor | transaction, nothing, [Keeper::Home, Keeper::Home]),
        ];
        for (from, has_home, lasting, fleeting, want) in cases {
            let got = [true, false].map(|is_writer| keeper(from, has_home, is_writer, lasting, fleeting));
            assert_eq!(got, want, "{from:?} {has_home} {} {}", lasting.names(), fleeting.names());
        }
    }
}
