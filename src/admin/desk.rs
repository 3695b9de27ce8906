//! Where the sessions of the admin port work: the engine, what is edited, and the way to what is in effect.
//!
//! What is edited is the rows of `main`. [`Desk::sync`] brings into them what took effect meanwhile (a file that was saved,
//! another operator's LOAD): rows that nobody touched here follow, rows that were edited stay, and rows that both changed are
//! conflicts that stand in the way of LOAD and SAVE until somebody decides.

use super::commands::{Command, Show, first_word_is, show};
use super::dialect;
use super::engine::{Bounds, Engine, EngineError, Field, SCHEMAS};
use super::feed::Feed;
use super::functions::Who;
use super::history::Versions;
use super::model::merge::{merge, places};
use super::model::{self, Rows, Tables, variables};
use super::orders::Order;
use super::tables::values::row;
use super::tables::{Unit, checksums, main, monitor, servers, stats};
use super::wire::Answer;
use super::{idle, rights, stats_history};
use crate::config::admin::{AdminRole, AdminSettings};
use crate::config::{Document, Loaded, load_documents, read_files};
use crate::session::worker::Published;
use crate::telemetry::unix_seconds;
use rusqlite::types::Value;
use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a desk works with.
pub struct Parts {
    /// Versions of the configuration.
    pub versions: Arc<Versions>,
    /// Counters.
    pub feed: Arc<dyn Feed>,
    /// The way to the control thread.
    pub orders: mpsc::Sender<Order>,
    /// What the router was told to read; nothing where flags said it all.
    pub paths: Vec<PathBuf>,
    /// What is in effect, as the workers see it.
    pub published: Published,
}

/// What is edited, and what it came from.
#[derive(Default)]
pub(super) struct Memory {
    /// The version that was brought in last.
    version: u64,
    /// That version's rows, as its texts say them.
    told: Tables,
    /// The same, one for one, as the tables have them.
    had: Tables,
    /// The rows that edits began from, as the tables have them.
    pub base: Tables,
    /// Rows that were changed on both sides, by unit.
    pub conflicts: BTreeMap<Unit, Vec<String>>,
    /// Files that somebody changed, and the units that were taken from them since.
    pub taken: (Arc<[Document]>, BTreeSet<Unit>),
}

impl Memory {
    /// The rows of a version, as its texts say them; none if another was brought in last.
    pub fn said(&self, version: u64) -> &Tables {
        static NONE: Tables = Tables::new();
        if self.version == version { &self.told } else { &NONE }
    }
}

/// The desk.
pub struct Desk {
    pub(super) engine: Engine,
    pub(super) parts: Parts,
    pub(super) bounds: Bounds,
    pub(super) memory: RefCell<Memory>,
    /// Held by whoever is about to change what is in effect or what is in files.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The engine's word.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The rows' fault.
    #[error("{0}")]
    Model(#[from] model::ModelError),
    /// In words.
    #[error("{0}")]
    Refused(String),
}

impl From<DeskError> for Answer {
    fn from(error: DeskError) -> Self {
        Answer::refused(error)
    }
}

impl Desk {
    /// A desk with the configuration in effect on it.
    ///
    /// # Errors
    /// The engine's, or the model's; none is to be expected of a configuration that was loaded.
    pub fn new(parts: Parts, settings: &AdminSettings) -> Result<Self, DeskError> {
        let bounds = Bounds { time: settings.statement_timeout, bytes: settings.max_result };
        let (memory, turn) = (RefCell::default(), tokio::sync::Mutex::new(()));
        let desk = Self { engine: Engine::open()?, parts, bounds, memory, turn };
        desk.sync()?;
        Ok(desk)
    }

    /// The versions.
    pub fn versions(&self) -> &Versions {
        &self.parts.versions
    }

    /// The tables of a unit, by the unit that their rows go with.
    pub(super) fn tables_of(unit: Unit) -> impl Iterator<Item = &'static str> {
        let variables = matches!(unit, Unit::MysqlVariables | Unit::AdminVariables);
        main::TABLES.iter().map(|t| t.name).filter(move |name| match *name {
            "global_variables" => variables,
            other => !variables && main::unit(other) == unit,
        })
    }

