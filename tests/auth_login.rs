//! `frontend::login` with clients that people use: every client, stored form, transport and greeting.

mod auth_support;
mod common;

use auth_support::clients::{self, Client, Transport};
use auth_support::{Gate, Setup, account};
use common::{Certificates, MariaDb, MySql, must, mysql_client, sql_string};
use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn};
use switchboard::auth::{AccountSpec, Credentials, Password, Plugin, StoredPassword};
use switchboard::backend::connect::{ConnectOptions, Target, connect};
use switchboard::frontend::login::{Fault, LoginError};
use switchboard::net::tls::{ServerIdentity, server_config};
use switchboard::protocol::capabilities::Capabilities;
use tokio::task::JoinSet;

const SECRET: &str = "it's a \\ secret";

/// A form in which a password may be stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Empty,
    Clear,
    Native,
    CachingSha2,
}

impl Form {
    const ALL: [Form; 4] = [Form::Empty, Form::Clear, Form::Native, Form::CachingSha2];

    fn stored(self) -> StoredPassword {
        match self {
            Form::Empty => StoredPassword::Empty,
            Form::Clear => StoredPassword::clear(SECRET).unwrap(),
            // SELECT PASSWORD('it''s a \\ secret') of MariaDB 10.11.
            Form::Native => StoredPassword::hash(b"*9280BC5C48375D81CD50C24EC5485FC1AF820E0D").unwrap(),
            Form::CachingSha2 => real_caching_sha2(),
        }
    }

    fn password(self) -> &'static str {
        if self == Form::Empty { "" } else { SECRET }
    }
}

/// The stored form that a real MySQL makes of the secret.
fn real_caching_sha2() -> StoredPassword {
    static STORED: std::sync::OnceLock<StoredPassword> = std::sync::OnceLock::new();
    let make = || {
        let server = MySql::shared();
        let create = format!("CREATE USER hashed IDENTIFIED WITH caching_sha2_password BY {}", sql_string(SECRET));
        must(server.sql(&create));
        let hex = must(server.value("SELECT HEX(authentication_string) FROM mysql.user WHERE user = 'hashed'"));
        StoredPassword::hash(format!("0x{hex}").as_bytes()).unwrap()
    };
    STORED.get_or_init(make).clone()
}

