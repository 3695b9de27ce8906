//! The slow hash in which `caching_sha2_password` stores passwords: SHA-256 crypt with a salt of 20 bytes.
//!
//! Source: Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", 2007; what MySQL changes (salt length, the prefix)
//! was seen in `mysql.user` of MySQL 9.7. The steps' letters and numbers below are those of that paper.

use super::scramble::{Sha256, sha256};
use aws_lc_rs::digest::{Context, SHA256};

/// Characters of an encoded digest.
pub const ENCODED: usize = 43;

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The digest of `password`, encoded. Takes milliseconds at 5,000 rounds: not for a thread that carries traffic.
pub fn digest(password: &[u8], salt: &[u8], rounds: u32) -> [u8; ENCODED] {
    // 4-8: B = password, salt, password.
    let b = sha256(&[password, salt, password]);
    // 1-3, 9-12: A.
    let mut a = Context::new(&SHA256);
    a.update(password);
    a.update(salt);
    update_repeated(&mut a, &b, password.len());
    let mut length = password.len();
    while length > 0 {
        a.update(if length & 1 == 1 { &b } else { password });
        length >>= 1;
    }
    let mut c = finish(a);
    // 13-16: P, from as many passwords as the password has bytes. Quadratic, so callers bound the password.
    let mut dp = Context::new(&SHA256);
    for _ in 0..password.len() {
        dp.update(password);
    }
    let p = repeated(&finish(dp), password.len());
    // 17-20: S.
    let mut ds = Context::new(&SHA256);
    for _ in 0..16 + usize::from(c[0]) {
        ds.update(salt);
    }
    let s = repeated(&finish(ds), salt.len());
    // 21.
    for round in 0..rounds {
        let mut context = Context::new(&SHA256);
        context.update(if round & 1 == 1 { &p } else { &c });
        if !round.is_multiple_of(3) {
            context.update(&s);
        }
        if !round.is_multiple_of(7) {
            context.update(&p);
        }
        context.update(if round & 1 == 1 { &c } else { &p });
        c = finish(context);
    }
    encode(&c)
}

fn finish(context: Context) -> Sha256 {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// Feeds `length` bytes of `block`, over and over.
fn update_repeated(context: &mut Context, block: &Sha256, mut length: usize) {
    while length > 0 {
        let n = length.min(block.len());
        let (piece, _) = block.split_at(n);
        context.update(piece);
        length -= n;
    }
}

fn repeated(block: &Sha256, length: usize) -> Vec<u8> {
    block.iter().copied().cycle().take(length).collect()
}

/// 22e: groups of three bytes in an order of their own, six bits a character, low bits first.
#[expect(
    clippy::indexing_slicing,
    reason = "six bits are the index into 64 characters, and the places of the groups run from 0 to 29"
)]
fn encode(c: &Sha256) -> [u8; ENCODED] {
    let mut out = [0; ENCODED];
    let mut at = out.iter_mut();
    let mut put = |mut value: u32, count: usize| {
        for slot in at.by_ref().take(count) {
            *slot = ALPHABET[(value & 63) as usize];
            value >>= 6;
        }
    };
    let triple = |x: usize, y: usize, z: usize| u32::from(c[x]) << 16 | u32::from(c[y]) << 8 | u32::from(c[z]);
    let (mut x, mut y, mut z) = (0, 10, 20);
    for _ in 0..10 {
        put(triple(x, y, z), 4);
        (x, y, z) = (z + 1, x + 1, y + 1);
    }
    put(u32::from(c[31]) << 8 | u32::from(c[30]), 3);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inputs are the paper's, with salts of at most 16 bytes; the digests are those of glibc 2.36 and OpenSSL 3.0.
    #[test]
    fn agrees_with_other_implementations() {
        let table: [(&[u8], &[u8], u32, &str); 4] = [
            (b"Hello world!", b"saltstring", 5000, "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            (b"Hello world!", b"saltstringsaltst", 10_000, "3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"),
            (b"This is just a test", b"toolongsaltstrin", 5000, "Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5"),
            (
                b"we have a short salt string but not a short password",
                b"short",
                77_777,
                "JiO1O3ZpDAxGJeaDIuqCoEFysAe1mZNJRs3pw0KQRd/",
            ),
        ];
        for (password, salt, rounds, want) in table {
            let got = digest(password, salt, rounds);
            assert_eq!(std::str::from_utf8(&got).unwrap(), want, "{password:?}");
        }
    }
}
