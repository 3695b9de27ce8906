//! Horizons: which conjuncts bound a table, and which only look as if they did.

mod predicate_support;

use predicate_support::{Session, check, check_where};

fn utc() -> Session<'static> {
    Session::of_zone("UTC")
}

const DAY: &str = "2026-11-01 00:00:00";

/// `(text, expected)` rows that all have the same expectation.
fn all<'a>(expected: &'a str, texts: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    texts.iter().map(|text| (*text, expected)).collect()
}

#[test]
fn one_comparison_bounds_from_below() {
    check_where(
        &utc(),
        &all(
            DAY,
            &[
                "start_time >= '2026-11-01'",
                "start_time > '2026-11-01'",
                "start_time = '2026-11-01'",
                "start_time <=> '2026-11-01'",
                "start_time>='2026-11-01'",
                "'2026-11-01' <= start_time",
                "'2026-11-01' < start_time",
                "'2026-11-01' = start_time",
                "'2026-11-01' <=> start_time",
                "start_time BETWEEN '2026-11-01' AND '2026-11-30'",
                "start_time between '2026-11-01' and now()",
                "start_time IN ('2026-11-01')",
                "start_time IN ('2026-11-05','2026-11-01','2026-11-03')",
                "start_time IN ('2026-11-05','2026-11-02','2026-11-03','2026-11-04','2026-11-06','2026-11-01')",
                "start_time IN (NOW(), '2026-11-01', CURDATE())",
                "START_TIME >= '2026-11-01'",
                "`start_time` >= '2026-11-01'",
                "`Start_Time` >= '2026-11-01'",
                "call_records.start_time >= '2026-11-01'",
                "call_records . start_time >= '2026-11-01'",
                "`call_records`.`start_time` >= '2026-11-01'",
                "(start_time) >= ('2026-11-01')",
                "((start_time)) >= (('2026-11-01'))",
                "(start_time >= '2026-11-01')",
                "((start_time >= '2026-11-01'))",
                "start_time /* when */ >= -- at least\n '2026-11-01'",
                "start_time >= \"2026-11-01\"",
            ],
        ),
    );
}

#[test]
fn conjuncts_join() {
    check_where(
        &utc(),
        &all(
            DAY,
            &[
                "id = 5 AND start_time >= '2026-11-01'",
                "start_time >= '2026-11-01' AND id = 5",
                "start_time >= '2026-11-01' && id = 5",
                "start_time >= '2026-11-01' AND start_time < '2026-12-01'",
                "start_time < '2026-12-01' AND start_time >= '2026-11-01'",
                "start_time >= '2026-10-01' AND start_time >= '2026-11-01' AND start_time >= '2026-09-01'",
                "(id = 5 AND (start_time >= '2026-11-01' AND (caller = 'x')))",
                "(id = 5 OR id = 6) AND start_time >= '2026-11-01'",
                "NOT deleted AND start_time >= '2026-11-01'",
                "a BETWEEN 1 AND 2 AND start_time >= '2026-11-01'",
                "a NOT BETWEEN 1 AND 2 AND start_time >= '2026-11-01'",
                "a BETWEEN 1 AND 2 AND b BETWEEN 3 AND 4 AND start_time >= '2026-11-01' AND c BETWEEN 5 AND 6",
                "a BETWEEN 1 AND c BETWEEN 2 AND 3 AND start_time >= '2026-11-01'",
                "x LIKE '%a OR b%' AND start_time >= '2026-11-01'",
                "x LIKE 'a|%' ESCAPE '|' AND start_time >= '2026-11-01'",
                "x IS NOT NULL AND start_time >= '2026-11-01' AND y IS NULL",
                "x > NOW() - INTERVAL 1 DAY AND start_time >= '2026-11-01'",
                "x > NOW() - INTERVAL y DAY AND start_time >= '2026-11-01'",
                "x > NOW() - INTERVAL -t.y DAY AND start_time >= '2026-11-01'",
                "x > NOW() - INTERVAL f(y) DAY AND start_time >= '2026-11-01'",
                "x > NOW() - INTERVAL (y + 1) DAY AND start_time >= '2026-11-01'",
                "(CASE WHEN a THEN b OR c ELSE d END) AND start_time >= '2026-11-01'",
                "IF(a OR b, c, d) AND start_time >= '2026-11-01'",
                "EXISTS (SELECT 1 FROM agents WHERE a OR b) AND start_time >= '2026-11-01'",
                "id IN (SELECT id FROM agents) AND start_time >= '2026-11-01'",
                "MATCH (note) AGAINST ('x' IN BOOLEAN MODE) AND start_time >= '2026-11-01'",
                "DATE(start_time) = CURDATE() AND start_time >= '2026-11-01'",
                "start_time >= '2026-11-01' AND start_time >= @since",
                "start_time >= '2026-11-01' AND start_time >= '2026-13-45'",
                "start_time = '2026-11-01' AND start_time >= '2026-11-05'",
                "start_time >= '2026-11-05' AND start_time IN ('2026-11-05', '2026-11-01')",
                "start_time >= '2026-11-01' AND start_time IS NOT NULL",
                "start_time >= '2026-11-01' AND `or` = 1",
                "start_time >= '2026-11-01' AND t.or = 1",
                "start_time >= '2026-11-01' AND note = 'x OR 1'",
                "start_time >= '2026-11-01' /* OR 1=1 */",
                "start_time >= '2026-11-01' -- OR 1=1\n",
            ],
        ),
    );
}

