//! What sessions send in one turn goes out together (docs/adr/0015): many at once get their own answers, whole and in order, and one
//! that does not read its answers keeps nobody else waiting. The same where messages are sent one by one.

mod common;
mod traffic_support;

use common::http::metrics;
use common::{MariaDb, Router, wait_until};
use std::time::Duration;
use switchboard::net::frame::{PacketReader, put_packet};
use tokio::io::AsyncWriteExt;
use traffic_support::config;
use traffic_support::raw::{Bind, MODERN, Raw};

/// Routers of one worker, so that all sessions share what there is to share; with io_uring and without.
fn routers() -> [(&'static str, Router); 2] {
    let port = MariaDb::shared().port();
    [("together", ""), ("one by one", "io_uring = false")].map(|(name, line)| {
        let text = config(port, port, &format!("workers = 1\n{line}"));
        (name, Router::with_config(&format!("{text}\n[http]\naddress = \"{{http}}\"\n"), &[]))
    })
}

/// Lengths around what is posted at all (16 KiB), and what one read brings.
const LENGTHS: [usize; 10] = [0, 1, 100, 5_000, 16_100, 16_300, 16_384, 16_500, 65_000, 200_000];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_get_their_own_answers() {
    for (name, router) in &routers() {
        let mut clients = Vec::new();
        for number in 0..40usize {
            let mut client = Raw::connect(router, "mysql", MODERN).await;
            clients.push(tokio::spawn(async move {
                let prepared = client.prepare("SELECT ?, ?").await;
                for round in 0..60 {
                    let length = LENGTHS[(number + round) % LENGTHS.len()];
                    let mine = format!("{number}-{round}-{}", "x".repeat(length));
                    let answer = client.query(&format!("SELECT '{mine}', {number}")).await;
                    assert_eq!(answer.rows(), [[mine.as_str(), &number.to_string()]]);
                    let answer = client.execute(&prepared, &[Bind::Text(&mine), Bind::Int(number as i64)]).await;
                    assert_eq!(answer.rows(), [[mine.as_str(), &number.to_string()]]);
                }
            }));
        }
        for client in clients {
            client.await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let together = || metrics(router)["switchboard_batched_messages_total"];
        if *name == "together" && !router.log().contains("io_uring is not to be had") {
            wait_until("it is counted", Duration::from_secs(10), || together() > 0.0);
        } else {
            // Longer than the figures take to be shown.
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert!(together() == 0.0, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_gets_everything_in_the_end_and_holds_up_nobody() {
    const REQUESTS: usize = 3_000;
    for (name, router) in &routers() {
        let lazy = Raw::connect(router, "mysql", MODERN).await;
        let (mut from, mut to) = tokio::io::split(lazy.stream);
        // Far more than sockets hold: at some point the router can neither send an answer nor take another request.
        let padding = "p".repeat(4_000);
        let asks = tokio::spawn(async move {
            for number in 0..REQUESTS {
                let mut request = Vec::new();
                put_packet(&mut request, format!("\x03SELECT {number}, REPEAT('s', 8000) -- {padding}").as_bytes(), 0);
                to.write_all(&request).await.unwrap();
            }
            to
        });
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(!asks.is_finished(), "{name}: nothing was held up");
        let mut others = Vec::new();
        for number in 0..10 {
            let mut other = Raw::connect(router, "mysql", MODERN).await;
            others.push(tokio::spawn(async move {
                for _ in 0..20 {
                    let own = format!("SELECT {number}");
                    let value = tokio::time::timeout(Duration::from_secs(20), other.value(&own));
                    let value = value.await.expect("is kept waiting");
                    assert_eq!(value, number.to_string());
                }
            }));
        }
        for other in others {
            other.await.unwrap();
        }
        // Columns, two definitions, a row, and the end: with DEPRECATE_EOF these are five packets.
        let mut reader = PacketReader::new();
        for number in 0..REQUESTS {
            let mut packets = Vec::new();
            for _ in 0..5 {
                let packet = tokio::time::timeout(Duration::from_secs(20), reader.read(&mut from, 10_000)).await;
                let packet = packet.unwrap_or_else(|_| panic!("{name}: nothing comes after {number} answers"));
                packets.push(packet.unwrap().payload.to_vec());
            }
            let own = number.to_string();
            assert_eq!(packets[3][1..=own.len()], *own.as_bytes(), "{name}");
            assert_eq!(packets[3].len(), 1 + own.len() + 3 + 8_000, "{name}");
        }
        asks.await.unwrap();
    }
}

/// A client that waits for nothing but the room to get its last answer: it asks for no more, and is not at rest either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_finds_the_socket_full_comes_without_being_asked_for_again() {
    let (_, router) = &routers()[0];
    if router.log().contains("io_uring is not to be had") {
        eprintln!("NOT TESTED: io_uring is not to be had on this machine");
        return;
    }
    let mut client = Raw::connect(router, "mysql", MODERN).await;
    // Whether so many statements have been answered, and whether their session is busy all the same.
    let state = |answered: usize| {
        let figures = metrics(router);
        let busy = figures["switchboard_sessions{state=\"busy\"}"] > 0.0;
        let count: f64 = figures.iter().filter(|(name, _)| name.starts_with(COUNT)).map(|(_, count)| count).sum();
        (count == answered as f64, busy)
    };
    let mut sent = 0;
    'full: loop {
        client.send(0x03, b"SELECT REPEAT('s', 16000)").await;
        sent += 1;
        assert!(sent < 5_000, "no socket holds so much");
        wait_until("it is answered", Duration::from_secs(10), || state(sent).0);
        // At rest for more than a moment, or busy for long.
        let (mut rests, mut looks) = (0, 0);
        while looks < 20 {
            (rests, looks) = if state(sent).1 { (0, looks + 1) } else { (rests + 1, looks) };
            if rests == 4 {
                continue 'full;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        break;
    }
    for answer in 0..sent {
        client.expect_fresh_answer();
        let came = tokio::time::timeout(Duration::from_secs(20), client.answer(false)).await;
        let came = came.unwrap_or_else(|_| panic!("{answer} of {sent} answers came"));
        assert_eq!(came.rows()[0][0].len(), 16_000);
    }
    wait_until("it rests again", Duration::from_secs(10), || state(sent) == (true, false));
}

/// How many statements have been answered, by command.
const COUNT: &str = "switchboard_statement_duration_seconds_count";
