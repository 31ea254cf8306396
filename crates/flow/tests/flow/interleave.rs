//! Sound beside pictures: copied, cut to the pictures' length, written before them.

use crate::support::{CLIP_FRAMES, Patient, close, each, frames, mp4, open_bytes, open_clip, pattern, quick, runtime};
use beamline_container::MuxTrack;
use beamline_flow::{FramesOptions, Input, Output, PacketsOptions, Pop};
use beamline_io::{Cancel, MemorySink};
use beamline_media::Packet;
use std::time::Duration;

/// All packets of a track.
fn packets(input: &Input, track: usize) -> Vec<Packet> {
    let stream = input.packets(track, &PacketsOptions::default()).unwrap();
    let mut all = Vec::new();
    loop {
        match stream.pop_timeout(Duration::from_secs(20)) {
            Pop::Item(packet) => all.push(packet),
            Pop::End(None) => return all,
            other => panic!("{other:?}"),
        }
    }
}

fn count_frames(input: &Input) -> usize {
    let mut n = 0;
    each(&frames(input, &FramesOptions::default()), |_| n += 1).unwrap();
    n
}

#[test]
fn copied_sound_is_the_same_bytes_at_the_same_times() {
    let runtime = runtime();
    let clip = open_clip(&runtime);
    for fragmented in [true, false] {
        let sink = MemorySink::new();
        let bytes = sink.shared();
        let output = Output::create(&runtime, Box::new(sink), &mp4(fragmented), Cancel::new()).unwrap();
        let writer = Patient::new(output.add_video(quick()).unwrap());
        output.copy(&clip, 1, &PacketsOptions::default(), false).unwrap();
        each(&frames(&clip, &FramesOptions::default()), |frame| {
            writer.frame(&frame).unwrap()
        })
        .unwrap();
        let report = close(&output).unwrap();
        assert_eq!(report.duration_us, 5_312_000);
        let again = open_bytes(&runtime, &bytes.lock().unwrap());
        assert_eq!(again.tracks().len(), 2);
        let (before, after) = (&clip.tracks()[1], &again.tracks()[1]);
        assert_eq!((&before.codec, before.audio()), (&after.codec, after.audio()));
        assert_eq!(before.description, after.description);
        let (before, after) = (packets(&clip, 1), packets(&again, 1));
        assert_eq!(before.len(), after.len());
        for (a, b) in before.iter().zip(&after) {
            assert!(a.data == b.data && a.timestamp_us == b.timestamp_us, "{a:?} {b:?}");
        }
        assert_eq!(count_frames(&again), CLIP_FRAMES);
    }
}

#[test]
fn all_tracks_of_a_file_can_be_copied_without_a_codec() {
    let runtime = runtime();
    let clip = open_clip(&runtime);
    let sink = MemorySink::new();
    let bytes = sink.shared();
    let output = Output::create(&runtime, Box::new(sink), &mp4(true), Cancel::new()).unwrap();
    for track in 0..2 {
        output.copy(&clip, track, &PacketsOptions::default(), false).unwrap();
    }
    close(&output).unwrap();
    assert!(output.stats().encoders.is_empty());
    let again = open_bytes(&runtime, &bytes.lock().unwrap());
    for track in 0..2 {
        let [a, b] = [&clip, &again].map(|i| packets(i, track));
        assert!(a.iter().map(|p| (&p.data, p.timestamp_us, p.key)).eq(b.iter().map(|p| (
            &p.data,
            p.timestamp_us,
            p.key
        ))));
    }
}

#[test]
fn a_copy_with_shortest_ends_with_the_pictures() {
    let runtime = runtime();
    let clip = open_clip(&runtime);
    for shortest in [false, true] {
        let sink = MemorySink::new();
        let bytes = sink.shared();
        let output = Output::create(&runtime, Box::new(sink), &mp4(true), Cancel::new()).unwrap();
        let writer = Patient::new(output.add_video(quick()).unwrap());
        output.copy(&clip, 1, &PacketsOptions::default(), shortest).unwrap();
        let two_seconds = FramesOptions {
            to_us: Some(2_000_000),
            ..FramesOptions::default()
        };
        each(&frames(&clip, &two_seconds), |frame| writer.frame(&frame).unwrap()).unwrap();
        let report = close(&output).unwrap();
        let again = open_bytes(&runtime, &bytes.lock().unwrap());
        let sound = packets(&again, 1);
        let end = sound
            .last()
            .and_then(|p| Some(p.timestamp_us? + p.duration_us?))
            .unwrap();
        if shortest {
            // Up to one packet of 1024 samples further.
            assert!((2_000_000..2_022_000).contains(&end), "{end}");
            assert!((2_000_000..2_022_000).contains(&report.duration_us), "{report:?}");
        } else {
            assert_eq!(sound.len(), 249);
        }
        assert_eq!(count_frames(&again), 50);
    }
}

