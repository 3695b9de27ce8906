//! TLS settings, both ways.
