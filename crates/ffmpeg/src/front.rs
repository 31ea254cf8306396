//! The plain form put into order: `ftyp`, index, packets.

use crate::target::{Out, Spool};
use beamline_io::Error;
use std::io::ErrorKind;

/// Bytes copied at once.
const CHUNK: usize = 1 << 20;
/// The longest index that is read into memory.
const MAX_INDEX: u64 = 1 << 30;

/// One top-level box of the spool.
#[derive(Clone, Copy, Debug)]
struct Top {
    kind: [u8; 4],
    at: u64,
    size: u64,
}

/// Writes the spool to the sink with the index in front.
pub(crate) fn write(out: &mut Out, mut spool: Spool, len: u64) -> Result<(), Error> {
    let tops = tops(&mut spool, len)?;
    let index = tops.iter().copied().find(|top| &top.kind == b"moov");
    let Some(index) = index.filter(|index| index.size <= MAX_INDEX) else {
        return Err(broken("there is no index in it"));
    };
    // The index moves to before the first box that is no `ftyp`; everything from there on moves back by its length.
    let begin = tops.iter().find(|top| &top.kind != b"ftyp").map_or(0, |top| top.at);
    let mut moov = vec![0; index.size as usize];
    spool.read_at(index.at, &mut moov)?;
    let moov = moved(&moov).ok_or_else(|| broken("its index is damaged"))?;
    copy(out, &mut spool, 0, begin)?;
    out.give(&moov)?;
    copy(out, &mut spool, begin, index.at)?;
    copy(out, &mut spool, index.at + index.size, len)
}

fn broken(what: &str) -> Error {
    Error::Os {
        action: "put in order",
        name: "the temporary file".into(),
        source: std::io::Error::new(ErrorKind::InvalidData, what),
    }
}

fn copy(out: &mut Out, spool: &mut Spool, mut from: u64, to: u64) -> Result<(), Error> {
    let mut chunk = vec![0; CHUNK.min(usize::try_from(to.saturating_sub(from)).unwrap_or(CHUNK))];
    while from < to {
        let now = chunk.len().min(usize::try_from(to - from).unwrap_or(CHUNK));
        spool.read_at(from, &mut chunk[..now])?;
        out.give(&chunk[..now])?;
        from += now as u64;
    }
    Ok(())
}

fn tops(spool: &mut Spool, len: u64) -> Result<Vec<Top>, Error> {
    let mut tops = Vec::new();
    let mut at = 0;
    while at + 8 <= len {
        let mut head = [0; 16];
        let have = head.len().min((len - at) as usize);
        spool.read_at(at, &mut head[..have])?;
        let (size, kind) = header(&head).ok_or_else(|| broken("it is damaged"))?;
        let size = if size == 0 { len - at } else { size };
        if size < 8 || size > len - at {
            return Err(broken("a box in it leaves it"));
        }
        tops.push(Top { kind, at, size });
        at += size;
    }
    Ok(tops)
}

fn header(bytes: &[u8]) -> Option<(u64, [u8; 4])> {
    let kind = *bytes.get(4..)?.first_chunk::<4>()?;
    let size = match u32::from_be_bytes(*bytes.first_chunk::<4>()?) {
        1 => u64::from_be_bytes(*bytes.get(8..)?.first_chunk::<8>()?),
        size => u64::from(size),
    };
    Some((size, kind))
}

/// The index with every chunk's offset raised by its own length: first with offsets as wide as they are, then all of 64 bits if
/// one does not fit (which makes the index longer).
fn moved(moov: &[u8]) -> Option<Vec<u8>> {
    if let Some(same) = rebuild(moov, moov.len() as u64, false) {
        return Some(same);
    }
    let length = rebuild(moov, 0, true)?.len() as u64;
    rebuild(moov, length, true)
}

/// A box with the offsets in it raised; `None` when it is damaged, or an offset would not fit.
fn rebuild(bytes: &[u8], by: u64, wide: bool) -> Option<Vec<u8>> {
    let (size, kind) = header(bytes)?;
    if size != bytes.len() as u64 || u64::from(u32::from_be_bytes(*bytes.first_chunk::<4>()?)) != size {
        return None;
    }
    let body = bytes.get(8..)?;
    let (kind, body) = match &kind {
        b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" => {
            let mut out = Vec::with_capacity(body.len());
            let mut rest = body;
            while !rest.is_empty() {
                let (child, after) =
                    rest.split_at_checked(usize::try_from(header(rest)?.0).ok().filter(|n| *n >= 8)?)?;
                out.extend(rebuild(child, by, wide)?);
                rest = after;
            }
            (kind, out)
        }
        b"stco" => offsets::<4>(body, by, wide)?,
        b"co64" => offsets::<8>(body, by, true)?,
        _ => return Some(bytes.to_vec()),
    };
    let mut out = u32::try_from(body.len() + 8).ok()?.to_be_bytes().to_vec();
    out.extend(kind);
    out.extend(body);
    Some(out)
}

/// A table of offsets of `N` bytes each, raised, as one of 4 or 8 bytes each.
fn offsets<const N: usize>(body: &[u8], by: u64, wide: bool) -> Option<([u8; 4], Vec<u8>)> {
    let (head, entries) = body.split_at_checked(8)?;
    let mut out = head.to_vec();
    for entry in entries.chunks_exact(N) {
        let offset = entry
            .iter()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
            .checked_add(by)?;
        if wide {
            out.extend(offset.to_be_bytes());
        } else {
            out.extend(u32::try_from(offset).ok()?.to_be_bytes());
        }
    }
    Some((if wide { *b"co64" } else { *b"stco" }, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut out = (body.len() as u32 + 8).to_be_bytes().to_vec();
        out.extend(kind);
        out.extend(body);
        out
    }

    fn index(offset: u32) -> Vec<u8> {
        let mut table = vec![0, 0, 0, 0, 0, 0, 0, 1];
        table.extend(offset.to_be_bytes());
        let inner = [b"stbl", b"minf", b"mdia", b"trak", b"moov"];
        inner
            .iter()
            .fold(boxed(b"stco", &table), |body, kind| boxed(kind, &body))
    }

    #[test]
    fn offsets_move_by_the_length_of_the_index() {
        let moov = index(48);
        let out = moved(&moov).expect("moved");
        assert_eq!(out.len(), moov.len());
        assert_eq!(out[out.len() - 4..], (48 + moov.len() as u32).to_be_bytes());
    }

    #[test]
    fn offsets_that_no_longer_fit_become_wide() {
        let moov = index(u32::MAX - 3);
        let out = moved(&moov).expect("moved");
        assert_eq!(out.len(), moov.len() + 4);
        let offset = u64::from(u32::MAX - 3) + out.len() as u64;
        assert_eq!(out[out.len() - 8..], offset.to_be_bytes());
        assert!(out.windows(4).any(|w| w == b"co64"));
    }

    #[test]
    fn a_damaged_index_is_refused() {
        let moov = index(1);
        assert!(moved(&moov[..moov.len() - 1]).is_none());
        assert!(moved(&[0; 8]).is_none());
    }
}
