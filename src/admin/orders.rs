//! The orders that the admin port gives to the control thread: publish a configuration, pause, kill, end.
//!
//! [`super::desk`] and the commands send them; `app::control` carries them out, because it alone publishes
//! configurations and ends the process. An order holds a configuration that was already checked.

use crate::config::{Document, Loaded};
use tokio::sync::oneshot;

/// Where a version came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The start.
    Start,
    /// The files.
    Files,
    /// The admin port.
    Port,
}

impl Source {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Source::Start => "start",
            Source::Files => "files",
            Source::Port => "port",
        }
    }
}

/// A wish.
#[derive(Debug)]
pub enum Order {
    /// Publish a configuration that checked out.
    Publish {
        /// The configuration.
        loaded: Box<Loaded>,
        /// Whose wish it is.
        author: String,
        /// Files, where they were read again; else the port.
        source: Source,
        /// What was changed, in a few words.
        change: String,
        /// The version that it was made from: if another is in effect by now, this one is not taken. None: whatever is.
        based_on: Option<u64>,
        /// The version; or why there is none.
        reply: oneshot::Sender<Result<u64, String>>,
    },
    /// These texts are about to be in their files, and are no change that somebody made.
    Saving(Vec<Document>, oneshot::Sender<()>),
    /// No new clients, or new clients again.
    Pause(bool),
    /// End a session, or what it runs.
    Kill {
        /// Its number.
        session: u32,
        /// What it runs.
        query: bool,
        /// True if there is such a session.
        reply: oneshot::Sender<bool>,
    },
    /// End the process; `slow` lets statements and transactions finish.
    End {
        /// Within the drain's deadline, rather than at once.
        slow: bool,
    },
}
