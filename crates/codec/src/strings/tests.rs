use super::*;
use beamline_media::ErrorCode;

#[test]
fn avc_strings_give_profile_constraints_and_level() {
    let avc = parse("avc1.4D401f").unwrap().as_avc().unwrap();
    assert_eq!(
        avc,
        Avc {
            in_band: false,
            profile: 77,
            constraints: 0x40,
            level: 31
        }
    );
    assert_eq!(
        (avc.profile_name(), avc.level_name().as_deref()),
        (Some("Main"), Some("3.1"))
    );
    assert!(parse("avc3.640028").unwrap().as_avc().unwrap().in_band);
}

#[test]
fn names_follow_the_constraint_flags() {
    let name = |p, c, l| {
        let avc = CodecString::avc(p, c, l).as_avc().unwrap();
        (avc.profile_name(), avc.level_name())
    };
    assert_eq!(name(66, 0xc0, 30), (Some("Constrained Baseline"), Some("3".into())));
    assert_eq!(name(66, 0x10, 11), (Some("Baseline"), Some("1b".into())));
    assert_eq!(name(100, 0x10, 11), (Some("High"), Some("1.1".into())));
    assert_eq!(name(100, 0, 9), (Some("High"), Some("1b".into())));
    assert_eq!(name(244, 0, 52), (Some("High 4:4:4 Predictive"), Some("5.2".into())));
    assert_eq!(name(0xff, 0, 11), (None, Some("1.1".into())));
    assert_eq!(name(100, 0, 99), (Some("High"), None));
}

#[test]
fn what_is_written_is_read_back() {
    for text in [
        "avc1.640028",
        "avc3.42e01e",
        "mp4a.40.2",
        "mp4a.67",
        "h264",
        "vp09.00.10.08",
        "av01.0.04M.08",
    ] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
    assert_eq!(CodecString::avc(0x64, 0, 0x28).to_string(), "avc1.640028");
    assert_eq!(parse("mp4a.40.02").unwrap().to_string(), "mp4a.40.2");
    assert_eq!(parse("avc1.4D401F").unwrap().to_string(), "avc1.4d401f");
}

#[test]
fn every_row_takes_its_own_words_and_example() {
    for family in FAMILIES {
        assert_eq!(family.words[0], family.kind.0, "the slug comes first");
        for text in family.words.iter().chain([&family.example]) {
            assert_eq!(parse(text).unwrap().kind(), family.kind, "{text}");
        }
    }
}

#[test]
fn families_are_told_by_their_prefix() {
    let families = [
        ("hev1.1.6.L93.B0", "hevc"),
        ("hvc1.1.6.L93.B0", "hevc"),
        ("vp8", "vp8"),
        ("vp09.00.10.08", "vp9"),
        ("av01.0.04M.08", "av1"),
        ("opus", "opus"),
        ("flac", "flac"),
        ("mp4a.6B", "mp3"),
        ("mp4a.40.29", "aac"),
        ("avc1.nonsense", "h264"),
        ("mjpeg", "mjpeg"),
        ("png", "png"),
    ];
    for (text, kind) in families {
        assert_eq!(kind_of(text), Some(EncodedKind(kind)), "{text}");
    }
    assert_eq!(kind_of("avc"), None);
}

#[test]
fn wrong_strings_are_refused_with_what_was_expected() {
    let wrong = [
        ("", "known family"),
        ("Avc1.640028", "known family"),
        (" avc1.640028", "known family"),
        ("video/mp4; codecs=\"avc1.640028\"", "known family"),
        ("avc1", "avc1.640028"),
        ("avc1.", "six hexadecimal digits"),
        ("avc1.64002", "six hexadecimal digits"),
        ("avc1.6400288", "six hexadecimal digits"),
        ("avc1.+40028", "six hexadecimal digits"),
        ("avc1.64002é", "six hexadecimal digits"),
        ("mp4a", "mp4a.40.2"),
        ("mp4a.40", "audio object type"),
        ("mp4a.40.0", "audio object type"),
        ("mp4a.40.31", "audio object type"),
        ("mp4a.40.99", "audio object type"),
        ("mp4a.40.+2", "audio object type"),
        ("vp09.", "printable"),
        ("vp09.0 0", "printable"),
        ("opus.1", "known family"),
    ];
    for (text, expected) in wrong {
        let error = parse(text).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        assert!(error.to_string().contains(expected), "{text:?}: {error}");
    }
    let long = format!("vp09.{}", "0".repeat(10_000));
    assert!(parse(&long).unwrap_err().to_string().len() < 500);
    assert!(CodecString::mp4a(31).is_err() && CodecString::mp4a(2).is_ok());
}