    /// Rows as a table has them. Only those that are not `known` go through the table.
    #[expect(clippy::indexing_slicing, reason = "`open` holds places of `out`")]
    fn settled(&self, table: &str, rows: &Rows, known: Option<(&Rows, &Rows)>) -> Result<Rows, EngineError> {
        let none = Rows::new();
        let (told, had) = known.unwrap_or((&none, &none));
        let (mut out, mut new, mut open) = (Rows::new(), Rows::new(), Vec::new());
        for (row, place) in rows.iter().zip(places(table, told, rows)) {
            match place.filter(|place| told.get(*place) == Some(row)).and_then(|place| had.get(place)) {
                Some(had) => out.push(had.clone()),
                None => {
                    open.push(out.len());
                    out.push(Vec::new());
                    new.push(row.clone());
                }
            }
        }
        for (place, row) in open.into_iter().zip(self.engine.settled(&format!("disk.{table}"), &new)?) {
            out[place] = row;
        }
        Ok(out)
    }

    /// Brings what took effect meanwhile into what is edited.
    pub(super) fn sync(&self) -> Result<(), DeskError> {
        self.sync_with(None)
    }

    /// The same; `says` are the rows of a version that are known already.
    pub(super) fn sync_with(&self, says: Option<(u64, Tables)>) -> Result<(), DeskError> {
        let (version, loaded) = self.parts.versions.runtime();
        let mut memory = self.memory.borrow_mut();
        if memory.version == version {
            return Ok(());
        }
        let mut theirs = match says {
            Some((of, rows)) if of == version => rows,
            _ => model::project(&loaded, &self.engine.vault)?,
        };
        for table in main::TABLES.iter().map(|table| table.name) {
            let told = theirs.remove(table).unwrap_or_default();
            let known = memory.told.get(table).zip(memory.had.get(table));
            // What says what it said is no news for whoever edits.
            if known.is_some_and(|(before, had)| *before == told && memory.base.get(table) == Some(had)) {
                continue;
            }
            let there = self.settled(table, &told, known)?;
            // Nobody but who edits here changed it: as after a LOAD of what is edited.
            if memory.base.get(table) != Some(&there) {
                self.bring_in(&mut memory, table, &there)?;
                memory.base.insert(table, there.clone());
            }
            memory.told.insert(table, told);
            memory.had.insert(table, there);
        }
        memory.version = version;
        Ok(())
    }

    /// Brings a table's rows in effect into what is edited of it.
    fn bring_in(&self, memory: &mut Memory, table: &'static str, there: &Rows) -> Result<(), EngineError> {
        let here = self.engine.rows(&format!("main.{table}"))?;
        let none = Vec::new();
        let (merged, conflicts) = merge(table, memory.base.get(table).unwrap_or(&none), &here, there);
        if let Some(merged) = merged {
            self.engine.refill(&format!("main.{table}"), &merged)?;
        }
        if !conflicts.is_empty() {
            memory.conflicts.entry(main::unit(table)).or_default().extend(conflicts);
        }
        Ok(())
    }

    /// The rows of what is in effect.
    fn in_effect(&self) -> Result<Tables, DeskError> {
        let (version, loaded) = self.parts.versions.runtime();
        let memory = self.memory.borrow();
        let known = memory.said(version);
        if known.is_empty() { Ok(model::project(&loaded, &self.engine.vault)?) } else { Ok(known.clone()) }
    }

    /// What is edited of these units.
    pub(super) fn edited(&self, units: &[Unit]) -> Result<Tables, DeskError> {
        let mut tables = Tables::new();
        for table in units.iter().flat_map(|unit| Self::tables_of(*unit)) {
            if let Entry::Vacant(place) = tables.entry(table) {
                place.insert(self.engine.rows(&format!("main.{table}"))?);
            }
        }
        Ok(tables)
    }

    /// The configuration that the files say now, or why they say none.
    pub(super) fn on_disk(&self) -> Result<Loaded, DeskError> {
        let (_, runtime) = self.parts.versions.runtime();
        let documents = read_files(&self.parts.versions.disk()).map_err(DeskError::Refused)?;
        let faults = match load_documents(&documents, &runtime.secrets) {
            Ok(loaded) => return Ok(loaded),
            Err(faults) => faults,
        };
        let shown = faults.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Err(DeskError::Refused(format!("the files do not check out: {shown}")))
    }

