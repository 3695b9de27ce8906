//! Rules mean what they mean in ProxySQL: order, flags, apply, patterns, and every column. All hostgroups are writers here,
//! so that nothing but the rules decides.

mod rules_support;

use rules_support::{route, rule, set, writers};
use std::net::IpAddr;
use switchboard::rules::pattern::{AddressPattern, Modifiers};
use switchboard::rules::{Reason, RuleSettings, Subject};
use switchboard::sql::digest::Digest;

/// The destination and the deciding rule of a statement by these rules, for a user whose default hostgroup is the first
/// writer, 0.
fn goes(rules: &[RuleSettings], subject: &Subject, sql: &str) -> (Vec<u32>, Option<u32>) {
    let route = route(&set(writers(), rules.to_vec()), subject, sql);
    (route.tiers.to_vec(), route.rule_id)
}

fn to(rules: &[RuleSettings], sql: &str) -> (u32, Option<u32>) {
    let (tiers, rule) = goes(rules, &Subject::new("app"), sql);
    assert_eq!(tiers.len(), 1);
    (tiers[0], rule)
}

fn text(rule_id: u32, pattern: &str, destination: u32) -> RuleSettings {
    RuleSettings { match_pattern: Some(pattern.into()), ..rule(rule_id, &[destination]) }
}

fn digest(rule_id: u32, pattern: &str, destination: u32) -> RuleSettings {
    RuleSettings { match_digest: Some(pattern.into()), ..rule(rule_id, &[destination]) }
}

fn apply(rule: RuleSettings) -> RuleSettings {
    RuleSettings { apply: true, ..rule }
}

#[test]
fn order_is_by_rule_id_and_apply_ends() {
    let rules = [apply(text(30, "SELECT", 3)), apply(text(10, "SELECT 1", 1)), apply(text(20, "^SELECT", 2))];
    assert_eq!(to(&rules, "SELECT 1"), (1, Some(10)));
    assert_eq!(to(&rules, "SELECT 2"), (2, Some(20)));
    assert_eq!(to(&rules, "(SELECT 2)"), (3, Some(30)));
    assert_eq!(to(&rules, "UPDATE t SET a = 1"), (0, None));
}

#[test]
fn without_apply_later_rules_override_the_destination() {
    let rules = [text(1, "SELECT", 1), text(2, "FROM t", 2), text(3, "nothing", 3)];
    assert_eq!(to(&rules, "SELECT 1"), (1, Some(1)));
    assert_eq!(to(&rules, "SELECT 1 FROM t"), (2, Some(2)));
    assert_eq!(to(&rules, "DELETE FROM t"), (2, Some(2)));
    // A rule that matches without a destination keeps the one that was named before, and may end the search.
    let rules =
        [text(1, "SELECT", 1), apply(RuleSettings { destination: vec![], ..text(2, "FROM t", 0) }), rule(3, &[3])];
    assert_eq!(to(&rules, "SELECT 1 FROM t"), (1, Some(1)));
    assert_eq!(to(&rules, "DELETE FROM t"), (0, None));
    assert_eq!(to(&rules, "SELECT 1"), (3, Some(3)));
}

#[test]
fn a_rule_without_conditions_matches_everything() {
    assert_eq!(to(&[apply(rule(1, &[5]))], "anything at all"), (5, Some(1)));
}

#[test]
fn inactive_rules_do_not_match() {
    let off = RuleSettings { active: false, ..apply(rule(1, &[5])) };
    assert_eq!(to(&[off, apply(rule(2, &[6]))], "SELECT 1"), (6, Some(2)));
}