#[test]
fn clauses_behind_the_condition() {
    check_where(
        &utc(),
        &all(
            DAY,
            &[
                "start_time >= '2026-11-01' ORDER BY start_time DESC LIMIT 10",
                "start_time >= '2026-11-01' GROUP BY caller HAVING COUNT(*) > 1 OR SUM(x) > 2",
                "start_time >= '2026-11-01' GROUP BY caller WITH ROLLUP",
                "start_time >= '2026-11-01' LIMIT 5, 10",
                "start_time >= '2026-11-01' FOR UPDATE",
                "start_time >= '2026-11-01' FOR SHARE OF call_records SKIP LOCKED",
                "start_time >= '2026-11-01' FOR UPDATE OF x, call_records NOWAIT",
                "start_time >= '2026-11-01' LOCK IN SHARE MODE",
                "start_time >= '2026-11-01' INTO @a, @b",
                "start_time >= '2026-11-01' INTO OUTFILE '/tmp/x' FIELDS TERMINATED BY ','",
                "start_time >= '2026-11-01' WINDOW w AS (PARTITION BY a)",
                "start_time >= '2026-11-01' OFFSET 5 ROWS FETCH NEXT 5 ROWS ONLY",
                "start_time >= '2026-11-01' PROCEDURE ANALYSE()",
                "start_time >= '2026-11-01';",
                "start_time >= CURRENT_DATE - INTERVAL 21 DAY OFFSET 5 ROWS",
            ],
        ),
    );
}

