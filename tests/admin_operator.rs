//! An operator's day at the admin port: the transcripts in `tests/operator`, each played against a router of its own.
//!
//! ```text
//! # A comment. An empty line ends an answer.
//! admin> SELECT hostgroup_id, hostname          who asks, and what; a line that is indented goes on with it
//!        FROM mysql_servers
//! hostgroup_id | hostname                       rows: the columns' names, then a line for each
//! 10 | 127.0.0.1
//!
//! admin> DELETE FROM mysql_users WHERE username = 'nobody'
//! OK 0                                          done: how many rows changed, and `, 2 warnings` where there are any
//!
//! stats> SELECT * FROM mysql_users
//! ERROR 1045 (28000): ProxySQL Admin Error: {any}
//! ```
//!
//! `app>` speaks at the traffic port, everybody else at the admin port. `new app>` signs in first. `stats?>` asks again until
//! the answer is this one: counters are written just after a statement is answered. `LOST` is a connection that is gone.
//!
//! In answers `{any}`, `{number}`, `{time}`, `{version}` and `{hash}` stand for what varies, and a line `...` for any lines.
//! In both, `{writer}` and `{reader}` are the backends' ports, and `{app.id}` is the number of app's session.

mod admin_support;
mod common;

use admin_support::{NOBODY, shown, with_servers, without_servers};
use common::Router;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, Row};
use regex::Regex;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long an answer may take to become what is expected, where it is asked for again.
const PATIENCE: Duration = Duration::from_secs(20);

/// A test for each transcript; `TRANSCRIPTS` are their names.
macro_rules! transcripts {
    ($($name:ident, $router:expr;)*) => {
        const TRANSCRIPTS: &[&str] = &[$(stringify!($name)),*];
        $(#[tokio::test]
        async fn $name() {
            let (router, ports) = $router;
            play(stringify!($name), &router, ports).await;
        })*
    };
}

transcripts! {
    connectors, alone();
    dry_runs, in_front();
    history, alone();
    layers, alone();
    looking_around, alone();
    operations, in_front();
    refusals, alone();
    rights, alone();
    rules, alone();
    servers, alone();
    statistics, in_front();
    tools_ansible, alone();
    tools_dolphie, in_front();
    tools_exporter, in_front();
    tools_proxysql_admin, alone();
    users, alone();
    variables, alone();
}

/// A router whose backends are not there.
fn alone() -> (Router, (u16, u16)) {
    (without_servers(""), NOBODY)
}

/// A router in front of a master and its replica.
fn in_front() -> (Router, (u16, u16)) {
    let (router, (master, replica)) = with_servers("");
    (router, (master.port(), replica.port()))
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/operator")
}

/// A statement and its answer.
struct Step {
    line: usize,
    who: String,
    /// Signs in first.
    anew: bool,
    /// Asks until the answer is this one.
    patient: bool,
    statement: String,
    answer: Vec<String>,
}

/// `admin>`, `new app>`, `stats?>`: who, and what follows.
fn prompt(line: &str) -> Option<(&str, bool, bool, &str)> {
    let (head, statement) = line.split_once("> ")?;
    let (head, anew) = head.strip_prefix("new ").map_or((head, false), |head| (head, true));
    let (who, patient) = head.strip_suffix('?').map_or((head, false), |who| (who, true));
    ["admin", "ops", "stats", "app"].contains(&who).then_some((who, anew, patient, statement))
}

fn read(name: &str) -> Vec<Step> {
    let path = directory().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut steps: Vec<Step> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let place = || format!("tests/operator/{name}.txt:{}", index + 1);
        if let Some((who, anew, patient, statement)) = prompt(line) {
            let (who, statement, answer) = (who.to_owned(), statement.to_owned(), Vec::new());
            steps.push(Step { line: index + 1, who, anew, patient, statement, answer });
            open = true;
        } else if line.is_empty() {
            open = false;
        } else if open {
            let step = steps.last_mut().unwrap();
            if line.starts_with(' ') && step.answer.is_empty() {
                step.statement = format!("{}\n{}", step.statement, line.trim());
            } else {
                step.answer.push(line.to_owned());
            }
        } else {
            assert!(line.starts_with('#'), "{}: neither a statement nor its answer: {line}", place());
        }
    }
    for step in &steps {
        assert!(!step.answer.is_empty(), "tests/operator/{name}.txt:{}: no answer", step.line);
    }
    steps
}

