//! The commands of the admin port: what is no SQL, or is MySQL's and not SQLite's. Everything else goes to the engine.
//!
//! Reading a command is here, and pure; carrying it out is in the files beside this one. A text that begins like a command
//! and is none goes to the engine, which says what is wrong with it.

pub mod checksum;
pub mod diff_route;
pub mod load;
pub mod operate;
pub mod pieces;
pub mod route;
pub mod show;

use super::tables::Unit;
use crate::sql::lexer::TokenKind;
pub use pieces::first_word_is;
use pieces::{Piece, are, begins, pieces};
pub use show::Show;

/// From where to where a unit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// LOAD … TO RUNTIME: what is edited takes effect.
    MemoryToRuntime,
    /// SAVE … TO MEMORY: what is in effect is what is edited.
    RuntimeToMemory,
    /// LOAD … FROM DISK, FROM CONFIG: what the files say is what is edited.
    DiskToMemory,
    /// SAVE … TO DISK: what is edited goes into the files.
    MemoryToDisk,
}

/// `PROXYSQL …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// No new clients.
    Pause,
    /// New clients again.
    Resume,
    /// The end; `slow` lets statements and transactions finish.
    Shutdown {
        /// SLOW.
        slow: bool,
    },
    /// Certificates are read again (with everything else).
    ReloadTls,
    /// What there is nothing of here; the answer says so.
    Nothing(&'static str),
}

/// What CHECKSUM is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// Of the files, rather than of what is edited.
    pub disk: bool,
    /// The table.
    pub table: &'static str,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// SQL, for the engine.
    Sql,
    /// What connectors say and nothing follows from.
    Noise,
    /// USE.
    Use(String),
    /// SHOW, DESCRIBE.
    Show(Show),
    /// LOAD and SAVE: of one unit, or of all.
    Carry(Option<Unit>, Direction),
    /// SET of a variable.
    Set(String, String),
    /// `PROXYSQL …`
    Operate(Operation),
    /// KILL.
    Kill {
        /// The session's number.
        session: u32,
        /// What it runs, rather than itself.
        query: bool,
    },
    /// CHECKSUM.
    Checksum(Checksum),
    /// ROLLBACK CONFIG TO VERSION n.
    Rollback(u64),
    /// EXPLAIN ROUTE.
    ExplainRoute {
        /// The statement.
        statement: String,
        /// Whose, and in which schema.
        who: Option<(String, Option<String>)>,
    },
    /// DIFF ROUTE FROM RUNTIME TO MEMORY.
    DiffRoute,
    /// TRUNCATE of the digests.
    ForgetDigests,
    /// SAVE MYSQL DIGEST TO DISK: into `stats_history`, and begin anew.
    KeepDigests,
    /// SELECT CONFIG FILE: the configuration in effect, as text.
    ConfigFile,
    /// SAVE CONFIG TO FILE, SELECT CONFIG INTO OUTFILE: refused, with what to do instead.
    WriteFile,
    /// A command that is ProxySQL's and not ours, by its first words.
    NotHere(&'static str),
}

/// What a statement is.
pub fn read(statement: &str) -> Command {
    let all = pieces(statement);
    let [first, rest @ ..] = all.as_slice() else { return Command::Noise };
    let found = match first.text.as_str() {
        "SHOW" | "DESCRIBE" | "DESC" => show::read(statement, &all).map(Command::Show),
        "LOAD" | "SAVE" => read_carry(&all),
        "SET" => Some(read_set(statement, rest)),
        "USE" => read_use(rest),
        "START" | "BEGIN" | "COMMIT" => read_transaction(&all),
        "ROLLBACK" => read_rollback(&all).or_else(|| read_transaction(&all)),
        "PROXYSQL" => Some(read_operation(rest)),
        "KILL" => read_kill(&all),
        "CHECKSUM" => read_checksum(rest),
        "TRUNCATE" => read_truncate(&all),
        "EXPLAIN" => read_explain(statement, &all),
        "SELECT" => read_select(&all),
        "DIFF" if are(&all, "DIFF ROUTE FROM RUNTIME TO MEMORY") => Some(Command::DiffRoute),
        "PULL" if begins(&all, "PULL VERSION") => Some(Command::NotHere("PULL VERSION")),
        "LOCK" | "UNLOCK" if begins(rest, "TABLES") => Some(Command::Noise),
        _ => None,
    };
    found.unwrap_or(Command::Sql)
}

