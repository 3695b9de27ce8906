//! The same traffic over every carrier: TCP, the unix socket, TLS towards the client, TLS towards the backend, and both.

mod common;
mod traffic_support;

use common::{Certificates, Fault, FaultProxy, MariaDb, MySql, Options, Router};
use std::sync::OnceLock;
use std::time::Duration;
use switchboard::backend::connect::{Address, Target};
use switchboard::net::tls::{TlsMode, client_config};
use switchboard::protocol::capabilities::Capabilities;
use traffic_support::config;
use traffic_support::raw::{Answer, Bind, CURSOR, MODERN, Raw};

fn certificates() -> &'static Certificates {
    static MADE: OnceLock<Certificates> = OnceLock::new();
    MADE.get_or_init(|| Certificates::new().unwrap())
}

/// A server that offers TLS and takes large packets.
fn server() -> &'static MariaDb {
    static STARTED: OnceLock<MariaDb> = OnceLock::new();
    STARTED.get_or_init(|| {
        let large = Options::named("carriers").with_arg("--max-allowed-packet=64M");
        MariaDb::start(large.with_arg("--innodb-log-file-size=256M").with_tls(certificates()))
    })
}

/// A router that offers TLS, in front of a server at `port` that is reached in `mode`.
fn router(port: u16, mode: &str) -> Router {
    let set = certificates();
    let top = format!(
        "[limits]\nlocal_infile = true\n[listen.tls]\ncert = '{}'\nkey = '{}'",
        set.server_certificate().display(),
        set.server_key().display()
    );
    let address = format!("address = \"127.0.0.1:{port}\"");
    let tls = match mode {
        "verify_identity" => format!("tls = {{ mode = '{mode}', ca = '{}' }}", set.ca().display()),
        _ => format!("tls = '{mode}'"),
    };
    Router::with_config(&config(port, port, &top).replace(&address, &format!("{address}\n{tls}")), &[])
}

