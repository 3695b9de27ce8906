//! Horizons of whole statements: joins, blocks inside blocks, every verb, and how references add up.

mod predicate_support;

use predicate_support::{Session, check, shown};
use switchboard::sql::LexMode;

fn utc() -> Session<'static> {
    Session::of_zone("UTC")
}

/// Expectations that come again and again.
const NOV: &str = "2026-11-01 00:00:00";
const OCT: &str = "2026-10-01 00:00:00";

#[test]
fn tables_without_time() {
    let rows = [
        "",
        ";",
        "SELECT 1",
        "SELECT * FROM agents",
        "SELECT * FROM agents WHERE start_time >= '2026-11-01'",
        "SELECT 'call_records' FROM agents",
        "SELECT * FROM agents -- call_records",
        "SELECT * FROM agents /* JOIN call_records */",
        "SELECT * FROM call_records_2025",
        "SELECT * FROM parts",
        "SELECT * FROM other.parts",
        "SELECT @call_records, @@call_records",
        "COMMIT",
        "SET NAMES utf8mb4",
        "PREPARE s FROM 'SELECT * FROM call_records'",
        "CALL report('call_records')",
    ];
    check(&utc(), &rows.map(|sql| (sql, "timeless")));
}

#[test]
fn names_and_aliases() {
    check(
        &utc(),
        &[
            ("SELECT * FROM call_records WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM Call_Records WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM `call_records` WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM cdr.call_records WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM `cdr`.`call_records` WHERE cdr.call_records.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM cdr.call_records WHERE call_records.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM cdr.call_records WHERE other.call_records.start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records WHERE cdr.call_records.start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records r WHERE r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM call_records AS r WHERE r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM call_records AS `r``s` WHERE `r``s`.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM cdr.call_records r WHERE cdr.r.start_time >= '2026-11-01'", NOV),
            // An alias hides the name.
            ("SELECT * FROM call_records r WHERE call_records.start_time >= '2026-11-01'", "unknown"),
            (
                "SELECT * FROM call_records r, agents call_records WHERE call_records.start_time >= '2026-11-01'",
                "unknown",
            ),
            // Another spelling of an alias is another table to servers that compare names exactly.
            ("SELECT * FROM call_records r WHERE R.start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records r, call_records R WHERE r.start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records PARTITION (p1, p2) r WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM call_records USE INDEX (a) WHERE start_time >= '2026-11-01'", NOV),
            (
                "SELECT * FROM call_records r FORCE INDEX FOR ORDER BY (a, b), IGNORE KEY (c) WHERE start_time >= '2026-11-01'",
                NOV,
            ),
            ("SELECT * FROM call_records r USE INDEX (), agents a WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM archive.parts WHERE born >= '2026-11-01'", NOV),
            ("SELECT * FROM archive.parts", "unknown"),
            ("SELECT * FROM call_records FOR SYSTEM_TIME ALL WHERE start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records TABLESAMPLE SYSTEM (10) WHERE start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records(5) WHERE start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM .call_records WHERE start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM {oj call_records} WHERE start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records, WHERE start_time >= '2026-11-01'", "unknown"),
        ],
    );
    let mut ansi = utc();
    ansi.mode = LexMode { ansi_quotes: true, ..LexMode::default() };
    check(
        &ansi,
        &[
            ("SELECT * FROM \"call_records\" \"r\" WHERE \"r\".\"start_time\" >= '2026-11-01'", NOV),
            ("SELECT * FROM call_records WHERE start_time >= \"2026-11-01\"", "unknown"),
        ],
    );
}

