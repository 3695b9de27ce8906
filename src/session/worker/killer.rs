//! KILL, told to servers: one connection for each of them, over which one order goes after the other.
//!
//! ```text
//!  workers ─▶ orders ─▶ a line for each backend ─▶ connect ─▶ KILL, KILL, … ─▶ nothing for a second ─▶ close
//! ```
//!
//! A hundred clients that vanish at once leave a hundred statements to be ended, at a server whose connections they have. A connection for
//! each order would be a hundred more, which the server refuses, and then the statements run on. So the whole process has one for each
//! server. It is counted among the backend's `max_connections` while there is room, and is one beyond it where there is none: those who
//! fill it may be the very ones to be ended. A server that has no room itself is asked again until the order is too old.
//!
//! Runs on one worker. Lines and waits are bounded; what does not fit, or takes too long, is logged, and the statement runs on. Whom
//! an order may concern is decided elsewhere ([`super::kill`]).

use crate::auth::Credentials;
use crate::backend::Backend;
use crate::backend::connect::{self, ConnectOptions, Trouble};
use crate::backend::server::{BackendId, Lease};
use crate::net::{Stream, frame};
use crate::protocol::command::Command;
use crate::protocol::response::ErrPacket;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// Orders that may wait for one backend, and for being sorted to their backends.
const LINE: usize = 4_096;
/// How old an order may become before it is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a KILL may take once it has been sent, and a connection for it.
const ANSWER: Duration = Duration::from_secs(3);
/// How long a server that has no room is left alone.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the connection stays open for the next order.
const LINGER: Duration = Duration::from_secs(1);
/// The largest answer to a KILL that is read.
const MAX_ANSWER: usize = 1 << 16;
/// The first byte of an answer that refuses.
const ERR: u8 = 0xff;
/// The server's error for a connection that it does not have (any more).
const NO_SUCH_THREAD: u16 = 1094;

/// What an order is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// What a connection runs.
    Query,
    /// The connection.
    Connection,
}

/// Resolves when the server has answered, or will not: then to an error.
pub(super) type Struck = oneshot::Receiver<()>;

/// An order for a server.
#[derive(Debug)]
struct Order {
    backend: Arc<Backend>,
    thread: u64,
    aim: Aim,
    credentials: Credentials,
    until: Instant,
    done: oneshot::Sender<()>,
}

/// The orders of all workers, for [`serve`].
#[derive(Debug)]
pub struct Orders(mpsc::Receiver<Order>);

/// Takes orders.
#[derive(Debug)]
pub(super) struct Killer(mpsc::Sender<Order>);

impl Killer {
    /// One that takes orders, and the orders.
    pub fn new() -> (Self, Orders) {
        let (sender, receiver) = mpsc::channel(LINE);
        (Self(sender), Orders(receiver))
    }

    /// Orders the end of what runs on the connection with this number of a server. None if there are too many orders already.
    pub fn strike(&self, backend: Arc<Backend>, thread: u64, aim: Aim, credentials: Credentials) -> Option<Struck> {
        let (done, struck) = oneshot::channel();
        let order = Order { backend, thread, aim, credentials, until: Instant::now() + PATIENCE, done };
        match self.0.try_send(order) {
            Ok(()) => Some(struck),
            Err(error) => {
                let why = error.to_string();
                give_up(&error.into_inner(), &format!("the line of KILLs: {why}"));
                None
            }
        }
    }
}

/// Carries out the workers' orders, for as long as there are workers.
pub async fn serve(Orders(mut orders): Orders) {
    let mut lines: HashMap<BackendId, mpsc::Sender<Order>> = HashMap::new();
    while let Some(order) = orders.recv().await {
        lines.retain(|_, line| !line.is_closed());
        let line = lines.entry(order.backend.id).or_insert_with(|| {
            let (line, end) = mpsc::channel(LINE);
            tokio::task::spawn_local(Line { orders: end, open: None }.work());
            line
        });
        if let Err(error) = line.try_send(order) {
            let why = error.to_string();
            give_up(&error.into_inner(), &format!("the line of KILLs: {why}"));
        }
    }
}

