//! Times of the oldest and the newest row of a system, from the statistics of the files.

use crate::error::Result;
use crate::lake::LakeFile;
use crate::lake::schema::MESSAGE;
use crate::query::Pinned;

/// Time of the newest row of a system, from the statistics of the files.
pub(super) fn watermark(pinned: &Pinned, system: &str) -> Result<Option<i64>> {
    let table = pinned.table(&MESSAGE)?;
    let newest = |is_wanted: &dyn Fn(&LakeFile) -> bool| {
        let files = table.files.iter().filter(|file| is_wanted(file) && !file.is_stray(&MESSAGE));
        files.filter_map(|file| file.stats.number_range("create_time").map(|(_, newest)| newest)).max()
    };
    // older versions merged files of several systems, so the newest row of such a file can be another system's
    let own = newest(&|file| file.stats.is_always_text("system", system));
    Ok(own.or_else(|| newest(&|file| file.stats.may_contain_text("system", system))))
}

/// Time of the oldest row of a system, from the statistics of the files. In a file of several systems it can be another
/// system's.
pub(super) fn oldest(pinned: &Pinned, system: &str) -> Option<i64> {
    let table = pinned.table(&MESSAGE).ok()?;
    let files = table.files.iter().filter(|file| file.stats.may_contain_text("system", system));
    files.filter_map(|file| file.stats.number_range("create_time").map(|(oldest, _)| oldest)).min()
}
