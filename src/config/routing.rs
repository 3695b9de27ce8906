//! Reads `[[rule]]`, `[[fast_route]]`, `[[table]]` and `[routing]` into the settings types of `rules`.
//!
//! It checks each entry by itself and names ProxySQL's columns that are not supported. Whether the rules fit together
//! (hostgroups that exist, horizons) is checked by [`crate::rules::RuleSet`] when it is built.

use super::reader::Section;
use crate::rules::pattern::{AddressPattern, Modifiers, TablePattern};
use crate::rules::rule::{EFFECT_GROUPS, effects_named};
use crate::rules::{FastRoute, HorizonKind, RuleSettings, TableSettings};
use crate::sql::effects::Effects;
use crate::sql::predicate::{TimeColumn, TimeUnit};

/// ProxySQL's columns that Switchboard does not have, so that the message is better than "not known".
const NOT_YET: &str = "is ProxySQL's, and not supported";
const RESERVED: [(&str, &str); 16] = [
    ("replace_pattern", NOT_YET),
    ("cache_ttl", NOT_YET),
    ("cache_empty_result", NOT_YET),
    ("cache_timeout", NOT_YET),
    ("reconnect", NOT_YET),
    ("timeout", NOT_YET),
    ("retries", NOT_YET),
    ("delay", NOT_YET),
    ("next_query_flagIN", NOT_YET),
    ("mirror_flagOUT", NOT_YET),
    ("mirror_hostgroup", NOT_YET),
    ("sticky_conn", NOT_YET),
    ("multiplex", "is ProxySQL's; sessions pin and unpin by themselves here"),
    ("gtid_from_hostgroup", NOT_YET),
    ("attributes", NOT_YET),
    ("hostgroup", "is spelled `destination_hostgroup` in a rule"),
];

/// Reads one `[[rule]]`.
pub(super) fn rule(section: &Section<'_>) -> Option<RuleSettings> {
    let id = section.small("rule_id", 0..=u32::MAX);
    if !section.contains("rule_id") {
        section.fault("", "rule_id is missing");
    }
    let defaults = RuleSettings::new(0);
    let mut rule = RuleSettings {
        rule_id: id.unwrap_or_default(),
        active: section.flag("active").unwrap_or(true),
        username: filled(section, "username"),
        schemaname: filled(section, "schemaname"),
        flag_in: section.small("flagIN", 0..=u32::MAX).unwrap_or(0),
        client_addr: section.parsed("client_addr", AddressPattern::parse),
        proxy_addr: section.parsed("proxy_addr", |t| t.parse().map_err(|_| format!("`{t}` is no IP address"))),
        proxy_port: section.small("proxy_port", 1..=65_535).and_then(|p| p.try_into().ok()),
        digest: section.parsed("digest", digest),
        // Not substituted: `${` may be meant.
        match_digest: pattern(section, "match_digest"),
        match_pattern: pattern(section, "match_pattern"),
        negate_match_pattern: section.flag("negate_match_pattern").unwrap_or(false),
        re_modifiers: modifiers(section).unwrap_or(defaults.re_modifiers),
        flag_out: section.small("flagOUT", 0..=u32::MAX),
        destination: destination(section),
        apply: section.flag("apply").unwrap_or(false),
        error_msg: section.raw_text("error_msg").map(Into::into),
        ok_msg: section.raw_text("OK_msg").map(Into::into),
        log: section.flag("log").unwrap_or(false),
        comment: section.text("comment").unwrap_or_default().into(),
        effect: effects(section),
        reader_safe: section.flag("reader_safe"),
        tables: section.list("tables", TablePattern::parse).unwrap_or_default(),
        horizon: section.choices("horizon", &HorizonKind::NAMES).unwrap_or_default(),
        older_than: section.horizon("older_than"),
        hint: section.parsed("hint", hint),
    };
    section.kept();
    section.finish(&RESERVED);
    for key in ["effect", "tables", "horizon"] {
        if section.is_empty_list(key) {
            section.fault(key, "an empty list matches nothing: leave it out to match everything");
        }
    }
    if rule.older_than.is_some() && !section.contains("horizon") {
        section.fault("older_than", "goes with horizon: say horizon = \"historical\" too");
    }
    if rule.negate_match_pattern && rule.match_digest.is_none() && rule.match_pattern.is_none() {
        section.fault("negate_match_pattern", "there is no pattern to negate");
    }
    if rule.error_msg.is_some() && rule.ok_msg.is_some() {
        section.fault("OK_msg", "error_msg is given too: a statement has one answer");
    }
    if rule.older_than.is_none() && section.contains("older_than") {
        // It was said already; that no horizon is named would be said for nothing.
        rule.horizon.clear();
    }
    id.map(|_| rule)
}

/// Reads one `[[fast_route]]`.
pub(super) fn fast_route(section: &Section<'_>) -> Option<FastRoute> {
    let text = |key| section.text(key).unwrap_or_default().into();
    let destination = section.small("destination_hostgroup", 0..=u32::MAX);
    let route = FastRoute {
        username: text("username"),
        schemaname: text("schemaname"),
        flag_in: section.small("flagIN", 0..=u32::MAX).unwrap_or(0),
        destination: destination.unwrap_or_default(),
        comment: text("comment"),
    };
    for key in ["username", "schemaname", "destination_hostgroup"] {
        if !section.contains(key) {
            section.fault("", format!("{key} is missing"));
        }
    }
    section.finish(&[]);
    destination.map(|_| route)
}

