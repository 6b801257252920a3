//! What one WebSocket has sent and not been answered yet: bounded in messages and in bytes.
//!
//! The library keeps a message until its answer is on its way, works on any number of them at once, and tells nobody
//! how long one is. So bytes are counted where they are read, and belong to a message as soon as that is whole:
//! then the library clones the extensions of the request that opened the WebSocket, once for each message, in the
//! order in which they came and before anything else; that is where [`Inbound`] takes note. What a message holds it holds
//! until as many bytes were written as were to be, its answer included: who takes no answers is not read from.
//!
//! Left out: a message that is still on its way, of which each WebSocket has one at most.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::address::Address;
use super::budget::{Budget, Memory, Seat};
use crate::errors::{ErrorKind, RpcError};

/// Messages of one WebSocket that are worked on at once; those beyond are answered *busy*.
const UNDER_WAY_MAX: usize = 32;

/// Messages of one WebSocket that are worked on or whose answers were not taken; beyond them nothing is read.
const UNANSWERED_MAX: usize = 2 * UNDER_WAY_MAX;

/// Bytes of the answer to what is no call: the library gives it, without asking anybody.
const NO_CALL_BYTES: usize = 64;

/// What passes on one connection. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Mutex<Passed>>);

#[derive(Debug, Default)]
struct Passed {
    /// Bytes that belong to no message yet.
    read: usize,
    /// Bytes that were written, and that will have been once all answers are.
    written: u64,
    answered: u64,
    /// Messages that are there, and those among them that are worked on.
    present: usize,
    under_way: usize,
    /// What answered messages hold.
    unwritten: VecDeque<Unwritten>,
    /// Messages for which there was no memory.
    without_memory: usize,
    reader: Option<Waker>,
}

#[derive(Debug)]
struct Unwritten {
    /// How many bytes were written once its answer is.
    end: u64,
    /// `None` where there was none for it.
    memory: Option<Memory>,
}

impl Passed {
    fn is_full(&self) -> bool {
        self.without_memory > 0 || self.present + self.unwritten.len() >= UNANSWERED_MAX
    }

    fn wake_reader(&mut self) {
        if !self.is_full()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }
}

impl Meter {
    fn passed(&self) -> MutexGuard<'_, Passed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read so far belonged to no WebSocket.
    pub(crate) fn restart(&self) {
        self.passed().read = 0;
    }

    /// A message is there. It needs `memory`, for as many bytes as were read since the last, and no more than `max`.
    fn begin(&self, mut memory: Memory, max: usize) -> Message {
        let mut passed = self.passed();
        let bytes = std::mem::take(&mut passed.read).min(max);
        let refused = if !memory.try_grow(bytes) {
            Some("the memory for requests is used up, or this address's part of it")
        } else if passed.under_way >= UNDER_WAY_MAX {
            Some("this WebSocket has too many calls under way")
        } else {
            None
        };
        passed.present += 1;
        passed.under_way += usize::from(refused.is_none());
        let memory = (memory.bytes() == bytes).then_some(memory);
        passed.without_memory += usize::from(memory.is_none());
        drop(passed);
        Message { meter: self.clone(), refused, memory, answer: AtomicUsize::new(NO_CALL_BYTES) }
    }

    fn end(&self, message: &mut Message) {
        let mut passed = self.passed();
        passed.present -= 1;
        passed.under_way -= usize::from(message.refused.is_none());
        let (memory, answer) = (message.memory.take(), *message.answer.get_mut());
        if answer == 0 {
            passed.without_memory -= usize::from(memory.is_none());
        } else {
            let end = passed.answered.max(passed.written) + answer as u64;
            passed.answered = end;
            passed.unwritten.push_back(Unwritten { end, memory });
        }
        passed.wake_reader();
    }

    fn wrote(&self, bytes: usize) {
        let mut passed = self.passed();
        passed.written += bytes as u64;
        while passed.unwritten.front().is_some_and(|first| first.end <= passed.written) {
            let first = passed.unwritten.pop_front();
            let had_none = first.is_some_and(|first| first.memory.is_none());
            passed.without_memory -= usize::from(had_none);
        }
        passed.wake_reader();
    }
}

/// One message of a WebSocket.
#[derive(Debug)]
pub(crate) struct Message {
    meter: Meter,
    refused: Option<&'static str>,
    memory: Option<Memory>,
    answer: AtomicUsize,
}

impl Message {
    /// Whether anything is done about it.
    pub(crate) fn admit(&self) -> Result<(), RpcError> {
        self.refused.map_or(Ok(()), |why| {
            Err(RpcError::new(ErrorKind::Busy, why).with_retry_after_ms(1_000))
        })
    }

    /// Where it waits, if it holds much.
    pub(crate) fn seat(&self) -> Option<Seat> {
        self.memory.as_ref().and_then(Memory::seat)
    }

    /// Its answer has so many bytes; none where nobody sends one any more.
    pub(crate) fn answer(&self, bytes: usize) {
        self.answer.store(bytes, Ordering::Relaxed);
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.meter.clone().end(self);
    }
}

/// Among the extensions of the request that opens a WebSocket: takes note of each message where it is cloned.
#[derive(Debug)]
pub(crate) struct Inbound(At);

