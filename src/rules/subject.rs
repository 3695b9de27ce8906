//! Who sends a statement, as far as rules and the reading of texts depend on it: user, schema, addresses, `sql_mode`
//! bits.
//!
//! Each session keeps one subject and changes it as it goes. [`super::ruleset`] reduces it to what the rules look at,
//! so that sessions that differ in nothing else share plans in [`super::cache`]. It holds no credentials and no other
//! state of the session.

use super::fast::FastOf;
use crate::sql::LexMode;
use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

/// A subject's number in a [`super::PlanCache`]. Never used for two subjects, and never again after a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubjectId(pub(super) u64);

/// Which cache and which version of the rules a subject's number is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub cache: u64,
    pub version: u64,
    pub id: SubjectId,
}

/// A session, as the routing decision sees it. The session keeps one and tells it what changes.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    user: Arc<str>,
    schema: Option<Arc<str>>,
    client_addr: Option<IpAddr>,
    proxy_addr: Option<IpAddr>,
    proxy_port: u16,
    mode: LexMode,
    /// The number, once a cache has given it one; emptied by whatever changes the subject.
    stamp: Cell<Option<Stamp>>,
}

impl Subject {
    /// A session of that user (the name that it signed in with), with no default schema, from a unix socket.
    pub fn new(user: &str) -> Self {
        Self { user: user.into(), ..Self::default() }
    }

    /// Where the client connects from, and the local address and port it connected to. None for a unix socket.
    pub fn with_addresses(mut self, client: Option<IpAddr>, proxy: Option<IpAddr>, proxy_port: u16) -> Self {
        self.client_addr = client;
        self.proxy_addr = proxy;
        self.proxy_port = proxy_port;
        self.changed()
    }

    /// The same with that default schema.
    pub fn with_schema(mut self, schema: Option<&str>) -> Self {
        self.set_schema(schema);
        self
    }

    fn changed(self) -> Self {
        self.stamp.set(None);
        self
    }

    /// The session signed in anew (COM_CHANGE_USER).
    pub fn set_user(&mut self, user: &str) {
        if *self.user != *user {
            self.user = user.into();
            self.stamp.set(None);
        }
    }

    /// The session's default schema is now this. Costs nothing where it is what it was.
    pub fn set_schema(&mut self, schema: Option<&str>) {
        if self.schema.as_deref() != schema {
            self.schema = schema.map(Into::into);
            self.stamp.set(None);
        }
    }

    /// The session's `sql_mode` bits are now these.
    pub fn set_mode(&mut self, mode: LexMode) {
        if self.mode != mode {
            self.mode = mode;
            self.stamp.set(None);
        }
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The default schema.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Where the client connects from; none is the unix socket.
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.client_addr
    }

    /// The local address that it connected to.
    pub fn proxy_addr(&self) -> Option<IpAddr> {
        self.proxy_addr
    }

    /// The local port that it connected to; 0 for a unix socket.
    pub fn proxy_port(&self) -> u16 {
        self.proxy_port
    }

    /// The `sql_mode` bits that change how text is read.
    pub fn mode(&self) -> LexMode {
        self.mode
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.stamp.get()
    }

    pub(super) fn set_stamp(&self, stamp: Stamp) {
        self.stamp.set(Some(stamp));
    }
}

/// What of a subject can change a plan, under one version of the rules: two subjects with the same key share plans.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SubjectKey {
    /// The name, if any rule asks for that name; otherwise the user is one of many.
    pub user: Option<Arc<str>>,
    pub default_hostgroup: Option<u32>,
    /// The schema, if any rule looks at it.
    pub schema: Option<Arc<str>>,
    /// Where fast routes send it.
    pub fast: FastOf,
    /// Which of the rules' address patterns the client meets, one bit each.
    pub addresses: Box<[u64]>,
    pub proxy_addr: Option<IpAddr>,
    pub proxy_port: Option<u16>,
    pub mode: LexMode,
}

impl Subject {
    pub(super) fn shared_user(&self) -> Arc<str> {
        Arc::clone(&self.user)
    }

    pub(super) fn shared_schema(&self) -> Option<Arc<str>> {
        self.schema.clone()
    }
}
