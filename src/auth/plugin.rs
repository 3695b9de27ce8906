//! The authentication plugins that the router knows, by their names on the wire.
//!
//! What a plugin exchanges is in [`super::server`] and [`super::client`]. A server that asks for a
//! plugin that is not listed here is refused by the latter, with an error that names it.

use std::fmt;

/// A plugin that the router can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plugin {
    /// `mysql_native_password`: SHA-1, one round trip, all that old drivers know.
    Native,
    /// `caching_sha2_password`: SHA-256, and the password itself over a safe channel while the cache is cold.
    CachingSha2,
    /// `mysql_clear_password`: the password itself. Only over TLS.
    Clear,
    /// `sha256_password`: the password over TLS or RSA. Only towards servers; MySQL also pretends it for unknown users.
    Sha256,
}

const ALL: [Plugin; 4] = [Plugin::Native, Plugin::CachingSha2, Plugin::Clear, Plugin::Sha256];

impl Plugin {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Plugin::Native => "mysql_native_password",
            Plugin::CachingSha2 => "caching_sha2_password",
            Plugin::Clear => "mysql_clear_password",
            Plugin::Sha256 => "sha256_password",
        }
    }

    /// The plugin of that name, if it is one of ours.
    pub fn from_name(name: &[u8]) -> Option<Plugin> {
        ALL.into_iter().find(|p| p.name().as_bytes() == name)
    }
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
