//! Real database servers, started for the demo and for the integration tests: MariaDB as the machine has it, and Oracle's
//! MySQL unpacked from Debian's `sid` suite beside it.
//!
//! Each server has a data directory of its own under the temporary directory, a unix socket and a loopback port, and
//! settings for speed instead of durability. It is killed when it is dropped, and by the kernel when this process dies in
//! whatever way, so that none is left behind. Nothing here touches the system's own servers: what is not started
//! here is never stopped here. A server that cannot be had is an error that says what to do, never a silent skip.
//!
//! All calls block. They start processes and wait for them; call them from set-up code, not from a task that relays.
//!
//! Neighbours: [`super`] builds the demo's estate of these; `tests/common` wraps them for tests.

mod certificates;
mod client;
mod engine;
mod error;
mod log;
mod mariadb;
mod mysql;
mod options;
mod place;
mod port;
mod process;
mod server;

pub use certificates::Certificates;
pub use client::sql_string;
pub use engine::Engine;
use error::at;
pub use error::{Result, ServerError};
pub use log::{LogMark, Seen};
pub use mysql::mysql_client;
pub use options::{Options, Plugin, Tls, User};
pub use place::RunDir;
pub use port::Port;
pub use process::Process;
pub use server::Server;