/// The spellings of what moves where.
const DIRECTIONS: [(&str, &str, Direction); 15] = [
    ("LOAD", "TO RUNTIME", Direction::MemoryToRuntime),
    ("LOAD", "TO RUN", Direction::MemoryToRuntime),
    ("LOAD", "FROM MEMORY", Direction::MemoryToRuntime),
    ("LOAD", "FROM MEM", Direction::MemoryToRuntime),
    ("SAVE", "TO MEMORY", Direction::RuntimeToMemory),
    ("SAVE", "TO MEM", Direction::RuntimeToMemory),
    ("SAVE", "FROM RUNTIME", Direction::RuntimeToMemory),
    ("SAVE", "FROM RUN", Direction::RuntimeToMemory),
    ("LOAD", "FROM DISK", Direction::DiskToMemory),
    ("LOAD", "TO MEMORY", Direction::DiskToMemory),
    ("LOAD", "TO MEM", Direction::DiskToMemory),
    ("LOAD", "FROM CONFIG", Direction::DiskToMemory),
    ("SAVE", "TO DISK", Direction::MemoryToDisk),
    ("SAVE", "FROM MEMORY", Direction::MemoryToDisk),
    ("SAVE", "FROM MEM", Direction::MemoryToDisk),
];

fn read_use(rest: &[Piece<'_>]) -> Option<Command> {
    match rest {
        [schema] => Some(Command::Use(schema.plain())),
        _ => None,
    }
}

fn read_carry(all: &[Piece<'_>]) -> Option<Command> {
    if begins(all, "SAVE CONFIG TO FILE") {
        return Some(Command::WriteFile);
    }
    if begins(all, "SAVE MYSQL DIGEST TO DISK") {
        return Some(Command::KeepDigests);
    }
    // LOAD MYSQL USER <name> TO RUNTIME: a load is checked and published whole, so it carries all of them.
    let (verb, behind) = all.split_first()?;
    let (unit, rest) = if begins(behind, "MYSQL USER") && all.len() == 6 {
        (Some(Unit::Users), all.get(4..)?)
    } else if begins(behind, "ALL") {
        (None, all.get(2..)?)
    } else {
        let (words, unit) = Unit::NAMES.iter().find(|(words, _)| begins(behind, words))?;
        (Some(*unit), all.get(1 + words.split(' ').count()..)?)
    };
    let (_, _, direction) = DIRECTIONS.iter().find(|(first, words, _)| verb.is(first) && are(rest, words))?;
    Some(Command::Carry(unit, *direction))
}

fn read_set(statement: &str, mut rest: &[Piece<'_>]) -> Command {
    while let [scope, behind @ ..] = rest
        && ["GLOBAL", "SESSION", "LOCAL"].iter().any(|word| scope.is(word))
    {
        rest = behind;
    }
    let mut sides = rest.splitn(2, |p| p.is("=") || p.is(":="));
    let (Some(name), Some(value)) = (sides.next(), sides.next()) else { return Command::Noise };
    // Word by word: what stands between them may be a comment.
    let name: String = name.iter().map(|piece| piece.raw).collect();
    let name = name.trim_start_matches('@').trim_matches('`').trim_start_matches("global.").to_ascii_lowercase();
    let ours = ["mysql-", "admin-", "switchboard-", "ldap-"].iter().any(|kind| name.starts_with(kind));
    if !ours {
        // SET NAMES, SET autocommit, SET sql_mode … : the session has none of it.
        return Command::Noise;
    }
    let value = match value {
        [one] => one.plain(),
        several => several.first().and_then(|p| statement.get(p.start..)).unwrap_or_default().trim().to_owned(),
    };
    Command::Set(name, value)
}

fn read_transaction(all: &[Piece<'_>]) -> Option<Command> {
    let known =
        begins(all, "START TRANSACTION") || begins(all, "BEGIN") || begins(all, "COMMIT") || are(all, "ROLLBACK");
    known.then_some(Command::Noise)
}

fn read_rollback(all: &[Piece<'_>]) -> Option<Command> {
    let number = all.get(4).filter(|_| begins(all, "ROLLBACK CONFIG TO VERSION") && all.len() == 5)?;
    number.text.parse().ok().map(Command::Rollback)
}

/// What PROXYSQL may be followed by and does nothing here, with what to say of it.
const NOTHING: [(&str, &str); 13] = [
    ("READONLY", "the port is read-only to those whose role says so"),
    ("READWRITE", "the port is read-only to those whose role says so"),
    ("START", "the router runs"),
    ("STOP", "use PROXYSQL PAUSE, or PROXYSQL SHUTDOWN SLOW"),
    ("RESTART", "a process manager restarts the router"),
    ("FLUSH LOGS", "the log goes to standard error"),
    ("FLUSH QUERY CACHE", "results are not cached"),
    ("FLUSH MYSQL CLIENT HOSTS", "clients' hosts are not cached"),
    ("FLUSH CONFIGDB", "there is no database of the configuration: SAVE … TO DISK writes the files"),
    ("CLUSTER_NODE_UUID", "there is no cluster"),
    ("COREDUMP", "the system writes core dumps"),
    ("MEMPROFILE", "there is no memory profiler"),
    ("GCOV", "there is nothing of that kind"),
];

fn read_operation(rest: &[Piece<'_>]) -> Command {
    let operation = match rest {
        _ if are(rest, "PAUSE") => Operation::Pause,
        _ if are(rest, "RESUME") => Operation::Resume,
        _ if are(rest, "SHUTDOWN SLOW") => Operation::Shutdown { slow: true },
        _ if are(rest, "SHUTDOWN") || are(rest, "KILL") => Operation::Shutdown { slow: false },
        _ if are(rest, "RELOAD TLS") => Operation::ReloadTls,
        _ => match NOTHING.iter().find(|(words, _)| begins(rest, words)) {
            Some((_, why)) => Operation::Nothing(why),
            None => return Command::NotHere("PROXYSQL"),
        },
    };
    Command::Operate(operation)
}

fn read_kill(all: &[Piece<'_>]) -> Option<Command> {
    let (query, rest) = match all.get(1)? {
        word if word.is("CONNECTION") => (false, all.get(2..)?),
        word if word.is("QUERY") => (true, all.get(2..)?),
        _ => (false, all.get(1..)?),
    };
    match rest {
        [number] => Some(Command::Kill { session: number.text.parse().ok()?, query }),
        _ => None,
    }
}

/// The tables of CHECKSUM.
const CHECKSUMS: [(&str, &str); 10] = [
    ("SERVERS SSL PARAMS", "mysql_servers_ssl_params"),
    ("SERVERS", "mysql_servers"),
    ("USERS", "mysql_users"),
    ("QUERY RULES", "mysql_query_rules"),
    ("VARIABLES", "global_variables"),
    ("REPLICATION HOSTGROUPS", "mysql_replication_hostgroups"),
    ("GROUP REPLICATION HOSTGROUPS", "mysql_group_replication_hostgroups"),
    ("GALERA HOSTGROUPS", "mysql_galera_hostgroups"),
    ("AURORA HOSTGROUPS", "mysql_aws_aurora_hostgroups"),
    ("HOSTGROUP ATTRIBUTES", "mysql_hostgroup_attributes"),
];

fn read_checksum(rest: &[Piece<'_>]) -> Option<Command> {
    let (first, behind) = rest.split_first()?;
    let disk = first.is("DISK");
    let rest = if disk || first.is("MEMORY") || first.is("MEM") { behind } else { rest };
    let rest = rest.split_first().filter(|(word, _)| word.is("MYSQL")).map(|(_, rest)| rest)?;
    let (_, table) = CHECKSUMS.iter().find(|(words, _)| are(rest, words))?;
    Some(Command::Checksum(Checksum { disk, table }))
}

fn read_truncate(all: &[Piece<'_>]) -> Option<Command> {
    let rest = if all.get(1)?.is("TABLE") { all.get(2..)? } else { all.get(1..)? };
    let rest = if begins(rest, "STATS .") { rest.get(2..)? } else { rest };
    match rest {
        [table] => {
            let digests = ["stats_mysql_query_digest", "stats_mysql_query_digest_reset"];
            let named = digests.iter().any(|name| table.plain().eq_ignore_ascii_case(name));
            named.then_some(Command::ForgetDigests)
        }
        _ => None,
    }
}

fn read_explain(statement: &str, all: &[Piece<'_>]) -> Option<Command> {
    let first = all.get(2).filter(|_| begins(all, "EXPLAIN ROUTE"))?;
    let mut end = statement.len();
    let mut who = None;
    // … AS user@schema, AS 'user'@'schema', AS user
    let tail = |from_end: usize| all.len().checked_sub(from_end).and_then(|at| all.get(at));
    if let (Some(word), Some(name), Some(schema)) = (tail(3), tail(2), tail(1))
        && word.is("AS")
        && schema.kind == TokenKind::UserVariable
    {
        let named = schema.raw.trim_start_matches('@').trim_matches(['\'', '"', '`']);
        who = Some((name.plain(), Some(named.to_owned()).filter(|s| !s.is_empty())));
        end = word.start;
    }
    let statement = statement.get(first.start..end)?.trim().to_owned();
    Some(Command::ExplainRoute { statement, who })
}

fn read_select(all: &[Piece<'_>]) -> Option<Command> {
    if are(all, "SELECT CONFIG FILE") {
        return Some(Command::ConfigFile);
    }
    begins(all, "SELECT CONFIG INTO OUTFILE").then_some(Command::WriteFile)
}

#[cfg(test)]
mod tests;
