//! The test servers and the failing link, tested themselves: what all other integration tests stand on.

mod common;

use common::{
    Certificates, Engine, Fault, FaultProxy, MariaDb, MySql, Options, Plugin, Server, User, must, wait_until,
};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

/// Signs in over TCP with an ordinary client library.
async fn connect(address: SocketAddr, user: &User) -> mysql_async::Result<Conn> {
    let options = OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(Some(&user.name))
        .pass(Some(&user.password))
        .prefer_socket(false);
    Conn::new(options).await
}

async fn select_one(server: &Server, user: &User) -> mysql_async::Result<Option<i64>> {
    let mut conn = connect(server.address(), user).await?;
    let one = conn.query_first("SELECT 1").await;
    conn.disconnect().await?;
    one
}

#[tokio::test]
async fn mariadb_signs_in_users_of_each_plugin() {
    let ed = User::new("ed", "ed-secret").with_plugin(Plugin::Ed25519);
    let native = User::new("native", "it's \\ odd").with_plugin(Plugin::Native);
    let server = MariaDb::start(Options::named("plugins").with_user(ed).with_user(native.clone()));
    assert_eq!(server.engine(), Engine::MariaDb);
    for user in [User::app(), native] {
        assert_eq!(select_one(&server, &user).await.unwrap(), Some(1), "{}", user.name);
    }
    assert!(select_one(&server, &User::new("app", "wrong")).await.is_err());
    // The library here is built without ed25519; the server's word is enough that the user is one.
    assert_eq!(must(server.value("SELECT plugin FROM mysql.user WHERE user='ed'")), "ed25519");
}

#[tokio::test]
async fn mysql_signs_in_and_logs_what_ran() {
    let server = MySql::shared();
    assert_eq!(server.engine(), Engine::MySql);
    let mut conn = connect(server.address(), &User::app()).await.unwrap();
    let mark = server.log_mark();
    let _: Option<(String, String)> = conn.query_first("SELECT 'tag-text',\n 'second line'").await.unwrap();
    let _: Option<i64> = conn.exec_first("SELECT ? + 1 /* tag-exec */", (41,)).await.unwrap();
    let seen = must(server.statements_since(mark));
    let texts: Vec<(&str, &str)> = seen.iter().map(|s| (s.command.as_str(), s.text.as_str())).collect();
    assert!(texts.contains(&("Query", "SELECT 'tag-text',\n 'second line'")), "{texts:?}");
    assert!(texts.iter().any(|(command, text)| *command == "Execute" && text.contains("41 + 1")), "{texts:?}");
    assert!(must(server.saw("tag-exec")) && !must(server.saw("never sent")));
    conn.disconnect().await.unwrap();
}

#[tokio::test]
async fn mariadb_logs_who_ran_what() {
    let server = MariaDb::shared();
    let mut conn = connect(server.address(), &User::app()).await.unwrap();
    let _: Option<i64> = conn.exec_first("SELECT ? + 1 /* who */", (41,)).await.unwrap();
    let seen = must(server.statements_seen());
    let execute = seen.iter().find(|s| s.command == "Execute" && s.text.contains("who")).expect("in the log");
    assert_eq!((execute.user.as_str(), execute.text.as_str()), ("app@127.0.0.1", "SELECT 41 + 1 /* who */"));
    assert!(!must(server.saw("app-secret")), "passwords must not be in the log");
    conn.disconnect().await.unwrap();
}

#[test]
fn replica_follows_its_master_and_says_where_statements_ran() {
    let (master, replica) = MariaDb::shared_pair();
    let schema = must(master.scratch_schema());
    must(master.sql(&format!("CREATE TABLE {schema}.t (id INT PRIMARY KEY); INSERT INTO {schema}.t VALUES (1),(2)")));
    must(replica.wait_for(master));
    assert_eq!(must(replica.value(&format!("SELECT COUNT(*) FROM {schema}.t"))), "2");
    assert!(must(master.saw("VALUES (1),(2)")) && !must(replica.saw("VALUES (1),(2)")));
    // The users of each are its own: none came by replication.
    assert_eq!(must(replica.value("SELECT COUNT(*) FROM mysql.user WHERE user IN ('app','repl')")), "2");
}

#[test]
fn servers_stop_die_pause_and_come_back_with_their_data() {
    let server = MariaDb::start(Options::default());
    must(server.sql("CREATE SCHEMA kept"));
    let (port, pid) = (server.port(), server.pid());
    must(server.stop());
    assert!(server.pid().is_none() && TcpStream::connect(server.address()).is_err());
    must(server.start_again());
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(must(server.value("SHOW SCHEMAS LIKE 'kept'")), "kept");
    server.kill();
    assert!(TcpStream::connect(server.address()).is_err());
    must(server.start_again());

    must(server.pause());
    // The kernel still takes the connection; no greeting comes.
    let mut half_open = TcpStream::connect(server.address()).unwrap();
    half_open.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(half_open.read(&mut [0; 16]).is_err());
    must(server.resume());
    half_open.set_read_timeout(Some(SOON)).unwrap();
    assert!(half_open.read(&mut [0; 16]).unwrap() > 4);
}

