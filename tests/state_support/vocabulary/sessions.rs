//! Commands that are no statements, sessions that come and go, and statements that others kill.

use super::{Has, Kind, Make, Maker};
use crate::state_support::program::Op;

pub const KINDS: &[Kind] = &[
    Kind { name: "ping", weight: 3, has: Has::Both, make: Make::Lines(&[".ping"]) },
    Kind { name: "reset", weight: 4, has: Has::Both, make: Make::Lines(&[".reset"]) },
    Kind {
        name: "change_user",
        weight: 4,
        has: Has::Both,
        make: Make::Lines(&[".change_user", ".change_user schema=b", ".change_user schema=none"]),
    },
    Kind {
        name: "change_user_otherwise",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&[".change_user collation=8", ".change_user collation=45 schema=b"]),
    },
    Kind {
        name: "leave",
        weight: 6,
        has: Has::Both,
        make: Make::Lines(&[
            ".leave",
            ".vanish",
            ".leave ;; SELECT @u AS u, @@autocommit AS x",
            ".leave ;; SELECT COUNT(*) AS n FROM t{n}",
        ]),
    },
    Kind {
        name: "enter",
        weight: 5,
        has: Has::Both,
        make: Make::Lines(&[
            ".enter collation=8",
            ".enter collation=33",
            ".enter collation=45 caps=plain",
            ".enter schema=b",
            ".enter schema=none",
            ".enter collation=28",
            ".enter caps=found_rows",
        ]),
    },
    Kind {
        name: "multi_statements",
        weight: 5,
        has: Has::Both,
        make: Make::Lines(&[
            ".option on",
            ".option off",
            ".option on ;; SELECT 1; SELECT 2",
            ".option on ;; INSERT INTO t{n} (v) VALUES ('m'); SELECT LAST_INSERT_ID() AS x",
            ".option on ;; BEGIN; INSERT INTO t{n} (v) VALUES ('m'); COMMIT",
            ".option on ;; SET @m = {k}; SELECT @m AS m; SELEC",
            ".option on ;; SET sql_mode = ''; SELECT @@sql_mode AS x",
        ]),
    },
    Kind { name: "kill_query", weight: 2, has: Has::Both, make: Make::Call(kill_query) },
];

fn kill_query(m: &mut Maker<'_>) {
    let by = m.other();
    // Without a table, so that nothing makes it fail before it sleeps; and with the program's own name, by which it is known among
    // those of programs that are played at once.
    let sql = *m.random.pick(&["SELECT SLEEP(7), '{a}'", "DO SLEEP(7), '{a}'", "SELECT SLEEP(7) AS slept, '{a}' AS a"]);
    m.op(Op::Killed { by, sql: sql.as_bytes().to_vec() });
}
