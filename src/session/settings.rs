//! The settings of sessions, as the configuration gives them.

use std::time::Duration;

/// What all sessions share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// After a session has written, its reads stay on the writer for this long. Zero turns it off.
    pub read_your_writes: Duration,
    /// A client that sends nothing for this long is closed (`wait_timeout`).
    pub idle_timeout: Duration,
    /// The same within a transaction, which holds a backend.
    pub transaction_idle_timeout: Duration,
    /// A statement that takes longer is given up, with its backend connection. Zero: never.
    pub query_timeout: Duration,
    /// The longest command that a client may send, in bytes.
    pub max_packet: u64,
    /// Prepared statements that one session may hold.
    pub max_prepared: u32,
    /// How often a read that got no byte of an answer is tried on another candidate.
    pub read_retries: u32,
    /// The time zone that backends' sessions begin with (`@@time_zone`): an IANA name or an offset such as `+02:00`.
    /// Time predicates are read in it until a session sets its own.
    pub time_zone: Box<str>,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            read_your_writes: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(28_800),
            transaction_idle_timeout: Duration::from_secs(3_600),
            query_timeout: Duration::ZERO,
            max_packet: 64 << 20,
            max_prepared: 4_096,
            read_retries: 2,
            time_zone: "UTC".into(),
        }
    }
}
