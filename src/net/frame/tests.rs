//! Packets cut out of a stream: together, in pieces, too long, cut short.

use super::*;

fn packet(payload: &[u8], sequence: u8) -> Vec<u8> {
    let mut out = Vec::new();
    put_packet(&mut out, payload, sequence);
    out
}

async fn read(reader: &mut PacketReader, mut bytes: &[u8], limit: usize) -> Result<(u8, Vec<u8>), io::ErrorKind> {
    match reader.read(&mut bytes, limit).await {
        Ok(incoming) => Ok((incoming.sequence, incoming.payload.to_vec())),
        Err(e) => Err(e.kind()),
    }
}

#[tokio::test]
async fn packets_that_come_together_are_told_apart() {
    let both = [packet(b"one", 1), packet(b"", 2), packet(b"three", 3), b"x".to_vec()].concat();
    let mut reader = PacketReader::new();
    let mut stream = both.as_slice();
    for (sequence, payload) in [(1, &b"one"[..]), (2, b""), (3, b"three")] {
        let incoming = reader.read(&mut stream, 100).await.unwrap();
        assert_eq!((incoming.sequence, incoming.payload), (sequence, payload));
    }
    assert_eq!(reader.rest(), b"x");
}

#[tokio::test]
async fn a_packet_that_comes_in_pieces_is_put_together() {
    let payload: Vec<u8> = (0..2000u32).map(|i| i as u8).collect();
    let bytes = packet(&payload, 7);
    let (ours, theirs) = tokio::io::duplex(3);
    let (mut ours, mut theirs) = (ours, theirs);
    let write = async {
        theirs.write_all(&bytes).await.unwrap();
    };
    let mut reader = PacketReader::new();
    let (got, ()) = tokio::join!(reader.read(&mut ours, 2000), write);
    let got = got.unwrap();
    assert_eq!((got.sequence, got.payload), (7, payload.as_slice()));
}

#[tokio::test]
async fn what_is_too_long_or_cut_short_is_an_error() {
    let bytes = packet(&[1; 100], 0);
    assert!(read(&mut PacketReader::new(), &bytes, 100).await.is_ok());
    assert_eq!(read(&mut PacketReader::new(), &bytes, 99).await, Err(io::ErrorKind::InvalidData));
    assert_eq!(read(&mut PacketReader::new(), b"", 99).await, Err(io::ErrorKind::ConnectionAborted));
    for cut in 1..bytes.len() {
        let got = read(&mut PacketReader::new(), &bytes[..cut], 100).await;
        assert_eq!(got, Err(io::ErrorKind::UnexpectedEof), "cut at {cut}");
    }
    // A length of 16 MiB allocates nothing of that size.
    let mut reader = PacketReader::new();
    assert_eq!(read(&mut reader, b"\xff\xff\xff\0abc", usize::MAX).await, Err(io::ErrorKind::InvalidData));
    assert!(reader.buffer.capacity() < 4096);
}
