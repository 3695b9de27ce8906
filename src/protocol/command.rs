//! Commands: the first byte of a request, and how each is answered.
//!
//! Source: MySQL 8.0 `my_command.h`; MariaDB Knowledge Base "2 - Text Protocol", "COM_STMT_*".

use super::tracker::Expect;

/// A command byte that the router knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Command {
    /// COM_QUIT: the client leaves.
    Quit = 0x01,
    /// COM_INIT_DB: `USE`.
    InitDb = 0x02,
    /// COM_QUERY: a statement as text.
    Query = 0x03,
    /// COM_FIELD_LIST: a table's columns (deprecated, still used by the `mysql` client's completion).
    FieldList = 0x04,
    /// COM_STATISTICS: one line about the server.
    Statistics = 0x09,
    /// COM_PING.
    Ping = 0x0e,
    /// COM_CHANGE_USER.
    ChangeUser = 0x11,
    /// COM_STMT_PREPARE.
    Prepare = 0x16,
    /// COM_STMT_EXECUTE.
    Execute = 0x17,
    /// COM_STMT_SEND_LONG_DATA: never answered.
    SendLongData = 0x18,
    /// COM_STMT_CLOSE: never answered.
    CloseStatement = 0x19,
    /// COM_STMT_RESET.
    ResetStatement = 0x1a,
    /// COM_SET_OPTION: multi-statements on or off.
    SetOption = 0x1b,
    /// COM_STMT_FETCH.
    Fetch = 0x1c,
    /// COM_RESET_CONNECTION.
    ResetConnection = 0x1f,
}

impl Command {
    /// The command with this byte; `None` for those that the router does not carry (replication, refresh, process kill,
    /// debug, and numbers that mean nothing), which are answered by error 1047.
    pub fn from_byte(byte: u8) -> Option<Command> {
        Some(match byte {
            0x01 => Command::Quit,
            0x02 => Command::InitDb,
            0x03 => Command::Query,
            0x04 => Command::FieldList,
            0x09 => Command::Statistics,
            0x0e => Command::Ping,
            0x11 => Command::ChangeUser,
            0x16 => Command::Prepare,
            0x17 => Command::Execute,
            0x18 => Command::SendLongData,
            0x19 => Command::CloseStatement,
            0x1a => Command::ResetStatement,
            0x1b => Command::SetOption,
            0x1c => Command::Fetch,
            0x1f => Command::ResetConnection,
            _ => return None,
        })
    }

    /// How a server answers this command.
    pub fn expect(self) -> Expect {
        match self {
            Command::Prepare => Expect::Prepare,
            Command::Fetch | Command::FieldList | Command::SetOption => Expect::Rows,
            Command::Statistics => Expect::Text,
            _ => Expect::Results,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_byte_is_its_own_command() {
        let known: Vec<u8> = (0..=255).filter(|b| Command::from_byte(*b).is_some_and(|c| c as u8 == *b)).collect();
        assert_eq!(known, [1, 2, 3, 4, 9, 14, 17, 22, 23, 24, 25, 26, 27, 28, 31]);
    }
}
