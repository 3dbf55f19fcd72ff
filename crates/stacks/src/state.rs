//! What is stored of stacks: stack, resource, event, change set, export.

use headwater_model::{Secret, Timestamp};
use headwater_store::Document;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

macro_rules! statuses {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant),*
        }
        impl $name {
            /// As the API writes it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

statuses! {
    /// Where a stack is. While an operation is under way this is also its durable phase. Source: model
    /// `cloudformation` 2010-05-15, StackStatus.
    StackStatus {
        /// Made by a change set that has not been executed.
        ReviewInProgress = "REVIEW_IN_PROGRESS",
        /// Resources are being made.
        CreateInProgress = "CREATE_IN_PROGRESS",
        /// A create failed and was left as it was.
        CreateFailed = "CREATE_FAILED",
        /// All resources were made.
        CreateComplete = "CREATE_COMPLETE",
        /// A create failed; what it made is being deleted.
        RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        /// A create failed and so did deleting what it made.
        RollbackFailed = "ROLLBACK_FAILED",
        /// A create failed and left nothing.
        RollbackComplete = "ROLLBACK_COMPLETE",
        /// Resources are being changed.
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        /// An update succeeded; what it replaced or removed is being deleted.
        UpdateCompleteCleanupInProgress = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        /// An update succeeded.
        UpdateComplete = "UPDATE_COMPLETE",
        /// An update failed and was left as it was.
        UpdateFailed = "UPDATE_FAILED",
        /// An update failed; resources are being put back.
        UpdateRollbackInProgress = "UPDATE_ROLLBACK_IN_PROGRESS",
        /// An update failed and so did putting resources back.
        UpdateRollbackFailed = "UPDATE_ROLLBACK_FAILED",
        /// An update was taken back; what it made is being deleted.
        UpdateRollbackCompleteCleanupInProgress = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        /// An update was taken back.
        UpdateRollbackComplete = "UPDATE_ROLLBACK_COMPLETE",
        /// Resources are being deleted.
        DeleteInProgress = "DELETE_IN_PROGRESS",
        /// Some resources could not be deleted.
        DeleteFailed = "DELETE_FAILED",
        /// The stack is gone; its record stays for a while.
        DeleteComplete = "DELETE_COMPLETE",
    }
}

impl StackStatus {
    /// Whether an operation is under way.
    pub fn in_progress(self) -> bool {
        self != StackStatus::ReviewInProgress && self.as_str().ends_with("_IN_PROGRESS")
    }

    /// Whether the stack may be updated from here.
    pub fn may_update(self) -> bool {
        matches!(
            self,
            StackStatus::CreateComplete
                | StackStatus::UpdateComplete
                | StackStatus::UpdateRollbackComplete
                | StackStatus::CreateFailed
                | StackStatus::UpdateFailed
        )
    }
}

statuses! {
    /// Where a resource is. Source: model `cloudformation` 2010-05-15, ResourceStatus.
    ResourceStatus {
        /// Being made.
        CreateInProgress = "CREATE_IN_PROGRESS",
        /// Not made.
        CreateFailed = "CREATE_FAILED",
        /// Made.
        CreateComplete = "CREATE_COMPLETE",
        /// Being changed.
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        /// Not changed.
        UpdateFailed = "UPDATE_FAILED",
        /// Changed.
        UpdateComplete = "UPDATE_COMPLETE",
        /// Being deleted.
        DeleteInProgress = "DELETE_IN_PROGRESS",
        /// Not deleted.
        DeleteFailed = "DELETE_FAILED",
        /// Gone.
        DeleteComplete = "DELETE_COMPLETE",
        /// Left alone because its policy says so.
        DeleteSkipped = "DELETE_SKIPPED",
    }
}

/// A value that may hold secrets: it does not print.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Concealed<T>(pub T);

impl<T> fmt::Debug for Concealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[concealed]")
    }
}

/// What happens when a create fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OnFailure {
    /// What was made is deleted; the stack's record stays.
    #[default]
    Rollback,
    /// All is left as it is, to be looked at.
    DoNothing,
    /// What was made is deleted, and the stack with it.
    Delete,
}

