//! Health checks of backends: one task each, on the control thread.
//!
//! A check keeps a connection of its own and asks one small question an interval; what the question costs a server is what
//! one idle connection costs. A backend that may be behind by so much only is asked for its lag besides, and one of several
//! writers whether it is read-only. It signs in by the same code as the traffic does, so what it finds is what the traffic would.

use super::connect::{self, ConnectError, ConnectOptions, Connected};
use super::discovery;
use super::health::{Cause, State};
use super::lag::{Reading, Turn};
use super::record::{Asked, Checked};
use super::replica::{self, Told};
use super::server::Backend;
use crate::auth::Credentials;
use crate::net::frame;
use crate::protocol::response::ErrPacket;
use crate::telemetry::events::HEALTH_CHECKS;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::time::timeout;

/// How checks are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Time between two checks of a backend.
    pub interval: Duration,
    /// The same for a backend that is not up.
    pub retry_interval: Duration,
    /// Time in which a check must be answered.
    pub timeout: Duration,
    /// A server that does not answer for this long is silent: reads go elsewhere. 0: that is not looked for.
    pub silence: Duration,
    /// Who signs in for checks; none: the backend is only connected to, and its greeting read.
    pub credentials: Option<Credentials>,
}

/// The longest between two checks of a backend that is not well, while statements wait for it.
const WHILE_WANTED: Duration = Duration::from_millis(100);

/// The longest that a start waits for the writers.
const LONGEST_MEETING: Duration = Duration::from_secs(1);

impl Default for Checks {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            retry_interval: Duration::from_millis(500),
            timeout: Duration::from_secs(1),
            silence: Duration::from_millis(500),
            credentials: None,
        }
    }
}

/// Signs in at these backends as the checks do, all at once, and leaves: so what they say of themselves is known before anybody
/// needs it. Who does not answer in the time of a check, or within a second, is not waited for; nothing here counts for health.
pub async fn meet(backends: impl Iterator<Item = &Arc<Backend>>, checks: &Checks) {
    let mut meetings = tokio::task::JoinSet::new();
    for backend in backends {
        let backend = Arc::clone(backend);
        let checks = Checks { timeout: checks.timeout.min(LONGEST_MEETING), ..checks.clone() };
        meetings.spawn(async move {
            let _ = sign_in(&backend, &checks).await;
        });
    }
    while meetings.join_next().await.is_some() {}
}

/// Checks one backend for ever.
pub async fn check(backend: Arc<Backend>, checks: Checks) {
    let mut connection: Option<Connected> = None;
    let mut for_lag: Question<Told> = Question::default();
    let mut for_read_only: Question<discovery::Reading> = Question::default();
    let mut reported_credentials = false;
    loop {
        let (at, began, connects) = (SystemTime::now(), Instant::now(), connection.is_none());
        let found = {
            let mut asking = std::pin::pin!(timeout(checks.timeout, ask(&backend, &checks, &mut connection)));
            match timeout(checks.silence, &mut asking).await {
                Ok(found) => found,
                Err(_) => {
                    note_silence(&backend, &checks);
                    asking.await
                }
            }
        };
        let error = match &found {
            Ok(Ok(())) => None,
            Ok(Err(Trouble::Credentials(error))) => Some(error.clone()),
            Ok(Err(Trouble::Failed(cause))) => Some(cause.to_string()),
            Err(_) => Some(Cause::Timeout(as_ms(checks.timeout)).to_string()),
        };
        let result = match &found {
            Ok(Ok(())) => "ok",
            Ok(Err(Trouble::Credentials(_))) => "account",
            Ok(Err(Trouble::Failed(_))) => "failed",
            Err(_) => "timeout",
        };
        HEALTH_CHECKS.count([&*backend.name, result]);
        let asked = if connects { Asked::Connect } else { Asked::Ping };
        backend.record.checked(Checked { at, asked, took: began.elapsed(), value: None, error });
        // Before it may come up again: what is behind is not to serve first and be found out afterwards.
        if found.is_ok() && backend.lag.is_asked() {
            let began = (SystemTime::now(), Instant::now());
            let told = for_lag.put(&checks, &mut connection, replica::ask).await;
            take_lag(&backend, began, told);
        }
        if found.is_ok() && backend.read_only.is_asked() {
            let began = (SystemTime::now(), Instant::now());
            let told = for_read_only.put(&checks, &mut connection, discovery::ask).await;
            take_read_only(&backend, began, told.unwrap_or_else(discovery::Reading::Unreadable));
        }
        match found {
            Ok(Ok(())) => {
                hear(&backend);
                backend.health.check_succeeded(&backend.name);
                reported_credentials = false;
            }
            Ok(Err(Trouble::Credentials(error))) => {
                // The server is there and answers; that the checks' account is wrong is the operator's to know, once.
                hear(&backend);
                backend.health.check_succeeded(&backend.name);
                if !std::mem::replace(&mut reported_credentials, true) {
                    tracing::warn!(backend = &*backend.name, error, "the health checks cannot sign in");
                }
                connection = None;
            }
            Ok(Err(Trouble::Failed(cause))) => {
                backend.health.check_failed(&backend.name, cause);
                connection = None;
            }
            Err(_) => {
                backend.health.check_failed(&backend.name, Cause::Timeout(as_ms(checks.timeout)));
                connection = None;
            }
        }
        // A server that may become the writer is asked at the shorter interval, so that a failover is noticed soon.
        let is_settled = backend.health.state() == State::Up && !backend.read_only.is_on();
        let wait = match (is_settled, backend.is_wanted()) {
            (true, _) => checks.interval,
            (false, false) => checks.retry_interval,
            (false, true) => checks.retry_interval.min(WHILE_WANTED),
        };
        // Somebody may ask for a check before its time.
        let _ = timeout(wait, listen(&backend, &checks, &mut connection)).await;
    }
}

