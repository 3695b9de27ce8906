//! A configuration out of a few flags: `--writer mysql://user:password@host:port` and its kin.
//!
//! The flags are turned into the text of a configuration file, and that is read like any other: so the file that is printed
//! says the same by construction. Passwords are not in it; it names environment variables for them.

use super::fault::Fault;
use super::listen::socket_address;
use super::load::{Loaded, load_text};
use super::topology;
use crate::auth::Secret;
use crate::backend::connect::Address;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What `switchboard run` was told instead of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The writer's URL.
    pub writer: String,
    /// The readers' URLs.
    pub readers: Vec<String>,
    /// Addresses to listen on; none is `127.0.0.1:6033`, unless there is a socket.
    pub listen: Vec<String>,
    /// The unix socket to listen on.
    pub socket: Option<PathBuf>,
    /// The admin port.
    pub admin: Option<String>,
    /// The metrics page.
    pub http: Option<String>,
    /// Worker threads.
    pub workers: Option<usize>,
}

/// The environment variable that the printed file takes the password from.
const PASSWORD: &str = "SWITCHBOARD_PASSWORD";

/// The configuration that the flags mean, and a file that says the same.
///
/// Statements that are proven safe go to the readers (hostgroup 20) and, where none is there, to the writer (hostgroup
/// 10); everything else goes to the writer. Clients sign in with the user and password of the writer's URL.
///
/// # Errors
/// Everything that is wrong with the flags, without a place.
pub fn from_flags(flags: &Flags) -> Result<(Loaded, String), Vec<Fault>> {
    let mut faults = Vec::new();
    let mut fault = |reason: String| faults.push(Fault::whole(Path::new(""), reason));
    let mut server = |flag: &str, text: &str| match Url::parse(text) {
        Ok(url) => Some(url),
        Err(reason) => {
            fault(format!("--{flag} {}: {reason}", redact(text)));
            None
        }
    };
    let writer = server("writer", &flags.writer);
    let readers: Vec<Url> = flags.readers.iter().filter_map(|text| server("reader", text)).collect();
    if let Some(writer) = &writer {
        if writer.user.is_none() {
            fault("--writer: the URL names no user: write mysql://user:password@host:port".to_owned());
        }
        for reader in readers.iter().filter(|r| r.user.is_some()) {
            if (&reader.user, &reader.password) != (&writer.user, &writer.password) {
                fault(format!(
                    "--reader {}: its user or password is not the writer's. A session needs one account that all its \
                     servers know: give the same one, or leave it out of the reader's URL",
                    reader.address
                ));
            }
        }
    }
    for (flag, text) in flags
        .listen
        .iter()
        .map(|t| ("listen", t))
        .chain(flags.admin.iter().map(|t| ("admin", t)))
        .chain(flags.http.iter().map(|t| ("http", t)))
    {
        if let Err(reason) = socket_address(text) {
            fault(format!("--{flag}: {reason}"));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let Some(writer) = writer else { return Err(faults) };
    let text = file(flags, &writer, &readers);
    let password = writer.password.unwrap_or_default();
    let env = |name: &str| if name == PASSWORD { Some(password.clone()) } else { std::env::var(name).ok() };
    let mut loaded = load_text("(command line)", text.clone(), &env)?;
    loaded.secrets = vec![(PASSWORD.to_owned(), Secret::from(password.clone()))];
    Ok((loaded, text))
}

impl Flags {
    /// Lets what the flags say take the place of what the files say: where to listen, and how many threads to run.
    ///
    /// # Errors
    /// An address that is none.
    pub fn apply_to(&self, loaded: &mut Loaded) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        let mut address = |flag: &str, text: &String| {
            socket_address(text)
                .map_err(|reason| faults.push(Fault::whole(Path::new(""), format!("--{flag}: {reason}"))))
                .ok()
        };
        let listen: Vec<_> = self.listen.iter().filter_map(|text| address("listen", text)).collect();
        let admin = self.admin.as_ref().and_then(|text| address("admin", text));
        let http = self.http.as_ref().and_then(|text| address("http", text));
        if !faults.is_empty() {
            return Err(faults);
        }
        if !listen.is_empty() {
            loaded.listen.addresses = listen;
        }
        if let Some(socket) = &self.socket {
            loaded.listen.socket = Some(socket.clone());
        }
        if let Some(address) = admin {
            loaded.process.admin.get_or_insert_default().address = address;
        }
        loaded.process.http = http.or(loaded.process.http);
        loaded.process.workers = self.workers.or(loaded.process.workers);
        Ok(())
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    // What would be taken for a variable of the environment is kept from it.
    toml::Value::String(text.replace("${", "$${")).to_string()
}

fn file(flags: &Flags, writer: &Url, readers: &[Url]) -> String {
    let mut out = String::new();
    out.push_str("# What the flags said, as a configuration file.\n");
    if let Some(workers) = flags.workers {
        let _ = writeln!(out, "workers = {workers}");
    }
    out.push_str("\n[listen]\n");
    let mut addresses: Vec<String> = flags.listen.iter().map(|a| quoted(a)).collect();
    if addresses.is_empty() && flags.socket.is_none() {
        addresses.push(quoted("127.0.0.1:6033"));
    }
    let _ = writeln!(out, "addresses = [{}]", addresses.join(", "));
    if let Some(socket) = &flags.socket {
        // A path that is relative starts where we stand, not where a file would.
        let path = std::path::absolute(socket).unwrap_or_else(|_| socket.clone());
        let _ = writeln!(out, "socket = {}", quoted(&path.to_string_lossy()));
    }
    if let Some(address) = &flags.http {
        let _ = writeln!(out, "\n[http]\naddress = {}", quoted(address));
    }
    if let Some(address) = &flags.admin {
        let _ = writeln!(out, "\n[admin]\naddress = {}", quoted(address));
        let _ = writeln!(out, "\n[[admin.user]]\nrole = \"admin\"");
        out.push_str(&account(writer));
    }
    if !readers.is_empty() {
        out.push_str(
            "\n# So that a session finds its writes on the readers; where this account may not make the table, it reads them on the\n\
             # writer for read_your_writes (2 s).\n[heartbeat]\ncreate = true\nrequired = false\n",
        );
        out.push_str(&account(writer));
    }
    out.push_str("\n[[hostgroup]]\nid = 10\nname = \"writer\"\nrole = \"writer\"\n");
    if !readers.is_empty() {
        out.push_str("\n[[hostgroup]]\nid = 20\nname = \"readers\"\nrole = \"reader\"\n");
    }
    for (id, url) in std::iter::once((10, writer)).chain(readers.iter().map(|r| (20, r))) {
        let _ = writeln!(out, "\n[[backend]]\nhostgroup = {id}\naddress = {}", quoted(&url.address.to_string()));
    }
    out.push_str("\n[[user]]\n");
    out.push_str(&account(writer));
    if let Some(schema) = &writer.schema {
        let _ = writeln!(out, "default_schema = {}", quoted(schema));
    }
    if !readers.is_empty() {
        out.push_str(
            "\n[[rule]]\nrule_id = 1\ncomment = \"what is proven safe on a reader goes to one, or to the writer\"\n\
             reader_safe = true\ndestination_hostgroups = [20, 10]\napply = true\n",
        );
    }
    out.push_str(
        "\n[[rule]]\nrule_id = 2\ncomment = \"everything else goes to the writer\"\ndestination_hostgroup = 10\napply = true\n",
    );
    out
}

/// The name and the password of the writer's URL, as a `[[user]]` has them.
fn account(writer: &Url) -> String {
    let name = quoted(writer.user.as_deref().unwrap_or_default());
    let password = match writer.password.as_deref().unwrap_or_default() {
        "" => "password = \"\"  # none: anyone may sign in".to_owned(),
        _ => format!("password_env = \"{PASSWORD}\"  # the password of the --writer URL"),
    };
    format!("username = {name}\n{password}\n")
}

/// A server's URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    user: Option<String>,
    password: Option<String>,
    address: Address,
    schema: Option<String>,
}

impl Url {
    /// Reads `mysql://user:password@host:port/schema?socket=/path`; `mariadb://` is the same. Reasons do not repeat the text.
    fn parse(text: &str) -> Result<Self, String> {
        let form = "write mysql://user:password@host:port, or mysql://user:password@localhost?socket=/path";
        let rest = text
            .strip_prefix("mysql://")
            .or_else(|| text.strip_prefix("mariadb://"))
            .ok_or_else(|| format!("it is no server's URL: {form}"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // The last @: a password may hold one that is not percent-encoded.
        let (credentials, place) = rest.rsplit_once('@').map_or((None, rest), |(c, p)| (Some(c), p));
        let (place, schema) = place.split_once('/').unwrap_or((place, ""));
        let (user, password) = match credentials {
            None => (None, None),
            Some(c) => match c.split_once(':') {
                Some((user, password)) => (Some(decode(user)?), Some(decode(password)?)),
                None => (Some(decode(c)?), None),
            },
        };
        let mut address = None;
        for (key, value) in query.split('&').filter(|q| !q.is_empty()).map(|q| q.split_once('=').unwrap_or((q, ""))) {
            match key {
                "socket" => address = Some(Address::Unix(decode(value)?.into())),
                other => return Err(format!("`{other}` is not known in a server's URL: socket is")),
            }
        }
        let address = match address {
            Some(address) => address,
            None if place.is_empty() => return Err(format!("it names no host: {form}")),
            None => topology::address(&decode(place)?).map_err(|_| format!("it names no host and port: {form}"))?,
        };
        let filled = |t: String| Some(t).filter(|t| !t.is_empty());
        Ok(Self { user: user.and_then(filled), password, address, schema: filled(decode(schema)?) })
    }
}

/// Puts `%41` back into what it stands for.
fn decode(text: &str) -> Result<String, String> {
    let bad =
        || "a `%` in it is not followed by two hexadecimal digits (write `%25` for the character itself)".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (pair, after) = rest.split_first_chunk::<2>().ok_or_else(bad)?;
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or_else(bad);
        bytes.push(digit(pair[0])? << 4 | digit(pair[1])?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// The text without what may be a password.
fn redact(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme + 3 => format!("{}://***{}", &text[..scheme], &text[at..]),
        (None, Some(at)) => format!("***{}", &text[at..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts = (Option<String>, Option<String>, String, Option<String>);

    fn url(text: &str) -> Result<Parts, String> {
        Url::parse(text).map(|u| (u.user, u.password, u.address.to_string(), u.schema))
    }

    #[test]
    fn urls() {
        let s = |t: &str| Some(t.to_owned());
        let good = [
            ("mysql://app:pw@db:3307", (s("app"), s("pw"), "db:3307", None)),
            ("mysql://app:pw@db/cdr", (s("app"), s("pw"), "db:3306", s("cdr"))),
            ("mariadb://app@[::1]:3307/", (s("app"), None, "[::1]:3307", None)),
            ("mysql://a%40b:p%3Aw%25@db", (s("a@b"), s("p:w%"), "db:3306", None)),
            ("mysql://app:p@w:x@db", (s("app"), s("p@w:x"), "db:3306", None)),
            ("mysql://u:p@localhost?socket=/run/my%20sql.sock", (s("u"), s("p"), "/run/my sql.sock", None)),
            ("mysql://db:1", (None, None, "db:1", None)),
        ];
        for (text, (user, password, address, schema)) in good {
            let parts: Parts = (user, password, address.to_owned(), schema);
            assert_eq!(url(text), Ok(parts), "{text}");
        }
        for bad in [
            "",
            "db:3306",
            "http://u:p@h",
            "mysql://u:secret@",
            "mysql://u:secret@h:x",
            "mysql://u:%zz@h",
            "mysql://u:p@h?x=1",
        ] {
            let reason = url(bad).unwrap_err();
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    #[test]
    fn the_file_says_the_same_and_no_secret() {
        let flags = Flags {
            writer: "mysql://app:hunter%222@db1:3307/cdr".into(),
            readers: vec!["mysql://db2".into(), "mysql://app:hunter%222@[::1]:3308".into()],
            listen: vec![":6033".into()],
            socket: Some("/tmp/s.sock".into()),
            admin: Some("127.0.0.1:6032".into()),
            http: None,
            workers: Some(2),
        };
        let (loaded, text) = from_flags(&flags).unwrap();
        assert!(!text.contains("hunter"), "{text}");
        let again = load_text("x", text, &|name| (name == PASSWORD).then(|| "hunter\"2".to_owned())).unwrap();
        let targets = |l: &Loaded| {
            l.backends.iter().map(|b| (b.hostgroups.clone(), b.target.address.clone())).collect::<Vec<_>>()
        };
        assert_eq!(targets(&again), targets(&loaded));
        assert_eq!(again.users, loaded.users);
        assert_eq!(again.process, loaded.process);
        assert_eq!(again.listen.addresses, loaded.listen.addresses);
        assert_eq!(again.listen.socket, loaded.listen.socket);
        assert_eq!(loaded.process.workers, Some(2));
        assert_eq!(loaded.backends.len(), 3);
        assert_eq!(loaded.users[0].account.default_schema.as_deref(), Some("cdr"));
        assert_eq!(loaded.rules.rules().len(), 2);
        let admin = loaded.process.admin.as_ref().unwrap();
        assert_eq!(admin.users[0].account.name, "app", "who may write may administer");
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }

    #[test]
    fn the_writer_alone_takes_everything() {
        let (loaded, text) = from_flags(&Flags { writer: "mysql://app:pw@db1".into(), ..Flags::default() }).unwrap();
        assert_eq!(loaded.rules.rules().map(|r| r.destination.clone()).collect::<Vec<_>>(), [[10]]);
        assert!(!text.contains("20"));
    }

    #[test]
    fn faults_name_the_flag_and_hide_the_password() {
        let flags = Flags {
            writer: "mysql://:secret@db1:x".into(),
            readers: vec!["secret@db2".into(), "mysql://other:secret@db2".into()],
            listen: vec!["here".into()],
            ..Flags::default()
        };
        let faults = from_flags(&flags).unwrap_err();
        let text = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(faults.len(), 3, "{text}");
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("--writer") && text.contains("--reader") && text.contains("--listen"), "{text}");
        let flags = Flags {
            writer: "mysql://app:pw@db1".into(),
            readers: vec!["mysql://other:secret@db2".into()],
            ..Flags::default()
        };
        let faults = from_flags(&flags).unwrap_err();
        assert!(faults[0].reason.contains("not the writer's"), "{faults:?}");
    }
}
