use crate::{Document, Error};
use headwater_model::Timestamp;
use headwater_model::event::Event;
use headwater_model::poll::Answer;
use serde_json::Value;

/// One durable document.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What sort of thing it is, such as `channel`.
    pub kind: String,
    /// Unique among its kind.
    pub id: String,
    /// What it belongs to, such as a stream key's channel; empty if nothing. [`crate::Select::parent`] finds by it.
    pub parent: String,
    /// Where it stands among the records of its parent; those without are left out of
    /// [`crate::Order::GreatestRankFirst`].
    pub rank: Option<i64>,
    /// The document.
    pub body: Value,
    /// 1 when inserted, one more with each change.
    pub revision: u64,
}

/// What must be so of a record for a write to take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It does not exist.
    Absent,
    /// It exists at this revision.
    Revision(u64),
    /// Whatever is there is replaced.
    Anything,
}

/// Number of a job, unique in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// Work that must be done even if the process dies. A job stays until [`Batch::complete`]: after a crash it is due
/// again, so what it does must bear repetition.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Set by the store when the job is enqueued.
    pub id: JobId,
    /// Which worker takes it.
    pub queue: String,
    /// Not before this time.
    pub due: Timestamp,
    /// Tries so far.
    pub attempt: u32,
    /// When it was enqueued.
    pub created: Timestamp,
    /// What to do.
    pub body: Value,
}

/// What a function printed.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// `/aws/lambda/NAME`.
    pub group: String,
    /// One process of the function.
    pub stream: String,
    /// When it was printed.
    pub at: Timestamp,
    /// Without its line end; cut at [`LogLine::MESSAGE_BYTES_MAX`].
    pub message: String,
}

impl LogLine {
    /// CloudWatch Logs takes events up to 256 KiB; a line longer than that is cut.
    pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
    /// Lines kept in a group; older ones make room.
    pub const GROUP_LINES_MAX: u64 = 20_000;
}

/// One write of a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Write {
    /// Writes a record; its `revision` is set by the store.
    Put(Record, Expect),
    /// Removes a record; `Expect::Absent` is meaningless here, `Anything` tolerates a missing one.
    Delete {
        /// Kind of the record.
        kind: String,
        /// Its id.
        id: String,
        /// What must be so.
        expect: Expect,
    },
    /// Gives a record, which must be there, these labels and no others.
    Label {
        /// Kind of the record.
        kind: String,
        /// Its id.
        id: String,
        /// [`crate::Select::label`] finds by each.
        labels: Vec<String>,
    },
    /// Writes nothing; the record must be there, as the writes before this one leave it.
    Require {
        /// Kind of the record.
        kind: String,
        /// Its id.
        id: String,
    },
    /// Writes nothing; there may be so many records of the kind, as the writes before this one leave it.
    Within {
        /// Kind of the records.
        kind: String,
        /// How many there may be.
        max: u64,
    },
    /// Writes nothing; no record of the kind may have the label, as the writes before this one leave it.
    Unlabelled {
        /// Kind of the records.
        kind: String,
        /// The label.
        label: String,
    },
    /// Appends to the event log.
    Event(Event),
    /// Adds a job; its `id` is set by the store.
    Enqueue(Job),
    /// Removes a job that is done. Missing is fine: it was done before.
    Complete(JobId),
    /// Puts a job off.
    Reschedule {
        /// Which job.
        id: JobId,
        /// Not before this time.
        due: Timestamp,
        /// Tries so far.
        attempt: u32,
        /// What is now to be done, if it changed.
        body: Option<Value>,
    },
    /// Moves a reader's cursor forward.
    Advance {
        /// The reader.
        name: String,
        /// Number of the last event that it has dealt with.
        seq: u64,
    },
    /// Appends a log line.
    Log(LogLine),
    /// Removes all lines of a log group.
    ClearLog {
        /// Its name.
        group: String,
    },
    /// Stores an answer unless the viewer has answered this poll.
    Answer(Answer),
}

