//! Tests of patterns, rights, and directories of peers.

#![allow(clippy::unwrap_used)]

use super::{Pattern, PeerDirectory, PeerEntry, PeerError, Rights, RuleError};
use crate::{
    auth::{AuthKey, AuthKeys},
    wire::{
        limits::{PEER_AUTHKEYS_MAX, PEER_KEYS_MAX, PEER_RULES_MAX, PEERS_MAX},
        method::MethodName,
    },
};

fn key(text: &str) -> AuthKey {
    AuthKey::new(format!("{text:0>16}")).unwrap()
}

fn entry(name: &str) -> PeerEntry {
    PeerEntry::new(name).unwrap()
}

#[test]
fn a_pattern_matches_its_name_or_every_name_below_its_prefix() {
    let cases = [
        ("users.get", "users.get", true),
        ("users.get", "users.getter", false),
        ("users.*", "users.get", true),
        ("users.*", "users.admin.get", true),
        ("users.*", "users2.get", false),
        ("users.*", "users.", false),
        ("*", "users.get", true),
    ];
    for (pattern, name, expected) in cases {
        assert_eq!(Pattern::of_methods(pattern).unwrap().matches(name), expected, "{pattern} {name}");
    }
    let serves = |pattern: &str, service: &str| Pattern::of_services(pattern).unwrap().matches(service);
    assert!(serves("users", "users") && serves("billing.*", "billing.invoices") && serves("*", "users"));
    assert!(!serves("users", "users.admin") && !serves("billing.*", "billing"));
}

#[test]
fn an_invalid_rule_is_an_error_with_the_rule() {
    for rule in ["", "users", "users.*.get", "*.get", "us*", "users.get ", "users..get", "**"] {
        let error = Pattern::of_methods(rule).unwrap_err();
        assert_eq!(error, RuleError::Call(rule.to_owned()));
        assert!(error.to_string().contains("users.* for all methods"), "{error}");
    }
    for rule in ["", ".*", "us*", "users get"] {
        assert_eq!(Pattern::of_services(rule).unwrap_err(), RuleError::Serve(rule.to_owned()));
    }
    let long = "x".repeat(200);
    assert!(Pattern::of_methods(&long).unwrap_err().to_string().len() < 200);
    let many = vec!["users.get"; PEER_RULES_MAX + 1];
    assert_eq!(Rights::new(&many, &[], false).unwrap_err(), RuleError::TooMany);
}

#[test]
fn rights_deny_what_no_rule_allows() {
    let rights = Rights::new(&["calculator.*", "users.get"], &["users"], false).unwrap();
    let may_call = |method: &str| rights.may_call(&MethodName::parse(method).unwrap());
    assert!(may_call("calculator.add") && may_call("users.get"));
    assert!(!may_call("users.delete") && !may_call("callboard.peers"));
    assert!(rights.may_serve("users") && !rights.may_serve("calculator") && !rights.may_operate());
}

#[test]
fn a_peer_with_rules_is_an_operator_only_by_its_rule() {
    let with = |operate| entry("web").with_rights(Rights::new(&["*"], &["*"], operate).unwrap());
    assert!(entry("web").is_operator() && with(true).is_operator() && !with(false).is_operator());
    assert!(!entry("web").with_roles("client".parse().unwrap()).is_operator());
}

#[test]
fn a_directory_is_checked() {
    let error = |entries: Vec<PeerEntry>| PeerDirectory::new(entries).unwrap_err();
    assert_eq!(error(vec![]), PeerError::Empty);
    assert_eq!(error(vec![entry("web")]), PeerError::NoCredential("web".to_owned()));
    let duplicates = [
        (entry("web").with_authkey(key("1")), entry("web").with_authkey(key("2"))),
        (entry("web").with_authkey(key("1")), entry("jobs").with_authkey(key("1"))),
        (entry("web").with_public_key([1; 32]), entry("jobs").with_public_key([1; 32])),
    ];
    for (one, other) in duplicates {
        assert!(matches!(error(vec![one, other]), PeerError::Duplicate(..)));
    }
    let peers = |count: usize, entry: fn(PeerEntry, usize) -> PeerEntry| {
        (0..count).map(|number| entry(PeerEntry::new(&format!("peer-{number}")).unwrap(), number)).collect()
    };
    let keyed = |peer: PeerEntry, number: usize| peer.with_authkey(key(&number.to_string()));
    let public = |peer: PeerEntry, number: usize| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        peer.with_public_key(key)
    };
    let two_authkeys = |peer: PeerEntry, number: usize| {
        peer.with_authkey(key(&format!("{number}a"))).with_authkey(key(&format!("{number}b")))
    };
    assert_eq!(error(peers(PEER_AUTHKEYS_MAX + 1, keyed)), PeerError::TooMany);
    assert_eq!(error(peers(PEERS_MAX + 1, public)), PeerError::TooMany);
    assert_eq!(PeerDirectory::new(peers(PEERS_MAX, public)).unwrap().iter().count(), PEERS_MAX);
    assert_eq!(error(peers(PEER_AUTHKEYS_MAX / 2 + 1, two_authkeys)), PeerError::TooMany);
    for name in ["", "a b", "web\n", "ü"] {
        assert_eq!(PeerEntry::new(name).unwrap_err(), PeerError::Name(name.to_owned()));
    }
}

#[test]
fn a_peer_may_have_several_keys_that_no_other_peer_has() {
    let error = |entries: Vec<PeerEntry>| PeerDirectory::new(entries).unwrap_err();
    let web = || entry("web").with_public_key([1; 32]).with_public_key([2; 32]);
    assert_eq!(PeerDirectory::new(vec![web()]).unwrap().with_public_key(&[2; 32]).unwrap().name().unwrap(), "web");
    assert!(matches!(error(vec![web(), entry("jobs").with_public_key([2; 32])]), PeerError::Duplicate(..)));
    assert_eq!(error(vec![web().with_public_key([1; 32])]), PeerError::KeyTwice("web".to_owned()));
    let many = (0..=PEER_KEYS_MAX).fold(entry("web"), |web, number| web.with_authkey(key(&number.to_string())));
    assert_eq!(error(vec![many]), PeerError::TooManyKeys("web".to_owned()));
}

#[test]
fn the_keys_of_a_key_file_are_peers_without_rights() {
    let keys: AuthKeys = "id=first key=0123456789abcdef\nroles=client key=fedcba9876543210\n".parse().unwrap();
    let directory = PeerDirectory::from(keys);
    let names: Vec<_> = directory.iter().map(|peer| peer.name().map(ToString::to_string)).collect();
    assert_eq!(names, [Some("first".to_owned()), None]);
    assert!(directory.iter().all(|peer| peer.rights().is_none()));
    let more = PeerDirectory::new(vec![entry("web").with_public_key([1; 32])]).unwrap();
    assert_eq!(directory.merged_with(&more).unwrap().iter().count(), 3);
}

#[test]
fn debug_output_does_not_show_an_authkey() {
    let directory = PeerDirectory::new(vec![entry("web").with_authkey(key("hush"))]).unwrap();
    let shown = format!("{directory:?}");
    assert!(shown.contains("web") && !shown.contains("hush"), "{shown}");
}
