//! What asks for the statement before: insert ids, numbers of rows, warnings, diagnostics; and what the server counts of a session.

use super::{Has, Kind, Make};

pub const KINDS: &[Kind] = &[
    Kind {
        name: "ask_insert_id",
        weight: 10,
        has: Has::Both,
        make: Make::Lines(&[
            "SELECT LAST_INSERT_ID() AS x",
            "INSERT INTO t{n} (k, v) VALUES ({k}, 'x') ;; SELECT LAST_INSERT_ID() AS i",
            "CALL p_ins() ;; SELECT LAST_INSERT_ID() AS i",
            "SELECT @@last_insert_id AS x",
            "SELECT @@identity AS x",
            "SELECT id FROM t{n} WHERE id = LAST_INSERT_ID()",
            "INSERT INTO c (who, v) VALUES (LAST_INSERT_ID(), 'id')",
            "SELECT LAST_INSERT_ID({k}) AS x",
            ".prepare lid SELECT LAST_INSERT_ID() ;; .execute lid",
        ]),
    },
    Kind {
        name: "ask_rows",
        weight: 8,
        has: Has::Both,
        make: Make::Lines(&[
            "SELECT ROW_COUNT() AS x",
            // A new session of MariaDB's has the number of whoever had its thread before: a read goes first.
            "SELECT id FROM t{n} ORDER BY id LIMIT {k} ;; SELECT FOUND_ROWS() AS x",
            "SELECT id FROM t{n} ORDER BY id LIMIT {k} ;; SELECT ROW_COUNT() AS x, FOUND_ROWS() AS y",
            "SELECT id FROM t{n} ORDER BY id LIMIT {k} ;; UPDATE t{n} SET v = v ;; SELECT FOUND_ROWS() AS x",
            "SELECT SQL_CALC_FOUND_ROWS id FROM t{n} ORDER BY id LIMIT 1 ;; SELECT FOUND_ROWS() AS x",
            "UPDATE t{n} SET v = 'counted' WHERE k < 3 ;; SELECT ROW_COUNT() AS x",
        ]),
    },
    Kind {
        name: "ask_warnings",
        weight: 12,
        has: Has::Both,
        make: Make::Lines(&[
            "SHOW WARNINGS",
            "SHOW ERRORS",
            "SHOW COUNT(*) WARNINGS",
            "SHOW COUNT(*) ERRORS",
            "SELECT @@warning_count AS x",
            "SELECT @@error_count AS x, @@warning_count AS y",
            "SHOW WARNINGS LIMIT 1",
            "SHOW VARIABLES LIKE 'warning_count'",
        ]),
    },
    Kind {
        name: "ask_diagnostics",
        weight: 4,
        has: Has::Both,
        make: Make::Lines(&[
            "GET DIAGNOSTICS @rows = ROW_COUNT, @conditions = NUMBER ;; SELECT @rows AS x, @conditions AS y",
            "GET DIAGNOSTICS CONDITION 1 @state = RETURNED_SQLSTATE, @text = MESSAGE_TEXT ;; SELECT @state AS x, @text AS y",
        ]),
    },
    Kind {
        name: "ask_status",
        weight: 3,
        has: Has::Both,
        make: Make::Lines(&[
            "SHOW SESSION STATUS LIKE 'Handler\\_write'",
            "SHOW STATUS LIKE 'Com\\_insert'",
            "SHOW SESSION STATUS LIKE 'Last\\_query\\_cost'",
            "SHOW STATUS LIKE 'Com\\_begin'",
        ]),
    },
    Kind {
        name: "ask_profile",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&[
            "SET profiling = 1",
            "SELECT COUNT(*) AS n FROM information_schema.PROFILING",
            "SET profiling = 0",
        ]),
    },
    Kind {
        name: "ask_trace",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&[
            "SET optimizer_trace = 'enabled=on' ;; SELECT k FROM t{n} WHERE k = 1 ;; SELECT QUERY FROM information_schema.OPTIMIZER_TRACE",
            "SET optimizer_trace = 'enabled=off'",
        ]),
    },
    Kind {
        name: "ask_auto_is_null",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&[
            "SET sql_auto_is_null = 1 ;; INSERT INTO t{n} (v) VALUES ('n') ;; SELECT id FROM t{n} WHERE id IS NULL",
        ]),
    },
    Kind {
        name: "ask_connection",
        weight: 4,
        has: Has::Both,
        make: Make::Lines(&[
            "SELECT CONNECTION_ID() = {me} AS mine",
            "SELECT CONNECTION_ID() AS x FROM DUAL WHERE CONNECTION_ID() <> {me}",
            "SELECT CONNECTION_ID() + 1 = {me} + 1 AS mine",
            "SELECT @@pseudo_thread_id = {me} AS mine",
            "DO GET_LOCK('{a}l{k}', 0) ;; SELECT IS_USED_LOCK('{a}l{k}') = {me} AS mine",
            "SELECT IS_USED_LOCK('{a}nobodys') AS x, CONCAT(IS_USED_LOCK('{a}nobodys')) AS y",
        ]),
    },
    Kind {
        name: "ask_user",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&[
            "SELECT CURRENT_USER() AS u, USER() LIKE 'app@%' AS v",
            "SELECT SESSION_USER() LIKE 'app@%' AS v",
        ]),
    },
    Kind {
        name: "ask_connection_otherwise",
        weight: 3,
        has: Has::Both,
        make: Make::Lines(&[
            "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID() AND ID = {me}",
            "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE ID IN ({me}, {s2})",
        ]),
    },
];
