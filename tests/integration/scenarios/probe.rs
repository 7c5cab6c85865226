//! A store that ignores `If-None-Match` is refused before anything is written: two writers would lose rows there.

use std::sync::Arc;

use mqlake::error::ErrorKind;
use mqlake::lake::{Lake, Store};
use object_store::memory::InMemory;

use super::Place;
use super::over_every_store;
use super::shims::Unconditional;

#[tokio::test]
async fn a_store_that_ignores_conditions_is_refused() {
    let objects: Arc<InMemory> = Arc::default();
    let shim = Arc::new(Unconditional(objects.clone()));
    let store = Store::with_objects(shim, "memory:///lake/".parse().unwrap()).unwrap();
    let refused = Lake::open(store, mqlake::config::Lake::default()).await;
    let Err(error) = refused else { panic!("it was taken") };
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("If-None-Match"), "{error}");
    use futures::TryStreamExt;
    use object_store::ObjectStore;
    let left: Vec<_> = objects.list(None).try_collect().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

over_every_store!(a_fit_store_is_taken_and_keeps_no_probe);

async fn a_fit_store_is_taken_and_keeps_no_probe(place: Place) {
    use futures::TryStreamExt;
    let lake = place.lake(&mqlake::config::Lake::default()).await;
    let folder = lake.store.root.clone().join("_mqlake").join("probes");
    let left: Vec<_> = lake.store.objects.list(Some(&folder)).try_collect().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}
