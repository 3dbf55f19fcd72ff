//! What `cdk bootstrap` makes in an account, made here when the CDK first asks for it: a bucket for assets, the roles that
//! its steps take, and the parameter that tells the version of all this. Source: AWS CDK v2 Developer Guide,
//! "Bootstrapping", "Customize AWS CDK bootstrapping"; the default qualifier `hnb659fds`.
//!
//! Left out: the repository of container images, the key of the bucket.

use crate::iam::roles::{self, NewRole};
use crate::ssm::{self, Put};
use crate::{Control, Error};
use headwater_model::Timestamp;
use headwater_sites::Error as SitesError;
use headwater_sites::buckets::CreateBucket;
use serde_json::json;

/// The parameter that templates of the default synthesizer name.
pub const VERSION_PARAMETER: &str = "/cdk-bootstrap/hnb659fds/version";
/// A version of CDK's bootstrap resources: templates of the default synthesizer want 6 or more, lookups 8.
const VERSION: &str = "30";
/// Before the purpose in a role's name.
const ROLE_PREFIX: &str = "cdk-hnb659fds-";
/// What the CDK's roles are for, as their names say.
const ROLES: [&str; 5] =
    ["deploy-role", "file-publishing-role", "image-publishing-role", "lookup-role", "cfn-exec-role"];
/// What each may do: what the one may who takes it. They are taken by the account's own principals, with leave.
const ROLE_POLICY: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// Whether a role of this name is one of the CDK's.
pub(crate) fn is_role(control: &Control, name: &str) -> bool {
    ROLES.iter().any(|purpose| name == role_name(control, purpose))
}

fn role_name(control: &Control, purpose: &str) -> String {
    let realm = control.realm();
    format!("{ROLE_PREFIX}{purpose}-{}-{}", realm.account, realm.region)
}

/// Makes what is missing. The parameter comes last: where it stands, the rest does.
///
/// # Errors
/// [`Error::QuotaExceeded`]; [`Error::Store`]; [`Error::Failed`].
pub async fn bootstrap(control: &Control, now: Timestamp) -> Result<(), Error> {
    let realm = control.realm();
    let name = format!("cdk-hnb659fds-assets-{}-{}", realm.account, realm.region);
    let create = CreateBucket { name, ..CreateBucket::default() };
    match control.sites().create_bucket(create).await {
        Ok(_) | Err(SitesError::BucketExists(_)) => {}
        Err(error) => return Err(Error::Failed { part: "buckets", source: Box::new(error) }),
    }
    for purpose in ROLES {
        let name = role_name(control, purpose);
        let new = NewRole {
            name: name.clone(),
            assume_role_policy: json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": realm.account}, "Action": ["sts:AssumeRole", "sts:TagSession"]},
                {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"},
            ]}),
            description: "Made when the CDK first asked for it".into(),
            ..NewRole::default()
        };
        match roles::create_role(control, new, now).await {
            // One that stands without the parameter may be the work of a crash, and without its policy.
            Ok(_) | Err(Error::Exists { .. }) => roles::attach_role_policy(control, &name, ROLE_POLICY).await?,
            Err(error) => return Err(error),
        };
    }
    let put = Put {
        name: VERSION_PARAMETER.into(),
        value: VERSION.into(),
        description: Some("Version of the CDK's bootstrap resources".into()),
        ..Put::default()
    };
    match ssm::put(control, put, now).await {
        Ok(_) => tracing::info!("made what the CDK's bootstrap makes"),
        Err(Error::Exists { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
