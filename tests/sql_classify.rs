//! The classifier against tables of statements, by chapter of the manuals (`tests/sql/*.txt`), and by the rows of what
//! users of other proxies have met.

use switchboard::sql::LexMode;
use switchboard::sql::classify::classify;
use switchboard::sql::digest::Digest;
use switchboard::sql::effects::{Access, Effects, Facts, Verb};

#[path = "common/fuzz_sql.rs"]
mod fuzz_sql;
#[path = "common/statements.rs"]
mod statements;
use fuzz_sql::{is_broken, unfold};
use statements::{CORPORA, Row, rows};

/// A statement's facts in the notation of the tables.
fn shown(facts: &Facts) -> (bool, String, String) {
    let mut names: Vec<String> = Vec::new();
    for table in &facts.tables {
        let access = if table.access == Access::Write { 'w' } else { 'r' };
        let schema = table.schema.as_deref().map(|schema| format!("{schema}.")).unwrap_or_default();
        names.push(format!("{access}:{schema}{}", table.name));
    }
    names.extend(facts.functions.iter().map(|name| format!("f:{name}")));
    names.extend(facts.variables.iter().map(|name| format!("v:{name}")));
    let effects: Vec<String> = facts.effects.names().collect();
    (facts.reader_safe(), effects.join(" "), names.join(" "))
}

fn of(sql: &str) -> Facts {
    classify(sql.as_bytes(), LexMode::default())
}

#[test]
fn statements_of_the_manuals() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (file, text) in CORPORA {
        for Row { line, safe, effects, names, sql } in rows(text) {
            count += 1;
            let expected = (safe, effects, names);
            let found = shown(&of(&sql));
            if found != expected {
                wrong.push(format!("{file}:{line}: {sql}\n  expected {expected:?}\n  found    {found:?}"));
            }
        }
    }
    assert!(count > 600, "only {count} statements");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What no reader may ever serve, whatever the tables say.
#[test]
fn writes_are_never_safe() {
    let unsafe_effects = !Effects::READER_SAFE;
    for (file, text) in CORPORA {
        for Row { line, sql, .. } in rows(text) {
            let facts = of(&sql);
            assert_eq!(
                facts.reader_safe(),
                facts.effects.contains(Effects::READ) && !facts.effects.intersects(unsafe_effects),
                "{file}:{line}"
            );
            assert_eq!(facts.unproven.is_empty(), !facts.effects.contains(Effects::UNPROVEN), "{file}:{line}: {sql}");
            let writes = facts.tables.iter().any(|table| table.access == Access::Write);
            assert!(!(writes && facts.reader_safe()), "{file}:{line}: {sql}");
        }
    }
}

/// A digest is classified once, by the first statement that has it: another one with the same digest must have the same
/// facts. The digest's own text is such a statement.
#[test]
fn a_digest_has_the_facts_of_its_statements() {
    let mut digest = Digest::default();
    for (file, text) in CORPORA {
        for Row { line, sql, .. } in rows(text) {
            digest.read(sql.as_bytes(), LexMode::default());
            let folded = String::from_utf8_lossy(&unfold(&digest.text)).into_owned();
            // A text that cannot be cut into tokens ends its digest with a marker.
            if !is_broken(sql.as_bytes(), LexMode::default()) {
                assert_eq!(of(&sql), of(&folded), "{file}:{line}: {sql}\n{folded}");
            }
        }
    }
}

