//! Ten thousand rules are loaded again and again at the admin port while clients never pause: no connection drops, no
//! statement fails, none goes elsewhere than the rules of one version say, and latency stays what it was. The same holds while
//! the heaviest queries run there.
//!
//! Every version routes reads by two rules that belong together (`flagOUT` of one, `flagIN` of the other, another number in each
//! version): a statement that met one rule of each would fall through to the writer. Where a read ran is told by a row
//! that only the reader has.
//!
//! A short form runs with all tests. The long one, on a release build, also holds the 99th percentile against that of
//! times without them:
//!
//! ```text
//! SWITCHBOARD_RELOADS=1000 cargo test --release --test reload_storm -- --nocapture
//! ```

mod admin_support;
mod common;
mod traffic_support;

use admin_support::{connect, process, run};
use common::{MariaDb, Router};
use mysql_async::Conn;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use traffic_support::Estate;
use traffic_support::raw::{Answer, MODERN, Raw};

const RULES: u32 = 10_000;
/// The two that decide.
const FIRST: u32 = RULES - 1;
const SECOND: u32 = RULES;
const CLIENTS: usize = 16;
/// Reloads in a row between two times without any.
const ROUND: u32 = 10;
/// The 99th percentile with them may be this much of that without.
const P99: f64 = 1.2;
/// The two storms are not to be each other's.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A query that keeps SQLite at work for half a second or so: it makes a million rows, and tells apart what it finds in them.
const HEAVY: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000000) \
                     SELECT COUNT(DISTINCT HEX(x % 50000)) FROM c";

/// What clients are to count their statements as.
const QUIET: u8 = 0;
const STORM: u8 = 1;
const REST: u8 = 2;

/// Rules of all kinds that decide nothing here, and the two that do.
fn rules() -> String {
    let mut text = String::new();
    for id in 1..FIRST {
        let condition = match id % 20 {
            0 => format!("match_digest = \"^SELECT .* FROM archive_{id} \""),
            1 => format!("username = \"user_{id}\""),
            2 | 3 => format!("tables = [\"storm.table_{id}\"]"),
            _ => format!("digest = \"0x{:016X}\"", u64::from(id).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        };
        writeln!(text, "[[rule]]\nrule_id = {id}\n{condition}\ndestination_hostgroup = 10\napply = true\n").unwrap();
    }
    let pair = format!(
        "[[rule]]\nrule_id = {FIRST}\nmatch_digest = \"^SELECT\"\nflagOUT = 7\n\n\
         [[rule]]\nrule_id = {SECOND}\nflagIN = 7\ndestination_hostgroup = 20\napply = true\n"
    );
    text + &pair
}

/// Changes the pair and one rule in a hundred of the others, and loads all.
async fn reload(admin: &mut Conn, version: u32) -> Duration {
    let flag = 7 + version % 2;
    let statements = [
        format!("UPDATE mysql_query_rules SET flagOUT={flag} WHERE rule_id={FIRST}"),
        format!("UPDATE mysql_query_rules SET flagIN={flag} WHERE rule_id={SECOND}"),
        format!("UPDATE mysql_query_rules SET comment='version {version}' WHERE rule_id%100={}", version % 100),
    ];
    run(admin, &statements.each_ref().map(String::as_str)).await;
    let began = Instant::now();
    run(admin, &["LOAD MYSQL QUERY RULES TO RUNTIME"]).await;
    began.elapsed()
}

/// What one client saw: times of its statements, without reloads and with, and how many of them were inserts.
#[derive(Default)]
struct Seen {
    times: [Vec<u32>; 2],
    inserts: u64,
}

struct Load {
    phase: AtomicU8,
    over: AtomicBool,
}

/// A client that never pauses. Panics at the first statement that fails or runs elsewhere.
async fn drive(mut client: Raw, load: Arc<Load>, number: usize) -> Seen {
    let mut seen = Seen::default();
    for turn in 0u64.. {
        if load.over.load(SeqCst) {
            break;
        }
        let phase = load.phase.load(SeqCst);
        let began = Instant::now();
        if turn % 20 == 19 {
            let answer = client.query(&format!("INSERT INTO t VALUES ({number}, {turn}, @@port)")).await;
            assert!(matches!(answer, Answer::Ok { affected: 1, .. }), "{answer:?}");
            seen.inserts += 1;
        } else {
            let sql = format!("SELECT name FROM here WHERE id <> {}", turn % 50);
            assert_eq!(client.value(&sql).await, "reader", "turn {turn}");
        }
        let micros = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
        if let Some(times) = seen.times.get_mut(usize::from(phase)) {
            times.push(micros);
        }
    }
    seen
}

fn percentile(sorted: &[u32], share: f64) -> f64 {
    let place = ((sorted.len() as f64 * share) as usize).min(sorted.len() - 1);
    f64::from(sorted[place]) / 1_000.0
}

/// Where clients work while an operator does something again and again.
struct Storm {
    estate: Estate,
    schema: String,
    admin: Conn,
    load: Arc<Load>,
    clients: Vec<JoinHandle<Seen>>,
    took: Vec<Duration>,
}

impl Storm {
    async fn begin(rules: &str) -> Self {
        let (master, replica) = MariaDb::shared_pair();
        let schema = master.scratch_schema().unwrap();
        master.sql(&format!("CREATE TABLE `{schema}`.t (client INT, turn BIGINT, port INT)")).unwrap();
        master.sql(&format!("CREATE TABLE `{schema}`.here SELECT 99 AS id, 'writer' AS name")).unwrap();
        let files = [("estate.toml", &*admin_support::estate(master.port(), replica.port(), rules))];
        // Where all cores are at work, a query takes several times as long as it would alone.
        let config = process("").replacen("\n[[admin.user]]", "statement_timeout = \"2m\"\n\n[[admin.user]]", 1);
        let router = Router::with_config(&config, &files);
        let estate = Estate { master, replica, router };
        estate.catch_up();
        replica.sql(&format!("SET sql_log_bin = 0; UPDATE `{schema}`.here SET name = 'reader'")).unwrap();
        let admin = connect(&estate.router, "admin").await;
        let load = Arc::new(Load { phase: AtomicU8::new(REST), over: AtomicBool::new(false) });
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let client = Raw::connect(&estate.router, &schema, MODERN).await;
            clients.push(tokio::spawn(drive(client, Arc::clone(&load), number)));
        }
        Self { estate, schema, admin, load, clients, took: Vec::new() }
    }

    /// Before the `number`th time: after each round, a quarter as long without as the round took.
    async fn pause(&self, number: u32) {
        if number % ROUND == 1 {
            let round = self.took.iter().rev().take(ROUND as usize).sum::<Duration>();
            self.load.phase.store(QUIET, SeqCst);
            tokio::time::sleep((round / 4).max(Duration::from_millis(500))).await;
            self.load.phase.store(STORM, SeqCst);
        }
    }

    /// The times of statements without and with, after a look at where all inserts ran.
    async fn end(&mut self) -> [Vec<u32>; 2] {
        self.load.phase.store(REST, SeqCst);
        self.load.over.store(true, SeqCst);
        let mut all = Seen::default();
        for client in self.clients.drain(..) {
            let seen = client.await.expect("a client");
            all.inserts += seen.inserts;
            for (times, its) in all.times.iter_mut().zip(seen.times) {
                times.extend(its);
            }
        }
        let (master, schema) = (self.estate.master, &self.schema);
        let count = format!("SELECT CONCAT(COUNT(*), ' ', SUM(port={})) FROM `{schema}`.t", master.port());
        assert_eq!(
            master.value(&count).unwrap(),
            format!("{0} {0}", all.inserts),
            "every insert ran once, on the master"
        );
        all.times
    }
}

