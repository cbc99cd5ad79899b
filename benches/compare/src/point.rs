//! The loads that are compared.

use serde::Serialize;

/// A load, the same for all peers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    pub(crate) clients: u32,
    pub(crate) workers: u32,
    /// Outstanding calls of each client.
    pub(crate) window: u32,
    pub(crate) size: usize,
    /// Items of each stream; 0: calls.
    pub(crate) items: u64,
}

/// One client and one worker.
const PAIR: Point = Point { clients: 1, workers: 1, window: 64, size: 64, items: 0 };

/// The points in the order of the report.
pub(crate) const POINTS: [Point; 8] = [
    Point { window: 1, ..PAIR },
    PAIR,
    Point { window: 512, ..PAIR },
    Point { size: 1_024, ..PAIR },
    Point { size: 65_536, ..PAIR },
    Point { workers: 50, ..PAIR },
    Point { clients: 100, window: 1, ..PAIR },
    Point { window: 1, items: 100_000, ..PAIR },
];

impl Point {
    /// Returns a title such as `64 bytes, 1 client, 50 workers, 64 outstanding`.
    pub(crate) fn title(&self) -> String {
        let Point { clients, workers, window, size, items } = *self;
        let number = |count: u32, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        let load =
            if items > 0 { format!("streams of {items} items") } else { format!("{} outstanding", window * clients) };
        format!("{size} bytes, {}, {}, {load}", number(clients, "client"), number(workers, "worker"))
    }

    /// Returns what the rates count.
    pub(crate) fn operations(&self) -> &'static str {
        if self.items > 0 { "items" } else { "calls" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_names_the_load() {
        assert_eq!(POINTS[0].title(), "64 bytes, 1 client, 1 worker, 1 outstanding");
        assert_eq!(POINTS[6].title(), "64 bytes, 100 clients, 1 worker, 100 outstanding");
        assert_eq!(POINTS[7].title(), "64 bytes, 1 client, 1 worker, streams of 100000 items");
    }
}
