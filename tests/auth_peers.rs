//! Servers that misbehave while `backend::connect` signs in, played by a script: a clear error each time, in time, and never
//! a password given away.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use switchboard::auth::Credentials;
use switchboard::auth::client::{ServerKey, SignInError};
use switchboard::backend::connect::{ConnectError, ConnectOptions, Phase, Target, Trouble, connect};
use switchboard::net::frame::put_packet;
use switchboard::net::tls::{TlsMode, client_config};
use switchboard::protocol::capabilities::Capabilities;
use switchboard::protocol::handshake::Greeting;
use switchboard::protocol::status::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const SECRET: &str = "a-secret-to-look-for";
const OK: &[u8] = b"\0\0\0\x02\0\0\0";

/// One thing that the scripted server does.
#[derive(Clone)]
enum Act {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Reads something.
    Read,
    /// Does nothing for a while, with the connection open.
    Wait,
}

/// A server that follows a script with its first client, then closes. Gives all the bytes that it read.
async fn server(acts: Vec<Act>) -> (u16, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        for act in acts {
            match act {
                Act::Send(bytes) => drop(stream.write_all(&bytes).await),
                Act::Read => drop(tokio::time::timeout(Duration::from_secs(5), stream.read_buf(&mut heard)).await),
                Act::Wait => tokio::time::sleep(Duration::from_secs(3)).await,
            }
        }
        // What is still on its way counts too.
        let _ = tokio::time::timeout(Duration::from_millis(20), stream.read_to_end(&mut heard)).await;
        heard
    });
    (port, task)
}

fn packet(payload: &[u8], sequence: u8) -> Act {
    let mut out = Vec::new();
    put_packet(&mut out, payload, sequence);
    Act::Send(out)
}

fn greeting_of(capabilities: Capabilities, plugin: &[u8]) -> Vec<u8> {
    let greeting = Greeting {
        version: b"8.0.99-script",
        thread_id: 7,
        scramble: (1..=20).collect(),
        capabilities,
        collation: 45,
        status: Status::AUTOCOMMIT,
        plugin,
    };
    let mut payload = Vec::new();
    greeting.encode(&mut payload);
    payload
}

fn greeting(plugin: &[u8]) -> Act {
    packet(&greeting_of(Capabilities::COMMON, plugin), 0)
}

/// Signs in at a server that follows the script, over plain TCP; gives the error and what the server heard.
async fn meet(acts: Vec<Act>) -> (ConnectError, Vec<u8>) {
    meet_with(acts, |target| target).await
}

async fn meet_with(acts: Vec<Act>, change: impl FnOnce(Target) -> Target) -> (ConnectError, Vec<u8>) {
    let (port, task) = server(acts).await;
    let target = change(Target::tcp("127.0.0.1", port));
    let credentials = Credentials::new("app", SECRET);
    let options = ConnectOptions { timeout: Duration::from_millis(1500), ..ConnectOptions::default() };
    let started = Instant::now();
    let error = match connect(&target, &credentials, &options).await {
        Ok(_) => panic!("signed in"),
        Err(error) => error,
    };
    assert!(started.elapsed() < Duration::from_secs(5), "took {:?}: {error}", started.elapsed());
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")) && !text.contains(SECRET), "{text}");
    let heard = task.await.unwrap();
    assert!(!heard.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "password sent in clear: {text}");
    (error, heard)
}

