//! Patterns of topic names: `*` matches any characters, also none; every other character matches itself. Nothing here
//! knows which topics exist.

/// Whether `pattern` matches the whole of `topic`. Its time is at most the product of both lengths.
pub(super) fn fits(pattern: &str, topic: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = topic.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        // the earliest match leaves the most for the following parts
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The rule that `pattern` breaks, if it cannot match any topic: RocketMQ allows 1 to 255 of the characters
/// `% | _ - a-z A-Z 0-9`.
pub(super) fn mistake(pattern: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '%' | '|' | '_' | '-' | '*');
    if pattern.is_empty() || pattern.len() > 255 {
        return Some("1 to 255 characters");
    }
    (!pattern.chars().all(allowed)).then_some("letters, digits and % | _ - only, and * for any of them")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let cases = [
            ("*", "orders", true),
            ("*", "%DLQ%group", true),
            ("*", "", true),
            ("orders", "orders", true),
            ("orders", "orders2", false),
            ("orders", "my-orders", false),
            ("orders*", "orders", true),
            ("orders*", "orders2", true),
            ("orders*", "%RETRY%orders", false),
            ("*orders", "%RETRY%orders", true),
            ("%DLQ%*", "%DLQ%group", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a*ab", "aab", true),
            ("*ab*ab", "ab", false),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
        ];
        for (pattern, topic, expected) in cases {
            assert_eq!(fits(pattern, topic), expected, "{pattern} {topic}");
        }
    }

    #[test]
    fn a_pattern_that_fits_no_topic_is_a_mistake() {
        for good in ["*", "orders", "%RETRY%a|b_c-1*", &"x".repeat(255)] {
            assert_eq!(mistake(good), None, "{good}");
        }
        for wrong in ["", " ", "order?", "a,b", "a.b", "größe", &"x".repeat(256)] {
            assert!(mistake(wrong).is_some(), "{wrong}");
        }
    }

    /// The definition of a match, naively recursive.
    fn plainly(pattern: &[u8], topic: &[u8]) -> bool {
        match (pattern.split_first(), topic.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => plainly(rest, topic),
            (Some((b'*', rest)), Some((_, after))) => plainly(rest, topic) || plainly(pattern, after),
            (Some((c, rest)), Some((d, after))) => c == d && plainly(rest, after),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_fit_as_defined(pattern in "[ab*]{0,8}", topic in "[ab]{0,8}") {
            prop_assert_eq!(fits(&pattern, &topic), plainly(pattern.as_bytes(), topic.as_bytes()));
        }

        #[test]
        fn any_text_is_taken(pattern in any::<String>(), topic in any::<String>()) {
            fits(&pattern, &topic);
            mistake(&pattern);
        }
    }
}
