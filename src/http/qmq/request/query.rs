//! The two query objects of the API: what a list, dead-letter or detail request asks for, and what a request for
//! consumption records asks for.
//!
//! Every known member is type-checked, also those no route uses, because a wrong type makes the whole query unusable.
//! Unknown members of any shape are ignored. The routes decide which fields are required, how large
//! a page may be, and what the default window is.

use chrono_tz::Tz;

use super::{fields, lenient};
use crate::codec::json::Value;

/// The query of the list, dead-letter and detail routes (`backupQuery`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackupQuery {
    /// The subject; `None` also when sent empty.
    pub subject: Option<String>,
    /// The one message asked for; `None` also when sent empty.
    pub message_id: Option<String>,
    /// Lower bound of the create time, in epoch milliseconds.
    pub create_time_begin_ms: Option<i64>,
    /// Upper bound of the create time, in epoch milliseconds.
    pub create_time_end_ms: Option<i64>,
    /// Whether delay messages are asked for.
    pub is_delay: bool,
    /// Page size as sent, unchecked; 0 when absent.
    pub len: i32,
    /// Page token; `None` also when sent empty.
    pub start: Option<String>,
    /// Consumer group; `None` also when sent empty.
    pub consumer_group: Option<String>,
    /// Broker group; `None` also when sent empty.
    pub broker_group: Option<String>,
    /// Position of the message in its partition; 0 when absent.
    pub sequence: i64,
}

/// The query of the records route (`recordQuery`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordQuery {
    /// The subject; `None` also when sent empty.
    pub subject: Option<String>,
    /// Broker group; `None` also when sent empty.
    pub broker_group: Option<String>,
    /// Position of the message in its partition; 0 when absent.
    pub sequence: i64,
    /// The message asked for; `None` also when sent empty.
    pub message_id: Option<String>,
    /// Which records are asked for, as sent; 0 when absent.
    ///
    /// The original cuts it to 8 bits, so that 256 is answered like 0. Here 256 stays 256 and is an unknown code.
    pub record_code: i32,
}

/// Why a query cannot be used, with what to send instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", prefix(.field.as_deref()))]
pub struct BadQuery {
    /// The member at fault, or `None` when the text as a whole is.
    pub field: Option<String>,
    /// What is wrong and what to send.
    pub reason: String,
}

fn prefix(field: Option<&str>) -> String {
    field.map(|name| format!("field `{name}`: ")).unwrap_or_default()
}

impl BackupQuery {
    /// Reads the text of the `backupQuery` parameter; dates without a zone are read in `zone`.
    ///
    /// # Errors
    /// [`BadQuery`] when the text is not one JSON object or a known member has an unusable value.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, BadQuery> {
        let members = Members::parse(text, r#"{"subject":"order.paid","len":10}"#)?;
        // Read by no route, but a wrong type in them is refused like in any other field.
        members.number("startOffset", fields::long)?;
        members.number("size", fields::int)?;
        let date = |value: &Value| fields::date(value, zone);
        Ok(Self {
            subject: members.name("subject")?,
            message_id: members.name("messageId")?,
            create_time_begin_ms: members.nullable("msgCreateTimeBegin", date)?,
            create_time_end_ms: members.nullable("msgCreateTimeEnd", date)?,
            is_delay: members.number("isDelay", fields::boolean)?,
            len: members.number("len", fields::int)?,
            start: members.name("start")?,
            consumer_group: members.name("consumerGroup")?,
            broker_group: members.name("brokerGroup")?,
            sequence: members.number("sequence", fields::long)?,
        })
    }
}

