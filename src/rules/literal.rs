//! What a text must contain for a pattern to match it: thousands of patterns are passed over by one look at the text.
//!
//! A pattern's longest required piece of plain text is taken out of it (`FROM archive_7` of `^SELECT .* FROM archive_7\b`), and all
//! pieces are searched for at once. Only patterns whose piece is there are tried. Beside time this saves memory: a regular expression
//! sets up its working memory when a thread first runs it, and after a reload that would be all of them, by the first statement.
//!
//! Pieces are compared without case (ASCII), whatever the pattern says: a piece found in vain costs a try, and none is missed.

use aho_corasick::AhoCorasick;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

/// Shorter pieces are in most texts.
const SHORTEST: usize = 3;

/// The longest piece of plain text without which nothing matches the pattern; none where there is none of any length.
pub(super) fn required(pattern: &str) -> Option<Box<[u8]>> {
    // As the pattern is compiled, but for case.
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).ok()?;
    longest(&parsed).filter(|piece| piece.len() >= SHORTEST).map(Box::from)
}

fn longest(pattern: &Hir) -> Option<&[u8]> {
    match pattern.kind() {
        HirKind::Literal(literal) => Some(&literal.0),
        HirKind::Capture(capture) => longest(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => longest(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(longest).max_by_key(|piece| piece.len()),
        HirKind::Repetition(_) | HirKind::Alternation(_) | HirKind::Class(_) | HirKind::Look(_) | HirKind::Empty => {
            None
        }
    }
}

/// Pieces, each with the place of its rule.
#[derive(Debug)]
pub(super) struct Pieces {
    automaton: AhoCorasick,
    /// By the number of the piece.
    places: Vec<u32>,
}

impl Pieces {
    /// Gives the pieces back where they are too many to be searched for at once.
    pub fn new(pieces: Vec<(Box<[u8]>, u32)>) -> Result<Self, Vec<(Box<[u8]>, u32)>> {
        let texts = pieces.iter().map(|(piece, _)| piece);
        match AhoCorasick::builder().ascii_case_insensitive(true).build(texts) {
            Ok(automaton) => Ok(Self { automaton, places: pieces.into_iter().map(|(_, place)| place).collect() }),
            Err(_) => Err(pieces),
        }
    }

    /// The places of the rules whose piece is in the text, ascending, each once.
    pub fn found_in(&self, text: &[u8]) -> Vec<u32> {
        let hits = self.automaton.find_overlapping_iter(text);
        let mut places: Vec<u32> = hits.filter_map(|hit| self.places.get(hit.pattern().as_usize()).copied()).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::bytes::RegexBuilder;

    #[test]
    fn the_longest_required_piece() {
        let table: [(&str, Option<&str>); 14] = [
            ("^SELECT .* FROM archive_7 ", Some(" FROM archive_7 ")),
            ("^SELECT", Some("SELECT")),
            (r"\bcall_records\b", Some("call_records")),
            ("(?i)orders", None),
            ("(orders)+ x", Some("orders")),
            ("(orders)* x=?", None),
            ("(orders){0,3}", None),
            ("abc|abd", None),
            ("insert|update", None),
            ("id = (1|2) AND kind", Some(" AND kind")),
            (".", None),
            ("", None),
            ("ab", None),
            ("(unclosed", None),
        ];
        for (pattern, piece) in table {
            assert_eq!(required(pattern).as_deref(), piece.map(str::as_bytes), "{pattern}");
        }
    }

    #[test]
    fn no_pattern_that_matches_is_passed_over() {
        let patterns = [
            "^SELECT .* FROM archive_7",
            "from (archive|orders)_7",
            "(?-i)FROM archive_7",
            r"archive_\d",
            "chive",
            "hive_7 WHERE",
            "^\\s*select",
            "x{2,}",
            "archive_7 where id = \\?$",
            "[a-z]rchive",
            "(?s)SELECT.a",
            "",
        ];
        let texts =
            ["SELECT a FROM archive_7 WHERE id = ?", "select xx from orders_7", "FROM ARCHIVE_7", "chiv", "", "xxx"];
        let filed: Vec<_> = (0u32..).zip(patterns).filter_map(|(n, p)| Some((required(p)?, n))).collect();
        assert!(filed.len() >= 6, "{filed:?}");
        let numbers: Vec<u32> = filed.iter().map(|(_, n)| *n).collect();
        let pieces = Pieces::new(filed).unwrap();
        for text in texts {
            let found = pieces.found_in(text.as_bytes());
            for number in &numbers {
                let pattern = patterns[*number as usize];
                for caseless in [false, true] {
                    let regex = RegexBuilder::new(pattern).unicode(false).case_insensitive(caseless).build().unwrap();
                    let missed = regex.is_match(text.as_bytes()) && !found.contains(number);
                    assert!(!missed, "{pattern} matches {text}");
                }
            }
        }
    }
}