    /// Fills the tables that a statement names and that are made when somebody looks. Of those that begin anew only the ones
    /// that it reads.
    fn refill(&self, text: &str, resets: &BTreeSet<String>) -> Result<(), DeskError> {
        let lower = text.to_ascii_lowercase();
        let named = |name: &str| lower.contains(name);
        if named("runtime_") {
            self.refill_runtime(&lower)?;
        }
        if named("disk") {
            let rows = model::project(&self.on_disk()?, &self.engine.vault)?;
            for (table, rows) in rows {
                self.engine.refill(&format!("disk.{table}"), &rows)?;
            }
        }
        let feed = &*self.parts.feed;
        let wanted = |name: &str| named(name) && (!name.ends_with("_reset") || resets.contains(name));
        for table in stats::TABLES.iter().filter(|t| wanted(t.name)) {
            let (name, reset) = match table.name.strip_suffix("_reset") {
                Some(name) => (name, true),
                None => (table.name, false),
            };
            if let Some(mut rows) = feed.rows(name, reset) {
                if matches!(table.name, "stats_mysql_global" | "stats_memory_metrics") {
                    rows.push(row!["SQLite3_memory_bytes", self.engine.bytes().to_string()]);
                }
                self.engine.refill(&format!("stats.{}", table.name), &rows)?;
            }
        }
        for table in monitor::TABLES.iter().filter(|t| named(t.name)) {
            if let Some(rows) = feed.rows(table.name, false) {
                self.engine.refill(&format!("monitor.{}", table.name), &rows)?;
            }
        }
        if named("switchboard_draining") {
            let draining = servers::draining(&self.parts.published, feed);
            self.engine.refill("stats.switchboard_draining", &draining)?;
        }
        if named("switchboard_config_history") {
            self.engine.refill("main.switchboard_config_history", &self.history_rows())?;
        }
        Ok(())
    }

    fn refill_runtime(&self, lower: &str) -> Result<(), DeskError> {
        let mut rows = self.in_effect()?;
        if let Some(rows) = rows.get_mut("mysql_servers") {
            servers::overlay_health(rows, &self.parts.published);
        }
        if lower.contains("runtime_checksums_values") {
            let sums = checksums::all(&rows, self.parts.versions.history().last().map(|e| &**e));
            self.engine.refill("main.runtime_checksums_values", &sums)?;
        }
        if let Some(users) = rows.get_mut("mysql_users") {
            *users = both_sides(users);
        }
        for (table, rows) in rows.iter().filter(|(table, _)| lower.contains(&format!("runtime_{table}"))) {
            self.engine.refill(&format!("main.runtime_{table}"), rows)?;
        }
        let shown = "UPDATE main.runtime_global_variables SET variable_value = switchboard_shown(variable_name, variable_value)";
        Ok(self.engine.whole(|tables| tables.execute(shown, []).map(drop))?)
    }

    fn history_rows(&self) -> Vec<Vec<Value>> {
        let text = |t: &str| Value::Text(t.to_owned());
        let row = |entry: &super::history::Entry| {
            let at = jiff::Timestamp::try_from(entry.at).map(|t| t.strftime("%Y-%m-%d %H:%M:%S").to_string());
            vec![
                Value::Integer(i64::try_from(entry.version).unwrap_or(i64::MAX)),
                text(&at.unwrap_or_default()),
                text(&entry.author),
                text(entry.source.name()),
                text(&entry.change),
                text(entry.diff()),
            ]
        };
        self.parts.versions.history().iter().map(|entry| row(entry)).collect()
    }

