//! The packets of prepared statements.
