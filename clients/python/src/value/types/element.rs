//! The types of the elements of typed arrays, as tags (RFC 8746, section 2.1), as dtypes of numpy and as type codes of `array`.

/// The type of the elements: its kind, size and byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    kind: Kind,
    /// The logarithm to the base 2 of the bytes of an element: 0 to 3.
    size_log2: u32,
    little_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unsigned,
    Signed,
    Float,
}

const TAG_FIRST: u64 = 64;
const TAG_LAST: u64 = 87;
const FLOAT: u64 = 1 << 4;
const SIGNED: u64 = 1 << 3;
const LITTLE_ENDIAN: u64 = 1 << 2;
const SIZE: u64 = 3;

impl Element {
    /// Returns the type of a tag; `None` for other tags, and for floats of 16 bytes, which no type of Python holds. The
    /// elements of tag 68 are bytes, as those of tag 64.
    pub(crate) fn of_tag(tag: u64) -> Option<Element> {
        if !(TAG_FIRST..=TAG_LAST).contains(&tag) {
            return None;
        }
        let kind = match (tag & FLOAT != 0, tag & SIGNED != 0) {
            (true, _) => Kind::Float,
            (false, true) => Kind::Signed,
            (false, false) => Kind::Unsigned,
        };
        let size_log2 = (tag & SIZE) as u32 + u32::from(kind == Kind::Float);
        let little_endian = tag & LITTLE_ENDIAN != 0;
        // 76 would be signed bytes with a byte order, and is reserved.
        let reserved = kind == Kind::Signed && size_log2 == 0 && little_endian;
        (size_log2 <= 3 && !reserved).then_some(Element { kind, size_log2, little_endian })
    }

    /// Returns the type of a dtype of numpy, if it is one of numbers that a typed array can hold.
    pub(crate) fn of_numpy(kind: char, size: usize, byte_order: char) -> Option<Element> {
        let kind = match kind {
            'u' => Kind::Unsigned,
            'i' => Kind::Signed,
            'f' => Kind::Float,
            _ => return None,
        };
        Element::new(kind, size, byte_order == '<' || (byte_order == '=' && cfg!(target_endian = "little")))
    }

    /// Returns the type of a type code of the module `array`, if it is one of numbers.
    pub(crate) fn of_array(code: char, size: usize) -> Option<Element> {
        let kind = match code {
            'B' | 'H' | 'I' | 'L' | 'Q' => Kind::Unsigned,
            'b' | 'h' | 'i' | 'l' | 'q' => Kind::Signed,
            'f' | 'd' => Kind::Float,
            _ => return None,
        };
        Element::new(kind, size, cfg!(target_endian = "little"))
    }

    fn new(kind: Kind, size: usize, little_endian: bool) -> Option<Element> {
        let size_log2 = size.checked_ilog2().filter(|log2| size == 1 << log2 && *log2 <= 3)?;
        (kind != Kind::Float || size_log2 > 0).then_some(Element { kind, size_log2, little_endian })
    }

    /// Returns the tag of an array of this type. Single bytes have no order.
    pub(crate) fn tag(self) -> u64 {
        let (kind, size) = match self.kind {
            Kind::Unsigned => (0, self.size_log2),
            Kind::Signed => (SIGNED, self.size_log2),
            Kind::Float => (FLOAT, self.size_log2 - 1),
        };
        let order = if self.little_endian && self.size_log2 > 0 { LITTLE_ENDIAN } else { 0 };
        TAG_FIRST | kind | order | u64::from(size)
    }

    /// Returns the bytes of an element.
    pub(crate) fn size(self) -> usize {
        1 << self.size_log2
    }

    /// Whether the elements have the byte order of this machine.
    pub(crate) fn is_native(self) -> bool {
        self.size_log2 == 0 || self.little_endian == cfg!(target_endian = "little")
    }

    /// Returns the dtype of numpy, such as `<f8`.
    pub(crate) fn dtype(self) -> String {
        let kind = match self.kind {
            Kind::Unsigned => 'u',
            Kind::Signed => 'i',
            Kind::Float => 'f',
        };
        format!("{}{kind}{}", if self.little_endian { '<' } else { '>' }, self.size())
    }

    /// Returns the type code of the module `array`, which has no floats of 2 bytes.
    pub(crate) fn array_code(self) -> Option<char> {
        let codes = match self.kind {
            Kind::Unsigned => [Some('B'), Some('H'), Some('I'), Some('Q')],
            Kind::Signed => [Some('b'), Some('h'), Some('i'), Some('q')],
            Kind::Float => [None, None, Some('f'), Some('d')],
        };
        codes[self.size_log2 as usize]
    }
}
