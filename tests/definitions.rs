//! What triggers, views and routines leave on a connection out of sight: the router reads their definitions in the server's
//! catalogue, as far as its accounts are shown them, and resets what it does not know.

mod common;
mod traffic_support;

use common::{MariaDb, MySql, Router, Server, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use std::time::Duration;
use traffic_support::{Estate, options, tag, value};

/// An account of a test's own with these rights on a schema of its own, and that schema with a table whose trigger sets a user
/// variable and takes a lock.
fn prepare(server: &Server, rights: &str) -> (String, String) {
    let schema = server.scratch_schema().unwrap();
    let user = tag("u").replace("tag_", "");
    for sql in [
        format!("CREATE USER {user} IDENTIFIED BY 'secret'"),
        format!("GRANT {rights} ON {schema}.* TO {user}"),
        format!("CREATE TABLE {schema}.t (a INT)"),
        format!(
            "CREATE TRIGGER {schema}.left_behind BEFORE INSERT ON {schema}.t FOR EACH ROW \
             SELECT NEW.a, GET_LOCK('{schema}', 0) INTO @seen, @locked"
        ),
    ] {
        server.sql(&sql).unwrap();
    }
    (schema, user)
}

/// A router whose one account is this, with so many connections.
fn router(server: &Server, user: &str, connections: u32, health: &str) -> Router {
    let text = format!(
        "workers = 1\n[listen]\naddresses = [\"{{listen}}\"]\nsocket = \"{{socket}}\"\n[health]\n{health}\n\
         [timeouts]\npool_wait = \"2s\"\nhold_results = \"0s\"\n[[hostgroup]]\nid = 10\nrole = \"writer\"\n\
         [[backend]]\nhostgroup = 10\naddress = \"127.0.0.1:{}\"\nmax_connections = {connections}\n\
         [[user]]\nusername = \"{user}\"\npassword = \"secret\"\n",
        server.port()
    );
    Router::with_config(&text, &[])
}

async fn client(router: &Router, user: &str, schema: &str) -> Conn {
    Conn::new(options(router, Some(schema)).user(Some(user)).pass(Some("secret"))).await.unwrap()
}

fn wait_for_log(router: &Router, text: &str) {
    wait_until(&format!("the log to say: {text}"), Duration::from_secs(10), || router.log().contains(text));
}

fn each_server(mut test: impl FnMut(&Server)) {
    test(MariaDb::shared());
    test(MySql::shared());
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

#[test]
fn what_is_not_known_is_reset_before_another_session_has_it() {
    each_server(|server| {
        let (schema, user) = prepare(server, "SELECT, INSERT");
        let router = router(server, &user, 1, "");
        wait_for_log(&router, "are not known: connections are reset");
        assert!(router.log().contains(&format!("it lacks TRIGGER on {schema}")), "{}", router.log());
        run(async {
            let mut first = client(&router, &user, &schema).await;
            let mut second = client(&router, &user, &schema).await;
            second.query_drop("SELECT 1").await.unwrap();
            first.query_drop("INSERT INTO t VALUES (5)").await.unwrap();
            let seen = value(&mut second, &format!("SELECT CONCAT_WS(' ', @seen, IS_FREE_LOCK('{schema}'))")).await;
            assert_eq!(seen, "1", "the other session's variable is not seen, and its lock is gone");
            // A lock ends with its session, whoever comes next.
            first.query_drop("INSERT INTO t VALUES (6)").await.unwrap();
            first.disconnect().await.unwrap();
            let is_free = format!("SELECT IS_FREE_LOCK('{schema}')");
            wait_until("the lock to end", Duration::from_secs(5), || server.value(&is_free).unwrap() == "1");
        });
    });
}

#[test]
fn trust_is_what_it_says() {
    each_server(|server| {
        let (schema, user) = prepare(server, "SELECT, INSERT");
        let router = router(server, &user, 1, "unknown_catalogue = \"trust\"");
        run(async {
            let mut first = client(&router, &user, &schema).await;
            let mut second = client(&router, &user, &schema).await;
            // A session's first statement may reset a connection, to see what sessions begin with now.
            assert_eq!(value(&mut second, "SELECT @seen").await, "NULL");
            first.query_drop("INSERT INTO t VALUES (5)").await.unwrap();
            assert_eq!(value(&mut second, "SELECT @seen").await, "5", "nothing is reset where that is asked for");
        });
    });
}

#[test]
fn an_account_is_shown_what_may_meet_its_own_statements() {
    each_server(|server| {
        let (schema, user) = prepare(server, "ALL");
        let router = router(server, &user, 2, "");
        wait_for_log(&router, "are known as far as these accounts may use them");
        run(async {
            let mut first = client(&router, &user, &schema).await;
            let mut second = client(&router, &user, &schema).await;
            first.query_drop("INSERT INTO t VALUES (5)").await.unwrap();
            first.query_drop("SELECT 1").await.unwrap();
            let mine = format!("SELECT CONCAT_WS(' ', @seen, IS_FREE_LOCK('{schema}'))");
            assert_eq!(value(&mut first, &mine).await, "5 0", "the session keeps what its statement left");
            assert_eq!(value(&mut second, "SELECT @seen").await, "NULL");
        });
    });
}

#[test]
fn a_definition_made_through_the_router_counts_soon() {
    each_server(|server| {
        let (schema, user) = prepare(server, "ALL");
        let router = router(server, &user, 4, "catalogue_interval = \"1h\"");
        wait_for_log(&router, "are known as far as");
        run(async {
            let mut first = client(&router, &user, &schema).await;
            let mut second = client(&router, &user, &schema).await;
            first.query_drop("CREATE TABLE later (a INT)").await.unwrap();
            let explain = "EXPLAIN ROUTE INSERT INTO later VALUES (1)";
            let effects = async |conn: &mut Conn| -> String {
                let rows: Vec<(String, String)> = conn.query(explain).await.unwrap();
                format!("{rows:?}")
            };
            assert!(!effects(&mut second).await.contains("hidden_state"));
            let trigger = "CREATE TRIGGER late BEFORE INSERT ON later FOR EACH ROW SET @late = 1";
            first.query_drop(trigger).await.unwrap();
            let until = std::time::Instant::now() + Duration::from_secs(10);
            while !effects(&mut second).await.contains("hidden_state") {
                assert!(std::time::Instant::now() < until, "{}", router.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            second.query_drop("INSERT INTO later VALUES (1)").await.unwrap();
            second.query_drop("SELECT 1").await.unwrap();
            assert_eq!(value(&mut second, "SELECT @late").await, "1");
        });
    });
}

#[tokio::test]
async fn a_view_does_what_its_text_does() {
    let estate = Estate::new();
    let schema = estate.schema().await;
    for sql in [
        "CREATE TABLE seen (a INT)",
        "CREATE FUNCTION note() RETURNS INT DETERMINISTIC BEGIN INSERT INTO seen VALUES (1); RETURN 1; END",
        "CREATE VIEW noted AS SELECT note() AS x",
        "CREATE VIEW through AS SELECT x FROM noted",
        "CREATE VIEW plain AS SELECT a FROM seen",
    ] {
        estate.master.sql(&format!("USE {schema};\nDELIMITER $$\n{sql}$$\n")).unwrap();
    }
    estate.catch_up();
    // Another router: it reads the definitions when it starts.
    let estate = Estate::new();
    let mut conn = estate.connect(Some(&schema)).await;
    for (view, want) in [("noted", "master"), ("through", "master"), ("plain", "replica")] {
        let marked = tag(view);
        conn.query_drop(format!("SELECT '{marked}', v.* FROM {view} v")).await.unwrap();
        assert_eq!(estate.ran_on(&marked), want, "{view}");
    }
    assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM seen").await, "2");
}