#[test]
fn flags_chain_forward() {
    let flagged = |id, flag_in, flag_out: Option<u32>, pattern: &str, destination: Option<u32>| RuleSettings {
        flag_in,
        flag_out,
        match_pattern: Some(pattern.into()),
        destination: destination.into_iter().collect(),
        ..RuleSettings::new(id)
    };
    let rules = [
        flagged(1, 0, Some(7), "SELECT", None),
        flagged(2, 0, None, "", Some(2)),
        flagged(3, 7, Some(8), "FROM a", Some(3)),
        flagged(4, 7, None, "FROM b", Some(4)),
        flagged(5, 8, None, "LIMIT", Some(5)),
        flagged(6, 7, None, "", Some(6)),
    ];
    let rules: Vec<RuleSettings> = rules
        .into_iter()
        .map(|r| RuleSettings { match_pattern: r.match_pattern.filter(|p| !p.is_empty()), ..r })
        .collect();
    // Flag 0 all the way.
    assert_eq!(to(&rules, "UPDATE a"), (2, Some(2)));
    // 0 → 7 → 8: rule 6 is for flag 7 and is not reached.
    assert_eq!(to(&rules, "SELECT FROM a LIMIT"), (5, Some(5)));
    assert_eq!(to(&rules, "SELECT FROM a"), (3, Some(3)));
    // 0 → 7, and rule 6 overrides rule 4.
    assert_eq!(to(&rules, "SELECT FROM b"), (6, Some(6)));
    // A rule that was passed is not come back to: flagOUT = 0 finds no rule before it.
    let back =
        [apply(text(1, "x", 1)), flagged(2, 0, Some(9), "SELECT", None), flagged(3, 9, Some(0), "SELECT", Some(3)), {
            RuleSettings { flag_in: 0, ..rule(4, &[4]) }
        }];
    assert_eq!(to(&back, "SELECT 1"), (4, Some(4)));
}

#[test]
fn a_flag_is_needed_to_enter_a_chain() {
    let inside = RuleSettings { flag_in: 3, ..apply(rule(1, &[5])) };
    assert_eq!(to(&[inside], "SELECT 1"), (0, None));
}

#[test]
fn patterns_see_the_text_and_digests_the_digest() {
    let rules = [
        apply(text(1, "id = 5$", 1)),
        apply(digest(2, r"id = \?$", 2)),
        apply(text(3, "/\\* tag \\*/", 3)),
        apply(digest(4, "/\\* tag \\*/", 4)),
    ];
    assert_eq!(to(&rules, "SELECT c FROM t WHERE id = 5").0, 1);
    assert_eq!(to(&rules, "SELECT c FROM t WHERE id = 6").0, 2);
    // A comment is in the text, and not in the digest.
    assert_eq!(to(&rules, "SELECT /* tag */ 1").0, 3);
}

#[test]
fn negation_is_for_both_patterns() {
    let not = |r: RuleSettings| RuleSettings { negate_match_pattern: true, ..apply(r) };
    assert_eq!(to(&[not(text(1, "^SELECT", 1))], "UPDATE t").0, 1);
    assert_eq!(to(&[not(text(1, "^SELECT", 1))], "SELECT 1").0, 0);
    assert_eq!(to(&[not(digest(1, "^SELECT", 1))], "UPDATE t").0, 1);
    assert_eq!(to(&[not(digest(1, "^SELECT", 1))], "SELECT 1").0, 0);
    // Both given: neither may be found.
    let both = RuleSettings { match_digest: Some("t2".into()), ..not(text(1, "t1", 1)) };
    for (sql, expected) in [("SELECT a FROM t1", 0), ("SELECT a FROM t2", 0), ("SELECT a FROM t3", 1)] {
        assert_eq!(to(std::slice::from_ref(&both), sql).0, expected, "{sql}");
    }
}

#[test]
fn case_counts_only_where_asked() {
    let strict =
        RuleSettings { re_modifiers: Modifiers { caseless: false, global: false }, ..apply(text(1, "^SELECT", 1)) };
    assert_eq!(to(std::slice::from_ref(&strict), "select 1").0, 0);
    assert_eq!(to(std::slice::from_ref(&strict), "SELECT 1").0, 1);
    assert_eq!(to(&[apply(text(1, "^SELECT", 1))], "select 1").0, 1);
}

#[test]
fn digests_match_by_hash() {
    let mut read = Digest::default();
    read.read(b"SELECT c FROM t WHERE id = 1", Default::default());
    let rules = [RuleSettings { digest: Some(read.hash), ..apply(rule(1, &[5])) }];
    assert_eq!(to(&rules, "SELECT  c FROM t WHERE id = 77").0, 5);
    assert_eq!(to(&rules, "SELECT d FROM t WHERE id = 77").0, 0);
}

