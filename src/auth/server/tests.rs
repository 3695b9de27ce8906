//! Sign-ins of clients by stored form, plugin and channel: who is let in, what is asked, what is remembered.

use super::*;
use crate::auth::scramble::{fast_answer, native_answer, sha1};
use crate::auth::{AccountSpec, Credentials, Password};
use crate::protocol::handshake::AuthRequest;

const SECRET: &[u8] = b"pencil";
const NATIVE: &[u8] = b"mysql_native_password";
const SHA2: &[u8] = b"caching_sha2_password";
const CLEAR: &[u8] = b"mysql_clear_password";

fn sha2_form() -> StoredPassword {
    let salt = *b"a salt of 20 bytes !";
    StoredPassword::CachingSha2 { rounds: 1000, salt, digest: crate::auth::sha_crypt::digest(SECRET, &salt, 1000) }
}

fn native_form() -> StoredPassword {
    StoredPassword::Native(crate::auth::scramble::native_stored(SECRET))
}

fn clear_form() -> StoredPassword {
    StoredPassword::clear(SECRET).unwrap()
}

fn one(stored: StoredPassword) -> Accounts {
    with(AccountSpec { passwords: vec![stored], ..AccountSpec::default() })
}

fn with(spec: AccountSpec) -> Accounts {
    Accounts::build([AccountSpec { name: "anna".into(), ..spec }], None).unwrap()
}

/// A client that answers as real ones do.
struct Client {
    user: &'static [u8],
    password: &'static [u8],
    plugin: Option<&'static [u8]>,
    channel: Channel,
    greeted: Plugin,
    /// Asks for the key on plain TCP.
    wants_key: bool,
    /// What it was asked, in order.
    heard: Vec<String>,
}

impl Client {
    fn new(plugin: &'static [u8], channel: Channel) -> Self {
        let greeted = Plugin::from_name(plugin).filter(|p| *p != Plugin::Clear).unwrap_or(Plugin::Native);
        Client {
            user: b"anna",
            password: SECRET,
            plugin: Some(plugin),
            channel,
            greeted,
            wants_key: true,
            heard: Vec::new(),
        }
    }

    fn answer(&self, plugin: &[u8], scramble: &Scramble) -> Vec<u8> {
        match (plugin, self.password) {
            (CLEAR, password) => [password, b"\0"].concat(),
            (_, b"") => Vec::new(),
            (NATIVE, password) => native_answer(scramble, &sha1(&[password])).to_vec(),
            (SHA2, password) => fast_answer(scramble, password).to_vec(),
            (other, _) => panic!("asked for {other:?}"),
        }
    }

    /// Signs in; gives the verdict.
    fn run(&mut self, accounts: &Accounts) -> Result<Accepted, Denied> {
        let rsa = Arc::new(RsaKey::generated());
        let mut scramble = Scramble::random();
        let plugin = self.plugin.unwrap_or(NATIVE);
        let unasked = self.plugin.is_some() && plugin != self.greeted.name().as_bytes();
        let first = if unasked { Vec::new() } else { self.answer(plugin, &scramble) };
        let opening = Opening {
            user: self.user,
            plugin: self.plugin,
            answer: &first,
            scramble,
            channel: self.channel,
            greeted: self.greeted,
            uncertain_scramble: false,
        };
        let mut step = begin(accounts, &rsa, &opening);
        for _ in 0..10 {
            let (payload, exchange) = match step {
                Step::Ask(payload, exchange) => (payload, exchange),
                Step::Work(work) => {
                    step = work.run();
                    continue;
                }
                Step::Accepted(accepted) => return Ok(accepted),
                Step::Denied(denied) => return Err(denied),
            };
            let answer = match AuthRequest::decode(&payload).unwrap() {
                AuthRequest::Switch { plugin, data } => {
                    self.heard.push(String::from_utf8_lossy(plugin).into_owned());
                    scramble = Scramble::from_wire(data).unwrap();
                    self.answer(plugin, &scramble)
                }
                AuthRequest::More([4]) => {
                    self.heard.push("full".into());
                    match self.channel.is_secure() {
                        true => [self.password, b"\0"].concat(),
                        false if self.wants_key => vec![2],
                        false => Vec::new(),
                    }
                }
                AuthRequest::More(pem) => {
                    self.heard.push("key".into());
                    crate::auth::RsaPublicKey::from_pem(pem).unwrap().encrypt(&scramble, self.password).unwrap()
                }
                other => panic!("{other:?}"),
            };
            step = exchange.answer(&answer);
        }
        panic!("no verdict after ten packets");
    }
}

