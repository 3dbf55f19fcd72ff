//! What a process prints, line by line, into the log.
//!
//! Standard output and error share one pipe, so lines keep their order. They are read at the pace of the log's writer:
//! a function that prints faster than lines are stored waits in `write`.

use headwater_model::{Secret, Timestamp};
use headwater_store::{Batch, LogLine, Store};
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};

/// Lines that wait for the store; when it is full, processes wait.
const LINES_WAITING_MAX: usize = 1024;
/// Lines that go into one commit.
const LINES_A_COMMIT: usize = 512;
/// Orders to a pump; it is read before more is taken from the pipe.
const ORDERS_MAX: usize = 8;
/// Lambda: `X-Amz-Log-Result` holds the last 4 KB.
pub(crate) const TAIL_BYTES_MAX: usize = 4096;
/// A pipe holds at most so much (`/proc/sys/fs/pipe-max-size`): what was printed before is within it.
const PIPE_BYTES_MAX: usize = 1024 * 1024;
/// How long an invocation waits for its last lines when the store is slow; they are stored in any case.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// Writes lines of all functions to the store, many in a commit.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter {
    lines: mpsc::Sender<Entry>,
    task: Arc<TaskGuard>,
}

#[derive(Debug)]
enum Entry {
    Line(LogLine),
    Flushed(oneshot::Sender<()>),
}

#[derive(Debug)]
struct TaskGuard(AbortHandle);

impl LogWriter {
    /// Starts the writer. It ends after its last line when every handle is gone.
    pub(crate) fn start(store: Arc<dyn Store>) -> Self {
        let (lines, inbox) = mpsc::channel(LINES_WAITING_MAX);
        let task = tokio::spawn(write_lines(store, inbox));
        LogWriter { lines, task: Arc::new(TaskGuard(task.abort_handle())) }
    }

    /// Waits for room, then leaves the line to the writer.
    pub(crate) async fn line(&self, line: LogLine) {
        let _ = self.lines.send(Entry::Line(line)).await;
    }

    /// Waits until every line so far is stored.
    pub(crate) async fn flush(&self) {
        let (flushed, done) = oneshot::channel();
        if !self.task.0.is_finished() && self.lines.send(Entry::Flushed(flushed)).await.is_ok() {
            let _ = done.await;
        }
    }
}

async fn write_lines(store: Arc<dyn Store>, mut inbox: mpsc::Receiver<Entry>) {
    let mut entries = Vec::with_capacity(LINES_A_COMMIT);
    while inbox.recv_many(&mut entries, LINES_A_COMMIT).await > 0 {
        let mut batch = Batch::new();
        let mut waiting = Vec::new();
        for entry in entries.drain(..) {
            match entry {
                Entry::Line(line) => {
                    batch.log(line);
                }
                Entry::Flushed(flushed) => waiting.push(flushed),
            }
        }
        let lines = batch.writes.len();
        if lines > 0
            && let Err(error) = store.commit(batch).await
        {
            tracing::error!(%error, lines, "function log lines lost");
        }
        for flushed in waiting {
            let _ = flushed.send(());
        }
    }
}

/// Where the lines of a process go and what they must not show.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) group: String,
    pub(crate) stream: String,
    /// Replaced wherever they are printed.
    pub(crate) secrets: Vec<Secret>,
}

/// The reader of one process's pipe.
#[derive(Debug)]
pub(crate) struct Output {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Order {
    /// Says a line of the server's own, after all that the process has printed. The tail begins with it unless
    /// what came before belongs to it.
    Say { line: String, tail: Tail, said: oneshot::Sender<()> },
    /// Hands out the tail.
    Tail(oneshot::Sender<String>),
}

/// What the tail of an invocation begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// This line.
    Fresh,
    /// Whatever came before.
    Continued,
}

impl Output {
    /// Starts to read a pipe.
    pub(crate) fn start(pipe: pipe::Receiver, destination: Destination, writer: LogWriter) -> Self {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let pump = Pump { destination, writer, partial: Vec::new(), tail: VecDeque::new() };
        Output { orders, task: tokio::spawn(pump.run(pipe, inbox)) }
    }

    /// Writes a line of the server's own behind everything that the process printed before this call, and before
    /// everything that it prints after it.
    pub(crate) async fn say(&self, line: String, tail: Tail) {
        let (said, done) = oneshot::channel();
        let order = async {
            self.orders.send(Order::Say { line, tail, said }).await.ok()?;
            done.await.ok()
        };
        let _ = tokio::time::timeout(SETTLE_MAX, order).await;
    }

