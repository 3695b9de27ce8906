//! Schemas that were found to exist a moment ago: whoever signs in to one, or uses it, need not ask its server again.
//!
//! What is found is believed for an account, because a server shows a schema to those who may use it, and for a hostgroup. It is
//! forgotten soon: a schema may be dropped by others. It refuses to ask; whoever asks tells it.

use hashbrown::{Equivalent, HashMap};
use std::cell::RefCell;

/// A schema, as an account sees it in a hostgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Schema<'a> {
    /// The account's number.
    pub account: u32,
    /// The hostgroup.
    pub hostgroup: u32,
    /// Its name.
    pub name: &'a str,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    account: u32,
    hostgroup: u32,
    name: Box<str>,
}

impl Equivalent<Key> for Schema<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.account == key.account && self.hostgroup == key.hostgroup && *self.name == *key.name
    }
}

/// The schemas that a worker's sessions have found, with the tick at which.
#[derive(Debug, Default)]
pub struct Schemas(RefCell<HashMap<Key, u32, foldhash::fast::RandomState>>);

impl Schemas {
    /// True if it was found a moment ago.
    pub fn has(&self, schema: Schema<'_>) -> bool {
        self.0.borrow().contains_key(&schema)
    }

    /// It was found at tick `at`.
    pub fn found(&self, schema: Schema<'_>, at: u32) {
        let Schema { account, hostgroup, name } = schema;
        self.0.borrow_mut().insert(Key { account, hostgroup, name: name.into() }, at);
    }

    /// Forgets those whose tick is `stale`.
    pub fn forget(&self, stale: impl Fn(u32) -> bool) {
        self.0.borrow_mut().retain(|_, at| !stale(*at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_found_by_an_account_in_a_hostgroup_and_forgotten() {
        let schemas = Schemas::default();
        let shop = Schema { account: 1, hostgroup: 10, name: "shop" };
        schemas.found(shop, 5);
        assert!(schemas.has(shop));
        assert!(!schemas.has(Schema { account: 2, ..shop }) && !schemas.has(Schema { hostgroup: 20, ..shop }));
        assert!(!schemas.has(Schema { name: "Shop", ..shop }));
        schemas.forget(|at| at < 5);
        assert!(schemas.has(shop));
        schemas.forget(|at| at <= 5);
        assert!(!schemas.has(shop));
    }
}
