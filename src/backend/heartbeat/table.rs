//! The heartbeat's table: its statements, its rows, and whether a row came as it was written.
//!
//! Each writer has a row of its own, by its `server_id`. Beside its number the row has four values of kinds that feeds are known to change
//! on their way: an instant, a wall-clock time with microseconds, a character of four bytes, a decimal. Which values belong to a
//! sequence number is settled here, so that whoever reads the row can tell whether it came as it was written, without a clock.
//!
//! Pure: it makes texts and reads rows. [`super::task`] sends and receives them.

use super::marks::Beat;
use crate::backend::query::value;

/// The table's name in its schema.
pub const TABLE: &str = "heartbeat";

/// The lock on a writer by which one of several routers writes. It is held for as long as that router's connection lives.
pub const LOCK: &str = "switchboard.heartbeat";

/// The two characters of four bytes that come in turn, as servers write bytes.
const LETTERS: [&str; 2] = ["F09D849E", "F09F9880"];
/// Where the instants begin, in seconds since 1970.
const FIRST_INSTANT: u64 = 1_000_000_000;

/// True on a server that takes writes from everybody. An account with SUPER may write on others too, and must not: what a replica has of
/// its own stops its replication one day.
pub(super) const IS_WRITABLE: &str =
    "CAST(@@global.read_only AS CHAR) IN ('0', 'OFF') AND CAST(@@global.innodb_read_only AS CHAR) IN ('0', 'OFF')";

/// The statements of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table(String);

impl Table {
    /// The table in this schema.
    pub fn new(schema: &str) -> Self {
        Self(format!("{}.{TABLE}", quoted(schema)))
    }

    /// What makes the schema and the table, on each server that the feed does not bring them to.
    pub fn made_by(schema: &str) -> [String; 2] {
        let Self(table) = Self::new(schema);
        [
            format!("CREATE DATABASE IF NOT EXISTS {}", quoted(schema)),
            format!(
                "CREATE TABLE IF NOT EXISTS {table} (\n  \
                 source VARCHAR(64) CHARACTER SET ascii NOT NULL PRIMARY KEY,\n  \
                 epoch BIGINT UNSIGNED NOT NULL,\n  \
                 seq BIGINT UNSIGNED NOT NULL,\n  \
                 instant TIMESTAMP(6) NULL DEFAULT NULL,\n  \
                 wall DATETIME(6) NULL DEFAULT NULL,\n  \
                 letter VARCHAR(4) CHARACTER SET utf8mb4 NULL,\n  \
                 amount DECIMAL(30,6) NULL\n) ENGINE=InnoDB"
            ),
        ]
    }

    /// What the account of the heartbeats needs, on writers and on readers.
    pub fn grants(schema: &str, account: &str) -> [String; 2] {
        let Self(table) = Self::new(schema);
        [
            format!("GRANT SELECT, INSERT, UPDATE ON {table} TO {account}"),
            format!("GRANT SELECT ON {table} TO {account}"),
        ]
    }

    /// Makes a writer's row, if it is not there.
    pub(super) fn insert(&self, source: &str, epoch: u64) -> String {
        format!("INSERT IGNORE INTO {} (source, epoch, seq) VALUES ('{source}', {epoch}, 0)", self.0)
    }

    /// The next heartbeat of a row; its number is the statement's insert id. Assignments are made from left to right.
    pub(super) fn beat(&self, source: &str, epoch: u64) -> String {
        let instant = format!("{FIRST_INSTANT} + seq MOD 500000000 + (seq MOD 999999 + 1) * 0.000001");
        format!(
            "UPDATE {} SET seq = LAST_INSERT_ID(seq + 1), instant = FROM_UNIXTIME({instant}), wall = FROM_UNIXTIME({instant}), \
             letter = ELT(1 + seq MOD 2, _utf8mb4 x'{}', _utf8mb4 x'{}'), amount = seq * 1.000001 \
             WHERE source = '{source}' AND epoch = {epoch} AND {IS_WRITABLE}",
            self.0, LETTERS[0], LETTERS[1]
        )
    }

    /// Gives a row that was put back another number: what was said of it before holds no more.
    pub(super) fn renew(&self, source: &str, (epoch, next): (u64, u64)) -> String {
        format!("UPDATE {} SET epoch = {next} WHERE source = '{source}' AND epoch = {epoch}", self.0)
    }

