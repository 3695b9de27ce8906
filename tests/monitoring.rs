//! Alert rules, dashboard and metrics belong together: what the rules and the dashboard ask for must be on the page.

mod common;
mod traffic_support;

use common::http::get;
use common::{MariaDb, Port, Process, Router, must};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use regex::Regex;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use traffic_support::{config, options};

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

/// Runs promtool, which must find nothing wrong. Gives what it prints.
fn promtool(args: &[&str], input: &str) -> String {
    let mut child = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: deploy/provision.sh test installs it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = [done.stdout.as_slice(), &done.stderr].concat();
    assert!(done.status.success(), "promtool {args:?}: {}", String::from_utf8_lossy(&said));
    String::from_utf8(done.stdout).unwrap()
}

/// The page of a router that has seen a statement of each kind.
async fn page() -> String {
    let (master, replica) = MariaDb::shared_pair();
    let text = config(master.port(), replica.port(), "");
    let router = Router::with_config(&format!("{text}\n[http]\naddress = \"{{http}}\"\n"), &[]);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    for statement in ["SELECT 1", "SELECT no_such.function()", "BEGIN"] {
        let _ = conn.query_drop(statement).await;
    }
    let (status, page) = get(&router, "/metrics");
    assert_eq!(status, 200);
    page
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_page() {
    promtool(&["check", "metrics"], &page().await);
}

#[test]
fn each_alert_fires_when_it_should() {
    let rules = deploy("prometheus/alerts.yml");
    promtool(&["check", "rules", &rules.to_string_lossy()], "");
    promtool(&["test", "rules", &deploy("prometheus/alerts_test.yml").to_string_lossy()], "");
    let names = |file: &str, pattern: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(deploy(file)).unwrap();
        Regex::new(pattern).unwrap().captures_iter(&text).map(|c| c[1].to_owned()).collect()
    };
    let alerts = names("prometheus/alerts.yml", r"- alert: (\w+)");
    assert!(alerts.len() > 10);
    assert_eq!(alerts, names("prometheus/alerts_test.yml", r" alertname: (\w+)"), "an alert without a test");
}

#[tokio::test]
async fn rules_and_dashboard_ask_for_what_is_on_the_page() {
    let page = page().await;
    let name = Regex::new(r"switchboard_[a-z_]+").unwrap();
    for file in ["prometheus/alerts.yml", "grafana/dashboards/switchboard.json"] {
        let text = std::fs::read_to_string(deploy(file)).unwrap();
        let asked: BTreeSet<&str> = name.find_iter(&text).map(|m| m.as_str()).collect();
        assert!(asked.len() > 8, "{file}: {asked:?}");
        for name in asked {
            let described = name.trim_end_matches("_bucket");
            assert!(page.contains(&format!("# TYPE {described} ")), "{file} asks for {name}, which is not on the page");
        }
    }
}

/// A Prometheus of the test's own that scrapes a router each second.
struct Prometheus {
    _process: Process,
    url: String,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    fn of(router: &Router) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), must(Port::take()));
        let file = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: router, static_configs: [{{targets: ['{}']}}]}}]\n",
            router.http()
        );
        std::fs::write(&file, text).unwrap();
        let args = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", directory.path().join("data").display()),
            format!("--web.listen-address={}", port.address()),
        ];
        let args: Vec<_> = args.iter().map(Into::into).collect();
        let log = directory.path().join("log");
        let process = must(Process::start(Path::new("prometheus"), &args, &[], &log));
        Self { _process: process, url: format!("http://{}", port.address()), _directory: directory }
    }

    /// The labels and values that an expression has now.
    fn ask(&self, expression: &str) -> Vec<(serde_json::Value, f64)> {
        let said = promtool(&["query", "instant", "--format=json", &self.url, expression], "");
        let rows: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
        rows.iter().map(|row| (row["metric"].clone(), row["value"][1].as_str().unwrap().parse().unwrap())).collect()
    }
}

/// What the dashboard's panels ask, with Grafana's own variables filled in: titles, expressions and legends.
fn panels() -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(deploy("grafana/dashboards/switchboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut asked = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let expression = text(&target["expr"]).replace("$instance", ".*").replace("$__rate_interval", "5s");
            assert!(!expression.contains('$'), "a variable that is not known: {expression}");
            asked.push((text(&panel["title"]), expression, text(&target["legendFormat"])));
        }
    }
    asked
}

/// Each panel's question, put to a real Prometheus, has an answer where traffic flows, and its legend names labels that
/// the answer has.
#[tokio::test]
async fn every_panel_of_the_dashboard_shows_something_where_traffic_flows() {
    let (master, replica) = MariaDb::shared_pair();
    // One that is too far behind to be told of, as the master is no replica; one whose lag is known; and none is waited for.
    let more = format!(
        "read_your_writes = \"0s\"\n[health]\ninterval = \"200ms\"\nusername = \"app\"\npassword = \"app-secret\"\n\
         unknown_lag = \"leave_out\"\n[http]\naddress = \"{{http}}\"\n[[hostgroup]]\nid = 30\nrole = \"reader\"\nwriter = 10\n\
         [[backend]]\nhostgroup = 30\naddress = \"127.0.0.1:{}\"\nmax_replication_lag = 10\n",
        master.port()
    );
    let address = format!("address = \"127.0.0.1:{}\"\n", replica.port());
    let text = config(master.port(), replica.port(), &more)
        .replace(&address, &format!("{address}max_replication_lag = 10\n"))
        .replacen("role = \"writer\"", "role = \"writer\"\ncheck_read_only = true", 1);
    let router = Router::with_config(&text, &[]);
    let prometheus = Prometheus::of(&router);
    let mut pinned = Conn::new(options(&router, None)).await.unwrap();
    pinned.query_drop("BEGIN").await.unwrap();
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    let mut left = panels();
    assert!(left.len() > 20, "{left:?}");
    let end = Instant::now() + Duration::from_secs(60);
    while !left.is_empty() {
        assert!(Instant::now() < end, "nothing to show for {left:#?}\n{}", get(&router, "/metrics").1);
        for statement in ["SELECT 1", "SELECT no_such.function()", "SET @one = 1"] {
            let _ = conn.query_drop(statement).await;
        }
        // Before the first scrape there is nothing at all; a rate takes two.
        if prometheus_is_there(&prometheus) {
            left.retain(|(title, expression, legend)| !is_shown(&prometheus, title, expression, legend));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let names = prometheus.ask("group by (instance) (switchboard_uptime_seconds)");
    assert_eq!(names.len(), 1, "what the variable `instance` offers: {names:?}");
}

fn prometheus_is_there(prometheus: &Prometheus) -> bool {
    let address = prometheus.url.trim_start_matches("http://");
    std::net::TcpStream::connect(address).is_ok() && !prometheus.ask("switchboard_ready").is_empty()
}

/// True once a question has an answer; panics if its legend names a label that is not there.
fn is_shown(prometheus: &Prometheus, title: &str, expression: &str, legend: &str) -> bool {
    let found: Vec<_> = prometheus.ask(expression).into_iter().filter(|(_, value)| value.is_finite()).collect();
    let Some((labels, _)) = found.first() else { return false };
    for label in Regex::new(r"\{\{(\w+)\}\}").unwrap().captures_iter(legend).map(|c| c[1].to_owned()) {
        assert!(labels[&label].is_string(), "{title}: {expression} has no label {label}: {labels}");
    }
    true
}
