//! OK, ERR and EOF packets.
