//! What a statement does, as a vocabulary: [`Effects`], the tables that are used, the verb, hints, and [`Facts`], which
//! has them all.
//!
//! [`super::classify`] fills in the facts; the rules and the session read them. Nothing here reads a text or decides
//! where a statement goes. The only judgement is [`Effects::READER_SAFE`], the list of effects that a reader may serve.

use bitflags::bitflags;

bitflags! {
    /// Everything that a statement's text says it does. A statement has many effects, and several at once.
    ///
    /// A multi-statement text has the union of its parts' effects, and [`Effects::MULTI`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Effects: u64 {
        /// Returns rows computed from tables or from nothing: `SELECT`, `TABLE`, `VALUES`, `SHOW`, `DESCRIBE`, `EXPLAIN`.
        const READ = 1 << 0;
        /// Changes rows: INSERT, UPDATE, DELETE, REPLACE, LOAD DATA, `nextval`, `SELECT … INTO` a table of a sequence, …
        const WRITE = 1 << 1;
        /// Changes definitions: CREATE, ALTER, DROP, RENAME, TRUNCATE, GRANT, and their kin.
        const DDL = 1 << 2;
        /// Locks rows: `FOR UPDATE`, `FOR SHARE`, `LOCK IN SHARE MODE`.
        const LOCK_ROWS = 1 << 3;
        /// `LOCK TABLES`, `FLUSH TABLES … WITH READ LOCK`, `LOCK INSTANCE FOR BACKUP`, `BACKUP STAGE/LOCK`.
        const LOCK_TABLES = 1 << 4;
        /// `UNLOCK TABLES` and kin.
        const UNLOCK_TABLES = 1 << 5;
        /// `GET_LOCK`, `RELEASE_LOCK`, `IS_FREE_LOCK`, …: locks by name, which belong to the connection.
        const USER_LOCK = 1 << 6;
        /// `BEGIN`, `START TRANSACTION`, `XA START`.
        const BEGIN = 1 << 7;
        /// With [`Effects::BEGIN`]: the transaction is `READ ONLY`.
        const BEGIN_READ_ONLY = 1 << 8;
        /// `COMMIT`.
        const COMMIT = 1 << 9;
        /// `ROLLBACK` (not `ROLLBACK TO`).
        const ROLLBACK = 1 << 10;
        /// `AND CHAIN`: another transaction begins at once.
        const CHAIN = 1 << 11;
        /// `RELEASE` after COMMIT or ROLLBACK: the server closes the connection.
        const RELEASE = 1 << 12;
        /// `SAVEPOINT`, `ROLLBACK TO`, `RELEASE SAVEPOINT`.
        const SAVEPOINT = 1 << 13;
        /// Commits an open transaction as a side effect (DDL, LOCK TABLES, account statements, …).
        const IMPLICIT_COMMIT = 1 << 14;
        /// Any `XA` statement.
        const XA = 1 << 15;
        /// `USE`.
        const SET_SCHEMA = 1 << 16;
        /// Sets session system variables (`SET x`, `SET NAMES`, `SET TRANSACTION`, `SET ROLE`).
        const SET_SESSION = 1 << 17;
        /// Sets global or persisted variables, or a default (`SET GLOBAL`, `SET PERSIST`, `SET PASSWORD`).
        const SET_GLOBAL = 1 << 18;
        /// Assigns a user variable (`SET @x`, `@x :=`, `INTO @x`).
        const SET_USER_VARIABLE = 1 << 19;
        /// Reads a user variable.
        const READ_USER_VARIABLE = 1 << 20;
        /// Creates, drops or alters a temporary table.
        const TEMPORARY_TABLE = 1 << 21;
        /// `PREPARE`, `EXECUTE`, `DEALLOCATE PREPARE` as text.
        const TEXT_PREPARE = 1 << 22;
        /// `HANDLER … OPEN/READ/CLOSE`.
        const HANDLER = 1 << 23;
        /// Calls a stored procedure, or runs an anonymous block.
        const CALL = 1 << 24;
        /// Calls a function that is no known built-in: a stored function may write. See [`Facts::functions`].
        const UNKNOWN_FUNCTION = 1 << 25;
        /// Needs the result of the statement before it: `LAST_INSERT_ID()`, `@@identity`, `LASTVAL`.
        const NEEDS_INSERT_ID = 1 << 26;
        /// Needs `ROW_COUNT()` of the statement before it.
        const NEEDS_ROW_COUNT = 1 << 27;
        /// Needs `FOUND_ROWS()` of the statement before it.
        const NEEDS_FOUND_ROWS = 1 << 28;
        /// Needs the diagnostics of the statement before it: `SHOW WARNINGS/ERRORS`, `GET DIAGNOSTICS`, `@@warning_count`.
        const NEEDS_WARNINGS = 1 << 29;
        /// Leaves more for `FOUND_ROWS()` than the rows of its answer: `SQL_CALC_FOUND_ROWS`.
        const LEAVES_FOUND_ROWS = 1 << 30;
        /// `LAST_INSERT_ID(expr)`: sets what the next `LAST_INSERT_ID()` returns.
        const SETS_INSERT_ID = 1 << 31;
        /// Reads or writes files of the server: `INTO OUTFILE/DUMPFILE`, `LOAD_FILE`, `LOAD DATA` without `LOCAL`.
        const SERVER_FILE = 1 << 32;
        /// `LOAD DATA/XML LOCAL`: the client will be asked for a file.
        const LOCAL_INFILE = 1 << 33;
        /// Administers the server: KILL, FLUSH, SHUTDOWN, RESET, PURGE, INSTALL, CHANGE MASTER, `SET GLOBAL`, …
        const ADMIN = 1 << 34;
        /// Asks about the connection or the server it happens to run on: `CONNECTION_ID()`, `SHOW PROCESSLIST`,
        /// `SHOW STATUS`, `@@hostname`, `@@server_id`, `SHOW MASTER STATUS`. Harmless, but the answer depends on where.
        const SERVER_BOUND = 1 << 35;
        /// Reads definitions: `SHOW TABLES`, `SHOW CREATE`, `DESCRIBE`, `information_schema`.
        const METADATA = 1 << 36;
        /// More than one statement in the text.
        const MULTI = 1 << 37;
        /// The text has an executable comment (`/*! */`, `/*M! */`): what it does depends on who reads it.
        const EXECUTABLE_COMMENT = 1 << 38;
        /// Draws from a source that differs between servers or moves with each call: `UUID()`, `RAND()`, `SLEEP()`.
        /// Harmless on a reader.
        const VOLATILE = 1 << 39;
        /// Reads a table, as opposed to a constant `SELECT 1`.
        const READ_TABLE = 1 << 40;
        /// Sets state that session tracking does not report and no SET can restore (`SET ROLE`, `SET STATEMENT` around
        /// something stateful, `INSTALL`…): the session must keep its connection.
        const UNTRACKED_STATE = 1 << 41;
        /// Waits for or asks about replication positions (`MASTER_GTID_WAIT`, `WAIT_FOR_EXECUTED_GTID_SET`, …).
        const REPLICATION_WAIT = 1 << 42;
        /// `SET TRANSACTION …` for the next transaction only.
        const SET_NEXT_TRANSACTION = 1 << 43;
        /// `SET autocommit = …` (any spelling).
        const SET_AUTOCOMMIT = 1 << 44;
        /// Written for MariaDB alone: MySQL would refuse it, or take a function that it does not have for a stored one.
        /// It must not be sent to MySQL, safe or not.
        const MARIADB_ONLY = 1 << 45;
        /// Written for MySQL alone: MariaDB would refuse it, or take a function that it does not have for a stored one.
        /// It must not be sent to MariaDB, safe or not.
        const MYSQL_ONLY = 1 << 46;
        /// `EXPLAIN` of what does not run; `EXPLAIN ANALYZE` and MariaDB's `ANALYZE` are what they run. The plan of a
        /// statement that would write is [`Effects::SERVER_BOUND`]: the writer's is asked for.
        const EXPLAIN = 1 << 47;
        /// `DO expr`, or a SELECT of constants only.
        const CONSTANT = 1 << 48;
        /// Draws a value from a sequence or sets one: `NEXTVAL`, `NEXT VALUE FOR`, `SETVAL`. The connection remembers it for
        /// `LASTVAL`.
        const SEQUENCE = 1 << 49;
        /// Makes, changes or drops a trigger, a view or a stored routine, or gives a table (and so its triggers) another name.
        const STORED_DEFINITION = 1 << 50;
        /// May leave something on its connection that neither its text nor a server's report shows: by a trigger, a view or a
        /// routine. The classifier cannot know it; [`super::definitions`] does.
        const HIDDEN_STATE = 1 << 51;
        /// Asks what the session's statements have counted on their connection (`SHOW SESSION STATUS`). Such a question goes to the
        /// connection of the statement before, if no other session has used that since. [`Effects::SERVER_BOUND`] stands beside it.
        const ASKS_COUNTERS = 1 << 52;
        /// A SHOW of what MariaDB keeps in no table (`SHOW PROCESSLIST`, `SHOW GRANTS`): its diagnostics outlast that.
        const SHOWS_NO_TABLE = 1 << 53;
        /// A SHOW with rows that `FOUND_ROWS()` does not count (`SHOW CREATE TABLE`, `SHOW PROCESSLIST`).
        const FINDS_NO_ROWS = 1 << 54;
        /// A query feeds it (`INSERT … SELECT`, `CREATE TABLE … SELECT`): `FOUND_ROWS()` counts that query's rows.
        const FED_BY_QUERY = 1 << 55;
        /// Makes, alters or drops a whole schema; [`Effects::DDL`] stands beside it. MariaDB's diagnostics outlast it.
        const SCHEMA_DEFINITION = 1 << 56;
        /// The classifier does not know the statement, or the text is broken. Goes to the writer, counted. Where the
        /// statement may have left something on its connection, [`Effects::UNTRACKED_STATE`] stands beside it.
        const UNPROVEN = 1 << 63;
    }
}

