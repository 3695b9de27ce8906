//! Passwords that statements brought in clear. They are kept in memory only, and found again by the hash or mark that
//! stands for them in a table.
//!
//! [`super::engine`] conceals passwords when a row is written, and [`super::model`] asks for them when the row goes
//! into a text. No table and no answer ever shows one. The vault is bounded, and empty after a restart.

use crate::auth::{Secret, StoredPassword};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, OnceLock};

/// What a password column begins with that names an environment variable, and one that names a file.
pub const FROM_ENV: &str = "env:";
/// See [`FROM_ENV`].
pub const FROM_FILE: &str = "file:";

/// The most passwords that are remembered; the table that they come from is edited by people.
const MOST: usize = 10_000;

/// The passwords.
#[derive(Debug, Default)]
pub struct Vault(Mutex<HashMap<String, Secret>>);

impl Vault {
    /// What stands in the table for what was written there: hashes and references as they are, a password in clear as its
    /// native hash.
    pub fn conceal(&self, written: &str) -> String {
        let reference = written.starts_with(FROM_ENV) || written.starts_with(FROM_FILE) || written.contains("${");
        if written.is_empty() || reference || StoredPassword::looks_like_hash(written.as_bytes()) {
            return written.to_owned();
        }
        let shown = StoredPassword::native_hash(written.as_bytes());
        if let Ok(mut known) = self.0.lock() {
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(shown.clone(), Secret::from(written));
        }
        shown
    }

    /// A mark that stands for a password and means nothing outside of this process: for columns that everybody may read.
    pub fn mark(&self, clear: &Secret) -> String {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        let shown = format!("*** {:04x}", KEY.get_or_init(RandomState::new).hash_one(clear.expose()) & 0xffff);
        if let Ok(mut known) = self.0.lock() {
            known.insert(shown.clone(), clear.clone());
        }
        shown
    }

    /// What stands in a variable for a password that was written there.
    pub fn conceal_wholly(&self, written: &str) -> String {
        let known = written.is_empty() || self.reveal(written).is_some();
        if known { written.to_owned() } else { self.mark(&Secret::from(written)) }
    }

    /// The password behind a hash, if it came in clear.
    pub fn reveal(&self, shown: &str) -> Option<Secret> {
        self.0.lock().ok()?.get(shown).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_passwords_are_concealed_and_found_again() {
        let vault = Vault::default();
        let shown = vault.conceal("secret");
        assert_eq!(shown, "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7", "as SELECT PASSWORD('secret') gives it");
        assert_eq!(vault.reveal(&shown), Some(Secret::from("secret")));
        for kept in ["", "env:X", "file:/x", "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7"] {
            assert_eq!(vault.conceal(kept), kept);
        }
        assert_eq!(vault.reveal("*0000000000000000000000000000000000000000"), None);
    }
}
