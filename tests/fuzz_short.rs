//! A few seconds of every fuzz target, in the ordinary test run. `SWITCHBOARD_FUZZ_SECONDS=600` makes it a night's work.

#[path = "common/fuzz.rs"]
mod fuzz;
#[path = "common/fuzz_sql.rs"]
mod fuzz_sql;
#[path = "common/statements.rs"]
mod statements;

/// The statements of the tables, as seeds.
fn seeds() -> Vec<Vec<u8>> {
    let rows = statements::CORPORA.iter().flat_map(|(_, text)| statements::rows(text));
    rows.map(|row| row.sql.into_bytes()).collect()
}

#[test]
fn lexer() {
    fuzz::run("lexer", &seeds(), fuzz_sql::DICTIONARY, fuzz_sql::lexer);
}

#[test]
fn classifier() {
    fuzz::run("classifier", &seeds(), fuzz_sql::DICTIONARY, fuzz_sql::classifier);
}
