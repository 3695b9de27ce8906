//! Status flags: what a server says of itself in OK and EOF packets.
//!
//! Source: MySQL 8.0 source `mysql_com.h` (`SERVER_STATUS_flags_enum`); MariaDB Knowledge Base "OK_Packet".

use bitflags::bitflags;

bitflags! {
    /// The status flags.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Status: u16 {
        /// A transaction is open.
        const IN_TRANSACTION = 1 << 0;
        /// `autocommit` is on.
        const AUTOCOMMIT = 1 << 1;
        /// Another result follows this one.
        const MORE_RESULTS = 1 << 3;
        /// No good index was used.
        const NO_GOOD_INDEX = 1 << 4;
        /// No index was used.
        const NO_INDEX = 1 << 5;
        /// A cursor is open: the execution's own, whose rows come by COM_STMT_FETCH, or one inside a procedure or a block.
        const CURSOR_EXISTS = 1 << 6;
        /// The cursor has no more rows.
        const LAST_ROW_SENT = 1 << 7;
        /// A schema was dropped.
        const DB_DROPPED = 1 << 8;
        /// `NO_BACKSLASH_ESCAPES` is in force.
        const NO_BACKSLASH_ESCAPES = 1 << 9;
        /// A prepared statement was prepared anew and its metadata changed.
        const METADATA_CHANGED = 1 << 10;
        /// The query was slow.
        const QUERY_WAS_SLOW = 1 << 11;
        /// This result carries OUT parameters of a procedure.
        const PS_OUT_PARAMS = 1 << 12;
        /// The open transaction is read only.
        const IN_TRANSACTION_READ_ONLY = 1 << 13;
        /// The OK packet carries session state changes.
        const SESSION_STATE_CHANGED = 1 << 14;
        /// MariaDB: ANSI_QUOTES is in force.
        const ANSI_QUOTES = 1 << 15;
    }
}

impl Status {
    /// Flags that are a session's and not one answer's: every answer repeats them.
    pub const LASTING: Status = Status::IN_TRANSACTION
        .union(Status::AUTOCOMMIT)
        .union(Status::NO_BACKSLASH_ESCAPES)
        .union(Status::IN_TRANSACTION_READ_ONLY)
        .union(Status::ANSI_QUOTES);
}
