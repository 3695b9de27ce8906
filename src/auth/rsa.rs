//! RSA for `caching_sha2_password` over plain TCP: the password travels encrypted with the server's public key.
//!
//! Padding is OAEP with SHA-1, as MySQL has it. The key that a server sends over plain TCP proves nothing about the server:
//! TLS is better wherever it can be had.

use super::password::MAX_PASSWORD;
use super::scramble::Scramble;
use super::secret::Secret;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use std::fmt;
use std::sync::OnceLock;

/// A key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RsaError {
    /// The text holds no PEM section of the wanted kind.
    #[error("no RSA key in PEM form (`BEGIN PRIVATE KEY`, `BEGIN RSA PRIVATE KEY` or `BEGIN PUBLIC KEY`)")]
    NotPem,
    /// Not an RSA key of 2,048 to 8,192 bits.
    #[error("not an RSA key of 2048 to 8192 bits")]
    Unusable,
    /// The password does not fit into one block of this key.
    #[error("the password is too long for this RSA key")]
    TooLong,
    /// What came is not encrypted with this key.
    #[error("not encrypted with this RSA key")]
    Undecipherable,
}

/// The router's own key, towards clients. Without a configured one, one is generated when the first client asks for it.
#[derive(Default)]
pub struct RsaKey(OnceLock<Ready>);

struct Ready {
    private: OaepPrivateDecryptingKey,
    public_pem: Box<str>,
}

impl RsaKey {
    /// A key that will be generated when it is first needed.
    pub fn generated() -> Self {
        Self::default()
    }

    /// A key from PEM text: PKCS#8 or PKCS#1 (what `mysql_ssl_rsa_setup` writes).
    ///
    /// # Errors
    /// [`RsaError::NotPem`], [`RsaError::Unusable`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, RsaError> {
        let private = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| RsaError::NotPem)? {
            PrivateKeyDer::Pkcs8(der) => PrivateDecryptingKey::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => {
                let pair = KeyPair::from_der(der.secret_pkcs1_der()).map_err(|_| RsaError::Unusable)?;
                let der = pair.as_der().map_err(|_| RsaError::Unusable)?;
                PrivateDecryptingKey::from_pkcs8(der.as_ref())
            }
            _ => return Err(RsaError::NotPem),
        };
        let ready = Ready::new(private.map_err(|_| RsaError::Unusable)?)?;
        Ok(RsaKey(OnceLock::from(ready)))
    }

    /// The public half in PEM form, if there is a key already.
    pub fn public_pem(&self) -> Option<&str> {
        self.0.get().map(|r| &*r.public_pem)
    }

    /// The public half in PEM form; generates the key if there is none. Slow then: not for a thread that carries traffic.
    ///
    /// # Errors
    /// [`RsaError::Unusable`] if no key can be generated.
    pub fn make(&self) -> Result<&str, RsaError> {
        if self.0.get().is_none() {
            let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| RsaError::Unusable)?;
            // Another thread may have been faster; its key is as good.
            let _ = self.0.set(Ready::new(private)?);
        }
        self.public_pem().ok_or(RsaError::Unusable)
    }

    /// Decrypts a password that a client mixed with `scramble`; its closing zero byte is taken off. Slow.
    ///
    /// # Errors
    /// [`RsaError::Undecipherable`].
    pub fn decrypt(&self, scramble: &Scramble, encrypted: &[u8]) -> Result<Secret, RsaError> {
        let key = &self.0.get().ok_or(RsaError::Undecipherable)?.private;
        let mut room = vec![0; key.min_output_size()];
        let text =
            key.decrypt(&OAEP_SHA1_MGF1SHA1, encrypted, &mut room, None).map_err(|_| RsaError::Undecipherable)?;
        scramble.mix(text);
        let length = text.len();
        room.truncate(length);
        if room.pop() != Some(0) || room.len() > MAX_PASSWORD {
            return Err(RsaError::Undecipherable);
        }
        Ok(Secret::from(room))
    }
}