#[tokio::test]
async fn silence_and_nonsense_in_place_of_a_greeting() {
    let greets = greeting_of(Capabilities::COMMON, b"mysql_native_password");
    let mut framed = Vec::new();
    put_packet(&mut framed, &greets, 0);
    type Check = fn(&Trouble) -> bool;
    let table: [(&str, Vec<Act>, Check); 11] = [
        ("says nothing", vec![Act::Wait], |t| matches!(t, Trouble::TimedOut)),
        ("closes", vec![], |t| matches!(t, Trouble::Io(_))),
        ("half a header", vec![Act::Send(vec![9, 0])], |t| matches!(t, Trouble::Io(_))),
        ("half a greeting", vec![Act::Send(framed[..40].to_vec())], |t| matches!(t, Trouble::Io(_))),
        ("half a greeting, then nothing", vec![Act::Send(framed[..40].to_vec()), Act::Wait], |t| {
            matches!(t, Trouble::TimedOut)
        }),
        ("a greeting cut short", vec![packet(&greets[..40], 0)], |t| matches!(t, Trouble::Handshake(_))),
        ("an empty packet", vec![packet(b"", 0)], |t| matches!(t, Trouble::Handshake(_))),
        ("another protocol", vec![Act::Send(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())], |t| {
            matches!(t, Trouble::Protocol(_) | Trouble::Handshake(_) | Trouble::Io(_))
        }),
        ("too much", vec![Act::Send(vec![0xff; 200_000])], |t| matches!(t, Trouble::Protocol(_))),
        ("a wrong number", vec![packet(&greets, 3)], |t| matches!(t, Trouble::Protocol(_))),
        ("more than a greeting", vec![Act::Send([&framed[..], b"x"].concat())], |t| matches!(t, Trouble::Protocol(_))),
    ];
    for (what, acts, check) in table {
        let (error, _) = meet(acts).await;
        assert!(check(&error.trouble), "{what}: {error}");
        assert_eq!(error.phase, Phase::Greeting, "{what}");
        assert!(error.says_unwell() && !error.is_credentials(), "{what}");
    }
}

#[tokio::test]
async fn errors_in_place_of_a_greeting() {
    for (payload, code, full, credentials) in [
        (&b"\xff\x10\x04Too many connections"[..], 1040, true, false),
        (b"\xff\x10\x04#08004Too many connections", 1040, true, false),
        (b"\xff\x6a\x04Host 'x' is not allowed to connect", 1130, false, true),
        (b"\xff\x69\x04Host 'x' is blocked", 1129, false, false),
    ] {
        let (error, _) = meet(vec![packet(payload, 0)]).await;
        assert_eq!(error.server_error().map(|e| e.code), Some(code));
        assert_eq!((error.is_full(), error.is_credentials()), (full, credentials), "{error}");
        assert!(!error.server_error().unwrap().text().starts_with('#'));
    }
    let (error, _) = meet(vec![packet(b"\xff\x10", 0)]).await;
    assert!(matches!(error.trouble, Trouble::Handshake(_)), "{error}");
}

#[tokio::test]
async fn servers_that_lack_what_is_needed() {
    let without = Capabilities::COMMON.difference(Capabilities::SECURE_CONNECTION);
    let (error, _) = meet(vec![packet(&greeting_of(without, b""), 0)]).await;
    assert!(matches!(error.trouble, Trouble::Lacks(_)), "{error}");
    let (error, _) = meet(vec![packet(b"\x095.0.0\0", 0)]).await;
    assert!(matches!(error.trouble, Trouble::Handshake(_)), "{error}");
}

