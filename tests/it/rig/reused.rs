//! An `Audit-ID` is the client's word: whoever sends an old one hides nothing by it.

use super::events::Kind;
use super::feeds::push;
use super::present::total;
use super::run::{Run, runtime};

#[test]
fn an_audit_id_that_is_used_again_hides_nothing() {
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let run = Run::new(dir.path(), &dir.path().join("data")).await;
        let process = run.up().unwrap();
        let first = run.oracle.issue(Kind::Audit, 1).lines(run.oracle.seed).remove(0);
        // Twice the same, then others under the same id.
        let others = [
            first.replace("\"get\"", "\"delete\""),
            first.replace("alice", "mallory"),
            first.replace("10.0.0.1", "10.0.0.2"),
            first.replace("/pods/web", "/pods/db"),
        ];
        for record in [first.clone(), first.clone()].into_iter().chain(others) {
            push(&run.client, &process.url, "k8s-audit", record, 1).await.unwrap();
        }
        let mut found = 0;
        for _ in 0..50 {
            found = total(&run.client, &process.url, "event.kind:k8s_audit").await.unwrap();
            if found == 5 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        assert_eq!(found, 5, "one record and four others under its id");
        process.kill();
    });
}
