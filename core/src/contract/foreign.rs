//! The shapes of the standard library's types, and of those that stand for bytes.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::shape::{Field, Record, Shape, Type, Types};

macro_rules! plain {
    ($($rust:ty => $shape:ident;)+) => {
        $(impl Shape for $rust {
            fn shape(_types: &mut Types) -> Type {
                Type::$shape
            }
        })+
    };
}

plain! {
    () => Null;
    bool => Bool;
    u8 => U8; u16 => U16; u32 => U32; u64 => U64; u128 => U128; usize => U64;
    i8 => I8; i16 => I16; i32 => I32; i64 => I64; i128 => I128; isize => I64;
    f32 => F32; f64 => F64;
    char => Char; str => Text; String => Text; bytestring::ByteString => Text;
    Path => Text; PathBuf => Text;
    IpAddr => Text; Ipv4Addr => Text; Ipv6Addr => Text; SocketAddr => Text;
    bytes::Bytes => Bytes; serde_bytes::Bytes => Bytes; serde_bytes::ByteBuf => Bytes;
}

macro_rules! like_its_content {
    ($(($($generics:tt)+) $rust:ty;)+) => {
        $(impl<$($generics)+> Shape for $rust {
            fn shape(types: &mut Types) -> Type {
                T::shape(types)
            }
        })+
    };
}

like_its_content! {
    (T: Shape + ?Sized) &T;
    (T: Shape + ?Sized) Box<T>;
    (T: Shape + ToOwned + ?Sized) Cow<'_, T>;
}

macro_rules! lists {
    ($(($($generics:tt)+) $rust:ty;)+) => {
        $(impl<$($generics)+> Shape for $rust {
            fn shape(types: &mut Types) -> Type {
                Type::List(Box::new(T::shape(types)))
            }
        })+
    };
}

lists! {
    (T: Shape) [T];
    (T: Shape, const N: usize) [T; N];
    (T: Shape) Vec<T>;
    (T: Shape) VecDeque<T>;
    (T: Shape) BTreeSet<T>;
    (T: Shape, S) HashSet<T, S>;
}

impl<K: Shape, V: Shape> Shape for BTreeMap<K, V> {
    fn shape(types: &mut Types) -> Type {
        Type::Map(Box::new((K::shape(types), V::shape(types))))
    }
}

impl<K: Shape, V: Shape, S> Shape for HashMap<K, V, S> {
    fn shape(types: &mut Types) -> Type {
        Type::Map(Box::new((K::shape(types), V::shape(types))))
    }
}

impl<T: Shape> Shape for Option<T> {
    fn shape(types: &mut Types) -> Type {
        Type::Optional(Box::new(T::shape(types)))
    }
}

impl<T: Shape, E: Shape> Shape for Result<T, E> {
    fn shape(types: &mut Types) -> Type {
        let (ok, err) = (Field::new("Ok", T::shape(types)), Field::new("Err", E::shape(types)));
        Type::OneOf(vec![Type::Record(Record::new([ok])), Type::Record(Record::new([err]))])
    }
}

impl Shape for Duration {
    fn shape(_types: &mut Types) -> Type {
        Type::Record(Record::new([Field::new("secs", Type::U64), Field::new("nanos", Type::U32)]))
    }
}

impl Shape for SystemTime {
    fn shape(_types: &mut Types) -> Type {
        let fields = [Field::new("secs_since_epoch", Type::U64), Field::new("nanos_since_epoch", Type::U32)];
        Type::Record(Record::new(fields))
    }
}

macro_rules! tuples {
    ($($($name:ident)+;)+) => {
        $(impl<$($name: Shape),+> Shape for ($($name,)+) {
            fn shape(types: &mut Types) -> Type {
                Type::Tuple(vec![$($name::shape(types)),+])
            }
        })+
    };
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}
