//! What the commands do that talk to a running server.
//!
//! | module | commands |
//! |---|---|
//! | `stacks` | `deploy`, `plan`, `delete`, `stacks`, `outputs` |
//! | `events` | `events`, `logs` |
//! | `polls` | `polls` |
//! | `channels` | `channels`, `doctor CHANNEL` |

mod channels;
mod events;
mod polls;
mod stacks;

pub use channels::{channels, diagnose};
pub use events::{events, logs};
pub use polls::polls;
pub use stacks::{delete, deploy, deploy_command, outputs, plan, read_template, stacks};

use serde_json::Value;

/// Entries asked for at once.
const PAGE: u64 = 500;

fn print_json(value: &Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
