//! The patterns that rules are made of: regular expressions over bytes, client addresses, and table names.
//!
//! `config` reads them out of files, [`super::rule`] holds them, and [`super::matcher`] sorts rules by them. A pattern
//! that would take too much memory is refused when it is compiled, and matching takes time linear in a statement's
//! text. What the regular expressions of other dialects have beyond that (look-around, backreferences) is refused with
//! a message.

use regex::bytes::{Regex, RegexBuilder};
use std::net::IpAddr;

/// The most memory that one compiled pattern may take, in bytes. A pattern that needs more is a fault of the configuration.
const PATTERN_SIZE_LIMIT: usize = 2 << 20;

/// The longest pattern, in bytes.
const PATTERN_TEXT_LIMIT: usize = 64 << 10;

/// How a pattern is to be read: ProxySQL's `re_modifiers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Modifiers {
    /// `CASELESS`: letters match in either case. On unless `re_modifiers` is given without it.
    pub caseless: bool,
    /// `GLOBAL`: accepted; it matters to replacement alone.
    pub global: bool,
}

impl Default for Modifiers {
    fn default() -> Self {
        Self { caseless: true, global: false }
    }
}

impl Modifiers {
    /// Reads a list of names in any case. The error is the name that is not known.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut modifiers = Self { caseless: false, global: false };
        for name in names {
            match name {
                n if n.eq_ignore_ascii_case("CASELESS") => modifiers.caseless = true,
                n if n.eq_ignore_ascii_case("GLOBAL") => modifiers.global = true,
                other => return Err(other),
            }
        }
        Ok(modifiers)
    }
}

/// A regular expression, searched for anywhere in the text as ProxySQL does.
///
/// Over bytes, not characters: statements need not be UTF-8. Linear in the text whatever the pattern.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles it. The error says what is wrong, in one line, and what to do where the dialects differ.
    pub fn compile(text: &str, modifiers: Modifiers) -> Result<Self, String> {
        if text.len() > PATTERN_TEXT_LIMIT {
            return Err(format!("the pattern is longer than {PATTERN_TEXT_LIMIT} bytes"));
        }
        RegexBuilder::new(text)
            .unicode(false)
            .case_insensitive(modifiers.caseless)
            .size_limit(PATTERN_SIZE_LIMIT)
            .dfa_size_limit(PATTERN_SIZE_LIMIT)
            .build()
            .map(Self)
            .map_err(|error| Self::explain(&error))
    }

    fn explain(error: &regex::Error) -> String {
        match error {
            regex::Error::CompiledTooBig(limit) => format!("the compiled pattern would be bigger than {limit} bytes"),
            other => {
                // The last line of the crate's drawing is the reason; the drawing itself does not fit a log line.
                let text = other.to_string();
                let reason = text.lines().last().unwrap_or("not a regular expression").trim();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                if reason.contains("look-around") {
                    return "look-around is not supported: match what you mean, or say negate_match_pattern".to_owned();
                }
                if reason.contains("backreferences") {
                    return "backreferences are not supported".to_owned();
                }
                reason.to_owned()
            }
        }
    }

    /// True if the pattern is found in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

/// Which client addresses a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AddressPattern {
    /// A text with `%` for any run of characters, compared with the address as text; `localhost` is a unix socket.
    Text(Box<str>),
    /// An address and the number of its leading bits that count.
    Network(IpAddr, u8),
}

