//! `frontend::login` with clients that people use: every client, plugin, stored form and transport.

mod auth_support;

use auth_support::{Gate, Setup, account};
use std::process::{Command, Output};
use switchboard::auth::server::Reason;
use switchboard::auth::{AccountSpec, Credentials, Password, Plugin, StoredPassword};
use switchboard::frontend::login::{Fault, LoginError};

const SECRET: &str = "it's a \\ secret";

fn clear() -> StoredPassword {
    StoredPassword::clear(SECRET).unwrap()
}

/// Debian's `mariadb` program.
fn mariadb(gate: &Gate, user: &str, password: &str, more: &[&str]) -> Output {
    let mut command = Command::new("mariadb");
    command.args(["--no-defaults", "-N", "-B", "-u", user, "-e", "who"]).arg(format!("--password={password}"));
    match more.first() {
        Some(&"unix") => command.arg("--socket").arg(&gate.socket).args(&more[1..]),
        _ => command.args(["-h", "127.0.0.1", "-P", &gate.address.port().to_string()]).args(more),
    };
    command.output().expect("the `mariadb` client: apt-get install mariadb-client")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned() + String::from_utf8_lossy(&output.stderr).trim()
}

#[test]
fn mariadb_client_over_every_transport() {
    let gate = Gate::start(Setup::new(vec![account("anna", clear())]).with_tls());
    assert_eq!(said(&mariadb(&gate, "anna", SECRET, &["--skip-ssl"])), "anna|tcp|-");
    assert_eq!(said(&mariadb(&gate, "anna", SECRET, &["unix"])), "anna|unix|-");
    assert_eq!(said(&mariadb(&gate, "anna", SECRET, &["--ssl"])), "anna|tls|-");
    let wrong = said(&mariadb(&gate, "anna", "wrong", &["--skip-ssl"]));
    assert!(wrong.contains("1045") && wrong.contains("'anna'@'127.0.0.1' (using password: YES)"), "{wrong}");
}
