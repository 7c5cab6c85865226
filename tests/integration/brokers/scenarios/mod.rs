//! The scenarios, each a function of a [`Broker`](super::Broker).
//!
//! They know no system. What differs between systems is in the trait, so that an assertion here holds for each.

mod following;
mod importing;
mod killed;
mod losses;
mod stores;

pub(super) use following::{first_sync, growth, restart};
pub(super) use importing::{an_import_then_following, following_then_an_import};
pub(super) use killed::{killed_imports, killed_servers};
pub(super) use losses::{a_broker_made_anew, a_log_that_went_back, a_lost_spool, gaps};
pub(super) use stores::{
    a_spool_lost_while_tables_stand_apart, a_store_that_is_away, a_store_that_is_full_for_long, two_writers,
};
