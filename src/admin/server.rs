//! The admin port itself: its thread, its socket, its accounts.
//!
//! The front is the traffic port's own, so a client that can sign in there can sign in here: the same plugins, the same TLS,
//! the same RSA key. Accounts are the configuration's in effect, and follow its reloads.

use super::commands::show::first_schema;
use super::desk::{Desk, Parts};
use super::engine::SCHEMAS;
use super::functions::Who;
use super::session::{Ended, Session};
use super::stats_history::Sampler;
use super::wire::{STATUS, Writer};
use crate::auth::{self, Account, Accounts, Guesses, Host, Offload, Plugin, RsaKey, Scramble};
use crate::config::admin::{AdminRole, AdminSettings, AdminUser};
use crate::config::{at_rest, at_work, stand_back};
use crate::frontend::login::{self, Fault, LoginContext, LoginError};
use crate::net::stream::Plain;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::response::{ErrPacket, OkPacket};
use crate::session::worker::Published;
use crate::session::worker::snapshot::Snapshot;
use crate::telemetry::events::ADMIN_SIGN_INS;
use crate::telemetry::unix_seconds;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;

/// The socket of the port. Clients may connect, and wait until it is served.
///
/// # Errors
/// The address cannot be had.
pub fn bind(settings: &AdminSettings) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(settings.address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What a server needs beside what its desk needs.
pub struct Context {
    /// The settings.
    pub settings: AdminSettings,
    /// The published configuration.
    pub published: Published,
    /// The key for passwords over plain TCP, where the configuration names none.
    pub rsa: Arc<RsaKey>,
    /// What the desk works with.
    pub parts: Parts,
}

/// A server that runs. It ends when this is dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The greeting's version: MySQL's clients read its first numbers to know what they may say.
const GREETING: &str = concat!("8.0.36-switchboard-admin-", env!("CARGO_PKG_VERSION"));

/// Serves a bound port on a thread of its own.
///
/// # Errors
/// The thread cannot be started.
pub fn start(listener: std::net::TcpListener, context: Context) -> io::Result<Server> {
    let address = listener.local_addr()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
        stand_back();
        at_work();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(at_rest)
            .on_thread_unpark(at_work)
            .build_local(Default::default());
        let served = runtime.map(|runtime| {
            runtime.block_on(async {
                tokio::select! {
                    result = serve(listener, context) => result,
                    _ = stopped => Ok(()),
                }
            })
        });
        if let Err(error) | Ok(Err(error)) = served {
            tracing::error!(target: "admin", %error, "the admin port is not served");
        }
    })?;
    Ok(Server { address, stop: Some(stop), thread: Some(thread) })
}

