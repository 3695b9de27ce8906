//! Texts of prepared statements: what links and sessions know of them. A text is one for all sessions of a worker that prepared
//! it under the same conditions, so that they share what servers have prepared.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

/// What is known of a prepared text: whose it was first, and what the server said of it then.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Told {
    pub schema: Box<str>,
    pub user: Box<str>,
    pub digest: u64,
    pub columns: u16,
    pub parameters: u16,
    pub text: Rc<[u8]>,
}

/// A prepared text on a worker. Each statement of a session that is this text holds it.
#[derive(Debug, Default)]
pub struct Text {
    told: OnceCell<Told>,
    on_servers: Rc<()>,
    /// The parameter types that somebody executed it with last.
    types: RefCell<Option<Rc<[u8]>>>,
}

impl Text {
    /// What is known of it.
    pub fn told(&self) -> Option<&Told> {
        self.told.get()
    }

    /// Notes what is known of it, if nothing is.
    pub fn tell(&self, told: impl FnOnce() -> Told) {
        self.told.get_or_init(told);
    }

    /// These parameter types, for all who agree on them in one place: who compares them finds that out without a look at them.
    pub fn types(&self, types: &[u8]) -> Rc<[u8]> {
        let mut last = self.types.borrow_mut();
        match &*last {
            Some(same) if **same == *types => Rc::clone(same),
            _ => Rc::clone(last.insert(types.into())),
        }
    }

    /// A count of the servers that have it prepared: held for each connection on which one has.
    pub fn on_server(&self) -> Rc<()> {
        Rc::clone(&self.on_servers)
    }

    /// How many connections' servers have it prepared.
    pub fn servers(&self) -> usize {
        Rc::strong_count(&self.on_servers) - 1
    }
}
