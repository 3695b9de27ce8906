//! Signing a client in.
