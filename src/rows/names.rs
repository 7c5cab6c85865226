//! Interned names of a batch: subjects, groups and consumers repeat in almost every row, so rows hold name ids.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::datatypes::Int32Type;
use hashbrown::HashMap;

use crate::error::Result;

/// Name id of an absent name.
pub(crate) const NO_NAME: u32 = u32::MAX;

/// Names and their ids. An id is only valid for the batch whose names it refers to.
#[derive(Debug, Default)]
pub struct Names {
    ids: HashMap<Box<[u8]>, u32>,
    texts: Vec<Box<str>>,
}

impl Names {
    /// Name id of a name. In its text, bytes that are not UTF-8 are replaced.
    pub fn id(&mut self, name: &[u8]) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = u32::try_from(self.texts.len()).unwrap_or(NO_NAME - 1);
        self.texts.push(String::from_utf8_lossy(name).into());
        self.ids.insert(name.into(), id);
        id
    }

    /// The name with this id; empty for [`NO_NAME`].
    #[must_use]
    pub fn text(&self, id: u32) -> &str {
        self.texts.get(id as usize).map_or("", |text| text)
    }

    /// Rank of every name in the order of their bytes, by name id.
    #[must_use]
    pub(super) fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.texts.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.text(*a).as_bytes().cmp(self.text(*b).as_bytes()));
        let mut ranks = vec![0; order.len()];
        for (rank, id) in order.into_iter().enumerate() {
            if let Some(slot) = ranks.get_mut(id as usize) {
                *slot = rank as u32;
            }
        }
        ranks
    }

    /// All names as the values of dictionary columns.
    #[must_use]
    pub fn dictionary(&self) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(self.texts.iter()))
    }
}

/// A text column of name ids, with a dictionary made by [`Names::dictionary`].
///
/// # Errors
/// Never for ids of the same [`Names`].
pub(crate) fn text_column(ids: impl Iterator<Item = u32>, dictionary: &ArrayRef) -> Result<ArrayRef> {
    let keys: Int32Array = ids.map(|id| if id == NO_NAME { None } else { i32::try_from(id).ok() }).collect();
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, dictionary.clone())?))
}

/// A text column with one value.
///
/// # Errors
/// Never.
pub(crate) fn constant_column(text: &str, rows: usize) -> Result<ArrayRef> {
    let values: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let keys = Int32Array::from(vec![0; rows]);
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values)?))
}
