//! Backends: the servers behind the router.

pub mod connect;
