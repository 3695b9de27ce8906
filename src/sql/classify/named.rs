//! What a statement's names are once they are read ([`super::names`]).

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
