//! LOAD DATA LOCAL: the one moment when a client answers a server. Its file is passed on as it comes, to the end, whatever
//! becomes of the server. It refuses to keep a file.

use crate::net::write::write_all;
use crate::protocol::codec::{HEADER, Header, MAX_FRAME};
use crate::session::error::SessionEnd;
use crate::session::link::Link;
use crate::session::parts::Session;
use crate::session::parts::request::{Delivered, Failed, Failure};

/// Follows the client's file: packets until an empty one.
#[derive(Debug, Default)]
struct File {
    /// Bytes of the present frame that are still to come.
    left: usize,
    /// The head of a frame whose header is not whole yet.
    head: Vec<u8>,
    sequence: u8,
    /// The frame before was full: the next one belongs to the same packet, and if it is empty it ends that and not the file.
    continues: bool,
    done: bool,
}

impl File {
    /// Takes note of bytes; returns how many of them belong to the file.
    #[expect(clippy::indexing_slicing, reason = "a step ends where the bytes do, at the latest")]
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && !self.done {
            if self.left > 0 {
                let step = self.left.min(bytes.len() - at);
                self.left -= step;
                at += step;
                continue;
            }
            let need = HEADER - self.head.len();
            let step = need.min(bytes.len() - at);
            self.head.extend_from_slice(&bytes[at..at + step]);
            at += step;
            if let Some(header) = Header::read(&self.head) {
                self.head.clear();
                self.left = header.length;
                self.sequence = header.sequence;
                self.done = header.length == 0 && !self.continues;
                self.continues = header.length == MAX_FRAME;
            }
        }
        at
    }
}

impl Session {
    /// Passes the client's file on; returns the sequence number of its last frame. Where the backend is lost on the way, the
    /// rest is read all the same: a client that sends a file listens to nobody before the file's end.
    pub(in crate::session) async fn pass_file(&mut self, link: &mut Link) -> Result<u8, Failed> {
        let mut file = File::default();
        let worker = std::rc::Rc::clone(&self.worker);
        let mut piece = worker.buffers.take();
        let mut lost = None;
        while !file.done {
            piece.clear();
            let read = worker.buffers.read(&mut self.client, |bytes| piece.extend_from_slice(bytes));
            read.await.map_err(|e| Failed::Client(SessionEnd::ClientBroke(e)))?;
            worker.stats.counters.client_bytes_received.add(piece.len() as u64);
            if piece.is_empty() {
                return Err(Failed::Client(SessionEnd::Left));
            }
            if file.take(&piece) < piece.len() {
                return Err(Failed::Client(SessionEnd::Misbehaved("bytes after the end of a file")));
            }
            if lost.is_none() {
                lost = write_all(&mut link.stream, &piece).await.err();
            }
        }
        worker.buffers.give(piece);
        self.inbox.went_on(file.sequence);
        match lost {
            Some(error) => {
                let why = error.source.to_string();
                Err(Failed::Backend(Failure { sent: true, delivered: Delivered::File, why, is_refusal: false }))
            }
            None => Ok(file.sequence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_ends_with_an_empty_packet_wherever_the_bytes_are_cut() {
        let bytes = b"\x03\0\0\x02abc\x01\0\0\x03x\0\0\0\x04";
        for size in 1..=bytes.len() {
            let mut file = File::default();
            for piece in bytes.chunks(size) {
                assert!(!file.done);
                assert_eq!(file.take(piece), piece.len());
            }
            assert!(file.done);
            assert_eq!(file.sequence, 4);
        }
        let mut full = vec![0xff, 0xff, 0xff, 2];
        full.resize(HEADER + MAX_FRAME, b'x');
        let mut file = File::default();
        assert_eq!(file.take(&full), full.len());
        assert_eq!(file.take(b"\0\0\0\x03"), 4);
        assert!(!file.done, "an empty frame after a full one ends the packet");
        file.take(b"\0\0\0\x04");
        assert!(file.done);
        let mut file = File::default();
        assert_eq!(file.take(b"\0\0\0\x02rest"), 4, "what follows is not the file's");
    }
}
