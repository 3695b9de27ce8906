//! Loads a configuration: reads its files, checks each section, and returns the settings of everything, or all faults.
//!
//! The sections are read by the other files of this module. [`whole`] checks what shows only when all files are read,
//! and [`RuleSet`] checks the rules. A configuration with a fault gives no settings at all.

mod whole;

use super::backends::{BackendSettings, HealthCheck, HeartbeatSettings, HostgroupSettings};
use super::fault::{Fault, Sink, Source};
use super::listen::FrontendSettings;
use super::process::ProcessSettings;
use super::reader::{Env, Section, Shared};
use super::server::Server;
use super::server_tls::{self, ServerTls};
use super::users::UserSettings;
use super::{routing, topology, users};
use crate::auth::Secret;
use crate::rules::{
    BuildFault, CacheLimits, FastRoute, Hostgroup, Item, RuleSet, RuleSetSettings, RuleSettings, TableSettings,
};
use crate::session::worker::settings::SessionSettings;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A configuration that checked out.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The process.
    pub process: ProcessSettings,
    /// Where clients are received.
    pub listen: FrontendSettings,
    /// Sessions.
    pub session: SessionSettings,
    /// Plan caches, each worker's.
    pub cache: CacheLimits,
    /// Health checks.
    pub health: HealthCheck,
    /// Heartbeats; none: there are none.
    pub heartbeat: Option<HeartbeatSettings>,
    /// Hostgroups, as backends see them.
    pub hostgroups: Vec<HostgroupSettings>,
    /// Backends.
    pub backends: Vec<BackendSettings>,
    /// Users; inactive ones too.
    pub users: Vec<UserSettings>,
    /// The routing decision.
    pub rules: Arc<RuleSet>,
    /// What is not wrong, but may not be meant.
    pub warnings: Vec<Fault>,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    /// What it was read from, text by text: the files, or the one text that flags come to.
    pub documents: Arc<[Document]>,
    /// What stands for variables of the environment that are not set: the password of a flag.
    pub secrets: Vec<(String, Secret)>,
}

/// One text of a configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// The file; for a text that is in no file, a name in parentheses.
    pub path: PathBuf,
    /// The text.
    pub text: Arc<str>,
}

/// Its size alone: passwords may stand in it.
impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({}, {} bytes)", self.path.display(), self.text.len())
    }
}

impl Document {
    /// True if it is a file's text.
    pub fn is_file(&self) -> bool {
        !self.path.to_string_lossy().starts_with('(')
    }
}

/// The files' texts as they are now. A text that is in no file is what it was.
///
/// # Errors
/// The first file that cannot be read, and why.
pub fn read_files(documents: &[Document]) -> Result<Vec<Document>, String> {
    let read = |document: &Document| {
        if !document.is_file() {
            return Ok(document.clone());
        }
        let text =
            std::fs::read_to_string(&document.path).map_err(|error| format!("{}: {error}", document.path.display()))?;
        Ok(Document { path: document.path.clone(), text: text.into() })
    };
    documents.iter().map(read).collect()
}

/// Reads and checks a configuration that is at hand, as [`load`] does one from files: no file is opened but those that
/// passwords and certificates are in. `secrets` are looked at before the environment.
///
/// # Errors
/// As [`load`].
pub fn load_documents(documents: &[Document], secrets: &[(String, Secret)]) -> Result<Loaded, Vec<Fault>> {
    let env = |name: &str| match secrets.iter().find(|(known, _)| known == name) {
        Some((_, secret)) => String::from_utf8(secret.expose().to_vec()).ok(),
        None => process_env(name),
    };
    let shared = Shared { sink: Sink::default(), env: &env, need_secrets: true };
    let sources: Vec<Source> =
        documents.iter().map(|d| Source { path: d.path.clone(), text: d.text.to_string() }).collect();
    let mut loaded = read(&sources, &shared)?;
    loaded.files = documents.iter().filter(|d| d.is_file()).map(|d| d.path.clone()).collect();
    loaded.secrets = secrets.to_vec();
    Ok(loaded)
}

/// Reads and checks the configuration in these files. A directory stands for the `*.toml` files in it; a file's `rules` key
/// names further files and directories.
///
/// # Errors
/// Everything that is wrong, by place.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, Vec<Fault>> {
    load_with(paths, &process_env, true)
}