#[derive(Debug)]
enum At {
    /// Of the request. Its clone is the connection's.
    Request(Connection),
    /// Of the connection. Its clones are those of messages.
    Connection(Connection),
    /// Of a message, and of each call in it.
    Message(Arc<Message>),
}

/// What its messages are counted against.
#[derive(Clone, Debug)]
struct Connection {
    meter: Meter,
    budget: Budget,
    address: Address,
    bytes_max: usize,
}

impl Inbound {
    /// Of `address`, with messages of at most `bytes_max`.
    pub(crate) const fn new(
        meter: Meter,
        budget: Budget,
        address: Address,
        bytes_max: usize,
    ) -> Self {
        Self(At::Request(Connection { meter, budget, address, bytes_max }))
    }

    /// The message, where it is one's.
    pub(crate) fn message(self) -> Option<Arc<Message>> {
        match self.0 {
            At::Message(message) => Some(message),
            At::Request(_) | At::Connection(_) => None,
        }
    }
}

impl Clone for Inbound {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            At::Request(connection) => At::Connection(connection.clone()),
            At::Connection(Connection { meter, budget, address, bytes_max }) => {
                At::Message(Arc::new(meter.begin(budget.open(*address), *bytes_max)))
            }
            At::Message(message) => At::Message(Arc::clone(message)),
        })
    }
}

/// A connection whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    inner: S,
    meter: Meter,
}

impl<S> Metered<S> {
    /// `inner`, counted by `meter`.
    pub(crate) const fn new(inner: S, meter: Meter) -> Self {
        Self { inner, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut passed = self.meter.passed();
        if passed.is_full() {
            passed.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        drop(passed);
        let before = buffer.filled().len();
        let progress = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.meter.passed().read += buffer.filled().len() - before;
        progress
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = progress {
            self.meter.wrote(written);
        }
        progress
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        if let Poll::Ready(Ok(written)) = progress {
            self.meter.wrote(written);
        }
        progress
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    fn anybody() -> Address {
        IpAddr::from([192, 0, 2, 1]).into()
    }

    /// A WebSocket whose other end is at hand, and what the library clones for each message.
    fn open(budget: &Budget) -> (Metered<DuplexStream>, DuplexStream, Inbound) {
        let (near, far) = duplex(1024);
        let meter = Meter::default();
        let request = Inbound::new(meter.clone(), budget.clone(), anybody(), 100);
        (Metered::new(near, meter), far, request.clone())
    }

    async fn receive(near: &mut Metered<DuplexStream>, far: &mut DuplexStream, bytes: usize) {
        far.write_all(&vec![0; bytes]).await.expect("sent");
        near.read_exact(&mut vec![0; bytes]).await.expect("read");
    }

    fn next(connection: &Inbound) -> Arc<Message> {
        connection.clone().message().expect("a message's")
    }

    async fn is_read_from(near: &mut Metered<DuplexStream>) -> bool {
        let mut byte = [0];
        tokio::select! {
            biased;
            read = near.read_exact(&mut byte) => read.is_ok(),
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn a_message_holds_its_bytes_until_its_answer_is_written() {
        let budget = Budget::new(10, 10);
        let (mut near, mut far, connection) = open(&budget);
        receive(&mut near, &mut far, 8).await;
        let message = next(&connection);
        assert_eq!(message.admit(), Ok(()));
        receive(&mut near, &mut far, 3).await;
        let second = next(&connection);
        assert_eq!(second.admit().expect_err("2 bytes are left").kind, ErrorKind::Busy);
        second.answer(0);
        drop(second);

        message.answer(4);
        drop(message);
        assert!(!budget.open(anybody()).try_grow(3), "not written");
        near.write_all(b"answ").await.expect("written");
        assert!(budget.open(anybody()).try_grow(10));
    }

    #[tokio::test]
    async fn so_many_messages_are_worked_on_at_once() {
        let (_near, _far, connection) = open(&Budget::new(10, 10));
        let mut present: Vec<_> = (0..UNDER_WAY_MAX).map(|_| next(&connection)).collect();
        assert!(present.iter().all(|message| message.admit().is_ok()));
        assert_eq!(next(&connection).admit().expect_err("too many").kind, ErrorKind::Busy);
        present.pop();
        assert_eq!(next(&connection).admit(), Ok(()));
    }

    #[tokio::test]
    async fn who_takes_no_answers_is_not_read_from() {
        let (mut near, mut far, connection) = open(&Budget::new(10, 10));
        for _ in 0..UNANSWERED_MAX {
            next(&connection).answer(1);
        }
        far.write_all(b"1").await.expect("sent");
        assert!(!is_read_from(&mut near).await);
        near.write_all(b"a").await.expect("written");
        assert!(is_read_from(&mut near).await);
    }

    #[tokio::test]
    async fn nothing_is_read_beyond_a_message_for_which_there_is_no_memory() {
        let (mut near, mut far, connection) = open(&Budget::new(10, 10));
        receive(&mut near, &mut far, 11).await;
        let message = next(&connection);
        assert_eq!(message.admit().expect_err("too large").kind, ErrorKind::Busy);
        far.write_all(b"1").await.expect("sent");
        assert!(!is_read_from(&mut near).await);
        message.answer(2);
        drop(message);
        assert!(!is_read_from(&mut near).await);
        near.write_all(b"no").await.expect("written");
        assert!(is_read_from(&mut near).await);
    }
}
