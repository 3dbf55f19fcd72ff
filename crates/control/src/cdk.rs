//! What `cdk bootstrap` makes in an account, made here when the CDK first asks for it: the stack `CDKToolkit` with a bucket
//! for assets, the roles that the CDK's steps take, and the parameter that tells the version of all this. Source: AWS CDK v2
//! Developer Guide, "Bootstrapping", "Customize AWS CDK bootstrapping"; the default qualifier `hnb659fds`.
//!
//! Left out: the repository of container images, the key of the bucket.

use crate::{Control, Error};
use headwater_stacks::{CreateStack, Engine, Error as StackError};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The parameter that templates of the default synthesizer name.
pub const VERSION_PARAMETER: &str = "/cdk-bootstrap/hnb659fds/version";
/// The stack that `cdk bootstrap` looks at.
pub const STACK: &str = "CDKToolkit";
/// Newer than any version of the CDK's own (33 in November 2026), so that `cdk bootstrap` finds nothing to do: what it would
/// make has types that are not here.
const VERSION: &str = "1000";
/// Before the purpose in a role's name.
const ROLE_PREFIX: &str = "cdk-hnb659fds-";
/// What the CDK's roles are for, as their names say, and their logical ids in the CDK's own template.
const ROLES: [(&str, &str); 5] = [
    ("deploy-role", "DeploymentActionRole"),
    ("file-publishing-role", "FilePublishingRole"),
    ("image-publishing-role", "ImagePublishingRole"),
    ("lookup-role", "LookupRole"),
    ("cfn-exec-role", "CloudFormationExecutionRole"),
];
/// What each may do. They are taken by the account's own principals, who need leave to.
const ROLE_POLICY: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
/// How long the stack may take: seven small resources, some tens of milliseconds each.
const PATIENCE: Duration = Duration::from_secs(30);

/// The stack did not come to stand.
#[derive(Debug, thiserror::Error)]
enum Unfinished {
    #[error("the stack {STACK} was refused")]
    Refused(#[source] StackError),
    #[error("the stack {STACK} is not made after {} s", PATIENCE.as_secs())]
    Late,
}

/// Whether a role of this name is one of the CDK's.
pub(crate) fn is_role(control: &Control, name: &str) -> bool {
    ROLES.iter().any(|(purpose, _)| name == role_name(control, purpose))
}

fn role_name(control: &Control, purpose: &str) -> String {
    let realm = control.realm();
    format!("{ROLE_PREFIX}{purpose}-{}-{}", realm.account, realm.region)
}

/// Makes the stack, if there is none, and waits until it stands. The parameter comes last: where it is, the rest is.
///
/// # Errors
/// [`Error::Failed`] if it does not come to stand; its events say why.
pub async fn bootstrap(control: &Control) -> Result<(), Error> {
    let failed = |source: Unfinished| Error::Failed { part: "the CDK's bootstrap", source: Box::new(source) };
    let create = CreateStack {
        capabilities: vec!["CAPABILITY_NAMED_IAM".into()],
        ..CreateStack::new(STACK, template(control).to_string())
    };
    match control.engine().create(create).await {
        Ok(id) => tracing::info!(stack = id, "the CDK asks for what its bootstrap makes"),
        Err(StackError::Exists(_)) => {}
        Err(error) => return Err(failed(Unfinished::Refused(error))),
    }
    match tokio::time::timeout(PATIENCE, settled(control.engine())).await {
        Ok(settled) => settled.map_err(|error| failed(Unfinished::Refused(error))),
        Err(_) => Err(failed(Unfinished::Late)),
    }
}

async fn settled(engine: &Engine) -> Result<(), StackError> {
    let id = engine.stack(STACK).await?.id;
    engine.settled(&id).await.map(drop)
}

fn template(control: &Control) -> Value {
    let realm = control.realm();
    let bucket = format!("cdk-hnb659fds-assets-{}-{}", realm.account, realm.region);
    let mut resources = Map::new();
    resources.insert("StagingBucket".into(), json!({"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}}));
    for (purpose, logical_id) in ROLES {
        let properties = json!({
            "RoleName": role_name(control, purpose),
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": realm.account}, "Action": ["sts:AssumeRole", "sts:TagSession"]},
                {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"},
            ]},
            "ManagedPolicyArns": [ROLE_POLICY],
        });
        resources.insert(logical_id.into(), json!({"Type": "AWS::IAM::Role", "Properties": properties}));
    }
    let before: Vec<String> = resources.keys().cloned().collect();
    let parameter = json!({"Type": "String", "Name": VERSION_PARAMETER, "Value": VERSION});
    resources.insert(
        "CdkBootstrapVersion".into(),
        json!({"Type": "AWS::SSM::Parameter", "DependsOn": before, "Properties": parameter}),
    );
    json!({
        "Description": "What the CDK expects to find, made when it first asked for it",
        "Resources": resources,
        "Outputs": {
            "BucketName": {"Value": {"Ref": "StagingBucket"}},
            "BucketDomainName": {"Value": {"Fn::GetAtt": ["StagingBucket", "RegionalDomainName"]}},
            "BootstrapVersion": {"Value": VERSION},
        },
    })
}
