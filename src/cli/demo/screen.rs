//! What the demo shows: a table that is redrawn in place on a terminal, or printed now and then where there is none.
//!
//! [`super::run`] gives it a [`View`] to draw from. It only draws: a reader of standard output who has left does not
//! stop the demo.

use super::applier::Progress;
use super::estate::{Estate, Place, stand_in};
use super::ledger::{Class, Ledger, RECENT};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time between two drawings on a terminal, and between two tables without one.
const REDRAW: Duration = Duration::from_millis(500);
const REPRINT: Duration = Duration::from_secs(10);

/// Go to the upper left corner; without wrapping, so that long lines do not shift the rest.
const HOME: &str = "\x1b[H\x1b[?7l";
/// Clear the whole screen first.
const CLEAR: &str = "\x1b[2J";
/// Clear to the end of the line, and to the end of the screen.
const END_OF_LINE: &str = "\x1b[K";
const END_OF_SCREEN: &str = "\x1b[J\x1b[?7h";

/// What one table is drawn from.
#[derive(Debug)]
pub struct View<'a> {
    /// The servers.
    pub estate: &'a Estate,
    /// The statements.
    pub ledger: &'a Ledger,
    /// The feed from the master to Aurora.
    pub feed: &'a Progress,
    /// Why each class goes where it goes, in the order of [`Class::ALL`].
    pub reasons: &'a [String],
    /// What is going on.
    pub phase: &'a str,
    /// Which servers are up, in the order of [`Place::ALL`].
    pub up: [bool; 3],
}

/// The screen.
#[derive(Debug)]
pub struct Screen {
    terminal: bool,
    cleared: bool,
    last: Option<Instant>,
}

impl Screen {
    /// For standard output, redrawing in place if that is a terminal and `plain` is not set.
    pub fn new(plain: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Screen { terminal: !plain && !dumb && std::io::stdout().is_terminal(), cleared: false, last: None }
    }

    /// Prints a line of its own.
    pub fn say(&mut self, line: &str) {
        let mut out = std::io::stdout().lock();
        // Nobody reads any more: the demo goes on to its end and its exit code.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }

    /// Draws the table, if it is time to.
    pub fn draw(&mut self, view: &View<'_>) {
        let every = if self.terminal { REDRAW } else { REPRINT };
        if self.last.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        self.draw_now(view);
    }

    /// Draws the table now.
    pub fn draw_now(&mut self, view: &View<'_>) {
        self.last = Some(Instant::now());
        let table = table(view);
        let mut out = std::io::stdout().lock();
        let drawn = if self.terminal {
            let clear = if std::mem::replace(&mut self.cleared, true) { "" } else { CLEAR };
            let lines = table.replace('\n', &format!("{END_OF_LINE}\r\n"));
            write!(out, "{clear}{HOME}{lines}{END_OF_SCREEN}")
        } else {
            writeln!(out, "\n{table}")
        };
        let _ = drawn.and_then(|()| out.flush());
    }
}

/// The table as text.
fn table(view: &View<'_>) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "Switchboard demo: BigDB in small. {:>4} s   {}", view.ledger.now().as_secs(), view.phase);
    for place in Place::ALL {
        let server = view.estate.at(place);
        let note = match place {
            Place::Aurora => stand_in(server.engine()),
            _ => server.engine().name(),
        };
        let state = if *place.of(&view.up) { "up" } else { "DOWN" };
        let _ = writeln!(out, "  {:<12} {}  {:<4}  {note}", place.name(), server.address(), state);
    }
    let feed = match view.feed.trouble() {
        None => format!("{} rows applied, {} ms behind", view.feed.rows(), view.feed.behind().as_millis()),
        Some(trouble) => format!("{} rows applied; waiting: {trouble}", view.feed.rows()),
    };
    let _ = writeln!(out, "  {:<12} master's binary log to Aurora: {feed}\n", "feed");
    let _ = writeln!(
        out,
        "{:<18}{:>7}{:>6}{:>8}{:>8} |{:>8}{:>8}{:>8} |{:>7}  why",
        "statements", "sent", "/s", "p50 ms", "p95 ms", "master", "replica", "Aurora", "errors"
    );
    for (class, reason) in Class::ALL.into_iter().zip(view.reasons) {
        let s = view.ledger.summary(class);
        let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
        let rate = s.recent as u64 / RECENT.as_secs();
        let _ = writeln!(
            out,
            "{:<18}{:>7}{rate:>6}{:>8}{:>8} |{:>8}{:>8}{:>8} |{:>7}  {reason}",
            class.name(),
            s.sent,
            ms(s.median),
            ms(s.p95),
            s.seen[0],
            s.seen[1],
            s.seen[2],
            s.errors
        );
    }
    let _ = writeln!(out, "master, replica and Aurora: statements that stand in that server's own general log");
    out
}