/// A server (or somebody in its place) that asks for the password in ways that would give it away.
#[tokio::test]
async fn tricks_to_get_at_the_password() {
    let native = || greeting(b"mysql_native_password");
    let sha2 = || greeting(b"caching_sha2_password");
    let clear = b"\xfemysql_clear_password\0";
    let tricks = [
        vec![native(), Act::Read, packet(clear, 2), Act::Read],
        vec![greeting(b"mysql_clear_password"), Act::Read, packet(clear, 2), Act::Read],
        vec![greeting(b"sha256_password"), Act::Read, packet(b"\xfesha256_password\x0001234567890123456789\0", 2)],
        vec![sha2(), Act::Read, packet(b"\x01\x04", 2), Act::Read],
        vec![sha2(), Act::Read, packet(b"\x01\x04", 2), Act::Read, packet(b"\x01no key", 4), Act::Read],
        vec![native(), Act::Read, packet(b"\xfedialog\0Password: ", 2), Act::Read],
        vec![native(), Act::Read, packet(b"\xfe", 2), Act::Read],
        vec![native(), Act::Read, packet(b"\x01\x04", 2), Act::Read],
    ];
    for (number, acts) in tricks.into_iter().enumerate() {
        for server_key in [ServerKey::Forbidden, ServerKey::Ask] {
            let (error, _) = meet_with(acts.clone(), |target| Target { server_key, ..target }).await;
            let usual = matches!(error.trouble, Trouble::SignIn(_) | Trouble::TimedOut | Trouble::Io(_));
            assert!(usual && error.phase == Phase::SignIn, "{number}: {error}");
        }
    }
    // A greeting without TLS where TLS is wanted: nothing is said at all.
    let required = |target| Target {
        tls_mode: TlsMode::Required,
        tls: client_config(TlsMode::Required, None, None).unwrap(),
        ..target
    };
    let (error, heard) = meet_with(vec![native(), Act::Read], required).await;
    assert!(matches!(error.trouble, Trouble::NoTls) && heard.is_empty(), "{error}");
    // TLS promised, and then something else.
    let with_tls = packet(&greeting_of(Capabilities::COMMON | Capabilities::SSL, b"mysql_native_password"), 0);
    let (error, heard) = meet_with(vec![with_tls, Act::Read, packet(OK, 2), Act::Read], required).await;
    assert!(matches!(error.trouble, Trouble::Tls(_)) && error.phase == Phase::Tls, "{error}");
    assert!(!heard.windows(3).any(|w| w == b"app"), "the user's name was sent in clear");
}

#[tokio::test]
async fn packets_out_of_place_after_the_answer() {
    let begin = || vec![greeting(b"caching_sha2_password"), Act::Read];
    let ok = |sequence| packet(OK, sequence);
    let table: [(&str, Vec<Act>); 9] = [
        ("closes", vec![]),
        ("an OK out of sequence", vec![ok(5)]),
        ("an OK cut short", vec![packet(&OK[..4], 2)]),
        ("bytes after the OK", vec![Act::Send(vec![7, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 9])]),
        ("an unknown packet", vec![packet(b"\x07hello", 2)]),
        ("an empty packet", vec![packet(b"", 2)]),
        ("fast, then full", vec![packet(b"\x01\x03", 2), packet(b"\x01\x04", 3)]),
        (
            "a second switch",
            vec![
                packet(b"\xfemysql_native_password\x0001234567890123456789\0", 2),
                Act::Read,
                packet(b"\xfecaching_sha2_password\x0001234567890123456789\0", 4),
            ],
        ),
        ("a scramble of another length", vec![packet(b"\xfemysql_native_password\x000123\0", 2)]),
    ];
    for (what, rest) in table {
        let (error, _) = meet([begin(), rest].concat()).await;
        assert!(error.says_unwell() && !error.is_credentials(), "{what}: {error}");
        assert_eq!(error.phase, Phase::SignIn, "{what}");
    }
    let (error, _) = meet([begin(), vec![Act::Wait]].concat()).await;
    assert!(matches!(error.trouble, Trouble::TimedOut) && error.phase == Phase::SignIn, "{error}");
    let (error, _) = meet([begin(), vec![packet(b"\xff\x15\x04#28000no", 2)]].concat()).await;
    assert!(
        matches!(&error.trouble, Trouble::SignIn(SignInError::Refused(e)) if e.code == 1045) && error.is_credentials()
    );
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let credentials = Credentials::new("app", SECRET);
    let options = ConnectOptions { timeout: Duration::from_millis(800), ..ConnectOptions::default() };
    let error = connect(&Target::tcp("127.0.0.1", port), &credentials, &options).await.unwrap_err();
    assert!(matches!(error.trouble, Trouble::Io(_)) && error.phase == Phase::Dial && error.says_unwell(), "{error}");
    let started = Instant::now();
    let error = connect(&Target::tcp("no-such-host.invalid", port), &credentials, &options).await.unwrap_err();
    assert!(error.phase == Phase::Resolve && error.says_unwell(), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));
}
