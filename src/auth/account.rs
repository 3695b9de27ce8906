//! The accounts that may sign in at the router, by name, with what is learned of their passwords and how many sessions
//! they have.
//!
//! [`super::server`] looks accounts up here and judges clients by their passwords; a name that does not exist gets a
//! decoy, so that an exchange does not tell which names exist. What an account has learned goes over from one version
//! of the configuration to the next where the stored password stays the same. Rights at the servers are not known here:
//! the servers judge those.

use super::credentials::{Credentials, Password};
use super::password::{StoredPassword, Verifier};
use super::plugin::Plugin;
use super::scramble::{self, Scramble, Sha1};
use super::secret::Secret;
use super::writes::Writes;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// An account as the configuration describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSpec {
    /// Name that clients sign in with. Compared byte by byte, as UTF-8.
    pub name: String,
    /// Passwords that are accepted; more than one while a password is being changed. None at all: nobody comes in.
    pub passwords: Vec<StoredPassword>,
    /// The plugin to insist on. `None`: the client's choice, where the stored form allows it.
    pub plugin: Option<Plugin>,
    /// Only over TLS.
    pub require_tls: bool,
    /// Schema of a session that names none.
    pub default_schema: Option<String>,
    /// Hostgroup of a statement that no rule matches.
    pub default_hostgroup: Option<u32>,
    /// Most sessions at a time; `None` for no limit.
    pub max_connections: Option<u32>,
    /// Who to be behind. `None`: the same name and password as in front.
    pub backend: Option<BackendUser>,
}

/// An account's other self, behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendUser {
    /// Name at the backends; `None` for the account's own.
    pub username: Option<String>,
    /// Password at the backends; `None` for what the account's own is, or has been learned to be.
    pub password: Option<Secret>,
}

/// An account with its state. Lives as long as one version of the configuration; what it has learned, its count of
/// sessions and its latest write go on in the next version's.
#[derive(Debug)]
pub struct Account {
    spec: AccountSpec,
    verifiers: Vec<Verifier>,
    sessions: Arc<AtomicU32>,
    writes: Arc<Writes>,
}

impl Account {
    /// An account that nobody has used yet.
    pub fn new(spec: AccountSpec) -> Self {
        let verifiers = spec.passwords.iter().cloned().map(Verifier::new).collect();
        Account { spec, verifiers, sessions: Arc::default(), writes: Arc::default() }
    }

    /// The description it was made from.
    pub fn spec(&self) -> &AccountSpec {
        &self.spec
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Sessions that are signed in now.
    pub fn sessions(&self) -> u32 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// When its sessions wrote, for those that read each other's writes.
    pub fn writes(&self) -> &Arc<Writes> {
        &self.writes
    }

    pub(super) fn verifiers(&self) -> &[Verifier] {
        &self.verifiers
    }

    /// Takes a place among the account's sessions; `Err` gives the limit, if all are taken.
    ///
    /// # Errors
    /// The account's limit.
    pub fn sit(&self) -> Result<Seat, u32> {
        let limit = self.spec.max_connections.unwrap_or(u32::MAX);
        let taken = self.sessions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < limit).then(|| n + 1));
        taken.map(|_| Seat(Arc::clone(&self.sessions))).map_err(|_| limit)
    }

    /// What to sign in with behind. `None` as long as the account is stored as a hash and no client has shown enough to
    /// sign in elsewhere: a client's native sign-in shows SHA1(pw), one over TLS, a unix socket or RSA the password.
    pub fn credentials(&self) -> Option<Credentials> {
        let password = match self.proof()? {
            Proof::None => Password::None,
            Proof::Clear(password) => Password::Clear(password.clone()),
            Proof::NativeSha1(once) => Password::NativeSha1(*once),
        };
        Some(Credentials { username: self.name_behind().to_owned(), password })
    }

    /// True if [`Account::credentials`] are these.
    pub fn signs_in_as(&self, known: Option<&Credentials>) -> bool {
        let (known, proof) = match (known, self.proof()) {
            (None, None) => return true,
            (Some(known), Some(proof)) => (known, proof),
            (None, Some(_)) | (Some(_), None) => return false,
        };
        let proves = match (&known.password, proof) {
            (Password::None, Proof::None) => true,
            (Password::Clear(known), Proof::Clear(password)) => known == password,
            (Password::NativeSha1(known), Proof::NativeSha1(once)) => known == once,
            (Password::None | Password::Clear(_) | Password::NativeSha1(_), _) => false,
        };
        proves && known.username == self.name_behind()
    }

    /// The name to sign in with behind.
    pub fn name_behind(&self) -> &str {
        self.spec.backend.as_ref().and_then(|b| b.username.as_deref()).unwrap_or(&self.spec.name)
    }

    /// What proves it.
    fn proof(&self) -> Option<Proof<'_>> {
        if let Some(password) = self.spec.backend.as_ref().and_then(|b| b.password.as_ref()) {
            return Some(if password.is_empty() { Proof::None } else { Proof::Clear(password) });
        }
        if let Some(password) = self.verifiers.iter().find_map(Verifier::known_clear) {
            return Some(Proof::Clear(password));
        }
        if let Some(once) = self.verifiers.iter().find_map(Verifier::known_once) {
            return Some(Proof::NativeSha1(once));
        }
        self.verifiers.iter().any(|v| v.stored == StoredPassword::Empty).then_some(Proof::None)
    }
}

