//! `frontend::login` with clients that people use: every client, stored form, transport and greeting.

mod auth_support;
mod common;

use auth_support::clients::{Client, Transport};
use auth_support::{Gate, Setup, account};
use common::{MySql, must, sql_string};
use switchboard::auth::{Plugin, StoredPassword};
use switchboard::frontend::login::Fault;
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
