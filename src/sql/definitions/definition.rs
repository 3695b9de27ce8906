//! A definition, as a server's catalogue has it.
//!
//! [`crate::backend::catalogue`] reads them from servers; [`super`] finds out what they do. It refuses to judge: an empty body is one
//! that the account may not see.

/// What kind of thing a definition defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A trigger; its definition is known by the table that it belongs to.
    Trigger,
    /// A view.
    View,
    /// A stored function or procedure.
    Routine,
}

/// One definition, as a server's catalogue has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Definition {
    /// What it defines.
    pub kind: Kind,
    /// The name of the view or routine, or of the trigger's table, without its schema.
    pub name: String,
    /// The body: a trigger's or routine's statement, a view's query. One that is empty is not known, and may do anything.
    pub body: String,
    /// The names of a routine's parameters.
    pub parameters: Vec<String>,
    /// The `sql_mode` that the body was written under, as the server lists it.
    pub sql_mode: String,
}
