//! What a client is told before it says who it is: the version and the collation of the writer, as the writer's own greeting
//! has them. Drivers know MariaDB by the `5.5.5-` before its version, and take the greeting's collation where they name none.

mod common;
mod traffic_support;

use common::{Fault, FaultProxy, MariaDb, MySql, Options, Router, wait_until};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use switchboard::protocol::handshake::Greeting;
use traffic_support::config;
use traffic_support::raw::{MODERN, Raw};

/// The version and the collation that a client is told at this address.
fn greeted(address: SocketAddr) -> (String, u8) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut payload = vec![0; usize::from(head[0]) | usize::from(head[1]) << 8];
    stream.read_exact(&mut payload).unwrap();
    let greeting = Greeting::decode(&payload).unwrap();
    (String::from_utf8(greeting.version.to_vec()).unwrap(), greeting.collation)
}

/// The router is asked as soon as it accepts, and no account for health checks is configured.
async fn greets_as(writer: SocketAddr, starts_with: &str) {
    let router = Router::with_config(&config(writer.port(), writer.port(), ""), &[]);
    let own = greeted(writer);
    assert!(own.0.starts_with(starts_with), "{own:?}");
    assert_eq!(own.1, 8, "latin1_swedish_ci");
    assert_eq!(greeted(router.address()), own);
    // Drivers compare the two.
    let mut client = Raw::connect(&router, "", MODERN).await;
    let version = client.value("SELECT VERSION()").await;
    assert_eq!(own.0.strip_prefix("5.5.5-").unwrap_or(&own.0), version);
    let text = config(writer.port(), writer.port(), "server_version = \"8.4.2-own\"\nserver_collation = 33");
    let router = Router::with_config(&text, &[]);
    assert_eq!(greeted(router.address()), ("8.4.2-own".to_owned(), 33));
}

#[tokio::test]
async fn a_mariadb_in_latin1() {
    let server = MariaDb::start(Options::named("latin1").with_arg("--character-set-server=latin1"));
    greets_as(server.address(), "5.5.5-10.").await;
}

#[tokio::test]
async fn a_mysql_in_latin1() {
    let server = MySql::start(Options::named("latin1").with_arg("--character-set-server=latin1"));
    greets_as(server.address(), "9.").await;
}

/// A writer that says nothing does not keep clients out, and is learnt when it speaks.
#[test]
fn a_writer_that_is_met_later() {
    let server = MariaDb::start(Options::named("later").with_arg("--character-set-server=latin1"));
    let link = FaultProxy::start(server.address());
    link.set(Fault::Silence);
    let began = Instant::now();
    let router = Router::with_config(&config(link.port(), link.port(), ""), &[]);
    assert!(began.elapsed() < Duration::from_secs(8), "the start waited for {:?}", began.elapsed());
    let (version, collation) = greeted(router.address());
    assert!(version.starts_with("5.5.5-") && version.contains("MariaDB") && collation == 45, "{version} {collation}");
    link.set(Fault::None);
    wait_until("the writer is met", Duration::from_secs(20), || greeted(router.address()) == greeted(server.address()));
}

/// Of two writer hostgroups, the one with the lower number speaks for both.
#[test]
fn several_writers() {
    let (low, high) = (MySql::shared(), MariaDb::shared());
    let text = config(high.port(), high.port(), "")
        + &format!(
            "[[hostgroup]]\nid = 5\nname = \"other\"\nrole = \"writer\"\n[[backend]]\nhostgroup = 5\naddress = \"127.0.0.1:{}\"\n",
            low.port()
        );
    let router = Router::with_config(&text, &[]);
    assert_eq!(greeted(router.address()), greeted(low.address()));
}