/// What a careless reader would take for a bound.
#[test]
fn nothing_is_proven_by() {
    check_where(
        &utc(),
        &all(
            "unknown",
            &[
                // Nothing that speaks of the time.
                "id = 5",
                "1",
                "end_time >= '2026-11-01'",
                "other.start_time >= '2026-11-01'",
                "archive.call_records.start_time >= '2026-11-01'",
                "CALL_RECORDS.start_time >= '2026-11-01'",
                // Alternatives.
                "start_time >= '2026-11-01' OR id = 5",
                "start_time >= '2026-11-01' || id = 5",
                "start_time >= '2026-11-01' XOR id = 5",
                "id = 5 AND start_time >= '2026-11-01' OR x",
                "x OR start_time >= '2026-11-01' AND id = 5",
                "1 OR start_time > '2026-11-01'",
                "(start_time >= '2026-11-01' OR id = 5)",
                "a = 1 AND (b = 2 AND (start_time >= '2026-11-01' OR id = 5))",
                "((id = 5) OR (start_time >= '2026-11-01'))",
                "a BETWEEN 1 AND 2 OR start_time >= '2026-11-01'",
                "start_time >= '2026-11-01' AND a BETWEEN 1 AND 2 OR b",
                "a BETWEEN 1 AND start_time >= '2026-11-01'",
                "a BETWEEN (1) AND start_time >= '2026-11-01'",
                "a NOT BETWEEN 1 AND start_time >= '2026-11-01'",
                // Denials and tests of a comparison's outcome.
                "NOT start_time >= '2026-11-01'",
                "NOT (start_time >= '2026-11-01')",
                "NOT (id = 5 AND start_time >= '2026-11-01')",
                "! (start_time >= '2026-11-01')",
                "!start_time >= '2026-11-01'",
                "(start_time >= '2026-11-01') = 0",
                "0 = (start_time >= '2026-11-01')",
                "start_time >= '2026-11-01' = 0",
                "0 = start_time >= '2026-11-01'",
                "start_time >= '2026-11-01' IS FALSE",
                "(start_time >= '2026-11-01') IS NOT TRUE",
                "(start_time >= '2026-11-01') IS UNKNOWN",
                "(start_time >= '2026-11-01') <> 1",
                "(start_time >= '2026-11-01') - 1",
                "start_time >= '2026-11-01' + 1",
                "start_time >= '2026-11-01' | 1",
                "start_time >= '2026-11-01' DIV 2",
                "start_time >= '2026-11-01' % 2",
                "start_time >= '2026-11-01' COLLATE utf8mb4_bin",
                "start_time >= '2026-11-01' NOT NULL",
                "start_time >= '2026-11' '-01'",
                "start_time >= _utf8'2026-11-01'",
                "start_time >= N'2026-11-01'",
                "start_time >= BINARY '2026-11-01'",
                "start_time >= NOT '2026-11-01'",
                "start_time >= -'2026-11-01'",
                "start_time >= X'323032362d31312d3031'",
                "start_time NOT BETWEEN '2026-11-01' AND '2026-11-30'",
                "start_time NOT IN ('2026-11-01')",
                "start_time BETWEEN '2026-11-01' AND '2026-11-30' = 0",
                "start_time BETWEEN '2026-11-01' AND '2026-11-30' IS FALSE",
                "(start_time BETWEEN '2026-11-01' AND '2026-11-30') = 0",
                "start_time IN ('2026-11-01') = 0",
                "start_time IN ('2026-11-01') IS FALSE",
                "start_time BETWEEN SYMMETRIC '2026-11-01' AND '2026-11-30'",
                "start_time BETWEEN '2026-11-01'",
                "start_time BETWEEN '2026-11-01' AND",
                "start_time BETWEEN '2026-11-01' AND id",
                "start_time BETWEEN id AND '2026-11-01'",
                "'2026-11-01' BETWEEN start_time AND NOW()",
                // Other operators.
                "start_time != '2026-11-01'",
                "start_time <> '2026-11-01'",
                "start_time IS NOT NULL",
                "start_time IS NULL",
                "start_time",
                "start_time LIKE '2026-11-01%'",
                "start_time REGEXP '^2026-11-01'",
                "start_time := '2026-11-01'",
                "@a := start_time >= '2026-11-01'",
                "x AND @a := 0 AND start_time >= '2026-11-01'",
                "start_time >= ALL (SELECT '2026-11-01')",
                "start_time >= ANY (SELECT '2026-11-01')",
                "start_time >= SOME (SELECT '2026-11-01')",
                "start_time >= (SELECT '2026-11-01')",
                "start_time IN (SELECT '2026-11-01')",
                "start_time IN ()",
                "start_time IN ('2026-11-01', id)",
                "start_time IN ('2026-11-01', '2026-11-02', NULL)",
                "start_time IN ('2026-11-01', 'yesterday')",
                "(start_time, id) >= ('2026-11-01', 5)",
                "(start_time, id) IN (('2026-11-01', 5))",
                "ROW(start_time, id) >= ROW('2026-11-01', 5)",
                "(id, start_time >= '2026-11-01') = (5, 0)",
                // The column is not bare.
                "DATE(start_time) >= '2026-11-01'",
                "YEAR(start_time) = 2026",
                "start_time + INTERVAL 1 YEAR >= '2026-11-01'",
                "start_time - INTERVAL 1 DAY >= '2026-11-01'",
                "INTERVAL 1 YEAR + start_time >= '2026-11-01'",
                "DATE_ADD(start_time, INTERVAL 1 YEAR) >= '2026-11-01'",
                "CAST(start_time AS DATE) >= '2026-11-01'",
                "CONVERT(start_time, DATE) >= '2026-11-01'",
                "COALESCE(start_time, NOW()) >= '2026-11-01'",
                "IFNULL(start_time, '2026-11-01') >= '2026-11-01'",
                "GREATEST(start_time, '2026-11-01') >= '2026-11-01'",
                "UNIX_TIMESTAMP(start_time) >= 1790000000",
                "start_time COLLATE utf8mb4_bin >= '2026-11-01'",
                "BINARY start_time >= '2026-11-01'",
                "-start_time >= '2026-11-01'",
                "+start_time >= '2026-11-01'",
                "start_time + 0 >= 20261101",
                "start_time(0) >= '2026-11-01'",
                "DEFAULT(start_time) >= '2026-11-01'",
                "VALUES(start_time) >= '2026-11-01'",
                "@start_time >= '2026-11-01'",
                "'start_time' >= '2026-11-01'",
                "start_time.x >= '2026-11-01'",
                "a.b.c.start_time >= '2026-11-01'",
                // Equal to something unknown: MySQL would put that in the column's place.
                "start_time >= '2026-11-01' AND start_time = '26-11-01'",
                "start_time >= '2026-11-01' AND start_time <=> @x",
                "start_time >= '2026-11-01' AND start_time IN ('26-11-01')",
                // Another column.
                "start_time >= end_time",
                "start_time = start_time",
                "start_time >= call_records.created",
                "start_time >= LEAST(created, '2026-11-01')",
                "start_time >= '2026-11-01' - INTERVAL age DAY",
                "start_time >= NULL",
                "start_time = NULL",
                "start_time <=> NULL",
                "start_time >= TRUE",
                "start_time >= DEFAULT",
                // An AND that is not the condition's own.
                "CASE WHEN x AND start_time >= '2026-11-01' AND y THEN 1 ELSE 1 END",
                "CASE WHEN end AND start_time >= '2026-11-01' AND y THEN 1 ELSE 1 END",
                "CASE start_time >= '2026-11-01' WHEN 0 THEN 1 END",
                "a > NOW() - INTERVAL 1 AND start_time >= '2026-11-01' AND 3 DAY",
                "a > NOW() - INTERVAL day AND start_time >= '2026-11-01' AND 3 DAY",
                "a > NOW() - INTERVAL 1 + hour AND start_time >= '2026-11-01' AND 3 DAY",
                "a > NOW() - INTERVAL (1) + 1 AND start_time >= '2026-11-01' AND 3 DAY",
                "INTERVAL(1, 2, 3) AND start_time >= '2026-11-01'",
                "{x start_time >= '2026-11-01' AND 1}",
                "{x 1 AND start_time >= '2026-11-01' AND 1}",
                "f(1 AND start_time >= '2026-11-01' AND 1)",
                "(SELECT 1 AND start_time >= '2026-11-01' AND 1)",
                "EXISTS (SELECT 1 WHERE start_time >= '2026-11-01')",
                // The clause goes on behind a word that some versions reserve.
                "start_time >= '2026-11-01' AND offset OR 1",
                "start_time >= '2026-11-01' AND NOT window OR 1",
                "start_time >= '2026-11-01' AND intersect OR 1",
                "start_time >= '2026-11-01' AND intersect(a) OR 1",
                "start_time >= '2026-11-01' AND returning OR 1",
                "start_time >= '2026-11-01' AND a < NEXT VALUE FOR s OR 1",
                "start_time >= '2026-11-01' AND a < NEXT VALUE FOR share OR 1",
                "start_time >= '2026-11-01' QUALIFY x OR 1",
                // Not a condition at all.
                "",
                "AND start_time >= '2026-11-01' OR",
                "1 GROUP BY a HAVING start_time >= '2026-11-01'",
                "1 ORDER BY start_time >= '2026-11-01'",
            ],
        ),
    );
}

