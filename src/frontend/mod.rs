//! The clients' side of the router: [`login`] signs a client in, and the session takes over from there.
//!
//! Nothing here reads a statement or knows a backend. Listening sockets are opened and clients accepted in `app`.

pub mod login;
