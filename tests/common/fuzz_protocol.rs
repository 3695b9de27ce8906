//! The fuzz targets for packets: what decoding promises for every input, and that a response's end is where it is however
//! its bytes arrive.
#![allow(dead_code)]

use switchboard::protocol::capabilities::Capabilities;
use switchboard::protocol::codec::{HEADER, Header, MAX_FRAME, Reader, put_lenenc, put_lenenc_bytes, put_packet};
use switchboard::protocol::handshake::{AuthRequest, ChangeUser, Greeting, HandshakeResponse, Reply};
use switchboard::protocol::prepared::{Execute, read_values};
use switchboard::protocol::response::{EofPacket, ErrPacket, OkPacket, StateChanges, without_session_track};
use switchboard::protocol::status::Status;
use switchboard::protocol::tracker::{Desync, Expect, Packet, Step, Tracker};

/// Bytes in which the special cases meet.
pub const DICTIONARY: &[&[u8]] = &[
    b"\0",
    b"\x01",
    b"\xfa",
    b"\xfb",
    b"\xfc\xff\xff",
    b"\xfd\xff\xff\xff",
    b"\xfe",
    b"\xfe\0\0\x02\0",
    b"\xfe\0\0\x0a\x10",
    b"\xfe\0\0\x42\0",
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\xff",
    b"\xff\x15\x04#28000no",
    b"\0\0\0\x02\0\0\0",
    b"\0\0\0\x0a\x40\0\0\0\x03\x02\x011",
    b"\x03def",
    b"\x05\0\0\x01",
    b"\xff\xff\xff",
    b"#42000",
    b"mysql_native_password\0",
    b"caching_sha2_password\0",
    b"utf8mb4",
    b"\x14character_set_client\x07utf8mb4",
    b"T_______",
];

/// Payloads and exchanges to begin with; the first byte of each is what the targets take their options from.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 14] = [
        // Greetings and answers.
        b"\x00\x0a10.11.19-MariaDB\0\x09\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0",
        b"\x01\x85\xa6\xff\x01\0\0\0\x01\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0anna\0\x14abcdefghijklmnopqrstbigdb\0mysql_native_password\0\x08\x04_pid\x0242",
        b"\x03\x11anna\0\x14abcdefghijklmnopqrstbigdb\0\x2d\0mysql_native_password\0",
        b"\x00\xfecaching_sha2_password\0abcdefghijklmnopqrst\0",
        // Verdicts, with and without state.
        b"\x01\0\x01\x02\x02\x40\0\0\x0aRecords: 1\x1f\0\x1d\x14character_set_client\x07utf8mb4",
        b"\x01\xff\x15\x04#28000Access denied",
        // Executions: two parameters, with types and without.
        b"\x02\x17\x09\0\0\0\0\x01\0\0\0\x02\x01\x08\x00\xfd\x00\x05\0\0\0\0\0\0\0",
        b"\x03\x17\x09\0\0\0\x01\x01\0\0\0\0\x01\x0c\x00\xfd\x00\x06\x80\x04\xea\x07\x0b\x16\x03abc",
        // Responses as lists of payloads with a length byte each: rows with EOF packets, rows with an OK at the end, an OK
        // and more, OUT parameters, a PREPARE's answer, a file, a cursor.
        b"\x00\x00\x01\x01\x07\x03def\0\0\0\x05\xfe\0\0\x02\0\x02\x011\x02\x012\x05\xfe\0\0\x02\0",
        b"\x04\x07\x01\x01\x07\x03def\0\0\0\x02\x011\x07\xfe\0\0\x02\0\0\0",
        b"\x00\x03\x07\0\x01\0\x0a\0\0\0\x01\x01\x07\x03def\0\0\0\x05\xfe\0\0\x0a\x10\x02\0\x01\x05\xfe\0\0\x02\0\x07\0\0\0\x02\0\0\0",
        b"\x01\x05\x0c\0\x09\0\0\0\x01\0\x01\0\0\0\0\x07\x03def\0\0\0\x05\xfe\0\0\x02\0\x07\x03def\0\0\0\x05\xfe\0\0\x02\0",
        b"\x00\x01\x05\xfbfile",
        b"\x02\x00\x02\0\x01\x02\0\x02\x05\xfe\0\0\x42\0",
    ];
    texts.iter().map(|text| text.to_vec()).collect()
}

