//! What the router signs in with at a backend: a user name, and a password or what is known of it.
//!
//! [`super::Account`] makes credentials, and [`super::client`] answers a server with them. Their debug form never shows
//! the password.

use super::secret::Secret;

/// A user name and what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name at the backend.
    pub username: String,
    /// The proof.
    pub password: Password,
}

/// What is known of a password.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// There is none.
    None,
    /// The password itself: good for every plugin.
    Clear(Secret),
    /// SHA1(pw), learned from a client's native sign-in: good for `mysql_native_password` alone.
    NativeSha1([u8; 20]),
}

impl Credentials {
    /// Credentials with a password in clear; the empty one means that there is none.
    pub fn new(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        let password = password.into();
        let password = if password.is_empty() { Password::None } else { Password::Clear(password) };
        Credentials { username: username.into(), password }
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Password::None => "None",
            Password::Clear(_) => "Clear(***)",
            Password::NativeSha1(_) => "NativeSha1(***)",
        })
    }
}
