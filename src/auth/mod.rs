//! Who may come in, and how the router signs in behind.
