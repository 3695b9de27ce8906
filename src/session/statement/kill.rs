//! `KILL` as a statement: clients know the router's numbers, so the router carries it out ([`crate::session::worker::kill`]).
//!
//! As on a server, one may kill the sessions of one's own account. It refuses forms that name more than one session.

use crate::session::error::{SessionEnd, StatementError};
use crate::session::parts::Session;
use crate::session::worker::kill::Verdict;
use crate::sql::LexMode;
use crate::sql::lexer::{Lexer, TokenKind};
use std::sync::Arc;

/// The number in `KILL [HARD|SOFT] [CONNECTION|QUERY] n`, and whether it is a query alone. `None` for other forms.
fn read_kill(sql: &[u8], mode: LexMode) -> Option<(u32, bool)> {
    let mut query_only = false;
    let mut number = None;
    for (place, token) in Lexer::new(sql, mode).enumerate() {
        let text = token.text(sql);
        match (place, token.kind) {
            (0, TokenKind::Word) => {}
            (_, TokenKind::Word) if text.eq_ignore_ascii_case(b"QUERY") => query_only = true,
            (_, TokenKind::Word)
                if [&b"HARD"[..], b"SOFT", b"CONNECTION"].iter().any(|w| text.eq_ignore_ascii_case(w)) => {}
            (_, TokenKind::Number) if number.is_none() => number = std::str::from_utf8(text).ok()?.parse().ok(),
            (_, TokenKind::Operator) if text == b";" => {}
            _ => return None,
        }
    }
    number.map(|n| (n, query_only))
}

impl Session {
    /// KILL, by the router's numbers.
    pub(in crate::session) async fn kill(&mut self) -> Result<(), SessionEnd> {
        let text = self.inbox.payload().get(1..).unwrap_or_default();
        let Some((id, query_only)) = read_kill(text, self.subject.mode()) else {
            return Err(error(
                1064,
                b"42000",
                "Switchboard: KILL [CONNECTION | QUERY] takes the number of one session".into(),
            ));
        };
        match self.worker.board.kill(id, query_only, Some(Arc::clone(&self.account))).await {
            Verdict::Done => self.send_ok(b"").await,
            Verdict::NotOwner => Err(error(1095, b"HY000", format!("You are not owner of thread {id}"))),
            Verdict::Unknown => Err(error(1094, b"HY000", format!("Unknown thread id: {id}"))),
        }
    }
}

fn error(code: u16, sqlstate: &[u8; 5], message: String) -> SessionEnd {
    StatementError::State { code, sqlstate: *sqlstate, message }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_kill() {
        let read = |sql: &str| read_kill(sql.as_bytes(), LexMode::default());
        assert_eq!(read("KILL 5"), Some((5, false)));
        assert_eq!(read("kill connection 5;"), Some((5, false)));
        assert_eq!(read("KILL QUERY 7"), Some((7, true)));
        assert_eq!(read("KILL HARD QUERY 7"), Some((7, true)));
        for other in ["KILL", "KILL USER 'x'", "KILL QUERY ID 7", "KILL 1, 2", "KILL @x", "KILL 99999999999"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