/// The first byte, for options, and the rest.
fn options(input: &[u8]) -> (u8, &[u8]) {
    input.split_first().map_or((0, input), |(first, rest)| (*first, rest))
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

/// Primitive types come back as they were written, and take no more room than they were read from; frames join to the
/// payload that was cut into them.
pub fn codec(input: &[u8]) {
    let mut reader = Reader::new(input);
    while !reader.is_empty() {
        let (before, mut again) = (reader.rest().len(), reader);
        let Ok(value) = reader.lenenc() else { break };
        let written = encoded(|out| put_lenenc(out, value));
        assert!(written.len() <= before - reader.rest().len());
        assert_eq!(Reader::new(&written).lenenc(), Ok(value));
        if let Ok(text) = again.lenenc_bytes() {
            let written = encoded(|out| put_lenenc_bytes(out, text));
            assert_eq!(Reader::new(&written).lenenc_bytes(), Ok(text));
        }
    }
    let mut reader = Reader::new(input);
    while let Ok(text) = reader.nul_bytes() {
        assert!(!text.contains(&0));
    }
    assert!(!reader.nul_or_rest().contains(&0) && reader.is_empty());
    if let Some(header) = Header::read(input) {
        assert!(header.length <= MAX_FRAME);
        assert_eq!(header.bytes(), input[..HEADER]);
    }
    let (sequence, payload) = options(input);
    let framed = encoded(|out| {
        assert_eq!(put_packet(out, payload, sequence), sequence.wrapping_add(1));
    });
    assert_eq!(Header::read(&framed), Some(Header { length: payload.len(), sequence }));
    assert_eq!(&framed[HEADER..], payload);
}

/// OK, ERR and EOF packets survive a round trip, and what is rewritten for a client says the same but for the state.
pub fn response(input: &[u8]) {
    let (option, payload) = options(input);
    let capabilities = if option & 1 == 1 { Capabilities::SESSION_TRACK } else { Capabilities::empty() };
    if let Ok(ok) = OkPacket::decode(payload, capabilities) {
        let again = encoded(|out| ok.encode(out, capabilities));
        let back = OkPacket::decode(&again, capabilities).unwrap();
        let dropped = if capabilities.is_empty() { Status::SESSION_STATE_CHANGED } else { Status::empty() };
        assert_eq!(back, OkPacket { status: ok.status.difference(dropped), ..ok });
        let (mut walked, mut broken) = (0, 0);
        for change in ok.changes() {
            assert_eq!(broken, 0, "a change after a broken one");
            walked += 1;
            broken += usize::from(change.is_err());
        }
        assert!(walked <= ok.state.len() + 1);
    }
    let mut plain = b"kept".to_vec();
    match (without_session_track(payload, &mut plain), OkPacket::decode(payload, Capabilities::SESSION_TRACK)) {
        (Ok(()), Ok(full)) => {
            let bare = OkPacket::decode(&plain[4..], Capabilities::empty()).unwrap();
            let status = full.status.difference(Status::SESSION_STATE_CHANGED);
            assert_eq!(bare, OkPacket { status, state: b"", ..full });
        }
        (Err(_), Err(_)) => assert_eq!(plain, b"kept"),
        (rewritten, read) => panic!("{rewritten:?} of {read:?}"),
    }
    assert!(StateChanges::new(payload).count() <= payload.len());
    if let Ok(error) = ErrPacket::decode(payload) {
        let again = encoded(|out| error.encode(out));
        assert_eq!(ErrPacket::decode(&again).as_ref(), Ok(&error));
        assert!(!error.to_string().is_empty());
    }
    if let Ok(eof) = EofPacket::decode(payload) {
        assert_eq!(EofPacket::decode(&encoded(|out| eof.encode(out))), Ok(eof));
    }
}

/// The packets of a sign-in survive a round trip.
pub fn handshake(input: &[u8]) {
    let (option, payload) = options(input);
    if let Ok(greeting) = Greeting::decode(payload) {
        let again = encoded(|out| greeting.encode(out));
        // What is longer than a greeting can say is cut.
        if greeting.scramble.len() <= 200 {
            assert_eq!(Greeting::decode(&again).as_ref(), Ok(&greeting));
        }
    }
    match Reply::decode(payload) {
        Ok(Reply::Ssl(request)) => {
            assert_eq!(Reply::decode(&encoded(|out| request.encode(out))), Ok(Reply::Ssl(request)));
        }
        Ok(Reply::Response(reply)) => {
            let _ = reply.attributes.iter().count();
            let again = encoded(|out| reply.encode(out));
            let level = reply.zstd_level.or(reply.capabilities.contains(Capabilities::ZSTD_COMPRESSION).then_some(3));
            let want = HandshakeResponse { zstd_level: level, ..reply };
            assert_eq!(HandshakeResponse::decode(&again), Ok(want));
        }
        Err(_) => {}
    }
    let capabilities = match option & 3 {
        0 => Capabilities::empty(),
        1 => Capabilities::COMMON.difference(Capabilities::PLUGIN_AUTH),
        2 => Capabilities::all(),
        _ => Capabilities::COMMON,
    };
    if let Ok(change) = ChangeUser::decode(payload, capabilities) {
        let again = encoded(|out| change.encode(out, capabilities));
        assert_eq!(ChangeUser::decode(&again, capabilities), Ok(change));
    }
    let _ = AuthRequest::decode(payload);
}

/// An execution's parts are parts of it, in order, and its values are one per type.
pub fn prepared(input: &[u8]) {
    let (option, payload) = options(input);
    let parameters = if option == 0xff { u16::MAX } else { option.into() };
    let Ok(execute) = Execute::read(payload, parameters) else { return };
    let count = usize::from(parameters);
    assert_eq!(execute.types_at.is_some(), parameters > 0);
    if let Some(at) = execute.types_at {
        assert_eq!(at, 10 + count.div_ceil(8));
        assert_eq!(execute.nulls, &payload[10..at]);
        let types = execute.types.map_or(0, <[u8]>::len);
        assert!(types == 0 || types == 2 * count);
        assert_eq!(execute.values, &payload[at + 1 + types..]);
    }
    let mut values = Vec::new();
    let types = execute.types.unwrap_or(b"\x08\x00\xfd\x00\x0c\x00\x04\x00");
    for long in [None, Some(0)] {
        if read_values(&execute, types, |i| long == Some(i), &mut values).is_ok() {
            assert_eq!(values.len(), types.len() / 2);
        }
        assert!(values.len() <= types.len() / 2);
    }
}

/// What a tracker made of a response: each packet that matters with its place, how far it came, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Followed {
    packets: Vec<(usize, usize, Packet)>,
    /// How far it came; where it was told to stop, there.
    decided: usize,
    ended: Option<Desync>,
    done: bool,
    file: bool,
    rows: u64,
}

