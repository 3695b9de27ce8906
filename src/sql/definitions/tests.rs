//! What triggers, views and routines leave behind, by the text of their bodies, and statements that use them.

use super::*;

fn definition(kind: Kind, name: &str, body: &str) -> Definition {
    let (parameters, sql_mode) = (Vec::new(), String::new());
    Definition { kind, name: name.to_owned(), body: body.to_owned(), parameters, sql_mode }
}

fn leaves(body: &str) -> bool {
    Body::read(&definition(Kind::Routine, "p", body)).leaves
}

#[test]
fn bodies_that_leave_something() {
    for body in [
        "SET @x = 1",
        "SET @x := NEW.a",
        "BEGIN DECLARE a INT; SET a = 1, @x = 2; END",
        "SELECT a INTO @x FROM t",
        "BEGIN DECLARE a INT; SELECT 1, 2 INTO a, @x; END",
        "SELECT @x := a FROM t",
        "CALL p(@x)",
        "CALL s.p(1, @x)",
        "GET DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT",
        "RETURN GET_LOCK('a', 0)",
        "DO RELEASE_ALL_LOCKS()",
        "SET max_sort_length = 700",
        "SET SESSION max_sort_length = 700",
        "SET @@session.max_sort_length = 700",
        "SET NAMES latin1",
        "SET autocommit = 0",
        "SET TRANSACTION READ ONLY",
        "BEGIN DECLARE a INT; SET a = (1 + 2), sql_mode = ''; END",
        "BEGIN IF NEW.a THEN UPDATE t SET a = 1; ELSE SET lc_time_names = 'de_DE'; END IF; END",
        "BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION SET insert_id = 7; END",
        "CREATE TEMPORARY TABLE t (a INT)",
        "BEGIN PREPARE s FROM 'SELECT 1'; END",
        "EXECUTE IMMEDIATE 'SELECT 1'",
        "HANDLER t OPEN",
        "INSERT INTO t VALUES (NEXT VALUE FOR s)",
        "INSERT INTO t VALUES (NEXTVAL(s))",
        "UPDATE t SET id = LAST_INSERT_ID(id + 1)",
        "SELECT /*! 1 */ + 1",
        "SELECT 'not ended",
        "",
    ] {
        assert!(leaves(body), "{body}");
    }
}

#[test]
fn bodies_that_leave_nothing() {
    for body in [
        "SET NEW.a = OLD.a + 1, NEW.b = 2",
        "SET NEW.a = IFNULL(@who, USER())",
        "BEGIN DECLARE a, b INT DEFAULT 0; SET a = 1, b = IF(a, 2, 3); END",
        "BEGIN DECLARE done INT; DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1; END",
        "BEGIN DECLARE `A b` INT; SET `a B` = 1; END",
        "UPDATE t SET a = 1, max_sort_length = 2 WHERE b = NEW.b",
        "INSERT INTO t SET a = NEW.a, who = @who",
        "INSERT INTO log (a, who) VALUES (NEW.a, @who)",
        "INSERT INTO log SELECT @who",
        "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 2",
        "BEGIN IF @off IS NULL THEN INSERT INTO t VALUES (1); END IF; END",
        "BEGIN FOR r IN (SELECT 1 AS a) DO SET r.a = 2; SELECT r.a; END FOR; END",
        "BEGIN DECLARE x INT; SELECT a INTO x FROM t; CALL p(x); END",
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'",
        "RETURN LAST_INSERT_ID()",
        "SELECT 'SET @x = 1; GET_LOCK' AS `SET @y`",
    ] {
        assert!(!leaves(body), "{body}");
    }
}

