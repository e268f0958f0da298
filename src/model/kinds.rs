//! A set of kinds: what a source, or the route of a push, may carry.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Kind;

/// Kinds that records of a place may claim. [`Kind::Other`] claims nothing and is always allowed; who may bring a sensor's alerts or flows may bring
/// what the sensor says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u16);

impl Kinds {
    /// No restriction.
    pub const ALL: Self = Self(u16::MAX);

    /// One kind alone.
    pub const fn only(kind: Kind) -> Self {
        Self(1 << kind as u16)
    }

    /// Whether a record may claim this kind.
    pub fn allow(self, kind: Kind) -> bool {
        let asked = match kind {
            Kind::Other => return true,
            Kind::SourceHealth => Self::only(kind).0 | Self::only(Kind::Falco).0 | Self::only(Kind::Flow).0,
            _ => Self::only(kind).0,
        };
        self.0 & asked != 0
    }

    /// No kind at all.
    pub const NONE: Self = Self(0);

    /// These and one more.
    #[must_use]
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | Self::only(kind).0)
    }

    /// What either allows.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any kind is in both.
    pub fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What both allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Default for Kinds {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<Kind> for Kinds {
    /// These kinds and no others.
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | Self::only(kind).0))
    }
}

/// Written as names, so that the order of [`Kind`] may change; all of them as `null`.
impl Serialize for Kinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = Kind::ALL.into_iter().filter(|kind| self.0 & Self::only(*kind).0 != 0).map(Kind::name);
        (*self != Self::ALL).then(|| names.collect::<Vec<_>>()).serialize(serializer)
    }
}

/// A name that this build does not know allows nothing.
impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Option::<Vec<String>>::deserialize(deserializer)?;
        Ok(names.map_or(Self::ALL, |names| names.iter().filter_map(|name| Kind::by_name(name)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (kinds, text) in [
            (Kinds::ALL, "null"),
            (Kinds::only(Kind::Falco), r#"["falco"]"#),
            ([Kind::Flow, Kind::K8sAudit].into_iter().collect(), r#"["k8s_audit","flow"]"#),
            (Kinds::only(Kind::Falco).and(Kinds::only(Kind::Flow)), "[]"),
        ] {
            assert_eq!(serde_json::to_string(&kinds).unwrap(), text);
            assert_eq!(serde_json::from_str::<Kinds>(text).unwrap(), kinds);
            for kind in Kind::ALL {
                let is_sensor = kind == Kind::SourceHealth && (text.contains("falco") || text.contains("flow"));
                let expected = text == "null" || text.contains(kind.name()) || kind == Kind::Other || is_sensor;
                assert_eq!(kinds.allow(kind), expected, "{text}: {}", kind.name());
            }
        }
        assert_eq!(serde_json::from_str::<Kinds>(r#"["falco","of_a_newer_build"]"#).unwrap(), Kinds::only(Kind::Falco));
    }
}
