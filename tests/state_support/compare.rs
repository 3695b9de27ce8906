//! What must be equal on both sides, and the little that may differ.
//!
//! Equal: the number and kind of the replies, every byte of column definitions and rows, affected rows, insert ids, numbers of
//! warnings, the flags that a client acts on, errors by number, SQLSTATE and text. Not compared: flags about how a query
//! was planned, and state changes that a client asked to be told. Connection numbers differ by nature: where a text
//! holds one that the program knows, it is put back to the name that the program has for it. A server's own record of what ran
//! (MySQL's and MariaDB's optimizer traces) has the words in which the router asks for CONNECTION_ID(); those are put back too.

use super::reply::Reply;
use std::collections::BTreeMap;
use switchboard::protocol::status::Status;

/// The flags that a client acts on.
pub const SEEN: Status = Status::IN_TRANSACTION
    .union(Status::AUTOCOMMIT)
    .union(Status::MORE_RESULTS)
    .union(Status::CURSOR_EXISTS)
    .union(Status::LAST_ROW_SENT)
    .union(Status::DB_DROPPED)
    .union(Status::NO_BACKSLASH_ESCAPES)
    .union(Status::PS_OUT_PARAMS)
    .union(Status::IN_TRANSACTION_READ_ONLY);

/// MariaDB reads a table of a default schema that another session has dropped, and says that the table is not there (ER_NO_SUCH_TABLE). No
/// connection can be brought into a schema that is gone: the router's error is the one that says so (ER_BAD_DB_ERROR).
const SCHEMA_IS_GONE: (u16, u16) = (1146, 1049);

/// Errors whose text has a prepared statement's number, which each server counts in its own way: no open cursor, no such statement.
const NAMES_A_STATEMENT: [u16; 2] = [1421, 1243];

/// The connection numbers of one side, by session.
pub type Numbers = BTreeMap<usize, u32>;

/// What differs between two answers to one step; `None` for nothing. The first word names the field.
pub fn difference(direct: (&[Reply], &Numbers), routed: (&[Reply], &Numbers)) -> Option<String> {
    for (at, (one, other)) in direct.0.iter().zip(routed.0).enumerate() {
        if let Some(what) = one_difference((one, direct.1), (other, routed.1)) {
            return Some(if at == 0 { what } else { format!("{what} (result {})", at + 1) });
        }
    }
    (direct.0.len() != routed.0.len())
        .then(|| format!("results: {} directly, {} routed", direct.0.len(), routed.0.len()))
}

fn one_difference(direct: (&Reply, &Numbers), routed: (&Reply, &Numbers)) -> Option<String> {
    match (direct.0, routed.0) {
        (
            Reply::Ok { affected: a, insert_id: i, status: s, warnings: w, info: t },
            Reply::Ok { affected: a2, insert_id: i2, status: s2, warnings: w2, info: t2 },
        ) => field("affected rows", a, a2)
            .or_else(|| field("insert id", i, i2))
            .or_else(|| field("warnings", w, w2))
            .or_else(|| flags(*s, *s2))
            .or_else(|| field("info", t, t2)),
        (
            Reply::Rows { columns: c, rows: r, status: s, warnings: w, .. },
            Reply::Rows { columns: c2, rows: r2, status: s2, warnings: w2, .. },
        ) => (c != c2)
            .then(|| "columns differ".to_owned())
            .or_else(|| rows_differ(r, r2, direct.1, routed.1))
            .or_else(|| field("warnings", w, w2))
            .or_else(|| flags(*s, *s2)),
        (Reply::Prepared { .. }, Reply::Prepared { .. }) => {
            (direct.0 != routed.0).then(|| "columns of a prepared statement differ".to_owned())
        }
        (Reply::Err { code: c, .. }, Reply::Err { code: c2, .. }) if (*c, *c2) == SCHEMA_IS_GONE => None,
        (Reply::Err { code: c, state: s, text: t }, Reply::Err { code: c2, state: s2, text: t2 }) => {
            field("error", c, c2).or_else(|| field("sqlstate", s, s2)).or_else(|| {
                if NAMES_A_STATEMENT.contains(c) {
                    return None;
                }
                let texts = (plain(t, direct.1), plain(t2, routed.1));
                (t != t2 && texts.0 != texts.1).then(|| "text of the error differs".to_owned())
            })
        }
        (one, other) if one == other => None,
        (one, other) => Some(format!("kind: {} directly, {} routed", kind(one), kind(other))),
    }
}