#[test]
fn who_and_from_where() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let rules = [
        RuleSettings { username: Some("report".into()), ..apply(rule(1, &[1])) },
        RuleSettings { schemaname: Some("cdr".into()), ..apply(rule(2, &[2])) },
        RuleSettings { client_addr: Some(AddressPattern::parse("10.1.%").unwrap()), ..apply(rule(3, &[3])) },
        RuleSettings { proxy_addr: Some(ip("127.0.0.2")), ..apply(rule(4, &[4])) },
        RuleSettings { proxy_port: Some(6034), ..apply(rule(5, &[5])) },
    ];
    let app = || Subject::new("app");
    let table = [
        (Subject::new("report"), 1),
        (Subject::new("Report"), 0),
        (app().with_schema(Some("cdr")), 2),
        (app().with_schema(Some("CDR")), 0),
        (app().with_addresses(Some(ip("10.1.2.3")), None, 0), 3),
        (app().with_addresses(Some(ip("10.2.2.3")), None, 0), 0),
        (app().with_addresses(Some(ip("10.2.2.3")), Some(ip("127.0.0.2")), 6033), 4),
        (app().with_addresses(Some(ip("10.2.2.3")), Some(ip("127.0.0.3")), 6034), 5),
        (app(), 0),
    ];
    let rules = set(writers(), rules.to_vec());
    for (subject, expected) in table {
        assert_eq!(*route(&rules, &subject, "SELECT 1").tiers, [expected], "{subject:?}");
    }
}

#[test]
fn all_conditions_of_a_rule_must_hold() {
    let rules = [RuleSettings {
        username: Some("report".into()),
        schemaname: Some("cdr".into()),
        match_digest: Some("FROM t".into()),
        ..apply(text(1, "id = 5", 1))
    }];
    let subject = |user: &str, schema| Subject::new(user).with_schema(Some(schema));
    assert_eq!(goes(&rules, &subject("report", "cdr"), "SELECT a FROM t WHERE id = 5").0, [1]);
    for (user, schema, sql) in [
        ("app", "cdr", "SELECT a FROM t WHERE id = 5"),
        ("report", "org", "SELECT a FROM t WHERE id = 5"),
        ("report", "cdr", "SELECT a FROM u WHERE id = 5"),
        ("report", "cdr", "SELECT a FROM t WHERE id = 6"),
    ] {
        assert_eq!(goes(&rules, &subject(user, schema), sql).0, [0], "{user} {schema} {sql}");
    }
}

#[test]
fn error_msg_and_ok_msg_answer_and_end() {
    let refuse = RuleSettings { error_msg: Some("no DROP here".into()), ..text(1, "^DROP", 9) };
    let okay = RuleSettings { ok_msg: Some("thanks".into()), destination: vec![], ..text(2, "^OPTIMIZE", 9) };
    let rules = set(writers(), vec![refuse, okay, apply(rule(3, &[4]))]);
    let subject = Subject::new("app");
    let refused = route(&rules, &subject, "DROP TABLE t");
    assert_eq!(refused.refusal.as_deref(), Some("no DROP here"));
    assert!(refused.tiers.is_empty() && refused.is_answered());
    assert_eq!(refused.reason, Reason::Answered(1));
    let answered = route(&rules, &subject, "OPTIMIZE TABLE t");
    assert_eq!(answered.ok_msg.as_deref(), Some("thanks"));
    assert!(answered.tiers.is_empty() && answered.is_answered() && answered.refusal.is_none());
    assert_eq!(*route(&rules, &subject, "SELECT 1").tiers, [4]);
}

#[test]
fn log_is_asked_for_by_any_rule_that_matches() {
    let rules = set(
        writers(),
        vec![RuleSettings { log: true, destination: vec![], ..text(1, "secret", 0) }, apply(rule(2, &[4]))],
    );
    let subject = Subject::new("app");
    let route = |sql| route(&rules, &subject, sql);
    assert_eq!((route("SELECT secret").log, route("SELECT secret").rule_id), (true, Some(2)));
    assert_eq!((route("SELECT 1").log, route("SELECT 1").rule_id), (false, Some(2)));
}

#[test]
fn several_hostgroups_are_tiers_in_order() {
    let (tiers, _) = goes(&[apply(rule(1, &[30, 10, 20]))], &Subject::new("app"), "SELECT 1");
    assert_eq!(tiers, [30, 10, 20]);
}

#[test]
fn the_default_hostgroup_is_the_users() {
    let settings = switchboard::rules::RuleSetSettings {
        hostgroups: writers(),
        default_hostgroups: vec![("app".into(), 42)],
        ..Default::default()
    };
    let rules = switchboard::rules::RuleSet::build(settings).unwrap();
    assert_eq!(*route(&rules, &Subject::new("app"), "SELECT 1").tiers, [42]);
    assert_eq!(*route(&rules, &Subject::new("other"), "SELECT 1").tiers, [0]);
    assert_eq!(route(&rules, &Subject::new("app"), "SELECT 1").reason, Reason::DefaultHostgroup);
}

