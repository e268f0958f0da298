//! Findings into the store of alerts, and the word to those who listen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::model::{Alert, Change, Finding};
use crate::ports::{AlertStore, StoreError};

/// Publishes for all who find something. Findings of one alert may come from several at once: they join, in whatever order.
#[derive(Clone)]
pub(super) struct Publisher {
    alerts: Arc<dyn AlertStore>,
    pub(super) on_change: Option<mpsc::Sender<(Alert, Change)>>,
    opened: Arc<AtomicU64>,
}

impl Publisher {
    pub(super) fn new(alerts: Arc<dyn AlertStore>) -> Self {
        Self { alerts, on_change: None, opened: Arc::default() }
    }

    /// Alerts opened or reopened so far.
    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    pub(super) async fn publish(&self, findings: &[Finding]) -> Result<(), StoreError> {
        if findings.is_empty() {
            return Ok(());
        }
        for (alert, change) in self.alerts.publish(findings).await? {
            if matches!(change, Change::Opened | Change::Reopened) {
                self.opened.fetch_add(1, Ordering::Relaxed);
            }
            if matches!(change, Change::Opened | Change::Reopened | Change::Superseded)
                && let Some(to) = &self.on_change
            {
                // Nobody listening is no error: the alert is in the store.
                let _ = to.send((alert, change)).await;
            }
        }
        Ok(())
    }
}
