//! The page of the guide on metrics, compared with a scrape.

use std::collections::BTreeSet;

use super::up::Up;

/// The page.
const PAGE: &str = include_str!("../../../docs/guide/metrics.md");

#[test]
fn the_guide_lists_every_metric_with_its_type_and_labels() {
    let up = Up::start();
    up.call(&["calculator.add", "2", "3"]).printed();
    let text = up.endpoint.get("/metrics").body;
    let scraped: BTreeSet<_> = text.lines().filter_map(scraped_family).collect();
    let documented: BTreeSet<_> = PAGE.lines().filter_map(documented_family).collect();
    let missing: Vec<_> = scraped.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&scraped).collect();
    assert!(missing.is_empty(), "docs/guide/metrics.md does not list {missing:#?}");
    assert!(unknown.is_empty(), "docs/guide/metrics.md lists what the endpoint does not have: {unknown:#?}");
    for (name, _) in &scraped {
        let labels = text.lines().filter_map(|line| sample_labels(line, name)).next();
        let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap();
        let listed = row.split('|').nth(3).unwrap().trim();
        let listed =
            if listed == "-" { Vec::new() } else { listed.split(", ").map(|name| name.trim_matches('`')).collect() };
        // A family without samples, such as that of connections that were closed, shows no labels.
        if let Some(labels) = labels {
            assert_eq!(labels, listed, "the labels of {name} in docs/guide/metrics.md");
        }
    }
}

/// Returns the name of a family as its samples have it, and its type.
fn scraped_family(line: &str) -> Option<(String, String)> {
    let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
    let suffix = if kind == "counter" { "_total" } else { "" };
    Some((format!("{name}{suffix}"), kind.to_owned()))
}

/// Returns the name and the type in a row of the page.
fn documented_family(line: &str) -> Option<(String, String)> {
    let mut cells = line.strip_prefix("| `callboard_")?.split('|').map(str::trim);
    let name = cells.next()?.trim_end_matches('`');
    Some((format!("callboard_{name}"), cells.next()?.to_owned()))
}

/// Returns the names of a sample's labels, if it belongs to a family.
fn sample_labels<'a>(line: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let rest = line.strip_prefix(name)?;
    let rest = rest.strip_prefix("_count").unwrap_or(rest);
    let labels = rest.strip_prefix('{').map_or("", |labels| labels.rsplit_once('}').map_or("", |(labels, _)| labels));
    let is_sample = rest.starts_with(['{', ' ']);
    is_sample.then(|| labels.split(',').filter_map(|label| Some(label.split_once('=')?.0)).collect())
}