fn kind(reply: &Reply) -> String {
    match reply {
        Reply::Ok { .. } => "OK".into(),
        Reply::Rows { .. } => "rows".into(),
        Reply::Prepared { .. } => "prepared".into(),
        Reply::Err { code, .. } => format!("error {code}"),
        Reply::Nothing(what) => (*what).into(),
        Reply::Broken(fault) => format!("{fault:?}"),
    }
}

fn field<T: PartialEq + std::fmt::Debug>(name: &str, direct: &T, routed: &T) -> Option<String> {
    (direct != routed).then(|| format!("{name}: {direct:?} directly, {routed:?} routed"))
}

fn flags(direct: Status, routed: Status) -> Option<String> {
    let differ = (direct ^ routed) & SEEN;
    let names: Vec<_> = differ.iter_names().map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| format!("flags differ: {}", names.join(" ")))
}

fn rows_differ(direct: &[Vec<u8>], routed: &[Vec<u8>], one: &Numbers, other: &Numbers) -> Option<String> {
    if direct.len() != routed.len() {
        return Some(format!("rows: {} directly, {} routed", direct.len(), routed.len()));
    }
    let differ = |(a, b): (&Vec<u8>, &Vec<u8>)| {
        // Texts with connection numbers in them: SHOW WARNINGS of a failed KILL.
        let shown = |row: &[u8], numbers| own_words(&plain(&super::reply::row_shown(row, false), numbers));
        a != b && shown(a, one) != shown(b, other)
    };
    let at = direct.iter().zip(routed).position(differ)?;
    let row = |rows: &[Vec<u8>]| rows.get(at).map(|row| super::reply::row_shown(row, false)).unwrap_or_default();
    Some(format!("row {} differs\n    directly: {}\n    routed:   {}", at + 1, row(direct), row(routed)))
}

/// A text with the connection numbers as the program's names for them.
fn plain(text: &str, numbers: &Numbers) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            let session = numbers.iter().find(|(_, number)| number.to_string() == digits);
            match session {
                Some((session, _)) => out.push_str(&format!("{{s{session}}}")),
                None => out.push_str(&digits),
            }
            digits.clear();
        }
        out.push(c);
    }
    out
}

/// A text with CONNECTION_ID() in the place of the words in which the router asks for it: `CRC32(0x…)` of eight digits on MariaDB, a
/// session's number in `(…|0)` on MySQL.
fn own_words(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some(at) = rest.find(['C', '(']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let of_mariadb = from.strip_prefix("CRC32(0x").and_then(|hex| hex.get(8..)?.strip_prefix(')'));
        let of_mysql =
            from.strip_prefix("({s").and_then(|name| name.trim_start_matches(char::is_numeric).strip_prefix("}|0)"));
        match of_mariadb.or(of_mysql) {
            Some(behind) => {
                out.push_str("CONNECTION_ID()");
                rest = behind;
            }
            None => {
                out.push_str(&from[..1]);
                rest = &from[1..];
            }
        }
    }
    out + rest
}

#[test]
fn the_routers_words_for_a_connections_number_are_put_back() {
    assert_eq!(own_words("SELECT CRC32(0x5E004A00) + 1 = ({s2}|0)"), "SELECT CONNECTION_ID() + 1 = CONNECTION_ID()");
    assert_eq!(own_words("CRC32(0x1) (C ({s2}"), "CRC32(0x1) (C ({s2}");
}

#[test]
fn connection_numbers_are_put_back_to_names() {
    let numbers = Numbers::from([(1, 12), (2, 7)]);
    assert_eq!(plain("Unknown thread id: 12 (not 127 nor 7)", &numbers), "Unknown thread id: {s1} (not 127 nor {s2}) ");
}
