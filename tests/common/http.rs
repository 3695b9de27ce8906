//! A small HTTP client: one request a connection.

use super::Router;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One request; status and body. `headers` end with a line break each.
#[track_caller]
pub fn request(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = body.len();
    let text =
        format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// What a router's HTTP port has at `path`; status and body.
#[track_caller]
pub fn get(router: &Router, path: &str) -> (u16, String) {
    request(router.http(), "GET", path, "Host: localhost\r\n", "")
}

/// The values of the page for metrics, by name and labels.
#[track_caller]
pub fn metrics(router: &Router) -> BTreeMap<String, f64> {
    let (status, page) = get(router, "/metrics");
    assert_eq!(status, 200);
    assert!(page.contains("# TYPE switchboard_sign_ins_total counter\n"), "{page}");
    let values = page.lines().filter(|line| !line.starts_with('#'));
    values.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, v)| (name.to_owned(), v.parse().unwrap())).collect()
}
