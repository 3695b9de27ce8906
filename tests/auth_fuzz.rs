//! Random damage to sign-in packets, always the same for the same seed: nothing panics, what decodes survives a round trip,
//! nobody gets in, and no password gets out. Each test is a fuzz target's body with a fixed stock of inputs.

use std::sync::Arc;
use std::time::Duration;
use switchboard::auth::client::{Reaction, ServerKey, SignIn};
use switchboard::auth::server::{Channel, Opening, Step, begin};
use switchboard::auth::{
    AccountSpec, Accounts, Credentials, GuessLimits, Guesses, Host, Offload, Plugin, RsaKey, Scramble, StoredPassword,
};
use switchboard::frontend::login::{LoginContext, login};
use switchboard::net::frame::put_packet;
use switchboard::net::stream::Plain;
use switchboard::protocol::capabilities::Capabilities;
use switchboard::protocol::handshake::{
    Attributes, AuthRequest, ChangeUser, Greeting, HandshakeResponse, Reply, put_auth_more, put_auth_switch,
};
use switchboard::protocol::response::{ErrPacket, OkPacket, StateChanges, without_session_track};
use switchboard::protocol::status::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const SECRET: &str = "a-secret-to-look-for";

/// A small generator (xorshift): the same damage in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// A few changes: bytes set to telling values or at random, cut, doubled, taken out, or put in.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        const TELLING: [u8; 10] = [0, 1, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff];
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(out.len());
            match self.below(6) {
                0 if !out.is_empty() => out[at] = TELLING[self.below(TELLING.len())],
                1 if !out.is_empty() => out[at] = self.next() as u8,
                2 => out.truncate(at),
                3 => out.extend_from_slice(&bytes[..self.below(bytes.len())]),
                4 if !out.is_empty() => drop(out.remove(at)),
                _ => out.insert(at, TELLING[self.below(TELLING.len())]),
            }
        }
        out
    }

    fn damaged(&mut self, stock: &[Vec<u8>]) -> Vec<u8> {
        let whole = self.pick(stock);
        self.damage(whole)
    }

    fn pick<'a>(&mut self, stock: &'a [Vec<u8>]) -> &'a [u8] {
        &stock[self.below(stock.len())]
    }
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

fn greetings() -> Vec<Vec<u8>> {
    let all = [Capabilities::COMMON, Capabilities::COMMON.difference(Capabilities::LONG_PASSWORD), Capabilities::all()];
    let greeting = |capabilities| Greeting {
        version: b"10.11.19-MariaDB",
        thread_id: 9,
        scramble: (1..=20).collect(),
        capabilities,
        collation: 45,
        status: Status::AUTOCOMMIT,
        plugin: b"mysql_native_password",
    };
    all.into_iter().map(|c| encoded(|out| greeting(c).encode(out))).collect()
}

fn responses() -> Vec<Vec<u8>> {
    let all = [
        Capabilities::COMMON,
        Capabilities::COMMON.difference(Capabilities::PLUGIN_AUTH_LENENC),
        Capabilities::all().difference(Capabilities::SSL),
        Capabilities::PROTOCOL_41 | Capabilities::SECURE_CONNECTION,
        Capabilities::PROTOCOL_41,
    ];
    let response = |capabilities| HandshakeResponse {
        capabilities,
        max_packet: 1 << 24,
        collation: 255,
        user: b"anna",
        auth: b"01234567890123456789",
        schema: Some(b"bigdb"),
        plugin: Some(b"mysql_native_password"),
        attributes: Attributes(b"\x04_pid\x0242\x0cprogram_name\x02it"),
        zstd_level: Some(3),
    };
    all.into_iter().map(|c| encoded(|out| response(c).encode(out))).collect()
}

/// What either side may say in the middle.
fn exchange_packets() -> Vec<Vec<u8>> {
    let rsa = RsaKey::generated();
    let pem = rsa.make().unwrap().to_owned();
    let mut all: Vec<Vec<u8>> =
        ["mysql_native_password", "caching_sha2_password", "mysql_clear_password", "sha256_password", "dialog"]
            .into_iter()
            .map(|plugin| encoded(|out| put_auth_switch(out, plugin.as_bytes(), &[7; 20])))
            .collect();
    all.extend([&[3][..], &[4], pem.as_bytes()].map(|data| encoded(|out| put_auth_more(out, data))));
    all.extend([&b""[..], b"\0", b"\x02", b"\x01", b"\xfe", b"pencil\0", &[1; 20], &[1; 32], &[1; 256]].map(Vec::from));
    all.push(b"\0\0\0\x02\0\0\0".to_vec());
    all.push(b"\xff\x15\x04#28000Access denied".to_vec());
    all
}

