//! Sockets: what the protocol's bytes travel over.
//!
//! Knows nothing of MySQL beyond its frame header, and nothing of the rest of the router.

pub mod frame;
pub mod outbox;
pub mod socket;
pub mod stream;
pub mod tls;
pub mod write;

pub use stream::Stream;
