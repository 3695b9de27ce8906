//! Horizons of arbitrary text: there is always an answer, and what a server does not see changes nothing.

mod predicate_support;

use jiff::Timestamp;
use predicate_support::{Catalogue, NOW, Session, moment, shown, zone};
use proptest::prelude::*;
use switchboard::sql::LexMode;
use switchboard::sql::digest::Digest;
use switchboard::sql::predicate::{BoundValue, Reach, TimeEnv, TimeProgram};

const PLAIN: LexMode =
    LexMode { ansi_quotes: false, no_backslash_escapes: false, foreign_charset: false, foreign_marks: false };
const MODES: [LexMode; 4] = [
    PLAIN,
    LexMode { ansi_quotes: true, no_backslash_escapes: true, ..PLAIN },
    LexMode { foreign_charset: true, ..PLAIN },
    LexMode { foreign_charset: true, foreign_marks: true, ..PLAIN },
];

/// Words that statements about time are made of.
const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "AND",
    "OR",
    "XOR",
    "NOT",
    "BETWEEN",
    "IN",
    "IS",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "INTERVAL",
    "DAY",
    "MONTH",
    "DAY_HOUR",
    "UNION",
    "EXCEPT",
    "WITH",
    "AS",
    "UPDATE",
    "SET",
    "DELETE",
    "USING",
    "INSERT",
    "INTO",
    "VALUES",
    "JOIN",
    "LEFT",
    "RIGHT",
    "NATURAL",
    "OUTER",
    "ON",
    "STRAIGHT_JOIN",
    "LATERAL",
    "GROUP",
    "BY",
    "ORDER",
    "LIMIT",
    "FOR",
    "OF",
    "DATE",
    "TIMESTAMP",
    "NOW()",
    "CURRENT_DATE",
    "UNIX_TIMESTAMP(",
    "FROM_UNIXTIME(",
    "DATE_SUB(",
    "TIMESTAMPADD(",
    "CAST(",
    "DATE_FORMAT(",
    "LAST_DAY(",
    "f(",
    "call_records",
    "call_events",
    "legs",
    "agents",
    "start_time",
    "event_ts",
    "created",
    "stamp",
    "r",
    "`r`",
    "\"r\"",
    "x",
    "(",
    "(",
    ")",
    ")",
    "{",
    "}",
    "{ts",
    ",",
    ".",
    ";",
    "=",
    "<",
    "<=",
    ">=",
    "<=>",
    "<>",
    ":=",
    "||",
    "&&",
    "+",
    "-",
    "*",
    "/",
    "?",
    "@x",
    "@@y",
    "1",
    "0",
    "-7",
    "20261101",
    "1793491200",
    "9223372036854775807",
    "9223372036854775808",
    "1.5",
    "'2026-11-01'",
    "'1 2'",
    "'%Y-%m-01'",
    "''",
    "'x",
    "NULL",
    "/*",
    "*/",
    "/*!",
    "/*+ SET_VAR(a=1) */",
    "--",
    "#",
    "\n",
    "...",
    "\\N",
    "EXPLAIN",
    "ALL",
    "ROW(",
];

const PARAMS: [BoundValue<'static>; 9] = [
    BoundValue::Int(i64::MIN),
    BoundValue::DateTime(9999, 12, 31, 23, 59, 59, 999_999),
    BoundValue::Bytes(b"9999-12-31 23:59:59.999999"),
    BoundValue::UInt(u64::MAX),
    BoundValue::Double(-1e15),
    BoundValue::DateTime(1, 1, 1, 0, 0, 0, 0),
    BoundValue::Null,
    BoundValue::Int(7),
    BoundValue::Opaque,
];

/// Compiles a text and evaluates it in every way there is; also with the digest of another text.
fn try_everything(text: &[u8], other: &[u8]) {
    for mode in MODES {
        let session = Session { mode, ..Session::of_zone("Europe/London") };
        let (digest, stranger) = (session.digest(text), session.digest(other));
        let program = TimeProgram::compile(text, &digest, mode, &Catalogue::standard());
        for params in [&PARAMS[..], &PARAMS[..1], &[]] {
            for now in [moment(NOW), Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
                for zone in [zone("UTC"), zone("America/New_York")] {
                    for (sql, digest) in [(text, &digest), (other, &stranger), (text, &stranger), (b"", &digest)] {
                        let env = TimeEnv { sql, digest, params, now, time_zone: &zone, mode };
                        let reach = program.reach(&env);
                        assert_eq!(program.is_timeless(), reach == Reach::Timeless);
                        assert!(program.unknown_because().is_none() || reach == Reach::Unknown);
                    }
                }
            }
        }
    }
}

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(WORDS), 0..40).prop_map(|words| words.join(" "))
}

