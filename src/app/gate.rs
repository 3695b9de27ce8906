//! From the listening socket to a session: accepting clients, dealing them to the workers, and signing them in.
//!
//! The first worker accepts, and each client goes to the worker that has the fewest. [`crate::frontend::login`] signs a
//! client in, and a [`Session`] serves it from there. Clients are turned away with an error while the router drains or
//! is paused, and beyond the limit on clients.

use super::reloads::Reloads;
use crate::auth::{Host, Offload, RsaKey};
use crate::frontend::login::{self, Fault, LoginContext, LoginError};
use crate::net::stream::Plain;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::response::ErrPacket;
use crate::protocol::status::Status;
use crate::rules::Subject;
use crate::session::worker::display;
use crate::session::worker::kill::{KillBoard, KillRequest, Orders};
use crate::session::worker::registry::{Registry, Roll, Ticket};
use crate::session::worker::{Published, Shared, Worker};
use crate::session::{Client, Session};
use crate::telemetry::log::{Budget, Spend};
use crate::telemetry::stats::{StatsLimits, WorkerStats};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use tokio::sync::mpsc;

/// What all workers share about receiving clients.
pub struct Gate {
    /// The present configuration.
    pub published: Published,
    /// What the workers have in common.
    pub shared: Shared,
    /// Set once: no more clients.
    pub draining: AtomicBool,
    /// No new clients for now: an operator's word.
    pub paused: AtomicBool,
    /// Set once, after [`Gate::draining`]: sessions that are still there are ended.
    pub cut_off: AtomicBool,
    /// The first worker that ended before its time, and how the control thread hears of it.
    pub lost: Loss,
    /// Clients of each worker, from accept to goodbye.
    pub loads: Vec<AtomicUsize>,
    /// The mailboxes of the workers.
    pub mailboxes: Vec<mpsc::Sender<Arrival>>,
    /// Configurations that were published since the start, and those that were refused.
    pub reloads: Reloads,
    /// When the router started.
    pub started: std::time::Instant,
    /// What each worker has counted.
    pub stats: Vec<Arc<WorkerStats>>,
    /// The way to what only workers see.
    pub display: display::Board,
    /// The sessions of each worker.
    pub rolls: Vec<Arc<Roll>>,
    next_connection: AtomicU32,
}

/// A worker that ended before its time.
#[derive(Debug, Default)]
pub struct Loss {
    /// Its number and one more; 0 for none.
    worker: AtomicUsize,
    heard: tokio::sync::Notify,
}

impl Loss {
    /// Waits until a worker is lost; its number.
    pub async fn hear(&self) -> usize {
        loop {
            if let Some(worker) = self.worker() {
                return worker;
            }
            self.heard.notified().await;
        }
    }

    /// The worker that was lost, if one was.
    pub fn worker(&self) -> Option<usize> {
        self.worker.load(Relaxed).checked_sub(1)
    }
}

/// A worker's ends.
pub struct Ends {
    /// Its mailbox.
    pub mailbox: mpsc::Receiver<Arrival>,
    /// Its ear for KILL.
    pub kills: mpsc::Receiver<KillRequest>,
    /// The KILLs for servers, for the one that carries them out.
    pub orders: Option<Orders>,
    /// Its ear for those who look.
    pub looks: mpsc::Receiver<display::Question>,
}

/// A client that has just connected.
pub struct Arrival {
    /// Its socket, not bound to any runtime.
    pub socket: Socket,
    /// Its number.
    pub connection_id: u32,
    /// Where it came from, and the local address it came to; none for a unix socket.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

/// A connected socket, non-blocking.
pub enum Socket {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// A unix socket.
    Unix(std::os::unix::net::UnixStream),
}

/// A listening socket on a worker's runtime.
pub enum Listener {
    /// TCP, and the address that its clients come to, where that is the same for all.
    Tcp(tokio::net::TcpListener, Option<SocketAddr>),
    /// A unix socket.
    Unix(tokio::net::UnixListener),
}

impl Listener {
    /// Listens to this socket. What it accepts has the options that it has itself.
    ///
    /// # Errors
    /// Those of the event loop.
    pub fn tcp(socket: std::net::TcpListener) -> std::io::Result<Self> {
        let own = socket.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(socket)?;
        Ok(Self::Tcp(listener, Some(own).filter(|own| !own.ip().is_unspecified())))
    }
}

impl Gate {
    /// A gate for so many workers, and each worker's ends.
    pub fn new(published: Published, workers: usize) -> (Self, Vec<Ends>) {
        let (mailboxes, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel(1024)).unzip();
        let (board, kills, orders) = KillBoard::new(workers);
        let mut orders = Some(orders);
        let (display, looks) = display::Board::new(workers);
        let started = std::time::Instant::now();
        let (rsa, offload) = (Arc::new(RsaKey::generated()), Offload::new(1));
        let gate = Self {
            published,
            shared: Shared {
                rsa,
                offload,
                guesses: Arc::default(),
                memory: Arc::default(),
                board: Arc::new(board),
                started,
            },
            draining: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            lost: Loss::default(),
            loads: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            mailboxes,
            reloads: Reloads::default(),
            started,
            stats: (0..workers).map(|_| Arc::new(WorkerStats::new(StatsLimits::default().split(workers)))).collect(),
            display,
            rolls: (0..workers).map(|_| Arc::default()).collect(),
            next_connection: AtomicU32::new(1),
        };
        let ends = receivers.into_iter().zip(kills).zip(looks);
        (gate, ends.map(|((mailbox, kills), looks)| Ends { mailbox, kills, orders: orders.take(), looks }).collect())
    }

