//! Tests of signatures: the worked examples, order, secrecy.

use super::*;

fn signed(token: Option<&str>, fields: &[(&str, &str)], body: &'static [u8]) -> Command {
    let mut command = Command::request(30);
    command.fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    command.body = body.into();
    Credentials::new("rocketmq2", "12345678", token).unwrap().sign(&mut command);
    command
}

#[test]
fn worked_examples() {
    let fields = [("topic", "TopicTest"), ("queueId", "0")];
    for (token, body, expected) in [
        (None, b"".as_slice(), "WcNHAIxSTdP81yH0rSPg25keg+g="),
        (None, b"hello", "av6ifRlR0Kuh217rwHVyMZt8mg4="),
        (Some("tok"), b"", "R1o4P4DE1yaX29p0B+pFk+dROms="),
    ] {
        let command = signed(token, &fields, body);
        assert_eq!(command.field("Signature"), Some(expected));
        assert_eq!(command.field("AccessKey"), Some("rocketmq2"));
        assert_eq!(command.field("SecurityToken"), token);
        let reversed = [fields[1], fields[0]];
        assert_eq!(signed(token, &reversed, body).field("Signature"), Some(expected));
    }
}

#[test]
fn signing_again_changes_nothing() {
    let mut command = signed(Some("tok"), &[("topic", "T")], b"x");
    let once = command.clone();
    Credentials::new("rocketmq2", "12345678", Some("tok")).unwrap().sign(&mut command);
    assert_eq!(command, once);
}

#[test]
fn names_are_ordered_by_code_units_and_the_last_value_counts() {
    // U+10000 is the pair D800 DC00 and so comes before U+FF00, although it is the larger character.
    let by_units = signed(None, &[("\u{10000}", "1"), ("\u{ff00}", "2")], b"");
    let as_content = signed(None, &[("a", "1"), ("b", "2")], b"");
    assert_eq!(by_units.field("Signature"), as_content.field("Signature"));
    let twice = signed(None, &[("topic", "old"), ("topic", "new")], b"");
    assert_eq!(twice.field("Signature"), signed(None, &[("topic", "new")], b"").field("Signature"));
}

#[test]
fn an_empty_key_is_refused_and_an_empty_token_is_none() {
    assert_eq!(Credentials::new("", "s", None).unwrap_err(), CredentialsError::NoAccessKey);
    assert_eq!(Credentials::new("a", "", None).unwrap_err(), CredentialsError::BadSecretKey);
    assert_eq!(signed(Some(""), &[], b"").field("SecurityToken"), None);
}

#[test]
fn debug_shows_the_user_only() {
    let text = format!("{:?}", Credentials::new("reader", "topsecret", Some("token-x")).unwrap());
    assert!(text.contains("reader") && !text.contains("topsecret") && !text.contains("token-x"), "{text}");
}
