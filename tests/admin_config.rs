//! The configuration through the admin port: the estate's own statements, what takes effect and what is refused, files that
//! keep their comments, two people at once, history.

mod admin_support;
mod common;

use admin_support::{columns, connect, mariadb, refused, rows, run, traffic, with_servers, without_servers};
use common::{Router, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::time::Duration;

/// The estate's own document, word for word.
const ESTATE: &str = "
INSERT INTO mysql_query_rules (rule_id, active, match_pattern, destination_hostgroup, apply)
VALUES
  -- Route writes to on-prem master
  (1, 1, '^INSERT|^UPDATE|^DELETE', 10, 1),
  -- Route historical reads to Aurora
  (2, 1, 'WHERE.*date.*<.*DATE_SUB', 20, 1),
  -- Route all other reads to Aurora
  (3, 1, '^SELECT', 20, 1);

-- Host groups
-- 10 = On-premise BigDB master
-- 20 = Aurora MySQL cluster
";

fn estate_file(router: &Router) -> String {
    std::fs::read_to_string(router.dir().join("rules/estate.toml")).unwrap()
}

/// A fact of EXPLAIN ROUTE.
async fn fact(conn: &mut Conn, statement: &str, fact: &str) -> String {
    let rows = rows(conn, &format!("EXPLAIN ROUTE {statement}")).await;
    let found = rows.iter().find_map(|row| row.strip_prefix(&format!("{fact}|")));
    found.unwrap_or_else(|| panic!("{fact} in {rows:?}")).to_owned()
}

#[tokio::test]
async fn the_estates_own_statements_do_what_they_did() {
    let (router, (master, replica)) = with_servers("");
    let schema = master.scratch_schema().unwrap();
    let (good, said) = mariadb(&router, "admin", &[], &format!("{ESTATE} LOAD MYSQL QUERY RULES TO RUNTIME;"));
    assert!(good, "{said}");
    let mut conn = connect(&router, "admin").await;
    assert_eq!(
        rows(&mut conn, "SELECT rule_id, match_pattern, destination_hostgroup FROM runtime_mysql_query_rules").await,
        ["1|^INSERT|^UPDATE|^DELETE|10", "2|WHERE.*date.*<.*DATE_SUB|20", "3|^SELECT|20"]
    );
    // Where statements run is the servers' word.
    let mut client = Conn::from_url(traffic(&router, &schema)).await.unwrap();
    client.query_drop("CREATE TABLE t (id INT, at DATETIME)").await.unwrap();
    client.query_drop("INSERT INTO t VALUES (1, NOW()) /* 'estate_insert' */").await.unwrap();
    let position = master.value("SELECT @@gtid_binlog_pos").unwrap();
    replica.value(&format!("SELECT MASTER_GTID_WAIT('{position}', 10)")).unwrap();
    client.query_drop("SELECT 'estate_read' FROM t").await.unwrap();
    client.query_drop("SELECT 'estate_lock' FROM t FOR UPDATE").await.unwrap();
    assert!(master.saw("estate_insert").unwrap() && !replica.saw("estate_insert").unwrap());
    assert!(replica.saw("estate_read").unwrap() && !master.saw("estate_read").unwrap());
    assert!(master.saw("estate_lock").unwrap() && !replica.saw("estate_lock").unwrap());
    assert_eq!(fact(&mut conn, "SELECT * FROM t WHERE date < DATE_SUB(NOW(), INTERVAL 90 DAY)", "rule").await, "2");
    assert_eq!(fact(&mut conn, "UPDATE t SET id = 2 AS app@cdr", "hostgroups").await, "10");
}

#[tokio::test]
async fn fast_routes_are_in_effect_and_come_back_from_the_file() {
    let (router, (master, replica)) = with_servers("");
    let schema = master.scratch_schema().unwrap();
    let position = master.value("SELECT @@gtid_binlog_pos").unwrap();
    replica.value(&format!("SELECT MASTER_GTID_WAIT('{position}', 10)")).unwrap();
    // Open before: a session's next statement goes by the version that is in effect then.
    let mut client = Conn::from_url(traffic(&router, &schema)).await.unwrap();
    client.query_drop("SELECT 'fast_before'").await.unwrap();
    let mut conn = connect(&router, "admin").await;
    let insert = format!(
        "INSERT INTO mysql_query_rules_fast_routing (username, schemaname, flagIN, destination_hostgroup, comment) \
         VALUES ('app', '{schema}', 0, 20, 'shard'), ('', '{schema}', 3, 10, '')"
    );
    run(&mut conn, &[&insert, "LOAD MYSQL QUERY RULES TO RUNTIME"]).await;
    assert!(rows(&mut conn, "SHOW WARNINGS").await.is_empty());
    client.query_drop("SELECT 'fast_after'").await.unwrap();
    client.query_drop("SELECT GET_LOCK('fast_lock', 0)").await.unwrap();
    assert!(master.saw("fast_before").unwrap() && !replica.saw("fast_before").unwrap());
    assert!(replica.saw("fast_after").unwrap() && !master.saw("fast_after").unwrap());
    assert!(master.saw("fast_lock").unwrap() && !replica.saw("fast_lock").unwrap(), "unsafe on a reader");
    let reason = fact(&mut conn, &format!("SELECT 1 AS app@{schema}"), "reason").await;
    assert_eq!(reason, format!("the fast route of app in schema {schema} (shard)"));
    run(&mut conn, &["SAVE MYSQL QUERY RULES TO DISK"]).await;
    let file = estate_file(&router);
    let entry =
        |user: &str, rest: &str| format!("[[fast_route]]\nusername = \"{user}\"\nschemaname = \"{schema}\"\n{rest}");
    assert!(file.contains(&entry("app", "destination_hostgroup = 20\ncomment = \"shard\"\n")), "{file}");
    assert!(file.contains(&entry("", "flagIN = 3\ndestination_hostgroup = 10\n")), "{file}");
    let checksum = "SELECT checksum FROM runtime_checksums_values WHERE name = 'mysql_query_rules'";
    let before = rows(&mut conn, checksum).await;
    run(
        &mut conn,
        &[
            "UPDATE mysql_query_rules_fast_routing SET destination_hostgroup = 10 WHERE flagIN = 0",
            "DELETE FROM mysql_query_rules_fast_routing WHERE flagIN = 3",
            "LOAD MYSQL QUERY RULES TO RUNTIME",
            "SAVE MYSQL QUERY RULES TO DISK",
        ],
    )
    .await;
    assert_ne!(rows(&mut conn, checksum).await, before);
    client.query_drop("SELECT 'fast_again'").await.unwrap();
    assert!(master.saw("fast_again").unwrap() && !replica.saw("fast_again").unwrap());
    let file = estate_file(&router);
    assert_eq!(file.matches("[[fast_route]]").count(), 1, "{file}");
    assert!(file.contains(&entry("app", "destination_hostgroup = 10\ncomment = \"shard\"\n")), "{file}");
    for table in ["main.runtime_mysql_query_rules_fast_routing", "disk.mysql_query_rules_fast_routing"] {
        assert_eq!(rows(&mut conn, &format!("SELECT * FROM {table}")).await, [format!("app|{schema}|0|10|shard")]);
    }
}

#[tokio::test]
async fn a_session_that_is_open_sees_the_next_version_and_does_not_drop() {
    let (router, (master, _)) = with_servers("");
    let schema = master.scratch_schema().unwrap();
    let mut client = Conn::from_url(traffic(&router, &schema)).await.unwrap();
    let id = client.id();
    let mut conn = connect(&router, "admin").await;
    for text in ["one", "two"] {
        let rule = format!(
            "REPLACE INTO mysql_query_rules (rule_id, active, match_digest, error_msg, apply) VALUES (1, 1, 'SLEEP', '{text}', 1)"
        );
        run(&mut conn, &[&rule, "LOAD MYSQL QUERY RULES TO RUNTIME"]).await;
        let error = client.query_drop("SELECT SLEEP(0)").await.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    run(&mut conn, &["DELETE FROM mysql_query_rules WHERE rule_id = 1", "LOAD MYSQL QUERY RULES TO RUNTIME"]).await;
    client.query_drop("SELECT SLEEP(0)").await.unwrap();
    assert_eq!(client.id(), id);
}

#[tokio::test]
async fn a_load_is_whole_or_not_at_all_and_names_the_row() {
    let router = without_servers("[[rule]]\nrule_id = 7\ndestination_hostgroup = 10\napply = true\n");
    let mut conn = connect(&router, "admin").await;
    let runtime = "SELECT rule_id, match_pattern, destination_hostgroup FROM runtime_mysql_query_rules";
    let versions = "SELECT COUNT(*) FROM switchboard_config_history";
    for (edit, undo, unit, want) in [
        (
            "INSERT INTO mysql_query_rules (rule_id, active, match_pattern, destination_hostgroup) VALUES (5, 1, 'a(', 10), (6, 1, 'b', 20)",
            "DELETE FROM mysql_query_rules WHERE rule_id <> 7",
            "MYSQL QUERY RULES",
            "mysql_query_rules rule_id=5: [[rule]] match_pattern: ",
        ),
        (
            "UPDATE mysql_query_rules SET destination_hostgroup = 99",
            "UPDATE mysql_query_rules SET destination_hostgroup = 10",
            "MYSQL QUERY RULES",
            "mysql_query_rules rule_id=7: [[rule]] destination_hostgroup: ",
        ),
        (
            "INSERT INTO mysql_query_rules_fast_routing (username, schemaname, destination_hostgroup) VALUES ('app', 'a', 10), ('', 'b', 98)",
            "DELETE FROM mysql_query_rules_fast_routing",
            "MYSQL QUERY RULES",
            "mysql_query_rules_fast_routing username='' schemaname='b' flagIN=0: [[fast_route]] destination_hostgroup: ",
        ),
        (
            "INSERT INTO mysql_users (username, password, default_hostgroup) VALUES ('new', 'x', 77)",
            "DELETE FROM mysql_users WHERE username = 'new'",
            "MYSQL USERS",
            "mysql_users username='new': [[user]] default_hostgroup: ",
        ),
        (
            "UPDATE mysql_servers SET max_connections = 0 WHERE hostgroup_id = 20",
            "UPDATE mysql_servers SET max_connections = 1000",
            "MYSQL SERVERS",
            "mysql_servers hostgroup_id=20 hostname='127.0.0.1' port=2: [[backend]] max_connections: ",
        ),
        (
            "INSERT INTO mysql_servers (hostgroup_id, hostname, port) VALUES (20, 'no host', 3307)",
            "DELETE FROM mysql_servers WHERE port = 3307",
            "MYSQL SERVERS",
            "mysql_servers hostgroup_id=20 hostname='no host' port=3307: [[backend]] address: ",
        ),
        (
            "UPDATE switchboard_hostgroups SET check_read_only = 1 WHERE hostgroup_id = 20",
            "UPDATE switchboard_hostgroups SET check_read_only = NULL",
            "MYSQL SERVERS",
            "switchboard_hostgroups hostgroup_id=20: [[hostgroup]] check_read_only: is for writers",
        ),
        (
            "UPDATE global_variables SET variable_value = 'x' WHERE variable_name = 'mysql-max_connections'",
            "UPDATE global_variables SET variable_value = '100000' WHERE variable_name = 'mysql-max_connections'",
            "MYSQL VARIABLES",
            "global_variables variable_name='mysql-max_connections': `x` is no number",
        ),
    ] {
        let before = (rows(&mut conn, runtime).await, rows(&mut conn, versions).await, estate_file(&router));
        run(&mut conn, &[edit]).await;
        for verb in [format!("LOAD {unit} TO RUNTIME"), format!("SAVE {unit} TO DISK")] {
            let (code, message) = refused(&mut conn, &verb).await;
            assert!(code == 1045 && message.contains(want), "{verb}: {message}");
        }
        assert_eq!((rows(&mut conn, runtime).await, rows(&mut conn, versions).await, estate_file(&router)), before);
        run(&mut conn, &[undo]).await;
    }
    let last = "DELETE FROM mysql_servers";
    run(&mut conn, &[last]).await;
    let (_, message) = refused(&mut conn, "LOAD MYSQL SERVERS TO RUNTIME").await;
    assert!(message.contains("there is no [[backend]]"), "{message}");
}

#[tokio::test]
async fn saving_keeps_comments_and_is_not_taken_for_somebody_elses_edit() {
    let router =
        without_servers("# the rest\n[[rule]]\nrule_id = 7   # seven\ndestination_hostgroup = 10\napply = true\n");
    let mut conn = connect(&router, "admin").await;
    let before = estate_file(&router);
    run(
        &mut conn,
        &[
            "UPDATE mysql_servers SET weight = 5, comment = 'near' WHERE hostgroup_id = 20",
            "UPDATE mysql_query_rules SET match_digest = '^x' WHERE rule_id = 7",
            "SAVE MYSQL SERVERS TO DISK",
            "SAVE MYSQL QUERY RULES TO DISK",
        ],
    )
    .await;
    let after = estate_file(&router);
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let added: Vec<&&str> = new.iter().filter(|line| !old.contains(line)).collect();
    assert_eq!(added, [&"weight = 5", &"comment = \"near\"", &"match_digest = \"^x\""]);
    assert!(old.iter().all(|line| new.contains(line)), "{after}");
    // Saved is not loaded: the watcher of the files must not take it for a change.
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(rows(&mut conn, "SELECT version, source FROM switchboard_config_history").await, ["1|start"]);
    assert_eq!(rows(&mut conn, "SELECT weight FROM runtime_mysql_servers WHERE hostgroup_id = 20").await, ["1"]);
    assert_eq!(rows(&mut conn, "SELECT weight FROM disk.mysql_servers WHERE hostgroup_id = 20").await, ["5"]);
    run(&mut conn, &["LOAD ALL TO RUNTIME"]).await;
    assert_eq!(rows(&mut conn, "SELECT weight FROM runtime_mysql_servers WHERE hostgroup_id = 20").await, ["5"]);
    let sums = [rows(&mut conn, "CHECKSUM MYSQL SERVERS").await, rows(&mut conn, "CHECKSUM DISK MYSQL SERVERS").await];
    assert_eq!(sums[0], sums[1]);
    assert_eq!(columns(&mut conn, "CHECKSUM MYSQL SERVERS").await, ["table", "checksum"]);
}

#[tokio::test]
async fn an_edited_file_shows_in_runtime_and_where_nobody_edits_in_memory() {
    let rule = |digest: &str| {
        format!("[[rule]]\nrule_id = 7\nmatch_digest = \"{digest}\"\ndestination_hostgroup = 10\napply = true\n")
    };
    let router = without_servers(&rule("one"));
    let mut conn = connect(&router, "admin").await;
    run(&mut conn, &["INSERT INTO mysql_query_rules (rule_id, active, match_digest, destination_hostgroup) VALUES (9, 1, 'mine', 20)"]).await;
    let wait = |version: &'static str| {
        wait_until("the reload", Duration::from_secs(10), || {
            let (_, said) = mariadb(
                &router,
                "admin",
                &["-N", "-B"],
                "SELECT MAX(version), (SELECT COUNT(*) FROM switchboard_config_history) FROM switchboard_config_history;",
            );
            said.starts_with(version)
        });
    };
    router.write_rules("estate.toml", &admin_support::estate(1, 2, &rule("two")));
    wait("2\t");
    let digests = "SELECT rule_id, match_digest FROM runtime_mysql_query_rules ORDER BY 1";
    assert_eq!(rows(&mut conn, digests).await, ["7|two"]);
    assert_eq!(rows(&mut conn, &digests.replace("runtime_", "")).await, ["7|two", "9|mine"], "both edits");
    // The same row, here and there.
    run(&mut conn, &["UPDATE mysql_query_rules SET match_digest = 'here' WHERE rule_id = 7"]).await;
    router.write_rules("estate.toml", &admin_support::estate(1, 2, &rule("three")));
    wait("3\t");
    for command in ["LOAD MYSQL QUERY RULES TO RUNTIME", "SAVE MYSQL QUERY RULES TO DISK"] {
        let (_, message) = refused(&mut conn, command).await;
        assert!(message.contains("conflict: mysql_query_rules (7) changed here, and in effect meanwhile"), "{message}");
    }
    assert_eq!(rows(&mut conn, digests).await, ["7|three"]);
    run(&mut conn, &["SAVE MYSQL QUERY RULES TO MEMORY", "LOAD MYSQL QUERY RULES TO RUNTIME"]).await;
    assert_eq!(rows(&mut conn, &digests.replace("runtime_", "")).await, ["7|three"]);
}

#[tokio::test]
async fn nobodys_work_is_lost_between_files_and_port() {
    let rule = |digest: &str| {
        format!("[[rule]]\nrule_id = 7\nmatch_digest = \"{digest}\"\ndestination_hostgroup = 10\napply = true\n")
    };
    let router = without_servers(&rule("one"));
    let mut conn = connect(&router, "admin").await;
    run(&mut conn, &["UPDATE mysql_query_rules SET match_digest = 'port'", "LOAD MYSQL QUERY RULES TO RUNTIME"]).await;
    // A file that changes does not undo what was loaded and not saved.
    router.write_rules("estate.toml", &admin_support::estate(1, 2, &rule("file")));
    wait_until("the refusal", Duration::from_secs(10), || router.log().contains("nothing was reloaded"));
    let digests = "SELECT match_digest FROM runtime_mysql_query_rules";
    assert_eq!(rows(&mut conn, digests).await, ["port"]);
    let (_, message) = refused(&mut conn, "PROXYSQL RELOAD TLS").await;
    assert!(message.contains("is in effect and not in the files"), "{message}");
    // And what was loaded does not overwrite the file.
    let (_, message) = refused(&mut conn, "SAVE MYSQL QUERY RULES TO DISK").await;
    assert!(message.contains("conflict: ") && message.contains("estate.toml was changed on disk"), "{message}");
    assert!(estate_file(&router).contains("\"file\""));
    run(&mut conn, &["LOAD MYSQL QUERY RULES FROM DISK"]).await;
    assert_eq!(rows(&mut conn, &digests.replace("runtime_", "")).await, ["file"]);
    run(&mut conn, &["LOAD MYSQL QUERY RULES TO RUNTIME"]).await;
    assert_eq!(rows(&mut conn, digests).await, ["file"]);
    run(&mut conn, &["PROXYSQL RELOAD TLS"]).await;
    // Two operators: the second's LOAD carries both edits.
    let mut other = connect(&router, "admin").await;
    run(&mut conn, &["INSERT INTO mysql_query_rules (rule_id, active, destination_hostgroup) VALUES (20, 1, 10)"])
        .await;
    run(&mut other, &["INSERT INTO mysql_query_rules (rule_id, active, destination_hostgroup) VALUES (21, 1, 10)"])
        .await;
    run(&mut other, &["LOAD MYSQL QUERY RULES TO RUNTIME"]).await;
    assert_eq!(rows(&mut conn, "SELECT rule_id FROM runtime_mysql_query_rules").await, ["7", "20", "21"]);
}

#[tokio::test]
async fn taking_one_unit_from_a_file_does_not_undo_what_it_says_of_another() {
    let router = without_servers("");
    let mut conn = connect(&router, "admin").await;
    run(&mut conn, &["UPDATE mysql_servers SET weight = 7", "LOAD MYSQL SERVERS TO RUNTIME"]).await;
    let edited = "[[backend]]\nhostgroup = 20\naddress = \"127.0.0.1:3\"\n\n[[user]]\nusername = \"ed\"\n\
                  password = \"x\"\ndefault_hostgroup = 10\n";
    router.write_rules("estate.toml", &admin_support::estate(1, 2, edited));
    wait_until("the refusal", Duration::from_secs(10), || router.log().contains("nothing was reloaded"));
    run(&mut conn, &["LOAD MYSQL USERS FROM DISK"]).await;
    let warnings = rows(&mut conn, "SHOW WARNINGS").await;
    assert!(warnings[0].contains("the files have news of MYSQL SERVERS too"), "{warnings:?}");
    let (_, message) = refused(&mut conn, "SAVE MYSQL SERVERS TO DISK").await;
    assert!(message.contains("conflict: "), "{message}");
    assert!(estate_file(&router).contains("127.0.0.1:3"), "the other server is still there");
    run(&mut conn, &["LOAD MYSQL SERVERS FROM DISK", "UPDATE mysql_servers SET weight = 9 WHERE port = 2"]).await;
    run(&mut conn, &["LOAD ALL TO RUNTIME", "SAVE ALL TO DISK"]).await;
    assert_eq!(rows(&mut conn, "SELECT port, weight FROM disk.mysql_servers").await, ["1|1", "2|9", "3|1"]);
    assert_eq!(rows(&mut conn, "SELECT username FROM runtime_mysql_users WHERE backend = 1").await, ["app", "ed"]);
}

#[tokio::test]
async fn every_version_is_kept_and_can_come_back() {
    let router = without_servers("");
    let mut conn = connect(&router, "admin").await;
    run(
        &mut conn,
        &[
            "INSERT INTO mysql_query_rules (rule_id, active, match_digest, destination_hostgroup, cache_ttl) VALUES (1, 1, 'a', 20, 5000)",
            "LOAD MYSQL QUERY RULES TO RUNTIME",
        ],
    )
    .await;
    let warnings = rows(&mut conn, "SHOW WARNINGS").await;
    assert_eq!(warnings, ["Warning|1105|mysql_query_rules rule_id=1: cache_ttl is kept and does nothing here"]);
    run(
        &mut conn,
        &[
            "INSERT INTO mysql_users (username, password, default_hostgroup) VALUES ('new', 'hunter2', 10)",
            "LOAD MYSQL USERS TO RUNTIME",
        ],
    )
    .await;
    let history = "SELECT version, author, source, `change` FROM switchboard_config_history";
    assert_eq!(
        rows(&mut conn, history).await,
        [
            "1|start|start|the start",
            "2|admin@127.0.0.1|port|LOAD MYSQL QUERY RULES TO RUNTIME",
            "3|admin@127.0.0.1|port|LOAD MYSQL USERS TO RUNTIME"
        ]
    );
    let diffs = rows(&mut conn, "SELECT diff FROM switchboard_config_history").await.join("\n");
    assert!(diffs.contains("+match_digest = \"a\"") && diffs.contains("+proxysql = { cache_ttl = 5000 }"), "{diffs}");
    assert!(diffs.contains("+username = \"new\"") && !diffs.contains("hunter2"), "{diffs}");
    let users = "SELECT username FROM runtime_mysql_users WHERE frontend = 1";
    assert_eq!(rows(&mut conn, users).await, ["app", "new"]);
    run(&mut conn, &["ROLLBACK CONFIG TO VERSION 1"]).await;
    assert_eq!(rows(&mut conn, users).await, ["app"]);
    assert!(rows(&mut conn, "SELECT * FROM runtime_mysql_query_rules").await.is_empty());
    assert!(rows(&mut conn, "SELECT * FROM mysql_query_rules").await.is_empty(), "memory follows");
    run(&mut conn, &["ROLLBACK CONFIG TO VERSION 3"]).await;
    assert_eq!(rows(&mut conn, users).await, ["app", "new"]);
    let (_, message) = refused(&mut conn, "ROLLBACK CONFIG TO VERSION 99").await;
    assert!(message.contains("version 99 is not kept: 1 to 5 are"), "{message}");
}

#[tokio::test]
async fn a_user_that_was_inserted_signs_in_and_no_secret_shows() {
    let (router, (master, _)) = with_servers("");
    master.sql("CREATE USER IF NOT EXISTS 'late'@'%' IDENTIFIED BY 'hunter2'").unwrap();
    master.sql("GRANT SELECT ON *.* TO 'late'@'%'").unwrap();
    let mut conn = connect(&router, "admin").await;
    run(
        &mut conn,
        &[
            "INSERT INTO mysql_users (username, password, default_hostgroup, max_connections) VALUES ('late', 'hunter2', 10, 5)",
            "LOAD MYSQL USERS TO RUNTIME",
            "SAVE MYSQL USERS TO DISK",
            "SET mysql-monitor_password='hunter3'",
        ],
    )
    .await;
    let url = traffic(&router, "").replace("app:app-secret", "late:hunter2");
    let mut client = Conn::from_url(url).await.unwrap();
    let one: Option<u8> = client.query_first("SELECT 1").await.unwrap();
    assert_eq!(one, Some(1));
    assert!(estate_file(&router).contains("password = \"hunter2\""), "as it was given");
    let mut seen = String::new();
    for sql in [
        "SELECT * FROM mysql_users",
        "SELECT * FROM runtime_mysql_users",
        "SELECT * FROM disk.mysql_users",
        "SELECT * FROM global_variables",
        "SELECT * FROM switchboard_config_history",
        "SELECT CONFIG FILE",
        "SHOW FULL PROCESSLIST",
    ] {
        seen.push_str(&rows(&mut conn, sql).await.join("\n"));
    }
    refused(&mut conn, "UPDATE mysql_users SET password = 'hunter4").await;
    seen.push_str(&router.log());
    for secret in ["hunter", "app-secret", "admin-pw"] {
        assert!(!seen.contains(secret), "{secret} shows");
    }
    let (_, said) = mariadb(
        &router,
        "stats",
        &["-N", "-B"],
        "SELECT variable_value FROM global_variables WHERE variable_name = 'mysql-monitor_password';",
    );
    assert!(said.starts_with("*** "), "{said}");
}

#[tokio::test]
async fn a_drained_server_takes_nothing_new_and_the_end_is_told() {
    let (router, (_, replica)) =
        with_servers("[[rule]]\nrule_id = 1\nreader_safe = true\ndestination_hostgroups = [20, 10]\napply = true\n");
    let mut ops = connect(&router, "ops").await;
    let mut client = Conn::from_url(traffic(&router, "")).await.unwrap();
    client.query_drop("SELECT 'before_drain'").await.unwrap();
    assert!(replica.saw("before_drain").unwrap());
    run(
        &mut ops,
        &["UPDATE mysql_servers SET status = 'OFFLINE_SOFT' WHERE hostgroup_id = 20", "LOAD MYSQL SERVERS TO RUNTIME"],
    )
    .await;
    client.query_drop("SELECT 'while_drained'").await.unwrap();
    assert!(!replica.saw("while_drained").unwrap());
    assert_eq!(
        rows(&mut ops, "SELECT status FROM runtime_mysql_servers WHERE hostgroup_id = 20").await,
        ["OFFLINE_SOFT"]
    );
    wait_until("the end of the drain", Duration::from_secs(10), || {
        router.log().contains("drained: no session uses it any more")
    });
    let draining = rows(&mut ops, "SELECT srv_port, status, sessions, done FROM switchboard_draining").await;
    assert_eq!(draining, [format!("{}|OFFLINE_SOFT|0|1", replica.port())]);
    run(&mut ops, &["UPDATE mysql_servers SET status = 'ONLINE'", "LOAD MYSQL SERVERS TO RUNTIME"]).await;
    client.query_drop("SELECT 'after_drain'").await.unwrap();
    assert!(replica.saw("after_drain").unwrap());
    assert!(rows(&mut ops, "SHOW DRAINING").await.is_empty());
}

#[tokio::test]
async fn a_warning_is_said_once_and_not_with_every_version() {
    let router = without_servers("");
    let mut conn = connect(&router, "admin").await;
    let said = |text: &str| router.log().matches(text).count();
    let versions = |count: usize| {
        let log = "configuration published";
        wait_until("it is published", Duration::from_secs(5), || said(log) == count);
    };
    let insert = "INSERT INTO mysql_users (username, password, default_hostgroup) VALUES";
    run(&mut conn, &[&format!("{insert} ('open', '', 10)"), "LOAD MYSQL USERS TO RUNTIME"]).await;
    versions(1);
    let open = "signs in without a password";
    assert_eq!(said(open), 1, "a new one is said");
    let at_start = said("a password stands in the file");
    assert!(at_start > 0, "the start says its own");
    run(&mut conn, &["UPDATE mysql_servers SET comment = 'x'", "LOAD MYSQL SERVERS TO RUNTIME"]).await;
    versions(2);
    assert_eq!((said(open), said("a password stands in the file")), (1, at_start), "nothing is said again");
    run(&mut conn, &[&format!("{insert} ('also', '', 10)"), "LOAD MYSQL USERS TO RUNTIME"]).await;
    versions(3);
    assert_eq!(said(open), 2, "and another of its kind is new");
}

#[tokio::test]
async fn a_rules_conditions_go_where_it_goes() {
    let rule = "[[rule]]\nrule_id = 1\nreader_safe = true\ndestination_hostgroups = [20, 10]\napply = true\n";
    let router = without_servers(rule);
    let mut conn = connect(&router, "admin").await;
    run(
        &mut conn,
        &["UPDATE mysql_query_rules SET rule_id = 7 WHERE rule_id = 1", "LOAD MYSQL QUERY RULES TO RUNTIME"],
    )
    .await;
    assert_eq!(rows(&mut conn, "SELECT rule_id, reader_safe FROM runtime_switchboard_rules").await, ["7|1"]);
    assert_eq!(fact(&mut conn, "SELECT a FROM t", "rule").await, "7");
    assert_eq!(fact(&mut conn, "SELECT a FROM t", "hostgroups").await, "20, 10");
    assert_eq!(fact(&mut conn, "DELETE FROM t", "rule").await, "none");
    // Another rule of the same number is another rule.
    run(
        &mut conn,
        &[
            "DELETE FROM mysql_query_rules",
            "INSERT INTO mysql_query_rules (rule_id, active, destination_hostgroup, apply) VALUES (7, 1, 10, 1)",
            "LOAD MYSQL QUERY RULES TO RUNTIME",
        ],
    )
    .await;
    assert!(rows(&mut conn, "SELECT * FROM switchboard_rules").await.is_empty());
    assert_eq!(fact(&mut conn, "DELETE FROM t", "rule").await, "7");
    // What comes back from a version comes back whole.
    let first = rows(&mut conn, "SELECT MIN(version) FROM switchboard_config_history").await;
    run(&mut conn, &[&format!("ROLLBACK CONFIG TO VERSION {}", first[0])]).await;
    assert_eq!(rows(&mut conn, "SELECT rule_id, reader_safe FROM switchboard_rules").await, ["1|1"]);
    assert_eq!(rows(&mut conn, "SELECT rule_id FROM mysql_query_rules").await, ["1"]);
}
