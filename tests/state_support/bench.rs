//! The servers that programs are played on, and one play: set up, both sides in lockstep, the data at the end, cleaned away.
//!
//! An engine has two servers that are twins: one is spoken to directly, the other one through a router. They are started once for a test
//! binary. Programs that are played at once have schemas of their own; one that sets a global has the servers to itself.

use super::compare::difference;
use super::environment::{Environment, Profile};
use super::fixture;
use super::player::{Schemas, Side, ask, tell};
use super::program::{Op, Step, Value, listing};
use super::reply::Reply;
use super::variables::{Variables, discover};
use crate::common::{MariaDb, MySql, Options, Router};
use crate::traffic_support::raw::Raw;
use std::collections::BTreeMap;
use std::mem::Discriminant;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use switchboard::auth::Credentials;
use switchboard::backend::connect::{ConnectOptions, Target};
use switchboard::cli::demo::servers::{Engine, Server};
use tokio::sync::RwLock;

/// Locks are waited for no longer than this, in seconds: both engines take no less.
const LOCK_WAIT: u32 = 1;

/// The two servers of an engine.
pub struct Twins {
    pub engine: Engine,
    pub variables: Variables,
    version: String,
    direct: Box<dyn Deref<Target = Server> + Send + Sync>,
    routed: Box<dyn Deref<Target = Server> + Send + Sync>,
    /// Taken for writing by a program that sets globals.
    globals: RwLock<()>,
    next_schema: AtomicU32,
}

impl Twins {
    /// Those of an engine, for one test at a time.
    pub fn of(engine: Engine) -> MutexGuard<'static, Twins> {
        static MARIADB: OnceLock<Mutex<Twins>> = OnceLock::new();
        static MYSQL: OnceLock<Mutex<Twins>> = OnceLock::new();
        let (slot, start): (_, fn(Options) -> Box<dyn Deref<Target = Server> + Send + Sync>) = match engine {
            Engine::MariaDb => (&MARIADB, |options| Box::new(MariaDb::start(options))),
            Engine::MySql => (&MYSQL, |options| Box::new(MySql::start(options))),
        };
        let twins = slot.get_or_init(|| {
            let start = |name: &str| {
                let mut options = Options { general_log: false, ..Options::named(name) };
                if engine == Engine::MariaDb {
                    // A thread that is kept for another connection keeps what FOUND_ROWS() said on the one before.
                    options = options.with_arg("--debug-no-sync=1").with_arg("--thread-cache-size=0");
                }
                start(
                    options
                        .with_arg(&format!("--lock-wait-timeout={LOCK_WAIT}"))
                        .with_arg(&format!("--innodb-lock-wait-timeout={LOCK_WAIT}"))
                        .with_arg("--default-time-zone=+00:00")
                        .with_arg("--local-infile=0")
                        // What programs make is taken away a moment later: nothing of it need reach a disk.
                        .with_arg("--innodb-flush-method=nosync")
                        .with_arg("--innodb-file-per-table=0"),
                )
            };
            let (direct, routed) = (start("the direct server"), start("the routed server"));
            let (variables, version) = super::search::block_on(async {
                let (mut one, mut other) = (root(&direct).await, root(&routed).await);
                let version = ask(&mut one, "SELECT VERSION()").await.into_iter().flatten().next();
                (discover(engine, &mut one, &mut other).await, version.unwrap_or_default())
            });
            Mutex::new(Twins {
                engine,
                variables,
                version,
                direct,
                routed,
                globals: RwLock::new(()),
                next_schema: AtomicU32::new(0),
            })
        });
        twins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody who plays one program after the other.
    pub async fn lane(&self) -> Lane<'_> {
        let (direct, routed) = (root(&self.direct).await, root(&self.routed).await);
        Lane { twins: self, direct, routed, mode: Mode::Router, lenient: false, plays: 0 }
    }
}

/// What stands between the client and the second server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Router,
    /// Nothing: the instrument itself is tried.
    Nothing,
}

