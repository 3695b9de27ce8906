//! The forms in which an account's password may be stored, and what each of them can judge about a client's answer.
//!
//! [`super::account`] holds one [`Verifier`] for each stored password, and [`super::server`] asks it. A verifier keeps
//! what clients have proven, so that the slow hash is computed rarely. Stored forms are never printed, and a password
//! longer than [`MAX_PASSWORD`] is refused before it is hashed.

use super::plugin::Plugin;
use super::scramble::{self, Scramble, Sha1, Sha256};
use super::secret::Secret;
use super::sha_crypt;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::sync::OnceLock;

/// The longest password that is looked at, in bytes: MySQL's own limit for `caching_sha2_password`. The slow hash takes
/// time quadratic in the length, so an unbounded one would let a client choose how long a thread works.
pub const MAX_PASSWORD: usize = 256;

/// What starts the stored form of `caching_sha2_password`; the digits are thousands of rounds, in hexadecimal.
const SHA2_PREFIX: &[u8] = b"$A$";
/// Bytes of its salt.
const SALT: usize = 20;

/// A password as the configuration holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredPassword {
    /// No password: the client must send none.
    Empty,
    /// The password itself.
    Clear(Secret),
    /// `*` and 40 hexadecimal digits, as `mysql_native_password` stores it: SHA1(SHA1(pw)).
    Native(Sha1),
    /// `$A$005$`, 20 bytes of salt and 43 characters of digest, as `caching_sha2_password` stores it.
    CachingSha2 {
        /// Rounds of the hash; 5,000 unless the server was told otherwise.
        rounds: u32,
        /// Salt.
        salt: [u8; SALT],
        /// Digest, encoded.
        digest: [u8; sha_crypt::ENCODED],
    },
}

/// A stored password that is no password form at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFormError {
    /// It starts like a native hash, but is none.
    #[error("a mysql_native_password hash is `*` and 40 hexadecimal digits")]
    Native,
    /// It starts like a caching_sha2 hash, but is none.
    #[error(
        "a caching_sha2_password hash is `$A$005$`, 20 bytes of salt and 43 characters of digest, \
         or all of these as hexadecimal digits after `0x`"
    )]
    CachingSha2,
    /// Longer than any client may send.
    #[error("a password has at most 256 bytes")]
    TooLong,
}

/// The form alone: a hash is as good as a password to whoever can guess, or has listened.
impl std::fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            StoredPassword::Empty => "Empty",
            StoredPassword::Clear(_) => "Clear(***)",
            StoredPassword::Native(_) => "Native(***)",
            StoredPassword::CachingSha2 { .. } => "CachingSha2(***)",
        })
    }
}

impl StoredPassword {
    /// A password in clear. The empty one means that there is none.
    ///
    /// # Errors
    /// [`PasswordFormError::TooLong`].
    pub fn clear(password: impl Into<Secret>) -> Result<Self, PasswordFormError> {
        let password = password.into();
        match password.expose().len() {
            0 => Ok(StoredPassword::Empty),
            1..=MAX_PASSWORD => Ok(StoredPassword::Clear(password)),
            _ => Err(PasswordFormError::TooLong),
        }
    }

    /// A stored hash, as `SHOW CREATE USER` or `mysql.user` gives it: native, caching_sha2, or caching_sha2 in `0x…` form.
    /// The empty text means that there is no password.
    ///
    /// # Errors
    /// A text that is neither form.
    pub fn hash(text: &[u8]) -> Result<Self, PasswordFormError> {
        if text.is_empty() {
            return Ok(StoredPassword::Empty);
        }
        if let Some(digits) = text.strip_prefix(b"*") {
            let bytes = unhex(digits).and_then(|b| b.try_into().ok());
            return bytes.map(StoredPassword::Native).ok_or(PasswordFormError::Native);
        }
        if let Some(digits) = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")) {
            let bytes = unhex(digits).ok_or(PasswordFormError::CachingSha2)?;
            return Self::caching_sha2(&bytes).ok_or(PasswordFormError::CachingSha2);
        }
        Self::caching_sha2(text).ok_or(PasswordFormError::CachingSha2)
    }

    /// The hash of a password as `mysql_native_password` stores it, as text.
    pub fn native_hash(password: &[u8]) -> String {
        let stored = scramble::native_stored(password);
        std::iter::once("*".to_owned()).chain(stored.iter().map(|byte| format!("{byte:02X}"))).collect()
    }

    /// True if the text can only be a stored hash, and not a password that somebody chose.
    pub fn looks_like_hash(text: &[u8]) -> bool {
        text.len() > 40 && Self::hash(text).is_ok()
    }

    fn caching_sha2(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(SHA2_PREFIX)?;
        let (thousands, rest) = rest.split_first_chunk::<3>()?;
        let rest = rest.strip_prefix(b"$")?;
        let thousands = u32::from_str_radix(std::str::from_utf8(thousands).ok()?, 16).ok()?;
        let (salt, digest) = rest.split_first_chunk::<SALT>()?;
        let digest = digest.try_into().ok()?;
        (thousands > 0).then_some(StoredPassword::CachingSha2 { rounds: thousands * 1000, salt: *salt, digest })
    }
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let value = |d: &u8| char::from(*d).to_digit(16).map(|v| v as u8);
    pairs.iter().map(|[high, low]| Some(value(high)? << 4 | value(low)?)).collect()
}