    /// Runs SQL for somebody.
    ///
    /// # Errors
    /// [`DeskError`].
    pub(super) fn sql(&self, who: &Who, text: &str, parameters: &[Value]) -> Result<Answer, DeskError> {
        self.sync()?;
        self.engine.greet(self.parts.published.load().greeting().version);
        let translated = dialect::translate(text);
        // What cannot be run, or may not, forgets nothing.
        let resets = match text.to_ascii_lowercase().contains("_reset") {
            true => self.engine.resets(who, &translated.sql, parameters.len())?,
            false => BTreeSet::new(),
        };
        self.refill(text, &resets)?;
        let outcome = self.engine.run(who, &translated.sql, parameters, self.bounds)?;
        if outcome.columns.is_empty() {
            // As ProxySQL has it: tools read the number of a rule that they gave none.
            let put_in = outcome.affected > 0 && first_word_is(text, &["INSERT", "REPLACE"]);
            let last_id = u64::try_from(outcome.last_row).ok().filter(|_| put_in).unwrap_or_default();
            return Ok(Answer::Done { affected: outcome.affected, last_id, info: String::new() });
        }
        let columns = outcome.columns.into_iter().map(|name| translated.name(name)).collect();
        Ok(Answer::Rows { columns, rows: outcome.rows })
    }

    /// What a statement would give: its parameters and its columns. A command has none before it runs.
    ///
    /// # Errors
    /// The answer for the client.
    pub fn describe(&self, who: &Who, text: &str) -> Result<(usize, Vec<String>), Answer> {
        if super::commands::read(text) != Command::Sql {
            return Ok((0, Vec::new()));
        }
        let translated = dialect::translate(text);
        let (parameters, columns) = self.engine.describe(who, &translated.sql).map_err(DeskError::Engine)?;
        Ok((parameters, columns.into_iter().map(|name| translated.name(name)).collect()))
    }

    /// The columns of a table of the present schema whose names are like a pattern, each with its default.
    ///
    /// # Errors
    /// The answer for the client.
    pub fn fields(&self, who: &Who, table: &str, like: &str) -> Result<Vec<Field>, Answer> {
        self.engine.fields(who, table, like).map_err(|error| match error {
            EngineError::Sql(text) if text.starts_with("no such table") => {
                Answer::error(1146, b"42S02", format!("Table '{}.{table}' doesn't exist", who.schema))
            }
            other => DeskError::Engine(other).into(),
        })
    }

    /// Carries a statement out.
    pub async fn carry_out(
        &self,
        who: &Who,
        text: &str,
        command: &Command,
        parameters: &[Value],
        warnings: &mut Vec<String>,
    ) -> Answer {
        if let Err(reason) = rights::may(who.role, command) {
            return Answer::refused(reason);
        }
        let done = match command {
            Command::Sql => {
                warnings.extend(idle::columns(text));
                self.sql(who, text, parameters)
            }
            Command::Noise | Command::Use(_) => Ok(Answer::ok()),
            Command::Show(show) => self.show(who, show, warnings),
            Command::Set(name, value) => self.set(who, name, value, warnings),
            Command::Carry(unit, direction) => self.carry(who, *unit, *direction, text, warnings).await,
            Command::Rollback(version) => self.roll_back(who, *version).await,
            Command::Operate(operation) => self.operate(who, *operation, warnings).await,
            Command::Kill { session, query } => self.kill(*session, *query).await,
            Command::Checksum(sum) => self.checksum(sum),
            Command::ExplainRoute { statement, who } => Ok(self.explain_route(statement, who.as_ref())),
            Command::DiffRoute => self.diff_route(warnings),
            Command::ForgetDigests => Ok(Answer::done(self.parts.feed.digests(true).len() as u64, String::new())),
            Command::KeepDigests => self.keep_digests(),
            Command::ConfigFile => Ok(self.config_file()),
            Command::WriteFile => Err(DeskError::Refused(
                "the port writes no files but the configuration's own: SAVE … TO DISK, or SELECT CONFIG FILE"
                    .to_owned(),
            )),
            Command::NotHere(words) => Err(DeskError::Refused(format!("{words} is ProxySQL's, and not known here"))),
        };
        done.unwrap_or_else(Answer::from)
    }