async fn serve(listener: std::net::TcpListener, context: Context) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let bounds = context.settings.clone();
    let desk = Rc::new(Desk::new(context.parts, &bounds).map_err(io::Error::other)?);
    tokio::task::spawn_local(keep_history(Rc::clone(&desk)));
    let front = Rc::new(Front {
        settings: bounds,
        published: context.published,
        rsa: context.rsa,
        offload: Offload::new(1),
        guesses: Guesses::default(),
        accounts: RefCell::default(),
        connections: Cell::new(0),
        next: Cell::new(1),
        desk,
    });
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let seat = Seat::take(&front);
                let front = Rc::clone(&front);
                tokio::task::spawn_local(async move {
                    front.receive(stream, peer).await;
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(target: "admin", %error, "a client could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Takes the samples of `stats_history`, for as long as the port is served.
async fn keep_history(desk: Rc<Desk>) {
    let mut sampler = Sampler::default();
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        let (_, loaded) = desk.versions().runtime();
        if let Some(settings) = &loaded.process.admin {
            sampler.take(&desk.engine, &*desk.parts.feed, &settings.stats_history, unix_seconds());
        }
    }
}

/// The accounts of a version.
type Known = (u64, Rc<Accounts>, Rc<Vec<AdminUser>>);

struct Front {
    settings: AdminSettings,
    published: Published,
    rsa: Arc<RsaKey>,
    offload: Offload,
    guesses: Guesses,
    accounts: RefCell<Option<Known>>,
    connections: Cell<u32>,
    next: Cell<u32>,
    desk: Rc<Desk>,
}

/// A place among the connections.
struct Seat(Rc<Front>);

impl Seat {
    fn take(front: &Rc<Front>) -> Self {
        front.connections.set(front.connections.get() + 1);
        Seat(Rc::clone(front))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
    }
}

impl Front {
    /// Those who may sign in, as the configuration in effect has them.
    fn accounts(&self) -> Option<(Rc<Accounts>, Rc<Vec<AdminUser>>)> {
        let (version, loaded) = self.desk.versions().runtime();
        let mut known = self.accounts.borrow_mut();
        if let Some((kept, accounts, users)) = &*known
            && *kept == version
        {
            return Some((Rc::clone(accounts), Rc::clone(users)));
        }
        let users = loaded.process.admin.as_ref().map(|a| a.users.clone()).unwrap_or_default();
        let before = known.as_ref().map(|(_, accounts, _)| Rc::clone(accounts));
        let specs = users.iter().map(|user| user.account.clone());
        match Accounts::build(specs, before.as_deref()) {
            Ok(accounts) => {
                let (accounts, users) = (Rc::new(accounts), Rc::new(users));
                *known = Some((version, Rc::clone(&accounts), Rc::clone(&users)));
                Some((accounts, users))
            }
            // The loader refuses names that are there twice.
            Err(error) => {
                tracing::error!(target: "admin", %error, "nobody can sign in");
                None
            }
        }
    }

    async fn receive(self: Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let _ = stream.set_nodelay(true);
        if self.connections.get() > self.settings.max_connections {
            let full = ErrPacket::new(1040, b"08004", "Too many connections at the admin port");
            let _ = login::turn_away(Plain::Tcp(stream), &full).await;
            return;
        }
        let connection_id = self.next.replace(self.next.get().wrapping_add(1).max(1));
        let snapshot = self.published.load_full();
        let Some((accounts, users)) = self.accounts() else { return };
        let host = Host::from(peer.ip());
        let context = self.context(&snapshot, &accounts, connection_id, host);
        let mut login = match login::login(Plain::Tcp(stream), &context).await {
            Ok(login) => login,
            Err(error) => {
                log_failure(host, &error);
                // Who connects and leaves without a word (a probe) was not turned away.
                if error.fault() != Fault::Nobody {
                    count_sign_in("failed");
                }
                return;
            }
        };
        let who = match visitor(&users, &login.account, host, connection_id, login.schema.take()) {
            Ok(who) => who,
            Err(error) => {
                count_sign_in("failed");
                let _ = login.refuse(&error).await;
                return;
            }
        };
        count_sign_in("ok");
        if login.accept(&OkPacket { status: STATUS, ..OkPacket::default() }).await.is_err() {
            return;
        }
        log_entry(&who);
        let idle = snapshot.settings.wait_timeout;
        drop(snapshot);
        let place = (login.seat, login.scramble);
        let session = Session::new(login.stream, who, login.capabilities, Rc::clone(&self.desk), idle);
        if let Err(error) = self.serve_session(session, place).await
            && error.kind() != io::ErrorKind::UnexpectedEof
        {
            tracing::debug!(target: "admin", %error, "a session ended");
        }
    }

    /// Serves whoever the client is, one account after the other.
    async fn serve_session(&self, mut session: Session, place: (auth::Seat, Scramble)) -> io::Result<()> {
        let (mut _seat, mut scramble) = place;
        while let Ended::ChangesUser(command) = session.run().await? {
            match self.change_user(&mut session, &command, scramble).await? {
                Some(anew) => (_seat, scramble) = anew,
                None => break,
            }
        }
        Ok(())
    }

    /// COM_CHANGE_USER: another account, with its own role. None: it may not come in, which the client has been told; the
    /// connection is over then, as at servers.
    async fn change_user(
        &self,
        session: &mut Session,
        command: &[u8],
        scramble: Scramble,
    ) -> io::Result<Option<(auth::Seat, Scramble)>> {
        let snapshot = self.published.load_full();
        let Some((accounts, users)) = self.accounts() else { return Ok(None) };
        let (host, connection_id) = (session.who.host, session.who.connection_id);
        let context = self.context(&snapshot, &accounts, connection_id, host);
        let capabilities = session.capabilities;
        let changed = match login::change_user(&mut session.stream, command, capabilities, scramble, &context).await {
            Ok(changed) => changed,
            Err(error) => {
                log_failure(host, &error);
                return Ok(None);
            }
        };
        let visitor = visitor(&users, &changed.account, host, connection_id, changed.schema);
        let mut writer = Writer::new(&mut session.stream, changed.sequence);
        if let (Some(before), Ok(_)) = (&changed.before_ok, &visitor) {
            writer.put(|out| out.extend_from_slice(before)).await?;
        }
        let ok = OkPacket { status: STATUS, ..OkPacket::default() };
        writer
            .put(|out| match &visitor {
                Ok(_) => ok.encode(out, capabilities),
                Err(error) => error.encode(out),
            })
            .await?;
        writer.finish().await?;
        let Ok(who) = visitor else { return Ok(None) };
        log_entry(&who);
        session.begin_anew(who);
        Ok(Some((changed.seat, changed.scramble)))
    }

    /// What a sign-in needs to know.
    fn context<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        accounts: &'a Accounts,
        connection_id: u32,
        host: Host,
    ) -> LoginContext<'a> {
        LoginContext {
            connection_id,
            host,
            server_version: GREETING,
            capabilities: Capabilities::COMMON.difference(Capabilities::LOCAL_FILES),
            status: STATUS,
            collation: 45,
            accounts,
            rsa: snapshot.frontend.rsa.as_ref().unwrap_or(&self.rsa),
            tls: snapshot.frontend.tls.as_ref(),
            require_secure: false,
            plugin: Plugin::Native,
            offload: &self.offload,
            guesses: (&self.guesses, snapshot.frontend.guesses),
            timeout: snapshot.settings.sign_in_timeout,
        }
    }
}

/// Who an account is at this port, in the schema that it named, or in its role's first.
fn visitor(
    users: &[AdminUser],
    account: &Account,
    host: Host,
    connection_id: u32,
    named: Option<String>,
) -> Result<Who, ErrPacket<'static>> {
    let role = users.iter().find(|u| u.account.name == account.name()).map_or(AdminRole::Stats, |u| u.role);
    let schema = named.filter(|name| !name.is_empty()).unwrap_or_else(|| first_schema(role).to_owned());
    if !SCHEMAS.contains(&schema.as_str()) {
        return Err(ErrPacket::new(1049, b"42000", format!("Unknown database '{schema}'")));
    }
    Ok(Who { user: account.name().to_owned(), host, role, connection_id, schema })
}

fn log_entry(who: &Who) {
    tracing::info!(target: "admin", user = who.user, host = %who.host, role = who.role.name(), "signed in");
}

fn count_sign_in(result: &'static str) {
    ADMIN_SIGN_INS.count([result]);
}

fn log_failure(host: Host, error: &LoginError) {
    if error.fault() != Fault::Nobody {
        tracing::warn!(target: "admin", %host, %error, "sign-in failed");
    }
}
