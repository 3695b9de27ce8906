//! The scramble, and what the two hashing plugins make of it.
//!
//! `mysql_native_password`: answer = SHA1(pw) XOR SHA1(scramble ‖ SHA1(SHA1(pw))). The server keeps SHA1(SHA1(pw)).
//! `caching_sha2_password`: answer = SHA256(pw) XOR SHA256(SHA256(SHA256(pw)) ‖ scramble). Mind the other order.
//!
//! Source: MySQL manual "Native Authentication", "Caching_sha2_password information".

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use std::cell::RefCell;

/// A SHA-1 digest.
pub type Sha1 = [u8; 20];
/// A SHA-256 digest.
pub type Sha256 = [u8; 32];

/// Twenty random bytes that a server gives to a client to mix its password with; fresh for every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scramble([u8; 20]);

impl Scramble {
    /// A fresh one. Holds no zero byte (it would end the string on the wire) and no `$` (stored passwords are cut there),
    /// and only ASCII, as from every server.
    ///
    /// # Panics
    /// If the system has no randomness to give; nothing safe can be done then.
    pub fn random() -> Self {
        let mut bytes = drawn();
        for byte in &mut bytes {
            *byte = match 1 + *byte % 126 {
                b'$' => 127,
                other => other,
            };
        }
        Scramble(bytes)
    }

    /// A scramble that a server sent; `None` unless it is twenty bytes long.
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Scramble)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Mixes `text` with the scramble, over and over along its length: what RSA then encrypts. The same again undoes it.
    pub fn mix(&self, text: &mut [u8]) {
        for (byte, key) in text.iter_mut().zip(self.0.iter().cycle()) {
            *byte ^= key;
        }
    }
}

/// Random bytes are drawn for so many scrambles at a time: one draw costs as much as three hashes, however short it is.
const DRAWN: usize = 32;

/// Twenty random bytes.
fn drawn() -> [u8; 20] {
    thread_local! {
        static READY: RefCell<Vec<[u8; 20]>> = const { RefCell::new(Vec::new()) };
    }
    READY.with_borrow_mut(|ready| {
        if let Some(bytes) = ready.pop() {
            return bytes;
        }
        let mut drawn = [[0; 20]; DRAWN];
        assert!(aws_lc_rs::rand::fill(drawn.as_flattened_mut()).is_ok(), "the system gives no random bytes");
        let [first, rest @ ..] = drawn;
        ready.extend_from_slice(&rest);
        first
    })
}

/// SHA-1 over the parts, one after another.
pub fn sha1(parts: &[&[u8]]) -> Sha1 {
    hash(&SHA1_FOR_LEGACY_USE_ONLY, parts)
}

/// SHA-256 over the parts, one after another.
pub fn sha256(parts: &[&[u8]]) -> Sha256 {
    hash(&SHA256, parts)
}

fn hash<const N: usize>(algorithm: &'static Algorithm, parts: &[&[u8]]) -> [u8; N] {
    let mut context = Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; N];
    out.copy_from_slice(context.finish().as_ref());
    out
}

fn xor<const N: usize>(mut a: [u8; N], b: [u8; N]) -> [u8; N] {
    for (x, y) in a.iter_mut().zip(b) {
        *x ^= y;
    }
    a
}

/// SHA1(SHA1(pw)): what a server stores for `mysql_native_password`.
pub fn native_stored(password: &[u8]) -> Sha1 {
    sha1(&[&sha1(&[password])])
}

/// A client's answer, from SHA1(pw).
pub fn native_answer(scramble: &Scramble, once: &Sha1) -> Sha1 {
    xor(*once, sha1(&[scramble.bytes(), &sha1(&[once])]))
}

/// The SHA1(pw) that a client's answer shows to whoever holds SHA1(SHA1(pw)); of a client that knows the password, the right one,
/// which is enough to sign in elsewhere with the same plugin.
pub fn native_shown(scramble: &Scramble, twice: &Sha1, answer: &[u8]) -> Option<Sha1> {
    Some(xor(answer.try_into().ok()?, sha1(&[scramble.bytes(), twice])))
}

/// Judges a client's answer by SHA1(SHA1(pw)) alone. Gives SHA1(pw).
pub fn native_verify(scramble: &Scramble, twice: &Sha1, answer: &[u8]) -> Option<Sha1> {
    let once = native_shown(scramble, twice, answer)?;
    verify_slices_are_equal(&sha1(&[&once]), twice).ok().map(|()| once)
}

/// SHA256(SHA256(pw)): what the fast path of `caching_sha2_password` keeps.
pub fn fast_stored(password: &[u8]) -> Sha256 {
    sha256(&[&sha256(&[password])])
}

/// A client's answer for the fast path.
pub fn fast_answer(scramble: &Scramble, password: &[u8]) -> Sha256 {
    let once = sha256(&[password]);
    xor(once, sha256(&[&sha256(&[&once]), scramble.bytes()]))
}

/// Judges a client's answer by the kept SHA256(SHA256(pw)).
pub fn fast_verify(scramble: &Scramble, kept: &Sha256, answer: &[u8]) -> bool {
    let Ok(answer) = answer.try_into() else { return false };
    let once = xor(answer, sha256(&[kept, scramble.bytes()]));
    verify_slices_are_equal(&sha256(&[&once]), kept).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn scrambles_differ_and_hold_no_byte_that_hurts() {
        let all: HashSet<_> = (0..500).map(|_| *Scramble::random().bytes()).collect();
        assert_eq!(all.len(), 500);
        assert!(all.iter().flatten().all(|b| (1..128).contains(b) && *b != b'$'));
        let values: HashSet<_> = all.iter().flatten().collect();
        assert_eq!(values.len(), 126, "every allowed byte occurs");
    }

    #[test]
    fn native_answers_are_accepted_from_the_right_password_alone() {
        let scramble = Scramble::random();
        let stored = native_stored(b"pencil");
        let answer = native_answer(&scramble, &sha1(&[b"pencil"]));
        assert_eq!(native_verify(&scramble, &stored, &answer), Some(sha1(&[b"pencil"])));
        assert_eq!(native_verify(&Scramble::random(), &stored, &answer), None);
        assert_eq!(native_verify(&scramble, &native_stored(b"pencils"), &answer), None);
        assert_eq!(native_verify(&scramble, &stored, &answer[..19]), None);
        assert_eq!(native_verify(&scramble, &stored, b""), None);
    }

    #[test]
    fn fast_answers_are_accepted_from_the_right_password_alone() {
        let scramble = Scramble::random();
        let answer = fast_answer(&scramble, b"pencil");
        assert!(fast_verify(&scramble, &fast_stored(b"pencil"), &answer));
        assert!(!fast_verify(&Scramble::random(), &fast_stored(b"pencil"), &answer));
        assert!(!fast_verify(&scramble, &fast_stored(b"pencils"), &answer));
        assert!(!fast_verify(&scramble, &fast_stored(b"pencil"), &answer[..31]));
    }

    #[test]
    fn mixing_twice_gives_the_text_back() {
        let scramble = Scramble::random();
        let text = b"a password that is longer than twenty bytes".to_vec();
        let mut mixed = text.clone();
        scramble.mix(&mut mixed);
        assert_ne!(mixed, text);
        scramble.mix(&mut mixed);
        assert_eq!(mixed, text);
    }
}
