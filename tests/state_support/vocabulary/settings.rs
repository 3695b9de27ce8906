//! Session variables in every spelling, and character sets in all forms.

use super::{Has, Kind, Make, Maker};

pub const KINDS: &[Kind] = &[
    Kind { name: "set_variable", weight: 30, has: Has::Both, make: Make::Call(set_variable) },
    Kind { name: "set_default", weight: 10, has: Has::Both, make: Make::Call(set_default) },
    Kind { name: "set_computed", weight: 8, has: Has::Both, make: Make::Call(set_computed) },
    Kind { name: "set_several", weight: 8, has: Has::Both, make: Make::Call(set_several) },
    Kind { name: "set_prepared", weight: 3, has: Has::Both, make: Make::Call(set_prepared) },
    Kind { name: "set_statement", weight: 3, has: Has::MariaDb, make: Make::Call(set_statement) },
    Kind { name: "set_var_hint", weight: 3, has: Has::MySql, make: Make::Call(set_var_hint) },
    Kind { name: "see_variable", weight: 30, has: Has::Both, make: Make::Call(see_variable) },
    Kind { name: "see_all_variables", weight: 8, has: Has::Both, make: Make::Call(see_all_variables) },
    Kind {
        name: "set_names",
        weight: 10,
        has: Has::Both,
        make: Make::Lines(&[
            "SET NAMES utf8mb4",
            "SET NAMES latin1",
            "set names 'cp1251'",
            "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
            "SET NAMES latin1 COLLATE 'latin1_general_cs'",
            "SET NAMES DEFAULT",
            "SET NAMES binary",
            "SET NAMES gbk",
            "SET NAMES no_such_set",
            "SET NAMES utf8mb4 COLLATE latin1_swedish_ci",
            "/* app */ SET NAMES \"utf8mb3\"",
            "SET NAMES latin1, @of_names = {k}",
            "SET @of_names = {k}, NAMES utf8mb4",
            "SET NAMES ucs2",
        ]),
    },
    Kind {
        name: "set_character_set",
        weight: 5,
        has: Has::Both,
        make: Make::Lines(&[
            "SET CHARACTER SET utf8mb4",
            "SET CHARACTER SET latin1",
            "SET CHARSET 'cp1251'",
            "SET CHARSET DEFAULT",
            "SET CHARACTER SET DEFAULT",
            "SET CHARACTER SET no_such_set",
        ]),
    },
    Kind {
        name: "set_one_character_set",
        weight: 8,
        has: Has::Both,
        make: Make::Lines(&[
            "SET character_set_client = latin1",
            "SET character_set_client = utf8mb4",
            "SET character_set_results = latin1",
            "SET character_set_results = NULL",
            "SET character_set_results = utf8mb4",
            "SET character_set_connection = latin1",
            "SET SESSION collation_connection = 'utf8mb4_bin'",
            "SET collation_connection = latin1_general_ci",
            "SET @@character_set_results := 'cp1251'",
            "SET character_set_client = ucs2",
        ]),
    },
    Kind {
        name: "set_one_character_set_default",
        weight: 4,
        has: Has::Both,
        make: Make::Lines(&[
            "SET character_set_client = DEFAULT",
            "SET character_set_results = DEFAULT",
            "SET collation_connection = DEFAULT",
            "SET character_set_connection = @@global.character_set_connection",
        ]),
    },
    Kind {
        name: "see_character_sets",
        weight: 12,
        has: Has::Both,
        make: Make::Lines(&[
            "SELECT @@character_set_client a, @@character_set_results b, @@character_set_connection c, @@collation_connection d",
            "SELECT '{t}' AS x, HEX('{t}') AS h, CHARSET('a') AS c, COLLATION('a') AS d, LENGTH('{t}') AS l",
            "SHOW VARIABLES LIKE 'c%\\_%\\_connection'",
            "SELECT 'a' = 'A ' AS x, 'ß' = 'ss' AS y, _latin1'\\xE9' = 'é' AS z",
            "SELECT UPPER('{t}') AS u, CONCAT('{t}', _latin1'\\xE9') AS c",
        ]),
    },
    Kind {
        name: "set_timestamp",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&[
            "SET timestamp = 1000000000",
            "SET timestamp = DEFAULT",
            "SET @@session.timestamp = 1000000001.5",
        ]),
    },
    Kind {
        name: "see_timestamp",
        weight: 3,
        has: Has::Both,
        make: Make::Lines(&["SELECT UNIX_TIMESTAMP() < 1000000005 AS frozen", "SELECT YEAR(NOW()) = 2001 AS frozen"]),
    },
    Kind {
        name: "set_rand",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&["SET rand_seed1 = {k}, rand_seed2 = {k} ;; SELECT RAND() AS r", "SELECT RAND({k}) AS r"]),
    },
    Kind {
        name: "set_insert_id",
        weight: 3,
        has: Has::Both,
        make: Make::Lines(&[
            "SET insert_id = 5{k} ;; INSERT INTO t{n} (v) VALUES ('by insert_id')",
            "SET last_insert_id = 7{k} ;; SELECT LAST_INSERT_ID() AS x",
        ]),
    },
    // Behind an INSERT that fails with an id that was given, MySQL goes on by what the open table that it happens to take was last asked
    // for: two direct connections differ.
    Kind { name: "set_next_insert_id", weight: 1, has: Has::MariaDb, make: Make::Lines(&["SET insert_id = 9{k}"]) },
    Kind {
        name: "set_tracking",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&[
            "SET session_track_schema = OFF",
            "SET session_track_system_variables = ''",
            "SET session_track_system_variables = '*'",
            "SET session_track_state_change = ON",
            "SET SESSION session_track_transaction_info = 'STATE'",
        ]),
    },
    Kind {
        name: "see_tracking",
        weight: 2,
        has: Has::Both,
        make: Make::Lines(&["SELECT @@session_track_schema AS x", "SHOW VARIABLES LIKE 'session\\_track%'"]),
    },
];

