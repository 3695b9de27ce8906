//! Which file of `src/` uses what of which other: the files that import each other in a circle are found from it.
//!
//! It reads `use` declarations and the paths in the code (`crate::…`, `super::…`, `self::…`, a child's name, a name that was
//! imported), and finds the file in which the named thing is defined: through re-exports, so that a folder's `mod.rs` that
//! only hands names on ties nobody together. Declaring a child is no import; naming something of its own is. It refuses to
//! understand more of Rust than that: methods have no paths, what macros make is not seen, and tests are left out.

use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// All Rust files below a directory.
pub fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The text without line comments, and with string literals emptied: neither imports anything.
pub fn code_only(text: &str) -> String {
    let noise = Regex::new(r#"(?m)//.*$|"(?:[^"\\]|\\.)*""#).unwrap();
    noise.replace_all(text, "").into_owned()
}

type Segments = Vec<String>;

/// One module that has a file of its own.
struct Module {
    /// `src/` left out: `session/mod.rs`.
    file: String,
    /// Names that its `use` declarations bind, and the paths that they stand for.
    bound: BTreeMap<String, Segments>,
    /// Paths whose every name is used, and paths that are named in the code.
    named: Vec<Segments>,
}

/// All modules with files, by their paths from the crate's root.
pub struct House {
    modules: BTreeMap<Segments, Module>,
}

/// A file, and the files that it uses something of.
pub type Arrows = BTreeMap<String, BTreeSet<String>>;

impl House {
    /// Reads a folder of sources; `texts` are files by their paths below it.
    pub fn new(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut modules = BTreeMap::new();
        for (file, text) in texts {
            let mut path: Segments = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            if path.last().is_some_and(|last| last == "tests") {
                continue;
            }
            if path.last().is_some_and(|last| last == "mod" || last == "lib") {
                path.pop();
            }
            modules.insert(path, Module::read(file, &text));
        }
        Self { modules }
    }

    /// Who uses whom.
    pub fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (at, module) in &self.modules {
            let used = arrows.entry(module.file.clone()).or_default();
            for path in &module.named {
                if let Some(file) = self.defining(at, path, 0).filter(|file| *file != module.file) {
                    used.insert(file);
                }
            }
        }
        arrows
    }

    /// The file that defines what a path names, seen from a module; none for what is not ours.
    fn defining(&self, at: &[String], path: &[String], depth: usize) -> Option<String> {
        if depth > 16 {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut place: Segments = at.to_vec();
        match first.as_str() {
            "crate" => place.clear(),
            "self" => {}
            "super" => {
                place.pop()?;
            }
            name => {
                place.push(name.to_owned());
                if !self.modules.contains_key(&place) {
                    // A name that a `use` has bound stands for another path; anything else is another crate's.
                    let bound = self.modules.get(at)?.bound.get(name)?;
                    let whole: Segments = bound.iter().chain(rest).cloned().collect();
                    return self.defining(at, &whole, depth + 1);
                }
            }
        }
        while let Some((name, further)) = rest.split_first() {
            if name == "super" {
                place.pop()?;
            } else {
                place.push(name.clone());
                if !self.modules.contains_key(&place) {
                    place.pop();
                    break;
                }
            }
            rest = further;
        }
        let module = self.modules.get(&place)?;
        match rest.first() {
            // A module as such: what is used of it is named elsewhere.
            None => None,
            Some(name) if place != at && module.bound.contains_key(name) => {
                let whole: Segments = module.bound[name].iter().chain(&rest[1..]).cloned().collect();
                self.defining(&place, &whole, depth + 1)
            }
            Some(_) => Some(module.file.clone()),
        }
    }
}

impl Module {
    fn read(file: String, text: &str) -> Self {
        let tests = Regex::new(r"(?s)#\[cfg\(test\)\]\s*mod \w+ \{.*").unwrap();
        let code = code_only(text);
        let code = tests.replace(&code, "").into_owned();
        let declaration = Regex::new(r"(?s)\b(pub(?:\([a-z: ]+\))?\s+)?use\s+([^;]+);").unwrap();
        let rest = declaration.replace_all(&code, ";").into_owned();
        let mut module = Self { file, bound: BTreeMap::new(), named: Vec::new() };
        for found in declaration.captures_iter(&code) {
            let handed_on = found.get(1).is_some();
            for (path, name) in spread(&found[2]) {
                let word = Regex::new(&format!(r"\b{}\b", regex::escape(&name))).unwrap();
                // What is only handed on is no use of it.
                if name == "*" || !handed_on || word.is_match(&rest) {
                    module.named.push(path.clone());
                }
                module.bound.insert(name, path);
            }
        }
        let path = Regex::new(r"\b[A-Za-z_]\w*(?:\s*::\s*[A-Za-z_*]\w*)+").unwrap();
        for found in path.find_iter(&rest) {
            module.named.push(found.as_str().split("::").map(|part| part.trim().to_owned()).collect());
        }
        module
    }
}

/// The paths of a `use` declaration, with the name that each binds: `a::{b, c as d, e::*}` gives a::b, a::c (d), a::e::* (*).
fn spread(tree: &str) -> Vec<(Segments, String)> {
    let tree = tree.trim();
    if let Some((before, list)) = tree.split_once('{') {
        let head: Segments =
            before.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
        let list = list.trim_end().trim_end_matches('}');
        let mut all = Vec::new();
        for item in split_list(list) {
            for (path, name) in spread(&item) {
                let own = path.first().is_some_and(|first| first == "self");
                let tail = if own { &path[1..] } else { &path[..] };
                let name = if own && tail.is_empty() && name == "self" { head[head.len() - 1].clone() } else { name };
                all.push((head.iter().chain(tail).cloned().collect(), name));
            }
        }
        return all;
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim().to_owned())),
        None => (tree, None),
    };
    let path: Segments = path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    match path.last().cloned() {
        Some(last) => vec![(path, alias.unwrap_or(last))],
        None => Vec::new(),
    }
}

