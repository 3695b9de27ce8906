//! What large requests and parameters sent ahead may take of the router's memory, all clients together.

mod common;
mod traffic_support;

use common::http::metrics;
use common::{MariaDb, Options, Router};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use std::time::{Duration, Instant};
use switchboard::protocol::capabilities::Capabilities;
use tokio::io::AsyncWriteExt;
use traffic_support::raw::{Bind, Raw};
use traffic_support::{config, options, value};

const REQUEST: usize = 15 << 20;
const CLIENTS: usize = 12;

fn router(server: &MariaDb, top: &str) -> Router {
    let text = config(server.port(), server.port(), top);
    Router::with_config(&format!("{text}\n[http]\naddress = \"{{http}}\"\n"), &[])
}

/// The most memory that a router has had at a time, in bytes.
fn peak(router: &Router) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", router.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// Large requests at once, each of which runs for a while. How each ended.
async fn storm(router: &Router, seconds: &str) -> Vec<Result<(), Error>> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut conn = Conn::new(options(router, None)).await.unwrap();
        let text = format!("SELECT SLEEP({seconds}), LENGTH('{}')", "a".repeat(REQUEST));
        clients.push(tokio::spawn(async move { conn.query_drop(text).await }));
    }
    let mut ends = Vec::new();
    for client in clients {
        ends.push(client.await.unwrap());
    }
    ends
}

fn large() -> MariaDb {
    MariaDb::start(Options::named("large").with_arg("--max-allowed-packet=64M"))
}

/// Twelve requests of 15 MiB, and room for two: all are served, two at a time.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_do_not_fit_wait() {
    let server = large();
    let router = router(&server, "[limits]\nmax_allowed_packet = \"16MiB\"\nrequest_memory = \"34MiB\"");
    let before = peak(&router);
    let storm = tokio::spawn(async move {
        let ends = storm(&router, "0.3").await;
        (router, ends)
    });
    let (router, ends) = storm.await.unwrap();
    assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    let grown = peak(&router) - before;
    assert!(grown < 80 << 20, "it grew by {} MiB", grown >> 20);
    let values = metrics(&router);
    assert!(values["switchboard_request_memory_waits_total"] >= 1.0);
    assert_eq!(values["switchboard_request_memory_refusals_total"], 0.0);
    assert_eq!(values["switchboard_request_memory_bytes"], 0.0, "all of it is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_in_vain_get_an_error_and_others_do_not_wait() {
    let server = large();
    let limits =
        "[limits]\nmax_allowed_packet = \"16MiB\"\nrequest_memory = \"34MiB\"\n[timeouts]\npool_wait = \"500ms\"";
    let router = router(&server, limits);
    let (opts, mut small) = (options(&router, None), Conn::new(options(&router, None)).await.unwrap());
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watched = std::sync::Arc::clone(&over);
    let others = tokio::spawn(async move {
        let mut slowest = Duration::ZERO;
        while !watched.load(std::sync::atomic::Ordering::Relaxed) {
            let from = Instant::now();
            assert_eq!(value(&mut small, "SELECT 1").await, "1");
            slowest = slowest.max(from.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        slowest
    });
    let ends = storm(&router, "2").await;
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    let served = ends.iter().filter(|end| end.is_ok()).count();
    assert!((1..CLIENTS).contains(&served), "{served} were served");
    // Who is still sending when the error comes may see its connection broken before it reads.
    let told = |end: &Result<(), Error>| match end {
        Err(Error::Server(error)) => error.code == 1041 && error.message.contains("no memory"),
        Err(_) => true,
        Ok(()) => true,
    };
    assert!(ends.iter().all(told), "{ends:?}");
    let slowest = others.await.unwrap();
    assert!(slowest < Duration::from_millis(900), "an ordinary statement took {slowest:?}");
    let values = metrics(&router);
    assert!(values["switchboard_request_memory_refusals_total"] >= 1.0);
    assert_eq!(values["switchboard_request_memory_bytes"], 0.0);
    Conn::new(opts).await.unwrap().query_drop("SELECT 1").await.unwrap();
}

/// Half a million pieces of one byte: kept as one value, and sent on as one.
#[tokio::test]
async fn a_parameter_in_many_pieces_takes_no_more_than_its_bytes() {
    let server = large();
    let router = router(&server, "");
    let mut raw = Raw::connect(&router, "", Capabilities::COMMON).await;
    let statement = raw.prepare("SELECT LENGTH(?), LENGTH(?)").await;
    let before = peak(&router);
    const PIECES: usize = 500_000;
    let mut piece = vec![8, 0, 0, 0, 0x18];
    piece.extend_from_slice(&statement.id.to_le_bytes());
    piece.extend_from_slice(&[0, 0, b'x']);
    for _ in 0..50 {
        raw.stream.write_all(&piece.repeat(PIECES / 50)).await.unwrap();
    }
    raw.long_data(statement.id, 1, &vec![b'y'; 3 << 20]).await;
    let answer = raw.execute(&statement, &[Bind::Long, Bind::Long]).await;
    assert_eq!(answer.rows(), [[PIECES.to_string(), (3 << 20).to_string()]]);
    let grown = peak(&router) - before;
    assert!(grown < 24 << 20, "it grew by {} MiB", grown >> 20);
}
