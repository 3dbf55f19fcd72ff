//! Claims on names: which create of which stack a named thing comes from.

use crate::{Control, Error};
use headwater_store::{Batch, Document, find};
use serde::{Deserialize, Serialize};

/// Written before a named thing is made, removed after it is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// `role/NAME`, `function/NAME`, ….
    pub name: String,
    /// Token of the create.
    pub token: String,
}

impl Document for Claim {
    const KIND: &'static str = "stack-claim";
    fn id(&self) -> String {
        self.name.clone()
    }
}

/// What a create finds under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: make it.
    Nothing,
    /// What an earlier try of this create has made.
    Own,
}

/// Claims a name. `exists` says whether something stands under it.
///
/// # Errors
/// [`Error::Exists`] if it is not of this token; [`Error::Store`].
pub async fn claim(control: &Control, kind: &'static str, id: &str, token: &str, exists: bool) -> Result<Found, Error> {
    let name = format!("{kind}/{id}");
    if exists {
        return match owns(control, kind, id, token).await? {
            true => Ok(Found::Own),
            false => Err(Error::Exists { kind, id: id.to_owned() }),
        };
    }
    let mut batch = Batch::new();
    batch.put(&Claim { name, token: token.to_owned() })?;
    control.store().commit(batch).await?;
    Ok(Found::Nothing)
}

/// Whether a name was claimed by a token.
///
/// # Errors
/// [`Error::Store`].
pub async fn owns(control: &Control, kind: &str, id: &str, token: &str) -> Result<bool, Error> {
    let claim = find::<Claim>(control.store(), &format!("{kind}/{id}")).await?;
    Ok(claim.is_some_and(|claim| claim.token == token))
}

/// Gives a name back.
///
/// # Errors
/// [`Error::Store`].
pub async fn release(control: &Control, kind: &str, id: &str) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.delete::<Claim>(&format!("{kind}/{id}"));
    control.store().commit(batch).await?;
    Ok(())
}

/// The name that a delete is about, if the thing under it is the stack's: known by its physical id, or claimed by the
/// create that was broken off.
///
/// # Errors
/// [`Error::Store`].
pub async fn to_delete(
    control: &Control,
    kind: &str,
    proposed: &str,
    current: &headwater_stacks::Current,
) -> Result<Option<String>, Error> {
    match &current.physical_id {
        Some(id) => Ok(Some(id.clone())),
        None => Ok(owns(control, kind, proposed, &current.token).await?.then(|| proposed.to_owned())),
    }
}
