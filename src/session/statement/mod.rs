//! A statement's way through a session: planned, placed, sent over a link, answered, settled.
//!
//! | file | what it does |
//! |---|---|
//! | [`plan`], [`execution`] | the plan of a statement as text, and of an execution |
//! | [`place`] | where it goes once the session's state has its say: one pure function |
//! | [`follow`] | which server has the write that a read must see |
//! | [`flight`] | the short way, which most take: no wait but that for the answer |
//! | [`long`] | the long way: a wait for a link, a second try elsewhere |
//! | [`outage`] | what waits while no server takes it |
//! | [`links`], [`previous`] | the link that a place means; that of the statement before |
//! | [`marker`] | which of two links has the diagnostics behind a routine |
//! | [`hearing`] | what a server says of the session's state after an answer |
//! | [`executed`] | what a statement made or dropped by name, and what an EXECUTE ran |
//! | [`settle`] | what an answer changed: pins, state, who keeps the link |
//! | [`aside`] | user variables that were set where the statement before ran, carried home |
//! | [`writing`] | whose writes a session's reads must see |
//! | [`token`] | what a client carries to another connection |
//! | [`tally`] | what is counted of it |
//! | [`explain`], [`kill`] | `EXPLAIN ROUTE` and `KILL`, which the router answers |
//!
//! It refuses to decide what a statement does (`sql`) and what the rules say (`rules`).

pub(super) mod aside;
mod executed;
mod execution;
pub mod explain;
pub(super) mod flight;
pub(super) mod follow;
mod hearing;
pub(super) mod kill;
mod links;
pub(super) mod long;
mod marker;
mod outage;
pub mod place;
mod plan;
mod previous;
pub mod settle;
pub mod tally;
pub(super) mod token;
pub(super) mod writing;
