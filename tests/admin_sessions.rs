//! The admin port's sessions beyond statements, and what it shows of the sessions of the traffic port.

mod admin_support;
mod common;

use admin_support::{connect, mariadb, refused, rows, traffic, with_servers, without_servers};
use common::{Router, wait_until};
use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn};
use std::process::Command;
use std::time::Duration;

fn as_user(user: &str, password: &str, schema: Option<&str>) -> ChangeUserOpts {
    ChangeUserOpts::default()
        .with_user(Some(user.to_owned()))
        .with_pass(Some(password.to_owned()))
        .with_db_name(schema.map(str::to_owned))
}

#[tokio::test]
async fn who_signs_in_anew_has_the_new_users_role_and_nothing_of_the_old() {
    let router = without_servers("");
    let mut conn = connect(&router, "admin").await;
    let prepared = conn.prep("SELECT username FROM mysql_users").await.unwrap();
    assert_eq!(conn.exec::<String, _, _>(&prepared, ()).await.unwrap(), ["app"]);
    conn.change_user(as_user("stats", "stats-pw", None)).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT USER(), DATABASE()").await, ["stats@127.0.0.1|stats"]);
    refused(&mut conn, "SELECT * FROM main.mysql_users").await;
    refused(&mut conn, "LOAD MYSQL SERVERS TO RUNTIME").await;
    let gone = conn.exec_drop(&prepared, ()).await.unwrap_err().to_string();
    assert!(gone.contains("1243"), "{gone}");
    conn.change_user(as_user("ops", "ops-pw", Some("monitor"))).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT USER(), DATABASE()").await, ["ops@127.0.0.1|monitor"]);
    assert_eq!(rows(&mut conn, "SELECT username, password FROM mysql_users").await, ["app|NULL"]);
    // And back, with all rights.
    conn.change_user(as_user("admin", "admin-pw", None)).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT DATABASE()").await, ["main"]);
    conn.query_drop("LOAD MYSQL SERVERS TO RUNTIME").await.unwrap();
}

#[tokio::test]
async fn who_may_not_come_in_loses_the_connection() {
    let router = without_servers("");
    for (opts, code) in [
        (as_user("admin", "hunter2", None), "1045"),
        (as_user("nobody", "", None), "1045"),
        (as_user("admin", "admin-pw", Some("nowhere")), "1049"),
    ] {
        let mut conn = connect(&router, "stats").await;
        let error = conn.change_user(opts).await.unwrap_err().to_string();
        assert!(error.contains(code), "{error}");
        assert!(conn.query_drop("SELECT 1").await.is_err(), "it is closed");
    }
    wait_until("it is logged", Duration::from_secs(5), || router.log().matches("sign-in failed").count() == 2);
    assert!(!router.log().contains("hunter2"));
}

