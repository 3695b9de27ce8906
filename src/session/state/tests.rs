//! States by value: what a session's settings mean for how it is read, which are equal, and what servers refuse.

use super::*;

fn state(values: &[(&str, &str)]) -> State {
    over(&Rc::default(), values)
}

fn over(base: &Rc<Base>, values: &[(&str, &str)]) -> State {
    let mut all = Values::new(None, Rc::clone(base));
    values.iter().for_each(|(name, said)| all.set(name, Value::read(name, said)));
    State::new(all)
}

#[test]
fn how_statements_are_read_follows_from_the_values() {
    let ansi = state(&[("sql_mode", "ANSI,NO_BACKSLASH_ESCAPES")]);
    assert!(ansi.lex_mode.ansi_quotes && ansi.lex_mode.no_backslash_escapes);
    assert!(state(&[("character_set_client", "gbk")]).lex_mode.foreign_charset);
    let base = Rc::new(Base::of(&[("sql_mode", "ANSI_QUOTES"), ("character_set_client", "sjis")], "UTC"));
    assert!(over(&base, &[]).lex_mode.ansi_quotes && over(&base, &[]).lex_mode.foreign_charset);
    let own = over(&base, &[("sql_mode", ""), ("character_set_client", "utf8mb4")]);
    assert!(!own.lex_mode.ansi_quotes && !own.lex_mode.foreign_charset);
}

#[test]
fn what_a_session_began_with_is_no_setting_of_its_own() {
    let base = Rc::new(Base::of(&[("sql_mode", "ANSI"), ("wait_timeout", "100")], "UTC"));
    let mut values = Values::new(None, Rc::clone(&base));
    values.set("sql_mode", Value::read("sql_mode", "ANSI"));
    assert_eq!(values.own().count(), 0);
    assert_eq!(values.value("sql_mode").map(Value::text), Some("ANSI"));
    assert_eq!(values.value("wait_timeout"), None, "each server's own affair");
    values.set("sql_mode", Value::read("sql_mode", ""));
    let elsewhere = Rc::new(Base::of(&[("sql_mode", "")], "UTC"));
    assert_eq!(values.over(elsewhere).own().count(), 0);
}

#[test]
fn time_zones_by_offset_and_by_name() {
    let zone = |value: &str| state(&[("time_zone", value)]).time_zone;
    assert_eq!(zone("+02:30").map(|z| z.to_fixed_offset().unwrap().seconds()), Some(9000));
    assert_eq!(zone("-08:00").map(|z| z.to_fixed_offset().unwrap().seconds()), Some(-28_800));
    assert_eq!(zone("Europe/London").and_then(|z| z.iana_name().map(str::to_owned)).as_deref(), Some("Europe/London"));
    assert_eq!(zone("SYSTEM"), None);
    assert_eq!(zone("+99:99"), None);
    assert!(!state(&[("time_zone", "SYSTEM")]).has_own_clock());
    assert!(state(&[("time_zone", "Nowhere/Nothing")]).has_own_clock());
    assert!(state(&[("timestamp", "100.5")]).has_own_clock());
}

#[test]
fn settings_whose_answers_hang_on_one_connection_hold_it() {
    let recorded = Pins::HISTORY | Pins::RECORDED;
    let trace = ("optimizer_trace", "enabled=on,one_line=off");
    for ((name, said), pins) in
        [(("profiling", "1"), recorded), (("sql_auto_is_null", "ON"), Pins::HISTORY), (trace, recorded)]
    {
        assert_eq!(state(&[(name, said)]).pins, pins, "{name}");
    }
    assert_eq!(state(&[("optimizer_trace", "enabled=off,one_line=off")]).pins, Pins::empty());
}

#[test]
fn a_refusal_is_one_servers_and_not_for_ever() {
    let state = state(&[("time_zone", "Europe/London")]);
    let refusal = |code| Refusal { backend: BackendId(1), at: 100, code, sqlstate: *b"HY000", message: String::new() };
    state.refuse(refusal(1049));
    assert_eq!(state.refused_by(BackendId(1), 105), None, "a schema may be there the next time");
    state.refuse(refusal(1298));
    assert_eq!(state.refused_by(BackendId(1), 105), Some(refusal(1298)));
    assert_eq!(state.refused_by(BackendId(2), 105), None);
    assert_eq!(state.refused_by(BackendId(1), 110), None);
}

#[test]
fn equal_states_are_one() {
    let interner = Interner::default();
    let base = interner.base(Base::of(&[("sql_mode", "ANSI")], "UTC"));
    assert!(Rc::ptr_eq(&base, &interner.base(Base::of(&[("sql_mode", "ANSI")], "UTC"))));
    let in_schema = |schema: Option<&str>| interner.intern(Values::new(schema.map(Into::into), Rc::clone(&base)));
    assert!(Rc::ptr_eq(&in_schema(Some("x")), &in_schema(Some("x"))));
    assert!(!Rc::ptr_eq(&in_schema(Some("x")), &in_schema(None)));
}

#[test]
fn sessions_begin_in_one_state() {
    let interner = Interner::default();
    let unmet = interner.unmet(Some("x"));
    assert!(!unmet.has_base && Rc::ptr_eq(&unmet, &interner.unmet(Some("x"))));
    assert!(!Rc::ptr_eq(&unmet, &interner.unmet(None)));
    let base = interner.base(Base::of(&[("sql_mode", "ANSI")], "UTC"));
    let met = interner.over(&unmet.values, Rc::clone(&base));
    assert!(met.has_base && Rc::ptr_eq(&met, &interner.begun(Some("x"), &base)));
    assert!(Rc::ptr_eq(&met, &interner.intern(Values::new(Some("x".into()), Rc::clone(&base)))));
    let mut set = unmet.values.clone();
    set.set("sql_notes", Value::read("sql_notes", "0"));
    let set = interner.over(&set, base);
    assert!(!Rc::ptr_eq(&set, &met) && set.values.value("sql_notes").is_some_and(Value::is_off));
}
