//! User variables that a question about the statement before has set on that one's connection (`GET DIAGNOSTICS @a = …`,
//! `SELECT FOUND_ROWS() INTO @n`): they are carried home once the session asks something else.
//!
//! Until then that connection stays as it is, for more questions. It may be a reader's, which must not become the home of a
//! session that writes, or the session has its home elsewhere. Each value is set at home with the type, the character set
//! and the collation that it was read with.

use crate::session::error::StatementError;
use crate::session::holdings::{Hold, Settled};
use crate::session::link::Link;
use crate::session::link::conversation::{ColumnType, TalkError};
use crate::session::parts::Session;
use crate::session::state::pins::Pins;
use crate::session::state::things::{Event, Kind};
use crate::session::statement::place::{ASKS_LAST, Beside, beside};
use crate::session::supply::Tried;
use crate::sql::effects::Effects;
use std::rc::Rc;

impl Session {
    /// True if a statement is to find user variables at home that are still elsewhere.
    #[inline]
    pub(in crate::session) fn must_carry(&self, effects: Effects) -> bool {
        self.holdings.has_aside() && (!effects.intersects(ASKS_LAST) || beside(effects) == Beside::More)
    }

    /// Carries them: reads them where they are, and sets them at home. A session without a home gets one.
    ///
    /// # Errors
    /// When no home can be had, they stay where they are; when one of the two connections breaks, they are lost.
    pub(in crate::session) async fn carry_aside(&mut self) -> Result<(), StatementError> {
        let mut home = self.home_for_variables().await?;
        let Some((mut last, names)) = self.holdings.take_aside() else {
            self.put_back(home);
            return Ok(());
        };
        let (set, names) = match self.read_variables(&mut last.link, names).await {
            Ok(set) => set,
            Err(error) => {
                self.put_back(home);
                return Err(self.talk_failed(last, error));
            }
        };
        self.leave_aside(last);
        if set.is_empty() {
            self.put_back(home);
            return Ok(());
        }
        if let Err(error) = self.worker.talk().query(&mut home.link, &set).await {
            home.pin(Pins::USER_VARIABLE);
            return Err(self.talk_failed(home, error));
        }
        for name in names {
            self.holdings.note_thing(Event::Made(Kind::UserVariable, name));
        }
        home.pin(Pins::USER_VARIABLE);
        self.holdings.make_home(home);
        Ok(())
    }

    /// The link from which they were carried goes to others, once it is clean. Where it has diagnostics that MariaDB keeps over what
    /// follows, it is held for those.
    fn leave_aside(&mut self, mut last: Hold) {
        if !self.left.is_kept() {
            self.previous.is_lost_on(last.link.serial);
            return self.give_up(last);
        }
        self.previous.counts_are_lost();
        // Only this session may have it as it is.
        last.link.is_doubtful = true;
        self.leaves_doubt = true;
        if let Settled::Held(Some(before)) = self.holdings.settle(last, Pins::empty(), Pins::WARNINGS) {
            self.give_up(before);
        }
    }

    /// The home, or a link to the writer that is to be it.
    async fn home_for_variables(&mut self) -> Result<Hold, StatementError> {
        let mut home = match self.holdings.take_home() {
            Some(home) => home,
            None => {
                let snapshot = self.worker.snapshot();
                let tiers = self.home_tiers(&snapshot, self.state.values.schema.as_deref());
                let link = self.obtain(&Rc::clone(&self.state), &tiers, &snapshot, &mut Tried::default()).await?;
                Hold::pooled(link)
            }
        };
        match self.worker.bring(&mut home.link, &self.state).await {
            Ok(()) => Ok(home),
            Err(error) => Err(self.talk_failed(home, error)),
        }
    }

    /// A statement that sets these user variables to what they are on this link, and their names, without those that nobody has
    /// set there; empty if nobody has set any.
    async fn read_variables(
        &self,
        link: &mut Link,
        mut names: Vec<Box<str>>,
    ) -> Result<(String, Vec<Box<str>>), TalkError> {
        let asked: Vec<String> =
            names.iter().map(|name| format!("{name},HEX({name}),CHARSET({name}),COLLATION({name})")).collect();
        let reply = self.worker.talk().query(link, &format!("SELECT {} LIMIT 1", asked.join(","))).await?;
        let (types, row) = (reply.column_types(), reply.text_rows().pop().unwrap_or_default());
        let mut values = row.chunks_exact(4).zip(types.chunks_exact(4));
        let mut set = Vec::new();
        names.retain(|name| {
            let value = values.next().and_then(|(value, types)| literal(*types.first()?, value));
            set.extend(value.iter().map(|value| format!("{name}={value}")));
            value.is_some()
        });
        Ok((if set.is_empty() { String::new() } else { format!("SET {}", set.join(",")) }, names))
    }
}

// MYSQL_TYPE_LONGLONG, MYSQL_TYPE_DOUBLE and MYSQL_TYPE_NEWDECIMAL: the types that numbers in user variables have.
const LONGLONG: u8 = 8;
const DOUBLE: u8 = 5;
const NEWDECIMAL: u8 = 246;

/// A user variable's value as a literal. `value` is its text, its bytes in hexadecimal, its character set and its collation; `column` is
/// the type that it was selected with. None for a variable that was never set, which is a NULL in the type of binary texts.
fn literal(column: ColumnType, value: &[Option<String>]) -> Option<String> {
    let [text, hex, Some(set), Some(collation)] = value else { return None };
    let is_number = [LONGLONG, DOUBLE, NEWDECIMAL].contains(&column.code);
    let (Some(text), Some(hex)) = (text, hex) else {
        return (is_number || set != "binary").then(|| "NULL".to_owned());
    };
    Some(match column.code {
        LONGLONG if column.unsigned => format!("CAST({text} AS UNSIGNED)"),
        LONGLONG | NEWDECIMAL => text.clone(),
        // Its text may look like a decimal's.
        DOUBLE => format!("{text}+0e0"),
        _ if set == "binary" => format!("x'{hex}'"),
        _ => format!("_{set} x'{hex}' COLLATE {collation}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_literals() {
        let literal = |code, unsigned, values: [&str; 4]| {
            let value = values.map(|part| (part != "NULL").then(|| part.to_owned()));
            literal(ColumnType { code, unsigned }, &value)
        };
        const BLOB: u8 = 251;
        let cases = [
            (LONGLONG, true, ["7", "7", "binary", "binary"], Some("CAST(7 AS UNSIGNED)")),
            (LONGLONG, false, ["-7", "F", "binary", "binary"], Some("-7")),
            (LONGLONG, false, ["NULL", "NULL", "binary", "binary"], Some("NULL")),
            (DOUBLE, false, ["3", "3", "binary", "binary"], Some("3+0e0")),
            (BLOB, false, ["é", "C3A9", "utf8mb3", "utf8mb3_bin"], Some("_utf8mb3 x'C3A9' COLLATE utf8mb3_bin")),
            (BLOB, false, ["", "", "binary", "binary"], Some("x''")),
            (BLOB, false, ["NULL", "NULL", "utf8mb3", "utf8mb3_bin"], Some("NULL")),
            (BLOB, false, ["NULL", "NULL", "binary", "binary"], None),
        ];
        for (code, unsigned, values, want) in cases {
            assert_eq!(literal(code, unsigned, values).as_deref(), want, "{code} {values:?}");
        }
    }
}
