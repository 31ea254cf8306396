//! How far the samples of a track reach into the file: the least that must be read of a sample table (ISO/IEC 14496-12 §8.7).

use super::parse::{child, u32_at, u64_at};

/// Sizes of samples, in order.
enum Sizes<'a> {
    /// All the same.
    Same { size: u32, count: u32 },
    /// A table of numbers of 4, 8, 16 or 32 bits.
    Table { bytes: &'a [u8], bits: usize, count: usize },
}

impl<'a> Sizes<'a> {
    fn read(table: &'a [u8]) -> Option<Self> {
        if let Some(stsz) = child(table, b"stsz") {
            let (size, count) = (u32_at(stsz, 4)?, u32_at(stsz, 8)?);
            return Some(if size != 0 {
                Sizes::Same { size, count }
            } else {
                Sizes::table(&stsz[12..], 32, count)
            });
        }
        let stz2 = child(table, b"stz2")?;
        let bits = match u32_at(stz2, 4)? & 0xff {
            4 => 4,
            8 => 8,
            16 => 16,
            _ => return None,
        };
        let count = u32_at(stz2, 8)?;
        Some(Sizes::table(&stz2[12..], bits, count))
    }

    fn table(bytes: &'a [u8], bits: usize, count: u32) -> Self {
        Sizes::Table {
            bytes,
            bits,
            count: (count as usize).min(bytes.len() * 8 / bits),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Sizes::Same { count, .. } => u64::from(*count),
            Sizes::Table { count, .. } => *count as u64,
        }
    }

    /// Bytes of `count` samples from `first` on; those behind the end have none.
    fn sum(&self, first: u64, count: u64) -> u64 {
        let end = first.saturating_add(count).min(self.count());
        match self {
            Sizes::Same { size, .. } => end.saturating_sub(first).saturating_mul(u64::from(*size)),
            Sizes::Table { bytes, bits, .. } => (first..end).map(|i| entry(bytes, *bits, i as usize)).sum(),
        }
    }
}

fn entry(bytes: &[u8], bits: usize, i: usize) -> u64 {
    match bits {
        4 => u64::from(bytes[i / 2] >> (4 * (1 - i % 2)) & 15),
        8 => u64::from(bytes[i]),
        16 => u64::from(u16::from_be_bytes([bytes[2 * i], bytes[2 * i + 1]])),
        _ => u64::from(u32_at(bytes, 4 * i).unwrap_or(0)),
    }
}

/// Offsets of chunks.
struct Chunks<'a> {
    bytes: &'a [u8],
    wide: bool,
    count: usize,
}

impl<'a> Chunks<'a> {
    fn read(table: &'a [u8]) -> Option<Self> {
        let (content, wide) = match child(table, b"stco") {
            Some(stco) => (stco, false),
            None => (child(table, b"co64")?, true),
        };
        let bytes = content.get(8..)?;
        let count = (u32_at(content, 4)? as usize).min(bytes.len() / if wide { 8 } else { 4 });
        Some(Chunks { bytes, wide, count })
    }

    fn offset(&self, i: usize) -> u64 {
        if self.wide {
            u64_at(self.bytes, 8 * i).unwrap_or(0)
        } else {
            u64::from(u32_at(self.bytes, 4 * i).unwrap_or(0))
        }
    }
}

/// How many samples an `stbl` has, and the file offset behind the last byte of any of them; `None` when its tables cannot be read.
///
/// Cost: one step per chunk and per sample that the tables really spell out.
pub(super) fn reach(table: &[u8]) -> Option<(u64, u64)> {
    let sizes = Sizes::read(table)?;
    let chunks = Chunks::read(table)?;
    let runs = child(table, b"stsc")?;
    let run_count = (u32_at(runs, 4)? as usize).min(runs.len().saturating_sub(8) / 12);
    let run = |i: usize| Some((u32_at(runs, 8 + 12 * i)?, u32_at(runs, 12 + 12 * i)?)).filter(|_| i < run_count);
    let (mut at_run, mut sample, mut end) = (0, 0u64, 0u64);
    for chunk in 0..chunks.count {
        // First chunks of runs count from 1 and rise.
        while run(at_run + 1).is_some_and(|(first, _)| first as usize <= chunk + 1) {
            at_run += 1;
        }
        let per_chunk = run(at_run).map_or(0, |(_, samples)| u64::from(samples));
        let bytes = sizes.sum(sample, per_chunk);
        if bytes != 0 {
            end = end.max(chunks.offset(chunk).saturating_add(bytes));
        }
        sample = sample.saturating_add(per_chunk);
    }
    Some((sizes.count(), end))
}
