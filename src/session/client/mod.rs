//! The client's end of a session: its requests come in here, and the router's own answers go out.
//!
//! | file | what it does |
//! |---|---|
//! | [`requests`] | reads commands off the socket, with a bound on what is kept meanwhile |
//! | [`memory`] | takes memory for large requests |
//! | [`answer`] | sends the router's own answers: OK, ERR, small results |
//! | [`infile`] | passes a client's file on to a server |
//!
//! It refuses to know what a command does, and which server answers it.

mod answer;
mod infile;
pub(super) mod memory;
pub mod requests;