/// The items of a braced list, with the lists in them left whole.
fn split_list(list: &str) -> Vec<String> {
    let (mut items, mut nested, mut item) = (Vec::new(), 0i32, String::new());
    for c in list.chars() {
        match c {
            '{' => nested += 1,
            '}' => nested -= 1,
            ',' if nested == 0 => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            _ => {}
        }
        item.push(c);
    }
    items.push(item);
    items.retain(|item| !item.trim().is_empty());
    items
}

/// Who calls whose methods of one type, where many files have `impl` blocks of it: calls on `self` in these blocks.
pub fn calls(texts: &[(String, String)], of: &str) -> Arrows {
    let block = Regex::new(&format!(r"(?ms)^impl {of} \{{(.*?)^\}}")).unwrap();
    let method = Regex::new(r"(?m)^    (?:pub(?:\([^)]*\))? )?(?:async )?fn (\w+)").unwrap();
    let call = Regex::new(r"\bself\s*\.\s*(\w+)\s*\(").unwrap();
    let blocks =
        |text: &str| -> Vec<String> { block.captures_iter(&code_only(text)).map(|c| c[1].to_owned()).collect() };
    let mut homes: BTreeMap<String, &String> = BTreeMap::new();
    for (file, text) in texts {
        for block in blocks(text) {
            homes.extend(method.captures_iter(&block).map(|c| (c[1].to_owned(), file)));
        }
    }
    let mut arrows = Arrows::new();
    for (file, text) in texts {
        for block in blocks(text) {
            let called =
                call.captures_iter(&block).filter_map(|c| homes.get(&c[1]).copied()).filter(|home| *home != file);
            arrows.entry(file.clone()).or_default().extend(called.cloned());
        }
    }
    arrows
}

/// The circles: each a list of files of which every one leads to every other, sorted.
pub fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> = arrows.keys().map(|file| (file, reached(arrows, file))).collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, there) in &reach {
        if there.contains(file) {
            let mutual = there.iter().filter(|other| reach.get(**other).is_some_and(|back| back.contains(file)));
            found.insert(mutual.map(|other| (*other).clone()).collect());
        }
    }
    found.into_iter().collect()
}

fn reached<'a>(arrows: &'a Arrows, from: &String) -> BTreeSet<&'a String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        for next in arrows.get(file).into_iter().flatten() {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    seen
}