impl Ready {
    fn new(private: PrivateDecryptingKey) -> Result<Self, RsaError> {
        let der = private.public_key().as_der().map_err(|_| RsaError::Unusable)?;
        let public_pem = pem("PUBLIC KEY", der.as_ref()).into();
        let private = OaepPrivateDecryptingKey::new(private).map_err(|_| RsaError::Unusable)?;
        Ok(Ready { private, public_pem })
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "RsaKey(***)" } else { "RsaKey(not generated yet)" })
    }
}

/// A server's public key.
pub struct RsaPublicKey(OaepPublicEncryptingKey);

impl RsaPublicKey {
    /// A key from PEM text, as a server sends it or as its `public_key.pem` holds it.
    ///
    /// # Errors
    /// [`RsaError::NotPem`], [`RsaError::Unusable`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, RsaError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| RsaError::NotPem)?;
        let key = PublicEncryptingKey::from_der(&der).map_err(|_| RsaError::Unusable)?;
        OaepPublicEncryptingKey::new(key).map(RsaPublicKey).map_err(|_| RsaError::Unusable)
    }

    /// Encrypts a password, mixed with `scramble` and closed with a zero byte.
    ///
    /// # Errors
    /// [`RsaError::TooLong`].
    pub fn encrypt(&self, scramble: &Scramble, password: &[u8]) -> Result<Vec<u8>, RsaError> {
        let mut text = [password, &[0]].concat();
        scramble.mix(&mut text);
        let mut room = vec![0; self.0.ciphertext_size()];
        let encrypted = self.0.encrypt(&OAEP_SHA1_MGF1SHA1, &text, &mut room, None).map_err(|_| RsaError::TooLong)?;
        Ok(encrypted.to_vec())
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPublicKey({} bits)", self.0.key_size_bits())
    }
}

#[expect(clippy::indexing_slicing, reason = "six bits are the index into 64 characters")]
fn pem(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = format!("-----BEGIN {label}-----\n");
    // 48 bytes make a line of 64 characters.
    for line in der.chunks(48) {
        for triple in line.chunks(3) {
            let at = |i: usize| u32::from(triple.get(i).copied().unwrap_or(0));
            let bits = at(0) << 16 | at(1) << 8 | at(2);
            for i in 0..4 {
                let index = (bits >> (18 - 6 * i) & 63) as usize;
                out.push(if i <= triple.len() { char::from(ALPHABET[index]) } else { '=' });
            }
        }
        out.push('\n');
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_there_and_is_read() {
        let key = RsaKey::generated();
        assert_eq!(key.public_pem(), None);
        let public = RsaPublicKey::from_pem(key.make().unwrap().as_bytes()).unwrap();
        let scramble = Scramble::random();
        for password in [&b""[..], b"pencil", &[b'x'; 200]] {
            let encrypted = public.encrypt(&scramble, password).unwrap();
            assert_eq!(encrypted.len(), 256);
            assert_eq!(key.decrypt(&scramble, &encrypted).unwrap().expose(), password);
            assert!(key.decrypt(&scramble, &encrypted[1..]).is_err());
            assert!(key.decrypt(&scramble, &[7; 256]).is_err());
        }
        assert_eq!(public.encrypt(&scramble, &[b'x'; 256]), Err(RsaError::TooLong));
        // Mixed with another scramble the last byte is no zero, as a rule: the packet was recorded elsewhere.
        let other = Scramble::from_wire(&[1; 20]).unwrap();
        let encrypted = public.encrypt(&other, b"pencil").unwrap();
        assert_eq!(key.decrypt(&Scramble::from_wire(&[2; 20]).unwrap(), &encrypted), Err(RsaError::Undecipherable));
        assert!(RsaPublicKey::from_pem(b"nonsense").is_err());
        assert!(RsaKey::from_pem(b"nonsense").is_err());
    }

    #[test]
    fn pem_lines_are_64_characters_and_padded() {
        for length in 0..100 {
            let der: Vec<u8> = (0..length).collect();
            let text = pem("PUBLIC KEY", &der);
            assert!(text.lines().all(|l| l.len() <= 64));
            if length > 0 {
                let back = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).unwrap();
                assert_eq!(back.as_ref(), der);
            }
        }
    }
}
