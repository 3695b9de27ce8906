//! A connection's life as sessions know it: how it begins, how it begins anew, and how it is brought to a state.
//!
//! ```text
//!   connected ──▶ begin ──▶ in its base ◀──▶ bring ──▶ in a session's state
//!                   ▲                                        │
//!                   └──────────────── reset ◀────────────────┘
//! ```
//!
//! A life begins with three things: session tracking is turned on, the hostgroup's own `init_connect` is run, and the server
//! is asked for the values that the connection begins with ([`Base`]). It refuses to guess what a server has: each is asked
//! once for the names of its variables ([`Openings`]).

use super::conversation::{Talk, TalkError};
use super::relay::BackendFault;
use super::{Fate, Link};
use crate::backend::server::BackendId;
use crate::protocol::command::Command;
use crate::protocol::status::Status;
use crate::session::state::base::{Base, Born};
use crate::session::state::pins::Pins;
use crate::session::state::transition::{Steps, Way, way};
use crate::session::state::value::Value;
use crate::session::state::variable::{CLIENT_COLLATION, Opening};
use crate::session::state::{CLIENT, Interner, State};
use hashbrown::HashMap;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// ER_NO_DB_ERROR.
const NO_DATABASE: u16 = 1046;

/// What each server's connections are told and asked at the beginning of their lives, as far as it is known.
#[derive(Debug, Default)]
pub struct Openings(RefCell<HashMap<BackendId, Rc<Opening>, foldhash::fast::FixedState>>);

impl Openings {
    /// The opening for a link's server. It is asked for its variables, if nobody has yet.
    async fn of(&self, talk: &Talk<'_>, link: &mut Link) -> Result<Rc<Opening>, TalkError> {
        let id = link.backend().id;
        if let Some(known) = self.0.borrow().get(&id) {
            return Ok(Rc::clone(known));
        }
        let engine = link.backend().engine();
        let reply = match talk.query(link, "SHOW SESSION VARIABLES").await {
            // A client with NO_SCHEMA may not name a table's schema, and MariaDB itself does that here. The next connection
            // asks again.
            Err(TalkError::Refused { code: NO_DATABASE, .. }) => return Ok(Rc::new(Opening::of_known(engine))),
            asked => asked?,
        };
        let pair = |row: Vec<Option<String>>| {
            let mut row = row.into_iter().map(Option::unwrap_or_default);
            Some((row.next()?.to_ascii_lowercase(), row.next()?))
        };
        let variables: HashMap<String, String> = reply.text_rows().into_iter().filter_map(pair).collect();
        let opening = Opening {
            has_init_connect: variables.get("init_connect").is_some_and(|init| !init.is_empty()),
            ..Opening::new(engine, |name| variables.contains_key(name))
        };
        let opening = Rc::new(opening);
        self.0.borrow_mut().insert(id, Rc::clone(&opening));
        Ok(opening)
    }

    /// Forgets what is known of a server: it refused its opening, so it has become another.
    fn forget(&self, id: BackendId) {
        self.0.borrow_mut().remove(&id);
    }

    /// True if a server runs statements of its own when somebody signs in, or has not been asked.
    pub fn has_init_connect(&self, id: BackendId) -> bool {
        self.0.borrow().get(&id).is_none_or(|opening| opening.has_init_connect)
    }

    /// Keeps what is known of these servers alone.
    pub fn retain(&self, is_there: impl Fn(BackendId) -> bool) {
        self.0.borrow_mut().retain(|id, _| is_there(*id));
    }
}

/// What a life needs.
#[derive(Clone, Copy)]
pub struct Life<'a> {
    /// How to talk to the server.
    pub talk: Talk<'a>,
    /// What servers are told and asked.
    pub openings: &'a Openings,
    /// The states of the worker.
    pub states: &'a Interner,
    /// The `init_connect` of the link's hostgroup.
    pub init_connect: Option<&'a str>,
    /// What a reset of such a connection begins with, where a server has said so a moment ago.
    pub reset_base: Option<&'a Rc<Base>>,
}