/// A stored password with what has been learned of it from clients that proved to know it. What was learned belongs to
/// this stored form: another password is another `Verifier`, so nothing has to be forgotten.
#[derive(Debug)]
pub(super) struct Verifier {
    pub stored: StoredPassword,
    /// SHA256(SHA256(pw)): the warm cache of `caching_sha2_password`. At most one entry a password, so it is bounded.
    fast: OnceLock<Sha256>,
    /// SHA1(pw), for backends that use `mysql_native_password`.
    once: OnceLock<Sha1>,
    /// SHA1(SHA1(pw)), by which answers of `mysql_native_password` are judged, where the stored form tells it.
    twice: Option<Sha1>,
    /// The password, seen over TLS, a unix socket or RSA.
    clear: OnceLock<Secret>,
}

impl Verifier {
    pub fn new(stored: StoredPassword) -> Self {
        let (fast, once) = (OnceLock::new(), OnceLock::new());
        let twice = match &stored {
            StoredPassword::Native(twice) => Some(*twice),
            StoredPassword::Clear(password) => {
                let _ = fast.set(scramble::fast_stored(password.expose()));
                Some(scramble::sha1(&[once.get_or_init(|| scramble::sha1(&[password.expose()]))]))
            }
            StoredPassword::Empty | StoredPassword::CachingSha2 { .. } => None,
        };
        Verifier { stored, fast, once, twice, clear: OnceLock::new() }
    }

    /// Takes over what an older verifier of the same stored form has learned.
    pub fn inherit(&self, older: &Verifier) {
        if self.stored == older.stored {
            older.fast.get().map(|v| self.fast.set(*v));
            older.once.get().map(|v| self.once.set(*v));
            older.clear.get().map(|v| self.clear.set(v.clone()));
        }
    }

    /// True if the plugin can come to a verdict with this form at all.
    pub fn can_use(&self, plugin: Plugin) -> bool {
        !matches!((plugin, &self.stored), (Plugin::Sha256, _) | (Plugin::Native, StoredPassword::CachingSha2 { .. }))
    }

    /// True if the plugin suits this form, over a channel that is `secure` or not and with a cold cache.
    pub fn suits(&self, plugin: Plugin, secure: bool) -> bool {
        // Needs the password itself; over plain TCP most clients would refuse to ask for the RSA key, and know native.
        let by_rsa = matches!((plugin, &self.stored), (Plugin::CachingSha2, StoredPassword::Native(_))) && !secure;
        self.can_use(plugin) && !by_rsa
    }

    /// True if the fast path has something to judge by.
    pub fn is_warm(&self) -> bool {
        self.fast.get().is_some()
    }

    /// Judges an answer of `mysql_native_password`.
    pub fn native(&self, scramble: &Scramble, answer: &[u8]) -> bool {
        let Some(twice) = &self.twice else { return false };
        // Not by what has been learned: an account that somebody has used takes as long as one that nobody can use.
        if let (StoredPassword::Clear(_), Some(once)) = (&self.stored, self.once.get()) {
            return scramble::native_shown(scramble, twice, answer).is_some_and(|shown| equal(&shown, once));
        }
        match scramble::native_verify(scramble, twice, answer) {
            Some(once) => {
                let _ = self.once.set(once);
                true
            }
            None => false,
        }
    }

