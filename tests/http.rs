//! The HTTP port: what it says of real traffic, to whom, and when it says that the router is not ready.

mod common;
mod traffic_support;

use common::http::{get, metrics, request};
use common::{MariaDb, Options, Router, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use traffic_support::{config, options, tag};

fn with_http(session: &str) -> Router {
    let (master, replica) = MariaDb::shared_pair();
    let text = config(master.port(), replica.port(), session);
    Router::with_config(&format!("{text}\n[http]\naddress = \"{{http}}\"\n"), &[])
}

#[tokio::test]
async fn metrics_count_what_went_through() {
    let router = with_http("");
    let (_, replica) = MariaDb::shared_pair();
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    for _ in 0..7 {
        conn.query_drop("SELECT 1").await.unwrap();
    }
    conn.query_drop("BEGIN").await.unwrap();
    assert!(conn.query_drop("SELECT * FROM no_such.table_at_all").await.is_err());
    // Counted once its answer has gone out: the client may be quicker.
    let error = "switchboard_errors_total{hostgroup=\"10\",code=\"1146\"}";
    wait_until("the error", Duration::from_secs(5), || {
        let values = metrics(&router);
        values.contains_key(error) && values["switchboard_sessions{state=\"holding\"}"] == 1.0
    });
    let values = metrics(&router);
    let backend = format!("127.0.0.1:{}", replica.port());
    for (name, want) in [
        ("switchboard_sign_ins_total".to_owned(), 1.0),
        ("switchboard_clients".to_owned(), 1.0),
        ("switchboard_ready".to_owned(), 1.0),
        ("switchboard_statement_duration_seconds_count{command=\"select\"}".to_owned(), 8.0),
        ("switchboard_statement_duration_seconds_bucket{le=\"+Inf\",command=\"select\"}".to_owned(), 8.0),
        ("switchboard_routes_total{reason=\"rule\"}".to_owned(), 8.0),
        ("switchboard_routes_total{reason=\"pinned\"}".to_owned(), 1.0),
        ("switchboard_rule_hits_total{rule=\"1\"}".to_owned(), 8.0),
        ("switchboard_errors_total{hostgroup=\"10\",code=\"1146\"}".to_owned(), 1.0),
        ("switchboard_pinned_sessions{pin=\"transaction\"}".to_owned(), 1.0),
        ("switchboard_sessions{state=\"holding\"}".to_owned(), 1.0),
        (format!("switchboard_backend_statements_total{{hostgroup=\"20\",backend=\"{backend}\"}}"), 7.0),
        (format!("switchboard_backend_state{{hostgroup=\"20\",backend=\"{backend}\",state=\"up\"}}"), 1.0),
    ] {
        assert_eq!(values.get(&name), Some(&want), "{name} in {values:#?}");
    }
    let checks = format!("switchboard_health_checks_total{{backend=\"{backend}\",result=\"ok\"}}");
    wait_until("a check", Duration::from_secs(5), || metrics(&router).get(&checks).is_some_and(|n| *n >= 1.0));
}

#[tokio::test]
async fn the_status_is_json_without_literals_and_explains_statements() {
    let router = with_http("");
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    let secret = tag("secret");
    conn.query_drop(format!("SELECT '{secret}'")).await.unwrap();
    // Counted once its answer has gone out: the client may be quicker.
    wait_until("the digest", Duration::from_secs(5), || get(&router, "/api/status").1.contains("SELECT ?"));
    let (status, body) = get(&router, "/api/status");
    assert_eq!(status, 200);
    assert!(!body.contains(&secret), "a literal is shown");
    let value: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(value["digests"][0]["text"], "SELECT ?");
    assert_eq!(value["hostgroups"][1]["backends"][0]["state"], "up");
    assert_eq!(value["rules"][0]["hits"], 1);
    let json = "Host: localhost\r\nContent-Type: application/json\r\n";
    let (status, body) =
        request(router.http(), "POST", "/api/explain", json, r#"{"sql": "DELETE FROM t WHERE id = 5"}"#);
    assert_eq!(status, 200);
    let value: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&value["rule"], &value["hostgroups"][0]), (&Value::from(2), &Value::from("10 (writer)")));
    assert_eq!(get(&router, "/").0, 200);
    assert_eq!(get(&router, "/no/such/page").0, 404);
}

