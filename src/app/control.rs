//! The control thread: health checks, signals, reload.
