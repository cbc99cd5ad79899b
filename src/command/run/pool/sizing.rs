//! The size of a pool and its bounds, from the settings.

use anyhow::anyhow;
use callboard::pool::{Bounds, size_max_default};

use crate::{
    command::output::exit::Exit,
    settings::{PoolSettings, Source, Sourced},
};

/// The initial size of a pool, its bounds, and whether it scales itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizing {
    pub(crate) size: u32,
    /// `None`: the pool's own default.
    pub(crate) bounds: Option<Bounds>,
    /// Whether the pool scales itself: the settings have a bound and no size.
    pub(crate) autoscale: bool,
}

impl Sizing {
    /// Derives the sizing from the settings.
    ///
    /// # Errors
    /// If they contradict each other: exit code 2.
    pub(crate) fn of(settings: &PoolSettings) -> anyhow::Result<Sizing> {
        let (min, max) = (settings.min.as_ref(), settings.max.as_ref());
        let bounded = min.is_some() || max.is_some();
        let autoscale = bounded && settings.size.source == Source::Default;
        let fewest = min.map_or(1, |min| min.value);
        let size = if autoscale { fewest } else { settings.size.value };
        let count = |number: usize| u32::try_from(number).map_err(|error| Exit::Usage.because(error));
        let most = max.map_or(Ok(size_max_default(count(size)?)), |max| count(max.value))?;
        check(size, fewest, most as usize, settings)?;
        let bounds = bounded.then_some(Bounds { min: count(fewest)?, max: most });
        Ok(Sizing { size: count(size)?, bounds, autoscale })
    }
}

fn check(size: usize, fewest: usize, most: usize, settings: &PoolSettings) -> anyhow::Result<()> {
    let name = |setting: &Option<Sourced<usize>>| {
        setting.as_ref().map_or_else(|| "default".to_owned(), |setting| setting.source.to_string())
    };
    let [least, greatest] = [name(&settings.min), name(&settings.max)];
    if fewest > most {
        let why = anyhow!(
            "--min {fewest} ({least}) is greater than --max {most} ({greatest}); choose bounds with --min <= --max"
        );
        return Err(Exit::Usage.because(why));
    }
    if !(fewest..=most).contains(&size) {
        let why = anyhow!(
            "-n {size} ({}) is not between --min {fewest} ({least}) and --max {most} ({greatest})",
            settings.size.source
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
    fn a_size_fixes_the_pool_and_bounds_alone_make_it_scale_itself() {
        assert_eq!(sizing(&[]), Ok(Sizing { size: 4, bounds: None, autoscale: false }));
        assert_eq!(sizing(&[("-n", "3")]), Ok(Sizing { size: 3, bounds: None, autoscale: false }));
        assert_eq!(sizing(&[("-n", "3"), ("--max", "8")]), between(3, 1, 8, false));
        assert_eq!(sizing(&[("-n", "3"), ("--min", "2")]), between(3, 2, 12, false));
        assert_eq!(sizing(&[("--min", "2"), ("--max", "16")]), between(2, 2, 16, true));
        assert_eq!(sizing(&[("--max", "16")]), between(1, 1, 16, true));
        assert_eq!(sizing(&[("--min", "100")]), between(100, 100, 256, true));
    }

    #[test]
    fn an_error_names_the_source_of_each_number() {
        let error = sizing(&[("-n", "4"), ("--min", "6")]).unwrap_err();
        assert_eq!(error, "-n 4 (flag -n) is not between --min 6 (flag --min) and --max 16 (default)");
        let error = sizing(&[("--min", "6"), ("--max", "5")]).unwrap_err();
        assert!(error.starts_with("--min 6 (flag --min) is greater than --max 5 (flag --max)"), "{error}");
    }
}
