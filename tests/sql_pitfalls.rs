//! What users of other proxies complain about, as far as it is decided by a statement's text. The numbers are those of
//! the complaints that the design answers; what a session does about the facts is tested with the session.

use switchboard::sql::LexMode;
use switchboard::sql::classify::classify;
use switchboard::sql::effects::{Effects, Facts};

fn of(sql: &str) -> Facts {
    classify(sql.as_bytes(), LexMode::default())
}

#[track_caller]
fn has(sql: &str, effects: Effects) {
    let found = of(sql).effects;
    assert!(found.contains(effects), "{sql}: {:?}", found.names().collect::<Vec<_>>());
}

#[track_caller]
fn not_safe(statements: &[&str]) {
    for sql in statements {
        assert!(!of(sql).reader_safe(), "{sql} is called safe");
    }
}

/// 1: with `autocommit=0` the first SELECT begins a transaction. Every spelling of the SET must be seen.
#[test]
fn autocommit_in_every_spelling() {
    for sql in [
        "SET autocommit=0",
        "set AutoCommit = OFF",
        "SET @@autocommit=0",
        "SET @@session.autocommit:=0",
        "SET @@local.autocommit=0",
        "SET SESSION autocommit=0",
        "SET LOCAL autocommit=0",
        "SET `autocommit`=0",
        "SET @@`autocommit` = 0",
        "SET NAMES utf8, autocommit = 0",
        "SET @a = 1, autocommit = 0",
        "SET sql_mode = CONCAT(@@sql_mode, ',ANSI'), autocommit = (SELECT 0)",
        "SET/**/autocommit/**/=/**/0",
        "/*!40000 SET autocommit=0 */",
        "SET autocommit = ?",
        "SELECT 1; SET autocommit = 0",
    ] {
        has(sql, Effects::SET_AUTOCOMMIT);
    }
    assert!(!of("SET GLOBAL autocommit = 0").effects.contains(Effects::SET_AUTOCOMMIT));
    assert!(!of("SET @autocommit = 0").effects.contains(Effects::SET_AUTOCOMMIT));
    assert!(!of("SELECT @@autocommit").effects.contains(Effects::SET_AUTOCOMMIT));
}

/// 2: what begins a transaction, and what ends one, in every spelling.
#[test]
fn edges_of_transactions() {
    for sql in
        ["BEGIN", "begin work", "START TRANSACTION", "START TRANSACTION READ WRITE", "/* Spring */ START TRANSACTION"]
    {
        has(sql, Effects::BEGIN);
        assert!(!of(sql).effects.contains(Effects::BEGIN_READ_ONLY));
    }
    has("START TRANSACTION READ ONLY", Effects::BEGIN | Effects::BEGIN_READ_ONLY);
    has("SET TRANSACTION READ ONLY", Effects::SET_NEXT_TRANSACTION);
    has("COMMIT AND CHAIN", Effects::COMMIT | Effects::CHAIN);
    has("ROLLBACK AND NO CHAIN RELEASE", Effects::ROLLBACK | Effects::RELEASE);
    assert!(!of("ROLLBACK TO SAVEPOINT a").effects.contains(Effects::ROLLBACK));
    for sql in
        ["CREATE TABLE t (a INT)", "TRUNCATE t", "GRANT ALL ON a.* TO b", "LOCK TABLES t READ", "ANALYZE TABLE t"]
    {
        has(sql, Effects::IMPLICIT_COMMIT);
    }
    assert!(!of("CREATE TEMPORARY TABLE t (a INT)").effects.contains(Effects::IMPLICIT_COMMIT));
}

/// 3, 38: locking reads that a pattern misses.
#[test]
fn locking_reads() {
    for sql in [
        "SELECT * FROM t FOR UPDATE",
        "SELECT * FROM t WHERE a='x'FOR UPDATE",
        "SELECT * FROM t\nFOR\tUPDATE",
        "SELECT * FROM t FOR/* */UPDATE",
        "SELECT * FROM t FOR -- x\nUPDATE",
        "SELECT * FROM t FOR UPDATE; ",
        "SELECT * FROM t FOR UPDATE OF t NOWAIT",
        "select * from t for share",
        "SELECT * FROM t LOCK IN SHARE MODE",
        "(SELECT * FROM t FOR UPDATE)",
        "SELECT * FROM (SELECT * FROM t FOR UPDATE) d",
        "WITH c AS (SELECT * FROM t FOR UPDATE) SELECT * FROM c",
        "SELECT * FROM t WHERE a IN (SELECT a FROM u FOR UPDATE)",
        "SELECT 1 UNION (SELECT a FROM t FOR UPDATE)",
        "SELECT * FROM t /*!FOR UPDATE*/",
        "SELECT * FROM t /*M!100100 FOR UPDATE */",
    ] {
        has(sql, Effects::LOCK_ROWS);
        not_safe(&[sql]);
    }
    assert!(of("SELECT 'FOR UPDATE' FROM t -- FOR UPDATE").reader_safe());
    assert!(of("SELECT `for update` FROM t /* FOR UPDATE */").reader_safe());
}

