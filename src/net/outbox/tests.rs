//! Sends that wait for the end of a turn: their order, what a full socket owes, what goes out when a worker ends.

use super::*;
use crate::net::Stream;
use crate::net::stream::Plain;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{spawn_local, yield_now};

/// True where the system has io_uring. Elsewhere nothing is posted, and there is nothing to test: that is said aloud.
fn has_io_uring() -> bool {
    match Ring::new(MESSAGES) {
        Ok(_) => true,
        Err(error) => {
            eprintln!("NOT TESTED: io_uring is not to be had on this machine: {error}");
            false
        }
    }
}

/// Runs `test` on a thread that has an outbox.
fn on_a_worker<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    if !has_io_uring() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async {
        spawn_local(serve());
        yield_now().await;
        test().await;
    });
}

/// A stream as the relay has it, and its peer.
async fn pair() -> (Stream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let theirs = listener.accept().await.unwrap().0.into_std().unwrap();
    theirs.set_nonblocking(false).unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (Stream::from(Plain::Tcp(ours)), theirs)
}

async fn post(stream: &Stream, message: &[u8]) -> bool {
    poll_fn(|cx| Poll::Ready(stream.post(message, cx))).await
}

async fn settle(stream: &mut Stream) -> Result<(), WriteError> {
    poll_fn(|cx| stream.poll_settle(cx)).await
}

