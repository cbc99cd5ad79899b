//! Names that were mistyped.

/// Names this alike or more are taken for the same one mistyped.
const ALIKE_MIN: f64 = 0.7;

/// The name most like `typed`, if one is much like it.
pub(super) fn nearest<'n>(typed: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let alike = names.into_iter().map(|name| (strsim::jaro_winkler(typed, name), name));
    let (alike, name) = alike.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (alike >= ALIKE_MIN).then_some(name)
}
