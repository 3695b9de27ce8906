//! Configuration: TOML in, typed settings out, checked whole; and the same again when a file changes.
//!
//! One `switchboard.toml` for the process and any number of files beside it make one configuration: every key may stand in
//! any file, and what stands once may be given once. A file that does not check out changes nothing, and every fault says
//! file, line, column and reason: all of them, not just the first. Secrets are never shown.
//!
//! It refuses to guess: a key that is not known is a fault, not a comment. The shapes that it fills belong to the modules
//! that use them; what no other module owns is here ([`admin`], [`backends`], [`listen`], [`process`], [`users`]).

pub mod admin;
pub mod backends;
mod background;
mod fault;
mod flags;
pub mod listen;
mod load;
pub mod process;
mod reader;
mod routing;
mod server;
mod server_tls;
mod text;
mod topology;
pub mod users;
mod watch;

pub use background::{at_rest, at_work, stand_back, with_breaks};
pub use fault::Fault;
pub use flags::{Flags, from_flags};
pub use load::{Document, Loaded, address_of, load, load_documents, load_without_secrets, read_files, value_of};
pub use watch::{Cause, Change, Watch, watch};