/// Plays programs, one at a time.
pub struct Lane<'a> {
    twins: &'a Twins,
    /// The servers' own account on each.
    direct: Raw,
    routed: Raw,
    pub mode: Mode,
    /// Leaves out of the comparison what is known to differ in too many programs: MySQL's OK to a CALL that changes no row has the
    /// number of whatever ran before it on its connection, which another session may have had, and its OK to COM_INIT_DB has the number of
    /// the last statement's warnings.
    pub lenient: bool,
    /// How many programs it has played.
    pub plays: u64,
}

/// Where a program's answers differ first.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The step; none for the data at the end.
    pub step: Option<usize>,
    /// The field that differs, and how.
    pub what: String,
    pub direct: String,
    pub routed: String,
}

impl Difference {
    /// The same for differences that look alike: the statement's first words and the field.
    pub fn kind(&self, steps: &[Step]) -> String {
        let step = self.step.and_then(|at| steps.get(at)).map_or("the end".to_owned(), |step| step.op.to_string());
        let words: Vec<&str> = step.split_whitespace().take(3).collect();
        let what = self.what.lines().next().unwrap_or_default();
        let kind = format!("{}: {what}", words.join(" "));
        kind.chars()
            .filter(|c| !c.is_ascii_digit() || self.what.starts_with("error") || self.what.starts_with("kind"))
            .collect()
    }
}

async fn root(server: &Server) -> Raw {
    let options = ConnectOptions { schema: None, ..ConnectOptions::default() };
    let signed_in = Raw::sign_in(&Target::unix(server.socket()), &Credentials::new("root", ""), &options).await;
    let mut root = signed_in.unwrap_or_else(|error| panic!("{error}"));
    for sql in [
        "SET SESSION lock_wait_timeout = 30",
        "SET NAMES utf8mb4",
        "SET SESSION sql_mode = ''",
        "SET SESSION autocommit = 1",
    ] {
        tell(&mut root, sql).await.unwrap_or_else(|error| panic!("{error}"));
    }
    root
}

impl<'a> Lane<'a> {
    /// Sets both servers' globals. Nobody else may be playing.
    pub async fn set_globals(&mut self, profile: Profile) {
        let _alone = self.twins.globals.write().await;
        for (name, value) in profile.globals(self.twins.engine) {
            self.both(&format!("SET GLOBAL {name} = {value}")).await;
        }
    }

    /// Tells both servers something that must not fail.
    async fn both(&mut self, sql: &str) {
        let (one, other) = tokio::join!(tell(&mut self.direct, sql), tell(&mut self.routed, sql));
        if let Err(error) = one.and(other) {
            let log = |server: &Server| {
                let log = std::fs::read(server.error_log()).unwrap_or_default();
                let text = String::from_utf8_lossy(&log[log.len().saturating_sub(6000)..]).into_owned();
                format!("{} on {}:\n{text}", server.name(), server.port())
            };
            panic!("{error}\n{}\n{}", log(&self.twins.direct), log(&self.twins.routed));
        }
    }

    /// Plays a program; gives the first difference. `timeouts` go to that section of the router's configuration.
    pub async fn play(&mut self, environment: &Environment, steps: &[Step], timeouts: &str) -> Option<Difference> {
        let twins = self.twins;
        let globals = globals_set(steps);
        let (_shared, _alone) = match globals.is_empty() {
            true => (Some(twins.globals.read().await), None),
            false => (None, Some(twins.globals.write().await)),
        };
        let mut before = Vec::new();
        for name in &globals {
            let value = ask(&mut self.direct, &format!("SELECT @@GLOBAL.{name}")).await;
            before.push(value.into_iter().flatten().next().unwrap_or_default());
        }
        let number = twins.next_schema.fetch_add(1, Ordering::Relaxed);
        let schemas = Schemas(["a", "b", "c"].map(|name| format!("p{number:06}{name}")));
        let found = self.play_in(&schemas, environment, steps, timeouts).await;
        self.clean(&schemas).await;
        for (name, value) in globals.iter().zip(before) {
            let value = match value.as_str() {
                "NULL" => "DEFAULT".to_owned(),
                number if number.parse::<f64>().is_ok() => number.to_owned(),
                text => format!("'{text}'"),
            };
            self.both(&format!("SET GLOBAL {name} = {value}")).await;
        }
        self.plays += 1;
        found
    }

