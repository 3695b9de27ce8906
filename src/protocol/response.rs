//! OK, ERR and EOF packets, for the places that look inside them: sign-in, health checks, the router's own answers, and
//! the session when an OK packet says that the session's state changed.
//!
//! A response on its way through is not decoded here; [`super::tracker`] finds its end by the headers alone.

mod err;
mod ok;
mod rows;
mod state;
#[cfg(test)]
mod tests;

pub use err::ErrPacket;
pub use ok::{EofPacket, OkPacket, is_eof, replace_lasting_flags, without_session_track};
pub use rows::{put_end, put_text_column};
pub use state::{StateChange, StateChanges, TransactionState, put_schema, put_variable};