#[tokio::test]
async fn the_page_is_for_loopback_or_for_those_who_know_the_password() {
    let (master, replica) = MariaDb::shared_pair();
    let text = config(master.port(), replica.port(), "");
    let open = with_http("");
    let elsewhere = request(open.http(), "GET", "/api/status", "Host: evil.example\r\n", "");
    assert_eq!(elsewhere.0, 403, "a name that somebody points at this address");
    let locked = format!("{text}\n[http]\naddress = \"{{http}}\"\npassword = \"s3cret:x\"\n");
    let router = Router::with_config(&locked, &[]);
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(get(&router, path).0, 200, "{path}");
    }
    for (path, authorization, want) in [
        ("/", "", 401),
        ("/api/status", "Authorization: Basic b3BzOndyb25n\r\n", 401),
        ("/api/status", "Authorization: Bearer x\r\n", 401),
        // ops:s3cret:x
        ("/api/status", "Authorization: Basic b3BzOnMzY3JldDp4\r\n", 200),
        ("/", "Authorization: Basic b3BzOnMzY3JldDp4\r\n", 200),
    ] {
        let headers = format!("Host: router.example\r\n{authorization}");
        assert_eq!(request(router.http(), "GET", path, &headers, "").0, want, "{path} {authorization}");
    }
    assert!(!router.log().contains("s3cret"), "the password is in the log");
}

#[tokio::test]
async fn a_router_without_a_writer_is_not_ready() {
    let master = MariaDb::start(Options::named("readiness"));
    let (_, replica) = MariaDb::shared_pair();
    let health = "[health]\ninterval = \"100ms\"\nretry_interval = \"100ms\"\nfall = 2\nrise = 1\n";
    let text = config(master.port(), replica.port(), health);
    let router = Router::with_config(&format!("{text}\n[http]\naddress = \"{{http}}\"\n"), &[]);
    assert_eq!(get(&router, "/readyz"), (200, "ready\n".to_owned()));
    master.stop().unwrap();
    wait_until("not ready", Duration::from_secs(10), || get(&router, "/readyz").0 == 503);
    assert!(get(&router, "/readyz").1.contains("hostgroup 10 (writer) has no backend that serves"));
    assert_eq!(get(&router, "/healthz").0, 200);
    let failed =
        format!("switchboard_health_checks_total{{backend=\"127.0.0.1:{}\",result=\"failed\"}}", master.port());
    assert!(metrics(&router)[&failed] >= 2.0);
    master.start_again().unwrap();
    wait_until("ready again", Duration::from_secs(20), || get(&router, "/readyz").0 == 200);
}

/// Each is counted; the log has some of them a second.
#[tokio::test]
async fn failed_sign_ins_do_not_fill_the_log() {
    let (master, replica) = MariaDb::shared_pair();
    let text = config(master.port(), replica.port(), "workers = 1\n[http]\naddress = \"{http}\"");
    let router = Router::with_config(&text, &[]);
    let began = Instant::now();
    for _ in 0..1000 {
        let mut client = TcpStream::connect(router.address()).unwrap();
        // An answer to the greeting that is none.
        client.write_all(b"\x01\x00\x00\x01\xff").unwrap();
        let _ = client.read_to_end(&mut Vec::new());
    }
    let failures = "switchboard_sign_in_failures_total";
    wait_until("all are counted", Duration::from_secs(10), || metrics(&router)[failures] == 1000.0);
    let most = 100 * (usize::try_from(began.elapsed().as_secs()).unwrap() + 2);
    let lines = router.log().matches("sign-in failed").count();
    assert!(lines > 0 && lines <= most.min(999), "{lines} lines");
}

#[tokio::test]
async fn sign_ins_at_the_admin_port_are_counted() {
    let (master, replica) = MariaDb::shared_pair();
    let user = "[[admin.user]]\nusername = \"ops\"\npassword = \"ops-secret\"\nrole = \"stats\"\n";
    let text = config(master.port(), replica.port(), "[http]\naddress = \"{http}\"\n[admin]\naddress = \"{admin}\"\n");
    let router = Router::with_config(&format!("{text}\n{user}"), &[]);
    for (password, works) in [("ops-secret", true), ("wrong", false), ("ops-secret", true)] {
        let options = mysql_async::OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(router.admin().port())
            .user(Some("ops"))
            .pass(Some(password))
            .prefer_socket(false);
        assert_eq!(Conn::new(options).await.is_ok(), works, "{password}");
    }
    let count = |result: &str| {
        let name = format!("switchboard_admin_sign_ins_total{{result=\"{result}\"}}");
        metrics(&router).get(&name).copied().unwrap_or_default()
    };
    wait_until("the counts", Duration::from_secs(5), || (count("ok"), count("failed")) == (2.0, 1.0));
}