    async fn play_in(
        &mut self,
        schemas: &Schemas,
        environment: &Environment,
        steps: &[Step],
        timeouts: &str,
    ) -> Option<Difference> {
        let twins = self.twins;
        let config = environment.config(twins.routed.port(), &twins.version, timeouts);
        let is_routed = self.mode == Mode::Router;
        let start = move || is_routed.then(|| std::thread::spawn(move || Router::with_config(&config, &[])));
        let sessions = steps.iter().map(|step| step.session).max().unwrap_or(1);
        let fixture = fixture::statements(environment.engine, sessions, &listing(steps));
        // A router reads the definitions of triggers, views and routines when it starts: they must be there by then.
        let (mut at_once, mut afterwards) = (None, None);
        match fixture.iter().any(|sql| fixture::is_definition(sql)) {
            true => afterwards = Some(start),
            false => at_once = start(),
        }
        for schema in &schemas.0 {
            self.both(&format!("CREATE SCHEMA {schema} DEFAULT CHARACTER SET utf8mb4")).await;
        }
        self.both(&format!("USE {}", schemas.0[0])).await;
        for sql in fixture {
            self.both(&sql.replace("{a}", &schemas.0[0])).await;
        }
        let router = at_once.or_else(|| afterwards.and_then(|start| start()));
        let router = router.map(|starting| starting.join().unwrap_or_else(|error| std::panic::resume_unwind(error)));
        let port = router.as_ref().map_or(twins.routed.port(), |router| router.address().port());
        let side = |direct: bool, port: u16, admin| Side {
            target: Target::tcp("127.0.0.1", port),
            admin,
            direct,
            environment: *environment,
            schemas: schemas.clone(),
            sessions: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        let mut direct = side(true, twins.direct.port(), &mut self.direct);
        let mut routed = side(router.is_none(), port, &mut self.routed);
        let (mut lost, mut found, mut told) = (Lost::default(), Found::default(), Told::default());
        let mut bound = Bound::default();
        for (at, step) in steps.iter().enumerate() {
            if lost.skips(step) {
                if let Some(found) = lost.beyond(at, step, &mut routed).await {
                    return Some(found);
                }
                continue;
            }
            let (mut one, mut other) = tokio::join!(direct.perform(step), routed.perform(step));
            if self.lenient && environment.engine == Engine::MySql && step.op.is_call() {
                one.iter_mut().chain(&mut other).for_each(Reply::forget_rows);
            }
            if self.lenient && environment.engine == Engine::MySql {
                one.iter_mut().chain(&mut other).for_each(Reply::forget_who_checks_foreign_keys);
            }
            if self.lenient && matches!(step.op, Op::Execute { .. }) {
                one.iter_mut().zip(&other).for_each(|(direct, routed)| direct.take_read_only_error_of(routed));
            }
            if self.lenient && matches!(step.op, Op::InitDb(_)) {
                one.iter_mut().chain(&mut other).for_each(Reply::forget_warnings);
            }
            if environment.engine == Engine::MySql && environment.profile == Profile::Manual {
                one.iter_mut().chain(&mut other).for_each(Reply::forget_autocommit);
            }
            // Both see every step.
            let is_nobodys = found.is_nobodys(step, &one)
                | told.is_nobodys(environment.engine, step, &one)
                | bound.is_nobodys(environment.engine, step);
            lost.note(step);
            trace(step, &texts(&one), &texts(&other));
            if self.lenient && is_nobodys {
                continue;
            }
            if let Some(what) = difference((&one, &direct.numbers), (&other, &routed.numbers)) {
                return Some(Difference { step: Some(at), what, direct: texts(&one), routed: texts(&other) });
            }
        }
        let everybody: Vec<usize> = direct.sessions.keys().chain(routed.sessions.keys()).copied().collect();
        for session in everybody {
            let leave = Step { session, op: Op::Leave };
            tokio::join!(direct.perform(&leave), routed.perform(&leave));
        }
        let (one, other) = tokio::join!(left_behind(direct.admin, schemas), left_behind(routed.admin, schemas));
        let differ = one.lines().zip(other.lines()).find(|(a, b)| a != b).map(|(a, b)| (a.to_owned(), b.to_owned()));
        (one != other).then(|| {
            let (direct, routed) = differ.unwrap_or((one, other));
            Difference { step: None, what: "the data at the end differ".into(), direct, routed }
        })
    }

    /// Takes away what a program made, also what outlives its sessions.
    async fn clean(&mut self, schemas: &Schemas) {
        for admin in [&mut self.direct, &mut self.routed] {
            for row in ask(admin, "XA RECOVER").await {
                if let Some(name) = row.get(3).filter(|name| name.starts_with(&schemas.0[0])) {
                    ask(admin, &format!("XA ROLLBACK '{name}'")).await;
                }
            }
            for schema in &schemas.0 {
                ask(admin, &format!("DROP SCHEMA IF EXISTS {schema}")).await;
            }
        }
    }
}

/// Whether `FOUND_ROWS()` is a session's own number, by session. Behind a routine that has found nothing it is what the
/// connection had before, which with a router may be another session's. And a server's number outlasts a reset, the router's only
/// where the answers' packets had said it.
#[derive(Default)]
struct Found(BTreeMap<usize, bool>);

impl Found {
    /// True if a step asks for a number that is nobody's.
    fn is_nobodys(&mut self, step: &Step, replies: &[Reply]) -> bool {
        let text = text_of(step);
        if text.contains("found_rows()") {
            return !self.0.get(&step.session).copied().unwrap_or(true);
        }
        let has_rows = replies.iter().any(|reply| matches!(reply, Reply::Rows { .. }));
        if matches!(step.op, Op::Enter { .. } | Op::Leave | Op::Vanish) {
            self.0.insert(step.session, true);
        } else if is_out_of_sight(step, &text) || matches!(step.op, Op::Reset | Op::ChangeUser { .. }) {
            self.0.insert(step.session, false);
        } else if has_rows && !matches!(step.op, Op::Execute { cursor: true, .. }) {
            self.0.insert(step.session, true);
        }
        false
    }
}

/// Whether a session's diagnostics, and the variables that were set to them, are nobody's, by session. On MariaDB they are behind a
/// routine, which may have used tables or not: where they were on another connection, nobody knows. The router's own errors (an
/// execution of what was not prepared, a fetch without a cursor) are in no connection's.
#[derive(Default)]
struct Told(BTreeMap<usize, [bool; 2]>);

impl Told {
    /// True if a step asks for what is nobody's.
    fn is_nobodys(&mut self, engine: Engine, step: &Step, replies: &[Reply]) -> bool {
        const ASKS: [&str; 6] =
            ["show warnings", "show errors", "show count", "@@warning_count", "@@error_count", "get diagnostics"];
        const VARIABLES: [&str; 4] = ["@rows", "@conditions", "@state", "@text"];
        let text = text_of(step);
        let [are_open, variables] = self.0.entry(step.session).or_default();
        if ASKS.iter().any(|word| text.contains(word)) {
            if text.contains("get diagnostics") {
                *variables = *are_open;
            }
            return *are_open;
        }
        if VARIABLES.iter().any(|word| text.contains(word)) {
            return *variables;
        }
        let failed = replies.iter().any(|reply| matches!(reply, Reply::Err { .. }));
        let uses_a_table = [" from ", "insert", "update", "delete", "replace"].iter().any(|word| text.contains(word));
        if failed && matches!(step.op, Op::Fetch { .. } | Op::Execute { .. })
            || engine == Engine::MariaDb && is_out_of_sight(step, &text)
        {
            *are_open = true;
        } else if failed || uses_a_table || engine == Engine::MySql && step.op.statement().is_some() {
            *are_open = false;
        }
        false
    }
}

/// The kinds of the values that each prepared statement was first executed with, by session. On MySQL these are its parameters' types from then
/// on, until its connection is another.
#[derive(Default)]
struct Bound(BTreeMap<(usize, String), Vec<Discriminant<Value>>>);

impl Bound {
    /// True for an execution with other kinds.
    fn is_nobodys(&mut self, engine: Engine, step: &Step) -> bool {
        match &step.op {
            Op::Prepare { name, .. } => {
                self.0.remove(&(step.session, name.clone()));
                false
            }
            Op::Execute { name, values, .. } => {
                let kinds: Vec<_> = values.iter().map(std::mem::discriminant).collect();
                let first = self.0.entry((step.session, name.clone())).or_insert_with(|| kinds.clone());
                engine == Engine::MySql && *first != kinds
            }
            _ => false,
        }
    }
}

fn text_of(step: &Step) -> String {
    step.op.statement().map(|sql| String::from_utf8_lossy(sql).to_lowercase()).unwrap_or_default()
}

/// True for a step whose text may not show all that it does: calls, the fixture's functions (`f_…`), the views that use them (vu, vs, vl),
/// and its tables with triggers (gu1, gs1, gl1, …).
fn is_out_of_sight(step: &Step, text: &str) -> bool {
    const WORDS: [&str; 9] = ["call ", "execute", "f_", "atomic", ";", " vu", " vs", " vl", "into g"];
    step.op.is_call() || WORDS.iter().any(|word| text.contains(word))
}

/// The sessions whose server connection was killed. Directly they are gone; through a router they may live on, and then what they do
/// is not compared, but nothing of their transaction may be said to have been kept.
#[derive(Default)]
struct Lost(Vec<usize>);

impl Lost {
    fn note(&mut self, step: &Step) {
        if step.op == Op::Lose {
            self.0.push(step.session);
        }
    }