/// One variable's name and one of its values.
fn choose<'a>(m: &mut Maker<'a>) -> Option<(&'a str, &'a str)> {
    let variables = m.variables;
    if variables.all.is_empty() {
        return None;
    }
    let variable = m.random.pick(&variables.all);
    // What is refused is the last one, and it is seldom.
    let bound = variable.values.len().saturating_sub(usize::from(!m.random.chance(10)));
    let value = &variable.values[m.random.below(bound)];
    Some((&variable.name, value))
}

fn set_variable(m: &mut Maker<'_>) {
    let Some((name, value)) = choose(m) else { return };
    let spelling = *m.random.pick(&[
        "SET X = V",
        "SET SESSION X = V",
        "set local X=V",
        "SET @@X = V",
        "SET @@session.X := V",
        "SET @@local.X = V",
        "SET X := V",
        "SET `X` = V",
        "/* app */ SET /* of its own */ X =\tV ;",
        "SET @@SESSION.`X` = V",
        "SET SESSION X = (V)",
        "SET @of_set = 1, X = V",
    ]);
    let name = if m.random.chance(10) { name.to_uppercase() } else { name.to_owned() };
    m.say(&spelling.replace('V', value).replace('X', &name));
}

fn set_default(m: &mut Maker<'_>) {
    let Some((name, _)) = choose(m) else { return };
    let spelling = *m.random.pick(&[
        "SET X = DEFAULT",
        "SET SESSION X = DEFAULT",
        "SET @@X = DEFAULT",
        "SET X = @@global.X",
        "SET X = @@X",
        "SET @@session.X = @@session.X",
    ]);
    m.say(&spelling.replace('X', name));
}

fn set_computed(m: &mut Maker<'_>) {
    let Some((name, value)) = choose(m) else { return };
    let spelling = match value.parse::<i64>() {
        Ok(_) => *m.random.pick(&[
            "SET X = V + 1",
            "SET X = GREATEST(V, 2)",
            "SET @v = V ;; SET X = @v",
            "SET X = (SELECT V)",
        ]),
        Err(_) if value.starts_with('\'') => *m.random.pick(&[
            "SET X = CONCAT(V, '')",
            "SET @v = V ;; SET X = @v",
            "SET X = (SELECT V)",
            "SET X = TRIM(V)",
        ]),
        Err(_) => "SET X = V",
    };
    m.say(&spelling.replace('V', value).replace('X', name));
}

fn set_several(m: &mut Maker<'_>) {
    let (Some((one, value)), Some((other, second))) = (choose(m), choose(m)) else { return };
    let text = match m.random.below(5) {
        0 => format!("SET {one} = {value}, {other} = {second}"),
        1 => format!("SET SESSION {one} = {value}, @@session.{other} = {second}, @x = 3"),
        2 => format!("SET {one} = {value}, SESSION {other} = DEFAULT"),
        3 => format!("SET {one} = {value}, no_such_variable = 1"),
        _ => format!("SET @@{one} = {value}, @@{other} := {second}, NAMES utf8mb4"),
    };
    m.say(&text);
}

fn set_prepared(m: &mut Maker<'_>) {
    let Some((name, value)) = choose(m) else { return };
    let bound = value.strip_prefix('\'').map(|v| format!("'{}'", v.trim_end_matches('\'').replace(',', "")));
    let bound = bound.or_else(|| value.parse::<i64>().ok().map(|v| v.to_string())).unwrap_or("NULL".into());
    match m.random.below(3) {
        0 => m.say(&format!(".prepare set SET {name} = ? ;; .execute set {bound}")),
        1 => m.say(&format!(".prepare set SET SESSION {name} = {value} ;; .execute set")),
        _ => m.say(&format!("PREPARE of_set FROM 'SET {name} = ?' ;; SET @v = {value} ;; EXECUTE of_set USING @v")),
    }
}

fn set_statement(m: &mut Maker<'_>) {
    let Some((name, value)) = choose(m) else { return };
    match m.random.below(3) {
        0 => m.say(&format!("SET STATEMENT {name} = {value} FOR SELECT @@{name} AS x")),
        1 => m.say(&format!("SET STATEMENT {name} = {value} FOR INSERT INTO t{{n}} (v) VALUES ('of a statement')")),
        _ => m.say("SET STATEMENT max_statement_time = 3 FOR SELECT 1"),
    }
}

fn set_var_hint(m: &mut Maker<'_>) {
    let Some((name, value)) = choose(m) else { return };
    m.say(&format!("SELECT /*+ SET_VAR({name} = {value}) */ @@{name} AS x"));
}

fn see_variable(m: &mut Maker<'_>) {
    let Some((name, _)) = choose(m) else { return };
    let spelling = *m.random.pick(&[
        "SELECT @@X AS x",
        "SELECT @@session.X AS x",
        "SELECT @@X",
        "SHOW VARIABLES LIKE 'X'",
        "SHOW SESSION VARIABLES WHERE Variable_name = 'X'",
        "SELECT @@local.X AS x, @@global.X AS y",
        "SELECT @@X AS x, 1 FROM t{n} LIMIT 1",
    ]);
    m.say(&spelling.replace('X', name));
}

fn see_all_variables(m: &mut Maker<'_>) {
    let unlike = m.variables.unlike.clone();
    m.say(&format!("SHOW SESSION VARIABLES WHERE Variable_name NOT IN ({unlike})"));
}