    fn show(&self, who: &Who, show: &Show, warnings: &[String]) -> Result<Answer, DeskError> {
        match show {
            Show::Select(select) if select.starts_with("PRAGMA") && who.role == AdminRole::Stats => {
                self.sql(who, show::FIGURES, &[])
            }
            Show::Select(select) => self.sql(who, select, &[]),
            Show::Tables(schema, like) => {
                let schema = schema.as_deref().unwrap_or(&who.schema);
                let known = SCHEMAS.iter().find(|known| known.eq_ignore_ascii_case(schema));
                let Some(known) = known else {
                    return Ok(Answer::error(1049, b"42000", format!("Unknown database '{schema}'")));
                };
                self.sql(who, &show::tables_select(known, like.as_deref()), &[])
            }
            Show::CreateTable(schema, table) => {
                let schemas = schema.as_deref().map_or_else(|| SCHEMAS.to_vec(), |one| vec![one]);
                for schema in schemas.into_iter().filter(|s| SCHEMAS.contains(s)) {
                    let select = format!(
                        "SELECT name AS \"table\", sql AS \"Create Table\" FROM {schema}.sqlite_schema \
                         WHERE type = 'table' AND name = {}",
                        show::quoted(table)
                    );
                    match self.sql(who, &select, &[])? {
                        Answer::Rows { rows, .. } if rows.is_empty() => {}
                        found => return Ok(found),
                    }
                }
                Ok(Answer::error(1146, b"42S02", format!("Table '{table}' doesn't exist")))
            }
            Show::Columns(schema, table) => {
                let (schema, table) = (schema.as_deref().unwrap_or("main"), show::quoted(table));
                let select = format!(
                    "SELECT name AS Field, type AS Type, IIF(\"notnull\", 'NO', 'YES') AS \"Null\", \
                     IIF(pk, 'PRI', '') AS \"Key\", dflt_value AS \"Default\", '' AS Extra \
                     FROM pragma_table_info({table}, {})",
                    show::quoted(schema)
                );
                self.sql(who, &select, &[])
            }
            Show::Warnings => {
                let rows = warnings.iter().map(|w| vec!["Warning".to_owned(), "1105".to_owned(), w.clone()]).collect();
                Ok(Answer::table(&["Level", "Code", "Message"], rows))
            }
            Show::CountWarnings => {
                Ok(Answer::table(&["@@session.warning_count"], vec![vec![warnings.len().to_string()]]))
            }
            Show::Draining => self.sql(who, "SELECT * FROM stats.switchboard_draining", &[]),
            Show::Metrics => match self.parts.feed.metrics() {
                Some(text) => Ok(Answer::table(&["Data"], vec![vec![text]])),
                None => Err(DeskError::Refused("this router serves no metrics".to_owned())),
            },
        }
    }

    fn set(&self, who: &Who, name: &str, value: &str, warnings: &mut Vec<String>) -> Result<Answer, DeskError> {
        if !variables::is_known(name) {
            return Ok(Answer::error(1193, b"HY000", format!("Unknown global variable: '{name}'")));
        }
        let update = "UPDATE main.global_variables SET variable_value = ? WHERE variable_name = ?";
        let parameters = [Value::Text(value.to_owned()), Value::Text(name.to_owned())];
        let answer = self.sql(who, update, &parameters)?;
        warnings.extend(variables::caveat(name));
        Ok(answer)
    }

    /// SAVE MYSQL DIGEST TO DISK.
    fn keep_digests(&self) -> Result<Answer, DeskError> {
        let kept = stats_history::keep_digests(&self.engine, &*self.parts.feed, unix_seconds())?;
        Ok(Answer::done(kept, String::new()))
    }

    fn config_file(&self) -> Answer {
        let (_, loaded) = self.parts.versions.runtime();
        let row = |d: &crate::config::Document| vec![d.path.display().to_string(), super::diff::masked(&d.text)];
        Answer::table(&["File", "Data"], loaded.documents.iter().map(row).collect())
    }
}

/// Two rows for a user, as ProxySQL has them at runtime: one for the side behind, one for the side in front.
fn both_sides(users: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let fields = model::users::USER;
    let side = |row: &Vec<Value>, backend: i64| {
        let mut row = row.clone();
        for (field, value) in fields.iter().zip(&mut row) {
            match field.column {
                "backend" => *value = Value::Integer(backend),
                "frontend" => *value = Value::Integer(1 - backend),
                _ => {}
            }
        }
        row
    };
    users.iter().map(|row| side(row, 1)).chain(users.iter().map(|row| side(row, 0))).collect()
}
