//! What must be equal on both sides, and the little that may differ.
//!
//! Equal: the number and kind of the replies, every byte of column definitions and rows, affected rows, insert ids, numbers of
//! warnings, the flags that a client acts on, errors by number, SQLSTATE and text. Not compared: flags about how a query
//! was planned, and state changes that a client asked to be told. Connection numbers differ by nature: where a text
//! holds one that the program knows, it is put back to the name that the program has for it.

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
        a != b && plain(&super::reply::row_shown(a, false), one) != plain(&super::reply::row_shown(b, false), other)
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

#[test]
fn connection_numbers_are_put_back_to_names() {
    let numbers = Numbers::from([(1, 12), (2, 7)]);
    assert_eq!(plain("Unknown thread id: 12 (not 127 nor 7)", &numbers), "Unknown thread id: {s1} (not 127 nor {s2}) ");
}
