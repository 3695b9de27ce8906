//! Prepared statements, as text and by the binary protocol, with cursors.

use super::{Has, Kind, Make};

pub const KINDS: &[Kind] = &[
    Kind {
        name: "prepare_text",
        weight: 8,
        has: Has::Both,
        make: Make::Lines(&[
            "PREPARE s1 FROM 'SELECT {k} AS x'",
            "PREPARE s2 FROM 'INSERT INTO t{n} (v) VALUES (?)'",
            "EXECUTE s1",
            "SET @v = '{t}' ;; EXECUTE s2 USING @v",
            "DEALLOCATE PREPARE s1",
            "DROP PREPARE s2",
            "PREPARE s1 FROM 'SELEC'",
            "PREPARE s3 FROM 'SET @of_s3 = {k}' ;; EXECUTE s3 ;; DEALLOCATE PREPARE s3 ;; SELECT @of_s3 AS x",
            "PREPARE s1 FROM 'SELECT * FROM no_such_table'",
        ]),
    },
    Kind {
        name: "prepare_binary",
        weight: 16,
        has: Has::Both,
        make: Make::Lines(&[
            ".prepare p1 SELECT ? AS x, v FROM t{n} ORDER BY id",
            ".execute p1 {k}",
            ".execute p1 '{t}'",
            ".execute p1 NULL",
            ".prepare p2 INSERT INTO t{n} (v, l) VALUES (?, ?)",
            ".execute p2 '{t}', '{t}'",
            ".execute p2 {k}, NULL",
            ".prepare p3 SELECT @@sql_mode AS a, @@character_set_client AS b, DATABASE() AS c",
            ".execute p3",
            ".prepare p4 UPDATE t{n} SET v = ? WHERE k = ?",
            ".execute p4 'by p4', {k}",
            ".prepare p5 SELEC ?",
            ".prepare p5 SELECT * FROM no_such_table",
            ".close p1",
            ".restart p1",
            ".prepare p6 SELECT COUNT(*) AS n FROM t{k} WHERE k > ? ;; .execute p6 {k}",
            ".long p2 0 {t} ;; .execute p2 NULL, 'after long data'",
        ]),
    },
    Kind {
        name: "prepare_state",
        weight: 5,
        has: Has::Both,
        make: Make::Lines(&[
            ".prepare q2 START TRANSACTION ;; .execute q2",
            ".prepare q3 COMMIT ;; .execute q3",
            ".prepare q4 SELECT @u AS u ;; .execute q4",
            ".prepare q5 SELECT 1 / ? AS x ;; .execute q5 0",
            ".prepare q6 CALL p_results() ;; .execute q6",
            ".prepare q7 SELECT \"v\" AS x FROM t{n} ;; SET sql_mode = 'ANSI_QUOTES' ;; .execute q7",
        ]),
    },
    Kind {
        name: "prepare_sets_user_variable",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&[
            ".prepare q1 SET @u = ? ;; .execute q1 {k}",
            ".prepare q9 SELECT @u := ? AS x ;; .execute q9 {k}",
        ]),
    },
    Kind {
        name: "cursor",
        weight: 6,
        has: Has::Both,
        make: Make::Lines(&[
            ".prepare c1 SELECT id, v FROM t{n} ORDER BY id ;; .cursor c1",
            ".fetch c1 1",
            ".fetch c1 2",
            ".restart c1",
            ".close c1",
            ".prepare c2 SELECT k FROM t1 WHERE k > ? ORDER BY k ;; .cursor c2 0 ;; .fetch c2 1 ;; SELECT 1 ;; .fetch c2 5",
            ".prepare c3 INSERT INTO t{n} (v) VALUES ('by c3') ;; .cursor c3",
        ]),
    },
];
