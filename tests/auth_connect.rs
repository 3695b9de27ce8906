//! `backend::connect` against real MariaDB and MySQL: plugins, transports, TLS modes, flags and collations.

mod common;

use common::{Certificates, Engine, MariaDb, MySql, Options, Plugin as ServerPlugin, Server, Tls, User, must};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use switchboard::auth::client::{ServerKey, SignInError};
use switchboard::auth::{Credentials, Password, Plugin, RsaPublicKey};
use switchboard::backend::connect::{ConnectError, ConnectOptions, Connected, Phase, Target, Trouble, connect};
use switchboard::net::Stream;
use switchboard::net::frame::{read_packet, write_packet};
use switchboard::net::tls::{ClientIdentity, TlsMode, client_config};
use switchboard::protocol::capabilities::Capabilities;
use switchboard::protocol::response::ErrPacket;
use switchboard::protocol::status::Status;

const SECRET: &str = "app-secret";

fn app() -> Credentials {
    Credentials::new("app", SECRET)
}

fn servers() -> [&'static Server; 2] {
    [MariaDb::shared(), MySql::shared()]
}

fn tcp(server: &Server) -> Target {
    Target::tcp("127.0.0.1", server.port())
}

fn tls(server: &Server, host: &str, mode: TlsMode, authority: Option<&Path>) -> Target {
    Target {
        tls_mode: mode,
        tls: client_config(mode, authority, None).unwrap(),
        server_key: ServerKey::Forbidden,
        ..Target::tcp(host, server.port())
    }
}

/// Runs a statement that answers with OK, or gives its error.
async fn run(connected: &mut Connected, statement: &str) -> Result<(), String> {
    let mut payload = vec![3];
    payload.extend_from_slice(statement.as_bytes());
    write_packet(&mut connected.stream, &payload, 0).await.unwrap();
    read_packet(&mut connected.stream, &mut payload, 1 << 20).await.unwrap();
    match payload[0] {
        0 => Ok(()),
        0xff => Err(ErrPacket::decode(&payload).unwrap().to_string()),
        other => panic!("{statement}: unexpected 0x{other:02x}"),
    }
}

/// Holds a condition against the server: one that is false makes a subquery of two rows, which is an error.
async fn holds(connected: &mut Connected, condition: &str) {
    let statement = format!("DO IF({condition}, 1, (SELECT 1 UNION SELECT 2))");
    run(connected, &statement).await.unwrap_or_else(|e| panic!("{condition}: {e}"));
}

async fn works(target: &Target, credentials: &Credentials, options: &ConnectOptions<'_>) -> Connected {
    let mut connected = connect(target, credentials, options).await.unwrap_or_else(|e| panic!("{e}"));
    write_packet(&mut connected.stream, &[14], 0).await.unwrap();
    let mut pong = Vec::new();
    read_packet(&mut connected.stream, &mut pong, 1 << 16).await.unwrap();
    assert_eq!(pong.first(), Some(&0));
    connected
}

async fn fails(target: &Target, credentials: &Credentials) -> ConnectError {
    match connect(target, credentials, &ConnectOptions::default()).await {
        Ok(_) => panic!("{} let {} in", target.address, credentials.username),
        Err(error) => error,
    }
}

