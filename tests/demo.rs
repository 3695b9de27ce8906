//! The demo from start to end, as `./demo --once` runs it, and what the estate's rules must do that it found out first.
#![cfg(feature = "demo")]

mod common;

use common::{MariaDb, Options, Process, Router, RunDir, User, must, wait_until};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use switchboard::cli::demo::estate::{APP, DMS, Estate, client_options};

/// Real servers, the shipped rules, two years of calls, Aurora killed and started again under traffic; the exit code says
/// that every statement ran where it belongs, by the servers' own logs.
#[test]
fn the_demo_passes_by_the_servers_own_logs() {
    let run =
        Command::new(env!("CARGO_BIN_EXE_switchboard")).args(["demo", "--once", "--plain", "--seconds", "12"]).output();
    let run = run.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{text}");
    for want in ["PASSED", "stands in for it: real MySQL", "While Aurora was down, historical reads were told:"] {
        assert!(text.contains(want), "{want:?} is missing:\n{text}");
    }
}

/// A router by the shipped rules, in front of these: the SDC's master and replica, and Aurora.
fn bigdb([master, replica, aurora]: [String; 3]) -> Router {
    let env = [
        ("BIGDB_SDC_MASTER", master.as_str()),
        ("BIGDB_SDC_REPLICA", replica.as_str()),
        ("BIGDB_AURORA", aurora.as_str()),
        ("BIGDB_USER", APP.0),
        ("BIGDB_PASSWORD", APP.1),
    ];
    let rules = include_str!("../rules/bigdb.toml");
    Router::with_config_and_env(&format!("[listen]\naddresses = [\"{{listen}}\"]\n{rules}"), &[], &env)
}

/// The demo's parts one by one, as the local stack runs them: load, apply, traffic. Traffic's exit code says whether all of it
/// went well.
#[test]
fn the_parts_work_one_by_one() {
    let estate = Estate::start().unwrap();
    let url =
        |server: &common::Server, user: (&str, &str)| format!("mysql://{}:{}@{}/", user.0, user.1, server.address());
    let part = |args: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_switchboard")).arg("demo").args(args).output().unwrap();
        (run.status.code(), [run.stdout, run.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
    };
    let (master, aurora) = (url(&estate.master, DMS), url(&estate.aurora, DMS));
    let load = ["load", "--to", &master, "--history", &aurora];
    let (code, said) = part(&load);
    assert!(code == Some(0) && said.contains(" rows on Aurora, "), "{code:?} {said}");
    let (code, said) = part(&load);
    assert!(code == Some(0) && said.contains("the data is there already"), "{code:?} {said}");
    let dir = must(RunDir::new());
    let log = dir.path().join("apply.log");
    let args = ["demo", "apply", "--from", &master, "--to", &aurora].map(Into::into);
    let _applier = must(Process::start(Path::new(env!("CARGO_BIN_EXE_switchboard")), &args, &[], &log));
    let router = bigdb([&estate.master, &estate.replica, &estate.aurora].map(|server| server.address().to_string()));
    let dsn = router.url(APP.0, APP.1, "cdr");
    let traffic = ["traffic", "--router", &dsn, "--seconds", "4"];
    let (code, said) = part(&traffic);
    let last = said.lines().last().unwrap_or_default();
    assert!(code == Some(0) && last.ends_with("failed=0 refused=0") && !last.starts_with("statements=0 "), "{said}");
    wait_until("the changes are carried", Duration::from_secs(20), || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains(" rows applied"))
    });
    must(estate.master.sql("SET sql_log_bin = 0; RENAME TABLE cdr.call_records TO cdr.gone"));
    let (code, said) = part(&traffic);
    assert!(code == Some(1) && said.contains("FAILED ") && said.contains("statements failed"), "{code:?} {said}");
}

/// Without values nothing says how far back a statement reaches, so its route is Aurora alone. Preparing runs nothing, though,
/// and must not fail where each execution could be served.
#[tokio::test]
async fn a_statement_is_prepared_while_only_its_values_say_where_it_runs() {
    let app = || User::new(APP.0, APP.1);
    let server = |name| MariaDb::start(Options { users: vec![app()], ..Options::named(name) });
    let (master, replica, aurora) = (server("master"), server("replica"), server("aurora"));
    for server in [&master, &replica, &aurora] {
        must(server.sql("CREATE SCHEMA cdr; CREATE TABLE cdr.call_records (id INT, start_time DATETIME)"));
    }
    let router = bigdb([&master, &replica, &aurora].map(|server| server.address().to_string()));
    aurora.kill();
    let mut conn = Conn::new(client_options(router.address().port(), APP)).await.unwrap();
    let text = "SELECT ? AS mark, COUNT(*) FROM call_records WHERE start_time >= ?";
    let recent = jiff::Zoned::now().date().yesterday().unwrap().to_string();
    let row: Option<(String, i64)> = conn.exec_first(text, ("recent", recent)).await.unwrap();
    assert_eq!(row, Some(("recent".into(), 0)));
    assert!(must(replica.saw("'recent'")) && !must(master.saw("'recent'")));
    let refused = conn.exec_first::<(String, i64), _, _>(text, ("old", "2001-01-01")).await;
    match refused {
        Err(Error::Server(error)) => assert!(error.message.contains("hostgroup 20"), "{}", error.message),
        other => panic!("not refused: {other:?}"),
    }
    assert!(!must(replica.saw("'old'")) && !must(master.saw("'old'")));
    conn.disconnect().await.unwrap();
}
