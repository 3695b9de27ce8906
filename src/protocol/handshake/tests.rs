//! Greetings and sign-in answers: those of real servers byte by byte, and any by round trip and by cutting.

use super::*;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::status::Status;
use proptest::prelude::*;

/// As MariaDB 10.11.19 sends it: no LONG_PASSWORD, extended flags in the filler.
const MARIADB: &[u8] =
    b"\x0a5.5.5-10.11.19-MariaDB-0+deb12u1\0\x1f\0\0\0!~+Q?5_r\0\xfe\xf7-\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0\
    3H?jB}d7P>8z\0mysql_native_password\0";
/// As MySQL 9.7 sends it.
const MYSQL: &[u8] = b"\x0a9.7.4-2\0\x08\0\0\0\x10,\x1bO\x01s\x1c|\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0\
    |\x0cd\x1a\x0f%Q\x1d\x1bh,\x03\0caching_sha2_password\0";

fn response(capabilities: Capabilities) -> HandshakeResponse<'static> {
    HandshakeResponse {
        capabilities,
        max_packet: 0x0100_0000,
        collation: 255,
        user: b"anna",
        auth: b"01234567890123456789",
        schema: capabilities.contains(Capabilities::CONNECT_WITH_DB).then_some(b"bigdb".as_slice()),
        plugin: capabilities.contains(Capabilities::PLUGIN_AUTH).then_some(b"mysql_native_password".as_slice()),
        attributes: match capabilities.contains(Capabilities::CONNECT_ATTRS) {
            true => Attributes(b"\x04_pid\x0242\x0cprogram_name\x02it"),
            false => Attributes::default(),
        },
        zstd_level: capabilities.contains(Capabilities::ZSTD_COMPRESSION).then_some(7),
    }
}

/// Every combination of the flags that change an answer's layout.
fn layouts() -> impl Iterator<Item = Capabilities> {
    const BITS: [Capabilities; 6] = [
        Capabilities::PLUGIN_AUTH_LENENC,
        Capabilities::CONNECT_WITH_DB,
        Capabilities::PLUGIN_AUTH,
        Capabilities::CONNECT_ATTRS,
        Capabilities::ZSTD_COMPRESSION,
        Capabilities::SECURE_CONNECTION,
    ];
    (0..1u32 << BITS.len()).map(|mask| {
        BITS.iter()
            .enumerate()
            .filter(|(i, _)| mask >> i & 1 == 1)
            .fold(Capabilities::PROTOCOL_41 | Capabilities::LONG_PASSWORD, |all, (_, bit)| all | *bit)
    })
}

#[test]
fn greetings_of_real_servers_round_trip() {
    for (bytes, mariadb, version, plugin) in [
        (MARIADB, true, &b"5.5.5-10.11.19-MariaDB-0+deb12u1"[..], &b"mysql_native_password"[..]),
        (MYSQL, false, b"9.7.4-2", b"caching_sha2_password"),
    ] {
        let greeting = Greeting::decode(bytes).unwrap();
        assert_eq!(greeting.is_mariadb(), mariadb);
        assert_eq!(greeting.version, version);
        assert_eq!(greeting.plugin, plugin);
        assert_eq!(greeting.scramble.len(), 20);
        assert_eq!(greeting.capabilities.contains(Capabilities::MARIADB_STMT_BULK_OPERATIONS), mariadb);
        let mut out = Vec::new();
        greeting.encode(&mut out);
        assert_eq!(out, bytes);
    }
}

