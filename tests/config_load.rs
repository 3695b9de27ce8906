//! What a configuration that is right comes to: every key, several files, the environment, changes noticed.

use std::path::{Path, PathBuf};
use std::time::Duration;
use switchboard::auth::StoredPassword;
use switchboard::backend::connect::Address;
use switchboard::config::backends::{AdminStatus, Policy};
use switchboard::config::{Cause, Loaded, load, load_without_secrets, watch};
use switchboard::net::tls::TlsMode;
use switchboard::rules::{Horizon, HorizonKind, Role};
use switchboard::session::worker::settings::Scope;
use switchboard::sql::effects::Effects;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn load_text(text: &str) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("switchboard.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::write(directory.path().join("pw"), "from a file\n").unwrap();
    load(&[path]).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

const EVERYTHING: &str = r#"
workers = 3
io_uring = false
pid_file = "/run/sb.pid"
server_version = "10.11.6-MariaDB"
server_collation = 8
read_your_writes = "5s"
read_your_writes_scope = "user"
time_zone = "Europe/London"

[admin]
address = "127.0.0.1:6032"
[http]
address = ":6070"
[log]
level = "debug"
format = "json"

[listen]
addresses = ["127.0.0.1:6033", "[::1]:6033"]
socket = "/run/sb.sock"
backlog = 100
[listen.tls]
self_signed = true
required = true

[limits]
max_clients = 5000
max_allowed_packet = "16MiB"
max_statements = 100
max_statements_per_connection = 20
local_infile = true

[timeouts]
client_idle = "1h"
sign_in = "3s"
connect = "1s"
pool_wait = "2s"
pool_idle = "0"
pool_lifetime = "30m"
hold_results = "1s"
drain = "10s"

[cache]
plans = 10
plan_bytes = "1MiB"
digest_bytes = "4KiB"
texts = 0
text_bytes = 100
subjects = 5

[health]
username = "checker"
password_file = "pw"
interval = "1s"
retry_interval = "100ms"
timeout = "500ms"
fall = 2
rise = 1

[routing]
hints = false
safe_functions = ["cdr.cost"]

[[hostgroup]]
id = 10
name = "master"
role = "writer"
check_read_only = true
[[hostgroup]]
id = 20
name = "aurora"
role = "reader"
writer = 10
horizon = "90d"
policy = "round_robin"

[[backend]]
hostgroup = 10
address = "[fd00::1]:3307"
weight = 5
max_connections = 50
zone = "s01"
status = "OFFLINE_SOFT"
tls = "disabled"
comment = "the master"
server_public_key = "never"
[[backend]]
hostgroups = [10, 20]
address = "/run/mysqld/mysqld.sock"
tls = { mode = "required" }

[[user]]
username = "app"
password_hash = ["*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29"]
password_file = "pw"
plugin = "mysql_native_password"
backend_username = "app_behind"
backend_password_file = "pw"
default_hostgroup = 20
default_schema = "cdr"
require_tls = true
max_connections = 9
transaction_persistent = true
active = false
comment = "the application"

[[table]]
name = "cdr.call_records"
time_columns = ["start_time", "end_time"]
unit = "epoch_millis"
[[table]]
schema = "cdr"
name = "call_events"
time_column = "event_time"

[[rule]]
rule_id = 2
active = 0
username = "app"
schemaname = "cdr"
flagIN = 3
client_addr = "10.%"
proxy_addr = "127.0.0.1"
proxy_port = 6033
digest = "0xAB"
match_digest = "^SELECT"
match_pattern = "a$|[${]"
negate_match_pattern = 1
re_modifiers = "CASELESS,GLOBAL"
flagOUT = 4
destination_hostgroups = [20, 10]
apply = 1
log = 1
comment = "every column"
effect = ["read", "lock_rows"]
reader_safe = true
tables = ["cdr.*", "x"]
horizon = ["recent", "timeless"]
older_than = "30d"
hint = "Report=yes"
[[rule]]
rule_id = 1
match_digest = "DROP"
error_msg = "no"
"#;

#[test]
fn every_key() {
    let c = load_text(EVERYTHING);
    assert_eq!(c.process.workers, Some(3));
    assert!(!c.process.io_uring && load_text(&EVERYTHING.replace("io_uring = false\n", "")).process.io_uring);
    assert_eq!(c.process.pid_file.as_deref(), Some(Path::new("/run/sb.pid")));
    assert_eq!(c.process.admin.map(|a| a.address.port()), Some(6032));
    assert_eq!(c.process.http.map(|a| a.to_string()).as_deref(), Some("0.0.0.0:6070"));
    assert_eq!(c.process.drain_timeout, Duration::from_secs(10));
    assert_eq!((&*c.process.log_level, c.process.log_json), ("debug", true));
    assert_eq!(c.listen.addresses.len(), 2);
    assert_eq!(c.listen.socket.as_deref(), Some(Path::new("/run/sb.sock")));
    assert_eq!(c.listen.server_version.as_deref(), Some("10.11.6-MariaDB"));
    assert_eq!(c.listen.server_collation, Some(8));
    assert!(c.listen.tls.is_some() && c.listen.require_tls);
    assert_eq!((c.listen.max_clients, c.listen.backlog), (5000, 100));
    let s = &c.session;
    assert_eq!((s.read_your_writes, s.read_your_writes_scope), (Duration::from_secs(5), Scope::User));
    let by_default = load_text(&EVERYTHING.replace("read_your_writes_scope = \"user\"\n", ""));
    assert_eq!(by_default.session.read_your_writes_scope, Scope::Session);
    assert_eq!(s.time_zone.iana_name(), Some("Europe/London"));
    assert_eq!((s.max_allowed_packet, s.max_statements, s.max_statements_per_connection), (16 << 20, 100, 20));
    assert!(s.local_infile);
    assert_eq!(s.wait_timeout, Duration::from_secs(3600));
    assert_eq!((s.sign_in_timeout.as_secs(), s.connect_timeout.as_secs(), s.pool_wait.as_secs()), (3, 1, 2));
    assert_eq!((s.pool_idle.as_secs(), s.pool_lifetime.as_secs(), s.hold_results.as_secs()), (0, 1800, 1));
    assert_eq!((c.cache.plans, c.cache.plan_bytes, c.cache.digest_bytes), (10, 1 << 20, 4096));
    assert_eq!((c.cache.texts, c.cache.text_bytes, c.cache.subjects), (0, 100, 5));
    assert_eq!(c.health.username.as_deref(), Some("checker"));
    assert_eq!(c.health.password.as_ref().map(|p| p.expose()), Some(&b"from a file"[..]));
    assert_eq!((c.health.timing.fall, c.health.timing.rise), (2, 1));
    assert_eq!(c.health.timing.retry_interval, Duration::from_millis(100));
}

#[test]
fn every_key_of_the_lists() {
    let c = load_text(EVERYTHING);
    let groups = c.rules.hostgroups();
    let aurora = groups.get(20).unwrap();
    assert_eq!((aurora.role, aurora.writer, aurora.horizon), (Role::Reader, Some(10), Some(Horizon::days(90))));
    assert_eq!(
        (&*c.hostgroups[1].name, c.hostgroups[1].writer, c.hostgroups[1].policy),
        ("aurora", false, Policy::RoundRobin)
    );
    assert_eq!((c.hostgroups[0].check_read_only, c.hostgroups[1].check_read_only), (Some(true), None));
    assert!(c.warnings.is_empty(), "{:?}", c.warnings);
    let [master, both] = &c.backends[..] else { panic!() };
    assert_eq!(master.target.address, Address::Tcp("fd00::1".into(), 3307));
    assert_eq!((master.weight, master.max_connections, master.zone.as_deref()), (5, 50, Some("s01")));
    assert_eq!((master.status, master.target.tls_mode), (AdminStatus::Draining, TlsMode::Disabled));
    assert_eq!(both.hostgroups, [10, 20]);
    assert_eq!(both.target.address, Address::Unix("/run/mysqld/mysqld.sock".into()));
    assert!(both.target.tls_mode == TlsMode::Required && both.target.tls.is_some());
    let user = &c.users[0];
    let account = &user.account;
    assert!(matches!(account.passwords[..], [StoredPassword::Native(_), StoredPassword::Clear(_)]));
    let behind = account.backend.as_ref().unwrap();
    assert_eq!(behind.username.as_deref(), Some("app_behind"));
    assert_eq!(behind.password.as_ref().map(|p| p.expose()), Some(&b"from a file"[..]));
    assert_eq!((account.default_hostgroup, account.default_schema.as_deref()), (Some(20), Some("cdr")));
    assert_eq!((account.require_tls, account.max_connections), (true, Some(9)));
    assert!(!user.active);
    assert_eq!(c.rules.default_hostgroup("app"), Some(20));
    // The inactive rule is checked and left out.
    assert_eq!(c.rules.rules().map(|r| r.rule_id).collect::<Vec<_>>(), [1]);
    let c = load_text(&EVERYTHING.replace("active = 0", ""));
    let rules: Vec<_> = c.rules.rules().collect();
    assert_eq!((rules[0].rule_id, rules[0].error_msg.as_deref()), (1, Some("no")));
    let r = rules[1];
    assert_eq!(
        (r.username.as_deref(), r.schemaname.as_deref(), r.flag_in, r.flag_out),
        (Some("app"), Some("cdr"), 3, Some(4))
    );
    assert_eq!((r.proxy_port, r.digest, r.match_pattern.as_deref()), (Some(6033), Some(0xAB), Some("a$|[${]")));
    assert!(r.negate_match_pattern && r.re_modifiers.caseless && r.re_modifiers.global && r.apply && r.log);
    assert_eq!((r.destination.as_slice(), r.reader_safe), (&[20, 10][..], Some(true)));
    assert_eq!(r.effect, Some(Effects::READ | Effects::LOCK_ROWS));
    assert_eq!((r.tables.len(), r.horizon.as_slice()), (2, &[HorizonKind::Recent, HorizonKind::Timeless][..]));
    assert_eq!(r.older_than, Some(Horizon::days(30)));
    assert_eq!(r.hint, Some(("report".into(), Some("yes".into()))));
}

/// Who is to be asked whether it is read-only is asked by checks that sign in: without an account, that is said.
#[test]
fn nobody_asks_for_read_only_without_an_account() {
    let warned = |text: &str| -> Vec<String> { load_text(text).warnings.iter().map(ToString::to_string).collect() };
    let without = EVERYTHING.replace("username = \"checker\"\npassword_file = \"pw\"\n", "");
    let [warning] = &warned(&without)[..] else { panic!("{:?}", warned(&without)) };
    let line = without.lines().position(|line| line.starts_with("check_read_only")).unwrap() + 1;
    let place = format!(":{line}:19: [[hostgroup]] check_read_only: ");
    assert!(warning.contains(&format!("{place}[health] has no account, so nobody can ask")), "{warning}");
    for quiet in ["check_read_only = false\n", ""] {
        assert_eq!(warned(&without.replace("check_read_only = true\n", quiet)), [""; 0]);
    }
}

#[test]
fn secrets_are_never_shown() {
    let shown = format!("{:?}", load_text(EVERYTHING));
    assert!(!shown.contains("from a file") && !shown.contains("94BD") && !shown.contains("148, 189"), "{shown}");
}

#[test]
fn the_shipped_files_check_out() {
    for name in ["rules/bigdb.toml", "rules/examples/proxysql.toml"] {
        let c = load_without_secrets(&[repository().join(name)]).unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
        assert_eq!(c.rules.rules().len(), 3, "{name}");
        // Without the password nobody comes in, and it is said.
        assert!(c.users[0].account.passwords.is_empty());
        assert_eq!(c.warnings.len(), 1, "{:?}", c.warnings);
        assert!(c.warnings[0].reason.contains("BIGDB_PASSWORD is not set"));
        let faults = load(&[repository().join(name)]).unwrap_err();
        assert!(faults.len() == 1 && faults[0].reason.contains("BIGDB_PASSWORD"), "{faults:?}");
    }
}

/// A process file and a directory of rules beside it.
fn spread() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    let process = directory.path().join("switchboard.toml");
    std::fs::write(&process, "rules = \"rules\"\nworkers = 1\n").unwrap();
    std::fs::write(
        rules.join("a.toml"),
        "[[hostgroup]]\nid = 10\nrole = 'writer'\n[[backend]]\nhostgroup = 10\naddress = 'h'\n",
    )
    .unwrap();
    std::fs::write(rules.join("b.toml"), "[[user]]\nusername = 'u'\npassword = ''\n").unwrap();
    std::fs::write(rules.join("b.toml~"), "not toml").unwrap();
    std::fs::write(rules.join(".hidden.toml"), "not toml").unwrap();
    (directory, process)
}

