//! Parameters that a client sends ahead of an execution (COM_STMT_SEND_LONG_DATA): kept until the execution, and then sent on to
//! whichever server runs it.
//!
//! It refuses to keep more than `max_allowed_packet` for a session, and takes its share of the memory that all sessions may
//! have for such things ([`crate::session::worker::memory`]).

use crate::net::write::write_all;
use crate::protocol::codec::put_packet;
use crate::protocol::command::Command;
use crate::protocol::prepared::STATEMENT_ID;
use crate::session::error::SessionEnd;
use crate::session::link::Link;
use crate::session::parts::Session;
use crate::session::parts::request::Unready;
use crate::session::worker::memory;
use crate::session::worker::memory::{FREE, Share};

/// What keeping a parameter costs beside its bytes, more or less.
const LONG_DATA_ENTRY: usize = 128;
/// The longest piece in which a parameter sent ahead goes on to a server.
const LONG_DATA_PIECE: usize = 1 << 20;

impl Session {
    /// Sends what was sent ahead on to the server, before the execution that uses it.
    pub(in crate::session) async fn replay_long_data(
        &mut self,
        link: &mut Link,
        id: u32,
        remote: u32,
    ) -> Result<(), Unready> {
        let mut out = Vec::new();
        for (parameter, data) in &self.statement(id, "mysqld_stmt_execute")?.long_data {
            let mut rest = data.as_slice();
            loop {
                let (piece, tail) = rest.split_at(rest.len().min(LONG_DATA_PIECE));
                let mut payload = Vec::with_capacity(piece.len() + 7);
                payload.push(Command::SendLongData as u8);
                payload.extend_from_slice(&remote.to_le_bytes());
                payload.extend_from_slice(&parameter.to_le_bytes());
                payload.extend_from_slice(piece);
                put_packet(&mut out, &payload, 0);
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
        }
        write_all(&mut link.stream, &out).await.map_err(|e| Unready::Broken(e.source.to_string()))
    }

    /// An execution has been answered: what was sent ahead for it is used up.
    pub(in crate::session) fn forget_long_data(&mut self, id: u32) {
        if let Some(statements) = self.prepared.as_mut()
            && let Some(statement) = statements.by_id.get_mut(&id)
        {
            for data in std::mem::take(&mut statement.long_data).into_values() {
                let cost = data.len() + LONG_DATA_ENTRY;
                statements.long_data_bytes = statements.long_data_bytes.saturating_sub(cost);
            }
            if statements.long_data_bytes <= FREE {
                statements.long_data_share = None;
            }
        }
    }

    /// COM_STMT_SEND_LONG_DATA: kept, never answered. Pieces of one parameter are joined, and each parameter is counted with what keeping it
    /// costs, so that a million pieces of a byte take no more than is counted. What cannot be kept ends the session.
    pub(in crate::session) async fn send_long_data(&mut self) -> Result<(), SessionEnd> {
        let Ok(id) = self.requested_id() else { return Ok(()) };
        let limit = self.worker.snapshot().settings.max_allowed_packet;
        let Some(statements) = self.prepared.as_mut() else { return Ok(()) };
        let payload = self.inbox.payload().get(STATEMENT_ID + 4..).unwrap_or_default();
        let Some((&[low, high], data)) = payload.split_first_chunk::<2>() else { return Ok(()) };
        let parameter = u16::from_le_bytes([low, high]);
        let Some(statement) = statements.by_id.get_mut(&id) else { return Ok(()) };
        let entry = if statement.long_data.contains_key(&parameter) { 0 } else { LONG_DATA_ENTRY };
        let total = statements.long_data_bytes.saturating_add(data.len()).saturating_add(entry);
        if total > limit {
            return Err(SessionEnd::Misbehaved("long data beyond max_allowed_packet"));
        }
        let needed = memory::cost(total);
        if needed > statements.long_data_share.as_ref().map_or(0, |share| share.bytes()) {
            let share = statements.long_data_share.take();
            let mut share = share.unwrap_or_else(|| Box::new(Share::new(&self.worker.memory)));
            Box::pin(self.wait_for_memory(&mut share, needed)).await?;
            self.prepared.get_or_insert_default().long_data_share = Some(share);
        }
        let data = self.inbox.payload().get(STATEMENT_ID + 6..).unwrap_or_default();
        if let Some(statements) = self.prepared.as_mut()
            && let Some(statement) = statements.by_id.get_mut(&id)
        {
            statement.long_data.entry(parameter).or_default().extend_from_slice(data);
            statements.long_data_bytes = total;
        }
        Ok(())
    }
}
