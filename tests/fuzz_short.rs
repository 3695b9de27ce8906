//! A few seconds of every fuzz target, in the ordinary test run. `SWITCHBOARD_FUZZ_SECONDS=600` makes it a night's work.

#[path = "common/fuzz.rs"]
mod fuzz;
#[path = "common/fuzz_protocol.rs"]
mod fuzz_protocol;
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

#[test]
fn codec() {
    fuzz::run("codec", &fuzz_protocol::seeds(), fuzz_protocol::DICTIONARY, fuzz_protocol::codec);
}

#[test]
fn response() {
    fuzz::run("response", &fuzz_protocol::seeds(), fuzz_protocol::DICTIONARY, fuzz_protocol::response);
}

#[test]
fn handshake() {
    fuzz::run("handshake", &fuzz_protocol::seeds(), fuzz_protocol::DICTIONARY, fuzz_protocol::handshake);
}

#[test]
fn prepared() {
    fuzz::run("prepared", &fuzz_protocol::seeds(), fuzz_protocol::DICTIONARY, fuzz_protocol::prepared);
}

#[test]
fn tracker() {
    fuzz::run("tracker", &fuzz_protocol::seeds(), fuzz_protocol::DICTIONARY, fuzz_protocol::tracker);
}