    /// The last 4 KB of the invocation's log.
    pub(crate) async fn tail(&self) -> String {
        let (sender, tail) = oneshot::channel();
        let ask = async {
            self.orders.send(Order::Tail(sender)).await.ok()?;
            tail.await.ok()
        };
        tokio::time::timeout(SETTLE_MAX, ask).await.ok().flatten().unwrap_or_default()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Pump {
    destination: Destination,
    writer: LogWriter,
    partial: Vec<u8>,
    tail: VecDeque<u8>,
}

impl Pump {
    async fn run(mut self, pipe: pipe::Receiver, mut orders: mpsc::Receiver<Order>) {
        let mut open = true;
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    None => return,
                    Some(Order::Say { line, tail, said }) => {
                        if open {
                            open = self.read_available(&pipe, PIPE_BYTES_MAX).await;
                        }
                        self.end_partial_line().await;
                        if tail == Tail::Fresh {
                            self.tail.clear();
                        }
                        self.emit(line).await;
                        let _ = said.send(());
                    }
                    Some(Order::Tail(reply)) => {
                        let bytes: Vec<u8> = self.tail.iter().copied().collect();
                        let _ = reply.send(String::from_utf8_lossy(&bytes).into_owned());
                    }
                },
                ready = pipe.readable(), if open => {
                    open = ready.is_ok() && self.read_ready(&pipe).await;
                    if !open {
                        self.end_partial_line().await;
                    }
                }
            }
        }
    }

    /// Takes one piece after the reactor said that there is one. Returns whether there may be more one day.
    async fn read_ready(&mut self, pipe: &pipe::Receiver) -> bool {
        let mut buffer = [0; 16 * 1024];
        match pipe.try_read(&mut buffer) {
            Ok(0) => false,
            Ok(read) => {
                self.take(&buffer[..read]).await;
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Takes what is in the pipe now, whether the reactor has noticed it or not. Returns whether it is still open.
    async fn read_available(&mut self, pipe: &pipe::Receiver, max: usize) -> bool {
        let mut buffer = [0; 16 * 1024];
        let mut taken = 0;
        while taken < max {
            match rustix::io::read(pipe.as_fd(), &mut buffer) {
                Ok(0) => return false,
                Ok(read) => {
                    self.take(&buffer[..read]).await;
                    taken += read;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    async fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.extend_partial(&bytes[..end]).await;
            let line = std::mem::take(&mut self.partial);
            self.emit(text(&line)).await;
            bytes = &bytes[end + 1..];
        }
        self.extend_partial(bytes).await;
    }

    /// Adds to the line under way; one that is longer than a log line may be is broken.
    async fn extend_partial(&mut self, mut bytes: &[u8]) {
        while self.partial.len() + bytes.len() > LogLine::MESSAGE_BYTES_MAX {
            let (head, rest) = bytes.split_at(LogLine::MESSAGE_BYTES_MAX - self.partial.len());
            self.partial.extend_from_slice(head);
            let line = std::mem::take(&mut self.partial);
            self.emit(text(&line)).await;
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
    }

    async fn end_partial_line(&mut self) {
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.emit(text(&line)).await;
        }
    }

    async fn emit(&mut self, mut message: String) {
        for secret in &self.destination.secrets {
            if message.contains(secret.expose()) {
                message = message.replace(secret.expose(), "[redacted]");
            }
        }
        self.tail.extend(message.bytes().chain(*b"\n"));
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..surplus);
        let Destination { group, stream, .. } = &self.destination;
        let line = LogLine { group: group.clone(), stream: stream.clone(), at: Timestamp::now(), message };
        self.writer.line(line).await;
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

    use super::*;
    use headwater_store::{LogSelect, SqliteStore};
    use tokio::io::AsyncWriteExt;

    /// On one thread nobody reads the pipe while the process prints: what is printed after a line of the server's own
    /// stands after it only if that line was written when [`Output::say`] returned.
    #[tokio::test(flavor = "current_thread")]
    async fn what_is_printed_after_a_line_of_the_server_s_own_stands_after_it() {
        let store = Arc::new(SqliteStore::in_memory().await.unwrap());
        let writer = LogWriter::start(store.clone());
        let destination = Destination { group: "group".into(), stream: "stream".into(), secrets: Vec::new() };
        let (mut process, pipe) = pipe::pipe().unwrap();
        let output = Output::start(pipe, destination, writer.clone());
        process.write_all(b"loading\n").await.unwrap();
        output.say("START".into(), Tail::Continued).await;
        process.write_all(b"working\n").await.unwrap();
        output.say("END".into(), Tail::Continued).await;
        assert_eq!(output.tail().await, "loading\nSTART\nworking\nEND\n");
        writer.flush().await;
        let lines = store.log_lines("group", LogSelect::default()).await.unwrap();
        let lines: Vec<String> = lines.into_iter().map(|(_, line)| line.message).collect();
        assert_eq!(lines, ["loading", "START", "working", "END"]);
    }
}
