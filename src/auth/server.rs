//! Judging a client: which plugin, which question, which verdict. No sockets here.
//!
//! ```text
//!            begin
//!              │
//!       ┌──────┴───────────┐ offered plugin does not fit the stored form, or came without an answer
//!       │                  ▼
//!       │            Ask(switch) ─▶ answer
//!       ▼                  │
//!     judge ◀──────────────┘
//!       ├─ native, cache warm, clear in TLS ──▶ Accepted | Denied
//!       └─ cache cold ─▶ Ask(full) ─▶ answer
//!                          ├─ the password (TLS, unix socket) ─▶ [Work] ─▶ Accepted | Denied
//!                          ├─ the RSA key is wanted ─▶ [Work] ─▶ Ask(key) ─▶ answer ─▶ Work ─▶ Accepted | Denied
//!                          └─ anything else ─▶ Denied
//! ```
//!
//! Each [`Step`] says what the caller does next: send and read ([`Step::Ask`]), compute elsewhere ([`Step::Work`], because
//! RSA and the slow hash take long enough to stall a traffic thread), or stop. An [`Exchange`] is consumed by each step.
//!
//! A name that does not exist is asked the same questions as one that does, is judged by the same arithmetic against a
//! password that nobody knows, and gets the same refusal.

use super::account::{Account, Accounts};
use super::password::{StoredPassword, Verifier};
use super::plugin::Plugin;
use super::rsa::RsaKey;
use super::scramble::Scramble;
use super::secret::Secret;
use crate::protocol::handshake::{put_auth_more, put_auth_switch};
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Says that the fast path of `caching_sha2_password` accepted the answer; an OK packet follows.
const FAST_OK: u8 = 3;
/// Asks for the password itself.
const FULL: u8 = 4;
/// A client's wish for the RSA key.
const WANT_KEY: &[u8] = &[2];

/// What the client's packets travel over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Plain TCP: everybody on the way can read.
    Plain,
    /// A unix socket: nobody can read.
    Local,
    /// TLS.
    Tls,
}

impl Channel {
    /// True if a password may be said in clear.
    pub fn is_secure(self) -> bool {
        self != Channel::Plain
    }
}

/// What a client said of itself when it asked to come in.
#[derive(Debug)]
pub struct Opening<'a> {
    /// User name.
    pub user: &'a [u8],
    /// The plugin that the answer is for; `None` for clients that know of no plugins.
    pub plugin: Option<&'a [u8]>,
    /// The answer.
    pub answer: &'a [u8],
    /// The scramble that the client had: the greeting's, or the connection's last.
    pub scramble: Scramble,
    /// What the packets travel over.
    pub channel: Channel,
    /// The plugin that the greeting named: `mysql_native_password` or `caching_sha2_password`. Also the one to turn to where
    /// the client's is none of ours and the account has no preference.
    pub greeted: Plugin,
    /// The scramble may not be the one that the client used (COM_CHANGE_USER: clients differ in which they keep), so a
    /// wrong answer gets a second try with a fresh one.
    pub uncertain_scramble: bool,
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// Send the payload, read one packet, and hand it to [`Exchange::answer`].
    Ask(Vec<u8>, Exchange),
    /// Run [`Work::run`] on a thread that may take its time.
    Work(Work),
    /// The client has proved to be who it says.
    Accepted(Accepted),
    /// It has not, or may not come in this way.
    Denied(Denied),
}

/// A client that came in.
#[derive(Debug)]
pub struct Accepted {
    /// Who it is.
    pub account: Arc<Account>,
    /// A packet to send before the OK, which `caching_sha2_password` wants after its fast path.
    pub before_ok: Option<Vec<u8>>,
    /// The scramble that the client saw last, for a COM_CHANGE_USER to come.
    pub scramble: Scramble,
}

/// A client that was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Why: for the log. Only [`Reason::TlsRequired`] and [`Reason::NoCommonPlugin`] are for the client's ears.
    pub reason: Reason,
    /// The client sent a password, whatever it was.
    pub using_password: bool,
}

/// Why a client was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// There is no such account.
    #[error("unknown user")]
    UnknownUser,
    /// The password is wrong, or missing, or was sent where there is none.
    #[error("wrong password")]
    WrongPassword,
    /// The password is right, and the account may be used over TLS only.
    #[error("the account requires TLS")]
    TlsRequired,
    /// The client knows of no plugins, and the account's password is not stored in a form that it could use.
    #[error("the client knows only mysql_native_password, and the account's stored password does not allow it")]
    NoCommonPlugin,
    /// The client sent something that is no answer to the question, such as a password in clear over plain TCP.
    #[error("the client gave no usable answer")]
    NotAnAnswer,
}

impl Reason {
    /// True if a guess of a name or a password looks so.
    pub fn is_guess(self) -> bool {
        matches!(self, Reason::UnknownUser | Reason::WrongPassword)
    }
}

