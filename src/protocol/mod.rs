//! Bytes to types and back: the MySQL client/server protocol, as MariaDB and MySQL both speak it.
//!
//! Pure: no sockets, no clocks, no panics on any input; lengths that a peer sends are checked before they are used.
//! What is not here: result rows. They pass through the router as bytes, and only [`tracker`] looks at their headers.

pub mod capabilities;
pub mod codec;
pub mod collation;
pub mod command;
pub mod handshake;
pub mod prepared;
pub mod response;
pub mod status;
pub mod tracker;