#[test]
fn packets_that_decode_survive_a_round_trip() {
    let mut random = Random(0x5eed);
    let (greetings, responses) = (greetings(), responses());
    let change = ChangeUser {
        user: b"anna",
        auth: b"01234567890123456789",
        schema: Some(b"bigdb"),
        collation: Some(255),
        plugin: Some(b"caching_sha2_password"),
        attributes: Attributes(b"\x01a\x01b"),
    };
    let mut decoded = [0u32; 3];
    for _ in 0..60_000 {
        let bytes = random.damaged(&greetings);
        if let Ok(greeting) = Greeting::decode(&bytes) {
            decoded[0] += 1;
            assert_eq!(Greeting::decode(&encoded(|out| greeting.encode(out))).as_ref(), Ok(&greeting));
        }
        let bytes = random.damaged(&responses);
        if let Ok(Reply::Response(response)) = Reply::decode(&bytes) {
            decoded[1] += 1;
            let _ = response.attributes.iter().count();
            let again = encoded(|out| response.encode(out));
            let level =
                response.zstd_level.or(response.capabilities.contains(Capabilities::ZSTD_COMPRESSION).then_some(3));
            assert_eq!(Reply::decode(&again), Ok(Reply::Response(HandshakeResponse { zstd_level: level, ..response })));
        }
        let capabilities = Capabilities::from_bits_retain(random.next());
        let bytes = random.damage(&encoded(|out| change.encode(out, capabilities)));
        if let Ok(change) = ChangeUser::decode(&bytes, capabilities) {
            decoded[2] += 1;
            let again = encoded(|out| change.encode(out, capabilities));
            assert_eq!(ChangeUser::decode(&again, capabilities), Ok(change));
        }
    }
    assert!(decoded.iter().all(|n| *n > 5_000), "too few decode to prove anything: {decoded:?}");
}

#[test]
fn verdicts_and_state_changes() {
    let mut random = Random(0xabcd);
    let ok = OkPacket {
        affected_rows: 300,
        last_insert_id: 1 << 30,
        status: Status::AUTOCOMMIT | Status::SESSION_STATE_CHANGED,
        info: b"Rows matched: 1",
        state: b"\x00\x1d\x14character_set_client\x07utf8mb4\x01\x06\x05bigdb\x05\x09\x08T_______\x03\x07\x00\x05a:1-2",
        ..OkPacket::default()
    };
    let ok = encoded(|out| ok.encode(out, Capabilities::SESSION_TRACK));
    let mut rewritten = 0;
    for _ in 0..100_000 {
        let bytes = random.damage(&ok);
        for capabilities in [Capabilities::SESSION_TRACK, Capabilities::empty()] {
            if let Ok(ok) = OkPacket::decode(&bytes, capabilities) {
                assert!(ok.changes().count() <= bytes.len());
            }
        }
        let _ = StateChanges::new(&bytes).count();
        let _ = ErrPacket::decode(&bytes);
        let mut out = Vec::new();
        if without_session_track(&bytes, &mut out).is_ok() {
            rewritten += 1;
            let (full, bare) = (
                OkPacket::decode(&bytes, Capabilities::SESSION_TRACK).unwrap(),
                OkPacket::decode(&out, Capabilities::empty()).unwrap(),
            );
            let want = OkPacket { state: b"", status: full.status.difference(Status::SESSION_STATE_CHANGED), ..full };
            assert_eq!(bare, want);
        }
    }
    assert!(rewritten > 10_000, "{rewritten}");
}

