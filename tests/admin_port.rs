//! The admin port as clients and tools meet it: signing in, roles, ProxySQL's tables and words, errors.

mod admin_support;
mod common;

use admin_support::{columns, connect, mariadb, refused, rows, run, traffic, with_servers, without_servers};
use common::{Router, wait_until};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, SslOpts};
use std::process::Command;
use std::time::Duration;

#[tokio::test]
async fn every_client_signs_in_and_asks() {
    let router = without_servers("");
    let want = "select hostgroup_id, hostname, port, status from mysql_servers order by 1";
    for arguments in [&["--ssl", "-N", "-B"][..], &["--skip-ssl", "-N", "-B"], &["-N", "-B", "-D", "main"]] {
        let (good, said) = mariadb(&router, "admin", arguments, &format!("{want};"));
        assert!(good, "{said}");
        assert_eq!(said, "10\t127.0.0.1\t1\tONLINE\n20\t127.0.0.1\t2\tONLINE\n", "{arguments:?}");
    }
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(router.admin().port())
        .user(Some("admin"))
        .pass(Some("admin-pw"))
        .ssl_opts(SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true));
    let mut conn = Conn::new(options).await.unwrap();
    assert_eq!(rows(&mut conn, want).await, ["10|127.0.0.1|1|ONLINE", "20|127.0.0.1|2|ONLINE"]);
    let python = r#"
import sys, pymysql
c = pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user="admin", password="admin-pw", autocommit=True)
with c.cursor(pymysql.cursors.DictCursor) as cursor:
    cursor.execute("SELECT version()")
    assert cursor.fetchone()["version()"].split("-")[0].count(".") == 2
    cursor.execute("INSERT INTO mysql_query_rules (rule_id, match_pattern, comment) VALUES (%s, %s, %s)", (7, r"^\d+'x", "it's"))
    assert cursor.rowcount == 1
    cursor.execute("SELECT match_pattern, comment, username FROM mysql_query_rules WHERE rule_id = %s", (7,))
    print(cursor.fetchall())
