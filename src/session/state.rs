//! What a session has set, as far as it can be carried from one server to another.
//!
//! Two sources are put together. The session's own SET statements say *what was meant* (`time_zone = DEFAULT`,
//! `NAMES utf8mb4 COLLATE utf8mb4_unicode_ci`, of which a server reports the character set alone); the server's session
//! tracking says *what it is now*, for all that was computed (`sql_mode = CONCAT(@@sql_mode, …)`) or set out of sight
//! (inside a procedure). What neither can say pins the session.
//!
//! States are interned per worker: sessions and connections hold an `Rc`, and "nothing to do" is one pointer compared.

use crate::backend::Engine;
use crate::sql::LexMode;
use hashbrown::HashSet;
use jiff::tz::TimeZone;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The key under which `SET NAMES` and `SET CHARACTER SET` are kept.
pub const CHARSET_KEY: &str = " charset";
/// What `SET NAMES` and `SET CHARACTER SET` set, besides what is kept under [`CHARSET_KEY`].
pub const CHARSET_VARIABLES: [&str; 4] =
    ["character_set_client", "character_set_connection", "character_set_results", "collation_connection"];
/// The key under which `SET SESSION TRANSACTION ISOLATION LEVEL` is kept.
pub const ISOLATION_KEY: &str = " isolation";
/// The key under which `SET SESSION TRANSACTION READ ONLY/WRITE` is kept.
pub const ACCESS_KEY: &str = " access";

/// The portable part of a session's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Portable {
    /// The default schema.
    pub schema: Option<Box<str>>,
    /// Name of a variable (lower case) to the clause that sets it, without `SET`. Keys that begin with a space are the
    /// statements that are no assignments.
    pub variables: BTreeMap<Box<str>, Box<str>>,
    /// How statements are read where nothing is set: by the server's global `sql_mode`, and by the character set that was
    /// agreed at sign-in. Nothing changes it but a new life of the session or the connection.
    pub base: LexMode,
}

/// An interned [`Portable`], with what follows from it.
#[derive(Debug)]
pub struct State {
    /// The state itself.
    pub portable: Portable,
    /// How the session's statements are to be read.
    pub lex_mode: LexMode,
    /// The session's time zone, where it has set one that can be named here.
    pub time_zone: Option<TimeZone>,
    /// Engines that refused it: bits by [`Engine`]. The session's statements go where it can be had.
    refused: Cell<u8>,
}

impl State {
    fn new(portable: Portable) -> Self {
        let lex_mode = lex_mode(&portable);
        let time_zone = portable.variables.get("time_zone").and_then(|c| read_time_zone(&right_side(c)));
        Self { portable, lex_mode, time_zone, refused: Cell::new(0) }
    }

    /// An engine answered the state's SET with an error that says it will never have it.
    pub fn refuse(&self, engine: Engine) {
        self.refused.set(self.refused.get() | 1 << engine as u8);
    }

    /// True if that engine is known not to have this state.
    pub fn is_refused_by(&self, engine: Engine) -> bool {
        self.refused.get() & (1 << engine as u8) != 0
    }

    /// True if what NOW() means for the session is not ours to know: it has set its own `timestamp`, or a time zone that
    /// cannot be read here.
    pub fn has_own_clock(&self) -> bool {
        let unread = |clause: &str| self.time_zone.is_none() && !right_side(clause).eq_ignore_ascii_case("SYSTEM");
        self.portable.variables.contains_key("timestamp")
            || self.portable.variables.get("time_zone").is_some_and(|clause| unread(clause))
    }
}

/// How a session in this state has its statements read.
fn lex_mode(portable: &Portable) -> LexMode {
    let set = |name: &str| portable.variables.get(name);
    let by_mode = set("sql_mode").map_or(portable.base, |clause| LexMode::from_sql_mode(&right_side(clause)));
    // `NAMES x [COLLATE y]` or `CHARACTER SET x`; a single variable set after it stands beside it, and counts.
    fn named(clause: &str) -> Option<&str> {
        let mut words = clause.split_ascii_whitespace();
        match words.next() {
            Some(first) if first.eq_ignore_ascii_case("CHARACTER") => words.nth(1).map(unquote),
            _ => words.next().map(unquote),
        }
    }
    let charset = set("character_set_client")
        .map(|clause| right_side(clause))
        .or_else(|| set(CHARSET_KEY).map(|clause| named(clause).unwrap_or_default().to_owned()));
    let foreign_charset = charset.map_or(portable.base.foreign_charset, |name| LexMode::is_foreign_charset(&name));
    LexMode { foreign_charset, ..by_mode }
}

