//! What a client carries from one connection to another, so that it finds its writes there: the heartbeats that came after them.
//!
//! ```text
//!  token = beat *("," beat)      beat = epoch "-" seq, both in hexadecimal: 9f3c01d2a6b7e455-1b2
//! ```
//!
//! A token means the same to every router that reads the same heartbeats. It is no secret and proves nothing about who shows it: the worst
//! that a made-up one does is to send its own session's reads to the writer.

use super::marks::Beat;
use std::fmt;
use std::str::FromStr;

/// Heartbeats, one for each writer at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token(Box<[Beat]>);

/// The most writers that a token names.
const MOST: usize = 16;

/// What is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no token of Switchboard's")]
pub struct NoToken;

impl Token {
    /// A token of these heartbeats.
    pub fn new(beats: impl IntoIterator<Item = Beat>) -> Self {
        Self(beats.into_iter().take(MOST).collect())
    }

    /// The heartbeats.
    pub fn beats(&self) -> &[Beat] {
        &self.0
    }

    /// True if it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What asks for all that both ask for.
    #[must_use]
    pub fn and(&self, other: &Token) -> Token {
        let mut beats: Vec<Beat> = self.0.to_vec();
        for beat in &other.0 {
            match beats.iter_mut().find(|known| known.epoch == beat.epoch) {
                Some(known) => known.seq = known.seq.max(beat.seq),
                None => beats.push(*beat),
            }
        }
        Token::new(beats)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Beat { epoch, seq }) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{epoch:x}-{seq:x}")?;
        }
        Ok(())
    }
}

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        if text.is_empty() {
            return Ok(Token::default());
        }
        let number = |text: &str| match text.bytes().all(|b| b.is_ascii_hexdigit()) {
            true => u64::from_str_radix(text, 16).map_err(|_| NoToken),
            false => Err(NoToken),
        };
        let beat = |text: &str| {
            let (epoch, seq) = text.split_once('-').ok_or(NoToken)?;
            Ok(Beat { epoch: number(epoch)?, seq: number(seq)? })
        };
        let beats: Vec<Beat> = text.split(',').take(MOST + 1).map(beat).collect::<Result<_, NoToken>>()?;
        if beats.len() > MOST { Err(NoToken) } else { Ok(Token::new(beats)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(epoch: u64, seq: u64) -> Beat {
        Beat { epoch, seq }
    }

    #[test]
    fn there_and_back() {
        for (text, beats) in [
            ("", vec![]),
            ("9-1b2", vec![beat(9, 0x1b2)]),
            ("ffffffffffffffff-0,1-ffffffffffffffff", vec![beat(u64::MAX, 0), beat(1, u64::MAX)]),
        ] {
            let token: Token = text.parse().unwrap();
            assert_eq!((token.beats(), token.to_string()), (&*beats, text.to_owned()));
        }
        for bad in ["x", "9", "9-", "-1", "9-1,", "+9-1", "9-1-2", "10000000000000000-1", " 9-1", &"1-1,".repeat(17)] {
            assert_eq!(bad.parse::<Token>(), Err(NoToken), "{bad}");
        }
    }

    #[test]
    fn both_ask_for_the_later() {
        let (one, other) = (Token::new([beat(1, 5), beat(2, 7)]), Token::new([beat(2, 3), beat(3, 1)]));
        assert_eq!(one.and(&other), Token::new([beat(1, 5), beat(2, 7), beat(3, 1)]));
    }
}
