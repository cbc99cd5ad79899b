//! Tests of the nesting limit.

use super::*;

#[test]
fn a_million_nested_levels_do_not_overflow_the_stack() {
    #[derive(Debug, Deserialize)]
    struct List(#[allow(dead_code)] Vec<List>);
    for level in ["81", "9f", "a100", "bf00", "c1", "a16161"] {
        let bomb = hex(level).repeat(1_000_000);
        assert!(!is_well_formed(&bomb));
        assert!(decode::<Value>(&bomb).is_err());
        assert!(decode::<List>(&bomb).is_err());
        assert!(decode::<Untagged>(&bomb).is_err());
        assert!(decode::<Option<f64>>(&bomb).is_err());
        assert!(decode::<serde::de::IgnoredAny>(&bomb).is_err());
    }
}

#[test]
fn encoding_decoding_and_skipping_have_the_same_depth_limit() {
    let nested = |levels| (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let body = encode(&nested(DEPTH_MAX)).unwrap();
    assert!(is_well_formed(&body));
    assert_eq!(decode::<Value>(&body).unwrap(), nested(DEPTH_MAX));
    assert_eq!(encode(&nested(DEPTH_MAX + 1)), Err(EncodeError::TooDeep));
    let body = ciborium_encode(&nested(DEPTH_MAX + 1));
    assert!(!is_well_formed(&body) && decode::<Value>(&body).is_err());
}

#[test]
fn the_digits_of_a_bignum_are_one_level_deeper_than_its_tag() {
    let nested = |levels| [vec![0x81; levels], vec![0xc2, 0x41, 0x01]].concat();
    let (fits, deep) = (nested(DEPTH_MAX - 1), nested(DEPTH_MAX));
    assert!(is_well_formed(&fits) && decode::<Value>(&fits).is_ok());
    assert!(!is_well_formed(&deep) && decode::<Value>(&deep).is_err());
}

#[test]
fn each_tag_is_a_level_in_decoding_and_in_skipping() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct List(Vec<List>);
    #[derive(Debug, Deserialize)]
    struct Nothing {}
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    enum Chain {
        End,
        Next(Box<Chain>),
    }
    // Tags, a head with one item, more tags, and the last item.
    let body = |front: usize, around: &str, behind: usize, last: &str| {
        [vec![0xc5; front], hex(around), vec![0xc5; behind], hex(last)].concat()
    };
    for front in [0, 1, DEPTH_MAX / 2] {
        for (over, fits) in [(0, true), (1, false)] {
            let behind = DEPTH_MAX - 1 - front + over;
            let list = body(front, "81", behind - 1, "80");
            assert_eq!((is_well_formed(&list), decode::<List>(&list).is_ok()), (fits, fits), "{front}");
            let map = body(front, "a16178", behind, "00");
            assert_eq!((is_well_formed(&map), decode::<Nothing>(&map).is_ok()), (fits, fits), "{front}");
            let chain = body(front, "a1644e657874", behind, "63456e64");
            assert_eq!((is_well_formed(&chain), decode::<Chain>(&chain).is_ok()), (fits, fits), "{front}");
        }
    }
    for (tags, fits) in [(DEPTH_MAX, true), (DEPTH_MAX + 1, false)] {
        let (number, float, flag) = (body(tags, "07", 0, ""), body(tags, "f93c00", 0, ""), body(tags, "f5", 0, ""));
        let bignum = body(tags - 1, "c24107", 0, "");
        for body in [&number, &float, &flag, &bignum] {
            assert_eq!((is_well_formed(body), decode::<Value>(body).is_ok()), (fits, fits), "{tags}");
        }
        assert_eq!([decode::<u64>(&number).is_ok(), decode::<u64>(&bignum).is_ok()], [fits, fits], "{tags}");
        assert_eq!([decode::<f64>(&float).is_ok(), decode::<f64>(&number).is_ok()], [fits, fits], "{tags}");
        assert_eq!(decode::<bool>(&flag).is_ok(), fits, "{tags}");
    }
    let two = body(1, "82c58000", 0, "");
    assert_eq!(decode::<(List, u8)>(&two).unwrap().1, 0, "the level of a tag ends with its item");
}