/// A statement that has at least a chance to be bounded.
fn likely() -> impl Strategy<Value = String> {
    soup().prop_map(|soup| format!("SELECT * FROM call_records r JOIN call_events WHERE start_time >= {soup}"))
}

fn spaces() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&[" ", "\n", "\t ", "/**/", " /* OR 1 */ ", " -- OR 1\n", " # OR 1\n", " /* ' */ "][..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..200), other in soup()) {
        try_everything(&text, other.as_bytes());
    }

    #[test]
    fn any_words(text in soup(), other in likely()) {
        try_everything(text.as_bytes(), other.as_bytes());
    }

    #[test]
    fn any_condition(text in likely(), other in likely()) {
        try_everything(text.as_bytes(), other.as_bytes());
    }

    /// Comments, white space and case between and in tokens are nothing to a server, so they are nothing here.
    #[test]
    fn spelling_changes_nothing(
        which in 0..SPELLED.len(),
        gaps in prop::collection::vec(spaces(), 60),
        lower in any::<bool>(),
    ) {
        let (text, expected) = SPELLED[which];
        let mut sql = String::new();
        for (token, gap) in text.split(' ').zip(&gaps) {
            // Names of tables keep their case.
            let upper = token.chars().all(|c| !c.is_ascii_lowercase());
            sql += &if lower && upper { token.to_ascii_lowercase() } else { token.to_owned() };
            sql += gap;
        }
        prop_assert_eq!(shown(Session::of_zone("UTC").reach(sql.as_bytes())), expected, "{}", sql);
    }

    /// A condition that holds back less never proves more: an alternative beside it, or a denial of it, ends the proof.
    #[test]
    fn alternatives_end_the_proof(which in 0..SPELLED.len(), change in 0..5_usize) {
        let (text, _) = SPELLED[which];
        let (head, condition) = text.split_once(" WHERE ").expect("a WHERE");
        let changed = match change {
            0 => format!("{head} WHERE {condition} OR 1"),
            1 => format!("{head} WHERE 1 XOR {condition}"),
            2 => format!("{head} WHERE NOT ( {condition} )"),
            3 => format!("{head} WHERE ( {condition} ) IS FALSE"),
            _ => format!("{head} WHERE x = 1 || ( {condition} )"),
        };
        prop_assert_eq!(shown(Session::of_zone("UTC").reach(changed.as_bytes())), "unknown", "{}", changed);
    }
}

/// Statements, a blank between all tokens, and what they reach.
const SPELLED: &[(&str, &str)] = &[
    ("SELECT a FROM call_records WHERE start_time >= '2026-11-01'", "2026-11-01 00:00:00"),
    ("SELECT a FROM call_records r WHERE r.start_time >= '2026-11-01' AND b = 5", "2026-11-01 00:00:00"),
    ("SELECT a FROM call_records WHERE start_time BETWEEN '2026-11-01' AND NOW() AND b = 5", "2026-11-01 00:00:00"),
    ("SELECT a FROM call_records WHERE start_time >= NOW() - INTERVAL 7 DAY", "2026-11-15 12:34:56"),
    ("SELECT a FROM call_records WHERE start_time IN ( '2026-11-03' , '2026-11-01' )", "2026-11-01 00:00:00"),
    ("DELETE FROM call_events WHERE event_ts > UNIX_TIMESTAMP() - 7 * 86400", "2026-11-15 12:34:56"),
];

#[test]
fn digests_that_do_not_fit_are_no_danger() {
    let program =
        Session::of_zone("UTC").compile(b"SELECT * FROM call_records WHERE id = 1 AND start_time IN (1,2,3,4,5,6)");
    let mut digest = Digest::default();
    for slots in [vec![], vec![9, 9, 9], vec![3, 2, 1, 0], vec![0, 1, 0, 1, 0, 1], vec![u32::MAX; 3]] {
        digest.literals.clear();
        for (at, slot) in slots.iter().enumerate() {
            let at = at as u32 * 7;
            let start = if at.is_multiple_of(2) { at } else { u32::MAX };
            digest.literals.push(switchboard::sql::digest::Literal { slot: *slot, start, end: at.wrapping_sub(5) });
        }
        let session = Session::of_zone("UTC");
        assert_eq!(session.reach_by(&program, b"SELECT 1", &digest), Reach::Unknown);
    }
}
