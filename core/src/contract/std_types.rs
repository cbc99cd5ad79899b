//! The schemas of the types of the standard library, and of types for bytes.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::schema::{Field, Record, Schema, Type, Types};

macro_rules! plain {
    ($($rust:ty => $variant:ident;)+) => {
        $(impl Schema for $rust {
            fn schema(_types: &mut Types) -> Type {
                Type::$variant
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
    bytes::Bytes => Bytes; serde_bytes::Bytes => Bytes; serde_bytes::ByteBuf => Bytes; crate::body::SharedBytes => Bytes;
}

macro_rules! transparent {
    ($(($($generics:tt)+) $rust:ty;)+) => {
        $(impl<$($generics)+> Schema for $rust {
            fn schema(types: &mut Types) -> Type {
                T::schema(types)
            }
        })+
    };
}

transparent! {
    (T: Schema + ?Sized) &T;
    (T: Schema + ?Sized) Box<T>;
    (T: Schema + ToOwned + ?Sized) Cow<'_, T>;
}

macro_rules! lists {
    ($(($($generics:tt)+) $rust:ty;)+) => {
        $(impl<$($generics)+> Schema for $rust {
            fn schema(types: &mut Types) -> Type {
                Type::List(Box::new(T::schema(types)))
            }
        })+
    };
}

lists! {
    (T: Schema) [T];
    (T: Schema, const N: usize) [T; N];
    (T: Schema) Vec<T>;
    (T: Schema) VecDeque<T>;
    (T: Schema) BTreeSet<T>;
    (T: Schema, S) HashSet<T, S>;
}

impl<K: Schema, V: Schema> Schema for BTreeMap<K, V> {
    fn schema(types: &mut Types) -> Type {
        Type::Map(Box::new((K::schema(types), V::schema(types))))
    }
}

impl<K: Schema, V: Schema, S> Schema for HashMap<K, V, S> {
    fn schema(types: &mut Types) -> Type {
        Type::Map(Box::new((K::schema(types), V::schema(types))))
    }
}

impl<T: Schema> Schema for Option<T> {
    fn schema(types: &mut Types) -> Type {
        Type::Optional(Box::new(T::schema(types)))
    }
}

impl<T: Schema, E: Schema> Schema for Result<T, E> {
    fn schema(types: &mut Types) -> Type {
        let (ok, err) = (Field::new("Ok", T::schema(types)), Field::new("Err", E::schema(types)));
        Type::OneOf(vec![Type::Record(Record::new([ok])), Type::Record(Record::new([err]))])
    }
}

impl Schema for Duration {
    fn schema(_types: &mut Types) -> Type {
        Type::Record(Record::new([Field::new("secs", Type::U64), Field::new("nanos", Type::U32)]))
    }
}

impl Schema for SystemTime {
    fn schema(_types: &mut Types) -> Type {
        let fields = [Field::new("secs_since_epoch", Type::U64), Field::new("nanos_since_epoch", Type::U32)];
        Type::Record(Record::new(fields))
    }
}

macro_rules! tuples {
    ($($($name:ident)+;)+) => {
        $(impl<$($name: Schema),+> Schema for ($($name,)+) {
            fn schema(types: &mut Types) -> Type {
                Type::Tuple(vec![$($name::schema(types)),+])
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
