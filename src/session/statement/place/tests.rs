//! Places as tables: the route, what the statement does, what the session holds, and where it then goes.

use super::*;
use crate::rules::Reason;
use std::sync::Arc;

fn route(tiers: &[u32], reader_safe: bool, writer_holds: Holds) -> Route {
    Route {
        tiers: tiers.into(),
        excluded: Arc::from([]),
        unbounded: false,
        reason: Reason::Rule(1),
        rule_id: Some(1),
        refusal: None,
        ok_msg: None,
        reader_safe,
        writer: 10,
        writer_holds,
        log: false,
    }
}

fn read() -> Route {
    route(&[20, 30], true, Holds::Yes)
}

fn write() -> Route {
    route(&[10], false, Holds::Yes)
}

fn writer(pins: Pins) -> Option<Held> {
    Some(Held { hostgroup: 10, writer: true, pins })
}

fn reader(pins: Pins) -> Option<Held> {
    Some(Held { hostgroup: 20, writer: false, pins })
}

const READ: Effects = Effects::READ.union(Effects::READ_TABLE);

#[test]
fn a_session_that_holds_nothing_follows_the_route() {
    let free = Standing::default();
    assert_eq!(place(&read(), READ, &free).0, Place::Route);
    assert_eq!(place(&write(), Effects::WRITE, &free).0, Place::Route);
}

#[test]
fn whatever_holds_everything_holds_reads_too() {
    for pin in Pins::EVERYTHING.iter() {
        let standing = Standing { home: writer(pin), ..Standing::default() };
        assert_eq!(place(&read(), READ, &standing), (Place::Home, Why::Pinned), "{pin:?}");
        assert_eq!(place(&write(), Effects::WRITE, &standing).0, Place::Home, "{pin:?}");
    }
}

#[test]
fn other_pins_let_reads_go_that_do_not_need_them() {
    for pin in [Pins::USER_VARIABLE, Pins::USER_LOCK, Pins::TEXT_PREPARE, Pins::INSERT_ID] {
        let standing = Standing { home: writer(pin), ..Standing::default() };
        assert_eq!(place(&read(), READ, &standing).0, Place::Route, "{pin:?}");
        let reads_variable = READ | Effects::READ_USER_VARIABLE;
        assert_eq!(place(&write(), reads_variable, &standing), (Place::Home, Why::Unsafe), "{pin:?}");
    }
}

#[test]
fn without_autocommit_a_read_opens_its_transaction_where_the_session_is() {
    let manual = Standing { autocommit_off: true, ..Standing::default() };
    assert_eq!(place(&read(), READ, &manual), (Place::Writer, Why::OpensTransaction));
    let held = Standing { home: writer(Pins::TEXT_PREPARE), ..manual };
    assert_eq!(place(&read(), READ, &held), (Place::Home, Why::OpensTransaction));
    assert_eq!(place(&route(&[20], true, Holds::No), READ, &manual).0, Place::Refuse);
    assert_eq!(place(&write(), Effects::WRITE, &manual).0, Place::Route);
}

#[test]
fn a_read_is_never_answered_from_where_its_rows_were_purged() {
    let historical = route(&[20], true, Holds::No);
    for pin in [Pins::TRANSACTION, Pins::TEMPORARY_TABLE, Pins::AUTOCOMMIT_OFF] {
        let standing = Standing { home: writer(pin), ..Standing::default() };
        assert_eq!(place(&historical, READ, &standing).0, Place::Refuse, "{pin:?}");
    }
    // By id, inside a transaction: the transaction's own view is what was asked for.
    let by_id = route(&[20], true, Holds::Unknown);
    let standing = Standing { home: writer(Pins::TRANSACTION), ..Standing::default() };
    assert_eq!(place(&by_id, READ, &standing).0, Place::Home);
}

#[test]
fn reads_follow_a_write_unless_their_rows_are_elsewhere() {
    let wrote = Standing { wrote_lately: Wrote::Itself, ..Standing::default() };
    for (holds, want) in [(Holds::Yes, Place::Writer), (Holds::Unknown, Place::Writer), (Holds::No, Place::Route)] {
        assert_eq!(place(&route(&[20], true, holds), READ, &wrote).0, want, "{holds:?}");
    }
    let held = Standing { home: writer(Pins::INSERT_ID), wrote_lately: Wrote::Itself, ..Standing::default() };
    assert_eq!(place(&read(), READ, &held), (Place::Home, Why::ReadYourWrites));
    let goes_there_anyway = route(&[10], true, Holds::Yes);
    assert_eq!(place(&goes_there_anyway, READ, &wrote).0, Place::Route);
}