/// Between two checks: asks a server that the traffic has connections to whether it still answers, several times a second. Ends when
/// somebody asks for a check, or when the server is silent.
async fn listen(backend: &Backend, checks: &Checks, kept: &mut Option<Connected>) {
    if checks.silence.is_zero() {
        return backend.is_looked_for().await;
    }
    let pace = checks.silence / 2;
    loop {
        // A check that signs in for nobody has no connection to ask on.
        let is_used = kept.is_some() && backend.open() > 0;
        match timeout(pace, backend.is_looked_for()).await {
            Ok(()) => return,
            Err(_) if !is_used => continue,
            Err(_) => {}
        }
        // Who is not heard out has no connection afterwards: its answer would be taken for that to the next question.
        let mut asked = kept.take();
        match timeout(checks.silence, ask(backend, checks, &mut asked)).await {
            Ok(Ok(())) => *kept = asked,
            // The next check looks at it anew, on another connection.
            Ok(Err(_)) => return,
            Err(_) => return note_silence(backend, checks),
        }
    }
}

/// A server has not answered for as long as it may be silent.
fn note_silence(backend: &Backend, checks: &Checks) {
    if checks.silence.is_zero() || backend.is_silent() {
        return;
    }
    tracing::warn!(
        backend = &*backend.name,
        silence_ms = as_ms(checks.silence),
        "silent: reads are run elsewhere, where they can"
    );
    backend.fall_silent(true);
}

/// It has answered.
fn hear(backend: &Backend) {
    if backend.is_silent() {
        tracing::info!(backend = &*backend.name, "it answers again");
        backend.fall_silent(false);
    }
}

/// A question beside the ping. That it goes wrong says nothing about a backend's health: SHOW … STATUS waits for a
/// replication that is being stopped, for instance. A server that does not answer is not asked a second time beside the
/// first, on one more connection each check: those would be there until it answers, and take the room of the traffic.
struct Question<T> {
    /// The one that is not answered yet, with the connection it was asked on, and since when.
    open: Option<(Asking<T>, Instant)>,
}

type Asking<T> = Pin<Box<dyn Future<Output = (std::io::Result<T>, Connected)>>>;

/// How long an answer is waited for before the question is put again.
const MOST_PATIENCE: Duration = Duration::from_secs(300);

impl<T> Default for Question<T> {
    fn default() -> Self {
        Self { open: None }
    }
}

impl<T: 'static> Question<T> {
    /// Puts the question on the checks' connection, unless an answer is still to come, and gives the answer, or why there
    /// is none. The connection is gone while the answer is awaited, and after an error.
    async fn put<F>(&mut self, checks: &Checks, kept: &mut Option<Connected>, ask: F) -> Result<T, String>
    where
        F: AsyncFnOnce(&mut Connected) -> std::io::Result<T> + 'static,
    {
        self.open.take_if(|(_, since)| since.elapsed() >= MOST_PATIENCE);
        // For one that is overdue no check waits again: it is looked whether the answer is there.
        let (mut asking, since, patience) = match (self.open.take(), kept.take()) {
            (Some((asking, since)), fresh) => {
                *kept = fresh;
                (asking, since, Duration::ZERO)
            }
            (None, Some(mut connected)) => {
                let asking: Asking<T> = Box::pin(async move { (ask(&mut connected).await, connected) });
                (asking, Instant::now(), checks.timeout)
            }
            (None, None) if checks.credentials.is_none() => return Err("the checks have no account".to_owned()),
            (None, None) => return Err("the checks are not signed in".to_owned()),
        };
        match timeout(patience, &mut asking).await {
            Ok((Ok(told), connected)) => {
                kept.get_or_insert(connected);
                Ok(told)
            }
            Ok((Err(error), _)) => Err(error.to_string()),
            Err(_) => {
                self.open = Some((asking, since));
                Err(format!("no answer within {} ms", as_ms(since.elapsed())))
            }
        }
    }
}

