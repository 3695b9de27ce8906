//! A reader that is silent: the process is stopped, connections stay open, and nothing answers. Reads are run elsewhere within a second,
//! and no more often than the budget allows; a read that only takes long is left alone.
//!
//! Where a statement ran is the servers' word: their general logs.

mod common;
mod traffic_support;

use common::http::metrics;
use common::{MariaDb, Router, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use traffic_support::{config, options, tag, value};

const WAIT: Duration = Duration::from_secs(30);

/// Checks that sign in, with the shipped times.
const TOP: &str = "workers = 2\nread_your_writes = \"0s\"\n[http]\naddress = \"{http}\"\n[health]\nusername = \"app\"\n\
    password = \"app-secret\"\n";

struct Estate {
    master: MariaDb,
    replica: MariaDb,
    router: Router,
}

impl Estate {
    fn new(health: &str) -> Self {
        let master = MariaDb::master();
        let replica = MariaDb::replica_of(&master);
        master
            .sql("CREATE DATABASE s; CREATE TABLE s.t (id INT PRIMARY KEY, v INT); INSERT INTO s.t VALUES (1, 1)")
            .unwrap();
        replica.wait_for(&master).unwrap();
        let text = config(master.port(), replica.port(), &format!("{TOP}{health}"));
        Self { master, replica, router: Router::with_config(&text, &[]) }
    }

    async fn connect(&self) -> Conn {
        Conn::new(options(&self.router, Some("s"))).await.unwrap()
    }

    fn figure(&self, name: &str) -> f64 {
        metrics(&self.router).get(name).copied().unwrap_or_default()
    }
}

/// What a client found that reads all the time: its longest wait, and how many reads.
async fn read_until(mut conn: Conn, over: Arc<AtomicBool>, prepared: bool) -> (Duration, u32) {
    let (mut longest, mut count) = (Duration::ZERO, 0);
    while !over.load(Relaxed) {
        let from = Instant::now();
        let found: Option<i32> = match prepared {
            true => conn.exec_first("SELECT v FROM t WHERE id = ?", (1,)).await.expect("no read fails"),
            false => conn.query_first("SELECT v FROM t WHERE id = 1").await.expect("no read fails"),
        };
        assert_eq!(found, Some(1));
        longest = longest.max(from.elapsed());
        count += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (longest, count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_at_a_frozen_reader_take_a_second_at_most_and_none_fails() {
    let estate = Estate::new("");
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for number in 0..12 {
        let conn = estate.connect().await;
        clients.push(tokio::spawn(read_until(conn, Arc::clone(&over), number % 2 == 0)));
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    estate.replica.pause().unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    estate.replica.resume().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    over.store(true, Relaxed);
    let mut longest = Duration::ZERO;
    for client in clients {
        let (waited, count) = client.await.unwrap();
        longest = longest.max(waited);
        assert!(count > 100, "it went on: {count}");
    }
    // 250 ms until the next look, 500 ms of silence, 100 ms until the workers look, and what a busy machine adds.
    assert!(longest < Duration::from_millis(1_500), "{longest:?}\n{}", estate.router.log());
    assert!(longest > Duration::from_millis(300), "something was frozen: {longest:?}");
    let moved = estate.figure("switchboard_moved_reads_total");
    assert!((1.0..=12.0).contains(&moved), "{moved}");
    wait_until("it serves again", WAIT, || estate.router.log().contains("it answers again"));
    let mut conn = estate.connect().await;
    let from = Instant::now();
    loop {
        let marked = tag("again");
        assert_eq!(value(&mut conn, &format!("SELECT '{marked}'")).await, marked);
        if estate.replica.saw(&marked).unwrap() {
            break;
        }
        assert!(from.elapsed() < WAIT, "{}", estate.router.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What takes long on a server that answers is run once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_only_takes_long_is_left_alone() {
    let estate = Estate::new("silence = \"100ms\"\n");
    let mut conn = estate.connect().await;
    let locker = lock(&estate.replica).await;
    let reading = tokio::spawn(async move { value(&mut conn, "SELECT 'long' FROM t").await });
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    locker.disconnect().await.unwrap();
    assert_eq!(reading.await.unwrap(), "long");
    assert!(estate.figure("switchboard_moved_reads_total") == 0.0, "{}", estate.router.log());
    assert!(!estate.master.saw("SELECT 'long' FROM t").unwrap());
}

/// What was given up is ended on its server, once that hears again; where the budget is nothing, nothing is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_is_ended_and_the_budget_holds() {
    for budget in [10, 0] {
        let estate = Estate::new(&format!("silence = \"300ms\"\nmoved_reads = {budget}\nfall = 100\n"));
        let mut conn = estate.connect().await;
        let locker = lock(&estate.replica).await;
        let from = Instant::now();
        let reading = tokio::spawn(async move { (value(&mut conn, "SELECT 'given up' FROM t").await, from.elapsed()) });
        wait_until("it waits for the lock", WAIT, || waits(&estate.replica) || reading.is_finished());
        assert!(!reading.is_finished(), "{}", estate.router.log());
        estate.replica.pause().unwrap();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(reading.is_finished(), budget > 0, "{}", estate.router.log());
        assert_eq!(estate.master.saw("SELECT 'given up' FROM t").unwrap(), budget > 0);
        estate.replica.resume().unwrap();
        if budget > 0 {
            // The lock is still held: only a KILL ends it.
            wait_until("it is ended", WAIT, || !waits(&estate.replica));
        }
        locker.disconnect().await.unwrap();
        assert_eq!(reading.await.unwrap().0, "given up");
    }
}

/// True while the read waits for a lock.
fn waits(server: &MariaDb) -> bool {
    let ask = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT ''given up''%'";
    server.value(ask).unwrap() == "1"
}

/// A lock on the table, on one server alone, that reads wait for: a connection straight to it.
async fn lock(server: &MariaDb) -> Conn {
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(server.port())
        .user(Some("app"))
        .pass(Some("app-secret"))
        .prefer_socket(false);
    let mut conn = Conn::new(options).await.unwrap();
    conn.query_drop("LOCK TABLES s.t WRITE").await.unwrap();
    conn
}

/// Turned off, it costs nothing: the checks wait for their interval.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turned_off_it_wakes_nobody() {
    let estate = Estate::new("silence = \"0s\"\n");
    let mut conn = estate.connect().await;
    assert_eq!(value(&mut conn, "SELECT 'x'").await, "x");
    // How often the control thread, which is the process's first, has gone to sleep.
    let sleeps = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", estate.router.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    let before = sleeps();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let slept = sleeps() - before;
    assert!(slept < 400, "{slept} times in two seconds");
}
