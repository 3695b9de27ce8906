//! LOAD DATA LOCAL INFILE through the router: refused where it is off, and carried to the last byte where it is on.

mod common;
mod traffic_support;

use common::{Fault, FaultProxy, MariaDb, MySql, Options, Router, wait_until};
use std::time::Duration;
use switchboard::protocol::capabilities::Capabilities;
use traffic_support::raw::{Answer, MODERN, PLAIN, Raw};
use traffic_support::{Estate, config, on_both_engines};

const ON: &str = "[limits]\nlocal_infile = true";
const FILES: Capabilities = Capabilities::LOCAL_FILES.union(Capabilities::MULTI_STATEMENTS);
const LOAD: &str = "LOAD DATA LOCAL INFILE 'the file' INTO TABLE t";

/// Sends a file in packets of these sizes, and the empty one after it.
async fn send_file(client: &mut Raw, packets: impl IntoIterator<Item = Vec<u8>>) {
    for packet in packets {
        client.send_packet(&packet).await;
    }
    client.send_packet(b"").await;
}

#[tokio::test]
async fn where_it_is_off_it_is_a_clear_error_and_the_session_lives() {
    on_both_engines("", async |router, schema, engine| {
        for shape in [PLAIN, MODERN] {
            // A client that asks for it all the same.
            let mut client = Raw::connect(router, schema, shape | FILES).await;
            client.query("CREATE TABLE IF NOT EXISTS t (a TEXT)").await;
            let Answer::Err { code, text } = client.query(LOAD).await else { panic!("{engine}: not refused") };
            assert!([4166, 3948, 1148].contains(&code), "{engine}: {code} {text}");
            assert!(text.contains("local"), "{engine}: {text}");
            assert_eq!(client.value("SELECT COUNT(*) FROM t FOR UPDATE").await, "0");
        }
    })
    .await;
    let estate = Estate::shared();
    let schema = estate.schema().await;
    estate.master.sql(&format!("CREATE TABLE `{schema}`.t (a TEXT)")).unwrap();
    let output = mariadb(&estate.router, &schema, "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE t").await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("ERROR 4166"), "{output:?}");
}

