//! The description of a service: the trait as data, queried through the broker.

use std::collections::BTreeMap;

use callboard::{
    Schema, Service,
    core::{
        body,
        broker::ServiceContracts,
        contract::{ServiceDescription, Types},
    },
};
use serde::{Deserialize, Serialize};

use crate::Scene;

/// A person.
#[derive(Serialize, Deserialize, Schema)]
#[serde(rename_all = "camelCase")]
struct Person {
    /// Never used again.
    id: u32,
    #[serde(rename = "mail")]
    mail_address: Option<String>,
    #[serde(default)]
    user_kind: Kind,
    #[serde(skip)]
    _cached: u8,
    #[serde(with = "serde_bytes")]
    photo: Vec<u8>,
    friends: Vec<Person>,
    seen: Seen,
}

#[derive(Default, Serialize, Deserialize, Schema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    #[default]
    PlainUser,
    Admin {
        since: u16,
    },
    Other(String),
}

#[derive(Serialize, Deserialize, Schema)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Nothing,
    Pair(u8, f64),
}

#[derive(Serialize, Deserialize, Schema)]
#[serde(tag = "kind", rename_all_fields = "kebab-case")]
enum Internal {
    Move { by_x: i8 },
    Stop,
}

#[derive(Serialize, Deserialize, Schema)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Words(Vec<String>),
}

#[derive(Serialize, Deserialize, Schema)]
#[serde(transparent)]
struct Wrapped(BTreeMap<String, Untagged>);

#[derive(Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Page<T> {
    items: [T; 2],
}

/// A type without a schema.
#[derive(Serialize, Deserialize)]
struct Seen;

/// People, and what they do.
///
/// In two paragraphs.
#[callboard::service]
trait People {
    /// The person of this id.
    #[rpc(read)]
    async fn find(&self, id: u32) -> Result<Person, String>;
    fn steer(&self, how: Internal, also: Option<Adjacent>) -> Wrapped;
    fn pages(&self) -> Page<Page<u8>>;
}

struct Unknown;

impl People for Unknown {
    async fn find(&self, id: u32) -> Result<Person, String> {
        Err(format!("no person has the id {id}"))
    }

    fn steer(&self, _: Internal, _: Option<Adjacent>) -> Wrapped {
        Wrapped(BTreeMap::new())
    }

    fn pages(&self) -> Page<Page<u8>> {
        let page = || Page { items: [1, 2] };
        Page { items: [page(), page()] }
    }
}

#[test]
fn a_trait_is_described_with_its_comments_types_and_errors() {
    let people = PeopleClient::contract();
    assert_eq!(
        (people.name.as_str(), people.doc.as_str()),
        ("people", "People, and what they do.\n\nIn two paragraphs.")
    );
    let methods: Vec<_> = people.methods.iter().map(ToString::to_string).collect();
    let expected = [
        "find(id: u32) -> Person, or String",
        "steer(how: Internal, also: Adjacent or null) -> Wrapped",
        "pages() -> Page",
    ];
    assert_eq!(methods, expected);
    assert_eq!(people.methods[0].doc, "The person of this id.");
}

#[test]
fn types_are_described_by_their_serde_attributes() {
    let types = PeopleClient::contract().types;
    let schemas: Vec<_> = types.iter().map(|(name, definition)| format!("{name} = {}", definition.ty)).collect();
    let expected = [
        r#"Adjacent = {t: "Nothing"} or {t: "Pair", c: [u8, f64]}"#,
        r#"Internal = {kind: "Move", by-x: i8} or {kind: "Stop"}"#,
        r#"Kind = "PLAIN_USER" or {ADMIN: {since: u16}} or {OTHER: text}"#,
        "Page = {items: [Page2, ...]}",
        "Page2 = {items: [u8, ...]}",
        "Person = {id: u32, mail?: text or null, userKind?: Kind, photo: bytes, friends: [Person, ...], seen: any (Seen)}",
        "Untagged = i64 or [text, ...]",
        "Wrapped = {text: Untagged, ...}",
    ];
    assert_eq!(schemas, expected);
    assert_eq!(types["Person"].doc, "A person.");
}

/// Asserts that the derived schema matches the output of serde.
#[test]
fn values_match_their_schema() {
    let written = |value: &dyn erased::Written| value.keys();
    let person = Person {
        id: 1,
        mail_address: None,
        user_kind: Kind::PlainUser,
        _cached: 0,
        photo: Vec::new(),
        friends: Vec::new(),
        seen: Seen,
    };
    assert_eq!(written(&person), ["friends", "id", "mail", "photo", "seen", "userKind"]);
    assert_eq!(written(&Internal::Move { by_x: 1 }), ["by-x", "kind"]);
    assert_eq!(written(&Adjacent::Pair(1, 2.0)), ["c", "t"]);
    assert_eq!(written(&Kind::Admin { since: 1 }), ["ADMIN"]);
}

mod erased {
    use serde::Serialize;

    pub(super) trait Written {
        fn keys(&self) -> Vec<String>;
    }

    impl<T: Serialize> Written for T {
        fn keys(&self) -> Vec<String> {
            let serde_json::Value::Object(object) = serde_json::to_value(self).unwrap() else { panic!("no map") };
            object.keys().cloned().collect()
        }
    }
}

#[tokio::test]
async fn the_broker_returns_the_description_of_the_trait() {
    let scene = Scene::of(Unknown.into_service()).await;
    let answer: ServiceContracts = scene.client.call("callboard.describe", ("people",)).await.unwrap();
    let [contract] = &answer.contracts[..] else { panic!("one contract: {answer:?}") };
    assert_eq!((contract.hash, contract.workers), (PeopleClient::contract().hash(), 1));
    let description: ServiceDescription = body::decode(contract.description.as_deref().unwrap()).unwrap();
    assert_eq!(description, PeopleClient::contract());
}

#[tokio::test]
async fn a_service_without_a_trait_is_described_by_names_and_effects() {
    let service = Service::new("sums").read("add", ["x", "y"], |x: i64, y: i64| x + y);
    let scene = Scene::of(service).await;
    let answer: ServiceContracts = scene.client.call("callboard.describe", ("sums",)).await.unwrap();
    let description: ServiceDescription = body::decode(answer.contracts[0].description.as_deref().unwrap()).unwrap();
    assert_eq!(description.methods[0].to_string(), "add(x, y)");
    let mut types = Types::new();
    assert_eq!(<Vec<u8>>::schema(&mut types).to_string(), "[u8, ...]");
}
