//! Switchboard's own tables of the admin port: where routes lead now, which were taken, what is not proven about statements,
//! and how fresh servers are; each against servers that are really there, or really not.

mod admin_support;
mod common;
mod traffic_support;

use admin_support::{NOBODY, connect, estate, process, rows};
use common::{MariaDb, Router};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::time::{Duration, Instant};
use traffic_support::options;

const WAIT: Duration = Duration::from_secs(10);

/// Two rules: what may run on a reader goes there and else to the writer, the rest goes to the writer.
const RULES: &str = "[[rule]]\nrule_id = 1\nreader_safe = true\ndestination_hostgroups = [20, 10]\napply = true\n\
                     [[rule]]\nrule_id = 2\ndestination_hostgroup = 10\napply = true\n";

/// Checks that find out soon.
const HEALTH: &str =
    "[health]\ninterval = \"50ms\"\nretry_interval = \"50ms\"\nusername = \"app\"\npassword = \"app-secret\"\n";

/// Waits until a query of the admin port gives these rows. Statements are counted just after their answer has gone out.
async fn wait_for(conn: &mut Conn, sql: &str, want: &[&str]) {
    let until = Instant::now() + WAIT;
    loop {
        let said = rows(conn, sql).await;
        if said == want {
            return;
        }
        assert!(Instant::now() < until, "{sql}: not {want:#?} but\n{said:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn tiers_say_which_hostgroup_takes_a_route_now() {
    let (master, _) = MariaDb::shared_pair();
    let fast = "[[fast_route]]\nusername = \"app\"\nschemaname = \"s1\"\ndestination_hostgroup = 10\n";
    let rules = format!("{HEALTH}{RULES}{fast}{}", fast.replace("s1", "s2"));
    let router = Router::with_config(&process(""), &[("estate.toml", &estate(master.port(), NOBODY.1, &rules))]);
    let mut stats = connect(&router, "stats").await;
    let ask = "SELECT route, rule_id, username, tier, hostgroup, name, role, writer_hostgroup, servers, servers_ready, \
               servers_lagging, state, takes FROM switchboard_tiers ORDER BY route, rule_id, tier";
    wait_for(
        &mut stats,
        ask,
        &[
            "default|NULL|app|1|10|sdc_master|writer|10|1|1|0|serving|1",
            "fast_route|NULL|NULL|1|10|sdc_master|writer|10|1|1|0|serving|1",
            "rule|1|NULL|1|20|aurora|reader|10|1|0|0|out|0",
            "rule|1|NULL|2|10|sdc_master|writer|10|1|1|0|serving|1",
            "rule|2|NULL|1|10|sdc_master|writer|10|1|1|0|serving|1",
        ],
    )
    .await;
    // An operator's change shows at once: the reader is led to where a server is, beside the one that is not.
    let mut conn = connect(&router, "admin").await;
    let add =
        format!("INSERT INTO mysql_servers (hostgroup_id, hostname, port) VALUES (20, '127.0.0.1', {})", master.port());
    admin_support::run(&mut conn, &[&add, "LOAD MYSQL SERVERS TO RUNTIME"]).await;
    let reader = "SELECT servers, servers_ready, state, takes FROM switchboard_tiers WHERE hostgroup = 20";
    assert_eq!(rows(&mut conn, reader).await, ["2|1|degraded|1"]);
    let rest = "SELECT takes FROM switchboard_tiers WHERE rule_id = 1 AND tier = 2";
    assert_eq!(rows(&mut conn, rest).await, ["0"], "the first tier takes it now");
}

#[tokio::test]
async fn routes_say_what_was_taken_and_why() {
    let (master, replica) = MariaDb::shared_pair();
    let refused = "[[rule]]\nrule_id = 0\nmatch_digest = \"never_this\"\nerror_msg = \"not here\"\n";
    let rules = format!("{HEALTH}{refused}{RULES}");
    let files = |reader| [("estate.toml", estate(master.port(), reader, &rules))];
    let text = files(replica.port());
    let router = Router::with_config(&process(""), &[(text[0].0, &text[0].1)]);
    let mut conn = Conn::new(options(&router, None)).await.unwrap();
    for statement in ["SELECT 1", "SELECT 2", "SET @x = 1", "SELECT @x", "BEGIN", "SELECT 3", "COMMIT"] {
        conn.query_drop(statement).await.unwrap();
    }
    conn.query_drop("SELECT never_this").await.unwrap_err();
    let mut stats = connect(&router, "stats").await;
    let ask = "SELECT hostgroup, rule_id, reason, tier, fallback, count_star FROM switchboard_routes \
               ORDER BY hostgroup, rule_id, reason";
    wait_for(
        &mut stats,
        ask,
        &[
            "-1|0|answered|NULL|0|1",
            "10|1|pinned|NULL|0|1",
            "10|2|pinned|NULL|0|1",
            "10|2|rule|1|0|1",
            "10|2|session_holds_writer|NULL|0|2",
            "20|1|rule|1|0|2",
        ],
    )
    .await;
    let seen = "SELECT COUNT(*) FROM switchboard_routes WHERE last_seen - first_seen BETWEEN 0 AND 60 \
                AND first_seen BETWEEN unixepoch() - 60 AND unixepoch() + 1";
    assert_eq!(rows(&mut stats, seen).await, ["6"]);
    // The sums of rules are the same figures.
    let hits = "SELECT rule_id, hits FROM stats_mysql_query_rules ORDER BY 1";
    assert_eq!(rows(&mut stats, hits).await, ["0|1", "1|3", "2|4"]);
    // Without a reader the second tier takes it, and that is a route of its own.
    let text = files(NOBODY.1);
    router.write_rules(text[0].0, &text[0].1);
    wait_for(&mut stats, "SELECT state FROM switchboard_tiers WHERE hostgroup = 20", &["out"]).await;
    let mut fresh = Conn::new(options(&router, None)).await.unwrap();
    fresh.query_drop("SELECT 4").await.unwrap();
    wait_for(
        &mut stats,
        "SELECT hostgroup, rule_id, reason, tier, count_star FROM switchboard_routes WHERE fallback = 1",
        &["10|1|rule|2|1"],
    )
    .await;
}

#[tokio::test]
async fn what_is_not_proven_is_listed_with_its_reason_and_its_digest() {
    let (master, replica) = MariaDb::shared_pair();
    let table = "[[table]]\nname = \"calls\"\ntime_columns = [\"at\"]\n";
    let text = estate(master.port(), replica.port(), &format!("{RULES}{table}"));
    let text = text.replacen("role = \"writer\"\n", "role = \"writer\"\nhorizon = \"90d\"\n", 1);
    let router = Router::with_config(&process(""), &[("estate.toml", &text)]);
    let schema = master.scratch_schema().unwrap();
    master.sql(&format!("CREATE TABLE {schema}.calls (id INT, at DATETIME)")).unwrap();
    master.sql(&format!("CREATE FUNCTION {schema}.f() RETURNS INT DETERMINISTIC RETURN 7")).unwrap();
    let position = master.value("SELECT @@gtid_binlog_pos").unwrap();
    assert_eq!(replica.value(&format!("SELECT MASTER_GTID_WAIT('{position}', 10)")).unwrap(), "0");
    let mut conn = Conn::new(options(&router, Some(&schema))).await.unwrap();
    for id in 0..3 {
        // No bound on time: the writer, which keeps 90 days, is no place for it.
        conn.query_drop(format!("SELECT * FROM calls WHERE id = {id}")).await.unwrap();
    }
    conn.query_drop("SELECT f()").await.unwrap();
    // A write that calls a function goes to the writer for the write.
    conn.query_drop("INSERT INTO calls VALUES (f(), NOW())").await.unwrap();
    conn.query_drop("SELECT * FROM calls WHERE at > NOW() - INTERVAL 1 DAY").await.unwrap();
    // Only the writer may run it, and the writer may lack rows of it: it is refused, for both reasons.
    conn.query_drop("SELECT f() FROM calls").await.unwrap_err();
    conn.query_drop("SHOW SOMETHING NEW").await.unwrap_err();
    let mut stats = connect(&router, "stats").await;
    let ask = "SELECT what, hostgroup, schemaname <> '', username, digest_text, count_star FROM switchboard_unproven \
               ORDER BY what, hostgroup";
    wait_for(
        &mut stats,
        ask,
        &[
            "effects|10|1|app|SHOW SOMETHING NEW|1",
            "function|-1|1|app|SELECT f() FROM calls|1",
            "function|10|1|app|SELECT f()|1",
            "horizon|-1|1|app|SELECT f() FROM calls|1",
            "horizon|20|1|app|SELECT * FROM calls WHERE id = ?|3",
        ],
    )
    .await;
    let reasons = rows(&mut stats, "SELECT DISTINCT reason FROM switchboard_unproven WHERE what = 'horizon'").await;
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].starts_with("no lower bound on time is proven"), "{reasons:?}");
    // The digests are those of the other tables.
    let joined = "SELECT DISTINCT d.digest_text FROM switchboard_unproven u JOIN stats_mysql_query_digest d \
                  USING (digest, hostgroup) WHERE u.what = 'horizon' AND u.hostgroup = 20";
    assert_eq!(rows(&mut stats, joined).await, ["SELECT * FROM calls WHERE id = ?"]);
}

