//! Times that do not rise: the item is refused at the write, the output lives on.

use crate::support::{Patient, close, each, frames, mp4, open_bytes, open_clip, pattern, quick, runtime};
use beamline_container::MuxTrack;
use beamline_flow::{Error, FramesOptions, Input, Output, PacketsOptions, Pop, Runtime, VideoTrackConfig};
use beamline_io::{Cancel, MemorySink};
use beamline_media::{ErrorCode, Packet};
use std::time::Duration;

const FILM: &str = "pattern:ball?width=320&height=180&frameRate=25&live=false&frames=25";

fn assert_refused(error: &Error, what: &str, before_us: i64, at_us: i64) {
    assert_eq!(
        (error.code(), error.reason()),
        (ErrorCode::InvalidConfig, "timestamp-order")
    );
    let words = error.to_string();
    for part in [what, &before_us.to_string(), &at_us.to_string()] {
        assert!(words.contains(part), "'{part}' in: {words}");
    }
    assert!(error.hint().is_some());
}

fn times(input: &Input) -> Vec<i64> {
    let mut times = Vec::new();
    each(&frames(input, &FramesOptions::default()), |frame| {
        times.extend(frame.info().timestamp_us);
    })
    .unwrap();
    times
}

/// A film with pictures that are decoded in another order than shown.
fn reordered(runtime: &Runtime) -> (Vec<u8>, Vec<i64>) {
    let sink = MemorySink::new();
    let bytes = sink.shared();
    let output = Output::create(runtime, Box::new(sink), &mp4(true), Cancel::new()).unwrap();
    let config = VideoTrackConfig {
        preset: Some("medium".into()),
        ..quick()
    };
    let writer = Patient::new(output.add_video(config).unwrap());
    let mut last: Option<i64> = None;
    for frame in pattern(runtime, FILM) {
        writer.frame(&frame).unwrap();
        if let Some(last) = last {
            for at in [last - 40_000, last, last + 40_000] {
                let late = frame.clone().with_info(|info| info.timestamp_us = Some(at));
                assert_refused(&writer.frame(&late).unwrap_err(), "timestamp", last + 40_000, at);
            }
        }
        last = frame.info().timestamp_us;
    }
    assert!(close(&output).unwrap().complete);
    assert_eq!(output.stats().frames, 25, "what was refused is not in the file");
    let bytes = bytes.lock().unwrap().clone();
    (bytes, (0..25).map(|n| n * 40_000).collect())
}

#[test]
fn frames_whose_times_do_not_rise_are_refused_and_the_others_written() {
    let runtime = runtime();
    let (bytes, wanted) = reordered(&runtime);
    assert_eq!(times(&open_bytes(&runtime, &bytes)), wanted);
}

#[test]
fn of_packets_the_decoding_times_rise_and_those_of_b_frames_are_right_as_they_are() {
    let runtime = runtime();
    let (film, wanted) = reordered(&runtime);
    let input = open_bytes(&runtime, &film);
    let info = input.tracks()[0].clone();
    let stream = input.packets(0, &PacketsOptions::default()).unwrap();
    let mut packets: Vec<Packet> = Vec::new();
    while let Pop::Item(packet) = stream.pop_timeout(Duration::from_secs(20)) {
        packets.push(packet);
    }
    assert!(
        packets.windows(2).any(|p| p[1].timestamp_us < p[0].timestamp_us),
        "there are no B-frames in it"
    );

    let sink = MemorySink::new();
    let bytes = sink.shared();
    let output = Output::create(&runtime, Box::new(sink), &mp4(true), Cancel::new()).unwrap();
    let track = MuxTrack {
        time_base: Some(info.time_base),
        info,
    };
    let writer = Patient::new(output.add_packets(track).unwrap());
    let mut last: Option<Packet> = None;
    for packet in &packets {
        writer.until_taken(|w| w.write_packet(packet.clone())).unwrap();
        let now = packet.decode_us.unwrap();
        for again in [Some(packet), last.as_ref()].into_iter().flatten() {
            let error = writer.until_taken(|w| w.write_packet(again.clone())).unwrap_err();
            assert_refused(&error, "decoding time", now, again.decode_us.unwrap());
        }
        last = Some(packet.clone());
    }
    assert!(close(&output).unwrap().complete);
    let bytes = bytes.lock().unwrap().clone();
    assert_eq!(times(&open_bytes(&runtime, &bytes)), wanted);
}

#[test]
fn aac_without_a_description_is_refused_before_anything_is_written() {
    let runtime = runtime();
    let clip = open_clip(&runtime);
    let sound = clip.tracks().iter().find(|t| t.audio().is_some()).unwrap();
    let mut info = sound.clone();
    info.description = None;
    let output = Output::create(&runtime, Box::new(MemorySink::new()), &mp4(true), Cancel::new()).unwrap();
    let track = MuxTrack { info, time_base: None };
    let error = output.add_packets(track).err().unwrap();
    assert_eq!(error.code(), ErrorCode::NotSupported);
    assert!(error.to_string().contains("AudioSpecificConfig"), "{error}");
}
