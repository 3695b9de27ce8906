//! Switchboard, a query router for the MySQL protocol.
//!
//! Applications connect to it as if it were their server. It reads every statement and sends writes to the master,
//! reads to where reads are kept, history to where history is kept, and can always say why.
//!
//! Start reading at [`app`], which puts the parts together, then [`session`], which is one client's life.
//! `docs/architecture.md` is the map; `tests/imports.rs` holds the modules to it.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod admin;
pub mod app;
pub mod auth;
pub mod backend;
pub mod cli;
pub mod config;
pub mod frontend;
pub mod net;
pub mod protocol;
pub mod rules;
pub mod session;
pub mod sql;
pub mod telemetry;