/// Takes a reading down, and says what it changes.
fn take_lag(backend: &Backend, (at, began): (SystemTime, Instant), told: Result<Told, String>) {
    let reading = match told {
        Ok(told) => {
            backend.lag.applied(told.applied);
            told.reading
        }
        Err(why) => Reading::Unreadable(why),
    };
    let (value, error) = match &reading {
        Reading::Behind(seconds) => (Some(*seconds), None),
        Reading::Unreadable(why) => (None, Some(why.clone())),
        Reading::StandsStill { .. } | Reading::NotAReplica => (None, None),
    };
    backend.record.checked(Checked { at, asked: Asked::Lag, took: began.elapsed(), value, error });
    let name = &*backend.name;
    match backend.lag.observe(reading, Instant::now(), backend.health.rise()) {
        Some(Turn::Out(why)) => {
            tracing::warn!(backend = name, why, "replication lag: no new reads go there");
            backend.health.note("in_step", "lagging", &why);
        }
        Some(Turn::Back(why)) => {
            tracing::info!(backend = name, why, "replication lag: reads go there again");
            backend.health.note("lagging", "in_step", &why);
        }
        Some(Turn::Signal(why)) => {
            let serves = !backend.lag.is_out();
            tracing::warn!(backend = name, why, serves, "replication lag: the signal changed");
        }
        None => {}
    }
}

/// The same for whether it is read-only.
fn take_read_only(backend: &Backend, (at, began): (SystemTime, Instant), reading: discovery::Reading) {
    let (value, error) = match &reading {
        discovery::Reading::Writable => (Some(0), None),
        discovery::Reading::ReadOnly(_) => (Some(1), None),
        discovery::Reading::Unreadable(why) => (None, Some(why.clone())),
    };
    backend.record.checked(Checked { at, asked: Asked::ReadOnly, took: began.elapsed(), value, error });
    let name = &*backend.name;
    match backend.read_only.observe(reading) {
        Some(discovery::Turn::ReadOnly(why)) => {
            tracing::warn!(backend = name, why, "discovery: no new writes go there");
            backend.health.note("writable", "read_only", &why);
        }
        Some(discovery::Turn::Writable) => {
            tracing::warn!(backend = name, "discovery: it is writable, and takes writes");
            backend.health.note("read_only", "writable", "it is not read-only any more");
        }
        Some(discovery::Turn::Silent(why)) => {
            let serves = !backend.read_only.is_on();
            tracing::warn!(backend = name, why, serves, "discovery: it does not say whether it is read-only");
        }
        None => {}
    }
}

enum Trouble {
    Credentials(String),
    Failed(Cause),
}

/// Signs in as the checks do. What the server says of itself is learnt also where it then refuses.
async fn sign_in(backend: &Backend, checks: &Checks) -> Result<Connected, ConnectError> {
    let nobody = Credentials::new("", "");
    let credentials = checks.credentials.as_ref().unwrap_or(&nobody);
    let options = ConnectOptions { timeout: checks.timeout, ..ConnectOptions::default() };
    let result = connect::connect(&backend.target(), credentials, &options).await;
    let server = match &result {
        Ok(connected) => Some(&connected.server),
        Err(error) => error.server.as_deref(),
    };
    if let Some(server) = server {
        backend.learn(server);
    }
    result
}

async fn ask(backend: &Backend, checks: &Checks, kept: &mut Option<Connected>) -> Result<(), Trouble> {
    if kept.is_none() {
        match sign_in(backend, checks).await {
            Ok(connected) => *kept = Some(connected),
            Err(error) if !error.says_unwell() && checks.credentials.is_none() => return Ok(()),
            Err(error) if error.is_credentials() => return Err(Trouble::Credentials(error.to_string())),
            Err(error) if error.is_full() => return Ok(()),
            Err(error) => return Err(Trouble::Failed(Cause::Connection(error.to_string()))),
        }
    }
    let Some(connected) = kept.as_mut() else { return Ok(()) };
    let broke = |e: std::io::Error| Trouble::Failed(Cause::Connection(e.to_string()));
    // COM_PING: answered by the server's thread for this connection, so it tells of a server that is stuck, too.
    frame::write_packet(&mut connected.stream, &[0x0e], 0).await.map_err(broke)?;
    let mut answer = Vec::new();
    frame::read_packet(&mut connected.stream, &mut answer, 1 << 16).await.map_err(broke)?;
    match answer.first() {
        Some(0x00) => Ok(()),
        Some(0xff) => {
            let text = ErrPacket::decode(&answer).map(|e| e.text().into_owned());
            Err(Trouble::Failed(Cause::Server(text.unwrap_or_default())))
        }
        _ => Err(Trouble::Failed(Cause::Protocol("a strange answer to a ping".into()))),
    }
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