    fn skips(&self, step: &Step) -> bool {
        self.0.contains(&step.session)
    }

    /// A step of such a session, through the router alone.
    async fn beyond(&mut self, at: usize, step: &Step, routed: &mut Side<'_>) -> Option<Difference> {
        if !routed.sessions.contains_key(&step.session) {
            return None;
        }
        let replies = routed.perform(step).await;
        trace(step, "the session is lost", &texts(&replies));
        let text = step.op.to_string();
        let kept = text.eq_ignore_ascii_case("commit") && replies.iter().any(|reply| matches!(reply, Reply::Ok { .. }));
        kept.then(|| Difference {
            step: Some(at),
            what: "a lost transaction is said to be committed".into(),
            direct: "the connection is gone".into(),
            routed: texts(&replies),
        })
    }
}

/// The tables' rows, and whether the locks that programs take are free.
async fn left_behind(admin: &mut Raw, schemas: &Schemas) -> String {
    let names = schemas.0.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let tables = format!(
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ({names}) \
         AND TABLE_TYPE <> 'VIEW' ORDER BY 1"
    );
    let mut out = String::new();
    for table in ask(admin, &tables).await.into_iter().flatten() {
        match tell(admin, &format!("SELECT * FROM {table} ORDER BY 1")).await {
            Ok(rows) => rows.iter().for_each(|row| out.push_str(&format!("{table}: {}\n", row.join(" | ")))),
            Err(error) => out.push_str(&format!("{table}: {error}\n")),
        }
    }
    out
}

/// Shows a step and its answers, where `SWITCHBOARD_STATE_TRACE` asks for it.
fn trace(step: &Step, direct: &str, routed: &str) {
    static ON: OnceLock<bool> = OnceLock::new();
    if *ON.get_or_init(|| std::env::var_os("SWITCHBOARD_STATE_TRACE").is_some()) {
        println!("{step}\n  direct: {direct}\n  routed: {routed}");
    }
}

fn texts(replies: &[Reply]) -> String {
    replies.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n        ")
}

/// The names of the globals that a program sets, each by a statement that begins so.
fn globals_set(steps: &[Step]) -> Vec<String> {
    let statements = steps.iter().filter_map(|step| step.op.statement());
    let named = statements.filter_map(|sql| {
        let text = String::from_utf8_lossy(sql).into_owned();
        let begins = ["SET GLOBAL ", "SET @@GLOBAL."].into_iter().find(|b| text.to_ascii_uppercase().starts_with(b))?;
        Some(text[begins.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
    });
    named.collect()
}
