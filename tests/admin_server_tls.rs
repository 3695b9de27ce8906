//! `mysql_servers_ssl_params`: one model with the files, and in effect at a server that asks for certificates.

mod admin_support;
mod common;
mod traffic_support;

use admin_support::{NOBODY, connect, estate, process, refused, rows, run};
use common::{Certificates, MariaDb, Options, Router};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use traffic_support::{options, value};

const LOAD: &str = "LOAD MYSQL SERVERS TO RUNTIME";
const VERSION: &str =
    "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'SSL_VERSION'";

/// A user whom the server lets in with a certificate only.
const SHOWS: &str = "[[user]]\nusername = \"shows\"\npassword = \"shows-secret\"\ndefault_hostgroup = 10\n";

fn server(certificates: &Certificates) -> MariaDb {
    let server = MariaDb::start(Options::named("tls").with_tls(certificates));
    server.sql("CREATE USER shows@'%' IDENTIFIED BY 'shows-secret' REQUIRE X509").unwrap();
    server.sql("GRANT ALL ON *.* TO shows@'%'").unwrap();
    server
}

async fn shows(router: &Router) -> Result<Conn, mysql_async::Error> {
    let mut conn = Conn::new(options(router, None).user(Some("shows")).pass(Some("shows-secret"))).await?;
    conn.query_drop("DO 1").await?;
    Ok(conn)
}

#[tokio::test]
async fn certificates_are_used_for_the_server_and_the_user_that_they_are_for() {
    let (certificates, strangers) = (Certificates::new().unwrap(), Certificates::new().unwrap());
    let server = server(&certificates);
    let text = estate(server.port(), NOBODY.1, SHOWS);
    let router = Router::with_config(&process("workers = 1"), &[("estate.toml", &text)]);
    let mut admin = connect(&router, "admin").await;
    run(&mut admin, &["UPDATE mysql_servers SET use_ssl = 1 WHERE hostgroup_id = 10", LOAD]).await;
    let mut app = Conn::new(options(&router, None)).await.unwrap();
    assert_eq!(value(&mut app, VERSION).await, "TLSv1.3");
    assert!(shows(&router).await.is_err(), "it has no certificate to show");
    let row = |user: &str, set: &Certificates, more: &str| {
        let (ca, cert, key) = (set.ca(), set.client_certificate(), set.client_key());
        format!(
            "INSERT INTO mysql_servers_ssl_params (hostname, port, username, ssl_ca, ssl_cert, ssl_key, {more}) \
             VALUES ('127.0.0.1', {}, '{user}', '{}', '{}', '{}', ",
            server.port(),
            ca.display(),
            cert.display(),
            key.display()
        )
    };
    // For one user: the certificate, and the older version. Another's connections are what they were.
    let own = format!("{}'TLSv1.2', 'HIGH')", row("shows", &certificates, "tls_version, ssl_cipher"));
    admin.query_drop(&own).await.unwrap();
    let said = "Warning|1105|mysql_servers_ssl_params.ssl_cipher is kept and does nothing here";
    assert_eq!(rows(&mut admin, "SHOW WARNINGS").await, [said]);
    run(&mut admin, &[LOAD]).await;
    let mut shown = shows(&router).await.unwrap();
    assert_eq!(value(&mut shown, VERSION).await, "TLSv1.2");
    run(&mut app, &["BEGIN"]).await;
    let mut second = Conn::new(options(&router, None)).await.unwrap();
    run(&mut second, &["BEGIN"]).await;
    assert_eq!(value(&mut second, VERSION).await, "TLSv1.3", "a new connection of another user");
    // For everybody else, an authority that did not sign the server's certificate: nobody new comes through.
    run(&mut admin, &[&format!("{}'')", row("", &strangers, "tls_version")), LOAD]).await;
    let mut third = Conn::new(options(&router, None)).await.unwrap();
    let error = third.query_drop("BEGIN").await.unwrap_err().to_string();
    assert!(error.contains("9001") && error.contains("certificate"), "{error}");
    run(&mut shown, &["BEGIN"]).await;
    shows(&router).await.unwrap();
}

#[tokio::test]
async fn rows_and_files_are_one_model() {
    let certificates = Certificates::new().unwrap();
    let router = admin_support::without_servers("");
    let mut admin = connect(&router, "admin").await;
    let file = || std::fs::read_to_string(router.dir().join("rules/estate.toml")).unwrap();
    let before = file();
    let ca = certificates.ca();
    let insert = format!(
        "INSERT INTO mysql_servers_ssl_params (hostname, port, ssl_ca, ssl_crl, comment) VALUES ('127.0.0.1', 2, '{}', '/x', 'ours')",
        ca.display()
    );
    run(&mut admin, &[&insert, LOAD]).await;
    let said = "Warning|1105|mysql_servers_ssl_params hostname='127.0.0.1' port=2 username='': ssl_crl is kept and does nothing here";
    assert_eq!(rows(&mut admin, "SHOW WARNINGS").await, [said]);
    run(&mut admin, &["SAVE MYSQL SERVERS TO DISK"]).await;
    let saved = file();
    let entry = format!(
        "[[server_tls]]\naddress = \"127.0.0.1:2\"\nca = \"{}\"\nproxysql = {{ ssl_crl = \"/x\" }}\ncomment = \"ours\"\n",
        ca.display()
    );
    assert!(saved.contains(&entry), "{saved}");
    let row = format!("127.0.0.1|2||{}||||/x||||ours", ca.display());
    for schema in ["main.", "main.runtime_", "disk."] {
        assert_eq!(rows(&mut admin, &format!("SELECT * FROM {schema}mysql_servers_ssl_params")).await, [row.as_str()]);
    }
    run(&mut admin, &["DELETE FROM mysql_servers_ssl_params", LOAD, "SAVE MYSQL SERVERS TO DISK"]).await;
    assert_eq!(file(), before);
    // What cannot be is refused with its row.
    for (column, value, why) in [
        ("ssl_ca", "/no/such/file", "cannot read"),
        ("tls_version", "TLSv1.0", "no version that is spoken here"),
        ("ssl_cert", "/no/such/file", "cert and key go together"),
    ] {
        let insert = format!(
            "INSERT INTO mysql_servers_ssl_params (hostname, port, username, {column}) VALUES ('127.0.0.1', 2, 'app', '{value}')"
        );
        run(&mut admin, &[&insert]).await;
        let (_, message) = refused(&mut admin, LOAD).await;
        let label = "mysql_servers_ssl_params hostname='127.0.0.1' port=2 username='app': ";
        assert!(message.contains(label) && message.contains(why), "{column}: {message}");
        run(&mut admin, &["DELETE FROM mysql_servers_ssl_params"]).await;
    }
}
