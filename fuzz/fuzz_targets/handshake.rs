//! `cargo +nightly fuzz run handshake`
#![no_main]

#[path = "../../tests/common/fuzz_protocol.rs"]
mod fuzz_protocol;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_protocol::handshake(bytes));