impl RecordQuery {
    /// Reads the text of the `recordQuery` parameter.
    ///
    /// # Errors
    /// [`BadQuery`] when the text is not one JSON object or a known member has an unusable value.
    pub fn parse(text: &str) -> Result<Self, BadQuery> {
        let members = Members::parse(text, r#"{"subject":"order.paid","brokerGroup":"dev","sequence":0}"#)?;
        Ok(Self {
            subject: members.name("subject")?,
            broker_group: members.name("brokerGroup")?,
            sequence: members.number("sequence", fields::long)?,
            message_id: members.name("messageId")?,
            record_code: members.number("recordCode", fields::int)?,
        })
    }
}

/// The members of the query object, in the order written.
struct Members(Vec<(Value, Value)>);

impl Members {
    /// Reads the object; a refusal shows `example` as what to send.
    fn parse(text: &str, example: &str) -> Result<Self, BadQuery> {
        let problem = match lenient::parse(text) {
            Ok(Value::Map(members)) => return Ok(Self(members)),
            Ok(_) => "not a JSON object".to_owned(),
            Err(malformed) => malformed.to_string(),
        };
        Err(BadQuery { field: None, reason: format!("{problem}; send one object, such as {example}") })
    }

    /// Converts every member of this name in turn, so that an unusable one is refused even when a later one hides it.
    fn each<T>(
        &self,
        name: &str,
        convert: impl Fn(&Value) -> Result<Option<T>, String>,
        mut take: impl FnMut(Option<T>),
    ) -> Result<(), BadQuery> {
        for (_, value) in self.0.iter().filter(|(written, _)| written.as_str() == Some(name)) {
            take(convert(value).map_err(|reason| BadQuery { field: Some(name.to_owned()), reason })?);
        }
        Ok(())
    }

    /// A field that can be null: the last member wins, also when it is null.
    fn nullable<T>(
        &self,
        name: &str,
        convert: impl Fn(&Value) -> Result<Option<T>, String>,
    ) -> Result<Option<T>, BadQuery> {
        let mut last = None;
        self.each(name, convert, |value| last = value)?;
        Ok(last)
    }

    /// A number or boolean field: the last member that is not null wins, else zero or false stays.
    fn number<T: Default>(
        &self,
        name: &str,
        convert: impl Fn(&Value) -> Result<Option<T>, String>,
    ) -> Result<T, BadQuery> {
        let mut last = T::default();
        self.each(name, convert, |value| {
            if let Some(value) = value {
                last = value;
            }
        })?;
        Ok(last)
    }

