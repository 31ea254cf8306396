//! The few rows that stand between a picture that is read and one that is written.

/// Buffers of one row each, kept from picture to picture.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) luma: Vec<u8>,
    pub(crate) alpha: Vec<u8>,
    pub(crate) opaque: Vec<u8>,
    /// U and V as they are stored, and of the row below.
    pub(crate) stored: [Vec<u8>; 2],
    pub(crate) below: [Vec<u8>; 2],
    /// U and V with a sample per pixel.
    pub(crate) full: [Vec<u8>; 2],
    /// U and V as the target stores them.
    pub(crate) made: [Vec<u8>; 2],
    /// Red, green, blue, alpha of two rows.
    pub(crate) rgb: [[Vec<u8>; 4]; 2],
    /// Means of red, green, blue ×256.
    pub(crate) means: [Vec<u16>; 3],
}

impl Rows {
    /// Makes every row `width` samples long; takes memory only for a wider picture than before.
    pub(crate) fn fit(&mut self, width: usize) {
        let bytes = [&mut self.luma, &mut self.alpha].into_iter();
        let chroma = self.stored.iter_mut().chain(&mut self.below);
        let chroma = chroma.chain(&mut self.full).chain(&mut self.made);
        let rgb = self.rgb.iter_mut().flatten();
        for row in bytes.chain(chroma).chain(rgb) {
            row.resize(width, 0);
        }
        self.opaque.resize(width, 255);
        for row in &mut self.means {
            row.resize(width, 0);
        }
    }
}
