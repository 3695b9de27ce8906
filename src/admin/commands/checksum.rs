//! CHECKSUM: whether two routers have the same rows in a table.

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
