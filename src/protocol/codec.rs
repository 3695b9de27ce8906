//! Frames and primitive types.
