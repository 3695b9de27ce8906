//! The `switchboard` program. It passes its arguments to [`switchboard::cli`] and returns that module's exit code. It
//! does nothing else, so that all code can be tested as a library.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

fn main() -> std::process::ExitCode {
    switchboard::cli::main()
}
