//! Where the condition of a WHERE or an ON ends.
//!
//! [`super::statement`] and [`super::tables`] ask it while they cut a statement into clauses. It looks at single tokens
//! and does not read the condition itself. Where a word is reserved by some versions only, it ends nothing unless an
//! operand stands before it.

use super::expression::is_unit;
use super::tokens::{Key, Tokens};

/// True if the clause that a WHERE or ON began is over at a token (which is in no bracket).
///
/// Careful with words that are names to some versions: cutting early would hide an OR behind them.
pub(super) fn where_ends(tokens: &Tokens<'_>, at: usize) -> bool {
    let next = tokens.key(at + 1);
    match tokens.key(at) {
        Key::Having | Key::Limit | Key::Into | Key::Procedure | Key::Union => true,
        Key::Group | Key::Order => next == Key::By,
        Key::Lock => next == Key::In,
        Key::On => next == Key::Duplicate,
        // `NEXT VALUE FOR share` asks a sequence.
        Key::For => matches!(next, Key::Update | Key::Share) && (at == 0 || tokens.key(at - 1) != Key::Value),
        // Reserved words to some versions only: a clause begins where an operand just ended.
        Key::Window | Key::Offset | Key::Fetch | Key::Returning | Key::Except | Key::Intersect => {
            at > 0 && ends_operand(tokens, at - 1)
        }
        _ => false,
    }
}

/// True if a token can only be the end of an operand.
fn ends_operand(tokens: &Tokens<'_>, at: usize) -> bool {
    tokens.slot(at).is_some() || tokens.mark(at) == b")" || tokens.is_quoted(at) || is_unit(tokens, at)
}
