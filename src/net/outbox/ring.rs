//! An io_uring that sends a batch of messages with one system call.
//!
//! [`super`] is its only user, and sends message by message where no ring can be made. This is the only code that
//! speaks to io_uring, and it is used for nothing but sending: the ring holds no message beyond one call, and it never
//! waits for a socket to become writable.

use io_uring::{IoUring, Probe, opcode, types};
use nix::errno::Errno;
use std::io;
use std::os::fd::RawFd;

/// What became of a message: how many bytes the socket took, or why it took none. None: the kernel has not looked at it.
pub type Sent = Option<nix::Result<usize>>;

/// The result of a message that the kernel took, and of which nothing was heard: nobody knows whether it was sent.
pub const LOST: Errno = Errno::EIO;

/// An io_uring with room for one batch of messages; empty between two batches.
pub struct Ring(IoUring);

impl Ring {
    /// A ring for batches of so many messages, a power of two.
    ///
    /// # Errors
    /// io_uring does not exist here (before Linux 5.6), or it is forbidden (`kernel.io_uring_disabled`, a container's seccomp profile).
    pub fn new(messages: usize) -> io::Result<Self> {
        let entries = u32::try_from(messages).map_err(|_| io::ErrorKind::InvalidInput)?;
        // From Linux 6.0 on, a ring of one thread spares the kernel a lock.
        let ring = match IoUring::builder().setup_single_issuer().build(entries) {
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => IoUring::new(entries),
            made => made,
        }?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Send::CODE) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self(ring))
    }

    /// Sends each message to the socket with its descriptor, in order, and writes down what became of it. `flags` are those of
    /// `send(2)`, with `MSG_DONTWAIT` among them: no message is kept by the kernel beyond this call.
    ///
    /// # Errors
    /// The ring is of no more use. What the kernel has not looked at has no result; a message that it took, and of which nothing
    /// was heard, has [`LOST`].
    pub fn send<'a>(
        &mut self,
        messages: impl Iterator<Item = (RawFd, &'a [u8])>,
        flags: i32,
        results: &mut [Sent],
    ) -> io::Result<()> {
        let (mut queue, mut count) = (self.0.submission(), 0);
        for (descriptor, bytes) in messages {
            let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
            let send = opcode::Send::new(types::Fd(descriptor), bytes.as_ptr(), length).flags(flags);
            // SAFETY: the bytes are borrowed until this function returns, and then the kernel is done with them: with MSG_DONTWAIT a
            // message is dealt with while it is submitted, and all that were submitted are waited for. A wrong descriptor would
            // be an error, and no breach of memory.
            #[allow(unsafe_code, reason = "the kernel reads memory that it is pointed to")]
            let pushed = unsafe { queue.push(&send.build().user_data(count)) };
            pushed.map_err(|_| io::ErrorKind::InvalidInput)?;
            count += 1;
        }
        drop(queue);
        let mut missing = usize::try_from(count).unwrap_or(0);
        while missing > 0 {
            let submitted = self.0.submit_and_wait(missing);
            missing -= self.hear(results);
            match submitted {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    let untaken = self.0.submission().len();
                    let taken = results.len().saturating_sub(untaken);
                    for lost in results.iter_mut().take(taken).filter(|r| r.is_none()) {
                        *lost = Some(Err(LOST));
                    }
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes down what the kernel has said; returns how many messages that was.
    fn hear(&mut self, results: &mut [Sent]) -> usize {
        let mut heard = 0;
        for completion in self.0.completion() {
            let place = usize::try_from(completion.user_data()).ok().and_then(|place| results.get_mut(place));
            if let Some(place) = place {
                let result = completion.result();
                *place = Some(usize::try_from(result).map_err(|_| Errno::from_raw(-result)));
                heard += 1;
            }
        }
        heard
    }
}
