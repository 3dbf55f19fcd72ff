//! Opening and closing polls, answers, results.

use crate::channels::{Channel, Channels, Snapshot, Standing, tally};
use crate::limits::Limits;
use headwater_model::poll::{Answer, OpenPoll, Poll, Question};
use headwater_model::{Realm, Timestamp, ivs};
use headwater_store::{Batch, Document, Error, Select, Store, find, list, load};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

/// Answers of one viewer wait for one another, so that only one of two at the same time counts. Viewers share this
/// many locks: as many answers can be on their way to the disk.
const VIEWER_LOCKS: usize = 256;
/// Shortest and longest id of a viewer.
const VIEWER_CHARACTERS: std::ops::RangeInclusive<usize> = 8..=64;

/// Polls, answers and tallies. Cheap to clone.
#[derive(Clone)]
pub struct Interact {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    store: Arc<dyn Store>,
    realm: Realm,
    channels: Channels,
    pub(crate) limits: Limits,
    pub(crate) ended: CancellationToken,
    viewers: Vec<Mutex<()>>,
    spread: RandomState,
}

/// A viewer's answer as it comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiveAnswer {
    /// The poll's unique id.
    pub poll: String,
    /// Who answers: 8–64 of `[A-Za-z0-9_-]`.
    pub viewer: String,
    /// What is answered.
    pub choice: Choice,
    /// The playhead's program date-time, if the player says so.
    pub playhead: Option<Timestamp>,
}

/// How an answer is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Index into the question's answers.
    Index(u32),
    /// The answer's text.
    Text(String),
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The choice that counts for this viewer.
    pub choice: u32,
    /// Whether it is this answer that counts, and not an earlier one.
    pub counted: bool,
    /// How the answers now stand.
    pub tally: Vec<u64>,
}

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// There is no such poll.
    #[error("no poll {0:?}")]
    UnknownPoll(String),
    /// The poll is closed.
    #[error("poll {0:?} is closed")]
    Closed(String),
    /// The viewer's id is malformed.
    #[error("a viewer's id has 8 to 64 letters, digits, hyphens and underscores")]
    Viewer,
    /// The question does not offer this answer.
    #[error("the question offers {offered} answers, and not this one")]
    Choice {
        /// How many it offers.
        offered: usize,
    },
    /// The store failed: the answer is not stored.
    #[error("store of answers")]
    Store(#[from] Error),
}

/// A poll with its result so far.
#[derive(Clone, Debug, PartialEq)]
pub struct PollResult {
    /// The poll.
    pub poll: Poll,
    /// Answers by choice.
    pub tally: Vec<u64>,
}

impl Interact {
    /// Works on a store.
    pub fn new(store: Arc<dyn Store>, realm: Realm) -> Interact {
        let viewers = (0..VIEWER_LOCKS).map(|_| Mutex::new(())).collect();
        Interact {
            inner: Arc::new(Inner {
                store,
                realm,
                channels: Channels::default(),
                limits: Limits::default(),
                ended: CancellationToken::new(),
                viewers,
                spread: RandomState::new(),
            }),
        }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.inner.store.as_ref()
    }

    pub(crate) fn channel_arn(&self, id: &str) -> String {
        self.inner.realm.ivs_arn("channel", id)
    }

    /// Ends what viewers listen to, so that their connections can be drained.
    pub fn end_subscriptions(&self) {
        self.inner.ended.cancel();
    }

