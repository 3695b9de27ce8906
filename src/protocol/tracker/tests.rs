//! Answers of every shape, whole and in pieces: where each ends, and what was in it.

use super::*;
use crate::protocol::codec::put_packet;

const COLUMN: &[u8] = b"\x03def\0\0\0\x011\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0";

/// Frames packets one after the other, the first with sequence number 1.
fn wire(packets: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sequence = 1;
    for packet in packets {
        sequence = put_packet(&mut out, packet, sequence);
    }
    out
}

fn eof(status: u16) -> Vec<u8> {
    let s = status.to_le_bytes();
    vec![0xfe, 0, 0, s[0], s[1]]
}

fn ok(status: u16) -> Vec<u8> {
    let s = status.to_le_bytes();
    vec![0x00, 1, 7, s[0], s[1], 2, 0]
}

fn ok_end(status: u16) -> Vec<u8> {
    let s = status.to_le_bytes();
    vec![0xfe, 0, 0, s[0], s[1], 0, 0]
}

/// Feeds `bytes` in pieces of `size`, as a relay would; returns the packets seen and the bytes passed on.
fn run(expect: Expect, deprecate_eof: bool, bytes: &[u8], size: usize) -> Result<(Vec<Packet>, Vec<u8>, bool), Desync> {
    let mut tracker = Tracker::new(expect, deprecate_eof, 0);
    let (mut seen, mut passed, mut carry) = (Vec::new(), Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        carry.extend_from_slice(piece);
        loop {
            match tracker.feed(&carry)? {
                Step::More { pass } => {
                    passed.extend(carry.drain(..pass));
                    break;
                }
                Step::Packet { end, packet, .. } => {
                    seen.push(packet);
                    passed.extend(carry.drain(..end));
                }
            }
        }
    }
    Ok((seen, passed, tracker.is_done() && carry.is_empty()))
}

/// Checks a response in one piece and cut at every size.
fn check(expect: Expect, deprecate_eof: bool, packets: &[&[u8]], want: &[Packet]) {
    let bytes = wire(packets);
    for size in (1..40).chain([bytes.len()]) {
        let (seen, passed, done) = run(expect, deprecate_eof, &bytes, size).unwrap();
        assert_eq!(seen, want, "in pieces of {size}");
        assert_eq!(passed, bytes, "bytes change in pieces of {size}");
        assert!(done, "not done in pieces of {size}");
    }
}

fn summary(status: u16) -> Summary {
    Summary { status: Status::from_bits_retain(status), ..Summary::default() }
}

fn ok_summary(status: u16) -> Summary {
    Summary { affected_rows: 1, insert_id: 7, status: Status::from_bits_retain(status), warnings: 2 }
}

#[test]
fn simple_answers() {
    check(Expect::Results, true, &[&ok(2)], &[Packet::Ok(ok_summary(2))]);
    check(Expect::Results, false, &[&ok(2)], &[Packet::Ok(ok_summary(2))]);
    check(Expect::Results, true, &[b"\xff\x48\x04#HY000No"], &[Packet::Err(1096)]);
    check(Expect::Rows, false, &[&eof(2)], &[Packet::RowsEnd(summary(2))]);
    check(Expect::Rows, true, &[&ok_end(2)], &[Packet::RowsEnd(summary(2))]);
    check(Expect::Text, false, &[b"Uptime: 1  Threads: 2"], &[Packet::Text]);
    check(Expect::Text, false, &[b"\xff\x17\x04#08S01Unknown command"], &[Packet::Err(1047)]);
}

#[test]
fn result_sets_with_and_without_eof_packets() {
    let row: &[u8] = b"\x011";
    check(
        Expect::Results,
        false,
        &[b"\x01", COLUMN, &eof(2), row, row, &eof(0x22)],
        &[Packet::ColumnsEnd(summary(2)), Packet::RowsEnd(summary(0x22))],
    );
    check(Expect::Results, true, &[b"\x01", COLUMN, row, &ok_end(2)], &[Packet::RowsEnd(summary(2))]);
    check(Expect::Results, true, &[b"\x01", COLUMN, &ok_end(2)], &[Packet::RowsEnd(summary(2))]);
    // An error in the middle of the rows ends the response.
    check(Expect::Results, true, &[b"\x01", COLUMN, row, b"\xff\x25\x05#70100Query"], &[Packet::Err(1317)]);
}

