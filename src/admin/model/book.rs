//! The configuration's texts, opened for reading and for changes that leave everything else as it is.
//!
//! The other files of this model read entries of a [`Book`] and change single keys; comments, order and blanks stay,
//! and a text that nobody changed stays the same byte by byte. It writes no file and judges no value.

use crate::auth::Secret;
use crate::config::{Document, value_of};
use rusqlite::types::Value as Sql;
pub use rusqlite::types::Value as SqlValue;
use std::path::PathBuf;
use std::sync::Arc;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

/// The key under which a table keeps what is ProxySQL's alone.
pub const KEPT: &str = "proxysql";

/// One text.
struct Page {
    path: PathBuf,
    text: Arc<str>,
    document: DocumentMut,
    changed: bool,
}

/// All texts.
pub struct Book {
    pages: Vec<Page>,
    secrets: Vec<(String, Secret)>,
}

/// Where an entry of an array of tables stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    page: usize,
    index: usize,
}

impl Book {
    /// Opens the texts.
    ///
    /// # Errors
    /// A text that is no TOML, in words. The loader would have refused it.
    pub fn open(documents: &[Document], secrets: &[(String, Secret)]) -> Result<Self, String> {
        let mut pages = Vec::with_capacity(documents.len());
        for document in documents {
            let parsed: DocumentMut =
                document.text.parse().map_err(|error| format!("{}: {error}", document.path.display()))?;
            let (path, text) = (document.path.clone(), Arc::clone(&document.text));
            pages.push(Page { path, text, document: parsed, changed: false });
        }
        for page in &mut pages {
            // A list of inline tables says the same as tables; they are edited as tables.
            for (_, item) in page.document.as_table_mut().iter_mut() {
                let tables = item.as_array().is_some_and(|a| !a.is_empty() && a.iter().all(Value::is_inline_table));
                if tables && let Ok(array) = std::mem::take(item).into_array_of_tables() {
                    *item = Item::ArrayOfTables(array);
                }
            }
        }
        Ok(Self { pages, secrets: secrets.to_vec() })
    }

    /// The texts as they are now. Those that nobody changed are what they were, byte by byte.
    pub fn texts(&self) -> Vec<Document> {
        let text = |page: &Page| if page.changed { page.document.to_string().into() } else { Arc::clone(&page.text) };
        self.pages.iter().map(|page| Document { path: page.path.clone(), text: text(page) }).collect()
    }

    /// A text with its variables put in, as the loader reads it.
    pub fn substituted(&self, raw: &str) -> String {
        value_of(raw, &self.secrets).unwrap_or_else(|| raw.to_owned())
    }

    /// The entries of `[[key]]`, through all texts.
    pub fn entries<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (Place, &'a Table)> {
        self.pages.iter().enumerate().flat_map(move |(page, text)| {
            let tables = text.document.get(key).and_then(Item::as_array_of_tables);
            tables
                .into_iter()
                .flat_map(ArrayOfTables::iter)
                .enumerate()
                .map(move |(index, t)| (Place { page, index }, t))
        })
    }

    /// An entry.
    pub fn table(&self, key: &str, place: Place) -> Option<&Table> {
        self.pages.get(place.page)?.document.get(key)?.as_array_of_tables()?.get(place.index)
    }

    /// An entry, to be changed.
    pub fn entry(&mut self, key: &str, place: Place) -> Option<&mut Table> {
        let page = self.pages.get_mut(place.page)?;
        page.changed = true;
        page.document.get_mut(key)?.as_array_of_tables_mut()?.get_mut(place.index)
    }

    /// Changes an entry by `write`. One that says the same afterwards leaves its text as it is.
    ///
    /// # Errors
    /// Those of `write`; nothing has changed then.
    pub fn revise<E>(
        &mut self,
        key: &str,
        place: Place,
        write: impl FnOnce(&Book, &mut Table) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(mut table) = self.table(key, place).cloned() else { return Ok(()) };
        let before = table.to_string();
        write(self, &mut table)?;
        if table.to_string() != before
            && let Some(entry) = self.entry(key, place)
        {
            *entry = table;
        }
        Ok(())
    }

    /// Takes entries out.
    pub fn remove(&mut self, key: &str, mut places: Vec<Place>) {
        places.sort_unstable();
        for place in places.into_iter().rev() {
            let Some(page) = self.pages.get_mut(place.page) else { continue };
            page.changed = true;
            if let Some(tables) = page.document.get_mut(key).and_then(Item::as_array_of_tables_mut) {
                let removed = tables.remove(place.index);
                let empty = tables.is_empty();
                // The comment right above an entry is its own; what stands above that is somebody else's.
                let above = removed.decor().prefix().and_then(|p| p.as_str()).unwrap_or_default();
                let others = above.rfind("\n\n").map_or("", |at| &above[..=at]).to_owned();
                if others.contains('#') {
                    match tables.get_mut(place.index) {
                        Some(next) => {
                            let own = next.decor().prefix().and_then(|p| p.as_str()).unwrap_or_default();
                            let joined = format!("{others}{own}");
                            next.decor_mut().set_prefix(joined);
                        }
                        None => {
                            let trailing = page.document.trailing().as_str().unwrap_or_default().to_owned();
                            page.document.set_trailing(format!("{others}{trailing}"));
                        }
                    }
                }
                if empty {
                    page.document.remove(key);
                }
            }
        }
    }

