//! A bucket in the rig's own process: it lists and gives out what was put, and is never faulted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// Objects of one page of a listing.
const PAGE: usize = 1_000;

type Shelf = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// The bucket `rig` of a server.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    shelf: Shelf,
    endpoint: String,
}

impl Bucket {
    pub(crate) async fn start() -> Self {
        let shelf = Shelf::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shelf, endpoint }
    }

    /// Once this returns the object is there for good.
    pub(crate) fn put(&self, key: String, body: Vec<u8>) {
        self.shelf.lock().unwrap().insert(key, body);
    }

    /// The tables of a source that reads it. Keys go into files beside.
    pub(crate) fn config(&self, dir: &std::path::Path) -> String {
        let file = dir.join("bucket-key");
        std::fs::write(&file, "rig").unwrap();
        format!(
            "[[source]]\nname = \"bucket\"\nkind = \"s3\"\nbucket = \"rig\"\nendpoint = \"{}\"\npath_style = true\nlateness_s = 600\npoll_s = 1\naccess_key = \"file:{file}\"\nsecret_key = \"file:{file}\"\n",
            self.endpoint,
            file = file.display()
        )
    }
}

async fn answer(State(shelf): State<Shelf>, uri: Uri) -> Response {
    let shelf = shelf.lock().unwrap();
    let key = uri.path().trim_start_matches("/rig").trim_start_matches('/');
    if key.is_empty() {
        return list(&shelf, uri.query().unwrap_or_default()).into_response();
    }
    match shelf.get(key) {
        Some(body) => ([(header::ETAG, etag(body))], body.clone()).into_response(),
        None => (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>").into_response(),
    }
}

fn etag(body: &[u8]) -> String {
    format!("\"{:08x}\"", crc32fast::hash(body))
}

fn list(shelf: &BTreeMap<String, Vec<u8>>, query: &str) -> String {
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).map(|value| value.replace("%2F", "/"));
    let after = parameter("continuation-token=").or_else(|| parameter("start-after=")).unwrap_or_default();
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
    let rest = shelf.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
    let mut last = None;
    let mut count = 0;
    for (key, body) in rest {
        if count == PAGE {
            last = last.or(Some(()));
            break;
        }
        count += 1;
        text += &format!("<Contents><Key>{key}</Key><ETag>{}</ETag><Size>{}</Size></Contents>", etag(body).replace('"', "&quot;"), body.len());
        if count == PAGE {
            text += &format!("<NextContinuationToken>{key}</NextContinuationToken>");
        }
    }
    text + &format!("<IsTruncated>{}</IsTruncated></ListBucketResult>", last.is_some())
}
