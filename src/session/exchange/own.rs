//! Statements that ask for what the router knows better than a server: the session's number, which KILL takes, and what is set
//! on connections for the router's own sake. Their text goes out in other words ([`crate::sql::own`]).
//!
//! The words have the server's type for what they stand for, so that columns are described alike. It refuses to touch a text
//! that makes something which outlives the session (a view), or that servers read in more than one way.

use crate::backend::Engine;
use crate::protocol::command::Command;
use crate::rules::Plan;
use crate::session::link::Link;
use crate::session::parts::Session;
use crate::session::parts::request::{Request, command_frame};
use crate::sql::effects::{Effects, Facts, TableUse};
use crate::sql::own::{Own, bytes_of_crc32, rewrite, rewrite_creation};
use std::borrow::Cow;

/// Statements whose text stays as it is.
const AS_IT_IS: Effects = Effects::STORED_DEFINITION.union(Effects::UNPROVEN).union(Effects::EXECUTABLE_COMMENT);

/// Variables that the router sets on its connections. A session that has not set them has the global values.
const THE_ROUTERS: [&str; 4] = [
    "session_track_system_variables",
    "session_track_schema",
    "session_track_state_change",
    "session_track_transaction_info",
];

impl Session {
    /// Puts a statement's text into other words, if it asks for the session's own.
    pub(in crate::session) fn put_own(
        &self,
        facts: &Facts,
        command: Command,
        text: &[u8],
        request: &mut Request,
        link: &Link,
    ) {
        let own = self.own_text(facts, text, link);
        request.frames = own.map_or_else(Vec::new, |own| command_frame(command, &own));
    }

    /// The same for the command at hand, if that is a statement's text.
    pub(in crate::session) fn put_own_query(&self, facts: &Facts, request: &mut Request, link: &Link) {
        if let Some((command, text)) = self.inbox.payload().split_first()
            && *command == Command::Query as u8
        {
            self.put_own(facts, Command::Query, text, request, link);
        }
    }

    /// A statement's text in other words, for this link; none where it can stay as it is.
    pub(in crate::session) fn own_text(&self, facts: &Facts, text: &[u8], link: &Link) -> Option<Vec<u8>> {
        // Its default schema is gone, and the link has none or another.
        let of_link = link.state.values.schema.as_deref();
        let schema = self.state.values.schema.as_deref().filter(|name| of_link != Some(*name));
        let is_there = link.serial == self.previous.asked_by(facts.effects);
        let count = if is_there { None } else { self.row_count_for(facts.effects) };
        let asks = facts.effects.contains(Effects::SERVER_BOUND) || schema.is_some() || count.is_some();
        if !asks || facts.effects.intersects(AS_IT_IS) || facts.tables.iter().any(has_servers_numbers) {
            return None;
        }
        let (number, is_mysql) = (self.connection_id, link.backend().engine() == Engine::MySql);
        let long = format!("({number}|0)");
        // MariaDB's CONNECTION_ID() is of four bytes, and so is what CRC32() gives.
        let id = if is_mysql { long.clone() } else { format!("CRC32(0x{:08X})", bytes_of_crc32(number)) };
        // MariaDB's IS_USED_LOCK() has a sign, as has the length that a compressed text begins with, of 30 bits.
        let has_sign = !is_mysql && number < 1 << 30;
        let of_owner = match has_sign {
            true => format!("UNCOMPRESSED_LENGTH(0x{:08X}00)", number.swap_bytes()),
            false => id.clone(),
        };
        // Of the variable's own type, which may be NULL by what servers say of it.
        let pseudo = format!("IF(1,CAST({number} AS UNSIGNED),@@pseudo_thread_id)");
        // The type of ROW_COUNT() itself.
        let row_count = count.map(|count| format!("IF(1,{count},ROW_COUNT())"));
        let owner = format!(")<=>CONNECTION_ID(),{of_owner},IS_USED_LOCK(");
        // Of DATABASE()'s own type: a cast has other decimals on MariaDB.
        let schema = schema
            .map(|name| format!("IF(1,CAST(0x{} AS CHAR(64) CHARACTER SET utf8mb4),DATABASE())", hex(name.as_bytes())));
        let has_not_set = |name: &&&str| self.state.values.value(name).is_none();
        let global: Vec<&str> = THE_ROUTERS.iter().filter(has_not_set).copied().collect();
        let own = Own {
            connection_id: &id,
            pseudo_thread_id: &pseudo,
            schema: schema.as_deref(),
            lock_owner: ["IF(IS_USED_LOCK(", &owner, "))"],
            row_count: row_count.as_deref(),
            global: &global,
        };
        let creates = facts.effects.contains(Effects::DDL);
        let is_several = facts.effects.contains(Effects::MULTI);
        match (creates, is_several) {
            (false, _) => rewrite(text, self.subject.mode(), &own),
            (true, false) => rewrite_creation(text, self.subject.mode(), &own),
            (true, true) => None,
        }
    }

    /// The number of rows that the statement before changed, for the text of one that asks for it and for no warnings. None where a
    /// server can be made to say it, or nobody knows it.
    pub(in crate::session) fn row_count_for(&self, effects: Effects) -> Option<i64> {
        const OTHER_WORDS: Effects = AS_IT_IS.union(Effects::MULTI).union(Effects::NEEDS_WARNINGS).union(Effects::DDL);
        let is_text = self.inbox.payload().first() == Some(&(Command::Query as u8));
        if !effects.contains(Effects::NEEDS_ROW_COUNT) || effects.intersects(OTHER_WORDS) || !is_text {
            return None;
        }
        self.left.row_count().filter(|count| *count > 0)
    }

    /// A prepared text by which links know it: one that asks for the session's own is not shared with other sessions.
    pub(in crate::session) fn keyed<'a>(&self, plan: &Plan, text: &'a [u8]) -> Cow<'a, [u8]> {
        if !plan.facts.effects.contains(Effects::SERVER_BOUND) {
            return Cow::Borrowed(text);
        }
        let mut key = text.to_vec();
        key.push(0);
        key.extend_from_slice(&self.connection_id.to_le_bytes());
        Cow::Owned(key)
    }
}

/// True for tables that have the server's own numbers of connections: beside those, CONNECTION_ID() is the server's.
fn has_servers_numbers(table: &TableUse) -> bool {
    const SCHEMAS: [&str; 4] = ["information_schema", "performance_schema", "sys", "mysql"];
    let of = |schema: &str| SCHEMAS.iter().any(|known| schema.eq_ignore_ascii_case(known));
    table.schema.as_deref().is_some_and(of)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