/// [`load`] for those who serve nothing (`check`, `explain`): a password that cannot be had is a warning, not a fault, and its
/// user could not sign in.
///
/// # Errors
/// As [`load`].
pub fn load_without_secrets(paths: &[PathBuf]) -> Result<Loaded, Vec<Fault>> {
    load_with(paths, &process_env, false)
}

fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn load_with(paths: &[PathBuf], env: Env<'_>, need_secrets: bool) -> Result<Loaded, Vec<Fault>> {
    let shared = Shared { sink: Sink::default(), env, need_secrets };
    let sources = gather(paths, &shared);
    read(&sources, &shared)
}

/// The configuration of one text that is in no file.
pub(super) fn load_text(name: &str, text: String, env: Env<'_>) -> Result<Loaded, Vec<Fault>> {
    let shared = Shared { sink: Sink::default(), env, need_secrets: true };
    let mut loaded = read(&[Source { path: name.into(), text }], &shared)?;
    loaded.files.clear();
    Ok(loaded)
}

/// A text of a file with its variables put in, as the loader reads it; none where that cannot be done.
pub fn value_of(raw: &str, secrets: &[(String, Secret)]) -> Option<String> {
    super::text::substitute(raw, &|name: &str| match secrets.iter().find(|(known, _)| known == name) {
        Some((_, secret)) => String::from_utf8(secret.expose().to_vec()).ok(),
        None => process_env(name),
    })
    .ok()
}

/// Reads an address as `[[backend]]` has it.
///
/// # Errors
/// The reason, in words.
pub fn address_of(text: &str) -> Result<crate::backend::connect::Address, String> {
    topology::address(text)
}

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// All files: those that are named, and those that they name.
fn gather(paths: &[PathBuf], shared: &Shared<'_>) -> Vec<Source> {
    let sink = &shared.sink;
    let mut sources: Vec<Source> = Vec::new();
    for path in paths {
        for file in files_of(path, sink) {
            let Some(source) = read_file(&file, sink) else { continue };
            let further = named_files(&source, shared);
            sources.push(source);
            for path in further {
                let files = files_of(&path, sink);
                sources.extend(files.iter().filter_map(|f| read_file(f, sink)));
            }
        }
    }
    // Two ways to one file are one file.
    let mut seen = Vec::new();
    sources.retain(|s| {
        let path = s.path.canonicalize().unwrap_or_else(|_| s.path.clone());
        let new = !seen.contains(&path);
        seen.push(path);
        new
    });
    if paths.is_empty() {
        sink.fault(Fault::whole(Path::new(""), "no configuration file is named"));
    }
    sources
}

/// The file itself, or the `*.toml` files of a directory by name. Hidden files (editors' leftovers) are passed over.
pub(super) fn files_of(path: &Path, sink: &Sink) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            sink.fault(Fault::whole(path, format!("the directory cannot be read: {error}")));
            return Vec::new();
        }
    };
    let plain = |p: &PathBuf| {
        let hidden = p.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        !hidden && p.extension().is_some_and(|e| e == "toml") && p.is_file()
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(plain).collect();
    files.sort();
    if files.is_empty() {
        sink.fault(Fault::whole(path, "there is no *.toml file in this directory"));
    }
    files
}

fn read_file(path: &Path, sink: &Sink) -> Option<Source> {
    let read = || -> Result<String, String> {
        let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
        if size > MAX_FILE {
            return Err(format!("it is larger than {} MiB", MAX_FILE >> 20));
        }
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
    };
    match read() {
        Ok(text) => Some(Source { path: path.to_owned(), text }),
        Err(reason) => {
            sink.fault(Fault::whole(path, format!("the file cannot be read: {reason}")));
            None
        }
    }
}

/// What a file's `rules` key names. Faults in it are noted when the file is read in full.
fn named_files(source: &Source, shared: &Shared<'_>) -> Vec<PathBuf> {
    let (root, _) = DeTable::parse_recoverable(&source.text);
    let shared = Shared { sink: Sink::default(), ..shared.clone() };
    let section = Section::new(shared, source, root.get_ref(), root.span(), "");
    let directory = section.directory();
    rules_key(&section).into_iter().map(|path| directory.join(path)).collect()
}

