//! A TOML table, read key by key into typed values. What is wrong is noted with its place and reading goes on; keys that
//! nobody asked for are faults too.

use super::fault::{Fault, Sink, Source};
use super::text;
use crate::rules::Horizon;
use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Looks an environment variable up.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What all readers of one load share.
#[derive(Clone)]
pub(super) struct Shared<'a> {
    pub sink: Sink,
    pub env: Env<'a>,
    /// A password that cannot be had is a fault. Where nothing is served (to check, to explain) it is a warning.
    pub need_secrets: bool,
}

/// One table of a file.
pub(super) struct Section<'a> {
    shared: Shared<'a>,
    source: &'a Source,
    table: &'a DeTable<'a>,
    /// Where the table stands.
    span: Range<usize>,
    /// What it is called in messages: `[listen]`, `[[rule]]`.
    name: String,
    asked: RefCell<Vec<&'static str>>,
}

type Value<'a> = &'a Spanned<DeValue<'a>>;

impl<'a> Section<'a> {
    pub fn new(shared: Shared<'a>, source: &'a Source, table: &'a DeTable<'a>, span: Range<usize>, name: &str) -> Self {
        Self { shared, source, table, span, name: name.to_owned(), asked: RefCell::default() }
    }

    /// The key and its value, and a note that the key is known.
    fn entry(&self, key: &'static str) -> Option<(&'a Spanned<DeString<'a>>, Value<'a>)> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.table.get_key_value(key)
    }

    fn value(&self, key: &'static str) -> Option<Value<'a>> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Looks an environment variable up.
    pub fn env(&self, name: &str) -> Option<String> {
        (self.shared.env)(name)
    }

    /// Notes that a password cannot be had.
    pub fn no_secret(&self, key: &str, reason: impl Into<String>) {
        if self.shared.need_secrets { self.fault(key, reason) } else { self.warn(key, reason) }
    }

    /// True if the key is there. Does not make it a known one.
    pub fn contains(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// True if the key is there.
    pub fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// The directory that relative paths in this file start from.
    pub fn directory(&self) -> PathBuf {
        self.source.path.parent().map(PathBuf::from).unwrap_or_default()
    }

    /// Notes a fault at a key's value; at the table where the key is not there.
    pub fn fault(&self, key: &str, reason: impl Into<String>) {
        self.shared.sink.fault(self.place(key, reason));
    }

    /// Notes a warning at a key's value; at the table where the key is not there.
    pub fn warn(&self, key: &str, reason: impl Into<String>) {
        self.shared.sink.warn(self.place(key, reason));
    }

    fn place(&self, key: &str, reason: impl Into<String>) -> Fault {
        let span = self.table.get(key).map_or_else(|| self.span.clone(), |value| value.span());
        self.source.fault(&span, format!("{}: {}", self.label(key), reason.into()))
    }

    fn label(&self, key: &str) -> String {
        match (self.name.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (false, true) => self.name.clone(),
            (false, false) => format!("{} {key}", self.name),
        }
    }

    /// A fault at one value within a list.
    fn fault_within(&self, key: &str, span: &Range<usize>, reason: impl Into<String>) {
        self.shared.sink.fault(self.source.fault(span, format!("{}: {}", self.label(key), reason.into())));
    }

    fn wrong_type(&self, key: &str, value: Value<'_>, wanted: &str) {
        let is = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.fault_within(key, &value.span(), format!("{wanted} is needed here, not {is}"));
    }

    /// A text as it stands.
    pub fn raw_text(&self, key: &'static str) -> Option<String> {
        self.raw_text_of(key, self.value(key)?)
    }

    fn raw_text_of(&self, key: &'static str, value: Value<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => {
                self.wrong_type(key, value, "a string");
                None
            }
        }
    }

    /// A text, with environment variables put in.
    pub fn text(&self, key: &'static str) -> Option<String> {
        self.text_of(key, self.value(key)?)
    }

    fn text_of(&self, key: &'static str, value: Value<'_>) -> Option<String> {
        let raw = self.raw_text_of(key, value)?;
        match text::substitute(&raw, self.shared.env) {
            Ok(text) => Some(text),
            Err(reason) => {
                self.fault_within(key, &value.span(), reason);
                None
            }
        }
    }

    /// A text that `read` makes something of.
    pub fn parsed<T>(&self, key: &'static str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.value(key)?;
        let text = self.text_of(key, value)?;
        match read(&text) {
            Ok(parsed) => Some(parsed),
            Err(reason) => {
                self.fault_within(key, &value.span(), reason);
                None
            }
        }
    }

    /// A text, or a list of texts, that `read` makes something of each.
    pub fn list<T>(&self, key: &'static str, read: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let mut out = Vec::new();
        for value in self.each(key)? {
            let Some(text) = self.text_of(key, value) else { continue };
            match read(&text) {
                Ok(parsed) => out.push(parsed),
                Err(reason) => self.fault_within(key, &value.span(), reason),
            }
        }
        Some(out)
    }

    /// The values of a list; a single value is a list of one.
    fn each(&self, key: &'static str) -> Option<Vec<Value<'a>>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Array(list) => Some(list.iter().collect()),
            _ => Some(vec![value]),
        }
    }

    fn integer_of(&self, key: &'static str, value: Value<'_>, range: &RangeInclusive<u64>) -> Option<u64> {
        let out_of_range = || format!("a number from {} to {} is needed here", range.start(), range.end());
        let number = match value.get_ref() {
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok(),
            // So that an environment variable can give a number.
            DeValue::String(raw) if raw.contains("${") => match self.text_of(key, value)?.trim().parse() {
                Ok(number) => Some(number),
                Err(_) => {
                    self.fault_within(key, &value.span(), out_of_range());
                    return None;
                }
            },
            _ => {
                self.wrong_type(key, value, "a number");
                return None;
            }
        };
        let number = number.and_then(|n| u64::try_from(n).ok()).filter(|n| range.contains(n));
        if number.is_none() {
            self.fault_within(key, &value.span(), out_of_range());
        }
        number
    }

    /// A whole number within a range.
    pub fn integer(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.integer_of(key, self.value(key)?, &range)
    }

    /// A whole number within a range that fits 32 bits.
    pub fn small(&self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        self.integer(key, wide).and_then(|n| u32::try_from(n).ok())
    }

    /// A number, or a list of numbers, each of 32 bits.
    pub fn numbers(&self, key: &'static str) -> Option<Vec<u32>> {
        let range = 0..=u64::from(u32::MAX);
        let values = self.each(key)?;
        Some(
            values
                .into_iter()
                .filter_map(|v| self.integer_of(key, v, &range))
                .filter_map(|n| n.try_into().ok())
                .collect(),
        )
    }

    /// True or false, or 1 or 0 as ProxySQL's tables have it.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(on) => Some(*on),
            DeValue::Integer(number) if number.as_str() == "0" => Some(false),
            DeValue::Integer(number) if number.as_str() == "1" => Some(true),
            _ => {
                self.wrong_type(key, value, "true or false");
                None
            }
        }
    }

    /// A span of time.
    pub fn duration(&self, key: &'static str) -> Option<Duration> {
        self.parsed(key, text::duration)
    }

    /// A horizon.
    pub fn horizon(&self, key: &'static str) -> Option<Horizon> {
        self.parsed(key, text::horizon)
    }

    /// A number of bytes, within a range.
    pub fn size(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<usize> {
        let value = self.value(key)?;
        let bytes = match value.get_ref() {
            DeValue::String(_) => self.parsed(key, text::size)?,
            _ => self.integer_of(key, value, &(0..=u64::MAX))?,
        };
        if !range.contains(&bytes) {
            self.fault(key, format!("{} to {} bytes are possible here", range.start(), range.end()));
            return None;
        }
        usize::try_from(bytes).ok()
    }

    /// One of a list of names.
    pub fn choice<T: Copy>(&self, key: &'static str, names: &[(&str, T)]) -> Option<T> {
        self.parsed(key, |text| one_of(text, names))
    }

    /// Some of a list of names.
    pub fn choices<T: Copy>(&self, key: &'static str, names: &[(&str, T)]) -> Option<Vec<T>> {
        self.list(key, |text| one_of(text, names))
    }

    /// A path; a relative one starts at the file's directory.
    pub fn path(&self, key: &'static str) -> Option<PathBuf> {
        let text = self.parsed(key, |text| {
            if text.is_empty() { Err("a path is needed here".to_owned()) } else { Ok(text.to_owned()) }
        })?;
        Some(self.directory().join(text))
    }

    /// A table within this one.
    pub fn section(&self, key: &'static str) -> Option<Section<'a>> {
        let (name, value) = self.entry(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(self.within(table, name.span(), &self.child_name(key))),
            _ => {
                self.wrong_type(key, value, &format!("a table, [{key}],"));
                None
            }
        }
    }

    /// The tables of an array of tables, `[[key]]`.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong_type(key, value, &format!("[[{key}]]"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in list.iter() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    let name = format!("[{}]", self.child_name(key));
                    sections.push(self.within(table, item.span(), &name));
                }
                _ => self.wrong_type(key, item, &format!("[[{key}]]")),
            }
        }
        sections
    }

    /// True if the key's value is a table.
    pub fn is_table(&self, key: &'static str) -> bool {
        self.value(key).is_some_and(|v| matches!(v.get_ref(), DeValue::Table(_)))
    }

    /// True if the key's value is a list of nothing.
    pub fn is_empty_list(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|v| matches!(v.get_ref(), DeValue::Array(list) if list.is_empty()))
    }

    /// `proxysql`: columns of ProxySQL's tables that mean nothing here, kept for whoever edits these tables.
    pub fn kept(&self) {
        if let Some(kept) = self.section("proxysql") {
            let names: Vec<String> = kept.table.keys().map(|key| key.get_ref().to_string()).collect();
            self.warn("proxysql", format!("kept for the admin port, and without effect: {}", names.join(", ")));
        }
    }

    fn child_name(&self, key: &str) -> String {
        let outer = self.name.trim_matches(['[', ']']);
        if outer.is_empty() { format!("[{key}]") } else { format!("[{outer}.{key}]") }
    }

    fn within(&self, table: &'a DeTable<'a>, span: Range<usize>, name: &str) -> Section<'a> {
        Section::new(self.shared.clone(), self.source, table, span, name)
    }

    /// To be called when everything was asked for: what is left is unknown. `reserved` names keys that are known to be
    /// somebody else's, with what to say of them.
    pub fn finish(&self, reserved: &[(&str, &str)]) {
        let asked = self.asked.borrow();
        for key in self.table.keys().filter(|key| !asked.iter().any(|a| *a == key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let reason = match reserved.iter().find(|(known, _)| *known == name) {
                Some((_, words)) => format!("`{name}` {words}"),
                None => match text::nearest(name, asked.iter().copied()) {
                    Some(near) => format!("`{name}` is not known; did you mean `{near}`?"),
                    None => format!("`{name}` is not known"),
                },
            };
            let reason = if self.name.is_empty() { reason } else { format!("{}: {reason}", self.name) };
            self.shared.sink.fault(self.source.fault(&key.span(), reason));
        }
    }
}

fn one_of<T: Copy>(text: &str, names: &[(&str, T)]) -> Result<T, String> {
    if let Some(&(_, value)) = names.iter().find(|(name, _)| *name == text) {
        return Ok(value);
    }
    let all: Vec<&str> = names.iter().map(|&(name, _)| name).collect();
    Err(match text::nearest(text, all.iter().copied()) {
        Some(near) => format!("`{text}` is not known; did you mean `{near}`?"),
        None => format!("`{text}` is not known: it is one of {}", all.join(", ")),
    })
}