/// A client that is being asked.
#[derive(Debug)]
pub struct Exchange {
    account: Arc<Account>,
    known: bool,
    scramble: Scramble,
    channel: Channel,
    rsa: Arc<RsaKey>,
    uncertain_scramble: bool,
    waiting: Waiting,
}

/// What the client's next packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// Its first answer with this plugin, after a switch.
    Answer(Plugin),
    /// The password, in clear or encrypted, or a wish for the key.
    Password,
    /// The encrypted password.
    Encrypted,
}

/// Starts with what the client's first packet said.
pub fn begin(accounts: &Accounts, rsa: &Arc<RsaKey>, opening: &Opening<'_>) -> Step {
    let (account, known) = accounts.find(opening.user);
    let exchange = Exchange {
        account,
        known,
        scramble: opening.scramble,
        channel: opening.channel,
        rsa: Arc::clone(rsa),
        uncertain_scramble: opening.uncertain_scramble,
        waiting: Waiting::Password,
    };
    let Some(name) = opening.plugin else {
        return match exchange.fits(Plugin::Native) {
            true => exchange.judge(Plugin::Native, opening.answer, false),
            false => exchange.denied(Reason::NoCommonPlugin, opening.answer),
        };
    };
    // A client whose default is another plugin than the greeting's has seen no scramble for it, and sends no answer with
    // its first packet, whether it has a password or not.
    let unasked = opening.answer.is_empty() && name != opening.greeted.name().as_bytes();
    match Plugin::from_name(name).filter(|p| exchange.fits(*p)) {
        Some(plugin) if unasked => exchange.switch(plugin),
        Some(plugin) => exchange.judge(plugin, opening.answer, true),
        None => {
            let plugin = exchange.preferred(opening.greeted);
            exchange.switch(plugin)
        }
    }
}

impl Exchange {
    /// Takes the client's next packet.
    pub fn answer(self, packet: &[u8]) -> Step {
        match self.waiting {
            Waiting::Answer(plugin) => self.judge(plugin, packet, false),
            Waiting::Encrypted => Step::Work(Work(self, Job::Decrypt(packet.to_vec()))),
            Waiting::Password if packet == WANT_KEY => match self.rsa.public_pem().map(str::to_owned) {
                Some(pem) => self.send_key(&pem),
                None => Step::Work(Work(self, Job::MakeKey)),
            },
            Waiting::Password if self.channel.is_secure() => self.password(packet),
            // A client that holds our public key already sends the password at once, a block of at least 2,048 bits.
            Waiting::Password if packet.len() >= 256 => Step::Work(Work(self, Job::Decrypt(packet.to_vec()))),
            Waiting::Password => self.denied(Reason::NotAnAnswer, packet),
        }
    }

    fn verifiers(&self) -> &[Verifier] {
        self.account.verifiers()
    }

    /// True if the client may use this plugin.
    fn fits(&self, plugin: Plugin) -> bool {
        let any = |test: &dyn Fn(&Verifier) -> bool| self.verifiers().is_empty() || self.verifiers().iter().any(test);
        match self.account.spec().plugin {
            _ if plugin == Plugin::Sha256 || (plugin == Plugin::Clear && self.channel != Channel::Tls) => false,
            Some(insists) => insists == plugin && any(&|v| v.can_use(plugin)),
            None => self.suits(plugin) || (plugin == Plugin::CachingSha2 && any(&Verifier::is_warm)),
        }
    }

    /// True if the plugin suits the account's stored password and the channel, whoever has been here before.
    fn suits(&self, plugin: Plugin) -> bool {
        let secure = self.channel.is_secure();
        self.account.spec().plugin == Some(plugin)
            || self.verifiers().is_empty()
            || self.verifiers().iter().any(|v| v.suits(plugin, secure))
    }

    fn preferred(&self, greeted: Plugin) -> Plugin {
        if let Some(plugin) = self.account.spec().plugin.filter(|p| self.fits(*p)) {
            return plugin;
        }
        match self.verifiers().first().map(|v| &v.stored) {
            Some(StoredPassword::Native(_)) => Plugin::Native,
            Some(StoredPassword::CachingSha2 { .. }) => Plugin::CachingSha2,
            _ => greeted,
        }
    }

    fn switch(mut self, plugin: Plugin) -> Step {
        // The client has not answered to the greeting's scramble yet, or not well: a fresh one costs nothing, and an
        // answer that somebody overheard is of no use with it.
        self.scramble = Scramble::random();
        self.uncertain_scramble = false;
        self.waiting = Waiting::Answer(plugin);
        let mut payload = Vec::with_capacity(64);
        put_auth_switch(&mut payload, plugin.name().as_bytes(), self.scramble.bytes());
        Step::Ask(payload, self)
    }

