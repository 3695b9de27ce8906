//! Work that may take its time: reading a configuration, serving an operator, freeing what nobody needs any more.
//!
//! It runs on threads of its own, which is enough where there is a core for each. Where there is not, it stands back in two ways:
//! by its priority, and by never being long at work without a break. The second matters more. A thread of the lowest priority
//! delays nobody who waits for *its* core, but a core that has something to do is never idle, and only an idle core fetches those who
//! wait for another one (`docs/adr/0012-background-work-takes-breaks.md` has the figures).
//!
//! Most of that work is within libraries: a parser, SQLite, an allocator. So it is a timer's signal that takes it to its breaks.
//! What this refuses: to touch the traffic's threads, and to wake a thread that has nothing to do.

use nix::sys::signal::{SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use rustix::time::Timespec;
use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::time::Duration;

/// How far it stands back (`nice`, setpriority(2)): the traffic's threads go first, and an operator waits no longer than it
/// takes. With the breaks, the traffic's latency is the same from here to nice 19, and a load takes half of the time that it takes there.
const NICE: i32 = 5;

/// The processor's time between two breaks. Up to here nothing was to be seen in the traffic's 99th percentile; from twice that on, it was.
const WORK: Duration = Duration::from_micros(500);

/// A break: long enough for an idle core to look around.
const BREAK: Duration = Duration::from_micros(100);

/// A break that would be due in less than this, in nanoseconds, is taken now.
const SLACK: i64 = 20_000;

/// The signal of an interval timer, which nothing else uses here.
const SIGNAL: Signal = Signal::SIGVTALRM;

thread_local! {
    /// This thread's processor time at its last break, in nanoseconds. Without a destructor: the signal's handler uses it.
    static RESTED: Cell<i64> = const { Cell::new(0) };
    /// What sends the signal to this thread, once it has asked for breaks. Made before the first signal, so that the handler never is
    /// the first to touch it.
    static TIMER: RefCell<Option<Timer>> = const { RefCell::new(None) };
}

/// Lets the traffic's threads go before this one from here on. Needs no right, since it only gives something up.
pub fn stand_back() {
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "a thread in the background keeps the priority of the traffic's");
    }
}

/// This thread begins to work: until [`at_rest`] it takes a break now and then, wherever it is.
pub fn at_work() {
    if let Err(error) = set_timer(after(WORK)) {
        tracing::debug!(%error, "a thread in the background takes no breaks");
    }
}

/// This thread has nothing to do, and is not to be woken.
pub fn at_rest() {
    // A timer that does not stop costs wake-ups and nothing else.
    let _ = set_timer(Expiration::OneShot(Duration::ZERO.into()));
}

/// What `work` gives, which this thread does with breaks.
pub fn with_breaks<T>(work: impl FnOnce() -> T) -> T {
    at_work();
    let done = work();
    at_rest();
    done
}

/// A signal then, and again and again: one that finds no room to set the timer anew is not the last.
fn after(time: Duration) -> Expiration {
    Expiration::IntervalDelayed(time.into(), WORK.into())
}

fn set_timer(expiration: Expiration) -> nix::Result<()> {
    TIMER.with_borrow_mut(|timer| {
        let timer = match timer {
            Some(timer) => timer,
            none => none.insert(new_timer()?),
        };
        timer.set(expiration, TimerSetTimeFlags::empty())
    })
}

fn new_timer() -> nix::Result<Timer> {
    static HANDLER: OnceLock<nix::Result<()>> = OnceLock::new();
    (*HANDLER.get_or_init(handle_signal))?;
    let thread_id = rustix::thread::gettid().as_raw_nonzero().get();
    let to_this = SigevNotify::SigevThreadId { signal: SIGNAL, thread_id, si_value: 0 };
    Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(to_this))
}

fn handle_signal() -> nix::Result<()> {
    // Calls that the signal interrupts go on by themselves where they can.
    let action = SigAction::new(SigHandler::Handler(break_if_due), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler keeps to what signal-safety(7) allows: clock_gettime(2), nanosleep(2) and timer_settime(2), which change
    // errno only where they fail, and cells of this thread alone. It cannot panic: a cell that is in use or gone is left alone.
    #[allow(unsafe_code)]
    unsafe { nix::sys::signal::sigaction(SIGNAL, &action) }.map(drop)
}

/// The signal's handler: a break if this thread has worked for long enough, and the next signal when the next one is due. While
/// the thread waits for a core the timer goes on, so that mostly it is not due yet when the signal comes.
extern "C" fn break_if_due(_: i32) {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let used = used.tv_sec.wrapping_mul(1_000_000_000).wrapping_add(used.tv_nsec);
    let left = (WORK.as_nanos() as i64).saturating_sub(used.wrapping_sub(RESTED.get()));
    let next = if left > SLACK {
        Duration::from_nanos(left.unsigned_abs())
    } else {
        RESTED.set(used);
        let _ = rustix::thread::nanosleep(&Timespec { tv_sec: 0, tv_nsec: i64::from(BREAK.subsec_nanos()) });
        WORK
    };
    let _ = TIMER.try_with(|timer| {
        if let Ok(mut timer) = timer.try_borrow_mut()
            && let Some(timer) = timer.as_mut()
        {
            let _ = timer.set(after(next), TimerSetTimeFlags::empty());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often this thread gave its core away by itself while it used so much of the processor's time.
    fn breaks_in(work: Duration) -> u64 {
        let breaks = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
            line.trim().parse::<u64>().unwrap()
        };
        let used = || Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).unwrap();
        let (before, end) = (breaks(), used() + work);
        while used() < end {
            std::hint::spin_loop();
        }
        breaks() - before
    }

    #[test]
    fn a_thread_at_work_takes_breaks_and_one_at_rest_is_left_alone() {
        let work = Duration::from_millis(60);
        assert!(breaks_in(work) < 10, "nobody asked for any");
        // One for each 0.5 to 0.6 ms; fewer where the timer is late.
        let breaks = with_breaks(|| breaks_in(work));
        assert!((30..=130).contains(&breaks), "{breaks} breaks");
        assert!(breaks_in(work) < 10, "the timer has stopped");
    }

    #[test]
    fn each_thread_has_breaks_of_its_own() {
        let other = std::thread::spawn(|| with_breaks(|| breaks_in(Duration::from_millis(60))));
        assert!(breaks_in(Duration::from_millis(60)) < 10, "they are another thread's");
        assert!(other.join().unwrap() >= 30);
    }
}
