//! `KILL` as a statement: clients know the router's numbers, so the router carries it out ([`crate::session::worker::kill`]).
//!
//! As on a server, one may kill the sessions of one's own account, and the number may be an expression. It refuses forms that
//! name more than one session.

use crate::protocol::command::Command;
use crate::session::error::{SessionEnd, StatementError};
use crate::session::holdings::Hold;
use crate::session::parts::Session;
use crate::session::parts::previous::{Keeps, Kept};
use crate::session::supply::Tried;
use crate::session::worker::kill::Verdict;
use crate::sql::LexMode;
use crate::sql::effects::Effects;
use crate::sql::lexer::{Lexer, Token, TokenKind};
use std::rc::Rc;
use std::sync::Arc;

/// Who is to be killed.
#[derive(Debug, PartialEq, Eq)]
enum Whom<'a> {
    /// The session of this number.
    Number(u32),
    /// That whose number this expression gives.
    Expression(&'a [u8]),
}

/// Effects of expressions that may be asked for a number: they compute, and read what is the session's own.
const COMPUTES: Effects =
    Effects::READ.union(Effects::CONSTANT).union(Effects::READ_USER_VARIABLE).union(Effects::SERVER_BOUND);

/// Whom `KILL [HARD|SOFT] [CONNECTION|QUERY] expression` means, and whether a query alone. `None` for other forms.
fn read_kill(sql: &[u8], mode: LexMode) -> Option<(Whom<'_>, bool)> {
    let is = |token: &Token, words: &[&str]| {
        token.kind == TokenKind::Word && words.iter().any(|w| token.text(sql).eq_ignore_ascii_case(w.as_bytes()))
    };
    let mut tokens: Vec<Token> = Lexer::new(sql, mode).skip(1).collect();
    while tokens.last().is_some_and(|token| token.text(sql) == b";") {
        tokens.pop();
    }
    let words = tokens.iter().take_while(|token| is(token, &["HARD", "SOFT", "CONNECTION", "QUERY"])).count();
    let (words, rest) = tokens.split_at(words);
    let query_only = words.iter().any(|token| is(token, &["QUERY"]));
    let (first, last) = (rest.first()?, rest.last()?);
    let number = || std::str::from_utf8(first.text(sql)).ok()?.parse().ok();
    let whom = match number().filter(|_| rest.len() == 1) {
        Some(number) => Whom::Number(number),
        // By the number of a statement, or all sessions of an account: servers know those, and the router does not.
        None if is(first, &["ID", "USER"]) || rest.iter().any(|token| token.text(sql) == b";") => return None,
        None => Whom::Expression(sql.get(first.start as usize..last.end as usize)?),
    };
    Some((whom, query_only))
}

impl Session {
    /// KILL, by the router's numbers.
    pub(in crate::session) async fn kill(&mut self) -> Result<(), SessionEnd> {
        let text = self.inbox.payload().get(1..).unwrap_or_default().to_vec();
        let Some((whom, query_only)) = read_kill(&text, self.subject.mode()) else {
            return Err(error(
                1064,
                b"42000",
                "Switchboard: KILL [CONNECTION | QUERY] takes the number of one session".into(),
            ));
        };
        let was_asked = matches!(whom, Whom::Expression(_));
        let number = match whom {
            Whom::Number(number) => number.into(),
            Whom::Expression(expression) => self.number_of(expression).await?,
        };
        let unknown = || error(1094, b"HY000", format!("Unknown thread id: {number}"));
        let id = u32::try_from(number).map_err(|_| unknown())?;
        if id == self.connection_id {
            return Err(match query_only {
                true => error(1317, b"70100", "Query execution was interrupted".into()),
                false => StatementError::Killed.into(),
            });
        }
        match self.worker.board.kill(id, query_only, Some(Arc::clone(&self.account))).await {
            Verdict::Done => {
                if !was_asked {
                    self.answered();
                }
                self.send_ok(b"").await
            }
            Verdict::NotOwner => Err(error(1095, b"HY000", format!("You are not owner of thread {id}"))),
            Verdict::Unknown => Err(unknown()),
        }
    }

    /// The number that an expression gives: a server says it, the one that has the session's user variables.
    async fn number_of(&mut self, expression: &[u8]) -> Result<u64, SessionEnd> {
        let text = [b"SELECT CAST((", expression, b") AS SIGNED) LIMIT 1"].concat();
        let snapshot = self.worker.snapshot();
        let (plan, route) = self.plan(&snapshot, &text);
        if !COMPUTES.contains(plan.facts.effects) {
            return Err(error(1970, b"42000", "KILL does not support subqueries or stored functions".into()));
        }
        let mut hold = match self.holdings.take_home() {
            Some(home) => home,
            None => Hold::pooled(
                self.obtain(&Rc::clone(&self.state), &[route.writer], &snapshot, &mut Tried::default()).await?,
            ),
        };
        let link = &mut *hold.link;
        let worker = Rc::clone(&self.worker);
        let asked = async {
            worker.bring(link, &self.state).await?;
            let text = self.own_text(&plan.facts, &text, link).unwrap_or(text);
            let reply = worker.talk().ask(link, Command::Query, &text).await?;
            // What the statement before left of itself is gone, here as on a server; LAST_INSERT_ID() is not.
            worker.talk().query(link, "DO 0").await.map(|_| reply)
        };
        let reply = match asked.await {
            Ok(reply) => reply,
            Err(failed) => return Err(self.talk_failed(hold, failed).into()),
        };
        // How many rows were found is gone with what was asked; a KILL itself finds none.
        self.previous.is_lost();
        self.claim(&mut hold.link);
        self.previous.ran_on(hold.link.serial, Keeps { found: Kept::Yes, diagnostics: false });
        self.left.answered();
        match hold.is_home() {
            true => self.put_back(hold),
            false => self.release(hold.link),
        }
        let number: i64 = reply.last_value().and_then(|number| number.parse().ok()).unwrap_or_default();
        Ok(number.cast_unsigned())
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
        for (sql, number, query_only) in [
            ("KILL 5", 5, false),
            ("kill connection 5;", 5, false),
            ("KILL QUERY 7", 7, true),
            ("KILL HARD QUERY 7", 7, true),
        ] {
            assert_eq!(
                read_kill(sql.as_bytes(), LexMode::default()),
                Some((Whom::Number(number), query_only)),
                "{sql}"
            );
        }
        for (sql, expression) in [
            ("KILL @x", "@x"),
            ("KILL QUERY (1 + @x) ;", "(1 + @x)"),
            ("KILL CONNECTION_ID()", "CONNECTION_ID()"),
            ("KILL 99999999999", "99999999999"),
            // A list is no single value: the server says so.
            ("KILL 1, 2", "1, 2"),
        ] {
            let whom = read_kill(sql.as_bytes(), LexMode::default()).map(|(whom, _)| whom);
            assert_eq!(whom, Some(Whom::Expression(expression.as_bytes())), "{sql}");
        }
        for other in ["KILL", "KILL USER 'x'", "KILL QUERY ID 7", "KILL 1; SELECT 2"] {
            assert_eq!(read_kill(other.as_bytes(), LexMode::default()), None, "{other}");
        }
    }
}
