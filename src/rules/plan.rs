//! What is known of a digest, made once.
