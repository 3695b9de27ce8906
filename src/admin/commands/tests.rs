//! The administrative commands as operators spell them: what each text is read as. What they do is tested at the port
//! (`tests/admin_*.rs`).

use super::*;

fn carry(unit: Unit, direction: Direction) -> Command {
    Command::Carry(Some(unit), direction)
}

#[test]
fn load_and_save_in_all_spellings() {
    for (words, unit) in Unit::NAMES {
        for (verb, spelling, direction) in DIRECTIONS {
            let text = format!("{verb} {words} {spelling}");
            assert_eq!(read(&text), carry(unit, direction), "{text}");
            let text = format!("  {}\n{}\t{}  ", verb.to_lowercase(), words.to_lowercase(), spelling.to_lowercase());
            assert_eq!(read(&text), carry(unit, direction), "{text}");
        }
    }
    assert_eq!(read("LOAD ALL TO RUNTIME"), Command::Carry(None, Direction::MemoryToRuntime));
    assert_eq!(read("LOAD MYSQL USER bob TO RUNTIME"), carry(Unit::Users, Direction::MemoryToRuntime));
    for wrong in
        ["LOAD MYSQL SERVERS", "LOAD MYSQL SERVERS TO DISK", "SAVE MYSQL SERVERS TO RUNTIME", "LOAD X TO RUNTIME"]
    {
        assert_eq!(read(wrong), Command::Sql, "{wrong}");
    }
}

#[test]
fn set_of_variables_and_of_what_sessions_have() {
    let set = |name: &str, value: &str| Command::Set(name.into(), value.into());
    assert_eq!(read("SET mysql-max_connections=10"), set("mysql-max_connections", "10"));
    assert_eq!(read("set admin-hash_passwords = 'x y'"), set("admin-hash_passwords", "x y"));
    assert_eq!(read("SET @@global.mysql-wait_timeout = \"5\""), set("mysql-wait_timeout", "5"));
    assert_eq!(read("SET mysql-server_version=8.0.36"), set("mysql-server_version", "8.0.36"));
    for noise in ["SET NAMES utf8mb4", "SET AUTOCOMMIT=1", "SET SESSION sql_mode='x'", "/*!40101 SET NAMES utf8 */"] {
        assert_eq!(read(noise), Command::Noise, "{noise}");
    }
}

#[test]
fn operations() {
    let operate = |operation| Command::Operate(operation);
    for (text, want) in [
        ("PROXYSQL PAUSE", operate(Operation::Pause)),
        ("proxysql resume", operate(Operation::Resume)),
        ("PROXYSQL SHUTDOWN SLOW", operate(Operation::Shutdown { slow: true })),
        ("PROXYSQL SHUTDOWN", operate(Operation::Shutdown { slow: false })),
        ("PROXYSQL RELOAD TLS", operate(Operation::ReloadTls)),
        ("KILL CONNECTION 5", Command::Kill { session: 5, query: false }),
        ("KILL 5", Command::Kill { session: 5, query: false }),
        ("KILL QUERY 5", Command::Kill { session: 5, query: true }),
        ("ROLLBACK CONFIG TO VERSION 3", Command::Rollback(3)),
        ("ROLLBACK", Command::Noise),
        ("START TRANSACTION", Command::Noise),
        ("TRUNCATE TABLE stats.stats_mysql_query_digest", Command::ForgetDigests),
        ("TRUNCATE stats_mysql_query_digest_reset", Command::ForgetDigests),
        ("truncate table STATS.STATS_MYSQL_QUERY_DIGEST", Command::ForgetDigests),
        ("save mysql digest to disk", Command::KeepDigests),
        ("TRUNCATE mysql_users", Command::Sql),
        ("SELECT CONFIG FILE", Command::ConfigFile),
        ("SELECT CONFIG INTO OUTFILE /tmp/x", Command::WriteFile),
        ("USE `stats`", Command::Use("stats".into())),
        ("CHECKSUM MYSQL SERVERS", Command::Checksum(Checksum { disk: false, table: "mysql_servers" })),
        ("CHECKSUM DISK MYSQL QUERY RULES", Command::Checksum(Checksum { disk: true, table: "mysql_query_rules" })),
        (
            "CHECKSUM MEM MYSQL SERVERS SSL PARAMS",
            Command::Checksum(Checksum { disk: false, table: "mysql_servers_ssl_params" }),
        ),
        ("SELECT 1", Command::Sql),
        ("SHOW", Command::Sql),
        ("SHOW COLUMNS", Command::Sql),
        ("SHOW CREATE TABLE", Command::Sql),
        ("LOAD", Command::Sql),
        ("TRUNCATE TABLE", Command::Sql),
        ("CHECKSUM DISK", Command::Sql),
        ("USE", Command::Sql),
        ("SET", Command::Noise),
        ("", Command::Noise),
        ("/* nothing */", Command::Noise),
    ] {
        assert_eq!(read(text), want, "{text}");
    }
    assert!(matches!(read("PROXYSQL FLUSH LOGS"), Command::Operate(Operation::Nothing(_))));
}

#[test]
fn explain_route_takes_a_statement_and_who() {
    let explain = |statement: &str, who: Option<(&str, Option<&str>)>| Command::ExplainRoute {
        statement: statement.into(),
        who: who.map(|(user, schema)| (user.into(), schema.map(Into::into))),
    };
    assert_eq!(read("diff route from runtime to memory"), Command::DiffRoute);
    assert_eq!(read("DIFF ROUTE FROM MEMORY TO RUNTIME"), Command::Sql);
    assert_eq!(read("EXPLAIN ROUTE SELECT 1 AS x"), explain("SELECT 1 AS x", None));
    assert_eq!(read("EXPLAIN ROUTE SELECT 1 AS app@cdr"), explain("SELECT 1", Some(("app", Some("cdr")))));
    assert_eq!(read("explain route select 1 as 'app'@'cdr'"), explain("select 1", Some(("app", Some("cdr")))));
    assert_eq!(read("EXPLAIN SELECT 1"), Command::Sql);
}
