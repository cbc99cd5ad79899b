//! Sparklines: rates as one line of blocks.

/// The blocks, from the lowest to the highest.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws the newest samples in at most `width` characters. The highest of them is a full block.
pub(super) fn render(samples: &[f64], width: usize) -> String {
    let shown = &samples[samples.len().saturating_sub(width)..];
    let max = shown.iter().copied().fold(0.0, f64::max);
    shown.iter().map(|&sample| block(sample, max)).collect()
}

fn block(sample: f64, max: f64) -> char {
    let share = if max > 0.0 { (sample / max).clamp(0.0, 1.0) } else { 0.0 };
    BLOCKS[((share * 7.0).round() as usize).min(BLOCKS.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_of_the_newest_samples_is_a_full_block() {
        assert_eq!(render(&[9.0, 0.0, 1.0, 2.0], 3), "▁▅█");
        assert_eq!(render(&[0.0, 0.0], 8), "▁▁");
        assert_eq!(render(&[], 8), "");
    }
}
