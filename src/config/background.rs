//! Work that may take its time: reading a configuration, serving an operator, freeing what nobody needs any more.
//!
//! It runs on threads of its own, which is enough where there is a core for each. Where there is not, it stands back.

/// How far (`nice`, setpriority(2)). A thread of the traffic that wakes up is let in at once, and a load of ten thousand rules takes
/// longer instead.
const NICE: i32 = 10;

/// Lets the traffic's threads go before this one from here on. Needs no right, since it only gives something up.
pub fn stand_back() {
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "a thread in the background keeps the priority of the traffic's");
    }
}