impl AddressPattern {
    /// Reads `10.0.0.1`, `10.0.%`, `10.0.0.0/8`, `::1`, `fd00::/8`, `localhost`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| format!("`{address}` is not an IP address"))?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits: u8 = bits
                .parse()
                .ok()
                .filter(|&b| b <= most)
                .ok_or_else(|| format!("`/{bits}` is not a prefix length of 0 to {most}"))?;
            return Ok(Self::Network(address, bits));
        }
        if !text.contains('%')
            && let Ok(address) = text.parse::<IpAddr>()
        {
            return Ok(Self::Network(address, if address.is_ipv4() { 32 } else { 128 }));
        }
        let plausible = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '%');
        if text == "localhost" || (text.contains('%') && text.chars().all(plausible)) {
            return Ok(Self::Text(text.into()));
        }
        Err(format!("`{text}` is no address: write 10.0.0.1, 10.0.%, 10.0.0.0/8, an IPv6 address, or localhost"))
    }

    /// True if a client at `address` is meant; none is a client of the unix socket.
    pub fn matches(&self, address: Option<IpAddr>) -> bool {
        match self {
            Self::Network(network, bits) => address.is_some_and(|a| same_prefix(*network, a.to_canonical(), *bits)),
            Self::Text(pattern) => match address {
                Some(address) => wildcard(pattern, &address.to_canonical().to_string(), b'%'),
                None => wildcard(pattern, "localhost", b'%'),
            },
        }
    }
}