#[test]
fn no_answer_lets_anybody_in() {
    let mut random = Random(0x1234);
    let spec =
        |name: &str, stored| AccountSpec { name: name.into(), passwords: vec![stored], ..AccountSpec::default() };
    let salt = "\x01\x02345678901234567890"[..20].to_owned();
    let sha2 = format!("$A$001${salt}{}", "x".repeat(43));
    let accounts = Accounts::build(
        [
            spec("clear", StoredPassword::clear(SECRET).unwrap()),
            spec("native", StoredPassword::hash(b"*9280BC5C48375D81CD50C24EC5485FC1AF820E0D").unwrap()),
            spec("sha2", StoredPassword::hash(sha2.as_bytes()).unwrap()),
        ],
        None,
    )
    .unwrap();
    let rsa = Arc::new(RsaKey::generated());
    rsa.make().unwrap();
    let stock = exchange_packets();
    let plugins = ["mysql_native_password", "caching_sha2_password", "mysql_clear_password", "client_ed25519", ""];
    for round in 0..1_500 {
        let answer = random.damaged(&stock);
        let plugin = plugins[random.below(plugins.len())];
        let opening = Opening {
            user: [&b"clear"[..], b"native", b"sha2", b"nobody", b"\xff"][random.below(5)],
            plugin: Some(plugin.as_bytes()).filter(|p| !p.is_empty()),
            answer: &answer,
            scramble: Scramble::random(),
            channel: [Channel::Plain, Channel::Local, Channel::Tls][random.below(3)],
            greeted: [Plugin::Native, Plugin::CachingSha2][random.below(2)],
            uncertain_scramble: random.below(2) == 0,
        };
        let mut step = begin(&accounts, &rsa, &opening);
        let mut packets = 0;
        let verdict = loop {
            step = match step {
                Step::Ask(_, exchange) => {
                    packets += 1;
                    let bytes = random.pick(&stock);
                    exchange.answer(&if random.below(2) == 0 { bytes.to_vec() } else { random.damage(bytes) })
                }
                Step::Work(work) => work.run(),
                verdict => break verdict,
            };
        };
        assert!(matches!(verdict, Step::Denied(_)), "{round}: {opening:?} was let in");
        assert!(packets <= 4, "{round}: asked {packets} times");
    }
}

#[test]
fn no_packet_gets_the_password_out() {
    let mut random = Random(0x777);
    let stock = exchange_packets();
    let credentials = Credentials::new("app", SECRET);
    let mut done = 0;
    for _ in 0..30_000 {
        let key = [ServerKey::Forbidden, ServerKey::Ask][random.below(2)].clone();
        let plugin = ["mysql_native_password", "caching_sha2_password", "mysql_clear_password", "sha256_password", "x"];
        let plugin = plugin[random.below(plugin.len())];
        let (mut sign_in, _, first) =
            SignIn::begin(&credentials, Channel::Plain, &key, plugin.as_bytes(), &[9; 20]).unwrap();
        let mut sent = first;
        for _ in 0..6 {
            let bytes = random.pick(&stock);
            let bytes = if random.below(3) > 0 { bytes.to_vec() } else { random.damage(bytes) };
            let _ = AuthRequest::decode(&bytes);
            match sign_in.packet(&bytes) {
                Ok(Reaction::Send(answer)) => sent.extend_from_slice(&answer),
                Ok(Reaction::Wait) => {}
                Ok(Reaction::Done) => {
                    done += 1;
                    break;
                }
                Err(error) => {
                    assert!(!error.to_string().contains(SECRET));
                    break;
                }
            }
        }
        assert!(!sent.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()));
    }
    assert!(done > 500, "{done}");
}

/// The whole way, over a real socket: the gate ends every conversation by itself.
#[tokio::test]
async fn conversations_end() {
    let mut random = Random(0xfeed);
    let stock = responses();
    let passwords = vec![StoredPassword::clear(SECRET).unwrap()];
    let spec = AccountSpec { name: "anna".into(), passwords, ..AccountSpec::default() };
    let accounts = Accounts::build([spec], None).unwrap();
    let (rsa, offload) = (Arc::new(RsaKey::generated()), Offload::new(1));
    let guesses = Guesses::default();
    for _ in 0..1_000 {
        let context = LoginContext {
            connection_id: 1,
            host: Host::default(),
            server_version: "8.4.0",
            capabilities: Capabilities::COMMON,
            status: switchboard::protocol::status::Status::AUTOCOMMIT,
            collation: 45,
            accounts: &accounts,
            rsa: &rsa,
            tls: None,
            require_secure: false,
            plugin: Plugin::CachingSha2,
            offload: &offload,
            guesses: (&guesses, GuessLimits { free: 0, ..GuessLimits::default() }),
            timeout: Duration::from_secs(20),
        };
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut bytes = Vec::new();
        for sequence in [1, 3, 5] {
            put_packet(&mut bytes, &random.damaged(&stock), sequence);
        }
        let bytes = if random.below(2) == 0 { random.damage(&bytes) } else { bytes };
        let client = async {
            let _ = theirs.write_all(&bytes).await;
            let _ = theirs.shutdown().await;
            let mut heard = Vec::new();
            let _ = theirs.read_to_end(&mut heard).await;
            heard
        };
        let (verdict, heard) = tokio::join!(login(Plain::Unix(ours), &context), client);
        assert!(verdict.is_err());
        assert!(!heard.is_empty(), "at least a greeting");
    }
}
