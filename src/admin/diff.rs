//! What differs between two versions of the configuration's texts, as people read it; secrets are masked first.

use crate::config::Document;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::OnceLock;
use toml_edit::visit_mut::{VisitMut, visit_table_like_kv_mut};
use toml_edit::{DocumentMut, Item, KeyMut, Value};

/// Keys whose values nobody is shown.
const SECRET: [&str; 3] = ["password", "backend_password", "password_hash"];

/// True if nobody is shown this key's value. In the `attributes` of a user ProxySQL keeps a second password.
fn is_secret(key: &str, value: &Value) -> bool {
    let names_one = || value.as_str().is_some_and(|text| text.to_ascii_lowercase().contains("password"));
    SECRET.contains(&key) || key == "attributes" && names_one()
}

/// The text with every secret masked. Two secrets that differ are masked differently, so that a change shows; the mark means
/// nothing outside of this process.
pub fn masked(text: &str) -> String {
    struct Mask;
    impl VisitMut for Mask {
        fn visit_table_like_kv_mut(&mut self, key: KeyMut<'_>, node: &mut Item) {
            if let Item::Value(value) = node
                && is_secret(key.get(), value)
            {
                static MARK: OnceLock<RandomState> = OnceLock::new();
                let mark = MARK.get_or_init(RandomState::new).hash_one(value.to_string().trim()) & 0xffff;
                let decor = value.decor().clone();
                *value = Value::from(format!("*** {mark:04x}"));
                *value.decor_mut() = decor;
                return;
            }
            visit_table_like_kv_mut(self, key, node);
        }
    }
    match text.parse::<DocumentMut>() {
        Ok(mut document) => {
            Mask.visit_document_mut(&mut document);
            document.to_string()
        }
        // What cannot be read cannot be masked either.
        Err(_) => String::new(),
    }
}

/// The unified diff of all texts. Empty if nothing differs.
pub fn documents(before: &[Document], after: &[Document]) -> String {
    let paths: BTreeSet<&Path> = before.iter().chain(after).map(|d| d.path.as_path()).collect();
    let mut out = String::new();
    for path in paths {
        let text = |list: &[Document]| list.iter().find(|d| d.path == path).map(|d| d.text.to_string());
        let (old, new) = (text(before).unwrap_or_default(), text(after).unwrap_or_default());
        if old == new {
            continue;
        }
        let hunks = unified(&masked(&old), &masked(&new));
        if !hunks.is_empty() {
            let _ = write!(out, "--- {0}\n+++ {0}\n{hunks}", path.display());
        }
    }
    out
}

/// Lines around a change that are shown with it.
const CONTEXT: usize = 3;

/// The most pairs of lines that are compared with each other; beyond, a changed stretch is shown whole.
const MOST_PAIRS: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Same,
    Gone,
    New,
}

/// The hunks of a unified diff.
pub fn unified(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let steps = steps(&old, &new);
    let mut out = String::new();
    let mut at = 0;
    while let Some(first) = steps[at..].iter().position(|(kind, _)| *kind != Kind::Same).map(|p| at + p) {
        let start = first.saturating_sub(CONTEXT).max(at);
        let mut end = first;
        // Changes that are near each other are one hunk.
        while let Some(next) = steps[end..].iter().take(2 * CONTEXT + 1).position(|(kind, _)| *kind != Kind::Same) {
            end += next + 1;
        }
        let stop = (end + CONTEXT).min(steps.len());
        let count = |upto: usize, skip: Kind| steps[..upto].iter().filter(|(kind, _)| *kind != skip).count();
        let (old_start, new_start) = (count(start, Kind::New), count(start, Kind::Gone));
        let (old_lines, new_lines) = (count(stop, Kind::New) - old_start, count(stop, Kind::Gone) - new_start);
        let _ = writeln!(out, "@@ -{},{old_lines} +{},{new_lines} @@", old_start + 1, new_start + 1);
        for (kind, line) in &steps[start..stop] {
            let mark = match kind {
                Kind::Same => ' ',
                Kind::Gone => '-',
                Kind::New => '+',
            };
            let _ = writeln!(out, "{mark}{line}");
        }
        at = stop;
    }
    out
}

/// The way from one text to the other, line by line: what both begin and end with is passed over, and what lies between is
/// compared by its longest common part.
fn steps<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Kind, &'a str)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);
    let same = |lines: &[&'a str]| lines.iter().map(|line| (Kind::Same, *line)).collect::<Vec<_>>();
    let mut out = same(&old[..head]);
    if a.len().saturating_mul(b.len()) > MOST_PAIRS {
        out.extend(a.iter().map(|line| (Kind::Gone, *line)));
        out.extend(b.iter().map(|line| (Kind::New, *line)));
    } else {
        middle(a, b, &mut out);
    }
    out.extend(same(&old_rest[old_rest.len() - tail..]));
    out
}

fn middle<'a>(a: &[&'a str], b: &[&'a str], out: &mut Vec<(Kind, &'a str)>) {
    // longest[i][j]: how many lines a[i..] and b[j..] have in common, in order.
    let width = b.len() + 1;
    let mut longest = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if a[i] == b[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            out.push((Kind::Same, a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1]) {
            out.push((Kind::Gone, a[i]));
            i += 1;
        } else {
            out.push((Kind::New, b[j]));
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unified_diff() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\n";
        let new = "a\nb\nc\nd\nE\nf\ng\nh\ni\nj\n";
        assert_eq!(unified(old, new), "@@ -2,8 +2,9 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n i\n+j\n");
        assert_eq!(unified(old, old), "");
        assert_eq!(unified("", "x\n"), "@@ -1,0 +1,1 @@\n+x\n");
    }

    #[test]
    fn secrets_are_masked_and_their_change_shows() {
        let text = |secret: &str| format!("[[user]]\nusername = \"a\"\npassword = \"{secret}\"\n");
        let diff = unified(&masked(&text("hunter2")), &masked(&text("hunter3")));
        assert!(!diff.contains("hunter") && diff.contains("+password = \"***"), "{diff}");
        let inline = masked("user = [{ username = \"a\", password_hash = [\"*94BD\", \"x\"] }]");
        assert!(!inline.contains("94BD"), "{inline}");
        let kept = masked("[user.proxysql]\nattributes = '{\"additional_password\":\"hunter2\"}'\n");
        assert!(!kept.contains("hunter2"), "{kept}");
        let harmless = "[rule.proxysql]\nattributes = '{\"a\":1}'\n";
        assert_eq!(masked(harmless), harmless);
    }
}
