//! OK, ERR and EOF packets by round trip and by cutting, and the two changes that are made in place.

use super::*;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::status::Status;
use proptest::prelude::*;

#[test]
fn errors_with_and_without_a_state() {
    let table: [(&[u8], ErrPacket<'_>); 3] = [
        (
            b"\xff\x15\x04#28000Access denied",
            ErrPacket { code: 1045, state: Some(*b"28000"), message: b"Access denied".into() },
        ),
        (
            b"\xff\x10\x04Too many connections",
            ErrPacket { code: 1040, state: None, message: b"Too many connections".into() },
        ),
        (b"\xff\x10\x04", ErrPacket { code: 1040, state: None, message: b"".into() }),
    ];
    for (bytes, want) in table {
        let got = ErrPacket::decode(bytes).unwrap();
        assert_eq!(got, want);
        let mut out = Vec::new();
        got.encode(&mut out);
        assert_eq!(out, bytes);
        for cut in 0..3 {
            assert!(ErrPacket::decode(&bytes[..cut]).is_err());
        }
    }
    assert_eq!(ErrPacket::new(1045, b"28000", "no").to_string(), "1045 (28000): no");
}

#[test]
fn ok_packets_round_trip() {
    for track in [Capabilities::SESSION_TRACK, Capabilities::empty()] {
        for info in [&b""[..], b"Rows matched: 1  Changed: 1  Warnings: 0", &[b'x'; 300]] {
            for state in [&b""[..], b"\x01\x03\x02ab"] {
                let changed = !state.is_empty() && !track.is_empty();
                let sent = OkPacket {
                    header: 0,
                    affected_rows: 70_000,
                    last_insert_id: 1 << 40,
                    status: Status::AUTOCOMMIT | if changed { Status::SESSION_STATE_CHANGED } else { Status::empty() },
                    warnings: 3,
                    info,
                    state: if changed { state } else { b"" },
                };
                let mut out = Vec::new();
                sent.encode(&mut out, track);
                assert_eq!(OkPacket::decode(&out, track), Ok(sent));
                for cut in 0..15 {
                    assert!(OkPacket::decode(&out[..cut], track).is_err(), "cut at {cut}");
                }
                for cut in 15..out.len() {
                    let _ = OkPacket::decode(&out[..cut], track);
                }
            }
        }
    }
}

#[test]
fn an_ok_without_session_track_keeps_all_but_the_changes() {
    let with = OkPacket {
        affected_rows: 2,
        status: Status::IN_TRANSACTION | Status::SESSION_STATE_CHANGED,
        info: b"Records: 2",
        state: b"\x01\x03\x02ab",
        ..OkPacket::default()
    };
    let mut payload = Vec::new();
    with.encode(&mut payload, Capabilities::SESSION_TRACK);
    let mut out = b"before".to_vec();
    without_session_track(&payload, &mut out).unwrap();
    let got = OkPacket::decode(&out[6..], Capabilities::empty()).unwrap();
    assert_eq!(got, OkPacket { status: Status::IN_TRANSACTION, state: b"", ..with });
    let mut out = b"before".to_vec();
    assert!(without_session_track(&payload[..payload.len() - 1], &mut out).is_err());
    assert_eq!(out, b"before");
}

#[test]
fn lasting_flags_are_replaced_where_they_stand() {
    let shown = Status::AUTOCOMMIT | Status::IN_TRANSACTION;
    let own = Status::AUTOCOMMIT | Status::MORE_RESULTS | Status::ANSI_QUOTES;
    let ok = OkPacket { affected_rows: 300, last_insert_id: 70_000, status: own, warnings: 3, ..OkPacket::default() };
    let mut payload = Vec::new();
    ok.encode(&mut payload, Capabilities::empty());
    replace_lasting_flags(&mut payload, shown).unwrap();
    let want = Status::MORE_RESULTS | shown;
    assert_eq!(OkPacket::decode(&payload, Capabilities::empty()).unwrap(), OkPacket { status: want, ..ok });
    assert!(replace_lasting_flags(&mut payload[..8], shown).is_err());
    let mut payload = Vec::new();
    EofPacket { warnings: 0xfefe, status: own }.encode(&mut payload);
    replace_lasting_flags(&mut payload, shown).unwrap();
    assert_eq!(EofPacket::decode(&payload).unwrap(), EofPacket { warnings: 0xfefe, status: want });
}

/// What MySQL 9.7 says after `SET NAMES utf8mb4; USE bigdb; BEGIN`, in one block here; and MariaDB's two variables in one.
const CHANGES: &[u8] = b"\x00\x1d\x14character_set_client\x07utf8mb4\x01\x06\x05bigdb\x02\x011\x05\x09\x08T_______\
    \x04\x13\x12START TRANSACTION;\x03\x07\x00\x05a:1-2\x00\x0a\x01a\x011\x02bb\x0222\x63\x02zz";

#[test]
fn state_changes_are_walked_in_order() {
    let got: Vec<_> = StateChanges::new(CHANGES).collect::<Result<_, _>>().unwrap();
    let StateChange::TransactionState(transaction) = got[3] else { panic!("{got:?}") };
    assert!(transaction.is_open() && transaction.is_explicit());
    assert!(!transaction.has_read() && !transaction.has_written() && !transaction.has_locked_tables());
    assert_eq!(
        got[..3],
        [
            StateChange::Variable { name: b"character_set_client", value: b"utf8mb4" },
            StateChange::Schema(b"bigdb"),
            StateChange::State(true),
        ]
    );
    assert_eq!(
        got[4..],
        [
            StateChange::TransactionCharacteristics(b"START TRANSACTION;"),
            StateChange::Gtids(b"a:1-2"),
            StateChange::Variable { name: b"a", value: b"1" },
            StateChange::Variable { name: b"bb", value: b"22" },
            StateChange::Other { kind: 0x63, data: b"zz" },
        ]
    );
}

#[test]
fn state_changes_cut_short_end_in_one_error() {
    for cut in 1..CHANGES.len() {
        let got: Vec<_> = StateChanges::new(&CHANGES[..cut]).collect();
        let errors = got.iter().filter(|c| c.is_err()).count();
        assert!(errors <= 1);
        if errors == 1 {
            assert!(got.last().unwrap().is_err());
        } else {
            assert!(got.len() < 9, "cut at {cut} lost nothing");
        }
    }
}

#[test]
fn eof_packets_round_trip() {
    let sent = EofPacket { warnings: 2, status: Status::MORE_RESULTS | Status::AUTOCOMMIT };
    let mut out = Vec::new();
    sent.encode(&mut out);
    assert_eq!(EofPacket::decode(&out), Ok(sent));
    for cut in 0..5 {
        assert!(EofPacket::decode(&out[..cut]).is_err());
    }
}

proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), bits in any::<u64>()) {
        let capabilities = Capabilities::from_bits_retain(bits);
        if let Ok(ok) = OkPacket::decode(&bytes, capabilities) {
            let _ = ok.changes().count();
        }
        let _ = ErrPacket::decode(&bytes);
        let _ = EofPacket::decode(&bytes);
        let _ = StateChanges::new(&bytes).count();
        let _ = without_session_track(&bytes, &mut Vec::new());
    }
}
