//! The log: lines for people, or JSON for machines, on standard error. Never on the statement path.

use tracing_subscriber::EnvFilter;

/// Starts the log. `level` is a level's name or a filter in `tracing`'s own words; one that cannot be read counts as `info`.
/// A second call does nothing: tests start several routers in one process.
pub fn start(level: &str, json: bool) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    let _ = if json { lines.json().try_init() } else { lines.try_init() };
}
