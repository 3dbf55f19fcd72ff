//! A light HTTP/1.1 client: thousands of connections must cost less than the server that they measure.

use std::cell::RefCell;
use std::io;
use tokio::net::TcpStream;

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

thread_local! {
    /// Read into by all connections of a thread, as no read waits while it is in use.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// What becomes of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Keep,
    /// Counted only.
    Drop,
}

/// A connection that is kept alive.
pub struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Answer,
}

/// The newest answer.
#[derive(Default)]
struct Answer {
    head: Vec<u8>,
    status: u16,
    /// Bytes of the body that have not come; `None` while the head is not whole.
    left: Option<usize>,
    kept: Vec<u8>,
    length: usize,
}

impl Connection {
    pub async fn open(port: u16) -> io::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, request: Vec::new(), answer: Answer::default() })
    }

    /// Asks for a path; returns the status. The body is whole then.
    pub async fn get(&mut self, path: &str, body: Body) -> io::Result<u16> {
        self.request.clear();
        self.request.extend_from_slice(b"GET ");
        self.request.extend_from_slice(path.as_bytes());
        self.request.extend_from_slice(b" HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: journey\r\nAccept: */*\r\n\r\n");
        let mut sent = 0;
        while sent < self.request.len() {
            match self.stream.try_write(&self.request[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stream.writable().await?,
                Err(error) => return Err(error),
            }
        }
        self.answer = Answer {
            head: std::mem::take(&mut self.answer.head),
            kept: std::mem::take(&mut self.answer.kept),
            ..Answer::default()
        };
        self.answer.head.clear();
        self.answer.kept.clear();
        loop {
            let read: io::Result<bool> = SCRATCH.with_borrow_mut(|scratch| {
                let count = self.stream.try_read(scratch)?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(self.answer.take(&scratch[..count], body))
            });
            match read {
                Ok(true) => return Ok(self.answer.status),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stream.readable().await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// The newest answer's body, if it was kept.
    pub fn body(&self) -> &[u8] {
        &self.answer.kept
    }

    /// The newest answer's body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.answer.kept).unwrap()
    }

    /// Bytes of the newest answer: head and body.
    pub fn bytes(&self) -> u64 {
        self.answer.length as u64
    }
}

impl Answer {
    /// Takes what came; true when the answer is whole.
    fn take(&mut self, mut bytes: &[u8], body: Body) -> bool {
        self.length += bytes.len();
        if self.left.is_none() {
            let before = self.head.len();
            self.head.extend_from_slice(bytes);
            let from = before.saturating_sub(3);
            let Some(end) = self.head[from..].windows(4).position(|four| four == b"\r\n\r\n") else { return false };
            let end = from + end + 4;
            bytes = &bytes[end - before..];
            self.head.truncate(end);
            let head = std::str::from_utf8(&self.head).unwrap();
            self.status = head.split(' ').nth(1).unwrap().parse().unwrap();
            let length = head.lines().filter_map(|line| line.split_once(": ")).find_map(|(name, value)| {
                if name.eq_ignore_ascii_case("content-length") { value.parse().ok() } else { None }
            });
            self.left = Some(length.expect("answers say their length"));
        }
        if body == Body::Keep {
            self.kept.extend_from_slice(bytes);
        }
        let left = self.left.unwrap_or(0) - bytes.len();
        self.left = Some(left);
        left == 0
    }
}
