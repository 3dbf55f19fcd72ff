//! What all IVS resources share: ARNs, tags, quotas, being referred to by channels.

use super::page::{Listing, Page, PageRequest};
use crate::{Control, Error};
use headwater_model::ivs::{
    AdConfiguration, Channel, FailoverSlate, PlaybackKeyPair, PlaybackRestrictionPolicy, RecordingConfiguration,
    StreamKey, Tags, is_valid_name, reference_label,
};
use headwater_store::{Batch, Document, Select, load};

/// Characters of an ARN (model).
const ARN_LENGTH_MAX: usize = 128;

/// A kind of resource with an ARN and tags. The kind of its record is the kind in its ARN.
pub trait Resource: Document + Clone {
    /// `arn:aws:ivs:REGION:ACCOUNT:KIND/ID`.
    fn arn(&self) -> &str;
    /// Puts it under another ARN.
    fn set_arn(&mut self, arn: String);
    /// Tags, by key.
    fn tags(&self) -> &Tags;
    /// Tags, by key.
    fn tags_mut(&mut self) -> &mut Tags;
}

macro_rules! resources {
    ($($resource:ty),*) => {$(
        impl Resource for $resource {
            fn arn(&self) -> &str {
                &self.arn
            }
            fn set_arn(&mut self, arn: String) {
                self.arn = arn;
            }
            fn tags(&self) -> &Tags {
                &self.tags
            }
            fn tags_mut(&mut self) -> &mut Tags {
                &mut self.tags
            }
        }
    )*

    /// Kinds of resources, as ARNs have them.
    pub const KINDS: &[&str] = &[$(<$resource as Document>::KIND),*];
    };
}

resources!(
    Channel,
    StreamKey,
    PlaybackKeyPair,
    PlaybackRestrictionPolicy,
    RecordingConfiguration,
    AdConfiguration,
    FailoverSlate
);

/// Under which id a resource is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    /// A random one.
    Fresh,
    /// One that its maker chose: made again under it, it is the first one. For stacks, whose creates are repeated after
    /// a crash.
    Chosen(&'a str),
}

/// The kind in an IVS resource's ARN, if it is one.
pub(super) fn kind_of(arn: &str) -> Option<&'static str> {
    let rest = arn.strip_prefix("arn:aws:ivs:")?;
    let mut parts = rest.splitn(3, ':');
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let (kind, id) = resource.split_once('/')?;
    let is_good = arn.len() <= ARN_LENGTH_MAX
        && !region.is_empty()
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !account.is_empty()
        && account.bytes().all(|b| b.is_ascii_digit())
        && !id.is_empty()
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    KINDS.iter().copied().find(|known| is_good && *known == kind)
}

/// Checks that a text is the ARN of an IVS resource of this kind. Whether the resource exists is another question.
pub(super) fn check_arn(arn: &str, kind: &str) -> Result<(), Error> {
    if kind_of(arn) == Some(kind) { Ok(()) } else { Err(Error::invalid(format!("arn is not the ARN of a {kind}"))) }
}

/// Checks a resource's name.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    if is_valid_name(name) {
        return Ok(());
    }
    Err(Error::invalid("name may have up to 128 characters of a-z, A-Z, 0-9, hyphen and underscore"))
}

/// The resource with this ARN.
///
/// # Errors
/// [`Error::Invalid`] if the text is no ARN of its kind; [`Error::NotFound`]; [`Error::Store`].
pub async fn get<R: Resource>(control: &Control, arn: &str) -> Result<R, Error> {
    check_arn(arn, R::KIND)?;
    headwater_store::find(control.store(), arn).await?.ok_or_else(|| Error::not_found(R::KIND, arn))
}

/// Adds a resource and says of which quota it is one.
pub(super) async fn make<R: Resource>(
    control: &Control,
    mut resource: R,
    identity: Identity<'_>,
    quota: (&'static str, u64),
    also: impl FnOnce(&mut Batch, &R),
) -> Result<R, Error> {
    super::tags::check(resource.tags())?;
    if let Identity::Chosen(id) = identity {
        resource.set_arn(control.realm().ivs_arn(R::KIND, id));
        if let Some(standing) = headwater_store::find::<R>(control.store(), resource.arn()).await? {
            return Ok(standing);
        }
    }
    let mut batch = Batch::new();
    also(&mut batch, &resource);
    batch.insert(&resource)?.within::<R>(quota.1);
    control.store().commit(batch).await.map_err(|error| refused(error, quota))?;
    tracing::info!(arn = resource.arn(), "{} created", R::KIND);
    Ok(resource)
}

/// What a refused commit says to the caller.
pub(super) fn refused(error: headwater_store::Error, (quota, limit): (&'static str, u64)) -> Error {
    match error {
        headwater_store::Error::Full { .. } => Error::QuotaExceeded { quota, limit },
        headwater_store::Error::Missing { kind, id } => match KINDS.iter().find(|known| **known == kind) {
            Some(kind) => Error::not_found(kind, id),
            None => Error::Store(headwater_store::Error::Missing { kind, id }),
        },
        other => Error::Store(other),
    }
}

/// Resources of a kind in ascending order of their ARNs.
pub(super) async fn list<R: Resource>(
    control: &Control,
    operation: &str,
    request: &PageRequest,
    default: usize,
) -> Result<Page<R>, Error> {
    let size = request.size(default, LISTED_MAX)?;
    let listing = Listing::new(operation, []);
    let select = Select { after: request.after(&listing)?, limit: one_more(size), ..Select::default() };
    let found = headwater_store::list(control.store(), select).await?;
    Ok(listing.page(found, size, R::arn))
}

/// Most items of a page.
pub(super) const LISTED_MAX: usize = 100;

/// As many records as a page has, and one that tells whether there is another page.
pub(super) fn one_more(size: usize) -> u32 {
    u32::try_from(size + 1).unwrap_or(u32::MAX)
}

/// Changes a resource; concurrent changes do not lose one another.
pub(super) async fn update<R: Resource>(
    control: &Control,
    arn: &str,
    change: impl FnMut(&mut R) -> Result<(), Error>,
) -> Result<R, Error> {
    check_arn(arn, R::KIND)?;
    match headwater_store::update(control.store(), arn, change).await {
        Err(Error::Store(headwater_store::Error::Missing { .. })) => Err(Error::not_found(R::KIND, arn)),
        changed => changed,
    }
}

/// Deletes a resource that no channel refers to; none refers to it afterwards.
///
/// # Errors
/// [`Error::Conflict`] if a channel does; [`Error::Invalid`]; [`Error::NotFound`]; [`Error::Store`].
pub async fn delete<R: Resource>(control: &Control, arn: &str) -> Result<(), Error> {
    check_arn(arn, R::KIND)?;
    loop {
        let Some(standing) = load::<R>(control.store(), arn).await? else {
            return Err(Error::not_found(R::KIND, arn));
        };
        let mut batch = Batch::new();
        batch.unlabelled::<Channel>(reference_label(arn)).delete_revision::<R>(arn, standing.revision);
        match control.store().commit(batch).await {
            Ok(_) => break,
            Err(headwater_store::Error::Conflict { .. } | headwater_store::Error::Missing { .. }) => continue,
            Err(headwater_store::Error::Labelled { .. }) => {
                return Err(Error::conflict(format!("{} {arn} is in use by a channel", R::KIND)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    tracing::info!(arn, "{} deleted", R::KIND);
    Ok(())
}
