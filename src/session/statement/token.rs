//! `@@switchboard_token`, which no server has: what a client carries to another connection, so that it finds its writes there.
//!
//! `SELECT @@switchboard_token` gives it, `SET @@switchboard_token = '…'` takes it, each as a statement by itself. It is given once a
//! heartbeat has been written after the session's latest write, which is waited for. What it means for a read is said in
//! [`super::follow`]. Other statements that name the variable go to a server, which does not know it.

use crate::backend::Backend;
use crate::backend::heartbeat::marks::Beat;
use crate::backend::heartbeat::token::Token;
use crate::protocol::command::Command;
use crate::session::error::{SessionEnd, StatementError};
use crate::session::parts::Session;
use crate::session::worker::snapshot::Snapshot;
use crate::sql::LexMode;
use crate::sql::lexer::{Lexer, TokenKind};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The variable's name.
const NAME: &str = "switchboard_token";

/// How long a heartbeat is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a statement does with the variable.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// It asks for it, by this column's name.
    Give(String),
    /// It sets it.
    Take(String),
}

/// Reads a statement; none for one that does neither.
fn read(sql: &[u8], mode: LexMode) -> Option<Asked> {
    let is_named = sql.windows(NAME.len()).any(|part| part.eq_ignore_ascii_case(NAME.as_bytes()));
    if !is_named {
        return None;
    }
    let tokens: Vec<_> = Lexer::new(sql, mode).filter(|token| !token.is_hint()).collect();
    let texts: Vec<&[u8]> = tokens.iter().map(|token| token.text(sql)).collect();
    let texts = texts.strip_suffix(&[b";".as_slice()]).unwrap_or(&texts);
    let (first, rest) = texts.split_first()?;
    if first.eq_ignore_ascii_case(b"SELECT") {
        let (variable, alias) = rest.split_first()?;
        let name = match alias {
            [] => variable,
            [name] => name,
            [word, name] if word.eq_ignore_ascii_case(b"AS") => name,
            _ => return None,
        };
        return is_variable(variable).then(|| Asked::Give(unquoted(name)));
    }
    let is_scope = |word: &[u8]| word.eq_ignore_ascii_case(b"SESSION") || word.eq_ignore_ascii_case(b"LOCAL");
    let rest = match rest {
        [scope, rest @ ..] if is_scope(scope) && rest.first().is_some_and(|name| !name.starts_with(b"@@")) => rest,
        rest => rest,
    };
    let [variable, b"=" | b":=", value] = rest else { return None };
    let is_ours = is_variable(variable) || variable.eq_ignore_ascii_case(NAME.as_bytes());
    if !first.eq_ignore_ascii_case(b"SET") || !is_ours {
        return None;
    }
    let is_text = tokens.iter().any(|token| token.text(sql) == *value && token.kind == TokenKind::String);
    let is_default = value.eq_ignore_ascii_case(b"DEFAULT");
    (is_text || is_default).then(|| Asked::Take(if is_default { String::new() } else { unquoted(value) }))
}

/// True for the variable, with or without its scope.
fn is_variable(text: &[u8]) -> bool {
    let name = String::from_utf8_lossy(text).to_ascii_lowercase();
    let Some(name) = name.strip_prefix("@@") else { return false };
    let name = name.strip_prefix("session.").or_else(|| name.strip_prefix("local.")).unwrap_or(name);
    name == NAME
}

/// A text without its quotes. No token has a quote or a backslash in it.
fn unquoted(text: &[u8]) -> String {
    let inner = match text {
        [b'\'' | b'"' | b'`', inner @ .., b'\'' | b'"' | b'`'] => inner,
        text => text,
    };
    String::from_utf8_lossy(inner).into_owned()
}

impl Session {
    /// Does what a statement asks of `@@switchboard_token`; none if that is nothing. Only a COM_QUERY may.
    pub(in crate::session) async fn answer_token(&mut self) -> Option<Result<(), SessionEnd>> {
        let (command, text) = self.inbox.payload().split_first()?;
        if *command != Command::Query as u8 {
            return None;
        }
        match read(text, self.subject.mode())? {
            Asked::Give(column) => {
                let token = self.token_of_writes().await.to_string();
                Some(self.send_rows(&[&column], &[vec![Some(token)]]).await)
            }
            Asked::Take(text) => Some(match text.parse::<Token>() {
                Ok(token) => {
                    self.take_token(token);
                    self.send_ok(b"").await
                }
                Err(_) => Err(StatementError::WrongValue { name: NAME, value: text }.into()),
            }),
        }
    }

