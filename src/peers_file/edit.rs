//! Changes of the text of a file of peers. Comments and the order of the file stay.

use std::ops::Range;

use zeroize::Zeroizing;

/// The line with which the table of a peer begins.
const HEADER: &str = "[[peer]]";

/// A peer that is added to a file.
#[derive(Default)]
pub(crate) struct NewPeer {
    /// Its name.
    pub(crate) name: String,
    /// Its authkey, if it has one.
    pub(crate) authkey: Option<Zeroizing<String>>,
    /// Its public key in Z85, if it has one.
    pub(crate) public_key: Option<String>,
    /// Its roles; empty: all.
    pub(crate) roles: Vec<String>,
    /// Its call rules.
    pub(crate) call: Vec<String>,
    /// Its serve rules.
    pub(crate) serve: Vec<String>,
    /// Whether it may operate the broker and its pools.
    pub(crate) operate: bool,
}

/// Returns the text with the table of one more peer at its end.
pub(super) fn with_peer(text: &str, peer: &NewPeer) -> Zeroizing<String> {
    let mut new = Zeroizing::new(text.to_owned());
    if !new.is_empty() {
        let ends_with_line = new.ends_with('\n');
        new.push_str(if ends_with_line { "\n" } else { "\n\n" });
    }
    new.push_str(HEADER);
    new.push('\n');
    add(&mut new, "name", &quoted(&peer.name));
    if let Some(authkey) = &peer.authkey {
        add(&mut new, "authkey", &Zeroizing::new(quoted(authkey)));
    }
    if let Some(public_key) = &peer.public_key {
        add(&mut new, "public_key", &quoted(public_key));
    }
    for (key, values) in [("roles", &peer.roles), ("call", &peer.call), ("serve", &peer.serve)] {
        if !values.is_empty() {
            let values: Vec<_> = values.iter().map(|value| quoted(value)).collect();
            add(&mut new, key, &format!("[{}]", values.join(", ")));
        }
    }
    if peer.operate {
        add(&mut new, "operate", "true");
    }
    new
}

/// Returns the text without the table of the peer at that index, of so many. `None` if the tables cannot be told apart.
pub(super) fn without_peer(text: &str, index: usize, count: usize) -> Option<Zeroizing<String>> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Range { start, end } = lines_of_peer(&lines, index, count)?;
    Some(Zeroizing::new([&lines[..start], &lines[end..]].concat().concat()))
}

/// Returns the lines of the table of the peer at that index, of so many. `None` if the tables cannot be told apart.
pub(super) fn lines_of_peer(lines: &[&str], index: usize, count: usize) -> Option<Range<usize>> {
    let starts: Vec<usize> = (0..lines.len()).filter(|&at| is_header(lines[at])).collect();
    if starts.len() != count {
        return None;
    }
    // Comments directly above a table belong to it.
    let begin_of = |start: usize| {
        let comments = lines[..start].iter().rev().take_while(|line| line.trim_start().starts_with('#')).count();
        start - comments
    };
    let begin = begin_of(*starts.get(index)?);
    let end = starts.get(index + 1).map_or(lines.len(), |&next| begin_of(next));
    Some(begin..end)
}

fn is_header(line: &str) -> bool {
    line.split('#').next().is_some_and(|line| line.trim() == HEADER)
}

fn add(text: &mut String, key: &str, value: &str) {
    text.push_str(key);
    text.push_str(" = ");
    text.push_str(value);
    text.push('\n');
}

/// Returns a TOML string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
