//! Pushes from an API server: over TLS, with a token, and nothing without one.

use crate::service::{PROGRAM, Service, client, json, until};

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

/// A certificate of this authority for a client, and its key, as PEM.
fn certificate(issuer: &rcgen::Issuer<'_, rcgen::KeyPair>, name: &str, san: Option<&str>) -> String {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "ops, =x");
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.subject_alt_names = san.into_iter().map(|uri| rcgen::SanType::URI(uri.try_into().unwrap())).collect();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = rcgen::KeyPair::generate().unwrap();
    format!("{}{}", params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

fn authority() -> (String, rcgen::Issuer<'static, rcgen::KeyPair>) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, rcgen::Issuer::new(params, key))
}

#[test]
fn a_certificate_stands_for_what_is_said_of_its_names_and_others_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (pem, issuer) = authority();
    let (_, stranger) = authority();
    let (cert, key, ca) = (dir.path().join("tls.crt"), dir.path().join("tls.key"), dir.path().join("clients.crt"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::write(&ca, pem).unwrap();
    let data = dir.path().join("data");
    let config = format!(
        r#"[server.tls]
cert = {cert:?}
key = {key:?}
client_ca = {ca:?}
[[server.tls.client]]
name = "falco"
san = "uri:spiffe://prod/falco"
cluster = "prod"
kinds = ["falco"]
[[server.tls.client]]
name = "soc"
subject = "O=ops\\, \\=x, CN=soc"
scope = "admin"
"#
    );
    let service = Service::start(&data, &config);
    let token = std::process::Command::new(PROGRAM)
        .args(["token", "create", "--name", "hubble", "--kinds", "flow", "--config"])
        .arg(data.with_extension("toml"))
        .output()
        .unwrap();
    let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
    let (runtime, _) = client();
    runtime.block_on(async {
        let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
        let builder = || reqwest::Client::builder().no_proxy().tls_certs_only([root.clone()]);
        let with = |pem: &str| builder().identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap()).build().unwrap();
        let falco = with(&certificate(&issuer, "x", Some("spiffe://prod/falco")));
        let soc = with(&certificate(&issuer, "soc", None));
        let nobody = with(&certificate(&issuer, "Soc", Some("spiffe://prod/falco2")));
        let forged = with(&certificate(&stranger, "soc", Some("spiffe://prod/falco")));
        let plain = builder().build().unwrap();
        let (push, search) = (format!("{}/ingest/auto", service.url), format!("{}/api/v1/events/search", service.url));
        let alert = r#"{"hostname":"n1","output":"x","priority":"Notice","rule":"Shell","source":"syscall","tags":[],"time":"2026-01-01T00:00:00.000000001Z","output_fields":{"evt.time":1}}"#;
        let audit = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","requestURI":"/x","verb":"get","user":{"username":"alice"},"requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z","stageTimestamp":"2026-01-01T00:00:00.000002Z"}"#;
        let flow = r#"{"flow":{"time":"2026-01-01T00:00:00Z","verdict":"FORWARDED","IP":{"source":"10.0.0.1","destination":"10.0.0.2"}},"node_name":"n1","time":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(json(falco.post(&push).body(format!("{alert}\n{audit}"))).await.0, 200);
        assert_eq!(json(falco.get(&search)).await.0, 403);
        assert_eq!(json(nobody.post(&push).body(alert)).await.0, 401);
        assert_eq!(json(plain.post(&push).body(alert)).await.0, 401);
        assert!(forged.post(&push).body(alert).send().await.is_err());
        // A token that is shown counts, and it alone.
        assert_eq!(json(soc.get(&search).bearer_auth("brt_0")).await.0, 401);
        // The running service learns of a token that the command line made within a few seconds.
        let mut status = 0;
        for _ in 0..100 {
            status = json(nobody.post(&push).bearer_auth(&token).body(format!("{flow}\n{alert}"))).await.0;
            if status == 200 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(status, 200);
        let found = until(&soc, &search, |answer| answer["total"]["value"] == 4).await;
        let mut kinds: Vec<String> = found["events"].as_array().unwrap().iter().map(|event| format!("{} {}", event["cluster"].as_str().unwrap(), event["event"]["kind"].as_str().unwrap())).collect();
        kinds.sort();
        assert_eq!(kinds, ["default flow", "default other", "prod falco", "prod other"]);
    });
}
