//! Which rules match a statement.
