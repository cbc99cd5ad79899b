//! The part of CBOR (RFC 8949) that the protocol needs.

/// A data item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cbor {
    Uint(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Cbor>),
    Map(Vec<(Cbor, Cbor)>),
    Null,
}

impl Cbor {
    /// Encodes the item in its shortest form.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Cbor::Uint(value) => head(out, 0, *value),
            Cbor::Bytes(bytes) => string(out, 2, bytes),
            Cbor::Text(text) => string(out, 3, text.as_bytes()),
            Cbor::Array(items) => {
                head(out, 4, items.len() as u64);
                items.iter().for_each(|item| item.write(out));
            }
            Cbor::Map(entries) => {
                head(out, 5, entries.len() as u64);
                entries.iter().flat_map(|(key, value)| [key, value]).for_each(|item| item.write(out));
            }
            Cbor::Null => out.push(0xf6),
        }
    }

    /// Decodes the only item in these bytes.
    pub(super) fn decoded(bytes: &[u8]) -> Cbor {
        let (item, rest) = Cbor::read(bytes);
        assert!(rest.is_empty(), "bytes after {item:?}: {rest:?}");
        item
    }

    /// Decodes the first item, and returns the bytes after it.
    pub(super) fn read(bytes: &[u8]) -> (Cbor, &[u8]) {
        if let Some(rest) = bytes.strip_prefix(&[0xf6]) {
            return (Cbor::Null, rest);
        }
        let (major, value, mut rest) = read_head(bytes);
        let mut next = || {
            let (item, after) = Cbor::read(rest);
            rest = after;
            item
        };
        let item = match major {
            0 => Cbor::Uint(value),
            2 | 3 => {
                let (content, after) = rest.split_at(usize::try_from(value).unwrap());
                rest = after;
                if major == 2 {
                    Cbor::Bytes(content.to_vec())
                } else {
                    Cbor::Text(String::from_utf8(content.to_vec()).unwrap())
                }
            }
            4 => Cbor::Array((0..value).map(|_| next()).collect()),
            5 => Cbor::Map((0..value).map(|_| (next(), next())).collect()),
            _ => panic!("an item of major type {major}"),
        };
        (item, rest)
    }

    /// Returns the value of a map's text key.
    pub(super) fn at(&self, name: &str) -> &Cbor {
        let Cbor::Map(entries) = self else { panic!("not a map: {self:?}") };
        let entry = entries.iter().find(|(key, _)| *key == Cbor::Text(name.to_owned()));
        &entry.unwrap_or_else(|| panic!("no {name} in {self:?}")).1
    }

    pub(super) fn uint(&self) -> u64 {
        let Cbor::Uint(value) = self else { panic!("not an unsigned integer: {self:?}") };
        *value
    }
}

fn head(out: &mut Vec<u8>, major: u8, value: u64) {
    let first = major << 5;
    match value {
        0..=23 => out.push(first | value as u8),
        24..=0xff => out.extend([first | 24, value as u8]),
        0x100..=0xffff => {
            out.push(first | 25);
            out.extend((value as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(first | 26);
            out.extend((value as u32).to_be_bytes());
        }
        _ => {
            out.push(first | 27);
            out.extend(value.to_be_bytes());
        }
    }
}

fn string(out: &mut Vec<u8>, major: u8, content: &[u8]) {
    head(out, major, content.len() as u64);
    out.extend_from_slice(content);
}

fn read_head(bytes: &[u8]) -> (u8, u64, &[u8]) {
    let (first, rest) = bytes.split_first().unwrap();
    let length = match first & 0x1f {
        value @ 0..=23 => return (first >> 5, value.into(), rest),
        size @ 24..=27 => 1 << (size - 24),
        other => panic!("additional information {other}"),
    };
    let (value, rest) = rest.split_at(length);
    (first >> 5, value.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)), rest)
}
