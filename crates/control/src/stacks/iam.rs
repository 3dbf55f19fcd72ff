//! `AWS::IAM::Role`, `AWS::IAM::Policy` and `AWS::IAM::ManagedPolicy`.

use super::claims::{self, Found};
use super::given::{Given, failed, made};
use crate::iam::{ManagedPolicy, managed, roles, users};
use crate::{Control, Error};
use async_trait::async_trait;
use headwater_model::Timestamp;
use headwater_model::iam::{ROLE_SESSION_S_DEFAULT, Role};
use headwater_stacks::schema::{Case, Kind, Property, Schema};
use headwater_stacks::{Current, Made, Provider, ProviderError, Request, Updated};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const ROLE: &str = "role";
const POLICY: &str = "managed policy";

/// A missing thing that should be gone is gone.
fn tolerant<T>(result: Result<T, Error>) -> Result<(), ProviderError> {
    match result {
        Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// `AWS::IAM::Role`.
pub struct RoleProvider {
    control: Control,
    schema: Schema,
}

impl RoleProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let policy = Kind::Object(vec![
            Property::new("PolicyName", Kind::Text).required(),
            Property::new("PolicyDocument", Kind::Json).required(),
        ]);
        let schema = Schema::new("AWS::IAM::Role")
            .named("RoleName", 64, Case::Kept)
            .needs_iam()
            .property(Property::new("RoleName", Kind::Text).replaces())
            .property(Property::new("Path", Kind::Text).replaces())
            .property(Property::new("AssumeRolePolicyDocument", Kind::Json).required())
            .property(Property::new("Policies", Kind::list(policy)))
            .property(Property::new("ManagedPolicyArns", Kind::list(Kind::Text)))
            .property(Property::new("Description", Kind::Text))
            .property(Property::new("MaxSessionDuration", Kind::Integer { min: 3600, max: 43_200 }))
            .property(Property::new("Tags", Kind::tags()))
            .attributes(&["Arn", "RoleId"]);
        RoleProvider { control: control.clone(), schema }
    }

    fn name(request: &Request) -> String {
        Given(&request.properties).text("RoleName").unwrap_or(&request.proposal).to_owned()
    }

    /// Brings policies, description and trust of a role to what the properties say. Policies that the former
    /// properties do not name are somebody else's and stay.
    async fn settle(
        &self,
        role: Role,
        given: Given<'_>,
        former: Option<Given<'_>>,
        tags: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let control = &self.control;
        let name = role.name.as_str();
        let mut wanted: BTreeMap<String, Value> = BTreeMap::new();
        for policy in given.list("Policies") {
            let policy = Given(policy);
            let document = policy.value("PolicyDocument").cloned().unwrap_or_default();
            wanted.insert(policy.required("PolicyName").to_owned(), document);
        }
        for (policy, document) in &wanted {
            if role.inline_policies.get(policy) != Some(document) {
                roles::put_role_policy(control, name, policy, document).await?;
            }
        }
        for policy in former.map(|former| former.list("Policies")).unwrap_or_default() {
            let policy = Given(policy).required("PolicyName");
            if !wanted.contains_key(policy) && role.inline_policies.contains_key(policy) {
                roles::delete_role_policy(control, name, policy).await?;
            }
        }
        let arns: BTreeSet<String> = given.texts("ManagedPolicyArns").into_iter().collect();
        for arn in arns.iter().filter(|arn| !role.managed_policy_arns.contains(arn)) {
            roles::attach_role_policy(control, name, arn).await?;
        }
        for arn in former.map(|former| former.texts("ManagedPolicyArns")).unwrap_or_default() {
            if !arns.contains(&arn) && role.managed_policy_arns.contains(&arn) {
                roles::detach_role_policy(control, name, &arn).await?;
            }
        }
        let description = given.text("Description").unwrap_or_default();
        let max_session_s = given.number("MaxSessionDuration").unwrap_or(ROLE_SESSION_S_DEFAULT);
        if role.description != description || role.max_session_s != max_session_s {
            roles::update_role(control, name, Some(description), Some(max_session_s)).await?;
        }
        let trust = given.value("AssumeRolePolicyDocument").cloned().unwrap_or_default();
        if role.assume_role_policy != trust {
            roles::update_assume_role_policy(control, name, &trust).await?;
        }
        if role.tags != tags {
            let gone: Vec<String> = role.tags.keys().filter(|key| !tags.contains_key(*key)).cloned().collect();
            roles::change_role_tags(control, name, &tags, &gone).await?;
        }
        Ok(())
    }
}

