//! The house's one rule of order: imports point down only. Every path of ours in `src/` is held against the table below,
//! which is the table of `docs/architecture.md`; every file of `session` is held against the order of its rooms, which is there
//! too. To change who may import whom, change both, and say why there. No files import each other in a circle.

mod import_support;

use import_support::{House, calls, circles, code_only, rust_files};
use regex::Regex;
use std::collections::BTreeMap;
use std::path::Path;

/// Each module and what it may import of ours.
const TABLE: [(&str, &[&str]); 13] = [
    // Pure: bytes, text and sockets know nothing of what they are used for.
    ("protocol", &[]),
    ("sql", &[]),
    ("net", &[]),
    // A leaf of its own, open to all but those three.
    ("telemetry", &[]),
    ("rules", &["sql", "telemetry"]),
    ("auth", &["protocol", "telemetry"]),
    // Never each other.
    ("backend", &["net", "auth", "protocol", "telemetry"]),
    ("frontend", &["net", "auth", "protocol", "telemetry"]),
    ("session", &["frontend", "backend", "net", "auth", "protocol", "sql", "rules", "telemetry"]),
    // The others' settings types, to read them from files.
    ("config", &["session", "frontend", "backend", "auth", "rules", "net", "protocol", "sql", "telemetry"]),
    ("admin", ADMIN),
    // The composition root. Nothing below may import it.
    ("app", BELOW_APP),
    // The commands. Only the program itself stands above them.
    ("cli", BELOW_CLI),
];

/// The admin port has the front of the traffic port, edits what `config` reads, and shows what the others are.
const ADMIN: &[&str] =
    &["session", "backend", "rules", "config", "frontend", "auth", "protocol", "sql", "net", "telemetry"];

const BELOW_APP: &[&str] =
    &["protocol", "sql", "net", "telemetry", "rules", "auth", "backend", "frontend", "session", "config", "admin"];
const BELOW_CLI: &[&str] = &[
    "app",
    "protocol",
    "sql",
    "net",
    "telemetry",
    "rules",
    "auth",
    "backend",
    "frontend",
    "session",
    "config",
    "admin",
];

/// Files that stand above the table: the library's list of modules and the program's entry.
const ABOVE: [&str; 2] = ["lib.rs", "main.rs"];

fn allowed(module: &str) -> Option<&'static [&'static str]> {
    TABLE.iter().find(|(name, _)| *name == module).map(|(_, may)| *may)
}

/// The top-level modules that a file names: by `crate::`, in a list after `crate::`, or by climbing up with `super::`.
/// `depth` is how many `super::` lead from the file's own module to the crate's root.
fn imports(text: &str, depth: usize) -> Vec<String> {
    let code = code_only(text);
    let single = Regex::new(r"\bcrate\s*::\s*([a-z_]+)").unwrap();
    let list = Regex::new(r"\bcrate\s*::\s*\{").unwrap();
    let climb = Regex::new(r"\b((?:super\s*::\s*)+)([a-z_]+)").unwrap();
    let mut found: Vec<String> = single.captures_iter(&code).map(|c| c[1].to_owned()).collect();
    for start in list.find_iter(&code) {
        found.extend(list_heads(&code[start.end()..]));
    }
    for c in climb.captures_iter(&code) {
        // One more than the depth is what an inline module of tests needs to climb.
        if c[1].matches("super").count() >= depth && allowed(&c[2]).is_some() {
            found.push(c[2].to_owned());
        }
    }
    found
}