/// Without a password the page is for loopback alone; metrics and health are for whoever reaches the port.
#[tokio::test]
async fn the_page_is_not_served_beyond_loopback_without_a_password() {
    let (master, replica) = MariaDb::shared_pair();
    let text = config(master.port(), replica.port(), "");
    let router = Router::with_config(&format!("{text}\n[http]\naddress = \"0.0.0.0:0\"\n"), &[]);
    let at = |log: &str| {
        Some(log.split("serving HTTP").nth(1)?.split("0.0.0.0:").nth(1)?.split_whitespace().next()?.parse())
    };
    wait_until("the port", Duration::from_secs(5), || at(&router.log()).is_some());
    let port: u16 = at(&router.log()).unwrap().unwrap();
    let status = |path| request(([127, 0, 0, 1], port).into(), "GET", path, "Host: 127.0.0.1\r\n", "").0;
    for (path, want) in [("/", 403), ("/api/status", 403), ("/metrics", 200), ("/healthz", 200), ("/readyz", 200)] {
        assert_eq!(status(path), want, "{path}");
    }
}

/// Two writer hostgroups, one after the other in the route of writes.
#[tokio::test]
async fn a_route_with_another_hostgroup_is_ready_and_which_routes_matter_can_be_said() {
    let (second, first) = (MariaDb::start(Options::named("second")), MariaDb::start(Options::named("first")));
    let health = "[health]\ninterval = \"100ms\"\nretry_interval = \"100ms\"\nfall = 2\nrise = 1\n";
    let text = config(first.port(), second.port(), health)
        .replace(
            "id = 20\nname = \"reader\"\nrole = \"reader\"\nwriter = 10",
            "id = 20\nname = \"other\"\nrole = \"writer\"",
        )
        .replace("destination_hostgroup = 10", "destination_hostgroups = [10, 20]");
    let router = |ready: &str| Router::with_config(&format!("{text}\n[http]\naddress = \"{{http}}\"\n{ready}\n"), &[]);
    let (lax, strict) = (router(""), router("ready_hostgroups = [20]"));
    let down = |router: &Router, port: u16| {
        let state = format!(
            "switchboard_backend_state{{hostgroup=\"{}\",backend=\"127.0.0.1:{port}\",state=\"down\"}}",
            if port == first.port() { 10 } else { 20 }
        );
        wait_until("it is seen to be down", Duration::from_secs(10), || metrics(router).get(&state) == Some(&1.0));
    };
    first.stop().unwrap();
    down(&lax, first.port());
    assert_eq!(get(&lax, "/readyz"), (200, "ready\n".to_owned()), "the route of writes has another");
    second.stop().unwrap();
    down(&lax, second.port());
    down(&strict, second.port());
    let (status, why) = get(&lax, "/readyz");
    assert!(status == 503 && why.contains("none of hostgroups 10 (writer), 20 (other) has a backend"), "{why}");
    assert_eq!(get(&strict, "/readyz").0, 503);
}

#[tokio::test]
async fn a_router_that_drains_is_alive_and_not_ready() {
    let router = with_http("");
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    router.signal("TERM");
    wait_until("not ready", Duration::from_secs(5), || get(&router, "/readyz").0 == 503);
    assert!(get(&router, "/readyz").1.contains("draining"));
    assert_eq!(get(&router, "/healthz").0, 200);
    assert_eq!(metrics(&router)["switchboard_ready"], 0.0);
    conn.query_drop("COMMIT").await.unwrap();
}

/// What was read again, and what became of it.
#[tokio::test]
async fn the_status_tells_of_the_last_reloads() {
    let (master, replica) = MariaDb::shared_pair();
    let text = config(master.port(), replica.port(), "rules = \"rules\"") + "\n[http]\naddress = \"{http}\"\n";
    let router = Router::with_config(&text, &[("rules.toml", "")]);
    let reloads = || -> Vec<Value> {
        let status: Value = serde_json::from_str(&get(&router, "/api/status").1).unwrap();
        status["reloads"].as_array().unwrap().clone()
    };
    assert_eq!(reloads(), [] as [Value; 0], "the start is no reload");
    router.write_rules("rules.toml", "[[rule]]\nrule_id = 900\ndestination_hostgroup = 10\n");
    wait_until("the first", Duration::from_secs(10), || reloads().len() == 1);
    router.write_rules("rules.toml", "[[rule]]\nrule_id = 900\nmatch_digest = \"<b>(\"\n");
    wait_until("the second", Duration::from_secs(10), || reloads().len() > 1);
    let seen = reloads();
    let first = seen.last().unwrap();
    assert_eq!((&first["version"], &first["why"]), (&Value::from(2), &Value::Null));
    assert_eq!((&seen[0]["author"], &seen[0]["version"]), (&Value::from("files"), &Value::Null));
    assert!(
        seen[0]["why"].as_str().is_some_and(|why| why.contains("rules.toml:3:") && why.contains("match_digest")),
        "{seen:?}"
    );
    let Some(browser) = chromium() else { return };
    let page = drawn(browser, &router);
    for part in ["<td>version 2</td>", "refused: ", "1 published, "] {
        assert!(page.contains(part), "{part} is not on the page:\n{page}");
    }
    assert!(!page.contains("<b>x"), "a file's text became markup");
}

