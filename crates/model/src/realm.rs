//! Partition, Region and account: where every ARN comes from.

use serde::{Deserialize, Serialize};

/// The Region and account that this server answers for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realm {
    /// Region name, such as `us-east-1`.
    pub region: String,
    /// Twelve-digit account id.
    pub account: String,
}

impl Default for Realm {
    fn default() -> Self {
        Realm { region: "us-east-1".into(), account: "000000000000".into() }
    }
}

impl Realm {
    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }

    /// ARN of an IVS resource: `kind` is `channel`, `stream-key`, ….
    pub fn ivs_arn(&self, kind: &str, id: &str) -> String {
        self.arn("ivs", &format!("{kind}/{id}"))
    }

    /// ARN of a role. IAM is global: its ARNs carry no Region.
    pub fn role_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.account)
    }

    /// ARN of a function.
    pub fn function_arn(&self, name: &str) -> String {
        self.arn("lambda", &format!("function:{name}"))
    }

    /// ARN of a rule on the default event bus.
    pub fn rule_arn(&self, name: &str) -> String {
        self.arn("events", &format!("rule/{name}"))
    }

    /// ARN of a stack: its name and its unique id.
    pub fn stack_arn(&self, name: &str, unique: &str) -> String {
        self.arn("cloudformation", &format!("stack/{name}/{unique}"))
    }

    /// ARN of a log group.
    pub fn log_group_arn(&self, name: &str) -> String {
        self.arn("logs", &format!("log-group:{name}"))
    }

    /// ARN of a bucket. Bucket ARNs carry neither Region nor account.
    pub fn bucket_arn(name: &str) -> String {
        format!("arn:aws:s3:::{name}")
    }

    /// ARN of a native resource of Headwater, such as a poll that a template asked for.
    pub fn native_arn(&self, resource: &str) -> String {
        format!("arn:aws:headwater:{}:{}:{resource}", self.region, self.account)
    }
}