impl Effects {
    /// Effects that a reader may serve. Everything else goes to the writer.
    ///
    /// An allow-list on purpose: an effect that is added later is unsafe until somebody says otherwise here. What is
    /// [`Effects::MARIADB_ONLY`] or [`Effects::MYSQL_ONLY`] is safe on a reader of that engine alone.
    pub const READER_SAFE: Effects = Effects::READ
        .union(Effects::READ_TABLE)
        .union(Effects::METADATA)
        .union(Effects::SHOWS_NO_TABLE)
        .union(Effects::FINDS_NO_ROWS)
        .union(Effects::VOLATILE)
        .union(Effects::EXPLAIN)
        .union(Effects::CONSTANT)
        .union(Effects::MULTI)
        .union(Effects::EXECUTABLE_COMMENT)
        .union(Effects::LEAVES_FOUND_ROWS)
        .union(Effects::MARIADB_ONLY)
        .union(Effects::MYSQL_ONLY);

    /// Effects of statements whose text does not show all that they do: somebody else's text does, or nobody can read it.
    pub const OUT_OF_SIGHT: Effects =
        Effects::CALL.union(Effects::UNKNOWN_FUNCTION).union(Effects::UNPROVEN).union(Effects::TEXT_PREPARE);

    /// Effects that need what the statement before left on its connection.
    pub const NEEDS_PREVIOUS: Effects = Effects::NEEDS_INSERT_ID
        .union(Effects::NEEDS_ROW_COUNT)
        .union(Effects::NEEDS_FOUND_ROWS)
        .union(Effects::NEEDS_WARNINGS);

