//! Bars: a share as a row of blocks with eighths at its end, a column chart in one row. Step: model → **view**.

const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar of `part` of `cells`; anything above nothing shows at least a sliver.
pub fn share(part: f64, cells: usize) -> String {
    if cells == 0 || part.is_nan() || part <= 0.0 {
        return String::new();
    }
    let eighths = ((part.min(1.0) * cells as f64 * 8.0).round() as usize).max(1);
    let mut out: String = std::iter::repeat_n('█', eighths / 8).collect();
    if !eighths.is_multiple_of(8) {
        out.push(EIGHTHS[eighths % 8 - 1]);
    }
    out
}

/// One cell's height for `value` of `full`; a blank for nothing.
pub fn level(value: u64, full: u64) -> char {
    if value == 0 || full == 0 {
        return ' ';
    }
    let eighths = (u128::from(value.min(full)) * 8).div_ceil(u128::from(full)) as usize;
    LEVELS[eighths.clamp(1, 8) - 1]
}

/// The same over several rows: the glyph of row `row` of `rows`, counted from the top.
pub fn tall(value: u64, full: u64, row: usize, rows: usize) -> char {
    let eighths = match full {
        0 => 0,
        _ => (u128::from(value.min(full)) * 8 * rows as u128).div_ceil(u128::from(full)) as usize,
    };
    let below = (rows - 1 - row) * 8;
    match eighths.saturating_sub(below) {
        0 => ' ',
        n => LEVELS[n.min(8) - 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_end_where_they_should() {
        assert_eq!(share(0.0, 5), "");
        assert_eq!(share(1.0, 5), "█████");
        assert_eq!(share(0.5, 3), "█▌");
        assert_eq!(share(1e-9, 5), "▏");
        assert_eq!(share(f64::NAN, 5), "");
        assert_eq!(
            (level(0, 8), level(1, 8), level(8, 8), level(9, 8)),
            (' ', '▁', '█', '█')
        );
        assert_eq!(
            (tall(4, 8, 0, 2), tall(4, 8, 1, 2), tall(5, 8, 0, 2)),
            (' ', '█', '▂')
        );
    }
}