#[test]
fn verbs() {
    let rows = [
        ("select 1", Verb::Select),
        ("(SELECT 1)", Verb::Select),
        ("WITH c AS (SELECT 1) SELECT * FROM c", Verb::With),
        ("VALUES (1)", Verb::Values),
        ("TABLE t", Verb::Table),
        ("INSERT INTO t VALUES (1)", Verb::Insert),
        ("REPLACE INTO t VALUES (1)", Verb::Replace),
        ("UPDATE t SET a = 1", Verb::Update),
        ("DELETE FROM t", Verb::Delete),
        ("LOAD DATA INFILE 'a' INTO TABLE t", Verb::Load),
        ("CALL p()", Verb::Call),
        ("DO 1", Verb::Do),
        ("HANDLER t OPEN", Verb::Handler),
        ("SET a = 1", Verb::Set),
        ("SET STATEMENT max_statement_time = 1 FOR SELECT 1", Verb::Set),
        ("SHOW TABLES", Verb::Show),
        ("USE a", Verb::Use),
        ("EXPLAIN SELECT 1", Verb::Explain),
        ("DESC t", Verb::Explain),
        ("BEGIN", Verb::Begin),
        ("START TRANSACTION", Verb::Begin),
        ("COMMIT", Verb::Commit),
        ("ROLLBACK", Verb::Rollback),
        ("ROLLBACK TO a", Verb::Savepoint),
        ("RELEASE SAVEPOINT a", Verb::Savepoint),
        ("XA RECOVER", Verb::Xa),
        ("LOCK TABLES t READ", Verb::Lock),
        ("UNLOCK TABLES", Verb::Unlock),
        ("PREPARE s FROM 'a'", Verb::Prepare),
        ("EXECUTE s", Verb::Execute),
        ("DROP PREPARE s", Verb::Deallocate),
        ("CREATE TABLE t (a INT)", Verb::Create),
        ("ALTER TABLE t ADD a INT", Verb::Alter),
        ("DROP TABLE t", Verb::Drop),
        ("TRUNCATE t", Verb::Truncate),
        ("RENAME TABLE a TO b", Verb::Rename),
        ("GRANT ALL ON *.* TO a", Verb::Grant),
        ("REVOKE ALL ON *.* FROM a", Verb::Grant),
        ("FLUSH LOGS", Verb::Flush),
        ("KILL 1", Verb::Kill),
        ("ANALYZE TABLE t", Verb::Analyze),
        ("ANALYZE SELECT 1", Verb::Analyze),
        ("OPTIMIZE TABLE t", Verb::Optimize),
        ("CHECK TABLE t", Verb::Other),
        ("SELECT 1; DELETE FROM t", Verb::Select),
        ("/*!50000 SELECT 1 */", Verb::Select),
        ("nonsense", Verb::Other),
    ];
    for (sql, verb) in rows {
        assert_eq!(of(sql).verb, verb, "of {sql:?}");
    }
}

#[test]
fn hints_for_the_router() {
    let facts = of("/* switchboard: hostgroup=10 Route=Writer  now */ SELECT 1 /*switchboard:x=y=z*/");
    let hints: Vec<String> = facts.hints.iter().map(|hint| format!("{}={}", hint.key, hint.value)).collect();
    assert_eq!(hints, ["hostgroup=10", "route=Writer", "now=", "x=y=z"]);
    assert!(facts.reader_safe());
    assert!(of("SELECT '/* switchboard: a=b */' -- /* switchboard: a=b */").hints.is_empty());
}

#[test]
fn modes_and_character_sets() {
    let ansi = LexMode { ansi_quotes: true, ..LexMode::default() };
    let no_backslash = LexMode { no_backslash_escapes: true, ..LexMode::default() };
    let foreign = LexMode { foreign_charset: true, ..LexMode::default() };
    // The quote that one mode sees and the other does not.
    let sql = br"SELECT '\' FROM t FOR UPDATE -- '";
    assert!(classify(sql, LexMode::default()).reader_safe());
    assert!(!classify(sql, no_backslash).reader_safe());
    let sql = br#"SELECT "a' FROM t FOR UPDATE -- " FROM u"#;
    assert!(classify(sql, LexMode::default()).reader_safe());
    assert_eq!(classify(b"SELECT \"a\" FROM \"t\"", ansi).tables.len(), 1);
    assert!(!classify(b"SELECT \"f\"(1)", ansi).reader_safe());
    // Two bytes of GBK whose second is a backslash.
    let sql = b"SELECT '\x81\\' FROM t FOR UPDATE -- '";
    assert!(classify(sql, foreign).effects.contains(Effects::UNPROVEN));
    assert!(classify(b"SELECT 'a' FROM t", foreign).reader_safe());
}