fn made_role(role: &Role) -> Made {
    made(role.name.clone(), &[("Arn", role.arn.clone()), ("RoleId", role.role_id.clone())])
}

#[async_trait]
impl Provider for RoleProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let control = &self.control;
        let given = Given(&request.properties);
        let name = RoleProvider::name(&request);
        let standing = headwater_store::find::<Role>(control.store(), &name).await.map_err(failed)?;
        let found = claims::claim(control, ROLE, &name, &request.token, standing.is_some()).await.map_err(failed)?;
        let tags = given.tags(&request.stack.tags);
        let role = match (found, standing) {
            (Found::Own, Some(role)) => role,
            _ => {
                let new = roles::NewRole {
                    name: name.clone(),
                    path: given.owned("Path"),
                    assume_role_policy: given.value("AssumeRolePolicyDocument").cloned().unwrap_or_default(),
                    description: given.text("Description").unwrap_or_default().to_owned(),
                    max_session_s: given.number("MaxSessionDuration"),
                    tags: tags.clone(),
                };
                roles::create_role(control, new, Timestamp::now()).await.map_err(failed)?
            }
        };
        let made = made_role(&role);
        let settled = self.settle(role, given, None, tags).await;
        settled.map_err(|error| ProviderError::leaving(failed(error).message, name))?;
        Ok(made)
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let given = Given(&request.properties);
        let name = current.physical_id.clone().unwrap_or_default();
        let role = roles::role(&self.control, &name).await.map_err(failed)?;
        let made = made_role(&role);
        let former = Some(Given(&current.properties));
        self.settle(role, given, former, given.tags(&request.stack.tags)).await.map_err(failed)?;
        Ok(Updated::InPlace(made))
    }

    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let control = &self.control;
        let proposed = RoleProvider::name(&request);
        let Some(name) = claims::to_delete(control, ROLE, &proposed, &current).await.map_err(failed)? else {
            return Ok(());
        };
        if let Some(role) = headwater_store::find::<Role>(control.store(), &name).await.map_err(failed)? {
            for policy in role.inline_policies.keys() {
                tolerant(roles::delete_role_policy(control, &name, policy).await)?;
            }
            for arn in &role.managed_policy_arns {
                tolerant(roles::detach_role_policy(control, &name, arn).await)?;
            }
            tolerant(roles::delete_role(control, &name).await)?;
        }
        claims::release(control, ROLE, &name).await.map_err(failed)
    }
}

/// `AWS::IAM::Policy`: one inline policy on roles and users.
pub struct PolicyProvider {
    control: Control,
    schema: Schema,
}

impl PolicyProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let schema = Schema::new("AWS::IAM::Policy")
            .needs_iam()
            .property(Property::new("PolicyName", Kind::Text).required().replaces())
            .property(Property::new("PolicyDocument", Kind::Json).required())
            .property(Property::new("Roles", Kind::list(Kind::Text)))
            .property(Property::new("Users", Kind::list(Kind::Text)));
        PolicyProvider { control: control.clone(), schema }
    }

    async fn put(&self, given: Given<'_>) -> Result<(), Error> {
        let name = given.required("PolicyName");
        let document = given.value("PolicyDocument").cloned().unwrap_or_default();
        let (to_roles, to_users) = (given.texts("Roles"), given.texts("Users"));
        if to_roles.is_empty() && to_users.is_empty() {
            return Err(Error::invalid("at least one of Roles and Users must be given"));
        }
        for role in to_roles {
            roles::put_role_policy(&self.control, &role, name, &document).await?;
        }
        for user in to_users {
            users::put_user_policy(&self.control, &user, name, &document).await?;
        }
        Ok(())
    }

    async fn remove(
        &self,
        given: Given<'_>,
        kept_roles: &[String],
        kept_users: &[String],
    ) -> Result<(), ProviderError> {
        let name = given.required("PolicyName");
        for role in given.texts("Roles").iter().filter(|role| !kept_roles.contains(role)) {
            tolerant(roles::delete_role_policy(&self.control, role, name).await)?;
        }
        for user in given.texts("Users").iter().filter(|user| !kept_users.contains(user)) {
            tolerant(users::delete_user_policy(&self.control, user, name).await)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for PolicyProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let put = self.put(Given(&request.properties)).await;
        put.map_err(|error| ProviderError::leaving(failed(error).message, request.proposal.clone()))?;
        Ok(made(request.proposal, &[]))
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let given = Given(&request.properties);
        self.put(given).await.map_err(failed)?;
        self.remove(Given(&current.properties), &given.texts("Roles"), &given.texts("Users")).await?;
        Ok(Updated::InPlace(made(current.physical_id.unwrap_or(request.proposal), &[])))
    }

    async fn delete(&self, request: Request, _: Current) -> Result<(), ProviderError> {
        self.remove(Given(&request.properties), &[], &[]).await
    }
}

