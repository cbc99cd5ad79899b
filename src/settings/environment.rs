//! The environment variables of Callboard, and names that look like one of them.

use super::{
    catalogue::{FORMER_VARIABLES, SETTINGS},
    nearest::nearest,
};

/// The variable that names the settings file.
pub(crate) const CONFIG_VARIABLE: &str = "CALLBOARD_CONFIG";
/// The variable that holds a key itself. No flag and no setting of the file does: other users can read those.
pub(crate) const AUTHKEY_VARIABLE: &str = "CALLBOARD_AUTHKEY";
/// The variable that holds a secret CURVE key itself, for the same reason.
pub(crate) const CURVE_SECRET_VARIABLE: &str = "CALLBOARD_CURVE_SECRET";
/// The prefix of all variables of Callboard.
const PREFIX: &str = "CALLBOARD_";
/// Variables that are not settings. The first five are for users; a pool sets the others for its workers.
pub(super) const OTHERS: [&str; 9] = [
    CONFIG_VARIABLE,
    AUTHKEY_VARIABLE,
    CURVE_SECRET_VARIABLE,
    "CALLBOARD_LOG",
    "CALLBOARD_LOG_FORMAT",
    "CALLBOARD_POOL",
    "CALLBOARD_POOL_PID",
    "CALLBOARD_INSTANCE",
    "CALLBOARD_LIFELINE",
];
/// The largest edit distance at which a name counts as misspelled. Any other name may belong to a user's program.
const DISTANCE_MAX: usize = 2;

/// Returns a warning for each unknown variable whose name is close to one of ours.
pub(crate) fn misspelled(names: impl IntoIterator<Item = String>) -> Vec<String> {
    names.into_iter().filter_map(|name| warning(&name)).collect()
}

fn warning(name: &str) -> Option<String> {
    let ours = || SETTINGS.into_iter().flat_map(|setting| setting.variables.iter().copied()).chain(OTHERS);
    let rest = name.strip_prefix(PREFIX)?;
    if ours().chain(FORMER_VARIABLES.map(|(variable, _)| variable)).any(|known| known == name) {
        return None;
    }
    let known = || ours().filter_map(|known| known.strip_prefix(PREFIX));
    let close = known().find(|known| strsim::damerau_levenshtein(rest, known) <= DISTANCE_MAX);
    let table = ["BROKER_", "POOL_", "CLIENT_"].into_iter().find(|table| rest.starts_with(table));
    let near =
        close.or_else(|| nearest(rest, known().filter(|known| table.is_some_and(|table| known.starts_with(table)))));
    near.map(|near| format!("unknown variable {name} is ignored; did you mean {PREFIX}{near}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_variable_gets_a_warning_with_the_nearest_name() {
        let warning = |name: &str| misspelled([name.to_owned()]).pop().unwrap_or_default();
        assert!(warning("CALLBOARD_FRONTED").ends_with("did you mean CALLBOARD_FRONTEND?"));
        assert!(warning("CALLBOARD_POOL_COUNT").contains("did you mean CALLBOARD_POOL_"));
    }

    #[test]
    fn known_variables_and_those_of_other_programs_get_no_warning() {
        for name in ["CALLBOARD_FRONTEND", "CALLBOARD_LOG", "CALLBOARD_EXAMPLE_USERS_FILE", "CALLBOARD_SEEDS", "PATH"] {
            assert!(misspelled([name.to_owned()]).is_empty(), "{name}");
        }
    }
}
