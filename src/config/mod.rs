//! config

pub mod backends;
pub mod listen;