/// A parameter's value in a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Argument {
    /// As given or by default.
    pub value: Secret,
    /// Whether it is masked wherever it is shown.
    pub no_echo: bool,
}

impl Argument {
    /// What a masked value is shown as.
    pub const MASK: &'static str = "****";

    /// The value, or a mask if it must not be shown.
    pub fn shown(&self) -> &str {
        if self.no_echo { Argument::MASK } else { self.value.expose() }
    }
}

/// An output of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Its name in the template.
    pub key: String,
    /// Its value; stream keys come this way, so it does not print.
    pub value: Secret,
    /// As the template has it.
    pub description: Option<String>,
    /// Name that other stacks import it by.
    pub export: Option<String>,
}

/// What is being done to a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationKind {
    /// It is being made.
    Create,
    /// It is being changed.
    Update,
    /// It is being deleted.
    Delete,
}

/// The operation that is under way on a stack, or the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Unique; the tokens of provider calls are made from it.
    pub id: String,
    /// What is being done.
    pub kind: OperationKind,
    /// The caller's `ClientRequestToken`.
    pub client_token: Option<String>,
    /// When a create that is not done fails.
    pub deadline: Option<Timestamp>,
    /// Logical ids that a delete leaves alone.
    #[serde(default)]
    pub retain: Vec<String>,
    /// What happens if it fails.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// What a stack is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Id of the stored [`TemplateText`].
    pub template: String,
    /// Values of the parameters, by name.
    pub arguments: BTreeMap<String, Argument>,
    /// Tags of the stack.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// As the template has it.
    #[serde(default)]
    pub description: Option<String>,
    /// Capabilities that the caller acknowledged.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Names of exports that it imports.
    #[serde(default)]
    pub imports: Vec<String>,
}

/// A stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// Its ARN.
    pub id: String,
    /// `[a-zA-Z][-a-zA-Z0-9]*`, unique among the stacks that are not deleted.
    pub name: String,
    /// Where it is.
    pub status: StackStatus,
    /// Why.
    pub status_reason: Option<String>,
    /// What it is made from, or on its way to.
    pub revision: Revision,
    /// During an update: what it was made from before.
    pub former: Option<Revision>,
    /// The operation under way, or the last one.
    pub operation: Option<Operation>,
    /// What came out.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// As given at create.
    #[serde(default)]
    pub notification_arns: Vec<String>,
    /// As given; shown, not used: operations act with the owner's rights.
    pub role_arn: Option<String>,
    /// As given at create.
    pub timeout_min: Option<u32>,
    /// Whether a delete is refused.
    #[serde(default)]
    pub termination_protection: bool,
    /// The change set that was last executed, or that made the stack.
    pub change_set_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When an update was last asked for.
    pub updated_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Events so far; numbers the next one.
    #[serde(default)]
    pub event_count: u64,
}

/// Makes a stack's name unique among those that are not deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StackName {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub stack_id: String,
}

/// A template's text, stored apart because it is large and does not change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateText {
    /// Unique.
    pub id: String,
    /// The stack.
    pub stack_id: String,
    /// As it was given.
    pub text: String,
}

/// What happens to a resource when it is no longer wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionPolicy {
    /// It is deleted.
    #[default]
    Delete,
    /// It is left alone.
    Retain,
    /// It is left alone, unless the operation that made it is rolled back.
    RetainExceptOnCreate,
}

/// One thing that was made for a logical id. A replacement is another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Type as the template wrote it.
    pub resource_type: String,
    /// The provider's id; none if the create was broken off.
    pub physical_id: Option<String>,
    /// What `Fn::GetAtt` gives.
    pub attributes: Concealed<Map<String, Value>>,
    /// Resolved properties that it was last made or changed with.
    pub properties: Concealed<Value>,
    /// Name that was proposed at its create.
    pub proposal: String,
    /// Token of its create.
    pub token: String,
    /// Logical ids that must outlive it.
    pub depends_on: Vec<String>,
    /// What happens to it with its stack or when it leaves the template.
    pub deletion_policy: DeletionPolicy,
    /// What happens to it when it is replaced.
    pub replace_policy: DeletionPolicy,
}