    /// A text field in which an empty text means the same as none.
    fn name(&self, name: &str) -> Result<Option<String>, BadQuery> {
        Ok(self.nullable(name, fields::text)?.filter(|text| !text.is_empty()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZONE: Tz = Tz::Asia__Shanghai;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn reads_every_backup_field() {
        let text = r#"{"subject":"order.paid","messageId":"m-a","msgCreateTimeBegin":"2024-05-20T00:00:00+08:00",
            "msgCreateTimeEnd":"May 21, 2024 12:00:00 AM","isDelay":true,"len":100,"start":"t","consumerGroup":"g1",
            "brokerGroup":"dev","sequence":"5","startOffset":9,"size":1,"bogus":{"a":[1,2]}}"#;
        let expected = BackupQuery {
            subject: some("order.paid"),
            message_id: some("m-a"),
            create_time_begin_ms: Some(1_716_134_400_000),
            create_time_end_ms: Some(1_716_220_800_000),
            is_delay: true,
            len: 100,
            start: some("t"),
            consumer_group: some("g1"),
            broker_group: some("dev"),
            sequence: 5,
        };
        assert_eq!(BackupQuery::parse(text, ZONE), Ok(expected));
    }

    #[test]
    fn empty_null_and_absent_are_the_defaults() {
        let texts = [
            "{}",
            r#"{"subject":"","messageId":"","start":"","consumerGroup":"","brokerGroup":""}"#,
            r#"{"subject":null,"len":null,"isDelay":null,"sequence":null,"msgCreateTimeBegin":null,"size":null}"#,
            r#"{"LEN":2,"Subject":"a"}"#,
        ];
        for text in texts {
            assert_eq!(BackupQuery::parse(text, ZONE), Ok(BackupQuery::default()), "{text}");
            assert_eq!(RecordQuery::parse(text), Ok(RecordQuery::default()), "{text}");
        }
    }

    #[test]
    fn the_last_member_wins() {
        let cases = [
            ("{len:2,len:3}", 3, None),
            ("{len:2,len:null}", 2, None),
            ("{subject:a,subject:b}", 0, some("b")),
            ("{subject:a,subject:null}", 0, None),
        ];
        for (text, len, subject) in cases {
            let query = BackupQuery::parse(text, ZONE).unwrap();
            assert_eq!((query.len, query.subject), (len, subject), "{text}");
        }
        assert!(BackupQuery::parse("{len:abc,len:3}", ZONE).is_err());
    }

    #[test]
    fn unusable_queries_name_the_field() {
        let cases = [
            ("", None),
            ("{\"subject\":", None),
            ("null", None),
            (" ", None),
            ("[]", None),
            ("\"abc\"", None),
            ("1", None),
            ("abc", None),
            ("{\"len\":1,}", None),
            ("{\"len\":1}x", None),
            ("{\"len\":1}{}", None),
            ("{\"len\":2.5}", Some("len")),
            ("{\"len\":true}", Some("len")),
            ("{\"len\":2147483648}", Some("len")),
            ("{\"isDelay\":1}", Some("isDelay")),
            ("{\"sequence\":\"x\"}", Some("sequence")),
            ("{\"consumerGroup\":{}}", Some("consumerGroup")),
            ("{\"size\":\"x\"}", Some("size")),
            ("{\"startOffset\":[]}", Some("startOffset")),
            ("{\"msgCreateTimeBegin\":\"\"}", Some("msgCreateTimeBegin")),
            ("{\"msgCreateTimeEnd\":\"bad\"}", Some("msgCreateTimeEnd")),
        ];
        for (text, field) in cases {
            let bad = BackupQuery::parse(text, ZONE).unwrap_err();
            assert_eq!(bad.field.as_deref(), field, "{text}");
        }
    }

    #[test]
    fn refusals_say_what_to_send() {
        let cases = [
            (
                "{msgCreateTimeBegin:now}",
                "field `msgCreateTimeBegin`: now is not a date; use 2019-06-03T15:42:39+08:00, 2019-06-03 15:42:39 or \
                 epoch milliseconds",
            ),
            ("[]", "not a JSON object; send one object, such as {\"subject\":\"order.paid\",\"len\":10}"),
            (
                "{a:1}x",
                "not valid JSON at byte 5: text after the end of the value; send one object, such as \
                 {\"subject\":\"order.paid\",\"len\":10}",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(BackupQuery::parse(text, ZONE).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn record_codes_are_not_cut() {
        let cases = [
            ("{}", Ok(0)),
            ("{recordCode:2}", Ok(2)),
            ("{recordCode:\"2\"}", Ok(2)),
            ("{recordCode:2.0}", Ok(2)),
            ("{recordCode:256}", Ok(256)),
            ("{recordCode:-254}", Ok(-254)),
            ("{recordCode:x}", Err(())),
            ("{recordCode:true}", Err(())),
            ("{recordCode:1.5}", Err(())),
            ("{recordCode:2147483648}", Err(())),
        ];
        for (text, expected) in cases {
            let code = RecordQuery::parse(text).map(|query| query.record_code).map_err(|_| ());
            assert_eq!(code, expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>(), value in any::<String>()) {
            let _ = (BackupQuery::parse(&text, ZONE), RecordQuery::parse(&text));
            let text = serde_json::json!({ "msgCreateTimeBegin": value, "len": value, "isDelay": value }).to_string();
            let _ = BackupQuery::parse(&text, ZONE);
        }

        #[test]
        fn any_text_field_arrives_as_sent(value in ".+", sequence in any::<i64>()) {
            let text = serde_json::json!({ "subject": value, "sequence": sequence }).to_string();
            let query = RecordQuery::parse(&text).unwrap();
            prop_assert_eq!((query.subject, query.sequence), (Some(value), sequence));
        }
    }
}
