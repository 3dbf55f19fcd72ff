//! The domain of Headwater: resources, ids, ARNs, quotas, secrets, policies.
//!
//! Pure rules only: no I/O, no clock, no SQL, no HTTP. Whoever needs the time or randomness passes it in
//! ([`Timestamp`]) or calls a constructor that says so ([`id::random_alphanumeric`]).
//!
//! | module | what stands there |
//! |---|---|
//! | [`realm`] | partition, Region and account: where every ARN comes from |
//! | [`id`] | random identifiers in the shapes that IVS uses |
//! | [`secret`] | values that never print and compare in constant time |
//! | [`timestamp`] | wall-clock time in milliseconds |
//! | [`ivs`] | channel, stream key, stream session |
//! | [`event`] | the event envelope, rules and targets |
//! | [`iam`] | roles, credentials, principals |
//! | [`policy`] | policy documents and their evaluation |
//! | [`function`] | functions and their permissions |
//! | [`bucket`] | buckets, objects, website configuration |
//! | [`playback`] | claims of playback tokens, origins |
//! | [`ssm`] | parameters of Parameter Store |
//! | [`poll`] | questions, polls, answers |

pub mod bucket;
pub mod event;
pub mod function;
pub mod iam;
pub mod id;
pub mod ivs;
pub mod measure;
pub mod playback;
pub mod policy;
pub mod poll;
pub mod realm;
pub mod secret;
pub mod ssm;
pub mod timestamp;

pub use realm::Realm;
pub use secret::Secret;
pub use timestamp::Timestamp;