/// 4: writes that begin like reads.
#[test]
fn writes_in_disguise() {
    not_safe(&[
        "WITH c AS (SELECT 1) DELETE FROM t",
        "WITH c AS (SELECT 1) UPDATE t SET a = 1",
        "SELECT NEXTVAL(s)",
        "SELECT NEXT VALUE FOR s",
        "SELECT write_audit('x')",
        "SELECT audit.write('x')",
        "SELECT a FROM t INTO OUTFILE '/tmp/a'",
        "SELECT 1; DELETE FROM t",
        "EXPLAIN ANALYZE DELETE t FROM t JOIN u",
        "ANALYZE FORMAT=JSON UPDATE t SET a = 1",
        "SET STATEMENT max_statement_time = 1 FOR DELETE FROM t",
        "/* SELECT */ DELETE FROM t",
        "/*!50000 SELECT */ DELETE FROM t",
        "(((DELETE FROM t)))",
        "EXECUTE IMMEDIATE 'DELETE FROM t'",
        "CALL p()",
        "DO f()",
        "VALUES (NEXTVAL(s))",
        "TABLE t INTO OUTFILE 'a'",
        "SHOW TABLES WHERE f(1)",
        "SELECT SETVAL(s, 5)",
    ]);
}

/// 5, 7, 14, 39: state that belongs to a connection.
#[test]
fn state_of_the_connection() {
    has("CREATE TEMPORARY TABLE t (a INT)", Effects::TEMPORARY_TABLE);
    has("CREATE TEMPORARY TABLE t SELECT * FROM u", Effects::TEMPORARY_TABLE);
    has("DROP TEMPORARY TABLE t", Effects::TEMPORARY_TABLE);
    has("SELECT GET_LOCK('a', 1)", Effects::USER_LOCK);
    has("DO RELEASE_LOCK('a')", Effects::USER_LOCK);
    has("SET @a = 1", Effects::SET_USER_VARIABLE);
    has("SELECT @a := 1", Effects::SET_USER_VARIABLE);
    has("SELECT 1 INTO @a", Effects::SET_USER_VARIABLE);
    has("SELECT @a", Effects::READ_USER_VARIABLE);
    has("LOCK TABLES t WRITE", Effects::LOCK_TABLES);
    has("FLUSH TABLES WITH READ LOCK", Effects::LOCK_TABLES);
    has("FLUSH LOCAL PRIVILEGES, STATUS", Effects::UNTRACKED_STATE);
    has("PREPARE s FROM 'SELECT 1'", Effects::TEXT_PREPARE);
    has("HANDLER t OPEN", Effects::HANDLER);
    has("SET ROLE r", Effects::UNTRACKED_STATE);
    has("CALL p()", Effects::CALL);
    has("USE a", Effects::SET_SCHEMA);
}

/// 6: a CALL is a CALL however it is written.
#[test]
fn calls() {
    for sql in ["CALL p()", "call p", "CALL a.p(?)", "{call p()}", "/* a */CALL p(1, @a)"] {
        not_safe(&[sql]);
    }
    has("CALL p(?)", Effects::CALL);
}

/// 9: `UPDATE …; SELECT ROW_COUNT()` is no SET, and needs what the UPDATE left.
#[test]
fn an_update_and_its_row_count() {
    let facts = of("UPDATE `Blogs` SET `Url` = @p0 WHERE `Id` = @p1;\nSELECT ROW_COUNT();");
    assert!(facts.effects.contains(Effects::WRITE | Effects::NEEDS_ROW_COUNT | Effects::MULTI));
    assert!(!facts.effects.intersects(Effects::SET_SESSION | Effects::SET_GLOBAL));
    assert!(facts.variables.is_empty());
    let facts = of("UPDATE t SET autocommit = 1, sql_mode = 2");
    assert!(!facts.effects.intersects(Effects::SET_SESSION | Effects::SET_AUTOCOMMIT));
}

