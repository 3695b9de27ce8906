//! Horizons against a real MariaDB: random statements, run on all rows and on those that their reach allows.

mod common;
#[path = "predicate_support/differential.rs"]
mod differential;
#[path = "predicate_support/generate.rs"]
mod generate;

use common::{MariaDb, Options};

#[tokio::test]
async fn mariadb_answers_the_same_from_what_a_statement_reaches() {
    let server = MariaDb::start(Options { general_log: false, ..Options::named("horizons") });
    differential::sessions(&server).await;
}
