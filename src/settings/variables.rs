//! Environment variables that look as if they were ours, and are not.

use super::{authkey::VARIABLE, catalogue::SETTINGS, nearest::nearest, typed::CONFIG_VARIABLE};

/// How the names of all our variables begin.
const PREFIX: &str = "CALLBOARD_";
/// Variables that are no settings of the catalogue: the first three are for people, a pool sets the others for its workers.
pub(super) const OTHERS: [&str; 7] = [
    CONFIG_VARIABLE,
    VARIABLE,
    "CALLBOARD_LOG",
    "CALLBOARD_POOL",
    "CALLBOARD_POOL_PID",
    "CALLBOARD_INSTANCE",
    "CALLBOARD_LIFELINE",
];
/// So many letters wrong, missing or too many make a name a mistyped one. Any other may be a program's own.
const MISTYPED_MAX: usize = 2;

/// A sentence for each of these variables that is none of ours and was probably meant to be one.
pub(crate) fn mistyped(names: impl IntoIterator<Item = String>) -> Vec<String> {
    names.into_iter().filter_map(|name| complaint(&name)).collect()
}

fn complaint(name: &str) -> Option<String> {
    let ours = || SETTINGS.into_iter().flat_map(|setting| setting.variables.iter().copied()).chain(OTHERS);
    let own = name.strip_prefix(PREFIX)?;
    if ours().any(|known| known == name) {
        return None;
    }
    let parts = || ours().filter_map(|known| known.strip_prefix(PREFIX));
    let close = parts().find(|known| strsim::damerau_levenshtein(own, known) <= MISTYPED_MAX);
    let table = ["BROKER_", "POOL_", "CLIENT_"].into_iter().find(|table| own.starts_with(table));
    let near =
        close.or_else(|| nearest(own, parts().filter(|known| table.is_some_and(|table| known.starts_with(table)))));
    near.map(|near| format!("{name} is no variable of callboard's, and has no effect; did you mean {PREFIX}{near}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_variable_is_told_with_the_one_that_was_meant() {
        let told = |name: &str| mistyped([name.to_owned()]).pop().unwrap_or_default();
        assert!(told("CALLBOARD_FRONTED").ends_with("did you mean CALLBOARD_FRONTEND?"));
        assert!(told("CALLBOARD_POOL_COUNT").contains("did you mean CALLBOARD_POOL_"));
    }

    #[test]
    fn what_is_ours_or_a_programs_own_is_not_told() {
        for name in ["CALLBOARD_FRONTEND", "CALLBOARD_LOG", "CALLBOARD_USERS_FILE", "CALLBOARD_SEEDS", "PATH"] {
            assert!(mistyped([name.to_owned()]).is_empty(), "{name}");
        }
    }
}