#[test]
fn a_greeting_cut_anywhere_is_an_error_and_never_another_greeting() {
    for bytes in [MARIADB, MYSQL] {
        let plugin_starts = bytes.len() - Greeting::decode(bytes).unwrap().plugin.len() - 1;
        for cut in 0..plugin_starts {
            assert_eq!(Greeting::decode(&bytes[..cut]), Err(HandshakeError::Truncated), "cut at {cut}");
        }
        // The plugin's closing zero may be missing.
        let open_ended = Greeting::decode(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(open_ended, Greeting::decode(bytes).unwrap());
    }
    assert_eq!(Greeting::decode(b"\x095.0\0"), Err(HandshakeError::ProtocolVersion(9)));
    assert_eq!(Greeting::decode(b"\xff\x10\x04Too many connections"), Err(HandshakeError::ProtocolVersion(0xff)));
}

#[test]
fn greetings_keep_every_field() {
    for (capabilities, plugin) in [
        (Capabilities::COMMON, &b"caching_sha2_password"[..]),
        (Capabilities::COMMON.difference(Capabilities::LONG_PASSWORD) | Capabilities::MARIADB_CACHE_METADATA, b"x"),
        (Capabilities::COMMON.difference(Capabilities::PLUGIN_AUTH), b""),
    ] {
        let greeting = Greeting {
            version: b"8.4.0-switchboard",
            thread_id: 0xfffe_fdfc,
            scramble: (1..=20).collect(),
            capabilities,
            collation: 45,
            status: Status::AUTOCOMMIT,
            plugin,
        };
        let mut out = Vec::new();
        greeting.encode(&mut out);
        assert_eq!(Greeting::decode(&out).unwrap(), greeting);
    }
}

#[test]
fn extended_flags_are_not_said_beside_long_password() {
    let greeting = Greeting {
        version: b"8.4.0",
        thread_id: 1,
        scramble: vec![1; 20],
        capabilities: Capabilities::COMMON | Capabilities::MARIADB_CACHE_METADATA,
        collation: 45,
        status: Status::AUTOCOMMIT,
        plugin: b"mysql_native_password",
    };
    let mut out = Vec::new();
    greeting.encode(&mut out);
    assert_eq!(Greeting::decode(&out).unwrap().capabilities, Capabilities::COMMON);
}

#[test]
fn answers_round_trip_in_every_layout() {
    for capabilities in layouts() {
        let mut sent = response(capabilities);
        let old = !capabilities.intersects(Capabilities::PLUGIN_AUTH_LENENC | Capabilities::SECURE_CONNECTION);
        if old {
            sent.auth = b"no zero inside";
        }
        let mut out = Vec::new();
        sent.encode(&mut out);
        assert_eq!(Reply::decode(&out), Ok(Reply::Response(sent)), "{capabilities:?}");
    }
}

#[test]
fn answers_cut_anywhere_do_not_panic_and_never_gain_a_field() {
    for capabilities in layouts() {
        let sent = response(capabilities);
        let mut out = Vec::new();
        sent.encode(&mut out);
        for cut in 0..out.len() {
            if let Ok(Reply::Response(got)) = Reply::decode(&out[..cut]) {
                assert!(sent.user.starts_with(got.user) && sent.auth.starts_with(got.auth));
                assert!(got.plugin.is_none_or(|p| sent.plugin.unwrap().starts_with(p)));
                assert!(got.attributes.iter().count() <= sent.attributes.iter().count());
            }
        }
    }
}

#[test]
fn mariadb_clients_say_their_extended_flags_in_the_filler() {
    let wanted = Capabilities::PROTOCOL_41 | Capabilities::SECURE_CONNECTION | Capabilities::MARIADB_CACHE_METADATA;
    let mut out = Vec::new();
    response(wanted).encode(&mut out);
    assert_eq!(out[28..32], [0x10, 0, 0, 0]);
    let Ok(Reply::Response(got)) = Reply::decode(&out) else { panic!() };
    assert_eq!(got.capabilities, wanted);
    // With LONG_PASSWORD set the same four bytes mean nothing.
    out[0] |= 1;
    let Ok(Reply::Response(got)) = Reply::decode(&out) else { panic!() };
    assert!(!got.capabilities.contains(Capabilities::MARIADB_CACHE_METADATA));
}

#[test]
fn a_request_for_tls_is_told_from_an_answer_by_its_length() {
    let wanted = Capabilities::PROTOCOL_41 | Capabilities::SSL | Capabilities::LONG_PASSWORD;
    let request = SslRequest { capabilities: wanted, max_packet: 1 << 24, collation: 8 };
    let mut out = Vec::new();
    request.encode(&mut out);
    assert_eq!(out.len(), 32);
    assert_eq!(Reply::decode(&out), Ok(Reply::Ssl(request)));
    out.extend_from_slice(b"root\0\0");
    assert!(matches!(Reply::decode(&out), Ok(Reply::Response(r)) if r.user == b"root"));
    for cut in 0..32 {
        assert_eq!(Reply::decode(&out[..cut]), Err(HandshakeError::Truncated));
    }
}

#[test]
fn clients_before_4_1_are_told_apart() {
    assert_eq!(Reply::decode(b"\x85\x24\0\0\0old\0abcdefgh"), Err(HandshakeError::TooOld));
}

#[test]
fn exchange_packets_decode() {
    use AuthRequest::{More, Switch, SwitchToOld};
    let table: [(&[u8], Result<AuthRequest<'_>, HandshakeError>); 9] = [
        (b"", Err(HandshakeError::Truncated)),
        (b"\x00\0\0\x02\0\0\0", Ok(AuthRequest::Ok(b"\x00\0\0\x02\0\0\0"))),
        (b"\xff\x15\x04#28000no", Ok(AuthRequest::Err(b"\xff\x15\x04#28000no"))),
        (b"\xfe", Ok(SwitchToOld)),
        (b"\xfename\0data\0", Ok(Switch { plugin: b"name", data: b"data" })),
        (b"\xfename\0", Ok(Switch { plugin: b"name", data: b"" })),
        (b"\xfename", Err(HandshakeError::Truncated)),
        (b"\x01\x04", Ok(More(b"\x04"))),
        (b"\x02abc", Err(HandshakeError::Unexpected(2))),
    ];
    for (bytes, want) in table {
        assert_eq!(AuthRequest::decode(bytes), want, "{bytes:?}");
    }
    let mut out = Vec::new();
    put_auth_switch(&mut out, b"caching_sha2_password", &[7; 20]);
    assert_eq!(AuthRequest::decode(&out), Ok(Switch { plugin: b"caching_sha2_password", data: &[7; 20] }));
    out.clear();
    put_auth_more(&mut out, b"\x03");
    assert_eq!(AuthRequest::decode(&out), Ok(More(b"\x03")));
}

#[test]
fn change_user_round_trips() {
    for capabilities in layouts() {
        for collation in [None, Some(255), Some(2304)] {
            let full = collation.is_some();
            let sent = ChangeUser {
                user: b"anna",
                auth: b"01234567890123456789",
                schema: Some(b"bigdb"),
                collation,
                plugin: (full && capabilities.contains(Capabilities::PLUGIN_AUTH)).then_some(b"plugin".as_slice()),
                attributes: match full && capabilities.contains(Capabilities::CONNECT_ATTRS) {
                    true => Attributes(b"\x01a\x01b"),
                    false => Attributes::default(),
                },
            };
            let mut out = Vec::new();
            sent.encode(&mut out, capabilities);
            assert_eq!(ChangeUser::decode(&out, capabilities), Ok(sent));
            for cut in 0..out.len() {
                let _ = ChangeUser::decode(&out[..cut], capabilities);
            }
        }
    }
    assert_eq!(ChangeUser::decode(b"\x03x", Capabilities::COMMON), Err(HandshakeError::Unexpected(3)));
}

#[test]
fn attributes_stop_at_what_is_cut_short() {
    let mut block = Vec::new();
    put_attribute(&mut block, b"program_name", b"reports");
    put_attribute(&mut block, b"_os", b"Linux");
    let attributes = Attributes(&block);
    assert_eq!(attributes.get(b"_os"), Some(&b"Linux"[..]));
    assert_eq!(attributes.get(b"_pid"), None);
    assert_eq!(Attributes(&block[..block.len() - 1]).iter().count(), 1);
}

proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), bits in any::<u64>()) {
        let _ = Greeting::decode(&bytes);
        let _ = Reply::decode(&bytes);
        let _ = AuthRequest::decode(&bytes);
        let _ = ChangeUser::decode(&bytes, Capabilities::from_bits_retain(bits));
        let _ = Attributes(&bytes).iter().count();
    }
}
