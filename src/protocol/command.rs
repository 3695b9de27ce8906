//! Commands: the first byte of a request.