    /// A writer's own row, whether the lock is this connection's (taken, if nobody has it), and whether the server takes writes.
    pub(super) fn own_row_and_lock(&self, source: &str) -> String {
        format!("SELECT epoch, seq, GET_LOCK('{LOCK}', 0), {IS_WRITABLE} FROM {} WHERE source = '{source}'", self.0)
    }

    /// All rows, as [`Row::read`] reads them.
    pub(super) fn rows(&self) -> String {
        format!(
            "SELECT epoch, seq, UNIX_TIMESTAMP(instant), CAST(wall AS CHAR), HEX(CONVERT(letter USING utf8mb4)), \
             CAST(amount AS CHAR) FROM {}",
            self.0
        )
    }
}

/// A name as servers quote it.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A row, as a server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Whose it is, and which heartbeat; none where that is no number.
    pub beat: Option<Beat>,
    instant: String,
    wall: String,
    letter: String,
    amount: String,
}

impl Row {
    /// Reads a row of [`Table::rows`].
    pub(super) fn read(row: &[u8]) -> Self {
        let text = |place| match value(row, place) {
            Ok(Some(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        let number = |place| text(place).parse::<u64>().ok();
        let beat = number(0).zip(number(1)).map(|(epoch, seq)| Beat { epoch, seq });
        Self { beat, instant: text(2), wall: text(3), letter: text(4), amount: text(5) }
    }

    /// What a heartbeat's row has where it came as it was written.
    pub(in crate::backend) fn as_written(beat: Beat) -> Self {
        let seq = beat.seq;
        let (seconds, micros) = (FIRST_INSTANT + seq % 500_000_000, seq % 999_999 + 1);
        let wall = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
        let wall = wall.map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string());
        let amount = u128::from(seq) * 1_000_001;
        let [even, odd] = LETTERS;
        Self {
            beat: Some(beat),
            instant: format!("{seconds}.{micros:06}"),
            wall: format!("{}.{micros:06}", wall.unwrap_or_default()),
            letter: if seq.is_multiple_of(2) { even } else { odd }.to_owned(),
            amount: format!("{}.{:06}", amount / 1_000_000, amount % 1_000_000),
        }
    }

    /// What did not come as it was written, in words; none if all did. The row before the first heartbeat says nothing.
    pub(super) fn distortion(&self) -> Option<String> {
        let beat = self.beat.filter(|beat| beat.seq > 0)?;
        let written = Row::as_written(beat);
        let pairs = [
            ("a TIMESTAMP(6)", &self.instant, &written.instant),
            ("a DATETIME(6)", &self.wall, &written.wall),
            ("a character of four bytes", &self.letter, &written.letter),
            ("a DECIMAL(30,6)", &self.amount, &written.amount),
        ];
        let changed = pairs.into_iter().filter(|(_, came, sent)| came != sent);
        let words: Vec<_> = changed.map(|(what, came, sent)| format!("{what} came as `{came}` for `{sent}`")).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(values: &[&str]) -> Vec<u8> {
        let mut packet = Vec::new();
        for value in values {
            crate::protocol::codec::put_lenenc_bytes(&mut packet, value.as_bytes());
        }
        packet
    }

    #[test]
    fn rows() {
        let beat = Beat { epoch: 18_446_744_073_709_551_615, seq: 3 };
        let whole =
            ["18446744073709551615", "3", "1000000003.000004", "2001-09-09 01:46:43.000004", "F09F9880", "3.000003"];
        let row = Row::read(&packet(&whole));
        assert_eq!((&row, row.distortion()), (&Row::as_written(beat), None));
        for (place, other) in [
            (2, "1000003603.000004"),
            (2, "1000000003.000000"),
            (3, "2001-09-09 01:46:43"),
            (4, "3F3F3F3F"),
            (4, ""),
            (5, "3.000003000000001"),
        ] {
            let mut values = whole;
            values[place] = other;
            let said = Row::read(&packet(&values)).distortion();
            assert!(said.is_some_and(|said| said.contains(&format!("`{other}`"))), "{other}");
        }
        assert_eq!(Row::read(&packet(&["9", "0", "", "", "", ""])).distortion(), None, "no heartbeat yet");
        assert_eq!(Row::read(b"\xfb\x01x").beat, None);
    }

    #[test]
    fn names_are_quoted() {
        assert!(Table::new("a`b").rows().ends_with("FROM `a``b`.heartbeat"));
        assert!(Table::made_by("s")[1].contains("`s`.heartbeat"));
    }
}