    /// Judges an answer of the fast path of `caching_sha2_password`; `None` if nothing is kept to judge it by.
    pub fn fast(&self, scramble: &Scramble, answer: &[u8]) -> Option<bool> {
        self.fast.get().map(|kept| scramble::fast_verify(scramble, kept, answer))
    }

    /// Judges a password in clear, and learns it. Slow for the stored form of `caching_sha2_password`.
    pub fn clear(&self, password: &[u8]) -> bool {
        if password.len() > MAX_PASSWORD {
            return false;
        }
        let right = match &self.stored {
            StoredPassword::Empty => return password.is_empty(),
            // Digests are compared, so that the time does not tell the length.
            StoredPassword::Clear(_) => {
                let kept = self.fast.get();
                kept.is_some_and(|kept| equal(&scramble::fast_stored(password), kept))
            }
            StoredPassword::Native(stored) => equal(&scramble::native_stored(password), stored),
            StoredPassword::CachingSha2 { rounds, salt, digest } => {
                equal(&sha_crypt::digest(password, salt, *rounds), digest)
            }
        };
        if right {
            let _ = self.fast.set(scramble::fast_stored(password));
            let _ = self.clear.set(Secret::from(password));
        }
        right
    }

    /// The password, if it is known in clear.
    pub fn known_clear(&self) -> Option<&Secret> {
        match &self.stored {
            StoredPassword::Clear(password) => Some(password),
            _ => self.clear.get(),
        }
    }

    /// SHA1(pw), if a native sign-in has shown it.
    pub fn known_once(&self) -> Option<&Sha1> {
        self.once.get()
    }

    /// True if judging a password in clear takes long.
    pub fn is_slow(&self) -> bool {
        matches!(self.stored, StoredPassword::CachingSha2 { .. })
    }
}

fn equal(a: &[u8], b: &[u8]) -> bool {
    verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_forms_are_told_apart() {
        let native = "*9280BC5C48375D81CD50C24EC5485FC1AF820E0D";
        assert!(matches!(StoredPassword::hash(native.as_bytes()), Ok(StoredPassword::Native(h)) if h[0] == 0x92));
        assert_eq!(
            StoredPassword::hash(native.to_lowercase().as_bytes()),
            StoredPassword::hash(native.as_bytes()),
            "case does not matter"
        );
        let salt = "\x01\x7f34567890123456789\n";
        let digest = "/".repeat(43);
        let sha2 = format!("$A$005${salt}{digest}");
        let hex: String = sha2.bytes().map(|b| format!("{b:02X}")).collect();
        let parsed = StoredPassword::hash(sha2.as_bytes()).unwrap();
        assert!(matches!(parsed, StoredPassword::CachingSha2 { rounds: 5000, .. }));
        assert_eq!(StoredPassword::hash(format!("0x{hex}").as_bytes()).unwrap(), parsed);
        assert_eq!(StoredPassword::hash(b""), Ok(StoredPassword::Empty));
        assert_eq!(StoredPassword::clear(""), Ok(StoredPassword::Empty));
        assert_eq!(StoredPassword::clear("x".repeat(257)), Err(PasswordFormError::TooLong));
        let wrong = [
            ("*ABC", PasswordFormError::Native),
            ("*GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG", PasswordFormError::Native),
            ("pencil", PasswordFormError::CachingSha2),
            ("$A$00", PasswordFormError::CachingSha2),
            ("$A$000$", PasswordFormError::CachingSha2),
            ("0x24", PasswordFormError::CachingSha2),
            ("0x2", PasswordFormError::CachingSha2),
            (&sha2[..sha2.len() - 1], PasswordFormError::CachingSha2),
        ];
        for (text, error) in wrong {
            assert_eq!(StoredPassword::hash(text.as_bytes()), Err(error), "{text}");
        }
        let none = sha2.replace("005", "000");
        assert_eq!(StoredPassword::hash(none.as_bytes()), Err(PasswordFormError::CachingSha2));
        assert!(StoredPassword::looks_like_hash(native.as_bytes()) && StoredPassword::looks_like_hash(sha2.as_bytes()));
        assert!(!StoredPassword::looks_like_hash(b"*secret*") && !StoredPassword::looks_like_hash(b""));
    }

    #[test]
    fn no_form_prints_its_password() {
        let shown = format!("{:?}", StoredPassword::clear("hunter2").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
