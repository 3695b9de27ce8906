//! The composition root: binds the sockets, starts the threads, and ends them in order.
//!
//! ```text
//!   control thread                workers (one thread and one runtime each)
//!   ─ health checks               ─ worker 0 accepts, and deals clients out
//!   ─ signals, reload             ─ every worker signs its clients in and serves them
//!   ─ drain                       ─ housekeeping once a second
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | [`control`] | the control thread: checks, signals, reload, the admin port's orders |
//! | [`definitions`] | what the servers' triggers, views and routines do, taken into account |
//! | [`feed`] | what the admin port shows of the router that runs |
//! | [`gate`] | accepting clients, dealing them out, signing them in |
//! | [`reloads`] | the latest reloads, and what became of them |
//! | [`setup`] | from the configuration to what the threads run on |
//! | [`view`] | the running router as other threads see it |
//! | [`metrics`], [`http`] | that as Prometheus text, and over HTTP |
//! | [`supervisor`] | what a service manager is told |
//!
//! Nothing imports this module but `cli`. What can be reloaded is one [`Snapshot`], published as a whole.

pub mod control;
mod definitions;
mod feed;
pub mod gate;
mod heartbeats;
mod http;
mod metrics;
pub mod reloads;
pub mod setup;
mod supervisor;
pub mod view;

pub use control::run;

use crate::net::outbox;
use crate::session::worker::{Published, Worker};
use crate::session::worker::{display, drain, kill, strike};
use arc_swap::ArcSwap;
use gate::{Gate, Listener, Reception};
pub use setup::Setup;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// The router could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listening address could not be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address or socket path.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration cannot be put to work.
    #[error("{0}")]
    Configuration(String),
    /// A thread or a runtime could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// How the router ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every session had finished.
    Drained,
    /// The deadline passed; so many sessions were cut off.
    CutOff(usize),
    /// This worker failed, and the router ended for it.
    Failed(usize),
}

/// A router that runs.
pub struct Router {
    /// The addresses that it listens on, with the ports that it got.
    pub addresses: Vec<SocketAddr>,
    /// The unix socket.
    pub socket: Option<PathBuf>,
    gate: Arc<Gate>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Router {
    /// Binds the sockets and starts the workers. Returns once clients can connect.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn start(setup: &Setup, published: Published) -> Result<Self, StartError> {
        let (tcp, addresses) = bind_tcp(setup)?;
        let unix = bind_unix(setup)?;
        let workers = setup.workers.max(1);
        let (gate, ends) = Gate::new(published, workers);
        let gate = Arc::new(gate);
        let mut threads = Vec::new();
        let mut listeners = Some((tcp, unix));
        for (id, ends) in ends.into_iter().enumerate() {
            let gate = Arc::clone(&gate);
            let listeners = listeners.take();
            let (limits, io_uring) = (setup.caches, setup.io_uring);
            let thread = std::thread::Builder::new().name(format!("worker-{id}")).spawn(move || {
                let _watched = Watched { gate: Arc::clone(&gate), worker: id, what: "its thread ended" };
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
                match runtime {
                    Ok(runtime) => runtime.block_on(work(id, gate, ends, limits, io_uring, listeners)),
                    Err(error) => tracing::error!(%error, "a worker has no runtime"),
                }
            })?;
            threads.push(thread);
        }
        Ok(Self { addresses, socket: setup.socket.clone(), gate, threads })
    }

    /// Clients connected now.
    pub fn clients(&self) -> usize {
        self.gate.clients()
    }

    /// What all workers share.
    pub(crate) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// The key for passwords over plain TCP, where the configuration names none.
    pub(crate) fn rsa(&self) -> Arc<crate::auth::RsaKey> {
        Arc::clone(&self.gate.shared.rsa)
    }

    /// What can be seen of it, from any thread.
    pub fn view(&self) -> view::View {
        view::View::new(Arc::clone(&self.gate))
    }

    /// The published configuration.
    pub fn published(&self) -> &Published {
        &self.gate.published
    }

