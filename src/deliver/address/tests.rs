use super::*;

fn check(policy: &AddressPolicy, table: &[(&str, bool)]) {
    for (address, allowed) in table {
        assert_eq!(policy.check(address.parse().unwrap()).is_ok(), *allowed, "{address} with {policy:?}");
    }
}

#[test]
fn only_public_addresses_unless_told() {
    let never = [
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "169.254.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:a9fe:a9fe::1",
        "2001:0:53aa:64c::1",
        "2001:db8::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
        "100::1",
        "3fff::1",
    ];
    let private = [
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "::10.1.2.3",
        "fc00::1",
        "fd12:3456::1",
    ];
    let public =
        ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1", "192.169.0.1", "2606:4700::1111", "2a00:1450::1"];
    let with = |addresses: &[&'static str], allowed: bool| addresses.iter().map(|address| (*address, allowed)).collect::<Vec<_>>();
    let strict = AddressPolicy::default();
    check(&strict, &with(&never, false));
    check(&strict, &with(&private, false));
    check(&strict, &with(&public, true));
    let open = AddressPolicy { allow_private: true, allow_cidrs: Vec::new() };
    check(&open, &with(&never, false));
    check(&open, &with(&private, true));
    check(&open, &with(&public, true));
    let some = AddressPolicy { allow_private: false, allow_cidrs: vec!["10.1.0.0/16".parse().unwrap(), "169.254.7.7".parse().unwrap()] };
    check(
        &some,
        &[("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.0.1", false), ("169.254.7.7", true), ("169.254.7.8", false), ("127.0.0.1", false)],
    );
}

#[test]
fn one_bad_address_refuses_the_name() {
    let sockets = |list: &[&str]| list.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 443)).collect::<Vec<_>>();
    let policy = AddressPolicy::default();
    assert!(policy.check_all(&sockets(&["8.8.8.8", "1.1.1.1"])).is_ok());
    assert!(policy.check_all(&sockets(&["8.8.8.8", "10.0.0.1"])).is_err());
}

#[test]
fn ranges_are_read_or_refused() {
    for (text, ok) in [
        ("10.0.0.0/8", true),
        ("::/0", true),
        ("0.0.0.0/0", true),
        ("1.2.3.4", true),
        ("1.2.3.4/33", false),
        ("::/129", false),
        ("a/8", false),
        ("1.2.3.4/", false),
        ("1.2.3.4/-1", false),
    ] {
        assert_eq!(text.parse::<Cidr>().is_ok(), ok, "{text}");
    }
    let everything: Cidr = "0.0.0.0/0".parse().unwrap();
    assert!(everything.contains("9.9.9.9".parse().unwrap()) && !everything.contains("::1".parse().unwrap()));
    assert_eq!(everything.to_string(), "0.0.0.0/0");
}