    /// Takes note of a cue: a question opens a poll and closes the one before it, in one commit. The same question
    /// under the same `poll_id` in the same stream session is the same poll, and opens again if it was closed.
    /// Other cues are `None`.
    ///
    /// # Errors
    /// [`Error`] of the store; then nothing has changed.
    pub async fn cue(
        &self,
        channel_arn: &str,
        stream_id: &str,
        cue_id: &str,
        payload: &str,
        now: Timestamp,
    ) -> Result<Option<Poll>, Error> {
        let Some(question) = Question::parse(payload) else { return Ok(None) };
        let channel = self.channel(channel_arn).await?;
        let _change = channel.change.lock().await;
        loop {
            let asked = Poll {
                id: format!("{stream_id}:{}", question.poll_id),
                channel_arn: channel_arn.into(),
                stream_id: stream_id.into(),
                question: question.clone(),
                cue_id: cue_id.into(),
                opened_at: now,
                closed_at: None,
            };
            match self.open(asked).await {
                Ok((poll, tally)) => {
                    channel.show(Standing { poll: Arc::new(poll.clone()), tally });
                    tracing::info!(channel = channel_arn, poll = poll.id, "a question is open");
                    return Ok(Some(poll));
                }
                // Another process changed a poll of this channel: look again.
                Err(Error::Conflict { .. } | Error::Exists { .. }) => continue,
                Err(error) => return Err(error),
            }
        }
    }

    async fn open(&self, mut asked: Poll) -> Result<(Poll, Vec<u64>), Error> {
        let store = self.store();
        let mut earlier = load::<Poll>(store, &asked.id).await?;
        if earlier.as_ref().is_some_and(|earlier| earlier.value.question != asked.question) {
            // Another question under the same id: answers to the one are no answers to the other.
            asked.id = format!("{}:{}", asked.id, asked.cue_id);
            earlier = load::<Poll>(store, &asked.id).await?;
        }
        let open = load::<OpenPoll>(store, &asked.channel_arn).await?;
        let mut batch = Batch::new();
        if let Some(before) = open.as_ref().and_then(|open| open.value.poll.as_ref()).filter(|id| **id != asked.id)
            && let Some(mut before) = load::<Poll>(store, before).await?
        {
            before.value.closed_at.get_or_insert(asked.opened_at);
            batch.update(&before.value, before.revision)?;
        }
        let poll = match earlier {
            Some(earlier) if earlier.value.closed_at.is_none() => earlier.value,
            Some(mut earlier) => {
                earlier.value.closed_at = None;
                batch.update(&earlier.value, earlier.revision)?;
                earlier.value
            }
            None => {
                batch.insert(&asked)?;
                asked
            }
        };
        let now_open = OpenPoll { channel_arn: poll.channel_arn.clone(), poll: Some(poll.id.clone()) };
        match open {
            Some(open) if open.value == now_open => {}
            Some(open) => drop(batch.update(&now_open, open.revision)?),
            None => drop(batch.insert(&now_open)?),
        }
        if !batch.writes.is_empty() {
            store.commit(batch).await?;
        }
        let tally = tally(store, &poll).await?;
        Ok((poll, tally))
    }

    /// Closes the poll of a stream session that has ended, if it has one. Returns it.
    ///
    /// # Errors
    /// [`Error`] of the store; then the poll is still open.
    pub async fn session_ended(
        &self,
        channel_arn: &str,
        stream_id: &str,
        now: Timestamp,
    ) -> Result<Option<Poll>, Error> {
        let channel = self.channel(channel_arn).await?;
        let _change = channel.change.lock().await;
        let store = self.store();
        loop {
            let Some(open) = load::<OpenPoll>(store, channel_arn).await? else { return Ok(None) };
            let Some(id) = open.value.poll else { return Ok(None) };
            let Some(mut poll) = load::<Poll>(store, &id).await? else { return Ok(None) };
            if poll.value.stream_id != stream_id {
                return Ok(None);
            }
            poll.value.closed_at.get_or_insert(now);
            let mut batch = Batch::new();
            batch.update(&poll.value, poll.revision)?;
            batch.update(&OpenPoll { channel_arn: channel_arn.into(), poll: None }, open.revision)?;
            match store.commit(batch).await {
                Ok(_) => {
                    channel.close(poll.value.clone());
                    return Ok(Some(poll.value));
                }
                Err(Error::Conflict { .. }) => continue,
                Err(error) => return Err(error),
            }
        }
    }

