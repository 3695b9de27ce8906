//! Horizons against a real MySQL: random statements, run on all rows and on those that their reach allows.

mod common;
#[path = "predicate_support/differential.rs"]
mod differential;
#[path = "predicate_support/generate.rs"]
mod generate;

use common::{MySql, Options};

#[tokio::test]
async fn mysql_answers_the_same_from_what_a_statement_reaches() {
    let server = MySql::start(Options { general_log: false, ..Options::named("horizons") });
    differential::sessions(&server).await;
}