#[test]
fn a_result_may_have_more_columns_than_two_bytes_count() {
    let mut parts: Vec<&[u8]> = vec![b"\xfd\x00\x00\x01"];
    parts.extend(std::iter::repeat_n(COLUMN, 0x1_0000));
    let end = ok_end(2);
    parts.push(&end);
    check(Expect::Results, true, &parts, &[Packet::RowsEnd(summary(2))]);
}

#[test]
fn rows_that_look_like_control_packets() {
    // NULL first; the empty string first (0x00, as a binary row starts); a long first column (0xfe, 8 bytes of length).
    let mut long = vec![0xfe];
    long.extend_from_slice(&(MAX_FRAME as u64).to_le_bytes());
    long.resize(MAX_FRAME + 9, b'x');
    for row in [&b"\xfb"[..], b"\x00", b"\x00\x00\x01\x00\x00\x00", &long] {
        let bytes = wire(&[b"\x01", COLUMN, row, &ok_end(2)]);
        let (seen, passed, done) = run(Expect::Results, true, &bytes, 1 << 16).unwrap();
        assert_eq!(seen, [Packet::RowsEnd(summary(2))]);
        assert!(done && passed == bytes);
    }
}

#[test]
fn packets_of_sixteen_mebibytes() {
    for size in [MAX_FRAME - 1, MAX_FRAME, MAX_FRAME + 1, 2 * MAX_FRAME, 2 * MAX_FRAME + 5] {
        // The continuation frame starts with a byte that would be an ERR if it were looked at.
        let mut row = vec![0xfd, 0xff, 0xff, 0xff];
        row.resize(size, 0xff);
        let bytes = wire(&[b"\x01", COLUMN, &row, b"\x011", &eof(2)]);
        let mut with_eof = wire(&[b"\x01", COLUMN]);
        with_eof.truncate(with_eof.len());
        let (seen, passed, done) = run(Expect::Results, true, &bytes, 1 << 16).unwrap();
        assert_eq!(seen.len(), 1, "{size}");
        assert!(done && passed == bytes, "{size}");
    }
}

#[test]
fn multi_results() {
    check(
        Expect::Results,
        true,
        &[&ok(0x0a), b"\x01", COLUMN, b"\x011", &ok_end(0x0a), &ok(2)],
        &[Packet::Ok(ok_summary(0x0a)), Packet::RowsEnd(summary(0x0a)), Packet::Ok(ok_summary(2))],
    );
}

#[test]
fn prepare_answers() {
    let head = |columns: u8, parameters: u8| vec![0, 9, 0, 0, 0, columns, 0, parameters, 0, 0, 0, 0];
    let want = |columns, parameters| Packet::Prepared { id: 9, columns, parameters };
    check(Expect::Prepare, true, &[&head(0, 0)], &[want(0, 0)]);
    check(Expect::Prepare, false, &[&head(0, 0)], &[want(0, 0)]);
    check(Expect::Prepare, true, &[&head(1, 2), COLUMN, COLUMN, COLUMN], &[want(1, 2)]);
    check(Expect::Prepare, true, &[&head(0, 1), COLUMN], &[want(0, 1)]);
    check(
        Expect::Prepare,
        false,
        &[&head(1, 2), COLUMN, COLUMN, &eof(2), COLUMN, &eof(2)],
        &[want(1, 2), Packet::ColumnsEnd(summary(2))],
    );
    check(Expect::Prepare, false, &[&head(0, 1), COLUMN, &eof(2)], &[want(0, 1)]);
    check(Expect::Prepare, true, &[b"\xff\x28\x04#42000You"], &[Packet::Err(1064)]);
}

#[test]
fn cursors() {
    let open = 0x42;
    check(Expect::Cursor, false, &[b"\x01", COLUMN, &eof(open)], &[Packet::ColumnsEnd(summary(open))]);
    check(Expect::Cursor, true, &[b"\x01", COLUMN, &ok_end(open)], &[Packet::RowsEnd(summary(open))]);
    check(Expect::Rows, false, &[b"\x00\x00\x01", &eof(0x82)], &[Packet::RowsEnd(summary(0x82))]);
}

