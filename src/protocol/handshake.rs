//! Sign-in packets.
