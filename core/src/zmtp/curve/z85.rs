//! Z85, the text form of keys (ZeroMQ RFC 32): five characters for each four bytes.

/// The 85 characters of Z85, in the order of their values.
const ALPHABET: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
const GROUP_BYTES: usize = 4;
const GROUP_CHARACTERS: usize = 5;
const KEY_BYTES: usize = 32;

/// The characters of a key.
pub(super) const KEY_CHARACTERS: usize = KEY_BYTES / GROUP_BYTES * GROUP_CHARACTERS;

/// Why a text is not accepted as a key. It never contains the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is too short or too long.
    #[error(
        "a CURVE key has {max} characters, and this one has {characters}: create a pair with `callboard keygen`",
        max = KEY_CHARACTERS
    )]
    Length {
        /// The characters of the text.
        characters: usize,
    },
    /// A character is not one of Z85.
    #[error("character {position} of the CURVE key is not a character of Z85: copy the key again")]
    Character {
        /// The place of the character, from 1.
        position: usize,
    },
    /// Five characters stand for a number above 2^32.
    #[error("characters {first} to {last} of the CURVE key are not valid Z85: copy the key again")]
    Range {
        /// The place of the first of these characters, from 1.
        first: usize,
        /// The place of the last one.
        last: usize,
    },
}

/// Returns the text of a key.
pub(super) fn encode(key: &[u8; KEY_BYTES]) -> String {
    let mut text = String::with_capacity(KEY_CHARACTERS);
    for group in key.as_chunks::<GROUP_BYTES>().0 {
        let value = u32::from_be_bytes(*group);
        for power in (0..GROUP_CHARACTERS as u32).rev() {
            text.push(char::from(ALPHABET[(value / 85_u32.pow(power) % 85) as usize]));
        }
    }
    text
}

/// Returns the key of a text.
///
/// # Errors
/// [`KeyError`] with the first wrong place. It never contains the text.
pub(super) fn decode(text: &str) -> Result<[u8; KEY_BYTES], KeyError> {
    let characters = text.chars().count();
    if characters != KEY_CHARACTERS {
        return Err(KeyError::Length { characters });
    }
    if let Some(at) = text.chars().position(|character| !character.is_ascii() || value_of(character as u8).is_none()) {
        return Err(KeyError::Character { position: at + 1 });
    }
    let mut key = [0; KEY_BYTES];
    let groups = text.as_bytes().as_chunks::<GROUP_CHARACTERS>().0;
    for (at, (bytes, group)) in key.as_chunks_mut::<GROUP_BYTES>().0.iter_mut().zip(groups).enumerate() {
        let value = group.iter().fold(0, |sum, character| sum * 85 + u64::from(value_of(*character).unwrap_or(0)));
        let range = KeyError::Range { first: at * GROUP_CHARACTERS + 1, last: (at + 1) * GROUP_CHARACTERS };
        *bytes = u32::try_from(value).map_err(|_| range)?.to_be_bytes();
    }
    Ok(key)
}

fn value_of(character: u8) -> Option<u8> {
    ALPHABET.iter().position(|known| *known == character).and_then(|at| u8::try_from(at).ok())
}
