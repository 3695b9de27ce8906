//! Signing in to a server.
