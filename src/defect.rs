//! Defects on purpose: each breaks one promise, so that the rigs can show that they would see it (`tests/rigs defects`).
//!
//! They are in builds with `--cfg bartizan_defects` alone, and there the environment says which one; in any other build [`is`] is false for good.

#[cfg(bartizan_defects)]
static CHOSEN: std::sync::LazyLock<Option<String>> = std::sync::LazyLock::new(chosen);

#[cfg(bartizan_defects)]
#[expect(clippy::disallowed_methods, reason = "no setting of the program: such a build is made to be broken")]
fn chosen() -> Option<String> {
    std::env::var("BARTIZAN_DEFECT").ok()
}

/// Whether this defect is the chosen one.
#[cfg(bartizan_defects)]
pub(crate) fn is(name: &str) -> bool {
    CHOSEN.as_deref() == Some(name)
}

/// Whether this defect is the chosen one: there is none in this build.
#[cfg(not(bartizan_defects))]
pub(crate) const fn is(_name: &str) -> bool {
    false
}

/// Bytes of a file of the spool: few where a defect is chosen, `none` of them included, since some show only when files go.
#[cfg(all(bartizan_defects, feature = "embedded"))]
pub(crate) fn file_bytes(ordinary: u64) -> u64 {
    if CHOSEN.is_some() { 64 << 10 } else { ordinary }
}

/// Bytes of a file of the spool: as asked in this build.
#[cfg(all(not(bartizan_defects), feature = "embedded"))]
pub(crate) const fn file_bytes(ordinary: u64) -> u64 {
    ordinary
}

/// Keeps a text, and returns what was kept before: some defects go by the past.
#[cfg(all(bartizan_defects, feature = "embedded"))]
pub(crate) fn keep(text: Option<String>) -> Option<String> {
    static KEPT: std::sync::Mutex<Option<String>> = std::sync::Mutex::new(None);
    std::mem::replace(&mut *KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner), text)
}

/// Nothing is kept in this build.
#[cfg(all(not(bartizan_defects), feature = "embedded"))]
pub(crate) const fn keep(text: Option<String>) -> Option<String> {
    text
}
