use super::*;
use crate::model::Duration;
use crate::store::catalog::Catalog;
use crate::store::outbox::Routes;

fn new(name: &str, scope: Scope, expires: Option<Timestamp>) -> NewToken {
    NewToken {
        name: name.into(),
        scope,
        cluster: Some("prod".parse().unwrap()),
        source: Some(SourceId::from("push")),
        kinds: vec!["falco".into()],
        expires,
    }
}

async fn open(dir: &tempfile::TempDir, clock: &Clock) -> Catalog {
    Catalog::open(dir.path(), clock.clone(), Routes::none()).await.unwrap()
}

#[tokio::test]
async fn a_token_lives_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let start = Timestamp::from_seconds(1_767_225_600);
    let clock = Clock::simulated(start);
    let catalog = open(&dir, &clock).await;
    let tokens = catalog.tokens();
    assert!(!tokens.any());
    let (token, plaintext) = tokens.create(new("apiserver", Scope::Ingest, Some(start.plus(Duration::hours(1))))).await.unwrap();
    let (admin, admin_text) = tokens.create(new("alice", Scope::Admin, None)).await.unwrap();
    let text = plaintext.reveal().to_owned();
    assert!(text.len() == 4 + 12 + 1 + 43 && text.starts_with(&format!("brt_{}_", token.id)));
    assert_eq!(format!("{plaintext:?}"), "Plaintext(..)");
    let principal = tokens.verify(&text).unwrap();
    assert_eq!((principal.scope, principal.name.as_str(), principal.cluster.unwrap().as_str()), (Scope::Ingest, "apiserver", "prod"));
    assert_eq!(principal.source, Some(SourceId::from("push")));

    clock.advance(Duration::hours(1));
    assert_eq!(tokens.verify(&text), None, "it has expired");
    assert!(tokens.verify(admin_text.reveal()).is_some());
    catalog.close().await;
    let catalog = open(&dir, &clock).await;
    assert_eq!(catalog.tokens().verify(admin_text.reveal()).unwrap().scope, Scope::Admin);
    assert!(catalog.tokens().revoke(&admin.id).await.unwrap());
    assert!(!catalog.tokens().revoke(&admin.id).await.unwrap() && !catalog.tokens().revoke("nobody").await.unwrap());
    assert_eq!(catalog.tokens().verify(admin_text.reveal()), None);
    catalog.close().await;
    let catalog = open(&dir, &clock).await;
    assert_eq!(catalog.tokens().verify(admin_text.reveal()), None);
    assert!(catalog.tokens().any(), "revoking the last does not open the door again");
    assert_eq!(catalog.tokens().list().len(), 2);
    catalog.close().await;
    // The secret may have an underscore itself.
    let secret = text.splitn(3, '_').nth(2).unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "the secret is on disk");
    }
}

#[tokio::test]
async fn what_is_no_token_stands_for_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::System;
    let catalog = open(&dir, &clock).await;
    let (token, plaintext) = catalog.tokens().create(new("a", Scope::Admin, None)).await.unwrap();
    let right = plaintext.reveal();
    let other = if right.ends_with('A') { "B" } else { "A" };
    let cut: String = right.chars().take(right.len() - 1).collect();
    let table = [
        String::new(),
        "brt_".into(),
        "brt__".into(),
        right.replace("brt_", "BRT_"),
        format!("{right} "),
        format!("{cut}{other}"),
        cut,
        right.replace(&token.id, "000000000000"),
        format!("brt_{}_{}", token.id, "é".repeat(21)),
        "x".repeat(1_000_000),
    ];
    for text in table {
        assert_eq!(catalog.tokens().verify(&text), None, "{}", text.chars().take(80).collect::<String>());
    }
    assert!(catalog.tokens().verify(right).is_some());
    for name in ["", "a\nb", "x".repeat(201).as_str()] {
        assert!(matches!(catalog.tokens().create(new(name, Scope::Ingest, None)).await, Err(TokenError::Name)));
    }
    assert!("root".parse::<Scope>().is_err() && "ingest".parse() == Ok(Scope::Ingest));
}
