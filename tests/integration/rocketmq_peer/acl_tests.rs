//! RocketMQ remoting: access control, worked examples.

use super::*;

fn signed(token: Option<&str>, body: &[u8]) -> String {
    let acl = Acl { access_key: "rocketmq2".to_owned(), secret_key: "12345678".to_owned() };
    let mut request =
        Frame::request(30, 1, &[("topic", "TopicTest"), ("queueId", "0"), ("AccessKey", "rocketmq2")], body);
    if let Some(token) = token {
        request.fields.insert("SecurityToken".to_owned(), token.to_owned());
    }
    acl.signature(&request)
}

#[test]
fn signs_as_the_examples() {
    assert_eq!(signed(None, b""), "WcNHAIxSTdP81yH0rSPg25keg+g=");
    assert_eq!(signed(None, b"hello"), "av6ifRlR0Kuh217rwHVyMZt8mg4=");
    assert_eq!(signed(Some("tok"), b""), "R1o4P4DE1yaX29p0B+pFk+dROms=");
}

#[test]
fn digests_of_all_lengths_around_a_block() {
    let hex = |text: &[u8]| sha1(text).map(|byte| format!("{byte:02x}")).concat();
    assert_eq!(hex(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_eq!(hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    let text = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    assert_eq!(hex(text), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    assert_eq!(hex(&[b'a'; 64]), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    assert_eq!(hex(&[b'a'; 55]), "c1c8bbdc22796e28c0e15163d20899b65621d65a");
}
