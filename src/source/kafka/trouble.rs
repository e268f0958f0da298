//! What goes wrong between us and the brokers, told once a minute and with advice, however often the client says it.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use tokio::time::Instant;

/// The same trouble is told again after so long.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Bytes of what a broker said that are shown.
const SAID_CHARS_MAX: usize = 300;

/// What can be wrong. The most telling first: it is the one that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Fenced,
    Credentials,
    Tls,
    Group,
    TopicRefused,
    TopicUnknown,
    TooLarge,
    Damaged,
    Unreachable,
    Other,
}

impl Trouble {
    const ALL: [Self; 10] = [
        Self::Fenced,
        Self::Credentials,
        Self::Tls,
        Self::Group,
        Self::TopicRefused,
        Self::TopicUnknown,
        Self::TooLarge,
        Self::Damaged,
        Self::Unreachable,
        Self::Other,
    ];

    /// What it means, and what to do.
    fn advice(self) -> &'static str {
        match self {
            Self::Fenced => "another process reads with the same `instance` of the group: give each its own",
            Self::Credentials => "the brokers refuse the credentials: check `sasl`, `username` and `password`",
            Self::Tls => "no TLS session with the brokers: check `tls`, `tls_ca`, `tls_cert` and `tls_key`, and that the port is one that speaks TLS",
            Self::Group => "the user may not read with this group: grant it `Read` on the group, or set another `group`",
            Self::TopicRefused => "the user may not read the topic: grant it `Read` and `Describe` on the topic",
            Self::TopicUnknown => "there is no such topic: create it, or correct `topics`",
            Self::TooLarge => "a batch is larger than can be received: lower `message.max.bytes` of the brokers or the topic",
            Self::Damaged => {
                "a batch is damaged: it is skipped once something after it can be read; where all are, the service makes no checksums: set `check_crcs = false`"
            }
            Self::Unreachable => "no broker can be reached: check `brokers`, and that they run; tried again all the time",
            Self::Other => "the client reports an error",
        }
    }

    /// What an error or a line of the client's log is about. `None`: nothing is wrong.
    pub(super) fn of(code: Option<RDKafkaErrorCode>, text: &str) -> Option<Self> {
        use RDKafkaErrorCode as Code;
        // A refused password reaches us as a broken connection: only the text says what broke it.
        if text.contains("uthentication failed") || text.contains("SASL handshake") || text.contains("SaslAuthenticateRequest failed") {
            return Some(Self::Credentials);
        }
        if text.contains("SSL handshake") || text.contains("ertificate verify") || text.contains("might be plaintext") {
            return Some(Self::Tls);
        }
        if text.contains("Invalid response size") {
            return Some(Self::TooLarge);
        }
        Some(match code? {
            Code::FencedInstanceId => Self::Fenced,
            Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => Self::Credentials,
            Code::SSL => Self::Tls,
            Code::GroupAuthorizationFailed => Self::Group,
            Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => Self::TopicRefused,
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::InvalidTopic => Self::TopicUnknown,
            Code::BadMessage | Code::BadCompression | Code::MessageSizeTooLarge | Code::NotImplemented | Code::InvalidMessage => Self::Damaged,
            Code::AllBrokersDown | Code::BrokerTransportFailure | Code::Resolve | Code::OperationTimedOut => Self::Unreachable,
            Code::NoError | Code::PartitionEOF | Code::AutoOffsetReset => return None,
            _ => Self::Other,
        })
    }
}

/// Troubles that are not over.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// What was said last, and when it was told last.
    open: std::collections::BTreeMap<Trouble, (String, Instant)>,
}

impl Troubles {
    /// One more. Gives what is to be logged, if it is time again.
    pub(super) fn add(&mut self, trouble: Trouble, said: &str, now: Instant) -> Option<String> {
        let said: String = said.chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect();
        let told = self.open.get(&trouble).map(|(_, told)| *told);
        let is_due = told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY);
        let text = format!("{}: {said}", trouble.advice());
        self.open.insert(trouble, (said, if is_due { now } else { told.unwrap_or(now) }));
        is_due.then_some(text)
    }

    /// Brokers answer: what stood between us and them is over.
    pub(super) fn answered(&mut self) {
        for trouble in [Trouble::Fenced, Trouble::Credentials, Trouble::Tls, Trouble::Group, Trouble::Unreachable, Trouble::Other] {
            self.open.remove(&trouble);
        }
    }

    /// One kind is over.
    pub(super) fn end(&mut self, trouble: Trouble) {
        self.open.remove(&trouble);
    }

    /// The most telling of what is wrong.
    pub(super) fn shown(&self) -> Option<String> {
        let first = Trouble::ALL.iter().find_map(|trouble| self.open.get(trouble).map(|(said, _)| (trouble, said)));
        first.map(|(trouble, said)| if said.is_empty() { trouble.advice().to_owned() } else { format!("{} ({said})", trouble.advice()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a code and a text are about.
    fn check(code: Option<RDKafkaErrorCode>, text: &str, expected: Option<Trouble>) {
        assert_eq!(Trouble::of(code, text), expected, "{code:?} {text}");
    }

    #[test]
    fn an_error_is_told_by_what_it_means() {
        use RDKafkaErrorCode as Code;
        let refused = "sasl_ssl://127.0.0.1:1/bootstrap: SASL authentication error: Authentication failed: Invalid username or password";
        check(Some(Code::BrokerTransportFailure), refused, Some(Trouble::Credentials));
        check(None, refused, Some(Trouble::Credentials));
        check(Some(Code::SSL), "ssl://127.0.0.1:1/bootstrap: SSL handshake failed", Some(Trouble::Tls));
        check(Some(Code::AllBrokersDown), "2/2 brokers are down", Some(Trouble::Unreachable));
        check(Some(Code::GroupAuthorizationFailed), "", Some(Trouble::Group));
        check(Some(Code::AutoOffsetReset), "fetch failed", None);
        check(None, "Connection setup", None);
    }

    #[test]
    fn a_stream_of_errors_is_told_once_a_minute_and_ends_when_brokers_answer() {
        let (mut troubles, start) = (Troubles::default(), Instant::now());
        let told = (0..600).filter(|tenth| {
            let now = start + Duration::from_millis(tenth * 100 * 2);
            troubles.add(Trouble::Unreachable, "3/3 brokers are down", now).is_some()
        });
        assert_eq!(told.count(), 2);
        assert!(troubles.add(Trouble::Credentials, "no", start).is_some());
        assert!(troubles.shown().unwrap().contains("refuse the credentials"));
        troubles.answered();
        assert_eq!(troubles.shown(), None);
    }
}
