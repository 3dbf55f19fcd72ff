//! A control over a store in memory and live streams that tests put there.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::broadcasts::{AdBreakRefusal, Broadcasts, Ladder, LiveStream};
use crate::credentials::Credentials;
use crate::{Control, Endpoints, Parts};
use async_trait::async_trait;
use headwater_functions::Functions;
use headwater_interact::Interact;
use headwater_live::{Audience, Finding, PutCue, Report};
use headwater_model::ivs::{AdBreak, Channel, Quotas, StreamHealth};
use headwater_model::{Realm, Timestamp, id};
use headwater_sites::{Sites, WebAddress};
use headwater_stacks::Engine;
use headwater_store::{Blobs, SqliteStore, Store};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Live streams by channel id, and the cues that were put.
#[derive(Default)]
pub struct FakeBroadcasts {
    /// By channel id.
    pub live: Mutex<BTreeMap<String, LiveStream>>,
    /// Channel id and payload.
    pub cues: Mutex<Vec<(String, String)>>,
    /// Channel id and ad break, for each channel the one that runs.
    pub ad_breaks: Mutex<BTreeMap<String, AdBreak>>,
    /// Ids of channels whose encoders were told to leave.
    pub stopped: Mutex<Vec<String>>,
    /// What is wrong with every encoder.
    pub findings: Mutex<Vec<Finding>>,
    /// What the playlists of every stream are found to be.
    pub conformance: Mutex<Option<Report>>,
    /// What [`Broadcasts::ladder`] answers while something is live.
    pub ladder: Mutex<Option<Ladder>>,
}

impl FakeBroadcasts {
    /// Makes a stream live on a channel.
    pub fn go_live(&self, channel: &Channel) -> LiveStream {
        let stream = LiveStream {
            stream_id: id::stream_id(),
            channel_arn: channel.arn.clone(),
            started_at: Timestamp(1_000),
            health: StreamHealth::Healthy,
            viewers: 0,
        };
        self.live.lock().unwrap().insert(channel.id.clone(), stream.clone());
        stream
    }
}

#[async_trait]
impl Broadcasts for FakeBroadcasts {
    fn stream(&self, channel_id: &str) -> Option<LiveStream> {
        self.live.lock().unwrap().get(channel_id).cloned()
    }

    fn streams(&self) -> Vec<LiveStream> {
        self.live.lock().unwrap().values().cloned().collect()
    }

    fn findings(&self, channel_id: &str) -> Vec<Finding> {
        if self.stream(channel_id).is_some() { self.findings.lock().unwrap().clone() } else { Vec::new() }
    }

    fn audience(&self, channel_id: &str) -> Option<Audience> {
        let viewers = self.stream(channel_id)?.viewers;
        Some(Audience { viewers: u64::try_from(viewers).unwrap_or_default(), ..Audience::default() })
    }

    fn ladder(&self, channel_id: &str) -> Option<Ladder> {
        self.stream(channel_id).and_then(|_| self.ladder.lock().unwrap().clone())
    }

    fn conformance(&self, channel_id: &str) -> Option<Report> {
        self.stream(channel_id).and_then(|_| self.conformance.lock().unwrap().clone())
    }

    async fn put_cue(&self, channel_id: &str, payload: String) -> Option<PutCue> {
        let stream = self.stream(channel_id)?;
        self.cues.lock().unwrap().push((channel_id.into(), payload));
        Some(PutCue { cue_id: id::random_alphanumeric(8), stream_id: stream.stream_id, pdt: Timestamp(2_000) })
    }

    async fn insert_ad_break(&self, channel_id: &str, asked: AdBreak) -> Result<AdBreak, AdBreakRefusal> {
        self.stream(channel_id).ok_or(AdBreakRefusal::NotBroadcasting)?;
        let mut running = self.ad_breaks.lock().unwrap();
        match running.get(channel_id) {
            Some(running) => Err(AdBreakRefusal::Runs { id: running.id.clone() }),
            None => {
                running.insert(channel_id.into(), asked.clone());
                Ok(asked)
            }
        }
    }

    async fn stop(&self, channel_id: &str) -> bool {
        self.stopped.lock().unwrap().push(channel_id.into());
        self.live.lock().unwrap().remove(channel_id).is_some()
    }
}

/// A control with everything in memory; the folder holds the blobs.
pub struct Bench {
    /// The operations.
    pub control: Control,
    /// What is live.
    pub broadcasts: Arc<FakeBroadcasts>,
    _folder: tempfile::TempDir,
}

/// Puts one together.
pub async fn bench() -> Bench {
    bench_with(Quotas::default()).await
}

/// Puts one together with other quotas.
pub async fn bench_with(quotas: Quotas) -> Bench {
    bench_over(Arc::new(SqliteStore::in_memory().await.unwrap()), quotas).await
}

/// Puts one together over a store.
pub async fn bench_over(store: Arc<dyn Store>, quotas: Quotas) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let realm = Realm::default();
    let broadcasts = Arc::new(FakeBroadcasts::default());
    let credentials = Credentials::new(realm.clone(), Arc::clone(&store));
    let functions = Functions::new(
        headwater_functions::Config::new(folder.path(), "http://127.0.0.1:4566", realm.clone()),
        Arc::clone(&store),
        Arc::new(credentials.clone()),
    )
    .unwrap();
    let interact = Interact::new(Arc::clone(&store), realm.clone());
    let engine = Engine::new(Arc::clone(&store), realm.clone(), headwater_stacks::Options::default());
    let blobs = Blobs::in_folder(folder.path()).unwrap();
    let sites = Sites::new(Arc::clone(&store), blobs.clone(), realm.clone(), WebAddress::localhost(8080));
    let control = Control::new(Parts {
        realm,
        endpoints: Endpoints::default(),
        quotas,
        insecure_ingest: crate::ivs::InsecureIngest::Loopback,
        store,
        blobs,
        credentials,
        broadcasts: broadcasts.clone(),
        functions,
        interact,
        sites,
        engine,
    });
    Bench { control, broadcasts, _folder: folder }
}