async fn mariadb(router: &Router, schema: &str, sql: &str) -> std::process::Output {
    let port = format!("-P{}", router.address().port());
    tokio::process::Command::new("mariadb")
        .args(["--no-defaults", "--local-infile=1", "--batch", "-N", "-h127.0.0.1", "-uapp", "-papp-secret"])
        .args([&port, schema, "-e", sql])
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn small_files_empty_files_and_files_in_many_packets() {
    // Off by default in MySQL itself.
    MySql::shared().sql("SET GLOBAL local_infile = 1").unwrap();
    on_both_engines(ON, async |router, schema, engine| {
        for shape in [PLAIN, MODERN] {
            let mut client = Raw::connect(router, schema, shape | FILES).await;
            client.query("DROP TABLE IF EXISTS t").await;
            client.query("CREATE TABLE t (a VARCHAR(40) PRIMARY KEY)").await;
            let files: [(&[&str], u64); 5] = [
                (&["one\ntwo\n"], 2),
                (&[], 0),
                (&["thr", "ee\nfo", "ur\n"], 2),
                (&["no line feed at the end"], 1),
                (&["\n"], 1),
            ];
            for (packets, want) in files {
                assert_eq!(client.query(LOAD).await, Answer::File("the file".into()), "{engine}");
                send_file(&mut client, packets.iter().map(|p| p.as_bytes().to_vec())).await;
                let Answer::Ok { affected, .. } = client.answer(false).await else { panic!("{engine}: {packets:?}") };
                assert_eq!(affected, want, "{engine}: {packets:?}");
            }
            // More packets than there are sequence numbers.
            client.query(LOAD).await;
            send_file(&mut client, (0..300).map(|i| format!("row {i}\n").into_bytes())).await;
            assert!(matches!(client.answer(false).await, Answer::Ok { affected: 300, .. }), "{engine}");
            // A row that is there already: the server reads to the end, then says no. Nothing of the file stays.
            client.query("SET sql_mode = 'STRICT_ALL_TABLES'").await;
            client.query("BEGIN").await;
            client.query(&LOAD.replace("'the file'", "'the file' REPLACE")).await;
            send_file(&mut client, [vec![b'x'; 100]]).await;
            assert_eq!(client.answer(false).await.code(), 1406, "{engine}: too long a value");
            client.query("ROLLBACK").await;
            assert_eq!(client.value("SELECT COUNT(*) FROM t FOR UPDATE").await, "306", "{engine}");
            // In the middle of a larger request.
            client.send(0x03, format!("SELECT 1; {LOAD}; SELECT ROW_COUNT()").as_bytes()).await;
            let before = client.answers(false).await;
            assert_eq!((before[0].rows()[0][0], &before[1]), ("1", &Answer::File("the file".into())));
            send_file(&mut client, [b"middle\n".to_vec()]).await;
            let after = client.answers(false).await;
            assert_eq!(after[1].rows(), [["1"]], "{engine}");
            client.ping().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_program_loads_a_file() {
    let server = MariaDb::shared();
    let router = Router::with_config(&config(server.port(), server.port(), ON), &[]);
    let schema = server.scratch_schema().unwrap();
    server.sql(&format!("CREATE TABLE `{schema}`.t (a INT)")).unwrap();
    let file = router.dir().join("numbers");
    std::fs::write(&file, (0..50_000).map(|i| format!("{i}\n")).collect::<String>()).unwrap();
    let sql = format!("LOAD DATA LOCAL INFILE '{}' INTO TABLE t; SELECT COUNT(*), SUM(a) FROM t", file.display());
    let output = mariadb(&router, &schema, &sql).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "50000\t1249975000", "{output:?}");
    // A file that the client cannot open: it sends an empty one in its place.
    let output = mariadb(&router, &schema, "LOAD DATA LOCAL INFILE '/no/such/file' INTO TABLE t").await;
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("not found"), "{output:?}");
}

#[tokio::test]
async fn files_over_sixteen_mebibytes() {
    let server = MariaDb::start(
        Options::named("big file").with_arg("--max-allowed-packet=64M").with_arg("--innodb-log-file-size=256M"),
    );
    let router = Router::with_config(&config(server.port(), server.port(), ON), &[]);
    let schema = server.scratch_schema().unwrap();
    let mut client = Raw::connect(&router, &schema, MODERN | FILES).await;
    client.query("CREATE TABLE t (a LONGTEXT)").await;
    let line = [vec![b'x'; (1 << 20) - 1], vec![b'\n']].concat();
    for packets in [
        vec![line.clone(); 24],
        // One packet of two frames, the first of them full.
        vec![line.repeat(17)],
        // A packet that fills a frame to the last byte: an empty frame ends the packet, and not the file.
        vec![[line.repeat(15), vec![b'y'; (1 << 20) - 2], vec![b'\n']].concat(), line.clone()],
    ] {
        let bytes: usize = packets.iter().map(Vec::len).sum();
        let lines = packets.iter().flatten().filter(|b| **b == b'\n').count();
        client.query("TRUNCATE t").await;
        client.query(LOAD).await;
        send_file(&mut client, packets).await;
        let loaded = client.answer(false).await;
        assert!(matches!(loaded, Answer::Ok { affected, .. } if affected == lines as u64), "{lines}: {loaded:?}");
        let sum = client.query("SELECT COUNT(*), SUM(LENGTH(a)) FROM t").await;
        assert_eq!(sum.rows(), [[lines.to_string(), (bytes - lines).to_string()]]);
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_leaves_nothing() {
    let server = MariaDb::start(Options::named("aborted"));
    let router = Router::with_config(&config(server.port(), server.port(), ON), &[]);
    let schema = server.scratch_schema().unwrap();
    let mut client = Raw::connect(&router, &schema, MODERN | FILES).await;
    client.query("CREATE TABLE t (a TEXT)").await;
    for _ in 0..5 {
        let mut leaver = Raw::connect(&router, &schema, MODERN | FILES).await;
        leaver.query(LOAD).await;
        for _ in 0..50 {
            leaver.send_packet(&b"a row of the file\n".repeat(1000)).await;
        }
        leaver.vanish().await;
    }
    let busy = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'LOAD%'";
    wait_until("no load runs any more", Duration::from_secs(10), || server.value(busy).unwrap() == "0");
    assert_eq!(client.value("SELECT COUNT(*) FROM t").await, "0");
    // One that breaks the protocol instead.
    let mut rude = Raw::connect(&router, &schema, MODERN | FILES).await;
    rude.query(LOAD).await;
    rude.send_packet(b"a row\n").await;
    rude.send_packet(b"").await;
    rude.send(0x03, b"SELECT 1").await;
    while rude.try_packet_loosely().await.is_some() {}
    assert_eq!(client.value("SELECT 'others go on'").await, "others go on");
}

/// A client that sends a file listens to nobody before the file's end: only then can it be told, and it must be.
#[tokio::test]
async fn a_backend_that_is_lost_in_the_middle_is_an_error_after_the_files_end() {
    let server = MariaDb::shared();
    let link = FaultProxy::start(server.address());
    let router = Router::with_config(&config(link.port(), link.port(), ON), &[]);
    let schema = server.scratch_schema().unwrap();
    let mut client = Raw::connect(&router, &schema, MODERN | FILES).await;
    client.query("CREATE TABLE t (a TEXT)").await;
    for lost_after_the_file in [false, true] {
        assert_eq!(client.query(LOAD).await, Answer::File("the file".into()));
        if lost_after_the_file {
            link.set(Fault::Silence);
            send_file(&mut client, vec![b"a row of the file\n".to_vec(); 5]).await;
            link.cut();
            link.set(Fault::None);
        } else {
            client.send_packet(b"the first row\n").await;
            link.cut();
            // More than sockets hold, so that the loss is met while the file is still coming.
            send_file(&mut client, vec![b"a row of the file\n".repeat(10_000); 300]).await;
        }
        let Answer::Err { code, text } = client.answer(false).await else { panic!("{lost_after_the_file}") };
        assert_eq!(code, 2013, "{text}");
        assert_eq!(client.value("SELECT COUNT(*) FROM t FOR UPDATE").await, "0", "and the session goes on");
    }
    // In a transaction the session ends with it, and is told why.
    client.query("BEGIN").await;
    client.query(LOAD).await;
    link.cut();
    send_file(&mut client, [b"a row\n".to_vec()]).await;
    assert_eq!(client.answer(false).await.code(), 2013);
    assert!(client.try_packet_loosely().await.is_none(), "the connection is closed");
}
