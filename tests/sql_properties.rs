//! What must hold for every statement of the tables, however it is written: comments, case, white space, quotes and
//! executable comments put anywhere never make a statement safer, and what is harmful does harm wherever it is put.

use proptest::prelude::*;
use switchboard::sql::LexMode;
use switchboard::sql::classify::classify;
use switchboard::sql::digest::Digest;
use switchboard::sql::effects::{Effects, Facts};
use switchboard::sql::lexer::{Lexer, TokenKind};

#[path = "common/fuzz.rs"]
mod fuzz;
#[path = "common/statements.rs"]
mod statements;
use fuzz::random::Random;
use statements::{CORPORA, rows};
use std::sync::LazyLock;

/// The statements of the tables that can be cut into tokens, and whether they are safe.
static STATEMENTS: LazyLock<Vec<(String, Facts)>> = LazyLock::new(|| {
    let all = CORPORA.iter().flat_map(|(_, text)| rows(text)).map(|row| row.sql);
    let whole = all.filter(|sql| !pieces(sql).iter().any(|piece| piece.kind == TokenKind::Unterminated));
    whole.map(|sql| (sql.clone(), of(&sql))).collect()
});

/// Those of them that are safe.
static SAFE: LazyLock<Vec<&str>> =
    LazyLock::new(|| STATEMENTS.iter().filter(|(_, facts)| facts.reader_safe()).map(|(sql, _)| &**sql).collect());

/// Those of the safe ones that call functions.
static CALLING: LazyLock<Vec<&str>> =
    LazyLock::new(|| SAFE.iter().copied().filter(|sql| !calls(&pieces(sql)).is_empty()).collect());

fn of(sql: &str) -> Facts {
    classify(sql.as_bytes(), LexMode::default())
}

fn digest(sql: &str) -> Digest {
    let mut digest = Digest::default();
    digest.read(sql.as_bytes(), LexMode::default());
    digest
}

/// A token, and what stood before it.
#[derive(Clone, Debug)]
struct Piece {
    kind: TokenKind,
    gap: String,
    text: String,
}

fn pieces(sql: &str) -> Vec<Piece> {
    let mut at = 0;
    let mut pieces = Vec::new();
    for token in Lexer::new(sql.as_bytes(), LexMode::default()) {
        let (start, end) = (token.start as usize, token.end as usize);
        let (gap, text) = (sql[at..start].to_owned(), sql[start..end].to_owned());
        pieces.push(Piece { kind: token.kind, gap, text });
        at = end;
    }
    pieces
}

fn joined(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| format!("{}{}", piece.gap, piece.text)).collect()
}

/// White space or comments.
fn gap(rng: &mut Random) -> String {
    const GAPS: [&str; 9] = [" ", "  ", "\t", "\r\n", "/**/", " /* it's */ ", " -- x\n", "#\"y\n", "\x0c"];
    (0..=rng.below(3)).map(|_| *rng.pick(&GAPS)).collect()
}

/// True if a space between the two changes nothing: not inside a name in parts, not before a function's parenthesis.
fn may_part(before: &Piece, after: &Piece) -> bool {
    let dot = before.text == "." || after.text == ".";
    let call = before.kind == TokenKind::Word && after.text == "(";
    let introducer = before.text.starts_with('_') && after.kind == TokenKind::String;
    let dash = before.text == "-"; // two of them and a space begin a comment
    !(dot || call || introducer || dash)
}

/// The same statement with other white space and comments between its tokens.
fn respaced(rng: &mut Random, sql: &str) -> String {
    let mut pieces = pieces(sql);
    let mut executable = false;
    for at in 0..pieces.len() {
        let free = at == 0 || may_part(&pieces[at - 1], &pieces[at]);
        // The bytes inside an executable comment are part of the digest.
        if !executable && (!pieces[at].gap.is_empty() || (free && rng.one_in(3))) && rng.one_in(2) {
            pieces[at].gap = gap(rng);
        }
        match pieces[at].kind {
            TokenKind::ExecutableOpen => executable = true,
            TokenKind::ExecutableClose => executable = false,
            _ => {}
        }
    }
    joined(&pieces)
}