    /// True for a statement that asks for a connection's counters and does nothing else.
    pub const fn is_about_counters(self) -> bool {
        const ALONE: Effects = Effects::READ.union(Effects::SERVER_BOUND).union(Effects::ASKS_COUNTERS);
        self.contains(Effects::ASKS_COUNTERS) && ALONE.contains(self)
    }

    /// True if a statement with these effects may run on a reader: it does at least one harmless thing and nothing else.
    pub const fn reader_safe(self) -> bool {
        Effects::READER_SAFE.contains(self) && self.intersects(Effects::READ)
    }

    /// The effects' names in lower case, for people and for JSON.
    pub fn names(self) -> impl Iterator<Item = String> {
        self.iter_names().map(|(name, _)| name.to_ascii_lowercase())
    }
}

/// What a statement does to one table that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Reads rows.
    Read,
    /// Writes rows, locks them, or changes the table's definition.
    Write,
}

/// One table that a statement names. Names are as written, without quotes; comparison is the caller's affair.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableUse {
    /// The schema, where the statement names it.
    pub schema: Option<Box<str>>,
    /// The table's (or view's) name.
    pub name: Box<str>,
    /// What is done to it.
    pub access: Access,
}

/// The first word of a statement, as ProxySQL counts commands (`SELECT`, `INSERT`, `SHOW_TABLE_STATUS` → `SHOW`, …).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[allow(missing_docs)]
pub enum Verb {
    Select,
    Insert,
    Update,
    Delete,
    Replace,
    Load,
    Call,
    Set,
    Show,
    Use,
    Explain,
    Begin,
    Commit,
    Rollback,
    Savepoint,
    Create,
    Alter,
    Drop,
    Truncate,
    Rename,
    Grant,
    Lock,
    Unlock,
    Prepare,
    Execute,
    Deallocate,
    Handler,
    Xa,
    Flush,
    Kill,
    Analyze,
    Optimize,
    Do,
    Values,
    Table,
    With,
    #[default]
    Other,
}