#[test]
fn joins() {
    check(
        &utc(),
        &[
            ("SELECT * FROM call_records, agents WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM call_records r JOIN agents a ON a.id = r.agent WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM agents a JOIN call_records r ON a.id = r.agent AND r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM agents a INNER JOIN call_records r ON r.start_time >= '2026-11-01' WHERE a.x OR a.y", NOV),
            ("SELECT * FROM agents a CROSS JOIN call_records r ON r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM agents a STRAIGHT_JOIN call_records r ON r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM call_records r JOIN agents a ON r.start_time >= '2026-11-01' OR x", "unknown"),
            ("SELECT * FROM call_records r JOIN agents a ON LEFT(r.x, 2) = a.x AND r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM call_records r JOIN agents a USING (id) WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM (call_records r JOIN agents a ON r.start_time >= '2026-11-01')", NOV),
            ("SELECT * FROM ((agents a), (call_records r)) JOIN b ON r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM a JOIN b JOIN call_records r ON r.start_time >= '2026-11-01' ON a.id = b.id", NOV),
            // Two references, each on its own.
            ("SELECT * FROM call_records a, call_records b WHERE a.start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records a, call_records b WHERE start_time >= '2026-11-01'", "unknown"),
            (
                "SELECT * FROM call_records a, call_records b WHERE a.start_time >= '2026-11-01' AND b.start_time > '2026-10-01'",
                OCT,
            ),
            (
                "SELECT * FROM call_records a JOIN call_records b ON a.start_time = b.start_time WHERE b.start_time >= '2026-11-01'",
                "unknown",
            ),
            (
                "SELECT * FROM call_records a JOIN call_records b ON b.start_time < '2026-11-01' WHERE a.start_time >= '2026-11-01'",
                "endless",
            ),
            (
                "SELECT * FROM call_records r JOIN call_events e ON e.call_id = r.id WHERE r.start_time >= '2026-11-01'",
                "unknown",
            ),
            (
                "SELECT * FROM call_records r JOIN call_events e USING (call_id) WHERE start_time >= '2026-11-01' AND event_ts >= 1790812800",
                OCT,
            ),
            // Columns that joins merge are no single table's.
            ("SELECT * FROM call_records NATURAL JOIN agents WHERE start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records r NATURAL JOIN agents WHERE r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM call_records r JOIN a USING (start_time) WHERE start_time >= '2026-11-01'", "unknown"),
            (
                "SELECT * FROM call_records r JOIN a USING (id, `START_TIME`) WHERE start_time >= '2026-11-01'",
                "unknown",
            ),
            ("SELECT * FROM call_records r JOIN a USING (start_time) WHERE r.start_time >= '2026-11-01'", NOV),
        ],
    );
}

#[test]
fn outer_joins() {
    check(
        &utc(),
        &[
            // WHERE holds every row back.
            ("SELECT * FROM call_records r LEFT JOIN a ON a.id = r.a WHERE r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM a LEFT JOIN call_records r ON a.id = r.a WHERE r.start_time >= '2026-11-01'", NOV),
            // ON holds back the rows of the side that may be missing, not those of the other.
            ("SELECT * FROM call_records r LEFT JOIN a ON r.start_time >= '2026-11-01'", "unknown"),
            (
                "SELECT * FROM call_records r LEFT OUTER JOIN a ON r.start_time >= '2026-11-01' WHERE r.id = 5",
                "unknown",
            ),
            ("SELECT * FROM a LEFT JOIN call_records r ON r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM a LEFT JOIN call_records r ON r.start_time >= '2026-11-01' WHERE r.id IS NULL", NOV),
            ("SELECT * FROM call_records r RIGHT JOIN a ON r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM a RIGHT JOIN call_records r ON r.start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM a RIGHT OUTER JOIN call_records r ON r.start_time < '2026-11-01'", "unknown"),
            ("SELECT * FROM a LEFT JOIN call_records r ON r.id = a.r WHERE r.id IS NULL", "unknown"),
            ("SELECT * FROM a NATURAL LEFT JOIN call_records r WHERE r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM a NATURAL RIGHT OUTER JOIN call_records r WHERE start_time >= '2026-11-01'", "unknown"),
            // Nested.
            ("SELECT * FROM a LEFT JOIN (b JOIN call_records r ON b.id = r.b) ON r.start_time >= '2026-11-01'", NOV),
            (
                "SELECT * FROM a LEFT JOIN (b LEFT JOIN call_records r ON b.id = r.b) ON r.start_time >= '2026-11-01'",
                NOV,
            ),
            ("SELECT * FROM (call_records r JOIN b ON r.start_time >= '2026-11-01') LEFT JOIN c ON c.x = b.x", NOV),
            (
                "SELECT * FROM (call_records r LEFT JOIN b ON r.start_time >= '2026-11-01') JOIN c ON c.x = b.x",
                "unknown",
            ),
            ("SELECT * FROM a JOIN call_records r ON r.start_time >= '2026-11-01' LEFT JOIN c ON c.x = a.x", NOV),
            ("SELECT * FROM call_records r LEFT JOIN c ON c.x = r.x JOIN d ON r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM call_records r JOIN d ON d.x = r.x LEFT JOIN c ON r.start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records r JOIN d ON d.x = r.x RIGHT JOIN c ON r.start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM x, call_records r LEFT JOIN c ON r.start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM x LEFT JOIN c ON c.x, call_records r WHERE r.start_time >= '2026-11-01'", NOV),
            // Nesting without brackets is read in different ways: no ON counts.
            ("SELECT * FROM call_records r JOIN b LEFT JOIN c ON r.start_time >= '2026-11-01'", "unknown"),
            (
                "SELECT * FROM a LEFT JOIN b LEFT JOIN call_records r ON r.start_time >= '2026-11-01' ON a.x = b.x",
                "unknown",
            ),
            ("SELECT * FROM call_records r LEFT JOIN b JOIN c ON b.x = c.x ON r.start_time >= '2026-11-01'", "unknown"),
            // A word that is an alias to some servers and a join to others.
            ("SELECT * FROM call_records FULL JOIN a ON start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records FULL OUTER JOIN a ON start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records r FULL JOIN a ON start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records r LEFT SEMI JOIN a ON start_time >= '2026-11-01'", "unknown"),
        ],
    );
}

