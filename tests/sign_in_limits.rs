//! Who may not come in, and how often they may try.

mod admin_support;
mod common;
mod traffic_support;

use admin_support::{connect, run, with_servers};
use common::http::metrics;
use common::{MariaDb, Router};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use traffic_support::{config, options};

async fn refusal(options: OptsBuilder) -> Option<u16> {
    match Conn::new(options).await {
        Err(Error::Server(error)) => Some(error.code),
        Err(other) => panic!("not a server's error: {other}"),
        Ok(_) => None,
    }
}

fn router(top: &str) -> Router {
    let (master, replica) = MariaDb::shared_pair();
    let text = config(master.port(), replica.port(), top);
    Router::with_config(&format!("{text}\n[http]\naddress = \"{{http}}\"\n"), &[])
}

/// Thirty clients try passwords as fast as they can, while somebody else signs in from the same address.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_slowed_and_nobody_else_is() {
    let router = router("");
    let wrong = || options(&router, None).user(Some("root")).pass(Some("guess"));
    let (judged, refused) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let until = Instant::now() + Duration::from_secs(3);
    let mut guessers = Vec::new();
    for _ in 0..30 {
        let (wrong, judged, refused) = (wrong(), Arc::clone(&judged), Arc::clone(&refused));
        guessers.push(tokio::spawn(async move {
            while Instant::now() < until {
                match refusal(wrong.clone()).await {
                    Some(1045) => judged.fetch_add(1, Relaxed),
                    Some(1129) => refused.fetch_add(1, Relaxed),
                    other => panic!("{other:?}"),
                };
            }
        }));
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let from = Instant::now();
        let mut conn = Conn::new(options(&router, None)).await.unwrap();
        conn.query_drop("SELECT 1").await.unwrap();
        slowest = slowest.max(from.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for guesser in guessers {
        guesser.await.unwrap();
    }
    let (judged, refused) = (judged.load(Relaxed), refused.load(Relaxed));
    // Ten are free, and those that were under way when the tenth was judged; then at most one in two seconds.
    assert!(judged <= 60, "{judged} passwords were judged in three seconds");
    assert!(refused > 0, "those who crowd are told so");
    assert!(slowest < Duration::from_secs(1), "another user from the same address waited {slowest:?}");
    assert!(metrics(&router)["switchboard_sign_ins_slowed_total"] >= f64::from(refused));
}

#[tokio::test]
async fn a_right_password_ends_the_waits_and_the_limit_can_be_turned_off() {
    let strict = router("[limits]\nwrong_passwords = 2\n[timeouts]\nwrong_password = \"640ms\"");
    let wrong = |router: &Router| options(router, None).pass(Some("guess"));
    let from = Instant::now();
    for _ in 0..7 {
        assert_eq!(refusal(wrong(&strict)).await, Some(1045));
    }
    // 20, 40, 80, 160 and 320 ms.
    assert!(from.elapsed() > Duration::from_millis(620), "{:?}", from.elapsed());
    assert_eq!(refusal(options(&strict, None)).await, None, "the right one is let in after its wait");
    let from = Instant::now();
    assert_eq!(refusal(wrong(&strict)).await, Some(1045));
    assert_eq!(refusal(options(&strict, None)).await, None);
    assert!(from.elapsed() < Duration::from_millis(500), "{:?}", from.elapsed());
    let lax = router("[limits]\nwrong_passwords = 0");
    let from = Instant::now();
    for _ in 0..30 {
        assert_eq!(refusal(wrong(&lax)).await, Some(1045));
    }
    assert!(from.elapsed() < Duration::from_secs(3), "{:?}", from.elapsed());
}

/// ProxySQL's row of a user for the servers alone.
#[tokio::test]
async fn who_is_known_behind_alone_may_not_sign_in() {
    let (router, _) = with_servers("[[rule]]\nrule_id = 1\ndestination_hostgroup = 10\n");
    let mut admin = connect(&router, "admin").await;
    assert_eq!(refusal(options(&router, None)).await, None);
    run(&mut admin, &["UPDATE mysql_users SET frontend = 0 WHERE username = 'app'", "LOAD MYSQL USERS TO RUNTIME"])
        .await;
    assert_eq!(refusal(options(&router, None)).await, Some(1045));
    run(&mut admin, &["UPDATE mysql_users SET frontend = 1 WHERE username = 'app'", "LOAD MYSQL USERS TO RUNTIME"])
        .await;
    assert_eq!(refusal(options(&router, None)).await, None);
}