fn rules_key(section: &Section<'_>) -> Vec<String> {
    let path = |t: &str| if t.is_empty() { Err("a path is needed here".to_owned()) } else { Ok(t.to_owned()) };
    section.list("rules", path).unwrap_or_default()
}

/// What stands in lists, with the sections it came from, to say where a fault is that shows only in the whole.
#[derive(Default)]
struct Lists<'a> {
    hostgroups: Vec<(Hostgroup, Section<'a>)>,
    hostgroup_settings: Vec<HostgroupSettings>,
    backends: Vec<(BackendSettings, Section<'a>)>,
    server_tls: Vec<(ServerTls, Section<'a>)>,
    users: Vec<(UserSettings, Section<'a>)>,
    tables: Vec<(TableSettings, Section<'a>)>,
    rules: Vec<(RuleSettings, Section<'a>)>,
    fast_routes: Vec<(FastRoute, Section<'a>)>,
}

fn read(sources: &[Source], shared: &Shared<'_>) -> Result<Loaded, Vec<Fault>> {
    let sink = &shared.sink;
    let mut roots: Vec<(&Source, Spanned<DeTable<'_>>)> = Vec::new();
    for source in sources {
        let (root, errors) = DeTable::parse_recoverable(&source.text);
        for error in errors {
            sink.fault(source.fault(&error.span().unwrap_or(0..0), error.message()));
        }
        roots.push((source, root));
    }
    if sink.has_faults() {
        // What could be read of a broken file would be blamed for what could not.
        return Err(sink.finish().0);
    }
    check_given_once(&roots, sink);
    let mut server = Server::default();
    let mut lists = Lists::default();
    for (source, root) in &roots {
        let section = Section::new(shared.clone(), source, root.get_ref(), root.span(), "");
        rules_key(&section);
        section.kept();
        server.read(&section);
        lists.read(&section);
        section.finish(&[
            ("rule_id", "belongs into a [[rule]]"),
            ("destination_hostgroup", "belongs into a [[rule]]"),
            ("backends", "is spelled `[[backend]]`"),
            ("users", "is spelled `[[user]]`"),
        ]);
    }
    if server.health.username.is_none() {
        for (_, section) in lists.backends.iter().filter(|(b, _)| b.max_replication_lag > 0) {
            section.warn("max_replication_lag", "nobody can ask for the lag: [health] has no username");
        }
    }
    let has_heartbeats = server.heartbeat.as_ref().filter(|heartbeat| heartbeat.enabled);
    if has_heartbeats.is_some_and(|heartbeat| heartbeat.username.is_none() && server.health.username.is_none()) {
        let file = sources.first().map(|source| source.path.as_path()).unwrap_or(Path::new(""));
        let reason = "[heartbeat]: nobody can write heartbeats: give it a username, or one to [health]";
        sink.fault(Fault::whole(file, reason));
    }
    lists.put_server_tls();
    let built = lists.build(&server, sink);
    let files: Vec<PathBuf> = sources.iter().map(|s| s.path.clone()).collect();
    if !sink.has_faults() {
        lists.check(&server, files.first().map(PathBuf::as_path).unwrap_or(Path::new("")), sink);
    }
    let (faults, warnings) = sink.finish();
    match built {
        Some(rules) if faults.is_empty() => Ok(Loaded {
            process: server.process,
            listen: server.listen,
            session: server.session,
            cache: server.cache,
            health: server.health,
            heartbeat: server.heartbeat.filter(|heartbeat| heartbeat.enabled),
            hostgroups: lists.hostgroup_settings,
            backends: lists.backends.into_iter().map(|(b, _)| b).collect(),
            users: lists.users.into_iter().map(|(u, _)| u).collect(),
            rules: Arc::new(rules),
            warnings,
            files,
            documents: sources
                .iter()
                .map(|s| Document { path: s.path.clone(), text: s.text.as_str().into() })
                .collect(),
            secrets: Vec::new(),
        }),
        _ => Err(faults),
    }
}

/// A key that stands once stands in one file; within a file TOML sees to it. Tables such as `[limits]` may be shared out
/// between files, key by key.
fn check_given_once(roots: &[(&Source, Spanned<DeTable<'_>>)], sink: &Sink) {
    let mut seen: HashMap<String, &Source> = HashMap::new();
    for (source, root) in roots {
        let mut given = Vec::new();
        for (key, value) in root.get_ref() {
            match value.get_ref() {
                DeValue::Array(list) if list.iter().all(|v| matches!(v.get_ref(), DeValue::Table(_))) => {}
                DeValue::Table(table) => {
                    given.extend(table.keys().map(|k| (format!("{}.{}", key.get_ref(), k.get_ref()), k.span())));
                }
                // Each file may name further ones.
                _ if key.get_ref() == "rules" => {}
                _ => given.push((key.get_ref().to_string(), key.span())),
            }
        }
        for (name, span) in given {
            if let Some(first) = seen.get(&name) {
                sink.fault(source.fault(&span, format!("`{name}` is given in {} too", first.path.display())));
            }
            seen.entry(name).or_insert(source);
        }
    }
}

impl<'a> Lists<'a> {
    fn read(&mut self, root: &Section<'a>) {
        for section in root.sections("hostgroup") {
            if let Some((hostgroup, settings)) = topology::hostgroup(&section) {
                self.hostgroup_settings.push(settings);
                self.hostgroups.push((hostgroup, section));
            }
        }
        for section in root.sections("backend") {
            self.backends.extend(topology::backend(&section).map(|b| (b, section)));
        }
        for section in root.sections("server_tls") {
            self.server_tls.extend(server_tls::read(&section).map(|t| (t, section)));
        }
        for section in root.sections("user") {
            self.users.extend(users::read(&section).map(|u| (u, section)));
        }
        for section in root.sections("table") {
            self.tables.extend(routing::table(&section).map(|t| (t, section)));
        }
        for section in root.sections("rule") {
            self.rules.extend(routing::rule(&section).map(|r| (r, section)));
        }
        for section in root.sections("fast_route") {
            self.fast_routes.extend(routing::fast_route(&section).map(|r| (r, section)));
        }
    }

    /// What the servers' own entries say of certificates; those for all users first, so that a user's own stands beside it.
    fn put_server_tls(&mut self) {
        let (mut seen, backends): (Vec<&ServerTls>, _) = (Vec::new(), &mut self.backends);
        for (own, section) in &self.server_tls {
            if seen.iter().any(|other| other.is_for_same(own)) {
                section.fault("address", "there is an entry for this server and user already");
                continue;
            }
            seen.push(own);
            server_tls::apply(own, section, backends.iter_mut().map(|(backend, _)| backend));
        }
    }

    fn build(&self, server: &Server, sink: &Sink) -> Option<RuleSet> {
        let default = |u: &UserSettings| Some((u.account.name.as_str().into(), u.account.default_hostgroup?));
        let with_default: Vec<&Section<'_>> =
            self.users.iter().filter(|(u, _)| default(u).is_some()).map(|(_, section)| section).collect();
        let settings = RuleSetSettings {
            hostgroups: self.hostgroups.iter().map(|(h, _)| h.clone()).collect(),
            rules: self.rules.iter().map(|(r, _)| r.clone()).collect(),
            fast_routes: self.fast_routes.iter().map(|(r, _)| r.clone()).collect(),
            tables: self.tables.iter().map(|(t, _)| t.clone()).collect(),
            default_hostgroups: self.users.iter().filter_map(|(u, _)| default(u)).collect(),
            safe_functions: server.safe_functions.clone(),
            ignore_hints: server.ignore_hints,
        };
        let faults = match RuleSet::build(settings) {
            Ok(rules) => return Some(rules),
            Err(faults) => faults,
        };
        for BuildFault { item, field, reason } in faults {
            let section = match item {
                Item::Hostgroup(i) => self.hostgroups.get(i).map(|(_, s)| s),
                Item::Rule(i) => self.rules.get(i).map(|(_, s)| s),
                Item::FastRoute(i) => self.fast_routes.get(i).map(|(_, s)| s),
                Item::DefaultHostgroup(i) => with_default.get(i).copied(),
                Item::Whole => None,
            };
            match section {
                Some(section)
                    if matches!(item, Item::Rule(_))
                        && field == "destination_hostgroup"
                        && !section.contains(field) =>
                {
                    section.fault("destination_hostgroups", reason);
                }
                Some(section) => section.fault(field, reason),
                // Where hostgroups did not even read, this is only what follows from it.
                None if sink.has_faults() => {}
                None => sink.fault(Fault::whole(Path::new(""), reason)),
            }
        }
        None
    }
}