#[test]
fn blocks_inside_blocks() {
    check(
        &utc(),
        &[
            ("SELECT (SELECT MAX(id) FROM call_records) FROM agents", "unknown"),
            ("SELECT (SELECT MAX(id) FROM call_records WHERE start_time >= '2026-11-01') FROM agents", NOV),
            ("SELECT * FROM agents WHERE id IN (SELECT agent FROM call_records)", "unknown"),
            ("SELECT * FROM agents WHERE id IN (SELECT agent FROM call_records WHERE start_time > '2026-11-01')", NOV),
            (
                "SELECT * FROM agents WHERE x OR EXISTS (SELECT 1 FROM call_records WHERE start_time > '2026-11-01')",
                NOV,
            ),
            ("SELECT * FROM agents GROUP BY (SELECT 1 FROM call_records WHERE start_time > '2026-11-01' LIMIT 1)", NOV),
            ("SELECT * FROM agents HAVING (SELECT 1 FROM call_records LIMIT 1)", "unknown"),
            ("SELECT * FROM agents ORDER BY (SELECT 1 FROM call_records LIMIT 1)", "unknown"),
            ("SELECT * FROM agents LIMIT 5", "timeless"),
            ("SELECT COALESCE((SELECT 1 FROM call_records WHERE start_time > '2026-11-01'), 0)", NOV),
            // Each block for itself.
            (
                "SELECT * FROM call_records WHERE start_time >= '2026-11-01' AND id IN (SELECT id FROM call_records)",
                "unknown",
            ),
            (
                "SELECT * FROM call_records WHERE start_time >= '2026-11-01' AND id IN (SELECT id FROM call_records WHERE start_time > '2026-10-01')",
                OCT,
            ),
            (
                "SELECT * FROM call_records WHERE id IN (SELECT id FROM call_records WHERE start_time > '2026-10-01')",
                "unknown",
            ),
            (
                "SELECT * FROM call_records WHERE start_time >= '2026-11-01' AND id IN (SELECT id FROM call_records WHERE start_time < '2026-10-01')",
                "endless",
            ),
            // The outer block's column does not bound the inner block's table.
            (
                "SELECT * FROM call_records r WHERE r.start_time >= '2026-11-01' AND EXISTS (SELECT 1 FROM call_records i WHERE r.start_time >= '2026-11-01')",
                "unknown",
            ),
            (
                "SELECT * FROM call_records A WHERE A.start_time >= '2026-11-01' AND EXISTS (SELECT 1 FROM call_records a WHERE A.start_time >= '2026-11-01')",
                "unknown",
            ),
            (
                "SELECT * FROM agents r WHERE EXISTS (SELECT 1 FROM call_records WHERE r.start_time >= '2026-11-01')",
                "unknown",
            ),
            (
                "SELECT * FROM call_records WHERE EXISTS (SELECT 1 FROM agents WHERE start_time >= '2026-11-01')",
                "unknown",
            ),
            // The same alias inside and outside.
            (
                "SELECT * FROM call_records r WHERE r.start_time >= '2026-11-01' AND EXISTS (SELECT 1 FROM call_records r WHERE r.start_time >= '2026-10-01')",
                OCT,
            ),
            (
                "SELECT * FROM agents r WHERE EXISTS (SELECT 1 FROM call_records r WHERE r.start_time >= '2026-10-01')",
                OCT,
            ),
            // Derived tables.
            ("SELECT * FROM (SELECT * FROM call_records) d WHERE start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM (SELECT * FROM call_records WHERE start_time >= '2026-11-01') d", NOV),
            (
                "SELECT * FROM (SELECT * FROM call_records) call_records WHERE call_records.start_time >= '2026-11-01'",
                "unknown",
            ),
            ("SELECT * FROM (SELECT 1) AS call_records WHERE call_records.start_time >= '2026-11-01'", "timeless"),
            (
                "SELECT * FROM (SELECT * FROM call_records WHERE start_time >= '2026-11-01') AS d (a, b) JOIN agents",
                NOV,
            ),
            ("SELECT * FROM ((SELECT * FROM call_records WHERE start_time >= '2026-11-01')) d", NOV),
            ("SELECT * FROM ((SELECT 1) UNION (SELECT id FROM call_records WHERE start_time > '2026-11-01')) d", NOV),
            ("SELECT * FROM ((SELECT 1) AS x JOIN call_records r ON r.start_time > '2026-11-01')", NOV),
            ("SELECT * FROM agents a, LATERAL (SELECT * FROM call_records WHERE start_time > '2026-11-01') d", NOV),
            (
                "SELECT * FROM agents a, LATERAL (SELECT * FROM call_records r WHERE a.start_time > '2026-11-01') d",
                "unknown",
            ),
            (
                "SELECT * FROM JSON_TABLE('[]', '$[*]' COLUMNS (a INT PATH '$')) AS j, call_records WHERE start_time > '2026-11-01'",
                NOV,
            ),
            ("SELECT * FROM (VALUES (1), (2)) v JOIN call_records ON start_time > '2026-11-01'", NOV),
            ("SELECT EXTRACT(YEAR FROM start_time) FROM call_records WHERE start_time > '2026-11-01'", NOV),
            ("SELECT TRIM(LEADING 'x' FROM y), a FROM call_records WHERE start_time > '2026-11-01'", NOV),
        ],
    );
}

