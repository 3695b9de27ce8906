//! Everything that can be wrong with a configuration is said with its line, its column and a reason; all of it at once.

use std::path::PathBuf;
use switchboard::config::{Fault, load};

/// A configuration that is right, in 13 lines; what a test adds begins at line 14.
const BASE: &str = "\
[[hostgroup]]
id = 10
role = \"writer\"
[[hostgroup]]
id = 20
role = \"reader\"
[[backend]]
hostgroup = 10
address = \"db1:3306\"
[[user]]
username = \"app\"
password_hash = \"*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29\"

";

fn write(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn faults(text: &str) -> Vec<Fault> {
    let (_directory, path) = write("t.toml", text);
    match load(&[path]) {
        Ok(_) => Vec::new(),
        Err(faults) => faults,
    }
}

/// What follows the base has exactly this one fault, here.
#[track_caller]
fn one(added: &str, line: usize, column: usize, words: &str) {
    let faults = faults(&format!("{BASE}{added}"));
    let [fault] = &faults[..] else { panic!("{added}\n{faults:#?}") };
    assert_eq!((fault.line, fault.column), (line, column), "{added}\n{fault}");
    assert!(fault.reason.contains(words), "{added}\n{fault}\nwanted: {words}");
}

#[test]
fn fast_routes() {
    let row = |lines: &str| format!("[[fast_route]]\nusername = 'app'\nschemaname = ''\n{lines}");
    one(
        &row("destination_hostgroup = 11\n"),
        17,
        25,
        "[[fast_route]] destination_hostgroup: hostgroup 11 is not declared",
    );
    one(&row(""), 14, 1, "[[fast_route]]: destination_hostgroup is missing");
    one("[[fast_route]]\nusername = ''\ndestination_hostgroup = 10\n", 14, 1, "schemaname is missing");
    one(&row("destination_hostgroup = 10\nflagin = 1\n"), 18, 1, "did you mean `flagIN`");
    let twice = row("destination_hostgroup = 10\n").repeat(2);
    one(&twice, 19, 12, "have a fast route already");
}

#[test]
fn the_base_is_right() {
    assert_eq!(faults(BASE), []);
}

#[test]
fn toml_itself() {
    one("x = \n", 14, 5, "string values must be quoted");
    one("[[rule]\n", 14, 8, "unclosed array table");
    one("[[rule]]\nrule_id = 1\nrule_id = 2\n", 16, 1, "duplicate key");
}

#[test]
fn keys_that_are_not_known() {
    let rule = |line: &str| format!("[[rule]]\nrule_id = 1\ndestination_hostgroup = 10\n{line}\n");
    one(&rule("aply = true"), 17, 1, "did you mean `apply`?");
    one(&rule("flagin = 1"), 17, 1, "did you mean `flagIN`?");
    one(&rule("xyz = 1"), 17, 1, "`xyz` is not known");
    one(&rule("cache_ttl = 1"), 17, 1, "`cache_ttl` is ProxySQL's");
    one(&rule("hostgroup = 1"), 17, 1, "destination_hostgroup");
    one("[lisen]\n", 14, 2, "did you mean `listen`?");
    one("[listen]\nadresses = []\n", 15, 1, "did you mean `addresses`?");
    one("[[hostgrup]]\nid = 1\n", 14, 3, "did you mean `hostgroup`?");
    one("[[backend]]\nhostgroup = 10\naddress = 'h:1'\nport = 3306\n", 17, 1, "part of `address`");
    one("[timeouts]\nwait_timeout = '1s'\n", 15, 1, "client_idle");
}

#[test]
fn values_of_the_wrong_kind() {
    let rule = |line: &str| format!("[[rule]]\nrule_id = 1\ndestination_hostgroup = 10\n{line}\n");
    one("[[rule]]\nrule_id = 'one'\n", 15, 11, "a number is needed here, not a string");
    one("[[rule]]\nrule_id = -1\n", 15, 11, "0 to 4294967295");
    one("[[rule]]\nrule_id = 99999999999\n", 15, 11, "0 to 4294967295");
    one(&rule("apply = 2"), 17, 9, "true or false");
    one(&rule("apply = 'yes'"), 17, 9, "true or false");
    one(&rule("username = 5"), 17, 12, "a string is needed here, not an integer");
    one(&rule("tables = [1]"), 17, 11, "a string is needed");
    let top = faults(&format!("rule = 5\nlimits = 5\n{BASE}"));
    assert_eq!(top.len(), 2, "{top:#?}");
    assert!(top[0].to_string().ends_with(":1:8: rule: [[rule]] is needed here, not an integer"), "{}", top[0]);
    assert!(
        top[1].to_string().ends_with(":2:10: limits: a table, [limits], is needed here, not an integer"),
        "{}",
        top[1]
    );
    one("[limits]\nmax_clients = 1.5\n", 15, 15, "not a float");
    one("[limits]\nmax_allowed_packet = '5 parsecs'\n", 15, 22, "no size");
    one("[limits]\nmax_allowed_packet = 10\n", 15, 22, "1024 to 1073741824");
    one("[timeouts]\nconnect = '5'\n", 15, 11, "no duration");
    one("[timeouts]\nconnect = '0'\n", 15, 11, "more than 0");
    one("[listen]\naddresses = ['here']\n", 15, 14, "no address to listen on");
    one("[[rule]]\nrule_id = 1\ndestination_hostgroups = [10, 'x']\n", 16, 31, "a number is needed");
}

#[test]
fn rules() {
    let rule = |lines: &str| format!("[[rule]]\nrule_id = 1\ndestination_hostgroup = 10\n{lines}\n");
    one("[[rule]]\ndestination_hostgroup = 10\n", 14, 1, "rule_id is missing");
    one(&format!("{}{}", rule(""), rule("")), 19, 11, "rule_id 1 is used twice");
    one("[[rule]]\nrule_id = 1\ndestination_hostgroup = 11\n", 16, 25, "hostgroup 11 is not declared");
    one("[[rule]]\nrule_id = 1\ndestination_hostgroups = [10, 11]\n", 16, 26, "hostgroup 11 is not declared");
    one(&rule("destination_hostgroups = [10]"), 16, 25, "one of them is enough");
    one("[[rule]]\nrule_id = 1\ndestination_hostgroups = [10, 10]\n", 16, 26, "twice");
    one(&rule("match_pattern = '('"), 17, 17, "unclosed group");
    one(&rule("match_digest = 'a(?=b)'"), 17, 16, "look-around is not supported");
    one(&rule("match_pattern = 'x{1000}{1000}'"), 17, 17, "bigger than");
    one(&rule("re_modifiers = 'DOTALL'"), 17, 16, "`DOTALL` is not known");
    one(&rule("negate_match_pattern = 1"), 17, 24, "no pattern to negate");
    one(&rule("digest = 'abc'"), 17, 10, "0x and up to 16");
    one(&rule("digest = '0x11112222333344445'"), 17, 10, "0x and up to 16");
    one(&rule("client_addr = '10.0.0.0/64'"), 17, 15, "prefix length");
    one(&rule("proxy_addr = 'x'"), 17, 14, "no IP address");
    one(&rule("proxy_port = 70000"), 17, 14, "1 to 65535");
    one(&rule("effect = 'wriet'"), 17, 10, "did you mean `write`?");
    one(&rule("effect = ['read', 'xyzzy']"), 17, 19, "`xyzzy` is no effect");
    one(&rule("effect = []"), 17, 10, "matches nothing");
    one(&rule("tables = ['cdr.']"), 17, 11, "names no table");
    one(&rule("horizon = 'recnt'\nolder_than = '90d'"), 17, 11, "did you mean `recent`?");
    one(&rule("horizon = 'recent'"), 17, 11, "which horizon is meant?");
    one(&rule("older_than = '90d'"), 17, 14, "goes with horizon");
    one(&rule("horizon = 'recent'\nolder_than = '0'"), 18, 14, "no horizon");
    one(&rule("hint = '='"), 17, 8, "a hint is a key");
    one(&rule("error_msg = 'no'\nOK_msg = 'yes'"), 18, 10, "one answer");
    one("[[rule]]\nrule_id = 1\neffect = 'write'\ndestination_hostgroup = 20\n", 17, 25, "names readers alone");
    one("[[rule]]\nrule_id = 1\nreader_safe = false\ndestination_hostgroups = [20]\n", 17, 26, "names readers alone");
}

#[test]
fn hostgroups_and_backends() {
    one("[[hostgroup]]\nrole = 'reader'\n", 14, 1, "id is missing");
    one("[[hostgroup]]\nid = 30\n", 14, 1, "role is missing");
    one("[[hostgroup]]\nid = 30\nrole = 'red'\n", 16, 8, "one of writer, reader");
    one("[[hostgroup]]\nid = 10\nrole = 'reader'\n", 15, 6, "declared twice");
    one("[[hostgroup]]\nid = 30\nrole = 'reader'\nwriter = 20\n", 17, 10, "hostgroup 20 is a reader");
    one("[[hostgroup]]\nid = 30\nrole = 'reader'\nwriter = 21\n", 17, 10, "hostgroup 21 is not declared");
    one("[[hostgroup]]\nid = 30\nrole = 'writer'\nwriter = 10\n", 17, 10, "is for readers");
    one("[[hostgroup]]\nid = 30\nrole = 'reader'\ncheck_read_only = true\n", 17, 19, "is for writers");
    one("[[hostgroup]]\nid = 30\nrole = 'reader'\nhorizon = '90'\n", 17, 11, "no duration");
    one("[[hostgroup]]\nid = 30\nrole = 'reader'\npolicy = 'weihgts'\n", 17, 10, "did you mean `weights`?");
    let attributes = "[[hostgroup]]\nid = 30\nrole = 'reader'\nattributes = ";
    one(
        &format!("{attributes}{{ init_connect = \"SET NAMES latin1\" }}\n"),
        17,
        31,
        "`names` is kept for each session",
    );
    one(&format!("{attributes}{{ init_connect = \"USE x\" }}\n"), 17, 31, "its effect is set_schema");
    one(&format!("{attributes}{{ throttle_connections_per_sec = 0 }}\n"), 17, 47, "1 to 1000000");
    let shared = "{ init_connect = 'DO 1' }\n[[backend]]\nhostgroups = [10, 30]\naddress = 'h:1'\n";
    one(&format!("{attributes}{shared}"), 17, 14, "another init_connect: connections are shared");
    one("[[backend]]\naddress = 'h:1'\n", 14, 1, "belongs to a hostgroup");
    one("[[backend]]\nhostgroup = 10\n", 14, 1, "address is missing");
    one("[[backend]]\nhostgroup = 10\naddress = 'h:x'\n", 16, 11, "no address");
    one("[[backend]]\nhostgroup = 40\naddress = 'h:1'\n", 15, 13, "hostgroup 40 is not declared");
    one("[[backend]]\nhostgroups = [20, 40]\naddress = 'h:1'\n", 15, 14, "hostgroup 40 is not declared");
    one("[[backend]]\nhostgroup = 10\naddress = 'db1'\n", 16, 11, "db1:3306 is in hostgroup 10 twice");
    one("[[backend]]\nhostgroup = 20\naddress = 'h:1'\nmax_connections = 0\n", 17, 19, "1 to 1000000");
    one("[[backend]]\nhostgroup = 20\naddress = 'h:1'\nstatus = 'offline'\n", 17, 10, "`offline` is not known");
    one("[[backend]]\nhostgroup = 20\naddress = 'h:1'\ntls = 'verify'\n", 17, 7, "`verify` is not known");
    one("[[backend]]\nhostgroup = 20\naddress = 'h:1'\ntls = 'verify_ca'\n", 17, 7, "authorities");
    one(
        "[[backend]]\nhostgroup = 20\naddress = 'h:1'\ntls = { mode = 'required', cert = 'c.pem' }\n",
        17,
        35,
        "go together",
    );
}

#[test]
fn users_tables_and_tls() {
    one("[[user]]\nusername = 'app'\npassword = 'x'\n", 15, 12, "there twice");
    one("[[user]]\npassword = 'x'\n", 14, 1, "username is missing");
    one("[[user]]\nusername = 'b'\n", 15, 12, "no password");
    one("[[user]]\nusername = 'b'\npassword_hash = 'secret'\n", 16, 17, "caching_sha2");
    one("[[user]]\nusername = 'b'\npassword_hash = ['*00']\n", 16, 18, "40 hexadecimal");
    one("[[user]]\nusername = 'b'\npassword_env = 'NO_SUCH_VARIABLE_7'\n", 16, 16, "NO_SUCH_VARIABLE_7 is not set");
    one("[[user]]\nusername = 'b'\npassword_file = 'nowhere'\n", 16, 17, "cannot be read");
    one("[[user]]\nusername = 'b'\npassword = 'x'\npassword_env = 'HOME'\n", 17, 16, "one of them is enough");
    one(
        "[[user]]\nusername = 'b'\npassword = 'x'\ndefault_hostgroup = 9\n",
        17,
        21,
        "hostgroup 9, the default of user b",
    );
    one("[[user]]\nusername = '${NO_SUCH_VARIABLE_7}'\npassword = 'x'\n", 15, 12, "NO_SUCH_VARIABLE_7 is not set");
    one("[[user]]\nusername = 'b'\npassword = 'x'\ntransaction_persistent = false\n", 17, 26, "stays on one backend");
    one("[[user]]\nusername = 'b'\npassword = 'x'\nlocal_infile = true\n", 17, 1, "[limits] local_infile");
    one("[[table]]\nname = 'a.b'\n", 14, 1, "time_column is missing");
    one("[[table]]\nname = 'a.b'\nunit = 'datetime'\n", 16, 8, "no time_column is named");
    one("[[table]]\nname = 'a.b'\ntime_column = 't'\nunit = 'epoch'\n", 17, 8, "is not known");
    one("[[table]]\nname = 'b'\ntime_column = 't'\n[[table]]\nname = 'B'\ntime_column = 't'\n", 18, 8, "there twice");
    one("[listen.tls]\ncert = 'a.pem'\n", 14, 9, "cert and key");
    one("[listen.tls]\ncert = 'a.pem'\nkey = 'b.pem'\n", 15, 8, "cannot read");
    one("[listen]\naddresses = []\n", 15, 13, "listens nowhere");
    one("[listen]\nrsa_key = 'no-such-key.pem'\n", 15, 11, "no-such-key.pem");
}

#[test]
fn what_is_missing_as_a_whole() {
    let whole = |text: &str, words: &str| {
        let faults = faults(text);
        assert!(faults.iter().any(|f| f.reason.contains(words)), "{words}: {faults:#?}");
    };
    whole(&BASE.replace("\"writer\"", "\"reader\""), "no hostgroup has role = \"writer\"");
    whole(&BASE[..BASE.find("[[backend]]").unwrap()], "there is no [[backend]]");
    whole(&BASE[..BASE.find("[[user]]").unwrap()], "there is no [[user]]");
    whole("", "no hostgroup has role");
}

#[test]
fn all_faults_are_reported_in_order() {
    let text = format!(
        "{BASE}[[rule]]\nrule_id = 1\ndestination_hostgroup = 77\naply = 1\n[[rule]]\nrule_id = 2\nmatch_pattern = '('\n\
         [limits]\nmax_clients = 0\n"
    );
    let faults = faults(&text);
    let places: Vec<_> = faults.iter().map(|f| (f.line, f.column)).collect();
    assert_eq!(places, [(16, 25), (17, 1), (20, 17), (22, 15)], "{faults:#?}");
    assert!(
        faults[0].to_string().contains("t.toml:16:25: [[rule]] destination_hostgroup: hostgroup 77"),
        "{}",
        faults[0]
    );
}

#[test]
fn columns_count_characters_and_lines_any_ending() {
    let faults = faults(&format!("{BASE}[[rule]]\r\nrule_id = 1\r\ncomment = 'é€𝄞'\r\n\"é\" = 1\r\n"));
    assert_eq!(faults.len(), 1);
    assert_eq!((faults[0].line, faults[0].column), (17, 1), "{faults:?}");
    let (_directory, path) = write("t.toml", &format!("{BASE}[[rule]]\nrule_id = 1\nusername = {{ é = 1 }}\n"));
    assert!(load(&[path]).is_err());
}

#[test]
fn files_that_cannot_be_read() {
    let missing = load(&["/nowhere/at/all.toml".into()]).unwrap_err();
    assert_eq!(
        missing[0].to_string(),
        "/nowhere/at/all.toml: the file cannot be read: No such file or directory (os error 2)"
    );
    let empty = tempfile::tempdir().unwrap();
    let faults = load(&[empty.path().to_owned()]).unwrap_err();
    assert!(faults[0].reason.contains("no *.toml file"), "{faults:?}");
    let (_directory, path) = write("t.toml", "");
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(load(&[path]).unwrap_err()[0].reason.contains("not UTF-8"));
    assert!(load(&[]).unwrap_err()[0].reason.contains("no configuration file"));
}

#[test]
fn what_stands_once_is_given_once() {
    let (directory, first) = write("a.toml", &format!("read_your_writes = '1s'\n{BASE}[limits]\nmax_clients = 5\n"));
    let second = directory.path().join("b.toml");
    std::fs::write(&second, "read_your_writes = '2s'\n[limits]\nmax_clients = 6\nlocal_infile = true\n").unwrap();
    let faults = load(&[first, second]).unwrap_err();
    let shown: Vec<String> = faults.iter().map(|f| format!("{}:{} {}", f.line, f.column, f.reason)).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].starts_with("1:1 `read_your_writes` is given in"), "{shown:?}");
    assert!(shown[1].starts_with("3:1 `limits.max_clients` is given in"), "{shown:?}");
}

#[test]
fn secrets_are_not_in_messages() {
    let text = format!(
        "{BASE}[[user]]\nusername = 'b'\npassword_hash = 'hunter2'\npassword = 'hunter2'\nbackend_password = 5\n"
    );
    for fault in faults(&text) {
        assert!(!fault.to_string().contains("hunter2"), "{fault}");
    }
}
