//! The admin port's SQL engine without a port: columns, rights, secrets, and its bounds on time and room.

use super::*;

fn who(role: AdminRole) -> Who {
    Who { user: "u".into(), role, ..Who::default() }
}

const BOUNDS: Bounds = Bounds { time: Duration::from_secs(5), bytes: 1 << 20 };

fn run(engine: &Engine, role: AdminRole, sql: &str) -> Result<Outcome, EngineError> {
    engine.run(&who(role), sql, &[], BOUNDS)
}

fn first(engine: &Engine, role: AdminRole, sql: &str) -> Option<String> {
    let outcome = run(engine, role, sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let cell = outcome.rows.first()?.first()?.as_ref()?;
    Some(String::from_utf8_lossy(cell).into_owned())
}

#[test]
fn it_is_a_real_engine() {
    let engine = Engine::open().unwrap();
    let admin = AdminRole::Admin;
    let insert = "INSERT INTO mysql_servers (hostgroup_id, hostname) VALUES (10, 'a'), (20, 'b'), (20, 'c')";
    assert_eq!(run(&engine, admin, insert).unwrap().affected, 3);
    let counted = "SELECT hostgroup_id, COUNT(*) n, hostname, * FROM mysql_servers GROUP BY 1 HAVING n > 1";
    let outcome = run(&engine, admin, counted).unwrap();
    assert_eq!(outcome.columns[..4], ["hostgroup_id", "n", "hostname", "hostgroup_id"]);
    assert_eq!(outcome.rows.len(), 1);
    let join = "SELECT COUNT(*) FROM mysql_servers s LEFT JOIN mysql_servers t USING (hostgroup_id) \
                WHERE s.hostname IN (SELECT hostname FROM mysql_servers WHERE port = CAST('3306' AS UNSIGNED))";
    assert_eq!(first(&engine, admin, join).as_deref(), Some("5"));
    assert_eq!(run(&engine, admin, "UPDATE mysql_servers SET weight = 2 WHERE hostgroup_id = 20").unwrap().affected, 2);
    assert_eq!(run(&engine, admin, "DELETE FROM mysql_servers WHERE hostgroup_id = 99").unwrap().affected, 0);
    for refused in [
        "INSERT INTO mysql_servers (hostgroup_id, hostname, port) VALUES (1, 'x', 70000)",
        "INSERT INTO mysql_servers (hostgroup_id, hostname, status) VALUES (1, 'x', 'SLEEPY')",
        "INSERT INTO mysql_servers (hostgroup_id, hostname) VALUES (10, 'a')",
        "SELECT * FROM nowhere",
        "SELEC 1",
    ] {
        assert!(run(&engine, admin, refused).is_err(), "{refused}");
    }
    assert_eq!(first(&engine, admin, "SELECT COUNT(*) FROM mysql_servers").as_deref(), Some("3"));
}

#[test]
fn columns_are_those_of_proxysql() {
    let engine = Engine::open().unwrap();
    let columns =
        |table: &str| run(&engine, AdminRole::Admin, &format!("SELECT * FROM {table}")).unwrap().columns.join(",");
    assert_eq!(
        columns("runtime_mysql_servers"),
        "hostgroup_id,hostname,port,gtid_port,status,weight,compression,max_connections,max_replication_lag,use_ssl,\
         max_latency_ms,comment"
    );
    assert_eq!(
        columns("disk.mysql_users"),
        "username,password,active,use_ssl,default_hostgroup,default_schema,schema_locked,transaction_persistent,\
         fast_forward,backend,frontend,max_connections,attributes,comment"
    );
    assert_eq!(columns("runtime_mysql_users"), columns("mysql_users"));
    assert_eq!(columns("stats_mysql_query_rules"), "rule_id,hits");
    assert_eq!(columns("monitor.mysql_server_ping_log"), "hostname,port,time_start_us,ping_success_time_us,ping_error");
    assert_eq!(columns("mysql_collations"), "Id,Collation,Charset,Default");
}

#[test]
fn nobody_reaches_a_file_or_changes_a_definition() {
    let engine = Engine::open().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db").display().to_string();
    for refused in [
        format!("ATTACH DATABASE '{path}' AS x"),
        format!("VACUUM INTO '{path}'"),
        format!("VACUUM main INTO '{path}'"),
        format!("SELECT load_extension('{path}')"),
        "DETACH DATABASE stats".to_owned(),
        "CREATE TABLE t (a INT)".to_owned(),
        "CREATE TEMP TABLE t (a INT)".to_owned(),
        "CREATE VIEW v AS SELECT 1".to_owned(),
        "CREATE TRIGGER t AFTER INSERT ON mysql_users BEGIN SELECT 1; END".to_owned(),
        "DROP TABLE mysql_users".to_owned(),
        "ALTER TABLE mysql_users ADD COLUMN x".to_owned(),
        "DROP TRIGGER switchboard_conceal_new".to_owned(),
        "PRAGMA writable_schema = 1".to_owned(),
        "PRAGMA journal_mode = WAL".to_owned(),
        "INSERT INTO disk.mysql_users (username) VALUES ('x')".to_owned(),
        "DELETE FROM stats_mysql_global".to_owned(),
        "INSERT INTO runtime_mysql_query_rules (rule_id) VALUES (1)".to_owned(),
        "BEGIN".to_owned(),
        "SAVEPOINT x".to_owned(),
        "SELECT switchboard_conceal('x')".to_owned(),
    ] {
        assert!(run(&engine, AdminRole::Admin, &refused).is_err(), "{refused}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn roles_see_and_do_what_is_theirs() {
    let engine = Engine::open().unwrap();
    run(&engine, AdminRole::Admin, "INSERT INTO mysql_users (username, password) VALUES ('a', 'secret')").unwrap();
    run(&engine, AdminRole::Admin, "INSERT INTO mysql_servers (hostname) VALUES ('h')").unwrap();
    let hash = "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7";
    let select = "SELECT password FROM mysql_users";
    assert_eq!(first(&engine, AdminRole::Admin, select).as_deref(), Some(hash), "never in clear");
    assert_eq!(first(&engine, AdminRole::Operator, select), None);
    let guess = format!("SELECT COUNT(*) FROM mysql_users WHERE password = '{hash}'");
    assert_eq!(first(&engine, AdminRole::Operator, &guess).as_deref(), Some("0"), "not by guessing either");
    run(&engine, AdminRole::Operator, "UPDATE mysql_servers SET status = 'OFFLINE_SOFT'").unwrap();
    for refused in [
        "UPDATE mysql_servers SET weight = 5",
        "DELETE FROM mysql_servers",
        "UPDATE mysql_users SET active = 0",
        "INSERT INTO mysql_query_rules (rule_id) VALUES (1)",
        "UPDATE global_variables SET variable_value = 1",
    ] {
        assert!(run(&engine, AdminRole::Operator, refused).is_err(), "operator: {refused}");
        assert!(run(&engine, AdminRole::Stats, refused).is_err(), "stats: {refused}");
    }
    for allowed in [
        "SELECT * FROM stats_mysql_global",
        "SELECT * FROM monitor.mysql_server_ping_log",
        "SELECT * FROM global_variables",
        "SELECT COUNT(*) FROM stats_mysql_global",
    ] {
        run(&engine, AdminRole::Stats, allowed).unwrap_or_else(|e| panic!("{allowed}: {e}"));
    }
    for refused in [
        "SELECT username FROM mysql_users",
        "SELECT COUNT(*) FROM main.mysql_users",
        "SELECT COUNT(*) FROM MYSQL_USERS",
        "SELECT COUNT(*) FROM disk.mysql_users",
        "SELECT COUNT(*) FROM Runtime_mysql_users",
        "SELECT * FROM runtime_mysql_users",
        "SELECT * FROM disk.mysql_users",
        "SELECT * FROM mysql_query_rules",
        "SELECT * FROM switchboard_config_history",
        "SELECT (SELECT password FROM mysql_users)",
        "SELECT * FROM stats_mysql_global WHERE EXISTS (SELECT 1 FROM mysql_users)",
        "PRAGMA table_info(mysql_users)",
    ] {
        assert!(run(&engine, AdminRole::Stats, refused).is_err(), "stats: {refused}");
    }
}

#[test]
fn a_variables_password_is_a_mark() {
    let engine = Engine::open().unwrap();
    let rows = [("mysql-monitor_password", ""), ("mysql-threads", "4")];
    let rows: Vec<Vec<Value>> =
        rows.iter().map(|(n, v)| vec![Value::Text((*n).into()), Value::Text((*v).into())]).collect();
    engine.refill("main.global_variables", &rows).unwrap();
    let set = "UPDATE global_variables SET variable_value = 'secret' WHERE variable_name = 'mysql-monitor_password'";
    assert_eq!(run(&engine, AdminRole::Admin, set).unwrap().affected, 1);
    let select = "SELECT variable_value FROM global_variables WHERE variable_name = 'mysql-monitor_password'";
    let shown = first(&engine, AdminRole::Stats, select).unwrap();
    assert!(shown.starts_with("*** "), "{shown}");
    assert_eq!(engine.vault.reveal(&shown), Some(crate::auth::Secret::from("secret")));
    for written in [
        "REPLACE INTO global_variables VALUES ('mysql-monitor_password', 'secret')",
        "INSERT INTO global_variables VALUES ('mysql-Monitor_PASSWORD', x'736563726574')",
        "INSERT INTO global_variables VALUES ('admin-cluster_password', 'secret')",
        "UPDATE global_variables SET variable_name = 'x-password', variable_value = 'secret' WHERE variable_name = 'mysql-threads'",
    ] {
        run(&engine, AdminRole::Admin, written).unwrap();
        let seen = "SELECT COUNT(*) FROM global_variables WHERE CAST(variable_value AS CHAR) = 'secret'";
        assert_eq!(first(&engine, AdminRole::Stats, seen).as_deref(), Some("0"), "{written}");
    }
}

#[test]
fn a_users_password_may_come_as_bytes() {
    let engine = Engine::open().unwrap();
    run(&engine, AdminRole::Admin, "INSERT INTO mysql_users (username, password) VALUES ('a', x'736563726574')")
        .unwrap();
    let shown = first(&engine, AdminRole::Admin, "SELECT password FROM mysql_users").unwrap();
    assert_eq!(engine.vault.reveal(&shown), Some(crate::auth::Secret::from("secret")));
    assert!(run(&engine, AdminRole::Admin, "UPDATE mysql_users SET password = x'ff'").is_err());
    assert_eq!(first(&engine, AdminRole::Admin, "SELECT password FROM mysql_users"), Some(shown));
}

#[test]
fn what_begins_anew_is_what_a_statement_reads() {
    let engine = Engine::open().unwrap();
    let resets = |role, sql: &str, given| engine.resets(&who(role), sql, given);
    let stats = AdminRole::Stats;
    let read = resets(stats, "SELECT count(*) FROM stats_mysql_query_digest_reset", 0).unwrap();
    assert_eq!(read.into_iter().collect::<Vec<_>>(), ["stats_mysql_query_digest_reset"]);
    for sql in ["SELECT 'stats_mysql_query_digest_reset'", "EXPLAIN SELECT * FROM stats_mysql_query_digest_reset"] {
        assert!(resets(stats, sql, 0).unwrap().is_empty(), "{sql}");
    }
    assert!(resets(stats, "SELECT absent FROM stats_mysql_query_digest_reset", 0).is_err());
    assert!(resets(stats, "SELECT ? FROM stats_mysql_query_digest_reset", 0).is_err());
    assert!(resets(AdminRole::Admin, "DELETE FROM stats_mysql_query_digest_reset", 0).is_err());
}

#[test]
fn time_and_room_are_bounded() {
    let engine = Engine::open().unwrap();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
    let short = Bounds { time: Duration::from_millis(50), bytes: 1 << 20 };
    let began = Instant::now();
    let error = engine.run(&who(AdminRole::Stats), endless, &[], short).unwrap_err();
    assert!(matches!(error, EngineError::Timeout(_)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2));
    let large = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT i FROM n";
    let error = run(&engine, AdminRole::Stats, large).unwrap_err();
    assert!(matches!(error, EngineError::TooLarge(_)), "{error}");
    assert_eq!(first(&engine, AdminRole::Stats, "SELECT 1").as_deref(), Some("1"), "and it goes on");
}

#[test]
fn parameters_are_bound() {
    let engine = Engine::open().unwrap();
    let parameters = [Value::Text("x'y".into()), Value::Integer(7), Value::Null];
    let outcome = engine.run(&who(AdminRole::Admin), "SELECT ?, ? + 1, ?", &parameters, BOUNDS).unwrap();
    let shown: Vec<Option<String>> =
        outcome.rows[0].iter().map(|c| c.as_ref().map(|c| String::from_utf8_lossy(c).into_owned())).collect();
    assert_eq!(shown, [Some("x'y".into()), Some("8".into()), None]);
    assert!(engine.run(&who(AdminRole::Admin), "SELECT ?", &[], BOUNDS).is_err());
}