/// A `time_zone` value: `+02:00`, or a name of the time zone database. `SYSTEM` is not ours to know.
fn read_time_zone(value: &str) -> Option<TimeZone> {
    let offset = |sign: i32, rest: &str| {
        let (hours, minutes) = rest.split_once(':')?;
        let seconds =
            hours.parse::<i32>().ok()?.checked_mul(3600)?.checked_add(minutes.parse::<i32>().ok()?.checked_mul(60)?)?;
        jiff::tz::Offset::from_seconds(sign * seconds).ok().map(TimeZone::fixed)
    };
    match value.as_bytes().first()? {
        b'+' => offset(1, &value[1..]),
        b'-' => offset(-1, &value[1..]),
        _ => TimeZone::get(value).ok(),
    }
}

/// The value in `name = 'value'`, without quotes.
fn right_side(clause: &str) -> String {
    unquote(clause.split_once('=').map_or("", |(_, v)| v).trim()).to_owned()
}

fn unquote(value: &str) -> &str {
    value.strip_prefix(['\'', '"']).and_then(|v| v.strip_suffix(['\'', '"'])).unwrap_or(value)
}

/// The states that a worker's sessions and connections are in.
#[derive(Debug, Default)]
pub struct Interner {
    states: RefCell<HashSet<Key, foldhash::fast::FixedState>>,
}

#[derive(Debug, Clone)]
struct Key(Rc<State>);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.portable == other.0.portable
    }
}
impl Eq for Key {}
impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        self.0.portable.hash(hasher);
    }
}
impl std::borrow::Borrow<Portable> for Key {
    fn borrow(&self) -> &Portable {
        &self.0.portable
    }
}

/// States that nobody is in are let go once there are this many.
const SWEEP_AT: usize = 1024;

impl Interner {
    /// The one `Rc` for this state.
    pub fn intern(&self, portable: Portable) -> Rc<State> {
        let mut states = self.states.borrow_mut();
        if let Some(known) = states.get(&portable) {
            return Rc::clone(&known.0);
        }
        if states.len() >= SWEEP_AT && states.len().is_power_of_two() {
            states.retain(|key| Rc::strong_count(&key.0) > 1);
        }
        let state = Rc::new(State::new(portable));
        states.insert(Key(Rc::clone(&state)));
        state
    }
}

/// What brings a connection from one state to another.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Transition {
    /// The schema to change to.
    pub schema: Option<Box<str>>,
    /// Statements to run, in order.
    pub statements: Vec<String>,
}

/// The way from `from` to `to` on a server of this engine; `None` if there is none (a schema or a character set that was
/// chosen cannot be un-chosen, and a base is what it is): the connection stays for sessions that want it as it is.
pub fn transition(from: &State, to: &State, engine: Engine) -> Option<Transition> {
    let (from, to) = (&from.portable, &to.portable);
    if from.base != to.base {
        return None;
    }
    let mut way = Transition::default();
    if from.schema != to.schema {
        way.schema = Some(to.schema.clone()?);
    }
    let mut clauses = Vec::new();
    // SET NAMES undoes what was set singly before it, also where that is the same on both sides.
    let renamed = from.variables.get(CHARSET_KEY) != to.variables.get(CHARSET_KEY);
    for (name, clause) in &to.variables {
        if from.variables.get(name) != Some(clause) || renamed && CHARSET_VARIABLES.contains(&&**name) {
            match name.as_bytes().first() {
                Some(b' ') => way.statements.push(format!("SET {clause}")),
                _ => clauses.push(for_engine(name, clause, engine)),
            }
        }
    }
    for name in from.variables.keys().filter(|name| !to.variables.contains_key(*name)) {
        match &**name {
            CHARSET_KEY => return None,
            ISOLATION_KEY => clauses.push(for_engine("transaction_isolation", "transaction_isolation=DEFAULT", engine)),
            ACCESS_KEY => clauses.push(for_engine("transaction_read_only", "transaction_read_only=DEFAULT", engine)),
            _ => clauses.push(for_engine(name, &format!("{name}=DEFAULT"), engine)),
        }
    }
    if !clauses.is_empty() {
        way.statements.push(format!("SET {}", clauses.join(",")));
    }
    Some(way)
}