/// Sound of so many seconds, made of the clip's, and its description.
fn long_sound(clip: &Input, seconds: i64) -> (MuxTrack, Vec<Packet>) {
    let info = clip.tracks()[1].clone();
    let one = packets(clip, 1);
    let length = 249 * 1024 * 1_000_000 / 48_000;
    let all = (0..)
        .flat_map(|turn| {
            one.iter().map(move |packet| {
                let shift = |t: Option<i64>| t.map(|t| t + turn * length);
                Packet {
                    timestamp_us: shift(packet.timestamp_us),
                    decode_us: shift(packet.decode_us),
                    ..packet.clone()
                }
            })
        })
        .take_while(|packet| packet.timestamp_us.unwrap() < seconds * 1_000_000)
        .collect();
    let time_base = Some(info.time_base);
    (MuxTrack { info, time_base }, all)
}

#[test]
fn sound_that_is_written_whole_before_the_first_picture_does_not_hang() {
    let runtime = runtime();
    let clip = open_clip(&runtime);
    // Within what is waited for, and beyond it.
    for seconds in [5, 30] {
        let (track, sound) = long_sound(&clip, seconds);
        let sink = MemorySink::new();
        let bytes = sink.shared();
        let output = Output::create(&runtime, Box::new(sink), &mp4(true), Cancel::new()).unwrap();
        let video = Patient::new(output.add_video(quick()).unwrap());
        let audio = Patient::new(output.add_packets(track).unwrap());
        for packet in &sound {
            audio.until_taken(|writer| writer.write_packet(packet.clone())).unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
        let url = "pattern:ball?width=320&height=180&frameRate=25&live=false&frames=50";
        for frame in pattern(&runtime, url) {
            video.frame(&frame).unwrap();
        }
        close(&output).unwrap();
        let again = open_bytes(&runtime, &bytes.lock().unwrap());
        assert_eq!(again.tracks().len(), 2, "{seconds} s");
        assert_eq!(count_frames(&again), 50, "{seconds} s");
        let track = again.tracks().iter().position(|t| t.audio().is_some()).unwrap();
        assert_eq!(packets(&again, track).len(), sound.len(), "{seconds} s");
    }
}

#[test]
fn a_track_takes_only_what_it_was_made_for() {
    let runtime = runtime();
    let clip = open_clip(&runtime);
    let (track, sound) = long_sound(&clip, 1);
    let output = Output::create(&runtime, Box::new(MemorySink::new()), &mp4(true), Cancel::new()).unwrap();
    let video = output.add_video(quick()).unwrap();
    let audio = output.add_packets(track).unwrap();
    let picture = pattern(&runtime, "pattern:ball?width=64&height=64&live=false&frames=1").remove(0);
    assert_eq!(
        video.write_packet(sound[0].clone()).unwrap_err().reason(),
        "invalid-argument"
    );
    assert_eq!(
        audio.write_frame(&picture, false).unwrap_err().reason(),
        "invalid-argument"
    );
}

#[test]
fn a_track_that_is_never_begun_is_told_before_memory_runs_out() {
    let runtime = runtime();
    let clip = open_clip(&runtime);
    let (track, sound) = long_sound(&clip, 1);
    let sink = MemorySink::new();
    let output = Output::create(&runtime, Box::new(sink), &mp4(true), Cancel::new()).unwrap();
    let _video = output.add_video(quick()).unwrap();
    let audio = Patient::new(output.add_packets(track).unwrap());
    let huge = Packet {
        data: vec![0; 1 << 20].into(),
        ..sound[0].clone()
    };
    // Until it is told: how far the mux thread is behind is its own affair.
    let at_write = (0..10_000).find_map(|n| {
        std::thread::sleep(Duration::from_millis(1));
        let next = Packet {
            timestamp_us: Some(n),
            decode_us: Some(n),
            ..huge.clone()
        };
        audio.until_taken(|writer| writer.write_packet(next.clone())).err()
    });
    assert_eq!(at_write.unwrap().reason(), "track-not-written");
    let at_close = close(&output).unwrap_err();
    assert_eq!(at_close.reason(), "track-not-written", "{at_close}");
}
