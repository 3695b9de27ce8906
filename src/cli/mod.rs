//! The command line.

#[cfg(feature = "demo")]
pub mod demo;

/// Parses the arguments and runs the command they name.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