#[test]
fn parameters_are_local_and_modes_change_how_a_body_is_read() {
    let body = |parameters: &[&str], sql_mode: &str, body: &str| {
        let parameters = parameters.iter().map(|&name| name.to_owned()).collect();
        let sql_mode = sql_mode.to_owned();
        Body::read(&Definition { parameters, sql_mode, ..definition(Kind::Routine, "p", body) }).leaves
    };
    assert!(!body(&["Found"], "", "SET found = 5"));
    assert!(body(&[], "", "SET found = 5"));
    assert!(!body(&[], "", r#"SELECT "SET @x = 1""#));
    assert!(!body(&["x y"], "ANSI_QUOTES", r#"SET "x y" = 1"#));
    assert!(body(&[], "PIPES_AS_CONCAT,ORACLE", "SELECT 1"), "packages have variables");
}

/// The effects that a statement has beside the classifier's own.
fn added(all: &Definitions, sql: &str) -> Effects {
    let mut facts = classify(sql.as_bytes(), LexMode::default());
    let before = facts.effects;
    all.expand_views(&mut facts);
    all.find_hidden_state(&mut facts);
    facts.effects - before
}

#[test]
fn statements_have_what_the_definitions_behind_them_do() {
    let (hidden, none) = (Effects::HIDDEN_STATE, Effects::empty());
    let all = Definitions::new(&[
        definition(Kind::Trigger, "Calls", "SET @seen = NEW.a"),
        definition(Kind::Trigger, "plain", "SET NEW.a = 1"),
        definition(Kind::Trigger, "outer", "INSERT INTO calls VALUES (1)"),
        definition(Kind::Trigger, "furthest", "BEGIN IF 1 THEN INSERT INTO `OUTER` VALUES (1); END IF; END"),
        definition(Kind::Routine, "takes_lock", "RETURN GET_LOCK('a', 0)"),
        definition(Kind::Routine, "pure", "RETURN x + 1"),
        definition(Kind::Routine, "through", "RETURN takes_lock()"),
        definition(Kind::Routine, "writes", "INSERT INTO furthest VALUES (1)"),
        definition(Kind::View, "plain_view", "select `db`.`t1`.`id` AS `id` from `db`.`t1`"),
        definition(Kind::View, "pure_view", "select `db`.`pure`(1) AS `x`"),
        definition(Kind::View, "lock_view", "select `db`.`takes_lock`() AS `x`"),
        definition(Kind::View, "nested_view", "select `x` from `db`.`lock_view`"),
        definition(Kind::View, "who_view", "select connection_id() AS `id`"),
        definition(Kind::View, "calls_view", "select `db`.`calls`.`a` AS `a` from `db`.`calls`"),
    ]);
    let calls = Effects::UNKNOWN_FUNCTION;
    for (sql, want) in [
        ("INSERT INTO calls VALUES (1)", hidden),
        ("INSERT INTO db.CALLS VALUES (1)", hidden),
        ("DELETE FROM furthest", hidden),
        ("SELECT a FROM calls", none),
        ("INSERT INTO other SELECT a FROM calls", none),
        ("UPDATE plain SET a = 1", none),
        ("SELECT id FROM plain_view", none),
        ("SELECT x FROM pure_view", calls),
        ("SELECT x FROM lock_view", calls | hidden),
        ("SELECT x FROM nested_view v JOIN t ON 1", calls | hidden),
        ("SELECT id FROM who_view", Effects::SERVER_BOUND),
        ("SELECT a FROM calls_view", none),
        ("UPDATE calls_view SET a = 2", hidden),
        ("SELECT pure(1)", none),
        ("SELECT pure(1), through()", hidden),
        ("SELECT not_there(1)", hidden),
        ("CALL writes()", hidden),
        ("CALL db.pure()", none),
        ("CALL pure", none),
        ("CALL pure(); CALL writes()", hidden),
        ("/*! CALL pure() */", hidden),
        ("BEGIN NOT ATOMIC CALL pure(); END", hidden),
        ("CREATE TRIGGER t BEFORE INSERT ON t1 FOR EACH ROW SET @x = 1", hidden),
        ("DROP TRIGGER t", none),
        ("CREATE TABLE t (a INT)", none),
    ] {
        assert_eq!(added(&all, sql), want, "{sql}");
    }
}

#[test]
fn nothing_is_known_without_definitions() {
    let all = Definitions::default();
    assert_eq!(added(&all, "INSERT INTO t VALUES (1)"), Effects::empty());
    assert_eq!(added(&all, "CALL p()"), Effects::HIDDEN_STATE);
    assert_eq!(added(&all, "SELECT f(1)"), Effects::HIDDEN_STATE);
}

#[test]
fn definitions_that_use_each_other_end() {
    let all = Definitions::new(&[
        definition(Kind::Routine, "a", "CALL b()"),
        definition(Kind::Routine, "b", "BEGIN CALL a(); CALL c(); END"),
        definition(Kind::Routine, "c", "DO SLEEP(0)"),
        definition(Kind::Routine, "c", "SET @x = 1"),
    ]);
    assert_eq!(all.counts(), (0, 0, 3), "of two of one name, either counts");
}
