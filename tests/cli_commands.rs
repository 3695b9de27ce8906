//! The program as a process: what it prints, where, and how it ends.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn switchboard(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("BIGDB_PASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> Vec<serde_json::Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn explain(args: &[&str], input: &str) -> Vec<serde_json::Value> {
    let output = switchboard(&[&["explain", "--json"], args].concat(), input.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    lines(&output)
}

#[test]
fn help_teaches_and_says_the_exit_codes() {
    let help = switchboard(&["--help"], b"");
    assert_eq!(help.status.code(), Some(0));
    let shown = text(&help.stdout);
    for words in [
        "run",
        "check",
        "explain",
        "reload",
        "completions",
        "ping",
        "Examples:",
        "Exit codes",
        "mysql://app:secret@db1",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    for command in ["run", "check", "explain", "reload", "completions", "ping"] {
        let help = switchboard(&[command, "--help"], b"");
        assert_eq!(help.status.code(), Some(0), "{command}");
        assert!(text(&help.stdout).contains("Example"), "{command}");
    }
    assert!(text(&switchboard(&["--version"], b"").stdout).starts_with("switchboard "));
}

#[test]
fn a_wrong_command_line_is_2() {
    for args in [
        &["rum"][..],
        &["run", "--writter", "x"],
        &["run", "--reader", "mysql://u:p@h"],
        &["run", "--config", "x", "--writer", "mysql://u:p@h"],
        &["explain", "--at", "yesterday"],
        &["completions", "tcl"],
    ] {
        let output = switchboard(args, b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
    // Nothing to run on is said with what to do.
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_switchboard")).arg("run").current_dir(empty.path()).output().unwrap();
    if !std::path::Path::new("/etc/switchboard/switchboard.toml").exists() {
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("--writer mysql://user:password@host:port"));
    }
}

#[test]
fn check_says_ok_or_every_fault() {
    let good = switchboard(&["check", "rules/bigdb.toml"], b"");
    assert_eq!(good.status.code(), Some(0));
    assert!(text(&good.stdout).starts_with("ok: 3 rules, 3 hostgroups (1 for writes), 3 backends, 1 users"));
    assert!(text(&good.stderr).contains("warning: rules/bigdb.toml:"));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.toml");
    std::fs::write(&path, "[[rule]]\nrule_id = 1\naply = 1\n\n[lisen]\n").unwrap();
    let bad = switchboard(&["check", path.to_str().unwrap()], b"");
    assert_eq!(bad.status.code(), Some(1));
    assert!(bad.stdout.is_empty());
    let said = text(&bad.stderr);
    assert!(said.contains("bad.toml:3:1: [[rule]]: `aply` is not known; did you mean `apply`?"), "{said}");
    assert!(said.contains("bad.toml:5:2: `lisen` is not known; did you mean `listen`?"), "{said}");
    assert!(said.ends_with("faults in the configuration\n"), "{said}");

    let missing = switchboard(&["check", "nowhere.toml"], b"");
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("nowhere.toml: the file cannot be read"));
}

#[test]
fn explain_without_a_file_routes_by_effect() {
    let found =
        explain(&[], "SELECT 1\nINSERT INTO t VALUES (1)\n\nSELECT * FROM s.t WHERE id = 5 FOR UPDATE\r\nSELEKT\n");
    assert_eq!(found.len(), 4);
    let hostgroups: Vec<_> = found.iter().map(|f| f["hostgroups"].to_string()).collect();
    assert_eq!(hostgroups, ["[20,10]", "[10]", "[10]", "[10]"]);
    let safe: Vec<_> = found.iter().map(|f| f["reader_safe"].as_bool().unwrap()).collect();
    assert_eq!(safe, [true, false, false, false]);
    let locked = &found[2];
    assert_eq!(locked["statement"], "SELECT * FROM s.t WHERE id = 5 FOR UPDATE");
    assert_eq!(locked["digest"], "SELECT * FROM s.t WHERE id = ? FOR UPDATE");
    assert_eq!(locked["tables"].to_string(), "[\"s.t\"]");
    assert!(locked["effects"].as_array().unwrap().iter().any(|e| e == "lock_rows"));
    assert!(locked["earliest"].is_null());
    assert!(locked["rule"].is_u64() && locked["reason"].is_string());
}

#[test]
fn explain_by_the_estates_rules() {
    let arguments =
        ["--config", "rules/bigdb.toml", "--user", "bigdb", "--schema", "cdr", "--at", "2026-11-22T12:00:00.7Z"];
    let table = [
        ("INSERT INTO call_records (call_id) VALUES ('a')", "[10]", 10, None),
        ("UPDATE call_records SET a = 1 WHERE start_time < '2025-01-01'", "[10]", 10, None),
        ("SELECT * FROM call_records WHERE start_time >= '2026-11-20'", "[20,30]", 30, Some("2026-11-20T00:00:00Z")),
        (
            "SELECT * FROM cdr.call_events WHERE event_time > NOW() - INTERVAL 7 DAY",
            "[20,30]",
            30,
            Some("2026-11-15T12:00:00Z"),
        ),
        (
            "SELECT * FROM call_records WHERE start_time >= NOW() - INTERVAL 90 DAY",
            "[20,30]",
            30,
            Some("2026-08-24T12:00:00Z"),
        ),
        (
            "SELECT * FROM call_records WHERE start_time >= CURDATE() - INTERVAL 90 DAY",
            "[20]",
            20,
            Some("2026-08-24T00:00:00Z"),
        ),
        ("SELECT my_cost(id) FROM call_records WHERE call_id = 'a'", "[]", 10, None),
        ("SELECT my_cost(id) FROM call_records WHERE start_time > NOW()", "[10]", 10, None),
        ("/* switchboard: route=writer */ SELECT * FROM org.users", "[10]", 30, None),
        ("/* switchboard: hostgroup=20 */ DELETE FROM call_records", "[10]", 10, None),
        ("SELECT * FROM call_records WHERE start_time >= '2026-01-01'", "[20]", 20, Some("2026-01-01T00:00:00Z")),
        ("SELECT * FROM call_records WHERE start_time < DATE_SUB(NOW(), INTERVAL 90 DAY)", "[20]", 20, None),
        ("SELECT * FROM call_records WHERE call_id = 'a'", "[20]", 30, None),
        ("SELECT * FROM org.users", "[20,30]", 30, None),
        ("SELECT 1", "[20,30]", 30, None),
        ("SELECT * FROM call_records WHERE call_id = 'a' FOR UPDATE", "[10]", 10, None),
        ("BEGIN", "[10]", 10, None),
    ];
    let input: String = table.iter().map(|(sql, ..)| format!("{sql}\n")).collect();
    let found = explain(&arguments, &input);
    assert_eq!(found.len(), table.len());
    for ((sql, hostgroups, rule, earliest), found) in table.iter().zip(&found) {
        assert_eq!(found["hostgroups"].to_string(), *hostgroups, "{sql}: {found:#}");
        assert_eq!(found["rule"], *rule, "{sql}: {found:#}");
        if found["reader_safe"] == true {
            assert_eq!(found["earliest"].as_str(), *earliest, "{sql}: {found:#}");
        }
    }
    let by_id = table.iter().position(|(sql, ..)| sql.starts_with("SELECT * FROM call_records WHERE call_id")).unwrap();
    assert!(found[by_id]["reason"].as_str().unwrap().contains("left out"), "{:#}", found[by_id]);
}

#[test]
fn explain_reads_nul_separated_statements_verbatim() {
    let output = switchboard(&["explain", "--json", "-0"], b"SELECT 1,\n2\0SELECT '\xff'\0\0SELECT 3");
    let found = lines(&output);
    let statements: Vec<_> = found.iter().map(|f| f["statement"].as_str().unwrap().to_owned()).collect();
    assert_eq!(statements, ["SELECT 1,\n2", "SELECT '\u{fffd}'", "", "SELECT 3"]);
}

#[test]
fn explain_for_people() {
    let output = switchboard(&["explain", "--config", "rules/bigdb.toml"], b"SELECT 1\n");
    let shown = text(&output.stdout);
    for words in
        ["SELECT 1\n", "digest       SELECT ?", "reader safe  yes", "hostgroups   20 (aurora), then 30 (sdc_replica)"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(["explain", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..2_000 {
        if stdin.write_all(b"SELECT 1\n").is_err() {
            break;
        }
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = switchboard(&["completions", shell], b"");
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(text(&output.stdout).contains("explain"), "{shell}");
    }
}

#[test]
fn reload_says_what_is_wrong_with_the_pid_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pid");
    let said = |text_in_file: Option<&str>| {
        if let Some(text) = text_in_file {
            std::fs::write(&path, text).unwrap();
        }
        let output = switchboard(&["reload", "--pid-file", path.to_str().unwrap()], b"");
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    assert!(said(None).contains("cannot be read"));
    assert!(said(Some("x")).contains("holds no process number"));
    // This very test is no router.
    let own = std::process::id().to_string();
    assert!(said(Some(&own)).contains("is no switchboard: the file is stale"));
    let output = switchboard(&["reload", "--pid", &own], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&format!("process {own} is no switchboard")));
}

#[test]
fn faults_of_flags_hide_passwords() {
    let output = switchboard(&["run", "--writer", "mysql://app:hunter2@"], b"");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("--writer") && !said.contains("hunter2"), "{said}");
}

/// What `switchboard ping` says of a server that sends these bytes, and its exit code.
fn ping_of(bytes: &'static [u8], then_wait: bool) -> (Option<i32>, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(bytes).unwrap();
        if then_wait {
            // Until the other side has had enough.
            std::io::Read::read(&mut stream, &mut [0]).ok();
        }
    });
    let output = switchboard(&["ping", &address, "--timeout", "700"], b"");
    server.join().unwrap();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn ping_is_0_for_a_greeting_and_1_for_all_else() {
    const GREETING: &[u8] =
        b"\x49\0\0\0\x0a8.4.1\0\x05\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0\
        ijklmnopqrst\0mysql_native_password\0";
    let (code, said) = ping_of(GREETING, true);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("greets: 8.4.1"), "{said}");
    for (bytes, wait, want) in [
        (&b""[..], true, "no greeting in time"),
        (b"\x4a\0\0\0\x0a8.4", true, "no greeting in time"),
        (b"", false, "closed before a greeting"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", true, "does not speak the MySQL protocol"),
        (b"\x16\0\0\0\xff\x10\x04Too many connections", true, "refuses"),
    ] {
        let (code, said) = ping_of(bytes, wait);
        assert_eq!(code, Some(1), "{want}: {said}");
        assert!(said.contains(want), "{said}");
    }
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let output = switchboard(&["ping", &nobody], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("refused"));
}