/// What a client cannot do, whoever its server is: Oracle's client has no `mysql_native_password` any more, and asks for an
/// RSA key only when told to.
fn cannot(client: Client, transport: Transport, form: Form) -> Option<&'static str> {
    match (client, transport, form) {
        (Client::Mysql, Transport::Tcp | Transport::TcpWithKey, Form::Native) => Some("2059"),
        (Client::Mysql, Transport::Tcp, Form::CachingSha2) => Some("2061"),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_signs_in_with_every_form_over_every_transport() {
    for plugin in [Plugin::Native, Plugin::CachingSha2] {
        let mut combinations = Vec::new();
        for client in Client::ALL {
            for transport in Transport::ALL.into_iter().filter(|t| client.has(*t)) {
                combinations.extend(Form::ALL.map(|form| (client, transport, form)));
            }
        }
        let name = |c: &(Client, Transport, Form)| format!("{:?}_{:?}_{:?}", c.0, c.1, c.2).to_lowercase();
        let accounts = combinations.iter().map(|c| account(&name(c), c.2.stored())).collect();
        let gate = std::sync::Arc::new(Gate::start(Setup::new(accounts).with_plugin(plugin).with_tls()));
        let mut running = JoinSet::new();
        for combination in combinations {
            let (gate, name) = (std::sync::Arc::clone(&gate), name(&combination));
            running.spawn(async move {
                let (client, transport, form) = combination;
                // The second time the cache is warm.
                for round in ["cold", "warm"] {
                    let said = client.ask(&gate, transport, &name, form.password(), "").await;
                    let context = format!("{name} {round} greeted with {plugin}: {said}");
                    match cannot(client, transport, form) {
                        Some(code) => assert!(said.contains(code), "{context}"),
                        None => assert_eq!(said, format!("{name}|{}|-", transport.name()), "{context}"),
                    }
                }
                let wrong = client.ask(&gate, transport, &name, "wrong", "").await;
                if cannot(client, transport, form).is_none() {
                    let host = if transport == Transport::Unix { "localhost" } else { "127.0.0.1" };
                    let want = format!("Access denied for user '{name}'@'{host}' (using password: YES)");
                    assert!(wrong.contains(&want) && wrong.contains("1045"), "{name}: {wrong}");
                }
            });
            if running.len() >= 6 {
                running.join_next().await.unwrap().unwrap();
            }
        }
        while let Some(done) = running.join_next().await {
            done.unwrap();
        }
        for error in gate.errors() {
            assert!(matches!(error.fault(), Fault::Refusal | Fault::Client), "{error}");
        }
    }
}

/// The right plugin at once: no client needs a second question where its own plugin will do.
#[tokio::test]
async fn old_and_new_drivers_come_in_without_an_extra_round_trip() {
    for plugin in [Plugin::Native, Plugin::CachingSha2] {
        let gate = Gate::start(Setup::new(vec![account("anna", Form::Clear.stored())]).with_plugin(plugin));
        for client in [Client::MariaDb, Client::MysqlAsync, Client::PyMysql] {
            assert_eq!(client.ask(&gate, Transport::Tcp, "anna", SECRET, "").await, "anna|tcp|-");
            assert_eq!(gate.last_sequence(), Some(2), "{client:?} greeted with {plugin}");
        }
        // Oracle's offers caching_sha2_password whatever the greeting says, and has seen no scramble for it.
        assert_eq!(Client::Mysql.ask(&gate, Transport::Tcp, "anna", SECRET, "").await, "anna|tcp|-");
        assert_eq!(gate.last_sequence(), Some(if plugin == Plugin::Native { 4 } else { 2 }));
    }
}

#[tokio::test]
async fn passwords_in_clear_are_taken_over_tls_alone() {
    let gate = Gate::start(Setup::new(vec![account("anna", Form::CachingSha2.stored())]).with_tls());
    let (program, arguments) = must(mysql_client());
    for (mode, over) in [("REQUIRED", "tls"), ("DISABLED", "tcp")] {
        for (password, good) in [(SECRET, true), ("wrong", false)] {
            let output = tokio::process::Command::new(&program)
                .args(&arguments)
                .args(["-N", "-B", "-u", "anna", "-e", "who", "-h", "127.0.0.1", "--get-server-public-key"])
                .args(["--enable-cleartext-plugin", "--default-auth=mysql_clear_password"])
                .arg(format!("--ssl-mode={mode}"))
                .arg(format!("--port={}", gate.address.port()))
                .arg(format!("--password={password}"))
                .output()
                .await
                .unwrap();
            let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            match good {
                true => assert_eq!(said.trim(), format!("anna|{over}|-"), "{complained}"),
                false => assert!(complained.contains("1045"), "{mode}: {complained}"),
            }
        }
    }
}

#[tokio::test]
async fn an_account_may_be_for_tls_alone() {
    let only_tls = AccountSpec { require_tls: true, ..account("anna", Form::Clear.stored()) };
    let gate = Gate::start(Setup::new(vec![only_tls]).with_tls());
    for client in Client::ALL {
        assert_eq!(client.ask(&gate, Transport::Tls, "anna", SECRET, "").await, "anna|tls|-", "{client:?}");
        for transport in [Transport::Tcp, Transport::Unix] {
            let said = client.ask(&gate, transport, "anna", SECRET, "").await;
            assert!(said.contains("1045") && said.contains("over TLS only"), "{client:?} {transport:?}: {said}");
            let said = client.ask(&gate, transport, "anna", "wrong", "").await;
            assert!(said.contains("1045") && !said.contains("TLS only"), "{client:?} {transport:?}: {said}");
        }
    }
    assert!(gate.errors().iter().all(|e| e.fault() == Fault::Refusal));
}

#[tokio::test]
async fn the_whole_gate_may_be_for_safe_transports_alone() {
    let setup = Setup::new(vec![account("anna", Form::CachingSha2.stored())]).with_tls();
    let gate = Gate::start(Setup { require_secure: true, ..setup });
    for client in Client::ALL {
        for transport in [Transport::Tls, Transport::Unix] {
            let said = client.ask(&gate, transport, "anna", SECRET, "").await;
            assert_eq!(said, format!("anna|{}|-", transport.name()), "{client:?}");
        }
        let said = client.ask(&gate, Transport::Tcp, "anna", SECRET, "").await;
        assert!(said.contains("3159") && said.contains("insecure transport"), "{client:?}: {said}");
    }
    assert!(gate.errors().iter().all(|e| matches!(e, LoginError::Insecure)));
}

#[tokio::test]
async fn schemas_are_named_or_the_accounts_or_refused() {
    let at_home = AccountSpec { default_schema: Some("home".into()), ..account("ben", Form::Clear.stored()) };
    let gate = Gate::start(Setup::new(vec![account("anna", Form::Clear.stored()), at_home]));
    for client in Client::ALL {
        for (user, named, want) in [("anna", "bigdb", "bigdb"), ("ben", "", "home"), ("ben", "bigdb", "bigdb")] {
            let said = client.ask(&gate, Transport::Tcp, user, SECRET, named).await;
            assert_eq!(said, format!("{user}|tcp|{want}"), "{client:?}");
        }
        // The refusal comes after the password was found right, in place of the OK.
        let said = client.ask(&gate, Transport::Tcp, "anna", SECRET, "no_such_schema").await;
        assert!(said.contains("1049") && said.contains("Unknown database"), "{client:?}: {said}");
    }
}

#[tokio::test]
async fn a_reload_keeps_what_was_learned_and_forgets_old_passwords() {
    let gate = Gate::start(Setup::new(vec![account("anna", Form::CachingSha2.stored())]).with_tls());
    // Cold: Oracle's client will not ask for the key by itself.
    let cold = Client::Mysql.ask(&gate, Transport::Tcp, "anna", SECRET, "").await;
    assert!(cold.contains("2061"), "{cold}");
    assert_eq!(Client::Mysql.ask(&gate, Transport::Tls, "anna", SECRET, "").await, "anna|tls|-");
    for _ in 0..2 {
        assert_eq!(Client::Mysql.ask(&gate, Transport::Tcp, "anna", SECRET, "").await, "anna|tcp|-");
        gate.reload(vec![account("anna", Form::CachingSha2.stored()), account("ben", Form::Clear.stored())]);
    }
    gate.reload(vec![account("anna", StoredPassword::clear("changed").unwrap())]);
    let old = Client::Mysql.ask(&gate, Transport::Tcp, "anna", SECRET, "").await;
    assert!(old.contains("1045"), "{old}");
    assert_eq!(Client::Mysql.ask(&gate, Transport::Tcp, "anna", "changed", "").await, "anna|tcp|-");
}

/// A client's own sign-in gives the router what it needs behind, where the configuration holds a hash alone.
#[tokio::test]
async fn what_a_sign_in_shows_is_good_behind() {
    let mariadb = MariaDb::shared();
    let hash = must(mariadb.value("SELECT PASSWORD('app-secret')"));
    let gate = Gate::start(Setup::new(vec![account("app", StoredPassword::hash(hash.as_bytes()).unwrap())]));
    let credentials = || gate.accounts().get("app").unwrap().credentials();
    assert_eq!(credentials(), None);
    assert_eq!(Client::MysqlAsync.ask(&gate, Transport::Tcp, "app", "app-secret", "").await, "app|tcp|-");
    let shown = credentials().unwrap();
    assert!(matches!(shown.password, Password::NativeSha1(_)));
    let options = ConnectOptions::default();
    connect(&Target::tcp("127.0.0.1", mariadb.port()), &shown, &options).await.unwrap();
    // Over a safe channel the password itself is shown, and any server takes that.
    let gate = Gate::start(Setup::new(vec![account("app", real_caching_sha2())]));
    assert_eq!(Client::MysqlAsync.ask(&gate, Transport::Unix, "app", SECRET, "").await, "app|unix|-");
    let shown = gate.accounts().get("app").unwrap().credentials().unwrap();
    assert_eq!(shown, Credentials::new("app", SECRET));
}

#[tokio::test]
async fn change_user_signs_in_anew() {
    let accounts = || {
        let mut accounts: Vec<AccountSpec> =
            Form::ALL.into_iter().map(|form| account(&format!("{form:?}").to_lowercase(), form.stored())).collect();
        accounts.push(account("anna", Form::Clear.stored()));
        accounts
    };
    for plugin in [Plugin::Native, Plugin::CachingSha2] {
        for transport in [Transport::Tcp, Transport::Unix, Transport::Tls] {
            let gate = Gate::start(Setup::new(accounts()).with_plugin(plugin).with_tls());
            let mut conn = Conn::new(clients::options(&gate, transport, "anna", SECRET, "")).await.unwrap();
            for form in Form::ALL {
                let name = format!("{form:?}").to_lowercase();
                for _ in 0..2 {
                    let options = ChangeUserOpts::new()
                        .with_user(Some(name.clone()))
                        .with_pass(Some(form.password().to_owned()).filter(|p| !p.is_empty()))
                        .with_db_name(Some(format!("db_{name}")));
                    conn.change_user(options).await.unwrap_or_else(|e| panic!("{name} {transport:?} {plugin}: {e}"));
                    let said: Option<String> = conn.query_first("who").await.unwrap();
                    assert_eq!(said.unwrap(), format!("{name}|{}|db_{name}", transport.name()));
                    let sessions = |n: &str| gate.accounts().get(n).unwrap().sessions();
                    assert_eq!((sessions("anna"), sessions(&name)), (0, 1));
                }
            }
            let wrong = ChangeUserOpts::new().with_user(Some("anna".into())).with_pass(Some("wrong".into()));
            let error = conn.change_user(wrong).await.unwrap_err().to_string();
            assert!(error.contains("1045") && error.contains("using password: YES"), "{error}");
            assert!(conn.ping().await.is_err(), "the connection is closed");
        }
    }
}

/// Many clients at once: the slow arithmetic waits its turn, and all come in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_cold_sign_ins_at_once() {
    let accounts = (0..20).map(|i| account(&format!("user{i}"), real_caching_sha2())).collect();
    let gate = std::sync::Arc::new(Gate::start(Setup::new(accounts)));
    let mut running = JoinSet::new();
    for i in 0..60 {
        let gate = std::sync::Arc::clone(&gate);
        running.spawn(async move {
            let name = format!("user{}", i % 20);
            let said = Client::MysqlAsync.ask(&gate, Transport::Tcp, &name, SECRET, "").await;
            assert_eq!(said, format!("{name}|tcp|-"));
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    assert!(gate.errors().is_empty());
}

/// MariaDB's own greeting leaves LONG_PASSWORD out and says its extended flags; clients of both kinds know what to make of it.
#[tokio::test]
async fn a_greeting_like_mariadbs() {
    // The one that does not change what the gate would have to answer.
    let extended = Capabilities::MARIADB_STMT_BULK_OPERATIONS;
    let capabilities = Capabilities::COMMON.difference(Capabilities::LONG_PASSWORD) | extended;
    for version in ["10.11.19-MariaDB-switchboard", "5.5.5-10.11.19-MariaDB"] {
        let setup = Setup::new(vec![account("anna", Form::Clear.stored())]).with_tls();
        let gate = Gate::start(Setup { capabilities, version, ..setup });
        for client in Client::ALL {
            for transport in [Transport::Tcp, Transport::Tls] {
                let said = client.ask(&gate, transport, "anna", SECRET, "").await;
                assert_eq!(said, format!("anna|{}|-", transport.name()), "{client:?}");
                let agreed = gate.last_capabilities().unwrap();
                let knows = matches!(client, Client::MariaDb | Client::MysqlAsync);
                assert_eq!(agreed.intersects(extended), knows, "{client:?} {agreed:?}");
                assert!(capabilities.contains(agreed.difference(Capabilities::SSL)), "{client:?} {agreed:?}");
            }
        }
    }
}

#[tokio::test]
async fn both_versions_of_tls() {
    let gate = Gate::start(Setup::new(vec![account("anna", Form::CachingSha2.stored())]).with_tls());
    let (program, arguments) = must(mysql_client());
    for version in ["TLSv1.2", "TLSv1.3"] {
        let output = tokio::process::Command::new(&program)
            .args(&arguments)
            .args(["-N", "-B", "-u", "anna", "-e", "who", "-h", "127.0.0.1", "--ssl-mode=REQUIRED"])
            .arg(format!("--tls-version={version}"))
            .arg(format!("--port={}", gate.address.port()))
            .arg(format!("--password={SECRET}"))
            .output()
            .await
            .unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "anna|tls|-", "{version}: {complained}");
    }
}

#[tokio::test]
async fn clients_may_have_to_show_a_certificate() {
    let (set, stranger) = (must(Certificates::new()), must(Certificates::new()));
    let (certificate, key) = (set.server_certificate(), set.server_key());
    let identity = ServerIdentity::Files { certificate: &certificate, key: &key };
    let tls = server_config(identity, Some(&set.ca())).unwrap();
    let setup = Setup::new(vec![account("anna", Form::Clear.stored())]);
    let gate = Gate::start(Setup { tls: Some(tls), ..setup });
    let ask = async |certificates: Option<&Certificates>| {
        let mut command = tokio::process::Command::new("mariadb");
        command.args(["--no-defaults", "-N", "-B", "-u", "anna", "-e", "who", "-h", "localhost", "--protocol=tcp"]);
        command.arg(format!("--password={SECRET}")).arg(format!("--port={}", gate.address.port()));
        command.arg("--ssl-verify-server-cert").arg("--ssl-ca").arg(set.ca());
        if let Some(certificates) = certificates {
            command.arg("--ssl-cert").arg(certificates.client_certificate());
            command.arg("--ssl-key").arg(certificates.client_key());
        }
        let output = command.output().await.unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(ask(Some(&set)).await, "anna|tls|-");
    assert_eq!(ask(None).await, "");
    assert_eq!(ask(Some(&stranger)).await, "");
    assert!(gate.errors().iter().all(|e| matches!(e, LoginError::Tls(_) | LoginError::Io(_))));
}
