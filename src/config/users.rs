//! Reads `[[user]]`: who may sign in, by which password, and as whom at the backends.
//!
//! A password may stand in the file, in an environment variable or in a file of its own, and is never shown. What comes
//! of it is an [`AccountSpec`], which `auth` judges clients by. [`super::admin`] reads its accounts' passwords with the
//! same functions.

use super::reader::Section;
use crate::auth::{AccountSpec, BackendUser, Secret, StoredPassword};

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSettings {
    /// What sign-in needs to know.
    pub account: AccountSpec,
    /// False: the user is read and checked, and may not sign in.
    pub active: bool,
    /// False: the user is known behind alone, and may not sign in here either.
    pub frontend: bool,
    /// For people.
    pub comment: Box<str>,
}

/// The keys that give one password: itself, and where it is.
struct PasswordKeys {
    literal: &'static str,
    env: &'static str,
    file: &'static str,
}

const FRONT: PasswordKeys = PasswordKeys { literal: "password", env: "password_env", file: "password_file" };
const BEHIND: PasswordKeys =
    PasswordKeys { literal: "backend_password", env: "backend_password_env", file: "backend_password_file" };

/// Reads one `[[user]]`.
pub(super) fn read(section: &Section<'_>) -> Option<UserSettings> {
    let name = section.text("username");
    if !section.has("username") {
        section.fault("", "username is missing");
    }
    let passwords = passwords(section);
    let backend_name = section.text("backend_username");
    let backend_password = password(section, &BEHIND);
    let backend = (backend_name.is_some() || backend_password.is_some())
        .then(|| BackendUser { username: backend_name, password: backend_password });
    let user = UserSettings {
        account: AccountSpec {
            name: name.clone().unwrap_or_default(),
            passwords,
            require_tls: section.flag("require_tls").unwrap_or(false),
            default_schema: section.text("default_schema").filter(|s| !s.is_empty()),
            default_hostgroup: section.small("default_hostgroup", 0..=u32::MAX),
            max_connections: section.small("max_connections", 0..=u32::MAX).filter(|&n| n > 0),
            backend,
            plugin: section.choice(
                "plugin",
                &[
                    ("mysql_native_password", crate::auth::Plugin::Native),
                    ("caching_sha2_password", crate::auth::Plugin::CachingSha2),
                ],
            ),
        },
        active: section.flag("active").unwrap_or(true),
        frontend: section.flag("frontend").unwrap_or(true),
        comment: section.text("comment").unwrap_or_default().into(),
    };
    if section.flag("transaction_persistent") == Some(false) {
        section.fault(
            "transaction_persistent",
            "a transaction always stays on one backend here: leave it out, or say true",
        );
    }
    if section.section("proxysql").is_some_and(|kept| kept.has("frontend")) {
        section.fault("proxysql", "frontend has a meaning now: say `frontend = false` in the [[user]] itself");
    }
    section.kept();
    section.finish(&[
        ("local_infile", "is for all users here: [limits] local_infile"),
        ("schema_locked", "is ProxySQL's and not supported"),
        ("fast_forward", "is ProxySQL's and not supported"),
        ("use_ssl", "is spelled `require_tls` here"),
    ]);
    name.map(|_| user)
}

/// The passwords that a section gives, in any of the ways; it is a fault if it gives none.
pub(super) fn passwords(section: &Section<'_>) -> Vec<StoredPassword> {
    let hashes = section.list("password_hash", |text| {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        StoredPassword::hash(text.as_bytes()).map_err(|e| e.to_string())
    });
    let mut passwords = hashes.unwrap_or_default();
    if let Some(secret) = password(section, &FRONT) {
        match StoredPassword::clear(secret) {
            Ok(stored) => passwords.push(stored),
            Err(error) => section.fault("", error.to_string()),
        }
    }
    let named =
        section.has("password_hash") || [FRONT.literal, FRONT.env, FRONT.file].iter().any(|key| section.contains(key));
    if !named {
        section.fault(
            "username",
            "no password: say password_hash, password_env or password_file (or password = \"\" for none at all)",
        );
    }
    if passwords.contains(&StoredPassword::Empty) {
        section.warn("username", "signs in without a password");
    }
    passwords
}

/// A password from the one of its keys that is there.
pub(super) fn password_of(section: &Section<'_>) -> Option<Secret> {
    password(section, &FRONT)
}

fn password(section: &Section<'_>, keys: &PasswordKeys) -> Option<Secret> {
    let given: Vec<&str> = [keys.literal, keys.env, keys.file].into_iter().filter(|key| section.has(key)).collect();
    if let [first, second, ..] = given[..] {
        section.fault(second, format!("{first} is given too: one of them is enough"));
    }
    if let Some(literal) = section.raw_text(keys.literal) {
        // A reference to the environment is as good as password_env.
        let text = section.text(keys.literal)?;
        if literal == text && !text.is_empty() {
            section.warn(
                keys.literal,
                format!("a password stands in the file; {} or {} keep it out", keys.env, keys.file),
            );
        }
        return Some(Secret::from(text));
    }
    if let Some(name) = section.text(keys.env) {
        return match section.env(&name) {
            Some(value) => Some(Secret::from(value)),
            None => {
                section.no_secret(keys.env, format!("the environment variable {name} is not set"));
                None
            }
        };
    }
    let path = section.path(keys.file)?;
    match std::fs::read(&path) {
        Ok(mut bytes) => {
            // Editors and `echo` end files with a line feed; no password does.
            while bytes.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
                bytes.pop();
            }
            Some(Secret::from(bytes))
        }
        Err(error) => {
            section.no_secret(keys.file, format!("{} cannot be read: {error}", path.display()));
            None
        }
    }
}
