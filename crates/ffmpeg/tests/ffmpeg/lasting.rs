//! How long what is written lasts.

use crate::{
    fixtures::*,
    times::{of_video, shown},
};
use beamline_container::{ContainerProvider, MuxTrack, MuxerConfig, container_for_slug};
use beamline_ffmpeg::Ffmpeg;
use beamline_io::{Cancel, FileSink};
use beamline_media::ErrorCode;

#[test]
fn a_track_of_a_variable_rate_lasts_as_long_as_its_pictures() {
    let folder = tempfile::tempdir().expect("folder");
    let rate = "-vf scale=64:36,select='not(mod(n,3))+lt(n,10)' -fps_mode vfr";
    let file = make(
        folder.path(),
        "film.mp4",
        &format!("-i {{clip}} -t 2 -an {rate} -c:v libx264 -bf 3 -b_strategy 0 {{out}}"),
    );
    let mut demuxer = open(&file);
    let track = demuxer.tracks()[0].clone();
    let mut film = packets(demuxer.as_mut());
    film.iter_mut().for_each(|packet| packet.duration_us = Some(40_000));
    let last = film
        .iter()
        .filter_map(|packet| packet.timestamp_us)
        .max()
        .expect("pictures");
    for fragmented in [false, true] {
        let to = folder.path().join("to.mp4");
        let config = MuxerConfig {
            container: container_for_slug("mp4").expect("a row"),
            fragmented,
        };
        let sink = Box::new(FileSink::create(&to).expect("create"));
        let mut muxer = Ffmpeg::new().create(sink, &config, &Cancel::new()).expect("muxer");
        let track = MuxTrack {
            time_base: Some(track.time_base),
            info: track.clone(),
        };
        muxer.add_track(&track).expect("track");
        muxer.start().expect("start");
        film.iter().for_each(|packet| muxer.write(packet).expect("write"));
        let mut late = film[0].clone();
        late.decode_us = Some(400 * 3_600_000_000);
        late.timestamp_us = late.decode_us;
        let error = muxer.write(&late).expect_err("too late");
        assert_eq!(
            (error.code(), error.reason()),
            (ErrorCode::InvalidConfig, "timestamp-gap")
        );
        muxer.finish().expect("finish");
        drop(muxer);
        let seconds: f64 = probe(&to, "-show_entries stream=duration").parse().expect("a number");
        assert!(
            (seconds - (last + 40_000) as f64 / 1e6).abs() < 2e-3,
            "{fragmented}: {seconds} s, {last}"
        );
        assert_eq!(shown(&of_video(&to)), shown(&film), "{fragmented}");
        let ours = open(&to).tracks()[0].duration_us.expect("a length");
        assert!((ours - last - 40_000).abs() < 2_000, "{fragmented}: {ours}");
    }
}
