//! What is wrong with a configuration, and where: file, line, column and a reason in one line.
//!
//! All files of this module report here, and go on reading after a fault, so that all faults are found at once. A fault
//! never holds a secret. Whoever loads a configuration refuses it if there is any fault; warnings refuse nothing.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    /// The file; empty where the fault is in no file (a flag, an environment variable).
    pub file: PathBuf,
    /// The line, counted from 1; 0 where there is none.
    pub line: usize,
    /// The column in characters, counted from 1; 0 where there is none.
    pub column: usize,
    /// What is wrong and what to do, in one line. Never holds a secret.
    pub reason: String,
}

impl Fault {
    /// A fault of a file as a whole, or of none where the path is empty.
    pub fn whole(file: &Path, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, reason: reason.into() }
    }

    /// Those of `now` that `before` did not have, in their order. One that only stands elsewhere in its file is not new.
    pub fn new_among<'a>(now: &'a [Self], before: &[Self]) -> Vec<&'a Self> {
        let (here, there): (HashSet<&Self>, HashSet<&Self>) = (now.iter().collect(), before.iter().collect());
        let mut moved: HashMap<(&Path, &str), usize> = HashMap::new();
        for gone in before.iter().filter(|fault| !here.contains(fault)) {
            *moved.entry((&gone.file, &gone.reason)).or_default() += 1;
        }
        let mut new: Vec<&'a Self> = now.iter().filter(|fault| !there.contains(fault)).collect();
        new.retain(|&fault| match moved.get_mut(&(fault.file.as_path(), fault.reason.as_str())) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        });
        new
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}:", self.file.display())?;
            if self.line > 0 {
                write!(f, "{}:{}:", self.line, self.column)?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}

/// A file's text, and where its lines begin.
#[derive(Debug)]
pub(super) struct Source {
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    /// Line and column, both from 1, of a byte offset.
    fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    pub fn fault(&self, span: &Range<usize>, reason: impl Into<String>) -> Fault {
        let (line, column) = self.position(span.start);
        Fault { file: self.path.clone(), line, column, reason: reason.into() }
    }
}

/// Where faults and warnings gather while files are read. Reading goes on after a fault, so that all are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Sink(Rc<RefCell<Gathered>>);

#[derive(Debug, Default)]
struct Gathered {
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl Sink {
    pub fn fault(&self, fault: Fault) {
        self.0.borrow_mut().faults.push(fault);
    }

    pub fn warn(&self, warning: Fault) {
        self.0.borrow_mut().warnings.push(warning);
    }

    pub fn has_faults(&self) -> bool {
        !self.0.borrow().faults.is_empty()
    }

    /// The faults and the warnings, each by place, each once.
    pub fn finish(&self) -> (Vec<Fault>, Vec<Fault>) {
        let Gathered { mut faults, mut warnings } = self.0.take();
        for list in [&mut faults, &mut warnings] {
            list.sort();
            list.dedup();
        }
        (faults, warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_among_warnings() {
        let at = |line, reason: &str| Fault { file: "a.toml".into(), line, column: 1, reason: reason.to_owned() };
        let before = [at(1, "x"), at(5, "y"), at(9, "y")];
        assert!(Fault::new_among(&before, &before).is_empty());
        let moved = [at(2, "x"), at(6, "y"), at(10, "y")];
        assert!(Fault::new_among(&moved, &before).is_empty(), "a line above them is all that changed");
        let more = [at(1, "x"), at(3, "y"), at(5, "y"), at(9, "y"), at(9, "z")];
        assert_eq!(Fault::new_among(&more, &before), [&more[1], &more[4]]);
        assert_eq!(Fault::new_among(&before, &before[..1]).len(), 2);
        let elsewhere = [Fault { file: "b.toml".into(), ..at(1, "x") }];
        assert_eq!(Fault::new_among(&elsewhere, &before).len(), 1);
    }
}
