//! Who is let in to a channel that is private or restricted: tokens at the multivariant playlist, viewer sessions from there on.
//!
//! The multivariant playlist of such a channel checks the token and the channel's restriction policy, then names media below
//! `/media/v/{session}/`; without a session that is good for the stream its media is a 403. Source: IVS "Setting Up Private Channels".

mod country;
mod session;
mod token;

#[cfg(test)]
pub(crate) use country::tests as country_tests;
#[cfg(test)]
pub(crate) use token::tests as token_tests;

pub use country::Countries;
pub(crate) use token::verify;
pub use token::{KEYS_TRIED_MAX, PlaybackKey};

use crate::cors::Allowed;
use async_trait::async_trait;
use headwater_live::LiveStream;
use headwater_model::Timestamp;
use headwater_model::ivs::{Channel, MaximumResolution};
use headwater_model::playback::{Claims, Origins, Refusal};
use session::{Keeper, Session, ViewerTag};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// What admission asks of the records.
#[async_trait]
pub trait Records: Send + Sync {
    /// The account's playback keys; the first [`KEYS_TRIED_MAX`] are tried.
    async fn keys(&self) -> Result<Vec<PlaybackKey>, Unavailable>;

    /// The restriction policy with that ARN.
    async fn restriction(&self, arn: &str) -> Result<Option<Restriction>, Unavailable>;

    /// The highest version of a viewer's sessions that is revoked.
    async fn revoked_up_to(&self, channel_arn: &str, viewer_id: &str) -> Result<Option<i64>, Unavailable>;

    /// Remembers a use of a token that is for one, durably until `until`.
    async fn spend(&self, uuid: &str, until: Timestamp) -> Result<Spent, Unavailable>;
}

/// Records of an account without keys.
pub(crate) struct NoKeys;

#[async_trait]
impl Records for NoKeys {
    async fn keys(&self) -> Result<Vec<PlaybackKey>, Unavailable> {
        Ok(Vec::new())
    }

    async fn restriction(&self, _: &str) -> Result<Option<Restriction>, Unavailable> {
        Ok(None)
    }

    async fn revoked_up_to(&self, _: &str, _: &str) -> Result<Option<i64>, Unavailable> {
        Ok(None)
    }

    async fn spend(&self, _: &str, _: Timestamp) -> Result<Spent, Unavailable> {
        Err(Unavailable)
    }
}

/// The records cannot be read; the cause is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("records cannot be read")]
pub struct Unavailable;

/// Whether a token that is for one use had been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Spent {
    /// This was the first use.
    Now,
    /// There was one before.
    Before,
}

/// From where a channel may be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// The policy's ARN.
    pub arn: String,
    /// ISO 3166-1 alpha-2; empty is all.
    pub countries: Vec<String>,
    /// Pages that may play.
    pub origins: Origins,
    /// Whether each request must come from such a page, also those for media.
    pub strict_origin: bool,
}

/// A viewer whose sessions are ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The channel.
    pub channel_arn: String,
    /// `aws:viewer-id` of the tokens.
    pub viewer_id: String,
    /// Sessions of this version and lower.
    pub versions_up_to: i64,
}

/// What each request for media is checked with, swapped whole.
#[derive(Clone, Debug, Default)]
struct Standing {
    /// By the policy's ARN.
    restrictions: HashMap<String, Restriction>,
    /// By the viewer.
    revoked: HashMap<ViewerTag, i64>,
}

impl Standing {
    fn is_revoked(&self, (tag, version): (ViewerTag, i64)) -> bool {
        self.revoked.get(&tag).is_some_and(|up_to| version <= *up_to)
    }
}

/// Lets viewers in. Clones share one.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    records: Arc<dyn Records>,
    countries: Countries,
    keeper: Keeper,
    standing: watch::Sender<Standing>,
}

/// Whether media of a channel is served to viewer sessions only.
pub fn is_guarded(channel: &Channel) -> bool {
    channel.authorized || !channel.playback_restriction_policy_arn.is_empty()
}

/// What a request for a multivariant playlist says of itself.
pub(crate) struct Asking<'a> {
    pub(crate) token: Option<&'a str>,
    pub(crate) origin: Option<&'a str>,
    pub(crate) address: Option<IpAddr>,
}

