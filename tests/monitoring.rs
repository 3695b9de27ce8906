//! Alert rules, dashboard and metrics belong together: what the rules and the dashboard ask for must be on the page.

mod common;
mod traffic_support;

use common::http::get;
use common::{MariaDb, Router};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use regex::Regex;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use traffic_support::{config, options};

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

fn promtool(args: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: deploy/provision.sh test installs it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "promtool {args:?}: {}", String::from_utf8_lossy(&said));
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
    let dashboard = std::fs::read_to_string(deploy("grafana/dashboards/switchboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
}
