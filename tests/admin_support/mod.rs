//! A router with an admin port, and clients of that.

#![allow(dead_code)]

use crate::common::{MariaDb, Router};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, Value};
use std::process::Command;

/// The process: an admin port with an account for each role. `top` goes to the top of the file.
pub fn process(top: &str) -> String {
    format!(
        r#"# The process.
{top}
rules = "rules"
read_your_writes = "0"

[listen]
addresses = ["{{listen}}"]
socket = "{{socket}}"
tls = {{ self_signed = true }}

[admin]
address = "{{admin}}"

[[admin.user]]
username = "admin"
password = "admin-pw"
role = "admin"

[[admin.user]]
username = "ops"
password = "ops-pw"
role = "operator"

[[admin.user]]
username = "stats"
password = "stats-pw"
role = "stats"
"#
    )
}

/// The estate: a writer and a reader, and no rules but these.
pub fn estate(writer: u16, reader: u16, rules: &str) -> String {
    format!(
        r#"# The estate.

[[hostgroup]]
id = 10
name = "sdc_master"
role = "writer"

[[hostgroup]]
id = 20
name = "aurora"
role = "reader"
writer = 10

# the master
[[backend]]
hostgroup = 10
address = "127.0.0.1:{writer}"   # on premise

[[backend]]
hostgroup = 20
address = "127.0.0.1:{reader}"

[[user]]
username = "app"
password = "app-secret"
default_hostgroup = 10

{rules}"#
    )
}

/// Ports where nobody listens: for what needs no server.
pub const NOBODY: (u16, u16) = (1, 2);

/// A router whose backends are not there.
pub fn without_servers(rules: &str) -> Router {
    Router::with_config(&process(""), &[("estate.toml", &estate(NOBODY.0, NOBODY.1, rules))])
}

/// A router in front of the shared servers.
pub fn with_servers(rules: &str) -> (Router, &'static (MariaDb, MariaDb)) {
    let servers = MariaDb::shared_pair();
    let (master, replica) = servers;
    let router = Router::with_config(&process(""), &[("estate.toml", &estate(master.port(), replica.port(), rules))]);
    (router, servers)
}

/// A role's connection to the admin port.
pub async fn connect(router: &Router, user: &str) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(router.admin().port())
        .user(Some(user))
        .pass(Some(format!("{user}-pw")))
        .prefer_socket(false);
    Conn::new(options).await.unwrap_or_else(|e| panic!("{user}: {e}\n{}", router.log()))
}

/// The traffic port for a client library that would otherwise find the server's own socket and go there.
pub fn traffic(router: &Router, schema: &str) -> String {
    format!("{}?prefer_socket=false", router.url("app", "app-secret", schema))
}

/// A cell as text.
pub fn shown(value: &Value) -> String {
    match value {
        Value::NULL => "NULL".to_owned(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("every column is a text: {other:?}"),
    }
}

/// Rows as text, columns separated by `|`.
pub async fn rows(conn: &mut Conn, sql: &str) -> Vec<String> {
    let rows: Vec<Row> = conn.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    rows.into_iter().map(|row| row.unwrap().iter().map(shown).collect::<Vec<_>>().join("|")).collect()
}

/// Column names.
pub async fn columns(conn: &mut Conn, sql: &str) -> Vec<String> {
    let result = conn.query_iter(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let names = result.columns_ref().iter().map(|c| c.name_str().into_owned()).collect();
    result.drop_result().await.unwrap();
    names
}

/// Runs statements that must be taken.
pub async fn run(conn: &mut Conn, statements: &[&str]) {
    for statement in statements {
        conn.query_drop(*statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
}

/// The code and the text of a statement's error.
pub async fn refused(conn: &mut Conn, sql: &str) -> (u16, String) {
    match conn.query_drop(sql).await {
        Err(mysql_async::Error::Server(error)) => (error.code, error.message),
        other => panic!("{sql}: not refused: {other:?}"),
    }
}

/// What the `mariadb` client says to a text on its standard input.
pub fn mariadb(router: &Router, user: &str, arguments: &[&str], input: &str) -> (bool, String) {
    use std::io::Write;
    let mut child = Command::new("mariadb")
        .args(["--no-defaults", "-h", "127.0.0.1", "--protocol=tcp", "-P", &router.admin().port().to_string()])
        .args(["-u", user, &format!("--password={user}-pw"), "--skip-ssl-verify-server-cert"])
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{e}: mariadb (./test installs the clients)"));
    match child.stdin.take().unwrap().write_all(input.as_bytes()) {
        // A client that is refused at the door ends without reading: its status and its words say what happened.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    let output = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}
