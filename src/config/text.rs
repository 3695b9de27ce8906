//! Values that files write as text: environment variables in them, durations, horizons and sizes; and which known name
//! a wrong one may have meant.
//!
//! [`super::reader`] calls these functions and adds the place to their errors. A value that could mean two things is
//! refused.

use crate::rules::Horizon;
use std::time::Duration;

/// Puts environment variables in: `${NAME}`, `${NAME:-default}` (the default also where it is set but empty), and `$${` for
/// a plain `${`.
///
/// `env` looks a name up. The error is the reason, in words.
pub(super) fn substitute(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end =
            inner.find('}').ok_or_else(|| "`${` without `}` (write `$${` for the characters themselves)".to_owned())?;
        let (name, default) = match inner[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inner[..end], None),
        };
        let valid = |n: &str| {
            n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && n.starts_with(|c: char| !c.is_ascii_digit())
        };
        if !valid(name) {
            return Err(format!("`${{{name}}}` is no environment variable's name"));
        }
        match (env(name), default) {
            (Some(value), _) if !value.is_empty() => out.push_str(&value),
            (_, Some(default)) => out.push_str(default),
            (Some(_), None) => {}
            (None, None) => {
                return Err(format!("the environment variable {name} is not set (${{{name}:-…}} gives a default)"));
            }
        }
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Reads `90d`, `2s`, `250ms`, `1h30m`, or `0`: milliseconds. Units: ms, s, m (min), h, d, w. `humantime` knows longer and
/// shorter ones, too, of which `M` is a month: none of them is taken, so that a slip of the shift key is a fault.
fn parse_millis(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is no duration: write 250ms, 2s, 5m, 1h30m, 90d or 0");
    let mut units = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|unit| !unit.is_empty());
    // It knows fractions as well, of which some are no whole milliseconds.
    if text.contains('.') || !units.all(|unit| matches!(unit, "ms" | "s" | "m" | "min" | "h" | "d" | "w")) {
        return Err(bad());
    }
    let duration = humantime::parse_duration(text.trim()).map_err(|_| bad())?;
    u64::try_from(duration.as_millis()).map_err(|_| bad())
}

/// The longest duration: a hundred years.
const MAX_MILLIS: u64 = 36_525 * 86_400_000;

/// A span of time such as `250ms` or `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let millis = parse_millis(text)?;
    if millis > MAX_MILLIS {
        return Err(format!("`{text}` is more than a hundred years"));
    }
    Ok(Duration::from_millis(millis))
}

/// A horizon such as `90d`: whole seconds, and more than nothing.
pub(super) fn horizon(text: &str) -> Result<Horizon, String> {
    let millis = parse_millis(text)?;
    if millis == 0 || millis > MAX_MILLIS || millis % 1_000 != 0 {
        return Err(format!("`{text}` is no horizon: write whole seconds or more, up to a hundred years, such as 90d"));
    }
    let seconds = millis / 1_000;
    let parts = (u32::try_from(seconds / 86_400), u32::try_from(seconds % 86_400));
    match parts {
        (Ok(days), Ok(seconds)) => Ok(Horizon { days, seconds }),
        _ => Err(format!("`{text}` is too long")),
    }
}

/// Reads `67108864`, `64MiB`, `64M`, `16k`: bytes, in powers of 1024 whatever the spelling, as MySQL has them. (`bytesize` takes
/// `64M` and `2KB` for powers of 1000.)
pub(super) fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is no size: write bytes, or 16KiB, 64MiB, 1GiB");
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let number: u64 = trimmed[..digits].parse().map_err(|_| bad())?;
    let unit = trimmed[digits..].trim().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err(bad()),
    };
    number.checked_mul(1 << shift).ok_or_else(bad)
}

/// The known name that is nearest to a wrong one, if any is near enough to have been meant.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    let limit = (wrong.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(&lower, &name.to_lowercase()), name))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// How many letters must be added, dropped, replaced or swapped with their neighbour to make `a` of `b`.
#[expect(clippy::indexing_slicing, reason = "the rows are one longer than `a`, and each is one longer than `b`")]
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substitution() {
        let env = |name: &str| match name {
            "HOST" => Some("db1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let good = [
            ("plain", "plain"),
            ("${HOST}:3306", "db1:3306"),
            ("${PORT:-3306}", "3306"),
            ("${EMPTY:-x}", "x"),
            ("a${EMPTY}b", "ab"),
            ("${NONE:-}", ""),
            ("$${HOST}", "${HOST}"),
            ("$5 ${HOST}$", "$5 db1$"),
            ("${HOST}${HOST}", "db1db1"),
            ("${NONE:-http://x:1}", "http://x:1"),
        ];
        for (text, expected) in good {
            assert_eq!(substitute(text, &env).as_deref(), Ok(expected), "{text}");
        }
        for (text, words) in [
            ("${NONE}", "NONE is not set"),
            ("${HOST", "without"),
            ("${1A}", "no environment"),
            ("${}", "no environment"),
        ] {
            let reason = substitute(text, &env).unwrap_err();
            assert!(reason.contains(words), "{text}: {reason}");
        }
    }

    #[test]
    fn durations_and_sizes() {
        for (text, millis) in [
            ("0", 0),
            ("250ms", 250),
            ("2s", 2_000),
            ("1h30m", 5_400_000),
            ("1w", 604_800_000),
            ("5 m", 300_000),
            (" 7d ", 604_800_000),
            ("1min", 60_000),
            ("1h 30 m", 5_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in [
            "",
            "5",
            "s",
            "5x",
            "-1s",
            "1.5s",
            "99999999999999999999s",
            "101w5",
            "2000000d",
            "5M",
            "1month",
            "2y",
            "5us",
            "5000000ns",
            "2sec",
            "1e3s",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
            assert!(duration(bad).unwrap_err().starts_with(&format!("`{bad}` is")), "{bad}");
        }
        assert_eq!(horizon("90d"), Ok(Horizon::days(90)));
        assert_eq!(horizon("36h"), Ok(Horizon { days: 1, seconds: 43_200 }));
        assert!(horizon("0").is_err() && horizon("5ms").is_err());
        for (text, bytes) in [("5", 5), ("16k", 16_384), ("64MiB", 64 << 20), ("1 GiB", 1 << 30), ("2KB", 2048)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "x", "5 parsecs", "99999999999999g"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn near_names() {
        let known = ["destination_hostgroup", "match_digest", "apply", "rule_id", "flagIN", "log"];
        let table = [
            ("destinaton_hostgroup", Some("destination_hostgroup")),
            ("rule_di", Some("rule_id")),
            ("flagin", Some("flagIN")),
            ("aply", Some("apply")),
            ("xyz", None),
            ("colour", None),
        ];
        for (wrong, expected) in table {
            assert_eq!(nearest(wrong, known), expected, "{wrong}");
        }
    }
}