/// What proves an account's name behind: a [`Password`] that is still the account's.
enum Proof<'a> {
    None,
    Clear(&'a Secret),
    NativeSha1(&'a Sha1),
}

/// A place among an account's sessions; given back when dropped.
#[derive(Debug)]
pub struct Seat(Arc<AtomicU32>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All accounts of one version of the configuration, by name.
#[derive(Debug)]
pub struct Accounts {
    by_name: HashMap<Box<str>, Arc<Account>>,
    /// One for each stored form in use: what unknown names are measured against.
    decoys: Vec<Arc<Account>>,
}

/// Accounts that cannot be used together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// Two accounts have one name.
    #[error("there are two accounts named {0:?}")]
    Duplicate(String),
}

impl Accounts {
    /// Builds the accounts of a new version. What the `previous` version's accounts have learned of passwords that stay the
    /// same, how many sessions they have and when they wrote, goes over.
    ///
    /// # Errors
    /// [`AccountsError::Duplicate`].
    pub fn build(
        specs: impl IntoIterator<Item = AccountSpec>,
        previous: Option<&Accounts>,
    ) -> Result<Self, AccountsError> {
        let mut by_name = HashMap::new();
        for spec in specs {
            let name = spec.name.clone();
            let mut account = Account::new(spec);
            if let Some(old) = previous.and_then(|p| p.by_name.get(name.as_str())) {
                account.sessions = Arc::clone(&old.sessions);
                account.writes = Arc::clone(&old.writes);
                for verifier in &account.verifiers {
                    old.verifiers.iter().for_each(|older| verifier.inherit(older));
                }
            }
            if by_name.insert(name.clone().into_boxed_str(), Arc::new(account)).is_some() {
                return Err(AccountsError::Duplicate(name));
            }
        }
        let decoys = decoys(by_name.values().map(|a| a.spec()));
        Ok(Accounts { by_name, decoys })
    }

    /// The account of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Account>> {
        self.by_name.get(name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// True if nobody may sign in.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All accounts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.by_name.values()
    }

    /// The account to measure a client against, and whether it is real. A name that does not exist gets a decoy, always the
    /// same for the same name, so that the exchange does not tell which names exist.
    pub(super) fn find(&self, name: &[u8]) -> (Arc<Account>, bool) {
        let known = std::str::from_utf8(name).ok().and_then(|n| self.by_name.get(n));
        match known {
            Some(account) => (Arc::clone(account), true),
            None => {
                static KEY: OnceLock<RandomState> = OnceLock::new();
                let hash = KEY.get_or_init(RandomState::new).hash_one(name);
                #[expect(
                    clippy::indexing_slicing,
                    reason = "there is at least one decoy, and a remainder is less than their number"
                )]
                let decoy = &self.decoys[hash as usize % self.decoys.len()];
                (Arc::clone(decoy), false)
            }
        }
    }
}

/// Accounts that nobody can sign in to, one for each way in which a real account's exchange may look.
fn decoys<'a>(specs: impl Iterator<Item = &'a AccountSpec>) -> Vec<Arc<Account>> {
    // The order must not depend on the map's, or the same name would meet another decoy after a reload.
    let mut shapes: BTreeMap<(u8, u32), AccountSpec> = BTreeMap::new();
    for spec in specs {
        let (stored, form) = decoy_password(spec.passwords.first());
        let plugin = spec.plugin.map_or(0, |p| 1 + p as u8);
        shapes.entry((plugin, form)).or_insert_with(|| AccountSpec {
            plugin: spec.plugin,
            passwords: vec![stored],
            ..AccountSpec::default()
        });
    }
    if shapes.is_empty() {
        shapes.insert((0, 0), AccountSpec { passwords: vec![decoy_password(None).0], ..AccountSpec::default() });
    }
    shapes.into_values().map(|spec| Arc::new(Account::new(spec))).collect()
}

