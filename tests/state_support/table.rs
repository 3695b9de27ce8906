//! The table of small programs (`found.txt`), one for each cause that was found, and what is known of each.
//!
//! ```text
//! ## item 4 · SET TRANSACTION READ ONLY counts for its own session alone
//! engines: mariadb mysql        what it is played on; both where the line is missing
//! holds: mysql                  where direct and routed are the same today; `none` for nowhere
//! readers: no                   played with a writer alone; with and without readers where the line is missing
//!                               `sometimes`: it differs now and then, by a race; it is played and reported, and fails neither way
//! pool: 1                       connections of each hostgroup; 4 where the line is missing
//! timeouts: hold_results = "0s" a line for that section of the router's configuration
//! 1: SET TRANSACTION READ ONLY
//! 2: INSERT INTO t2 (v) VALUES ('x')
//! ```
//!
//! A program is played with readers and without them, by clients with and without EOF packets, on servers whose globals are latin1; it
//! holds where none differs.

use super::program::Step;
use switchboard::cli::demo::servers::Engine;

/// One program.
#[derive(Clone, Debug)]
pub struct Row {
    pub title: String,
    pub engines: Vec<Engine>,
    pub holds: Vec<Engine>,
    /// It differs now and then.
    pub sometimes: bool,
    pub readers: bool,
    pub pool: usize,
    pub timeouts: String,
    pub steps: Vec<Step>,
}

const TABLE: &str = include_str!("found.txt");

/// All of them; or those of the file that `SWITCHBOARD_STATE_TABLE` names, to try programs without building anew.
pub fn rows() -> Vec<Row> {
    let other = std::env::var("SWITCHBOARD_STATE_TABLE").ok();
    let text = other.map(|path| std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")));
    text.as_deref()
        .unwrap_or(TABLE)
        .split("\n## ")
        .skip(1)
        .map(|text| read(text).unwrap_or_else(|fault| panic!("found.txt: {fault}")))
        .collect()
}

fn engines(text: &str) -> Result<Vec<Engine>, String> {
    let one = |word: &str| match word {
        "mariadb" => Ok(vec![Engine::MariaDb]),
        "mysql" => Ok(vec![Engine::MySql]),
        "both" => Ok(vec![Engine::MariaDb, Engine::MySql]),
        "none" => Ok(Vec::new()),
        other => Err(format!("{other:?} is no engine")),
    };
    Ok(text.split_whitespace().map(one).collect::<Result<Vec<_>, _>>()?.concat())
}

fn read(text: &str) -> Result<Row, String> {
    let mut lines = text.lines();
    let title = lines.next().unwrap_or_default().trim().to_owned();
    let mut row = Row {
        engines: engines("both")?,
        holds: Vec::new(),
        sometimes: false,
        readers: true,
        pool: 4,
        timeouts: String::new(),
        steps: Vec::new(),
        title: title.clone(),
    };
    let mut said = false;
    for line in lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fault = |why: String| format!("{title}: {why}");
        match line.split_once(": ").ok_or_else(|| fault(format!("{line:?}")))? {
            ("engines", names) => row.engines = engines(names).map_err(fault)?,
            ("holds", word) if word.trim() == "sometimes" => {
                row.sometimes = true;
                said = true;
            }
            ("holds", names) => {
                row.holds = engines(names).map_err(fault)?;
                said = true;
            }
            ("readers", word) => row.readers = word.trim() != "no",
            ("pool", number) => row.pool = number.trim().parse().map_err(|_| fault(format!("{number:?}")))?,
            ("timeouts", setting) => {
                row.timeouts.push_str(setting);
                row.timeouts.push('\n');
            }
            _ => row.steps.push(Step::read(line).map_err(fault)?),
        }
    }
    if said { Ok(row) } else { Err(format!("{title}: does not say where it holds")) }
}
