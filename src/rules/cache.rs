//! Plans by statement text and digest, per worker, bounded.
