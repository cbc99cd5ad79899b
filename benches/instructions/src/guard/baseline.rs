//! The baseline: a text file in the repository with the cost of each path.

use std::{collections::BTreeMap, fmt::Write, fs};

use callboard_instructions::PATHS;

use super::{cost::Cost, environment::Environment};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");
const COMMENT: &str = "# Instructions and allocations of one call, written by benches/instructions/run --update\n";

/// The costs that a comparison starts from, and where they were measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Baseline {
    pub(super) environment: Environment,
    pub(super) costs: BTreeMap<String, Cost>,
}

impl Baseline {
    pub(super) fn read() -> Result<Baseline, String> {
        let text = fs::read_to_string(FILE).map_err(|error| format!("cannot read {FILE}: {error}"))?;
        Baseline::parse(&text)
    }

    pub(super) fn write(&self) -> Result<(), String> {
        fs::write(FILE, self.format()).map_err(|error| format!("cannot write {FILE}: {error}"))
    }

    fn format(&self) -> String {
        let Environment { rustc, libc, processor } = &self.environment;
        let mut text = format!("{COMMENT}rustc: {rustc}\nlibc: {libc}\nprocessor: {processor}\n");
        for path in &PATHS {
            let Some(Cost { instructions, allocations }) = self.costs.get(path.name) else { continue };
            writeln!(text, "{:<24}{instructions:>10.0}{allocations:>8.2}", path.name).expect("a text can be written");
        }
        text
    }

    fn parse(text: &str) -> Result<Baseline, String> {
        let fact = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.map(str::to_owned).ok_or(format!("{FILE} has no line {name:?}"))
        };
        let environment = Environment { rustc: fact("rustc")?, libc: fact("libc")?, processor: fact("processor")? };
        Ok(Baseline { environment, costs: text.lines().filter_map(parse_row).collect() })
    }
}

/// Parses a line with a name and two numbers. `None` for any other line.
fn parse_row(line: &str) -> Option<(String, Cost)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [name, instructions, allocations] = words[..] else { return None };
    let cost = Cost { instructions: instructions.parse().ok()?, allocations: allocations.parse().ok()? };
    Some((name.to_owned(), cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_is_parsed_back_from_its_text() {
        let fact = |text: &str| text.to_owned();
        let environment = Environment { rustc: fact("rustc 1.95.0"), libc: fact("ldd 2.36"), processor: fact("x") };
        let costs = PATHS.iter().zip(1..).map(|(path, number)| {
            (
                path.name.to_owned(),
                Cost { instructions: f64::from(1_000 * number), allocations: 0.25 * f64::from(number) },
            )
        });
        let baseline = Baseline { environment, costs: costs.collect() };
        assert_eq!(Baseline::parse(&baseline.format()), Ok(baseline));
    }
}