#[tokio::test]
async fn freshness_is_what_the_router_knows_of_each_server() {
    let (master, replica) = MariaDb::shared_pair();
    let config = process("").replace("read_your_writes = \"0\"", "read_your_writes = \"1500ms\"");
    let rules = format!("{HEALTH}{RULES}");
    let at = format!("address = \"127.0.0.1:{}\"\n", replica.port());
    let text = estate(master.port(), replica.port(), &rules).replace(&at, &format!("{at}max_replication_lag = 5\n"));
    let router = Router::with_config(&config, &[("estate.toml", &text)]);
    let mut stats = connect(&router, "stats").await;
    let ask = "SELECT hostgroup, role, lag_signal, lag_seconds, max_replication_lag, readable, why, read_your_writes_ms \
               FROM switchboard_freshness ORDER BY hostgroup";
    wait_for(&mut stats, ask, &["10|writer|not_asked|NULL|0|1|NULL|NULL", "20|reader|known|0|5|1|NULL|1500"]).await;
    // Its position is the one that the server names, and moves with it.
    master.scratch_schema().unwrap();
    let gtid = master.value("SELECT @@gtid_binlog_pos").unwrap();
    let place = "SELECT applied_gtid, applied_position GLOB '*bin*.[0-9]*:[0-9]*', asked_ms_ago < 5000 \
                 FROM switchboard_freshness WHERE hostgroup = 20";
    wait_for(&mut stats, place, &[&format!("{gtid}|1|1")]).await;
    let log = "SELECT COUNT(*) > 0 FROM monitor.mysql_server_replication_lag_log WHERE repl_lag = 0";
    assert_eq!(rows(&mut stats, log).await, ["1"]);
}
