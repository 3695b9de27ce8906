//! What a byte can begin, and (in the high bit) whether it may stand inside an identifier. For [`super`] alone; it knows bytes,
//! not tokens.

pub(super) const IDENT_BIT: u8 = 0x80;
pub(super) const MASK: u8 = 0x7f;
pub(super) const OTHER: u8 = 0;
pub(super) const SPACE: u8 = 1;
pub(super) const IDENT: u8 = 2;
pub(super) const DIGIT: u8 = 3;
/// `x` and `b`: an identifier, or a number in quotes.
pub(super) const QUOTED_NUMBER: u8 = 4;
/// `n`: an identifier, or a national string.
pub(super) const NATIONAL: u8 = 5;
pub(super) const SINGLE: u8 = 6;
pub(super) const DOUBLE: u8 = 7;
pub(super) const BACKTICK: u8 = 8;
pub(super) const AT: u8 = 9;
pub(super) const DOT: u8 = 10;
/// A mark that stands alone whatever follows: `( ) ,` and the like.
pub(super) const MARK: u8 = 11;
pub(super) const HASH: u8 = 12;
pub(super) const QUESTION: u8 = 13;
/// `$`: an identifier, or a `$tag$` that opens a string in MySQL 9.
pub(super) const DOLLAR: u8 = 14;
/// `;`: a mark, and where a text of several statements may begin to be read in another way.
pub(super) const SEMICOLON: u8 = 15;

/// A byte's class, and [`IDENT_BIT`].
#[inline]
#[expect(clippy::indexing_slicing, reason = "the table has a place for each value of a byte")]
pub(super) const fn of(byte: u8) -> u8 {
    TABLE[byte as usize]
}

/// The class of every byte.
#[expect(clippy::indexing_slicing, reason = "the compiler runs this, and would refuse an index that is out of bounds")]
const TABLE: [u8; 256] = {
    let mut table = [OTHER; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        table[b] = match byte {
            b'\t'..=b'\r' | b' ' => SPACE,
            b'0'..=b'9' => DIGIT | IDENT_BIT,
            b'x' | b'X' | b'b' | b'B' => QUOTED_NUMBER | IDENT_BIT,
            b'n' | b'N' => NATIONAL | IDENT_BIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => IDENT | IDENT_BIT,
            b'$' => DOLLAR | IDENT_BIT,
            b'\'' => SINGLE,
            b'"' => DOUBLE,
            b'`' => BACKTICK,
            b'@' => AT,
            b'.' => DOT,
            b'(' | b')' | b',' | b'+' | b'%' | b'^' | b'~' | b'{' | b'}' | b'[' | b']' => MARK,
            b';' => SEMICOLON,
            b'#' => HASH,
            b'?' => QUESTION,
            _ => OTHER,
        };
        b += 1;
    }
    table
};