impl Generation {
    /// Whether both stand for the same thing. The token alone does not tell: an update may move to another physical id.
    pub(crate) fn is_same_thing(&self, other: &Generation) -> bool {
        self.token == other.token && self.physical_id == other.physical_id
    }
}

/// What the operation under way did to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Touch {
    /// It is new.
    Added,
    /// It was changed where it stands.
    Updated,
    /// Another generation took its place.
    Replaced,
}

/// A provider call that has been decided on and whose end is not yet known. Written before the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Intent {
    /// A generation is being made.
    Create(Generation),
    /// The live generation is being changed to this.
    Update(Generation),
    /// The live generation is being put back to what it was.
    Restore(Generation),
}

/// A resource of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// The stack.
    pub stack_id: String,
    /// Its name in the template.
    pub logical_id: String,
    /// Its type as the template writes it.
    pub resource_type: String,
    /// Where it is.
    pub status: ResourceStatus,
    /// Why.
    pub status_reason: Option<String>,
    /// The id that was last known.
    pub physical_id: Option<String>,
    /// When the status last changed.
    pub updated_at: Timestamp,
    /// What stands for it now.
    pub live: Option<Generation>,
    /// During an update: what stood before.
    pub former: Option<Generation>,
    /// What is to be deleted in the clean-up.
    #[serde(default)]
    pub retired: Vec<Generation>,
    /// The call that is under way.
    pub intent: Option<Intent>,
    /// What the operation `operation` did.
    pub touch: Option<Touch>,
    /// The operation that last touched it.
    pub operation: String,
}

/// One line of a stack's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StackEvent {
    /// The stack.
    pub stack_id: String,
    /// Its name.
    pub stack_name: String,
    /// Number in the stack, from 0.
    pub number: u64,
    /// Unique in the stack, as the API shows it.
    pub event_id: String,
    /// When.
    pub at: Timestamp,
    /// The stack's name, or a resource's.
    pub logical_id: String,
    /// The stack's ARN, or the resource's id if it is known.
    pub physical_id: Option<String>,
    /// `AWS::CloudFormation::Stack`, or the resource's type.
    pub resource_type: String,
    /// A stack status or a resource status.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// Resolved properties as JSON text, secrets masked.
    pub properties: Option<String>,
    /// The caller's `ClientRequestToken`.
    pub client_token: Option<String>,
}

/// Type that events and change sets name for the stack itself.
pub const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// A value that other stacks may import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// Unique in the account and Region.
    pub name: String,
    /// The exported output.
    pub value: Secret,
    /// Whose it is.
    pub stack_id: String,
}

/// A stack that imports a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Import {
    /// The export's name.
    pub export: String,
    /// Who imports it.
    pub stack_id: String,
}

impl Document for Stack {
    const KIND: &'static str = "stack";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn parent(&self) -> String {
        self.name.clone()
    }
}

impl Document for StackName {
    const KIND: &'static str = "stack-name";
    fn id(&self) -> String {
        self.name.clone()
    }
}

impl Document for TemplateText {
    const KIND: &'static str = "stack-template";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn parent(&self) -> String {
        self.stack_id.clone()
    }
}

impl Document for Resource {
    const KIND: &'static str = "stack-resource";
    fn id(&self) -> String {
        format!("{}/{}", self.stack_id, self.logical_id)
    }
    fn parent(&self) -> String {
        self.stack_id.clone()
    }
}

impl Document for StackEvent {
    const KIND: &'static str = "stack-event";
    /// Zero-padded, so that ascending ids are the order of events.
    fn id(&self) -> String {
        format!("{}/{:010}", self.stack_id, self.number)
    }
    fn parent(&self) -> String {
        self.stack_id.clone()
    }
}

impl Document for Export {
    const KIND: &'static str = "stack-export";
    fn id(&self) -> String {
        self.name.clone()
    }
    fn parent(&self) -> String {
        self.stack_id.clone()
    }
}

impl Document for Import {
    const KIND: &'static str = "stack-import";
    fn id(&self) -> String {
        format!("{}/{}", self.export, self.stack_id)
    }
    fn parent(&self) -> String {
        self.export.clone()
    }
}
