//! What messages of a queue say: which keys of a bucket are new. Read tolerantly, believed in nothing: the listing decides.

use serde_json::Value;

/// Bytes of a message.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Keys of a message.
const KEYS_MAX: usize = 1_000;
/// Messages within messages.
const WRAPS_MAX: usize = 3;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// These keys may be new. A key that is written in two ways is there twice.
    Keys(Vec<String>),
    /// Nothing that is to be read: a test, or something that was deleted.
    Nothing,
    /// It is about another bucket.
    Foreign,
    /// It can not be understood.
    Unknown,
}

/// Reads a message about this bucket: an S3 event as it is, by SNS or by EventBridge, or what Yandex's triggers and functions write.
pub(super) fn read(text: &str, bucket: &str) -> Said {
    if text.len() > MESSAGE_BYTES_MAX {
        return Said::Unknown;
    }
    let mut value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) => return Said::Unknown,
    };
    for _ in 0..WRAPS_MAX {
        // SNS has the event as a text in its own.
        let Some(inner) = value.get("Message").and_then(Value::as_str) else { break };
        match serde_json::from_str(inner) {
            Ok(inner) => value = inner,
            Err(_) => return Said::Unknown,
        }
    }
    if text_at(&value, "/Event") == Some("s3:TestEvent") {
        return Said::Nothing;
    }
    let mut heard = Heard::default();
    if let Some(records) = value.get("Records").and_then(Value::as_array) {
        records.iter().for_each(|record| heard.record(record, bucket));
    } else if let Some(messages) = value.get("messages").and_then(Value::as_array) {
        messages.iter().for_each(|message| heard.trigger(message, bucket));
    } else if value.get("detail-type").is_some() {
        heard.bridge(&value, bucket);
    } else {
        heard.plain(&value, bucket);
    }
    heard.end()
}

fn text_at<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

#[derive(Debug, Default)]
struct Heard {
    keys: Vec<String>,
    is_foreign: bool,
    is_idle: bool,
    is_unknown: bool,
}

impl Heard {
    fn add(&mut self, named: (Option<&str>, Option<&str>), bucket: &str, is_new: bool, is_encoded: bool) {
        match named {
            (Some(name), Some(key)) if name == bucket && is_new => {
                let decoded = if is_encoded { super::bucket::decoded(key) } else { None };
                // Not every server writes keys as AWS does.
                self.keys.extend(decoded.filter(|decoded| decoded != key));
                self.keys.push(key.to_owned());
            }
            (Some(name), Some(_)) if name == bucket => self.is_idle = true,
            (Some(_), Some(_)) => self.is_foreign = true,
            _ => self.is_unknown = true,
        }
    }

    /// An S3 event, also by MinIO, Ceph and others.
    fn record(&mut self, record: &Value, bucket: &str) {
        let is_new = text_at(record, "/eventName").is_some_and(|name| !name.contains("Removed") && !name.contains("Delete"));
        self.add((text_at(record, "/s3/bucket/name"), text_at(record, "/s3/object/key")), bucket, is_new, true);
    }

    fn bridge(&mut self, value: &Value, bucket: &str) {
        let is_new = text_at(value, "/detail-type").is_some_and(|name| !name.contains("Deleted"));
        self.add((text_at(value, "/detail/bucket/name"), text_at(value, "/detail/object/key")), bucket, is_new, false);
    }

    /// Yandex's trigger.
    fn trigger(&mut self, message: &Value, bucket: &str) {
        let is_new = text_at(message, "/event_metadata/event_type").is_none_or(|name| !name.contains("Delete"));
        self.add((text_at(message, "/details/bucket_id"), text_at(message, "/details/object_id")), bucket, is_new, false);
    }

    /// What functions behind such a trigger pass on.
    fn plain(&mut self, value: &Value, bucket: &str) {
        self.add((text_at(value, "/bucket_id"), text_at(value, "/object_id")), bucket, true, false);
    }

    fn end(mut self) -> Said {
        self.keys.truncate(KEYS_MAX);
        match (self.keys.is_empty(), self.is_foreign, self.is_unknown) {
            (false, ..) => Said::Keys(self.keys),
            (true, true, _) => Said::Foreign,
            (true, false, true) => Said::Unknown,
            (true, false, false) => Said::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let said = match read(text, "logs") {
            Said::Keys(keys) => keys.join(" | "),
            other => format!("{other:?}"),
        };
        assert_eq!(said, expected, "{text}");
    }

    fn record(name: &str, bucket: &str, key: &str) -> String {
        format!(
            r#"{{"eventSource":"aws:s3","eventName":"{name}","s3":{{"bucket":{{"name":"{bucket}"}},"object":{{"key":"{key}","size":1,"sequencer":"0A"}}}}}}"#
        )
    }

    #[test]
    fn messages_of_every_kind_are_understood() {
        let put = record("ObjectCreated:Put", "logs", "AUDIT/2026-01-01T00%3A00%3A00+a%2Bb.json");
        let keys = "AUDIT/2026-01-01T00:00:00 a+b.json | AUDIT/2026-01-01T00%3A00%3A00+a%2Bb.json";
        let event = format!(r#"{{"Records":[{put}]}}"#);
        check(&event, keys);
        let text = serde_json::to_string(&event).unwrap();
        check(&format!(r#"{{"Type":"Notification","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":{text}}}"#), keys);
        check(&format!(r#"{{"EventName":"s3:ObjectCreated:Put","Key":"logs/a","Records":[{}]}}"#, record("s3:ObjectCreated:Put", "logs", "a")), "a");
        check(r#"{"detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"logs"},"object":{"key":"a+b"}}}"#, "a+b");
        check(r#"{"detail-type":"Object Deleted","source":"aws.s3","detail":{"bucket":{"name":"logs"},"object":{"key":"a"}}}"#, "Nothing");
        check(
            r#"{"messages":[{"event_metadata":{"event_type":"yandex.cloud.events.storage.ObjectCreate"},"details":{"bucket_id":"logs","object_id":"a:b"}}]}"#,
            "a:b",
        );
        check(
            r#"{"log_type":"AUDIT","bucket_id":"logs","object_id":"AUDIT/cat1/2022-04-11-10:15:03-aB3dE","cluster_id":"cat1"}"#,
            "AUDIT/cat1/2022-04-11-10:15:03-aB3dE",
        );
        check(r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"logs"}"#, "Nothing");
    }

    #[test]
    fn what_is_not_for_us_is_told_from_what_is_nothing() {
        check(&format!(r#"{{"Records":[{}]}}"#, record("ObjectCreated:Put", "other", "a")), "Foreign");
        check(&format!(r#"{{"Records":[{},{}]}}"#, record("ObjectCreated:Put", "other", "a"), record("ObjectCreated:Put", "logs", "b")), "b");
        check(&format!(r#"{{"Records":[{}]}}"#, record("ObjectRemoved:Delete", "logs", "a")), "Nothing");
        for garbage in ["", "hello", "[]", "{}", "null", "7", r#"{"Records":[{}]}"#, r#"{"Message":"hello"}"#, r#"{"Records":7}"#] {
            check(garbage, "Unknown");
        }
        check(r#"{"Records":[]}"#, "Nothing");
        check(&format!(r#"{{"x":"{}"}}"#, "y".repeat(MESSAGE_BYTES_MAX)), "Unknown");
    }
}