    /// Stores a viewer's answer, unless the viewer has answered this poll: the first answer counts. When this returns
    /// the answer that counts is on the disk.
    ///
    /// # Errors
    /// [`AnswerError`], each variant as it says.
    ///
    /// # Cancel safety
    /// Not: a dropped call may have stored the answer and not counted it in the tally that is shown. Run it to its end.
    pub async fn answer(&self, answer: GiveAnswer, now: Timestamp) -> Result<Counted, AnswerError> {
        let GiveAnswer { poll: id, viewer, choice, playhead } = answer;
        if !is_viewer(&viewer) {
            return Err(AnswerError::Viewer);
        }
        let store = self.store();
        let Some(poll) = find::<Poll>(store, &id).await? else { return Err(AnswerError::UnknownPoll(id)) };
        let channel = self.channel(&poll.channel_arn).await?;
        let offered = poll.question.answers.len();
        let choice = match choice {
            Choice::Index(index) => Some(index).filter(|index| (*index as usize) < offered),
            Choice::Text(text) => {
                poll.question.answers.iter().position(|answer| *answer == text).and_then(|i| u32::try_from(i).ok())
            }
        };
        let choice = choice.ok_or(AnswerError::Choice { offered })?;
        let lock = self.inner.spread.hash_one((&id, &viewer)) as usize % VIEWER_LOCKS;
        let _viewer = self.inner.viewers[lock].lock().await;
        // A repeated request gets its answer also after the poll was closed.
        let earlier = store.answer(&id, &viewer).await?;
        let (choice, counted) = match earlier {
            Some(earlier) => (earlier.choice, false),
            None if poll.closed_at.is_some() => return Err(AnswerError::Closed(id)),
            None => {
                let given = Answer { poll: id.clone(), viewer, choice, at: now, playhead };
                let mut batch = Batch::new();
                batch.answer(given.clone());
                let committed = store.commit(batch).await?;
                let counts = committed.answers.into_iter().next().unwrap_or_else(|| given.clone());
                let counted = counts == given;
                if counted {
                    channel.count(&id, choice);
                }
                (counts.choice, counted)
            }
        };
        let tally = match channel.snapshot().filter(|standing| standing.poll.id == id) {
            Some(standing) => standing.tally.clone(),
            None => tally(store, &poll).await?,
        };
        Ok(Counted { choice, counted, tally })
    }

    /// The channel's open poll and how its answers stand.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub async fn open_poll(&self, channel_arn: &str) -> Result<Snapshot, Error> {
        let shown = self.channel(channel_arn).await?.snapshot();
        Ok(shown.filter(|standing| standing.poll.closed_at.is_none()))
    }

    /// The channel's snapshot as it changes; readers that are slow see the newest only.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub async fn subscribe(&self, channel_arn: &str) -> Result<watch::Receiver<Snapshot>, Error> {
        Ok(self.channel(channel_arn).await?.subscribe())
    }

    /// Whether the channel exists.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub async fn channel_exists(&self, channel_arn: &str) -> Result<bool, Error> {
        Ok(self.store().record(<ivs::Channel as Document>::KIND, channel_arn).await?.is_some())
    }

    /// All polls of a channel, or of all channels, oldest first, with their results so far.
    ///
    /// # Errors
    /// [`Error`] of the store.
    pub async fn results(&self, channel_arn: Option<&str>) -> Result<Vec<PollResult>, Error> {
        let select = Select { parent: channel_arn.map(str::to_owned), ..Default::default() };
        let mut polls: Vec<Poll> = list(self.store(), select).await?;
        polls.sort_by(|a, b| (a.opened_at, &a.id).cmp(&(b.opened_at, &b.id)));
        let mut results = Vec::with_capacity(polls.len());
        for poll in polls {
            let tally = tally(self.store(), &poll).await?;
            results.push(PollResult { poll, tally });
        }
        Ok(results)
    }

    async fn channel(&self, arn: &str) -> Result<Arc<Channel>, Error> {
        self.inner.channels.of(self.store(), arn).await
    }
}

/// Whether a viewer may have this id.
pub(crate) fn is_viewer(id: &str) -> bool {
    VIEWER_CHARACTERS.contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
