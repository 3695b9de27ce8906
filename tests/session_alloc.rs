//! In the steady state a statement allocates nothing on its way through the router: from the client's socket to the server's
//! and back, with planning, routing, pooling, prepared statements and transactions. And what an idle session keeps.
//!
//! The router's worker runs in this process, on a thread whose allocations are counted; the client's are not.

#![allow(unsafe_code, reason = "a counting allocator is an allocator, and that trait is unsafe")]

mod common;

use common::MariaDb;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use switchboard::app::{Router, Setup, publish, setup};
use switchboard::config;

struct Counting;

static COUNTING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Bytes that are allocated, less those that are given back.
static BYTES: AtomicI64 = AtomicI64::new(0);

thread_local! {
    /// The client's thread turns this off for itself.
    static COUNTED: Cell<bool> = const { Cell::new(true) };
}

fn count(bytes: i64) {
    if COUNTING.load(Relaxed) && COUNTED.with(Cell::get) {
        COUNT.fetch_add(u64::from(bytes > 0), Relaxed);
        BYTES.fetch_add(bytes, Relaxed);
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches an atomic and a thread-local without a
// destructor, neither of which allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(-signed(layout.size()));
        count(signed(size));
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Statements of each kind that are counted.
const STATEMENTS: u64 = 2_000;
/// What the worker's housekeeping (once a second, whatever the load) may allocate meanwhile.
const HOUSEKEEPING: u64 = 50;

/// What an idle session may keep, by the allocator's count: its task of 0.5 KiB, its state, and what the event loop has of it.
const IDLE_BYTES: i64 = 2_100;

fn router(writer: u16, reader: u16, scope: &str) -> Router {
    let text = format!(
        "[listen]\naddresses = [\"127.0.0.1:0\"]\n[[user]]\nusername = \"app\"\npassword = \"app-secret\"\n\
         [[hostgroup]]\nid = 10\nrole = \"writer\"\n[[hostgroup]]\nid = 20\nrole = \"reader\"\nwriter = 10\n\
         [[backend]]\nhostgroup = 10\naddress = \"127.0.0.1:{writer}\"\n\
         [[backend]]\nhostgroup = 20\naddress = \"127.0.0.1:{reader}\"\n\
         [[rule]]\nrule_id = 1\nreader_safe = true\ndestination_hostgroup = 20\napply = true\n\
         [[rule]]\nrule_id = 2\ndestination_hostgroup = 10\napply = true\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("switchboard.toml");
    std::fs::write(
        &file,
        format!("workers = 1\nread_your_writes = \"50ms\"\nread_your_writes_scope = \"{scope}\"\n{text}"),
    )
    .unwrap();
    let loaded = config::load(&[file]).unwrap();
    let snapshot = setup::snapshot(&loaded, None).unwrap();
    Router::start(&Setup::new(&loaded), publish(snapshot)).unwrap()
}

/// Runs `statement` often to warm up, then counts what the worker allocates while it runs as often again.
async fn allocations(mut statement: impl AsyncFnMut(u64)) -> u64 {
    for i in 0..STATEMENTS {
        statement(i).await;
    }
    let before = COUNT.load(Relaxed);
    COUNTING.store(true, Relaxed);
    for i in STATEMENTS..2 * STATEMENTS {
        statement(i).await;
    }
    COUNTING.store(false, Relaxed);
    COUNT.load(Relaxed) - before
}

#[tokio::test]
async fn statements_allocate_nothing_in_the_steady_state() {
    COUNTED.with(|c| c.set(false));
    let (master, replica) = MariaDb::shared_pair();
    let schema = master.scratch_schema().unwrap();
    for statement in [
        format!("CREATE TABLE {schema}.t (id INT PRIMARY KEY AUTO_INCREMENT, a INT, at DATETIME)"),
        format!("INSERT INTO {schema}.t (a, at) SELECT seq, NOW() FROM {schema}.seq_1_to_100"),
    ] {
        master.sql(&statement).unwrap();
    }
    let position = master.value("SELECT @@gtid_binlog_pos").unwrap();
    assert_eq!(replica.value(&format!("SELECT MASTER_GTID_WAIT('{position}', 10)")).unwrap(), "0");
    for scope in ["session", "user"] {
        let router = router(master.port(), replica.port(), scope);
        count_each_kind(&router, &format!("{schema}.t")).await;
        weigh_idle_sessions(&router).await;
        router.drain(std::time::Duration::from_secs(5));
    }
}

async fn connect(router: &Router) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(router.addresses[0].port())
        .user(Some("app"))
        .pass(Some("app-secret"))
        .prefer_socket(false);
    Conn::new(options).await.unwrap()
}

/// What a session keeps while its client is silent: its task, its state, its places in lists. Sign-in keeps nothing.
async fn weigh_idle_sessions(router: &Router) {
    const SESSIONS: i64 = 200;
    let _first = connect(router).await;
    let before = BYTES.load(Relaxed);
    COUNTING.store(true, Relaxed);
    let mut open = Vec::new();
    for _ in 0..SESSIONS {
        let mut conn = connect(router).await;
        conn.query_drop("SELECT 1").await.unwrap();
        open.push(conn);
    }
    COUNTING.store(false, Relaxed);
    let each = (BYTES.load(Relaxed) - before) / SESSIONS;
    println!("an idle session keeps {each} bytes");
    assert!((1_000..IDLE_BYTES).contains(&each), "an idle session keeps {each} bytes");
}

async fn count_each_kind(router: &Router, table: &str) {
    let mut conn = connect(router).await;

    // The positive control: what does allocate is counted.
    let parsed_anew = allocations(async |i| {
        let columns = vec!["1"; i as usize % 50 + 1].join(" + ");
        conn.query_drop(format!("SELECT {columns} AS c{i}")).await.unwrap();
    });
    assert!(parsed_anew.await > STATEMENTS, "new digests are planned anew, which allocates");

    let same_text = format!("SELECT a FROM {table} WHERE id = 7");
    let counted = allocations(async |_| conn.query_drop(&same_text).await.unwrap()).await;
    assert!(counted < HOUSEKEEPING, "the same text: {counted} allocations");

    let counted = allocations(async |i| {
        conn.query_drop(format!("SELECT a FROM {table} WHERE id = {i} AND at > NOW() - INTERVAL {i} DAY"))
            .await
            .unwrap();
    });
    let counted = counted.await;
    assert!(counted < HOUSEKEEPING, "other literals: {counted} allocations");

    let prepared = conn.prep(format!("SELECT a FROM {table} WHERE id = ?")).await.unwrap();
    let counted = allocations(async |i| conn.exec_drop(&prepared, (i,)).await.unwrap()).await;
    assert!(counted < HOUSEKEEPING, "prepared: {counted} allocations");

    let update = format!("UPDATE {table} SET a = a + 1 WHERE id = 5");
    let counted = allocations(async |_| conn.query_drop(&update).await.unwrap()).await;
    assert!(counted < HOUSEKEEPING, "writes: {counted} allocations");

    // Reads that follow a write to the writer, and the writes between them.
    let counted = allocations(async |_| {
        conn.query_drop(&update).await.unwrap();
        conn.query_drop(&same_text).await.unwrap();
    });
    let counted = counted.await;
    assert!(counted < HOUSEKEEPING, "reads after writes: {counted} allocations");

    let insert = format!("INSERT INTO {table} (a) VALUES (1)");
    let counted = allocations(async |_| conn.query_drop(&insert).await.unwrap()).await;
    assert!(counted < HOUSEKEEPING, "inserts that leave LAST_INSERT_ID(): {counted} allocations");

    conn.query_drop("BEGIN").await.unwrap();
    let counted = allocations(async |_| conn.query_drop(&same_text).await.unwrap()).await;
    assert!(counted < HOUSEKEEPING, "in a transaction: {counted} allocations");
    let counted = allocations(async |i| conn.exec_drop(&prepared, (i,)).await.unwrap()).await;
    assert!(counted < HOUSEKEEPING, "prepared, in a transaction: {counted} allocations");
    conn.query_drop("COMMIT").await.unwrap();

    let counted = allocations(async |_| {
        conn.query_drop("BEGIN").await.unwrap();
        conn.query_drop(&update).await.unwrap();
        conn.query_drop("COMMIT").await.unwrap();
    });
    let counted = counted.await;
    assert!(counted < HOUSEKEEPING, "whole transactions: {counted} allocations");
    conn.disconnect().await.unwrap();
}