/// What a client is asked, by stored form, its plugin, and its channel; with the right password and a cold cache.
#[test]
fn questions_by_form_plugin_and_channel() {
    use Channel::{Local, Plain, Tls};
    type Row = (fn() -> StoredPassword, &'static [u8], Channel, &'static [&'static str]);
    let table: [Row; 18] = [
        (clear_form, NATIVE, Plain, &[]),
        (clear_form, SHA2, Plain, &[]),
        (clear_form, CLEAR, Tls, &[NAME_CLEAR]),
        (clear_form, CLEAR, Plain, &[NAME_NATIVE]),
        (clear_form, CLEAR, Local, &[NAME_NATIVE]),
        (clear_form, b"client_ed25519", Plain, &[NAME_NATIVE]),
        (native_form, NATIVE, Plain, &[]),
        (native_form, SHA2, Plain, &[NAME_NATIVE]),
        (native_form, SHA2, Local, &["full"]),
        (native_form, SHA2, Tls, &["full"]),
        (native_form, b"dialog", Plain, &[NAME_NATIVE]),
        (sha2_form, NATIVE, Plain, &[NAME_SHA2, "full", "key"]),
        (sha2_form, NATIVE, Tls, &[NAME_SHA2, "full"]),
        (sha2_form, SHA2, Plain, &["full", "key"]),
        (sha2_form, SHA2, Local, &["full"]),
        (sha2_form, SHA2, Tls, &["full"]),
        (sha2_form, CLEAR, Tls, &[NAME_CLEAR]),
        (sha2_form, CLEAR, Plain, &[NAME_SHA2, "full", "key"]),
    ];
    for (form, plugin, channel, questions) in table {
        let mut client = Client::new(plugin, channel);
        let name = String::from_utf8_lossy(plugin);
        let verdict = client.run(&one(form()));
        assert!(verdict.is_ok(), "{:?} {name} {channel:?}: {verdict:?}", form());
        assert_eq!(client.heard, questions, "{:?} {name} {channel:?}", form());
        let mut wrong = Client { password: b"pen", ..Client::new(plugin, channel) };
        let denied = wrong.run(&one(form())).unwrap_err();
        assert_eq!(denied, Denied { reason: Reason::WrongPassword, using_password: true }, "{name} {channel:?}");
    }
}

const NAME_NATIVE: &str = "mysql_native_password";
const NAME_SHA2: &str = "caching_sha2_password";
const NAME_CLEAR: &str = "mysql_clear_password";

#[test]
fn a_warm_cache_asks_no_more() {
    for form in [native_form(), sha2_form()] {
        let accounts = one(form);
        let mut cold = Client::new(SHA2, Channel::Tls);
        assert!(cold.run(&accounts).unwrap().before_ok.is_none());
        assert_eq!(cold.heard, ["full"]);
        let mut warm = Client::new(SHA2, Channel::Plain);
        assert_eq!(warm.run(&accounts).unwrap().before_ok.as_deref(), Some(&[1, 3][..]));
        assert!(warm.heard.is_empty());
    }
}

#[test]
fn what_is_learned_goes_over_to_the_next_version_and_not_to_another_password() {
    let first = one(sha2_form());
    assert_eq!(first.get("anna").unwrap().credentials(), None);
    Client::new(SHA2, Channel::Tls).run(&first).unwrap();
    let spec = |stored| AccountSpec { name: "anna".into(), passwords: vec![stored], ..AccountSpec::default() };
    let next = Accounts::build([spec(sha2_form())], Some(&first)).unwrap();
    assert_eq!(next.get("anna").unwrap().credentials(), Some(Credentials::new("anna", SECRET)));
    assert!(Client::new(SHA2, Channel::Plain).run(&next).unwrap().before_ok.is_some());
    let other = Accounts::build([spec(native_form())], Some(&first)).unwrap();
    assert_eq!(other.get("anna").unwrap().credentials(), None);
    // The next version after another password has forgotten the first.
    let back = Accounts::build([spec(sha2_form())], Some(&other)).unwrap();
    assert_eq!(back.get("anna").unwrap().credentials(), None);
}

#[test]
fn a_native_sign_in_shows_what_another_native_server_takes() {
    let accounts = one(native_form());
    Client::new(NATIVE, Channel::Plain).run(&accounts).unwrap();
    let credentials = accounts.get("anna").unwrap().credentials().unwrap();
    assert_eq!(credentials.password, Password::NativeSha1(sha1(&[SECRET])));
}

#[test]
fn an_account_without_a_password_takes_none() {
    for plugin in [NATIVE, SHA2] {
        for channel in [Channel::Plain, Channel::Tls] {
            let accounts = one(StoredPassword::Empty);
            let mut client = Client { password: b"", ..Client::new(plugin, channel) };
            assert!(client.run(&accounts).is_ok());
            assert!(client.heard.is_empty());
            let mut wrong = Client::new(plugin, channel);
            assert_eq!(wrong.run(&accounts).unwrap_err().reason, Reason::WrongPassword);
            // And the other way round: none given where there is one.
            let mut none = Client { password: b"", ..Client::new(plugin, channel) };
            let denied = none.run(&one(clear_form())).unwrap_err();
            assert_eq!(denied, Denied { reason: Reason::WrongPassword, using_password: false });
        }
    }
}

#[test]
fn an_account_that_lists_no_password_lets_nobody_in() {
    for password in [&b""[..], b"x"] {
        for plugin in [NATIVE, SHA2] {
            let mut client = Client { password, ..Client::new(plugin, Channel::Tls) };
            assert_eq!(client.run(&with(AccountSpec::default())).unwrap_err().reason, Reason::WrongPassword);
        }
    }
}

#[test]
fn two_passwords_are_both_good() {
    let old = StoredPassword::clear("eraser").unwrap();
    for forms in [vec![clear_form(), old.clone()], vec![old.clone(), sha2_form()], vec![native_form(), old]] {
        let accounts = with(AccountSpec { passwords: forms, ..AccountSpec::default() });
        for password in [&b"pencil"[..], b"eraser"] {
            let mut client = Client { password, ..Client::new(SHA2, Channel::Tls) };
            assert!(client.run(&accounts).is_ok());
        }
        let mut client = Client { password: b"ruler", ..Client::new(SHA2, Channel::Tls) };
        assert!(client.run(&accounts).is_err());
    }
}

/// The questions, and whether a password was used, must not tell whether the name exists.
#[test]
fn unknown_names_are_asked_what_known_ones_are() {
    for form in [clear_form as fn() -> StoredPassword, native_form, sha2_form] {
        for plugin in [NATIVE, SHA2, CLEAR] {
            for channel in [Channel::Plain, Channel::Local, Channel::Tls] {
                for password in [&b""[..], b"pen"] {
                    let accounts = one(form());
                    let mut known = Client { password, ..Client::new(plugin, channel) };
                    let mut unknown = Client { user: b"nobody", password, ..Client::new(plugin, channel) };
                    let (a, b) = (known.run(&accounts).unwrap_err(), unknown.run(&accounts).unwrap_err());
                    assert_eq!(known.heard, unknown.heard, "{form:?} {plugin:?} {channel:?}");
                    assert_eq!(a.using_password, b.using_password);
                    assert_eq!((a.reason, b.reason), (Reason::WrongPassword, Reason::UnknownUser));
                }
            }
        }
    }
}

/// Nor may a cache that somebody else has warmed.
#[test]
fn a_warm_cache_does_not_tell_known_names_from_unknown_ones() {
    for form in [clear_form as fn() -> StoredPassword, native_form, sha2_form] {
        for insists in [None, Some(Plugin::CachingSha2)] {
            let accounts = with(AccountSpec { plugin: insists, passwords: vec![form()], ..AccountSpec::default() });
            Client::new(SHA2, Channel::Tls).run(&accounts).unwrap();
            for plugin in [NATIVE, SHA2, CLEAR] {
                for channel in [Channel::Plain, Channel::Local, Channel::Tls] {
                    let mut known = Client { password: b"pen", ..Client::new(plugin, channel) };
                    let mut unknown = Client { user: b"nobody", password: b"pen", ..Client::new(plugin, channel) };
                    assert!(known.run(&accounts).is_err() && unknown.run(&accounts).is_err());
                    assert_eq!(known.heard, unknown.heard, "{:?} {plugin:?} {channel:?} {insists:?}", form());
                }
            }
        }
    }
}

#[test]
fn names_that_are_no_text_or_nobody_configured_are_unknown() {
    for accounts in [one(clear_form()), Accounts::build([], None).unwrap()] {
        for user in [&b"\xff\xfe"[..], b"", b"Anna"] {
            let mut client = Client { user, ..Client::new(SHA2, Channel::Tls) };
            assert_eq!(client.run(&accounts).unwrap_err().reason, Reason::UnknownUser);
        }
    }
}

#[test]
fn an_account_may_insist_on_a_plugin() {
    for (insists, form, offers, asked) in [
        (Plugin::Native, clear_form(), SHA2, vec![NAME_NATIVE]),
        (Plugin::CachingSha2, clear_form(), NATIVE, vec![NAME_SHA2]),
        (Plugin::CachingSha2, native_form(), NATIVE, vec![NAME_SHA2, "full", "key"]),
        (Plugin::CachingSha2, native_form(), SHA2, vec!["full", "key"]),
        // What the stored form cannot do is not insisted on.
        (Plugin::Native, sha2_form(), SHA2, vec![NAME_SHA2, "full", "key"]),
    ] {
        let spec = AccountSpec { plugin: Some(insists), passwords: vec![form], ..AccountSpec::default() };
        let mut client = Client::new(offers, Channel::Plain);
        assert!(client.run(&with(spec)).is_ok());
        assert_eq!(client.heard, asked);
    }
}

#[test]
fn tls_may_be_required_and_only_who_knows_the_password_is_told() {
    let spec = AccountSpec { require_tls: true, passwords: vec![clear_form()], ..AccountSpec::default() };
    let accounts = with(spec);
    for channel in [Channel::Plain, Channel::Local] {
        assert_eq!(Client::new(SHA2, channel).run(&accounts).unwrap_err().reason, Reason::TlsRequired);
        let mut wrong = Client { password: b"pen", ..Client::new(SHA2, channel) };
        assert_eq!(wrong.run(&accounts).unwrap_err().reason, Reason::WrongPassword);
    }
    assert!(Client::new(SHA2, Channel::Tls).run(&accounts).is_ok());
}

#[test]
fn clients_without_plugins_speak_native_or_nothing() {
    let mut client = Client { plugin: None, ..Client::new(NATIVE, Channel::Plain) };
    assert!(client.run(&one(native_form())).is_ok());
    assert_eq!(client.run(&one(sha2_form())).unwrap_err().reason, Reason::NoCommonPlugin);
    assert!(client.heard.is_empty());
}

#[test]
fn a_password_is_never_taken_in_clear_over_plain_tcp() {
    let mut client = Client { wants_key: false, ..Client::new(SHA2, Channel::Plain) };
    assert_eq!(client.run(&one(sha2_form())).unwrap_err().reason, Reason::NotAnAnswer);
    // Even the right one.
    let rsa = Arc::new(RsaKey::generated());
    let scramble = Scramble::random();
    let opening = Opening {
        user: b"anna",
        plugin: Some(SHA2),
        answer: &fast_answer(&scramble, SECRET),
        scramble,
        channel: Channel::Plain,
        greeted: Plugin::CachingSha2,
        uncertain_scramble: false,
    };
    let accounts = one(sha2_form());
    let Step::Ask(_, exchange) = begin(&accounts, &rsa, &opening) else { panic!() };
    let Step::Denied(denied) = exchange.answer(b"pencil\0") else { panic!() };
    assert_eq!(denied.reason, Reason::NotAnAnswer);
}

#[test]
fn a_client_that_holds_the_key_need_not_ask() {
    let rsa = Arc::new(RsaKey::generated());
    let key = crate::auth::RsaPublicKey::from_pem(rsa.make().unwrap().as_bytes()).unwrap();
    let scramble = Scramble::random();
    let opening = Opening {
        user: b"anna",
        plugin: Some(SHA2),
        answer: &fast_answer(&scramble, SECRET),
        scramble,
        channel: Channel::Plain,
        greeted: Plugin::CachingSha2,
        uncertain_scramble: false,
    };
    let accounts = one(sha2_form());
    for (password, good) in [(&b"pen"[..], false), (SECRET, true)] {
        let Step::Ask(_, exchange) = begin(&accounts, &rsa, &opening) else { panic!() };
        let Step::Work(work) = exchange.answer(&key.encrypt(&scramble, password).unwrap()) else { panic!() };
        assert_eq!(matches!(work.run(), Step::Accepted(_)), good);
    }
}

#[test]
fn a_scramble_that_may_be_another_gets_a_second_try() {
    for (plugin, form) in [(NATIVE, native_form()), (SHA2, clear_form()), (NATIVE, clear_form())] {
        let accounts = one(form);
        let rsa = Arc::new(RsaKey::generated());
        let name = plugin;
        let client = Client::new(plugin, Channel::Plain);
        let opening = Opening {
            user: b"anna",
            plugin: Some(name),
            answer: &client.answer(plugin, &Scramble::random()),
            scramble: Scramble::random(),
            channel: Channel::Plain,
            greeted: Plugin::CachingSha2,
            uncertain_scramble: true,
        };
        let Step::Ask(payload, exchange) = begin(&accounts, &rsa, &opening) else { panic!() };
        let Ok(AuthRequest::Switch { plugin, data }) = AuthRequest::decode(&payload) else { panic!() };
        assert_eq!(plugin, name);
        let fresh = Scramble::from_wire(data).unwrap();
        assert_ne!(fresh, opening.scramble);
        let Step::Accepted(accepted) = exchange.answer(&client.answer(plugin, &fresh)) else { panic!() };
        assert_eq!(accepted.scramble, fresh);
        // One try, not more.
        let Step::Ask(_, exchange) = begin(&accounts, &rsa, &opening) else { panic!() };
        assert!(matches!(exchange.answer(&client.answer(plugin, &Scramble::random())), Step::Denied(_)));
    }
}

#[test]
fn passwords_beyond_the_limit_are_wrong_and_cost_nothing() {
    let verifier = Verifier::new(sha2_form());
    assert!(!verifier.clear(&[b'x'; 60_000]));
    let started = std::time::Instant::now();
    assert!(!verifier.clear(&[b'x'; 60_000]));
    assert!(started.elapsed() < std::time::Duration::from_millis(50));
}
