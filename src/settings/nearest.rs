//! Suggestions for misspelled names.

/// The least similarity (Jaro-Winkler) at which a name is suggested.
const SIMILARITY_MIN: f64 = 0.7;

/// Returns the name most similar to `word`, if one is similar enough.
pub(super) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.into_iter().map(|name| (strsim::jaro_winkler(word, name), name));
    let (similarity, name) = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (similarity >= SIMILARITY_MIN).then_some(name)
}
