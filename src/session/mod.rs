//! session

pub mod settings;
