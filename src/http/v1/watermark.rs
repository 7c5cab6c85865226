//! The oldest and the newest that is known of a system, as the statistics of the files tell it.

use crate::error::Result;
use crate::lake::LakeFile;
use crate::lake::schema::MESSAGE;
use crate::query::Pinned;

/// Time of the newest row of a system, as the statistics of the files tell it.
pub(super) fn watermark(pinned: &Pinned, system: &str) -> Result<Option<i64>> {
    let table = pinned.table(&MESSAGE)?;
    let newest = |is_wanted: &dyn Fn(&LakeFile) -> bool| {
        let files = table.files.iter().filter(|file| is_wanted(file) && !file.is_stray(&MESSAGE));
        files.filter_map(|file| file.stats.number_range("create_time").map(|(_, newest)| newest)).max()
    };
    // older versions have merged systems: of such a file the newest row can be the other's
    let own = newest(&|file| file.stats.is_always_text("system", system));
    Ok(own.or_else(|| newest(&|file| file.stats.may_contain_text("system", system))))
}

/// Time of the first row of a system, as the statistics of the files tell it.
pub(super) fn oldest(pinned: &Pinned, system: &str) -> Option<i64> {
    let table = pinned.table(&MESSAGE).ok()?;
    let files = table.files.iter().filter(|file| file.stats.may_contain_text("system", system));
    files.filter_map(|file| file.stats.number_range("create_time").map(|(oldest, _)| oldest)).min()
}
