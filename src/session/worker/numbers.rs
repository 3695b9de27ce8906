//! Small numbers for what sessions name: what accounts sign in with behind, and the names of users and schemas in the statistics.
//!
//! A number is given once and never again, so that forgetting is safe: what is forgotten and comes back has another number, and whatever
//! still has the old one is nobody else's. Both are bounded; neither knows sessions.

use crate::auth::Credentials;
use std::collections::HashMap;

/// Names that are kept. More come only from those who make up schemas.
const NAMES: usize = 16_384;

/// Numbers of names.
#[derive(Debug, Default)]
pub struct NameNumbers {
    numbers: HashMap<Box<str>, u32>,
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
    /// By the name behind.
    numbers: HashMap<Box<str>, Vec<(u32, Option<Credentials>)>>,
    last: u32,
    count: usize,
}

fn name_in(credentials: &Option<Credentials>) -> &str {
    credentials.as_ref().map_or("", |credentials| &credentials.username)
}

impl AccountNumbers {
    /// The number of these.
    pub fn number(&mut self, credentials: Option<Credentials>) -> u32 {
        if let Some(number) = self.known(&credentials) {
            return number;
        }
        self.last = self.last.wrapping_add(1);
        self.count += 1;
        self.numbers.entry(name_in(&credentials).into()).or_default().push((self.last, credentials));
        self.last
    }

    /// Their number, if they have one.
    pub fn known(&self, credentials: &Option<Credentials>) -> Option<u32> {
        let same = self.numbers.get(name_in(credentials))?;
        same.iter().find(|(_, known)| known == credentials).map(|(number, _)| *number)
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
        let of = |password: &str| Some(Credentials::new("app", password.to_owned()));
        let (old, new, none) = (accounts.number(of("a")), accounts.number(of("b")), accounts.number(None));
        assert_eq!(HashSet::from([old, new, none]).len(), 3);
        assert_eq!((accounts.number(of("a")), accounts.name(new).as_deref()), (old, Some("app")));
        accounts.retain(|number| number != old);
        assert_eq!((accounts.count(), accounts.known(&of("a")), accounts.number(of("b"))), (2, None, new));
        assert!(![old, new, none].contains(&accounts.number(of("a"))), "its number stays that of the old links");
    }
}
