//! A TCP link that can be made to fail: put it between the router and a server, or between a client and the router.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is wrong with the link. Counts are of bytes from server to client on one connection, from its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing: bytes pass as they come.
    #[default]
    None,
    /// New connections are closed at once, open ones are left alone.
    Refuse,
    /// Nothing passes in either direction, and nothing is closed: a peer that is gone without a word.
    Silence,
    /// Every piece waits this long before it goes on, in both directions.
    Delay(Duration),
    /// The connection is closed after this many bytes of the server's.
    CutAfter(u64),
    /// From this byte of the server's on, nothing more arrives, and nothing is closed.
    SilenceAfter(u64),
    /// From this byte of the server's on, every byte is replaced by 0xA5.
    GarbageAfter(u64),
    /// Bytes pass one at a time, so that every frame arrives in pieces.
    Dribble,
    /// On a connection whose client has asked this, the server's bytes wait until the fault is gone.
    Withhold(&'static str),
    /// On a connection whose client has asked this, the server's next piece is error 1053 instead: it is stopping.
    Stopping(&'static str),
}

/// ERR 1053, as a server that stops answers a command with it.
const STOPPING: &[u8] = b"\x24\0\0\x01\xff\x1d\x04#08S01Server shutdown in progress";

/// The link. Stops when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    fault: Mutex<Fault>,
    open: Mutex<Vec<(TcpStream, TcpStream)>>,
    accepted: AtomicU64,
    over: AtomicBool,
}

impl FaultProxy {
    /// Starts a link to `target` on a free loopback port.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared {
            target,
            fault: Mutex::default(),
            open: Mutex::default(),
            accepted: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let theirs = shared.clone();
        std::thread::spawn(move || theirs.accept_all(&listener));
        FaultProxy { shared, address }
    }

    /// Where to connect instead of the target.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of that address.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes what is wrong. Connections that are open feel it with the next bytes that pass.
    pub fn set(&self, fault: Fault) {
        *guard(&self.shared.fault) = fault;
    }

    /// Closes every open connection now. New ones are still taken.
    pub fn cut(&self) {
        for (client, server) in guard(&self.shared.open).drain(..) {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// How many connections have been accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn accept_all(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            self.accepted.fetch_add(1, Ordering::SeqCst);
            if self.fault() == Fault::Refuse {
                continue;
            }
            // A target that is down looks to the client as it should: connected, then closed.
            if let Ok(server) = TcpStream::connect(self.target) {
                let _ = self.clone().link(client, server);
            }
        }
    }

    fn link(self: Arc<Self>, client: TcpStream, server: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        guard(&self.open).push((client.try_clone()?, server.try_clone()?));
        let (other, asked) = (self.clone(), Arc::new(AtomicBool::new(false)));
        let (client_in, server_out, asks) = (client.try_clone()?, server.try_clone()?, asked.clone());
        std::thread::spawn(move || other.pump(client_in, server_out, false, &asks));
        std::thread::spawn(move || self.pump(server, client, true, &asked));
        Ok(())
    }

    /// Carries bytes one way until an end closes, then closes the other. `asked` is what the two ways of a link share about
    /// [`Fault::Withhold`] and [`Fault::Stopping`].
    fn pump(&self, mut from: TcpStream, mut to: TcpStream, from_server: bool, asked: &AtomicBool) {
        let mut piece = vec![0; 64 * 1024];
        let mut passed = 0;
        while let Ok(n @ 1..) = from.read(&mut piece) {
            match self.fault() {
                Fault::Withhold(_) if from_server && asked.load(Ordering::SeqCst) => self.withhold(),
                Fault::Stopping(_) if from_server && asked.load(Ordering::SeqCst) => {
                    let _ = to.write_all(STOPPING);
                    break;
                }
                Fault::Withhold(question) | Fault::Stopping(question)
                    if !from_server && holds(&piece[..n], question) =>
                {
                    asked.store(true, Ordering::SeqCst);
                }
                _ => {}
            }
            if !self.pass(&mut piece[..n], &mut to, if from_server { Some(passed) } else { None }) {
                break;
            }
            passed += n as u64;
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    /// Passes one piece as the fault has it. `passed` is what the server had sent before it; false ends the connection.
    fn pass(&self, piece: &mut [u8], to: &mut TcpStream, passed: Option<u64>) -> bool {
        let until = |limit: u64| {
            passed.map(|before| usize::try_from(limit.saturating_sub(before)).unwrap_or(usize::MAX).min(piece.len()))
        };
        match self.fault() {
            Fault::None | Fault::Refuse | Fault::Withhold(_) | Fault::Stopping(_) => to.write_all(piece).is_ok(),
            Fault::Delay(time) => {
                std::thread::sleep(time);
                to.write_all(piece).is_ok()
            }
            Fault::Silence => self.wait_out(piece, to, passed),
            Fault::CutAfter(limit) => match until(limit) {
                Some(n) if n < piece.len() => {
                    let _ = to.write_all(&piece[..n]);
                    false
                }
                _ => to.write_all(piece).is_ok(),
            },
            Fault::SilenceAfter(limit) => match until(limit) {
                Some(n) if n < piece.len() => {
                    to.write_all(&piece[..n]).is_ok() && self.wait_out(&mut piece[n..], to, passed)
                }
                _ => to.write_all(piece).is_ok(),
            },
            Fault::GarbageAfter(limit) => {
                if let Some(n) = until(limit) {
                    piece[n..].fill(0xA5);
                }
                to.write_all(piece).is_ok()
            }
            Fault::Dribble => piece.iter().all(|byte| to.write_all(&[*byte]).is_ok()),
        }
    }

    /// Holds a piece back for as long as the link is silent, then passes it.
    fn wait_out(&self, piece: &mut [u8], to: &mut TcpStream, passed: Option<u64>) -> bool {
        while matches!(self.fault(), Fault::Silence | Fault::SilenceAfter(_)) {
            if self.over.load(Ordering::SeqCst) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.pass(piece, to, passed)
    }

    /// Returns when answers are withheld no more.
    fn withhold(&self) {
        while matches!(self.fault(), Fault::Withhold(_)) && !self.over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn fault(&self) -> Fault {
        *guard(&self.fault)
    }
}

fn holds(piece: &[u8], text: &str) -> bool {
    piece.windows(text.len()).any(|window| window == text.as_bytes())
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
