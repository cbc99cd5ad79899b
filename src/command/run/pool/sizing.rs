//! How many worker processes a pool has, from what its operator wrote.

use anyhow::anyhow;
use callboard::pool::{Bounds, size_max_default};

use crate::{
    command::output::exit::Exit,
    settings::{PoolSettings, Source, Sourced},
};

/// How many processes a pool begins with, how few and how many it may have, and who says how many it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizing {
    pub(crate) size: u32,
    /// `None`: the pool's own default.
    pub(crate) bounds: Option<Bounds>,
    /// The pool finds its size itself: its operator wrote how few or how many, and not how many.
    pub(crate) autoscale: bool,
}

impl Sizing {
    /// What the settings mean.
    ///
    /// # Errors
    /// They contradict each other: wrong usage.
    pub(crate) fn of(given: &PoolSettings) -> anyhow::Result<Sizing> {
        let (min, max) = (given.min.as_ref(), given.max.as_ref());
        let bounded = min.is_some() || max.is_some();
        let autoscale = bounded && given.size.source == Source::Default;
        let fewest = min.map_or(1, |min| min.value);
        let size = if autoscale { fewest } else { given.size.value };
        let count = |number: usize| u32::try_from(number).map_err(|error| Exit::Usage.because(error));
        let most = max.map_or(Ok(size_max_default(count(size)?)), |max| count(max.value))?;
        check(size, fewest, most as usize, given)?;
        let bounds = bounded.then_some(Bounds { min: count(fewest)?, max: most });
        Ok(Sizing { size: count(size)?, bounds, autoscale })
    }
}

fn check(size: usize, fewest: usize, most: usize, given: &PoolSettings) -> anyhow::Result<()> {
    let name = |setting: &Option<Sourced<usize>>| {
        setting.as_ref().map_or_else(|| "default".to_owned(), |setting| setting.source.to_string())
    };
    let [least, greatest] = [name(&given.min), name(&given.max)];
    if fewest > most {
        let why = anyhow!("a pool of at least {fewest} ({least}) and at most {most} ({greatest}) processes cannot be");
        return Err(Exit::Usage.because(why));
    }
    if !(fewest..=most).contains(&size) {
        let why = anyhow!(
            "{size} processes ({}) are not between {fewest} ({least}) and {most} ({greatest})",
            given.size.source
        );
        return Err(Exit::Usage.because(why));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::settings::{Flags, Settings};

    fn sizing(flags: &[(&'static str, &str)]) -> Result<Sizing, String> {
        let flags = flags.iter().fold(Flags::default(), |all, (flag, value)| all.with(flag, Some(&(*value).into())));
        Sizing::of(&Settings::load(&flags).unwrap().pool).map_err(|error| error.to_string())
    }

    fn between(size: u32, min: u32, max: u32, autoscale: bool) -> Result<Sizing, String> {
        Ok(Sizing { size, bounds: Some(Bounds { min, max }), autoscale })
    }

    #[test]
    fn who_says_how_many_has_so_many_and_who_says_how_few_or_how_many_lets_the_load_say() {
        assert_eq!(sizing(&[]), Ok(Sizing { size: 4, bounds: None, autoscale: false }));
        assert_eq!(sizing(&[("-n", "3")]), Ok(Sizing { size: 3, bounds: None, autoscale: false }));
        assert_eq!(sizing(&[("-n", "3"), ("--max", "8")]), between(3, 1, 8, false));
        assert_eq!(sizing(&[("-n", "3"), ("--min", "2")]), between(3, 2, 12, false));
        assert_eq!(sizing(&[("--min", "2"), ("--max", "16")]), between(2, 2, 16, true));
        assert_eq!(sizing(&[("--max", "16")]), between(1, 1, 16, true));
        assert_eq!(sizing(&[("--min", "100")]), between(100, 100, 256, true));
    }

    #[test]
    fn what_contradicts_itself_is_told_with_its_places() {
        let error = sizing(&[("-n", "4"), ("--min", "6")]).unwrap_err();
        assert_eq!(error, "4 processes (flag -n) are not between 6 (flag --min) and 16 (default)");
        let error = sizing(&[("--min", "6"), ("--max", "5")]).unwrap_err();
        assert!(error.starts_with("a pool of at least 6 (flag --min) and at most 5 (flag --max)"), "{error}");
    }
}