fn times(short: u32) -> u32 {
    std::env::var("SWITCHBOARD_RELOADS").map_or(short, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_rules_are_loaded_again_and_again_under_traffic() {
    let _alone = ALONE.lock().await;
    let reloads = times(6);
    let mut storm = Storm::begin(&rules()).await;
    for version in 1..=reloads {
        storm.pause(version).await;
        let took = reload(&mut storm.admin, version).await;
        storm.took.push(took);
    }
    let mut times = storm.end().await;
    let versions = admin_support::rows(&mut storm.admin, "SELECT MAX(version) FROM switchboard_config_history").await;
    assert!(versions[0].parse::<u32>().unwrap() >= reloads, "{versions:?}: every load took effect");
    report(&format!("loads of {RULES} rules"), &mut times, &mut storm.took);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_heaviest_query_of_an_operator_is_no_business_of_the_traffic() {
    let _alone = ALONE.lock().await;
    let queries = times(2);
    let mut storm = Storm::begin(&rules()).await;
    for number in 1..=queries {
        storm.pause(number).await;
        let began = Instant::now();
        assert_eq!(admin_support::rows(&mut storm.admin, HEAVY).await, ["50000"]);
        storm.took.push(began.elapsed());
    }
    let mut times = storm.end().await;
    report("heavy queries", &mut times, &mut storm.took);
}

/// Prints the times without and with `what`, and holds them against each other where that says something.
fn report(what: &str, times: &mut [Vec<u32>; 2], took: &mut [Duration]) {
    times.iter_mut().for_each(|t| t.sort_unstable());
    took.sort_unstable();
    let [quiet, storm] = times;
    assert!(quiet.len() > 100 && storm.len() > 100, "there was traffic: {} and {}", quiet.len(), storm.len());
    let count = took.len();
    println!("{count} {what}, median {:?}, longest {:?}", took[count / 2], took[count - 1]);
    for (name, times) in [("without", &quiet), ("with", &storm)] {
        let at = |share| percentile(times, share);
        println!(
            "{name:>8}: {:>9} statements, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, longest {:.2} ms",
            times.len(),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        );
    }
    let ratio = percentile(storm, 0.99) / percentile(quiet, 0.99);
    println!("p99 with {what} is {ratio:.2} times that without");
    // A build without optimisation says nothing of latency, and few times little.
    if !cfg!(debug_assertions) && count >= 30 {
        assert!(ratio <= P99, "p99 with {what} is {ratio:.2} times that without");
    }
}