/// Answers as MariaDB 10.11 and MySQL 9.7 send them while a cursor is open inside a procedure, a function or a block: rows
/// follow, also where the execution asked for a cursor and got none.
#[test]
fn cursors_inside_procedures() {
    let (row, end): (&[u8], &[u8]) = (b"\0\0\x07\0\0\0", &[0x00, 0, 0, 2, 0, 0, 0]);
    // MySQL leaves the flag standing in the OK packet of the whole.
    let standing: &[u8] = &[0x00, 0, 0, 0x42, 0, 0, 0];
    let ended = |status| Packet::Ok(summary(status));
    for expect in [Expect::Results, Expect::Cursor] {
        for (last, status) in [(end, 2), (standing, 0x42)] {
            check(
                expect,
                false,
                &[b"\x01", COLUMN, &eof(0x4a), row, &eof(0x4a), b"\x01", COLUMN, &eof(0x4a), &eof(0x4a), last],
                &[
                    Packet::ColumnsEnd(summary(0x4a)),
                    Packet::RowsEnd(summary(0x4a)),
                    Packet::ColumnsEnd(summary(0x4a)),
                    Packet::RowsEnd(summary(0x4a)),
                    ended(status),
                ],
            );
            check(
                expect,
                true,
                &[b"\x01", COLUMN, row, &ok_end(0x4a), b"\x01", COLUMN, &ok_end(0x4a), last],
                &[Packet::RowsEnd(summary(0x4a)), Packet::RowsEnd(summary(0x4a)), ended(status)],
            );
        }
    }
    // A function's: `SELECT f()` on MySQL.
    check(
        Expect::Results,
        false,
        &[b"\x01", COLUMN, &eof(0x42), row, &eof(0x42)],
        &[Packet::ColumnsEnd(summary(0x42)), Packet::RowsEnd(summary(0x42))],
    );
    check(Expect::Results, true, &[b"\x01", COLUMN, row, &ok_end(0x42)], &[Packet::RowsEnd(summary(0x42))]);
}

#[test]
fn a_cursor_is_opened_only_where_columns_alone_answer_an_execution_that_asked() {
    let row: &[u8] = b"\0\0\x07\0\0\0";
    let (eof_open, ok_open, ok_more) = (eof(0x42), ok_end(0x42), ok_end(0x4a));
    let (eof_plain, ok_standing) = (eof(2), ok(0x42));
    let cases: [(bool, &[&[u8]], bool); 7] = [
        (false, &[b"\x01", COLUMN, &eof_open], true),
        (true, &[b"\x01", COLUMN, &ok_open], true),
        // EXPLAIN on MySQL: rows, and the flag behind them.
        (false, &[b"\x01", COLUMN, &eof_plain, row, &eof_open], false),
        (false, &[b"\x01", COLUMN, &eof_plain, &eof_open], false),
        (true, &[b"\x01", COLUMN, row, &ok_open], false),
        // A CALL, and a DELETE that calls a function.
        (true, &[b"\x01", COLUMN, &ok_more, &ok_standing], false),
        (true, &[&ok_standing], false),
    ];
    for (deprecate_eof, packets, opened) in cases {
        for expect in [Expect::Cursor, Expect::Results] {
            let bytes = wire(packets);
            let mut tracker = Tracker::new(expect, deprecate_eof, 0);
            let mut at = 0;
            while let Step::Packet { end, .. } = tracker.feed(&bytes[at..]).unwrap() {
                at += end;
            }
            assert_eq!(tracker.opened_cursor(), opened && expect == Expect::Cursor, "{packets:?} {deprecate_eof}");
        }
    }
}

#[test]
fn local_infile_waits_for_the_client() {
    let mut tracker = Tracker::new(Expect::Results, true, 0);
    let ask = wire(&[b"\xfb/tmp/x"]);
    assert!(matches!(tracker.feed(&ask), Ok(Step::Packet { packet: Packet::LocalInfile, .. })));
    assert!(tracker.wants_file() && !tracker.is_done());
    assert_eq!(tracker.feed(b""), Ok(Step::More { pass: 0 }));
    tracker.file_sent(3);
    let mut answer = Vec::new();
    put_packet(&mut answer, &ok(2), 4);
    assert!(matches!(tracker.feed(&answer), Ok(Step::Packet { packet: Packet::Ok(_), .. })));
    assert!(tracker.is_done());
}

