//! Many sessions and few connections: who waits is served in turn, whichever worker serves his client, and no connection is closed and
//! opened for it over and over.

mod common;
mod traffic_support;

use common::{MariaDb, Router};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use switchboard::cli::demo::servers::Options;
use traffic_support::config;
use traffic_support::raw::{MODERN, Raw};

/// A server, a router with two workers that may have so many connections to it, and a schema with an empty table `t`.
fn crowded(name: &str, connections: u32) -> (MariaDb, Arc<Router>, String) {
    let server = MariaDb::start(Options::named(name));
    let top = "workers = 2\nread_your_writes = \"0s\"\n[timeouts]\npool_wait = \"20s\"";
    let address = format!("address = \"127.0.0.1:{}\"", server.port());
    let few = config(server.port(), server.port(), top)
        .replace(&address, &format!("{address}\nmax_connections = {connections}"));
    let router = Arc::new(Router::with_config(&few, &[]));
    let schema = server.scratch_schema().unwrap();
    server.value(&format!("CREATE TABLE {schema}.t (id INT PRIMARY KEY AUTO_INCREMENT)")).unwrap();
    (server, router, schema)
}

fn connections_made(server: &MariaDb) -> u64 {
    let counted = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Connections'";
    server.value(counted).unwrap().parse().unwrap()
}

/// Has so many clients at once run INSERTs and reads, so many each; gives the longest wait of any.
async fn crowd(router: &Arc<Router>, schema: &str, clients: usize, statements: usize) -> Duration {
    let longest = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for number in 0..clients {
        let (router, schema, longest) = (Arc::clone(router), schema.to_owned(), Arc::clone(&longest));
        tasks.push(tokio::spawn(async move {
            let mut client = Raw::connect(&router, &schema, MODERN).await;
            for turn in 0..statements {
                let sql = if (number + turn) % 10 == 0 { "INSERT INTO t VALUES ()" } else { "SELECT MAX(id) FROM t" };
                let from = Instant::now();
                assert_eq!(client.query(sql).await.code(), 0, "{sql}");
                longest.fetch_max(u64::try_from(from.elapsed().as_millis()).unwrap(), Relaxed);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    Duration::from_millis(longest.load(Relaxed))
}

#[tokio::test]
async fn a_crowd_shares_connections_across_workers() {
    let (server, router, schema) = crowded("crowded", 6);
    let before = connections_made(&server);
    let longest = crowd(&router, &schema, 60, 50).await;
    let made = connections_made(&server) - before;
    // Six for the crowd, those of the health checks, and a few that changed hands where a worker had nothing to do for a moment.
    assert!(made <= 60, "{made} connections made for 3,000 statements over six");
    assert!(longest < Duration::from_secs(5), "a statement waited for {longest:?}");
}

/// Of a room that cannot be parted, nobody has more than a turn.
#[tokio::test]
async fn workers_take_turns_at_a_single_connection() {
    let (_server, router, schema) = crowded("single", 1);
    let longest = crowd(&router, &schema, 8, 20).await;
    assert!(longest < Duration::from_secs(5), "a statement waited for {longest:?}");
}
