//! Tests of descriptions, their hashes and their comparison.

mod vectors;

use super::*;

fn method(name: &str, arguments: &[(&str, Type)], result: Type) -> MethodDescription {
    let argument = |(name, ty): &(&str, Type)| ArgumentDescription { name: (*name).to_owned(), ty: ty.clone() };
    let arguments = arguments.iter().map(argument).collect();
    MethodDescription { arguments, result, ..MethodDescription::untyped(name, Effect::Read, &[]) }
}

fn service(methods: Vec<MethodDescription>) -> ServiceDescription {
    ServiceDescription { methods, ..ServiceDescription::new("users", "") }
}

fn optional(ty: Type) -> Type {
    Type::Optional(Box::new(ty))
}

/// Creates a service with the type `User` of these fields, and the method `get_user` that returns it.
fn users(fields: Vec<Field>) -> ServiceDescription {
    let mut users = service(vec![method("get_user", &[("id", Type::U32)], Type::Named("User".to_owned()))]);
    let definition = Definition { doc: String::new(), ty: Type::Record(Record::new(fields)) };
    users.types.insert("User".to_owned(), definition);
    users
}

fn worst(old: &ServiceDescription, new: &ServiceDescription) -> Option<Verdict> {
    old.changes(new).into_iter().map(|change| change.verdict).max()
}

#[test]
fn documentation_and_the_order_of_methods_do_not_change_the_hash() {
    let (get, add) = (method("get", &[], Type::U8), method("add", &[("x", Type::U8)], Type::Null));
    let one = service(vec![get.clone(), add.clone()]);
    let documented = MethodDescription { doc: "Adds.".to_owned(), ..add.clone() };
    let other = ServiceDescription { doc: "Of users.".to_owned(), ..service(vec![documented, get.clone()]) };
    assert_eq!(one.hash(), other.hash());
    let stricter = MethodDescription { effect: Effect::Once, ..add };
    assert_ne!(one.hash(), service(vec![get, stricter]).hash());
    let mut documented = users(vec![Field { doc: "Its number.".to_owned(), ..Field::new("id", Type::U32) }]);
    documented.types.get_mut("User").unwrap().doc = "A user.".to_owned();
    assert_eq!(users(vec![Field::new("id", Type::U32)]).hash(), documented.hash());
}

#[test]
fn the_hash_of_a_contract_is_stable() {
    // Workers of two versions of this library must agree on it.
    assert_eq!(users(vec![Field::new("id", Type::U32)]).hash().to_string(), "134c4e5c0fd0bbe9");
}

#[test]
fn a_description_is_read_back_from_cbor_and_json() {
    let mut users =
        users(vec![Field::new("name", optional(Type::Text)), Field::new("kind", Type::Opaque("Kind".into()))]);
    users.methods[0].error = Some(ErrorDescription { name: "UserError".to_owned(), ty: Type::Literal("Gone".into()) });
    let body = crate::body::encode(&users).unwrap();
    assert_eq!(crate::body::decode::<ServiceDescription>(&body).unwrap(), users);
    let json = serde_json::to_string(&users).unwrap();
    assert_eq!(serde_json::from_str::<ServiceDescription>(&json).unwrap(), users);
}

#[test]
fn compatible_changes_are_safe() {
    let old = service(vec![method("f", &[("x", Type::U8)], Type::U32)]);
    for new in [
        method("f", &[("x", Type::U16)], Type::U32),
        method("f", &[("x", optional(Type::U8))], Type::U32),
        method("f", &[("x", Type::U8), ("y", optional(Type::Text))], Type::U32),
        method("f", &[("x", Type::F64)], Type::U8),
        MethodDescription { effect: Effect::Once, ..old.methods[0].clone() },
    ] {
        let new = service(vec![new, method("g", &[], Type::Null)]);
        assert_eq!(worst(&old, &new), Some(Verdict::Safe), "{:?}", old.changes(&new));
    }
    assert_eq!(old.changes(&old), []);
}