/// Says that a statement runs on. Who waits for the order hears of it when it is dropped.
fn give_up(order: &Order, why: &str) {
    let (backend, thread_id) = (&*order.backend.name, order.thread);
    tracing::warn!(backend, thread_id, why, "a statement could not be ended, and runs on");
}

/// The orders for one backend, and the connection that they go over.
struct Line {
    orders: mpsc::Receiver<Order>,
    open: Option<Open>,
}

struct Open {
    stream: Stream,
    whose: Credentials,
    /// Its place among the backend's connections, where there was room.
    _lease: Option<Lease>,
}

impl Line {
    /// Carries out orders until none has come for a while. The line is closed before the last are served, so that none is lost.
    async fn work(mut self) {
        loop {
            let next = match timeout(LINGER, self.orders.recv()).await {
                Ok(next) => next,
                Err(_) => {
                    self.orders.close();
                    self.orders.try_recv().ok()
                }
            };
            let Some(order) = next else { break };
            match self.carry_out(&order).await {
                Ok(()) => drop(order.done.send(())),
                Err(why) => give_up(&order, &why),
            }
        }
        if let Some(mut open) = self.open {
            let quit = frame::write_packet(&mut open.stream, &[Command::Quit as u8], 0);
            let _ = timeout(ANSWER, quit).await;
        }
    }

    async fn carry_out(&mut self, order: &Order) -> Result<(), String> {
        if Instant::now() >= order.until {
            return Err("it waited too long".to_owned());
        }
        let kept = self.open.take().filter(|open| open.whose == order.credentials);
        let fresh = kept.is_none();
        let mut open = match kept {
            Some(open) => open,
            None => connect_for(order).await?,
        };
        let said = match kill(&mut open.stream, order).await {
            Ok(said) => said,
            // A connection that has lain idle may have died; the order was not carried out on it, or does no harm twice: its aim
            // is nobody else's.
            Err(_) if !fresh => {
                open = connect_for(order).await?;
                kill(&mut open.stream, order).await.map_err(|error| error.to_string())?
            }
            Err(error) => return Err(error.to_string()),
        };
        self.open = Some(open);
        said
    }
}

/// Signs in for an order, waiting for room at the server for as long as the order is not too old.
async fn connect_for(order: &Order) -> Result<Open, String> {
    loop {
        let now = Instant::now();
        if now >= order.until {
            return Err("no connection for a KILL could be had in time".to_owned());
        }
        let options = ConnectOptions { timeout: ANSWER.min(order.until - now), ..ConnectOptions::default() };
        let lease = order.backend.lease();
        match connect::connect(&order.backend.target(), &order.credentials, &options).await {
            Ok(connected) => {
                return Ok(Open { stream: connected.stream, whose: order.credentials.clone(), _lease: lease });
            }
            // A server that is frozen takes the connection, and says nothing. One that was started again meanwhile has refused some: there
            // the number is another's.
            Err(error) if error.is_full() || matches!(error.trouble, Trouble::TimedOut) => {
                sleep_until(now + PAUSE).await
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Sends one KILL and reads the answer: whether it was carried out. That the aim is gone already is as good as done.
async fn kill(stream: &mut Stream, order: &Order) -> io::Result<Result<(), String>> {
    let what = match order.aim {
        Aim::Query => "KILL QUERY",
        Aim::Connection => "KILL CONNECTION",
    };
    let mut payload = vec![Command::Query as u8];
    payload.extend_from_slice(format!("{what} {}", order.thread).as_bytes());
    let exchange = async {
        frame::write_packet(stream, &payload, 0).await?;
        let mut answer = Vec::new();
        frame::read_packet(stream, &mut answer, MAX_ANSWER).await?;
        let refused = answer.first().filter(|byte| **byte == ERR).and_then(|_| ErrPacket::decode(&answer).ok());
        Ok(match refused {
            Some(refused) if refused.code != NO_SUCH_THREAD => {
                Err(String::from_utf8_lossy(&refused.message).into_owned())
            }
            _ => Ok(()),
        })
    };
    match timeout_at(order.until.min(Instant::now() + ANSWER), exchange).await {
        Ok(answered) => answered,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
