//! What a server answered to a SET, for the next that is the same: the same text, in the same state, for the same account and
//! home.
//!
//! Nearly every connector says SET NAMES before anything else, and an application that connects for every request says it
//! with every request. What such a statement does is known once a server has said it: the router then answers by itself, and
//! the state is brought to a connection when one is next needed. Only what does the same again is remembered
//! ([`Assignment::is_repeatable`](crate::session::state::assignment::Assignment::is_repeatable)), without an error or a warning, and
//! not for long: a server's globals may change.

use crate::protocol::status::Status;
use crate::session::state::State;
use hashbrown::{Equivalent, HashMap};
use std::cell::RefCell;
use std::rc::Rc;

/// Echoes that a worker keeps.
const MOST: usize = 4_096;
/// The longest text that is remembered.
const LONGEST: usize = 1_024;

/// What an answer hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked<'a> {
    /// The number of the session's account: a SET may need a right.
    pub account: u32,
    /// The hostgroup that it goes to.
    pub hostgroup: u32,
    /// The text.
    pub text: &'a [u8],
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The address of the state before; the echo keeps it alive.
    from: usize,
    account: u32,
    hostgroup: u32,
    text: Box<[u8]>,
}

#[derive(Hash)]
struct Borrowed<'a> {
    from: usize,
    account: u32,
    hostgroup: u32,
    text: &'a [u8],
}

impl Equivalent<Key> for Borrowed<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.from == key.from
            && self.account == key.account
            && self.hostgroup == key.hostgroup
            && *self.text == *key.text
    }
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Echo {
    /// The session's state afterwards.
    pub to: Rc<State>,
    /// The status flags of the answer.
    pub status: Status,
    /// The variables that it reported, name and value.
    pub reported: Rc<[(String, String)]>,
}

struct Kept {
    echo: Echo,
    _from: Rc<State>,
    at: u32,
}

/// The echoes of a worker.
#[derive(Default)]
pub struct Echoes(RefCell<HashMap<Key, Kept, foldhash::fast::RandomState>>);

impl Echoes {
    /// What a server answered to this in that state.
    pub fn get(&self, from: &Rc<State>, asked: Asked<'_>) -> Option<Echo> {
        let Asked { account, hostgroup, text } = asked;
        let key = Borrowed { from: Rc::as_ptr(from) as usize, account, hostgroup, text };
        self.0.borrow().get(&key).map(|kept| kept.echo.clone())
    }

    /// Remembers an answer, at tick `at`.
    pub fn keep(&self, from: &Rc<State>, asked: Asked<'_>, echo: Echo, at: u32) {
        let mut kept = self.0.borrow_mut();
        if kept.len() >= MOST || asked.text.len() > LONGEST {
            return;
        }
        let Asked { account, hostgroup, text } = asked;
        let key = Key { from: Rc::as_ptr(from) as usize, account, hostgroup, text: text.into() };
        kept.insert(key, Kept { echo, _from: Rc::clone(from), at });
    }

    /// Forgets those whose tick is `stale`.
    pub fn forget(&self, stale: impl Fn(u32) -> bool) {
        self.0.borrow_mut().retain(|_, kept| !stale(kept.at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::state::{Interner, Values};

    #[test]
    fn an_answer_is_that_of_its_text_and_state_alone() {
        let states = Interner::default();
        let in_schema = |name: &str| states.intern(Values::new(Some(name.into()), Rc::default()));
        let (a, b) = (in_schema("a"), in_schema("b"));
        let echoes = Echoes::default();
        let asked = Asked { account: 1, hostgroup: 10, text: b"SET NAMES utf8mb4" };
        let echo = Echo { to: Rc::clone(&b), status: Status::AUTOCOMMIT, reported: Rc::from([]) };
        echoes.keep(&a, asked, echo, 5);
        assert!(Rc::ptr_eq(&echoes.get(&a, asked).unwrap().to, &b));
        assert!(echoes.get(&b, asked).is_none());
        assert!(echoes.get(&a, Asked { account: 2, ..asked }).is_none());
        assert!(echoes.get(&a, Asked { hostgroup: 20, ..asked }).is_none());
        assert!(echoes.get(&a, Asked { text: b"SET NAMES latin1", ..asked }).is_none());
        echoes.forget(|at| at < 5);
        assert!(echoes.get(&a, asked).is_some());
        echoes.forget(|at| at <= 5);
        assert!(echoes.get(&a, asked).is_none());
    }
}