    /// From now on the session's reads are to find what this token asks for.
    fn take_token(&mut self, token: Token) {
        let snapshot = self.worker.snapshot();
        let knows_heartbeats = snapshot.heartbeat.is_some() && snapshot.writers().all(|writer| writer.beats.are_on());
        if !token.is_empty() && !knows_heartbeats {
            // Of some writer nobody can say where that is: it counts as a write of this moment.
            self.wrote_at = Some(self.worker.now_ms());
        }
        self.token = (!token.is_empty()).then(|| Rc::new(token));
    }

    /// What finds all that this session has written, or has been asked to find.
    async fn token_of_writes(&self) -> Token {
        let taken = self.token.as_deref().cloned().unwrap_or_default();
        let Some(wrote_at) = self.wrote_at else { return taken };
        let snapshot = self.worker.snapshot();
        let until = Instant::now() + PATIENCE;
        let mut beats = Vec::new();
        for writer in self.writers_asked(&snapshot) {
            beats.push(first_beat_after(writer, wrote_at, until).await.unwrap_or(NOBODYS));
        }
        if beats.is_empty() {
            beats.push(NOBODYS);
        }
        taken.and(&Token::new(beats))
    }

    /// The writers of which a token names a heartbeat: those that take writes, and the one that took this session's.
    fn writers_asked<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Backend> {
        let hostgroups =
            snapshot.topology.hostgroups().filter(|hostgroup| hostgroup.writer && hostgroup.has_heartbeats());
        let members = hostgroups.flat_map(move |hostgroup| {
            let members = hostgroup.members.iter().map(|member| &*member.backend);
            members.filter(move |backend| hostgroup.takes(backend) || self.wrote_on == Some(backend.id))
        });
        members.filter(|_| snapshot.heartbeat.is_some())
    }
}

/// The first heartbeat of a writer that came after a moment; none if none comes in time.
async fn first_beat_after(writer: &Backend, moment: u64, until: Instant) -> Option<Beat> {
    let _want = writer.beats.wants.want();
    loop {
        // From before the look, so that none is missed.
        let noted = writer.beats.moved.notified();
        if let Some(beat) = writer.beats.first_after(moment) {
            return Some(beat);
        }
        timeout_at(until, noted).await.ok()?;
    }
}

/// A heartbeat that is nowhere: who asks for it reads on the writer. It stands for a write of which no heartbeat tells.
const NOBODYS: Beat = Beat { epoch: 0, seq: 0 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_the_variable() {
        let give = |name: &str| Some(Asked::Give(name.to_owned()));
        let take = |value: &str| Some(Asked::Take(value.to_owned()));
        for (sql, want) in [
            ("SELECT @@switchboard_token", give("@@switchboard_token")),
            ("select @@Session.Switchboard_Token as t;", give("t")),
            ("/* x */ SELECT @@local.switchboard_token `a b`", give("a b")),
            ("SET @@switchboard_token = '9-1'", take("9-1")),
            ("SET SESSION switchboard_token := \"9-1\"", take("9-1")),
            ("set local switchboard_token=''", take("")),
            ("SET switchboard_token = DEFAULT", take("")),
            ("SET @@session.switchboard_token = 'x y'", take("x y")),
            // For a server to refuse.
            ("SELECT @@switchboard_token, 1", None),
            ("SELECT @@global.switchboard_token", None),
            ("SET GLOBAL switchboard_token = '9-1'", None),
            ("SET switchboard_token = 9", None),
            ("SET switchboard_token = '9-1', sql_mode = ''", None),
            ("SET SESSION @@switchboard_token = '9-1'", None),
            ("SELECT 'switchboard_token'", None),
            ("SELECT 1", None),
        ] {
            assert_eq!(read(sql.as_bytes(), LexMode::default()), want, "{sql}");
        }
    }
}
