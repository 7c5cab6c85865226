//! Which subjects the tables hold, and their spans of time. Answers without a hit report it.
//!
//! Only the runs of subjects are read, never rows. Nothing here guesses which subject was meant.

use std::collections::BTreeSet;

use super::Catalog;
use super::catalog::PinnedTable;
use crate::error::Result;

impl Catalog {
    /// Least and greatest value of a subject's span column ([`super::runs::span_column`]); `None` if the table lacks
    /// the subject.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub(crate) async fn span_of(
        &self,
        table: &PinnedTable,
        system: &str,
        subject: &str,
    ) -> Result<Option<(i64, i64)>> {
        let mut span: Option<(i64, i64)> = None;
        let may_have = |file: &&std::sync::Arc<crate::lake::LakeFile>| {
            file.stats.may_contain_text("subject", subject) && file.stats.may_contain_text("system", system)
        };
        for file in table.files.iter().filter(may_have) {
            let reader = self.files.reader(&table.folder, file);
            for run in self.files.runs(&reader, table.snapshot.def).await?.of(subject) {
                let (least, greatest) = span.unwrap_or((i64::MAX, i64::MIN));
                span = Some((least.min(run.least), greatest.max(run.greatest)));
            }
        }
        Ok(span)
    }

    /// Subjects of the newest files of a table, of at most `max_files` files.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub(crate) async fn newest_subjects(
        &self,
        table: &PinnedTable,
        system: &str,
        max_files: usize,
    ) -> Result<BTreeSet<String>> {
        let mut files: Vec<_> =
            table.files.iter().filter(|file| file.stats.may_contain_text("system", system)).collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.day));
        let mut subjects = BTreeSet::new();
        for file in files.into_iter().take(max_files) {
            let reader = self.files.reader(&table.folder, file);
            let runs = self.files.runs(&reader, table.snapshot.def).await?;
            subjects.extend(runs.subjects().map(str::to_owned));
        }
        Ok(subjects)
    }
}
