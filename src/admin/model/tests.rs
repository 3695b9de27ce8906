//! Edits of the admin tables as they come out in TOML: what changes, and that all else keeps every byte.

use super::*;
use crate::config::load_documents;

const TEXT: &str = r#"# The estate.

[[hostgroup]]
id = 10
name = "master"
role = "writer"

[[hostgroup]]
id = 20
role = "reader"   # Aurora
writer = 10
horizon = "90d"

# the master
[[backend]]
hostgroup = 10
address = "${NOWHERE_SET:-127.0.0.1:3306}"   # from the environment
max_connections = 500

[[backend]]
hostgroups = [20, 10]
address = "127.0.0.1:3307"
tls = { mode = "required" }

[[user]]
username = "app"
password = "secret"   # to be moved
default_hostgroup = 10

[[table]]
name = "cdr.calls"
time_column = "start"

# --- Rules ---

# safe ones
[[rule]]
rule_id = 30
reader_safe = true
destination_hostgroups = [20, 10]   # Aurora first
apply = true

# the rest
[[rule]]
rule_id = 40
destination_hostgroup = 10
apply = true
"#;

fn loaded(text: &str) -> Loaded {
    let document = Document { path: "a.toml".into(), text: text.into() };
    load_documents(&[document], &[]).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

fn text(value: &str) -> Sql {
    Sql::Text(value.to_owned())
}

/// The text after `edit` has changed the rows of a unit; it must load.
fn edited(unit: Unit, edit: impl FnOnce(&mut Tables, &Vault)) -> String {
    let (base, vault) = (loaded(TEXT), Vault::default());
    let mut tables = project(&base, &vault).unwrap();
    edit(&mut tables, &vault);
    let documents = apply(&base, &tables, &[unit], &vault).unwrap();
    let out = documents[0].text.to_string();
    let after = loaded(&out);
    // What was said before spares work and changes nothing; and a draft says what its texts say when they are read.
    let mut draft = Draft::open(&base).unwrap();
    let said = project(&base, &vault).unwrap();
    assert!(draft.apply(&base, &tables, &said, &[unit], &vault).unwrap() == documents);
    assert_eq!(draft.rows(&after, &vault), project(&after, &vault).unwrap());
    out
}

/// What of `TEXT` is gone, and what is new, without the headings of hunks.
fn difference(after: &str) -> String {
    let diff = crate::admin::diff::unified(TEXT, after);
    diff.lines().filter(|l| l.starts_with(['+', '-'])).map(|l| format!("{l}\n")).collect()
}

#[test]
fn rows_that_nobody_changed_leave_every_byte() {
    for unit in Unit::ALL {
        assert_eq!(edited(unit, |_, _| {}), TEXT, "{unit:?}");
    }
}

#[test]
fn a_column_changes_a_key() {
    let after = edited(Unit::Rules, |tables, _| {
        tables.get_mut("mysql_query_rules").unwrap()[0][column(rules::RULE, "match_digest")] = text(r"^SELECT .* \d");
        tables.get_mut("mysql_query_rules").unwrap()[1][column(rules::RULE, "cache_ttl")] = Sql::Integer(5000);
    });
    assert_eq!(difference(&after), "+match_digest = '^SELECT .* \\d'\n+proxysql = { cache_ttl = 5000 }\n", "{after}");
}

#[test]
fn rules_come_and_go_with_their_comments() {
    let after = edited(Unit::Rules, |tables, _| {
        let rows = tables.get_mut("mysql_query_rules").unwrap();
        let mut new = rows[1].clone();
        new[0] = Sql::Integer(1);
        new[column(rules::RULE, "match_pattern")] = text("^INSERT");
        rows.remove(0);
        rows.push(new);
        tables.get_mut("switchboard_rules").unwrap().clear();
    });
    let tail = after.split("# --- Rules ---").nth(1).unwrap();
    assert_eq!(
        tail,
        "\n\n# the rest\n[[rule]]\nrule_id = 40\ndestination_hostgroup = 10\napply = true\n\n\
         [[rule]]\nrule_id = 1\nmatch_pattern = \"^INSERT\"\napply = true\ndestination_hostgroup = 10\n"
    );
}

#[test]
fn another_destination_in_proxysqls_column_stands_for_all() {
    let after = edited(Unit::Rules, |tables, _| {
        tables.get_mut("mysql_query_rules").unwrap()[0][column(rules::RULE, "destination_hostgroup")] =
            Sql::Integer(10);
    });
    assert_eq!(
        difference(&after),
        "-destination_hostgroups = [20, 10]   # Aurora first\n+destination_hostgroup = 10\n",
        "{after}"
    );
}

#[test]
fn servers_of_one_entry_part_when_they_differ() {
    let after = edited(Unit::Servers, |tables, _| {
        let rows = tables.get_mut("mysql_servers").unwrap();
        let reader = rows.iter_mut().find(|row| row[0] == Sql::Integer(20)).unwrap();
        reader[column(servers::SERVER, "weight")] = Sql::Integer(9);
        rows.push(vec![
            Sql::Integer(30),
            text("db9"),
            Sql::Integer(3306),
            Sql::Integer(0),
            text("OFFLINE_SOFT"),
            Sql::Integer(1),
            Sql::Integer(0),
            Sql::Integer(77),
            Sql::Integer(0),
            Sql::Integer(1),
            Sql::Integer(0),
            text("new"),
        ]);
    });
    let again = project(&loaded(&after), &Vault::default()).unwrap();
    let shown: Vec<String> = again["mysql_servers"]
        .iter()
        .map(|row| row.iter().map(|v| text_of(v).unwrap_or_default()).collect::<Vec<_>>().join("|"))
        .collect();
    assert_eq!(
        shown,
        [
            "10|127.0.0.1|3306|0|ONLINE|1|0|500|0|0|0|",
            "10|127.0.0.1|3307|0|ONLINE|1|0|1000|0|1|0|",
            "20|127.0.0.1|3307|0|ONLINE|9|0|1000|0|1|0|",
            "30|db9|3306|0|OFFLINE_SOFT|1|0|77|0|1|0|new",
        ]
    );
    assert!(after.contains("id = 30\nrole = \"reader\""), "{after}");
    assert!(after.contains("${NOWHERE_SET:-127.0.0.1:3306}\"   # from the environment"), "{after}");
}

#[test]
fn replication_hostgroups_are_roles() {
    let after = edited(Unit::Servers, |tables, _| {
        let pairs = tables.get_mut("mysql_replication_hostgroups").unwrap();
        pairs.push(vec![Sql::Integer(50), Sql::Integer(60), text("read_only"), text("east")]);
        let rows = tables.get_mut("mysql_servers").unwrap();
        let mut server = rows[0].clone();
        server[0] = Sql::Integer(60);
        rows.push(server);
    });
    let again = project(&loaded(&after), &Vault::default()).unwrap();
    assert_eq!(again["mysql_replication_hostgroups"].len(), 2, "{after}");
    assert!(after.contains("id = 50\nrole = \"writer\""), "{after}");
    assert!(after.contains("id = 60\nrole = \"reader\"\nwriter = 50\nproxysql = { comment = \"east\" }"), "{after}");
}

#[test]
fn no_hostgroup_is_writer_and_reader() {
    let (base, vault) = (loaded(TEXT), Vault::default());
    let mut tables = project(&base, &vault).unwrap();
    let pairs = tables.get_mut("mysql_replication_hostgroups").unwrap();
    pairs.clear();
    for (writer, reader) in [(10, 20), (20, 10)] {
        pairs.push(vec![Sql::Integer(writer), Sql::Integer(reader), text("read_only"), text("")]);
    }
    let error = apply(&base, &tables, &[Unit::Servers], &vault).unwrap_err().to_string();
    assert_eq!(
        error,
        "mysql_replication_hostgroups writer_hostgroup=10 reader_hostgroup=20: hostgroup 10 is a reader already, of hostgroup 20"
    );
}

#[test]
fn passwords_are_shown_as_hashes_and_written_as_they_were_given() {
    let (base, vault) = (loaded(TEXT), Vault::default());
    let mut tables = project(&base, &vault).unwrap();
    let users = tables.get_mut("mysql_users").unwrap();
    assert_eq!(users[0][1], text("*14E65567ABDB5135D0CFD9A70B3032C179A49EE7"));
    let mut user = |name: &str, password: &str| {
        let mut row = users[0].clone();
        (row[0], row[1]) = (text(name), text(&vault.conceal(password)));
        users.push(row);
    };
    user("clear", "pass${word}s");
    user("plain", "pencil$$");
    user("env", "env:PATH");
    user("hash", "*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29");
    users.retain(|row| row[0] != text("clear"));
    let after = apply(&base, &tables, &[Unit::Users], &vault).unwrap()[0].text.to_string();
    loaded(&after);
    assert!(after.contains("password = \"secret\"   # to be moved"), "{after}");
    for line in [
        "password = \"pencil$$\"",
        "password_env = \"PATH\"",
        "password_hash = \"*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29\"",
    ] {
        assert!(after.contains(line), "{line}: {after}");
    }
}

#[test]
fn variables_are_settings() {
    let after = edited(Unit::MysqlVariables, |tables, _| {
        for (name, value) in [
            ("mysql-max_connections", "600"),
            ("mysql-wait_timeout", "1500"),
            ("mysql-multiplexing", "false"),
            ("switchboard-read_your_writes", "3000"),
            ("admin-web_port", "1"),
        ] {
            let row = tables.get_mut("global_variables").unwrap().iter_mut().find(|row| row[0] == text(name)).unwrap();
            row[1] = text(value);
        }
    });
    assert!(after.contains("[limits]\nmax_clients = 600\n"), "{after}");
    assert!(after.contains("[timeouts]\nclient_idle = \"1500ms\"\n"), "{after}");
    assert!(after.contains("mysql-multiplexing = \"false\""), "{after}");
    assert!(after.contains("read_your_writes = \"3s\""), "{after}");
    assert!(!after.contains("admin-web_port"), "another unit's: {after}");
}

#[test]
fn what_means_nothing_is_kept() {
    let after = edited(Unit::Scheduler, |tables, _| {
        let row = ["1", "1", "1000", "/bin/x", "a"].map(text).to_vec();
        let row: Vec<Sql> = row.into_iter().chain(std::iter::repeat_n(Sql::Null, 4)).chain([text("c")]).collect();
        tables.insert("scheduler", vec![row]);
    });
    let again = project(&loaded(&after), &Vault::default()).unwrap();
    assert_eq!(again["scheduler"].len(), 1, "{after}");
    assert_eq!(idle(&again, Unit::Scheduler, 9), ["scheduler: its 1 rows are kept and do nothing here"]);
}

#[test]
fn faults_name_rows() {
    let base = loaded(TEXT);
    let vault = Vault::default();
    let mut tables = project(&base, &vault).unwrap();
    tables.get_mut("mysql_query_rules").unwrap()[1][column(rules::RULE, "match_pattern")] = text("(");
    let documents = apply(&base, &tables, &[Unit::Rules], &vault).unwrap();
    let faults = load_documents(&documents, &[]).unwrap_err();
    let shown = row_of(&faults[0], &documents, &[]);
    assert!(shown.starts_with("mysql_query_rules rule_id=40: [[rule]] match_pattern: "), "{shown}");
    // A setting is a variable's, wherever its section stands.
    let mut tables = project(&base, &vault).unwrap();
    let most =
        tables.get_mut("global_variables").unwrap().iter_mut().find(|row| row[0] == text("mysql-max_connections"));
    most.unwrap()[1] = text("0");
    let documents = apply(&base, &tables, &[Unit::MysqlVariables], &vault).unwrap();
    let faults = load_documents(&documents, &[]).unwrap_err();
    let shown = row_of(&faults[0], &documents, &[]);
    assert!(
        shown.starts_with("global_variables variable_name='mysql-max_connections': [limits] max_clients: "),
        "{shown}"
    );
    let mut tables = project(&base, &vault).unwrap();
    tables.get_mut("switchboard_rules").unwrap()[0][0] = Sql::Integer(7);
    let error = apply(&base, &tables, &[Unit::Rules], &vault).unwrap_err();
    assert_eq!(error.to_string(), "switchboard_rules rule_id=7: there is no such rule in mysql_query_rules");
}