/// Names and defaults that COM_FIELD_LIST gives, or its error.
fn fields(router: &Router, user: &str, schema: &str, argument: &str) -> String {
    let python = r#"
import sys, pymysql
from pymysql.constants import COMMAND
port, user, schema, argument = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
c = pymysql.connect(host="127.0.0.1", port=port, user=user, password=user + "-pw", database=schema)
c._execute_command(COMMAND.COM_FIELD_LIST, argument.replace("|", "\0").encode())
try:
    while True:
        packet = c._read_packet()
        if packet.is_eof_packet():
            break
        name = [packet.read_length_coded_string() for _ in range(6)][4]
        packet.read_length_encoded_integer()
        packet.read(12)
        default = packet.read_length_coded_string()
        print(name.decode(), "NULL" if default is None else repr(default.decode()))
except pymysql.err.MySQLError as error:
    print(error.args[0])
with c.cursor() as cursor:
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == (("1",),)
"#;
    let port = router.admin().port().to_string();
    let output = Command::new("/usr/bin/python3").args(["-c", python, &port, user, schema, argument]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn the_columns_of_a_table_are_told_with_their_defaults() {
    let router = without_servers("");
    let all = fields(&router, "admin", "main", "mysql_servers|");
    let mut conn = connect(&router, "admin").await;
    let names: Vec<&str> = all.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, admin_support::columns(&mut conn, "SELECT * FROM mysql_servers").await);
    assert!(all.contains("port '3306'\n") && all.contains("status 'ONLINE'\n"), "{all}");
    assert!(all.contains("hostname NULL\n") && all.contains("comment ''\n"), "{all}");
    assert_eq!(fields(&router, "admin", "main", "mysql_servers|max\\_c%"), "max_connections '1000'\n");
    assert_eq!(fields(&router, "admin", "main", "mysql_servers|none"), "");
    assert_eq!(fields(&router, "stats", "stats", "stats_mysql_query_rules|"), "rule_id NULL\nhits NULL\n");
    assert_eq!(fields(&router, "admin", "main", "no\"where|"), "1146\n");
    assert_eq!(fields(&router, "stats", "main", "mysql_users|"), "1045\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statements_time_is_its_own_and_its_client_has_a_port() {
    let (router, _) = with_servers("");
    let mut client = Conn::from_url(traffic(&router, "")).await.unwrap();
    client.query_drop("SELECT 1").await.unwrap();
    let asked = |what: &str| {
        let select = format!("SELECT {what} FROM stats_mysql_processlist;");
        mariadb(&router, "stats", &["-N", "-B"], &select).1.trim().to_owned()
    };
    let is = |what: &str| asked(what) == "1";
    wait_until("it has been silent for a while", Duration::from_secs(20), || {
        is("command = 'Sleep' AND time_ms >= 4000")
    });
    let statement = tokio::spawn(async move { client.query_drop("SELECT SLEEP(6)").await });
    let mut first = String::new();
    wait_until("it runs", Duration::from_secs(5), || {
        first = asked("IIF(command = 'Query', time_ms, '')");
        !first.is_empty()
    });
    let first: u64 = first.parse().unwrap();
    assert!(first <= 2_000, "{first} ms are not the statement's own");
    wait_until("its time goes on", Duration::from_secs(5), || is("command = 'Query' AND time_ms >= 3000"));
    let mut conn = connect(&router, "admin").await;
    let shown = rows(&mut conn, "SELECT cli_host, cli_port FROM stats_mysql_processlist").await;
    assert_eq!(shown.len(), 1);
    let port: u16 = shown[0].strip_prefix("127.0.0.1|").unwrap().parse().unwrap();
    assert_eq!(peers_of(router.address().port()), [port], "as the kernel has it");
    statement.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_statement_is_shown_and_not_the_one_before() {
    let (router, (_, replica)) = with_servers(
        "[[rule]]\nrule_id = 1\nmatch_digest = 'first_of_its_kind'\ndestination_hostgroup = 20\napply = true\n",
    );
    let mut client = Conn::from_url(traffic(&router, "")).await.unwrap();
    client.query_drop("SELECT 'before'").await.unwrap();
    // Nobody has counted it: it runs for the first time.
    let statement = tokio::spawn(async move { client.query_drop("SELECT SLEEP(4) AS first_of_its_kind").await });
    let select = "SELECT command, hostgroup, srv_port, info FROM stats_mysql_processlist;";
    let wanted = format!("Query\t20\t{}\tSELECT SLEEP(?) AS first_of_its_kind\n", replica.port());
    let mut said = String::new();
    wait_until("it is shown", Duration::from_secs(3), || {
        said = mariadb(&router, "stats", &["-N", "-B"], select).1;
        said.starts_with("Query\t20")
    });
    assert_eq!(said, wanted);
    statement.await.unwrap().unwrap();
}

/// The clients' ports of what is connected to a port of 127.0.0.1, out of the kernel's table.
fn peers_of(server: u16) -> Vec<u16> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next().unwrap(), 16).unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    // The fields: number, local address, remote address, state (01 is established).
    rows.filter(|row| row[3] == "01" && port(row[1]) == server).map(|row| port(row[2])).collect()
}