    /// A worker, or something that it cannot do without, has ended before its time. Said once, and loudly: the process ends for it.
    pub fn lose(&self, worker: usize, why: &str) {
        if self.draining.load(Relaxed) {
            return;
        }
        if self.lost.worker.compare_exchange(0, worker + 1, Relaxed, Relaxed).is_ok() {
            tracing::error!(worker, why, "a worker has failed: the router drains and ends");
        }
        self.lost.heard.notify_one();
    }

    /// Clients at all workers.
    pub fn clients(&self) -> usize {
        self.loads.iter().map(|l| l.load(Relaxed)).sum()
    }

    /// The clients of a worker. Workers are numbered by their places in the gate's lists.
    #[expect(clippy::indexing_slicing, reason = "each list has an entry for each worker")]
    fn load(&self, worker: usize) -> &AtomicUsize {
        &self.loads[worker]
    }

    fn lightest(&self) -> usize {
        self.loads.iter().enumerate().min_by_key(|(_, l)| l.load(Relaxed)).map_or(0, |(i, _)| i)
    }
}

/// Accepts clients until the listener fails for good, and deals each to the worker that has the fewest.
///
/// Runs on the first worker: its own clients need no other thread to wake.
pub async fn accept(listener: Listener, gate: Arc<Gate>, own: Rc<Reception>) {
    loop {
        let (plain, addresses) = match next(&listener).await {
            Ok(arrived) => arrived,
            Err(error) => {
                // Out of descriptors, or a client that gave up: the listener itself is in order.
                tracing::warn!(%error, "a client could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let why_not = if gate.draining.load(Relaxed) {
            Some("Server shutdown in progress")
        } else if gate.paused.load(Relaxed) {
            Some("Switchboard: an operator paused this router: no new clients")
        } else {
            None
        };
        if let Some(why) = why_not {
            tokio::task::spawn_local(async move {
                let _ = login::turn_away(plain, &ErrPacket::new(1053, b"08S01", why)).await;
            });
            continue;
        }
        let connection_id = gate.next_connection.fetch_add(1, Relaxed);
        let worker = gate.lightest();
        gate.load(worker).fetch_add(1, Relaxed);
        if worker == own.worker.id {
            own.receive(plain, connection_id, addresses);
            continue;
        }
        let socket = match plain {
            Plain::Tcp(s) => s.into_std().map(Socket::Tcp),
            Plain::Unix(s) => s.into_std().map(Socket::Unix),
        };
        let Ok(socket) = socket else {
            gate.load(worker).fetch_sub(1, Relaxed);
            continue;
        };
        #[expect(clippy::indexing_slicing, reason = "there is a mailbox for each worker")]
        let mailbox = &gate.mailboxes[worker];
        if mailbox.send(Arrival { socket, connection_id, addresses }).await.is_err() {
            // Who hears of it ends the process; until then the others are served.
            gate.lose(worker, "it takes no clients any more");
            gate.load(worker).fetch_sub(1, Relaxed);
        }
    }
}

/// The next client: its socket, and where it came from and to.
pub(super) async fn next(listener: &Listener) -> std::io::Result<(Plain, Option<(SocketAddr, SocketAddr)>)> {
    let (plain, addresses) = match listener {
        Listener::Tcp(listener, own) => {
            let (stream, peer) = listener.accept().await?;
            let local = own.map_or_else(|| stream.local_addr(), Ok)?;
            (Plain::Tcp(stream), Some((peer, local)))
        }
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            (Plain::Unix(stream), None)
        }
    };
    plain.expect_silence();
    Ok((plain, addresses))
}

/// A worker's side of the gate.
pub struct Reception {
    /// The worker.
    pub worker: Rc<Worker>,
    /// Its sessions.
    pub registry: Rc<Registry>,
    gate: Arc<Gate>,
    /// Whoever tries passwords at a router is not to fill its log with it.
    failures: Budget,
}

impl Reception {
    /// The reception of one worker.
    pub fn new(worker: Rc<Worker>, gate: Arc<Gate>) -> Self {
        #[expect(clippy::indexing_slicing, reason = "there is a roll for each worker")]
        let registry = Rc::new(Registry::new(Arc::clone(&gate.rolls[worker.id])));
        Self { worker, registry, gate, failures: Budget::default() }
    }

    /// Takes clients out of the worker's mailbox until the gate is gone.
    pub async fn work(self: Rc<Self>, mut mailbox: mpsc::Receiver<Arrival>) {
        while let Some(arrival) = mailbox.recv().await {
            let plain = match arrival.socket {
                Socket::Tcp(s) => tokio::net::TcpStream::from_std(s).map(Plain::Tcp),
                Socket::Unix(s) => tokio::net::UnixStream::from_std(s).map(Plain::Unix),
            };
            match plain {
                Ok(plain) => self.receive(plain, arrival.connection_id, arrival.addresses),
                Err(_) => {
                    self.gate.load(self.worker.id).fetch_sub(1, Relaxed);
                }
            }
        }
    }

    /// Starts a client's task. What only its sign-in needs is in one box, gone when that is over: an idle session is to
    /// cost what it must keep.
    fn receive(self: &Rc<Self>, plain: Plain, connection_id: u32, addresses: Option<(SocketAddr, SocketAddr)>) {
        let reception = Rc::clone(self);
        let seat = LoadSeat { gate: Arc::clone(&self.gate), worker: self.worker.id };
        let client = addresses.map(|(peer, _)| (peer.ip(), peer.port()));
        self.registry.spawn(connection_id, client, move |ticket, place| {
            let sign_in = Box::pin(async move {
                let (mut session, sequence, before_ok) =
                    reception.sign_in(plain, connection_id, addresses, ticket).await?;
                session.admit(sequence, before_ok).await.then_some(session)
            });
            async move {
                let _until_the_end = (seat, place);
                if let Some(session) = sign_in.await {
                    session.run().await;
                }
            }
        });
    }

    async fn sign_in(
        self: Rc<Self>,
        plain: Plain,
        connection_id: u32,
        addresses: Option<(SocketAddr, SocketAddr)>,
        ticket: Ticket,
    ) -> Option<(Box<Session>, u8, Option<Vec<u8>>)> {
        let snapshot = self.worker.snapshot();
        if self.gate.clients() > snapshot.frontend.max_clients {
            self.worker.stats.counters.too_many_clients.inc();
            let full = ErrPacket::new(1040, b"08004", "Too many connections");
            let _ = login::turn_away(plain, &full).await;
            return None;
        }
        let client_ip: Option<IpAddr> = addresses.map(|(peer, _)| peer.ip());
        let host = Host::from(client_ip);
        let mut capabilities = Capabilities::COMMON;
        capabilities.set(Capabilities::LOCAL_FILES, snapshot.settings.local_infile);
        let greeting = snapshot.greeting();
        let context = LoginContext {
            connection_id,
            host,
            server_version: &greeting.version,
            capabilities,
            status: Status::AUTOCOMMIT,
            collation: greeting.collation.into(),
            accounts: &snapshot.accounts,
            rsa: snapshot.frontend.rsa.as_ref().unwrap_or(&self.gate.shared.rsa),
            tls: snapshot.frontend.tls.as_ref(),
            require_secure: snapshot.frontend.require_secure,
            plugin: snapshot.frontend.plugin,
            offload: &self.gate.shared.offload,
            guesses: (&self.gate.shared.guesses, snapshot.frontend.guesses),
            timeout: snapshot.settings.sign_in_timeout,
        };
        let login = match login::login(plain, &context).await {
            Ok(login) => login,
            Err(error) => {
                // Who connects and leaves without a word (a probe) was not turned away.
                if error.fault() != Fault::Nobody {
                    self.worker.stats.counters.sign_in_failures.inc();
                }
                match error {
                    LoginError::Denied { .. } => self.worker.stats.counters.denied.inc(),
                    LoginError::TooManySessions { .. } => self.worker.stats.counters.too_many_sessions.inc(),
                    _ => {}
                }
                self.log_failure(host, &error);
                return None;
            }
        };
        self.worker.stats.counters.sign_ins.inc();
        let subject = Subject::new(login.account.name()).with_addresses(
            client_ip,
            addresses.map(|(_, local)| local.ip()),
            addresses.map_or(0, |(_, local)| local.port()),
        );
        let (sequence, before_ok) = (login.sequence, login.before_ok);
        let client = Client {
            stream: login.stream,
            account: login.account,
            seat: login.seat,
            schema: login.schema,
            capabilities: login.capabilities,
            collation: login.collation,
            scramble: login.scramble,
            connection_id,
            subject,
            ticket,
        };
        Some((Box::new(Session::new(Rc::clone(&self.worker), client)), sequence, before_ok))
    }
}

impl Reception {
    fn log_failure(&self, host: Host, error: &LoginError) {
        if error.fault() == Fault::Nobody {
            tracing::debug!(%host, %error, "no sign-in");
            return;
        }
        if let Spend::Log { kept_back } = self.failures.spend(self.worker.ticks()) {
            tracing::info!(%host, %error, kept_back, "sign-in failed");
        }
    }
}

/// Counts a client among its worker's, for as long as it lives.
struct LoadSeat {
    gate: Arc<Gate>,
    worker: usize,
}

impl Drop for LoadSeat {
    fn drop(&mut self) {
        self.gate.load(self.worker).fetch_sub(1, Relaxed);
    }
}
