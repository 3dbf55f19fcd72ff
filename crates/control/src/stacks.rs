//! Providers of the resource types: each calls the operations that the API calls.
//!
//! | module | types |
//! |---|---|
//! | [`ivs`] | `AWS::IVS::Channel`, `AWS::IVS::StreamKey` |
//! | [`iam`] | `AWS::IAM::Role`, `AWS::IAM::Policy`, `AWS::IAM::ManagedPolicy` |
//! | [`lambda`] | `AWS::Lambda::Function`, `AWS::Lambda::Permission` |
//! | [`events`] | `AWS::Events::Rule` |
//! | [`s3`] | `AWS::S3::Bucket`, `AWS::S3::BucketPolicy` |
//! | [`logs`] | `AWS::Logs::LogGroup` |
//! | [`ssm`] | `AWS::SSM::Parameter` |
//! | [`cdk`] | `AWS::CDK::Metadata` |
//! | [`custom`] | `AWS::CloudFormation::CustomResource`, `Custom::…` |
//! | [`live`] | `Headwater::Live::Site`, `Headwater::Live::Poll` |
//!
//! What is asked of stacks themselves stands on [`headwater_stacks::Engine`], see [`Control::engine`].
//!
//! *Repetition.* A provider call may be broken off anywhere and is repeated with the same token. Things with ids of
//! their own get an id that follows from the token ([`given::id_of`]); things with names are preceded by a
//! [`claims::Claim`] on the name, so that a repeated create knows its own work from somebody else's.

pub mod cdk;
pub mod claims;
pub mod custom;
pub mod events;
pub mod given;
pub mod iam;
pub mod ivs;
pub mod lambda;
pub mod live;
pub mod logs;
pub mod s3;
pub mod ssm;
#[cfg(test)]
mod tests;

pub use headwater_stacks::{
    CreateStack, DeleteStack, Error, Given, TemplateSource, UpdateStack, engine, plan, state, template,
};

use crate::Control;
use headwater_model::ivs::{AdConfiguration, PlaybackKeyPair, PlaybackRestrictionPolicy, RecordingConfiguration};
use headwater_stacks::Registry;
use ivs::configurations::ConfigurationProvider;

/// All resource types. Register them with [`headwater_stacks::Engine::register`] before the engine runs.
pub fn registry(control: &Control) -> Registry {
    Registry::new()
        .with(ivs::ChannelProvider::new(control))
        .with(ivs::StreamKeyProvider::new(control))
        .with(ConfigurationProvider::<PlaybackKeyPair>::new(control))
        .with(ConfigurationProvider::<PlaybackRestrictionPolicy>::new(control))
        .with(ConfigurationProvider::<RecordingConfiguration>::new(control))
        .with(ConfigurationProvider::<AdConfiguration>::new(control))
        .with(iam::RoleProvider::new(control))
        .with(iam::PolicyProvider::new(control))
        .with(iam::ManagedPolicyProvider::new(control))
        .with(lambda::FunctionProvider::new(control))
        .with(lambda::PermissionProvider::new(control))
        .with(events::RuleProvider::new(control))
        .with(s3::BucketProvider::new(control))
        .with(s3::BucketPolicyProvider::new(control))
        .with(logs::LogGroupProvider::new(control))
        .with(ssm::ParameterProvider::new(control))
        .with(cdk::MetadataProvider::default())
        .with(custom::CustomProvider::new(control, "AWS::CloudFormation::CustomResource"))
        .with_prefix("Custom::", custom::CustomProvider::new(control, "Custom::*"))
        .with(live::SiteProvider::new(control))
        .with(live::PollProvider::new(control))
}