#[test]
fn unions_and_ctes() {
    check(
        &utc(),
        &[
            (
                "SELECT 1 FROM call_records WHERE start_time >= '2026-11-01' UNION SELECT 1 FROM call_records WHERE start_time > '2026-10-01'",
                OCT,
            ),
            (
                "SELECT 1 FROM call_records WHERE start_time >= '2026-11-01' UNION ALL SELECT 1 FROM call_records",
                "unknown",
            ),
            ("SELECT 1 FROM call_records UNION SELECT 1 FROM call_records WHERE start_time >= '2026-11-01'", "unknown"),
            (
                "(SELECT 1 FROM call_records WHERE start_time >= '2026-11-01') UNION (SELECT 1 FROM agents) ORDER BY 1",
                NOV,
            ),
            (
                "(SELECT 1 FROM call_records WHERE start_time >= '2026-11-01') UNION ALL (SELECT 1 FROM call_records)",
                "unknown",
            ),
            ("(SELECT 1 FROM call_records) WHERE start_time >= '2026-11-01'", "unknown"),
            ("SELECT 1 FROM call_records WHERE start_time >= '2026-11-01' EXCEPT SELECT 2", NOV),
            ("SELECT 1 FROM agents INTERSECT SELECT 2 FROM call_records WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT 1 FROM agents UNION TABLE call_records", "unknown"),
            ("TABLE call_records", "unknown"),
            ("WITH c AS (SELECT * FROM call_records WHERE start_time >= '2026-11-01') SELECT * FROM c", NOV),
            ("WITH c AS (SELECT * FROM call_records) SELECT * FROM c WHERE start_time >= '2026-11-01'", "unknown"),
            ("WITH c (a) AS (SELECT 1) SELECT * FROM call_records WHERE start_time >= '2026-11-01'", NOV),
            ("WITH c AS (SELECT 1), d AS (SELECT 2 FROM call_records) SELECT 1", "unknown"),
            (
                "WITH RECURSIVE c AS (SELECT 1 FROM call_records WHERE start_time >= '2026-11-01' UNION ALL SELECT 1 FROM c) SELECT * FROM c",
                NOV,
            ),
            // A CTE named like the table: its own body still means the table, so none of the two is believed.
            (
                "WITH call_records AS (SELECT * FROM call_records WHERE start_time >= '2026-11-01') SELECT * FROM call_records",
                "unknown",
            ),
            (
                "WITH call_records AS (SELECT 1 FROM call_records) SELECT * FROM call_records WHERE start_time >= '2026-11-01'",
                "unknown",
            ),
        ],
    );
}

