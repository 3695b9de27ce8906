//! The types of a statement's names once they are read: a name of one or two parts, a common table expression, a table
//! reference.
//!
//! [`super::names`] makes them and the other files of the classifier use them. There is no behaviour here.

use super::super::effects::Access;

/// A name of one or two parts, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub schema: Option<Box<str>>,
    pub name: Box<str>,
}

/// A common table expression that is known.
#[derive(Clone, Debug)]
pub(super) struct Cte {
    pub name: Box<str>,
}

/// One table reference of a statement.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub name: Name,
    pub alias: Option<Box<str>>,
    pub access: Access,
    /// Of the statement itself, not of a subquery.
    pub outermost: bool,
}