#[test]
fn dropped_servers_leave_nothing_behind() {
    let server = MariaDb::start(Options::default());
    let (pid, data, address) = (server.pid().unwrap(), server.data_dir(), server.address());
    assert!(data.exists());
    drop(server);
    assert!(!data.exists() && !std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(TcpStream::connect(address).is_err());
}

/// The whole point of starting servers through a guard: this test starts itself again as a child that starts a server,
/// kills that child outright, and sees the server gone.
#[test]
fn a_killed_process_takes_its_servers_with_it() {
    const MARK: &str = "SWITCHBOARD_TEST_STARTS_AND_HANGS";
    if let Ok(file) = std::env::var(MARK) {
        let server = MariaDb::start(Options::default());
        std::fs::write(file, server.pid().unwrap().to_string()).unwrap();
        std::thread::sleep(Duration::from_secs(600));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_process_takes_its_servers_with_it"])
        .env(MARK, &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the child has a server", SOON, || std::fs::read_to_string(&file).is_ok_and(|pid| !pid.is_empty()));
    let pid = std::fs::read_to_string(&file).unwrap();
    let command = format!("/proc/{pid}/cmdline");
    assert!(std::fs::read_to_string(&command).unwrap().contains("mariadbd"));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the server is gone", SOON, || {
        !std::fs::read_to_string(&command).is_ok_and(|text| text.contains("mariadbd"))
    });
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let error = Server::mariadb(Options::named("broken").with_arg("--no-such-option=1")).unwrap_err().to_string();
    assert!(error.contains("broken ended while it was starting") && error.contains("no-such-option"), "{error}");
    let server = MariaDb::shared();
    let error = server.sql("SELEC 1").unwrap_err().to_string();
    assert!(error.contains("shared MariaDB refused") && error.contains("syntax"), "{error}");
}

#[test]
fn servers_offer_tls_as_told() {
    let certificates = must(Certificates::new());
    let mariadb = MariaDb::start(Options::named("tls").with_tls(&certificates));
    let mysql = MySql::start(
        Options::named("mysql tls").with_tls(&certificates).with_user(User::new("s", "s").requiring_tls()),
    );
    for server in [&*mariadb, &*mysql] {
        let client = std::process::Command::new("mariadb")
            .args([
                "--no-defaults",
                "--user=app",
                "--password=app-secret",
                "--host=127.0.0.1",
                "--ssl-verify-server-cert",
            ])
            .arg(format!("--port={}", server.port()))
            .arg(format!("--ssl-ca={}", certificates.ca().display()))
            .args(["--batch", "--skip-column-names", "--execute", "SHOW STATUS LIKE 'Ssl_version'"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&client.stdout).into_owned();
        assert!(text.contains("TLSv1"), "{}: {text} {}", server.name(), String::from_utf8_lossy(&client.stderr));
    }
}

/// Says hello to each connection with 8 bytes, then sends back what it gets.
fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.write_all(b"hello123");
                let mut bytes = [0; 1024];
                while let Ok(n @ 1..) = stream.read(&mut bytes) {
                    if stream.write_all(&bytes[..n]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Connects through the link and reads until the end, an error, or half a second of silence.
fn read_through(link: &FaultProxy) -> (Vec<u8>, bool) {
    let mut client = TcpStream::connect(link.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut got = Vec::new();
    let mut piece = [0; 64];
    loop {
        match client.read(&mut piece) {
            Ok(0) => return (got, true),
            Ok(n) => got.extend_from_slice(&piece[..n]),
            Err(error) => return (got, error.kind() == std::io::ErrorKind::ConnectionReset),
        }
    }
}

#[test]
fn the_link_fails_in_each_way_it_is_told_to() {
    let link = FaultProxy::start(echo_server());
    let cases: [(Fault, &[u8], bool); 7] = [
        (Fault::None, b"hello123", false),
        (Fault::Dribble, b"hello123", false),
        (Fault::Silence, b"", false),
        (Fault::Refuse, b"", true),
        (Fault::CutAfter(5), b"hello", true),
        (Fault::SilenceAfter(5), b"hello", false),
        (Fault::GarbageAfter(5), b"hello\xa5\xa5\xa5", false),
    ];
    for (fault, want, closed) in cases {
        link.set(fault);
        assert_eq!(read_through(&link), (want.to_vec(), closed), "{fault:?}");
    }
    link.set(Fault::Delay(Duration::from_millis(100)));
    let started = Instant::now();
    assert_eq!(read_through(&link).0, b"hello123");
    assert!(started.elapsed() >= Duration::from_millis(100));
    assert_eq!(link.accepted(), 8);
}

#[test]
fn the_link_is_cut_and_mended_while_in_use() {
    let link = FaultProxy::start(echo_server());
    let mut client = TcpStream::connect(link.address()).unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    let mut hello = [0; 8];
    client.read_exact(&mut hello).unwrap();
    link.set(Fault::Silence);
    client.write_all(b"ping").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    link.set(Fault::None);
    let mut back = [0; 4];
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"ping");
    link.cut();
    assert_eq!(client.read(&mut back).unwrap_or(0), 0);
    assert_eq!(read_through(&link).0, b"hello123");
}