/// 10, 11, 12: what needs the statement before it.
#[test]
fn needs_of_the_statement_before() {
    for sql in [
        "SELECT LAST_INSERT_ID()",
        "select last_insert_id() as id;",
        "SELECT LAST_INSERT_ID ( )",
        "SELECT 1 + LAST_INSERT_ID()",
        "SELECT * FROM t WHERE id = LAST_INSERT_ID()",
        "SELECT (SELECT LAST_INSERT_ID()) LIMIT 1",
        "SELECT @@identity",
        "SELECT @@last_insert_id",
        "SELECT @@session.identity",
        "SELECT LASTVAL(s)",
        "SELECT PREVIOUS VALUE FOR s",
        "SELECT /*!50000 LAST_INSERT_ID() */",
    ] {
        has(sql, Effects::NEEDS_INSERT_ID);
        not_safe(&[sql]);
    }
    has("SELECT LAST_INSERT_ID(5)", Effects::SETS_INSERT_ID);
    has("SELECT FOUND_ROWS()", Effects::NEEDS_FOUND_ROWS);
    // To plan a query may be to run a part of it; what is analysed runs, and its answer is the plan.
    for sql in [
        "SELECT SQL_CALC_FOUND_ROWS * FROM t",
        "EXPLAIN SELECT 1",
        "EXPLAIN SELECT * FROM (SELECT 1) x",
        "EXPLAIN INSERT INTO t SELECT 1",
        "ANALYZE SELECT * FROM t",
        "EXPLAIN ANALYZE SELECT 1",
    ] {
        has(sql, Effects::LEAVES_FOUND_ROWS);
    }
    for sql in ["EXPLAIN SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1", "EXPLAIN DELETE FROM t", "ANALYZE DELETE FROM t"]
    {
        assert!(!of(sql).effects.contains(Effects::LEAVES_FOUND_ROWS), "{sql}");
    }
    for sql in ["SHOW CREATE TABLE t", "SHOW CREATE VIEW v", "SHOW GRANTS", "SHOW PROCESSLIST", "SHOW BINARY LOGS"] {
        has(sql, Effects::FINDS_NO_ROWS);
    }
    for sql in ["SHOW TABLES", "SHOW COLUMNS FROM t", "SHOW VARIABLES", "SHOW PROFILE", "SHOW PLUGINS", "DESCRIBE t"] {
        assert!(!of(sql).effects.contains(Effects::FINDS_NO_ROWS), "{sql}");
    }
    for sql in [
        "INSERT INTO t SELECT 1",
        "REPLACE INTO t (a) WITH c AS (SELECT 1) SELECT * FROM c",
        "INSERT INTO t TABLE u",
        "INSERT INTO t (a) (SELECT a FROM u)",
        "REPLACE INTO t (SELECT 1)",
        "CREATE TABLE t AS SELECT 1",
        "CREATE TEMPORARY TABLE IF NOT EXISTS t (SELECT * FROM u)",
    ] {
        has(sql, Effects::FED_BY_QUERY);
    }
    for sql in [
        "INSERT INTO t VALUES (1), (2)",
        "INSERT INTO t VALUES ((SELECT 1))",
        "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = b IN (SELECT 1)",
        "INSERT INTO t SET a = (SELECT 1)",
        "DELETE FROM t WHERE a IN (SELECT 1)",
        "EXPLAIN INSERT INTO t SELECT 1",
        "UPDATE t SET a = (SELECT 1)",
        "CREATE TABLE t (a INT)",
        "CREATE VIEW v AS SELECT 1",
        "SELECT (SELECT 1)",
    ] {
        assert!(!of(sql).effects.contains(Effects::FED_BY_QUERY), "{sql}");
    }
    for sql in [
        "SHOW WARNINGS",
        "show errors limit 1",
        "SHOW COUNT(*) WARNINGS",
        "SELECT @@warning_count",
        "SELECT @@error_count",
    ] {
        has(sql, Effects::NEEDS_WARNINGS);
        not_safe(&[sql]);
    }
    has("GET DIAGNOSTICS @a = ROW_COUNT", Effects::NEEDS_WARNINGS | Effects::NEEDS_ROW_COUNT);
}

/// 13: every session variable that a SET names is listed.
#[test]
fn variables_that_are_set() {
    let facts = of(
        "SET SESSION sql_mode = '', @@time_zone = 'UTC', `Foreign_Key_Checks` = 0, @a = 1, GLOBAL x = 2, NAMES utf8",
    );
    let names: Vec<&str> = facts.variables.iter().map(|name| &**name).collect();
    assert_eq!(names, ["sql_mode", "time_zone", "foreign_key_checks", "names"]);
    assert_eq!(of("SET SESSION TRANSACTION READ ONLY").variables.len(), 1);
}

/// 36: a statement that names a temporary table names it in its tables.
#[test]
fn tables_that_are_named() {
    let names = |sql: &str| of(sql).tables.iter().map(|table| table.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names("SELECT * FROM a JOIN tmp USING (x), b WHERE y IN (SELECT z FROM c)"), ["a", "tmp", "b", "c"]);
    assert_eq!(names("INSERT INTO tmp SELECT * FROM a"), ["tmp", "a"]);
    assert_eq!(names("DELETE a FROM a JOIN tmp"), ["a", "tmp"]);
    assert_eq!(names("DROP TEMPORARY TABLE IF EXISTS tmp"), ["tmp"]);
}
