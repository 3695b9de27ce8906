//! Small numbers for what sessions name: what accounts sign in with behind, and the names of users and schemas in the statistics.
//!
//! A number is given once and never again, so that forgetting is safe: what is forgotten and comes back has another number, and whatever
//! still has the old one is nobody else's. Both are bounded; neither knows sessions.

use crate::auth::{Account, Credentials};
use hashbrown::HashMap;

/// Names that are kept. More come only from those who make up schemas.
const NAMES: usize = 16_384;

/// Numbers of names.
#[derive(Debug, Default)]
pub struct NameNumbers {
    numbers: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
    last: u32,
}

impl NameNumbers {
    /// The name's number. Where there is no room for another name, all are forgotten: their next use gives them new numbers, under which
    /// they are counted beside the old ones, by the same names.
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        if self.numbers.len() >= NAMES {
            self.numbers.clear();
        }
        self.last = self.last.wrapping_add(1);
        self.numbers.insert(name.into(), self.last);
        self.last
    }
}

/// Numbers of credentials; none is a credential too: that of whoever cannot sign in behind yet.
#[derive(Debug, Default)]
pub struct AccountNumbers {
    /// By the name behind, which those have too who cannot sign in there yet.
    numbers: HashMap<Box<str>, Vec<(u32, Option<Credentials>)>, foldhash::fast::RandomState>,
    last: u32,
    count: usize,
}

impl AccountNumbers {
    /// The number of what this account signs in with.
    pub fn number(&mut self, account: &Account) -> u32 {
        if let Some(number) = self.known(account) {
            return number;
        }
        self.last = self.last.wrapping_add(1);
        self.count += 1;
        self.numbers.entry(account.name_behind().into()).or_default().push((self.last, account.credentials()));
        self.last
    }

    /// Its number, if it has one.
    pub fn known(&self, account: &Account) -> Option<u32> {
        let same = self.numbers.get(account.name_behind())?;
        same.iter().find(|(_, known)| account.signs_in_as(known.as_ref())).map(|(number, _)| *number)
    }

    /// The name behind of this number.
    pub fn name(&self, number: u32) -> Option<String> {
        let mut all = self.numbers.values().flatten();
        let (_, credentials) = all.find(|(own, _)| *own == number)?;
        credentials.as_ref().map(|credentials| credentials.username.clone())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Forgets those whose number `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.numbers.values_mut().for_each(|same| same.retain(|(number, _)| keep(*number)));
        self.numbers.retain(|_, same| !same.is_empty());
        self.count = self.numbers.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{AccountSpec, StoredPassword};
    use std::collections::HashSet;

    #[test]
    fn names_are_bounded_and_no_number_means_two() {
        let mut names = NameNumbers::default();
        let app = names.number("app");
        assert_eq!(names.number("app"), app);
        let mut seen = HashSet::from([app]);
        for n in 0..3 * NAMES {
            assert!(seen.insert(names.number(&format!("made up {n}"))), "{n}");
            assert!(names.numbers.len() <= NAMES);
        }
        assert!(seen.insert(names.number("app")), "it comes back under a number that nobody had");
    }

    #[test]
    fn credentials_that_are_not_used_any_more_are_forgotten() {
        let mut accounts = AccountNumbers::default();
        let stored = |stored| {
            Account::new(AccountSpec { name: "app".into(), passwords: vec![stored], ..AccountSpec::default() })
        };
        let of = |password: &str| stored(StoredPassword::clear(password).unwrap());
        let (a, b, hashed) = (of("a"), of("b"), stored(StoredPassword::Native([1; 20])));
        let (old, new, none) = (accounts.number(&a), accounts.number(&b), accounts.number(&hashed));
        assert_eq!(HashSet::from([old, new, none]).len(), 3);
        assert_eq!((accounts.number(&of("a")), accounts.name(new).as_deref()), (old, Some("app")));
        accounts.retain(|number| number != old);
        assert_eq!((accounts.count(), accounts.known(&a), accounts.number(&b)), (2, None, new));
        assert!(![old, new, none].contains(&accounts.number(&a)), "its number stays that of the old links");
    }
}
