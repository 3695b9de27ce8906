//! What a program finds in its schemas: tables, and routines, triggers and views that change a session's state out of sight.
//!
//! A name that ends in `{n}` is there once for each session, so that sessions do not wait for each other's locks; `c` is
//! common to all. Only what a program names is made, as making it takes longer than most of what is done with it.

use switchboard::cli::demo::servers::Engine;

/// A session's own tables, for which `{n}` is the session. After a name what makes it; several statements are parted by `;;`.
const OF_SESSIONS: [(&str, &str); 5] = [
    (
        "t{n}",
        "CREATE TABLE t{n} (id INT AUTO_INCREMENT PRIMARY KEY, k INT UNIQUE, v VARCHAR(60) CHARACTER SET utf8mb4, \
         l VARCHAR(60) CHARACTER SET latin1, n TINYINT NOT NULL DEFAULT 0) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4\
         ;;INSERT INTO t{n} (k, v) VALUES (1, 'one'), (2, 'two'), (3, 'three')",
    ),
    ("fk{n}", "CREATE TABLE fk{n} (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES t{n} (id)) ENGINE=InnoDB"),
    (
        "gu{n}",
        "CREATE TABLE gu{n} (a INT);;CREATE TRIGGER tgu{n} BEFORE INSERT ON gu{n} FOR EACH ROW SET @seen = NEW.a",
    ),
    (
        "gs{n}",
        "CREATE TABLE gs{n} (a INT)\
         ;;CREATE TRIGGER tgs{n} BEFORE INSERT ON gs{n} FOR EACH ROW SET SESSION max_sort_length = 600 + NEW.a",
    ),
    (
        "gl{n}",
        "CREATE TABLE gl{n} (a INT)\
         ;;CREATE TRIGGER tgl{n} AFTER INSERT ON gl{n} FOR EACH ROW SET @lock_taken = GET_LOCK('{a}_trigger', 0)",
    ),
];

/// What all sessions have in common, both engines.
const COMMON: [(&str, &str); 25] = [
    (
        "c",
        "CREATE TABLE c (id INT AUTO_INCREMENT PRIMARY KEY, who INT, v VARCHAR(60) CHARACTER SET utf8mb4) ENGINE=InnoDB",
    ),
    ("f_pure", "CREATE FUNCTION f_pure(x INT) RETURNS INT DETERMINISTIC RETURN x + 1"),
    ("f_uvar", "CREATE FUNCTION f_uvar() RETURNS INT BEGIN SET @fu = COALESCE(@fu, 0) + 1; RETURN @fu; END"),
    ("f_svar", "CREATE FUNCTION f_svar() RETURNS INT BEGIN SET SESSION max_sort_length = 700; RETURN 1; END"),
    ("f_lock", "CREATE FUNCTION f_lock() RETURNS INT RETURN GET_LOCK('{a}_function', 0)"),
    (
        "f_ins",
        "CREATE FUNCTION f_ins() RETURNS INT BEGIN INSERT INTO c (who, v) VALUES (0, 'f'); RETURN LAST_INSERT_ID(); END",
    ),
    ("vp", "CREATE VIEW vp AS SELECT id, k, v FROM t1"),
    ("vu", "CREATE VIEW vu AS SELECT f_uvar() AS x"),
    ("vs", "CREATE VIEW vs AS SELECT f_svar() AS x"),
    ("vl", "CREATE VIEW vl AS SELECT f_lock() AS x"),
    ("p_uvar", "CREATE PROCEDURE p_uvar() SET @pu = COALESCE(@pu, 0) + 1"),
    ("p_svar", "CREATE PROCEDURE p_svar() SET SESSION max_sort_length = 650, @@session.group_concat_max_len = 90"),
    ("p_into", "CREATE PROCEDURE p_into() SELECT 42 INTO @pi"),
    ("p_lock", "CREATE PROCEDURE p_lock() DO GET_LOCK('{a}_procedure', 0)"),
    (
        "p_temp",
        "CREATE PROCEDURE p_temp() BEGIN CREATE TEMPORARY TABLE IF NOT EXISTS tmp_p (a INT); INSERT INTO tmp_p VALUES (1); END",
    ),
    (
        "p_cursor",
        "CREATE PROCEDURE p_cursor() BEGIN DECLARE x INT; DECLARE c1 CURSOR FOR SELECT 7; OPEN c1; FETCH c1 INTO x; \
         SELECT x; CLOSE c1; END",
    ),
    ("p_results", "CREATE PROCEDURE p_results() BEGIN SELECT 1 AS one; SELECT 2 AS two, 'x' AS t; END"),
    (
        "p_ins",
        "CREATE PROCEDURE p_ins() BEGIN INSERT INTO c (who, v) VALUES (0, 'p'); SELECT LAST_INSERT_ID() > 0 AS got; END",
    ),
    (
        "p_fail",
        "CREATE PROCEDURE p_fail() SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'of the program', MYSQL_ERRNO = 30001",
    ),
    ("p_warn", "CREATE PROCEDURE p_warn() SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'a warning of the program'"),
    ("p_out", "CREATE PROCEDURE p_out(OUT x INT) SET x = 5"),
    ("p_begin", "CREATE PROCEDURE p_begin() BEGIN START TRANSACTION; INSERT INTO c (who, v) VALUES (0, 'b'); END"),
    ("p_autocommit", "CREATE PROCEDURE p_autocommit() SET autocommit = 0"),
    ("p_names", "CREATE PROCEDURE p_names() SET NAMES latin1"),
    ("p_prepare", "CREATE PROCEDURE p_prepare() BEGIN PREPARE of_p FROM 'SELECT 5 AS five'; EXECUTE of_p; END"),
];