/// The answer as an expression for what may be answered.
fn expression(lines: &[String]) -> Regex {
    let mut out = String::from("^");
    for line in lines {
        if line == "..." {
            out.push_str("(?:.*\n)*");
            continue;
        }
        let mut escaped = regex::escape(line);
        for (name, pattern) in [
            ("any", ".*"),
            ("number", r"-?\d+"),
            ("time", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
            ("version", r"\d+\.\d+\.\d+"),
            ("hash", "0x[0-9A-F]{16}"),
        ] {
            escaped = escaped.replace(&format!(r"\{{{name}\}}"), pattern);
        }
        out.push_str(&escaped);
        out.push('\n');
    }
    out.push('$');
    Regex::new(&out).unwrap()
}

/// Somebody's connection.
async fn connect(router: &Router, who: &str) -> Result<Conn, Error> {
    let at_traffic = who == "app";
    let port = if at_traffic { router.address().port() } else { router.admin().port() };
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some(who))
        .pass(Some(format!("{who}-{}", if at_traffic { "secret" } else { "pw" })))
        .prefer_socket(false);
    Conn::new(options).await
}

fn error(error: &Error) -> String {
    match error {
        Error::Server(error) => format!("ERROR {} ({}): {}\n", error.code, error.state, error.message),
        _ => "LOST\n".to_owned(),
    }
}

/// What a statement is answered with, in the transcript's words.
async fn ask(conn: &mut Conn, statement: &str) -> Result<String, Error> {
    let result = conn.query_iter(statement).await?;
    let names: Vec<String> = result.columns_ref().iter().map(|c| c.name_str().into_owned()).collect();
    let rows: Vec<Row> = result.collect_and_drop().await?;
    if names.is_empty() {
        let warnings = match conn.get_warnings() {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            several => format!(", {several} warnings"),
        };
        return Ok(format!("OK {}{warnings}\n", conn.affected_rows()));
    }
    let line = |cells: Vec<String>| cells.join(" | ").replace('\n', "\\n").trim_end().to_owned() + "\n";
    let rows = rows.into_iter().map(|row| line(row.unwrap().iter().map(shown).collect()));
    Ok(std::iter::once(line(names)).chain(rows).collect())
}

/// The sessions of a transcript.
struct Stage<'a> {
    router: &'a Router,
    ports: (u16, u16),
    sessions: HashMap<String, Conn>,
}

impl Stage<'_> {
    fn filled(&self, text: &str) -> String {
        let app = self.sessions.get("app").map_or_else(String::new, |conn| conn.id().to_string());
        text.replace("{writer}", &self.ports.0.to_string())
            .replace("{reader}", &self.ports.1.to_string())
            .replace("{app.id}", &app)
    }

    async fn answer(&mut self, step: &Step) -> String {
        let statement = self.filled(&step.statement);
        if step.anew {
            self.sessions.remove(&step.who);
        }
        if !self.sessions.contains_key(&step.who) {
            match connect(self.router, &step.who).await {
                Ok(conn) => drop(self.sessions.insert(step.who.clone(), conn)),
                Err(refused) => return error(&refused),
            }
        }
        match ask(self.sessions.get_mut(&step.who).unwrap(), &statement).await {
            Ok(answer) => answer,
            Err(failed) => {
                if !matches!(failed, Error::Server(_)) {
                    self.sessions.remove(&step.who);
                }
                error(&failed)
            }
        }
    }
}

/// Plays a transcript, and panics with all answers that are others.
async fn play(name: &str, router: &Router, ports: (u16, u16)) {
    let mut stage = Stage { router, ports, sessions: HashMap::new() };
    let mut wrong = String::new();
    for step in read(name) {
        let expected: Vec<String> = step.answer.iter().map(|line| stage.filled(line)).collect();
        let wanted = expression(&expected);
        let deadline = Instant::now() + PATIENCE;
        let mut got = stage.answer(&step).await;
        while step.patient && !wanted.is_match(&got) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
            got = stage.answer(&step).await;
        }
        if !wanted.is_match(&got) {
            let (place, expected) = (format!("tests/operator/{name}.txt:{}", step.line), expected.join("\n"));
            wrong.push_str(&format!("\n{place}: {}\nexpected:\n{expected}\ngot:\n{got}", step.statement));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_transcript_is_played_and_they_have_200_statements() {
    let mut found: Vec<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let mut played = TRANSCRIPTS.to_vec();
    played.sort_unstable();
    assert_eq!(found, played);
    let statements: usize = played.iter().map(|name| read(name).len()).sum();
    assert!(statements >= 200, "{statements} statements");
}
