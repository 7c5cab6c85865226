//! The hash of a Java string, which RocketMQ stores for tags and keys.
//!
//! It runs over UTF-16 code units, so a character beyond U+FFFF counts as two. It never allocates.

/// The hash of `text`.
pub(super) fn java_hash(text: &str) -> i32 {
    extend(0, text)
}

/// The hash of a text that goes on with `text`, where `hash` is that of what comes before.
pub(super) fn extend(hash: i32, text: &str) -> i32 {
    text.encode_utf16().fold(hash, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn worked_examples() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("TagA"), 2_598_919);
        assert_eq!(java_hash("TAG_PAY"), -829_728_189);
        assert_eq!(java_hash("\u{652f}\u{4ed8}"), 823_177);
        assert_eq!(java_hash("\u{1f600}"), 1_772_899);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
    }

    proptest! {
        #[test]
        fn a_text_can_be_hashed_in_parts(head in ".{0,20}", tail in ".{0,20}") {
            prop_assert_eq!(extend(java_hash(&head), &tail), java_hash(&format!("{head}{tail}")));
        }
    }
}
