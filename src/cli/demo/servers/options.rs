//! What a server for the demo or a test is to be like: users, TLS, logs, sizes, and further arguments.
//!
//! [`super::mariadb`] and [`super::mysql`] make command lines of it. Nothing here checks whether a server can be had
//! that way.

use super::Certificates;
use std::path::PathBuf;

/// Settings of one server. Start from [`Options::default`] and say what differs.
#[derive(Debug, Clone)]
pub struct Options {
    /// What messages call the server.
    pub name: String,
    /// Users to make, with all privileges, for any host. The default is one: [`User::app`].
    pub users: Vec<User>,
    /// TLS towards clients.
    pub tls: Tls,
    /// True to write a binary log: row format, and GTIDs in strict mode on MariaDB.
    pub binlog: bool,
    /// True to write every statement to a log that [`super::Server::statements_seen`] reads. Costs a few microseconds
    /// per statement.
    pub general_log: bool,
    /// `read_only` for users without the privilege to ignore it. Set after the users are made.
    pub read_only: bool,
    /// InnoDB's buffer pool, MiB.
    pub buffer_pool_mib: u32,
    /// The most connections the server takes.
    pub max_connections: u32,
    /// More arguments, as the server's command line has them. Later ones win, so these override ours.
    pub args: Vec<String>,
    /// Statements to run as root once the server is up and its users are made. Not written to the binary log.
    pub init: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            name: String::new(),
            users: vec![User::app()],
            tls: Tls::Default,
            binlog: false,
            general_log: true,
            read_only: false,
            buffer_pool_mib: 24,
            max_connections: 600,
            args: Vec::new(),
            init: Vec::new(),
        }
    }
}

impl Options {
    /// The default with a name.
    pub fn named(name: &str) -> Self {
        Options { name: name.to_owned(), ..Options::default() }
    }

    /// With a binary log.
    pub fn with_binlog(mut self) -> Self {
        self.binlog = true;
        self
    }

    /// With TLS from these certificates.
    pub fn with_tls(mut self, certificates: &Certificates) -> Self {
        self.tls = Tls::from_certificates(certificates);
        self
    }

    /// With one more user.
    pub fn with_user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// With one more argument for the server's command line.
    pub fn with_arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// With one more statement to run at the first start.
    pub fn with_sql(mut self, statement: &str) -> Self {
        self.init.push(statement.to_owned());
        self
    }
}

/// TLS that a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// What the engine does by itself: MariaDB 10.11 offers none, MySQL makes its own certificates.
    Default,
    /// None offered.
    Off,
    /// With these PEM files.
    Files {
        /// The authority that clients' certificates are checked against.
        ca: PathBuf,
        /// The server's certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
}

impl Tls {
    /// TLS with the server certificate of a set.
    pub fn from_certificates(set: &Certificates) -> Self {
        Tls::Files { ca: set.ca(), certificate: set.server_certificate(), key: set.server_key() }
    }
}

/// How a user proves who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// `mysql_native_password` on MariaDB, `caching_sha2_password` on MySQL: what each makes by itself.
    EngineDefault,
    /// `mysql_native_password`: MariaDB only, MySQL 9 has dropped it.
    Native,
    /// `caching_sha2_password`: MySQL only.
    CachingSha2,
    /// `ed25519`: MariaDB only.
    Ed25519,
}

/// A user to make.
#[derive(Debug, Clone)]
pub struct User {
    /// The name, without a host: any host may use it.
    pub name: String,
    /// The password in clear.
    pub password: String,
    /// How it is checked.
    pub plugin: Plugin,
    /// True to refuse the user without TLS (or a unix socket, on MySQL).
    pub require_tls: bool,
}

impl User {
    /// The user that every server has unless its options say otherwise: `app`, with the password `app-secret`.
    pub fn app() -> Self {
        User::new("app", "app-secret")
    }

    /// A user with the engine's default plugin.
    pub fn new(name: &str, password: &str) -> Self {
        User { name: name.into(), password: password.into(), plugin: Plugin::EngineDefault, require_tls: false }
    }

    /// With another plugin.
    pub fn with_plugin(mut self, plugin: Plugin) -> Self {
        self.plugin = plugin;
        self
    }

    /// Refused without TLS.
    pub fn requiring_tls(mut self) -> Self {
        self.require_tls = true;
        self
    }
}
