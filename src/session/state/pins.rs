//! Pins: why a session must keep its connection. Each has a name, so that operators can be told.
//!
//! [`crate::session::statement::settle`] says which of them a statement leaves, [`super::things`] which of them named things are, and
//! [`crate::session::holdings`] keeps them with their link. It refuses to know how a pin comes to be; it says what one means.

use bitflags::bitflags;

bitflags! {
    /// The reasons, all that hold at once.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Pins: u32 {
        /// A transaction is open.
        const TRANSACTION = 1 << 0;
        /// `autocommit` is off, and a statement has used tables: a transaction may be open that no status flag shows.
        const AUTOCOMMIT_OFF = 1 << 1;
        /// User variables are set.
        const USER_VARIABLE = 1 << 2;
        /// Temporary tables exist.
        const TEMPORARY_TABLE = 1 << 3;
        /// Named locks are held.
        const USER_LOCK = 1 << 4;
        /// Tables are locked.
        const LOCK_TABLES = 1 << 5;
        /// Statements are prepared by PREPARE.
        const TEXT_PREPARE = 1 << 6;
        /// A HANDLER is open.
        const HANDLER = 1 << 7;
        /// A cursor is open.
        const CURSOR = 1 << 8;
        /// State was set that cannot be carried elsewhere (roles, one-shot variables, a procedure's doings).
        const UNTRACKED_STATE = 1 << 9;
        /// `SET TRANSACTION` for the next transaction.
        const NEXT_TRANSACTION = 1 << 10;
        /// An XA transaction.
        const XA = 1 << 11;
        /// `LAST_INSERT_ID()` may be asked for.
        const INSERT_ID = 1 << 12;
        /// The last statement's diagnostics may be asked for.
        const WARNINGS = 1 << 13;
        /// `FOUND_ROWS()` may be asked for.
        const FOUND_ROWS = 1 << 14;
        /// `ROW_COUNT()` may be asked for.
        const ROW_COUNT = 1 << 15;
        /// Settings are in force under which answers hang on what the connection did before (`profiling`,
        /// `optimizer_trace`, `sql_auto_is_null`), or have been: what was recorded then is there until the session ends.
        const HISTORY = 1 << 16;
        /// A value was drawn from a sequence: `LASTVAL()` may be asked for.
        const SEQUENCE = 1 << 17;
        /// A stored routine has run, which may have left what no report tells of: a lock, a user variable.
        const ROUTINE = 1 << 18;
        /// Statements have been recorded (`profiling`, `optimizer_trace`), which no reset takes back: MySQL keeps its optimizer's traces, and
        /// MariaDB its profiles. The connection is closed at the end.
        const RECORDED = 1 << 19;
    }
}

impl Pins {
    /// Pins that the next statement lifts, unless it asks for what they keep.
    pub const UNTIL_NEXT: Pins = Pins::WARNINGS.union(Pins::FOUND_ROWS).union(Pins::ROW_COUNT);

    /// Pins under which every statement must run on the kept connection: what it reads may depend on them.
    pub const EVERYTHING: Pins = Pins::TRANSACTION
        .union(Pins::AUTOCOMMIT_OFF)
        .union(Pins::TEMPORARY_TABLE)
        .union(Pins::LOCK_TABLES)
        .union(Pins::UNTRACKED_STATE)
        .union(Pins::NEXT_TRANSACTION)
        .union(Pins::HISTORY)
        .union(Pins::RECORDED)
        .union(Pins::XA);

    /// Pins of named things: they are what [`super::things`] says.
    pub const OF_THINGS: Pins = Pins::USER_VARIABLE
        .union(Pins::TEMPORARY_TABLE)
        .union(Pins::USER_LOCK)
        .union(Pins::TEXT_PREPARE)
        .union(Pins::HANDLER);

    /// Pins whose loss with their connection the client must be told by losing its own: statements that follow would
    /// otherwise run as if nothing had been.
    pub const LOST_WITH_CONNECTION: Pins = Pins::EVERYTHING
        .union(Pins::USER_VARIABLE)
        .union(Pins::USER_LOCK)
        .union(Pins::TEXT_PREPARE)
        .union(Pins::SEQUENCE)
        .union(Pins::ROUTINE)
        .union(Pins::HANDLER);

    /// Pins that leave state on the server's side of the connection, which must be reset before another session has it.
    pub const NEEDS_RESET: Pins = Pins::LOST_WITH_CONNECTION.union(Pins::CURSOR);

    /// The names, in lower case, separated by commas.
    pub fn names(self) -> String {
        self.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect::<Vec<_>>().join(", ")
    }
}
