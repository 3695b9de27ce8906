//! Events: what happens off the statement path, counted through the `metrics` facade.
//!
//! Whoever has something to tell names it in one line, where it happens. [`install`] makes this module the facade's
//! recorder, and the metrics page shows what it holds beside the workers' own counters, which are too hot for a facade
//! (`docs/adr/0010-metrics-are-read-not-recorded.md`). A program that embeds this library may install a recorder of its own
//! instead, and has the events there.
//!
//! Counters alone: how things stand is read where it stands, when the page is asked for. Labels are bounded by the
//! configuration or the code; beyond [`MOST`] of them in all, which only a configuration that changes for ever reaches, new
//! ones are not counted.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

/// Health checks, by `backend` and `result`: `ok`, `failed`, `timeout`, or `account` where the checks' own was refused.
pub const HEALTH_CHECKS: &str = "switchboard_health_checks_total";
/// Sign-ins at the admin port, by `result`: `ok`, `failed`.
pub const ADMIN_SIGN_INS: &str = "switchboard_admin_sign_ins_total";

/// Label sets that are kept.
const MOST: usize = 4096;

/// What was counted under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// What it is, in a few words.
    pub help: String,
    /// Labels, and how often.
    pub counts: Vec<(Vec<(String, String)>, u64)>,
}

/// Makes this module the recorder of the process, unless it has one already. Once is enough.
pub fn install() {
    if metrics::set_global_recorder(&EVENTS).is_ok() {
        metrics::describe_counter!(HEALTH_CHECKS, "Health checks of a backend, by what became of them");
        metrics::describe_counter!(ADMIN_SIGN_INS, "Sign-ins at the admin port, by what became of them");
    }
}

/// All that was counted in this process, by name.
pub fn read() -> BTreeMap<String, Family> {
    EVENTS.read()
}

static EVENTS: Events = Events(RwLock::new(BTreeMap::new()));

#[derive(Default)]
struct Events(RwLock<BTreeMap<String, Cells>>);

#[derive(Default)]
struct Cells {
    help: String,
    cells: BTreeMap<Key, Arc<AtomicU64>>,
}

impl Events {
    fn read(&self) -> BTreeMap<String, Family> {
        let families = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let owned = |key: &Key| key.labels().map(|l| (l.key().to_owned(), l.value().to_owned())).collect();
        let read = |(name, family): (&String, &Cells)| {
            let counts = family.cells.iter().map(|(key, cell)| (owned(key), cell.load(Relaxed))).collect();
            (name.clone(), Family { help: family.help.clone(), counts })
        };
        families.iter().map(read).collect()
    }

    fn known(&self, key: &Key) -> Option<Arc<AtomicU64>> {
        let families = self.0.read().unwrap_or_else(PoisonError::into_inner);
        families.get(key.name())?.cells.get(key).cloned()
    }

    fn admit(&self, key: &Key) -> Option<Arc<AtomicU64>> {
        let mut families = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if families.values().map(|family| family.cells.len()).sum::<usize>() >= MOST {
            return None;
        }
        let family = families.entry(key.name().to_owned()).or_default();
        Some(Arc::clone(family.cells.entry(key.clone()).or_default()))
    }
}

impl Recorder for &'static Events {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        let mut families = self.0.write().unwrap_or_else(PoisonError::into_inner);
        families.entry(name.as_str().to_owned()).or_default().help = help.into_owned();
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.known(key).or_else(|| self.admit(key)).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_their_labels_and_bounded() {
        let events: &'static Events = Box::leak(Box::default());
        metrics::with_local_recorder(&events, || {
            metrics::describe_counter!("calls_total", "Calls");
            for _ in 0..3 {
                metrics::counter!("calls_total", "result" => "ok").increment(1);
            }
            metrics::counter!("calls_total", "result" => "failed").increment(1);
            for n in 0..2 * MOST {
                metrics::counter!("many_total", "n" => n.to_string()).increment(1);
            }
            metrics::counter!("calls_total", "result" => "ok").increment(1);
        });
        let seen = events.read();
        let by = |result: &str| vec![("result".to_owned(), result.to_owned())];
        let counts = vec![(by("failed"), 1), (by("ok"), 4)];
        assert_eq!(seen["calls_total"], Family { help: "Calls".to_owned(), counts });
        assert_eq!(seen["many_total"].counts.len(), MOST - 2);
    }
}
