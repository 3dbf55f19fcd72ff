//! The AWS face: route, verify, decode, call control, encode.
//!
//! A request's way: [`router`] → `http` (caps, CORS, request id) → [`sigv4`] (who is it) → `services` (which service
//! and operation) → `decode` by protocol → policy check → the service's module → `encode` by protocol.
//!
//! A service is one module with `pub async fn call(&Gateway, Call) -> Result<Reply, ServiceError>` and one entry in
//! `services`. It knows its operations' names and shapes and nothing of signatures, policies or wire formats: a
//! [`Call`] carries its input as one JSON value whatever the protocol, a [`Reply`] carries a JSON value back.
//!
//! Objects (S3) go another way: their bodies are streams and `s3s` verifies them itself; see [`s3`].

mod authenticate;
mod call;
mod cbor;
pub mod client_configuration;
pub mod cloudformation;
pub mod cloudwatch;
mod compressed;
pub mod doors;
pub mod events;
mod http;
pub mod iam;
pub mod ivs;
pub mod lambda;
pub mod logs;
pub mod native;
mod path;
mod protocol;
pub mod query;
pub mod requests;
pub mod s3;
mod services;
pub mod sigv4;
pub mod ssm;
pub mod sts;
#[cfg(test)]
mod tests;

pub use call::{Access, Call, Input, Reply, ServiceError};
pub use http::{Gateway, Limits, MetricsPage, Parts, router};
pub use requests::Requests;
