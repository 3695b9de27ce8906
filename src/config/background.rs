//! Work that may take its time: reading a configuration, serving an operator, freeing what nobody needs any more.
//!
//! It runs on threads of its own, which is enough where there is a core for each. Where there is not, it stands back.

/// How far: all the way (`nice`, setpriority(2)). It is not starved there: with five threads for each core that never sleep, the
/// admin port answered in 0.14 s, at worst in 1.3 s.
const NICE: i32 = 19;

/// Lets the traffic's threads go before this one from here on. Needs no right, since it only gives something up.
pub fn stand_back() {
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "a thread in the background keeps the priority of the traffic's");
    }
}