fn same_prefix(network: IpAddr, address: IpAddr, bits: u8) -> bool {
    match (network, address) {
        (IpAddr::V4(n), IpAddr::V4(a)) => {
            (n.to_bits() ^ a.to_bits()).checked_shr(32 - u32::from(bits.min(32))).unwrap_or(0) == 0
        }
        (IpAddr::V6(n), IpAddr::V6(a)) => {
            (n.to_bits() ^ a.to_bits()).checked_shr(128 - u32::from(bits.min(128))).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// Compares without case (ASCII); `star` in the pattern stands for any run of bytes, an empty one too.
///
/// Time is at most the product of the lengths: on a mismatch only the last star grows.
fn wildcard(pattern: &str, text: &str, star: u8) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last star, with one more byte given to it.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(here) = text.get(t) {
        match pattern.get(p) {
            Some(&c) if c == star => {
                p += 1;
                retry = Some((p, t));
            }
            Some(c) if c.eq_ignore_ascii_case(here) => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((behind_star, from)) => {
                    retry = Some((behind_star, from + 1));
                    p = behind_star;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&c| c == star)
}

/// Which tables a rule is for: `table`, `schema.table`, with `*` for any run of characters. Without case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TablePattern {
    schema: Option<Box<str>>,
    name: Box<str>,
}

impl TablePattern {
    /// Reads it. Backquotes around either part are allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let unquote = |part: &str| -> Result<Box<str>, String> {
            let part = part.trim();
            let bare = part.strip_prefix('`').and_then(|p| p.strip_suffix('`')).unwrap_or(part);
            if bare.is_empty() { Err(format!("`{text}` names no table")) } else { Ok(bare.into()) }
        };
        match text.split_once('.') {
            Some((schema, name)) => Ok(Self { schema: Some(unquote(schema)?), name: unquote(name)? }),
            None => Ok(Self { schema: None, name: unquote(text)? }),
        }
    }

    /// The table's name in lower case, if the pattern has no wildcard in it: a key to look it up by.
    pub fn exact_name(&self) -> Option<String> {
        (!self.name.contains('*')).then(|| self.name.to_lowercase())
    }

    /// True if the schema has a say.
    pub fn names_schema(&self) -> bool {
        self.schema.as_deref().is_some_and(|s| s != "*")
    }

    /// True if the table is meant. `schema` is what the statement wrote, or the session's default schema.
    pub fn matches(&self, schema: Option<&str>, name: &str) -> bool {
        wildcard(&self.name, name, b'*')
            && match (&self.schema, schema) {
                (None, _) => true,
                (Some(pattern), Some(schema)) => wildcard(pattern, schema, b'*'),
                (Some(pattern), None) => &**pattern == "*",
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        let table = [
            ("10.0.%", "10.0.3.4", true),
            ("10.0.%", "10.1.3.4", false),
            ("%", "", true),
            ("%.4", "10.0.3.4", true),
            ("10.%.4", "10.0.3.4", true),
            ("10.%.5", "10.0.3.4", false),
            ("a%b%c", "aXbYbZc", true),
            ("a%b%c", "aXbYbZ", false),
            ("abc", "ABC", true),
            ("abc", "abcd", false),
            ("", "", true),
            ("", "x", false),
            ("%%%", "x", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(wildcard(pattern, text, b'%'), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn addresses() {
        let table = [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.11", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/32", "10.0.0.1", false),
            ("0.0.0.0/0", "192.168.1.1", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "fd12::1", true),
            ("10.%", "10.3.3.3", true),
            ("10.%", "110.3.3.3", false),
        ];
        for (pattern, address, expected) in table {
            let parsed = AddressPattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(Some(address.parse().unwrap())), expected, "{pattern} {address}");
        }
        assert!(AddressPattern::parse("localhost").unwrap().matches(None));
        assert!(AddressPattern::parse("%").unwrap().matches(None));
        assert!(!AddressPattern::parse("10.%").unwrap().matches(None));
        for bad in ["10.0.0.0/33", "10.0.0/8", "example.org", "10.0.0", "", "10.0.0.1/x", "::/129"] {
            assert!(AddressPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tables() {
        let table = [
            ("call_records", None, "CALL_RECORDS", true),
            ("call_records", Some("cdr"), "call_records", true),
            ("cdr.call_records", Some("CDR"), "call_records", true),
            ("cdr.call_records", Some("org"), "call_records", false),
            ("cdr.call_records", None, "call_records", false),
            ("cdr.*", Some("cdr"), "anything", true),
            ("*.call_*", None, "call_events", true),
            ("`cdr`.`call_events`", Some("cdr"), "call_events", true),
            ("call_*", Some("x"), "my_call_events", false),
        ];
        for (pattern, schema, name, expected) in table {
            assert_eq!(
                TablePattern::parse(pattern).unwrap().matches(schema, name),
                expected,
                "{pattern} {schema:?} {name}"
            );
        }
        for bad in ["", ".", "cdr.", "``"] {
            assert!(TablePattern::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(TablePattern::parse("cdr.Call").unwrap().exact_name().as_deref(), Some("call"));
        assert_eq!(TablePattern::parse("cdr.c*").unwrap().exact_name(), None);
    }

    #[test]
    fn patterns_read_as_proxysql_reads_them() {
        let on = Modifiers::default();
        let off = Modifiers { caseless: false, global: false };
        let table: [(&str, Modifiers, &[u8], bool); 9] = [
            ("^SELECT", on, b"select 1", true),
            ("^SELECT", off, b"select 1", false),
            ("^SELECT", on, b" select 1", false),
            ("^SELECT", on, b"x\nselect 1", false),
            (
                "WHERE.*date.*<.*DATE_SUB",
                on,
                b"SELECT * FROM t WHERE call_date < date_sub(now(), interval 90 day)",
                true,
            ),
            ("WHERE.*date", on, b"WHERE\ndate", false),
            ("a.b", on, b"a\xffb", true),
            ("for update$", on, b"select 1 FOR UPDATE", true),
            ("\\bsbtest1\\b", on, b"from sbtest12", false),
        ];
        for (pattern, modifiers, text, expected) in table {
            assert_eq!(Pattern::compile(pattern, modifiers).unwrap().is_match(text), expected, "{pattern}");
        }
        for (bad, words) in [
            ("(", "unclosed group"),
            ("(?!x)", "negate_match_pattern"),
            (r"(a)\1", "backreferences"),
            ("a{1000}{1000}", "bigger"),
        ] {
            let reason = Pattern::compile(bad, on).unwrap_err();
            assert!(reason.contains(words), "{bad}: {reason}");
            assert!(!reason.contains('\n'), "{reason}");
        }
        assert_eq!(Modifiers::parse(["caseless", "Global"]), Ok(Modifiers { caseless: true, global: true }));
        assert_eq!(Modifiers::parse(["DOTALL"]), Err("DOTALL"));
    }
}