#[test]
fn statements_that_write() {
    check(
        &utc(),
        &[
            ("UPDATE call_records SET note = 'x' WHERE start_time >= '2026-11-01'", NOV),
            (
                "UPDATE LOW_PRIORITY IGNORE call_records r SET r.x = 1, y = 2 WHERE r.start_time > '2026-11-01' LIMIT 5",
                NOV,
            ),
            ("UPDATE call_records SET note = 'x' WHERE id = 5", "unknown"),
            ("UPDATE call_records SET start_time >= '2026-11-01'", "unknown"),
            ("UPDATE call_records SET x = CASE WHEN a AND start_time >= '2026-11-01' THEN 1 END", "unknown"),
            ("UPDATE call_records r JOIN agents a ON a.id = r.a SET r.x = a.x WHERE r.start_time >= '2026-11-01'", NOV),
            ("UPDATE agents SET x = (SELECT COUNT(*) FROM call_records WHERE start_time >= '2026-11-01')", NOV),
            ("UPDATE agents SET x = (SELECT COUNT(*) FROM call_records) WHERE start_time >= '2026-11-01'", "unknown"),
            ("DELETE FROM call_records WHERE start_time < '2026-11-01'", "endless"),
            ("DELETE FROM call_records WHERE start_time >= '2026-11-01' ORDER BY id LIMIT 5", NOV),
            ("DELETE QUICK FROM call_records r WHERE r.start_time >= '2026-11-01' RETURNING id", NOV),
            ("DELETE r FROM call_records r JOIN agents a ON a.id = r.a WHERE r.start_time >= '2026-11-01'", NOV),
            ("DELETE call_records.* FROM call_records, agents WHERE start_time >= '2026-11-01'", NOV),
            (
                "DELETE call_records, agents FROM call_records JOIN agents USING (id) WHERE start_time >= '2026-11-01'",
                NOV,
            ),
            (
                "DELETE FROM call_records USING call_records JOIN agents USING (id) WHERE start_time >= '2026-11-01'",
                NOV,
            ),
            ("DELETE FROM call_records", "unknown"),
            ("DELETE HISTORY FROM call_records BEFORE SYSTEM_TIME '2026-11-01'", "unknown"),
            ("DELETE FROM call_records FOR PORTION OF p FROM '2026-11-01' TO '2026-12-01'", "unknown"),
            // What is only put in is not read.
            ("INSERT INTO call_records (id, start_time) VALUES (1, '2020-01-01')", "timeless"),
            ("INSERT IGNORE call_records SET id = 1", "timeless"),
            ("INSERT HIGH_PRIORITY INTO cdr.call_records VALUES (1, NOW()), (2, NOW())", "timeless"),
            ("INSERT INTO call_records VALUES (1) ON DUPLICATE KEY UPDATE x = VALUES(x)", "timeless"),
            ("REPLACE INTO call_records VALUES (1)", "timeless"),
            ("INSERT INTO call_records VALUES (1) RETURNING id", "timeless"),
            ("LOAD DATA LOCAL INFILE 'x' INTO TABLE call_records", "timeless"),
            ("INSERT INTO call_records VALUES ((SELECT MAX(id) FROM call_records))", "unknown"),
            ("INSERT INTO archived SELECT * FROM call_records", "unknown"),
            ("INSERT INTO archived SELECT * FROM call_records WHERE start_time >= '2026-11-01'", NOV),
            ("INSERT INTO archived (a, b) (SELECT * FROM call_records WHERE start_time >= '2026-11-01')", NOV),
            (
                "INSERT INTO archived SELECT * FROM call_records WHERE start_time >= '2026-11-01' ON DUPLICATE KEY UPDATE a = 1 OR 2",
                NOV,
            ),
            (
                "INSERT INTO archived SELECT * FROM call_records ON DUPLICATE KEY UPDATE start_time = '2026-11-01'",
                "unknown",
            ),
            ("INSERT INTO call_records SELECT * FROM call_records WHERE start_time >= '2026-11-01'", NOV),
            ("INSERT INTO archived TABLE call_records", "unknown"),
            (
                "INSERT INTO archived WITH c AS (SELECT 1) SELECT * FROM call_records WHERE start_time >= '2026-11-01'",
                NOV,
            ),
            ("WITH c AS (SELECT 1) UPDATE call_records SET x = 1 WHERE start_time >= '2026-11-01'", NOV),
            (
                "WITH c AS (SELECT 1 FROM call_records) DELETE FROM call_records WHERE start_time >= '2026-11-01'",
                "unknown",
            ),
        ],
    );
}