#[test]
fn incompatible_changes_break_callers() {
    let old = service(vec![method("f", &[("x", Type::U16)], Type::U16)]);
    for new in [
        method("g", &[("x", Type::U16)], Type::U16),
        method("f", &[("x", Type::U8)], Type::U16),
        method("f", &[("x", Type::Text)], Type::U16),
        method("f", &[("y", Type::U16)], Type::U16),
        method("f", &[], Type::U16),
        method("f", &[("x", Type::U16), ("y", Type::U16)], Type::U16),
        method("f", &[("x", Type::U16)], Type::U32),
        method("f", &[("x", Type::U16)], optional(Type::U16)),
        MethodDescription {
            error: Some(ErrorDescription { name: "E".to_owned(), ty: Type::Text }),
            ..old.methods[0].clone()
        },
    ] {
        let new = service(vec![new]);
        assert_eq!(worst(&old, &new), Some(Verdict::Breaks), "{:?}", old.changes(&new));
    }
}

/// Creates a service with one method that has streams of these items.
fn stream(style: Style, incoming: Option<Type>, outgoing: Option<Type>) -> ServiceDescription {
    service(vec![MethodDescription { style, incoming, outgoing, ..method("f", &[], Type::Null) }])
}

#[test]
fn items_of_the_caller_are_compared_like_arguments_and_those_of_the_handler_like_results() {
    let old = stream(Style::Bidi, Some(Type::U16), Some(Type::U16));
    let wider = stream(Style::Bidi, Some(Type::U32), Some(Type::U8));
    assert_eq!(worst(&old, &wider), Some(Verdict::Safe), "{:?}", old.changes(&wider));
    for new in [
        stream(Style::Bidi, Some(Type::U8), Some(Type::U16)),
        stream(Style::Bidi, Some(Type::U16), Some(Type::U32)),
        stream(Style::Server, None, Some(Type::U16)),
    ] {
        assert_eq!(worst(&old, &new), Some(Verdict::Breaks), "{:?}", old.changes(&new));
    }
    assert_eq!(old.changes(&old), []);
    let server = stream(Style::Server, None, Some(Type::U16));
    assert_eq!(old.changes(&server)[0].text, "f: bidirectional stream becomes server stream");
}

#[test]
fn the_types_of_items_change_the_hash_and_their_documentation_does_not() {
    let item = |doc: &str| Type::Record(Record::new(vec![Field { doc: doc.to_owned(), ..Field::new("id", Type::U8) }]));
    let one = stream(Style::Server, None, Some(item("")));
    assert_eq!(one.hash(), stream(Style::Server, None, Some(item("Its number."))).hash());
    assert_ne!(one.hash(), stream(Style::Server, None, Some(Type::U8)).hash());
    assert_ne!(one.hash(), stream(Style::Client, Some(item("")), None).hash());
}

#[test]
fn the_text_of_a_method_shows_its_streams() {
    let text = |service: ServiceDescription| service.methods[0].to_string();
    assert_eq!(text(stream(Style::Server, None, Some(Type::U8))), "f() -> stream of u8");
    assert_eq!(text(stream(Style::Bidi, Some(Type::Text), Some(Type::U8))), "f(stream of text) -> stream of u8");
    let mut sum = stream(Style::Client, Some(Type::U8), None);
    sum.methods[0].arguments = vec![ArgumentDescription { name: "start".to_owned(), ty: Type::U8 }];
    sum.methods[0].result = Type::U64;
    assert_eq!(text(sum.clone()), "f(start: u8, stream of u8) -> u64");
    let cddl = sum.cddl();
    let rules =
        "users.f.arguments = [start: 0..255] / { start: 0..255 }\nusers.f.incoming = 0..255\nusers.f.result = uint";
    assert!(cddl.contains(rules), "{cddl}");
    let untyped = MethodDescription::untyped("f", Effect::Read, &[]).streaming(crate::wire::streams::Style::Bidi);
    assert_eq!(untyped.to_string(), "f(stream of any) -> stream of any");
}

#[test]
fn added_fields_of_a_result_are_compatible_and_removed_ones_break_callers() {
    let old = users(vec![Field::new("id", Type::U32)]);
    let new = users(vec![Field::new("id", Type::U32), Field::new("name", Type::Text)]);
    assert_eq!(old.changes(&new), []);
    let changes = new.changes(&old);
    assert_eq!(changes[0].text, "get_user: result: field name is missing");
    assert_eq!(changes[0].verdict, Verdict::Breaks);
}

