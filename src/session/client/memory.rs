//! A client's large request takes its share of the process's memory ([`crate::session::worker::memory`]), or is turned away.
//!
//! Ordinary statements never come here: it costs them one comparison.

use crate::session::error::{SessionEnd, StatementError};
use crate::session::parts::Session;
use crate::session::worker::memory::Share;

impl Session {
    /// Tells a client that there is no memory for what it is sending.
    pub(in crate::session) async fn turn_away_unread(&mut self, why: StatementError) -> SessionEnd {
        match self.send_error(&why, 1).await {
            Ok(()) => why.into(),
            Err(end) => end,
        }
    }

    /// Takes memory for what has come of a large request, waiting for it if need be.
    ///
    /// # Errors
    /// [`StatementError::NoMemory`] where none was to be had in time; the client's connection ends with it.
    pub(in crate::session) async fn take_memory(&mut self) -> Result<(), SessionEnd> {
        let (needed, mut share) = self.inbox.share(&self.worker.memory);
        let had = self.wait_for_memory(&mut share, needed).await;
        self.inbox.put_share(share);
        match had {
            Ok(()) => Ok(()),
            Err(why) => Err(self.turn_away_unread(why).await),
        }
    }

    /// Grows a share to so many bytes.
    pub(in crate::session) async fn wait_for_memory(
        &self,
        share: &mut Share,
        needed: usize,
    ) -> Result<(), StatementError> {
        let (worker, waited) = (&self.worker, self.worker.snapshot().settings.pool_wait);
        let had = share.wait_for(needed, || worker.snapshot().settings.request_memory(), waited).await;
        had.map_err(|limit| StatementError::NoMemory { limit, waited })
    }
}