/// With heartbeats it is not settled here who has the write.
#[test]
fn by_watermark_a_read_goes_to_who_has_the_write() {
    let user = |whole| Wrote::User { writer_is_whole: whole };
    for wrote in [Wrote::Itself, user(true), user(false)] {
        let wrote = Standing { wrote_lately: wrote, by_watermark: true, ..Standing::default() };
        for holds in [Holds::Yes, Holds::Unknown, Holds::No] {
            assert_eq!(place(&route(&[20], true, holds), READ, &wrote).0, Place::Fresh, "{holds:?}");
        }
        let begin = route(&[20], false, Holds::Yes);
        assert_eq!(place(&begin, Effects::BEGIN_READ_ONLY, &wrote).0, Place::Fresh);
        assert_eq!(place(&write(), Effects::WRITE, &wrote).0, Place::Route);
        let goes_there_anyway = route(&[10], true, Holds::Yes);
        assert_eq!(place(&goes_there_anyway, READ, &wrote).0, Place::Route);
    }
    // A reader that comes after the writer is asked while that is down.
    let own = Standing { wrote_lately: Wrote::Itself, by_watermark: true, ..Standing::default() };
    assert_eq!(place(&route(&[10, 20], true, Holds::Yes), READ, &own).0, Place::Fresh);
    let nobody = Standing { by_watermark: true, ..Standing::default() };
    assert_eq!(place(&read(), READ, &nobody).0, Place::Route);
    // What holds everything holds such a read, too.
    let held = Standing { home: writer(Pins::TRANSACTION), wrote_lately: Wrote::Itself, ..nobody };
    assert_eq!(place(&read(), READ, &held), (Place::Home, Why::Pinned));
}

#[test]
fn results_are_asked_for_where_they_are() {
    let ask = |effects| READ | effects;
    let (id, count, rows, warnings) =
        (Effects::NEEDS_INSERT_ID, Effects::NEEDS_ROW_COUNT, Effects::NEEDS_FOUND_ROWS, Effects::NEEDS_WARNINGS);
    let home = writer(Pins::INSERT_ID);
    let last = reader(Pins::WARNINGS);
    let cases = [
        (Standing::default(), id, Place::Writer),
        (Standing::default(), warnings, Place::Previous),
        (Standing { home, previous_at_home: true, ..Standing::default() }, id, Place::Home),
        (Standing { home, previous_at_home: true, ..Standing::default() }, count, Place::Home),
        (Standing { home, previous_at_home: false, ..Standing::default() }, count, Place::Previous),
        (Standing { home, last, ..Standing::default() }, id, Place::Home),
        (Standing { home, last, ..Standing::default() }, rows, Place::Last),
        (Standing { last, ..Standing::default() }, warnings, Place::Last),
        (Standing { home: writer(Pins::TRANSACTION), last, ..Standing::default() }, count, Place::Home),
    ];
    for (standing, effect, want) in cases {
        assert_eq!(place(&write(), ask(effect), &standing).0, want, "{effect:?} {standing:?}");
    }
    let sets_too = ask(count) | Effects::SET_USER_VARIABLE;
    let both = Standing { home, last, ..Standing::default() };
    assert_eq!(place(&write(), sets_too, &both).0, Place::Last, "its variable is carried home");
    let pinned = Standing { home: writer(Pins::USER_VARIABLE), ..Standing::default() };
    assert_eq!(place(&write(), sets_too, &pinned).0, Place::Previous);

    let writes_too = ask(rows) | Effects::WRITE;
    let nowhere = Standing { home, ..Standing::default() };
    assert_eq!(place(&write(), writes_too, &nowhere).0, Place::PreviousAsHome, "an insert id is carried");
    let on_writer = Standing { home, last: writer(Pins::WARNINGS), ..Standing::default() };
    assert_eq!(place(&write(), writes_too, &on_writer).0, Place::PreviousAsHome);
    assert_eq!(place(&write(), writes_too, &both).0, Place::PreviousAsHome);
    assert_eq!(
        place(&write(), writes_too, &pinned).0,
        Place::Home,
        "its variables are there: what is known is left again"
    );
    let on_reader = Standing { last, ..Standing::default() };
    assert_eq!(place(&write(), writes_too, &on_reader).0, Place::Previous, "no write runs on a reader");
    let on_writer = Standing { last: writer(Pins::WARNINGS), ..Standing::default() };
    assert_eq!(place(&write(), writes_too, &on_writer).0, Place::Last);
    let held_on_reader = Standing { home: reader(Pins::HISTORY), previous_at_home: true, ..Standing::default() };
    assert_eq!(place(&write(), writes_too, &held_on_reader).0, Place::Refuse, "no write runs on a reader");
    let reads_variables = sets_too | Effects::READ_USER_VARIABLE;
    assert_eq!(place(&write(), reads_variables, &pinned).0, Place::Home, "they are at home");
}

#[test]
fn a_read_only_transaction_on_a_reader() {
    let standing = Standing { home: reader(Pins::TRANSACTION), ..Standing::default() };
    let cases = [
        (read(), READ, Place::Home),
        (write(), Effects::COMMIT, Place::Home),
        (write(), Effects::ROLLBACK | Effects::RELEASE, Place::Home),
        (write(), Effects::SAVEPOINT, Place::Home),
        (write(), Effects::UNLOCK_TABLES, Place::Home),
        (write(), Effects::BEGIN, Place::EndReadOnly),
        (write(), Effects::DDL | Effects::IMPLICIT_COMMIT, Place::EndReadOnly),
        (write(), Effects::WRITE, Place::ReadOnlyTransaction),
        (write(), READ | Effects::LOCK_ROWS, Place::ReadOnlyTransaction),
        (write(), Effects::UNPROVEN, Place::ReadOnlyTransaction),
    ];
    for (route, effects, want) in cases {
        assert_eq!(place(&route, effects, &standing).0, want, "{effects:?}");
    }
    let purged_there = Route { excluded: Arc::from([20]), ..route(&[30], true, Holds::Unknown) };
    assert_eq!(place(&purged_there, READ, &standing).0, Place::Refuse, "its server may lack the rows");
}