    /// Judges a plugin's first answer.
    fn judge(self, plugin: Plugin, answer: &[u8], may_switch: bool) -> Step {
        let empty = answer.is_empty() || (plugin != Plugin::Native && answer == [0]);
        if empty {
            return match self.verifiers().iter().any(|v| v.stored == StoredPassword::Empty) {
                true => self.accepted(None),
                // Costs a round trip that ends in the same refusal, and lets in clients that want to be asked.
                false if may_switch => self.switch(plugin),
                false => self.denied(Reason::WrongPassword, b""),
            };
        }
        match plugin {
            Plugin::Clear | Plugin::Sha256 => self.password(answer),
            Plugin::Native => match self.verifiers().iter().any(|v| v.native(&self.scramble, answer)) {
                true => self.accepted(None),
                false if self.uncertain_scramble && may_switch => self.switch(plugin),
                false => self.denied(Reason::WrongPassword, answer),
            },
            Plugin::CachingSha2 => {
                if self.verifiers().iter().any(|v| v.fast(&self.scramble, answer) == Some(true)) {
                    let mut fast_ok = Vec::with_capacity(2);
                    put_auth_more(&mut fast_ok, &[FAST_OK]);
                    return self.accepted(Some(fast_ok));
                }
                if self.uncertain_scramble && may_switch {
                    return self.switch(plugin);
                }
                if !self.suits(plugin) && may_switch {
                    // As if the cache were cold, so that a wrong password does not tell that somebody has been here.
                    let preferred = self.preferred(plugin);
                    return self.switch(preferred);
                }
                let hashed = |v: &Verifier| !matches!(v.stored, StoredPassword::Clear(_) | StoredPassword::Empty);
                match self.verifiers().iter().any(hashed) {
                    true => self.full(),
                    false => self.denied(Reason::WrongPassword, answer),
                }
            }
        }
    }

    fn full(mut self) -> Step {
        self.waiting = Waiting::Password;
        let mut payload = Vec::with_capacity(2);
        put_auth_more(&mut payload, &[FULL]);
        Step::Ask(payload, self)
    }

    fn send_key(mut self, pem: &str) -> Step {
        self.waiting = Waiting::Encrypted;
        let mut payload = Vec::with_capacity(pem.len() + 1);
        put_auth_more(&mut payload, pem.as_bytes());
        Step::Ask(payload, self)
    }

    /// Judges a password that came in clear, with its closing zero byte.
    fn password(self, packet: &[u8]) -> Step {
        let password = packet.strip_suffix(&[0]).unwrap_or(packet);
        match self.verifiers().iter().any(Verifier::is_slow) {
            true => Step::Work(Work(self, Job::Check(Secret::from(password)))),
            false => self.check(password),
        }
    }

    fn check(self, password: &[u8]) -> Step {
        // All are tried, so that the time does not tell which one was right.
        let right = self.verifiers().iter().filter(|v| v.clear(password)).count();
        match right {
            0 => self.denied(Reason::WrongPassword, password),
            _ => self.accepted(None),
        }
    }

    fn accepted(self, before_ok: Option<Vec<u8>>) -> Step {
        if !self.known {
            return self.denied(Reason::UnknownUser, b"x");
        }
        if self.account.spec().require_tls && self.channel != Channel::Tls {
            return self.denied(Reason::TlsRequired, b"x");
        }
        Step::Accepted(Accepted { account: self.account, before_ok, scramble: self.scramble })
    }

    fn denied(self, reason: Reason, answer: &[u8]) -> Step {
        let reason = match reason {
            Reason::WrongPassword if !self.known => Reason::UnknownUser,
            other => other,
        };
        Step::Denied(Denied { reason, using_password: !answer.is_empty() })
    }
}

/// A computation of a millisecond or more, with what it belongs to.
#[derive(Debug)]
pub struct Work(Exchange, Job);

#[derive(Debug)]
enum Job {
    MakeKey,
    Decrypt(Vec<u8>),
    Check(Secret),
}

impl Work {
    /// Computes, and goes on. Blocks for milliseconds; the first time a key is generated, for a tenth of a second or more.
    pub fn run(self) -> Step {
        let Work(exchange, job) = self;
        match job {
            Job::MakeKey => match exchange.rsa.make().map(str::to_owned) {
                Ok(pem) => exchange.send_key(&pem),
                Err(_) => exchange.denied(Reason::NotAnAnswer, b"x"),
            },
            Job::Decrypt(encrypted) => match exchange.rsa.decrypt(&exchange.scramble, &encrypted) {
                Ok(password) => exchange.check(password.expose()),
                Err(_) => exchange.denied(Reason::NotAnAnswer, b"x"),
            },
            Job::Check(password) => exchange.check(password.expose()),
        }
    }
}
