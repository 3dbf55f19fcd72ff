//! What each operation does: one place for every change that a user can ask for.
//!
//! [`Control`] holds what operations work on. An operation is an `async fn` in its service's module that takes
//! `&Control` and a typed input and returns a typed output or an [`Error`] of the domain; no HTTP, no wire names.
//! The gateway, the providers of stack resources and the native API all call the same functions.
//!
//! | module | what stands there |
//! |---|---|
//! | [`ivs`] | channels, stream keys, streams, timed metadata, and what channels refer to |
//! | [`sessions`] | the journal of stream sessions: records and events, written together |
//! | [`broadcasts`] | the port to the live streams |
//! | [`iam`] | roles, users, access keys, policies; what a principal may do |
//! | [`cdk`] | what the CDK expects to find |
//! | [`credentials`] | access keys by id, the root key, temporary keys of roles |
//! | [`delivery`] | brings events to the targets of rules |
//! | [`events`], [`logs`] | rules and targets; log groups |
//! | [`lambda`] | functions |
//! | [`metrics`] | the recent past of what is measured, under CloudWatch's names |
//! | [`native`] | built-in sites and timed questions |
//! | [`operator`] | what the command line asks for |
//! | [`playback`] | what private playback is decided by |
//! | [`stacks`] | providers of the resource types, stack operations |
//! | [`ssm`] | parameters of Parameter Store |
//! | [`s3`] | buckets and objects |
//!
//! Construction order, which [`Parts`] asks for: the store, then what needs only the store (interact, the stacks' engine,
//! [`credentials::Credentials`], [`sessions::Sessions`]), then the rooms that call those (functions, the live hub), then
//! [`Control`], then what calls it: [`delivery::Delivering`] for the bus and the stacks' providers.

pub mod broadcasts;
mod cache;
pub mod cdk;
pub mod credentials;
pub mod delivery;
mod error;
pub mod events;
mod expiries;
pub mod iam;
pub mod ivs;
pub mod lambda;
pub mod logs;
pub mod metrics;
pub mod native;
pub mod operator;
pub mod playback;
pub mod s3;
pub mod sessions;
pub mod ssm;
pub mod stacks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use error::Error;

use broadcasts::Broadcasts;
use credentials::Credentials;
use headwater_functions::Functions;
use headwater_interact::Interact;
use headwater_model::ivs::Quotas;
use headwater_model::{Realm, Timestamp};
use headwater_sites::Sites;
use headwater_stacks::Engine;
use headwater_store::{Blobs, Store};
use std::sync::Arc;

/// Where this server is reached, as it appears in answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The AWS-compatible listener, such as `http://127.0.0.1:4566`; no slash at its end.
    pub api_url: String,
    /// The viewers' listener, such as `http://localhost:8080`; no slash at its end.
    pub web_url: String,
    /// Host name that encoders connect to, such as `localhost`.
    pub ingest_host: String,
    /// Port of plain RTMP.
    pub rtmp_port: u16,
    /// Port of RTMPS and HTTPS, if there is a listener.
    pub tls_port: Option<u16>,
}

impl Default for Endpoints {
    fn default() -> Self {
        Endpoints {
            api_url: "http://127.0.0.1:4566".into(),
            web_url: "http://localhost:8080".into(),
            ingest_host: "localhost".into(),
            rtmp_port: 1935,
            tls_port: Some(443),
        }
    }
}

/// What a [`Control`] is made of.
pub struct Parts {
    /// Region and account.
    pub realm: Realm,
    /// Where this server is reached.
    pub endpoints: Endpoints,
    /// How many of each thing there may be.
    pub quotas: Quotas,
    /// Who may publish without TLS on any channel.
    pub insecure_ingest: ivs::InsecureIngest,
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// Bytes of objects.
    pub blobs: Blobs,
    /// Access keys.
    pub credentials: Credentials,
    /// Live streams.
    pub broadcasts: Arc<dyn Broadcasts>,
    /// Processes of functions.
    pub functions: Functions,
    /// Polls and answers.
    pub interact: Interact,
    /// Buckets and objects.
    pub sites: Sites,
    /// Stacks; its providers are registered once there is a control that they can call.
    pub engine: Engine,
}

/// The operations' view of the server. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    parts: Parts,
    metadata_rate: ivs::MetadataRate,
    operation_rates: ivs::OperationRates,
    channels: ivs::Channels,
    policies: iam::Policies,
    metrics: metrics::Metrics,
    delivered: delivery::Outcomes,
    /// When an event told last that there are too many streams.
    breach_told: std::sync::Mutex<Option<Timestamp>>,
}

impl Control {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        let channels = ivs::Channels::new(&*parts.store);
        let policies = iam::Policies::new(&*parts.store);
        Control(Arc::new(Inner {
            parts,
            metadata_rate: ivs::MetadataRate::default(),
            operation_rates: ivs::OperationRates::default(),
            channels,
            policies,
            metrics: metrics::Metrics::default(),
            delivered: delivery::Outcomes::default(),
            breach_told: Default::default(),
        }))
    }

    /// Region and account.
    pub fn realm(&self) -> &Realm {
        &self.0.parts.realm
    }

    /// Where this server is reached.
    pub fn endpoints(&self) -> &Endpoints {
        &self.0.parts.endpoints
    }

    /// How many of each thing there may be.
    pub fn quotas(&self) -> &Quotas {
        &self.0.parts.quotas
    }

    /// Who may publish without TLS on any channel.
    pub fn insecure_ingest(&self) -> ivs::InsecureIngest {
        self.0.parts.insecure_ingest
    }

    /// Durable state.
    pub fn store(&self) -> &dyn Store {
        &*self.0.parts.store
    }

    /// Durable state, to be kept.
    pub fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0.parts.store)
    }

    /// Bytes of objects.
    pub fn blobs(&self) -> &Blobs {
        &self.0.parts.blobs
    }

    /// Access keys.
    pub fn credentials(&self) -> &Credentials {
        &self.0.parts.credentials
    }

    /// Live streams.
    pub fn broadcasts(&self) -> &dyn Broadcasts {
        &*self.0.parts.broadcasts
    }

    /// Processes of functions.
    pub fn functions(&self) -> &Functions {
        &self.0.parts.functions
    }

    /// Polls and answers.
    pub fn interact(&self) -> &Interact {
        &self.0.parts.interact
    }

    /// Buckets and objects.
    pub fn sites(&self) -> &Sites {
        &self.0.parts.sites
    }

    /// Stacks.
    pub fn engine(&self) -> &Engine {
        &self.0.parts.engine
    }

    /// The recent past of what is measured.
    pub fn metrics(&self) -> &metrics::Metrics {
        &self.0.metrics
    }

    /// How deliveries of events went.
    pub fn delivered(&self) -> &delivery::Outcomes {
        &self.0.delivered
    }

    pub(crate) fn operation_rates(&self) -> &ivs::OperationRates {
        &self.0.operation_rates
    }

    pub(crate) fn channels(&self) -> &ivs::Channels {
        &self.0.channels
    }

    pub(crate) fn policies(&self) -> &iam::Policies {
        &self.0.policies
    }

    /// Whether so much time has gone since the last event that told of too many streams; then now is noted.
    pub(crate) fn breach_is_news(&self, now: Timestamp, every_ms: i64) -> bool {
        let mut told = self.0.breach_told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_news = told.is_none_or(|told| now.since_ms(told) >= every_ms);
        if is_news {
            *told = Some(now);
        }
        is_news
    }

    pub(crate) fn metadata_rate(&self) -> &ivs::MetadataRate {
        &self.0.metadata_rate
    }
}
