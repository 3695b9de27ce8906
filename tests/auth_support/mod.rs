//! A listener that signs clients in with `frontend::login` and then knows just enough to keep a client library happy: every
//! query is answered with one row that says who signed in, over what, and with what flags.

#![allow(dead_code)]

pub mod clients;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use switchboard::auth::{AccountSpec, Accounts, GuessLimits, Guesses, Host, Offload, Plugin, RsaKey, StoredPassword};
use switchboard::frontend::login::{self, Login, LoginContext, LoginError};
use switchboard::net::Stream;
use switchboard::net::frame::{put_packet, read_packet};
use switchboard::net::stream::Plain;
use switchboard::net::tls::{ServerIdentity, server_config};
use switchboard::protocol::capabilities::Capabilities;
use switchboard::protocol::codec::put_lenenc_bytes;
use switchboard::protocol::response::{EofPacket, ErrPacket, OkPacket};
use switchboard::protocol::status::Status;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;

/// How the listener is to be.
pub struct Setup {
    pub accounts: Vec<AccountSpec>,
    pub plugin: Plugin,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub capabilities: Capabilities,
    pub version: &'static str,
    pub timeout: Duration,
    pub require_secure: bool,
    /// No test but those of guesses waits for its wrong passwords.
    pub guesses: GuessLimits,
}

impl Setup {
    pub fn new(accounts: Vec<AccountSpec>) -> Self {
        Setup {
            accounts,
            plugin: Plugin::CachingSha2,
            tls: None,
            capabilities: Capabilities::COMMON,
            version: "8.4.0-switchboard",
            timeout: Duration::from_secs(10),
            require_secure: false,
            guesses: GuessLimits { free: 0, ..GuessLimits::default() },
        }
    }

    pub fn with_plugin(mut self, plugin: Plugin) -> Self {
        self.plugin = plugin;
        self
    }

    pub fn with_tls(mut self) -> Self {
        self.tls = Some(server_config(ServerIdentity::SelfSigned, None).unwrap());
        self
    }
}

/// An account with one password.
pub fn account(name: &str, stored: StoredPassword) -> AccountSpec {
    AccountSpec { name: name.into(), passwords: vec![stored], ..AccountSpec::default() }
}

