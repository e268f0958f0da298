//! Every sender hears what its own receiver would say.

use super::*;
use crate::api::receivers::Dialect;

/// Status, media type and body of the answer to a push.
async fn say(fixture: &Fixture, path: &str, headers: &[(&str, &str)]) -> (u16, String, Vec<u8>) {
    let request = Request::builder().method("POST").uri(path).header("host", "127.0.0.1");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = fixture.api.clone().router().oneshot(request.body(Body::from("{}")).unwrap()).await.unwrap();
    let media = answer.headers().get("content-type").map(|media| media.to_str().unwrap().to_owned()).unwrap_or_default();
    (answer.status().as_u16(), media, answer.into_body().collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn each_sender_shows_its_token_and_reads_its_answer() {
    let fixture = Fixture::new(false).await;
    let token = fixture.token(Scope::Ingest).await;
    let with = |text: &str| text.replace("TOKEN", &token);
    for (path, name, value, status, media, body) in [
        ("/v1/logs", "authorization", "Bearer TOKEN", 200, "application/x-protobuf", ""),
        ("/v1/logs", "authorization", "Splunk TOKEN", 401, "application/problem+json", ""),
        ("/services/collector/event", "authorization", "Splunk TOKEN", 200, "application/json", r#"{"text":"Success","code":0}"#),
        ("/services/collector/raw", "authorization", "Bearer TOKEN", 200, "application/json", r#"{"text":"Success","code":0}"#),
        ("/services/collector", "authorization", "Splunk wrong", 401, "application/json", r#"{"code":2,"text":"Token is required"}"#),
        ("/ingest/firehose", "x-amz-firehose-access-key", "TOKEN", 200, "application/json", r#"{"requestId":"","timestamp":1767225600000}"#),
        ("/ingest/firehose", "x-amz-firehose-access-key", "wrong", 401, "application/json", ""),
        ("/ingest/pubsub?token=TOKEN", "x-none", "", 204, "", ""),
        ("/ingest/pubsub", "authorization", "Bearer TOKEN", 204, "", ""),
        ("/ingest/pubsub?token=wrong", "x-none", "", 401, "application/problem+json", ""),
        ("/ingest/auto?token=TOKEN", "x-none", "", 401, "application/problem+json", ""),
    ] {
        let (got, got_media, said) = say(&fixture, &with(path), &[(name, &with(value))]).await;
        assert_eq!((got, got_media.as_str()), (status, media), "{path} {name}");
        assert!(body.is_empty() || said == body.as_bytes(), "{path}: {}", String::from_utf8_lossy(&said));
        assert!(!String::from_utf8_lossy(&said).contains(&token));
    }
    let id = "4f1b-7";
    let (_, _, said) = say(&fixture, "/ingest/firehose", &[("x-amz-firehose-access-key", "wrong"), ("x-amz-firehose-request-id", id)]).await;
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["requestId"], id);
    assert!(said["errorMessage"].as_str().unwrap().contains("token"));
}

#[tokio::test]
async fn what_was_left_out_is_told_in_the_encoding_that_came() {
    async fn body(media: &'static str, rejected: u64) -> Vec<u8> {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(media));
        let answer = Dialect::Otlp.taken(Receipt { accepted: 1, rejected }, &headers, 0);
        answer.into_body().collect().await.unwrap().to_bytes().to_vec()
    }
    assert_eq!(body("application/json", 0).await, b"{}");
    let partial: Value = serde_json::from_slice(&body("application/json; charset=utf-8", 300).await).unwrap();
    assert_eq!(partial["partialSuccess"]["rejectedLogRecords"], "300");
    assert_eq!(body("application/x-protobuf", 0).await, b"");
    let partial = body("application/x-protobuf", 300).await;
    // Field 1, a message: field 1, the varint 300; field 2, a text that fills the rest.
    assert_eq!(partial[0], 0x0a);
    assert_eq!(usize::from(partial[1]), partial.len() - 2);
    assert_eq!(partial[2..6], [0x08, 0xac, 0x02, 0x12]);
    assert_eq!(usize::from(partial[6]), partial.len() - 7);
}