/// Debian has a Chromium package, which `deploy/provision.sh test` installs; elsewhere the page is not opened in a browser.
fn chromium() -> Option<&'static str> {
    let found =
        std::env::var_os("PATH").is_some_and(|p| std::env::split_paths(&p).any(|d| d.join("chromium").is_file()));
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !found && !release.lines().any(|line| line == "ID=debian") {
        println!("NOT RUN: this system has no package of Chromium; the status page was not opened in a browser");
        return None;
    }
    assert!(found, "chromium is missing: deploy/provision.sh test installs it");
    Some("chromium")
}

/// The page as a browser has it after some seconds.
fn drawn(browser: &str, router: &Router) -> String {
    let profile = tempfile::tempdir().unwrap();
    let done = std::process::Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--dump-dom", &format!("http://{}/", router.http())])
        .output()
        .unwrap();
    let page = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(page.contains("</html>"), "{page}\n{}", String::from_utf8_lossy(&done.stderr));
    page
}

#[tokio::test]
async fn the_page_draws_the_estate_in_a_real_browser() {
    let Some(browser) = chromium() else { return };
    let router = with_http("");
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    conn.query_drop("SELECT '<b>markup</b>' AS `<i>name</i>`").await.unwrap();
    wait_until("the digest", Duration::from_secs(5), || get(&router, "/api/status").1.contains("<i>name"));
    let page = drawn(browser, &router);
    let backend = format!("127.0.0.1:{}", MariaDb::shared_pair().1.port());
    for part in [
        "10  writer",
        "20  reader",
        &backend,
        "class=\"up\"",
        "1 connected",
        "class=\"says ",
        "&lt;i&gt;name&lt;/i&gt;",
    ] {
        assert!(page.contains(part), "{part} is not on the page:\n{page}");
    }
    assert!(page.contains("id=\"notice\" class=\"notice\" hidden"), "the page complains:\n{page}");
    assert!(!page.contains("<i>name</i>"), "a statement's text became markup");
}

/// What files say is text, too; long names are cut where they tell nothing; of many rules the page is told of some.
#[tokio::test]
async fn names_from_the_configuration_are_text_and_many_rules_are_cut_short() {
    let Some(browser) = chromium() else { return };
    let (master, replica) = MariaDb::shared_pair();
    let evil = "<img src=x onerror=document.title=1>";
    let rule = |i: u32| {
        format!(
            "[[rule]]\nrule_id = {}\ncomment = \"{evil}{i}\"\nmatch_digest = \"t_{i}_\"\ndestination_hostgroup = 10\n",
            i + 100
        )
    };
    let down =
        "[[backend]]\nhostgroup = 20\naddress = \"a-name-of-a-server-that-is-really-long-and-ends.in.invalid:3306\"\n";
    let mut text = config(master.port(), replica.port(), "").replace("\"reader\"\nrole", &format!("\"{evil}\"\nrole"));
    text += &format!("{down}{}\n[http]\naddress = \"{{http}}\"\n", (0..300).map(rule).collect::<String>());
    let router = Router::with_config(&text, &[]);
    let status: Value = serde_json::from_str(&get(&router, "/api/status").1).unwrap();
    assert_eq!((status["rules"].as_array().unwrap().len(), &status["rules_total"]), (100, &Value::from(302)));
    let page = drawn(browser, &router);
    for part in [
        "20  &lt;img src=x",
        "&lt;img src=x onerror=document.title=1&gt;0",
        "a-name-of-a-server-",
        "…",
        "302, shown are the 8",
    ] {
        assert!(page.contains(part), "{part} is not on the page:\n{page}");
    }
    assert!(!page.contains("<img"), "a name became markup:\n{page}");
}
