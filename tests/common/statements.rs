//! The tables of statements in `tests/sql`, which also seed the property and fuzz tests.
#![allow(dead_code)]

/// The tables' names and texts.
pub const CORPORA: [(&str, &str); 4] = [
    ("mariadb.txt", include_str!("../sql/mariadb.txt")),
    ("mysql.txt", include_str!("../sql/mysql.txt")),
    ("drivers.txt", include_str!("../sql/drivers.txt")),
    ("doubtful.txt", include_str!("../sql/doubtful.txt")),
];

/// One line of a table.
#[derive(Debug)]
pub struct Row {
    /// Its number in the file, from 1.
    pub line: usize,
    /// A reader may run it.
    pub safe: bool,
    pub effects: String,
    /// Tables, functions and variables.
    pub names: String,
    pub sql: String,
}

/// The rows of a table.
pub fn rows(text: &str) -> impl Iterator<Item = Row> {
    text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("# ")).map(|(at, line)| {
        let mut parts = line.splitn(3, " | ");
        let (verdict, names, sql) = match (parts.next(), parts.next(), parts.next()) {
            (Some(verdict), Some(names), Some(sql)) => (verdict, names, sql),
            _ => panic!("line {} has no three parts: {line}", at + 1),
        };
        let (mark, effects) = verdict.split_at(2);
        Row {
            line: at + 1,
            safe: mark == "+ ",
            effects: effects.to_owned(),
            names: names.trim().to_owned(),
            sql: sql.replace('␤', "\n"),
        }
    })
}