impl Verb {
    /// All of them, each at its own number.
    pub const ALL: [Verb; 37] = [
        Verb::Select,
        Verb::Insert,
        Verb::Update,
        Verb::Delete,
        Verb::Replace,
        Verb::Load,
        Verb::Call,
        Verb::Set,
        Verb::Show,
        Verb::Use,
        Verb::Explain,
        Verb::Begin,
        Verb::Commit,
        Verb::Rollback,
        Verb::Savepoint,
        Verb::Create,
        Verb::Alter,
        Verb::Drop,
        Verb::Truncate,
        Verb::Rename,
        Verb::Grant,
        Verb::Lock,
        Verb::Unlock,
        Verb::Prepare,
        Verb::Execute,
        Verb::Deallocate,
        Verb::Handler,
        Verb::Xa,
        Verb::Flush,
        Verb::Kill,
        Verb::Analyze,
        Verb::Optimize,
        Verb::Do,
        Verb::Values,
        Verb::Table,
        Verb::With,
        Verb::Other,
    ];

    /// Its name as operators know it: `SELECT`.
    pub fn name(self) -> String {
        format!("{self:?}").to_ascii_uppercase()
    }
}

/// One `key=value` of a `/* switchboard: … */` comment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteHint {
    /// `hostgroup`, `route` (`writer`/`reader`), …; lower case.
    pub key: Box<str>,
    /// The text after `=`, up to white space.
    pub value: Box<str>,
}

/// Everything the classifier found out about a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it does.
    pub effects: Effects,
    /// The command it is counted under (of the first statement, where there are several).
    pub verb: Verb,
    /// Tables it names, each once per access, in the order of their first mention. CTE names are not tables.
    pub tables: Vec<TableUse>,
    /// Functions it calls that are no known built-ins (`schema.name` where qualified), lower case.
    pub functions: Vec<Box<str>>,
    /// The procedure that it calls (`schema.name` where qualified), lower case. None for a block without a name.
    pub procedure: Option<Box<str>>,
    /// Session variables that it sets, lower case, without `@@session.`; `names` for `SET NAMES`.
    pub variables: Vec<Box<str>>,
    /// Hints for the router.
    pub hints: Vec<RouteHint>,
    /// Why the statement is [`Effects::UNPROVEN`], in words; empty otherwise.
    pub unproven: &'static str,
}

impl Facts {
    /// True if the statement may run on a reader.
    pub fn reader_safe(&self) -> bool {
        self.effects.reader_safe()
    }
}
