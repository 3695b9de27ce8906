//! `switchboard demo`: the estate in small, real servers and real traffic, with the servers' own logs as the judge.
//!
//! Behind the feature `demo`. Nothing outside [`crate::cli`] may import it but the integration tests, which start their
//! servers by [`servers`].

pub mod servers;