/// A request that may see the channel, whose token is not spent yet.
pub(crate) struct Admitted {
    claims: Option<Claims>,
    /// For the header `Access-Control-Allow-Origin`.
    pub(crate) allowed: Allowed,
}

impl Admitted {
    pub(crate) fn maximum_resolution(&self) -> Option<MaximumResolution> {
        self.claims.as_ref().and_then(|claims| claims.maximum_resolution)
    }
}

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Gate {
    /// A gate. Policies and revocations are told to it by [`Gate::restrict`] and [`Gate::revoke`].
    pub fn new(records: Arc<dyn Records>, countries: Countries) -> Self {
        let standing = watch::Sender::new(Standing::default());
        Gate(Arc::new(Inner { records, countries, keeper: Keeper::new(), standing }))
    }

    pub(crate) fn countries(&self) -> &Countries {
        &self.0.countries
    }

    /// A gate that lets nobody in to private and restricted channels.
    pub fn closed() -> Self {
        Gate::new(Arc::new(NoKeys), Countries::default())
    }

    /// Replaces all restriction policies: requests for media are checked with these from now on.
    pub fn restrict(&self, restrictions: impl IntoIterator<Item = Restriction>) {
        let restrictions = restrictions.into_iter().map(|restriction| (restriction.arn.clone(), restriction)).collect();
        self.0.standing.send_modify(|standing| standing.restrictions = restrictions);
    }

    /// Replaces all revocations, and ends what they are for at once, requests that wait as well.
    pub fn revoke(&self, revocations: impl IntoIterator<Item = Revocation>) {
        let tag = |revocation: &Revocation| self.0.keeper.tag(&revocation.channel_arn, &revocation.viewer_id);
        let revoked = revocations.into_iter().map(|revocation| (tag(&revocation), revocation.versions_up_to)).collect();
        self.0.standing.send_modify(|standing| standing.revoked = revoked);
    }

    /// Checks all that can be checked without spending the token.
    pub(crate) async fn enter(&self, channel: &Channel, asking: &Asking<'_>) -> Result<Admitted, Denied> {
        let claims = if channel.authorized { Some(self.claims(channel, asking).await?) } else { None };
        let restriction = self.restriction(channel).await?;
        let mut lists: Vec<(&Origins, bool)> = Vec::with_capacity(2);
        lists.extend(claims.as_ref().map(|claims| (&claims.origins, claims.strict_origin)));
        lists.extend(restriction.as_ref().map(|restriction| (&restriction.origins, restriction.strict_origin)));
        for (origins, strict) in &lists {
            if *strict {
                origins.admit(asking.origin)?;
            }
        }
        if let (Some(restriction), Some(address)) = (&restriction, asking.address) {
            self.check_country(restriction, address)?;
        }
        Ok(Admitted { allowed: Allowed::by(lists.iter().map(|(origins, _)| *origins), asking.origin), claims })
    }

    async fn claims(&self, channel: &Channel, asking: &Asking<'_>) -> Result<Claims, Denied> {
        let token = asking.token.filter(|token| !token.is_empty()).ok_or(Refusal::NoToken)?;
        let claims = token::verify(token, &self.0.records.keys().await?)?;
        claims.admit(&channel.arn, Timestamp::now())?;
        if let Some(viewer) = &claims.viewer {
            let revoked = self.0.records.revoked_up_to(&channel.arn, &viewer.id).await?;
            if revoked.is_some_and(|up_to| viewer.version <= up_to) {
                return Err(Refusal::Revoked.into());
            }
        }
        Ok(claims)
    }

    /// The channel's policy as the records have it now; media requests see it from here on too.
    async fn restriction(&self, channel: &Channel) -> Result<Option<Restriction>, Denied> {
        let arn = &channel.playback_restriction_policy_arn;
        if arn.is_empty() {
            return Ok(None);
        }
        // A policy in use cannot be deleted, so one that is not there is a fault, and a fault lets nobody in.
        let restriction = self.0.records.restriction(arn).await?.ok_or(Unavailable)?;
        self.0.standing.send_if_modified(|standing| {
            let changed = standing.restrictions.get(arn) != Some(&restriction);
            if changed {
                standing.restrictions.insert(arn.clone(), restriction.clone());
            }
            changed
        });
        Ok(Some(restriction))
    }

    /// An address whose country is not known may watch.
    fn check_country(&self, restriction: &Restriction, address: IpAddr) -> Result<(), Refusal> {
        if restriction.countries.is_empty() {
            return Ok(());
        }
        match self.0.countries.country(address) {
            Some(country) if !restriction.countries.contains(&country) => Err(Refusal::Country),
            _ => Ok(()),
        }
    }

    /// Spends the token and begins a viewer session on a stream; its name.
    pub(crate) async fn begin(&self, stream: &LiveStream, admitted: &Admitted) -> Result<String, Denied> {
        let mut session = Session { number: rand::random(), ..Session::default() };
        if let Some(claims) = &admitted.claims {
            session.maximum_resolution = claims.maximum_resolution;
            session.strict_origins = claims.strict_origin.then(|| claims.origins.clone());
            session.viewer = claims
                .viewer
                .as_ref()
                .map(|viewer| (self.0.keeper.tag(&claims.channel_arn, &viewer.id), viewer.version));
            if let Some(uuid) = &claims.single_use
                && self.0.records.spend(uuid, claims.expires_at).await? == Spent::Before
            {
                return Err(Refusal::Used.into());
            }
        }
        Ok(self.0.keeper.name(&stream.epoch, &session))
    }

    /// A viewer session on a stream that everybody may watch, for counting only; its name.
    pub(crate) fn count(&self, stream: &LiveStream) -> String {
        self.0.keeper.name(&stream.epoch, &Session { number: rand::random(), ..Session::default() })
    }

    /// Whether a name is one of a session on a stream.
    pub(crate) fn knows(&self, stream: &LiveStream, name: &str) -> bool {
        self.0.keeper.read(&stream.epoch, name).is_some()
    }

    /// Lets a request in by its session.
    ///
    /// # Errors
    /// [`Refusal::Session`], [`Refusal::Revoked`], [`Refusal::Origin`].
    pub(crate) fn pass(&self, stream: &LiveStream, name: &str, origin: Option<&str>) -> Result<Pass, Refusal> {
        let session = self.0.keeper.read(&stream.epoch, name).ok_or(Refusal::Session)?;
        let standing = self.0.standing.borrow();
        if session.viewer.is_some_and(|viewer| standing.is_revoked(viewer)) {
            return Err(Refusal::Revoked);
        }
        let arn = &stream.channel.playback_restriction_policy_arn;
        let restriction = standing.restrictions.get(arn);
        if restriction.is_none() && !arn.is_empty() {
            return Err(Refusal::Session);
        }
        let by_policy = restriction.filter(|restriction| restriction.strict_origin).map(|policy| &policy.origins);
        let strict: Vec<&Origins> = session.strict_origins.iter().chain(by_policy).collect();
        for origins in &strict {
            origins.admit(origin)?;
        }
        let allowed = Allowed::by(strict.into_iter(), origin);
        let revocable = session.viewer.map(|viewer| (viewer, self.0.standing.subscribe()));
        Ok(Pass {
            number: session.number,
            maximum_resolution: session.maximum_resolution,
            allowed,
            revocable: revocable.map(|(viewer, standing)| Revocable { viewer, standing }),
        })
    }

    /// Whether somebody may take part in what goes on around a stream: everybody, or viewers with a session if the channel is guarded.
    ///
    /// # Errors
    /// One refusal for each reason that a request for media has too.
    pub fn take_part(&self, stream: &LiveStream, session: Option<&str>, origin: Option<&str>) -> Result<(), Refusal> {
        if is_guarded(&stream.channel) {
            self.pass(stream, session.ok_or(Refusal::Session)?, origin)?;
        }
        Ok(())
    }
}

/// A request that was let in by its session.
pub(crate) struct Pass {
    /// Of the viewer's session.
    pub(crate) number: u64,
    pub(crate) maximum_resolution: Option<MaximumResolution>,
    /// For the header `Access-Control-Allow-Origin`.
    pub(crate) allowed: Allowed,
    revocable: Option<Revocable>,
}

struct Revocable {
    viewer: (ViewerTag, i64),
    standing: watch::Receiver<Standing>,
}

impl Pass {
    /// Returns when the session is revoked.
    pub(crate) async fn revoked(&mut self) {
        if let Some(Revocable { viewer, standing }) = &mut self.revocable
            && standing.wait_for(|standing| standing.is_revoked(*viewer)).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}