/// Writes that take place together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In the order in which they take place.
    pub writes: Vec<Write>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Batch::default()
    }

    /// Adds a record that must not exist.
    ///
    /// # Errors
    /// [`Error::Document`] if the value has no JSON form.
    pub fn insert<T: Document>(&mut self, value: &T) -> Result<&mut Self, Error> {
        self.put_expecting(value, Expect::Absent)
    }

    /// Changes a record that was read at `revision`.
    ///
    /// # Errors
    /// [`Error::Document`] if the value has no JSON form.
    pub fn update<T: Document>(&mut self, value: &T, revision: u64) -> Result<&mut Self, Error> {
        self.put_expecting(value, Expect::Revision(revision))
    }

    /// Writes a record whatever was there.
    ///
    /// # Errors
    /// [`Error::Document`] if the value has no JSON form.
    pub fn put<T: Document>(&mut self, value: &T) -> Result<&mut Self, Error> {
        self.put_expecting(value, Expect::Anything)
    }

    /// Removes a record, if it is there.
    pub fn delete<T: Document>(&mut self, id: &str) -> &mut Self {
        self.writes.push(Write::Delete { kind: T::KIND.into(), id: id.into(), expect: Expect::Anything });
        self
    }

    /// Removes a record that was read at `revision`.
    pub fn delete_revision<T: Document>(&mut self, id: &str, revision: u64) -> &mut Self {
        self.writes.push(Write::Delete { kind: T::KIND.into(), id: id.into(), expect: Expect::Revision(revision) });
        self
    }

    /// Has the commit fail with [`Error::Missing`] unless the record is there: what refers to it is then never left
    /// without it.
    pub fn require<T: Document>(&mut self, id: &str) -> &mut Self {
        self.writes.push(Write::Require { kind: T::KIND.into(), id: id.into() });
        self
    }

    /// Has the commit fail with [`Error::Full`] if there are now more than `max` records of the kind. To follow what is
    /// inserted; the cost does not grow with the records.
    pub fn within<T: Document>(&mut self, max: u64) -> &mut Self {
        self.writes.push(Write::Within { kind: T::KIND.into(), max });
        self
    }

    /// Has the commit fail with [`Error::Labelled`] if a record of the kind has the label.
    pub fn unlabelled<T: Document>(&mut self, label: impl Into<String>) -> &mut Self {
        self.writes.push(Write::Unlabelled { kind: T::KIND.into(), label: label.into() });
        self
    }

    /// Appends to the event log.
    pub fn event(&mut self, event: Event) -> &mut Self {
        self.writes.push(Write::Event(event));
        self
    }

    /// Adds a job for a queue's worker, not before `due`.
    pub fn enqueue(&mut self, queue: &str, created: Timestamp, due: Timestamp, body: Value) -> &mut Self {
        self.writes.push(Write::Enqueue(Job { id: JobId(0), queue: queue.into(), due, attempt: 0, created, body }));
        self
    }

    /// Removes a job that is done.
    pub fn complete(&mut self, id: JobId) -> &mut Self {
        self.writes.push(Write::Complete(id));
        self
    }

    /// Puts a job off after a try.
    pub fn reschedule(&mut self, id: JobId, due: Timestamp, attempt: u32) -> &mut Self {
        self.writes.push(Write::Reschedule { id, due, attempt, body: None });
        self
    }

    /// Moves a reader's cursor.
    pub fn advance(&mut self, name: &str, seq: u64) -> &mut Self {
        self.writes.push(Write::Advance { name: name.into(), seq });
        self
    }

    /// Appends a log line.
    pub fn log(&mut self, line: LogLine) -> &mut Self {
        self.writes.push(Write::Log(line));
        self
    }

    /// Removes all lines of a log group.
    pub fn clear_log(&mut self, group: &str) -> &mut Self {
        self.writes.push(Write::ClearLog { group: group.into() });
        self
    }

    /// Stores an answer unless the viewer has answered this poll.
    pub fn answer(&mut self, answer: Answer) -> &mut Self {
        self.writes.push(Write::Answer(answer));
        self
    }

    fn put_expecting<T: Document>(&mut self, value: &T, expect: Expect) -> Result<&mut Self, Error> {
        let id = value.id();
        let body = serde_json::to_value(value).map_err(|source| Error::Document {
            kind: T::KIND.into(),
            id: id.clone(),
            source,
        })?;
        let (kind, parent, rank) = (T::KIND.into(), value.parent(), value.rank());
        let record = Record { kind, id: id.clone(), parent, rank, body, revision: 0 };
        self.writes.push(Write::Put(record, expect));
        if let Some(labels) = value.labels() {
            self.writes.push(Write::Label { kind: T::KIND.into(), id, labels });
        }
        Ok(self)
    }
}

/// What a commit made, in the order of the batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    /// Numbers of the appended events.
    pub events: Vec<u64>,
    /// Ids of the added jobs.
    pub jobs: Vec<JobId>,
    /// For each answer of the batch, the one that counts: the stored one, or the viewer's earlier one.
    pub answers: Vec<Answer>,
}
