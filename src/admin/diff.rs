//! What differs between two versions of the configuration's texts, as a unified diff for people.
//!
//! Secrets are masked before anything is compared, and a text that cannot be read, and so cannot be masked, is shown as
//! empty. [`super::history`] and [`super::desk`] show these diffs. It compares texts only; which statements would go
//! elsewhere is the affair of `rules::compare`.

use crate::config::Document;
use similar::TextDiff;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
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

/// The longest that the shortest way from one text to the other is looked for; a longer way is found at once.
const PATIENCE: Duration = Duration::from_millis(500);

/// The hunks of a unified diff, with three lines around each change.
pub fn unified(old: &str, new: &str) -> String {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    diff.unified_diff().context_radius(3).missing_newline_hint(false).to_string()
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
        assert_eq!(unified("", "x\n"), "@@ -0,0 +1 @@\n+x\n");
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
