//! From template to resources: parse, check, plan, apply, roll back, delete, resume.
//!
//! A template's way, one direction:
//!
//! ```text
//! text ─▶ template::tree (positions) ─▶ template::Template ─▶ check (schemas, parameters) ─▶ graph
//!      ─▶ plan (what would change) ─▶ engine (one task a stack: intent ▸ provider call ▸ result, each durable)
//! ```
//!
//! Nothing is made before the whole template is checked, and all of its mistakes are told at once, each with its
//! line. While an operation is under way the stack's status is its durable phase and each resource's intent is
//! written before its provider is called; [`Engine::run`] takes up what a crash left and brings it to an end.
//!
//! | module | what stands there |
//! |---|---|
//! | [`template`] | text to a located, typed template |
//! | [`resolve`] | values of intrinsic functions |
//! | [`parameters`] | values of parameters and their constraints |
//! | [`schema`] | what a resource type looks like |
//! | [`provider`] | the port through which resources are made |
//! | [`check`] | a template against schemas, before anything is made |
//! | [`graph`] | what needs what |
//! | [`plan`] | what an update would change |
//! | [`state`] | what is stored |
//! | [`engine`] | operations on stacks |
//! | [`doors`] | what fuzzing reaches |
//!
//! Source: AWS CloudFormation `cloudformation` 2010-05-15 and its template reference. Left out: `Transform`
//! (macros), `Fn::ForEach`, `CreationPolicy`, nested stacks, drift, stack sets.

pub mod check;
pub mod doors;
pub mod engine;
pub mod graph;
pub mod parameters;
pub mod plan;
pub mod provider;
pub mod resolve;
pub mod schema;
pub mod state;
pub mod template;
#[cfg(test)]
mod testing;

pub use engine::{CreateStack, DeleteStack, Engine, Error, Given, Options, TemplateSource, UpdateStack};
pub use provider::{Current, Made, Provider, ProviderError, Registry, Request, StackContext, Updated};
pub use template::Template;