/// A running listener; stopped when dropped.
pub struct Gate {
    pub address: SocketAddr,
    pub socket: PathBuf,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

struct State {
    setup: Setup,
    accounts: Mutex<Arc<Accounts>>,
    rsa: Arc<RsaKey>,
    offload: Offload,
    guesses: Guesses,
    errors: Mutex<Vec<LoginError>>,
    /// Of the last sign-in that succeeded: the number of the packet with its verdict, and the flags agreed on.
    last: Mutex<Option<(u8, Capabilities)>>,
}

impl Gate {
    pub fn start(setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("gate.sock");
        let accounts = Accounts::build(setup.accounts.clone(), None).unwrap();
        let state = Arc::new(State {
            setup,
            accounts: Mutex::new(Arc::new(accounts)),
            rsa: Arc::new(RsaKey::generated()),
            offload: Offload::new(2),
            guesses: Guesses::default(),
            errors: Mutex::default(),
            last: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = mpsc::channel();
        let (shared, path) = (Arc::clone(&state), socket.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                let unix = UnixListener::bind(&path).unwrap();
                ready.send(tcp.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = accept(tcp, unix, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().unwrap();
        Gate { address, socket, state, stop: Some(stop), thread: Some(thread), _dir: dir }
    }

    /// Takes the sign-ins that failed since the last call.
    pub fn errors(&self) -> Vec<LoginError> {
        std::mem::take(&mut self.state.errors.lock().unwrap())
    }

    /// The sequence number of the verdict of the last sign-in that succeeded.
    pub fn last_sequence(&self) -> Option<u8> {
        self.state.last.lock().unwrap().map(|(sequence, _)| sequence)
    }

    /// The flags that the last sign-in that succeeded agreed on.
    pub fn last_capabilities(&self) -> Option<Capabilities> {
        self.state.last.lock().unwrap().map(|(_, capabilities)| capabilities)
    }

    pub fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.state.accounts.lock().unwrap())
    }

    /// Publishes other accounts, as a reload does.
    pub fn reload(&self, specs: Vec<AccountSpec>) {
        let mut accounts = self.state.accounts.lock().unwrap();
        *accounts = Arc::new(Accounts::build(specs, Some(&accounts)).unwrap());
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        let joined = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            joined.unwrap();
        }
    }
}

async fn accept(tcp: TcpListener, unix: UnixListener, state: Arc<State>) {
    for id in 1.. {
        let (plain, host) = tokio::select! {
            accepted = tcp.accept() => {
                let (stream, peer) = accepted.unwrap();
                (Plain::Tcp(stream), Host::from(peer.ip()))
            }
            accepted = unix.accept() => (Plain::Unix(accepted.unwrap().0), Host::default()),
        };
        tokio::spawn(serve(plain, host, id, Arc::clone(&state)));
    }
}

async fn serve(plain: Plain, host: Host, id: u32, state: Arc<State>) {
    let accounts = Arc::clone(&state.accounts.lock().unwrap());
    let context = LoginContext {
        connection_id: id,
        host,
        server_version: state.setup.version,
        capabilities: state.setup.capabilities,
        status: switchboard::protocol::status::Status::AUTOCOMMIT,
        collation: 45,
        accounts: &accounts,
        rsa: &state.rsa,
        tls: state.setup.tls.as_ref(),
        require_secure: state.setup.require_secure,
        plugin: state.setup.plugin,
        offload: &state.offload,
        guesses: (&state.guesses, state.setup.guesses),
        timeout: state.setup.timeout,
    };
    match login::login(plain, &context).await {
        Err(error) => state.errors.lock().unwrap().push(error),
        Ok(mut login) => {
            *state.last.lock().unwrap() = Some((login.sequence, login.capabilities));
            if login.schema.as_deref() == Some("no_such_schema") {
                let err = ErrPacket::new(1049, b"42000", "Unknown database 'no_such_schema'");
                let _ = login.refuse(&err).await;
                return;
            }
            if login.accept(&OkPacket::default()).await.is_ok() {
                commands(login, &context, &state).await;
            }
        }
    }
}

async fn commands(mut login: Login, context: &LoginContext<'_>, state: &State) {
    let mut command = Vec::new();
    while read_packet(&mut login.stream, &mut command, 1 << 20).await.is_ok() {
        let mut out = Vec::new();
        match command.first() {
            // Oracle's client starts with this and counts on a syntax error.
            Some(3) if command.ends_with(b"$$") => put_err(&mut out, 1064, b"42000", "syntax error"),
            Some(3) => rows(&mut out, &describe(&login), login.capabilities),
            Some(2 | 14 | 31) => put_ok(&mut out, login.capabilities, 1),
            Some(17) => {
                let (capabilities, scramble) = (login.capabilities, login.scramble);
                let changed = login::change_user(&mut login.stream, &command, capabilities, scramble, context).await;
                match changed {
                    Err(error) => return state.errors.lock().unwrap().push(error),
                    Ok(changed) => {
                        let mut sequence = changed.sequence;
                        if let Some(before) = &changed.before_ok {
                            sequence = put_packet(&mut out, before, sequence);
                        }
                        put_ok(&mut out, login.capabilities, sequence);
                        login.account = changed.account;
                        login.seat = changed.seat;
                        login.scramble = changed.scramble;
                        login.schema = changed.schema;
                    }
                }
            }
            Some(1) | None => return,
            Some(_) => put_err(&mut out, 1047, b"08S01", "Unknown command"),
        }
        if login.stream.write_all(&out).await.is_err() {
            return;
        }
    }
}

/// `user|channel|schema`.
fn describe(login: &Login) -> String {
    let channel = match &login.stream {
        Stream::Tcp(_) => "tcp",
        Stream::Unix(_) => "unix",
        Stream::TlsServer(_) | Stream::TlsClient(_) => "tls",
    };
    format!("{}|{channel}|{}", login.account.name(), login.schema.as_deref().unwrap_or("-"))
}

fn put_ok(out: &mut Vec<u8>, capabilities: Capabilities, sequence: u8) {
    let mut payload = Vec::new();
    OkPacket::default().encode(&mut payload, capabilities);
    put_packet(out, &payload, sequence);
}

fn put_err(out: &mut Vec<u8>, code: u16, state: &[u8; 5], text: &str) {
    let mut payload = Vec::new();
    ErrPacket::new(code, state, text).encode(&mut payload);
    put_packet(out, &payload, 1);
}

/// A result of one column and one row.
fn rows(out: &mut Vec<u8>, text: &str, capabilities: Capabilities) {
    let mut column = Vec::new();
    for part in ["def", "", "", "", "who", ""] {
        put_lenenc_bytes(&mut column, part.as_bytes());
    }
    column.extend_from_slice(&[0x0c, 45, 0, 0, 4, 0, 0, 0xfd, 0, 0, 0, 0, 0]);
    let mut row = Vec::new();
    put_lenenc_bytes(&mut row, text.as_bytes());
    let mut end = Vec::new();
    let mut eof = Vec::new();
    EofPacket { warnings: 0, status: Status::AUTOCOMMIT }.encode(&mut eof);
    let deprecated = capabilities.contains(Capabilities::DEPRECATE_EOF);
    if deprecated {
        OkPacket { header: 0xfe, ..OkPacket::default() }.encode(&mut end, capabilities);
    } else {
        end.clone_from(&eof);
    }
    let mut sequence = put_packet(out, &[1], 1);
    sequence = put_packet(out, &column, sequence);
    if !deprecated {
        sequence = put_packet(out, &eof, sequence);
    }
    sequence = put_packet(out, &row, sequence);
    put_packet(out, &end, sequence);
}