/// The same statement with its words in another case.
fn recased(rng: &mut Random, sql: &str) -> String {
    let mut pieces = pieces(sql);
    for piece in &mut pieces {
        if piece.kind == TokenKind::Word && piece.text != "\\N" && rng.one_in(2) {
            piece.text = match rng.below(3) {
                0 => piece.text.to_ascii_uppercase(),
                1 => piece.text.to_ascii_lowercase(),
                _ => {
                    let flip = |(at, c): (usize, char)| {
                        if at % 2 == 0 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
                    };
                    piece.text.chars().enumerate().map(flip).collect()
                }
            };
        }
    }
    joined(&pieces)
}

/// The same statement with some names in backquotes. Short words in small letters are names in the tables.
fn requoted(rng: &mut Random, sql: &str) -> String {
    let keywords = [
        "as", "or", "in", "by", "on", "is", "if", "do", "to", "no", "xa", "end", "set", "for", "and", "not", "use",
        "new",
    ];
    let mut pieces = pieces(sql);
    for piece in &mut pieces {
        let name = piece.kind == TokenKind::Word
            && piece.text.len() <= 3
            && piece.text.bytes().all(|b| b.is_ascii_lowercase())
            && !keywords.contains(&&*piece.text);
        if name && rng.one_in(2) {
            piece.text = format!("`{}`", piece.text);
        }
    }
    joined(&pieces)
}

/// The same statement with some of its tokens inside executable comments.
fn hidden(rng: &mut Random, sql: &str) -> String {
    let mut pieces = pieces(sql);
    let opening = *rng.pick(&["/*!", "/*! ", "/*!50000 ", "/*!999999 ", "/*M! ", "/*M!100100 "]);
    let plain = pieces.iter().all(|piece| {
        !matches!(
            piece.kind,
            TokenKind::ExecutableOpen | TokenKind::ExecutableClose | TokenKind::Hint | TokenKind::RouteHint
        ) && !piece.text.contains("*/")
            && !piece.text.contains("/*")
            && !piece.gap.contains("/*")
            && !piece.gap.contains('#')
            && !piece.gap.contains("--")
    });
    if !plain || pieces.is_empty() {
        return sql.to_owned();
    }
    let from = rng.below(pieces.len());
    let to = from + rng.below(pieces.len() - from);
    let digit = pieces[from].text.starts_with(|c: char| c.is_ascii_digit());
    pieces[from].text = format!("{opening}{}{}", if digit { " " } else { "" }, pieces[from].text);
    pieces[to].text.push_str(" */");
    joined(&pieces)
}

/// What is added to a SELECT to make it harmful.
const HARMS: [&str; 14] = [
    " FOR UPDATE",
    " for\nupdate",
    " FOR/**/SHARE",
    " LOCK IN SHARE MODE",
    " INTO @a",
    " INTO OUTFILE '/tmp/x'",
    "; DELETE FROM t",
    "; SET @a = 1",
    " /*! FOR UPDATE */",
    " /*M! FOR UPDATE */",
    " /*!50000 FOR UPDATE */ -- x",
    " UNION SELECT my_func(1)",
    " UNION SELECT GET_LOCK('a', 1)",
    ", (SELECT @a := 1)",
];