#[test]
fn other_statements() {
    check(
        &utc(),
        &[
            ("EXPLAIN SELECT * FROM call_records WHERE start_time >= '2026-11-01'", NOV),
            ("EXPLAIN FORMAT=JSON SELECT * FROM call_records", "unknown"),
            ("EXPLAIN UPDATE call_records SET x = 1 WHERE start_time >= '2026-11-01'", NOV),
            ("ANALYZE FORMAT=JSON SELECT * FROM call_records WHERE start_time >= '2026-11-01'", NOV),
            ("EXPLAIN ANALYZE (SELECT * FROM call_records)", "unknown"),
            ("EXPLAIN ANALYZE (SELECT * FROM call_records WHERE start_time >= '2026-11-01')", NOV),
            ("EXPLAIN ANALYZE TABLE call_records", "unknown"),
            ("ANALYZE (SELECT * FROM call_records WHERE start_time >= '2026-11-01')", NOV),
            ("EXPLAIN call_records", "timeless"),
            ("DESCRIBE call_records start_time", "timeless"),
            ("DESC cdr.call_records", "timeless"),
            ("SHOW CREATE TABLE call_records", "timeless"),
            ("SHOW COLUMNS FROM call_records WHERE Field = 'x'", "timeless"),
            ("ALTER TABLE call_records ADD COLUMN x INT", "timeless"),
            ("DROP TABLE call_records", "timeless"),
            ("TRUNCATE call_records", "timeless"),
            ("CREATE TABLE call_records (id INT)", "timeless"),
            ("CREATE TABLE x LIKE call_records", "timeless"),
            ("CREATE TEMPORARY TABLE x AS SELECT * FROM call_records WHERE start_time >= '2026-11-01'", NOV),
            ("CREATE OR REPLACE TABLE x SELECT * FROM call_records", "unknown"),
            ("CREATE TABLE x (id INT) (SELECT * FROM call_records)", "unknown"),
            ("CREATE TABLE x TABLE call_records", "unknown"),
            ("CREATE TABLE x AS (TABLE call_records)", "unknown"),
            ("CREATE TABLE x WITH c AS (SELECT 1) TABLE call_records", "unknown"),
            ("SHOW TABLES WHERE 1 IN (TABLE call_records)", "unknown"),
            ("CREATE VIEW v AS SELECT * FROM call_records WHERE start_time >= '2026-11-01'", "unknown"),
            ("LOCK TABLES call_records READ", "timeless"),
            ("GRANT SELECT ON call_records TO x", "timeless"),
            ("ANALYZE TABLE call_records", "unknown"),
            ("CHECKSUM TABLE call_records", "unknown"),
            ("HANDLER call_records READ FIRST", "unknown"),
            ("DO (SELECT 1 FROM call_records WHERE start_time >= '2026-11-01')", "unknown"),
            ("SET @x = (SELECT 1 FROM call_records WHERE start_time >= '2026-11-01')", "unknown"),
            (
                "SET STATEMENT time_zone='+14:00' FOR SELECT * FROM call_records WHERE start_time >= '2026-11-01'",
                "unknown",
            ),
            ("BEGIN NOT ATOMIC SELECT * FROM call_records WHERE start_time >= '2026-11-01'; END", "unknown"),
            ("XYZZY call_records", "unknown"),
            ("call_records", "unknown"),
        ],
    );
}

