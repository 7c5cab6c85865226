//! Names of a batch as numbers: subjects, groups and consumers repeat in almost every row.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::datatypes::Int32Type;
use hashbrown::HashMap;

use crate::error::Result;

/// Number of an absent name.
pub(crate) const NO_NAME: u32 = u32::MAX;

/// Names and their numbers.
#[derive(Debug, Default)]
pub struct Names {
    numbers: HashMap<Box<[u8]>, u32>,
    texts: Vec<Box<str>>,
}

impl Names {
    /// Number of a name; bytes that are not UTF-8 are replaced.
    pub fn number(&mut self, name: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(NO_NAME - 1);
        self.texts.push(String::from_utf8_lossy(name).into());
        self.numbers.insert(name.into(), number);
        number
    }

    /// The name with this number; empty for [`NO_NAME`].
    #[must_use]
    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }

    /// Position of every name in the order of their bytes, by number.
    #[must_use]
    pub fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.texts.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.text(*a).as_bytes().cmp(self.text(*b).as_bytes()));
        let mut ranks = vec![0; order.len()];
        for (rank, number) in order.into_iter().enumerate() {
            if let Some(slot) = ranks.get_mut(number as usize) {
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

/// A text column whose values are in a dictionary made by [`Names::dictionary`].
///
/// # Errors
/// Never for numbers of the same [`Names`].
pub(crate) fn text_column(numbers: impl Iterator<Item = u32>, dictionary: &ArrayRef) -> Result<ArrayRef> {
    let keys: Int32Array = numbers.map(|n| if n == NO_NAME { None } else { i32::try_from(n).ok() }).collect();
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