/// `AWS::IAM::ManagedPolicy`.
pub struct ManagedPolicyProvider {
    control: Control,
    schema: Schema,
}

impl ManagedPolicyProvider {
    /// Works through a control.
    pub fn new(control: &Control) -> Self {
        let schema = Schema::new("AWS::IAM::ManagedPolicy")
            .named("ManagedPolicyName", 128, Case::Kept)
            .needs_iam()
            .property(Property::new("ManagedPolicyName", Kind::Text).replaces())
            .property(Property::new("Description", Kind::Text).replaces())
            .property(Property::new("Path", Kind::Text).replaces())
            .property(Property::new("PolicyDocument", Kind::Json).required())
            .property(Property::new("Roles", Kind::list(Kind::Text)))
            .property(Property::new("Users", Kind::list(Kind::Text)))
            .attributes(&["PolicyArn"]);
        ManagedPolicyProvider { control: control.clone(), schema }
    }

    fn arn(&self, request: &Request) -> String {
        let given = Given(&request.properties);
        let name = given.text("ManagedPolicyName").unwrap_or(&request.proposal);
        let path = given.text("Path").unwrap_or("/");
        format!("arn:aws:iam::{}:policy{path}{name}", self.control.realm().account)
    }

    async fn attach(&self, arn: &str, given: Given<'_>) -> Result<(), Error> {
        for role in given.texts("Roles") {
            roles::attach_role_policy(&self.control, &role, arn).await?;
        }
        for user in given.texts("Users") {
            users::attach_user_policy(&self.control, &user, arn).await?;
        }
        Ok(())
    }

    async fn detach(&self, arn: &str, given: Given<'_>, kept: Option<Given<'_>>) -> Result<(), ProviderError> {
        let kept_names = |list: &str| kept.map(|kept| kept.texts(list)).unwrap_or_default();
        let (kept_roles, kept_users) = (kept_names("Roles"), kept_names("Users"));
        for role in given.texts("Roles").iter().filter(|role| !kept_roles.contains(role)) {
            tolerant(roles::detach_role_policy(&self.control, role, arn).await)?;
        }
        for user in given.texts("Users").iter().filter(|user| !kept_users.contains(user)) {
            tolerant(users::detach_user_policy(&self.control, user, arn).await)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for ManagedPolicyProvider {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn create(&self, request: Request) -> Result<Made, ProviderError> {
        let control = &self.control;
        let given = Given(&request.properties);
        let arn = self.arn(&request);
        let standing = headwater_store::find::<ManagedPolicy>(control.store(), &arn).await.map_err(failed)?;
        let found = claims::claim(control, POLICY, &arn, &request.token, standing.is_some()).await.map_err(failed)?;
        if found == Found::Nothing {
            let name = given.text("ManagedPolicyName").unwrap_or(&request.proposal);
            let document = given.value("PolicyDocument").cloned().unwrap_or_default();
            let description = given.text("Description").unwrap_or_default();
            managed::create_policy(control, name, given.text("Path"), description, &document, Timestamp::now())
                .await
                .map_err(failed)?;
        }
        let attached = self.attach(&arn, given).await;
        attached.map_err(|error| ProviderError::leaving(failed(error).message, arn.clone()))?;
        Ok(made(arn.clone(), &[("PolicyArn", arn)]))
    }

    async fn update(&self, request: Request, current: Current) -> Result<Updated, ProviderError> {
        let given = Given(&request.properties);
        let arn = current.physical_id.unwrap_or_default();
        let document = given.value("PolicyDocument").cloned().unwrap_or_default();
        managed::update_document(&self.control, &arn, &document).await.map_err(failed)?;
        self.attach(&arn, given).await.map_err(failed)?;
        self.detach(&arn, Given(&current.properties), Some(given)).await?;
        Ok(Updated::InPlace(made(arn.clone(), &[("PolicyArn", arn)])))
    }

    async fn delete(&self, request: Request, current: Current) -> Result<(), ProviderError> {
        let control = &self.control;
        let proposed = self.arn(&request);
        let Some(arn) = claims::to_delete(control, POLICY, &proposed, &current).await.map_err(failed)? else {
            return Ok(());
        };
        self.detach(&arn, Given(&request.properties), None).await?;
        tolerant(managed::delete_policy(control, &arn).await)?;
        claims::release(control, POLICY, &arn).await.map_err(failed)
    }
}
