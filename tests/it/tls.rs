//! Pushes from an API server: over TLS, with a token, and nothing without one.

use crate::service::{PROGRAM, Service, client, json};

#[test]
fn a_token_is_asked_for_and_goes_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let data = dir.path().join("data");
    let service = Service::start(&data, &format!("[server.tls]\ncert = {cert:?}\nkey = {key:?}\n"));
    assert!(service.url.starts_with("https://"));
    let token = std::process::Command::new(PROGRAM)
        .args(["token", "create", "--name", "apiserver", "--scope", "ingest", "--config"])
        .arg(data.with_extension("toml"))
        .output()
        .unwrap();
    let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
    let (runtime, plain) = client();
    runtime.block_on(async {
        let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap();
        let push = format!("{}/ingest/k8s-audit", service.url);
        assert!(plain.post(push.replace("https", "http")).body("{}").send().await.is_err());
        // The running service learns of a token that the command line made within a few seconds.
        let mut status = 0;
        for _ in 0..100 {
            status = json(client.post(&push).body("{}")).await.0;
            if status == 401 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(status, 401);
        assert_eq!(json(client.post(&push).bearer_auth(&token).body("{\"items\":[]}")).await.0, 200);
        assert_eq!(json(client.get(format!("{}/api/v1/alerts", service.url)).bearer_auth(&token)).await.0, 403);
    });
}