/// True if the peer has nothing to read.
fn has_nothing(peer: &std::net::TcpStream) -> bool {
    peer.set_nonblocking(true).unwrap();
    let peeked = peer.peek(&mut [0]);
    peer.set_nonblocking(false).unwrap();
    matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn read(peer: &mut std::net::TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    peer.read_exact(&mut bytes).unwrap();
    bytes
}

/// Fills a socket until it takes nothing more; returns how much it took.
async fn fill(stream: &Stream) -> usize {
    let Stream::Tcp(socket) = stream else { panic!("plain TCP") };
    let (mut taken, mut waits) = (0, 0);
    // What is full now may have room a moment later, while the peer's side still grows.
    while waits < 20 {
        // Asked of the system: the event loop is told of room only once there is much.
        match socket2::SockRef::from(&**socket).send(&[b'.'; 65_536]) {
            Ok(n) => (taken, waits) = (taken + n, 0),
            Err(_) => {
                waits += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    taken
}

#[test]
fn messages_wait_for_the_end_of_the_turn_and_go_out_together() {
    on_a_worker(|| async {
        let mut pairs = Vec::new();
        for _ in 0..5 {
            pairs.push(pair().await);
        }
        for (n, (ours, _)) in pairs.iter().enumerate() {
            assert!(post(ours, format!("message {n}").as_bytes()).await);
        }
        assert!(pairs.iter().all(|(_, theirs)| has_nothing(theirs)), "nothing is sent before its time");
        yield_now().await;
        for (n, (ours, theirs)) in pairs.iter_mut().enumerate() {
            assert_eq!(read(theirs, 9), format!("message {n}").as_bytes());
            assert!(!ours.is_owing());
            settle(ours).await.unwrap();
        }
        assert_eq!(counts(), Counts { batches: 1, messages: 5 });
        assert!(post(&pairs[0].0, b"alone").await);
        yield_now().await;
        assert_eq!(read(&mut pairs[0].1, 5), b"alone");
        assert_eq!(counts(), Counts { batches: 1, messages: 5 }, "one alone is no batch");
    });
}

#[test]
fn a_message_goes_out_though_the_thread_never_rests() {
    on_a_worker(|| async {
        let (ours, theirs) = pair().await;
        let busy = spawn_local(async {
            loop {
                yield_now().await;
            }
        });
        assert!(post(&ours, b"in between").await);
        let reader = std::thread::spawn(move || read(&mut { theirs }, 10));
        let limit = Instant::now() + Duration::from_secs(10);
        while !reader.is_finished() && Instant::now() < limit {
            yield_now().await;
        }
        assert!(reader.is_finished(), "it waited for a rest that does not come");
        assert_eq!(reader.join().unwrap(), b"in between");
        busy.abort();
    });
}

#[test]
fn bytes_keep_their_order_whether_posted_or_written() {
    on_a_worker(|| async {
        let (mut ours, mut theirs) = pair().await;
        assert!(post(&ours, b"one ").await);
        tokio::io::AsyncWriteExt::write_all(&mut ours, b"two ").await.unwrap();
        assert!(post(&ours, b"three ").await);
        assert!(post(&ours, b"four").await);
        settle(&mut ours).await.unwrap();
        assert_eq!(read(&mut theirs, 18), b"one two three four");
    });
}

#[test]
fn a_stream_that_ends_sends_what_it_posted() {
    on_a_worker(|| async {
        let (ours, mut theirs) = pair().await;
        assert!(post(&ours, b"goodbye").await);
        drop(ours);
        assert_eq!(read(&mut theirs, 7), b"goodbye");
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn what_an_ending_worker_has_posted_goes_out() {
    let mut peer = None;
    on_a_worker(|| async {
        let (ours, theirs) = pair().await;
        assert!(post(&ours, b"last words").await);
        peer = Some(theirs);
        // Held by a task that never ends by itself, as sessions are.
        spawn_local(async move {
            let _held = ours;
            std::future::pending::<()>().await;
        });
    });
    if let Some(mut peer) = peer {
        assert_eq!(read(&mut peer, 10), b"last words");
    }
}

#[test]
fn what_a_full_socket_does_not_take_is_owed_and_then_paid() {
    for companions in [0, 3] {
        on_a_worker(|| async move {
            let (mut ours, mut theirs) = pair().await;
            let mut others = Vec::new();
            for _ in 0..companions {
                others.push(pair().await);
            }
            let filled = fill(&ours).await;
            let woken = Rc::new(Cell::new(0));
            let told = Rc::clone(&woken);
            let task = spawn_local(async move {
                assert!(post(&ours, b"the rest").await);
                for (other, _) in &others {
                    assert!(post(other, b"!").await);
                }
                poll_fn(|_| {
                    told.set(told.get() + 1);
                    if ours.is_owing() { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                assert!(!post(&ours, b"no").await, "nothing overtakes what is owed");
                settle(&mut ours).await.unwrap();
                assert!(!ours.is_owing());
                for (_, theirs) in &mut others {
                    assert_eq!(read(theirs, 1), b"!", "one full socket keeps no other from being served");
                }
                ours
            });
            for _ in 0..5 {
                yield_now().await;
            }
            assert!(woken.get() > 1, "the task is told");
            assert!(!task.is_finished(), "nothing has been read yet");
            let reader = std::thread::spawn(move || read(&mut theirs, filled + 8));
            let ours = task.await.unwrap();
            let bytes = tokio::task::spawn_blocking(move || reader.join().unwrap()).await.unwrap();
            assert_eq!(&bytes[filled..], b"the rest");
            drop(ours);
        });
    }
}

#[test]
fn a_peer_that_has_gone_is_an_error_of_its_own_message_alone() {
    for companions in [0, 3] {
        on_a_worker(|| async move {
            let (mut ours, theirs) = pair().await;
            let mut others = Vec::new();
            for _ in 0..companions {
                others.push(pair().await);
            }
            drop(theirs);
            // The first message is answered with a reset.
            tokio::io::AsyncWriteExt::write_all(&mut ours, b"anybody?").await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(post(&ours, b"nobody").await);
            for (other, _) in &others {
                assert!(post(other, b"!").await);
            }
            yield_now().await;
            assert!(ours.is_owing());
            let error = settle(&mut ours).await.unwrap_err();
            assert_eq!(error.written, 0, "{error}");
            assert!(!ours.is_owing(), "told once");
            for (_, theirs) in &mut others {
                assert_eq!(read(theirs, 1), b"!");
            }
        });
    }
}

#[test]
fn more_than_a_batch_holds_goes_out_in_several() {
    on_a_worker(|| async {
        let mut pairs = Vec::new();
        for _ in 0..MESSAGES + 7 {
            pairs.push(pair().await);
        }
        for (n, (ours, _)) in pairs.iter().enumerate() {
            assert!(post(ours, &[u8::try_from(n).unwrap(); 10]).await);
        }
        assert!(!has_nothing(&pairs[0].1), "the first batch is full, and sent");
        assert!(has_nothing(&pairs[MESSAGES].1));
        yield_now().await;
        for (n, (_, theirs)) in pairs.iter_mut().enumerate() {
            assert_eq!(read(theirs, 10), [u8::try_from(n).unwrap(); 10]);
        }
    });
}

#[test]
fn long_messages_fill_a_batch_and_longer_ones_are_refused() {
    on_a_worker(|| async {
        let mut pairs = Vec::new();
        for _ in 0..BYTES / LONGEST + 1 {
            pairs.push(pair().await);
        }
        assert!(!post(&pairs[0].0, &vec![0; LONGEST + 1]).await);
        for (n, (ours, _)) in pairs.iter().enumerate() {
            assert!(post(ours, &vec![u8::try_from(n).unwrap(); LONGEST]).await);
        }
        yield_now().await;
        for (n, (_, theirs)) in pairs.iter_mut().enumerate() {
            assert_eq!(read(theirs, LONGEST), vec![u8::try_from(n).unwrap(); LONGEST]);
        }
    });
}

#[test]
fn nothing_is_taken_where_nobody_would_send_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut ours, mut theirs) = pair().await;
        assert!(!post(&ours, b"?").await);
        tokio::io::AsyncWriteExt::write_all(&mut ours, b"!").await.unwrap();
        assert_eq!(read(&mut theirs, 1), b"!");
    });
}

#[test]
fn a_ring_that_fails_sends_nothing_twice() {
    if !has_io_uring() {
        return;
    }
    let (mut one, mut two) = (pipe(), pipe());
    let mut ring = Ring::new(2).unwrap();
    let messages = [(descriptor(&one.0), &b"a"[..]), (-1, b"b"), (descriptor(&two.0), b"c")];
    let mut results = [None; 3];
    // There is room for two: all are refused before any is handed over.
    ring.send(messages.iter().copied(), FLAGS.bits(), &mut results).unwrap_err();
    assert_eq!(results, [None; 3]);
    let mut ring = Ring::new(4).unwrap();
    ring.send(messages.iter().copied(), FLAGS.bits(), &mut results).unwrap();
    assert_eq!(results, [Some(Ok(1)), Some(Err(Errno::EBADF)), Some(Ok(1))]);
    let mut got = [0; 1];
    one.1.read_exact(&mut got).unwrap();
    two.1.read_exact(&mut got).unwrap();
    one.0.write_all(b"x").unwrap();
    one.1.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"x", "it was sent once");
}

fn pipe() -> (std::os::unix::net::UnixStream, std::os::unix::net::UnixStream) {
    std::os::unix::net::UnixStream::pair().unwrap()
}

fn descriptor(socket: &impl std::os::fd::AsRawFd) -> RawFd {
    socket.as_raw_fd()
}
