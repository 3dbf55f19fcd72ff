//! What stands in the store about stacks.

use super::{Engine, Error};
use crate::state::{Export, Import, Resource, Stack, StackEvent, StackName, TemplateText};
use headwater_store::{Select, Topic, Versioned, find, list, load};
use std::collections::BTreeMap;

impl Engine {
    /// A stack by its name, or also a deleted one by its ARN.
    ///
    /// # Errors
    /// [`Error::NoStack`], [`Error::Store`].
    pub async fn stack(&self, name_or_id: &str) -> Result<Stack, Error> {
        Ok(self.versioned(name_or_id).await?.value)
    }

    pub(super) async fn versioned(&self, name_or_id: &str) -> Result<Versioned<Stack>, Error> {
        let missing = || Error::NoStack(name_or_id.to_owned());
        let id = match name_or_id.starts_with("arn:") {
            true => name_or_id.to_owned(),
            false => find::<StackName>(self.store(), name_or_id).await?.ok_or_else(missing)?.stack_id,
        };
        load(self.store(), &id).await?.ok_or_else(missing)
    }

    /// All stacks, newest first; also those that were deleted not long ago.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn stacks(&self) -> Result<Vec<Stack>, Error> {
        let mut stacks: Vec<Stack> = list(self.store(), Select::default()).await?;
        stacks.sort_by_key(|stack| std::cmp::Reverse(stack.created_at));
        Ok(stacks)
    }

    /// A stack's history, newest first.
    ///
    /// # Errors
    /// [`Error::NoStack`], [`Error::Store`].
    pub async fn events(&self, name_or_id: &str) -> Result<Vec<StackEvent>, Error> {
        let stack = self.stack(name_or_id).await?;
        let mut events: Vec<StackEvent> = list(self.store(), of_stack(&stack.id)).await?;
        events.reverse();
        Ok(events)
    }

    /// A stack's resources, ascending by logical id.
    ///
    /// # Errors
    /// [`Error::NoStack`], [`Error::Store`].
    pub async fn resources(&self, name_or_id: &str) -> Result<Vec<Resource>, Error> {
        let stack = self.stack(name_or_id).await?;
        Ok(list(self.store(), of_stack(&stack.id)).await?)
    }

    /// One resource of a stack.
    ///
    /// # Errors
    /// [`Error::NoStack`], [`Error::NoResource`], [`Error::Store`].
    pub async fn resource(&self, name_or_id: &str, logical_id: &str) -> Result<(Stack, Resource), Error> {
        let stack = self.stack(name_or_id).await?;
        let resource = find::<Resource>(self.store(), &format!("{}/{logical_id}", stack.id)).await?;
        match resource {
            Some(resource) => Ok((stack, resource)),
            None => Err(Error::NoResource { stack: name_or_id.into(), logical_id: logical_id.into() }),
        }
    }

    /// The text of a stack's template.
    ///
    /// # Errors
    /// [`Error::NoStack`], [`Error::Store`].
    pub async fn template(&self, name_or_id: &str) -> Result<String, Error> {
        let stack = self.stack(name_or_id).await?;
        self.template_text(&stack).await
    }

    pub(super) async fn template_text(&self, stack: &Stack) -> Result<String, Error> {
        let text = find::<TemplateText>(self.store(), &stack.revision.template).await?;
        text.map(|text| text.text).ok_or_else(|| Error::NoPrevious("template".into()))
    }

    /// What stacks export, ascending by name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn exports(&self) -> Result<Vec<Export>, Error> {
        Ok(list(self.store(), Select::default()).await?)
    }

    /// ARNs of the stacks that import a value.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn importers(&self, export: &str) -> Result<Vec<String>, Error> {
        let select = Select { parent: Some(export.into()), ..Select::default() };
        let imports: Vec<Import> = list(self.store(), select).await?;
        Ok(imports.into_iter().map(|import| import.stack_id).collect())
    }

    /// Waits until no operation is under way on a stack. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::NoStack`], [`Error::Store`].
    pub async fn settled(&self, stack_id: &str) -> Result<Stack, Error> {
        let mut changes = self.store().watch(Topic::Kind("stack".into()));
        loop {
            changes.borrow_and_update();
            let stack = self.stack(stack_id).await?;
            if !stack.status.in_progress() {
                return Ok(stack);
            }
            if changes.changed().await.is_err() {
                return Ok(stack);
            }
        }
    }

    pub(super) async fn exports_by_name(&self) -> Result<BTreeMap<String, String>, Error> {
        let exports = self.exports().await?;
        Ok(exports.into_iter().map(|export| (export.name, export.value.expose().to_owned())).collect())
    }

    pub(super) async fn resources_by_name(&self, stack_id: &str) -> Result<BTreeMap<String, Resource>, Error> {
        let resources: Vec<Resource> = list(self.store(), of_stack(stack_id)).await?;
        Ok(resources.into_iter().map(|resource| (resource.logical_id.clone(), resource)).collect())
    }
}

pub(super) fn of_stack(stack_id: &str) -> Select {
    Select { parent: Some(stack_id.to_owned()), ..Select::default() }
}
