//! Clients that misbehave while `frontend::login` signs them in, played by a script: what they hear, what is recorded, and that
//! the gate goes on.

mod auth_support;
mod common;

use auth_support::{Gate, Setup, account};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use switchboard::auth::server::Reason;
use switchboard::auth::{AccountSpec, Plugin, StoredPassword};
use switchboard::frontend::login::{Fault, LoginError, MAX_PACKET};
use switchboard::net::frame::put_packet;
use switchboard::protocol::capabilities::Capabilities;
use switchboard::protocol::handshake::{Attributes, Greeting, HandshakeResponse, SslRequest};
use switchboard::protocol::response::ErrPacket;

const SECRET: &str = "pencil";

fn gate() -> Gate {
    Gate::start(setup())
}

fn setup() -> Setup {
    let setup = Setup::new(vec![account("anna", StoredPassword::clear(SECRET).unwrap())]);
    setup.with_plugin(Plugin::Native)
}

/// A connection that reads and writes packets by hand.
struct Raw {
    stream: TcpStream,
    greeting: Vec<u8>,
}

impl Raw {
    fn to(gate: &Gate) -> Self {
        let stream = TcpStream::connect(gate.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut raw = Raw { stream, greeting: Vec::new() };
        let (sequence, greeting) = raw.read().unwrap();
        assert_eq!(sequence, 0);
        raw.greeting = greeting;
        raw
    }

    /// A packet, or nothing if the gate closed.
    fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).ok()?;
        let mut payload = vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize];
        self.stream.read_exact(&mut payload).unwrap();
        Some((header[3], payload))
    }

    /// The error that the gate says before it closes.
    fn refusal(mut self) -> Option<(u8, ErrPacket<'static>)> {
        let (sequence, payload) = self.read()?;
        assert_eq!(payload[0], 0xff, "{payload:?}");
        assert!(self.read().is_none(), "closed after the error");
        Some((sequence, ErrPacket::decode(&payload).unwrap().into_owned()))
    }

    fn send(&mut self, payload: &[u8], sequence: u8) -> &mut Self {
        let mut out = Vec::new();
        put_packet(&mut out, payload, sequence);
        self.bytes(&out)
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        // The gate may have closed already.
        let _ = self.stream.write_all(bytes);
        self
    }

    /// A right answer to the greeting.
    fn answer(&self, user: &[u8]) -> Vec<u8> {
        let greeting = Greeting::decode(&self.greeting).unwrap();
        let answer = native_answer(&greeting.scramble, SECRET.as_bytes());
        let mut payload = Vec::new();
        response(user, &answer).encode(&mut payload);
        payload
    }
}

fn native_answer(scramble: &[u8], password: &[u8]) -> Vec<u8> {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY as SHA1, digest};
    let once = digest(&SHA1, password);
    let twice = digest(&SHA1, once.as_ref());
    let mask = digest(&SHA1, &[scramble, twice.as_ref()].concat());
    once.as_ref().iter().zip(mask.as_ref()).map(|(a, b)| a ^ b).collect()
}

fn response<'a>(user: &'a [u8], auth: &'a [u8]) -> HandshakeResponse<'a> {
    HandshakeResponse {
        capabilities: Capabilities::LONG_PASSWORD
            | Capabilities::PROTOCOL_41
            | Capabilities::SECURE_CONNECTION
            | Capabilities::PLUGIN_AUTH,
        max_packet: 1 << 24,
        collation: 45,
        user,
        auth,
        schema: None,
        plugin: Some(b"mysql_native_password"),
        attributes: Attributes::default(),
        zstd_level: None,
    }
}

