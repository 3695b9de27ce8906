//! The admin SQL port: ProxySQL's tables and commands over this router, for the MySQL client that an operator has open.
//!
//! ```text
//!   client ─▶ server ─▶ session ─▶ commands ─▶ desk ─┬─▶ engine (SQLite: main, disk, stats, …)
//!             sign-in    one        what is no SQL    ├─▶ model  (TOML texts <-> rows)
//!                        statement                    ├─▶ orders (to the control thread: publish, end, kill)
//!                        at a time                    └─◀ feed   (counters of the router that runs)
//! ```
//!
//! Everything runs on one thread of its own, so the heaviest query here delays nobody but its neighbours on this port. What
//! is edited is rows; what is in effect and what is in files is texts. LOAD and SAVE bring the difference between rows and a
//! text's own rows onto that text, and the text is then checked by the loader that reads files: there is one validation.
//!
//! Refused: files (nothing here opens one but the configuration's own), changed definitions, half a change.
//! Neighbours: `frontend` and `auth` sign clients in, `config` reads and checks, `app` publishes and feeds.

pub mod audit;
pub mod commands;
pub mod desk;
pub mod dialect;
pub mod diff;
pub mod engine;
pub mod feed;
pub mod functions;
pub mod history;
mod idle;
pub mod model;
pub mod orders;
mod rights;
pub mod server;
pub mod session;
pub mod stats_history;
pub mod tables;
pub mod vault;
pub mod wire;

pub use feed::Feed;
pub use history::Versions;
pub use orders::Order;
