//! What a statement does, proven from its tokens.
//!
//! [`classify`] walks the tokens of a text once for each way in which a server may read it, and unites what it finds. It
//! is an allow-list at every step: a statement is safe on a reader ([`Facts::reader_safe`]) only if its first word, the
//! words that shape it, and every function and variable in it are known to be harmless. What is not known, not whole, or
//! read differently by different servers is [`Effects::UNPROVEN`], and [`Facts::unproven`] says why.
//!
//! The estate has MariaDB in front and MySQL behind, so both grammars count, and of a text with executable comments
//! (`/*! … */`, `/*M! … */`) all readings: the comment's content is code to one server and nothing to the other.
//!
//! What it refuses: it keeps no state, knows no schema (a view may call a function that writes, a default schema may be
//! `information_schema`: the caller's affair), and looks at no literal's value, so that all statements of one
//! [`super::digest::Digest`] have the same facts. Time and memory are linear in the text, or bounded.
//!
//! Within: `cursor` (tokens of one reading), `words`, `functions` and `variables` (what is known), `scan` and `keywords`
//! (the walk), `names` (tables), and the statements by family: `statement`, `dml`, `set`, `show`, `ddl`, `admin`.

use super::LexMode;
use super::effects::{Effects, Facts, RouteHint};
use super::lexer::route_hint_body;
use cursor::{Comments, Reading};
use scan::Scan;

mod admin;
mod cursor;
mod ddl;
mod dml;
mod functions;
mod keywords;
mod named;
mod names;
mod scan;
mod set;
mod show;
mod statement;
mod variables;
mod words;

/// Classifies a statement (or several, separated by `;`).
pub fn classify(sql: &[u8], mode: LexMode) -> Facts {
    let comments = Comments::find(sql, mode);
    let openings = comments.openings.len().min(cursor::MAX_OPENINGS);
    let mut facts = Facts::default();
    // All comments in, and so on down to all comments out.
    for reading in (0..1u8 << openings).rev() {
        let mut scan = Scan::new(sql, mode, &comments.openings, Reading(reading));
        scan.text();
        let hints = scan.route_hints();
        unite(&mut facts, scan.facts, hints);
    }
    if !comments.openings.is_empty() {
        facts.effects |= Effects::EXECUTABLE_COMMENT;
    }
    if let Some(why) = comments.doubt {
        facts.effects |= Effects::UNPROVEN;
        facts.unproven = why;
    }
    if (facts.effects - Effects::EXECUTABLE_COMMENT).is_empty() {
        facts.effects |= Effects::UNPROVEN;
        facts.unproven = "an empty statement";
    }
    facts
}

/// Adds what another reading of the text found.
fn unite(facts: &mut Facts, other: Facts, hints: Vec<RouteHint>) {
    if facts.effects.is_empty() {
        facts.verb = other.verb;
    }
    facts.effects |= other.effects;
    if facts.unproven.is_empty() {
        facts.unproven = other.unproven;
    }
    facts.procedure = facts.procedure.take().or(other.procedure);
    add_new(&mut facts.tables, other.tables);
    add_new(&mut facts.functions, other.functions);
    add_new(&mut facts.variables, other.variables);
    add_new(&mut facts.hints, hints);
}

/// Both lists are bounded, and the first is empty but for texts with executable comments.
fn add_new<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    if list.is_empty() {
        *list = more;
        return;
    }
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

impl Scan<'_> {
    /// The `key=value` pairs of the hints that were met.
    fn route_hints(&self) -> Vec<RouteHint> {
        const MOST: usize = 32;
        let mut hints = Vec::new();
        for token in &self.cur.hints {
            let text = token.text(self.cur.sql);
            let body = text.get(2..text.len().saturating_sub(2)).and_then(route_hint_body).unwrap_or_default();
            for pair in String::from_utf8_lossy(body).split_ascii_whitespace() {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                if hints.len() < MOST {
                    hints.push(RouteHint { key: key.to_ascii_lowercase().into(), value: value.into() });
                }
            }
        }
        hints
    }
}
