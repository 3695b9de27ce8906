//! Reads a server's definitions, and reads them again when they may be others: one task for each backend, on the control thread.
//!
//! Each reading has a connection of its own, which is closed behind it. It refuses to count for health: that a catalogue cannot
//! be read says nothing about a server.

use super::read::{NotRead, Shown, read};
use super::rights::Scope;
use super::{Entry, Moment, Reading, Sight};
use crate::auth::Credentials;
use crate::backend::connect::{self, ConnectOptions};
use crate::backend::server::Backend;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Who reads, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readers {
    /// The account of the health checks, which is asked first.
    pub checks: Option<Credentials>,
    /// Time after which definitions are read again, where nothing is known to have changed them.
    pub interval: Duration,
    /// Time in which a server must take a connection.
    pub connect_timeout: Duration,
}

/// Time in which a server must have answered.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time after which it is looked again whether there is something to read.
const LOOK: Duration = Duration::from_secs(1);
/// More of the traffic's accounts than that are not asked.
const MOST_ACCOUNTS: usize = 16;

/// The traffic's accounts, each of which may be asked for itself. Asked for only where the account of the checks is not enough.
pub type Accounts<'a> = &'a dyn Fn() -> Vec<Credentials>;

/// Reads a backend's definitions for ever. `readers` says who reads, each time anew.
pub async fn follow(backend: Arc<Backend>, readers: impl Fn() -> Readers, accounts: Accounts<'_>) {
    let mut before: Option<(Readers, Vec<Credentials>)> = None;
    loop {
        let needs_accounts = backend.catalogue.sight() != Some(Sight::Everybody);
        let now = (readers(), if needs_accounts { accounts() } else { Vec::new() });
        // A sign-in may have taught a password; a reload may have brought another account.
        let is_other =
            before.as_ref().is_some_and(|(before, known)| *before != now.0 || needs_accounts && *known != now.1);
        let interval = if is_other { Duration::ZERO } else { now.0.interval };
        if backend.is_usable()
            && let Some(moment) = backend.catalogue.is_due(interval)
        {
            read_once(&backend, moment, &now.0, accounts).await;
        }
        before = Some(now);
        let _ = timeout(LOOK, backend.catalogue.wait_for_change()).await;
    }
}

/// Reads a backend's definitions once.
pub async fn read_now(backend: &Backend, readers: &Readers, accounts: Accounts<'_>) {
    if let Some(moment) = backend.catalogue.is_due(readers.interval) {
        read_once(backend, moment, readers, accounts).await;
    }
}

async fn read_once(backend: &Backend, moment: Moment, readers: &Readers, accounts: Accounts<'_>) {
    let (mut entries, mut names): (Vec<Entry>, Vec<String>) = (Vec::new(), Vec::new());
    let mut why = "no account of [health] and no password of a user's is known".to_owned();
    let of_traffic = std::iter::once_with(|| accounts().into_iter().take(MOST_ACCOUNTS)).flatten();
    for credentials in readers.checks.iter().cloned().chain(of_traffic) {
        let name = &credentials.username;
        match read_as(backend, &credentials, readers.connect_timeout).await {
            Ok(Shown { entries, scope: Scope::All }) => {
                return take(backend, moment, Reading { entries, sight: Sight::Everybody });
            }
            Ok(Shown { entries: shown, scope: Scope::Own }) => {
                names.push(name.clone());
                // Two accounts may be shown the same.
                shown.into_iter().for_each(|entry| {
                    if !entries.contains(&entry) {
                        entries.push(entry)
                    }
                });
            }
            Ok(Shown { scope: Scope::Part(lack), .. }) => why = format!("'{name}' is not shown all of them: {lack}"),
            Err(failure) => why = format!("'{name}': {failure}"),
        }
    }
    let sight = if names.is_empty() { Sight::Nobody(why) } else { Sight::Accounts(names) };
    take(backend, moment, Reading { entries, sight });
}

async fn read_as(backend: &Backend, credentials: &Credentials, limit: Duration) -> Result<Shown, String> {
    let options = ConnectOptions { timeout: limit, ..ConnectOptions::default() };
    let asked = async {
        let mut connected =
            connect::connect(&backend.target(), credentials, &options).await.map_err(|error| error.to_string())?;
        read(&mut connected).await.map_err(|error| match error {
            NotRead::Refused(text) => format!("the server said: {text}"),
            NotRead::Broken(error) => error.to_string(),
        })
    };
    match timeout(PATIENCE, asked).await {
        Ok(answered) => answered,
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Takes a reading down, and says what is new in it.
fn take(backend: &Backend, moment: Moment, reading: Reading) {
    let (definitions, sight) = (reading.entries.len(), reading.sight.clone());
    if !backend.catalogue.observe(moment, reading) {
        return;
    }
    let name = &*backend.name;
    match sight {
        Sight::Everybody => tracing::info!(backend = name, definitions, "its triggers, views and routines are known"),
        Sight::Accounts(accounts) => tracing::info!(
            backend = name,
            definitions,
            accounts = accounts.join(", "),
            "its triggers, views and routines are known as far as these accounts may use them"
        ),
        Sight::Nobody(why) if backend.catalogue.is_known() => {
            tracing::info!(backend = name, why, "its triggers, views and routines are not known, and trusted");
        }
        Sight::Nobody(why) => tracing::warn!(
            backend = name,
            why,
            "its triggers, views and routines are not known: connections are reset before another session has them \
             (SELECT, SHOW VIEW and TRIGGER on *.* for the account of [health] mend that)"
        ),
    }
}