"#;
    let output =
        Command::new("/usr/bin/python3").args(["-c", python, &router.admin().port().to_string()]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.trim(), r#"[{'match_pattern': "^\\d+'x", 'comment': "it's", 'username': None}]"#);
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_logged_without_it() {
    let router = without_servers("");
    for user in ["admin", "nobody"] {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(router.admin().port())
            .user(Some(user))
            .pass(Some("hunter2"));
        let error = Conn::new(options).await.unwrap_err().to_string();
        assert!(error.contains("1045"), "{error}");
    }
    wait_until("both are logged", Duration::from_secs(5), || router.log().matches("sign-in failed").count() == 2);
    assert!(!router.log().contains("hunter2"));
}

#[tokio::test]
async fn statements_may_be_prepared() {
    let router = without_servers("");
    let mut conn = connect(&router, "admin").await;
    let insert = "INSERT INTO mysql_servers (hostgroup_id, hostname, port, comment) VALUES (?, ?, ?, ?)";
    conn.exec_drop(insert, (20, "db9", 3307u16, "")).await.unwrap();
    assert_eq!(conn.affected_rows(), 1);
    let found: Vec<(String, Option<String>)> = conn
        .exec("SELECT hostname, (SELECT NULL) FROM mysql_servers WHERE port = ? AND hostgroup_id = ?", (3307, 20))
        .await
        .unwrap();
    assert_eq!(found, [("db9".to_owned(), None)]);
    let error = conn.exec_drop("SELECT x FROM nowhere", ()).await.unwrap_err().to_string();
    assert!(error.contains("ProxySQL Admin Error: no such table: nowhere"), "{error}");
    let shown: Vec<String> = conn.exec("SHOW TABLES LIKE 'mysql\\_users'", ()).await.unwrap_or_default();
    assert!(shown.is_empty() || shown == ["mysql_users"]);
}

#[tokio::test]
async fn what_connectors_and_tools_say_is_understood() {
    let router = without_servers("");
    let mut conn = connect(&router, "admin").await;
    run(
        &mut conn,
        &[
            "SET NAMES utf8mb4",
            "SET AUTOCOMMIT=1",
            "SET SESSION sql_mode='ANSI'",
            "/*!40101 SET NAMES utf8 */",
            "START TRANSACTION",
            "COMMIT",
            "ROLLBACK",
            "USE stats",
            "USE main",
        ],
    )
    .await;
    for (sql, want) in [
        ("SELECT @@version_comment LIMIT 1", "Switchboard admin port"),
        ("SELECT @@max_allowed_packet", "67108864"),
        ("SELECT @@global.read_only", "0"),
        ("SELECT DATABASE()", "main"),
        ("SELECT USER()", "admin@127.0.0.1"),
        ("SELECT @@mysql-threads > 0", "1"),
        ("SELECT CONCAT('a', IF(1, 'b', 'c'))", "ab"),
        ("SELECT 'a' /* comment */ -- another", "a"),
        ("SELECT `hostname` FROM `mysql_servers` WHERE `port` = \"1\"", "127.0.0.1"),
    ] {
        assert_eq!(rows(&mut conn, sql).await, [want], "{sql}");
    }
    let version = rows(&mut conn, "SELECT @@admin-version").await;
    assert!(version[0].starts_with("2.") && version[0].contains("switchboard"), "{version:?}");
    assert_eq!(columns(&mut conn, "SELECT @@admin-version").await, ["@@admin-version"]);
    assert_eq!(columns(&mut conn, "SELECT version()").await, ["version()"]);
    assert_eq!(columns(&mut conn, "SHOW TABLES").await, ["tables"]);
    assert_eq!(rows(&mut conn, "SHOW TABLES LIKE 'mysql_u%'").await, ["mysql_users"]);
    assert_eq!(rows(&mut conn, "SHOW TABLES FROM stats LIKE '%digest'").await, ["stats_mysql_query_digest"]);
    assert_eq!(columns(&mut conn, "SHOW DATABASES").await, ["seq", "name", "file"]);
    assert_eq!(columns(&mut conn, "SHOW CREATE TABLE mysql_users").await, ["table", "Create Table"]);
    let create = rows(&mut conn, "SHOW CREATE TABLE stats.stats_mysql_users").await;
    assert!(create[0].contains("CREATE TABLE stats_mysql_users"), "{create:?}");
    assert_eq!(columns(&mut conn, "SHOW GLOBAL VARIABLES").await, ["Variable_name", "Value"]);
    assert_eq!(rows(&mut conn, "SHOW VARIABLES LIKE 'mysql-max_connections'").await, ["mysql-max_connections|100000"]);
    let jdbc = "SHOW VARIABLES WHERE Variable_name ='wait_timeout' OR Variable_name = 'net_write_timeout'";
    assert_eq!(rows(&mut conn, jdbc).await, ["net_write_timeout|60", "wait_timeout|28800"]);
    assert!(rows(&mut conn, "SHOW ADMIN VARIABLES").await.iter().all(|row| row.starts_with("admin-")));
    assert!(rows(&mut conn, "SHOW MYSQL STATUS").await.iter().any(|row| row.starts_with("ProxySQL_Uptime|")));
    assert_eq!(
        columns(&mut conn, "SHOW PROCESSLIST").await,
        ["SessionID", "user", "db", "hostgroup", "command", "time_ms", "info"]
    );
    assert_eq!(columns(&mut conn, "SHOW FULL PROCESSLIST").await.len(), 16);
    assert_eq!(columns(&mut conn, "SHOW WARNINGS").await, ["Level", "Code", "Message"]);
    assert!(rows(&mut conn, "DESCRIBE mysql_users").await[0].starts_with("username|VARCHAR|NO|PRI"));
    assert!(rows(&mut conn, "SHOW PROMETHEUS METRICS").await[0].contains("switchboard_uptime_seconds"));
}

/// The questions of D5: dolphie, proxysql_exporter and PMM, Ansible.
#[tokio::test]
async fn the_questions_of_tools_are_answered() {
    let router = without_servers("[[rule]]\nrule_id = 1\nmatch_digest = \"x\"\ndestination_hostgroup = 20\n");
    let mut conn = connect(&router, "admin").await;
    let mut stats = connect(&router, "stats").await;
    for sql in [
        "SELECT * FROM stats_mysql_global",
        "SELECT Variable_Name, Variable_Value FROM stats_mysql_global",
        "SELECT SUM(ConnUsed) AS used FROM stats_mysql_connection_pool",
        "SELECT hostgroup, srv_host, srv_port, * FROM stats_mysql_connection_pool",
        "SELECT user, hostgroup, srv_host, srv_port, COUNT(*) AS connection_count FROM stats_mysql_processlist \
         GROUP BY user, hostgroup, srv_host, srv_port",
        "SELECT * FROM stats_mysql_commands_counters WHERE Command IN ('SELECT', 'INSERT')",
        "SELECT Variable_Name, Variable_Value FROM stats_memory_metrics ORDER BY CAST(Variable_Value AS SIGNED) DESC",
        "SELECT hostgroup, hostname, port, username, errno, SUM(count_star) FROM stats_mysql_errors GROUP BY 1, 2, 3, 4, 5",
        "SHOW GLOBAL VARIABLES",
        "SELECT * FROM monitor.mysql_server_ping_log",
    ] {
        assert_eq!(columns(&mut conn, sql).await, columns(&mut stats, sql).await, "{sql}");
    }
    let joined =
        "SELECT h.*, s.hits FROM runtime_mysql_query_rules h LEFT JOIN stats_mysql_query_rules s USING (rule_id)";
    assert!(rows(&mut conn, joined).await[0].ends_with("|0"));
    let users = "SELECT u.username, frontend_connections FROM stats_mysql_users u \
                 JOIN runtime_mysql_users r ON u.username = r.username WHERE r.frontend = 1";
    assert_eq!(rows(&mut conn, users).await, ["app|0"]);
    let servers =
        columns(&mut conn, "SELECT hostgroup_id, hostname, port, gtid_port, * FROM runtime_mysql_servers").await;
    assert_eq!(servers[..6], ["hostgroup_id", "hostname", "port", "gtid_port", "hostgroup_id", "hostname"]);
    let pool = "SELECT p.hostgroup, p.srv_port, s.max_connections FROM stats_mysql_connection_pool p \
                LEFT JOIN runtime_mysql_servers s ON p.hostgroup = s.hostgroup_id AND p.srv_host = s.hostname \
                AND p.srv_port = s.port ORDER BY 1";
    assert_eq!(rows(&mut conn, pool).await, ["10|1|1000", "20|2|1000"]);
    // The backends are not there, which the checks find out.
    wait_until("the checks take the backends for down", Duration::from_secs(10), || {
        let (_, said) = mariadb(&router, "stats", &["-N", "-B"], "SELECT status FROM stats_mysql_connection_pool;");
        said == "SHUNNED\nSHUNNED\n"
    });
    let health = "SELECT to_state, COUNT(*) FROM monitor.switchboard_health_log WHERE to_state = 'down' GROUP BY 1";
    assert_eq!(rows(&mut stats, health).await, ["down|2"]);
    let failed = "SELECT COUNT(*) > 0 FROM monitor.mysql_server_connect_log WHERE connect_error IS NOT NULL";
    assert_eq!(rows(&mut stats, failed).await, ["1"]);
}

#[tokio::test]
async fn errors_are_proxysqls_and_change_nothing() {
    let router = without_servers("");
    let mut conn = connect(&router, "admin").await;
    let before = rows(&mut conn, "SELECT * FROM mysql_servers").await;
    for (sql, text) in [
        ("SELEC 1", "near \"SELEC\": syntax error"),
        ("INSERT INTO mysql_servers (hostgroup_id, hostname, port) VALUES (1, 'x', 99999)", "CHECK constraint failed"),
        ("INSERT INTO mysql_servers VALUES (1)", "has 12 columns"),
        ("LOAD MYSQL SERVERS TO DISK", "syntax error"),
        ("PROXYSQL DANCE", "is ProxySQL's, and not known here"),
        ("SAVE CONFIG TO FILE /tmp/x", "writes no files"),
    ] {
        let (code, message) = refused(&mut conn, sql).await;
        assert_eq!(code, 1045, "{sql}");
        assert!(message.starts_with("ProxySQL Admin Error: ") && message.contains(text), "{sql}: {message}");
    }
    assert_eq!(refused(&mut conn, "SET mysql-nonsense=1").await.0, 1193);
    assert_eq!(refused(&mut conn, "USE nowhere").await.0, 1049);
    assert_eq!(refused(&mut conn, "KILL CONNECTION 4000000").await.0, 1094);
    assert_eq!(rows(&mut conn, "SELECT * FROM mysql_servers").await, before);
}

#[tokio::test]
async fn roles_end_where_they_end() {
    let router = without_servers("");
    let (mut stats, mut ops) = (connect(&router, "stats").await, connect(&router, "ops").await);
    assert_eq!(rows(&mut stats, "SELECT DATABASE()").await, ["stats"]);
    assert!(rows(&mut stats, "SHOW TABLES").await.contains(&"stats_mysql_global".to_owned()));
    for sql in [
        "SELECT * FROM mysql_users",
        "SELECT * FROM runtime_mysql_users",
        "SHOW MYSQL USERS",
        "SHOW CREATE TABLE main.mysql_users",
        "LOAD MYSQL SERVERS TO RUNTIME",
        "PROXYSQL PAUSE",
        "SET mysql-max_connections=1",
        "KILL CONNECTION 1",
        "SELECT CONFIG FILE",
        "EXPLAIN ROUTE SELECT 1",
        "ROLLBACK CONFIG TO VERSION 1",
        "CHECKSUM MYSQL USERS",
        "TRUNCATE stats_mysql_query_digest",
    ] {
        refused(&mut stats, sql).await;
    }
    assert_eq!(rows(&mut ops, "SELECT username, password, attributes FROM mysql_users").await, ["app|NULL|NULL"]);
    for sql in [
        "UPDATE mysql_users SET active = 0",
        "DELETE FROM mysql_query_rules",
        "UPDATE mysql_servers SET max_connections = 1",
        "LOAD MYSQL QUERY RULES TO RUNTIME",
        "SAVE MYSQL SERVERS TO DISK",
        "PROXYSQL SHUTDOWN",
        "SET mysql-max_connections=1",
        "ROLLBACK CONFIG TO VERSION 1",
    ] {
        refused(&mut ops, sql).await;
    }
    let config = rows(&mut ops, "SELECT CONFIG FILE").await.join("\n");
    assert!(config.contains("sdc_master") && !config.contains("app-secret") && !config.contains("ops-pw"), "{config}");
}

#[tokio::test]
async fn connections_results_and_time_are_bounded() {
    let bounds = "max_connections = 2\nstatement_timeout = \"100ms\"\nmax_result = \"64KiB\"\n\n[[admin.user]]";
    let config = admin_support::process("").replacen("\n[[admin.user]]", bounds, 1);
    let router = Router::with_config(&config, &[("estate.toml", &admin_support::estate(1, 2, ""))]);
    let (mut first, second) = (connect(&router, "stats").await, connect(&router, "stats").await);
    let (good, said) = mariadb(&router, "stats", &[], "SELECT 1;");
    assert!(!good && said.contains("1040"), "{said}");
    second.disconnect().await.unwrap();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
    assert!(refused(&mut first, endless).await.1.contains("statement_timeout"));
    assert!(refused(&mut first, &endless.replace("COUNT(*)", "i")).await.1.contains("max_result"));
    assert_eq!(rows(&mut first, "SELECT 1; SELECT 2").await, ["1"], "and it goes on");
    wait_until("a place is free again", Duration::from_secs(5), || mariadb(&router, "stats", &[], "SELECT 1;").0);
}

/// More than a pipe holds, for a client that reads nothing: the write to it always breaks.
#[tokio::test]
async fn a_client_that_ends_before_it_reads_is_judged_by_what_it_said() {
    let (good, said) = mariadb(&admin_support::without_servers(""), "stats", &["--version"], &"-".repeat(1 << 20));
    assert!(good && said.contains("MariaDB"), "{said}");
}

#[tokio::test]
async fn without_accounts_the_port_is_not_served_and_the_start_says_so() {
    let config = admin_support::process("").split("[[admin.user]]").next().unwrap().to_owned();
    let router = Router::with_config(&config, &[("estate.toml", &admin_support::estate(1, 2, ""))]);
    let said = "the admin port is not served: nobody may sign in there";
    wait_until("it is said", Duration::from_secs(5), || router.log().contains(said));
    assert!(std::net::TcpStream::connect(router.admin()).is_err());
}

#[tokio::test]
async fn who_may_write_may_administer_where_flags_say_it_all() {
    let router = Router::start(&["--writer", "mysql://app:app-pw@127.0.0.1:1", "--admin", "{admin}"]);
    let mut conn = connect(&router, "app").await;
    assert_eq!(rows(&mut conn, "SELECT username, password FROM mysql_users").await, ["app|env:SWITCHBOARD_PASSWORD"]);
    run(&mut conn, &["SET mysql-wait_timeout=60000", "LOAD MYSQL VARIABLES TO RUNTIME"]).await;
    assert_eq!(
        rows(
            &mut conn,
            "SELECT variable_value FROM runtime_global_variables WHERE variable_name = 'mysql-wait_timeout'"
        )
        .await,
        ["60000"]
    );
    let (_, message) = refused(&mut conn, "SAVE MYSQL VARIABLES TO DISK").await;
    assert!(message.contains("started without a configuration file"), "{message}");
}

#[tokio::test]
async fn statements_and_sessions_are_counted() {
    let (router, (master, _)) = with_servers("");
    let mut conn = connect(&router, "admin").await;
    let schema = master.scratch_schema().unwrap();
    let mut client = Conn::from_url(traffic(&router, &schema)).await.unwrap();
    client.query_drop("CREATE TABLE t (id INT)").await.unwrap();
    for _ in 0..3 {
        client.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
    }
    let digest =
        "SELECT username, count_star, digest_text FROM stats_mysql_query_digest WHERE digest_text LIKE 'INSERT%'";
    // An answer is counted once it has gone out.
    wait_until("three are counted", Duration::from_secs(5), || {
        let (_, said) = mariadb(
            &router,
            "stats",
            &["-N", "-B"],
            "SELECT count_star FROM stats_mysql_query_digest WHERE digest_text LIKE 'INSERT%';",
        );
        said.contains("3\n")
    });
    assert_eq!(rows(&mut conn, digest).await, ["app|3|INSERT INTO t VALUES (?)"]);
    let session = "SELECT SessionID, user, db, command FROM stats_mysql_processlist";
    let shown = rows(&mut conn, session).await;
    let number = shown[0].split('|').next().unwrap().to_owned();
    assert_eq!(shown, [format!("{number}|app|{schema}|Sleep")]);
    assert_eq!(rows(&mut conn, "SELECT frontend_connections FROM stats_mysql_users").await, ["1"]);
    assert_eq!(
        rows(&mut conn, "SELECT SUM(Queries) > 0 FROM stats_mysql_connection_pool WHERE hostgroup = 10").await,
        ["1"]
    );
    // Reading a _reset table gives what was there, and begins anew.
    assert_eq!(rows(&mut conn, &digest.replace("query_digest", "query_digest_reset")).await.len(), 1);
    assert!(rows(&mut conn, digest).await.is_empty());
    conn.query_drop(format!("KILL CONNECTION {number}")).await.unwrap();
    assert!(client.ping().await.is_err(), "an operator ends anybody's session");
    wait_until("it is gone", Duration::from_secs(5), || {
        let (_, said) = mariadb(&router, "stats", &["-N", "-B"], "SELECT COUNT(*) FROM stats_mysql_processlist;");
        said == "0\n"
    });
}

#[tokio::test]
async fn pause_resume_and_shutdown() {
    let (mut router, _) = with_servers("");
    let mut conn = connect(&router, "admin").await;
    let url = traffic(&router, "");
    let mut old = Conn::from_url(&url).await.unwrap();
    run(&mut conn, &["PROXYSQL PAUSE"]).await;
    let paused = loop {
        // The order is carried out by another thread.
        match Conn::from_url(&url).await {
            Err(error) => break error.to_string(),
            Ok(conn) => conn.disconnect().await.unwrap(),
        }
    };
    assert!(paused.contains("an operator paused this router"), "{paused}");
    let one: Option<u8> = old.query_first("SELECT 1").await.unwrap();
    assert_eq!(one, Some(1), "those who are there go on");
    run(&mut conn, &["PROXYSQL RESUME"]).await;
    while Conn::from_url(&url).await.is_err() {}
    assert_eq!(rows(&mut conn, "PROXYSQL FLUSH LOGS; SHOW WARNINGS").await.len(), 0);
    old.disconnect().await.unwrap();
    run(&mut conn, &["PROXYSQL SHUTDOWN SLOW"]).await;
    let mut status = None;
    wait_until("it ends", Duration::from_secs(20), || {
        status = router.ended();
        status.is_some()
    });
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_row_that_was_given_no_number_says_which_it_got() {
    let router = without_servers("");
    let mut conn = connect(&router, "admin").await;
    for (statement, id) in [
        ("INSERT INTO mysql_query_rules (rule_id, active) VALUES (41, 1)", Some(41)),
        ("INSERT INTO mysql_query_rules (active, match_digest) VALUES (1, 'x')", Some(42)),
        ("/* a tool */ INSERT INTO scheduler (interval_ms, filename) VALUES (1000, '/bin/true')", Some(1)),
        ("UPDATE mysql_query_rules SET active = 0", None),
        ("DELETE FROM mysql_query_rules", None),
        ("INSERT INTO mysql_query_rules (active) SELECT 1 WHERE 1 = 2", None),
    ] {
        run(&mut conn, &[statement]).await;
        assert_eq!(conn.last_insert_id(), id, "{statement}");
    }
}