/// `sql_mode` members that MySQL 8.0 has no more, and those that MariaDB 10.11 does not know.
const MARIADB_MODES: [&str; 12] = [
    "NO_AUTO_CREATE_USER",
    "EMPTY_STRING_IS_NULL",
    "SIMULTANEOUS_ASSIGNMENT",
    "TIME_ROUND_FRACTIONAL",
    "IGNORE_BAD_TABLE_OPTIONS",
    "ORACLE",
    "MSSQL",
    "DB2",
    "POSTGRESQL",
    "MAXDB",
    "MYSQL323",
    "MYSQL40",
];
const MARIADB_FIELD_MODES: [&str; 3] = ["NO_FIELD_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS"];
const MYSQL_MODES: [&str; 1] = ["TIME_TRUNCATE_FRACTIONAL"];

/// A clause in the words of the engine that it goes to.
fn for_engine(name: &str, clause: &str, engine: Engine) -> String {
    let renamed = match (name, engine) {
        ("tx_isolation", Engine::MySql) => Some("transaction_isolation"),
        ("tx_read_only", Engine::MySql) => Some("transaction_read_only"),
        ("transaction_isolation", Engine::MariaDb) => Some("tx_isolation"),
        ("transaction_read_only", Engine::MariaDb) => Some("tx_read_only"),
        _ => None,
    };
    if let Some(other) = renamed {
        return clause.replacen(name, other, 1);
    }
    if name == "sql_mode" && !right_side(clause).eq_ignore_ascii_case("DEFAULT") {
        let foreign = |mode: &str| match engine {
            Engine::MySql => MARIADB_MODES.iter().chain(&MARIADB_FIELD_MODES).any(|m| m.eq_ignore_ascii_case(mode)),
            Engine::MariaDb => MYSQL_MODES.iter().any(|m| m.eq_ignore_ascii_case(mode)),
            Engine::Unknown => false,
        };
        let value = right_side(clause);
        // A mode that changes the meaning of statements (ORACLE and kin) cannot be dropped: let the server refuse it.
        let meaning = [
            "ORACLE",
            "MSSQL",
            "DB2",
            "POSTGRESQL",
            "MAXDB",
            "EMPTY_STRING_IS_NULL",
            "SIMULTANEOUS_ASSIGNMENT",
            "TIME_ROUND_FRACTIONAL",
            "TIME_TRUNCATE_FRACTIONAL",
        ];
        let kept: Vec<&str> = value
            .split(',')
            .filter(|mode| !foreign(mode.trim()) || meaning.iter().any(|m| m.eq_ignore_ascii_case(mode.trim())))
            .collect();
        if kept.len() < value.split(',').count() {
            return format!("sql_mode='{}'", kept.join(","));
        }
    }
    clause.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(schema: Option<&str>, variables: &[(&str, &str)]) -> State {
        State::new(Portable {
            schema: schema.map(Into::into),
            variables: variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            base: LexMode::default(),
        })
    }

    #[test]
    fn only_what_differs_is_brought() {
        let plain = state(Some("a"), &[]);
        let set = state(Some("b"), &[("sql_mode", "sql_mode='ANSI'"), ("time_zone", "time_zone='+00:00'")]);
        let way = transition(&plain, &set, Engine::MariaDb).unwrap();
        assert_eq!(way.schema.as_deref(), Some("b"));
        assert_eq!(way.statements, ["SET sql_mode='ANSI',time_zone='+00:00'"]);
        let back = transition(&set, &plain, Engine::MariaDb).unwrap();
        assert_eq!(back.statements, ["SET sql_mode=DEFAULT,time_zone=DEFAULT"]);
        assert_eq!(transition(&set, &set, Engine::MySql), Some(Transition::default()));
    }

    #[test]
    fn what_cannot_be_undone_is_no_way() {
        let chosen = state(Some("a"), &[]);
        let none = state(None, &[]);
        assert_eq!(transition(&chosen, &none, Engine::MySql), None);
        let named = state(None, &[(CHARSET_KEY, "NAMES latin1")]);
        assert_eq!(transition(&named, &none, Engine::MySql), None);
        assert_eq!(transition(&none, &named, Engine::MySql).unwrap().statements, ["SET NAMES latin1"]);
    }

    #[test]
    fn what_set_names_undoes_is_set_again() {
        let single = state(None, &[("collation_connection", "collation_connection='utf8mb4_bin'")]);
        let both = state(
            None,
            &[(CHARSET_KEY, "NAMES utf8mb4"), ("collation_connection", "collation_connection='utf8mb4_bin'")],
        );
        let way = transition(&single, &both, Engine::MariaDb).unwrap();
        assert_eq!(way.statements, ["SET NAMES utf8mb4", "SET collation_connection='utf8mb4_bin'"]);
        assert_eq!(transition(&both, &both, Engine::MariaDb), Some(Transition::default()));
    }

    #[test]
    fn each_engine_in_its_own_words() {
        let none = state(None, &[]);
        let isolation = state(None, &[("tx_isolation", "tx_isolation='READ-COMMITTED'")]);
        let sets = |to: &State, engine| transition(&none, to, engine).unwrap().statements;
        assert_eq!(sets(&isolation, Engine::MySql), ["SET transaction_isolation='READ-COMMITTED'"]);
        assert_eq!(sets(&isolation, Engine::MariaDb), ["SET tx_isolation='READ-COMMITTED'"]);
        let mode = state(None, &[("sql_mode", "sql_mode='STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER'")]);
        assert_eq!(sets(&mode, Engine::MySql), ["SET sql_mode='STRICT_TRANS_TABLES'"]);
        assert_eq!(sets(&mode, Engine::MariaDb), ["SET sql_mode='STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER'"]);
        let oracle = state(None, &[("sql_mode", "sql_mode='ORACLE'")]);
        assert_eq!(sets(&oracle, Engine::MySql), ["SET sql_mode='ORACLE'"], "left to be refused, not dropped");
        let both = state(None, &[(ISOLATION_KEY, "SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")]);
        assert_eq!(transition(&both, &none, Engine::MySql).unwrap().statements, ["SET transaction_isolation=DEFAULT"]);
    }

    #[test]
    fn the_mode_that_changes_lexing_is_known() {
        let ansi = state(None, &[("sql_mode", "sql_mode='ANSI,NO_BACKSLASH_ESCAPES'")]);
        assert!(ansi.lex_mode.ansi_quotes && ansi.lex_mode.no_backslash_escapes);
    }

    #[test]
    fn what_is_not_set_is_read_by_the_base() {
        let base = LexMode { ansi_quotes: true, foreign_charset: true, ..LexMode::default() };
        let with = |variables: &[(&str, &str)]| {
            let portable = state(None, variables).portable;
            State::new(Portable { base, ..portable })
        };
        assert_eq!(with(&[]).lex_mode, base);
        assert!(!with(&[("sql_mode", "sql_mode=''")]).lex_mode.ansi_quotes);
        assert!(with(&[("sql_mode", "sql_mode=''")]).lex_mode.foreign_charset);
        assert!(!with(&[(CHARSET_KEY, "NAMES utf8mb4 COLLATE utf8mb4_bin")]).lex_mode.foreign_charset);
        assert_eq!(transition(&with(&[]), &state(None, &[]), Engine::MariaDb), None, "no SET changes a base");
    }

    #[test]
    fn a_character_set_that_hides_ascii_is_known() {
        let foreign = |variables: &[(&str, &str)]| state(None, variables).lex_mode.foreign_charset;
        for (clause, want) in [
            ("NAMES gbk", true),
            ("NAMES 'sjis' COLLATE sjis_bin", true),
            ("CHARACTER SET big5", true),
            ("CHARSET cp932", true),
            ("NAMES utf8mb4", false),
            ("CHARACTER SET 'latin1'", false),
            ("NAMES DEFAULT", true),
        ] {
            assert_eq!(foreign(&[(CHARSET_KEY, clause)]), want, "{clause}");
        }
        let after = [(CHARSET_KEY, "NAMES utf8mb4"), ("character_set_client", "character_set_client='gbk'")];
        assert!(foreign(&after), "set after SET NAMES");
    }

    #[test]
    fn time_zones_by_offset_and_by_name() {
        let zone = |value: &str| state(None, &[("time_zone", &format!("time_zone='{value}'"))]).time_zone;
        assert_eq!(zone("+02:30").map(|z| z.to_fixed_offset().unwrap().seconds()), Some(9000));
        assert_eq!(zone("-08:00").map(|z| z.to_fixed_offset().unwrap().seconds()), Some(-28_800));
        assert_eq!(
            zone("Europe/London").and_then(|z| z.iana_name().map(str::to_owned)).as_deref(),
            Some("Europe/London")
        );
        assert_eq!(zone("SYSTEM"), None);
        assert_eq!(zone("+99:99"), None);
    }

    #[test]
    fn equal_states_are_one() {
        let interner = Interner::default();
        let a = interner.intern(Portable { schema: Some("x".into()), ..Portable::default() });
        let b = interner.intern(Portable { schema: Some("x".into()), ..Portable::default() });
        let c = interner.intern(Portable::default());
        assert!(Rc::ptr_eq(&a, &b) && !Rc::ptr_eq(&a, &c));
    }
}