/// A password that nobody knows, in the same form as `like`; and a number that tells forms apart.
fn decoy_password(like: Option<&StoredPassword>) -> (StoredPassword, u32) {
    let random = *Scramble::random().bytes();
    match like {
        Some(StoredPassword::Native(_)) => (StoredPassword::Native(scramble::native_stored(&random)), 1),
        Some(StoredPassword::CachingSha2 { rounds, .. }) => {
            #[expect(clippy::indexing_slicing, reason = "the remainder of a division by the length")]
            let digest = std::array::from_fn(|i| b'a' + random[i % random.len()] % 26);
            let salt = *Scramble::random().bytes();
            (StoredPassword::CachingSha2 { rounds: *rounds, salt, digest }, *rounds)
        }
        Some(StoredPassword::Clear(_) | StoredPassword::Empty) | None => {
            (StoredPassword::Clear(Secret::from(random)), 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, password: &str) -> AccountSpec {
        let passwords = vec![StoredPassword::clear(password).unwrap()];
        AccountSpec { name: name.into(), passwords, ..AccountSpec::default() }
    }

    #[test]
    fn seats_are_counted_across_versions() {
        let limited = AccountSpec { max_connections: Some(2), ..spec("anna", "x") };
        let first = Accounts::build([limited.clone()], None).unwrap();
        let account = first.get("anna").unwrap();
        let one = account.sit().unwrap();
        let _two = account.sit().unwrap();
        assert_eq!(account.sit().unwrap_err(), 2);
        let next = Accounts::build([limited], Some(&first)).unwrap();
        assert_eq!(next.get("anna").unwrap().sit().unwrap_err(), 2);
        drop(one);
        let _three = next.get("anna").unwrap().sit().unwrap();
        assert_eq!((account.sessions(), next.get("anna").unwrap().sessions()), (2, 2));
    }

    #[test]
    fn writes_are_known_across_versions_and_to_their_own_account_alone() {
        let first = Accounts::build([spec("anna", "x"), spec("ben", "x")], None).unwrap();
        let next = Accounts::build([spec("anna", "y"), spec("ben", "x")], Some(&first)).unwrap();
        let writes = first.get("anna").unwrap().writes();
        writes.begin();
        let recent = |name| next.get(name).unwrap().writes().latest(|| 0, std::time::Duration::from_secs(1)).is_some();
        assert_eq!((recent("anna"), recent("ben")), (true, false));
    }

    #[test]
    fn backend_credentials_are_the_accounts_own_unless_told() {
        let backend = |username: Option<&str>, password: Option<&str>| {
            Some(BackendUser { username: username.map(Into::into), password: password.map(Secret::from) })
        };
        for (backend, want) in [
            (None, Credentials::new("anna", "x")),
            (backend(Some("app"), None), Credentials::new("app", "x")),
            (backend(None, Some("y")), Credentials::new("anna", "y")),
            (backend(Some("app"), Some("y")), Credentials::new("app", "y")),
            (backend(Some("app"), Some("")), Credentials { username: "app".into(), password: Password::None }),
        ] {
            let account = Account::new(AccountSpec { backend, ..spec("anna", "x") });
            assert!(account.signs_in_as(Some(&want)) && !account.signs_in_as(None));
            assert!(!account.signs_in_as(Some(&Credentials::new(want.username.as_str(), "other"))));
            assert_eq!(account.credentials(), Some(want));
        }
        let none = Account::new(spec("anna", ""));
        assert_eq!(none.credentials().unwrap().password, Password::None);
    }

    #[test]
    fn names_are_unique() {
        let twice = Accounts::build([spec("anna", "x"), spec("anna", "y")], None);
        assert_eq!(twice.unwrap_err(), AccountsError::Duplicate("anna".into()));
    }

    #[test]
    fn a_name_that_does_not_exist_meets_the_same_decoy_every_time() {
        let specs = || {
            let native = StoredPassword::Native([1; 20]);
            let hashed = AccountSpec { name: "ben".into(), passwords: vec![native], ..AccountSpec::default() };
            [spec("anna", "x"), hashed]
        };
        let (a, b) = (Accounts::build(specs(), None).unwrap(), Accounts::build(specs(), None).unwrap());
        let form = |accounts: &Accounts, name: &str| {
            let (account, known) = accounts.find(name.as_bytes());
            assert!(!known);
            std::mem::discriminant(&account.spec().passwords[0])
        };
        let names: Vec<String> = (0..64).map(|i| format!("nobody{i}")).collect();
        assert!(names.iter().all(|n| form(&a, n) == form(&b, n)));
        let kinds: std::collections::HashSet<_> = names.iter().map(|n| form(&a, n)).collect();
        assert_eq!(kinds.len(), 2, "both forms occur");
    }
}
