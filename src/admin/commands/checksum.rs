//! CHECKSUM: the sum of a table's rows, in memory or on disk, so that two routers can be compared.
//!
//! [`super::read`] recognises the command, and [`crate::admin::tables::checksums`] computes the sum. It changes
//! nothing.

use super::Checksum;
use crate::admin::desk::{Desk, DeskError};
use crate::admin::model;
use crate::admin::tables::checksums::sum;
use crate::admin::wire::Answer;

impl Desk {
    /// CHECKSUM.
    pub(in crate::admin) fn checksum(&self, wanted: &Checksum) -> Result<Answer, DeskError> {
        self.sync()?;
        let rows = if wanted.disk {
            let tables = model::project(&self.on_disk()?, &self.engine.vault)?;
            tables.get(wanted.table).cloned().unwrap_or_default()
        } else {
            self.engine.rows(&format!("main.{}", wanted.table))?
        };
        Ok(Answer::table(&["table", "checksum"], vec![vec![wanted.table.to_owned(), sum(&rows)]]))
    }
}
