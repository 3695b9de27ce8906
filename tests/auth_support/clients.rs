//! Clients that people use, made to sign in at a [`Gate`] and to say who the gate thinks they are.

use super::Gate;
use crate::common::{must, mysql_client};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, SslOpts};
use tokio::process::Command;

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// MariaDB's command line client.
    MariaDb,
    /// Oracle's, version 9: it has no `mysql_native_password`.
    Mysql,
    /// The Rust library.
    MysqlAsync,
    /// The Python library.
    PyMysql,
}

/// How a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// Plain TCP, and the client is told that it may ask for the RSA key. Only Oracle's needs telling.
    TcpWithKey,
    /// TLS over TCP.
    Tls,
    /// The unix socket.
    Unix,
}

impl Transport {
    pub const ALL: [Transport; 4] = [Transport::Tcp, Transport::TcpWithKey, Transport::Tls, Transport::Unix];

    /// As the gate says it.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp | Transport::TcpWithKey => "tcp",
            Transport::Tls => "tls",
            Transport::Unix => "unix",
        }
    }
}

impl Client {
    pub const ALL: [Client; 4] = [Client::MariaDb, Client::Mysql, Client::MysqlAsync, Client::PyMysql];

    /// True if the client knows the transport.
    pub fn has(self, transport: Transport) -> bool {
        self == Client::Mysql || transport != Transport::TcpWithKey
    }

    /// Signs in and asks who we are; gives the answer, or the error's text.
    pub async fn ask(self, gate: &Gate, transport: Transport, user: &str, password: &str, schema: &str) -> String {
        match self {
            Client::MariaDb => mariadb(gate, transport, user, password, schema).await,
            Client::Mysql => mysql(gate, transport, user, password, schema).await,
            Client::MysqlAsync => mysql_async(gate, transport, user, password, schema).await,
            Client::PyMysql => pymysql(gate, transport, user, password, schema).await,
        }
    }
}

async fn run(command: &mut Command) -> String {
    let output = command.kill_on_drop(true).output().await.unwrap_or_else(|e| {
        panic!("{e}: {command:?} (./test installs the clients)");
    });
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { said.trim().to_owned() } else { format!("{said} {complained}") }
}

async fn mariadb(gate: &Gate, transport: Transport, user: &str, password: &str, schema: &str) -> String {
    let mut command = Command::new("mariadb");
    command.args(["--no-defaults", "-N", "-B", "-u", user, "-e", "who"]).arg(format!("--password={password}"));
    match transport {
        Transport::Unix => command.arg("--skip-ssl").arg("--socket").arg(&gate.socket),
        Transport::Tls => command.arg("--ssl").args(tcp(gate)),
        Transport::Tcp | Transport::TcpWithKey => command.arg("--skip-ssl").args(tcp(gate)),
    };
    run(command.arg(schema)).await
}

async fn mysql(gate: &Gate, transport: Transport, user: &str, password: &str, schema: &str) -> String {
    let (program, arguments) = must(mysql_client());
    let mut command = Command::new(program);
    command.args(arguments).args(["-N", "-B", "-u", user, "-e", "who"]).arg(format!("--password={password}"));
    match transport {
        Transport::Unix => command.args(["--ssl-mode=DISABLED", "--socket"]).arg(&gate.socket),
        Transport::Tls => command.arg("--ssl-mode=REQUIRED").args(tcp(gate)),
        Transport::Tcp => command.arg("--ssl-mode=DISABLED").args(tcp(gate)),
        Transport::TcpWithKey => command.args(["--ssl-mode=DISABLED", "--get-server-public-key"]).args(tcp(gate)),
    };
    run(command.arg(schema)).await
}

fn tcp(gate: &Gate) -> [String; 5] {
    ["-h".into(), "127.0.0.1".into(), "--protocol=tcp".into(), "-P".into(), gate.address.port().to_string()]
}

/// The options for the Rust library. The settings are those that keep it from asking more than it is asked.
pub fn options(gate: &Gate, transport: Transport, user: &str, password: &str, schema: &str) -> OptsBuilder {
    let options = OptsBuilder::default()
        .user(Some(user))
        .pass(Some(password).filter(|p| !p.is_empty()))
        .db_name(Some(schema).filter(|s| !s.is_empty()))
        .prefer_socket(false)
        .max_allowed_packet(Some(1 << 20))
        .wait_timeout(Some(60));
    let tcp = options.clone().ip_or_hostname("127.0.0.1").tcp_port(gate.address.port());
    match transport {
        Transport::Tcp | Transport::TcpWithKey => tcp,
        Transport::Tls => tcp.ssl_opts(
            SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true),
        ),
        Transport::Unix => options.socket(Some(gate.socket.display().to_string())),
    }
}

async fn mysql_async(gate: &Gate, transport: Transport, user: &str, password: &str, schema: &str) -> String {
    let mut conn = match Conn::new(options(gate, transport, user, password, schema)).await {
        Ok(conn) => conn,
        Err(e) => return e.to_string(),
    };
    let said: Result<Option<String>, _> = conn.query_first("who").await;
    let _ = conn.disconnect().await;
    said.map_or_else(|e| e.to_string(), Option::unwrap_or_default)
}

const PYTHON: &str = r#"
import sys, ssl, pymysql
kind, where, user, password, schema = sys.argv[1:6]
more = {}
if kind == "unix":
    more["unix_socket"] = where
else:
    more["host"], more["port"] = "127.0.0.1", int(where)
if kind == "tls":
    more["ssl"] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    more["ssl"].check_hostname = False
    more["ssl"].verify_mode = ssl.CERT_NONE
try:
    connection = pymysql.connect(user=user, password=password, database=schema or None, autocommit=None, **more)
    with connection.cursor() as cursor:
        cursor.execute("who")
        print(cursor.fetchone()[0])
except pymysql.err.Error as e:
    print(e, file=sys.stderr)
    sys.exit(1)
"#;

async fn pymysql(gate: &Gate, transport: Transport, user: &str, password: &str, schema: &str) -> String {
    let place = match transport {
        Transport::Unix => gate.socket.display().to_string(),
        _ => gate.address.port().to_string(),
    };
    // Debian's own Python, which has the library; there may be another one first on the path.
    let mut command = Command::new("/usr/bin/python3");
    run(command.args(["-c", PYTHON, transport.name(), &place, user, password, schema])).await
}