/// What was recorded, once the gate has seen the end.
fn error(gate: &Gate) -> LoginError {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(error) = gate.errors().pop() {
            return error;
        }
        assert!(Instant::now() < deadline, "nothing was recorded");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_right_answer_by_hand_is_let_in() {
    let gate = gate();
    let mut raw = Raw::to(&gate);
    let answer = raw.answer(b"anna");
    let (sequence, payload) = raw.send(&answer, 1).read().unwrap();
    assert_eq!((sequence, payload[0]), (2, 0));
    let (_, pong) = raw.send(&[14], 0).read().unwrap();
    assert_eq!(pong[0], 0);
    // Byte by byte, as a slow network brings it.
    let mut raw = Raw::to(&gate);
    let mut out = Vec::new();
    put_packet(&mut out, &raw.answer(b"anna"), 1);
    raw.stream.set_nodelay(true).unwrap();
    for byte in &out {
        raw.bytes(std::slice::from_ref(byte));
    }
    assert_eq!(raw.read().unwrap().1[0], 0);
}

#[test]
fn knocks_at_the_door_are_not_worth_a_line() {
    let gate = gate();
    drop(TcpStream::connect(gate.address).unwrap());
    assert!(matches!(error(&gate), LoginError::Silent));
    drop(Raw::to(&gate));
    let silent = error(&gate);
    assert!(matches!(silent, LoginError::Silent) && silent.fault() == Fault::Nobody);
    drop(UnixStream::connect(&gate.socket).unwrap());
    assert!(matches!(error(&gate), LoginError::Silent));
    // Half a packet is something else.
    let mut raw = Raw::to(&gate);
    raw.bytes(&[40, 0, 0, 1, 0]);
    drop(raw);
    let half = error(&gate);
    assert!(matches!(half, LoginError::Io(_)) && half.fault() == Fault::Client, "{half}");
}

/// PHP's mysqlnd says so whether it was offered or not, and then waits for answers that are compressed, too.
#[test]
fn a_client_that_compresses_though_nobody_offered_it_is_told_at_once() {
    let gate = gate();
    for flag in [Capabilities::COMPRESS, Capabilities::ZSTD_COMPRESSION] {
        let mut raw = Raw::to(&gate);
        let offered = Greeting::decode(&raw.greeting).unwrap().capabilities;
        assert!(!offered.intersects(flag));
        let mut wish = response(b"anna", b"");
        wish.capabilities |= flag;
        wish.zstd_level = flag.contains(Capabilities::ZSTD_COMPRESSION).then_some(3);
        let mut payload = Vec::new();
        wish.encode(&mut payload);
        raw.send(&payload, 1);
        let (sequence, refusal) = raw.refusal().unwrap();
        assert_eq!((sequence, refusal.code), (2, 3922), "{refusal}");
        assert!(refusal.text().contains("compress"), "{refusal}");
        assert!(matches!(error(&gate), LoginError::Compression));
    }
}

#[test]
fn nonsense_is_answered_once_and_closed() {
    let gate = gate();
    let good = Raw::to(&gate).answer(b"anna");
    let mut too_large = Vec::new();
    put_packet(&mut too_large, &vec![0; MAX_PACKET + 1], 1);
    let framed = |payload: &[u8], sequence| {
        let mut out = Vec::new();
        put_packet(&mut out, payload, sequence);
        out
    };
    let _ = error(&gate);
    let ssl = SslRequest { capabilities: Capabilities::COMMON | Capabilities::SSL, max_packet: 0, collation: 8 };
    let mut ssl_request = Vec::new();
    ssl.encode(&mut ssl_request);
    let table: [(&str, Vec<u8>, u16); 9] = [
        ("an empty packet", framed(b"", 1), 1043),
        ("a wrong number", framed(&good, 7), 1043),
        ("random bytes", framed(&[0x5a; 90], 1), 1043),
        ("other random bytes", framed(&[0x55; 90], 1), 1251),
        ("cut short", framed(&good[..good.len() - 30], 1), 1043),
        ("an old client", framed(b"\x85\x24\0\0\0old\0abcdefgh", 1), 1251),
        ("a huge packet", too_large, 1153),
        ("a web browser", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 1153),
        ("TLS where there is none", framed(&ssl_request, 1), 1043),
    ];
    for (what, bytes, code) in table {
        let mut raw = Raw::to(&gate);
        raw.bytes(&bytes);
        let (_, refusal) = raw.refusal().unwrap_or_else(|| panic!("{what}: no error"));
        assert_eq!(refusal.code, code, "{what}: {refusal}");
        let recorded = error(&gate);
        assert_eq!(recorded.fault(), Fault::Client, "{what}: {recorded}");
    }
    let mut raw = Raw::to(&gate);
    let answer = raw.answer(b"anna");
    assert_eq!(raw.send(&answer, 1).read().unwrap().1[0], 0, "the gate goes on");
}

#[test]
fn a_command_before_the_verdict_is_not_taken_for_one() {
    let gate = gate();
    let mut raw = Raw::to(&gate);
    let mut out = Vec::new();
    put_packet(&mut out, &raw.answer(b"anna"), 1);
    put_packet(&mut out, b"\x03DROP TABLE t", 0);
    raw.bytes(&out);
    let (_, refusal) = raw.refusal().unwrap();
    assert_eq!(refusal.code, 1043);
    assert!(matches!(error(&gate), LoginError::Protocol(_)));
}

#[test]
fn who_dawdles_is_told_and_closed() {
    let gate = Gate::start(Setup { timeout: Duration::from_millis(500), ..setup() });
    let started = Instant::now();
    let (_, refusal) = Raw::to(&gate).refusal().unwrap();
    assert_eq!(refusal.code, 1159);
    assert!(started.elapsed() >= Duration::from_millis(450) && started.elapsed() < Duration::from_secs(3));
    assert!(matches!(error(&gate), LoginError::TimedOut));
}

#[test]
fn wrong_passwords_and_unknown_users_hear_the_same() {
    let gate = gate();
    for (user, reason) in [("anna", Reason::WrongPassword), ("nobody", Reason::UnknownUser)] {
        for (answer, said) in [(&[1; 20][..], "YES"), (b"", "NO")] {
            let mut raw = Raw::to(&gate);
            let mut payload = Vec::new();
            response(user.as_bytes(), answer).encode(&mut payload);
            raw.send(&payload, 1);
            let mut sequence = 2;
            if answer.is_empty() {
                // Asked once more, in case it only wanted to be asked.
                assert_eq!(raw.read().unwrap().1[0], 0xfe);
                raw.send(b"", 3);
                sequence = 4;
            }
            let (number, refusal) = raw.refusal().unwrap();
            assert_eq!(number, sequence);
            let want = format!("1045 (28000): Access denied for user '{user}'@'127.0.0.1' (using password: {said})");
            assert_eq!(refusal.to_string(), want);
            let recorded = error(&gate);
            assert_eq!(recorded.fault(), Fault::Refusal);
            assert!(matches!(recorded, LoginError::Denied { reason: r, .. } if r == reason), "{recorded}");
        }
    }
}

#[test]
fn names_are_repeated_in_short_and_on_one_line() {
    let gate = gate();
    let mut raw = Raw::to(&gate);
    let mut payload = Vec::new();
    response(&[b"a\nb\x1b[31m", &[b'x'; 30_000][..]].concat(), &[1; 20]).encode(&mut payload);
    raw.send(&payload, 1);
    let (_, refusal) = raw.refusal().unwrap();
    assert!(refusal.text().starts_with("Access denied for user 'a?b?[31mxxx"), "{refusal}");
    assert!(refusal.text().len() < 200 && error(&gate).to_string().len() < 300);
}

#[test]
fn an_account_has_no_more_sessions_than_it_may() {
    let limited = AccountSpec { max_connections: Some(1), ..account("anna", StoredPassword::clear(SECRET).unwrap()) };
    let gate = Gate::start(Setup { accounts: vec![limited], ..setup() });
    let sign_in = || {
        let mut raw = Raw::to(&gate);
        let answer = raw.answer(b"anna");
        raw.send(&answer, 1);
        raw
    };
    let mut first = sign_in();
    assert_eq!(first.read().unwrap().1[0], 0);
    let (_, refusal) = sign_in().refusal().unwrap();
    assert_eq!((refusal.code, refusal.state), (1226, Some(*b"42000")));
    assert!(matches!(error(&gate), LoginError::TooManySessions { limit: 1, .. }));
    drop(first);
    common::wait_until("the seat is free again", Duration::from_secs(5), || {
        gate.accounts().get("anna").unwrap().sessions() == 0
    });
    assert_eq!(sign_in().read().unwrap().1[0], 0);
}

/// Clients may send their wish for TLS and the first bytes of TLS together, whole or in pieces.
#[test]
fn tls_that_comes_with_the_wish_for_it() {
    let gate = Gate::start(setup().with_tls());
    let config = switchboard::net::tls::client_config(switchboard::net::tls::TlsMode::Required, None, None);
    let config = config.unwrap().unwrap();
    for piece in [1, 7, 36, 40, 100, 4096] {
        let mut raw = Raw::to(&gate);
        let capabilities = response(b"", b"").capabilities | Capabilities::SSL;
        let mut request = Vec::new();
        SslRequest { capabilities, max_packet: 0, collation: 45 }.encode(&mut request);
        let mut bytes = Vec::new();
        put_packet(&mut bytes, &request, 1);
        let mut session = rustls::ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
        session.write_tls(&mut bytes).unwrap();
        raw.stream.set_nodelay(true).unwrap();
        for part in bytes.chunks(piece) {
            raw.bytes(part);
            if piece < 10 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        let greeting = Greeting::decode(&raw.greeting).unwrap();
        let auth = native_answer(&greeting.scramble, SECRET.as_bytes());
        let mut payload = Vec::new();
        HandshakeResponse { capabilities, ..response(b"anna", &auth) }.encode(&mut payload);
        let mut out = Vec::new();
        put_packet(&mut out, &payload, 2);
        let mut stream = rustls::Stream::new(&mut session, &mut raw.stream);
        stream.write_all(&out).unwrap();
        let mut header = [0; 5];
        stream.read_exact(&mut header).unwrap();
        assert_eq!((header[3], header[4]), (3, 0), "pieces of {piece}");
    }
    // Something else in place of TLS.
    let mut raw = Raw::to(&gate);
    let mut request = Vec::new();
    let capabilities = response(b"", b"").capabilities | Capabilities::SSL;
    SslRequest { capabilities, max_packet: 0, collation: 45 }.encode(&mut request);
    let answer = raw.answer(b"anna");
    raw.send(&request, 1).send(&answer, 2);
    let recorded = error(&gate);
    assert!(matches!(recorded, LoginError::Tls(_)), "{recorded}");
}

#[test]
fn a_full_house_says_so_in_place_of_the_greeting() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    runtime.block_on(async {
        let plain = switchboard::net::stream::Plain::Tcp(tokio::net::TcpStream::from_std(server).unwrap());
        let full = ErrPacket::new(1040, b"08004", "Too many connections");
        switchboard::frontend::login::turn_away(plain, &full).await.unwrap();
    });
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"\x17\0\0\0\xff\x10\x04Too many connections");
}

/// Ten thousand clients may be at the door at once.
#[test]
fn the_outcome_of_a_sign_in_is_small() {
    use switchboard::frontend::login::Login;
    assert!(size_of::<Login>() <= 224, "{}", size_of::<Login>());
    assert!(size_of::<LoginError>() <= 80, "{}", size_of::<LoginError>());
}
