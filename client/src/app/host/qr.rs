//! A link as a QR code of half blocks, for the camera of a phone.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// Lines of the code, `None` for a text that is too long for one. It is black on white whatever colours the terminal has: not every
/// camera reads the reverse.
pub(super) fn lines(text: &str) -> Option<Vec<String>> {
    let lines = blocks(text)?;
    let painted = lines.lines().map(|line| format!("{PAPER}{line}{PLAIN}"));
    Some(painted.collect())
}

fn blocks(text: &str) -> Option<String> {
    // A screen is clean: the least correction gives the largest dots.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let mut drawing = code.render::<Dense1x2>();
    let drawing = drawing
        .dark_color(Dense1x2::Dark)
        .light_color(Dense1x2::Light);
    Some(drawing.build())
}

/// Black on white, of the 256 colours that no theme changes.
const PAPER: &str = "\x1b[38;5;16;48;5;231m";
const PLAIN: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use super::*;

    /// What a camera would read.
    fn read(blocks: &str) -> String {
        let halves = |c: char| match c {
            ' ' => [false, false],
            '▀' => [true, false],
            '▄' => [false, true],
            '█' => [true, true],
            other => panic!("{other:?} is no part of a code"),
        };
        let rows: Vec<Vec<[bool; 2]>> = blocks
            .lines()
            .map(|line| line.chars().map(halves).collect())
            .collect();
        let quiet = 4;
        let width = rows[0].len() - 2 * quiet;
        let grid = rqrr::SimpleGrid::from_func(width, |x, y| {
            rows[(y + quiet) / 2][x + quiet][(y + quiet) % 2]
        });
        rqrr::Grid::new(grid).decode().unwrap().1
    }

    #[test]
    fn a_camera_reads_the_link() {
        let link = format!(
            "https://192.168.178.123:7880/r/call?token=k7f2m9qxw4hbd3ta#sha256={}",
            "0f".repeat(32)
        );
        let blocks = blocks(&link).unwrap();
        assert_eq!(read(&blocks), link);
        let width = blocks.lines().map(|line| line.chars().count()).max();
        assert!(width <= Some(60), "{width:?} columns");
    }

    #[test]
    fn what_no_code_can_hold_has_none() {
        assert_eq!(lines(&"x".repeat(4000)), None);
    }
}