#[test]
fn a_read_only_transaction_follows_a_write_like_a_read() {
    let begin = route(&[20], false, Holds::Yes);
    let effects = Effects::BEGIN | Effects::BEGIN_READ_ONLY;
    assert_eq!(place(&begin, effects, &Standing::default()).0, Place::Route);
    let wrote = Standing { wrote_lately: Wrote::Itself, ..Standing::default() };
    assert_eq!(place(&begin, effects, &wrote), (Place::Writer, Why::ReadYourWrites));
    // Another session's write as well, unless that would keep it from old rows for as long as its user writes.
    let user = |writer_is_whole| Standing { wrote_lately: Wrote::User { writer_is_whole }, ..Standing::default() };
    assert_eq!(place(&begin, effects, &user(true)), (Place::Writer, Why::ReadUserWrites));
    assert_eq!(place(&begin, effects, &user(false)).0, Place::Route);
}

#[test]
fn reads_follow_another_sessions_write_where_their_rows_are_proven_to_be() {
    for writer_is_whole in [true, false] {
        let wrote = Standing { wrote_lately: Wrote::User { writer_is_whole }, ..Standing::default() };
        for (holds, want) in [(Holds::Yes, Place::Writer), (Holds::Unknown, Place::Route), (Holds::No, Place::Route)] {
            assert_eq!(place(&route(&[20], true, holds), READ, &wrote).0, want, "{holds:?}");
        }
    }
    let wrote_lately = Wrote::User { writer_is_whole: true };
    let held = Standing { home: writer(Pins::INSERT_ID), wrote_lately, ..Standing::default() };
    assert_eq!(place(&read(), READ, &held), (Place::Home, Why::ReadUserWrites));
    let in_transaction = Standing { home: reader(Pins::TRANSACTION), wrote_lately, ..Standing::default() };
    assert_eq!(place(&read(), READ, &in_transaction), (Place::Home, Why::Pinned), "its view is as old as it is");
}

#[test]
fn what_is_not_safe_runs_on_no_reader_whatever_holds_the_session_there() {
    for pin in Pins::all().iter() {
        let standing = Standing { home: reader(pin), ..Standing::default() };
        let (got, _) = place(&write(), Effects::WRITE, &standing);
        assert!(matches!(got, Place::Refuse | Place::ReadOnlyTransaction), "{pin:?}: {got:?}");
    }
}

#[test]
fn a_session_needs_no_second_connection_where_it_holds_one_that_it_cannot_outlive() {
    let there = route(&[10], true, Holds::Yes);
    for (pins, want) in [
        (Pins::USER_VARIABLE, Place::Home),
        (Pins::ROUTINE | Pins::INSERT_ID, Place::Home),
        // Without this connection it goes on, and so do its reads.
        (Pins::INSERT_ID, Place::Route),
    ] {
        let standing = Standing { home: writer(pins), ..Standing::default() };
        assert_eq!(place(&there, READ, &standing), (want, Why::Route), "{pins:?}");
        assert_eq!(place(&read(), READ, &standing).0, Place::Route, "{pins:?}: readers have it");
        let of_one_engine = READ | Effects::MARIADB_ONLY;
        assert_eq!(place(&there, of_one_engine, &standing).0, Place::Route, "{pins:?}: a server of that engine");
    }
}

#[test]
fn a_schema_may_be_changed_in_a_transaction_on_a_reader() {
    let standing = Standing { home: reader(Pins::TRANSACTION), ..Standing::default() };
    assert_eq!(place(&write(), Effects::SET_SCHEMA, &standing).0, Place::Home);
    assert_eq!(place(&write(), Effects::SET_SCHEMA | Effects::WRITE, &standing).0, Place::ReadOnlyTransaction);
}

#[test]
fn only_what_asks_for_counters_alone_goes_after_them() {
    let of = |sql: &str| crate::sql::classify::classify(sql.as_bytes(), crate::sql::LexMode::default()).effects;
    for sql in ["SHOW STATUS", "SHOW SESSION STATUS LIKE 'Handler%'", "SHOW LOCAL STATUS WHERE Value > 0"] {
        assert!(of(sql).is_about_counters(), "{sql}");
    }
    for sql in [
        "SHOW GLOBAL STATUS",
        "SHOW STATUS; UPDATE t SET a = 1",
        "INSERT INTO audit SELECT * FROM performance_schema.session_status",
        "SHOW STATUS WHERE Value > @a",
        "SHOW VARIABLES",
    ] {
        assert!(!of(sql).is_about_counters(), "{sql}");
    }
}
