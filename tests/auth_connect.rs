//! `backend::connect` against real servers of both engines, and against peers that misbehave.

mod common;

use common::{MariaDb, MySql, Options};
use switchboard::auth::Credentials;
use switchboard::auth::client::{ServerKey, SignInError};
use switchboard::backend::connect::{ConnectOptions, Connected, Target, Trouble, connect};
use switchboard::net::Stream;
use switchboard::net::frame::{read_packet, write_packet};
use switchboard::protocol::capabilities::Capabilities;

const SECRET: &str = "app-secret";

fn app() -> Credentials {
    Credentials::new("app", SECRET)
}

/// Runs a statement and gives the payload of the first packet of its answer.
async fn query(connected: &mut Connected, statement: &str) -> Vec<u8> {
    let mut payload = vec![3];
    payload.extend_from_slice(statement.as_bytes());
    write_packet(&mut connected.stream, &payload, 0).await.unwrap();
    read_packet(&mut connected.stream, &mut payload, 1 << 20).await.unwrap();
    payload
}

async fn works(target: &Target, credentials: &Credentials, options: &ConnectOptions<'_>) -> Connected {
    let mut connected = connect(target, credentials, options).await.unwrap_or_else(|e| panic!("{e}"));
    let answer = query(&mut connected, "DO 1").await;
    assert_eq!(answer[0], 0, "{answer:?}");
    connected
}

#[tokio::test]
async fn mariadb_native_over_tcp_and_unix() {
    let server = MariaDb::shared();
    let tcp = works(&Target::tcp("127.0.0.1", server.port()), &app(), &ConnectOptions::default()).await;
    assert!(tcp.server.is_mariadb && tcp.server.version.starts_with("10."), "{:?}", tcp.server);
    assert!(tcp.capabilities.contains(Capabilities::SESSION_TRACK | Capabilities::DEPRECATE_EOF));
    assert!(matches!(tcp.stream, Stream::Tcp(_)));
    let by_name = works(&Target::tcp("localhost", server.port()), &app(), &ConnectOptions::default()).await;
    assert_ne!(by_name.server.thread_id, tcp.server.thread_id);
    let unix = works(&Target::unix(server.socket()), &app(), &ConnectOptions::default()).await;
    assert!(matches!(unix.stream, Stream::Unix(_)));
}

#[tokio::test]
async fn mysql_caching_sha2_over_plain_tcp_asks_for_the_key_then_is_fast() {
    let server = MySql::start(Options::named("cold cache"));
    let mut target = Target::tcp("127.0.0.1", server.port());
    target.server_key = ServerKey::Forbidden;
    let error = connect(&target, &app(), &ConnectOptions::default()).await.unwrap_err();
    assert!(matches!(error.trouble, Trouble::SignIn(SignInError::Insecure(..))), "{error}");
    assert!(error.is_credentials());
    target.server_key = ServerKey::Ask;
    let cold = works(&target, &app(), &ConnectOptions::default()).await;
    assert!(!cold.server.is_mariadb);
    // The server remembers now: no key is asked for.
    target.server_key = ServerKey::Forbidden;
    works(&target, &app(), &ConnectOptions::default()).await;
    let error = connect(&target, &Credentials::new("app", "wrong"), &ConnectOptions::default()).await.unwrap_err();
    assert!(error.is_credentials(), "{error}");
}
