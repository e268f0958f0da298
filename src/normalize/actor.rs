//! Who acts: the type of a user, by its name and groups.

use crate::model::{Facts, Field};

/// What a user name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor<'a> {
    ServiceAccount { namespace: &'a str, name: &'a str },
    Node(&'a str),
    Anonymous,
    System(&'a str),
    Human(&'a str),
}

impl<'a> Actor<'a> {
    /// Reads a user name that is not empty.
    pub(super) fn of(name: &'a str) -> Self {
        if let Some((namespace, account)) = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
            && !namespace.is_empty()
            && !account.is_empty()
        {
            return Self::ServiceAccount { namespace, name: account };
        }
        match name.strip_prefix("system:node:") {
            Some(node) if !node.is_empty() => Self::Node(node),
            _ if name == "system:anonymous" => Self::Anonymous,
            _ if name.starts_with("system:") => Self::System(name),
            _ => Self::Human(name),
        }
    }

    /// As `actor.user.type` shows it.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::ServiceAccount { .. } => "service_account",
            Self::Node(_) => "node",
            Self::Anonymous => "anonymous",
            Self::System(_) => "system",
            Self::Human(_) => "human",
        }
    }

    /// Name, type and entity of who acts.
    pub(super) fn push_facts(self, name: &str, facts: &mut Facts) {
        facts.push_text(Field::ActorUserName, name);
        facts.push_text(Field::ActorUserType, self.type_name());
        self.push_entity(facts);
    }

    /// The entity it is.
    pub(super) fn push_entity(self, facts: &mut Facts) {
        match self {
            Self::ServiceAccount { namespace, name } => facts.push_joined(Field::Entity, &["sa:", namespace, "/", name]),
            Self::Node(node) => facts.push_joined(Field::Entity, &["node:", node]),
            Self::Anonymous => facts.push_text(Field::Entity, "user:system:anonymous"),
            Self::System(name) | Self::Human(name) => facts.push_joined(Field::Entity, &["user:", name]),
        }
    }
}