#[tokio::test]
async fn over_tcp_and_unix() {
    for server in servers() {
        let mariadb = server.engine() == Engine::MariaDb;
        let mut on_tcp = works(&tcp(server), &app(), &ConnectOptions::default()).await;
        assert_eq!(on_tcp.server.is_mariadb, mariadb);
        assert!(
            on_tcp.server.version.starts_with(if mariadb { "5.5.5-10." } else { "9." }),
            "{}",
            on_tcp.server.version
        );
        assert_eq!(on_tcp.status & Status::AUTOCOMMIT, Status::AUTOCOMMIT);
        let Stream::Tcp(socket) = &on_tcp.stream else { panic!("{:?}", on_tcp.stream) };
        assert!(socket.nodelay().unwrap());
        assert!(socket2::SockRef::from(&**socket).keepalive().unwrap());
        let id = on_tcp.server.thread_id;
        holds(&mut on_tcp, &format!("CONNECTION_ID() = {id}")).await;
        let by_name = works(&Target::tcp("localhost", server.port()), &app(), &ConnectOptions::default()).await;
        assert_ne!(by_name.server.thread_id, id);
        let on_unix = works(&Target::unix(server.socket()), &app(), &ConnectOptions::default()).await;
        assert!(matches!(on_unix.stream, Stream::Unix(_)));
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_from_a_bad_server() {
    for server in servers() {
        for (user, password) in [("app", "wrong"), ("app", ""), ("nobody", SECRET), ("nobody", "")] {
            let error = fails(&tcp(server), &Credentials::new(user, password)).await;
            assert!(error.is_credentials() && !error.says_unwell(), "{error}");
            assert_eq!(error.phase, Phase::SignIn);
            let err = error.server_error().unwrap_or_else(|| panic!("{user} {password}: {error}"));
            assert_eq!((err.code, err.state), (1045, Some(*b"28000")));
            let text = error.to_string();
            assert!(text.contains(&server.port().to_string()) && text.contains(user), "{text}");
            assert!(!text.contains(SECRET));
        }
        let nobody_there = Target::unix("/nonexistent/socket");
        let error = fails(&nobody_there, &app()).await;
        assert!(error.says_unwell() && !error.is_credentials() && error.phase == Phase::Dial, "{error}");
    }
}

#[tokio::test]
async fn mysql_with_a_cold_cache() {
    let server = MySql::start(Options::named("cold cache"));
    let with = |server_key| Target { server_key, ..tcp(&server) };
    let forget = || must(server.sql("FLUSH PRIVILEGES"));
    let pem = std::fs::read(server.data_dir().join("public_key.pem")).unwrap();
    let known = ServerKey::Known(Arc::new(RsaPublicKey::from_pem(&pem).unwrap()));
    let error = fails(&with(ServerKey::Forbidden), &app()).await;
    assert!(matches!(error.trouble, Trouble::SignIn(SignInError::Insecure(Plugin::CachingSha2, _))), "{error}");
    assert!(error.is_credentials() && !error.says_unwell());
    for key in [ServerKey::Ask, known] {
        works(&with(key.clone()), &app(), &ConnectOptions::default()).await;
        // Warm: no key is needed.
        works(&with(ServerKey::Forbidden), &app(), &ConnectOptions::default()).await;
        assert!(fails(&with(key), &Credentials::new("app", "wrong")).await.is_credentials());
        forget();
    }
    let over_unix = Target { server_key: ServerKey::Forbidden, ..Target::unix(server.socket()) };
    works(&over_unix, &app(), &ConnectOptions::default()).await;
    forget();
    let over_tls = tls(&server, "127.0.0.1", TlsMode::Required, None);
    let connected = works(&over_tls, &app(), &ConnectOptions::default()).await;
    assert!(matches!(connected.stream, Stream::TlsClient(_)));
    // A password that does not fit into RSA's one block cannot be in use at a server.
    let long = Credentials::new("app", "x".repeat(250));
    let error = fails(&with(ServerKey::Ask), &long).await;
    assert!(matches!(error.trouble, Trouble::SignIn(SignInError::Key(_))), "{error}");
}

#[tokio::test]
async fn passwords_that_are_none_and_users_of_other_plugins() {
    let user = |name: &str, password: &str| User::new(name, password);
    let options = Options::named("plugins")
        .with_user(user("ed", "ed-secret").with_plugin(ServerPlugin::Ed25519))
        .with_sql("CREATE USER bare")
        .with_sql("CREATE USER odd IDENTIFIED BY 'it''s \\\\ ödd'");
    let server = MariaDb::start(options);
    works(&tcp(&server), &Credentials::new("bare", ""), &ConnectOptions::default()).await;
    works(&tcp(&server), &Credentials::new("odd", "it's \\ ödd"), &ConnectOptions::default()).await;
    assert!(fails(&tcp(&server), &Credentials::new("bare", "x")).await.is_credentials());
    let error = fails(&tcp(&server), &Credentials::new("ed", "ed-secret")).await;
    assert!(error.is_credentials(), "{error}");
    assert!(error.to_string().contains("client_ed25519"), "{error}");
    let options = Options::named("no password")
        .with_sql("CREATE USER bare")
        .with_sql("CREATE USER old IDENTIFIED WITH sha256_password BY 'app-secret'");
    let mysql = MySql::start(options);
    let old = Credentials::new("old", SECRET);
    let over_tls = tls(&mysql, "127.0.0.1", TlsMode::Required, None);
    for target in [over_tls, tcp(&mysql), Target::unix(mysql.socket())] {
        works(&target, &old, &ConnectOptions::default()).await;
        assert!(fails(&target, &Credentials::new("old", "wrong")).await.is_credentials());
    }
    let forbidden = Target { server_key: ServerKey::Forbidden, ..tcp(&mysql) };
    assert!(matches!(fails(&forbidden, &old).await.trouble, Trouble::SignIn(SignInError::Insecure(Plugin::Sha256, _))));
    works(&tcp(&mysql), &Credentials::new("bare", ""), &ConnectOptions::default()).await;
    assert!(fails(&tcp(&mysql), &Credentials::new("bare", "x")).await.is_credentials());
}

#[tokio::test]
async fn the_native_hash_alone_is_good_for_native_alone() {
    // SHA1('app-secret')
    let once = [
        0xf3, 0xbb, 0xa5, 0xd9, 0xc0, 0xce, 0x66, 0x5f, 0x2e, 0xfa, 0x60, 0x30, 0xc2, 0xfa, 0xe0, 0x11, 0x94, 0x2c,
        0x74, 0x09,
    ];
    let credentials = Credentials { username: "app".into(), password: Password::NativeSha1(once) };
    works(&tcp(MariaDb::shared()), &credentials, &ConnectOptions::default()).await;
    let error = fails(&tcp(MySql::shared()), &credentials).await;
    let want = SignInError::PasswordNotKnown(Plugin::CachingSha2);
    assert!(matches!(&error.trouble, Trouble::SignIn(e) if *e == want), "{error}");
}

#[tokio::test]
async fn every_tls_mode_against_a_server_with_a_certificate() {
    let (good, other) = (must(Certificates::new()), must(Certificates::new()));
    let elsewhere = must(Certificates::for_names(&["db.example"]));
    let server = MariaDb::start(Options::named("tls").with_tls(&good));
    let misnamed = MariaDb::start(Options::named("misnamed").with_tls(&elsewhere));
    let (ca, stranger, misnamed_ca) = (good.ca(), other.ca(), elsewhere.ca());
    let (ca, stranger, misnamed_ca) = (Some(&*ca), Some(&*stranger), Some(&*misnamed_ca));
    let table: [(&MariaDb, &str, TlsMode, Option<&Path>, bool); 11] = [
        (&server, "127.0.0.1", TlsMode::Preferred, None, true),
        (&server, "127.0.0.1", TlsMode::Required, None, true),
        (&server, "127.0.0.1", TlsMode::VerifyCa, ca, true),
        (&server, "127.0.0.1", TlsMode::VerifyIdentity, ca, true),
        (&server, "localhost", TlsMode::VerifyIdentity, ca, true),
        (&server, "127.0.0.1", TlsMode::VerifyCa, stranger, false),
        (&server, "127.0.0.1", TlsMode::VerifyIdentity, stranger, false),
        (&misnamed, "127.0.0.1", TlsMode::Required, None, true),
        (&misnamed, "127.0.0.1", TlsMode::VerifyCa, misnamed_ca, true),
        (&misnamed, "127.0.0.1", TlsMode::VerifyIdentity, misnamed_ca, false),
        (&misnamed, "localhost", TlsMode::VerifyIdentity, misnamed_ca, false),
    ];
    for (server, host, mode, authority, good) in table {
        let target = tls(server, host, mode, authority);
        let context = format!("{mode:?} {host} {}", server.name());
        if good {
            let mut connected = works(&target, &app(), &ConnectOptions::default()).await;
            assert!(connected.stream.is_tls(), "{context}");
            holds(&mut connected, "(SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_version') LIKE 'TLSv1._'").await;
        } else {
            let error = fails(&target, &app()).await;
            assert!(matches!(error.trouble, Trouble::Tls(_)) && error.phase == Phase::Tls, "{context}: {error}");
            assert!(!error.says_unwell() && !error.is_credentials());
        }
    }
    let mut plain = works(&tcp(&server), &app(), &ConnectOptions::default()).await;
    holds(
        &mut plain,
        "(SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_version') = ''",
    )
    .await;
}

#[tokio::test]
async fn both_versions_of_tls() {
    let set = must(Certificates::new());
    for version in ["TLSv1.2", "TLSv1.3"] {
        let options = Options::named(version).with_tls(&set).with_arg(&format!("--tls-version={version}"));
        let server = MariaDb::start(options);
        let target = tls(&server, "127.0.0.1", TlsMode::VerifyIdentity, Some(&set.ca()));
        let mut connected = works(&target, &app(), &ConnectOptions::default()).await;
        let spoken =
            "(SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_version')";
        holds(&mut connected, &format!("{spoken} = '{version}'")).await;
    }
}

#[tokio::test]
async fn mysqls_own_certificate() {
    let server = MySql::shared();
    let ca = server.data_dir().join("ca.pem");
    for (mode, authority) in [(TlsMode::Preferred, None), (TlsMode::Required, None), (TlsMode::VerifyCa, Some(&*ca))] {
        let connected = works(&tls(server, "127.0.0.1", mode, authority), &app(), &ConnectOptions::default()).await;
        assert!(connected.stream.is_tls(), "{mode:?}");
    }
    // It is for no name at all.
    let error = fails(&tls(server, "127.0.0.1", TlsMode::VerifyIdentity, Some(&ca)), &app()).await;
    assert!(matches!(error.trouble, Trouble::Tls(_)), "{error}");
}

#[tokio::test]
async fn a_server_without_tls() {
    let server = MariaDb::shared();
    let connected =
        works(&tls(server, "127.0.0.1", TlsMode::Preferred, None), &app(), &ConnectOptions::default()).await;
    assert!(!connected.stream.is_tls());
    let ca = must(Certificates::new());
    for mode in [TlsMode::Required, TlsMode::VerifyCa, TlsMode::VerifyIdentity] {
        let error = fails(&tls(server, "127.0.0.1", mode, Some(&ca.ca())), &app()).await;
        assert!(matches!(error.trouble, Trouble::NoTls), "{error}");
    }
    let unset = Target { tls_mode: TlsMode::Required, ..tcp(MySql::shared()) };
    assert!(matches!(fails(&unset, &app()).await.trouble, Trouble::Settings(_)));
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_of_ours() {
    let set = must(Certificates::new());
    let options =
        Options::named("mutual").with_tls(&set).with_sql("CREATE USER cert IDENTIFIED BY 'app-secret' REQUIRE X509");
    let server = MariaDb::start(options);
    let cert = Credentials::new("cert", SECRET);
    let (certificate, key) = (set.client_certificate(), set.client_key());
    let identity = ClientIdentity { certificate: &certificate, key: &key };
    let with = |identity| Target {
        tls_mode: TlsMode::VerifyIdentity,
        tls: client_config(TlsMode::VerifyIdentity, Some(&set.ca()), identity).unwrap(),
        ..tcp(&server)
    };
    works(&with(Some(identity)), &cert, &ConnectOptions::default()).await;
    assert!(fails(&with(None), &cert).await.is_credentials());
    let error = fails(&tcp(&server), &cert).await;
    assert!(error.is_credentials(), "{error}");
}

/// Old servers made certificates of X.509 version 1, which webpki does not read.
#[tokio::test]
async fn a_certificate_of_the_first_version_is_good_where_none_is_verified() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/auth_support/x509v1");
    let file = |name: &str| -> PathBuf { directory.join(name) };
    let files = Tls::Files { ca: file("certificate.pem"), certificate: file("certificate.pem"), key: file("key.pem") };
    let server = MariaDb::start(Options { tls: files, ..Options::named("x509 v1") });
    for mode in [TlsMode::Preferred, TlsMode::Required] {
        let connected = works(&tls(&server, "127.0.0.1", mode, None), &app(), &ConnectOptions::default()).await;
        assert!(connected.stream.is_tls());
    }
}

#[tokio::test]
async fn flags_are_what_was_asked_for_and_the_server_has() {
    for server in servers() {
        let mariadb = server.engine() == Engine::MariaDb;
        let all = ConnectOptions { capabilities: Capabilities::all(), ..ConnectOptions::default() };
        let got = works(&tcp(server), &app(), &all).await;
        let unwanted = Capabilities::SSL
            | Capabilities::COMPRESS
            | Capabilities::ZSTD_COMPRESSION
            | Capabilities::CONNECT_WITH_DB
            | Capabilities::MULTI_FACTOR_AUTHENTICATION;
        assert!(!got.capabilities.intersects(unwanted), "{:?}", got.capabilities);
        assert!(got.server.capabilities.contains(got.capabilities.difference(Capabilities::LONG_PASSWORD)));
        assert_eq!(got.capabilities.contains(Capabilities::MARIADB_CACHE_METADATA), mariadb);
        assert_eq!(got.capabilities.contains(Capabilities::QUERY_ATTRIBUTES), !mariadb);
        let least = ConnectOptions { capabilities: Capabilities::empty(), ..ConnectOptions::default() };
        let got = works(&tcp(server), &app(), &least).await;
        assert!(!got.capabilities.intersects(Capabilities::SHAPE | Capabilities::SESSION_TRACK));
        // The flag reaches the server: two statements in one are refused without it.
        let multi = ConnectOptions { capabilities: Capabilities::MULTI_STATEMENTS, ..ConnectOptions::default() };
        for (options, good) in [(&least, false), (&multi, true)] {
            let mut connected = works(&tcp(server), &app(), options).await;
            assert_eq!(run(&mut connected, "DO 1; DO 2").await.is_ok(), good);
        }
    }
}

#[tokio::test]
async fn mariadbs_extended_metadata_is_in_force() {
    let server = MariaDb::shared();
    for extended in [true, false] {
        let capabilities = if extended { Capabilities::MARIADB_EXTENDED_METADATA } else { Capabilities::empty() };
        let options = ConnectOptions { capabilities, ..ConnectOptions::default() };
        let mut connected = connect(&tcp(server), &app(), &options).await.unwrap();
        write_packet(&mut connected.stream, b"\x03SELECT JSON_OBJECT('a', 1) AS j", 0).await.unwrap();
        let mut column = Vec::new();
        read_packet(&mut connected.stream, &mut column, 1 << 16).await.unwrap();
        read_packet(&mut connected.stream, &mut column, 1 << 16).await.unwrap();
        assert_eq!(column.windows(4).any(|w| w == b"json"), extended, "{column:?}");
    }
}

#[tokio::test]
async fn a_schema_is_entered_or_refused() {
    for server in servers() {
        let schema = must(server.scratch_schema());
        let options = ConnectOptions { schema: Some(&schema), ..ConnectOptions::default() };
        let mut connected = works(&tcp(server), &app(), &options).await;
        holds(&mut connected, &format!("DATABASE() = '{schema}'")).await;
        let options = ConnectOptions { schema: Some("no_such_schema"), ..ConnectOptions::default() };
        let error = connect(&tcp(server), &app(), &options).await.unwrap_err();
        assert_eq!(error.server_error().map(|e| e.code), Some(1049), "{error}");
        assert!(!error.is_credentials() && !error.says_unwell());
    }
}

#[tokio::test]
async fn collations_are_brought_to_what_the_server_knows() {
    let table = [
        (45, "utf8mb4_general_ci", "utf8mb4_general_ci"),
        (8, "latin1_swedish_ci", "latin1_swedish_ci"),
        (63, "binary", "binary"),
        (255, "utf8mb4_unicode_520_ci", "utf8mb4_0900_ai_ci"),
        (278, "utf8mb4_bin", "utf8mb4_bin"),
        (2304, "utf8mb4_unicode_520_ci", "utf8mb4_unicode_520_ci"),
        (1032, "latin1_swedish_ci", "latin1_swedish_ci"),
    ];
    for (collation, at_mariadb, at_mysql) in table {
        for server in servers() {
            let want = if server.engine() == Engine::MariaDb { at_mariadb } else { at_mysql };
            let options = ConnectOptions { collation, ..ConnectOptions::default() };
            let mut connected = works(&tcp(server), &app(), &options).await;
            holds(&mut connected, &format!("@@collation_connection = '{want}'")).await;
        }
    }
    let options = ConnectOptions { collation: 248, ..ConnectOptions::default() };
    let error = connect(&tcp(MariaDb::shared()), &app(), &options).await.unwrap_err();
    assert!(matches!(error.trouble, Trouble::Collation(248)) && !error.says_unwell(), "{error}");
    works(&tcp(MySql::shared()), &app(), &options).await;
}

#[tokio::test]
async fn the_server_is_told_who_we_are() {
    let attributes = [("program_name", "switchboard"), ("empty", "")];
    let options = ConnectOptions { attributes: &attributes, ..ConnectOptions::default() };
    let server = MySql::start(Options::named("attributes").with_arg("--performance-schema=ON"));
    let mut connected = works(&tcp(&server), &app(), &options).await;
    holds(
        &mut connected,
        "(SELECT ATTR_VALUE FROM performance_schema.session_account_connect_attrs \
         WHERE PROCESSLIST_ID = CONNECTION_ID() AND ATTR_NAME = 'program_name') = 'switchboard'",
    )
    .await;
}
