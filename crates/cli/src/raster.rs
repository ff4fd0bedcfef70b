//! SVG pictures as PNG, by the one font that the executable carries: the same pixels on every machine.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

/// DejaVu Sans without the scripts that labels never use (see LICENSE beside it).
const FONT: &[u8] = include_bytes!("../fonts/DejaVuSans-subset.ttf");
const FAMILY: &str = "DejaVu Sans";

/// Pixels a unit of the SVG.
const SCALE: f32 = 2.0;

/// The picture as a PNG, twice as many pixels wide and high as it says.
///
/// # Errors
/// Text that is no SVG; a picture without extent.
pub(crate) fn png(svg: &str) -> Result<Vec<u8>, String> {
    let mut fonts = Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family(FAMILY);
    let options = Options { fontdb: Arc::new(fonts), font_family: FAMILY.to_owned(), ..Options::default() };
    let failed = |what: &dyn std::fmt::Display| format!("cannot be rasterised: {what}");
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(&error))?;
    let pixels = |length: f32| (SCALE * length).ceil() as u32;
    let (width, height) = (pixels(tree.size().width()), pixels(tree.size().height()));
    let mut canvas = Pixmap::new(width, height).ok_or_else(|| failed(&"it has no extent"))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut canvas.as_mut());
    canvas.encode_png().map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Width and height of a PNG, from its first chunk.
    fn size(png: &[u8]) -> (u32, u32) {
        let word = |at: usize| u32::from_be_bytes([png[at], png[at + 1], png[at + 2], png[at + 3]]);
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        (word(16), word(20))
    }

    fn picture(text: &str) -> String {
        let head = r#"<svg width="40" height="20" xmlns="http://www.w3.org/2000/svg">"#;
        format!(r#"{head}<text x="2" y="15" font-family="sans-serif" font-size="16">{text}</text></svg>"#)
    }

    #[test]
    fn texts_are_drawn_in_any_place_that_lacks_fonts() {
        let blank = png(&picture("")).unwrap();
        assert_eq!(size(&blank), (80, 40));
        for text in ["r", "σ", "±", "‖", "→"] {
            assert_ne!(png(&picture(text)).unwrap(), blank, "{text}");
        }
        assert_ne!(png(&picture("a")).unwrap(), png(&picture("b")).unwrap());
        assert!(png("no picture").unwrap_err().starts_with("cannot be rasterised: "));
    }
}