impl Life<'_> {
    /// Begins the life of a connection that has just signed in, without a default schema.
    ///
    /// # Errors
    /// See [`TalkError`]; the link must be dropped.
    pub async fn begin(&self, link: &mut Link) -> Result<(), TalkError> {
        self.begin_as(link, None, Born::BySignIn).await
    }

    async fn begin_as(&self, link: &mut Link, schema: Option<Box<str>>, born: Born) -> Result<(), TalkError> {
        let opening = self.openings.of(&self.talk, link).await?;
        let opened = self.open(link, &opening, born).await;
        if matches!(opened, Err(TalkError::Refused { .. })) {
            self.openings.forget(link.backend().id);
        }
        let base = opened?;
        link.state = self.states.begun(schema.as_deref(), &base);
        link.base = base;
        Ok(())
    }

    async fn open(&self, link: &mut Link, opening: &Opening, born: Born) -> Result<Rc<Base>, TalkError> {
        self.talk.query(link, &opening.track).await?;
        if let Some(init) = self.init_connect {
            self.talk.query(link, init).await.map_err(|error| in_init(error, link))?;
        }
        if let (Born::ByReset, Some(known)) = (born, self.reset_base) {
            return Ok(Rc::clone(known));
        }
        let reply = self.talk.query(link, &opening.ask).await?;
        let answer = reply.last_value().unwrap_or_default();
        match Base::read(&opening.asked, &answer, born, link.backend().engine()) {
            Some(base) => Ok(self.states.base(base)),
            None => Err(odd("the server's answer about its variables cannot be read")),
        }
    }

    /// Gives a connection a new life: COM_RESET_CONNECTION ends its transaction, its temporary tables, its locks, its prepared
    /// statements and its variables. The default schema stays, in both engines; it is what it was.
    ///
    /// # Errors
    /// See [`TalkError`]; the link must be dropped.
    pub async fn reset(&self, link: &mut Link) -> Result<(), TalkError> {
        self.talk.ask(link, Command::ResetConnection, b"").await?;
        link.prepared.clear();
        link.diagnostics = 0;
        link.is_doubtful = false;
        link.has_given_id = false;
        let schema = link.state.values.schema.clone();
        self.begin_as(link, schema, Born::ByReset).await
    }

    /// Brings a link to `target`, by a new life where nothing else helps. Nothing is sent where they agree.
    ///
    /// # Errors
    /// See [`TalkError`]. After any error the link must be dropped: part of the way may have been gone.
    pub async fn bring(&self, link: &mut Link, target: &Rc<State>) -> Result<Brought, TalkError> {
        let mut brought = Brought::default();
        if Rc::ptr_eq(&link.state, target) {
            return Ok(brought);
        }
        let engine = link.backend().engine();
        let mut next = way(&link.state, &link.base, target, engine);
        if next == Way::Reset {
            self.reset(link).await?;
            brought.reset = true;
            next = way(&link.state, &link.base, target, engine);
        }
        if let Way::Steps(Steps { schema: Some(schema), .. }) = &next
            && !link.state.values.reads_name(schema, &link.base)
        {
            self.talk.query(link, &format!("SET {CLIENT}=utf8mb4")).await?;
            let mut values = link.state.values.clone();
            values.set(CLIENT, Value::Text("utf8mb4".into()));
            values.set(CLIENT_COLLATION, Value::Text("".into()));
            link.state = self.states.intern(values);
            next = way(&link.state, &link.base, target, engine);
        }
        let Way::Steps(Steps { schema, set }) = next else {
            return Err(odd("no way between the states"));
        };
        if let Some(schema) = &schema {
            self.talk.ask(link, Command::InitDb, schema.as_bytes()).await?;
            brought.schema = true;
        }
        if target.pins.contains(Pins::RECORDED) {
            // What its server records of statements outlasts resets.
            link.fate.set(Fate::Closed);
        }
        if let Some(set) = &set {
            let reply = self.talk.query(link, set).await?;
            confirm(reply.summary.status, target)?;
            link.status = reply.summary.status;
            brought.set = true;
        }
        link.state = Rc::clone(target);
        Ok(brought)
    }
}

/// What it took to bring a link to a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// A new life.
    pub reset: bool,
    /// A change of the default schema.
    pub schema: bool,
    /// A SET.
    pub set: bool,
}

/// The server must read backslashes as the session does: it says how it does with every answer.
fn confirm(status: Status, target: &State) -> Result<(), TalkError> {
    if status.contains(Status::NO_BACKSLASH_ESCAPES) == target.lex_mode.no_backslash_escapes {
        return Ok(());
    }
    Err(odd("the server's sql_mode is not the session's"))
}

fn odd(why: &'static str) -> TalkError {
    TalkError::Broken(BackendFault::Io(io::Error::other(why)))
}

/// Says whose fault a refusal was: no statement of the client's.
fn in_init(error: TalkError, link: &Link) -> TalkError {
    match error {
        TalkError::Refused { code, sqlstate, message } => {
            let message = format!("init_connect of hostgroup {}: {message}", link.hostgroup);
            TalkError::Refused { code, sqlstate, message }
        }
        broken => broken,
    }
}