#[test]
fn several_files_are_one_configuration() {
    let (directory, process) = spread();
    let c = load(std::slice::from_ref(&process)).unwrap();
    assert_eq!((c.files.len(), c.users.len(), c.process.workers), (3, 1, Some(1)));
    // The same by naming them, in any order, and naming one twice.
    let rules = directory.path().join("rules");
    let c = load(&[rules.clone(), process, rules.join("a.toml")]).unwrap();
    assert_eq!((c.files.len(), c.users.len()), (3, 1));
}

fn next(changes: &mut tokio::sync::mpsc::Receiver<switchboard::config::Change>) -> Option<switchboard::config::Change> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), changes.recv()).await.ok().flatten() })
}

#[test]
fn changes_are_noticed_once_and_faults_delivered() {
    let (directory, process) = spread();
    let paths = vec![process];
    let loaded = load(&paths).unwrap();
    let (watching, mut changes) = watch(paths, &loaded).unwrap();
    let rules = directory.path().join("rules");

    // A new file, written in pieces.
    let new = rules.join("c.toml");
    for text in ["[[rule]]\n", "[[rule]]\nrule_id = 7\n", "[[rule]]\nrule_id = 7\ndestination_hostgroup = 10\n"] {
        std::fs::write(&new, text).unwrap();
    }
    let change = next(&mut changes).unwrap();
    assert_eq!(change.cause, Cause::File);
    assert_eq!(change.result.unwrap().rules.rules().len(), 1);

    // A broken one, put in its place as editors do.
    std::fs::write(rules.join("c.new"), "[[rule]]\nrule_id = 7\ndestination_hostgroup = 11\n").unwrap();
    std::fs::rename(rules.join("c.new"), &new).unwrap();
    let faults = next(&mut changes).unwrap().result.unwrap_err();
    assert!(faults[0].to_string().contains("c.toml:3:25: "), "{faults:?}");

    // Touched without a change, then asked for: only the asking is heard.
    std::fs::write(&new, "[[rule]]\nrule_id = 7\ndestination_hostgroup = 11\n").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(changes.try_recv().is_err());
    watching.reload();
    let change = next(&mut changes).unwrap();
    assert_eq!((change.cause, change.result.is_err()), (Cause::Asked, true));

    // Gone: right again.
    std::fs::remove_file(&new).unwrap();
    assert_eq!(next(&mut changes).unwrap().result.unwrap().rules.rules().len(), 0);

    // The end of the watch is the end of the channel.
    drop(watching);
    assert!(next(&mut changes).is_none());
}