/// An empty text is no condition, as in ProxySQL's tables.
fn filled(section: &Section<'_>, key: &'static str) -> Option<Box<str>> {
    section.text(key).filter(|t| !t.is_empty()).map(Into::into)
}

fn pattern(section: &Section<'_>, key: &'static str) -> Option<Box<str>> {
    section.raw_text(key).filter(|t| !t.is_empty()).map(Into::into)
}

/// `0x` and up to 16 hexadecimal digits.
fn digest(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    digits
        .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
        .and_then(|d| u64::from_str_radix(d, 16).ok())
        .ok_or_else(|| format!("`{text}` is no digest: write 0x and up to 16 hexadecimal digits"))
}

fn modifiers(section: &Section<'_>) -> Option<Modifiers> {
    // One text may hold several names, as ProxySQL's column does.
    let names = section.list("re_modifiers", |text| {
        let names: Vec<String> = text.split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect();
        match Modifiers::parse(names.iter().map(String::as_str)) {
            Ok(modifiers) => Ok(modifiers),
            Err(name) => Err(format!("`{name}` is not known: CASELESS and GLOBAL are")),
        }
    })?;
    let either = |field: fn(&Modifiers) -> bool| names.iter().any(field);
    Some(Modifiers { caseless: either(|m| m.caseless), global: either(|m| m.global) })
}

fn destination(section: &Section<'_>) -> Vec<u32> {
    let several = section.numbers("destination_hostgroups");
    let one = section.small("destination_hostgroup", 0..=u32::MAX);
    if several.is_some() && one.is_some() {
        section.fault("destination_hostgroup", "destination_hostgroups is given too: one of them is enough");
    }
    let mut tiers = several.unwrap_or_else(|| one.into_iter().collect());
    let mut seen = Vec::new();
    tiers.retain(|id| {
        let new = !seen.contains(id);
        seen.push(*id);
        new
    });
    if tiers.len() < seen.len() {
        section.fault("destination_hostgroups", "a hostgroup stands in it twice");
    }
    tiers
}

fn effects(section: &Section<'_>) -> Option<Effects> {
    let named = section.list("effect", |name| {
        effects_named(name).ok_or_else(|| {
            let all: Vec<String> =
                EFFECT_GROUPS.iter().map(|(group, _)| (*group).to_owned()).chain(Effects::all().names()).collect();
            match super::text::nearest(name, all.iter().map(String::as_str)) {
                Some(near) => format!("`{name}` is no effect; did you mean `{near}`?"),
                None => format!(
                    "`{name}` is no effect: the manual lists them (docs/rules.md), such as read, write, ddl, lock"
                ),
            }
        })
    })?;
    named.into_iter().reduce(Effects::union)
}

/// `key` or `key=value`.
fn hint(text: &str) -> Result<(Box<str>, Option<Box<str>>), String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.trim().into())),
        None => (text, None),
    };
    let key = key.trim().to_lowercase();
    if key.is_empty() {
        return Err("a hint is a key, or key=value".to_owned());
    }
    Ok((key.into(), value))
}

/// Reads one `[[table]]`.
pub(super) fn table(section: &Section<'_>) -> Option<TableSettings> {
    let name = section.text("name").filter(|n| !n.is_empty());
    if name.is_none() && !section.contains("name") {
        section.fault("", "name is missing: \"schema.table\" or \"table\"");
    }
    let units = [
        ("datetime", TimeUnit::DateTime),
        ("epoch_seconds", TimeUnit::EpochSeconds),
        ("epoch_millis", TimeUnit::EpochMillis),
    ];
    let unit = section.choice("unit", &units);
    let mut columns = Vec::new();
    for key in ["time_column", "time_columns"] {
        columns.extend(
            section
                .list(key, |text| {
                    if text.is_empty() { Err("a column's name is needed here".to_owned()) } else { Ok(text.to_owned()) }
                })
                .unwrap_or_default(),
        );
    }
    if !section.contains("time_column") && !section.contains("time_columns") {
        let what = if unit.is_some() {
            "unit says how a time column stores its moment, but no time_column is named"
        } else {
            "time_column is missing"
        };
        section.fault(if unit.is_some() { "unit" } else { "" }, what);
    }
    let schema = section.text("schema").filter(|s| !s.is_empty());
    section.finish(&[]);
    let name = name?;
    let (schema, name) = match (schema, name.split_once('.')) {
        (Some(_), Some(_)) => {
            section.fault("schema", "name has a schema too");
            return None;
        }
        (None, Some((schema, name))) => (Some(schema.to_owned()), name.to_owned()),
        (schema, None) => (schema, name),
    };
    let unit = unit.unwrap_or(TimeUnit::DateTime);
    let columns = columns.into_iter().map(|c| TimeColumn { column: c.into(), unit }).collect();
    Some(TableSettings { schema: schema.map(Into::into), name: name.into(), columns })
}
