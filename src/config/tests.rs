use super::*;

fn environment(name: &str) -> Option<String> {
    let known = [("SOC_SECRET", "whsec_c2VjcmV0"), ("EMPTY", "")];
    known.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
}

/// Loads the text and gives the report of what is wrong, or `ok`.
fn check(text: &str) -> String {
    match Config::parse(text, "bartizan.toml", &environment) {
        Ok(_) => "ok".to_owned(),
        Err(report) => report.to_string(),
    }
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Report> {
    let env = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()).or_else(|| environment(name));
    Config::parse(text, "bartizan.toml", &env)
}

#[test]
fn nothing_written_gives_the_contracts_defaults() {
    let config = Config::load(None, |_| None).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:7117");
    assert_eq!(config.store.path.to_str(), Some("./data"));
    assert!(config.sources.is_empty() && config.notifiers.is_empty() && config.routes.is_empty());
}

#[test]
fn every_key_of_the_schema_stands_in_the_defaults() {
    fn walk(path: &str, schema: &Schema, missing: &mut Vec<String>) {
        for (key, inner) in schema.get("properties").and_then(Schema::as_object).into_iter().flatten() {
            if !DEFAULT_TOML.contains(&format!("{key} =")) && !DEFAULT_TOML.contains(&format!("{key}]")) {
                missing.push(format!("{path}.{key}"));
            }
            walk(&format!("{path}.{key}"), inner, missing);
            walk(&format!("{path}.{key}"), inner.get("items").unwrap_or(&Schema::Null), missing);
        }
    }
    let mut missing = Vec::new();
    walk("", &Config::schema(), &mut missing);
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn one_report_has_every_problem() {
    let text = r#"
[server]
adress = "0.0.0.0:1"
listen = "localhost"
connections_max = 0

[log]
format = "xml"
[stroe]
path = "x"

[[source]]
name = "audit"
kind = "s3"
brokers = ["a:1"]
poll_s = "often"

[[source]]
name = "audit"
kind = "ftp"

[[notifier]]
name = "soc"
kind = "webhook"
url = "https://user:pw@soc.example"
secret = "hunter2"

[[route]]
notifiers = ["sco"]
level_min = "severe"
"#;
    let expected = r"bartizan.toml:3: unknown key `adress` in `server` (known: bodies_in_flight_bytes_max, body_bytes_max, connections_max, drain_s, hosts, listen, searches_per_principal_max, tls)
bartizan.toml:4: `server.listen` must be an IP address and a port, as `127.0.0.1:7117` or `[::]:7117`
bartizan.toml:5: `server.connections_max` must be from 1 to 4294967295
bartizan.toml:8: `log.format` must be one of text, json
bartizan.toml:9: unknown key `stroe` at the top (did you mean `store`?)
bartizan.toml:12: `source[0]` of kind `s3` has no `bucket`
bartizan.toml:15: a source of kind `s3` has no key `brokers` (kind `kafka` has)
bartizan.toml:16: `source[0].poll_s` must be an integer, not a string
bartizan.toml:19: there is another source named `audit`
bartizan.toml:20: unknown kind `ftp` of source (known: s3, kafka, file, push)
bartizan.toml:25: `notifier[0].url` must be a URL that starts with `https://` or `http://` and holds no password
bartizan.toml:26: `notifier[0].secret` a secret is written as `env:NAME` or `file:/path`, never as itself
bartizan.toml:29: there is no notifier `sco`
bartizan.toml:30: `route[0].level_min` must be one of informational, low, medium, high, critical
14 problems in the configuration";
    assert_eq!(check(text), expected);
}

#[test]
fn broken_files() {
    let table: &[(&str, &str)] = &[
        ("", "ok"),
        ("[server]\nlisten = \"[::]:80\"", "ok"),
        ("[server\n", "bartizan.toml:1: unclosed table, expected `]`\n1 problem in the configuration"),
        ("[enrich]\ngeo = 1", "bartizan.toml:2: unknown key `geo` in `enrich` (nothing can be set there)\n1 problem in the configuration"),
        ("server = 1", "bartizan.toml:1: `server` must be a table, not an integer\n1 problem in the configuration"),
        ("[server.tls]\ncert = \"a\"", "bartizan.toml:1: `server.tls` needs both `cert` and `key`\n1 problem in the configuration"),
        (
            "[[source]]\nname = \"a\"\nkind = \"s3\"\nbucket = \"b\"\naccess_key = \"env:NOPE\"\nsecret_key = \"env:EMPTY\"",
            "bartizan.toml:5: `source[0].access_key`: the environment variable `NOPE` is not set\n\
             bartizan.toml:6: `source[0].secret_key`: the secret at `env:EMPTY` is empty\n2 problems in the configuration",
        ),
        (
            "[[source]]\nname = \"a\"\nkind = \"s3\"\nbucket = \"b\"\nqueue = \"sqs.eu-west-1.amazonaws.com/1/q\"\nsweep_s = 0\nprofile = \"p\"",
            "bartizan.toml:5: `source[0].queue` must be a URL\n\
             bartizan.toml:6: `source[0].sweep_s` must be from 1 to 86400\n2 problems in the configuration",
        ),
        (
            "[[drop]]\nquery = \"verb:(get\"\n[[drop]]\nname = \"x\"\n[[source]]\nname = \"p\"\nkind = \"push\"\nworkloads = [\"falco\"]",
            "bartizan.toml:1: `drop[0]` has no `name`\n\
             bartizan.toml:2: `drop[0].query`: the parenthesis is never closed at character 6: add `)`, or write `\\(` for the character itself\n\
             bartizan.toml:8: `source[0].workloads[0]`: a colon is missing: write `NAMESPACE/POD: KIND`, such as `falco/*: falco`\n\
             bartizan.toml: `drop[1].query` is empty, which would be every event: write `*` if that is meant\n4 problems in the configuration",
        ),
        (
            "[[source]]\nname = \"a b\"\nkind = \"push\"\ncluster_pattern = \"x\"\nkinds = [\"audit\"]",
            "bartizan.toml:2: `source[0].name` must be 1 to 63 letters, digits, `-`, `_` or `.`\n\
             bartizan.toml:4: `source[0].cluster_pattern` must have a group: `^audit/([^/]+)/`\n\
             bartizan.toml:5: `source[0].kinds[0]` must be a kind of event (k8s_audit, falco, flow, policy, fim, finding, cloud_audit, k8s_event, other, source_health), not `audit`\n\
             3 problems in the configuration",
        ),
        (
            "[[source]]\nname = \"a\"\nkind = \"file\"\n[[source]]\nname = \"b\"\nkind = \"file\"\npaths = [\"/var/log/*.log\", \"\"]\nexclude = [\"\"]\nstart = \"now\"",
            "bartizan.toml:1: `source[0]` of kind `file` has no `paths`\n\
             bartizan.toml:7: `source[1].paths[1]`: a path is empty\n\
             bartizan.toml:8: `source[1].exclude[0]`: a path is empty\n\
             bartizan.toml:9: `source[1].start` must be one of beginning, end\n4 problems in the configuration",
        ),
        (
            "[[source]]\nname = \"a\"\nkind = \"file\"\npath = \"/var/log/x.log\"\npaths = [\"/var/log/pods\"]\nexclude = [\"*.tmp\"]\nstart = \"end\"\ncluster_pattern = \"^/logs/([^/]+)/\"",
            "ok",
        ),
        (
            "[server.tls]\ncert = \"a\"\nkey = \"b\"\n[[server.tls.client]]\nsubject = \"CN=x\"\nkinds = [\"audit\"]\n[[server.tls.client]]\nname = \"y\"\nsan = \"spiffe://x\"\n[[server.tls.client]]\nname = \"z\"\nscope = \"root\"",
            "bartizan.toml:4: `[[server.tls.client]]` needs `client_ca`: the authority that vouches for clients\n\
             bartizan.toml:4: `server.tls.client[0]` has no `name`\n\
             bartizan.toml:6: `server.tls.client[0].kinds[0]` must be a kind of event (k8s_audit, falco, flow, policy, fim, finding, cloud_audit, k8s_event, other, source_health), not `audit`\n\
             bartizan.toml:9: `server.tls.client[1].san` must say its kind: one of dns:, uri:, email:, ip:\n\
             bartizan.toml:10: `server.tls.client[2]` has neither `subject` nor `san`: it would be nobody\n\
             bartizan.toml:12: `server.tls.client[2].scope` must be one of ingest, admin\n6 problems in the configuration",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(check(text), *expected, "{text}");
    }
}

#[cfg(not(feature = "scale"))]
#[test]
fn kafka_names_the_feature_it_needs() {
    let report = check("[[source]]\nname = \"a\"\nkind = \"kafka\"\nbrokers = [\"a:1\"]\ntopics = [\"t\"]");
    assert!(report.starts_with("bartizan.toml:3: a source of kind `kafka` needs a build with the feature `scale`"), "{report}");
}

#[cfg(feature = "scale")]
#[test]
fn keys_of_kafka_go_together() {
    let source = |more: &str| format!("[[source]]\nname = \"k\"\nkind = \"kafka\"\nbrokers = [\"a:9093\"]\ntopics = [\"t\"]\n{more}");
    let name = "must be a topic's name (1 to 249 letters, digits, `.`, `_`, `-` or `/`), or a pattern that begins with `^`";
    let table: &[(&str, &str)] = &[
        ("", "ok"),
        ("tls = true\nsasl = \"plain\"\nusername = \"$ConnectionString\"\npassword = \"env:SOC_SECRET\"", "ok"),
        ("start = \"end\"\ninstance = \"a-0\"\ngroup = \"g\"\nmessage_bytes_max = 2000000", "ok"),
        ("start = \"latest\"", "bartizan.toml:6: `source[0].start` must be one of beginning, end\n1 problem in the configuration"),
        ("sasl = \"gssapi\"", "bartizan.toml:6: `source[0].sasl` must be one of plain, scram-sha-256, scram-sha-512\n1 problem in the configuration"),
        (
            "username = \"u\"",
            "bartizan.toml:1: `source[0]` needs all of `sasl`, `username` and `password`, or none (Event Hubs: `plain`, `$ConnectionString`, and the connection string)\n1 problem in the configuration",
        ),
        ("tls_ca = \"ca\"", "bartizan.toml:6: `source[0].tls_ca` says nothing without `tls = true`\n1 problem in the configuration"),
        ("tls = true\ntls_key = \"k\"", "bartizan.toml:1: `source[0]` needs both `tls_cert` and `tls_key`, or none\n1 problem in the configuration"),
        ("bucket = \"b\"", "bartizan.toml:6: a source of kind `kafka` has no key `bucket` (kind `s3` has)\n1 problem in the configuration"),
    ];
    for (more, expected) in table {
        assert_eq!(check(&source(more)), *expected, "{more}");
    }
    let lists = "[[source]]\nname = \"k\"\nkind = \"kafka\"\nbrokers = [\"https://a:1\", \"b\"]\ntopics = [\"audit.*\", \"^(\"]";
    let expected = format!(
        "bartizan.toml:4: `source[0].brokers[0]` must be a host and a port, as `kafka.example.com:9093`\n\
         bartizan.toml:4: `source[0].brokers[1]` must be a host and a port, as `kafka.example.com:9093`\n\
         bartizan.toml:5: `source[0].topics[0]` {name}\n\
         bartizan.toml:5: `source[0].topics[1]` is no regular expression\n4 problems in the configuration"
    );
    assert_eq!(check(lists), expected);
}

#[test]
fn entries_have_the_defaults_of_their_kind_and_secrets_stay_hidden() {
    let text = "[[source]]\nname=\"b\"\nkind=\"s3\"\nbucket=\"logs\"\ncluster=\"prod\"\n[[notifier]]\nname=\"soc\"\nkind=\"webhook\"\nurl=\"https://a\"\nsecret=\"env:SOC_SECRET\"\n[[route]]\nnotifiers=[\"soc\"]\n";
    let config = load(text, &[]).unwrap();
    assert_eq!(config.sources[0].poll_s, Some(10));
    let files = load("[[source]]\nname=\"f\"\nkind=\"file\"\npath=\"/x\"\npaths=[\"/y\"]", &[]).unwrap().sources.remove(0);
    assert_eq!(
        (files.all_paths(), files.start, files.exclude, files.poll_s),
        (vec!["/x".to_owned(), "/y".to_owned()], Some(StartName::Beginning), Some(Vec::new()), Some(1))
    );
    assert_eq!((config.sources[0].poll_s, config.sources[0].sweep_s, config.sources[0].region.as_deref()), (Some(10), Some(600), None));
    assert_eq!(config.routes[0].level_min, Some(crate::model::Level::Medium));
    let secret = config.notifiers[0].secret.as_ref().unwrap();
    assert_eq!(secret.expose(), "whsec_c2VjcmV0");
    let shown = format!("{config:?}{}{}", config.print(), serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("whsec_"), "{shown}");
    assert!(config.print().contains("secret = \"env:SOC_SECRET\""));
    assert_eq!(load(&config.print(), &[]).unwrap(), config);
}

#[test]
fn variables_lie_over_the_file() {
    let variables = [
        ("BARTIZAN_SERVER_LISTEN", "0.0.0.0:80"),
        ("BARTIZAN_SERVER_HOSTS", "a.example, b.example"),
        ("BARTIZAN_STORE_FLUSH_EVERY_S", "7"),
        ("BARTIZAN_SERVER_TLS_CERT", "c.pem"),
        ("BARTIZAN_SERVER_TLS_KEY", "k.pem"),
    ];
    let config = load("[server]\nlisten = \"127.0.0.1:1\"\n", &variables).unwrap();
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:80");
    assert_eq!(config.server.hosts, ["a.example", "b.example"]);
    assert_eq!(config.store.flush_every_s, 7);
    assert_eq!(config.server.tls.unwrap().key.unwrap().to_str(), Some("k.pem"));

    let wrong = load("", &[("BARTIZAN_STORE_FLUSH_EVERY_S", "soon"), ("BARTIZAN_LOG_FORMAT", "xml")]).unwrap_err().to_string();
    let expected = r"environment: `BARTIZAN_LOG_FORMAT` must be one of text, json
environment: `BARTIZAN_STORE_FLUSH_EVERY_S` must be a number
2 problems in the configuration";
    assert_eq!(wrong, expected);
}

#[test]
fn a_file_that_is_not_there_is_a_problem_like_any_other() {
    let report = Config::load(Some(Path::new("no/such.toml")), |_| None).unwrap_err().to_string();
    assert!(report.starts_with("no/such.toml: cannot read the configuration: "), "{report}");
}
