//! Session state changes: what an OK packet says of the session beyond its status flags.
//!
//! Source: MySQL manual "Session State Information", MariaDB Knowledge Base "OK_Packet"; MariaDB 10.11 and MySQL 9.7 seen.

use crate::protocol::codec::{Reader, Truncated, put_lenenc_bytes};

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChange<'a> {
    /// A system variable has a new value (type 0). MariaDB may put several into one entry; each comes out alone.
    Variable {
        /// The variable's name.
        name: &'a [u8],
        /// Its value as text.
        value: &'a [u8],
    },
    /// The default schema is now this; empty for none (type 1).
    Schema(&'a [u8]),
    /// Something of the session's state changed, or not (type 2).
    State(bool),
    /// GTIDs (type 3), as text.
    Gtids(&'a [u8]),
    /// Statements that would open the current or next transaction anew (type 4); empty for "as the session's own".
    TransactionCharacteristics(&'a [u8]),
    /// What the transaction has done so far (type 5).
    TransactionState(TransactionState),
    /// A type that is not known here.
    Other {
        /// The type.
        kind: u8,
        /// Its data.
        data: &'a [u8],
    },
}

/// Appends the entry that says that a system variable has a new value.
pub fn put_variable(state: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let mut data = Vec::with_capacity(name.len() + value.len() + 2);
    put_lenenc_bytes(&mut data, name);
    put_lenenc_bytes(&mut data, value);
    state.push(0);
    put_lenenc_bytes(state, &data);
}

/// Appends the entry that says what the default schema is now.
pub fn put_schema(state: &mut Vec<u8>, name: &[u8]) {
    let mut data = Vec::with_capacity(name.len() + 1);
    put_lenenc_bytes(&mut data, name);
    state.push(1);
    put_lenenc_bytes(state, &data);
}

/// The transaction's state, eight letters. `_` in a place says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionState {
    /// The letters as sent; places that were missing hold `_`.
    pub letters: [u8; 8],
}

impl TransactionState {
    fn new(text: &[u8]) -> Self {
        let mut letters = [b'_'; 8];
        for (to, from) in letters.iter_mut().zip(text) {
            *to = *from;
        }
        Self { letters }
    }

    /// A transaction is open, explicitly or because autocommit is off.
    pub fn is_open(self) -> bool {
        self.letters[0] != b'_'
    }

    /// It was opened by a statement such as BEGIN.
    pub fn is_explicit(self) -> bool {
        self.letters[0] == b'T'
    }

    /// Something was read in it, from a table of any engine.
    pub fn has_read(self) -> bool {
        self.letters[1] != b'_' || self.letters[2] != b'_'
    }

    /// Something was written in it, to a table of any engine.
    pub fn has_written(self) -> bool {
        self.letters[3] != b'_' || self.letters[4] != b'_'
    }

    /// LOCK TABLES is in force.
    pub fn has_locked_tables(self) -> bool {
        self.letters[7] == b'L'
    }
}

/// Walks over the state changes of an OK packet without allocating.
///
/// An entry that is cut short yields one `Err`, and then the walk ends.
#[derive(Clone, Copy, Debug)]
pub struct StateChanges<'a> {
    entries: Reader<'a>,
    /// What is left of an entry of type 0.
    variables: Reader<'a>,
}

impl<'a> StateChanges<'a> {
    /// Starts at the first entry of `state` (see [`OkPacket::state`](super::OkPacket::state)).
    pub fn new(state: &'a [u8]) -> Self {
        Self { entries: Reader::new(state), variables: Reader::new(b"") }
    }

    fn step(&mut self) -> Result<Option<StateChange<'a>>, Truncated> {
        loop {
            if !self.variables.is_empty() {
                let name = self.variables.lenenc_bytes()?;
                let value = self.variables.lenenc_bytes()?;
                return Ok(Some(StateChange::Variable { name, value }));
            }
            if self.entries.is_empty() {
                return Ok(None);
            }
            let kind = self.entries.u8()?;
            let data = self.entries.lenenc_bytes()?;
            let mut r = Reader::new(data);
            let change = match kind {
                0 => {
                    self.variables = r;
                    continue;
                }
                1 => StateChange::Schema(r.lenenc_bytes()?),
                // One character, with no length of its own: so both servers send it, whatever the manual says.
                2 => StateChange::State(r.u8()? == b'1'),
                3 => {
                    r.u8()?;
                    StateChange::Gtids(r.lenenc_bytes()?)
                }
                4 => StateChange::TransactionCharacteristics(r.lenenc_bytes()?),
                5 => StateChange::TransactionState(TransactionState::new(r.lenenc_bytes()?)),
                _ => StateChange::Other { kind, data },
            };
            return Ok(Some(change));
        }
    }
}

impl<'a> Iterator for StateChanges<'a> {
    type Item = Result<StateChange<'a>, Truncated>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            *self = StateChanges::new(b"");
        }
        step.transpose()
    }
}
