//! Changes of the keys of a peer in the text of a file. Comments and the order of the file stay.
//!
//! A peer has its first key in `authkey` or `public_key`, and further ones in the lists `authkeys` or `public_keys`, each on one line.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{
    edit::{lines_of_peer, quoted},
    raw::SecretText,
};

/// The keys of TOML that have a list beside them.
const FIELDS: [&str; 2] = ["authkey", "public_key"];

/// A key that is added to a peer.
pub(crate) enum NewKey {
    /// An authkey.
    Authkey(Zeroizing<String>),
    /// A public key in Z85.
    Public(String),
}

/// Returns the text with one more key of the peer at that index, of so many. `None` if the place cannot be found.
pub(super) fn with_key(text: &str, index: usize, count: usize, key: &NewKey) -> Option<Zeroizing<String>> {
    let (field, value) = match key {
        NewKey::Authkey(authkey) => (FIELDS[0], authkey.as_str()),
        NewKey::Public(public_key) => (FIELDS[1], public_key.as_str()),
    };
    let mut table = Table::find(text, index, count)?;
    let list = format!("{field}s");
    match table.line_of(&list) {
        Some(at) => {
            let mut values = table.values(at)?;
            values.push(SecretText(Zeroizing::new(value.to_owned())));
            table.set(at, &list, &values);
        }
        None => {
            let at = [field, "name"].into_iter().find_map(|name| table.line_of(name))?;
            table.end_line(at);
            table.insert(at + 1, &list, value);
        }
    }
    Some(table.text())
}

/// Returns the text with the last key of each kind of the peer at that index, of so many. `None` if the place cannot be found.
pub(super) fn without_old_keys(text: &str, index: usize, count: usize) -> Option<Zeroizing<String>> {
    let mut table = Table::find(text, index, count)?;
    for field in FIELDS {
        let list = format!("{field}s");
        let Some(at) = table.line_of(&list) else { continue };
        let Some(last) = table.values(at)?.pop() else { continue };
        table.set(at, &list, &[last]);
        if let Some(at) = table.line_of(field) {
            table.remove(at);
        }
    }
    Some(table.text())
}

/// The lines of a file, and which of them are those of one peer.
struct Table {
    lines: Vec<Zeroizing<String>>,
    start: usize,
    end: usize,
}

impl Table {
    fn find(text: &str, index: usize, count: usize) -> Option<Table> {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let range = lines_of_peer(&lines, index, count)?;
        let lines = lines.into_iter().map(|line| Zeroizing::new(line.to_owned())).collect();
        Some(Table { lines, start: range.start, end: range.end })
    }

    /// Returns the index of the line that begins with this key of TOML.
    fn line_of(&self, key: &str) -> Option<usize> {
        let is_of =
            |line: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
        (self.start..self.end).find(|&at| is_of(&self.lines[at]))
    }

    /// Returns the texts of the list on a line. `None` if the list continues on the next line, or a comment follows it.
    fn values(&self, at: usize) -> Option<Vec<SecretText>> {
        if !self.lines[at].trim_end().ends_with(']') {
            return None;
        }
        let line: BTreeMap<String, Vec<SecretText>> = toml::from_str(&self.lines[at]).ok()?;
        line.into_values().next()
    }

    fn set(&mut self, at: usize, key: &str, values: &[SecretText]) {
        let values: Vec<_> = values.iter().map(|value| Zeroizing::new(quoted(&value.0))).collect();
        let values: Vec<&str> = values.iter().map(|value| value.as_str()).collect();
        self.lines[at] = Zeroizing::new(format!("{key} = [{}]\n", values.join(", ")));
    }

    fn insert(&mut self, at: usize, key: &str, value: &str) {
        self.lines.insert(at, Zeroizing::new(String::new()));
        self.set(at, key, &[SecretText(Zeroizing::new(value.to_owned()))]);
        self.end += 1;
    }

    fn remove(&mut self, at: usize) {
        self.lines.remove(at);
        self.end -= 1;
    }

    /// Ends the last line of a file, if it has no line break.
    fn end_line(&mut self, at: usize) {
        if !self.lines[at].ends_with('\n') {
            self.lines[at].push('\n');
        }
    }

    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        self.lines.iter().for_each(|line| text.push_str(line));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# ours\n[[peer]]\nname = \"web\"\npublic_key = \"a\" # since May\ncall = [\"*\"]\n\n# theirs\n[[peer]]\nname = \"jobs\"";

    fn public(key: &str) -> NewKey {
        NewKey::Public(key.to_owned())
    }

    #[test]
    fn keys_are_added_behind_the_first_one_and_the_last_one_is_kept() {
        let second = with_key(FILE, 0, 2, &public("b")).expect("the place is found");
        let expected = FILE.replace("May\n", "May\npublic_keys = [\"b\"]\n");
        assert_eq!(*second, expected);
        let third = with_key(&second, 0, 2, &public("c")).expect("the place is found");
        assert_eq!(*third, expected.replace("[\"b\"]", "[\"b\", \"c\"]"));
        let last = without_old_keys(&third, 0, 2).expect("the place is found");
        assert_eq!(*last, FILE.replace("public_key = \"a\" # since May", "public_keys = [\"c\"]"));
        let authkey = NewKey::Authkey(Zeroizing::new("\"]".to_owned()));
        let both = with_key(FILE, 1, 2, &authkey).expect("the place is found");
        assert_eq!(*both, format!("{FILE}\nauthkeys = [\"\\\"]\"]\n"));
        assert_eq!(without_old_keys(&both, 1, 2).as_ref(), Some(&both));
    }

    #[test]
    fn a_list_on_several_lines_or_with_a_comment_is_not_edited() {
        for list in ["public_keys = [\n\"a\"]", "public_keys = [\"a\"] # old"] {
            let text = format!("[[peer]]\nname = \"web\"\n{list}\n");
            assert!(with_key(&text, 0, 1, &public("b")).is_none(), "{list}");
        }
        assert!(with_key("peer = [{ name = \"web\" }]", 0, 1, &public("b")).is_none());
    }
}
