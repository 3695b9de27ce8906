//! The packets around the rows of an answer that the router gives itself: a column definition, and the end of columns
//! or rows.
//!
//! All columns are texts in utf8mb4. The rows are the caller's to write. Answers of servers are never taken apart or
//! put together with this.

use super::{EofPacket, OkPacket};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::codec::put_lenenc_bytes;
use crate::protocol::collation::UTF8MB4_GENERAL_CI;
use crate::protocol::status::Status;

/// Appends a column definition: a text in utf8mb4, as wide as a client may want to know.
/// Source: MySQL manual "Protocol::ColumnDefinition41".
pub fn put_text_column(out: &mut Vec<u8>, name: &str) {
    put_lenenc_bytes(out, b"def");
    for text in ["", "", "", name, name] {
        put_lenenc_bytes(out, text.as_bytes());
    }
    out.push(0x0c);
    out.extend_from_slice(&UTF8MB4_GENERAL_CI.to_le_bytes());
    out.extend_from_slice(&(65_535u32).to_le_bytes());
    out.push(0xfd);
    out.extend_from_slice(&[0, 0, 0, 0, 0]);
}

/// Appends what ends rows, and columns where that is said: EOF, or OK with header 0xfe.
pub fn put_end(out: &mut Vec<u8>, capabilities: Capabilities, status: Status, warnings: u16) {
    if capabilities.contains(Capabilities::DEPRECATE_EOF) {
        OkPacket { header: 0xfe, status, warnings, ..OkPacket::default() }.encode(out, capabilities);
    } else {
        EofPacket { warnings, status }.encode(out);
    }
}
