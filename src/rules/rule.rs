//! One rule, as the configuration gives it.