    /// Stops accepting, lets what runs finish and nothing new begin ([`drain`]); cuts off at the deadline what is left.
    pub fn drain(self, deadline: Duration) -> Ending {
        self.gate.draining.store(true, Relaxed);
        let until = Instant::now() + deadline;
        while self.gate.clients() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let left = self.gate.clients();
        self.gate.cut_off.store(true, Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
        if let Some(path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
        if left == 0 { Ending::Drained } else { Ending::CutOff(left) }
    }
}

/// A worker's life.
async fn work(
    id: usize,
    gate: Arc<Gate>,
    ends: gate::Ends,
    limits: crate::rules::CacheLimits,
    io_uring: bool,
    listeners: Option<(Vec<std::net::TcpListener>, Option<std::os::unix::net::UnixListener>)>,
) {
    #[expect(clippy::indexing_slicing, reason = "workers are numbered by their places in the gate's lists")]
    let worker = Rc::new(Worker::new(id, &gate.published, limits, gate.shared.clone(), Arc::clone(&gate.stats[id])));
    let reception = Rc::new(Reception::new(Rc::clone(&worker), Arc::clone(&gate)));
    if io_uring {
        tokio::task::spawn_local(send_together(id));
    }
    let needed = |what, task| keep(&gate, id, what, task);
    needed("it takes no clients any more", Box::pin(Rc::clone(&reception).work(ends.mailbox)));
    needed(
        "it hears no KILL any more",
        Box::pin(strike::listen(Rc::clone(&worker), Rc::clone(&reception.registry), ends.kills)),
    );
    needed("it shows nothing any more", Box::pin(display::listen(Rc::clone(&worker), ends.looks)));
    if let Some(orders) = ends.orders {
        needed("it tells servers of no KILL any more", Box::pin(kill::serve(orders)));
    }
    if let Some((tcp, unix)) = listeners {
        let tcp = tcp.into_iter().map(Listener::tcp);
        let unix = unix.into_iter().map(|l| tokio::net::UnixListener::from_std(l).map(Listener::Unix));
        for listener in tcp.chain(unix) {
            match listener {
                Ok(listener) => {
                    let accept = gate::accept(listener, Arc::clone(&gate), Rc::clone(&reception));
                    needed("it accepts no clients any more", Box::pin(accept));
                }
                Err(error) => tracing::error!(%error, "a listening socket cannot be used"),
            }
        }
    }
    let mut tick = tokio::time::interval(TICK);
    let mut ticks = 0u32;
    loop {
        tick.tick().await;
        ticks = ticks.wrapping_add(1);
        worker.stats.counters.beats.inc();
        worker.call_back();
        let down = worker.backends_down();
        if !down.is_empty() {
            reception.registry.cut_running(|backend| down.contains(&backend));
        }
        worker.move_reads(&reception.registry);
        if ticks.is_multiple_of(TICKS_A_SECOND) {
            worker.housekeep();
            let limit = worker.snapshot().settings.wait_timeout.as_secs();
            reception.registry.end_silent(worker.ticks(), u32::try_from(limit).unwrap_or(u32::MAX));
        }
        if gate.draining.load(Relaxed) {
            worker.drain();
            let since = worker.drains_for().unwrap_or_default();
            reception.registry.end(|card| drain::may_end(card, since, worker.ticks()));
            if reception.registry.is_empty() {
                return;
            }
            if gate.cut_off.load(Relaxed) {
                reception.registry.end(|_| true);
                return;
            }
        }
    }
}

/// Says that a worker is lost when it goes, unless the router drains.
struct Watched {
    gate: Arc<Gate>,
    worker: usize,
    what: &'static str,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.gate.lose(self.worker, self.what);
    }
}

/// Runs a task that a worker cannot do without: a router that has lost it is not to look well.
fn keep(gate: &Arc<Gate>, worker: usize, what: &'static str, task: std::pin::Pin<Box<dyn Future<Output = ()>>>) {
    let watched = Watched { gate: Arc::clone(gate), worker, what };
    tokio::task::spawn_local(async move {
        let _watched = watched;
        task.await;
    });
}

/// Sends what a worker's sessions post in a turn together, where the system can.
async fn send_together(id: usize) {
    let Err(error) = outbox::serve().await;
    // All workers would say the same.
    if id == 0 {
        tracing::info!(%error, "io_uring is not to be had: every message is sent with a system call of its own");
    }
}

/// How often a worker looks whether the router drains. An idle router wakes this often and no more.
const TICK: Duration = Duration::from_millis(100);
const TICKS_A_SECOND: u32 = 10;

fn bind_tcp(setup: &Setup) -> Result<(Vec<std::net::TcpListener>, Vec<SocketAddr>), StartError> {
    let mut sockets = Vec::new();
    let mut addresses = Vec::new();
    for address in &setup.listen {
        let bound = bind_one(*address, setup.backlog)
            .and_then(|socket| socket.local_addr().map(|local| (socket, local)))
            .map_err(|source| StartError::Listen { address: address.to_string(), source })?;
        sockets.push(bound.0);
        addresses.push(bound.1);
    }
    Ok((sockets, addresses))
}

fn bind_one(address: SocketAddr, backlog: i32) -> std::io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets have it from here, and need no call of their own.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// A socket file that nobody listens on any more is taken over; one that is in use is an error.
fn bind_unix(setup: &Setup) -> Result<Option<std::os::unix::net::UnixListener>, StartError> {
    let Some(path) = &setup.socket else { return Ok(None) };
    let fail = |source| StartError::Listen { address: path.display().to_string(), source };
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(fail(std::io::ErrorKind::AddrInUse.into()));
        }
        std::fs::remove_file(path).map_err(fail)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path).map_err(fail)?;
    listener.set_nonblocking(true).map_err(fail)?;
    Ok(Some(listener))
}

