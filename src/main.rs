//! The `switchboard` program: arguments in, exit code out. All it does is in [`switchboard::cli`].

fn main() -> std::process::ExitCode {
    switchboard::cli::main()
}
