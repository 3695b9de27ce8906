//! PROXYSQL … and KILL: orders to the control thread, and the answers to the client.
//!
//! The orders are [`crate::admin::orders`]'. Commands that do nothing here are answered with OK and a warning that says
//! why. Whether the client may give them was checked before, in `rights`.

use super::Operation;
use crate::admin::desk::{Desk, DeskError};
use crate::admin::functions::Who;
use crate::admin::orders::Order;
use crate::admin::wire::Answer;
use tokio::sync::oneshot;

fn ending() -> DeskError {
    DeskError::Refused("the router is ending".to_owned())
}

impl Desk {
    /// `PROXYSQL …`.
    pub(in crate::admin) async fn operate(
        &self,
        who: &Who,
        operation: Operation,
        warnings: &mut Vec<String>,
    ) -> Result<Answer, DeskError> {
        let order = match operation {
            Operation::Pause => Order::Pause(true),
            Operation::Resume => Order::Pause(false),
            Operation::Shutdown { slow } => Order::End { slow },
            Operation::ReloadTls => {
                let version = self.reload(who, "PROXYSQL RELOAD TLS").await?;
                return Ok(Answer::done(0, format!("version {version}")));
            }
            Operation::Nothing(why) => {
                warnings.push(format!("nothing was done: {why}"));
                return Ok(Answer::ok());
            }
        };
        self.parts.orders.send(order).await.map_err(|_| ending())?;
        Ok(Answer::ok())
    }

    /// KILL.
    pub(in crate::admin) async fn kill(&self, session: u32, query: bool) -> Result<Answer, DeskError> {
        let (reply, answer) = oneshot::channel();
        self.parts.orders.send(Order::Kill { session, query, reply }).await.map_err(|_| ending())?;
        match answer.await {
            Ok(true) => Ok(Answer::ok()),
            Ok(false) => Ok(Answer::error(1094, b"HY000", format!("Unknown thread id: {session}"))),
            Err(_) => Err(ending()),
        }
    }
}