/// Publishes a first snapshot.
pub fn publish(snapshot: crate::session::worker::snapshot::Snapshot) -> Published {
    Arc::new(ArcSwap::from_pointee(snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Arc<Gate> {
        let (loaded, _) = crate::config::from_flags(&crate::config::Flags {
            writer: "mysql://app:secret@127.0.0.1:1".into(),
            ..crate::config::Flags::default()
        })
        .unwrap();
        Arc::new(Gate::new(publish(setup::snapshot(&loaded, None).unwrap()), 2).0)
    }

    /// A worker whose thread panics, one whose task does, and one that ends as it should.
    #[test]
    fn a_worker_that_fails_is_heard_of() {
        let lost = gate();
        let thread = Arc::clone(&lost);
        let panicked = std::thread::spawn(move || {
            let _watched = Watched { gate: thread, worker: 1, what: "its thread ended" };
            panic!("a bug");
        });
        assert!(panicked.join().is_err());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
        assert_eq!(runtime.block_on(lost.lost.hear()), 1);
        assert!(view::View::new(lost).why_not_ready().iter().any(|why| why == "worker 1 has failed"));

        let lost = gate();
        keep_in(&runtime, &lost, async { panic!("another bug") });
        assert_eq!(lost.lost.worker(), Some(0));

        let well = gate();
        well.draining.store(true, Relaxed);
        keep_in(&runtime, &well, async {});
        assert_eq!(well.lost.worker(), None);
    }

    /// Accepted sockets are not told it one by one: they must have it from the one that listens.
    #[test]
    fn clients_are_sent_small_packets_at_once_wherever_they_came_to() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for host in [[127, 0, 0, 1], [0, 0, 0, 0]] {
            let socket = bind_one((host, 0).into(), 8).unwrap();
            let address = (std::net::Ipv4Addr::LOCALHOST, socket.local_addr().unwrap().port()).into();
            runtime.block_on(async {
                let listener = Listener::tcp(socket).unwrap();
                let mut client = std::net::TcpStream::connect(address).unwrap();
                // What comes before anybody looks is not lost.
                std::io::Write::write_all(&mut client, b"x").unwrap();
                let (plain, addresses) = gate::next(&listener).await.unwrap();
                let crate::net::stream::Plain::Tcp(accepted) = plain else { panic!("TCP comes as TCP") };
                assert!(accepted.nodelay().unwrap());
                assert_eq!(addresses, Some((client.local_addr().unwrap(), address)));
                tokio::time::timeout(Duration::from_secs(10), accepted.readable()).await.unwrap().unwrap();
                assert_eq!(accepted.try_read(&mut [0; 8]).unwrap(), 1);
            });
        }
    }

    fn keep_in(runtime: &tokio::runtime::LocalRuntime, gate: &Arc<Gate>, task: impl Future<Output = ()> + 'static) {
        runtime.block_on(async {
            keep(gate, 0, "it ended", Box::pin(task));
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        });
    }
}