    /// Adds an entry after the last of its kind; where there is none, to the text that has most to do with it.
    pub fn add(&mut self, key: &str, mut table: Table) {
        let has = |page: &Page, key: &str| page.document.get(key).is_some_and(Item::is_array_of_tables);
        let kin = ["rule", "table", "backend", "hostgroup", "user"];
        let last = |key: &str| self.pages.iter().rposition(|page| has(page, key));
        let place = last(key).or_else(|| kin.iter().find_map(|key| last(key))).unwrap_or(0);
        let Some(page) = self.pages.get_mut(place) else { return };
        page.changed = true;
        table.set_position(None);
        table.decor_mut().set_prefix("\n");
        table.decor_mut().set_suffix("");
        let item = page.document.entry(key).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if let Some(tables) = item.as_array_of_tables_mut() {
            // Its place among the tables: after the last one, and what that one has below it.
            tables.push(table);
        }
    }

    /// A value that stands once, such as `limits.max_clients`.
    pub fn single(&self, path: &[&str]) -> Option<&Item> {
        self.pages.iter().find_map(|page| {
            let mut item = page.document.as_item();
            for key in path {
                item = item.get(key)?;
            }
            Some(item)
        })
    }

    /// Sets a value that stands once, where it stands; a new one goes where its table is, or into the first text. None
    /// takes it out.
    pub fn set_single(&mut self, path: &[&str], value: Option<Value>) {
        let Some((key, tables)) = path.split_last() else { return };
        let holds = |page: &Page, path: &[&str]| {
            let mut item = page.document.as_item();
            path.iter().all(|key| item.get(key).map(|inner| item = inner).is_some())
        };
        let place = self.pages.iter().position(|page| holds(page, path));
        let place = place.or_else(|| self.pages.iter().position(|page| !tables.is_empty() && holds(page, tables)));
        let Some(page) = self.pages.get_mut(place.unwrap_or(0)) else { return };
        page.changed = true;
        let mut item = page.document.as_item_mut();
        for name in tables {
            let Some(table) = item.as_table_like_mut() else { return };
            item = table.entry(name).or_insert_with(|| Item::Table(Table::new()));
        }
        let Some(table) = item.as_table_like_mut() else { return };
        match value {
            Some(value) => set(table, key, value),
            None => {
                table.remove(key);
            }
        }
    }

    /// The rows kept under `[proxysql]` for a table that means nothing here.
    pub fn kept_rows(&self, table: &str) -> Vec<&dyn toml_edit::TableLike> {
        let lists = self.pages.iter().filter_map(|page| page.document.get(KEPT)?.get(table));
        lists
            .flat_map(|item| -> Vec<&dyn toml_edit::TableLike> {
                match item {
                    Item::ArrayOfTables(tables) => tables.iter().map(|t| t as &dyn toml_edit::TableLike).collect(),
                    Item::Value(Value::Array(list)) => list
                        .iter()
                        .filter_map(|v| v.as_inline_table().map(|t| t as &dyn toml_edit::TableLike))
                        .collect(),
                    _ => Vec::new(),
                }
            })
            .collect()
    }

    /// Puts rows in the place of those.
    pub fn keep_rows(&mut self, table: &str, rows: Vec<InlineTable>) {
        let mut list = Array::new();
        for row in rows {
            list.push_formatted(Value::from(row).decorated("\n    ", ""));
        }
        if !list.is_empty() {
            list.set_trailing("\n");
        }
        // Only one text may have it.
        for page in self.pages.iter_mut().filter(|page| page.document.get(KEPT).is_some_and(|k| k.get(table).is_some()))
        {
            page.changed = true;
            if let Some(kept) = page.document.get_mut(KEPT).and_then(Item::as_table_like_mut) {
                kept.remove(table);
            }
        }
        if !list.is_empty() {
            self.set_single(&[KEPT, table], Some(Value::from(list)));
        }
        for page in &mut self.pages {
            if page.document.get(KEPT).and_then(Item::as_table_like).is_some_and(toml_edit::TableLike::is_empty) {
                page.changed = true;
                page.document.remove(KEPT);
            }
        }
    }
}

/// Sets a value, and leaves the blanks and comments around it where they are.
pub fn set(table: &mut dyn toml_edit::TableLike, key: &str, mut value: Value) {
    if let Some(present) = table.get_mut(key).and_then(Item::as_value_mut) {
        *value.decor_mut() = present.decor().clone();
        *present = value;
        return;
    }
    table.insert(key, Item::Value(value));
}

/// A TOML text of an SQL text, such that the loader reads what SQL has: `${` is kept from being a variable.
pub fn literal(text: &str) -> Value {
    Value::from(text.replace("${", "$${"))
}

/// An SQL value as text; NULL is none.
pub fn text_of(value: &Sql) -> Option<String> {
    match value {
        Sql::Null => None,
        Sql::Integer(number) => Some(number.to_string()),
        Sql::Real(number) => Some(number.to_string()),
        Sql::Text(text) => Some(text.clone()),
        Sql::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// An SQL value as a whole number.
pub fn int_of(value: &Sql) -> Option<i64> {
    match value {
        Sql::Integer(number) => Some(*number),
        Sql::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Rows that are equal column by column.
pub fn all_same(a: &[Sql], b: &[Sql]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// Equal as a column has them: `'5'` and `5` are the same there.
pub fn same(a: &Sql, b: &Sql) -> bool {
    a == b || text_of(a) == text_of(b)
}