#[test]
fn bytes_that_no_statement_holds() {
    let statements: [&[u8]; 9] = [
        b"SELECT 1\0",
        b"SELECT 1 # a\0\n FOR UPDATE",
        b"SELECT * FROM t -- \0 FOR UPDATE",
        b"SELECT * FROM t\xa0FOR UPDATE",
        b"SELECT * FROM t \xff",
        b"SELECT * FROM `t\xff`",
        b"SELECT * FROM `t\0`",
        b"SELECT \x01 1",
        b"\xef\xbb\xbfSELECT 1",
    ];
    for sql in statements {
        let facts = classify(sql, LexMode::default());
        assert!(
            facts.effects.contains(Effects::UNPROVEN) && !facts.reader_safe(),
            "of {:?}",
            sql.escape_ascii().to_string()
        );
    }
    // Any byte may stand in a string.
    assert!(classify(b"SELECT '\0\xff\xa0'", LexMode::default()).reader_safe());
}

/// Time and memory do not run away on long or deep texts.
#[test]
fn long_and_deep_texts_are_bounded() {
    let select = |what: &str, n: usize| format!("SELECT 1{}", what.repeat(n));
    let long = [
        (select("+1", 50_000), true),
        (select(" UNION ALL SELECT 1", 20_000), true),
        (format!("SELECT 1 FROM t WHERE a = 1{}", " OR a = 1".repeat(20_000)), true),
        (format!("SELECT {}1{}", "(".repeat(200), ")".repeat(200)), true),
        (format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000)), false),
        (format!("SELECT * FROM {}t{}", "(".repeat(10_000), ")".repeat(10_000)), false),
        (format!("SELECT * FROM t{}", ", t".repeat(20_000)), false),
        (format!("SELECT * FROM t{}", (0..50_000).map(|i| format!(", t{i}")).collect::<String>()), false),
        (format!("SELECT 1{}", (0..50_000).map(|i| format!(", f{i}()")).collect::<String>()), false),
        (format!("SELECT 1{}", ", f()".repeat(10_000)), false),
        (
            format!(
                "WITH c AS (SELECT 1){} SELECT 1",
                (0..20_000).map(|i| format!(", c{i} AS (SELECT * FROM c)")).collect::<String>()
            ),
            false,
        ),
        (format!("SET a = 1{}", (0..50_000).map(|i| format!(", b{i} = 1")).collect::<String>()), false),
        (format!("DELETE t{} FROM t", ", t".repeat(50_000)), false),
        ("SELECT 1;".repeat(10_000), true),
        (select(" /*!50000 */", 10_000), true),
        (select(" /* a */", 20_000), true),
        (select(" /* switchboard: a=b */", 10_000), true),
        (format!("SELECT '{}'", "\\'".repeat(10_000)), true),
        (format!("SELECT `{}`", "``".repeat(10_000)), true),
        ("/*".repeat(50_000), false),
        ("'".repeat(50_001), false),
        ("/*!50000".repeat(10_000), false),
        (format!("SELECT {}", "CASE WHEN ".repeat(10_000)), true),
        ("EXPLAIN ".repeat(10_000), false),
        (format!("SET STATEMENT a = 1 FOR {}", "SET STATEMENT a = 1 FOR ".repeat(10_000)), false),
    ];
    let mut digest = Digest::default();
    for (sql, safe) in long {
        let begun = std::time::Instant::now();
        digest.read(sql.as_bytes(), LexMode::default());
        let facts = of(&sql);
        let shown = &sql[..sql.len().min(60)];
        assert_eq!(facts.reader_safe(), safe, "of {shown}… {}", facts.unproven);
        assert!(facts.tables.len() <= 1024 && facts.functions.len() <= 64 && facts.variables.len() <= 256);
        // Hundreds of kilobytes in a debug build, on a busy machine: linear is far below, quadratic far above.
        assert!(begun.elapsed().as_secs() < 20, "{shown}… took {:?}", begun.elapsed());
    }
}