/// Each way to a router: its name, and where and how to connect.
fn ways(router: &Router) -> [(&'static str, Target); 3] {
    let port = router.address().port();
    let tls = client_config(TlsMode::VerifyIdentity, Some(&certificates().ca()), None).unwrap();
    let over_tls = Target { tls_mode: TlsMode::VerifyIdentity, tls, ..Target::tcp("127.0.0.1", port) };
    [("tcp", Target::tcp("127.0.0.1", port)), ("tls", over_tls), ("socket", Target::unix(router.socket()))]
}

async fn cipher_behind(client: &mut Raw) -> String {
    client.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'").await.rows()[0][1].to_owned()
}

/// Requests and rows at the edges of frames, and beyond; what a session keeps; a file; a cursor.
async fn exercise(target: &Target, schema: &str, sizes: &[usize], name: &str) {
    let mut client = Raw::to(target, schema, MODERN | Capabilities::LOCAL_FILES | Capabilities::MULTI_STATEMENTS).await;
    client.query("CREATE OR REPLACE TABLE t (a LONGBLOB)").await;
    for size in sizes {
        client.query("TRUNCATE t").await;
        let insert = format!("INSERT INTO t VALUES ('{}')", "x".repeat(*size));
        assert!(matches!(client.query(&insert).await, Answer::Ok { affected: 1, .. }), "{name} {size}");
        let back = client.query("SELECT a FROM t").await;
        assert_eq!(back.rows()[0][0].len(), *size, "{name}");
        assert!(back.rows()[0][0].bytes().all(|b| b == b'x'), "{name} {size}");
        let update = client.prepare("UPDATE t SET a = ?").await;
        client.execute(&update, &[Bind::Text(&"y".repeat(*size))]).await;
        let select = client.prepare("SELECT a FROM t").await;
        let back = client.execute(&select, &[]).await;
        assert!(back.rows()[0][0].len() == *size && back.rows()[0][0].bytes().all(|b| b == b'y'), "{name} {size}");
        client.close(update.id).await;
        client.close(select.id).await;
    }
    // Many rows: more than any buffer between here and there holds at once.
    let many = client.query("SELECT seq, REPEAT('r', 1000) FROM seq_1_to_20000").await;
    assert_eq!((many.rows().len(), many.rows()[19_999][0]), (20_000, "20000"), "{name}");
    let cursor = client.prepare("SELECT seq FROM seq_1_to_5").await;
    client.execute_with(cursor.id, CURSOR, true, &[]).await;
    assert_eq!(client.fetch(&cursor, 3).await.rows().len(), 3, "{name}");
    assert_eq!(client.fetch(&cursor, 3).await.rows(), [["4"], ["5"]], "{name}");
    client.query("TRUNCATE t").await;
    let lines = if sizes.len() > 1 { 17 } else { 1 };
    assert_eq!(client.query("LOAD DATA LOCAL INFILE 'f' INTO TABLE t").await, Answer::File("f".into()));
    client.send_packet(&[vec![b'f'; (1 << 20) - 1], vec![b'\n']].concat().repeat(lines)).await;
    client.send_packet(b"").await;
    assert!(
        matches!(client.answer(false).await, Answer::Ok { affected, .. } if affected == lines as u64),
        "{name}: a file"
    );
    let all = client.queries("SET time_zone = '+02:00'; SELECT @@time_zone; SELECT 2").await;
    assert_eq!(all[1].rows(), [["+02:00"]], "{name}");
    client.ping().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_carrier_in_front_with_and_without_tls_behind() {
    for mode in ["disabled", "verify_identity"] {
        let router = router(server().port(), mode);
        for (name, target) in ways(&router) {
            let schema = server().scratch_schema().unwrap();
            let mut client = Raw::to(&target, &schema, MODERN).await;
            assert_eq!(cipher_behind(&mut client).await.is_empty(), mode == "disabled", "{name} {mode}");
            // Frames end where TLS records do not, and the other way round.
            let sizes: &[usize] = match (name, mode) {
                ("tls", "verify_identity") => &[1, (1 << 24) - 1, (1 << 24) + 1],
                ("tls", _) => &[(1 << 24) - 1],
                _ => &[1000],
            };
            exercise(&target, &schema, sizes, &format!("{name}, behind: {mode}")).await;
        }
    }
}

#[tokio::test]
async fn tls_on_both_sides_of_mysql() {
    let mysql = MySql::shared();
    let router = router(mysql.port(), "required");
    for (name, target) in ways(&router) {
        let schema = mysql.scratch_schema().unwrap();
        let mut client = Raw::to(&target, &schema, MODERN).await;
        assert!(!cipher_behind(&mut client).await.is_empty(), "{name}");
        client.query("CREATE TABLE t (a LONGBLOB)").await;
        let size = (1 << 24) + 5;
        let made = client.query(&format!("INSERT INTO t VALUES ('{}')", "m".repeat(size))).await;
        assert!(matches!(made, Answer::Ok { .. }), "{name}: {made:?}");
        assert_eq!(client.query("SELECT a FROM t").await.rows()[0][0].len(), size, "{name}");
    }
}

/// A server that has no TLS is not spoken to in clear where TLS is asked for.
#[tokio::test]
async fn tls_that_a_backend_does_not_have_is_an_error() {
    let plain = MariaDb::shared();
    let router = router(plain.port(), "required");
    let mut client = Raw::to(&ways(&router)[1].1, "", MODERN).await;
    let Answer::Err { code, text } = client.query("SELECT 1").await else { panic!("answered") };
    assert_eq!(code, 9001, "{text}");
    assert!(text.to_ascii_lowercase().contains("tls"), "{text}");
}

/// TLS behind over a link that carries a byte at a time: records come in pieces, frames come in pieces of records.
#[tokio::test]
async fn tls_in_the_smallest_pieces() {
    let link = FaultProxy::start(server().address());
    link.set(Fault::Dribble);
    let backend = router(link.port(), "verify_identity");
    let front = FaultProxy::start(backend.address());
    front.set(Fault::Dribble);
    let port = front.port();
    let mut target = ways(&backend)[1].1.clone();
    target.address = Address::Tcp("127.0.0.1".into(), port);
    let mut client = Raw::to(&target, "mysql", MODERN).await;
    for n in [1, 300, 20_000] {
        assert_eq!(client.value(&format!("SELECT REPEAT('d', {n})")).await.len(), n);
        assert_eq!(client.value(&format!("SELECT LENGTH('{}')", "e".repeat(n))).await, n.to_string());
    }
}

/// A client that reads slowly holds up its own backend connection, and nobody else.
#[tokio::test]
async fn a_slow_reader_over_tls_gets_everything_in_the_end() {
    use tokio::io::AsyncReadExt;
    let router = router(server().port(), "verify_identity");
    let target = &ways(&router)[1].1;
    let mut slow = Raw::to(target, "mysql", MODERN).await;
    slow.send(0x03, b"SELECT REPEAT('s', 1000) FROM seq_1_to_30000").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut other = Raw::to(target, "mysql", MODERN).await;
    assert_eq!(other.value("SELECT 'meanwhile'").await, "meanwhile");
    let (mut total, mut piece) = (0usize, vec![0u8; 64 << 10]);
    // Rows of 1003 bytes with their headers; what is around them is less than one of them.
    while total < 30_000 * 1007 {
        let n = tokio::time::timeout(Duration::from_secs(20), slow.stream.read(&mut piece)).await.unwrap().unwrap();
        assert!(n > 0, "closed after {total} bytes");
        total += n;
        if total % 7 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert!(total < 30_000 * 1007 + 200, "{total}");
}