#[test]
fn an_upper_bound_alone_is_endless() {
    check_where(
        &utc(),
        &[
            ("start_time < '2026-11-01'", "endless"),
            ("start_time <= NOW()", "endless"),
            ("NOW() > start_time", "endless"),
            ("'2026-11-01' >= start_time", "endless"),
            ("start_time < DATE_SUB(NOW(), INTERVAL 90 DAY)", "endless"),
            ("start_time < ?", "endless"),
            ("start_time < @until", "endless"),
            ("start_time < STR_TO_DATE('2026', '%Y')", "endless"),
            ("id = 5 AND (start_time < '2026-11-01')", "endless"),
            // What is not understood could bound it.
            ("start_time < '2026-11-01' AND DATE(start_time) >= '2026-10-01'", "unknown"),
            ("start_time < '2026-11-01' AND start_time >= @since", "unknown"),
            ("start_time < '2026-11-01' AND start_time >= '2026-02-30'", "unknown"),
            ("start_time < '2026-11-01' AND start_time >= STR_TO_DATE('2026', '%Y')", "unknown"),
            ("start_time < '2026-11-01' AND (x OR call_records.start_time > y)", "unknown"),
            ("start_time < '2026-11-01' = 0", "unknown"),
            ("start_time < '2026-11-01' OR x", "unknown"),
            ("NOT start_time < '2026-11-01'", "unknown"),
            // Written either way round.
            ("'2026-11-01' < start_time", DAY),
            ("'2026-11-01' > start_time", "endless"),
        ],
    );
}

#[test]
fn several_time_columns() {
    check(
        &utc(),
        &[
            ("SELECT 1 FROM legs WHERE created >= '2026-11-01'", DAY),
            ("SELECT 1 FROM legs WHERE stamp >= 1793491200", DAY),
            // Either tells a row's moment, so the earlier bound counts; within one, the later.
            ("SELECT 1 FROM legs WHERE created >= '2026-11-05' AND stamp >= 1793491200", DAY),
            ("SELECT 1 FROM legs WHERE stamp >= 1793491200 AND created >= '2026-11-05'", DAY),
            ("SELECT 1 FROM legs WHERE stamp >= 1793491200 AND stamp > 5 AND created >= '2026-11-05'", DAY),
            ("SELECT 1 FROM legs WHERE created < '2026-11-05' AND stamp >= 1793491200", DAY),
            ("SELECT 1 FROM legs WHERE created < '2026-11-05' AND stamp < 1793491200", "endless"),
            ("SELECT 1 FROM legs WHERE created < '2026-11-05' AND stamp >= @x", "unknown"),
        ],
    );
}