#[test]
fn changes_of_types_without_a_schema_are_unknown() {
    let old = service(vec![method("f", &[("x", Type::Any)], Type::Opaque("User".to_owned()))]);
    let new = service(vec![method("f", &[("x", Type::U8)], Type::Opaque("User".to_owned()))]);
    assert_eq!(worst(&old, &new), Some(Verdict::Unknown));
    assert_eq!(old.changes(&old), []);
}

#[test]
fn comparing_recursive_names_ends() {
    let mut rings = service(vec![method("f", &[("x", Type::Named("A".to_owned()))], Type::Null)]);
    let ring = Definition { doc: String::new(), ty: Type::Named("A".to_owned()) };
    rings.types.insert("A".to_owned(), ring);
    assert_eq!(worst(&rings, &rings), None);
    let numbers = service(vec![method("f", &[("x", Type::U8)], Type::Null)]);
    assert_eq!(worst(&rings, &numbers), Some(Verdict::Unknown));
    let list = Type::List(Box::new(optional(Type::Named("List".to_owned()))));
    let mut lists = service(vec![method("f", &[("x", Type::Named("List".to_owned()))], Type::Null)]);
    lists.types.insert("List".to_owned(), Definition { doc: String::new(), ty: list });
    assert_eq!(lists.changes(&lists), []);
}

#[test]
fn types_of_the_same_name_get_different_names() {
    struct Two<T>(T);
    let mut types = Types::new();
    let one = types.named::<Two<u8>>("Two", "", |_| Type::U8);
    let other = types.named::<Two<u16>>("Two", "", |types| types.named::<Two<u8>>("Two", "", |_| Type::Null));
    assert_eq!((&one, &other), (&Type::Named("Two".to_owned()), &Type::Named("Two2".to_owned())));
    assert_eq!(types.into_definitions()["Two2"].ty, one);
    let _ = Two(0).0;
}

#[test]
#[allow(clippy::needless_borrow)] // the compiler selects the trait by the second reference
fn a_type_without_a_schema_is_opaque_with_its_name() {
    struct Undescribed;
    let mut types = Types::new();
    assert_eq!(
        (&Probe::<Undescribed>::new()).type_of(&mut types, "Undescribed"),
        Type::Opaque("Undescribed".to_owned())
    );
    assert_eq!((&Probe::<u8>::new()).type_of(&mut types, "u8"), Type::U8);
    assert_eq!(
        (&Probe::<Vec<Undescribed>>::new()).type_of(&mut types, "Vec<Undescribed>").to_string(),
        "any (Vec<Undescribed>)"
    );
}

#[test]
fn the_cddl_of_a_service_has_a_rule_for_each_type() {
    let mut users = users(vec![
        Field::new("id", Type::U32),
        Field { optional: true, ..Field::new("mail-address", optional(Type::Text)) },
        Field::new("kind", Type::OneOf(vec![Type::Literal("AD\"MIN".to_owned()), Type::Literal("GUEST".to_owned())])),
        Field::new("tags", Type::Map(Box::new((Type::Text, Type::List(Box::new(optional(Type::I8))))))),
    ]);
    users.methods[0].doc = "The user of this id.\nOr an error.".to_owned();
    users.methods[0].error = Some(ErrorDescription { name: "UserError".to_owned(), ty: Type::Any });
    users.methods.push(method("count", &[("at least", optional(Type::U64))], Type::F64));
    let cddl = users.cddl();
    let (_, rules) = cddl.split_once('\n').unwrap();
    let expected = r#"
; get_user(id: u32) -> User, or UserError
; The user of this id.
; Or an error.
users.get_user.arguments = [id: 0..4294967295] / { id: 0..4294967295 }
users.get_user.result = User
users.get_user.error = any

; count(at least: u64 or null) -> f64
users.count.arguments = [? "at least": uint / null] / { ? "at least": uint / null }
users.count.result = number

User = { id: 0..4294967295, ? "mail-address": tstr / null, kind: "AD\"MIN" / "GUEST", tags: {* tstr => [* (-128..127 / null)]}, * tstr => any }
"#;
    assert_eq!(rules, expected);
}