#[test]
fn the_estates_three_rules_work_as_they_stand() {
    let rules = [
        apply(text(1, "^INSERT|^UPDATE|^DELETE", 10)),
        apply(text(2, "WHERE.*date.*<.*DATE_SUB", 20)),
        apply(text(3, "^SELECT", 20)),
    ];
    let table = [
        ("INSERT INTO call_records VALUES (1)", 10, Some(1)),
        ("update call_records set a = 1", 10, Some(1)),
        ("DELETE FROM call_events WHERE event_date < DATE_SUB(NOW(), INTERVAL 90 DAY)", 10, Some(1)),
        ("SELECT * FROM call_records WHERE call_date < DATE_SUB(NOW(), INTERVAL 90 DAY)", 20, Some(2)),
        ("TABLE x WHERE date < DATE_SUB(NOW(), INTERVAL 1 DAY)", 20, Some(2)),
        ("select 1", 20, Some(3)),
        // Not anchored by anything: no rule, so the user's default.
        (" SELECT 1", 0, None),
        ("/* a */ SELECT 1", 0, None),
        ("REPLACE INTO t VALUES (1)", 0, None),
        ("SET NAMES utf8", 0, None),
        // `.` does not cross lines, in ProxySQL as here.
        ("SELECT 1 WHERE\ndate < DATE_SUB(NOW(), INTERVAL 1 DAY)", 20, Some(3)),
    ];
    for (sql, hostgroup, rule) in table {
        assert_eq!(to(&rules, sql), (hostgroup, rule), "{sql}");
    }
}

/// What a plan leaves out must not change any outcome: small rule sets, made at random, against a search through all rules
/// that is written down as plainly as it can be.
#[test]
fn plans_decide_as_a_plain_search_does() {
    let mut seed = 0x5EED_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    // Two that are long enough to be filed under, one of them within the other.
    let words = ["a", "bravo", "c", "bravo delta"];
    for round in 0..2_000 {
        let count = 1 + random(8) as u32;
        // Flags in every second round: plans without any are cut shorter.
        let flags = if round % 2 == 0 { 5 } else { 1 };
        let rules: Vec<RuleSettings> = (1..=count)
            .map(|id| RuleSettings {
                flag_in: if flags == 1 { 0 } else { random(3) as u32 },
                flag_out: [None, None, Some(0), Some(1), Some(2)][random(flags) as usize],
                match_pattern: [None, Some(words[random(4) as usize].into())][random(2) as usize].clone(),
                match_digest: [None, None, Some(words[random(4) as usize].into())][random(3) as usize].clone(),
                negate_match_pattern: random(4) == 0,
                username: [None, None, None, Some(["u", "v"][random(2) as usize].into())][random(4) as usize].clone(),
                apply: random(3) == 0,
                error_msg: (random(12) == 0).then(|| "no".into()),
                destination: if random(3) == 0 { vec![] } else { vec![id] },
                ..RuleSettings::new(id)
            })
            .collect();
        let set = set(writers(), rules.clone());
        for user in ["u", "v", "w"] {
            for mask in 0..16u32 {
                let sql: Vec<&str> = (0..4).filter(|i| mask & (1 << i) != 0).map(|i| words[i as usize]).collect();
                let sql = format!("x {}", sql.join(" "));
                let found = route(&set, &Subject::new(user), &sql);
                let expected = plainly(&rules, user, &sql);
                let got = if found.refusal.is_some() { None } else { Some(found.tiers[0]) };
                assert_eq!(got, expected, "round {round}, user {user}, {sql}: {rules:#?}");
            }
        }
    }
}

/// The destination, or none where the statement is refused.
fn plainly(rules: &[RuleSettings], user: &str, sql: &str) -> Option<u32> {
    let (mut flag, mut destination) = (0, 0);
    for rule in rules {
        let found = |pattern: &Option<Box<str>>| {
            pattern.as_ref().is_none_or(|p| sql.contains(&**p) != rule.negate_match_pattern)
        };
        let matches = rule.flag_in == flag
            && rule.username.as_deref().is_none_or(|u| u == user)
            && found(&rule.match_digest)
            && found(&rule.match_pattern);
        if !matches {
            continue;
        }
        if rule.error_msg.is_some() {
            return None;
        }
        destination = rule.destination.first().copied().unwrap_or(destination);
        flag = rule.flag_out.unwrap_or(flag);
        if rule.apply {
            break;
        }
    }
    Some(destination)
}