/// The first names in a braced list, its nested braces passed over: `{net::x, protocol::{a, b}}` gives net, protocol.
fn list_heads(text: &str) -> Vec<String> {
    let (mut heads, mut nested, mut item) = (Vec::new(), 0u32, String::new());
    for c in text.chars() {
        match c {
            '{' => nested += 1,
            '}' if nested > 0 => nested -= 1,
            ',' | '}' if nested == 0 => {
                heads.push(item.split("::").next().unwrap_or("").trim().to_owned());
                item.clear();
                if c == '}' {
                    break;
                }
            }
            _ => item.push(c),
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

#[test]
fn imports_point_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let mut faults: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut seen = 0;
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let shown = inside.display().to_string();
        if ABOVE.contains(&shown.as_str()) {
            continue;
        }
        let parts: Vec<String> =
            inside.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let module = parts[0].clone();
        let Some(may) = allowed(&module) else {
            faults.entry(shown).or_default().push(format!("the module `{module}` is not in the table"));
            continue;
        };
        let depth = parts.len() - usize::from(parts.last().is_some_and(|last| last == "mod"));
        for import in imports(&std::fs::read_to_string(&file).unwrap(), depth) {
            seen += 1;
            if import != module && !may.contains(&import.as_str()) {
                faults.entry(shown.clone()).or_default().push(format!("`{module}` may not import `{import}`"));
            }
        }
    }
    assert!(faults.is_empty(), "imports that point up or across:\n{faults:#?}");
    assert!(seen > 0, "no import was found at all: this test reads the wrong place");
}

#[test]
fn the_table_has_no_circle() {
    // Each module imports only what stands before it.
    for (at, (module, may)) in TABLE.iter().enumerate() {
        for import in *may {
            let place = TABLE.iter().position(|(name, _)| name == import).expect("in the table");
            assert!(place < at, "{module} imports {import}, which stands after it");
        }
    }
}

#[test]
fn the_reader_of_imports_reads_every_form() {
    let cases: [(&str, usize, &[&str]); 8] = [
        ("use crate::net::Stream;", 1, &["net"]),
        ("let x = crate::app::run();", 1, &["app"]),
        ("use crate::{net::{Stream, tls}, protocol::*, sql};", 1, &["net", "protocol", "sql"]),
        ("use super::session::Phase;", 1, &["session"]),
        ("use super::session::Phase;", 2, &[]),
        ("use super::super::session::Phase;", 2, &["session"]),
        ("/// See [`crate::app`].\n//! crate::cli\nfn f() {}", 1, &[]),
        (r#"println!("crate::app");"#, 1, &[]),
    ];
    for (text, depth, want) in cases {
        assert_eq!(imports(text, depth), want, "{text}");
    }
}

/// The rooms of `session`, lowest first. A file of a room imports from its own room and from lower ones, and calls no method of
/// a session that stands in a higher one.
const ROOMS: [&str; 15] = [
    // What a connection can be brought to, and a connection: they know no session.
    "state",
    "link",
    "error",
    "holdings",
    // What the sessions of a thread share. It knows of a session what stands on its card.
    "worker",
    "supply",
    // The session's own fields. From here on, rooms are methods of a session.
    "parts",
    "keeping",
    "client",
    "exchange",
    "home",
    "prepared",
    "statement",
    "commands",
    // The session's loop.
    "mod",
];

/// The room of a file of `session`: the folder or the file that stands directly in it.
fn room(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("session/")?;
    Some(inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs"))
}

/// What is against the order of these rooms: imports and calls that point up, and files that are in no room.
fn against_order(texts: Vec<(String, String)>, rooms: &[&str]) -> Vec<String> {
    let height = |file: &str| rooms.iter().position(|known| room(file) == Some(*known));
    let mut faults: Vec<String> = Vec::new();
    for (file, _) in texts.iter().filter(|(file, _)| room(file).is_some() && height(file).is_none()) {
        faults.push(format!("{file} is in no room of the table"));
    }
    let calls = calls(&texts, "Session");
    let imports = House::new(texts).arrows();
    for (does, arrows) in [("imports from", imports), ("calls a method of", calls)] {
        for (file, others) in &arrows {
            let higher = others.iter().filter(|other| height(file) < height(other) && height(file).is_some());
            faults.extend(higher.map(|other| format!("{file} {does} {other}")));
        }
    }
    faults
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let inside = |file: &Path| file.strip_prefix(&root).unwrap().display().to_string();
    files.iter().map(|file| (inside(file), std::fs::read_to_string(file).unwrap())).collect()
}

#[test]
fn rooms_of_a_session_point_down_only() {
    let faults = against_order(sources(), &ROOMS);
    assert!(faults.is_empty(), "against the order of the rooms:\n{faults:#?}");
    let files = sources();
    let empty: Vec<&&str> = ROOMS.iter().filter(|known| !files.iter().any(|(f, _)| room(f) == Some(**known))).collect();
    assert!(empty.is_empty(), "rooms without a file: {empty:?}");
}

#[test]
fn a_room_that_looks_up_is_found() {
    let rooms = ["low", "high", "mod"];
    let cases: [(&[(&str, &str)], &[&str]); 6] = [
        (
            &[
                ("session/mod.rs", "mod low; mod high; pub use high::High;"),
                ("session/low.rs", "use super::High;"),
                ("session/high.rs", "pub struct High;"),
            ],
            &["session/low.rs imports from session/high.rs"],
        ),
        // Down, within a room, and out of the module.
        (
            &[
                ("session/low/mod.rs", "pub mod a; use crate::rules::Rule; pub struct Low;"),
                ("session/low/a.rs", "use super::Low;"),
                ("session/high.rs", "use crate::session::low::Low; fn f() { crate::session::low::a::g() }"),
                ("rules.rs", "pub struct Rule;"),
            ],
            &[],
        ),
        // A method has no path.
        (
            &[
                (
                    "session/low.rs",
                    "pub struct Session;\nimpl Session {\n    fn f(&self) {\n        self.g();\n    }\n}\n",
                ),
                (
                    "session/high.rs",
                    "impl Session {\n    pub(super) async fn g(&self) {\n        self.f();\n    }\n}\n",
                ),
            ],
            &["session/low.rs calls a method of session/high.rs"],
        ),
        (
            &[("session/low.rs", "use super::run;"), ("session/mod.rs", "mod low; pub fn run() {}")],
            &["session/low.rs imports from session/mod.rs"],
        ),
        (&[("session/attic.rs", "")], &["session/attic.rs is in no room of the table"]),
        (&[("app/attic.rs", "use crate::session::low::Low;"), ("session/low.rs", "pub struct Low;")], &[]),
    ];
    for (files, want) in cases {
        let texts = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        assert_eq!(against_order(texts, &rooms), want, "{files:?}");
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let arrows = House::new(sources()).arrows();
    let found = circles(&arrows);
    for circle in &found {
        println!("{circle:?}");
        for file in circle {
            let ties: Vec<&String> = arrows[file].iter().filter(|other| circle.contains(other)).collect();
            println!("    {file} uses something of {ties:?}");
        }
    }
    assert!(found.is_empty(), "circles are mended by moving what both sides need below them: {found:?}");
}

#[test]
fn circles_are_found_through_every_form_and_only_where_they_are() {
    let cases: [(&[(&str, &str)], &[&[&str]]); 9] = [
        // A child that uses its parent's, whose parent uses the child's.
        (
            &[("a/mod.rs", "mod b; use b::B; pub struct A(B);"), ("a/b.rs", "use super::A; pub struct B;")],
            &[&["a/b.rs", "a/mod.rs"]],
        ),
        (
            &[("a/mod.rs", "mod b; fn f() { b::g() }"), ("a/b.rs", "pub fn g() { super::f() }")],
            &[&["a/b.rs", "a/mod.rs"]],
        ),
        // A parent that declares a child, and hands its names on.
        (&[("a/mod.rs", "mod b; pub use b::B; pub struct A;"), ("a/b.rs", "use super::A; pub struct B;")], &[]),
        // The same, but the parent uses the name itself.
        (
            &[("a.rs", "mod b; pub use b::B; pub struct A(B);"), ("a/b.rs", "use super::A; pub struct B;")],
            &[&["a.rs", "a/b.rs"]],
        ),
        // Siblings, through their parent's re-export, a list, an alias and a module's name.
        (
            &[
                ("a/mod.rs", "mod b; mod c; pub use c::C;"),
                ("a/b.rs", "use super::{C, c}; pub fn b() {}"),
                ("a/c.rs", "use crate::a::b as d; fn f() { d::b() } pub struct C;"),
            ],
            &[&["a/b.rs", "a/c.rs"]],
        ),
        (
            &[
                ("a/mod.rs", "mod b; mod c; mod d;"),
                ("a/b.rs", "use super::c::*;"),
                ("a/c.rs", "use super::d::D;"),
                ("a/d.rs", "fn f() { crate::a::b::g() }"),
            ],
            &[&["a/b.rs", "a/c.rs", "a/d.rs"]],
        ),
        // Importing a module alone uses nothing of it.
        (&[("a/mod.rs", "mod b; mod c;"), ("a/b.rs", "use super::c;"), ("a/c.rs", "use super::b::B;")], &[]),
        // Tests, comments and texts.
        (
            &[
                ("a/mod.rs", "mod b; use b::B;"),
                ("a/b.rs", "pub struct B; // super::A\n#[cfg(test)]\nmod tests { use super::super::A; }"),
                ("a/b/tests.rs", "use super::super::A;"),
            ],
            &[],
        ),
        // Other crates.
        (&[("a/mod.rs", "mod b; use b::B; pub struct A;"), ("a/b.rs", "use std::A; fn f() { tokio::a::A }")], &[]),
    ];
    for (files, want) in cases {
        let texts = files.iter().map(|(file, text)| ((*file).to_owned(), text.replace("\\n", "\n")));
        assert_eq!(circles(&House::new(texts).arrows()), want, "{files:?}");
    }
}
