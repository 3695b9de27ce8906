//! Which commands a role of the admin port may give.
//!
//! [`super::desk`] asks here before it carries out a command. What a role's SQL may read and write is enforced by
//! [`super::engine`], not here. The role itself was settled when the client signed in.

use super::commands::{Command, Direction, Operation};
use super::tables::Unit;
use crate::config::admin::AdminRole;

/// Whether a role may do that.
///
/// # Errors
/// What to tell whoever may not.
pub(super) fn may(role: AdminRole, command: &Command) -> Result<(), String> {
    let allowed = match (role, command) {
        (AdminRole::Admin, _) => true,
        (_, Command::Sql | Command::Noise | Command::Use(_) | Command::Show(_)) => true,
        (AdminRole::Stats, _) => false,
        (AdminRole::Operator, Command::Carry(unit, direction)) => {
            *unit == Some(Unit::Servers) && *direction == Direction::MemoryToRuntime
        }
        (AdminRole::Operator, Command::Operate(operation)) => !matches!(operation, Operation::Shutdown { .. }),
        (AdminRole::Operator, command) => !matches!(command, Command::Set(..) | Command::Rollback(_)),
    };
    if allowed { Ok(()) } else { Err(format!("the role `{}` may not do that", role.name())) }
}
