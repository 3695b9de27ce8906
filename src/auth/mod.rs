//! Who may come in, and how the router signs in behind.
//!
//! Two state machines without sockets: [`server`] asks a client for its password and judges the answer, [`client`] gives a
//! server the router's own. `frontend::login` and `backend::connect` carry their packets. Around them: the [`Accounts`]
//! that may come in, the [forms](StoredPassword) in which their passwords may be stored, and [`Credentials`] for behind.
//!
//! Known plugins: `mysql_native_password` and `caching_sha2_password` both ways, `mysql_clear_password` both ways and only
//! over TLS; `sha256_password` towards servers alone. Not known, and refused with an error that names them:
//! `client_ed25519`, `parsec`, `mysql_old_password`, `dialog`, Kerberos and LDAP.
//!
//! A password never reaches a log: [`Secret`] prints as stars, and errors name user, host and plugin only.

pub mod account;
pub mod client;
mod credentials;
mod guesses;
mod host;
mod offload;
mod password;
mod plugin;
mod rsa;
mod scramble;
mod secret;
pub mod server;
mod sha_crypt;
mod writes;

pub use account::{Account, AccountSpec, Accounts, AccountsError, BackendUser, Seat};
pub use credentials::{Credentials, Password};
pub use guesses::{Attempt, GuessLimits, Guesses, Turn};
pub use host::Host;
pub use offload::Offload;
pub use password::{PasswordFormError, StoredPassword};
pub use plugin::Plugin;
pub use rsa::{RsaError, RsaKey, RsaPublicKey};
pub use scramble::Scramble;
pub use secret::Secret;
pub use writes::Writes;