/// Words before a parenthesis that call nothing, or whose arguments are no arguments.
const NO_CALLS: &str = "and or xor not in exists all any some distinct on by when then else like between as using partition \
    index key interval binary match against over select where from join union values value table set having limit is of \
    columns with except intersect lateral json_table group row div rlike regexp escape case left right straight_join \
    decimal char varchar datetime";

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// White space, comments and case change nothing but what stands before a parenthesis; the digest does not see them.
    #[test]
    fn white_space_and_comments_change_nothing(at in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let (sql, facts) = at.get(&STATEMENTS);
        let mut rng = Random::new(seed);
        let respaced = respaced(&mut rng, sql);
        let other = of(&respaced);
        prop_assert_eq!(&facts.effects, &other.effects, "{} became {}", sql, respaced);
        prop_assert_eq!(&facts.tables, &other.tables, "{} became {}", sql, respaced);
        // Once there is white space, more of it is the same.
        let again = self::respaced_gaps(&mut rng, &respaced);
        let (one, two) = (digest(&respaced), digest(&again));
        prop_assert!(one.text == two.text, "{} became {}", respaced, again);
        prop_assert_eq!(one.literals.len(), two.literals.len());
        let recased = recased(&mut rng, sql);
        prop_assert_eq!(&facts.effects, &of(&recased).effects, "{} became {}", sql, recased);
    }

    /// However it is written, an unsafe statement stays unsafe.
    #[test]
    fn nothing_makes_a_statement_safer(at in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let (sql, facts) = at.get(&STATEMENTS);
        let mut rng = Random::new(seed);
        let mut changed = sql.clone();
        for _ in 0..=rng.below(3) {
            changed = match rng.below(4) {
                0 => respaced(&mut rng, &changed),
                1 => recased(&mut rng, &changed),
                2 => requoted(&mut rng, &changed),
                _ => hidden(&mut rng, &changed),
            };
        }
        prop_assert!(facts.reader_safe() || !of(&changed).reader_safe(), "{} became {}", sql, changed);
    }

    /// However it is written, a safe query with something harmful behind it is not safe.
    #[test]
    fn harm_is_found_behind_every_query(at in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let mut rng = Random::new(seed);
        let harm = *rng.pick(&HARMS);
        let changed = respaced(&mut rng, &format!("{}\n{harm}", at.get(&SAFE)));
        prop_assert!(!of(&changed).reader_safe(), "{}", changed);
    }

    /// A function that is not known makes every query that calls it unsafe, wherever the call stands.
    #[test]
    fn unknown_functions_are_found_everywhere(at in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let mut rng = Random::new(seed);
        let sql = *at.get(&CALLING);
        let mut pieces = pieces(sql);
        let calls = calls(&pieces);
        pieces[*rng.pick(&calls)].text = "stored_one".to_owned();
        let changed = joined(&pieces);
        let found = of(&changed);
        prop_assert!(found.effects.contains(Effects::UNKNOWN_FUNCTION), "{}", changed);
        prop_assert!(found.functions.iter().any(|name| &**name == "stored_one"), "{}", changed);
    }
}

/// Where the names of functions are that a statement calls.
fn calls(pieces: &[Piece]) -> Vec<usize> {
    let is_call = |at: usize| {
        let word = pieces[at].text.to_ascii_lowercase();
        let call = pieces[at].kind == TokenKind::Word && pieces.get(at + 1).is_some_and(|next| next.text == "(");
        // A name with columns behind it: of a CTE, or of a derived table.
        let before = if at > 0 { pieces[at - 1].text.to_ascii_lowercase() } else { String::new() };
        let columns = matches!(&*before, "as" | "with" | "recursive" | ")");
        call && !columns && !NO_CALLS.split_ascii_whitespace().any(|known| known == word)
    };
    (0..pieces.len()).filter(|&at| is_call(at)).collect()
}

/// Other white space and comments where some already are.
fn respaced_gaps(rng: &mut Random, sql: &str) -> String {
    let mut pieces = pieces(sql);
    let mut executable = false;
    for piece in &mut pieces {
        if !executable && !piece.gap.is_empty() {
            piece.gap = gap(rng);
        }
        match piece.kind {
            TokenKind::ExecutableOpen => executable = true,
            TokenKind::ExecutableClose => executable = false,
            _ => {}
        }
    }
    joined(&pieces)
}