#[test]
fn several_statements() {
    check(
        &utc(),
        &[
            ("SELECT * FROM call_records WHERE start_time >= '2026-11-01';;", NOV),
            (
                "SELECT * FROM call_records WHERE start_time >= '2026-11-01'; SELECT * FROM call_records WHERE start_time > '2026-10-01'",
                OCT,
            ),
            ("SELECT 1; SELECT * FROM call_records WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM call_records WHERE start_time >= '2026-11-01'; SELECT * FROM call_records", "unknown"),
            ("BEGIN; SELECT * FROM call_records WHERE start_time >= '2026-11-01'; COMMIT", NOV),
            // What stands beside it may change what it means.
            ("SET timestamp = 1; SELECT * FROM call_records WHERE start_time >= NOW()", "unknown"),
            ("SET time_zone = '+14:00'; SELECT * FROM call_records WHERE start_time >= '2026-11-01'", "unknown"),
            ("USE other; SELECT * FROM call_records WHERE start_time >= '2026-11-01'", "unknown"),
            ("CALL p(); SELECT * FROM call_records WHERE start_time >= '2026-11-01'", "unknown"),
            ("CALL p(); SELECT * FROM agents", "timeless"),
        ],
    );
}

#[test]
fn text_that_is_not_what_it_seems() {
    check(
        &utc(),
        &[
            ("SELECT * FROM call_records WHERE start_time >= '2026-11-01' /*! OR 1 */", "unknown"),
            ("SELECT * FROM call_records WHERE start_time >= '2026-11-01' /*!99999 OR 1 */", "unknown"),
            ("SELECT * FROM call_records WHERE start_time >= '2026-11-01' /*M! OR 1 */", "unknown"),
            ("SELECT /*! STRAIGHT_JOIN */ * FROM call_records WHERE start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM agents /*! JOIN call_records */", "unknown"),
            ("SELECT /*! SQL_NO_CACHE */ * FROM agents", "timeless"),
            ("SELECT /*+ MAX_EXECUTION_TIME(1000) */ * FROM call_records WHERE start_time >= '2026-11-01'", NOV),
            (
                "SELECT /*+ SET_VAR(time_zone='+14:00') */ * FROM call_records WHERE start_time >= '2026-11-01'",
                "unknown",
            ),
            ("SELECT /*+ set_var (timestamp = 1) */ * FROM call_records WHERE start_time >= NOW()", "unknown"),
            ("/* switchboard: hostgroup=20 */ SELECT * FROM call_records WHERE start_time >= '2026-11-01'", NOV),
            ("SELECT * FROM call_records WHERE start_time >= '2026-11-01' AND x = 'open", "unknown"),
            ("SELECT * FROM agents WHERE x = 'open", "unknown"),
            ("SELECT * FROM call_records WHERE start_time >= '2026-11-01' /* open", "unknown"),
            ("SELECT * FROM call_records WHERE (start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM call_records WHERE start_time >= '2026-11-01')", "unknown"),
            ("SELECT * FROM call_records WHERE (start_time >= '2026-11-01'}", "unknown"),
            ("SELECT * FROM call_records WHERE start_time >= '2026-11-01' WHERE x", "unknown"),
            ("SELECT * FROM call_records SELECT * WHERE start_time >= '2026-11-01'", "unknown"),
            ("SELECT * FROM agents WHERE call_records = 5", "unknown"),
            ("SELECT start_time AS call_records FROM agents", "unknown"),
        ],
    );
    // Names from a client whose character set is latin1.
    let latin = b"SELECT * FROM call_records AS \xe9t\xe9 WHERE \xe9t\xe9.start_time >= '2026-11-01'";
    assert_eq!(shown(utc().reach(latin)), NOV);
    let mut foreign = utc();
    foreign.mode = LexMode { foreign_charset: true, ..LexMode::default() };
    assert_eq!(shown(foreign.reach(latin)), "unknown");
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |depth: usize, inner: &str| {
        format!("SELECT * FROM call_records WHERE {}{inner}{}", "(".repeat(depth), ")".repeat(depth))
    };
    let bound = "start_time >= '2026-11-01'";
    assert_eq!(shown(utc().reach(nested(20, bound).as_bytes())), NOV);
    assert_eq!(shown(utc().reach(nested(1_000, bound).as_bytes())), "unknown");
    assert_eq!(shown(utc().reach(nested(7_000, "start_time").as_bytes())), "unknown");
    let deep = [
        format!("start_time >= {}1{}", "(".repeat(7_000), ")".repeat(7_000)),
        format!("start_time >= {}1", "- ".repeat(7_000)),
        format!("start_time >= {}1", "+".repeat(7_000)),
        format!("start_time >= {}1{}", "DATE(".repeat(5_000), ")".repeat(5_000)),
        format!("x > {} AND {bound}", "INTERVAL ".repeat(7_000)),
        format!("x > NOW() - {} 1 DAY AND {bound}", "INTERVAL 1 + ".repeat(3_000)),
        format!("{}start_time{} >= 1", "(".repeat(7_000), ")".repeat(7_000)),
    ];
    for text in deep {
        let sql = format!("SELECT * FROM call_records WHERE {text}");
        assert_eq!(shown(utc().reach(sql.as_bytes())), "unknown", "{}", &text[..60]);
    }
    let joins = format!("SELECT * FROM {}call_records{} WHERE {bound}", "(".repeat(7_000), ")".repeat(7_000));
    assert_eq!(shown(utc().reach(joins.as_bytes())), "unknown");
    let many = format!("SELECT * FROM call_records{} WHERE {bound}", ", agents".repeat(10_000));
    assert_eq!(shown(utc().reach(many.as_bytes())), "unknown");
    let long = format!("SELECT {}1 FROM call_records WHERE {bound}", "a + ".repeat(20_000));
    assert_eq!(shown(utc().reach(long.as_bytes())), "unknown");
    // Long lists are folded, so they are no matter.
    let list = format!("SELECT * FROM call_records WHERE id IN (1{}) AND {bound}", ", 7".repeat(10_000));
    assert_eq!(shown(utc().reach(list.as_bytes())), NOV);
    let rows = format!("INSERT INTO call_records VALUES (1, 'x'){}", ", (2, 'y')".repeat(100_000));
    assert_eq!(shown(utc().reach(rows.as_bytes())), "timeless");
    // More literals than a digest keeps.
    let list = format!("SELECT * FROM call_records WHERE id IN (1{}) AND {bound}", ", 7".repeat(20_000));
    assert_eq!(shown(utc().reach(list.as_bytes())), "unknown");
}