/// What MariaDB alone has.
const MARIADB: [(&str, &str); 2] = [
    ("sq", "CREATE SEQUENCE sq START WITH 1 INCREMENT BY 1"),
    ("p_for", "CREATE PROCEDURE p_for() FOR r IN (SELECT 1 AS a UNION SELECT 2) DO SELECT r.a; END FOR"),
];

/// The statements that make what `text`, a program's steps, names, in the schema `a`; `sessions` sessions play.
pub fn statements(engine: Engine, sessions: usize, text: &str) -> Vec<String> {
    let mut all: Vec<(String, String)> = Vec::new();
    for n in 1..=sessions {
        let own = |part: &str| part.replace("{n}", &n.to_string());
        all.extend(OF_SESSIONS.iter().map(|(name, sql)| (own(name), own(sql))));
    }
    all.extend(COMMON.iter().map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned())));
    if engine == Engine::MariaDb {
        all.extend(MARIADB.iter().map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned())));
    }
    // What is named by something later in the list is needed too.
    let mut named = text.to_owned();
    let mut needed = Vec::new();
    for (name, sql) in all.into_iter().rev() {
        if has_word(&named, &name) {
            named.push_str(&sql);
            named.push('\n');
            needed.push(sql);
        }
    }
    needed.iter().rev().flat_map(|sql| sql.split(";;")).map(str::to_owned).collect()
}

/// True for a statement that makes a trigger, a view or a routine.
pub fn is_definition(sql: &str) -> bool {
    ["CREATE TRIGGER", "CREATE VIEW", "CREATE FUNCTION", "CREATE PROCEDURE"].iter().any(|head| sql.starts_with(head))
}

fn has_word(text: &str, word: &str) -> bool {
    let part_of_a_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        !part_of_a_name(text[..at].chars().next_back()) && !part_of_a_name(text[at + word.len()..].chars().next())
    })
}

#[test]
fn what_is_named_is_made_with_what_it_needs() {
    let made = statements(Engine::MariaDb, 2, "1: SELECT x FROM vu");
    assert_eq!(made.iter().map(|sql| &sql[..15]).collect::<Vec<_>>(), ["CREATE FUNCTION", "CREATE VIEW vu "]);
    assert!(statements(Engine::MySql, 1, "1: SELECT NEXTVAL(sq)").is_empty());
}