#[test]
fn a_server_that_breaks_the_protocol_is_found_out() {
    let mut late = wire(&[&ok(2)]);
    late[3] = 2;
    assert_eq!(run(Expect::Results, true, &late, 99), Err(Desync::Sequence { got: 2, expected: 1 }));
    let mut extra = wire(&[&ok(2)]);
    extra.push(0);
    assert_eq!(run(Expect::Results, true, &extra, 99), Err(Desync::Unsolicited));
    for (expect, packet) in [
        (Expect::Results, &b""[..]),
        (Expect::Results, b"\x00"),
        (Expect::Results, b"\xff"),
        (Expect::Prepare, b"\x00\x01"),
        (Expect::Prepare, b"\x01\x01\0\0\0\0\0\0\0"),
        (Expect::Results, b"\xfc\x00"),
        (Expect::Results, b"\xfe\0\0\0\x01\0\0\0\0"),
    ] {
        assert!(matches!(run(expect, true, &wire(&[packet]), 99), Err(Desync::Malformed(_))), "{packet:?}");
    }
    let huge = wire(&[b"\x01", COLUMN]).into_iter().chain([0xff, 0xff, 0x7f, 3, 0xff]).collect::<Vec<_>>();
    assert!(matches!(run(Expect::Results, true, &huge, 999), Err(Desync::TooLarge(_))));
}

#[test]
fn counts_rows() {
    let mut tracker = Tracker::new(Expect::Results, true, 0);
    let bytes = wire(&[b"\x01", COLUMN, b"\x011", b"\x012", b"\x013", &ok_end(2)]);
    assert!(matches!(tracker.feed(&bytes), Ok(Step::Packet { .. })));
    assert_eq!(tracker.rows(), 3);
}

/// MySQL 9.7's answer to a prepared CALL with OUT parameters: the second EOF packet does not say that an OK follows.
#[test]
fn out_parameters_are_followed_by_an_ok() {
    let mut tracker = Tracker::new(Expect::Results, false, 0);
    let mut bytes = b"\x01\0\0\x01\x01\x03\0\0\x02def\x05\0\0\x03\xfe\0\0\x0a\x10".to_vec();
    bytes.extend_from_slice(b"\x06\0\0\x04\0\0\x08\0\0\0\x05\0\0\x05\xfe\0\0\x02\0\x07\0\0\x06\0\0\0\x02\0\0\0");
    let mut at = 0;
    let mut packets = Vec::new();
    while !tracker.is_done() {
        match tracker.feed(&bytes[at..]).unwrap() {
            Step::Packet { end, packet, .. } => {
                packets.push(packet);
                at += end;
            }
            Step::More { .. } => panic!("the bytes end before the response: {packets:?}"),
        }
    }
    assert_eq!(at, bytes.len());
    assert!(matches!(packets[..], [Packet::ColumnsEnd(_), Packet::RowsEnd(_), Packet::Ok(_)]), "{packets:?}");
}

/// The last packet of such an answer is a definition, which is passed on as it comes: the end is behind its last byte.
#[test]
fn an_answer_to_prepare_ends_with_the_last_byte_of_its_last_definition() {
    let bytes = b"\x0c\0\0\x01\0\x07\0\0\0\x01\0\0\0\0\0\0\x04\0\0\x02\x03def";
    let mut tracker = Tracker::new(Expect::Prepare, true, 0);
    assert!(matches!(tracker.feed(bytes), Ok(Step::Packet { end: 16, packet: Packet::Prepared { id: 7, .. }, .. })));
    for cut in 16..bytes.len() {
        let mut tracker = tracker.clone();
        assert_eq!(tracker.feed(&bytes[16..cut]), Ok(Step::More { pass: if cut < 21 { 0 } else { cut - 16 } }));
        assert!(!tracker.is_done(), "cut at {cut}");
    }
    assert_eq!(tracker.feed(&bytes[16..]), Ok(Step::More { pass: 8 }));
    assert!(tracker.is_done());
}
