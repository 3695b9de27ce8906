//! LOAD, SAVE, ROLLBACK: between what is edited, what is in effect, and what is in the files.
//!
//! A configuration takes effect whole or not at all: rows become texts, the texts go through the loader that reads files, and
//! what comes out is published by the control thread in one step. Files are written to a temporary name and renamed.

use super::Direction;
use crate::admin::audit;
use crate::admin::desk::{Desk, DeskError};
use crate::admin::functions::Who;
use crate::admin::model;
use crate::admin::orders::{Order, Source};
use crate::admin::tables::Unit;
use crate::admin::wire::Answer;
use crate::config::{Document, Loaded, load_documents, read_files};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Faults that an error names; how many more there are is said.
const MOST_FAULTS: usize = 5;
/// Warnings that one LOAD leaves.
const MOST_WARNINGS: usize = 64;

pub(super) fn refused(reason: impl Into<String>) -> DeskError {
    DeskError::Refused(reason.into())
}

fn name_of(row: &[model::book::SqlValue]) -> String {
    row.first().and_then(model::book::text_of).unwrap_or_default()
}

/// The rows of a unit's table; of the variables those that are its own.
fn part(unit: Unit, table: &str, tables: &model::Tables) -> model::Rows {
    let mut rows = tables.get(table).cloned().unwrap_or_default();
    if table == "global_variables" {
        rows.retain(|row| model::variables::unit_of(&name_of(row)) == unit);
    }
    rows
}