/// Follows a response that arrives in pieces of these sizes (the last one again and again), as the relay does: undecided
/// bytes are given again with more behind them.
fn follow(mut tracker: Tracker, bytes: &[u8], sizes: &[usize]) -> Followed {
    let (mut came, mut decided) = (0, 0);
    let mut packets = Vec::new();
    let mut ended = None;
    let mut sizes = sizes.iter().copied().chain(std::iter::repeat(*sizes.last().unwrap_or(&1)));
    'arrivals: while came < bytes.len() && !tracker.is_done() && !tracker.wants_file() {
        came = (came + sizes.next().unwrap_or(1).max(1)).min(bytes.len());
        loop {
            match tracker.feed(&bytes[decided..came]) {
                Ok(Step::More { pass }) => {
                    assert!(pass <= came - decided, "passes what has not come");
                    decided += pass;
                    break;
                }
                Ok(Step::Packet { start, end, packet }) => {
                    assert!(start + HEADER <= end && end <= came - decided, "a packet out of bounds");
                    packets.push((decided + start, decided + end, packet));
                    decided += end;
                }
                Err(error) => {
                    ended = Some(error);
                    break 'arrivals;
                }
            }
            if tracker.is_done() || tracker.wants_file() {
                break;
            }
        }
    }
    let rows = tracker.rows();
    // The end may be seen before what comes after it has come.
    if (tracker.is_done() || tracker.wants_file()) && decided < bytes.len() {
        ended = Some(Desync::Unsolicited);
    }
    // Before a broken packet more or less may have been decided already.
    let decided = if ended.is_some() { 0 } else { decided };
    Followed { packets, decided, ended, done: tracker.is_done(), file: tracker.wants_file(), rows }
}

