//! Where a user's statements in a schema go if the rules leave it open: ProxySQL's `mysql_query_rules_fast_routing`.
//!
//! One lookup for each plan, however many routes there are. Subjects with the same destinations share plans: a thousand
//! tenants on one shard are one subject to the plan cache.
//! It refuses to judge: what is not safe on a reader, and what a hostgroup lacks, is [`super::decide`]'s business here too.

use super::route::HostgroupId;
use foldhash::fast::FixedState;
use hashbrown::{Equivalent, HashMap};
use std::sync::Arc;

/// One row, as the configuration gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FastRoute {
    /// The user, exactly; empty: any user that has no row of its own for the schema and the flag.
    pub username: Box<str>,
    /// The session's default schema, exactly; empty: a session without one.
    pub schemaname: Box<str>,
    /// The flag that the rules left the statement with; 0 where none set one.
    pub flag_in: u32,
    /// Where it goes.
    pub destination: HostgroupId,
    /// For people.
    pub comment: Box<str>,
}

/// Whose routes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Owner {
    user: Box<str>,
    schema: Box<str>,
}

/// The same, borrowed.
#[derive(Hash)]
struct OwnerRef<'a> {
    user: &'a str,
    schema: &'a str,
}

impl Equivalent<Owner> for OwnerRef<'_> {
    fn equivalent(&self, owner: &Owner) -> bool {
        *self.user == *owner.user && *self.schema == *owner.schema
    }
}

/// Destinations by flag, ascending, one for each flag.
type ByFlag = Arc<[(u32, HostgroupId)]>;

/// What of the fast routes is a subject's: equal for subjects whose statements go the same ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct FastOf {
    own: Option<ByFlag>,
    any: Option<ByFlag>,
}

impl FastOf {
    /// The destination of a statement that the rules left with this flag.
    pub fn at(&self, flag: u32) -> Option<HostgroupId> {
        let find = |list: &ByFlag| {
            let at = list.binary_search_by_key(&flag, |(f, _)| *f).ok()?;
            list.get(at).map(|(_, destination)| *destination)
        };
        self.own.as_ref().and_then(find).or_else(|| self.any.as_ref().and_then(find))
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct FastRoutes {
    by_owner: HashMap<Owner, ByFlag, FixedState>,
    routes: Vec<FastRoute>,
}

impl FastRoutes {
    /// No two rows are for the same user, schema and flag: the rule set's check sees to it.
    pub fn new(mut routes: Vec<FastRoute>) -> Self {
        routes.sort_by(|a, b| key(a).cmp(&key(b)));
        let mut by_owner = HashMap::default();
        for rows in routes.chunk_by(|a, b| a.username == b.username && a.schemaname == b.schemaname) {
            let Some(first) = rows.first() else { continue };
            let owner = Owner { user: first.username.clone(), schema: first.schemaname.clone() };
            by_owner.insert(owner, rows.iter().map(|r| (r.flag_in, r.destination)).collect());
        }
        Self { by_owner, routes }
    }

    /// What of them is for this user's statements in this schema (empty: in none).
    pub fn of(&self, user: &str, schema: &str) -> FastOf {
        if self.by_owner.is_empty() {
            return FastOf::default();
        }
        let list = |user| self.by_owner.get(&OwnerRef { user, schema }).cloned();
        FastOf { own: list(user), any: list("") }
    }

    /// All of them.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &FastRoute> {
        self.routes.iter()
    }

    /// The row for such statements that the rules left with this flag: what [`FastOf::at`] answers from.
    pub fn row(&self, user: &str, schema: &str, flag: u32) -> Option<&FastRoute> {
        let of = |user| {
            let at = self.routes.binary_search_by(|r| key(r).cmp(&(user, schema, flag))).ok()?;
            self.routes.get(at)
        };
        of(user).or_else(|| of(""))
    }
}

fn key(route: &FastRoute) -> (&str, &str, u32) {
    (&route.username, &route.schemaname, route.flag_in)
}