impl Desk {
    /// LOAD and SAVE.
    pub(in crate::admin) async fn carry(
        &self,
        who: &Who,
        unit: Option<Unit>,
        direction: Direction,
        text: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Answer, DeskError> {
        let _turn = self.turn.lock().await;
        self.sync()?;
        let units = unit.map_or_else(|| Unit::ALL.to_vec(), |one| vec![one]);
        match direction {
            Direction::MemoryToRuntime => self.load(who, &units, text, warnings).await,
            Direction::MemoryToDisk => self.save(&units).await,
            Direction::RuntimeToMemory => {
                let (_, loaded) = self.parts.versions.runtime();
                self.take(&units, &loaded)
            }
            Direction::DiskToMemory => {
                let loaded = self.on_disk()?;
                let answer = self.take(&units, &loaded)?;
                warnings.extend(self.seen(&units, &loaded)?);
                Ok(answer)
            }
        }
    }

    /// Puts a configuration's rows in the place of what is edited.
    fn take(&self, units: &[Unit], loaded: &Loaded) -> Result<Answer, DeskError> {
        let rows = model::project(loaded, &self.engine.vault)?;
        for unit in units {
            for table in Self::tables_of(*unit) {
                let mut wanted = part(*unit, table, &rows);
                if table == "global_variables" {
                    // The rows of the other unit stay as they are edited.
                    let others = self.engine.rows("main.global_variables")?;
                    wanted.extend(others.into_iter().filter(|row| model::variables::unit_of(&name_of(row)) != *unit));
                }
                self.engine.refill(&format!("main.{table}"), &wanted)?;
            }
            self.memory.borrow_mut().conflicts.remove(unit);
        }
        Ok(Answer::ok())
    }

    /// From here on a SAVE builds on what the files say, if every unit of which they say something new was taken from them:
    /// the SAVE of one that was not would undo the edit of whoever wrote there. What is still to be taken is said.
    fn seen(&self, units: &[Unit], loaded: &Loaded) -> Result<Option<String>, DeskError> {
        let known = load_documents(&self.parts.versions.disk(), &self.parts.versions.runtime().1.secrets);
        let before = known.map(|known| model::project(&known, &self.engine.vault));
        let (before, now) =
            (before.unwrap_or_else(|_| Ok(model::Tables::new()))?, model::project(loaded, &self.engine.vault)?);
        let news =
            |unit: Unit| Self::tables_of(unit).any(|table| part(unit, table, &before) != part(unit, table, &now));
        let mut memory = self.memory.borrow_mut();
        if memory.taken.0 != loaded.documents {
            memory.taken = (Arc::clone(&loaded.documents), BTreeSet::new());
        }
        memory.taken.1.extend(units);
        let open = Unit::ALL.into_iter().filter(|unit| !memory.taken.1.contains(unit) && news(*unit));
        let open: Vec<&str> = open.map(Unit::name).collect();
        if open.is_empty() {
            self.parts.versions.saved(Arc::clone(&loaded.documents));
            return Ok(None);
        }
        let open = open.join(", ");
        Ok(Some(format!("the files have news of {open} too: nothing is saved until LOAD … FROM DISK took that")))
    }

    /// True if nobody else changed what was edited here.
    pub(super) fn no_conflict(&self, units: &[Unit]) -> Result<(), DeskError> {
        let memory = self.memory.borrow();
        let found = units.iter().find_map(|unit| Some((unit, memory.conflicts.get(unit)?)));
        let Some((unit, rows)) = found else { return Ok(()) };
        let name = unit.name();
        Err(refused(format!(
            "conflict: {} changed here, and in effect meanwhile (switchboard_config_history shows by whom). \
             SAVE {name} TO MEMORY takes what is in effect, and your change is to be made again",
            rows.join(", ")
        )))
    }

    /// Checks texts whole, as the loader checks files.
    pub(super) fn checked(&self, documents: &[Document], base: &Loaded) -> Result<Loaded, DeskError> {
        let faults = match load_documents(documents, &base.secrets) {
            Ok(loaded) => return Ok(loaded),
            Err(faults) => faults,
        };
        let mut shown: Vec<String> =
            faults.iter().take(MOST_FAULTS).map(|fault| model::row_of(fault, documents, &base.secrets)).collect();
        if faults.len() > MOST_FAULTS {
            shown.push(format!("and {} more", faults.len() - MOST_FAULTS));
        }
        Err(refused(shown.join("; ")))
    }

    async fn load(
        &self,
        who: &Who,
        units: &[Unit],
        text: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Answer, DeskError> {
        self.no_conflict(units)?;
        let (version, base) = self.parts.versions.runtime();
        let rows = self.edited(units)?;
        for unit in units {
            warnings.extend(model::idle(&rows, *unit, MOST_WARNINGS.saturating_sub(warnings.len())));
            warnings.extend(self.changed_variables(*unit, &rows));
        }
        let mut draft = model::Draft::open(&base)?;
        let documents = draft.apply(&base, &rows, self.memory.borrow().said(version), units, &self.engine.vault)?;
        if documents[..] != base.documents[..] {
            let loaded = self.checked(&documents, &base)?;
            let says = draft.rows(&loaded, &self.engine.vault);
            let change = audit::words(text);
            let version = self.publish(who, loaded, Source::Port, change, Some(version)).await?;
            self.settle(units, rows, (version, says))?;
        }
        Ok(Answer::ok())
    }

    /// What the variables that are about to change do not do.
    fn changed_variables(&self, unit: Unit, edited: &model::Tables) -> Vec<String> {
        let memory = self.memory.borrow();
        let base = memory.base.get("global_variables").cloned().unwrap_or_default();
        let rows = edited.get("global_variables").into_iter().flatten();
        let changed = rows.filter(|row| model::variables::unit_of(&name_of(row)) == unit && !base.contains(row));
        changed.filter_map(|row| model::variables::caveat(&name_of(row))).collect()
    }

    /// After a LOAD: the rows that were loaded are where later edits begin, and follow what is in effect from here on. `says` is
    /// the version that came of it, and its rows.
    fn settle(&self, units: &[Unit], loaded: model::Tables, says: (u64, model::Tables)) -> Result<(), DeskError> {
        {
            let mut memory = self.memory.borrow_mut();
            memory.base.extend(loaded);
            memory.conflicts.retain(|unit, _| !units.contains(unit));
        }
        self.sync_with(Some(says))
    }

    async fn publish(
        &self,
        who: &Who,
        loaded: Loaded,
        source: Source,
        change: String,
        based_on: Option<u64>,
    ) -> Result<u64, DeskError> {
        let (reply, answer) = oneshot::channel();
        let author = format!("{}@{}", who.user, who.host);
        let order = Order::Publish { loaded: Box::new(loaded), author, source, change, based_on, reply };
        let ending = || refused("the router is ending");
        self.parts.orders.send(order).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?.map_err(refused)
    }

    /// Reads the files again and publishes what they say; not over a change that is in effect and in no file.
    pub(in crate::admin) async fn reload(&self, who: &Who, change: &str) -> Result<u64, DeskError> {
        let _turn = self.turn.lock().await;
        let (_, runtime) = self.parts.versions.runtime();
        let (loaded, source) = if self.parts.paths.is_empty() {
            (load_documents(&runtime.documents, &runtime.secrets), Source::Port)
        } else if let Some((version, author)) = self.parts.versions.unsaved() {
            return Err(refused(format!(
                "version {version} by {author} is in effect and not in the files: SAVE ALL TO DISK first, or \
                 `switchboard reload` to take the files"
            )));
        } else {
            (crate::config::load(&self.parts.paths), Source::Files)
        };
        let loaded = loaded.map_err(|faults| {
            let shown: Vec<String> = faults.iter().take(MOST_FAULTS).map(ToString::to_string).collect();
            refused(format!("the files do not check out: {}", shown.join("; ")))
        })?;
        let version = self.publish(who, loaded, source, change.to_owned(), None).await?;
        self.sync()?;
        Ok(version)
    }

    async fn save(&self, units: &[Unit]) -> Result<Answer, DeskError> {
        self.no_conflict(units)?;
        let known = self.parts.versions.disk();
        if self.parts.paths.is_empty() || known.iter().any(|d| !d.is_file()) {
            return Err(refused(
                "this router was started without a configuration file: SELECT CONFIG FILE shows one that says the same",
            ));
        }
        let present = read_files(&known).map_err(refused)?;
        if let Some(changed) = present.iter().zip(known.iter()).find(|(now, then)| now.text != then.text) {
            return Err(refused(format!(
                "conflict: {} was changed on disk since it was read: LOAD … FROM DISK takes that, and your change is to be \
                 made again",
                changed.0.path.display()
            )));
        }
        let base = self.on_disk()?;
        let documents = model::apply(&base, &self.edited(units)?, units, &self.engine.vault)?;
        if documents == present {
            return Ok(Answer::ok());
        }
        // What would not be read again is not written.
        let loaded = self.checked(&documents, &base)?;
        let (reply, heard) = oneshot::channel();
        let order = Order::Saving(documents.clone(), reply);
        self.parts.orders.send(order).await.map_err(|_| refused("the router is ending"))?;
        heard.await.map_err(|_| refused("the router is ending"))?;
        let changed: Vec<&Document> =
            documents.iter().zip(&present).filter(|(new, old)| new.text != old.text).map(|(new, _)| new).collect();
        write_files(&changed)?;
        self.parts.versions.saved(loaded.documents);
        Ok(Answer::ok())
    }

    /// ROLLBACK CONFIG TO VERSION n: that version's texts take effect again, as a new version.
    pub(in crate::admin) async fn roll_back(&self, who: &Who, version: u64) -> Result<Answer, DeskError> {
        let _turn = self.turn.lock().await;
        self.sync()?;
        let history = self.parts.versions.history();
        let Some(entry) = history.iter().find(|entry| entry.version == version) else {
            let (first, last) = (history.first().map_or(0, |e| e.version), history.last().map_or(0, |e| e.version));
            return Err(refused(format!("version {version} is not kept: {first} to {last} are")));
        };
        let (present, base) = self.parts.versions.runtime();
        let loaded = self.checked(&entry.documents, &base)?;
        let change = format!("ROLLBACK CONFIG TO VERSION {version}");
        let now = self.publish(who, loaded, Source::Port, change, Some(present)).await?;
        self.sync()?;
        Ok(Answer::done(0, format!("version {now} is what version {version} was")))
    }
}

/// Writes files such that whoever reads one finds the old text or the new one. All are ready before the first is put in place.
fn write_files(documents: &[&Document]) -> Result<(), DeskError> {
    let failed =
        |path: &Path, error: std::io::Error| refused(format!("{} could not be written: {error}", path.display()));
    let mut ready = Vec::new();
    for document in documents {
        // A link stays a link.
        let path = document.path.canonicalize().map_err(|error| failed(&document.path, error))?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let temporary = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::File::create(&temporary)?;
            file.set_permissions(std::fs::metadata(&path)?.permissions())?;
            file.write_all(document.text.as_bytes())?;
            file.sync_all()
        };
        if let Err(error) = write() {
            let _ = std::fs::remove_file(&temporary);
            ready.iter().for_each(|(made, _)| drop(std::fs::remove_file(made)));
            return Err(failed(&path, error));
        }
        ready.push((temporary, path));
    }
    for (temporary, path) in ready {
        std::fs::rename(&temporary, &path).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}
