//! DIFF ROUTE FROM RUNTIME TO MEMORY: what an edit would send elsewhere, seen before it is loaded.

mod admin_support;
mod common;

use admin_support::{columns, connect, refused, rows, run, traffic, with_servers};
use common::{Router, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::time::Duration;

const DIFF: &str = "DIFF ROUTE FROM RUNTIME TO MEMORY";

const RULES: &str = r#"
[[rule]]
rule_id = 5
reader_safe = true
destination_hostgroups = [20, 10]
apply = true

[[rule]]
rule_id = 9
destination_hostgroup = 10
apply = true
"#;

/// Statements that were sent, and that the router has counted.
async fn send(router: &Router, client: &mut Conn, admin: &mut Conn, statements: &[(&str, usize)]) {
    let counted = "SELECT COALESCE(SUM(count_star), 0) FROM stats_mysql_query_digest";
    let before: usize = rows(admin, counted).await[0].parse().unwrap();
    for (statement, times) in statements {
        for _ in 0..*times {
            client.query_drop(*statement).await.unwrap_or_else(|e| panic!("{statement}: {e}\n{}", router.log()));
        }
    }
    let all = before + statements.iter().map(|(_, times)| times).sum::<usize>();
    wait_until("all are counted", Duration::from_secs(5), || {
        let input = "SELECT SUM(count_star) FROM stats_mysql_query_digest;";
        let (_, said) = admin_support::mariadb(router, "stats", &["-N", "-B"], input);
        said.trim().parse::<usize>().is_ok_and(|count| count >= all)
    });
}

/// Columns of the difference, by name.
async fn seen(admin: &mut Conn, wanted: &[&str]) -> Vec<String> {
    let names = columns(admin, DIFF).await;
    let places: Vec<usize> = wanted.iter().map(|w| names.iter().position(|n| n == w).unwrap()).collect();
    let all: Vec<mysql_async::Row> = admin.query(DIFF).await.unwrap();
    let shown = |row: mysql_async::Row| {
        let values = row.unwrap();
        places.iter().map(|&at| admin_support::shown(&values[at])).collect::<Vec<_>>().join("|")
    };
    all.into_iter().map(shown).collect()
}

#[tokio::test]
async fn what_would_go_elsewhere_is_listed_before_anything_is_loaded() {
    let (router, (master, _)) = with_servers(RULES);
    let mut admin = connect(&router, "admin").await;
    let mut ops = connect(&router, "ops").await;
    let schema = master.scratch_schema().unwrap();
    let mut client = Conn::from_url(traffic(&router, &schema)).await.unwrap();
    run(&mut admin, &["TRUNCATE stats_mysql_query_digest"]).await;
    let statements =
        [("SELECT 1 AS moves", 3), ("SELECT 2 AS refused_then", 2), ("SELECT 3 AS stays", 4), ("SET @here = 1", 1)];
    send(&router, &mut client, &mut admin, &statements).await;
    assert!(rows(&mut admin, DIFF).await.is_empty(), "nothing was edited");
    let insert =
        "INSERT INTO mysql_query_rules (rule_id, active, match_digest, destination_hostgroup, apply, error_msg)";
    run(
        &mut admin,
        &[
            &format!("{insert} VALUES (6, 1, 'stays', 10, 1, NULL)"),
            "UPDATE mysql_query_rules SET comment = 'only words' WHERE rule_id = 9",
        ],
    )
    .await;
    assert!(rows(&mut admin, DIFF).await.is_empty(), "a rule that is never reached, and a comment");
    run(
        &mut admin,
        &[&format!("{insert} VALUES (2, 1, 'moves', 10, 1, NULL), (3, 1, 'refused_then', NULL, 1, 'not today')")],
    )
    .await;
    let wanted = ["digest_text", "username", "schemaname", "count_star", "from", "to", "from_rule", "to_rule", "note"];
    let want = [
        format!("SELECT ? AS moves|app|{schema}|3|20, 10|10|5|2|"),
        format!("SELECT ? AS refused_then|app|{schema}|2|20, 10|error: not today|5|3|"),
    ];
    assert_eq!(seen(&mut admin, &wanted).await, want);
    assert_eq!(seen(&mut ops, &wanted).await, want, "an operator may look");
    let total =
        rows(&mut admin, "SELECT SUM(count_star) FROM stats_mysql_query_digest").await[0].parse::<f64>().unwrap();
    let shares = [300.0 / total, 200.0 / total].map(|share| format!("{share:.2}"));
    assert_eq!(seen(&mut admin, &["share"]).await, shares);
    let mut stats = connect(&router, "stats").await;
    refused(&mut stats, DIFF).await;
    // Nothing of it is in effect.
    assert_eq!(rows(&mut admin, "SELECT rule_id FROM runtime_mysql_query_rules ORDER BY 1").await, ["5", "9"]);
    client.query_drop("SELECT 2 AS refused_then").await.unwrap();
    // Once it is, it is where things go from.
    run(&mut admin, &["LOAD MYSQL QUERY RULES TO RUNTIME"]).await;
    assert!(rows(&mut admin, DIFF).await.is_empty());
    assert!(client.query_drop("SELECT 2 AS refused_then").await.is_err());
}

#[tokio::test]
async fn what_a_digest_cannot_say_is_said() {
    let (router, (master, _)) = with_servers(RULES);
    let mut admin = connect(&router, "admin").await;
    let schema = master.scratch_schema().unwrap();
    let mut client = Conn::from_url(traffic(&router, &schema)).await.unwrap();
    run(&mut admin, &["TRUNCATE stats_mysql_query_digest"]).await;
    let long = format!("SELECT 1 AS {}", (0..600).map(|i| format!("c{i}, 1 AS ")).collect::<String>() + "c");
    let statements = [("SELECT 'secret' AS word", 2), ("SELECT 1 IN (1, 2, 3, 4, 5, 6) AS folded", 1), (&*long, 1)];
    send(&router, &mut client, &mut admin, &statements).await;
    let pattern = "INSERT INTO mysql_query_rules (rule_id, active, match_pattern, destination_hostgroup, apply) \
                   VALUES (0, 1, 'secret', 10, 1)";
    run(&mut admin, &[pattern]).await;
    let wanted = ["digest_text", "from", "to", "from_rule", "to_rule", "note"];
    let found = seen(&mut admin, &wanted).await;
    let word = "SELECT ? AS word|20, 10|10 | 20, 10|5|0 | 5|match_pattern of rule 0 is asked of each statement's text";
    assert_eq!(found.iter().filter(|row| *row == word).count(), 1, "{found:?}");
    assert!(found.iter().any(|row| row.ends_with("||||not judged: its text is not kept whole")), "{found:?}");
    // A fold is read as what it stands for: it does not make the statement unproven.
    run(&mut admin, &["DELETE FROM mysql_query_rules WHERE rule_id = 0"]).await;
    run(&mut admin, &["UPDATE mysql_query_rules SET destination_hostgroup = 10 WHERE rule_id = 5"]).await;
    let found = seen(&mut admin, &wanted).await;
    let folded = "SELECT ? IN (?,?,?,...) AS folded|20, 10|10|5|5|";
    assert!(found.iter().any(|row| row == folded), "{found:?}");
    // Addresses are not counted, and that is said.
    run(&mut admin, &["UPDATE mysql_query_rules SET client_addr = '127.0.0.1' WHERE rule_id = 9"]).await;
    run(&mut admin, &[DIFF]).await;
    let warnings = rows(&mut admin, "SHOW WARNINGS").await;
    assert!(warnings.iter().any(|w| w.contains("unix socket: 9")), "{warnings:?}");
}

#[tokio::test]
async fn what_would_be_refused_is_refused_in_the_same_words() {
    let (router, _) = with_servers(RULES);
    let mut admin = connect(&router, "admin").await;
    run(&mut admin, &["UPDATE mysql_query_rules SET match_digest = '(' WHERE rule_id = 9"]).await;
    let loaded = refused(&mut admin, "LOAD MYSQL QUERY RULES TO RUNTIME").await;
    assert!(loaded.1.contains("rule_id=9"), "{loaded:?}");
    assert_eq!(refused(&mut admin, DIFF).await, loaded);
}
