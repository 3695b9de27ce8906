//! The side that clients see.

pub mod login;
