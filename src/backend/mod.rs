//! Backends: the servers behind the router, grouped into hostgroups, their health, and connections to them.
//!
//! What a connection carries (session state, prepared statements) is the session's affair: [`pool`] keeps whatever the
//! session hands it. This module refuses to know SQL, rules or clients.

pub mod attributes;
pub mod catalogue;
pub mod check;
pub mod connect;
pub mod discovery;
pub mod health;
pub mod heartbeat;
pub mod hostgroup;
pub mod lag;
pub mod pool;
mod query;
pub mod record;
pub mod replica;
pub mod server;

pub use hostgroup::{Hostgroup, Topology};
pub use server::{Backend, Engine, Lease};
