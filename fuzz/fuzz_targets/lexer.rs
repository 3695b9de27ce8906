//! `cargo +nightly fuzz run lexer`
#![no_main]

#[path = "../../tests/common/fuzz_sql.rs"]
mod fuzz_sql;

libfuzzer_sys::fuzz_target!(|sql: &[u8]| fuzz_sql::lexer(sql));
