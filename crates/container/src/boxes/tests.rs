//! Files made of a few bytes. Real ones: `tests/boxes.rs`.

use super::*;
use beamline_io::BytesSource;
use beamline_media::ErrorCode;

fn boxed(kind: &str, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(8 + content.len()).unwrap();
    [&size.to_be_bytes(), kind.as_bytes(), content].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

fn look(file: &[u8]) -> Result<Option<Examination>, Error> {
    examine(&BytesSource::new(file.to_vec(), "test.mp4"), &Cancel::new())
}

fn found(file: &[u8]) -> Examination {
    look(file).unwrap().expect("a movie")
}

fn missing(file: &[u8]) -> String {
    found(file).missing.expect("something is missing")
}

/// An index of one track whose `stbl` this is.
fn movie(table: &[u8]) -> Vec<u8> {
    let media = [
        boxed("mdhd", &words(&[0, 0, 0, 1000, 2000])),
        boxed("minf", &boxed("stbl", table)),
    ]
    .concat();
    boxed(
        "moov",
        &boxed(
            "trak",
            &[boxed("tkhd", &words(&[0, 0, 0, 1])), boxed("mdia", &media)].concat(),
        ),
    )
}

/// Three samples of these sizes in two chunks (two, then one) at these offsets.
fn table(sizes: [u32; 3], offsets: [u32; 2]) -> Vec<u8> {
    let stsz = words(&[0, 0, 3, sizes[0], sizes[1], sizes[2]]);
    let stsc = words(&[0, 2, 1, 2, 1, 2, 1, 1]);
    let stco = words(&[0, 2, offsets[0], offsets[1]]);
    [boxed("stsz", &stsz), boxed("stsc", &stsc), boxed("stco", &stco)].concat()
}

fn ftyp() -> Vec<u8> {
    boxed("ftyp", b"isom\0\0\0\0")
}

#[test]
fn other_formats_are_none_of_ours() {
    for file in [
        &b""[..],
        b"\0\0\0",
        b"\x1a\x45\xdf\xa3aaaaaaaaaaaa",
        b"RIFF....WAVEfmt ",
        b"\0\0\0\x0cjP  \r\n\x87\n",
    ] {
        assert_eq!(look(file).unwrap(), None, "{file:?}");
    }
}

#[test]
fn a_still_picture_in_boxes_is_no_movie() {
    assert_eq!(
        look(&[ftyp(), boxed("meta", &[0; 4]), boxed("mdat", &[1; 9])].concat()).unwrap(),
        None
    );
}

#[test]
fn a_box_smaller_than_its_header_is_an_error() {
    for bad in [
        words(&[7, u32::from_be_bytes(*b"free")]),
        words(&[1, u32::from_be_bytes(*b"mdat"), 0, 15]),
    ] {
        let error = look(&[ftyp(), bad].concat()).unwrap_err();
        assert_eq!((error.code(), error.reason()), (ErrorCode::Data, "corrupt-file"));
        assert!(error.to_string().contains("fewer than its own header"), "{error}");
    }
}

#[test]
fn what_stands_behind_the_end_of_the_tables_is_missing() {
    let whole = |offsets, extra: usize| {
        let index = movie(&table([10, 20, 30], offsets));
        [ftyp(), index, boxed("mdat", &vec![0; extra])].concat()
    };
    let media_at = whole([0, 0], 0).len() as u32;
    assert!(found(&whole([media_at, media_at + 30], 60)).complete);
    assert!(missing(&whole([media_at, media_at + 31], 60)).contains("track 1 reaches up to byte"));
    // The second chunk need not be the last one in the file.
    assert!(!found(&whole([media_at + 31, media_at], 60)).complete);
}

#[test]
fn sizes_are_read_in_every_form() {
    let with = |sizes: Vec<u8>| {
        let runs = boxed("stsc", &words(&[0, 1, 1, 3, 1]));
        let chunks = boxed("co64", &words(&[0, 1, 0, 1000]));
        [ftyp(), movie(&[sizes, runs, chunks].concat()), boxed("free", &[])].concat()
    };
    let end = |sizes| missing(&with(sizes));
    assert!(end(boxed("stsz", &words(&[0, 7, 3]))).contains("byte 1021,"));
    assert!(end(boxed("stz2", &[words(&[0, 4, 3]), vec![0x12, 0x30]].concat())).contains("byte 1006,"));
    assert!(end(boxed("stz2", &[words(&[0, 8, 3]), vec![1, 2, 9]].concat())).contains("byte 1012,"));
    assert!(end(boxed("stz2", &[words(&[0, 16, 3]), vec![1, 0, 2, 0, 0, 1]].concat())).contains("byte 1769,"));
    // Counts far beyond what is there cost nothing.
    assert!(end(boxed("stsz", &words(&[0, u32::MAX, u32::MAX]))).contains("reaches up to"));
    assert!(found(&with(boxed("stsz", &words(&[0, 0, u32::MAX])))).complete);
}

#[test]
fn samples_in_other_files_are_not_looked_for() {
    let outside = boxed(
        "dinf",
        &boxed("dref", &[words(&[0, 1]), boxed("url ", &[0; 4])].concat()),
    );
    let table = boxed("stbl", &table([10, 20, 30], [5000, 6000]));
    let media = boxed("mdia", &boxed("minf", &[outside, table].concat()));
    let index = boxed(
        "moov",
        &boxed("trak", &[boxed("tkhd", &words(&[0, 0, 0, 1])), media].concat()),
    );
    assert!(found(&[ftyp(), index].concat()).complete);
}

#[test]
fn large_and_open_ended_boxes_are_walked_over() {
    let large = |size: u32| [words(&[1, u32::from_be_bytes(*b"mdat"), 0, size]), vec![0; 60]].concat();
    let to_end = [words(&[0, u32::from_be_bytes(*b"mdat")]), vec![0; 60]].concat();
    let index = |at: u32| movie(&table([10, 20, 30], [at, at + 30]));
    let front = (ftyp().len() + index(0).len()) as u32;
    assert!(found(&[ftyp(), index(front + 16), large(76)].concat()).complete);
    assert!(missing(&[ftyp(), index(front + 16), large(77)].concat()).contains("'mdat' at"));
    assert!(found(&[ftyp(), index(front + 8), to_end.clone()].concat()).complete);
    assert!(!found(&[ftyp(), index(front + 9), to_end].concat()).complete);
    let huge = [
        words(&[1, u32::from_be_bytes(*b"mdat"), u32::MAX, u32::MAX]),
        vec![0; 60],
    ]
    .concat();
    assert!(!found(&[ftyp(), index(front + 16), huge].concat()).complete);
}

#[test]
fn what_somebody_appended_to_a_whole_movie_is_passed_over() {
    let index = movie(&table([1, 1, 1], [8, 8]));
    for junk in [&b"\0\0\0\x05TAGxyz"[..], b"some words and more", &[0xff; 40], &[0; 64]] {
        assert!(
            found(&[ftyp(), index.clone(), junk.to_vec()].concat()).complete,
            "{junk:?}"
        );
    }
}

#[test]
fn an_index_beyond_the_bound_is_refused_without_reading_it() {
    #[derive(Debug)]
    struct Endless(Vec<u8>);
    impl ByteSource for Endless {
        fn read_at(&self, offset: u64, into: &mut [u8], _: &Cancel) -> Result<usize, beamline_io::Error> {
            assert!(offset < 1 << 20, "it is read");
            let from = (offset as usize).min(self.0.len());
            let n = into.len().min(self.0.len() - from);
            into[..n].copy_from_slice(&self.0[from..from + n]);
            into[n..].fill(0);
            Ok(into.len())
        }
        fn len(&self) -> Option<u64> {
            Some(1 << 40)
        }
        fn name(&self) -> &str {
            "endless"
        }
    }
    let file = Endless([ftyp(), words(&[0x7fff_ffff, u32::from_be_bytes(*b"moov")])].concat());
    let error = examine(&file, &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("more than the"), "{error}");
}

#[test]
fn a_wish_to_stop_is_obeyed() {
    let cancel = Cancel::new();
    cancel.cancel();
    let source = BytesSource::new(ftyp(), "test.mp4");
    assert!(matches!(
        examine(&source, &cancel),
        Err(Error::Io(beamline_io::Error::Cancelled))
    ));
}

/// An index for fragments of track 1, announcing that many thousandths of a second.
fn fragments_index(announced: u32) -> Vec<u8> {
    let media = boxed("mdhd", &words(&[0, 0, 0, 1000, 0]));
    let track = boxed(
        "trak",
        &[boxed("tkhd", &words(&[0, 0, 0, 1])), boxed("mdia", &media)].concat(),
    );
    let trex = boxed("trex", &words(&[0, 1, 1, 100, 7, 0]));
    let extends = boxed("mvex", &[boxed("mehd", &words(&[0, announced])), trex].concat());
    boxed(
        "moov",
        &[boxed("mvhd", &words(&[0, 0, 0, 1000])), track, extends].concat(),
    )
}

/// A fragment of five samples with the index's sizes and durations, 35 bytes and half a second.
fn fragment(media: usize) -> Vec<u8> {
    let head = |offset: u32| {
        let run = boxed("trun", &words(&[1, 5, offset]));
        boxed(
            "moof",
            &boxed("traf", &[boxed("tfhd", &words(&[0x02_0000, 1])), run].concat()),
        )
    };
    let offset = head(0).len() as u32 + 8;
    [head(offset), boxed("mdat", &vec![0; media])].concat()
}

#[test]
fn fragments_are_held_against_their_media() {
    let file = |media| [ftyp(), fragments_index(0), fragment(35), fragment(media)].concat();
    let whole = found(&file(35));
    assert!(whole.complete && whole.fragmented);
    assert_eq!((whole.index, whole.fragments_whole), (Index::Whole, 2));
    let short = found(&file(34));
    assert_eq!((short.complete, short.fragments_whole), (false, 1));
    assert!(short.missing.unwrap().contains("needs bytes up to"));
    let no_media = file(35);
    let no_media = missing(&no_media[..no_media.len() - 43]);
    assert!(no_media.contains("has no media"), "{no_media}");
}

#[test]
fn fragments_are_held_against_the_length_that_the_index_announces() {
    let file = |announced| [ftyp(), fragments_index(announced), fragment(35), fragment(35)].concat();
    assert!(found(&file(1400)).complete, "a little less is rounding");
    assert!(missing(&file(3000)).contains("announces 3.000 s, but the fragments have 1.000 s"));
}

#[test]
fn an_index_for_fragments_alone_is_not_the_whole_file() {
    assert!(missing(&[ftyp(), fragments_index(0)].concat()).contains("without any"));
    assert!(!found(&fragment(35)).complete);
    assert!(matches!(found(&fragment(35)).index, Index::Missing { .. }));
}
