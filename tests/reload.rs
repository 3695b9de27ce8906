//! `switchboard reload`: a running router takes what changed, says what is wrong, and drops nobody.

mod common;
mod traffic_support;

use common::{MariaDb, Router, wait_until};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use traffic_support::raw::{Answer, Bind, CURSOR, MODERN, Raw};
use traffic_support::{Estate, config, tag};

const SOON: Duration = Duration::from_secs(10);

/// A router with a pid file whose rules are in a file of their own.
fn estate() -> (Estate, String) {
    let (master, replica) = MariaDb::shared_pair();
    let top = "pid_file = \"{dir}/router.pid\"\nrules = \"rules\"\nread_your_writes = \"0s\"";
    let text = config(master.port(), replica.port(), top);
    let (text, rules) = text.split_at(text.find("[[rule]]").unwrap());
    let router = Router::with_config(text, &[("rules.toml", rules)]);
    // Its socket takes connections before it is ready; the pid file is there once it says so.
    wait_until("it says that it listens", SOON, || router.log().contains("listening"));
    (Estate { master, replica, router }, rules.to_owned())
}

fn reload(pid_file: &std::path::Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_switchboard")).args(["reload", "--pid-file"]).arg(pid_file).output().unwrap()
}

impl Estate {
    fn reload(&self) {
        let output = reload(&self.router.dir().join("router.pid"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Writes where no watcher looks at once: the command alone must do it, so the test waits for a reload that was asked for.
    fn reloads_asked_for(&self) -> usize {
        self.router.log().matches("cause=Asked").count()
    }
}

async fn ran_on(client: &mut Raw, estate: &Estate) -> &'static str {
    let text = tag("reload");
    assert_eq!(client.query(&format!("SELECT '{text}'")).await.rows(), [[&text]]);
    estate.ran_on(&text)
}

#[tokio::test]
async fn a_changed_rule_is_taken_and_nothing_is_dropped() {
    let (estate, rules) = estate();
    let schema = estate.schema().await;
    let mut client = Raw::connect(&estate.router, &schema, MODERN).await;
    client.query("CREATE TABLE t (a INT)").await;
    client.query("INSERT INTO t VALUES (1), (2), (3)").await;
    estate.catch_up();
    assert_eq!(ran_on(&mut client, &estate).await, "replica");
    // Everything that a session can have open.
    let mut in_transaction = Raw::connect(&estate.router, &schema, MODERN).await;
    in_transaction.query("BEGIN").await;
    in_transaction.query("INSERT INTO t VALUES (4)").await;
    let mut pinned = Raw::connect(&estate.router, &schema, MODERN).await;
    pinned.query("SET @kept = 'yes'").await;
    let prepared = client.prepare("SELECT COUNT(*) + ? FROM t").await;
    assert_eq!(client.execute(&prepared, &[Bind::Int(10)]).await.rows(), [["13"]]);
    let mut fetching = Raw::connect(&estate.router, &schema, MODERN).await;
    let cursor = fetching.prepare("SELECT a FROM t ORDER BY a").await;
    fetching.execute_with(cursor.id, CURSOR, true, &[]).await;
    let mut running = Raw::connect(&estate.router, &schema, MODERN).await;
    running.send(0x03, b"SELECT 'slow', SLEEP(1.5)").await;

    estate
        .router
        .write_rules("rules.toml", &rules.replace("destination_hostgroups = [20, 10]", "destination_hostgroup = 10"));
    let before = estate.reloads_asked_for();
    estate.reload();
    wait_until("the reload", SOON, || estate.reloads_asked_for() > before);
    let (before, pid) = (estate.reloads_asked_for(), estate.router.pid().to_string());
    // As a service manager says it, which knows the number.
    let output = Command::new(env!("CARGO_BIN_EXE_switchboard")).args(["reload", "--pid", &pid]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_until("another reload", SOON, || estate.reloads_asked_for() > before);
    assert_eq!(ran_on(&mut client, &estate).await, "master", "the same session, the new rule");
    assert_eq!(client.execute_with(prepared.id, 0, false, &[Bind::Int(20)]).await[0].rows(), [["23"]]);
    assert_eq!(fetching.fetch(&cursor, 9).await.rows(), [["1"], ["2"], ["3"]]);
    assert_eq!(in_transaction.value("SELECT COUNT(*) FROM t").await, "4");
    in_transaction.query("COMMIT").await;
    assert_eq!(pinned.value("SELECT @kept").await, "yes");
    assert_eq!(running.answer(false).await.rows(), [["slow", "0"]]);
    let mut new = Raw::connect(&estate.router, &schema, MODERN).await;
    assert_eq!(ran_on(&mut new, &estate).await, "master");
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_is_reported_with_its_place() {
    let (estate, rules) = estate();
    let mut client = Raw::connect(&estate.router, "mysql", MODERN).await;
    let mut refusals = 0;
    for (fault, place, reason) in [
        (format!("{rules}\n[[rule]]\nrule_id = 9\nmatch_digest = '('\n"), ":13:16", "match_digest"),
        (rules.replace("= 10\n", "= 77\n"), ":8:25", "77"),
        (rules.replacen("apply = true", "aply = true", 1), ":5:1", "aply"),
        ("[[rule]]\nrule_id = \"one\"\n".to_owned(), ":2:11", "rule_id"),
        ("[[rule]\n".to_owned(), ":1:", "rules.toml"),
    ] {
        estate.router.write_rules("rules.toml", &fault);
        estate.reload();
        refusals += 1;
        wait_until("the refusal", SOON, || estate.router.log().matches("was not reloaded").count() >= refusals);
        // The watcher may have seen the file, too: what it says is the same.
        std::thread::sleep(Duration::from_millis(400));
        let log = estate.router.log();
        refusals = log.matches("was not reloaded").count();
        let said = log.lines().rfind(|l| l.contains("rules.toml")).unwrap_or_default().to_owned();
        assert!(said.contains(&format!("rules.toml{place}")) && said.contains(reason), "{place} {reason}: {said}");
        assert_eq!(ran_on(&mut client, &estate).await, "replica", "{said}");
    }
    assert!(!estate.router.log().contains("configuration reloaded"));
    estate
        .router
        .write_rules("rules.toml", &rules.replace("destination_hostgroups = [20, 10]", "destination_hostgroup = 10"));
    estate.reload();
    wait_until("the reload", SOON, || estate.router.log().contains("configuration reloaded"));
    assert_eq!(ran_on(&mut client, &estate).await, "master", "repaired");
}

/// Clients that never pause while the configuration changes under them: no statement fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_traffic_fail_no_statement() {
    let (estate, rules) = estate();
    let end = Instant::now() + Duration::from_secs(3);
    let mut clients = Vec::new();
    for n in 0..4 {
        let mut client = Raw::connect(&estate.router, "mysql", MODERN).await;
        clients.push(tokio::spawn(async move {
            let prepared = client.prepare("SELECT ? + 1").await;
            let mut count = 0u64;
            while Instant::now() < end {
                assert_eq!(client.value(&format!("SELECT {n} + {count}")).await, (n + count).to_string());
                assert!(matches!(client.query("BEGIN").await, Answer::Ok { .. }));
                assert_eq!(client.execute(&prepared, &[Bind::Int(41)]).await.rows(), [["42"]]);
                assert!(matches!(client.query("COMMIT").await, Answer::Ok { .. }));
                count += 1;
            }
            count
        }));
    }
    let mut asked = 0;
    while Instant::now() < end {
        let flipped = rules.replace("[20, 10]", if asked % 2 == 0 { "[10, 20]" } else { "[20, 10]" });
        estate.router.write_rules("rules.toml", &flipped);
        estate.reload();
        asked += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for client in clients {
        assert!(client.await.unwrap() > 10);
    }
    assert!(estate.reloads_asked_for() > 5, "{asked} were asked for");
}

#[tokio::test]
async fn a_pid_file_that_is_missing_or_stale_is_a_clear_error() {
    let (mut estate, _) = estate();
    let pid_file = estate.router.dir().join("router.pid");
    assert_eq!(std::fs::read_to_string(&pid_file).unwrap().trim(), estate.router.pid().to_string());
    let other = estate.router.dir().join("other.pid");
    for (text, want) in [
        (None, "cannot be read"),
        (Some("no number"), "no process number"),
        (Some("1"), "stale"),
        (Some("4000000"), "stale"),
    ] {
        if let Some(text) = text {
            std::fs::write(&other, text).unwrap();
        }
        let output = reload(&other);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(want), "{text:?}: {said}");
    }
    assert!(estate.router.stop().success());
    assert!(!pid_file.exists(), "it goes with the process");
    assert!(!reload(&pid_file).status.success());
}
