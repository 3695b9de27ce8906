//! Functions, procedures, triggers and views, most of which change the session without its text saying so.

use super::{Has, Kind, Make};

pub const KINDS: &[Kind] = &[
    Kind {
        name: "call_results",
        weight: 5,
        has: Has::Both,
        make: Make::Lines(&[
            "CALL p_results()",
            "CALL p_ins()",
            "CALL p_warn()",
            "CALL p_fail()",
            "call {a}.p_results",
        ]),
    },
    Kind {
        name: "call_out",
        weight: 3,
        has: Has::Both,
        make: Make::Lines(&[
            ".prepare call_out CALL p_out(?) ;; .execute call_out 1",
            "CALL p_out(@o)",
            "SELECT @o AS o",
            "CALL p_out(@o) ;; SELECT @o AS o",
        ]),
    },
    Kind {
        name: "call_cursor",
        weight: 3,
        has: Has::Both,
        make: Make::Lines(&[
            "CALL p_cursor()",
            "CALL {a}.p_cursor() ;; SELECT 1",
            ".prepare call CALL p_cursor() ;; .execute call",
        ]),
    },
    Kind {
        name: "call_loop",
        weight: 3,
        has: Has::MariaDb,
        make: Make::Lines(&[
            "CALL p_for()",
            "BEGIN NOT ATOMIC DECLARE x INT; SELECT 5 INTO x; SELECT x; END",
            "BEGIN NOT ATOMIC DECLARE x INT; DECLARE d CURSOR FOR SELECT 7; OPEN d; FETCH d INTO x; SELECT x; CLOSE d; END",
            "EXECUTE IMMEDIATE 'SELECT {k} AS x'",
            "EXECUTE IMMEDIATE 'SET @ei = {k}' ;; SELECT @ei AS x",
        ]),
    },
    Kind {
        name: "call_sets_user_variable",
        weight: 4,
        has: Has::Both,
        make: Make::Lines(&["CALL p_uvar()", "SELECT @pu AS x", "CALL p_into()", "SELECT @pi AS x"]),
    },
    Kind {
        name: "call_sets_variable",
        weight: 3,
        has: Has::Both,
        make: Make::Lines(&[
            "CALL p_svar()",
            "CALL p_names()",
            "CALL p_autocommit()",
            "SELECT @@max_sort_length AS x, @@group_concat_max_len AS y",
        ]),
    },
    Kind { name: "call_locks", weight: 2, has: Has::Both, make: Make::Lines(&["CALL p_lock()"]) },
    Kind {
        name: "call_temporary",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&[
            "CALL p_temp()",
            "SELECT COUNT(*) AS n FROM tmp_p",
            "DROP TEMPORARY TABLE IF EXISTS tmp_p",
        ]),
    },
    Kind {
        name: "call_begins",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&["CALL p_begin()", "CALL p_begin() ;; ROLLBACK"]),
    },
    Kind {
        name: "call_prepares",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&["CALL p_prepare()", "EXECUTE of_p", "DEALLOCATE PREPARE of_p"]),
    },
    Kind {
        name: "function_sets_user_variable",
        weight: 4,
        has: Has::Both,
        make: Make::Lines(&[
            "SELECT f_uvar() AS x",
            "DO f_uvar()",
            "SELECT @fu AS x",
            "UPDATE t{n} SET v = f_uvar() WHERE k = 1",
        ]),
    },
    Kind {
        name: "function_sets_variable",
        weight: 3,
        has: Has::Both,
        make: Make::Lines(&["SELECT f_svar() AS x", "DO f_svar()", "SELECT @@max_sort_length AS x"]),
    },
    Kind {
        name: "function_locks",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&["SELECT f_lock() AS x", "DO f_lock()"]),
    },
    Kind {
        name: "function_writes",
        weight: 3,
        has: Has::Both,
        make: Make::Lines(&["SELECT f_ins() > 0 AS x", "SELECT COUNT(f_ins()) AS x FROM t{n}"]),
    },
    Kind {
        name: "view_sets_user_variable",
        weight: 3,
        has: Has::Both,
        make: Make::Lines(&["SELECT x FROM vu", "SELECT @fu AS x", "SELECT * FROM {a}.vu WHERE x > 0"]),
    },
    Kind {
        name: "view_sets_variable",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&["SELECT x FROM vs", "SELECT @@max_sort_length AS x"]),
    },
    Kind { name: "view_locks", weight: 1, has: Has::Both, make: Make::Lines(&["SELECT x FROM vl"]) },
    Kind {
        name: "trigger_sets_user_variable",
        weight: 3,
        has: Has::Both,
        make: Make::Lines(&["INSERT INTO gu{n} VALUES ({k})", "SELECT @seen AS x"]),
    },
    Kind {
        name: "trigger_sets_variable",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&["INSERT INTO gs{n} VALUES ({k})", "SELECT @@max_sort_length AS x"]),
    },
    Kind {
        name: "trigger_locks",
        weight: 1,
        has: Has::Both,
        make: Make::Lines(&["INSERT INTO gl{n} VALUES ({k})", "SELECT @lock_taken AS x"]),
    },
];
