//! How far a reader is with what a writer has committed, exactly: heartbeats and watermarks.
//!
//! A row is written on each writer several times a second, and each write of it has the next sequence number. Whatever feeds a reader
//! brings that row too, in its place among all other writes. So a reader that has heartbeat 7 has every write whose client had its answer
//! before heartbeat 7 was sent.
//!
//! ```text
//!  router's clock   0 ms          250 ms                 500 ms
//!  writer           UPDATE ▶ 6    UPDATE ▶ 7   (a write  UPDATE ▶ 8
//!                                               at 300)
//!  marks            (6, 0)        (7, 250)               (8, 500)
//!  reader           has 7 ▶ its watermark is 250: the write at 300 may be missing. Has 8 ▶ 500: it is there.
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | [`marks`] | which moment belongs to which heartbeat of a writer |
//! | [`beats`] | what is known of a writer's heartbeats |
//! | [`watermarks`] | up to which moment a server has each writer's writes |
//! | [`token`] | what a client carries from one connection to another |
//! | [`table`] | the table's statements and rows, and whether a row came as it was written |
//! | [`task`] | the task that writes and reads the row on a server |
//!
//! Moments are milliseconds since the router started, on its own clock alone: no server's clock is read, and no two clocks are compared.
//! Any number of routers may write the same row: a sequence number is the server's to give, and each router notes for itself when
//! it has sent for it. It refuses to decide where a statement goes: that is the session's, by [`super::hostgroup::Needs`].

pub mod beats;
pub mod marks;
pub mod table;
pub mod task;
pub mod token;
pub mod watermarks;

pub use beats::Beats;
pub use watermarks::Watermarks;

use crate::auth::Credentials;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;

/// What brings a writer's rows to a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Feed {
    /// The servers' own replication: transactions appear in the order in which they were committed.
    #[default]
    Replication,
    /// AWS DMS that applies one transaction after another.
    Dms,
    /// AWS DMS that applies changes in batches (BatchApplyEnabled), one table after another: a heartbeat may appear before
    /// other tables of its batch, so the one before it is what counts.
    DmsBatch,
    /// The shared storage of an Aurora cluster.
    Aurora,
}

impl Feed {
    /// All of them, by the names that files use.
    pub const NAMES: [(&'static str, Feed); 4] = [
        ("replication", Feed::Replication),
        ("dms", Feed::Dms),
        ("dms_batch", Feed::DmsBatch),
        ("aurora", Feed::Aurora),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, feed)| *feed == self).map_or("", |(name, _)| name)
    }

    /// True if a heartbeat may appear before writes that came before it, though never before those of the heartbeat before.
    pub fn is_in_batches(self) -> bool {
        self == Feed::DmsBatch
    }
}

/// How heartbeats are written and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The schema of the table.
    pub schema: Box<str>,
    /// Time between two heartbeats of a writer, and between two looks at a reader's.
    pub interval: Duration,
    /// The table is made where it is missing.
    pub create: bool,
    /// While a writer has none yet, its writes count as not known to be on any reader. Otherwise the window counts.
    pub required: bool,
    /// How long connecting, or one look, may take.
    pub timeout: Duration,
    /// Who signs in.
    pub credentials: Credentials,
}

/// Those that want to know sooner than at the next interval.
#[derive(Debug, Default)]
pub struct Wants {
    count: AtomicU32,
    heard: Notify,
}

impl Wants {
    /// Somebody wants to know, for as long as this is kept.
    pub fn want(&self) -> Wanting<'_> {
        if self.count.fetch_add(1, Relaxed) == 0 {
            self.heard.notify_one();
        }
        Wanting(self)
    }

    /// True while somebody wants to know.
    pub fn are_any(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    /// Ready once somebody has begun to want to know since the last time. Cancel safe.
    pub async fn hear(&self) {
        self.heard.notified().await;
    }
}

/// Somebody wants to know.
#[derive(Debug)]
pub struct Wanting<'a>(&'a Wants);

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Relaxed);
    }
}
