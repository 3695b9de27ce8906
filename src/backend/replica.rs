//! Asking a server how far its replication is behind.
//!
//! MariaDB answers for all of its channels to `SHOW ALL SLAVES STATUS` (10.0 and later); MySQL to `SHOW REPLICA STATUS`
//! (8.0.22 and later), before that to `SHOW SLAVE STATUS`. It takes REPLICATION CLIENT; SLAVE MONITOR or REPLICA MONITOR on
//! MariaDB 10.5 and later. Answers are read whole, within a bound, on the health checks' connection; what they mean for the
//! traffic is [`super::lag`]'s to say.

use super::connect::Connected;
use super::lag::{Applied, Reading};
use super::query::{Answer, SMALL, rows, strange, value};
use std::io;

/// ER_PARSE_ERROR: the server does not know the statement.
const PARSE_ERROR: u16 = 1064;

/// What the server says now. After an error the connection is of no more use.
///
/// # Errors
/// Those of the connection, and `InvalidData` for what is no answer. Not cancel safe.
pub async fn ask(connected: &mut Connected) -> io::Result<Told> {
    let questions: &[&str] = match connected.server.is_mariadb {
        true => &["SHOW ALL SLAVES STATUS"],
        false => &["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"],
    };
    let mut said = String::new();
    for question in questions {
        match rows(connected, question, SMALL).await? {
            Answer::Rows { columns, rows } => return read(&columns, &rows),
            Answer::Refused { code, text } => {
                said = text;
                if code != PARSE_ERROR {
                    break;
                }
            }
        }
    }
    Ok(Told { reading: Reading::Unreadable(format!("the server said: {said}")), applied: None })
}

/// What a server told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// How far behind it is.
    pub reading: Reading,
    /// Up to where it has done what its source did, of the channel that counts.
    pub applied: Option<Applied>,
}

/// The names of a column: MySQL renamed what MariaDB still has.
type Names = [&'static str; 2];
const LAG: Names = ["Seconds_Behind_Master", "Seconds_Behind_Source"];
const LOG: Names = ["Relay_Master_Log_File", "Relay_Source_Log_File"];
const AT: Names = ["Exec_Master_Log_Pos", "Exec_Source_Log_Pos"];
const GTID: Names = ["Gtid_Slave_Pos", "Executed_Gtid_Set"];

/// What the rows, one for each channel, say together.
fn read(columns: &[Vec<u8>], rows: &[Vec<u8>]) -> io::Result<Told> {
    let column = |names: Names| columns.iter().position(|name| names.iter().any(|n| n.as_bytes() == name.as_slice()));
    let place = column(LAG).ok_or_else(strange)?;
    let (mut worst, mut stands_still) = (0, false);
    // The channel that counts: the first that stands still, else the one that is furthest behind.
    let mut counts: Option<&Vec<u8>> = None;
    for row in rows {
        match value(row, place).map_err(|_| strange())? {
            None => {
                counts = if stands_still { counts } else { Some(row) };
                stands_still = true;
            }
            Some(text) => {
                let seconds = std::str::from_utf8(text).ok().and_then(|t| t.parse::<i64>().ok()).ok_or_else(strange)?;
                // Clocks that differ make it negative.
                let seconds = u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
                if counts.is_none() || (seconds > worst && !stands_still) {
                    counts = Some(row);
                }
                worst = worst.max(seconds);
            }
        }
    }
    let Some(row) = counts else { return Ok(Told { reading: Reading::NotAReplica, applied: None }) };
    let text = |names: Names| -> Option<String> {
        let bytes = value(row, column(names)?).ok()??;
        Some(String::from_utf8_lossy(bytes).into_owned())
    };
    let position = match (text(LOG), text(AT)) {
        (Some(log), Some(at)) if !log.is_empty() => format!("{log}:{at}"),
        _ => String::new(),
    };
    let applied = Some(Applied { position, gtid: text(GTID).unwrap_or_default() });
    let reading = if stands_still { Reading::StandsStill { others: worst } } else { Reading::Behind(worst) };
    Ok(Told { reading, applied })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NULL in a row.
    const NULL: u8 = 0xfb;

    fn say(values: &[Option<&str>]) -> Option<Reading> {
        let columns: Vec<Vec<u8>> = ["Connection_name", "Seconds_Behind_Master"].map(|c| c.as_bytes().to_vec()).into();
        let row = |value: &Option<&str>| {
            let mut row = b"\x01x".to_vec();
            match value {
                None => row.push(NULL),
                Some(text) => crate::protocol::codec::put_lenenc_bytes(&mut row, text.as_bytes()),
            }
            row
        };
        read(&columns, &values.iter().map(row).collect::<Vec<_>>()).ok().map(|told| told.reading)
    }

    #[test]
    fn the_position_is_that_of_the_channel_that_counts() {
        let columns: Vec<Vec<u8>> =
            ["Relay_Source_Log_File", "Exec_Source_Log_Pos", "Seconds_Behind_Source", "Executed_Gtid_Set"]
                .map(|c| c.as_bytes().to_vec())
                .into();
        let row = |values: [Option<&str>; 4]| {
            let mut row = Vec::new();
            for value in values {
                match value {
                    None => row.push(NULL),
                    Some(text) => crate::protocol::codec::put_lenenc_bytes(&mut row, text.as_bytes()),
                }
            }
            row
        };
        let near = row([Some("bin.1"), Some("4"), Some("1"), Some("a:1-3")]);
        let far = row([Some("bin.2"), Some("77"), Some("9"), Some("a:1-2")]);
        let stopped = row([Some("bin.3"), Some("5"), None, None]);
        let at = |rows: &[&Vec<u8>]| {
            let rows: Vec<Vec<u8>> = rows.iter().map(|r| (*r).clone()).collect();
            read(&columns, &rows).unwrap().applied.map(|a| (a.position, a.gtid))
        };
        let said = |position: &str, gtid: &str| Some((position.to_owned(), gtid.to_owned()));
        assert_eq!(at(&[&near]), said("bin.1:4", "a:1-3"));
        assert_eq!(at(&[&near, &far]), said("bin.2:77", "a:1-2"));
        assert_eq!(at(&[&far, &near]), said("bin.2:77", "a:1-2"));
        assert_eq!(at(&[&near, &stopped, &far]), said("bin.3:5", ""));
        assert_eq!(at(&[]), None);
    }

    #[test]
    fn the_worst_channel_counts() {
        for (rows, want) in [
            (&[][..], Some(Reading::NotAReplica)),
            (&[Some("0")], Some(Reading::Behind(0))),
            (&[Some("7"), Some("40"), Some("3")], Some(Reading::Behind(40))),
            (&[Some("7"), None, Some("3")], Some(Reading::StandsStill { others: 7 })),
            (&[None], Some(Reading::StandsStill { others: 0 })),
            (&[Some("-1")], Some(Reading::Behind(0))),
            (&[Some("99999999999")], Some(Reading::Behind(u32::MAX))),
            (&[Some("soon")], None),
        ] {
            assert_eq!(say(rows), want, "{rows:?}");
        }
    }

    #[test]
    fn what_is_cut_short_or_has_no_such_column_is_no_answer() {
        assert!(read(&[b"Other".to_vec()], &[]).is_err());
        assert!(read(&[b"Seconds_Behind_Source".to_vec()], &[b"\x05ab".to_vec()]).is_err());
        assert!(read(&[b"a".to_vec(), b"Seconds_Behind_Source".to_vec()], &[b"\x01a".to_vec()]).is_err());
    }
}