/// A response's packets and its end are the same however its bytes are cut, and are where the packets' headers say.
///
/// The first byte is the options: bits 0 and 1 what is expected (and bit 4, of results, that a cursor was asked for), bit 2 DEPRECATE_EOF, bit 3 the bytes as they are (otherwise the
/// rest is a list of payloads, each after a byte with its length, which are framed and numbered here).
pub fn tracker(input: &[u8]) {
    let (option, rest) = options(input);
    let (cut, rest) = options(rest);
    let results = if option & 16 == 0 { Expect::Results } else { Expect::Cursor };
    let expect = [results, Expect::Prepare, Expect::Rows, Expect::Text][usize::from(option & 3)];
    let bytes = if option & 8 == 0 { framed(rest) } else { rest.to_vec() };
    let new = || Tracker::new(expect, option & 4 != 0, 0);
    let whole = follow(new(), &bytes, &[bytes.len().max(1)]);
    let mut last = 0;
    for (start, end, packet) in &whole.packets {
        assert!(*start >= last, "packets overlap");
        last = *end;
        let header = Header::read(&bytes[*start..]).unwrap();
        assert_eq!(end - start, HEADER + header.length);
        check(packet, &bytes[start + HEADER..*end]);
    }
    assert!(!whole.done || matches!(whole.ended, None | Some(Desync::Unsolicited)), "ended twice");
    for sizes in [&[1usize][..], &[cut.into(), 3, 1, 7], &[usize::from(cut) + 1]] {
        assert_eq!(follow(new(), &bytes, sizes), whole, "in pieces of {sizes:?}");
    }
}

/// What a packet is said to be follows from its bytes.
fn check(packet: &Packet, payload: &[u8]) {
    match packet {
        Packet::Ok(_) => assert_eq!(payload[0], 0),
        Packet::RowsEnd(summary) | Packet::ColumnsEnd(summary) => {
            assert_eq!(payload[0], 0xfe);
            if payload.len() == 5 {
                let said = EofPacket::decode(payload).unwrap();
                assert_eq!(
                    summary.status.difference(Status::MORE_RESULTS),
                    said.status.difference(Status::MORE_RESULTS)
                );
            }
        }
        Packet::Err(code) => {
            assert_eq!((payload[0], *code), (0xff, u16::from_le_bytes([payload[1], payload[2]])));
        }
        Packet::Prepared { id, .. } => assert_eq!(*id, u32::from_le_bytes(payload[1..5].try_into().unwrap())),
        Packet::LocalInfile => assert_eq!(payload[0], 0xfb),
        Packet::Text => {}
    }
}

/// A list of payloads as frames in order.
fn framed(mut list: &[u8]) -> Vec<u8> {
    let (mut out, mut sequence) = (Vec::new(), 1u8);
    while let [length, rest @ ..] = list {
        let (payload, tail) = rest.split_at(usize::from(*length).min(rest.len()));
        sequence = put_packet(&mut out, payload, sequence);
        list = tail;
    }
    out
}
